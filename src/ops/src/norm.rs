//! LayerNorm, InstanceNorm, GroupNorm: what their attributes and weights must be.

use crate::movement::axis;
use crate::types::ValueType;
use crate::{Operands, top};

impl top::LayerNorm {
    /// The first of the normalized dimensions, counted from the front.
    pub fn resolve(&self, rank: usize) -> Result<usize, String> {
        axis(i64::from(self.axis), rank)
    }
}

/// A weight or bias of `expected` elements, if there is one.
fn affine(operands: &[ValueType], expected: i64, of: &str) -> Result<(), String> {
    for (index, what) in [(1, "weight"), (2, "bias")] {
        if let Some(found) = operands.get(index).and_then(ValueType::tensor).map(|t| t.count()).filter(|&c| c != expected) {
            return Err(format!("{what} has {found} elements, expected {expected} ({of})"));
        }
    }
    Ok(())
}

fn epsilon(eps: f64) -> Result<(), String> {
    if eps.is_finite() && eps >= 0.0 { Ok(()) } else { Err(format!("eps is {eps}, expected a number from 0 on")) }
}

pub(crate) fn verify_layer(op: &top::LayerNorm, operands: &[ValueType]) -> Result<(), String> {
    let shapes = Operands { list: operands };
    let input = shapes.shape(0)?;
    let first = op.resolve(input.len())?;
    if !op.normalized_shape.is_empty() && op.normalized_shape != input[first..] {
        return Err(format!("normalized_shape is {:?}, expected {:?}", op.normalized_shape, &input[first..]));
    }
    epsilon(op.eps)?;
    affine(operands, input[first..].iter().product(), "normalized elements")
}

pub(crate) fn verify_instance(op: &top::InstanceNorm, operands: &[ValueType]) -> Result<(), String> {
    epsilon(op.eps)?;
    affine(operands, channels(operands)?, "channels")
}

pub(crate) fn verify_group(op: &top::GroupNorm, operands: &[ValueType]) -> Result<(), String> {
    epsilon(op.eps)?;
    let channels = channels(operands)?;
    if op.num_groups < 1 || channels % op.num_groups != 0 {
        return Err(format!("{channels} channels are not divisible into {} groups", op.num_groups));
    }
    affine(operands, channels, "channels")
}

fn channels(operands: &[ValueType]) -> Result<i64, String> {
    let shapes = Operands { list: operands };
    let input = shapes.shape(0)?;
    input.get(1).copied().ok_or_else(|| format!("input {input:?} has no channels"))
}
