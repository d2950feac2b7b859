//! What calibration remembers of every tensor, and the thresholds that follow from it.

use crate::error::QuantError;
use crate::histogram::{Histogram, Merge};
use crate::measure::{Bits, Measured, Pair, Wanted};
use crate::method::Method;
use crate::places::{self, Place};
use crate::tails::Tails;
use crate::torch::{Observer, ObserverType};
use crate::{kl, max};
use rayon::prelude::*;
use tpuc_lowering::table::Row;

/// Thresholds are never smaller.
pub const SMALLEST_THRESHOLD: f32 = 1e-5;

/// The KL threshold of a tensor that was never large enough to be counted.
const UNCOUNTED_KL: f32 = 1.0;

/// Something that the user should know about the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// The tensor is zero in all samples.
    AllZeros { tensor: String },
    /// The tensor has one value in all samples.
    Constant { tensor: String, value: f32 },
    /// A sample is so much larger than those before it that their histogram was dropped.
    HistogramRestarted { tensor: String, sample: usize },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::AllZeros { tensor } => write!(f, "layer {tensor} is all zeros in every sample: is the input data right?"),
            Warning::Constant { tensor, value } => write!(f, "layer {tensor} is {value} everywhere in every sample: is the input data right?"),
            Warning::HistogramRestarted { tensor, sample } => {
                write!(f, "layer {tensor}: sample {sample} is so much larger than those before it that their histogram was dropped: reorder or replace the samples")
            }
        }
    }
}

/// What all tensors of a pass have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gathering {
    pub wanted: Wanted,
    /// Bins that histograms start with.
    pub histogram_bins: usize,
    pub observer: ObserverType,
    /// Samples of the whole pass.
    pub samples: usize,
    /// Ops of the network.
    pub ops: usize,
}

/// Sums of the samples' thresholds by a method that averages them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Averaged(Option<Pair>);

impl Averaged {
    fn add(&mut self, threshold: Option<Pair>) {
        if let Some(t) = threshold {
            let sum = self.0.get_or_insert_default();
            *sum = Pair { eight: sum.eight + t.eight, four: sum.four + t.four };
        }
    }
}

/// The statistics of one tensor over the samples seen so far.
#[derive(Debug, Clone)]
pub struct TensorStatistics {
    pub name: String,
    pub samples: usize,
    /// Elements of all samples.
    pub elements: usize,
    pub min: f32,
    pub max: f32,
    /// Gathered for [`Method::Kl`] only.
    pub histogram: Option<Histogram>,
    /// Samples that restarted the histogram.
    pub restarts: Vec<usize>,
    wanted: Wanted,
    mse: Averaged,
    aciq_gauss: Averaged,
    aciq_laplace: Averaged,
    tails: Option<Tails>,
    observer: Option<Observer>,
    /// Sum over the samples.
    kurtosis: Option<f64>,
}

impl TensorStatistics {
    /// For the tensor of a place in the network.
    pub fn new(name: impl Into<String>, place: Place, gathering: &Gathering) -> TensorStatistics {
        let methods = gathering.wanted.methods;
        let histogram = methods.contains(Method::Kl).then(|| Histogram::new(gathering.histogram_bins));
        let needs_tails = methods.contains(Method::Percentile9999) || place.is_near_end && methods.iter().any(Method::spares_ends);
        TensorStatistics {
            name: name.into(),
            samples: 0,
            elements: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            histogram,
            restarts: Vec::new(),
            wanted: gathering.wanted,
            mse: Averaged::default(),
            aciq_gauss: Averaged::default(),
            aciq_laplace: Averaged::default(),
            tails: needs_tails.then(|| Tails::new(place.op, gathering.ops, gathering.samples)),
            observer: methods.contains(Method::TorchObserver).then(|| Observer::new(gathering.observer, gathering.histogram_bins)),
            kurtosis: gathering.wanted.kurtosis.then_some(0.0),
        }
    }

    /// Adds a sample: the activation and what was measured of it, all finite.
    pub fn add(&mut self, activation: &[f32], measured: &Measured) {
        let extent = measured.extent;
        self.min = self.min.min(extent.min);
        self.max = self.max.max(extent.max);
        self.mse.add(measured.mse);
        self.aciq_gauss.add(measured.aciq_gauss);
        self.aciq_laplace.add(measured.aciq_laplace);
        if let (Some(sum), Some(found)) = (&mut self.kurtosis, measured.kurtosis) {
            *sum += found;
        }
        if let Some(tails) = &mut self.tails {
            tails.add(activation);
        }
        if let Some(observer) = &mut self.observer {
            observer.add(activation, extent);
        }
        if let Some(histogram) = &mut self.histogram
            && histogram.add(activation, extent.absmax, max::threshold(self.min, self.max)) == Merge::Restarted
        {
            self.restarts.push(self.samples);
        }
        self.samples += 1;
        self.elements += activation.len();
    }

    /// The kurtosis, averaged over the samples, where it was gathered.
    pub fn kurtosis(&self) -> Option<f64> {
        self.kurtosis.map(|sum| sum / self.samples as f64)
    }

    fn is_zero(&self) -> bool {
        max::threshold(self.min, self.max) <= SMALLEST_THRESHOLD
    }

    /// The smallest and the largest value, widened for a tensor that is zero throughout.
    pub fn range(&self) -> (f32, f32) {
        if self.is_zero() { (if self.min < 0.0 { -SMALLEST_THRESHOLD } else { 0.0 }, SMALLEST_THRESHOLD) } else { (self.min, self.max) }
    }

    /// The largest magnitude, at least [`SMALLEST_THRESHOLD`].
    pub fn absmax(&self) -> f32 {
        let (min, max) = self.range();
        max::threshold(min, max)
    }

    /// Whether the percentile of the magnitudes is their maximum. Of tensors without tails nobody knows.
    pub fn percentile_is_absmax(&self) -> bool {
        self.tails.as_ref().is_some_and(|tails| tails.absolute_percentile() == f64::from(self.absmax()))
    }

    /// The threshold by a method; an error if the method was not among those gathered for.
    pub fn threshold(&self, method: Method, bits: Bits) -> Result<f64, QuantError> {
        if self.samples == 0 {
            return Err(QuantError::NeverSeen(self.name.clone()));
        }
        let threshold = self.raw_threshold(method, bits).ok_or(QuantError::NotGathered(method.name()))?;
        Ok(match method {
            // An observer may find a range larger than the largest value, and keeps it.
            Method::TorchObserver => threshold,
            _ => threshold.min(f64::from(self.absmax())),
        }
        .max(f64::from(SMALLEST_THRESHOLD)))
    }

    fn raw_threshold(&self, method: Method, bits: Bits) -> Option<f64> {
        if !self.wanted.methods.contains(method) || bits == Bits::Four && !self.wanted.int4 {
            return None;
        }
        let mean = |sum: &Averaged| sum.0.map(|sum| sum.get(bits) / self.samples as f64);
        match method {
            Method::Kl => self.histogram.as_ref().map(|h| f64::from(kl::threshold(h.counts(), h.width(), kl::groups(bits)).unwrap_or(UNCOUNTED_KL))),
            Method::Max => Some(f64::from(self.absmax())),
            Method::Mse => mean(&self.mse),
            Method::AciqGauss => mean(&self.aciq_gauss),
            Method::AciqLaplace => mean(&self.aciq_laplace),
            Method::Percentile9999 => self.tails.as_ref().map(|tails| {
                let found = tails.percentiles();
                found.min.abs().max(found.max.abs())
            }),
            Method::TorchObserver => self.observer.as_ref().map(|o| f64::from(o.quantization().threshold())),
        }
    }

    /// The minimum and maximum that a table has beside the threshold of a method.
    fn columns(&self, method: Method) -> (f64, f64) {
        let (min, max) = self.range();
        let seen = (f64::from(min), f64::from(max));
        match (method, &self.tails, &self.observer) {
            (Method::Percentile9999, Some(tails), _) => {
                let found = tails.percentiles();
                (found.min.max(seen.0), found.max.min(seen.1))
            }
            (Method::TorchObserver, _, Some(observer)) => {
                let (min, max) = observer.quantization().range();
                (f64::from(min), f64::from(max))
            }
            _ => seen,
        }
    }
}

/// The statistics of all tensors, in op order.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub tensors: Vec<TensorStatistics>,
    /// Where each tensor stands in the network.
    pub places: Vec<Place>,
    /// Samples seen.
    pub samples: usize,
}

impl Statistics {
    /// The rows of a calibration table.
    pub fn thresholds(&self, method: Method) -> Result<Vec<Row>, QuantError> {
        let row = |t: &TensorStatistics, threshold: f64| {
            let (min, max) = t.columns(method);
            Row { name: t.name.clone(), threshold, min, max }
        };
        self.rows(method, Bits::Eight, row)
    }

    /// The rows of the 4-bit section: thresholds of -8..=7, gathered where [`Wanted::int4`] was set.
    pub fn int4_thresholds(&self, method: Method) -> Result<Vec<Row>, QuantError> {
        let row = |t: &TensorStatistics, threshold: f64| Row { name: t.name.clone(), threshold, min: -threshold * 8.0 / 7.0, max: threshold };
        self.rows(method, Bits::Four, row)
    }

    /// The percentiles of the magnitudes with the minima and maxima seen, gathered for [`Method::Percentile9999`].
    pub fn magnitude_percentiles(&self) -> Result<Vec<Row>, QuantError> {
        let row = |t: &TensorStatistics| {
            let tails = t.tails.as_ref().ok_or(QuantError::NotGathered(Method::Percentile9999.name()))?;
            let (min, max) = t.range();
            let threshold = tails.magnitude_percentile().max(f64::from(SMALLEST_THRESHOLD));
            Ok(Row { name: t.name.clone(), threshold, min: f64::from(min), max: f64::from(max) })
        };
        self.tensors.iter().map(row).collect()
    }

    fn rows(&self, method: Method, bits: Bits, row: impl Fn(&TensorStatistics, f64) -> Row + Sync) -> Result<Vec<Row>, QuantError> {
        let spared = if method.spares_ends() { places::spared(&self.tensors, &self.places) } else { vec![false; self.tensors.len()] };
        let one = |(t, spared): (&TensorStatistics, bool)| {
            let threshold = t.threshold(method, bits)?;
            Ok(row(t, if spared { f64::from(t.absmax()) } else { threshold }))
        };
        self.tensors.par_iter().zip(spared).map(one).collect()
    }

    /// The absolute maxima of the rows.
    pub fn absmax(&self) -> Vec<f64> {
        self.tensors.iter().map(|t| f64::from(t.absmax())).collect()
    }

    pub fn warnings(&self) -> Vec<Warning> {
        let of = |t: &TensorStatistics| {
            let is_constant = t.min == t.max && t.elements > 1;
            let zeros = match (t.samples > 0 && t.is_zero(), is_constant) {
                (true, _) => Some(Warning::AllZeros { tensor: t.name.clone() }),
                (false, true) => Some(Warning::Constant { tensor: t.name.clone(), value: t.min }),
                (false, false) => None,
            };
            let restarts = t.restarts.iter().map(|&sample| Warning::HistogramRestarted { tensor: t.name.clone(), sample }).collect::<Vec<_>>();
            zeros.into_iter().chain(restarts).collect::<Vec<_>>()
        };
        self.tensors.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Meter;
    use crate::method::Methods;

    fn statistics(methods: impl IntoIterator<Item = Method>, samples: &[&[f32]]) -> TensorStatistics {
        let wanted = Wanted { methods: methods.into_iter().collect(), int4: true, kurtosis: false };
        let gathering = Gathering { wanted, histogram_bins: 2048, observer: ObserverType::default(), samples: samples.len(), ops: 1 };
        let mut statistics = TensorStatistics::new("t", Place::default(), &gathering);
        samples.iter().for_each(|x| statistics.add(x, &Meter::new(wanted).measure(x)));
        statistics
    }

    fn threshold(s: &TensorStatistics, method: Method) -> f64 {
        s.threshold(method, Bits::Eight).unwrap()
    }

    #[test]
    fn max_is_the_larger_magnitude() {
        let s = statistics([Method::Max], &[&[-1.5, 0.5], &[1.0, -0.25]]);
        assert_eq!((threshold(&s, Method::Max), s.range()), (1.5, (-1.5, 1.0)));
        assert!(matches!(s.threshold(Method::Kl, Bits::Eight), Err(QuantError::NotGathered("kl"))));
    }

    #[test]
    fn thresholds_never_exceed_the_absolute_maximum() {
        let s = statistics(Method::ALL, &[&[0.5, 0.5, 0.25], &[1.0, -1.0]]);
        for method in Method::ALL.into_iter().filter(|m| *m != Method::TorchObserver) {
            assert!(threshold(&s, method) <= 1.0 && s.threshold(method, Bits::Four).unwrap() <= 1.0, "{method}");
        }
        assert_eq!(threshold(&s, Method::Kl), 1.0);
    }

    #[test]
    fn zeros_get_a_small_range() {
        let s = statistics(Method::ALL, &[&[0.0, -0.0], &[0.0]]);
        for method in Method::ALL {
            assert!((threshold(&s, method) - 1e-5).abs() < 1e-9 || method == Method::TorchObserver, "{method}");
        }
        assert_eq!(s.range(), (0.0, 1e-5));
        let all = Statistics { tensors: vec![s], places: vec![Place::default()], samples: 2 };
        assert_eq!(all.warnings(), [Warning::AllZeros { tensor: "t".into() }]);
    }

    #[test]
    fn constants_have_thresholds() {
        let s = statistics(Method::ALL, &[&[0.75; 40], &[0.75; 40]]);
        for method in Method::ALL {
            assert!(threshold(&s, method).is_finite(), "{method}");
        }
        assert_eq!((threshold(&s, Method::Kl), threshold(&s, Method::Percentile9999)), (0.75, 0.75));
        let all = Statistics { tensors: vec![s], places: vec![Place::default()], samples: 2 };
        assert_eq!(all.warnings(), [Warning::Constant { tensor: "t".into(), value: 0.75 }]);
    }

    #[test]
    fn nothing_seen_is_an_error() {
        assert!(matches!(statistics([Method::Max], &[]).threshold(Method::Max, Bits::Eight), Err(QuantError::NeverSeen(_))));
        assert!(Methods::none().is_empty());
    }
}
