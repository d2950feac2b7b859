//! Convolution.

use super::{float_type, operand};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// The filter in the type, the bias in f32.
pub(super) fn float(context: &OpContext, op: &top::Conv, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    // The reference's order: biases stand before filters.
    let bias = operand(context, &mut lowered, 2, DType::F32)?;
    let filter = operand(context, &mut lowered, 1, dtype)?;
    let conv = tpu::Conv2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads: op.pads.clone(),
        group: op.group,
        dilations: op.dilations.clone(),
        inserts: op.inserts.clone(),
        do_relu: op.do_relu,
        relu_limit: op.relu_limit,
        with_bias: bias != OperandRef::None,
        dynweight_reorderd: op.dynweight_reorderd,
        weight_is_coeff: op.weight_is_coeff,
        quant_mode: tpu::RequantMode::MultiplierShift,
        round_mode: tpu::RoundMode::HalfUp,
        ..Default::default()
    };
    lowered.push(conv, vec![input, filter, bias], context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
