//! Softmax.

use super::{elem, float_type};
use crate::bm1684x::pool::round_mode;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(super) fn float(context: &OpContext, op: &top::Softmax, dtype: DType) -> Result<Lowered, LowerError> {
    let softmax = tpu::Softmax { axis: op.axis, beta: op.beta, log: op.log, round_mode: round_mode(context, &op.round_mode)? };
    let mut operands = vec![OperandRef::None; 6];
    operands[0] = OperandRef::Operand { index: 0, elem: elem(dtype) };
    Ok(Lowered::one(softmax, operands, context.name, float_type(context, dtype)))
}
