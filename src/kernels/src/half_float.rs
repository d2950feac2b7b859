//! Half floats, held as f32 values that the narrow type can hold.

use crate::cpu::vectorized;
use crate::threads;
use half::{bf16, f16};

/// A float type that values are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfFloat {
    F16,
    BF16,
}

impl HalfFloat {
    /// The nearest value of the type, halves to even.
    pub fn round(self, x: f32) -> f32 {
        match self {
            HalfFloat::F16 => f16::from_f32(x).to_f32(),
            HalfFloat::BF16 => bf16::from_f32(x).to_f32(),
        }
    }

    /// `1 / scale`, and the largest value of the type for scales so small that this would be infinite: zeros shall stay zeros.
    pub fn reciprocal(self, scale: f64) -> f32 {
        let largest = match self {
            HalfFloat::F16 => f16::MAX.to_f32(),
            HalfFloat::BF16 => bf16::MAX.to_f32(),
        };
        self.round((1.0 / scale) as f32).min(largest)
    }

    /// Rounds every element.
    pub fn round_slice(self, values: &mut [f32]) {
        threads::for_parts(values, 1, |_, part| self.round_part(part));
    }

    /// The same in this thread alone.
    pub(crate) fn round_part(self, values: &mut [f32]) {
        match self {
            HalfFloat::F16 => round_f16(values),
            HalfFloat::BF16 => round_bf16(values),
        }
    }
}

/// Through the processor's conversions, where it has them: they round as IEEE 754 says, as the software does.
fn round_f16(values: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if crate::cpu::has_avx512() {
            // SAFETY: the feature was detected.
            return unsafe { x86::round_avx512(values) };
        }
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
            // SAFETY: the features were detected.
            return unsafe { x86::round_f16c(values) };
        }
    }
    round_f16_in_software(values);
}

fn round_f16_in_software(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = f16::from_f32_const(*x).to_f32_const());
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

    #[target_feature(enable = "avx512f")]
    pub fn round_avx512(values: &mut [f32]) {
        let (lines, rest) = values.as_chunks_mut::<16>();
        for line in lines {
            // SAFETY: a line has the 16 elements that are read and written.
            unsafe {
                let narrow = _mm512_cvtps_ph::<NEAREST>(_mm512_loadu_ps(line.as_ptr()));
                _mm512_storeu_ps(line.as_mut_ptr(), _mm512_cvtph_ps(narrow));
            }
        }
        super::round_f16_in_software(rest);
    }

    #[target_feature(enable = "avx,f16c")]
    pub fn round_f16c(values: &mut [f32]) {
        let (lines, rest) = values.as_chunks_mut::<8>();
        for line in lines {
            // SAFETY: a line has the 8 elements that are read and written.
            unsafe {
                let narrow = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(line.as_ptr()));
                _mm256_storeu_ps(line.as_mut_ptr(), _mm256_cvtph_ps(narrow));
            }
        }
        super::round_f16_in_software(rest);
    }
}

vectorized! {
    fn round_bf16(values: &mut [f32]) {
        for x in values {
            let bits = x.to_bits();
            // NaN stays NaN: rounding its bits could carry into the sign.
            let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
            *x = f32::from_bits(if x.is_nan() { bits } else { rounded });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sides of every value of the type and of the middle between two, as floats of both signs; infinities and NaN among them.
    fn around_all_halves() -> Vec<f32> {
        let mut values = Vec::new();
        for bits in 0..=u16::MAX {
            let x = f16::from_bits(bits).to_f32_const();
            let next = f16::from_bits(bits.wrapping_add(1)).to_f32_const();
            for at in [x, (x + next) / 2.0] {
                values.extend((-2..=2).map(|ulp: i32| f32::from_bits(at.to_bits().wrapping_add_signed(ulp))));
            }
        }
        values.extend([65504.0, 65519.996, 65520.0, 65536.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), 2f32.powi(-25), f32::from_bits(0x7f80_0001)]);
        values
    }

    #[test]
    fn every_way_of_rounding_to_f16_gives_the_same_bits() {
        let values = around_all_halves();
        let mut wanted = values.clone();
        round_f16_in_software(&mut wanted);
        let bits = |list: &[f32]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let equal = |round: &dyn Fn(&mut [f32])| {
            let mut found = values.clone();
            round(&mut found);
            assert_eq!(bits(&found), bits(&wanted));
        };
        equal(&round_f16);
        equal(&|list| list.iter_mut().for_each(|x| *x = HalfFloat::F16.round(*x)));
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                equal(&|list| unsafe { x86::round_avx512(list) });
            }
            if is_x86_feature_detected!("f16c") {
                equal(&|list| unsafe { x86::round_f16c(list) });
            }
        }
    }

    #[test]
    fn halves_round_to_even() {
        let values: Vec<f32> = around_all_halves().into_iter().chain([2049.0, 1.0039062]).collect();
        for half in [HalfFloat::F16, HalfFloat::BF16] {
            let mut rounded = values.clone();
            half.round_slice(&mut rounded);
            for (x, y) in values.iter().zip(&rounded) {
                assert!(y.to_bits() == half.round(*x).to_bits() || (x.is_nan() && y.is_nan()), "{half:?} {x}: {y}");
            }
        }
        assert_eq!(HalfFloat::F16.round(2049.0), 2048.0);
    }
}
