//! Arithmetic that the rules of chips share: scales from ranges, floats to 8-bit integers.

use crate::lowered::NewWeight;
use crate::ranges::Range;
use tpuc_ops::{Elem, TensorType};
use tpuc_tensor::{DType, Data, Tensor};

/// The symmetric 8-bit type of a calibrated value: i8 with scale `threshold / 127` if the range reaches below zero, else
/// u8 with `threshold / 255`. A type that is quantized already stays. `None` without a usable range.
pub fn quantized_elem(elem: &Elem) -> Option<Elem> {
    if let Elem::Uniform { .. } = elem {
        return Some(*elem);
    }
    let range = Range::of_elem(elem)?;
    let threshold = range.threshold();
    if !(threshold > 0.0 && threshold.is_finite()) {
        return None;
    }
    Some(match range.is_signed() {
        true => Elem::symmetric(DType::I8, threshold / 127.0),
        false => Elem::symmetric(DType::U8, threshold / 255.0),
    })
}

/// The asymmetric 8-bit type of a calibrated value: the integers cover the range, which is made to reach zero. i8 if it reaches
/// below zero, else u8 with zero point 0. A type that is quantized already stays. `None` without a usable range.
pub fn asymmetric_elem(elem: &Elem) -> Option<Elem> {
    if let Elem::Uniform { .. } = elem {
        return Some(*elem);
    }
    let range = Range::of_elem(elem)?;
    let (low, high) = (range.min.min(0.0), range.max.max(0.0));
    if !(high > low && high.is_finite() && low.is_finite()) {
        return None;
    }
    let scale = (high - low) / 255.0;
    Some(match range.is_signed() {
        true => Elem::Uniform { storage: DType::I8, expressed: DType::F32, scale, zero_point: (-128.0 - low / scale).round() as i64 },
        false => Elem::symmetric(DType::U8, scale),
    })
}

/// The end of a cast's name: `si8`, `ui8`, `f32`...
pub fn cast_suffix(elem: &Elem) -> &'static str {
    elem.storage().name()
}

pub(crate) use tpuc_kernels::quantize::{by_rows, max_abs, max_abs_by_rows, to_8_bits};

/// `round_half_away(value / scale)`, saturated to i8; 0 of what is no number.
pub(crate) fn to_i8(value: impl Into<f64>, scale: f64) -> i8 {
    (value.into() / scale).round() as i8
}

/// A number as an integer of a quantized type: `round_half_away(value / scale) + zero point`, within the storage type; NaN of NaN.
pub(crate) fn integer_of(value: f64, elem: &Elem) -> f64 {
    let (low, high) = elem.storage().integer_range().unwrap_or((0, 0));
    ((value / elem.scale().unwrap_or(1.0)).round() + elem.zero_point() as f64).clamp(low as f64, high as f64)
}

/// Sums of 8-bit integers, each of so many neighbours.
pub(crate) fn integer_sums(data: &Data, neighbours: usize) -> Vec<i64> {
    match data {
        Data::U8(list) => list.chunks(neighbours.max(1)).map(|row| row.iter().map(|&v| i64::from(v)).sum()).collect(),
        Data::I8(list) => list.chunks(neighbours.max(1)).map(|row| row.iter().map(|&v| i64::from(v)).sum()).collect(),
        _ => Vec::new(),
    }
}

/// A constant in 8 bits, and its scale: i8, or u8 where nothing is negative.
pub(crate) fn constant(name: &str, shape: &[i64], values: &[f32]) -> (NewWeight, f64) {
    let signed = values.iter().any(|&v| v < 0.0);
    let scale = match (max_abs(values), signed) {
        (0.0, _) => 1.0,
        (largest, true) => f64::from(largest / 127.0),
        (largest, false) => f64::from(largest / 255.0),
    };
    let constant = match signed {
        true => weight(format!("{name}_i8"), shape, Data::I8(to_8_bits(values, scale))),
        false => weight(format!("{name}_u8"), shape, Data::U8(to_8_bits(values, scale))),
    };
    (constant, scale)
}

/// The smallest `times` of 1, 2, 4 .. 64 for which every `value * times` is an 8-bit integer: such weights lose
/// nothing with scale `1 / times`.
pub(crate) fn integer_times(values: &[f32], signed: bool) -> Option<f32> {
    let range = if signed { -128.0..=127.0 } else { 0.0..=255.0 };
    let fits = |times: f32| values.iter().all(|v| (v * times).fract() == 0.0 && range.contains(&(v * times)));
    (0..7).map(|power| (power as f32).exp2()).find(|&times| fits(times))
}

/// A flat weight whose type has a shape.
pub(crate) fn weight(name: String, shape: &[i64], data: Data) -> NewWeight {
    let ty = TensorType::new(shape, Elem::Plain(data.dtype()));
    let tensor = Tensor::new(&[data.len()], data).expect("a flat tensor has as many elements as its only dimension says");
    NewWeight { name, ty, data: tensor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tpuc_tensor::round::{fit_any, fit_positive};

    proptest! {
        /// Every multiplier with every shift tried: none is nearer, and of equally near ones the smallest shift is taken.
        #[test]
        fn fit_is_the_nearest_of_all_8_bit_multipliers(mantissa in 1f32..2.0, exponent in -18i32..6, negative: bool, positive_shifts: bool) {
            let scale = mantissa * (exponent as f32).exp2() * if negative { -1.0 } else { 1.0 };
            let (fitted, shifts) = match positive_shifts {
                true => (fit_positive(scale, 8), 0..=30),
                false => (fit_any(scale, 8), -32..=30),
            };
            let distance = |m: i32, n: i32| (f64::from(m) / f64::from(n).exp2() - f64::from(scale)).abs();
            let mut best = (f64::INFINITY, 0, 0);
            for shift in shifts {
                for multiplier in -126..=126 {
                    if distance(multiplier, shift) < best.0 {
                        best = (distance(multiplier, shift), multiplier, shift);
                    }
                }
            }
            prop_assert_eq!(distance(fitted.multiplier, fitted.shift), best.0);
            prop_assert_eq!(fitted.shift, best.2);
        }

        /// 31 bits hold an f32 exactly where shifts up to 30 reach its last bit; the multiplier is then odd.
        #[test]
        fn fit_is_exact_in_32_bits(mantissa in 1f32..2.0, exponent in -7i32..20) {
            let scale = mantissa * (exponent as f32).exp2();
            let fitted = fit_any(scale, 32);
            prop_assert_eq!(f64::from(fitted.multiplier) / f64::from(fitted.shift).exp2(), f64::from(scale));
            prop_assert_eq!(fitted.multiplier % 2, 1);
        }

        #[test]
        fn quantized_values_are_within_half_a_step(value in -300f32..300.0, scale in 1e-3f64..4.0) {
            let exact = f64::from(value) / scale;
            prop_assert!((f64::from(to_i8(value, scale)) - exact.clamp(-128.0, 127.0)).abs() <= 0.5 + 1e-9);
            let biased = Elem::Uniform { storage: DType::U8, expressed: DType::F32, scale, zero_point: 30 };
            prop_assert!((integer_of(f64::from(value), &biased) - (exact + 30.0).clamp(0.0, 255.0)).abs() <= 0.5 + 1e-9);
        }
    }

    #[test]
    fn types_from_ranges() {
        let calibrated = |min, max| Elem::Calibrated { expressed: DType::F32, min, max };
        assert_eq!(quantized_elem(&calibrated(-2.54, 2.54)), Some(Elem::symmetric(DType::I8, 2.54 / 127.0)));
        assert_eq!(quantized_elem(&calibrated(-0.3, 2.54)), Some(Elem::symmetric(DType::I8, 2.54 / 127.0)));
        assert_eq!(quantized_elem(&calibrated(0.0, 6.0)), Some(Elem::symmetric(DType::U8, 6.0 / 255.0)));
        assert_eq!(quantized_elem(&calibrated(0.0, 0.0)), None);
        assert_eq!(quantized_elem(&calibrated(0.0, f64::NAN)), None);
        assert_eq!(quantized_elem(&Elem::F32), None);
    }

    /// The first two as the reference has them.
    #[test]
    fn asymmetric_types_from_ranges() {
        let elem = |min, max| asymmetric_elem(&Elem::Calibrated { expressed: DType::F32, min, max });
        let signed = |scale, zero_point| Some(Elem::Uniform { storage: DType::I8, expressed: DType::F32, scale, zero_point });
        assert_eq!(elem(-2.1148427, 2.6355782), signed((2.6355782 + 2.1148427) / 255.0, -14));
        assert_eq!(elem(1.0000046, 9.3505716), Some(Elem::symmetric(DType::U8, 9.3505716 / 255.0)));
        assert_eq!(elem(-1.0, 1.0), signed(2.0 / 255.0, -1));
        assert_eq!(elem(-2.55, -1.0), signed(2.55 / 255.0, 127));
        assert_eq!([elem(0.0, 0.0), elem(0.0, f64::NAN), elem(f64::NEG_INFINITY, 1.0)], [None; 3]);
        assert_eq!(asymmetric_elem(&Elem::F32), None);
    }

    #[test]
    fn integer_weights_are_found() {
        assert_eq!(integer_times(&[1.0, -3.0], true), Some(1.0));
        assert_eq!(integer_times(&[0.25, 1.0], true), Some(4.0));
        assert_eq!(integer_times(&[0.1], true), None);
        assert_eq!(integer_times(&[200.0], true), None);
        assert_eq!(integer_times(&[200.0], false), Some(1.0));
        assert_eq!(integer_times(&[2.0, 0.015625], true), None);
    }
}
