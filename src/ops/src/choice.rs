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

pub(crate) fn select(op: &top::Where, operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    for (index, constant) in [(1, op.x_is_const), (2, op.y_is_const)] {
        if !constant {
            shape = broadcast(&shape, operands.shape(index)?)?;
        }
    }
    Ok(shape)
}
