//! Thresholds by analytical clipping (ACIQ, Banner et al., "Post training 4-bit quantization of convolutional networks for
//! rapid-deployment"): the activation is taken for a normal or a Laplace distribution, whose best clipping point is known.
//!
//! In: one sample's activation. Out: its threshold; calibration averages those of all samples. Constants and float widths
//! follow `spec/calibration.md` section 4.

use crate::pairwise;
use std::f64::consts::PI;

/// The best clipping point of a normal distribution, in standard deviations.
fn gauss_factor(bits: u32) -> f64 {
    if bits == 8 { 3.92403337 } else { 2.55913642 }
}

/// The best clipping point of a Laplace distribution, in mean deviations.
fn laplace_factor(bits: u32) -> f64 {
    if bits == 8 { 9.89675982 } else { 5.02864014 }
}

/// For a normal distribution whose standard deviation follows from the range of `count` elements. An activation of one
/// element has no range to estimate from: its magnitude.
pub fn gauss(min: f32, max: f32, count: usize, bits: u32) -> f64 {
    if count < 2 {
        return f64::from(min.abs().max(max.abs()));
    }
    let factor = (0.5 * 0.35) * (1.0 + (PI * 4f64.ln()).sqrt());
    let deviation = f64::from(max - min) * factor / (2.0 * (count as f64).ln()).sqrt();
    gauss_factor(bits) * deviation
}

/// For a Laplace distribution with the activation's mean absolute deviation. Elements are in row-major order.
pub fn laplace(activation: &[f32], bits: u32) -> f64 {
    let mean = pairwise::mean_of(activation, |v| v);
    laplace_factor(bits) * f64::from(pairwise::mean_of(activation, |v| (v - mean).abs()))
}
