//! Constants to 8-bit integers, as lowering makes them: many at a time.

use crate::cpu::vectorized;
use crate::{Int8, threads};
use rayon::prelude::*;

/// Elements that one thread takes at a time. Pieces go to whoever is free: a team that waits for each other loses more than it wins
/// where one of its processors has something else to do.
const PIECE: usize = 1 << 15;

/// Whether one thread is enough.
fn is_small(values: &[f32]) -> bool {
    values.len() < 2 * PIECE || threads::threads() == 1
}

/// Whether no element is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    largest_bits(values) < f32::INFINITY.to_bits() as i32
}

/// Largest absolute value of finite elements; 0 of nothing.
pub fn max_abs(values: &[f32]) -> f32 {
    f32::from_bits(largest_bits(values) as u32)
}

/// Of the bits without the sign, which order finite floats as their magnitudes.
fn largest_bits(values: &[f32]) -> i32 {
    if is_small(values) {
        return largest_of(values);
    }
    values.par_chunks(PIECE).map(largest_of).max().unwrap_or(0)
}

vectorized! {
    fn largest_of(values: &[f32]) -> i32 {
        values.iter().fold(0, |most, v| most.max((v.to_bits() & 0x7fff_ffff) as i32))
    }
}

/// Largest absolute value of each row of `length` finite elements.
pub fn max_abs_by_rows(values: &[f32], length: usize) -> Vec<f32> {
    let length = length.max(1);
    let rows = |rows: &[f32]| rows.chunks_exact(length).map(|row| f32::from_bits(largest_of(row) as u32)).collect::<Vec<f32>>();
    if is_small(values) {
        return rows(values);
    }
    values.par_chunks(PIECE.div_ceil(length) * length).flat_map_iter(rows).collect()
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
    if is_small(values) {
        rows(0, &mut out);
    } else {
        out.par_chunks_mut(PIECE).enumerate().for_each(|(index, part)| rows(index * PIECE, part));
    }
    out
}

/// Elements whose quotients are looked at together.
const BLOCK: usize = 128;

/// How far a quotient in f32 must be from a half to round as the exact one does. Two roundings of numbers below 257 make an error
/// below 4e-5.
const NEAR: f32 = 1e-4;

/// Quotients in f32 where those round as the exact ones.
fn divide<T: Int8>(values: &[f32], scale: f64, out: &mut [T]) {
    let reciprocal = (1.0 / scale) as f32;
    let is_normal = (1e-30..1e30).contains(&reciprocal.abs());
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        if !(is_normal && multiply(values, reciprocal, out)) {
            divide_all(values, scale, out);
        }
    }
}

vectorized! {
    /// Whether all quotients are far from halves; else `out` may be wrong.
    fn multiply<T: Int8>(values: &[f32], reciprocal: f32, out: &mut [T]) -> bool {
        let (low, high) = (T::MIN as f32, T::MAX as f32);
        // A sum of bits: of floats no maximum is vectorized.
        let mut doubts = 0u32;
        for (v, out) in values.iter().zip(out) {
            let quotient = (v * reciprocal).max(low).min(high);
            // SAFETY: a number within the type's range, or a half beyond it.
            let rounded = unsafe { (quotient + 0.5f32.copysign(quotient)).to_int_unchecked::<i32>() };
            let distance = (quotient - rounded as f32).abs();
            doubts |= u32::from(distance > 0.5 - NEAR) | u32::from(v.is_nan());
            *out = T::narrow(rounded);
        }
        doubts == 0
    }
}

vectorized! {
    fn divide_all<T: Int8>(values: &[f32], scale: f64, out: &mut [T]) {
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
        assert_eq!((max_abs(&values), max_abs(&[]), max_abs(&[-3.0, 2.0])), (1e30, 0.0, 3.0));
        assert!(all_finite(&values) && all_finite(&[]));
        let many = values.repeat(4);
        assert_eq!(max_abs(&many[..many.len() - 7]), 1e30);
        assert!(max_abs_by_rows(&many, 50).iter().zip(many.chunks(50)).all(|(most, row)| *most == row.iter().fold(0f32, |most, v| most.max(v.abs()))));
        let scales = |row: usize| row as f64 * 0.01 + 0.1;
        assert!(by_rows::<i8>(&many, 50, scales).chunks(50).zip(many.chunks(50)).enumerate().all(|(row, (out, values))| out == to_8_bits(values, scales(row))));
        // Halves, and their neighbours.
        values.extend((-300..300).flat_map(|i| [0.37f32, 0.0123].map(|scale| (i as f32 + 0.5) * scale)).flat_map(|v| [v.next_down(), v, v.next_up()]));
        values.extend([f32::NAN, f32::INFINITY, f32::MIN_POSITIVE]);
        for scale in [1.0, 0.5, 0.37, 0.0123, f64::from(0.0123f32), 1e-300, 1e-40, 1e38, 1e300, 0.0, f64::INFINITY] {
            assert!(to_8_bits::<i8>(&values, scale).iter().zip(&values).all(|(q, v)| *q == (f64::from(*v) / scale).round() as i8), "{scale}");
            assert!(to_8_bits::<u8>(&values, scale).iter().zip(&values).all(|(q, v)| *q == (f64::from(*v) / scale).round() as u8), "{scale}");
        }
        assert!([f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY].iter().all(|&bad| !all_finite(&[1.0, bad, 2.0])));
    }
}
