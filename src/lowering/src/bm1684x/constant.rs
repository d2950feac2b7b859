//! Arithmetic of a tensor and a constant.

use super::rescale::within_one_scale;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{Elem, Op, top, tpu};
use tpuc_tensor::round::{MultiplierShift, fit_any, fit_positive};

/// With zero points in floats, as the reference; else `y = (q * multiplier + c) >> rshift` with `multiplier / 2^rshift = s_in / s_out` and `c = round(const / s_out) << rshift`.
pub(crate) fn add(context: &OpContext, op: &top::AddConst) -> Result<Lowered, LowerError> {
    if context.asymmetric {
        return float::lower(context, context.chip.fallback);
    }
    let (input, output, fitted, const_val) = sum(context, op.const_val)?;
    let add = tpu::AddConst { const_val, do_relu: op.do_relu, multiplier: fitted.multiplier, rshift: fitted.shift, is_scalar: Some(op.is_scalar), ..Default::default() };
    Ok(one(context, add, input, output))
}

/// As [`add`], with the constant taken away; with `is_reverse` the tensor is taken from the constant. The input's zero point is taken
/// away with the constant.
pub(crate) fn sub(context: &OpContext, op: &top::SubConst) -> Result<Lowered, LowerError> {
    let (input, output, fitted, const_val) = sum(context, op.const_val)?;
    let sub = tpu::SubConst {
        const_val: const_val + (input.zero_point() * i64::from(fitted.multiplier)) as f64,
        is_reverse: op.is_reverse,
        do_relu: op.do_relu,
        multiplier: fitted.multiplier,
        rshift: fitted.shift,
        is_scalar: Some(op.is_scalar),
        ..Default::default()
    };
    Ok(one(context, sub, input, output))
}

/// Types, multiplier and shift, and the constant in units of `s_out / 2^rshift`.
fn sum(context: &OpContext, const_val: f64) -> Result<(Elem, Elem, MultiplierShift, f64), LowerError> {
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let scale = output.scale().unwrap_or(1.0);
    let fitted = fit_positive((input.scale().unwrap_or(1.0) / scale) as f32, 8);
    Ok((input, output, fitted, (const_val / scale).round() * f64::from(fitted.shift).exp2()))
}

/// `y = q * multiplier >> rshift` with `multiplier / 2^rshift = const s_in / s_out` in 8 bits.
pub(crate) fn mul(context: &OpContext, op: &top::MulConst) -> Result<Lowered, LowerError> {
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let fitted = fit_any((input.scale().unwrap_or(1.0) / output.scale().unwrap_or(1.0) * op.const_val) as f32, 8);
    let shift = tpu::MulShift {
        multiplier: fitted.multiplier,
        rshift: fitted.shift,
        const_val: Some(op.const_val),
        do_relu: Some(op.do_relu),
        relu_limit: Some(-1.0),
        is_scalar: Some(op.is_scalar),
    };
    Ok(one(context, shift, input, output))
}

/// `max(q - z, c) + z` with `c = round(const / s)`, within one scale of zero point z (which the reference forgets).
pub(crate) fn max(context: &OpContext, op: &top::MaxConst) -> Result<Lowered, LowerError> {
    within_one_scale(context, None, |elem| tpu::MaxConst { const_val: constant(op.const_val, &elem), is_scalar: Some(op.is_scalar), ..Default::default() }.into())
}

/// `min(q - z, c) + z` as in [`max`], within one scale.
pub(crate) fn min(context: &OpContext, op: &top::MinConst) -> Result<Lowered, LowerError> {
    within_one_scale(context, None, |elem| tpu::MinConst { const_val: constant(op.const_val, &elem), is_scalar: Some(op.is_scalar), ..Default::default() }.into())
}

/// `round(const / s)`. Not saturated: a limit beyond the integers limits nothing.
fn constant(value: f64, elem: &Elem) -> f64 {
    (value / elem.scale().unwrap_or(1.0)).round()
}

fn one(context: &OpContext, op: impl Into<Op>, input: Elem, output: Elem) -> Lowered {
    Lowered::one(op, vec![OperandRef::Operand { index: 0, elem: input }], context.name, context.result_type(output))
}
