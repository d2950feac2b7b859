//! Reduce, Arg: shapes.

use crate::movement::{axes, axis};
use crate::{Operands, top};

pub const REDUCE_MODES: [&str; 7] = ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"];
pub const ARG_MODES: [&str; 2] = ["ArgMax", "ArgMin"];

impl top::Reduce {
    /// The dimensions that go, in ascending order; without `axes` all do.
    pub fn resolve(&self, rank: usize) -> Result<Vec<usize>, String> {
        if self.axes.is_empty() { Ok((0..rank).collect()) } else { axes(&self.axes, rank) }
    }
}

pub(crate) fn reduce(op: &top::Reduce, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    if !REDUCE_MODES.contains(&op.mode.as_str()) {
        return Err(format!("unknown mode '{}', expected one of {}", op.mode, REDUCE_MODES.join(", ")));
    }
    Ok(without(input, &op.resolve(input.len())?, op.keepdims))
}

/// Both results; the second is none where the types say so.
pub(crate) fn arg(op: &top::Arg, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    if !ARG_MODES.contains(&op.mode.as_str()) {
        return Err(format!("unknown mode '{}', expected {}", op.mode, ARG_MODES.join(" or ")));
    }
    Ok(without(input, &[axis(op.axis, input.len())?], op.keepdims))
}

fn without(input: &[i64], gone: &[usize], keepdims: bool) -> Vec<i64> {
    let size = |(d, &s): (usize, &i64)| match (gone.contains(&d), keepdims) {
        (false, _) => Some(s),
        (true, true) => Some(1),
        (true, false) => None,
    };
    let shape: Vec<i64> = input.iter().enumerate().filter_map(size).collect();
    if shape.is_empty() { vec![1] } else { shape }
}
