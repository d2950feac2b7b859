//! Transposed convolution: one right shift for the whole tensor, as a convolution has it.

use super::shift::{bias_and_shift, right_shift, weights};
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, deconv};
use crate::quantize::{max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((sum(w x) + bias) >> rshift)`; in f32 where that would need a shift to the left.
pub(super) fn int8(context: &OpContext, op: &top::Deconv) -> Result<Lowered, LowerError> {
    let Some(filter) = context.weight(1).transpose()?.filter(|_| op.kernel_shape.len() <= 2) else {
        return float::lower(context, context.chip.fallback);
    };
    let bias = bias(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let (input_scale, output_scale) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let rshift = right_shift(max_abs(&filter), input_scale, output_scale);
    if rshift < 0 {
        return float::lower(context, context.chip.fallback);
    }
    let bias = bias.map(|b| bias_and_shift(&b, rshift, output_scale));
    let rshift = bias.as_ref().map_or(rshift, |(_, shift)| *shift);
    let mut lowered = Lowered::default();
    let filter = Data::I8(weights(&filter, rshift, input_scale, output_scale));
    let filter = lowered.weight(weight(format!("{}_filter_int8", context.name), &context.tensor(1)?.shape, filter));
    let bias = bias.map(|(bias, _)| lowered.weight(weight(format!("{}_bias_int16", context.name), &[bias.len() as i64], Data::I16(bias))));
    let form = tpu::Deconv { with_bias: bias.is_some(), multiplier: Some(vec![1]), rshift: Some(vec![i64::from(rshift)]), quant_mode: tpu::RequantMode::OnlyShift, ..deconv(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    lowered.push(form, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
