//! Layer normalization in bf16, the inverse root of the variance by table.

use super::table16::{powers, table};
use crate::error::LowerError;
use crate::float::{elem, operand};
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(super) fn layer_norm(context: &OpContext, op: &top::LayerNorm) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let mut operands = (0..3).map(|i| operand(context, &mut lowered, i, DType::BF16)).collect::<Result<Vec<_>, _>>()?;
    let [exponent, mantissa] = powers(-0.5, false);
    operands.push(table(context, &mut lowered, "table", exponent));
    operands.push(table(context, &mut lowered, "mantissa_table", mantissa));
    let norm = tpu::LayerNorm { normalized_shape: op.normalized_shape.clone(), axis: op.axis, eps: op.eps };
    lowered.push(norm, operands, context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}
