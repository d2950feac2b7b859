//! Post-training quantization on plans: thresholds from calibration samples, and their tuning.

pub mod candidates;
pub mod collector;
pub mod histogram;
pub mod kl;
pub mod max;
pub mod method;
pub mod simd;
pub mod source;
pub mod statistics;
pub mod error;

#[cfg(test)]
mod reference_numbers;
