//! Squares of 8 by 8 four-byte elements, rows to columns: what changes of layout and unfolded windows consist of.

use crate::buffer::Element;

/// Elements of a side.
pub const SIDE: usize = 8;

/// Elements of four bytes as words.
pub fn words<T: Element>(x: &[T]) -> Option<&[u32]> {
    // SAFETY: of the same size, and any bits are a word.
    (size_of::<T>() == 4 && align_of::<T>() == 4).then(|| unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

pub fn words_mut<T: Element>(x: &mut [T]) -> Option<&mut [u32]> {
    // SAFETY: of the same size, and any bits are valid in both.
    (size_of::<T>() == 4 && align_of::<T>() == 4).then(|| unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) })
}

/// Writes column `c` of the square to `y[c * stride..][..8]`.
///
/// # Panics
///
/// Where `y` ends before the last column does.
#[inline]
pub fn transpose(rows: [&[u32; SIDE]; SIDE], y: &mut [u32], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2(rows, y, stride) };
    }
    plain(rows, y, stride);
}

/// [`transpose`] for any processor.
#[inline]
pub fn plain(rows: [&[u32; SIDE]; SIDE], y: &mut [u32], stride: usize) {
    for c in 0..SIDE {
        y[c * stride..][..SIDE].copy_from_slice(&rows.map(|row| row[c]));
    }
}

/// [`transpose`] for processors with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub fn avx2(rows: [&[u32; SIDE]; SIDE], y: &mut [u32], stride: usize) {
    use std::arch::x86_64::*;
    assert!(y.len() >= (SIDE - 1) * stride + SIDE);
    let y = y.as_mut_ptr();
    // SAFETY: each row has eight elements.
    let [a, b, c, d, e, f, g, h] = rows.map(|row| unsafe { _mm256_loadu_ps(row.as_ptr().cast()) });
    // Pairs of rows, then fours: within each half, element `i` of four rows stands together.
    let (ab, cd, ef, gh) = (
        (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)),
        (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)),
        (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f)),
        (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h)),
    );
    const LOW: i32 = 0b01_00_01_00;
    const HIGH: i32 = 0b11_10_11_10;
    let front = [_mm256_shuffle_ps::<LOW>(ab.0, cd.0), _mm256_shuffle_ps::<HIGH>(ab.0, cd.0), _mm256_shuffle_ps::<LOW>(ab.1, cd.1), _mm256_shuffle_ps::<HIGH>(ab.1, cd.1)];
    let back = [_mm256_shuffle_ps::<LOW>(ef.0, gh.0), _mm256_shuffle_ps::<HIGH>(ef.0, gh.0), _mm256_shuffle_ps::<LOW>(ef.1, gh.1), _mm256_shuffle_ps::<HIGH>(ef.1, gh.1)];
    for i in 0..4 {
        // SAFETY: the last column has been found to fit.
        unsafe {
            _mm256_storeu_ps(y.add(i * stride).cast(), _mm256_permute2f128_ps::<0x20>(front[i], back[i]));
            _mm256_storeu_ps(y.add((i + 4) * stride).cast(), _mm256_permute2f128_ps::<0x31>(front[i], back[i]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let x: [[u32; SIDE]; SIDE] = std::array::from_fn(|r| std::array::from_fn(|c| (10 * r + c) as u32));
        for stride in [8, 9, 13] {
            let mut found = vec![7777; 7 * stride + 8];
            let mut wanted = found.clone();
            transpose(x.each_ref(), &mut found, stride);
            plain(x.each_ref(), &mut wanted, stride);
            assert_eq!(found, wanted);
            assert_eq!(found[2 * stride + 3], 32);
        }
    }
}
