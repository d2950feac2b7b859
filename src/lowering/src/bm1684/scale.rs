//! A factor and an offset per channel.

use super::shift::right_shift;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::bias;
use crate::quantize::weight;
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((q scale + bias) >> rshift)` per channel, with `scale = round(S 2^rshift s_in / s_out)` and
/// `bias = round(B 2^rshift / s_out + 2^(rshift-1))`: the half of the rounding is in the bias. The shift, which the
/// weights have negative, is the largest with which both fit.
pub(super) fn int8(context: &OpContext, op: &top::Scale) -> Result<Lowered, LowerError> {
    let (Some(factors), Some(&channels)) = (context.weight(1).transpose()?, context.tensor(0)?.shape.get(1)) else {
        return float::lower(context, context.chip.fallback);
    };
    let channels = channels.max(0) as usize;
    let offsets = bias(context)?.unwrap_or_else(|| vec![0.0; channels].into());
    if factors.len() != channels || offsets.len() != channels {
        return Err(context.unsupported(format!("has {} factors and {} offsets, expected {channels} (channels)", factors.len(), offsets.len())));
    }
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let (input_scale, output_scale) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let (mut scales, mut biases, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
    for (&factor, &offset) in factors.iter().zip(offsets.iter()) {
        let bias = |shift: i32| (f64::from(offset) / output_scale * f64::from(shift).exp2() + (f64::from(shift).exp2() / 2.0).floor()).round();
        let mut shift = right_shift(factor.abs(), input_scale, output_scale).clamp(0, 15);
        while shift > 0 && !(-32768.0..=32767.0).contains(&bias(shift)) {
            shift -= 1;
        }
        scales.push((f64::from(factor) * input_scale / output_scale * f64::from(shift).exp2()).round() as i8);
        biases.push(bias(shift) as i16);
        shifts.push(-shift as i8);
    }
    let mut lowered = Lowered::default();
    let shape = &context.tensor(1)?.shape;
    let mut parameter = |suffix: &str, data: Data| lowered.weight(weight(format!("{}_{suffix}", context.name), shape, data));
    let scale = parameter("scale_int8", Data::I8(scales));
    let bias = parameter("bias_int16", Data::I16(biases));
    let lshift = parameter("lshift_i8", Data::I8(shifts));
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, scale, bias, lshift];
    lowered.push(tpu::Scale { do_relu: op.do_relu, ..Default::default() }, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
