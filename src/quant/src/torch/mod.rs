//! Thresholds as PyTorch's quantization observers find them, in the float arithmetic of its CPU kernels.
//!
//! In: the samples' activations in sample order. Out: scale and zero point of signed 8-bit affine quantization, and the
//! threshold and range that a calibration table has for them. [`histogram`] is `HistogramObserver`, which clips where the squared error
//! is smallest; [`moving_average`] is `MovingAverageMinMaxObserver`.

pub mod histogram;
pub mod moving_average;
mod range;
mod search;
mod sum;

use crate::simd::Extent;
use histogram::HistogramObserver;
use moving_average::MovingAverageObserver;
use std::str::FromStr;

/// Which of the observers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObserverType {
    #[default]
    Histogram,
    MovingAverageMinMax,
}

impl ObserverType {
    pub const ALL: [ObserverType; 2] = [ObserverType::Histogram, ObserverType::MovingAverageMinMax];

    pub fn name(self) -> &'static str {
        match self {
            ObserverType::Histogram => "HistogramObserver",
            ObserverType::MovingAverageMinMax => "MovingAverageMinMaxObserver",
        }
    }
}

/// A word that names no observer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown observer '{found}', expected one of: {}", ObserverType::ALL.map(ObserverType::name).join(", "))]
pub struct UnknownObserver {
    pub found: String,
}

impl FromStr for ObserverType {
    type Err = UnknownObserver;

    fn from_str(word: &str) -> Result<ObserverType, UnknownObserver> {
        ObserverType::ALL.into_iter().find(|o| o.name().eq_ignore_ascii_case(word)).ok_or_else(|| UnknownObserver { found: word.to_owned() })
    }
}

/// An observer of one tensor.
#[derive(Debug, Clone)]
pub enum Observer {
    Histogram(HistogramObserver),
    MovingAverage(MovingAverageObserver),
}

impl Observer {
    /// `bins` are those of the histogram observer.
    pub fn new(kind: ObserverType, bins: usize) -> Observer {
        match kind {
            ObserverType::Histogram => Observer::Histogram(HistogramObserver::new(bins)),
            ObserverType::MovingAverageMinMax => Observer::MovingAverage(MovingAverageObserver::default()),
        }
    }

    /// Adds a sample: the activation and its extent.
    pub fn add(&mut self, activation: &[f32], extent: Extent) {
        match self {
            Observer::Histogram(observer) => observer.add(activation, extent.min, extent.max),
            Observer::MovingAverage(observer) => observer.add(extent.min, extent.max),
        }
    }

    pub fn quantization(&self) -> Quantization {
        let range = match self {
            Observer::Histogram(observer) => observer.best_range(),
            Observer::MovingAverage(observer) => observer.range(),
        };
        range.map_or(Quantization { scale: 1.0, zero_point: 0 }, |(min, max)| Quantization::of_range(min, max))
    }
}

/// The integers of the quantized type.
const SMALLEST: i32 = -128;
const LARGEST: i32 = 127;

/// Parameters of an affine quantization to signed 8-bit integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    pub scale: f32,
    pub zero_point: i32,
}

impl Quantization {
    /// The quantization that covers a range and zero.
    fn of_range(min: f32, max: f32) -> Quantization {
        let (min, max) = (min.min(0.0), max.max(0.0));
        let scale = ((max - min) / (LARGEST - SMALLEST) as f32).max(f32::EPSILON);
        let zero_point = SMALLEST - (min / scale).round_ties_even() as i32;
        Quantization { scale, zero_point: zero_point.clamp(SMALLEST, LARGEST) }
    }

    /// The symmetric range that holds all that the quantization can express.
    pub fn threshold(&self) -> f32 {
        self.scale * (self.zero_point - SMALLEST).max(LARGEST - self.zero_point) as f32
    }

    /// Smallest and largest number that the quantization can express.
    pub fn range(&self) -> (f32, f32) {
        (self.scale * (SMALLEST - self.zero_point) as f32, self.scale * (LARGEST - self.zero_point) as f32)
    }
}
