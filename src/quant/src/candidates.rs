//! The thresholds that the tuner tries for a tensor, and which of them wins.

use crate::simd;

/// Thresholds from the untuned one up to the absolute maximum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidates {
    low: f64,
    step: f64,
    steps: usize,
}

impl Candidates {
    /// `steps + 1` thresholds from `low` to `absmax`; `None` where they are no more than `min_difference` apart.
    pub fn new(low: f64, absmax: f64, steps: usize, min_difference: f64) -> Option<Candidates> {
        let step = (absmax - low) / steps as f64;
        (step > 0.0 && absmax - low > min_difference).then_some(Candidates { low, step, steps })
    }

    pub fn count(&self) -> usize {
        self.steps + 1
    }

    pub fn get(&self, i: usize) -> f64 {
        self.low + self.step * i as f64
    }

    /// The candidate with the smallest mean distance, the first of equal ones. `distances[candidate * samples + sample]`.
    /// Where even the first candidate's distance is not a number, it stays.
    pub fn best(&self, distances: &[f64], samples: usize) -> f64 {
        let mean = |i: usize| distances[i * samples..][..samples].iter().fold(0.0, |sum, d| sum + d) / samples as f64;
        let mut best = (mean(0), 0);
        for i in 1..self.count() {
            let distance = mean(i);
            if distance < best.0 {
                best = (distance, i);
            }
        }
        self.get(best.1)
    }
}

/// A threshold as it is written in a table; the tuner starts from these.
pub fn as_written(threshold: f64) -> f64 {
    format!("{threshold:.7}").parse().unwrap_or(threshold)
}

/// Outputs of the float op, to be compared with those of its quantized version.
pub struct Reference<'a> {
    outputs: Vec<&'a [f32]>,
    norm_1: f32,
}

impl<'a> Reference<'a> {
    pub fn new(outputs: Vec<&'a [f32]>) -> Reference<'a> {
        let norm_1 = outputs.iter().map(|x| simd::norm_1(x)).sum::<f64>() as f32;
        Reference { outputs, norm_1 }
    }

    /// `||reference - outputs||_2 / ||reference||_1`.
    pub fn distance<'b>(&self, outputs: impl IntoIterator<Item = &'b [f32]>) -> f64 {
        let squares = self.outputs.iter().zip(outputs).map(|(a, b)| simd::squared_distance(a, b)).sum::<f64>();
        f64::from(squares.sqrt() as f32 / self.norm_1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid() {
        let candidates = Candidates::new(1.0, 22.0, 21, 0.01).unwrap();
        assert_eq!((candidates.count(), candidates.get(0), candidates.get(21)), (22, 1.0, 22.0));
        assert_eq!(Candidates::new(1.0, 1.009, 21, 0.01), None);
        assert_eq!(Candidates::new(2.0, 1.0, 21, 0.01), None);
    }

    #[test]
    fn the_first_smallest_mean_wins() {
        let candidates = Candidates::new(0.0, 3.0, 3, 0.01).unwrap();
        assert_eq!(candidates.best(&[5.0, 5.0, 1.0, 2.0, 2.0, 1.0, 9.0, 0.0], 2), 1.0);
        assert_eq!(candidates.best(&[f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 2), 0.0);
        assert_eq!(candidates.best(&[5.0, 5.0, f64::NAN, 0.0, 1.0, 1.0, 9.0, 9.0], 2), 2.0);
    }

    #[test]
    fn distances() {
        let reference = Reference::new(vec![&[1.0, -2.0], &[3.0]]);
        assert_eq!(reference.distance([&[4.0, -2.0][..], &[-1.0]]), f64::from(5.0f32 / 6.0));
        assert!(Reference::new(vec![&[0.0]]).distance([&[0.0][..]]).is_nan());
    }

    #[test]
    fn written_thresholds_have_seven_digits() {
        assert_eq!(as_written(f64::from(0.1f32)), 0.1);
    }
}
