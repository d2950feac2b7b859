//! Scales as 31-bit multipliers, and weights to go with them.

use tpuc_tensor::round::half_even_f64;

/// Integers whose scale is beyond this are as good as unscaled.
const LARGEST: f64 = 0.999_999;

/// `multiplier / 2^(31 + rshift)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HighProduct {
    pub multiplier: i64,
    pub rshift: i64,
}

impl HighProduct {
    /// The nearest to a scale: its mantissa in 31 bits.
    pub fn of(scale: f64) -> HighProduct {
        if !(scale > 0.0 && scale.is_finite()) {
            return HighProduct { multiplier: 0, rshift: 0 };
        }
        let mut exponent = scale.log2().floor() as i64 + 1;
        // The logarithm of numbers next to a power of two may be off by one.
        let mantissa = |exponent: i64| scale * (-exponent as f64).exp2();
        while mantissa(exponent) >= 1.0 {
            exponent += 1;
        }
        while mantissa(exponent) < 0.5 {
            exponent -= 1;
        }
        let multiplier = (mantissa(exponent) * (1i64 << 31) as f64).round() as i64;
        match multiplier == 1 << 31 {
            true => HighProduct { multiplier: 1 << 30, rshift: -exponent - 1 },
            false => HighProduct { multiplier, rshift: -exponent },
        }
    }

    /// The inverse of what it stands for; 0 of nothing.
    fn inverse(self) -> f64 {
        if self.multiplier == 0 { 0.0 } else { ((self.rshift + 31) as f64).exp2() / self.multiplier as f64 }
    }
}

/// Thresholds of an op's input and result: the values of the integer 127.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    pub input: f32,
    pub output: f32,
}

impl Thresholds {
    pub fn of(input_scale: f64, output_scale: f64) -> Thresholds {
        Thresholds { input: (input_scale * 127.0) as f32, output: (output_scale * 127.0) as f32 }
    }

    /// The scale with which the largest weight becomes 127, and the largest bias still fits 32 bits.
    pub fn scale(self, largest_weight: f32, largest_bias: Option<f32>) -> HighProduct {
        let weights = f64::from((largest_weight * self.input) / (127.0 * self.output));
        let weights = if weights >= 1.0 { LARGEST } else { weights };
        let bias = largest_bias.map_or(0.0, |b| f64::from(b * 127.0) / (f64::from(i32::MAX) * 0.998 * f64::from(self.output)));
        HighProduct::of(if bias > weights { bias.min(LARGEST) } else { weights })
    }

    /// `round(w t_in / t_out / scale)` in 8 bits.
    pub fn weights(self, values: &[f32], scale: HighProduct) -> Vec<i8> {
        let factor = self.input / self.output;
        values.iter().map(|&w| half_even_f64(f64::from(w * factor) * scale.inverse()) as i8).collect()
    }

    /// `round(b 127 / t_out / scale)` in 32 bits.
    pub fn bias(self, values: &[f32], scale: HighProduct) -> Vec<i32> {
        let factor = 127.0 / self.output;
        values.iter().map(|&b| half_even_f64(f64::from(b * factor) * scale.inverse()) as i32).collect()
    }
}

/// Multipliers below 128 with one shift: the largest that stay below it, towards zero.
pub(crate) fn seven_bits(scales: &[f64]) -> Option<(Vec<i64>, i64)> {
    let largest = scales.iter().fold(0.0f64, |max, s| max.max(s.abs()));
    let rshift = (0..63).find(|&r| largest * f64::from(r + 1).exp2() >= 127.0)?;
    let multipliers = scales.iter().map(|s| (s * f64::from(rshift).exp2()).trunc() as i64).collect();
    Some((multipliers, i64::from(rshift)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mantissas_of_31_bits() {
        assert_eq!(HighProduct::of(0.5), HighProduct { multiplier: 1 << 30, rshift: 0 });
        assert_eq!(HighProduct::of(0.25), HighProduct { multiplier: 1 << 30, rshift: 1 });
        assert_eq!(HighProduct::of(3.0), HighProduct { multiplier: 3 << 29, rshift: -2 });
        // Rounds up to the next power of two.
        assert_eq!(HighProduct::of(1.0 - 1e-12), HighProduct { multiplier: 1 << 30, rshift: -1 });
        assert_eq!(HighProduct::of(0.0), HighProduct { multiplier: 0, rshift: 0 });
    }

    #[test]
    fn the_largest_weight_becomes_127() {
        let thresholds = Thresholds::of(2.0 / 127.0, 4.0 / 127.0);
        let scale = thresholds.scale(0.8, None);
        assert_eq!(thresholds.weights(&[0.8, -0.4, 0.0], scale), [127, -64, 0]);
        let with_bias = thresholds.scale(0.001, Some(1e6));
        assert!(thresholds.bias(&[1e6], with_bias)[0] > 2_000_000_000);
    }

    #[test]
    fn shared_shifts() {
        assert_eq!(seven_bits(&[0.65583, 0.74041]), Some((vec![83, 94], 7)));
        assert_eq!(seven_bits(&[1.0, -0.5]), Some((vec![64, -32], 6)));
        assert_eq!(seven_bits(&[0.0]), None);
        assert_eq!(seven_bits(&[200.0]), Some((vec![200], 0)));
    }
}
