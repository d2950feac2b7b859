//! `MovingAverageMinMaxObserver`: the extremes of the samples, later ones counting more.

/// The share of a new sample.
const SHARE: f32 = 0.1;

#[derive(Debug, Clone, Default)]
pub struct MovingAverageObserver {
    range: Option<(f32, f32)>,
}

impl MovingAverageObserver {
    /// Adds a sample by its smallest and largest element.
    pub fn add(&mut self, min: f32, max: f32) {
        self.range = Some(match self.range {
            None => (min, max),
            Some((low, high)) => (low + SHARE * (min - low), high + SHARE * (max - high)),
        });
    }

    /// The averages; `None` before the first sample.
    pub fn range(&self) -> Option<(f32, f32)> {
        self.range
    }
}
