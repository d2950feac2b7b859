//! `HistogramObserver`: a histogram over the range of all samples so far, and the range within it that quantizes best.

use super::range::{histc, linspace};
use super::search;

/// Bins are divided by this before they move to another range.
const UPSAMPLED: usize = 16;

#[derive(Debug, Clone)]
pub struct HistogramObserver {
    bins: usize,
    counts: Vec<f32>,
    min: f32,
    max: f32,
}

impl HistogramObserver {
    pub fn new(bins: usize) -> HistogramObserver {
        HistogramObserver { bins, counts: Vec::new(), min: f32::INFINITY, max: f32::NEG_INFINITY }
    }

    /// Adds a sample with its smallest and largest element.
    pub fn add(&mut self, activation: &[f32], min: f32, max: f32) {
        if activation.is_empty() {
            return;
        }
        let (min, max) = (self.min.min(min), self.max.max(max));
        let mut counts = histc(activation, self.bins, min, max);
        if !self.counts.is_empty() {
            let earlier = if (min, max) == (self.min, self.max) { std::mem::take(&mut self.counts) } else { self.moved(min, max) };
            counts.iter_mut().zip(earlier).for_each(|(n, earlier)| *n += earlier);
        }
        (self.counts, self.min, self.max) = (counts, min, max);
    }

    /// The histogram in the bins of a wider range.
    fn moved(&self, min: f32, max: f32) -> Vec<f32> {
        if self.min == self.max {
            let total = super::sum::sum(&self.counts);
            return histc(&[self.min], self.bins, min, max).into_iter().map(|n| n * total).collect();
        }
        let parts = self.bins * UPSAMPLED;
        let half = 0.5 * ((self.max - self.min) / parts as f32);
        let mut moved = vec![0f32; self.bins];
        let mut edges = linspace(min, max, self.bins + 1).peekable();
        let mut passed = 0usize;
        for (part, start) in linspace(self.min, self.max, parts + 1).take(parts).enumerate() {
            while edges.next_if(|edge| *edge <= start + half).is_some() {
                passed += 1;
            }
            moved[passed.clamp(1, self.bins) - 1] += self.counts[part / UPSAMPLED] / UPSAMPLED as f32;
        }
        moved
    }

    /// The range that quantizes with the smallest squared error; `None` before the first sample.
    pub fn best_range(&self) -> Option<(f32, f32)> {
        if self.counts.is_empty() {
            return None;
        }
        let (first, last) = search::best_bins(&self.counts, self.min, self.max);
        let width = (self.max - self.min) / self.bins as f32;
        Some((self.min + width * first as f32, self.min + width * (last + 1) as f32))
    }
}
