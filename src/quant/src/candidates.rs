//! The thresholds that the tuner tries for a tensor, and which of them wins.

use crate::simd;

/// Equally spaced thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    low: f64,
    step: f64,
    /// Numbers of the first and the last one.
    first: usize,
    last: usize,
}

impl Grid {
    pub fn iter(&self) -> impl Iterator<Item = f64> + use<> {
        let grid = *self;
        (grid.first..=grid.last).map(move |i| grid.low + grid.step * i as f64)
    }
}

/// Which thresholds are tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Steps from the lowest threshold to the absolute maximum.
    pub steps: usize,
    /// Where these are not further apart than this, nothing is tried.
    pub min_difference: f64,
    /// Begins at a third of the untuned threshold, and looks around the best one once more in smaller steps. What is found
    /// still has to be above the untuned threshold.
    pub from_below: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { steps: 21, min_difference: 0.01, from_below: false }
    }
}

/// The search for the threshold of one tensor: asks for the distances of grids of candidates.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    rules: Rules,
    grid: Grid,
    /// The best threshold so far and its distance.
    best: f64,
    least: Option<f64>,
    is_second: bool,
}

impl Search {
    /// From an untuned threshold up to the absolute maximum; `None` where there is nothing to try.
    pub fn new(rules: Rules, untuned: f64, absmax: f64) -> Option<Search> {
        let low = if rules.from_below { untuned / 3.0 } else { untuned };
        let step = (absmax - low) / rules.steps as f64;
        let grid = Grid { low, step, first: 0, last: rules.steps };
        (step > 0.0 && step.is_finite() && absmax - low > rules.min_difference).then_some(Search { rules, grid, best: untuned, least: None, is_second: false })
    }

    /// The candidates to be tried now.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Takes the mean distances of the grid's candidates, in order. The first smallest one wins. True if there is another grid.
    pub fn take(&mut self, distances: &[f64]) -> bool {
        for (threshold, &distance) in self.grid.iter().zip(distances) {
            match self.least {
                // The very first one is what the others are held against.
                None => self.least = Some(distance),
                Some(least) if distance < least => (self.best, self.least) = (threshold, Some(distance)),
                Some(_) => {}
            }
        }
        let parts = self.rules.steps / 2;
        if !self.rules.from_below || self.is_second || parts < 2 {
            return false;
        }
        self.is_second = true;
        let low = self.best - self.grid.step;
        self.grid = Grid { low, step: ((self.best + self.grid.step) - low) / parts as f64, first: 1, last: parts - 1 };
        true
    }

    /// The threshold that won.
    pub fn best(&self) -> f64 {
        self.best
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

    fn search(rules: Rules, untuned: f64, absmax: f64, distance: impl Fn(f64) -> f64) -> Option<f64> {
        let mut search = Search::new(rules, untuned, absmax)?;
        while search.take(&search.grid().iter().map(&distance).collect::<Vec<_>>()) {}
        Some(search.best())
    }

    #[test]
    fn the_grid_reaches_from_the_threshold_to_the_maximum() {
        let grid = Search::new(Rules::default(), 1.0, 22.0).unwrap().grid();
        assert_eq!(grid.iter().collect::<Vec<_>>(), (1..=22).map(f64::from).collect::<Vec<_>>());
        assert!(Search::new(Rules::default(), 1.0, 1.009).is_none());
        assert!(Search::new(Rules::default(), 2.0, 1.0).is_none());
        assert!(Search::new(Rules::default(), 2.0, f64::INFINITY).is_none());
    }

    #[test]
    fn the_first_smallest_mean_wins() {
        let rules = Rules { steps: 3, ..Rules::default() };
        let of = |distances: [f64; 4]| search(rules, 0.0, 3.0, |t| distances[t as usize]);
        assert_eq!(of([5.0, 1.5, 1.5, 4.5]), Some(1.0));
        assert_eq!(of([f64::NAN, 1.0, 1.0, 1.0]), Some(0.0));
        assert_eq!(of([5.0, f64::NAN, 1.0, 9.0]), Some(2.0));
    }

    #[test]
    fn from_below_there_is_a_second_look() {
        let rules = Rules { steps: 8, from_below: true, ..Rules::default() };
        // A grid of ones from 1, then of halves around 4.
        assert_eq!(search(rules, 3.0, 9.0, |t| (t - 4.4).abs()), Some(4.5));
        // Nothing is as good as the lowest threshold, which is below the untuned one.
        assert_eq!(search(rules, 3.0, 9.0, |t| t), Some(3.0));
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
