//! Arithmetic of a tensor and a constant.

use super::add::seven_bits;
use crate::bm1684x::rescale::within_one_scale;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{Elem, Op, top, tpu};

/// A scale of 1 in 7 bits.
const UNIT: (i32, i32) = (64, 6);

/// `y = (q * multiplier + c) >> rshift` with `multiplier / 2^rshift = s_in / s_out` in 7 bits and `c = round(const 2^rshift / s_out)`.
/// In f32 where that is too large.
pub(super) fn add(context: &OpContext, op: &top::AddConst) -> Result<Lowered, LowerError> {
    let Some(Sum { input, output, multiplier, rshift, const_val }) = Sum::of(context, op.const_val)? else {
        return float::lower(context, context.chip.fallback);
    };
    let add = tpu::AddConst { const_val, do_relu: op.do_relu, multiplier, rshift, ..Default::default() };
    Ok(one(context, add, input, output))
}

/// As [`add`], with the constant taken away; with `is_reverse` the tensor is taken from the constant.
pub(super) fn sub(context: &OpContext, op: &top::SubConst) -> Result<Lowered, LowerError> {
    let Some(Sum { input, output, multiplier, rshift, const_val }) = Sum::of(context, op.const_val)? else {
        return float::lower(context, context.chip.fallback);
    };
    let sub = tpu::SubConst { const_val, is_reverse: op.is_reverse, do_relu: op.do_relu, multiplier, rshift, ..Default::default() };
    Ok(one(context, sub, input, output))
}

/// What a sum with a constant needs.
struct Sum {
    input: Elem,
    output: Elem,
    multiplier: i32,
    rshift: i32,
    /// In units of `s_out / 2^rshift`.
    const_val: f64,
}

impl Sum {
    fn of(context: &OpContext, const_val: f64) -> Result<Option<Sum>, LowerError> {
        let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
        let scale = output.scale().unwrap_or(1.0);
        let fitted = seven_bits(input.scale().unwrap_or(1.0) / scale);
        Ok(fitted.map(|(multiplier, rshift)| {
            let const_val = (const_val / scale * (rshift as f64).exp2()).round();
            Sum { input, output, multiplier: multiplier as i32, rshift: rshift as i32, const_val }
        }))
    }
}

/// `y = q * multiplier >> rshift` with `multiplier / 2^rshift = const s_in / s_out` in 7 bits and a sign. In f32 where that is
/// too large.
pub(super) fn mul(context: &OpContext, op: &top::MulConst) -> Result<Lowered, LowerError> {
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let scale = op.const_val * input.scale().unwrap_or(1.0) / output.scale().unwrap_or(1.0);
    let Some((multiplier, rshift)) = seven_bits(scale.abs()) else {
        return float::lower(context, context.chip.fallback);
    };
    let multiplier = (if scale < 0.0 { -multiplier } else { multiplier }) as i32;
    let mul = tpu::MulConst { const_val: 1.0, do_relu: op.do_relu, multiplier, rshift: rshift as i32, ..Default::default() };
    Ok(one(context, mul, input, output))
}

/// `max(64 q, c) >> 6` with `c = round(64 const / s)`, within one scale.
pub(super) fn max(context: &OpContext, op: &top::MaxConst) -> Result<Lowered, LowerError> {
    within_one_scale(context, None, |elem| {
        let scale = elem.scale().unwrap_or(1.0);
        tpu::MaxConst { const_val: (op.const_val / scale * 64.0).round(), multiplier: UNIT.0, rshift: UNIT.1, ..Default::default() }.into()
    })
}

/// `min(64 q, c) >> 6` with `c = round(64 const / s)`, within one scale.
pub(super) fn min(context: &OpContext, op: &top::MinConst) -> Result<Lowered, LowerError> {
    within_one_scale(context, None, |elem| {
        let scale = elem.scale().unwrap_or(1.0);
        tpu::MinConst { const_val: (op.const_val / scale * 64.0).round(), multiplier: UNIT.0, rshift: UNIT.1, ..Default::default() }.into()
    })
}

fn one(context: &OpContext, op: impl Into<Op>, input: Elem, output: Elem) -> Lowered {
    Lowered::one(op, vec![OperandRef::Operand { index: 0, elem: input }], context.name, context.result_type(output))
}
