//! Transposed convolution: integer sums, then one requantization per output channel.

use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, deconv};
use crate::quantize::{max_abs, to_i8, to_i32, weight};
use tpuc_ops::{Elem, top, tpu};
use tpuc_tensor::round::fit_any;
use tpuc_tensor::{DType, Data};

/// Weights as those of a convolution; `RequantIntAxis` has a row `[multiplier, -rshift, zero point]` for each output channel.
/// Of three spatial dimensions: in floats.
pub(super) fn int8(context: &OpContext, op: &top::Deconv) -> Result<Lowered, LowerError> {
    let Some(filter) = context.weight(1).transpose()?.filter(|_| op.kernel_shape.len() <= 2) else {
        return float::lower(context, DType::F32);
    };
    let bias = bias(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let (input_scale, output_scale) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let filter_shape = context.tensor(1)?.shape.clone();
    let channels = context.result.shape.get(1).copied().unwrap_or(0).max(0) as usize;
    if channels == 0 || filter.is_empty() || bias.as_ref().is_some_and(|b| b.len() != channels) {
        return Err(context.unsupported(format!("filter {filter_shape:?} does not fit {channels} output channels")));
    }
    // The filter is [output channels of a group, input channels of all groups, taps].
    let group = op.group.max(1) as usize;
    let inputs = filter_shape.get(1).copied().unwrap_or(0).max(0) as usize;
    let taps = filter.len() / inputs.max(1) / filter_shape[0].max(1) as usize;
    if inputs % group != 0 || channels % group != 0 || (channels / group) * inputs * taps != filter.len() {
        return Err(context.unsupported(format!("filter {filter_shape:?} does not fit {channels} output channels in {group} groups")));
    }
    let (mut rows, mut integers, mut quantized_bias) = (Vec::new(), vec![0i8; filter.len()], Vec::new());
    for channel in 0..channels {
        let (part, within) = (inputs / group, channel % (channels / group));
        let first = (within * inputs + channel / (channels / group) * part) * taps;
        let span = first..first + part * taps;
        let scale = f64::from((max_abs(&filter[span.clone()]) / 127.0).max(1e-5));
        let fitted = fit_any((scale * input_scale / output_scale) as f32, 32);
        rows.extend([fitted.multiplier, -fitted.shift, 0]);
        integers[span.clone()].iter_mut().zip(&filter[span]).for_each(|(q, &w)| *q = to_i8(w, scale));
        if let Some(bias) = &bias {
            quantized_bias.push(to_i32(bias[channel], scale * input_scale));
        }
    }
    let mut lowered = Lowered::default();
    let filter = lowered.weight(weight(format!("{}_filter_i8", context.name), &filter_shape, Data::I8(integers)));
    let ones = |rank: usize| -> Vec<i64> { (0..rank).map(|d| if d == 1 { channels as i64 } else { 1 }).collect() };
    let rank = context.result.shape.len();
    let bias = bias.map(|_| lowered.weight(weight(format!("{}_bias_int32", context.name), &ones(rank), Data::I32(quantized_bias))));
    let deconv = tpu::Deconv { with_bias: bias.is_some(), ..deconv(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    let sums = lowered.push(deconv, operands, format!("{}_i32", context.name), context.result_type(Elem::Plain(DType::I32)));
    let quant = lowered.weight(weight(format!("{}_quant_int32", context.name), &[1, channels as i64, 1, 3], Data::I32(rows)));
    let requant = tpu::RequantIntAxis { quant_mode: tpu::RequantMode::MultiplierShift, ..Default::default() };
    lowered.push(requant, vec![sums, quant], context.name, context.result_type(output));
    Ok(lowered.finish())
}
