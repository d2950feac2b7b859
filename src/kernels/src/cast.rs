//! Between floats and 8-bit integers.

use crate::cpu::vectorized;
use crate::{Int8, Ints, IntsMut, KernelError, expect_length, threads};

/// `saturate(round(x * (1 / scale)))`, halves away from zero; the reciprocal and the product are in f32
/// (`spec/lowering.md` section 3). NaN becomes the lowest value.
pub fn quantize(x: &[f32], scale: f64, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    let factor = (1.0 / scale) as f32;
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, part| quantize_slice(&x[start..start + part.len()], factor, part)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, part| quantize_slice(&x[start..start + part.len()], factor, part)),
    }
    Ok(())
}

/// `q * scale` in f32.
pub fn dequantize(x: Ints<'_>, scale: f64, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("results of a cast", x.len(), y.len())?;
    match x {
        Ints::I8(x) => threads::for_parts(y, 1, |start, part| dequantize_slice(&x[start..start + part.len()], scale as f32, part)),
        Ints::U8(x) => threads::for_parts(y, 1, |start, part| dequantize_slice(&x[start..start + part.len()], scale as f32, part)),
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
    fn quantize_slice<T: Int8>(x: &[f32], factor: f32, y: &mut [T]) {
        for (x, y) in x.iter().zip(y) {
            let q = round_half_away(x * factor).max(T::MIN as f32).min(T::MAX as f32);
            // SAFETY: `max` and `min` leave a number within the type's range (NaN became the minimum).
            *y = T::narrow(unsafe { q.to_int_unchecked::<i32>() });
        }
    }
}

vectorized! {
    fn dequantize_slice<T: Int8>(x: &[T], scale: f32, y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y = x.wide() as f32 * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_away_and_saturation() {
        let x = [0.5, -0.5, 1.4999, 2.5, -2.5, 300.0, -300.0, f32::NAN, f32::INFINITY, 0.49999997];
        let mut y = [0i8; 10];
        quantize(&x, 1.0, IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [1, -1, 1, 3, -3, 127, -128, -128, 127, 0]);
        let mut y = [0u8; 10];
        quantize(&x, 1.0, IntsMut::U8(&mut y)).unwrap();
        assert_eq!(y, [1, 0, 1, 3, 0, 255, 0, 0, 255, 0]);
        let mut back = [0.0; 2];
        dequantize(Ints::I8(&[-3, 7]), 0.1, &mut back).unwrap();
        assert_eq!(back, [-3.0 * 0.1f32, 7.0 * 0.1f32]);
        assert!((-400_000..400_000).all(|i| round_half_away(i as f32 / 8.0) == (i as f32 / 8.0).round()));
    }
}
