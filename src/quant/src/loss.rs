//! What symmetric quantization with a threshold costs a tensor, estimated from its histogram of magnitudes.
//!
//! For people to look at: where values saturate, where they vanish, and how the noise compares with the signal.

use crate::histogram::Histogram;

/// Steps from zero to the threshold of signed 8-bit integers.
const STEPS: f64 = 127.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Share of the elements other than zero beyond the threshold.
    pub saturated: f64,
    /// Share of the elements other than zero that become zero: smaller than half a step.
    pub vanished: f64,
    /// Signal to quantization noise in decibel; infinite where nothing is lost.
    pub snr: f64,
}

impl Loss {
    /// The loss of a tensor; `None` where nothing was counted.
    pub fn new(histogram: &Histogram, threshold: f64) -> Option<Loss> {
        let (step, width) = (threshold / STEPS, histogram.width());
        let (mut count, mut saturated, mut vanished) = (0.0, 0.0, 0.0);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (bin, &n) in histogram.counts().iter().enumerate().filter(|(_, n)| **n > 0) {
            // Bins are counted around multiples of the width; the first one holds what is up to half a width.
            let magnitude = if bin == 0 { width / 4.0 } else { bin as f64 * width };
            let n = n as f64;
            count += n;
            signal += n * magnitude * magnitude;
            noise += n * if magnitude > threshold {
                saturated += n;
                (magnitude - threshold).powi(2)
            } else if magnitude < step / 2.0 {
                vanished += n;
                magnitude * magnitude
            } else {
                step * step / 12.0
            };
        }
        let snr = if noise > 0.0 { 10.0 * (signal / noise).log10() } else { f64::INFINITY };
        (count > 0.0).then(|| Loss { saturated: saturated / count, vanished: vanished / count, snr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(values: &[f32], threshold: f64) -> Loss {
        let mut histogram = Histogram::new(2048);
        let absmax = values.iter().fold(0f32, |m, v| m.max(v.abs()));
        histogram.add(values, absmax, absmax);
        Loss::new(&histogram, threshold).unwrap()
    }

    #[test]
    fn saturated_and_vanished_values() {
        let found = loss(&[8.0, 4.0, -1.0, 0.001], 4.1);
        assert_eq!((found.saturated, found.vanished), (0.25, 0.25));
        // Nearly all of the noise is the one that is clipped.
        assert!((found.snr - 10.0 * (81.0f64 / (3.9 * 3.9)).log10()).abs() < 0.05, "{}", found.snr);
    }

    #[test]
    fn eight_bits_of_even_values_are_about_fifty_decibel() {
        let even: Vec<f32> = (1..=10_000).map(|i| i as f32).collect();
        assert!((loss(&even, 10_000.0).snr - 48.1).abs() < 0.2);
        assert!(Loss::new(&Histogram::new(8), 1.0).is_none());
    }
}
