//! The search for the range of a histogram that quantizes with the smallest squared error.
//!
//! From the whole range, the end that loses more bins for one more part in 100,000 of the elements moves inwards, as long as
//! the error does not grow ("nonlinear quantization parameters search" of Caffe2).

use super::sum::sum;

/// The part of the elements that one step gives up.
const STEP: f64 = 1e-5;

/// Values of the quantized type.
const LEVELS: f32 = 256.0;

/// First and last bin of the best range of a histogram over `min..=max`.
pub fn best_bins(counts: &[f32], min: f32, max: f32) -> (usize, usize) {
    let total = f64::from(sum(counts));
    let mut running = 0f64;
    let cumulated: Vec<f32> = counts.iter().map(|&n| { running += f64::from(n); running as f32 }).collect();
    let error = QuantizationError::new(counts, min, max);
    let (mut first, mut last) = (0, counts.len() - 1);
    let (mut low, mut high) = (0f64, 1f64);
    let mut least = f64::INFINITY;
    while low < high {
        let (next_low, next_high) = (low + STEP, high - STEP);
        let (mut l, mut r) = (first, last);
        while l < last && cumulated[l] < (next_low * total) as f32 {
            l += 1;
        }
        while r > first && cumulated[r] > (next_high * total) as f32 {
            r -= 1;
        }
        let (mut next_first, mut next_last) = (first, last);
        if l - first > last - r {
            next_first = l;
            low = next_low;
        } else {
            next_last = r;
            high = next_high;
        }
        if (next_first, next_last) == (first, last) {
            continue;
        }
        let found = error.of(next_first, next_last);
        if found > least {
            break;
        }
        least = found;
        (first, last) = (next_first, next_last);
    }
    (first, last)
}

/// Squared error of quantizing a histogram whose elements lie evenly in their bins.
struct QuantizationError {
    bin_width: f64,
    density: Vec<f32>,
}

impl QuantizationError {
    fn new(counts: &[f32], min: f32, max: f32) -> QuantizationError {
        let bin_width = (f64::from(max) - f64::from(min)) / counts.len() as f64;
        QuantizationError { bin_width, density: counts.iter().map(|n| n / bin_width as f32).collect() }
    }

    /// The error where the bins `first..=last` are quantized and what lies outside is clipped.
    fn of(&self, first: usize, last: usize) -> f64 {
        let width = self.bin_width * (last as f64 - first as f64 + 1.0) / f64::from(LEVELS);
        if width == 0.0 {
            return 0.0;
        }
        let (bin, half, width) = (self.bin_width as f32, (width / 2.0) as f32, width as f32);
        let cube = |v: f32| v * v * v;
        let level = |v: f32| floor_divide(v, width).clamp(0.0, LEVELS - 1.0);
        let whole = (cube(half) - cube(-half)) / 3.0;
        let norm = |(i, &density): (usize, &f32)| {
            let begin = (i as f32 - first as f32) * bin;
            let end = begin + bin;
            let (level_of_begin, level_of_end) = (level(begin), level(end));
            let from = begin - (level_of_begin + 0.5) * width;
            let to = end - (level_of_end * width + half);
            let mut norm = 0.0 + density * ((cube(half) - cube(from)) / 3.0);
            norm += (level_of_end - level_of_begin - 1.0) * (density * whole);
            norm += density * ((cube(to) - cube(-half)) / 3.0);
            norm
        };
        f64::from(sum(&self.density.iter().enumerate().map(norm).collect::<Vec<f32>>()))
    }
}

/// `floor(a / b)` of PyTorch: from the exact remainder.
fn floor_divide(a: f32, b: f32) -> f32 {
    let remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 && (b < 0.0) != (remainder < 0.0) {
        quotient -= 1.0;
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}
