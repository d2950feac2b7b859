//! Transposed convolution: weights and requantization per output channel, as a convolution has them.

use super::scale::Thresholds;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, deconv};
use crate::quantize::{max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((sum(w x) + bias) * multiplier / 2^(31 + rshift))`, rounded twice. The filter has an output channel after the
/// other.
pub(super) fn int8(context: &OpContext, op: &top::Deconv) -> Result<Lowered, LowerError> {
    let Some(filter) = context.weight(1).transpose()?.filter(|_| op.kernel_shape.len() <= 2) else {
        return float::lower(context, context.chip.fallback);
    };
    let biases = bias(context)?;
    let channels = context.result.shape.get(1).copied().unwrap_or(0).max(0) as usize;
    if channels == 0 || filter.is_empty() || filter.len() % channels != 0 || biases.as_ref().is_some_and(|b| b.len() != channels) {
        return Err(context.unsupported(format!("filter {:?} does not fit {channels} output channels", context.tensor(1)?.shape)));
    }
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let thresholds = Thresholds::of(input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let (mut multiplier, mut rshift, mut integers, mut quantized) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (channel, values) in filter.chunks_exact(filter.len() / channels).enumerate() {
        let of_channel = biases.as_ref().map(|b| b[channel]);
        let scale = thresholds.scale(max_abs(values), of_channel.map(f32::abs));
        multiplier.push(scale.multiplier);
        rshift.push(scale.rshift);
        integers.extend(thresholds.weights(values, scale));
        quantized.extend(thresholds.bias(of_channel.as_slice(), scale));
    }
    let mut lowered = Lowered::default();
    let filter = lowered.weight(weight(format!("{}_filter_i8", context.name), &context.tensor(1)?.shape, Data::I8(integers)));
    let shape: Vec<i64> = (0..context.result.shape.len()).map(|d| if d == 1 { channels as i64 } else { 1 }).collect();
    let bias = biases.map(|_| lowered.weight(weight(format!("{}_bias_int32", context.name), &shape, Data::I32(quantized))));
    let form = tpu::Deconv { with_bias: bias.is_some(), multiplier: Some(multiplier), rshift: Some(rshift), quant_mode: tpu::RequantMode::QDM, ..deconv(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    lowered.push(form, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
