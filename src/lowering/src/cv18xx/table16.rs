//! Tables of 256 bf16 by which CV18xx computes functions.

use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::weight;
use half::bf16;
use tpuc_ops::tpu;
use tpuc_tensor::Data;

/// Values and slopes of a function in 256 pieces from `-range` to `range`. Entry `i` stands at `i mod 256`. The two
/// ends go on with the slope of a line over another range beyond.
pub(super) fn slopes(range: f64, f: impl Fn(f64) -> f64) -> [Vec<bf16>; 2] {
    let step = 2.0 * range / 256.0;
    let at = |piece: i32| bf16::from_f32(f(f64::from(piece) * step) as f32);
    let piece = |index: i32| if index < 128 { index } else { index - 256 };
    let slope = |index: i32| {
        let here = at(piece(index)).to_f32();
        bf16::from_f32(match index {
            127 => ((f(3.0 * range) - f(range)) / 256.0) as f32,
            128 => ((f(-range) - f(-3.0 * range)) / 256.0) as f32,
            0..127 => at(index + 1).to_f32() - here,
            _ => here - at(piece(index) - 1).to_f32(),
        })
    };
    [(0..256).map(|i| at(piece(i))).collect(), (0..256).map(slope).collect()]
}

/// Factors of `x^power` for the binary exponents -62 to 63 and for mantissas with the last bit of the exponent. Of 0 the
/// largest value.
pub(super) fn powers(power: f64, negative: bool) -> [Vec<bf16>; 2] {
    let largest = bf16::from_bits(0x7f7f);
    let exponent = |index: i32| {
        let of = |e: i32| (f64::from(e) * power).exp2() as f32;
        match (index, negative) {
            (0 | 128, _) => largest,
            (1..128, _) => bf16::from_f32(of(index - 63)),
            (_, true) => bf16::from_f32(-of(index - 191)),
            (_, false) => bf16::ZERO,
        }
    };
    let mantissa = |index: i32| bf16::from_f32((1.0 + f64::from(index % 128) / 128.0).powf(power) as f32);
    [(0..256).map(exponent).collect(), (0..256).map(mantissa).collect()]
}

/// The op that raises to a power by [`powers`].
pub(super) fn mantissa_lut() -> tpu::LutBF16 {
    tpu::LutBF16 { lut_mode: tpu::LutBF16Mode::Mantissa, min_range: -62.0, max_range: 63.0, ..Default::default() }
}

/// A table as a weight `<layer>_<name>_bf16`.
pub(super) fn table(context: &OpContext, lowered: &mut Lowered, name: &str, entries: Vec<bf16>) -> OperandRef {
    lowered.weight(weight(format!("{}_{name}_bf16", context.name), &[1, 1, 32, 8], Data::BF16(entries)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_slope() {
        let [values, slopes] = slopes(8.0, |x| x);
        assert_eq!([0, 1, 127, 128, 255].map(|i| values[i].to_f32()), [0.0, 0.0625, 7.9375, -8.0, -0.0625]);
        assert!(slopes.iter().all(|s| s.to_f32() == 0.0625));
    }

    #[test]
    fn reciprocals() {
        let [exponents, mantissas] = powers(-1.0, true);
        assert_eq!([62, 63, 64, 191].map(|i| exponents[i].to_f32()), [2.0, 1.0, 0.5, -1.0]);
        assert_eq!([0, 127, 128].map(|i| mantissas[i]), [1.0, 128.0 / 255.0, 1.0].map(bf16::from_f32));
    }
}
