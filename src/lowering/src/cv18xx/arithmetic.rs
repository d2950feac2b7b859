//! Arithmetic of tensors and of constants, and LeakyRelu: in 8 bits where both sides are computed, with constant tensors in
//! bf16.

use super::scale::{HighProduct, seven_bits};
use super::table16;
use crate::bm1684x::rescale::within_one_scale;
use crate::error::LowerError;
use crate::float::{elem, operand};
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::{max_abs, to_i8, weight};
use half::bf16;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Op, TensorType, top, tpu};
use tpuc_tensor::{DType, Data};

fn bf16_operand(index: usize) -> OperandRef {
    OperandRef::Operand { index, elem: elem(DType::BF16) }
}

fn any_weight(context: &OpContext) -> bool {
    (0..context.operands.len()).any(|index| context.is_weight(index))
}

/// `y = saturate(x_0 x_1 * multiplier / 2^(31 + rshift))` with that factor `s_0 s_1 / s_out`.
pub(super) fn mul_int8(context: &OpContext, op: &top::Mul) -> Result<Lowered, LowerError> {
    if any_weight(context) || context.operands.len() != 2 {
        return mul_bf16(context, op);
    }
    let (left, right, output) = (context.operand_elem(0)?, context.operand_elem(1)?, context.result_elem()?);
    let scale = |e: &tpuc_ops::Elem| e.scale().unwrap_or(1.0);
    let product = HighProduct::of(scale(&left) * scale(&right) / scale(&output));
    let mul = tpu::Mul { do_relu: op.do_relu, multiplier: product.multiplier as i32, rshift: product.rshift as i32, quant_mode: tpu::RequantMode::QDM, ..Default::default() };
    let operands = vec![OperandRef::Operand { index: 0, elem: left }, OperandRef::Operand { index: 1, elem: right }];
    Ok(Lowered::one(mul, operands, context.name, context.result_type(output)))
}

pub(super) fn mul_bf16(context: &OpContext, op: &top::Mul) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|i| operand(context, &mut lowered, i, DType::BF16)).collect::<Result<_, _>>()?;
    let mul = tpu::Mul { do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: Some(false), ..Default::default() };
    lowered.push(mul, operands, context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

/// A difference is a sum with coefficients of both signs.
pub(super) fn as_sum(op: &top::Sub) -> top::Add {
    let own = |index: usize| op.coeff.as_ref().and_then(|c| c.get(index)).copied().unwrap_or(1.0);
    let sign = if op.is_reverse { -1.0 } else { 1.0 };
    top::Add { do_relu: op.do_relu, relu_limit: op.relu_limit, coeff: Some(vec![sign * own(0), -sign * own(1)]), ..Default::default() }
}

/// `x * (1 / y)` in bf16, the reciprocal by table.
pub(super) fn div_bf16(context: &OpContext, op: &top::Div) -> Result<Lowered, LowerError> {
    if context.operands.len() != 2 {
        return Err(context.unsupported(format!("has {} inputs, expected 2", context.operands.len())));
    }
    let (dividend, divisor) = if op.is_reverse { (1, 0) } else { (0, 1) };
    let mut lowered = Lowered::default();
    let dividend = operand(context, &mut lowered, dividend, DType::BF16)?;
    let source = &context.operands[divisor].name;
    let shape = context.tensor(divisor)?.shape.clone();
    let reciprocal = match context.weight(divisor).transpose()? {
        Some(values) => {
            let inverse = values.iter().map(|v| bf16::from_f32(1.0 / v)).collect();
            lowered.weight(weight(format!("{source}_{}_reciprocal_bf16", context.name), &shape, Data::BF16(inverse)))
        }
        None => {
            let name = format!("{source}_reciprocal");
            let [exponent, mantissa] = table16::powers(-1.0, true);
            let table = |lowered: &mut Lowered, suffix: &str, entries| lowered.weight(weight(format!("{name}_{suffix}_bf16"), &[1, 1, 32, 8], Data::BF16(entries)));
            let operands = vec![bf16_operand(divisor), table(&mut lowered, "pow_table", exponent), table(&mut lowered, "pow_mantissa_table", mantissa)];
            lowered.push(table16::mantissa_lut(), operands, name, TensorType::new(&shape, elem(DType::BF16)))
        }
    };
    let mul = tpu::Mul { do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: Some(false), ..Default::default() };
    lowered.push(mul, vec![dividend, reciprocal], context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

/// `x + c` in bf16, c too.
pub(super) fn add_const_bf16(context: &OpContext, const_val: f64, do_relu: bool, relu_limit: f64) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let constant = Data::BF16(vec![bf16::from_f32(const_val as f32)]);
    let constant = lowered.weight(weight(format!("{0}_{0}_const_val_bf16", context.name), &[1], constant));
    let add = tpu::Add { do_relu, relu_limit, is_scalar: Some(false), ..Default::default() };
    lowered.push(add, vec![bf16_operand(0), constant], context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

/// The larger or smaller of a tensor and a constant of its scale.
pub(super) fn extremum_const(context: &OpContext, op: impl Into<Op>, suffix: &str, const_val: f64) -> Result<Lowered, LowerError> {
    let scale = context.result_elem()?.scale().unwrap_or(1.0);
    let count = context.result.count().max(0) as usize;
    let constant = Data::I8(vec![to_i8(const_val as f32, scale); count]);
    let constant = weight(format!("{}_const_{suffix}", context.name), &context.result.shape, constant);
    let op = op.into();
    within_one_scale(context, Some(constant), |_| op)
}

/// The same in bf16.
pub(super) fn extremum_const_bf16(context: &OpContext, op: impl Into<Op>, suffix: &str, const_val: f64) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let constant = Data::BF16(vec![bf16::from_f32(const_val as f32); context.result.count().max(0) as usize]);
    let constant = lowered.weight(weight(format!("{}_const_{suffix}_bf16", context.name), &context.result.shape, constant));
    lowered.push(op, vec![bf16_operand(0), constant], context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

/// `q * multiplier_neg >> rshift_neg` where q is negative, within one scale.
pub(super) fn leaky_relu(context: &OpContext, op: &top::LeakyRelu) -> Result<Lowered, LowerError> {
    let Some((negative, rshift)) = seven_bits(&[op.alpha]) else {
        return Err(context.unsupported(format!("a slope of {} is nothing in 8 bits", op.alpha)));
    };
    let round_mode = tpu::RoundMode::from_case(&op.round_mode).ok_or_else(|| context.unsupported(format!("unknown round mode '{}'", op.round_mode)))?;
    let leaky = tpu::LeakyRelu {
        alpha: Some(op.alpha),
        multiplier: Some(1),
        rshift: Some(0),
        multiplier_neg: Some(negative[0] as i32),
        rshift_neg: Some(rshift as i32),
        round_mode,
    };
    within_one_scale(context, None, |_| leaky.into())
}

/// Multiplier and shift for what is positive, slopes with one shift for what is negative: both go to the result's scale.
pub(super) fn prelu(context: &OpContext) -> Result<Lowered, LowerError> {
    let slopes = context.weight(1).transpose()?.ok_or_else(|| context.unsupported("the slope is not a weight"))?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let scale = input.scale().unwrap_or(1.0) / output.scale().unwrap_or(1.0);
    let largest = f64::from(max_abs(&slopes)) * scale;
    let (Some((positive, rshift_pos)), (_, rshift)) = (seven_bits(&[scale]), seven_bits(&[largest]).unwrap_or((vec![0], 0))) else {
        return Err(context.unsupported("the scales of input and result are too far apart"));
    };
    let mut lowered = Lowered::default();
    let data = slopes.iter().map(|&s| to_i8(s, (-(rshift as f64)).exp2() / scale)).collect();
    let slope = lowered.weight(weight(format!("{}_slope_i8", context.name), &context.tensor(1)?.shape, Data::I8(data)));
    let prelu = tpu::PReluOp { rshift: rshift as i32, multiplier_pos: Some(positive[0] as i32), rshift_pos: Some(rshift_pos as i32), ..Default::default() };
    lowered.push(prelu, vec![OperandRef::Operand { index: 0, elem: input }, slope], context.name, context.result_type(output));
    Ok(lowered.finish())
}
