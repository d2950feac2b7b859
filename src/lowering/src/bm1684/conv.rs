//! Convolution: one right shift for the whole tensor.

use super::shift::{bias_and_shift, right_shift, weights};
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{ConvWeights, conv2d};
use crate::quantize::{max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((sum(w x) + bias) >> rshift)` with `w = round(W 2^rshift s_in / s_out)` and
/// `bias = round(B 2^rshift / s_out)`. In f32 where that would need a shift to the left.
pub(super) fn int8(context: &OpContext, op: &top::Conv) -> Result<Lowered, LowerError> {
    if op.kernel_shape.len() > 2 || !context.is_weight(1) {
        return float::lower(context, context.chip.fallback);
    }
    let parts = ConvWeights::of(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let (input_scale, output_scale) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let rshift = right_shift(max_abs(&parts.largest(context)?), input_scale, output_scale);
    if rshift < 0 {
        return float::lower(context, context.chip.fallback);
    }
    let bias = parts.bias.as_ref().map(|b| bias_and_shift(b, rshift, output_scale));
    let rshift = bias.as_ref().map_or(rshift, |(_, shift)| *shift);

    let mut lowered = Lowered::default();
    let filter = weights(&parts.filter, rshift, input_scale, output_scale);
    let filter = lowered.weight(weight(format!("{}_filter_int8", context.name), &parts.filter_shape, Data::I8(filter)));
    let bias = bias.map(|(bias, _)| lowered.weight(weight(format!("{}_bias_int16", context.name), &[parts.channels as i64], Data::I16(bias))));
    let conv = tpu::Conv2D { with_bias: bias.is_some(), rshift: Some(vec![i64::from(rshift)]), quant_mode: tpu::RequantMode::OnlyShift, ..conv2d(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    lowered.push(conv, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
