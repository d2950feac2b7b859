//! Functions of one tensor that are not tables: Abs, LeakyRelu, PRelu; and which functions have no integer or half-float form.

use super::rescale::within_one_scale;
use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use crate::lut;
use crate::quantize::{max_abs, weight};
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Op, top, tpu};
use tpuc_tensor::Data;
use tpuc_tensor::round::fit_any;

/// Whether an op computes in f32 even where half floats are asked for: functions that are sums of series, and quotients.
pub(crate) fn needs_f32(op: &Op, mode: Mode) -> bool {
    match op {
        Op::TopCos(_) | Op::TopCosh(_) | Op::TopElu(_) | Op::TopErf(_) | Op::TopGELU(_) | Op::TopMish(_) | Op::TopPow(_) | Op::TopPow2(_) | Op::TopPow3(_)
        | Op::TopReciprocal(_) | Op::TopRsqrt(_) | Op::TopSigmoid(_) | Op::TopSiLU(_) | Op::TopSin(_) | Op::TopSinh(_) | Op::TopSoftplus(_)
        | Op::TopSoftsign(_) | Op::TopSqrt(_) | Op::TopSwish(_) | Op::TopTan(_) | Op::TopTanh(_) | Op::TopDiv(_) => true,
        Op::TopHardSigmoid(_) => mode != Mode::BF16,
        // Beyond the range of f16.
        Op::TopMulConst(op) => mode != Mode::BF16 && op.const_val.abs() > 65504.0,
        _ => false,
    }
}

/// `|q|` within one scale; with zero points a table (the reference takes the magnitude of the integer, zero point and all).
pub(crate) fn abs(context: &OpContext) -> Result<Lowered, LowerError> {
    if context.asymmetric {
        return lut::int8(context, f64::abs);
    }
    let active = tpu::Active { mode: tpu::ActiveMode::ABSVAL, coeffs: None, scale: None, bias: None, log: None, is_scalar: None };
    within_one_scale(context, None, |_| active.into())
}

/// `q * multiplier >> rshift` where q is negative, with `multiplier / 2^rshift = alpha`, within one scale. With zero points in
/// floats, as the reference.
pub(crate) fn leaky_relu(context: &OpContext, op: &top::LeakyRelu) -> Result<Lowered, LowerError> {
    if context.asymmetric {
        return float::lower(context, context.chip.fallback);
    }
    let fitted = fit_any(op.alpha as f32, 8);
    let unknown = || context.unsupported(format!("unknown round mode '{}'", op.round_mode));
    let round_mode = tpu::RoundMode::from_case(&op.round_mode).ok_or_else(unknown)?;
    let leaky = tpu::LeakyRelu { multiplier: Some(fitted.multiplier), rshift: Some(fitted.shift), round_mode, ..Default::default() };
    within_one_scale(context, None, |_| leaky.into())
}

/// `q * slope >> rshift` where q is negative, within one scale. All slopes share the largest shift with which they fit i8.
/// With zero points in floats, as the reference.
pub(crate) fn prelu(context: &OpContext) -> Result<Lowered, LowerError> {
    if context.asymmetric {
        return float::lower(context, context.chip.fallback);
    }
    let Some(slope) = context.weight(1).transpose()? else {
        return Err(context.unsupported("the slope is not a weight"));
    };
    let rshift = shift_within_7_bits(max_abs(&slope));
    // Fractions are dropped, as in the reference.
    let data = Data::I8(slope.iter().map(|&s| (f64::from(s) * f64::from(rshift).exp2()).trunc() as i8).collect());
    let slope = weight(format!("{}_slope_i8", context.name), &context.tensor(1)?.shape, data);
    within_one_scale(context, Some(slope), |_| tpu::PReluOp { rshift, ..Default::default() }.into())
}

/// How often a number can be doubled without reaching 127; 0 if never, 31 at most.
fn shift_within_7_bits(largest: f32) -> i32 {
    let reaches = (0..=31).find(|&n| f64::from(largest) * f64::from(n).exp2() >= 127.0);
    reaches.map_or(31, |n| (n - 1).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_keep_seven_bits() {
        assert_eq!(shift_within_7_bits(0.25), 8);
        assert_eq!(shift_within_7_bits(1.0), 6);
        assert_eq!(shift_within_7_bits(126.0), 0);
        assert_eq!(shift_within_7_bits(300.0), 0);
        assert_eq!(shift_within_7_bits(0.0), 31);
    }
}
