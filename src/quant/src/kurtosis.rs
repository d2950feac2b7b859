//! Kurtosis of an activation: how heavy the tails of its values are (3 for a normal distribution). Large ones lose most by
//! quantization, since few values take most of the range.

use crate::pairwise;

/// Keeps the deviation from being divided by zero.
const SMALLEST_DEVIATION: f64 = 1e-8;

/// The mean of `((x - mean) / deviation)^4`; infinite where all values are one. Elements in row-major order: sums are f32 in
/// numpy's order.
pub fn kurtosis(activation: &[f32]) -> f64 {
    if activation.is_empty() {
        return f64::INFINITY;
    }
    let n = activation.len() as f64;
    let mean = pairwise::mean_of(activation, |v| v);
    // The variance takes the same mean, divided in f32.
    let centre = pairwise::sum_of(activation, |v| v) / n as f32;
    let variance = pairwise::mean_of(activation, |v| (v - centre) * (v - centre));
    let deviation = variance.sqrt();
    if deviation == 0.0 {
        return f64::INFINITY;
    }
    let deviation = (f64::from(deviation) + SMALLEST_DEVIATION) as f32;
    let fourth = |v: f32| f64::from((v - mean) / deviation).powi(4) as f32;
    f64::from(pairwise::mean_of(activation, fourth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distributions() {
        assert_eq!(kurtosis(&[3.0; 9]), f64::INFINITY);
        assert_eq!(kurtosis(&[]), f64::INFINITY);
        // Two values alike: 1. An even distribution: 9/5.
        assert!((kurtosis(&[1.0, -1.0, 1.0, -1.0]) - 1.0).abs() < 1e-6);
        let even: Vec<f32> = (0..10_001).map(|i| i as f32).collect();
        assert!((kurtosis(&even) - 1.8).abs() < 1e-4);
        // One outlier among n: about n.
        let mut outlier = vec![0.0; 1000];
        outlier[7] = 5.0;
        assert!((kurtosis(&outlier) - 998.0).abs() < 0.1);
    }
}
