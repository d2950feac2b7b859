//! Threshold by least mean squared error (OCTAV): noise of clipped values against noise of rounded ones.
//!
//! In: one sample's activation, row-major. Out: its threshold; calibration averages those of all samples. The iteration is
//! Newton's on the error as a function of the clipping threshold (Sakr et al., "Optimal Clipping and Magnitude-aware
//! Differentiation for Improved Quantization-aware Training"); its float widths and stop rule follow `spec/calibration.md` section 4.

use crate::pairwise;

const ITERATIONS: usize = 20;

/// A step that changes the threshold by less ends the iteration.
const CONVERGED: f64 = 1e-6;

/// A smallest element that near to zero means that the activation has no sign.
const UNSIGNED: f32 = 1e-6;

/// The threshold of an activation without any element other than zero.
const ALL_ZEROS: f64 = 1.0;

/// The threshold of one activation with the smallest element `min`, for a type of `bits` bits.
pub fn threshold(activation: &[f32], min: f32, bits: u32) -> f64 {
    let levels = if min.abs() < UNSIGNED { 4.0 } else { 1.0 };
    // The share of an unclipped element in the error, relative to a clipped one.
    let rounding = 1.0 / 4f64.powi(bits as i32) / 3.0 / levels;
    let filled = activation.iter().filter(|v| **v != 0.0).count();
    if filled == 0 {
        return ALL_ZEROS;
    }
    let mut s = f64::from(pairwise::sum_of(activation, f32::abs)) / filled as f64;
    let mut above = Above::new(activation);
    for _ in 0..ITERATIONS {
        let clipped = above.than(s as f32);
        let kept = (activation.len() - clipped.len()) as f64;
        let next = f64::from(pairwise::sum_of(clipped, |v| v)) / (rounding * kept + clipped.len() as f64);
        if (next - s).abs() < CONVERGED {
            break;
        }
        s = next;
    }
    s
}

/// Magnitudes above a limit in their order. A higher limit looks only at those above the last one.
struct Above<'a> {
    activation: &'a [f32],
    limit: Option<f32>,
    magnitudes: Vec<f32>,
}

impl<'a> Above<'a> {
    fn new(activation: &'a [f32]) -> Above<'a> {
        Above { activation, limit: None, magnitudes: Vec::new() }
    }

    fn than(&mut self, limit: f32) -> &[f32] {
        match self.limit {
            Some(last) if limit >= last => {
                let kept = compact(&mut self.magnitudes, limit);
                self.magnitudes.truncate(kept);
            }
            _ => {
                self.magnitudes.clear();
                self.magnitudes.extend(self.activation.iter().map(|v| v.abs()));
                let kept = compact(&mut self.magnitudes, limit);
                self.magnitudes.truncate(kept);
            }
        }
        self.limit = Some(limit);
        &self.magnitudes
    }
}

/// Moves the elements above a limit to the front, without a branch that could be mispredicted; returns how many there are.
fn compact(values: &mut [f32], limit: f32) -> usize {
    let mut kept = 0;
    for i in 0..values.len() {
        let v = values[i];
        values[kept] = v;
        kept += usize::from(v > limit);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_may_fall_again() {
        let x = [3.0, -1.0, 0.0, 2.0, -4.0];
        let mut above = Above::new(&x);
        assert_eq!(above.than(1.5), [3.0, 2.0, 4.0]);
        assert_eq!(above.than(2.5), [3.0, 4.0]);
        assert_eq!(above.than(0.5), [3.0, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn zeros_and_single_elements() {
        assert_eq!(threshold(&[0.0, -0.0], 0.0, 8), 1.0);
        assert_eq!(threshold(&[2.5], 2.5, 8), 2.5);
    }
}
