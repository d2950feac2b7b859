//! Threshold by least mean squared error (OCTAV): noise of clipped values against noise of rounded ones.
//!
//! In: one sample's activation, row-major. Out: its threshold; calibration averages those of all samples. The iteration is
//! Newton's on the error as a function of the clipping threshold (Sakr et al., "Optimal Clipping and Magnitude-aware
//! Differentiation for Improved Quantization-aware Training"); its float widths and stop rule follow `spec/calibration.md` section 4.

use crate::pairwise;
use crate::simd::{self, Extent};

const ITERATIONS: usize = 20;

/// A step that changes the threshold by less ends the iteration.
const CONVERGED: f64 = 1e-6;

/// A smallest element that near to zero means that the activation has no sign.
const UNSIGNED: f32 = 1e-6;

/// The threshold of an activation without any element other than zero.
const ALL_ZEROS: f64 = 1.0;

/// What one pass over an activation tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub extent: Extent,
    /// Elements other than zero.
    filled: usize,
    /// The sum of the magnitudes.
    sum: f32,
}

impl Look {
    /// Piece by piece, so that each comes from memory once.
    pub fn at(activation: &[f32]) -> Look {
        let mut look = Look { extent: Extent::EMPTY, filled: 0, sum: 0.0 };
        for piece in activation.chunks(pairwise::PIECE) {
            look.extent = look.extent.union(simd::extent(piece));
            look.filled += simd::count_filled(piece);
            look.sum += simd::sum_of_magnitudes(piece);
        }
        look
    }
}

/// Thresholds of one activation after the other; memory is used again.
#[derive(Debug, Default)]
pub struct Octav {
    scratch: Vec<f32>,
}

impl Octav {
    /// The threshold of one activation for a type of `bits` bits.
    pub fn threshold(&mut self, activation: &[f32], look: &Look, bits: u32) -> f64 {
        let levels = if look.extent.min.abs() < UNSIGNED { 4.0 } else { 1.0 };
        // The share of an unclipped element in the error, relative to a clipped one.
        let rounding = 1.0 / 4f64.powi(bits as i32) / 3.0 / levels;
        if look.filled == 0 {
            return ALL_ZEROS;
        }
        let mut s = f64::from(look.sum) / look.filled as f64;
        let mut above = Above::new(activation, &mut self.scratch);
        for _ in 0..ITERATIONS {
            let clipped = above.than(s as f32);
            let kept = (activation.len() - clipped.len()) as f64;
            let next = f64::from(simd::sum(clipped)) / (rounding * kept + clipped.len() as f64);
            if (next - s).abs() < CONVERGED {
                break;
            }
            s = next;
        }
        s
    }
}

/// Magnitudes above a limit in their order. A higher limit looks only at those above the last one.
struct Above<'a> {
    activation: &'a [f32],
    limit: Option<f32>,
    magnitudes: &'a mut Vec<f32>,
    /// How many of them count.
    kept: usize,
}

impl<'a> Above<'a> {
    fn new(activation: &'a [f32], magnitudes: &'a mut Vec<f32>) -> Above<'a> {
        let room = activation.len() + simd::LANES;
        if magnitudes.len() < room {
            magnitudes.resize(room, 0.0);
        }
        Above { activation, limit: None, magnitudes, kept: 0 }
    }

    fn than(&mut self, limit: f32) -> &[f32] {
        self.kept = match self.limit {
            Some(last) if limit >= last => simd::keep_above(self.magnitudes, self.kept, limit),
            _ => simd::magnitudes_above(self.activation, limit, self.magnitudes),
        };
        self.limit = Some(limit);
        &self.magnitudes[..self.kept]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_may_fall_again() {
        let x = [3.0, -1.0, 0.0, 2.0, -4.0];
        let mut magnitudes = Vec::new();
        let mut above = Above::new(&x, &mut magnitudes);
        assert_eq!(above.than(1.5), [3.0, 2.0, 4.0]);
        assert_eq!(above.than(2.5), [3.0, 4.0]);
        assert_eq!(above.than(0.5), [3.0, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn zeros_and_single_elements() {
        let mut octav = Octav::default();
        let mut threshold = |x: &[f32]| octav.threshold(x, &Look::at(x), 8);
        assert_eq!((threshold(&[0.0, -0.0]), threshold(&[2.5])), (1.0, 2.5));
    }
}
