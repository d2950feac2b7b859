//! Convolution.

use super::{float_type, operand};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::conv2d;
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// The filter in the type, the bias in f32.
pub(super) fn float(context: &OpContext, op: &top::Conv, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    // The reference's order: biases stand before filters.
    let bias = operand(context, &mut lowered, 2, DType::F32)?;
    let filter = operand(context, &mut lowered, 1, dtype)?;
    let conv = tpu::Conv2D { relu_limit: op.relu_limit, do_winograd: None, with_bias: bias != OperandRef::None, quant_mode: tpu::RequantMode::MultiplierShift, ..conv2d(op) };
    lowered.push(conv, vec![input, filter, bias], context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
