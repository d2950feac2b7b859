//! Chips as lowering sees them: a name, the modes they have rules for, and those rules.

use crate::ahead::Quantized;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext};
use crate::{bm1684, bm1684x, cv18xx, preprocess, weight_only};
use std::fmt;
use std::str::FromStr;
use tpuc_ops::{Attr, Op};
pub use tpuc_ops::Family;
use tpuc_tensor::DType;
use tpuc_tensor::text::nearest;

/// How the network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 8-bit integers, zero point 0.
    Int8,
    F16,
    BF16,
    F32,
    /// As the float mode, but weights of products with activations are 8-bit or 4-bit integers in groups.
    W8F16,
    W8BF16,
    W4F16,
    W4BF16,
}

impl Mode {
    pub const ALL: [Mode; 8] = [Mode::Int8, Mode::F16, Mode::BF16, Mode::F32, Mode::W8F16, Mode::W8BF16, Mode::W4F16, Mode::W4BF16];

    /// The word of `--quantize` and of `module.mode`.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Int8 => "INT8",
            Mode::F16 => "F16",
            Mode::BF16 => "BF16",
            Mode::F32 => "F32",
            Mode::W8F16 => "W8F16",
            Mode::W8BF16 => "W8BF16",
            Mode::W4F16 => "W4F16",
            Mode::W4BF16 => "W4BF16",
        }
    }

    /// The mode in which ops run that weights' bits do not concern.
    pub const fn base(self) -> Mode {
        match self {
            Mode::W8F16 | Mode::W4F16 => Mode::F16,
            Mode::W8BF16 | Mode::W4BF16 => Mode::BF16,
            other => other,
        }
    }

    /// One of the three modes in which everything is a float.
    pub fn is_float(self) -> bool {
        matches!(self, Mode::F16 | Mode::BF16 | Mode::F32)
    }

    /// Bits of a weight, in the modes that quantize weights alone.
    pub const fn weight_bits(self) -> Option<u32> {
        match self {
            Mode::W8F16 | Mode::W8BF16 => Some(8),
            Mode::W4F16 | Mode::W4BF16 => Some(4),
            Mode::Int8 | Mode::F16 | Mode::BF16 | Mode::F32 => None,
        }
    }

    /// The float type of a float mode.
    pub const fn float(self) -> Option<DType> {
        match self.base() {
            Mode::F16 => Some(DType::F16),
            Mode::BF16 => Some(DType::BF16),
            Mode::F32 => Some(DType::F32),
            _ => None,
        }
    }

    /// The word in names of files: `int8_sym`, `int8_asym`, `f16`...
    pub const fn file_suffix(self, asymmetric: bool) -> &'static str {
        match self {
            Mode::Int8 if asymmetric => "int8_asym",
            Mode::Int8 => "int8_sym",
            Mode::F16 => "f16",
            Mode::BF16 => "bf16",
            Mode::F32 => "f32",
            Mode::W8F16 => "w8f16",
            Mode::W8BF16 => "w8bf16",
            Mode::W4F16 => "w4f16",
            Mode::W4BF16 => "w4bf16",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode '{found}', expected one of {}", Mode::ALL.map(Mode::name).join(", "))]
pub struct UnknownMode {
    pub found: String,
}

impl FromStr for Mode {
    type Err = UnknownMode;

    /// Letters of either case.
    fn from_str(word: &str) -> Result<Mode, UnknownMode> {
        let found = Mode::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(word));
        found.ok_or_else(|| UnknownMode { found: word.to_owned() })
    }
}

/// A word that names no float mode of a chip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no float type of {chip}, expected auto or one of {}", known.iter().map(|m| m.name()).collect::<Vec<_>>().join(", "))]
pub struct FloatModeError {
    pub found: String,
    pub chip: &'static str,
    pub known: Vec<Mode>,
}

/// A chip: what it can do, and by its family the rules of lowering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// As in `--chip` and `module.chip`.
    pub name: &'static str,
    pub family: Family,
    /// The float type in which an op runs that has no integer form.
    pub fallback: DType,
    /// The modes that a network can be lowered to. Single layers know more words, see [`Chip::layer_mode`].
    pub modes: &'static [Mode],
    /// Whether shift and zero point of a requantization per channel share a word.
    pub packs_requant: bool,
    /// `module.addr_mode`, where the choice is left to the compiler.
    pub addr_mode: &'static str,
    /// Whether attentions of several heads become one op, of which the chip computes a head at a time.
    pub fuses_attention: bool,
}

/// A word that names no chip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown chip '{found}'{}; known chips: {}", nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default(), Chip::ALL.iter().map(|c| c.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownChip {
    pub found: String,
    pub nearest: Option<&'static str>,
}

impl Chip {
    pub const BM1684X: Chip = Chip { fuses_attention: true, ..Chip::bm1684x("bm1684x", false, "basic") };
    pub const BM1688: Chip = Chip::bm1684x("bm1688", true, "io_tag");
    pub const CV186X: Chip = Chip::bm1684x("cv186x", true, "io_tag");
    pub const BM1690: Chip = Chip::bm1684x("bm1690", true, "basic");
    pub const BM1684: Chip = Chip { name: "bm1684", family: Family::Bm1684, fallback: DType::F32, modes: &[Mode::Int8, Mode::F32], packs_requant: false, addr_mode: "basic", fuses_attention: false };
    pub const CV183X: Chip = Chip::cv18xx("cv183x");
    pub const CV182X: Chip = Chip::cv18xx("cv182x");
    pub const CV181X: Chip = Chip::cv18xx("cv181x");
    pub const CV180X: Chip = Chip::cv18xx("cv180x");

    pub const ALL: &'static [Chip] = &[
        Chip::BM1684X,
        Chip::BM1688,
        Chip::CV186X,
        Chip::BM1690,
        Chip::BM1684,
        Chip::CV183X,
        Chip::CV182X,
        Chip::CV181X,
        Chip::CV180X,
    ];

    const fn bm1684x(name: &'static str, packs_requant: bool, addr_mode: &'static str) -> Chip {
        Chip { name, family: Family::Bm1684x, fallback: DType::F16, modes: &Mode::ALL, packs_requant, addr_mode, fuses_attention: false }
    }

    const fn cv18xx(name: &'static str) -> Chip {
        Chip { name, family: Family::Cv18xx, fallback: DType::BF16, modes: &[Mode::Int8, Mode::BF16], packs_requant: false, addr_mode: "basic", fuses_attention: false }
    }

    /// In which mode a layer runs for which a quantize table asks for another: every float mode means the chip's own
    /// float type where it has but one.
    pub fn layer_mode(&self, asked: Mode) -> Mode {
        if self.modes.contains(&asked) { asked } else { self.fallback_mode() }
    }

    /// The mode of the float type in which ops run that have no integer form.
    pub const fn fallback_mode(&self) -> Mode {
        match self.fallback {
            DType::F16 => Mode::F16,
            DType::BF16 => Mode::BF16,
            _ => Mode::F32,
        }
    }

    /// Whether integers may have zero points. The other families compute without, whatever a type says (the reference lets
    /// some of their ops have them, and the networks compute nonsense or abort).
    pub const fn has_zero_points(&self) -> bool {
        matches!(self.family, Family::Bm1684x)
    }

    /// The end of names of the files that the chip's runtime loads.
    pub const fn model_extension(&self) -> &'static str {
        match self.family {
            Family::Bm1684x | Family::Bm1684 => "bmodel",
            Family::Cv18xx => "cvimodel",
        }
    }

    /// What an op becomes, by the family's rules.
    pub(crate) fn lower(&self, context: &OpContext) -> Result<Lowered, LowerError> {
        if !self.modes.contains(&context.mode) {
            return Err(LowerError::Mode { chip: self.name, mode: context.mode, modes: self.modes });
        }
        if let Op::TopPreprocess(op) = context.op {
            return preprocess::lower(context, op);
        }
        if let Some(bits) = context.mode.weight_bits() {
            return match weight_only::lower(context, bits)? {
                Some(lowered) => Ok(lowered),
                None => self.lower(&OpContext { mode: context.mode.base(), ..context.clone() }),
            };
        }
        match self.family {
            Family::Bm1684x => bm1684x::lower(context),
            Family::Bm1684 => bm1684::lower(context),
            Family::Cv18xx => cv18xx::lower(context),
        }
    }

    /// What an op's constants become, as far as nothing else decides on it.
    pub(crate) fn prepare(&self, context: &OpContext) -> Option<Quantized> {
        match self.family {
            Family::Bm1684x => bm1684x::prepare(context),
            Family::Bm1684 | Family::Cv18xx => None,
        }
    }

    /// The float mode of a word: `auto` is the one in which ops run that have no integer form.
    pub fn float_mode(&self, word: &str) -> Result<Mode, FloatModeError> {
        if word.eq_ignore_ascii_case("auto") {
            return Ok(self.fallback_mode());
        }
        let found = self.modes.iter().copied().find(|m| m.is_float() && m.name().eq_ignore_ascii_case(word));
        found.ok_or_else(|| FloatModeError { found: word.to_owned(), chip: self.name, known: self.float_modes() })
    }

    /// The float modes that there are rules for.
    pub fn float_modes(&self) -> Vec<Mode> {
        self.modes.iter().copied().filter(|m| m.is_float()).collect()
    }

    /// The chip of a name (letters of either case).
    pub fn find(name: &str) -> Result<&'static Chip, UnknownChip> {
        let unknown = || UnknownChip { found: name.to_owned(), nearest: nearest(name, Chip::ALL.iter().map(|c| c.name)) };
        Chip::ALL.iter().find(|c| c.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)
    }

    /// Attributes of a module that `processor-assign` sets: the chip, the mode and what goes with them.
    pub fn module_attributes(&self, mode: Mode) -> Vec<(&'static str, Attr)> {
        vec![
            ("module.addr_mode", Attr::Str(self.addr_mode.into())),
            ("module.asymmetric", Attr::Bool(false)),
            ("module.chip", Attr::Str(self.name.into())),
            ("module.cores", Attr::I64(1)),
            ("module.devices", Attr::I64(1)),
            ("module.high_precision", Attr::Bool(false)),
            ("module.mode", Attr::Str(mode.name().into())),
            ("module.q_group_size", Attr::I64(0)),
            ("module.q_symmetric", Attr::Bool(false)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_modes() {
        assert_eq!(Chip::BM1684X.float_mode("auto").unwrap(), Mode::F16);
        assert_eq!(Chip::BM1684X.float_mode("bf16").unwrap(), Mode::BF16);
        assert_eq!(Chip::BM1684X.float_mode("INT8").unwrap_err().to_string(), "'INT8' is no float type of bm1684x, expected auto or one of F16, BF16, F32");
    }

    #[test]
    fn names_are_found_and_mistakes_explained() {
        assert_eq!(Chip::find("BM1684X").unwrap().name, "bm1684x");
        assert_eq!(Chip::find("bm1684y").unwrap_err().to_string(), "unknown chip 'bm1684y'; did you mean 'bm1684x'?; known chips: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x, cv180x");
        assert!(Chip::ALL.iter().all(|c| Chip::find(c.name) == Ok(c) && Family::of_chip(c.name) == c.family && c.modes.contains(&c.fallback_mode())));
        assert_eq!("int8".parse::<Mode>().unwrap(), Mode::Int8);
        assert_eq!("INT9".parse::<Mode>().unwrap_err().to_string(), "unknown mode 'INT9', expected one of INT8, F16, BF16, F32, W8F16, W8BF16, W4F16, W4BF16");
    }

    #[test]
    fn float_layers_run_in_the_type_that_the_chip_has() {
        assert_eq!(Mode::ALL.map(|m| Chip::BM1688.layer_mode(m)), Mode::ALL);
        assert_eq!([Mode::Int8, Mode::F16, Mode::BF16, Mode::F32].map(|m| Chip::BM1684.layer_mode(m)), [Mode::Int8, Mode::F32, Mode::F32, Mode::F32]);
        assert_eq!([Mode::Int8, Mode::F16, Mode::BF16, Mode::F32].map(|m| Chip::CV181X.layer_mode(m)), [Mode::Int8, Mode::BF16, Mode::BF16, Mode::BF16]);
    }
}
