//! Constants to 8-bit integers, as lowering makes them: many at a time.

use crate::cpu::vectorized;
use crate::{Int8, threads};

/// Number of elements that are worth a second thread: memory is the limit, not the processor.
const WORTH: usize = 1 << 20;

/// Whether no element is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    largest_bits(values) < f32::INFINITY.to_bits() as i32
}

/// Largest absolute value of finite elements; 0 of nothing.
pub fn max_abs(values: &[f32]) -> f32 {
    f32::from_bits(largest_bits(values) as u32)
}

vectorized! {
    /// Of the bits without the sign, which order finite floats as their magnitudes.
    fn largest_bits(values: &[f32]) -> i32 {
        values.iter().fold(0, |most, v| most.max((v.to_bits() & 0x7fff_ffff) as i32))
    }
}

/// `round(value / scale)` in f64, halves away from zero, saturated; 0 of what is no number.
pub fn to_8_bits<T: Int8 + Send>(values: &[f32], scale: f64) -> Vec<T> {
    by_rows(values, values.len().max(1), |_| scale)
}

/// As [`to_8_bits`], with a scale for each row of `length` elements.
pub fn by_rows<T: Int8 + Send>(values: &[f32], length: usize, scale: impl Fn(usize) -> f64 + Sync) -> Vec<T> {
    let mut out = vec![T::default(); values.len()];
    let rows = |start: usize, part: &mut [T]| {
        let mut at = start;
        let end = start + part.len();
        while at < end {
            let next = ((at / length + 1) * length).min(end);
            divide(&values[at..next], scale(at / length), &mut part[at - start..next - start]);
            at = next;
        }
    };
    if values.len() < WORTH { rows(0, &mut out) } else { threads::for_parts(&mut out, 1, rows) }
    out
}

vectorized! {
    fn divide<T: Int8>(values: &[f32], scale: f64, out: &mut [T]) {
        for (v, out) in values.iter().zip(out) {
            let exact = f64::from(*v) / scale;
            let whole = exact.trunc();
            let rounded = whole + if (exact - whole).abs() >= 0.5 { 1f64.copysign(exact) } else { 0.0 };
            let limited = if exact.is_nan() { 0.0 } else { rounded.max(f64::from(T::MIN)).min(f64::from(T::MAX)) };
            // SAFETY: a number within the type's range.
            *out = T::narrow(unsafe { limited.to_int_unchecked::<i32>() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_to_one_after_the_other() {
        let mut state = 1u32;
        let mut values: Vec<f32> = (0..50_000)
            .map(|_| {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 8) as f32 / 65536.0 - 128.0
            })
            .collect();
        values.extend([0.5, -0.5, 1.5, -1.5, 1e30, -1e30, -0.0, 0.49999997]);
        for scale in [1.0, 0.5, 0.37, 1e-300, 0.0, f64::INFINITY] {
            assert!(to_8_bits::<i8>(&values, scale).iter().zip(&values).all(|(q, v)| *q == (f64::from(*v) / scale).round() as i8), "{scale}");
            assert!(to_8_bits::<u8>(&values, scale).iter().zip(&values).all(|(q, v)| *q == (f64::from(*v) / scale).round() as u8), "{scale}");
        }
        assert_eq!((max_abs(&values), max_abs(&[]), max_abs(&[-3.0, 2.0])), (1e30, 0.0, 3.0));
        assert!(all_finite(&values) && all_finite(&[]));
        assert!([f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY].iter().all(|&bad| !all_finite(&[1.0, bad, 2.0])));
    }
}
