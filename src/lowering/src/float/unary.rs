//! Functions of one tensor, and arithmetic with a constant.

use super::{elem, float_type};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::tpu::ActiveMode;
use tpuc_ops::{Op, tpu};
use tpuc_tensor::DType;

/// The op of the Tpu dialect that computes the same in floats, if it is one.
fn counterpart(context: &OpContext) -> Result<Option<Op>, LowerError> {
    let round_mode = |word: &str| tpu::RoundMode::from_case(word).ok_or_else(|| context.unsupported(format!("unknown round mode '{word}'")));
    Ok(Some(match context.op {
        Op::TopLeakyRelu(op) => tpu::LeakyRelu { alpha: Some(op.alpha), round_mode: round_mode(&op.round_mode)?, ..Default::default() }.into(),
        Op::TopReciprocal(op) => tpu::Reciprocal { const_val: op.const_val, do_relu: op.do_relu, relu_limit: op.relu_limit }.into(),
        Op::TopClip(op) => tpu::Clip { min: op.min, max: op.max }.into(),
        Op::TopAddConst(op) => {
            tpu::AddConst { const_val: op.const_val, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: Some(op.is_scalar), ..Default::default() }.into()
        }
        Op::TopSubConst(op) => {
            let (do_relu, relu_limit) = (op.do_relu, op.relu_limit);
            tpu::SubConst { const_val: op.const_val, is_reverse: op.is_reverse, do_relu, relu_limit, is_scalar: Some(op.is_scalar), ..Default::default() }.into()
        }
        Op::TopMulConst(op) => {
            tpu::MulConst { const_val: op.const_val, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: Some(op.is_scalar), ..Default::default() }.into()
        }
        Op::TopMaxConst(op) => tpu::MaxConst { const_val: op.const_val, is_scalar: Some(op.is_scalar), ..Default::default() }.into(),
        Op::TopMinConst(op) => tpu::MinConst { const_val: op.const_val, is_scalar: Some(op.is_scalar), ..Default::default() }.into(),
        Op::TopCompareConst(op) => {
            tpu::CompareConst { mode: op.mode.clone(), const_val: op.const_val, inversed: op.inversed, is_scalar: Some(op.is_scalar) }.into()
        }
        op => return Ok(active(op).map(Op::from)),
    }))
}

pub(super) fn plain(mode: ActiveMode) -> tpu::Active {
    tpu::Active { mode, coeffs: None, scale: None, bias: None, log: None, is_scalar: None }
}

fn active(op: &Op) -> Option<tpu::Active> {
    Some(match op {
        Op::TopAbs(_) => plain(ActiveMode::ABSVAL),
        Op::TopCeil(_) => plain(ActiveMode::CEIL),
        Op::TopCos(_) => plain(ActiveMode::COS),
        Op::TopCosh(_) => plain(ActiveMode::COSH),
        Op::TopElu(op) => tpu::Active { coeffs: Some(vec![op.alpha]), ..plain(ActiveMode::ELU) },
        Op::TopErf(_) => plain(ActiveMode::ERF),
        Op::TopExp(_) => plain(ActiveMode::EXP),
        Op::TopFloor(op) => tpu::Active { is_scalar: Some(op.is_scalar), ..plain(ActiveMode::FLOOR) },
        Op::TopGELU(op) => plain(match op.approx_mode.as_str() {
            "tanh" => ActiveMode::TGELU,
            "sigm" => ActiveMode::QGELU,
            _ => ActiveMode::GELU,
        }),
        Op::TopHardSigmoid(op) => tpu::Active { coeffs: Some(vec![op.beta, op.alpha]), ..plain(ActiveMode::HSIGMOID) },
        Op::TopHardSwish(_) => plain(ActiveMode::HSWISH),
        Op::TopLog(_) => plain(ActiveMode::LN),
        Op::TopMish(_) => plain(ActiveMode::MISH),
        Op::TopRound(_) => plain(ActiveMode::ROUND),
        Op::TopRsqrt(_) => plain(ActiveMode::RSQRT),
        Op::TopSigmoid(op) => {
            let mode = if op.log { ActiveMode::LOG_SIGMOID } else { ActiveMode::SIGMOID };
            tpu::Active { scale: Some(op.scale), bias: Some(op.bias), log: Some(op.log), ..plain(mode) }
        }
        Op::TopSign(_) => plain(ActiveMode::SIGN),
        Op::TopSiLU(_) => plain(ActiveMode::SILU),
        Op::TopSin(_) => plain(ActiveMode::SIN),
        Op::TopSinh(_) => plain(ActiveMode::SINH),
        Op::TopSoftplus(_) => plain(ActiveMode::SOFT_PLUS),
        Op::TopSoftsign(_) => plain(ActiveMode::SOFT_SIGN),
        Op::TopSqrt(_) => plain(ActiveMode::SQRT),
        Op::TopSwish(op) => tpu::Active { coeffs: Some(vec![op.beta]), ..plain(ActiveMode::SWISH) },
        Op::TopTan(_) => plain(ActiveMode::TAN),
        Op::TopTanh(_) => plain(ActiveMode::TANH),
        _ => return None,
    })
}

/// One op, in and out in the type.
pub(super) fn float(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let Some(op) = counterpart(context)? else { return Err(context.unsupported("has no float form")) };
    let operand = OperandRef::Operand { index: 0, elem: elem(dtype) };
    Ok(Lowered::one(op, vec![operand], context.name, float_type(context, dtype)))
}
