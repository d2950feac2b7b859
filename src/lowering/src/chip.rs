//! Chips as lowering sees them: a name, the modes they have rules for, and those rules.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext};
use std::fmt;
use std::str::FromStr;
use tpuc_ops::Attr;
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
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Int8, Mode::F16, Mode::BF16, Mode::F32];

    /// The word of `--quantize` and of `module.mode`.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Int8 => "INT8",
            Mode::F16 => "F16",
            Mode::BF16 => "BF16",
            Mode::F32 => "F32",
        }
    }

    /// The float type of a float mode.
    pub const fn float(self) -> Option<DType> {
        match self {
            Mode::Int8 => None,
            Mode::F16 => Some(DType::F16),
            Mode::BF16 => Some(DType::BF16),
            Mode::F32 => Some(DType::F32),
        }
    }

    /// The word in names of files: `int8_sym`, `f16`...
    pub const fn file_suffix(self) -> &'static str {
        match self {
            Mode::Int8 => "int8_sym",
            Mode::F16 => "f16",
            Mode::BF16 => "bf16",
            Mode::F32 => "f32",
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

/// A chip and its rules.
pub struct Chip {
    /// As in `--chip` and `module.chip`.
    pub name: &'static str,
    /// The float type in which an op runs that has no integer form.
    pub fallback: DType,
    /// The modes that there are rules for.
    pub modes: &'static [Mode],
    pub(crate) lower: fn(&OpContext) -> Result<Lowered, LowerError>,
}

impl fmt::Debug for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chip").field("name", &self.name).field("fallback", &self.fallback).field("modes", &self.modes).finish()
    }
}

/// A word that names no chip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown chip '{found}'{}; known chips: {}", nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default(), Chip::ALL.iter().map(|c| c.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownChip {
    pub found: String,
    pub nearest: Option<&'static str>,
}

impl Chip {
    pub const BM1684X: Chip = Chip { name: "bm1684x", fallback: DType::F16, modes: &[Mode::Int8, Mode::F16, Mode::BF16, Mode::F32], lower: crate::bm1684x::lower };

    pub const ALL: &'static [Chip] = &[Chip::BM1684X];

    /// The float mode of a word: `auto` is the one in which ops run that have no integer form.
    pub fn float_mode(&self, word: &str) -> Result<Mode, FloatModeError> {
        if word.eq_ignore_ascii_case("auto") {
            let own = self.modes.iter().copied().find(|m| m.float() == Some(self.fallback));
            return own.ok_or(FloatModeError { found: word.to_owned(), chip: self.name, known: self.float_modes() });
        }
        let found = self.modes.iter().copied().find(|m| m.float().is_some() && m.name().eq_ignore_ascii_case(word));
        found.ok_or_else(|| FloatModeError { found: word.to_owned(), chip: self.name, known: self.float_modes() })
    }

    /// The float modes that there are rules for.
    pub fn float_modes(&self) -> Vec<Mode> {
        self.modes.iter().copied().filter(|m| m.float().is_some()).collect()
    }

    /// The chip of a name (letters of either case).
    pub fn find(name: &str) -> Result<&'static Chip, UnknownChip> {
        let unknown = || UnknownChip { found: name.to_owned(), nearest: nearest(name, Chip::ALL.iter().map(|c| c.name)) };
        Chip::ALL.iter().find(|c| c.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)
    }

    /// Attributes of a module that `processor-assign` sets: the chip, the mode and what goes with them.
    pub fn module_attributes(&self, mode: Mode) -> Vec<(&'static str, Attr)> {
        vec![
            ("module.addr_mode", Attr::Str("basic".into())),
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
        assert_eq!(Chip::find("bm1684y").unwrap_err().to_string(), "unknown chip 'bm1684y'; did you mean 'bm1684x'?; known chips: bm1684x");
        assert_eq!("int8".parse::<Mode>().unwrap(), Mode::Int8);
        assert_eq!("INT9".parse::<Mode>().unwrap_err().to_string(), "unknown mode 'INT9', expected one of INT8, F16, BF16, F32");
    }
}
