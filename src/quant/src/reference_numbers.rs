//! Histograms and KL thresholds of generated activations against numbers that the reference's own functions gave for the
//! same activations (numpy 1.24.3 and the KL routine of version 1.30.2).

use crate::histogram::{Histogram, Merge};
use crate::measure::Bits;
use crate::{kl, simd};

/// `scale * u^3` with `u` in -1..1 from a linear congruential generator; negative values cut off on demand.
pub fn activation(seed: u32, n: usize, scale: f32, relu: bool) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let u = (state >> 8) as f32 / 16_777_216.0 * 2.0 - 1.0;
        let y = u * u * u * scale;
        if relu { y.max(0.0) } else { y }
    };
    (0..n).map(|_| next()).collect()
}

struct Expected {
    bins: usize,
    width: u64,
    checksum: u64,
    sum: u64,
    threshold: u32,
    last: Merge,
}

fn check(bins: usize, samples: &[(u32, usize, f32, bool)], expected: &Expected) {
    let mut histogram = Histogram::new(bins);
    let mut absmax = 0f32;
    let mut merges = Vec::new();
    for &(seed, n, scale, relu) in samples {
        let x = activation(seed, n, scale, relu);
        let extent = simd::extent(&x);
        absmax = absmax.max(extent.absmax);
        merges.push(histogram.add(&x, extent.absmax, absmax));
    }
    let checksum = histogram.counts().iter().fold(0u64, |sum, &n| sum.wrapping_mul(1_000_003).wrapping_add(n));
    assert_eq!(histogram.counts().len(), expected.bins);
    assert_eq!(histogram.width().to_bits(), expected.width);
    assert_eq!(histogram.counts().iter().sum::<u64>(), expected.sum);
    assert_eq!(checksum, expected.checksum);
    let threshold = kl::threshold(histogram.counts(), histogram.width(), kl::groups(Bits::Eight)).unwrap();
    assert_eq!(threshold.to_bits(), expected.threshold, "threshold {threshold}");
    assert_eq!(merges.last(), Some(&expected.last));
}

#[test]
fn one_sample() {
    let expected = Expected { bins: 2048, width: 0x3f58_02d7_5aeb_5d6c, checksum: 0x5de8_e5f2_c33d_281a, sum: 20_000, threshold: 0x4040_16bb, last: Merge::Counted };
    check(2048, &[(1, 20_000, 3.0, false)], &expected);
}

#[test]
fn zeros_are_not_counted() {
    let expected = Expected { bins: 2048, width: 0x3f58_02d7_5aeb_5d6c, checksum: 0x15e9_9a2a_89aa_74c1, sum: 20_019, threshold: 0x4040_16bb, last: Merge::Counted };
    check(2048, &[(1, 20_000, 3.0, true), (2, 20_000, 2.9, true)], &expected);
}

#[test]
fn larger_samples_add_bins() {
    let expected = Expected { bins: 5529, width: 0x3f40_00a2_4df7_d978, checksum: 0x2450_e097_e9c4_8852, sum: 20_014, threshold: 0x4030_06f9, last: Merge::Counted };
    let samples = [(1, 5000, 1.0, false), (2, 5000, 1.3, true), (3, 5000, 0.5, false), (4, 5000, 2.7, false), (5, 5000, 2.6, true)];
    check(2048, &samples, &expected);
}

#[test]
fn tens_of_thousands_of_bins() {
    let expected = Expected { bins: 50_414, width: 0x3f13_332b_5581_6ca5, checksum: 0x42a9_3814_07a2_3b1c, sum: 15_000, threshold: 0x406c_6606, last: Merge::Counted };
    check(2048, &[(1, 5000, 0.15, false), (2, 5000, 3.3, false), (3, 5000, 3.7, false)], &expected);
}

#[test]
fn many_bins_are_halved_for_the_threshold() {
    let expected = Expected { bins: 756_208, width: 0x3ed4_7ac0_065b_8d44, checksum: 0x22ad_b9a7_5722_4f32, sum: 15_000, threshold: 0x406c_7961, last: Merge::Counted };
    check(2048, &[(1, 5000, 0.01, false), (2, 5000, 3.3, false), (3, 5000, 3.7, false)], &expected);
}

#[test]
fn millions_of_bins_follow_the_rounding_of_their_edges() {
    let expected = Expected { bins: 7_493_945, width: 0x3e83_a908_cc03_cddd, checksum: 0x24f4_554d_01e8_7988, sum: 15_000, threshold: 0x3f8c_8a55, last: Merge::Counted };
    check(2048, &[(1, 5000, 0.0003, false), (2, 5000, 1.0, false), (3, 5000, 1.1, false)], &expected);
}

#[test]
fn far_too_many_bins_start_anew() {
    let expected = Expected { bins: 2249, width: 0x3f40_0049_b615_dd61, checksum: 0xa2c4_13d6_39a1_8888, sum: 10_000, threshold: 0x3f90_0298, last: Merge::Counted };
    check(2048, &[(1, 5000, 0.0001, false), (2, 5000, 1.0, false), (3, 5000, 1.1, false)], &expected);
}

#[test]
fn samples_of_zeros_are_skipped() {
    let expected = Expected { bins: 512, width: 0x3f60_067a_ad56_ab56, checksum: 0x66b7_7a80_0a33_a4fe, sum: 5000, threshold: 0x3f80_33d5, last: Merge::Skipped };
    check(512, &[(1, 5000, 0.0, false), (2, 5000, 1.0, false), (3, 3000, 0.0, false)], &expected);
}

#[test]
fn an_empty_histogram_has_no_threshold() {
    assert_eq!(kl::threshold(&[0; 2048], 0.01, kl::groups(Bits::Eight)), None);
    // The first range is empty and has no distribution to compare.
    let mut counts = [0; 256];
    counts[255] = 1;
    assert_eq!(kl::threshold(&counts, 0.01, kl::groups(Bits::Eight)), Some(2.56));
}
