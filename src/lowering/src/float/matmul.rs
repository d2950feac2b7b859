//! Matrix product.

use super::{float_type, operand};
use crate::chip::Family;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::matmul;
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// Both operands and the bias in the type; CV18xx adds a bias in f32.
pub(super) fn float(context: &OpContext, op: &top::MatMul, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let left = operand(context, &mut lowered, 0, dtype)?;
    let right = operand(context, &mut lowered, 1, dtype)?;
    let bias = operand(context, &mut lowered, 2, if context.chip.family == Family::Cv18xx { DType::F32 } else { dtype })?;
    let matmul = tpu::MatMul { relu_limit: op.relu_limit, ..matmul(op) };
    lowered.push(matmul, vec![left, right, bias, OperandRef::None, OperandRef::None], context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
