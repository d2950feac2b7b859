//! Compare, CompareConst, Where: shapes, verification.

use crate::elementwise::broadcast;
use crate::{Operands, top};

pub const COMPARE_MODES: [&str; 9] = ["Equal", "NotEqual", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Xor", "Not"];

pub(crate) fn check_mode(mode: &str) -> Result<(), String> {
    if COMPARE_MODES.contains(&mode) { Ok(()) } else { Err(format!("unknown mode '{mode}', expected one of {}", COMPARE_MODES.join(", "))) }
}

pub(crate) fn compare(op: &top::Compare, operands: &Operands) -> Result<Vec<i64>, String> {
    check_mode(&op.mode)?;
    broadcast(operands.shape(0)?, operands.shape(1)?)
}

/// The common shape of condition and branches; `constant` says which branch is a number.
pub(crate) fn select(constant: [bool; 2], operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    for (index, constant) in [(1, constant[0]), (2, constant[1])] {
        if !constant {
            shape = broadcast(&shape, operands.shape(index)?)?;
        }
    }
    Ok(shape)
}
