//! Thresholds of generated activations against numbers of other programs for the same activations: numpy 1.24.3 with the
//! reference's formulas of version 1.30.2, and the observers of PyTorch 2.14. Every bit counts.

use crate::measure::{Meter, Wanted};
use crate::method::Method;
use crate::reference_numbers::activation;
use crate::tails::Tails;
use crate::torch::{Observer, ObserverType};
use crate::octav::{Look, Octav};
use crate::simd;

/// Thresholds of 8 and of 4 bits, as bits.
type Expected = [u64; 2];

fn check_averaged((seed, n, scale, relu): (u32, usize, f32, bool), mse: Expected, gauss: Expected, laplace: Expected) {
    let x = activation(seed, n, scale, relu);
    let methods = [Method::Mse, Method::AciqGauss, Method::AciqLaplace].into_iter().collect();
    let measured = Meter::new(Wanted { methods, int4: true, kurtosis: false }).measure(&x);
    for (pair, expected) in [(measured.mse, mse), (measured.aciq_gauss, gauss), (measured.aciq_laplace, laplace)] {
        let pair = pair.unwrap();
        assert_eq!([pair.eight.to_bits(), pair.four.to_bits()], expected, "{pair:?}");
    }
}

#[test]
fn averaged_thresholds_of_signed_values() {
    check_averaged(
        (1, 20_000, 3.0, false),
        [0x4007_de2c_d028_afb9, 0x4005_f93b_f10a_4191],
        [0x4006_dc84_d3c3_82f4, 0x3ffd_d1ac_55c0_527c],
        [0x401d_e36f_c939_6d20, 0x400e_5f8a_0356_1b43],
    );
}

#[test]
fn averaged_thresholds_of_unsigned_values() {
    check_averaged(
        (2, 20_001, 2.9, true),
        [0x4007_1d14_60b8_a337, 0x4005_c4f2_b7e3_4ef4],
        [0x3ff6_18ce_3f2d_bf9d, 0x3fec_d265_8bc8_d563],
        [0x4014_355b_2436_a3ee, 0x4004_8943_e775_aede],
    );
}

#[test]
fn averaged_thresholds_of_a_few_values() {
    check_averaged(
        (3, 5, 1.0, false),
        [0x3fda_b5f2_e2bc_2706, 0x3fda_92a8_4a47_a080],
        [0x3fe5_4494_3120_afbc, 0x3fdb_bd94_b1a6_e797],
        [0x3ffa_6e0c_2c0d_2f62, 0x3fea_dbca_1823_62fa],
    );
}

#[test]
fn the_least_squared_error_of_zeros() {
    let zeros = activation(4, 300, 0.0, false);
    assert_eq!(Octav::default().threshold(&zeros, &Look::at(&zeros), 8), 1.0);
}

/// Number of the op and of all ops, and the percentiles of minimum, maximum and magnitudes as bits.
type Percentile = (usize, usize, [u64; 3]);

fn check_percentiles(samples: &[Vec<f32>], expected: &[Percentile]) {
    for &(op, ops, bits) in expected {
        let mut tails = Tails::new(op, ops, samples.len());
        samples.iter().for_each(|x| tails.add(x));
        let found = tails.percentiles();
        assert_eq!([found.min, found.max, tails.absolute_percentile()].map(f64::to_bits), bits, "op {op} of {ops}: {found:?}");
    }
}

#[test]
fn percentiles() {
    let samples: Vec<Vec<f32>> = (1..6).map(|k| activation(k, 9000, (1 + k % 3) as f32, k % 2 == 0)).collect();
    let expected = [
        (0, 10, [0xc007_ef2e_68b2_95e6, 0x4007_f7a9_3ad9_e83a, 0x4007_f7a9_3ad9_e83a]),
        (3, 7, [0xc007_f291_3278_ef5e, 0x4007_fd04_4ddf_3efe, 0x4007_fd04_4ddf_3efe]),
        (9, 10, [0xc007_f6ac_4000_0000, 0x4007_fdb3_2000_0000, 0x4007_fdb3_2000_0000]),
    ];
    check_percentiles(&samples, &expected);
}

#[test]
fn elements_of_short_samples_count_twice() {
    let samples: Vec<Vec<f32>> = (0..12_000).map(|k| vec![(f64::from(k) * 0.37 - 1.0) as f32, (0.5 - f64::from(k) * 0.01) as f32]).collect();
    check_percentiles(&samples, &[(0, 10, [0xc05d_df1a_a431_26e7, 0x40b1_567b_5c06_8db7, 0x40b1_567b_5c06_8db7])]);
}

/// Scale (as bits) and zero point with 2048 and with 512 bins, and with the moving average.
type Observed = [(u32, i32); 3];

fn check_observers(samples: &[(u32, usize, f32, bool)], expected: Observed) {
    let kinds = [(ObserverType::Histogram, 2048), (ObserverType::Histogram, 512), (ObserverType::MovingAverageMinMax, 0)];
    for ((kind, bins), expected) in kinds.into_iter().zip(expected) {
        let mut observer = Observer::new(kind, bins);
        for &(seed, n, scale, relu) in samples {
            let x = activation(seed, n, scale, relu);
            observer.add(&x, simd::extent(&x));
        }
        let found = observer.quantization();
        assert_eq!((found.scale.to_bits(), found.zero_point), expected, "{kind:?} {bins} {found:?}");
    }
}

#[test]
fn observers_of_one_sample() {
    check_observers(&[(1, 20_000, 3.0, false)], [(0x3cbf_fd5d, 0), (0x3cbf_fd5d, 0), (0x3cc0_be1b, -1)]);
}

#[test]
fn observers_of_growing_samples() {
    let samples = [(1, 5000, 1.0, false), (2, 5000, 1.3, true), (3, 5000, 0.5, false), (4, 5000, 2.7, false), (5, 5000, 2.6, true)];
    check_observers(&samples, [(0x3cac_a25d, 0), (0x3cac_4bb5, 0), (0x3c0f_7a1c, -21)]);
}

#[test]
fn observers_of_unsigned_samples() {
    let samples: Vec<_> = (1..9).map(|k: u32| (k, 30_000, (1.0 + f64::from(k) * 0.1) as f32, true)).collect();
    check_observers(&samples, [(0x3be3_85e3, -128), (0x3be4_8a0a, -128), (0x3baa_f0d7, -128)]);
}

#[test]
fn observers_of_constants() {
    check_observers(&[(4, 300, 0.0, false), (2, 5000, 1.0, false)], [(0x3c00_2ed9, -1), (0x3bfe_fd06, 0), (0x3a4d_3169, -1)]);
    check_observers(&[(4, 300, 0.0, false)], [(0x3400_0000, -128); 3]);
}
