//! Transposed convolution: integer sums, then one requantization per output channel.

use crate::chip::Chip;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, deconv};
use crate::quantize::{max_abs, to_8_bits, weight};
use tpuc_ops::{Elem, top, tpu};
use tpuc_tensor::round::{MultiplierShift, fit_any};
use tpuc_tensor::{DType, Data};

/// Weights and biases as those of a convolution (what stands between inputs and around them counts as zero point); `RequantIntAxis` has a row for each output channel ([`requant_row`]).
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
    if channels == 0 || filter.is_empty() || filter.len() % channels != 0 || bias.as_ref().is_some_and(|b| b.len() != channels) {
        return Err(context.unsupported(format!("filter {filter_shape:?} does not fit {channels} output channels")));
    }
    let (mut rows, mut integers, mut quantized_bias) = (Vec::new(), Vec::with_capacity(filter.len()), Vec::new());
    for (channel, values) in filter.chunks_exact(filter.len() / channels).enumerate() {
        let scale = f64::from((max_abs(values) / 127.0).max(1e-5));
        let fitted = fit_any((scale * input_scale / output_scale) as f32, 32);
        rows.extend(requant_row(context.chip, fitted, output.zero_point() as i32));
        integers.extend(to_8_bits::<i8>(values, scale));
        let own: i64 = integers[integers.len() - values.len()..].iter().map(|&w: &i8| i64::from(w)).sum();
        let bias = bias.as_ref().map_or(0.0, |b| f64::from(b[channel]) / (scale * input_scale));
        quantized_bias.push((bias - (own * input.zero_point()) as f64).round() as i32);
    }
    let with_bias = bias.is_some() || input.zero_point() != 0;
    let mut lowered = Lowered::default();
    let filter = lowered.weight(weight(format!("{}_filter_i8", context.name), &filter_shape, Data::I8(integers)));
    let ones = |rank: usize| -> Vec<i64> { (0..rank).map(|d| if d == 1 { channels as i64 } else { 1 }).collect() };
    let rank = context.result.shape.len();
    let bias = with_bias.then(|| lowered.weight(weight(format!("{}_bias_int32", context.name), &ones(rank), Data::I32(quantized_bias))));
    let deconv = tpu::Deconv { with_bias, ..deconv(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    let sums = lowered.push(deconv, operands, format!("{}_i32", context.name), context.result_type(Elem::Plain(DType::I32)));
    let quant = lowered.weight(weight(format!("{}_quant_int32", context.name), &[1, channels as i64, 1, rows.len() as i64 / channels as i64], Data::I32(rows)));
    let requant = tpu::RequantIntAxis { quant_mode: tpu::RequantMode::MultiplierShift, ..Default::default() };
    lowered.push(requant, vec![sums, quant], context.name, context.result_type(output));
    Ok(lowered.finish())
}

/// What `RequantIntAxis` reads for a channel: multiplier, -rshift and zero point, the last two in the halves of one word where
/// the chip reads them so.
fn requant_row(chip: &Chip, fitted: MultiplierShift, zero_point: i32) -> Vec<i32> {
    match chip.packs_requant {
        true => vec![fitted.multiplier, zero_point << 16 | -fitted.shift & 0xffff],
        false => vec![fitted.multiplier, -fitted.shift, zero_point],
    }
}
