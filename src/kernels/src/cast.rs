//! Between floats of any width and 8-bit integers. Half floats are held as f32 values that the narrow type can hold.

use crate::cpu::vectorized;
use crate::{Int8, Ints, IntsMut, KernelError, expect_length, threads};

pub use crate::half_float::HalfFloat;

/// Elements that are converted at a time, while they are in the nearest cache.
const BLOCK: usize = 1024;

/// As [`quantize`], in half precision: the reciprocal of the scale and the product are rounded to `half` before the
/// product is rounded to an integer.
pub fn quantize_half(x: &[f32], half: HalfFloat, scale: f64, zero_point: i32, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let factor = half.reciprocal(scale);
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, part| quantize_half_slice(&x[start..start + part.len()], half, factor, zero_point as f32, part)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, part| quantize_half_slice(&x[start..start + part.len()], half, factor, zero_point as f32, part)),
    }
    Ok(())
}

fn quantize_half_slice<T: Int8>(x: &[f32], half: HalfFloat, factor: f32, zero_point: f32, y: &mut [T]) {
    let mut products = [0.0; BLOCK];
    for (x, y) in x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)) {
        let products = &mut products[..x.len()];
        products.iter_mut().zip(x).for_each(|(product, x)| *product = x * factor);
        half.round_part(products);
        quantize_slice(products, 1.0, zero_point, y);
    }
}

/// `(q - zero_point) * scale` with the scale and the product rounded to `half`.
pub fn dequantize_half(x: Ints<'_>, scale: f64, zero_point: i32, half: HalfFloat, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let scale = half.round(scale as f32);
    match x {
        Ints::I8(x) => threads::for_parts(y, 1, |start, part| dequantize_half_slice(&x[start..start + part.len()], scale, zero_point, half, part)),
        Ints::U8(x) => threads::for_parts(y, 1, |start, part| dequantize_half_slice(&x[start..start + part.len()], scale, zero_point, half, part)),
    }
    Ok(())
}

fn dequantize_half_slice<T: Int8>(x: &[T], scale: f32, zero_point: i32, half: HalfFloat, y: &mut [f32]) {
    for (x, y) in x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)) {
        dequantize_slice(x, scale, zero_point, y);
        half.round_part(y);
    }
}

/// As [`quantize`], halves to even.
pub fn quantize_even(x: &[f32], scale: f64, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let factor = (1.0 / scale) as f32;
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, part| quantize_slice_even(&x[start..start + part.len()], factor, part)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, part| quantize_slice_even(&x[start..start + part.len()], factor, part)),
    }
    Ok(())
}

/// As [`quantize_half`], halves to even; the elements are rounded to `half` too.
pub fn quantize_half_even(x: &[f32], half: HalfFloat, scale: f64, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let factor = half.reciprocal(scale);
    let mut products = x.to_vec();
    half.round_slice(&mut products);
    products.iter_mut().for_each(|x| *x *= factor);
    half.round_slice(&mut products);
    quantize_even(&products, 1.0, y)
}

/// To bf16 by dropping the lower half of the bits.
pub fn truncate_bf16(values: &mut [f32]) {
    threads::for_parts(values, 1, |_, part| part.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits() & 0xffff_0000)));
}

/// `saturate(round(x * (1 / scale)) + zero_point)`, halves away from zero; the reciprocal and the product are in f32
/// (`spec/lowering.md` section 3). NaN becomes the lowest value.
pub fn quantize(x: &[f32], scale: f64, zero_point: i32, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let factor = (1.0 / scale) as f32;
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, part| quantize_slice(&x[start..start + part.len()], factor, zero_point as f32, part)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, part| quantize_slice(&x[start..start + part.len()], factor, zero_point as f32, part)),
    }
    Ok(())
}

/// `(q - zero_point) * scale` in f32.
pub fn dequantize(x: Ints<'_>, scale: f64, zero_point: i32, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    match x {
        Ints::I8(x) => threads::for_parts(y, 1, |start, part| dequantize_slice(&x[start..start + part.len()], scale as f32, zero_point, part)),
        Ints::U8(x) => threads::for_parts(y, 1, |start, part| dequantize_slice(&x[start..start + part.len()], scale as f32, zero_point, part)),
    }
    Ok(())
}

/// To the nearest integer, halves away from zero, in operations that exist as vector instructions.
#[inline(always)]
pub(crate) fn round_half_away(x: f32) -> f32 {
    let whole = x.trunc();
    let step = if (x - whole).abs() >= 0.5 { 1f32.copysign(x) } else { 0.0 };
    whole + step
}

vectorized! {
    fn quantize_slice<T: Int8>(x: &[f32], factor: f32, zero_point: f32, y: &mut [T]) {
        for (x, y) in x.iter().zip(y) {
            let q = (round_half_away(x * factor) + zero_point).max(T::MIN as f32).min(T::MAX as f32);
            // SAFETY: `max` and `min` leave a number within the type's range (NaN became the minimum).
            *y = T::narrow(unsafe { q.to_int_unchecked::<i32>() });
        }
    }
}

vectorized! {
    fn quantize_slice_even<T: Int8>(x: &[f32], factor: f32, y: &mut [T]) {
        for (x, y) in x.iter().zip(y) {
            let q = (x * factor).round_ties_even().max(T::MIN as f32).min(T::MAX as f32);
            // SAFETY: `max` and `min` leave a number within the type's range (NaN became the minimum).
            *y = T::narrow(unsafe { q.to_int_unchecked::<i32>() });
        }
    }
}

vectorized! {
    fn dequantize_slice<T: Int8>(x: &[T], scale: f32, zero_point: i32, y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y = (x.wide() - zero_point) as f32 * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn zeros_stay_zeros_whatever_the_scale() {
        let mut y = [1i8; 3];
        quantize_half(&[0.0, 1e-4, 1.0], HalfFloat::F16, 7.9e-8, 0, IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [0, 7, 127]);
    }

    #[test]
    fn casts_in_half_precision_round_twice() {
        // 1 / 0.3 is 3.3333333; in f16 3.3339844, so that 0.45 times it is 1.5 (f16) instead of 1.5002.
        let mut q = [0i8; 2];
        quantize_half(&[0.45, 0.44995117], HalfFloat::F16, 0.3, 0, IntsMut::I8(&mut q)).unwrap();
        assert_eq!(q, [2, 2]);
        let mut x = [0.0; 1];
        dequantize_half(Ints::I8(&[3]), 0.1, 0, HalfFloat::F16, &mut x).unwrap();
        assert_eq!(x, [f16::from_f32(3.0 * f16::from_f32(0.1).to_f32()).to_f32()]);
    }

    #[test]
    fn halves_to_even() {
        let mut q = [0i8; 6];
        quantize_even(&[0.5, 1.5, -2.5, 300.0, f32::NAN, 0.6], 1.0, IntsMut::I8(&mut q)).unwrap();
        assert_eq!(q, [0, 2, -2, 127, -128, 1]);
        // 2.5039 is 2.5 in bf16.
        let mut q = [0i8; 2];
        quantize_half_even(&[2.5039, -3.5], HalfFloat::BF16, 1.0, IntsMut::I8(&mut q)).unwrap();
        assert_eq!(q, [2, -4]);
        let mut x = [1.0039062, -1.0039062];
        truncate_bf16(&mut x);
        assert_eq!(x, [1.0, -1.0]);
    }

    #[test]
    fn halves_away_and_saturation() {
        let x = [0.5, -0.5, 1.4999, 2.5, -2.5, 300.0, -300.0, f32::NAN, f32::INFINITY, 0.49999997];
        let mut y = [0i8; 10];
        quantize(&x, 1.0, 0, IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [1, -1, 1, 3, -3, 127, -128, -128, 127, 0]);
        let mut y = [0u8; 10];
        quantize(&x, 1.0, 0, IntsMut::U8(&mut y)).unwrap();
        assert_eq!(y, [1, 0, 1, 3, 0, 255, 0, 0, 255, 0]);
        let mut back = [0.0; 2];
        dequantize(Ints::I8(&[-3, 7]), 0.1, 0, &mut back).unwrap();
        assert_eq!(back, [-3.0 * 0.1f32, 7.0 * 0.1f32]);
        dequantize(Ints::U8(&[0, 255]), 0.1, 5, &mut back).unwrap();
        assert_eq!(back, [-5.0 * 0.1f32, 250.0 * 0.1f32]);
        let mut q = [0i8; 4];
        quantize(&[-0.5, 0.5, -200.0, f32::NAN], 1.0, 100, IntsMut::I8(&mut q)).unwrap();
        assert_eq!(q, [99, 101, -100, -128]);
        assert!((-400_000..400_000).all(|i| round_half_away(i as f32 / 8.0) == (i as f32 / 8.0).round()));
    }
}
