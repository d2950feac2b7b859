//! Constants to 8-bit integers, as lowering makes them: many at a time.

use crate::cpu::{prefetch_page, vectorized};
use crate::{Int8, threads};
use rayon::prelude::*;

/// Elements that one thread takes at a time. Pieces go to whoever is free: a team that waits for each other loses more than it wins
/// where one of its processors has something else to do.
const PIECE: usize = 1 << 17;

/// Whether one thread is enough.
fn is_small(values: &[f32]) -> bool {
    values.len() < 2 * PIECE || threads::threads() == 1
}

/// Whether no element is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    largest_bits(values) < f32::INFINITY.to_bits() as i32
}

/// Largest absolute value, or no finite number where an element is none; 0 of nothing.
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

/// Elements that the loops below take at a time: a vector. What is left over at the end is taken together with some of those before it.
const LANES: usize = 16;

vectorized! {
    fn largest_of(values: &[f32]) -> i32 {
        let Some(last) = values.last_chunk::<LANES>() else {
            return values.iter().map(magnitude).fold(0, i32::max);
        };
        let mut most = [0; LANES];
        for lanes in values.as_chunks::<LANES>().0.iter().chain([last]) {
            prefetch_page(lanes);
            for i in 0..LANES {
                most[i] = most[i].max(magnitude(&lanes[i]));
            }
        }
        most.into_iter().fold(0, i32::max)
    }
}

#[inline(always)]
fn magnitude(v: &f32) -> i32 {
    (v.to_bits() & 0x7fff_ffff) as i32
}

/// Largest absolute value of each row of `length` finite elements.
pub fn max_abs_by_rows(values: &[f32], length: usize) -> Vec<f32> {
    let length = length.max(1);
    let rows = |rows: &[f32]| rows.chunks(length).map(|row| f32::from_bits(largest_of(row) as u32)).collect::<Vec<f32>>();
    if is_small(values) {
        return rows(values);
    }
    values.par_chunks(PIECE.div_ceil(length) * length).flat_map_iter(rows).collect()
}

/// `round(value / scale)` in f64, halves away from zero, saturated; 0 of what is no number.
pub fn to_8_bits<T: Int8 + Send>(values: &[f32], scale: f64) -> Vec<T> {
    let mut out = vec![T::default(); values.len()];
    if is_small(values) {
        divide(values, scale, &mut out);
    } else {
        out.par_chunks_mut(PIECE).zip(values.par_chunks(PIECE)).for_each(|(out, values)| divide(values, scale, out));
    }
    out
}

/// As [`to_8_bits`], each row of `length` elements with the scale that `scale` gives for its largest absolute value; and these values. Of a row that
/// is not finite, that value is not finite. A row is read once from memory: what one pass over it has seen, the other finds in the cache.
pub fn by_rows<T: Int8 + Send>(values: &[f32], length: usize, scale: impl Fn(f32) -> f64 + Sync) -> (Vec<T>, Vec<f32>) {
    let length = length.max(1);
    let mut out = vec![T::default(); values.len()];
    let mut largest = vec![0.0; values.len().div_ceil(length)];
    let rows = |values: &[f32], out: &mut [T], largest: &mut [f32]| {
        for ((values, out), largest) in values.chunks(length).zip(out.chunks_mut(length)).zip(largest) {
            *largest = f32::from_bits(largest_of(values) as u32);
            divide(values, scale(*largest), out);
        }
    };
    if is_small(values) {
        rows(values, &mut out, &mut largest);
    } else {
        let count = PIECE.div_ceil(length);
        let pieces = values.par_chunks(count * length).zip(out.par_chunks_mut(count * length)).zip(largest.par_chunks_mut(count));
        pieces.for_each(|((values, out), largest)| rows(values, out, largest));
    }
    (out, largest)
}

/// Elements whose quotients are looked at together.
const BLOCK: usize = 128;

/// How far a quotient in f32 must be from a half to round as the exact one does. Two roundings of numbers below 257 make an error
/// below 4e-5.
const NEAR: f32 = 1e-4;
const DOUBT: i32 = (0.5 - NEAR).to_bits() as i32;

/// Quotients in f32 where those round as the exact ones.
fn divide<T: Int8>(values: &[f32], scale: f64, out: &mut [T]) {
    let reciprocal = (1.0 / scale) as f32;
    if (1e-30..1e30).contains(&reciprocal.abs()) {
        multiply(values, reciprocal, scale, out);
    } else {
        divide_all(values, scale, out);
    }
}

vectorized! {
    fn multiply<T: Int8>(values: &[f32], reciprocal: f32, scale: f64, out: &mut [T]) {
        for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let mut doubt = [0; LANES];
            if let (Some(last), Some(last_out)) = (values.last_chunk::<LANES>(), out.last_chunk_mut::<LANES>()) {
                products(last, reciprocal, last_out, &mut doubt);
                for (lanes, out) in values.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
                    products(lanes, reciprocal, out, &mut doubt);
                }
            } else {
                for (v, out) in values.iter().zip(&mut *out) {
                    let (product, far) = product(*v, reciprocal);
                    *out = product;
                    doubt[0] = far.max(doubt[0]);
                }
            }
            if doubt.into_iter().fold(0, i32::max) > DOUBT {
                divide_all(values, scale, out);
            }
        }
    }
}

/// Products, and how far the farthest of each lane is from its integer.
#[inline(always)]
fn products<T: Int8>(values: &[f32; LANES], reciprocal: f32, out: &mut [T; LANES], far: &mut [i32; LANES]) {
    for i in 0..LANES {
        let (product, distance) = product(values[i], reciprocal);
        out[i] = product;
        far[i] = far[i].max(distance);
    }
}

/// A product rounded and saturated, and its distance from that integer (the bits of an f32): beyond [`DOUBT`] the quotient may round to another.
#[inline(always)]
fn product<T: Int8>(value: f32, reciprocal: f32) -> (T, i32) {
    let product = value * reciprocal;
    let rounded = product.max(T::MIN as f32).min(T::MAX as f32).round_ties_even();
    // SAFETY: a number within the type's range; the lower end for what is no number, whose distance is none either.
    (T::narrow(unsafe { rounded.to_int_unchecked::<i32>() }), magnitude(&(product - rounded)))
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
        for (values, length) in [(&many[..], 50), (&many[..70], 1), (&many[..1 << 17], 1 << 16), (&[][..], 3)] {
            let (out, largest) = by_rows::<i8>(values, length, |most| f64::from(most / 99.0) + 0.1);
            assert_eq!(largest, max_abs_by_rows(values, length));
            assert!(out.chunks(length).zip(values.chunks(length)).zip(&largest).all(|((out, values), most)| out == to_8_bits(values, f64::from(most / 99.0) + 0.1)));
        }
        assert!([f32::NAN, f32::NEG_INFINITY].iter().all(|&bad| !by_rows::<u8>(&[1.0, bad, 2.0], 3, f64::from).1[0].is_finite()));
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
