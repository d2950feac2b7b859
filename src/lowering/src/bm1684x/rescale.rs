//! Operands in the type of the result, for ops that compare or pass integers as they are.

use crate::chip::Family;
use crate::cv18xx::scale::seven_bits;
use crate::error::LowerError;
use crate::lowered::{Lowered, NewWeight, OpContext, OperandRef};
use crate::quantize::{integer_of, weight};
use tpuc_ops::{Elem, Op, TensorType, tpu};
use tpuc_tensor::round::fit_positive;
use tpuc_tensor::{DType, Data};

/// An operand as integers of type `to`. A constant is quantized with its scale; a value of another scale or sign goes through
/// a MulShift (RequantInt, where integers have zero points) named `<operand>_to_<layer>` with `multiplier / 2^rshift = s_in / s_to` in 8 bits.
pub(crate) fn rescaled(context: &OpContext, lowered: &mut Lowered, index: usize, to: Elem) -> Result<OperandRef, LowerError> {
    let scale = to.scale().unwrap_or(1.0);
    let operand = &context.operands[index];
    let shape = &context.tensor(index)?.shape;
    if let Some(values) = context.weight(index).transpose()? {
        let integers = values.iter().map(|&v| integer_of(f64::from(v), &to));
        let quantized = match to.storage() {
            DType::I8 => weight(format!("{}_{}_i8", operand.name, context.name), shape, Data::I8(integers.map(|v| v as i8).collect())),
            _ => weight(format!("{}_{}_u8", operand.name, context.name), shape, Data::U8(integers.map(|v| v as u8).collect())),
        };
        return Ok(lowered.weight(quantized));
    }
    let from = context.operand_elem(index)?;
    if from.scale() == Some(scale) && from.storage() == to.storage() && from.zero_point() == to.zero_point() {
        return Ok(OperandRef::Operand { index, elem: from });
    }
    let (multiplier, rshift) = fitted(context, from.scale().unwrap_or(1.0) / scale)?;
    if context.asymmetric {
        // As the reference: the op that has a zero point on either side.
        let requant = tpu::RequantInt { multiplier, rshift, quant_mode: tpu::RequantMode::MultiplierShift, round_mode: tpu::RoundMode::HalfAwayFromZero };
        return Ok(lowered.push_behind(index, from, requant, format!("{}_to_{}", operand.name, context.name), TensorType::new(shape, to)));
    }
    let shift = tpu::MulShift { multiplier, rshift, const_val: None, do_relu: None, relu_limit: None, is_scalar: None };
    Ok(lowered.push_behind(index, from, shift, format!("{}_to_{}", operand.name, context.name), TensorType::new(shape, to)))
}

/// Multiplier and shift of a scale in 8 bits: the nearest, or on CV18xx the largest of 7 bits, towards zero.
fn fitted(context: &OpContext, scale: f64) -> Result<(i32, i32), LowerError> {
    if context.chip.family != Family::Cv18xx {
        let fitted = fit_positive(scale as f32, 8);
        return Ok((fitted.multiplier, fitted.shift));
    }
    match seven_bits(&[scale]) {
        // Beyond 127 every integer but 0 saturates, with 127 too.
        Some((multipliers, rshift)) => Ok((multipliers[0].min(127) as i32, rshift as i32)),
        None => Err(context.unsupported(format!("a value reaches {scale} times as far as the result"))),
    }
}

/// An op whose result has the scale of operand 0, which is brought to it where ranges differ. `op` gets the type.
pub(crate) fn within_one_scale(context: &OpContext, second: Option<NewWeight>, op: impl FnOnce(Elem) -> Op) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let mut lowered = Lowered::default();
    let mut operands = vec![rescaled(context, &mut lowered, 0, output)?];
    if let Some(second) = second {
        operands.push(lowered.weight(second));
    }
    lowered.push(op(output), operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
