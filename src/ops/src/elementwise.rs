//! Elementwise ops: broadcasting, requantization attributes.

use crate::types::ValueType;
use crate::{Operands, tpu};

/// The common shape of two shapes, dimensions of 1 stretching (NumPy's rule).
pub(crate) fn broadcast(a: &[i64], b: &[i64]) -> Result<Vec<i64>, String> {
    let rank = a.len().max(b.len());
    let at = |s: &[i64], d: usize| if d + s.len() < rank { 1 } else { s[d + s.len() - rank] };
    (0..rank)
        .map(|d| match (at(a, d), at(b, d)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

pub(crate) fn infer_broadcast(operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    for index in 1..operands.len() {
        shape = broadcast(&shape, operands.shape(index)?)?;
    }
    Ok(shape)
}

/// A quantized sum has one multiplier and shift per input.
pub(crate) fn verify_requant(op: &tpu::Add, operands: &[ValueType]) -> Result<(), String> {
    for (name, list) in [("multipliers", &op.multipliers), ("rshifts", &op.rshifts)] {
        if let Some(list) = list.as_ref().filter(|l| l.len() != operands.len()) {
            return Err(format!("{name} has {} entries, expected {} (inputs)", list.len(), operands.len()));
        }
    }
    Ok(())
}
