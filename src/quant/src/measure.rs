//! What is measured of one sample's activation on its own, whatever other samples hold.

use crate::method::{Method, Methods};
use crate::simd::{self, Extent};
use crate::{aciq, octav};

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

    fn of(wanted: Wanted, method: Method, threshold: impl Fn(u32) -> f64) -> Option<Pair> {
        wanted.methods.contains(method).then(|| Pair { eight: threshold(8), four: if wanted.int4 { threshold(4) } else { 0.0 } })
    }
}

/// Extent and thresholds of one activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub extent: Extent,
    pub mse: Option<Pair>,
    pub aciq_gauss: Option<Pair>,
    pub aciq_laplace: Option<Pair>,
}

impl Measured {
    /// Only the extent where elements are infinite or not numbers.
    pub fn new(activation: &[f32], wanted: Wanted) -> Measured {
        let extent = simd::extent(activation);
        if !extent.absmax.is_finite() || activation.is_empty() {
            return Measured { extent, mse: None, aciq_gauss: None, aciq_laplace: None };
        }
        Measured {
            extent,
            mse: Pair::of(wanted, Method::Mse, |bits| octav::threshold(activation, extent.min, bits)),
            aciq_gauss: Pair::of(wanted, Method::AciqGauss, |bits| aciq::gauss(extent.min, extent.max, activation.len(), bits)),
            aciq_laplace: Pair::of(wanted, Method::AciqLaplace, |bits| aciq::laplace(activation, bits)),
        }
    }
}
