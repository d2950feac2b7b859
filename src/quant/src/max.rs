//! Threshold by absolute maximum: nothing is clipped.

/// The larger magnitude of the smallest and largest value seen.
pub fn threshold(min: f32, max: f32) -> f32 {
    min.abs().max(max.abs())
}
