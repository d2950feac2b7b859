//! Scales that are powers of two times the weights' own.

/// By how much products are shifted right, so that `largest * s_in / s_out * 2^shift` comes nearest to 127 from below;
/// negative where it is beyond 127 unshifted.
pub(super) fn right_shift(largest: f32, input_scale: f64, output_scale: f64) -> i32 {
    let mut reach = f64::from(largest) * input_scale / output_scale;
    if reach.is_nan() || reach <= 0.0 {
        return 0;
    }
    let mut doublings = 0;
    while reach < 127.0 && doublings <= 32 {
        reach *= 2.0;
        doublings += 1;
    }
    if doublings > 32 { 31 } else { doublings - 1 }
}

/// A bias in 16 bits: `round(b * 2^shift / s_out)`. While more than 3 % of its values do not fit, the shift, which it shares
/// with the weights, is taken down.
pub(super) fn bias_and_shift(bias: &[f32], mut shift: i32, output_scale: f64) -> (Vec<i16>, i32) {
    loop {
        let factor = (f64::from(shift).exp2() / output_scale) as f32;
        let rounded: Vec<f32> = bias.iter().map(|b| (b * factor).round()).collect();
        let outside = rounded.iter().filter(|v| !(-32768.0..=32767.0).contains(*v)).count();
        if shift <= 0 || outside as f64 <= 0.03 * bias.len() as f64 {
            return (rounded.into_iter().map(|v| v as i16).collect(), shift);
        }
        shift -= 1;
    }
}

/// `round(w * 2^shift s_in / s_out)` in 8 bits.
pub(super) fn weights(values: &[f32], shift: i32, input_scale: f64, output_scale: f64) -> Vec<i8> {
    let factor = (f64::from(shift).exp2() * input_scale / output_scale) as f32;
    values.iter().map(|w| (w * factor).round() as i8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_weight_stays_below_the_end_of_the_type() {
        assert_eq!(right_shift(1.0, 1.0, 1.0), 6);
        assert_eq!(right_shift(1.984, 1.0, 1.0), 6);
        assert_eq!(right_shift(1.985, 1.0, 1.0), 5);
        assert_eq!(right_shift(127.0, 1.0, 1.0), -1);
        assert_eq!(right_shift(1e-12, 1.0, 1.0), 31);
        assert_eq!(right_shift(0.0, 1.0, 1.0), 0);
    }

    #[test]
    fn biases_that_overflow_cost_precision() {
        assert_eq!(bias_and_shift(&[1.0, -2.0], 6, 0.5), (vec![128, -256], 6));
        assert_eq!(bias_and_shift(&[1000.0, 0.25], 6, 1.0), (vec![32000, 8], 5));
        // One in 40 may saturate.
        let mut bias = vec![0.5f32; 40];
        bias[7] = -5000.0;
        assert_eq!(bias_and_shift(&bias, 6, 1.0).0[7], -32768);
    }
}
