//! Ops that compute nothing, or nothing that a narrower type would change.

use super::{elem, float_type};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{Elem, Op, top, tpu};
use tpuc_tensor::DType;

/// Network inputs stay as they are; their users cast them.
pub(super) fn input(context: &OpContext, op: &top::Input) -> Result<Lowered, LowerError> {
    let elem = context.tensor(0)?.elem;
    Ok(Lowered::one(op.clone(), vec![OperandRef::Operand { index: 0, elem }], context.name, context.result.clone()))
}

/// In whatever type its operand is computed, an integer type as well: a cast would be for nothing.
pub(super) fn reshape(context: &OpContext, op: &top::Reshape, dtype: DType) -> Result<Lowered, LowerError> {
    let elem = follow(context, dtype);
    Ok(keep(context, tpu::Reshape { shape: op.shape.clone(), flatten_start_dim: op.flatten_start_dim }, elem))
}

pub(super) fn pad(context: &OpContext, op: &top::Pad, dtype: DType) -> Result<Lowered, LowerError> {
    Ok(keep(context, tpu::Pad { paddings: op.paddings.clone(), val: op.val, mode: op.mode.clone() }, elem(dtype)))
}

pub(super) fn relu(context: &OpContext, op: &top::Relu, dtype: DType) -> Result<Lowered, LowerError> {
    Ok(keep(context, tpu::Relu { relu_limit: op.relu_limit, ..Default::default() }, elem(dtype)))
}

/// The type in which operand 0 is computed; `dtype` where that is unknown.
fn follow(context: &OpContext, dtype: DType) -> Elem {
    match context.operands.first().map(|o| o.computed) {
        Some(computed @ Elem::Uniform { .. }) => computed,
        Some(Elem::Plain(computed @ (DType::F32 | DType::F16 | DType::BF16)) | Elem::Calibrated { expressed: computed, .. }) => elem(computed),
        _ => elem(dtype),
    }
}

fn keep(context: &OpContext, op: impl Into<Op>, elem: Elem) -> Lowered {
    let result = match elem {
        Elem::Uniform { .. } => context.result_type(elem),
        Elem::Plain(dtype) | Elem::Calibrated { expressed: dtype, .. } => float_type(context, dtype),
    };
    Lowered::one(op, vec![OperandRef::Operand { index: 0, elem }], context.name, result)
}
