//! What calibration remembers of every tensor, and the thresholds that follow from it.

use crate::error::QuantError;
use crate::histogram::{Histogram, Merge};
use crate::method::Method;
use crate::simd::Extent;
use crate::{kl, max};
use tpuc_lowering::table::Row;

/// Thresholds are never smaller.
pub const SMALLEST_THRESHOLD: f32 = 1e-5;

/// The KL threshold of a tensor that was never large enough to be counted.
const UNCOUNTED_KL: f32 = 1.0;

/// Something that the user should know about the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The tensor is zero in all samples.
    AllZeros { tensor: String },
    /// A sample is so much larger than those before it that their histogram was dropped.
    HistogramRestarted { tensor: String, sample: usize },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::AllZeros { tensor } => write!(f, "layer {tensor} is all zeros in every sample: is the input data right?"),
            Warning::HistogramRestarted { tensor, sample } => {
                write!(f, "layer {tensor}: sample {sample} is so much larger than those before it that their histogram was dropped: reorder or replace the samples")
            }
        }
    }
}

/// The statistics of one tensor over the samples seen so far.
#[derive(Debug, Clone)]
pub struct TensorStatistics {
    pub name: String,
    pub samples: usize,
    pub min: f32,
    pub max: f32,
    /// Gathered for [`Method::Kl`] only.
    pub histogram: Option<Histogram>,
    /// Samples that restarted the histogram.
    pub restarts: Vec<usize>,
}

impl TensorStatistics {
    pub fn new(name: impl Into<String>, methods: &[Method], histogram_bins: usize) -> TensorStatistics {
        let histogram = methods.contains(&Method::Kl).then(|| Histogram::new(histogram_bins));
        TensorStatistics { name: name.into(), samples: 0, min: f32::INFINITY, max: f32::NEG_INFINITY, histogram, restarts: Vec::new() }
    }

    /// Adds a sample: the activation and its (finite) extent.
    pub fn add(&mut self, activation: &[f32], extent: Extent) {
        self.min = self.min.min(extent.min);
        self.max = self.max.max(extent.max);
        if let Some(histogram) = &mut self.histogram
            && histogram.add(activation, extent.absmax, max::threshold(self.min, self.max)) == Merge::Restarted
        {
            self.restarts.push(self.samples);
        }
        self.samples += 1;
    }

    /// The smallest and the largest value, widened for a tensor that is zero throughout.
    pub fn range(&self) -> (f32, f32) {
        if max::threshold(self.min, self.max) > SMALLEST_THRESHOLD {
            (self.min, self.max)
        } else {
            (if self.min < 0.0 { -SMALLEST_THRESHOLD } else { 0.0 }, SMALLEST_THRESHOLD)
        }
    }

    /// The largest magnitude, at least [`SMALLEST_THRESHOLD`].
    pub fn absmax(&self) -> f32 {
        let (min, max) = self.range();
        max::threshold(min, max)
    }

    /// The threshold by a method; an error if the method was not among those gathered for.
    pub fn threshold(&self, method: Method) -> Result<f32, QuantError> {
        if self.samples == 0 {
            return Err(QuantError::NeverSeen(self.name.clone()));
        }
        let threshold = match (method, &self.histogram) {
            (Method::Kl, Some(h)) => kl::threshold(h.counts(), h.width(), kl::INT8_GROUPS).unwrap_or(UNCOUNTED_KL),
            (Method::Kl, None) => return Err(QuantError::NotGathered(method.name())),
            (Method::Max, _) => self.absmax(),
        };
        Ok(threshold.min(self.absmax()).max(SMALLEST_THRESHOLD))
    }
}

/// The statistics of all tensors, in op order.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub tensors: Vec<TensorStatistics>,
    /// Samples seen.
    pub samples: usize,
}

impl Statistics {
    /// The rows of a calibration table.
    pub fn thresholds(&self, method: Method) -> Result<Vec<Row>, QuantError> {
        let row = |t: &TensorStatistics| {
            let (min, max) = t.range();
            let threshold = f64::from(t.threshold(method)?);
            Ok(Row { name: t.name.clone(), threshold, min: f64::from(min), max: f64::from(max) })
        };
        use rayon::prelude::*;
        self.tensors.par_iter().map(row).collect()
    }

    pub fn warnings(&self) -> Vec<Warning> {
        let of = |t: &TensorStatistics| {
            let zeros = (t.samples > 0 && max::threshold(t.min, t.max) <= SMALLEST_THRESHOLD).then(|| Warning::AllZeros { tensor: t.name.clone() });
            let restarts = t.restarts.iter().map(|&sample| Warning::HistogramRestarted { tensor: t.name.clone(), sample }).collect::<Vec<_>>();
            zeros.into_iter().chain(restarts).collect::<Vec<_>>()
        };
        self.tensors.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;

    fn statistics(methods: &[Method], samples: &[&[f32]]) -> TensorStatistics {
        let mut statistics = TensorStatistics::new("t", methods, 2048);
        samples.iter().for_each(|x| statistics.add(x, simd::extent(x)));
        statistics
    }

    #[test]
    fn max_is_the_larger_magnitude() {
        let s = statistics(&[Method::Max], &[&[-1.5, 0.5], &[1.0, -0.25]]);
        assert_eq!((s.threshold(Method::Max).unwrap(), s.range()), (1.5, (-1.5, 1.0)));
        assert!(matches!(s.threshold(Method::Kl), Err(QuantError::NotGathered("kl"))));
    }

    #[test]
    fn kl_never_exceeds_the_absolute_maximum() {
        let s = statistics(&[Method::Kl], &[&[0.5, 0.5, 0.25], &[1.0, -1.0]]);
        assert_eq!(s.threshold(Method::Kl).unwrap(), 1.0);
    }

    #[test]
    fn zeros_get_a_small_range() {
        let s = statistics(&[Method::Kl], &[&[0.0, -0.0], &[0.0]]);
        assert_eq!((s.threshold(Method::Kl).unwrap(), s.threshold(Method::Max).unwrap(), s.range()), (1e-5, 1e-5, (0.0, 1e-5)));
        let all = Statistics { tensors: vec![s], samples: 2 };
        assert_eq!(all.warnings(), [Warning::AllZeros { tensor: "t".into() }]);
    }

    #[test]
    fn nothing_seen_is_an_error() {
        assert!(matches!(statistics(&[Method::Max], &[]).threshold(Method::Max), Err(QuantError::NeverSeen(_))));
    }
}
