//! Threshold by Kullback-Leibler divergence: the range whose 8-bit histogram tells the least lie about the activation's.
//!
//! In: a histogram of absolute values and its bin width. Out: the threshold, in the activation's unit. The arithmetic and
//! its float widths follow `spec/calibration.md` section 4.

use crate::measure::Bits;

/// Groups of a quantized histogram: one for every magnitude.
pub fn groups(bits: Bits) -> usize {
    match bits {
        Bits::Eight => 128,
        Bits::Four => 8,
    }
}

/// A histogram with more bins is halved until it fits.
const MAX_BINS: usize = 64 * 2048;

/// Keeps logarithms of empty bins finite.
const TINY: f64 = 1e-30;

/// The threshold with the smallest divergence; `None` if nothing was counted.
///
/// For every multiple `i` of `groups` the histogram clipped to its first `i` bins is compared with what remains of these
/// bins when `i / groups` neighbours share one value. The first smallest divergence wins, and the threshold is `i * width`.
pub fn threshold(counts: &[u64], width: f64, groups: usize) -> Option<f32> {
    if counts.iter().all(|&n| n == 0) || groups == 0 {
        return None;
    }
    let (counts, width) = fit(counts, width, groups);
    let best = smallest_divergence(&counts, groups);
    Some(width as f32 * ((best + 1) * groups) as f32)
}

/// Pads the histogram to a multiple of `groups` and adds up neighbours while there are more than [`MAX_BINS`] bins.
fn fit(counts: &[u64], mut width: f64, groups: usize) -> (Vec<u64>, f64) {
    let mut counts = counts.to_vec();
    counts.resize(counts.len().next_multiple_of(groups), 0);
    while counts.len() > MAX_BINS {
        counts = counts.chunks(2).map(|pair| pair.iter().sum()).collect();
        counts.resize(counts.len().next_multiple_of(groups), 0);
        width *= 2.0;
    }
    (counts, width)
}

/// The `m` for which the first `(m + 1) * groups` bins have the smallest divergence.
fn smallest_divergence(counts: &[u64], groups: usize) -> usize {
    let total: u64 = counts.iter().sum();
    let probability = |n: u64| f64::from(n as f32 / total as f32);
    // The reference distribution differs between two ranges in its last bin only.
    let terms: Vec<(f64, f64)> = counts.iter().map(|&n| (probability(n), (probability(n) + TINY).log10())).collect();
    let mut best = (f64::INFINITY, 0);
    let mut inside = 0;
    for m in 0..counts.len() / groups {
        let len = (m + 1) * groups;
        inside += counts[m * groups..len].iter().sum::<u64>();
        let clipped = probability(counts[len - 1] + (total - inside));
        let last = (clipped, (clipped + TINY).log10());
        let divergence = divergence(&counts[..len], &terms[..len], last, inside, m + 1);
        // NaN, where the first bins are empty, never wins.
        if divergence < best.0 {
            best = (divergence, m);
        }
    }
    best.1
}

/// The divergence of the clipped histogram from its coarse version with groups of `size` bins. `terms` are probabilities and
/// their logarithms, `last` those of the last bin with all that was clipped, `inside` the sum of `counts`.
fn divergence(counts: &[u64], terms: &[(f64, f64)], last: (f64, f64), inside: u64, size: usize) -> f64 {
    let log_of_nothing = (f64::from(0.0f32 / inside as f32) + TINY).log10();
    let mut sum = 0.0;
    for (g, group) in counts.chunks_exact(size).enumerate() {
        let at = g * size;
        let filled = group.iter().filter(|&&n| n != 0).count();
        let is_last = at + size == counts.len();
        if filled == 0 && !is_last {
            continue; // empty bins add nothing
        }
        let log_of_mean = if filled == 0 {
            log_of_nothing
        } else {
            let mean = (group.iter().sum::<u64>() as f64 / filled as f64) as f32;
            (f64::from(mean / inside as f32) + TINY).log10()
        };
        for (i, &n) in group.iter().enumerate() {
            let (p, log_p) = if at + i + 1 == counts.len() { last } else { terms[at + i] };
            sum += p * (log_p - if n == 0 { log_of_nothing } else { log_of_mean });
        }
    }
    sum
}
