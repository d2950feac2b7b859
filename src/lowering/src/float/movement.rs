//! Inputs and Relu.

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

pub(super) fn relu(context: &OpContext, op: &top::Relu, dtype: DType) -> Result<Lowered, LowerError> {
    Ok(keep(context, tpu::Relu { relu_limit: op.relu_limit, ..Default::default() }, elem(dtype)))
}

fn keep(context: &OpContext, op: impl Into<Op>, elem: Elem) -> Lowered {
    Lowered::one(op, vec![OperandRef::Operand { index: 0, elem }], context.name, float_type(context, elem.storage()))
}
