//! Convolution: weights and requantization per output channel.

use super::scale::Thresholds;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{ConvWeights, conv2d};
use crate::quantize::weight;
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((sum(w x) + bias) * multiplier / 2^(31 + rshift))`, rounded twice.
pub(super) fn int8(context: &OpContext, op: &top::Conv) -> Result<Lowered, LowerError> {
    if op.kernel_shape.len() > 2 || !context.is_weight(1) {
        return float::lower(context, context.chip.fallback);
    }
    let parts = ConvWeights::of(context)?;
    let largest = parts.largest(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let thresholds = Thresholds::of(input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let (mut multiplier, mut rshift) = (Vec::new(), Vec::new());
    let (mut filter, mut bias) = (Vec::new(), Vec::new());
    for (channel, values) in parts.by_channel().enumerate() {
        let of_channel = parts.bias.as_ref().map(|b| b[channel]);
        let scale = thresholds.scale(largest[channel], of_channel.map(f32::abs));
        multiplier.push(scale.multiplier);
        rshift.push(scale.rshift);
        filter.extend(thresholds.weights(values, scale));
        bias.extend(thresholds.bias(of_channel.as_slice(), scale));
    }

    let mut lowered = Lowered::default();
    let filter = lowered.weight(weight(format!("{}_filter_i8", context.name), &parts.filter_shape, Data::I8(filter)));
    let shape: Vec<i64> = (0..context.result.shape.len()).map(|d| if d == 1 { parts.channels as i64 } else { 1 }).collect();
    let bias = parts.bias.map(|_| lowered.weight(weight(format!("{}_bias_int32", context.name), &shape, Data::I32(bias))));
    let conv = tpu::Conv2D { with_bias: bias.is_some(), multiplier: Some(multiplier), rshift: Some(rshift), quant_mode: tpu::RequantMode::QDM, ..conv2d(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    lowered.push(conv, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
