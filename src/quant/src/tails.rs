//! The smallest and largest elements over all samples, from which percentiles follow exactly.
//!
//! In: the samples' activations. Kept: the `length` smallest and largest elements so far, whatever the number of samples.
//! The elements that count are those that the reference keeps (`spec/calibration.md` section 3): the `length` smallest and the `length`
//! largest of each sample, an element of a short sample twice.

/// Elements compared with the bounds at a time.
const BLOCK: usize = 64;

/// A percentile of a tensor over all samples: where it lies among the sorted elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Elements of each tail that are needed.
    pub length: usize,
    /// How far the percentile is from the tail's innermost element to the next one.
    fraction: f64,
}

/// Percentiles of the first and beyond the last op of a network.
const FIRST: f64 = 99.99;
const LAST: f64 = 99.999999;

impl Position {
    /// The position for the op of number `op` among `ops`: the percentile grows along the network. `elements` are those of all
    /// samples.
    pub fn new(op: usize, ops: usize, elements: usize) -> Position {
        let percent = FIRST + op as f64 * ((LAST - FIRST) / ops as f64);
        let length = (elements as f64 * (1.0 - percent / 100.0)) as usize + 1;
        let last = percent / 100.0 * elements.saturating_sub(1) as f64;
        Position { length, fraction: last - last.trunc() }
    }

    /// The value there, given the tail's elements from the innermost one outwards.
    fn value(&self, tail: &[f32]) -> f64 {
        match *tail {
            [] => 0.0,
            [first, second, ..] if self.length > 1 => f64::from(first) + self.fraction * (f64::from(second) - f64::from(first)),
            [first, ..] => f64::from(first),
        }
    }
}

/// The elements kept of one tensor.
#[derive(Debug, Clone)]
pub struct Tails {
    op: usize,
    ops: usize,
    samples: usize,
    /// Elements of one sample.
    elements: usize,
    low: Tail,
    high: Tail,
}

/// Lower and upper percentile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub min: f64,
    pub max: f64,
}

impl Tails {
    /// For the op of number `op` among `ops`, over so many samples.
    pub fn new(op: usize, ops: usize, samples: usize) -> Tails {
        Tails { op, ops, samples, elements: 0, low: Tail::default(), high: Tail::default() }
    }

    fn position(&self) -> Position {
        Position::new(self.op, self.ops, self.samples * self.elements)
    }

    /// Adds one sample's activation, of finite elements.
    pub fn add(&mut self, activation: &[f32]) {
        self.elements = activation.len();
        let length = self.position().length;
        if activation.len() < 2 * length {
            let mut sorted = activation.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            let ends = [&sorted[..length.min(sorted.len())], &sorted[sorted.len().saturating_sub(length)..]];
            ends.into_iter().for_each(|end| self.add_elements(end, length));
        } else {
            self.add_elements(activation, length);
        }
    }

    fn add_elements(&mut self, elements: &[f32], length: usize) {
        for block in elements.chunks(BLOCK) {
            let (low, high) = (-self.low.bound, self.high.bound);
            if block.iter().fold(false, |any, &v| any | (v < low) | (v > high)) {
                for &v in block {
                    self.low.add(-v, length);
                    self.high.add(v, length);
                }
            }
        }
    }

    /// The percentiles of all samples.
    pub fn percentiles(&self) -> Percentiles {
        let position = self.position();
        Percentiles { min: -position.value(&self.low.sorted(position.length)), max: position.value(&self.high.sorted(position.length)) }
    }

    /// The percentile of the absolute values, interpolated in f64.
    pub fn absolute_percentile(&self) -> f64 {
        self.position().value(&self.magnitudes())
    }

    /// The percentile of the absolute values, the distance of the neighbours in f32.
    pub fn magnitude_percentile(&self) -> f64 {
        let position = self.position();
        match *self.magnitudes() {
            [first, second, ..] if position.length > 1 => f64::from(first) + position.fraction * f64::from(second - first),
            [first, ..] => f64::from(first),
            [] => 0.0,
        }
    }

    /// The largest absolute values, ascending.
    fn magnitudes(&self) -> Vec<f32> {
        let position = self.position();
        let mut magnitudes: Vec<f32> = [&self.low, &self.high].into_iter().flat_map(|tail| tail.sorted(position.length)).map(f32::abs).collect();
        magnitudes.sort_unstable_by(f32::total_cmp);
        magnitudes.split_off(magnitudes.len().saturating_sub(position.length))
    }
}

/// The largest elements seen.
#[derive(Debug, Clone)]
struct Tail {
    /// Every element above `bound` is here, and others.
    kept: Vec<f32>,
    /// Elements up to this one are not needed.
    bound: f32,
}

impl Default for Tail {
    fn default() -> Tail {
        Tail { kept: Vec::new(), bound: f32::NEG_INFINITY }
    }
}

impl Tail {
    fn add(&mut self, value: f32, length: usize) {
        if value > self.bound {
            self.kept.push(value);
            if self.kept.len() >= 2 * length + BLOCK {
                self.shrink(length);
            }
        }
    }

    /// Forgets all but the `length` largest.
    fn shrink(&mut self, length: usize) {
        if self.kept.len() > length {
            let at = self.kept.len() - length;
            self.bound = *self.kept.select_nth_unstable_by(at, f32::total_cmp).1;
            self.kept.drain(..at);
        }
    }

    /// The `length` largest elements, ascending.
    fn sorted(&self, length: usize) -> Vec<f32> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        sorted.split_off(sorted.len().saturating_sub(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tails(samples: &[Vec<f32>]) -> Tails {
        let mut tails = Tails::new(0, 10, samples.len());
        samples.iter().for_each(|x| tails.add(x));
        tails
    }

    fn noise(sample: usize, n: usize) -> Vec<f32> {
        (0..n).map(|i| (((i * 7919 + sample * 104_729) % 10_007) as f32 / 10_007.0 - 0.3).powi(3)).collect()
    }

    #[test]
    fn streaming_equals_sorting() {
        let samples: Vec<Vec<f32>> = (0..7).map(|k| noise(k, 9000 + k % 2)).collect();
        let tails = tails(&samples);
        let position = Position::new(0, 10, 7 * 9000);
        let mut all: Vec<f32> = samples.concat();
        all.sort_unstable_by(f32::total_cmp);
        let length = position.length;
        assert_eq!(length, 7);
        assert_eq!(tails.high.sorted(length), all[all.len() - length..]);
        let low: Vec<f32> = all[..length].iter().rev().map(|v| -v).collect();
        assert_eq!(tails.low.sorted(length), low);
    }

    #[test]
    fn few_elements_are_kept_whatever_the_number_of_samples() {
        let samples: Vec<Vec<f32>> = (0..50).map(|k| noise(k, 3000)).collect();
        let tails = tails(&samples);
        assert!(tails.high.kept.len() <= 2 * tails.position().length + 2 * BLOCK, "{}", tails.high.kept.len());
    }

    #[test]
    fn one_element_is_its_own_percentile() {
        let tails = tails(&[vec![-2.0, 1.0], vec![0.5, -0.5]]);
        assert_eq!((tails.percentiles(), tails.absolute_percentile()), (Percentiles { min: -2.0, max: 1.0 }, 2.0));
    }
}
