//! Post-training quantization on plans: thresholds from calibration samples, and their tuning.

pub mod histogram;
pub mod kl;
pub mod max;
pub mod simd;

#[cfg(test)]
mod reference_numbers;
