//! What is measured of one sample's activation on its own, whatever other samples hold.

use crate::aciq;
use crate::kurtosis::kurtosis;
use crate::method::{Method, Methods};
use crate::octav::{Look, Octav};
use crate::simd::{self, Extent};

/// Quantized types that thresholds are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    Eight,
    Four,
}

impl Bits {
    pub fn count(self) -> u32 {
        match self {
            Bits::Eight => 8,
            Bits::Four => 4,
        }
    }
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub methods: Methods,
    /// Thresholds of 4 bits as well.
    pub int4: bool,
    /// The kurtosis as well.
    pub kurtosis: bool,
}

/// A threshold for 8 bits, and for 4 where wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    pub eight: f64,
    pub four: f64,
}

impl Pair {
    pub fn get(self, bits: Bits) -> f64 {
        match bits {
            Bits::Eight => self.eight,
            Bits::Four => self.four,
        }
    }
}

/// Extent and thresholds of one activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub extent: Extent,
    pub mse: Option<Pair>,
    pub aciq_gauss: Option<Pair>,
    pub aciq_laplace: Option<Pair>,
    pub kurtosis: Option<f64>,
}

/// Measures one activation after the other.
#[derive(Debug)]
pub struct Meter {
    wanted: Wanted,
    octav: Octav,
}

impl Meter {
    pub fn new(wanted: Wanted) -> Meter {
        Meter { wanted, octav: Octav::default() }
    }

    /// Only the extent where elements are infinite or not numbers.
    pub fn measure(&mut self, activation: &[f32]) -> Measured {
        let look = self.wanted.methods.contains(Method::Mse).then(|| Look::at(activation));
        let extent = look.map_or_else(|| simd::extent(activation), |look| look.extent);
        if !extent.absmax.is_finite() || activation.is_empty() {
            return Measured { extent, mse: None, aciq_gauss: None, aciq_laplace: None, kurtosis: None };
        }
        Measured {
            extent,
            mse: look.and_then(|look| self.pair(Method::Mse, |meter, bits| meter.octav.threshold(activation, &look, bits))),
            aciq_gauss: self.pair(Method::AciqGauss, |_, bits| aciq::gauss(extent.min, extent.max, activation.len(), bits)),
            aciq_laplace: self.pair(Method::AciqLaplace, |_, bits| aciq::laplace(activation, bits)),
            kurtosis: self.wanted.kurtosis.then(|| kurtosis(activation)),
        }
    }

    fn pair(&mut self, method: Method, threshold: impl Fn(&mut Meter, u32) -> f64) -> Option<Pair> {
        if !self.wanted.methods.contains(method) {
            return None;
        }
        let eight = threshold(self, Bits::Eight.count());
        let four = if self.wanted.int4 { threshold(self, Bits::Four.count()) } else { 0.0 };
        Some(Pair { eight, four })
    }
}
