//! Streaming histogram of the absolute values of one tensor over the calibration samples.
//!
//! In: the samples' activations in sample order and the running absolute maximum. Out: counts and the bin width that the
//! KL threshold is computed from. The bins grow when a later sample is larger than all before it. The arithmetic is that
//! of the reference's numpy pipeline, float widths included (`spec/calibration.md` section 3), so that equal activations
//! give equal counts.

use crate::simd;

/// More bins than this, and the histogram starts anew from the sample at hand.
pub const MAX_BINS: usize = 8_000_000;

/// A sample below this is too small to be counted.
pub const SMALLEST_COUNTED: f32 = 1e-8;

/// What counting a sample did to the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The sample was counted.
    Counted,
    /// The sample has no element of [`SMALLEST_COUNTED`] or more.
    Skipped,
    /// The sample is so much larger than all before it that they were forgotten.
    Restarted,
}

/// The end of the counted range. Its float width matters: the distance to a new maximum is computed in it.
#[derive(Debug, Clone, Copy)]
enum Top {
    Single(f32),
    Double(f64),
}

impl Top {
    fn value(self) -> f64 {
        match self {
            Top::Single(v) => f64::from(v),
            Top::Double(v) => v,
        }
    }

    fn distance_to(self, absmax: f32) -> f64 {
        match self {
            Top::Single(v) => f64::from(absmax - v),
            Top::Double(v) => f64::from(absmax) - v,
        }
    }
}

/// Counts of |x| in equal bins; exact zeros are not counted.
#[derive(Debug, Clone)]
pub struct Histogram {
    initial_bins: usize,
    counts: Vec<u64>,
    width: f64,
    top: Top,
}

impl Histogram {
    /// An empty histogram that starts with `bins` bins (at least 2).
    pub fn new(bins: usize) -> Histogram {
        Histogram { initial_bins: bins.max(2), counts: Vec::new(), width: 0.0, top: Top::Single(0.0) }
    }

    /// True until a sample was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The width of a bin as of the last sample that set the range.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Counts one sample's activation. `sample_absmax` is its largest absolute value, `absmax` the largest of all samples
    /// up to this one; both are finite.
    pub fn add(&mut self, activation: &[f32], sample_absmax: f32, absmax: f32) -> Merge {
        if sample_absmax < SMALLEST_COUNTED {
            return Merge::Skipped;
        }
        if self.counts.is_empty() {
            self.start(activation, absmax);
            return Merge::Counted;
        }
        let bins = self.counts.len();
        let top = self.top.value();
        if f64::from(absmax) <= top {
            count(activation, top, bins, &mut self.counts);
            return Merge::Counted;
        }
        let step = top / bins as f64;
        let grown = (floor_divide(self.top.distance_to(absmax), step) + 1.0).trunc();
        if grown + bins as f64 > MAX_BINS as f64 {
            self.start(activation, absmax);
            return Merge::Restarted;
        }
        let new_bins = bins + grown as usize;
        let new_top = grown * step + top;
        self.counts.resize(new_bins, 0);
        self.width = count(activation, new_top, new_bins, &mut self.counts);
        self.top = Top::Double(new_top);
        Merge::Counted
    }

    fn start(&mut self, activation: &[f32], absmax: f32) {
        self.counts.clear();
        self.counts.resize(self.initial_bins, 0);
        self.top = Top::Single(absmax);
        self.width = count(activation, f64::from(absmax), self.initial_bins, &mut self.counts);
    }
}

/// Python's `a // b` for positive floats.
fn floor_divide(a: f64, b: f64) -> f64 {
    let quotient = (a - a % b) / b;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// Up to this many bins the counters of a sample are kept several times over, in the fastest cache.
const CACHED_BINS: usize = 4095;

/// Elements whose bins are found at once.
const BLOCK: usize = 2048;

/// Adds the elements of an activation to `counts` (`bins` bins over `0..=top`) and returns the bin width.
fn count(activation: &[f32], top: f64, bins: usize, counts: &mut [u64]) -> f64 {
    let width = top / (bins - 1) as f64;
    let bin_of = BinOf::new(bins);
    let mut add = |by_index: &[u32]| {
        for (i, &n) in by_index[..bins].iter().enumerate() {
            if n != 0 {
                counts[bin_of.bin(i)] += u64::from(n);
            }
        }
    };
    // A counter cannot overflow within one part.
    for part in activation.chunks(u32::MAX as usize) {
        if bins <= CACHED_BINS {
            count_cached(part, width as f32, bins).iter().for_each(|table| add(table));
        } else {
            add(&count_plain(part, width as f32, bins));
        }
    }
    width
}

/// Counters by index, the last one for what is not counted.
fn count_plain(activation: &[f32], width: f32, bins: usize) -> Vec<u32> {
    let mut table = vec![0u32; bins + 1];
    let mut index = [0; BLOCK];
    for block in activation.chunks(BLOCK) {
        simd::bin_indices(block, width, bins as i32, &mut index[..block.len()]);
        for &i in &index[..block.len()] {
            table[i as usize] += 1;
        }
    }
    table
}

/// The same in four tables to be added up: neighbours often are equal, and would wait for each other's counter.
fn count_cached(activation: &[f32], width: f32, bins: usize) -> Box<[[u32; CACHED_BINS + 1]; 4]> {
    let mut tables = Box::new([[0u32; CACHED_BINS + 1]; 4]);
    let [first, second, third, fourth] = &mut *tables;
    let mut index = [0; BLOCK];
    for block in activation.chunks(BLOCK) {
        simd::bin_indices(block, width, bins as i32, &mut index[..block.len()]);
        let (quads, rest) = index[..block.len()].as_chunks::<4>();
        // The mask changes nothing, it shows the compiler that no index is out of bounds.
        let at = |i: i32| i as usize & CACHED_BINS;
        for quad in quads {
            first[at(quad[0])] += 1;
            second[at(quad[1])] += 1;
            third[at(quad[2])] += 1;
            fourth[at(quad[3])] += 1;
        }
        for &i in rest {
            first[at(i)] += 1;
        }
    }
    tables
}

/// Where numpy.histogram puts the integer `index` with `bins` equal bins over `0..=bins-1`: the bin whose edges enclose
/// it. That is the bin of the same number while an edge's rounding error stays below `1 / bins`. The edges are f32 up to
/// [`MAX_BINS_WITH_F32_EDGES`] bins (numpy's promotion of the range with f32 data), above that f64 and exact enough.
struct BinOf {
    bins: usize,
    step: f64,
    norm: f32,
}

const MAX_BINS_WITH_F32_EDGES: usize = 65_536;

impl BinOf {
    fn new(bins: usize) -> BinOf {
        let range = (bins - 1) as f64;
        BinOf { bins, step: range / bins as f64, norm: (bins as f64 / range) as f32 }
    }

    fn edge(&self, k: usize) -> f32 {
        if k == self.bins { (self.bins - 1) as f32 } else { (k as f64 * self.step) as f32 }
    }

    fn bin(&self, index: usize) -> usize {
        if self.bins > MAX_BINS_WITH_F32_EDGES {
            return index;
        }
        let value = index as f32;
        let mut bin = ((value * self.norm) as usize).min(self.bins - 1);
        if value < self.edge(bin) {
            bin -= 1;
        }
        if bin + 1 != self.bins && value >= self.edge(bin + 1) {
            bin += 1;
        }
        bin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first index that numpy 1.24.3 puts into the next bin, by the rounding of its f32 edges.
    #[test]
    fn rounded_edges() {
        for (bins, first_displaced) in [(2048, None), (4097, None), (16_384, Some(16_375)), (50_414, Some(50_315)), (65_536, Some(65_407)), (65_537, None)] {
            let bin_of = BinOf::new(bins);
            assert_eq!((0..bins).find(|&i| bin_of.bin(i) != i), first_displaced, "{bins} bins");
            assert_eq!(bin_of.bin(bins - 1), bins - 1);
        }
    }

    #[test]
    fn floor_division_is_python_s() {
        assert_eq!(floor_divide(1.0, 0.1), 9.0);
        assert_eq!(floor_divide(7.0, 2.0), 3.0);
    }
}
