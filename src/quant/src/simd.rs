//! Elementwise passes over activations, compiled for the vector units of the machine that runs them.
//!
//! Every function gives the same bits on every machine: elementwise results do not depend on the vector width, and
//! sums keep a fixed number of partial sums. This is the one place of the crate with `unsafe`: the calls into code that
//! was compiled for a wider vector unit, each behind the check that this unit is there, one conversion of bounded floats,
//! and the stores of [`keep_above`].

use crate::pairwise;

/// Defines a function once and compiles it for the baseline, AVX2 and AVX-512; the best one that is there runs.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { portable($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { portable($($arg),*) }
                use std::arch::is_x86_feature_detected as has;
                if has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq") {
                    // SAFETY: the features that `avx512` was compiled for were just detected.
                    return unsafe { avx512($($arg),*) };
                }
                if has!("avx2") {
                    // SAFETY: the feature that `avx2` was compiled for was just detected.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}

/// Smallest, largest and largest absolute value of an activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub min: f32,
    pub max: f32,
    /// Infinite or NaN if the activation has such an element.
    pub absmax: f32,
}

impl Extent {
    /// Of no element.
    pub const EMPTY: Extent = Extent { min: f32::INFINITY, max: f32::NEG_INFINITY, absmax: 0.0 };

    /// The extent of the elements of both.
    pub fn union(self, other: Extent) -> Extent {
        // By bits: infinities and NaN above all.
        let absmax = f32::from_bits(self.absmax.to_bits().max(other.absmax.to_bits()));
        Extent { min: self.min.min(other.min), max: self.max.max(other.max), absmax }
    }
}

/// Elements of the widest vector.
pub const LANES: usize = 16;

multiversion! {
    /// Adds to sums in f64 of `a * b`, `a * a`, `b * b` and `(a - b) * (a - b)`: the element of a number to the lane of that number,
    /// modulo [`LANES`].
    pub fn add_products(a: &[f32], b: &[f32], sums: &mut [[f64; LANES]; 4]) {
        let mut own = *sums;
        let mut add = |lane: usize, a: f32, b: f32| {
            let (a, b) = (f64::from(a), f64::from(b));
            own[0][lane] += a * b;
            own[1][lane] += a * a;
            own[2][lane] += b * b;
            own[3][lane] += (a - b) * (a - b);
        };
        let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a_chunks.iter().zip(b_chunks) {
            for lane in 0..LANES {
                add(lane, a[lane], b[lane]);
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            add(lane, a, b);
        }
        *sums = own;
    }
}

multiversion! {
    /// The extent of an activation. Zeros count as +0. An empty activation has `min = +inf, max = -inf, absmax = 0`.
    pub fn extent(x: &[f32]) -> Extent {
        let mut min = [f32::INFINITY; LANES];
        let mut max = [f32::NEG_INFINITY; LANES];
        // Bit patterns of absolute values order like the values, infinities and NaN above all.
        let mut bits = [0u32; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let v = chunk[lane];
                min[lane] = if v < min[lane] { v } else { min[lane] };
                max[lane] = if v > max[lane] { v } else { max[lane] };
                bits[lane] = bits[lane].max(v.to_bits() & 0x7fff_ffff);
            }
        }
        for (lane, &v) in rest.iter().enumerate() {
            min[lane] = if v < min[lane] { v } else { min[lane] };
            max[lane] = if v > max[lane] { v } else { max[lane] };
            bits[lane] = bits[lane].max(v.to_bits() & 0x7fff_ffff);
        }
        Extent {
            min: min.iter().copied().fold(f32::INFINITY, f32::min) + 0.0,
            max: max.iter().copied().fold(f32::NEG_INFINITY, f32::max) + 0.0,
            absmax: f32::from_bits(bits.iter().copied().fold(0, u32::max)),
        }
    }
}

multiversion! {
    /// `bin[i] = floor(|x[i]| / width + 0.5)` in f32 (truncation, as the sum is positive); `discard`, which is at most 2^24,
    /// for exact zeros and for results of `discard` or more.
    pub fn bin_indices(x: &[f32], width: f32, discard: i32, bin: &mut [i32]) {
        let discard = discard.clamp(0, 1 << 24);
        let limit = discard as f32;
        for (bin, &v) in bin.iter_mut().zip(x) {
            let magnitude = v.abs();
            let rounded = magnitude / width + 0.5;
            let bounded = if rounded < limit { rounded } else { limit };
            // SAFETY: `bounded` is between 0 and `limit`, which is an i32; a NaN became `limit`.
            let index = unsafe { bounded.to_int_unchecked::<i32>() };
            *bin = if magnitude == 0.0 { discard } else { index };
        }
    }
}

multiversion! {
    /// The sum of magnitudes in numpy's order.
    pub fn sum_of_magnitudes(x: &[f32]) -> f32 {
        pairwise::sum_of(x, f32::abs)
    }
}

multiversion! {
    /// The sum in numpy's order.
    pub fn sum(x: &[f32]) -> f32 {
        pairwise::sum_of(x, |v| v)
    }
}

multiversion! {
    /// How many elements are not zero.
    pub fn count_filled(x: &[f32]) -> usize {
        // Blocks whose count fits into the lanes of the counters.
        let in_block = |block: &[f32]| block.iter().map(|v| u32::from(*v != 0.0)).sum::<u32>() as usize;
        x.chunks(1 << 16).map(in_block).sum()
    }
}

/// Writes the magnitudes above a limit to the front of `out`, in their order; returns how many there are. `out` is at least as
/// long as `x` and 16 elements more.
pub fn magnitudes_above(x: &[f32], limit: f32, out: &mut [f32]) -> usize {
    assert!(out.len() >= x.len() + LANES, "room for {} elements", x.len() + LANES);
    // SAFETY: `x` is readable, and `out` has room for it and one vector.
    unsafe { compact(x.as_ptr(), x.len(), limit, out.as_mut_ptr()) }
}

/// Moves the magnitudes above a limit among the first `len` of `values` to the front, in their order; returns how many there are.
/// `values` has 16 elements more.
pub fn keep_above(values: &mut [f32], len: usize, limit: f32) -> usize {
    assert!(values.len() >= len + LANES, "room for {} elements", len + LANES);
    let at = values.as_mut_ptr();
    // SAFETY: `values` is readable and has room. What is written lies before what is still to be read: the vector stored after
    // elements up to `i + 16` were loaded ends at most there.
    unsafe { compact(at, len, limit, at) }
}

/// # Safety
/// `x` holds `len` elements, `out` has room for 16 more. They may be the same memory, from the same start.
unsafe fn compact(x: *const f32, len: usize, limit: f32, out: *mut f32) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just detected; the caller vouches for the pointers.
        return unsafe { compact_avx512(x, len, limit, out) };
    }
    // SAFETY: the caller vouches for the pointers.
    unsafe { compact_from(x, 0, len, limit, out, 0) }
}

/// The elements from `start`, one by one, without a branch that could be mispredicted.
///
/// # Safety
/// As [`compact`].
unsafe fn compact_from(x: *const f32, start: usize, len: usize, limit: f32, out: *mut f32, mut kept: usize) -> usize {
    for i in start..len {
        // SAFETY: `i < len`, and `kept <= i`.
        unsafe {
            let v = (*x.add(i)).abs();
            *out.add(kept) = v;
            kept += usize::from(v > limit);
        }
    }
    kept
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn compact_avx512(x: *const f32, len: usize, limit: f32, out: *mut f32) -> usize {
    use std::arch::x86_64::*;
    let limits = _mm512_set1_ps(limit);
    let (mut i, mut kept) = (0, 0);
    while i + LANES <= len {
        // SAFETY: 16 elements are left to be read; `kept <= i`, so there is room for 16.
        unsafe {
            let v = _mm512_abs_ps(_mm512_loadu_ps(x.add(i)));
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(v, limits);
            _mm512_storeu_ps(out.add(kept), _mm512_maskz_compress_ps(above, v));
            kept += above.count_ones() as usize;
        }
        i += LANES;
    }
    // SAFETY: the caller vouches for the pointers.
    unsafe { compact_from(x, i, len, limit, out, kept) }
}

multiversion! {
    /// What 8-bit quantization makes of an activation: `clamp(round_half_even(x * scale), -128, 127) / scale`, in f32,
    /// with `scale = 127 / threshold`.
    pub fn fake_quantize(x: &[f32], scale: f32, out: &mut [f32]) {
        for (out, &v) in out.iter_mut().zip(x) {
            let q = (v * scale).round_ties_even();
            let q = if q > 127.0 { 127.0 } else { q };
            let q = if q < -128.0 { -128.0 } else { q };
            *out = q / scale;
        }
    }
}

multiversion! {
    /// The sum of absolute values.
    pub fn norm_1(x: &[f32]) -> f64 {
        let mut sums = [0f64; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += f64::from(chunk[lane].abs());
            }
        }
        for (lane, &v) in rest.iter().enumerate() {
            sums[lane] += f64::from(v.abs());
        }
        sums.iter().sum()
    }
}

multiversion! {
    /// The sum of squared differences `(x - y)^2`, differences in f32, over the common length.
    pub fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
        let mut sums = [0f64; LANES];
        let n = x.len().min(y.len());
        let (xs, xs_rest) = x[..n].as_chunks::<LANES>();
        let (ys, ys_rest) = y[..n].as_chunks::<LANES>();
        for (a, b) in xs.iter().zip(ys) {
            for lane in 0..LANES {
                let difference = f64::from(a[lane] - b[lane]);
                sums[lane] += difference * difference;
            }
        }
        for (lane, (a, b)) in xs_rest.iter().zip(ys_rest).enumerate() {
            let difference = f64::from(a - b);
            sums[lane] += difference * difference;
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents() {
        let x: Vec<f32> = (0..100).map(|i| (i as f32 - 30.0) * 0.5).collect();
        assert_eq!(extent(&x), Extent { min: -15.0, max: 34.5, absmax: 34.5 });
        assert_eq!(extent(&[-3.0, -0.0]), Extent { min: -3.0, max: 0.0, absmax: 3.0 });
        let (low, high) = x.split_at(41);
        assert_eq!(extent(low).union(Extent::EMPTY).union(extent(high)), extent(&x));
        assert!(extent(&[1.0, f32::NAN]).union(extent(&[2.0])).absmax.is_nan());
        assert!(extent(&[-0.0]).min.is_sign_positive());
        assert_eq!(extent(&[f32::NEG_INFINITY, 1.0]).absmax, f32::INFINITY);
        assert!(extent(&[1.0, f32::NAN, 2.0]).absmax.is_nan());
    }

    #[test]
    fn indices_round_half_up_and_skip_zeros() {
        let mut bin = [0; 8];
        bin_indices(&[0.0, -0.0, 0.1, 0.25, -0.75, 3.5, 3.74, 1e9], 0.5, 8, &mut bin);
        assert_eq!(bin, [8, 8, 0, 1, 2, 7, 7, 8]);
    }

    #[test]
    fn fake_quantization() {
        let mut out = [0.0; 6];
        fake_quantize(&[0.5, 1.5, 2.5, 200.0, -200.0, -0.4], 1.0, &mut out);
        assert_eq!(out, [0.0, 2.0, 2.0, 127.0, -128.0, 0.0]);
    }

    #[test]
    fn magnitudes_are_kept_in_order() {
        let x: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1009) as f32 - 500.0).collect();
        let above = |limit: f32| x.iter().map(|v| v.abs()).filter(|v| *v > limit).collect::<Vec<_>>();
        let mut out = vec![0.0; x.len() + 16];
        let kept = magnitudes_above(&x, 200.0, &mut out);
        assert_eq!(out[..kept], above(200.0));
        let kept = keep_above(&mut out, kept, 450.0);
        assert_eq!(out[..kept], above(450.0));
        // SAFETY: both vectors are long enough.
        let plain = unsafe { compact_from(x.as_ptr(), 0, x.len(), 200.0, out.as_mut_ptr(), 0) };
        assert_eq!(out[..plain], above(200.0));
        assert_eq!(count_filled(&[0.0, -0.0, 1.0, f32::MIN_POSITIVE / 2.0]), 2);
    }

    #[test]
    fn norms() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        let y = vec![1.0; 37];
        assert_eq!(norm_1(&x), 666.0);
        assert_eq!(squared_distance(&x, &y), (0..37).map(|i| f64::from((i - 1) * (i - 1))).sum::<f64>());
    }
}
