//! Elementwise sum.

use super::{float_type, operand};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(super) fn float(context: &OpContext, op: &top::Add, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|i| operand(context, &mut lowered, i, dtype)).collect::<Result<_, _>>()?;
    let add = tpu::Add { do_relu: op.do_relu, relu_limit: op.relu_limit, coeff: op.coeff.clone(), is_scalar: Some(op.is_scalar), ..Default::default() };
    lowered.push(add, operands, context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
