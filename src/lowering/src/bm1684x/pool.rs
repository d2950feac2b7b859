//! Pooling: maxima need no arithmetic, means a multiplier and a shift.

use super::rescale::within_one_scale;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Elem, Op, top, tpu};
use tpuc_tensor::DType;
use tpuc_tensor::round::fit_any;

/// `y = saturate(sum * multiplier >> rshift)` with `multiplier / 2^rshift = s_in / (s_out kh kw)` in 8 bits. Where taps
/// fall on padding that does not count, the sum is the rounded mean of the others times `kh kw`.
pub(crate) fn average_int8(context: &OpContext, op: &top::AvgPool) -> Result<Lowered, LowerError> {
    // As in the reference.
    if op.is_adaptive {
        return float::lower(context, DType::F32);
    }
    one_or_two_dimensions(context, &op.kernel_shape)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let taps = op.kernel_shape.iter().product::<i64>() as f64;
    if context.asymmetric {
        return average_asymmetric(context, op, input, output, taps);
    }
    let fitted = fit_any((input.scale().unwrap_or(1.0) / (output.scale().unwrap_or(1.0) * taps)) as f32, 8);
    let pool = tpu::Pool2D { multiplier: Some(fitted.multiplier), rshift: Some(fitted.shift), ..average(context, op)? };
    let operand = OperandRef::Operand { index: 0, elem: input };
    Ok(Lowered::one(by_dimensions(pool), vec![operand], context.name, context.result_type(output)))
}

/// `y = saturate(round(sum * scale + offset))` with `scale = s_in / (s_out kh kw)` and `offset = z_out - z_in s_in / s_out`; padding that
/// counts is z_in. Where windows do not reach the end of the padding: in f32, as the reference.
fn average_asymmetric(context: &OpContext, op: &top::AvgPool, input: Elem, output: Elem, taps: f64) -> Result<Lowered, LowerError> {
    if !ends_meet(context, op)? {
        return float::lower(context, DType::F32);
    }
    let (from, to) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let (scale, offset) = (from / (to * taps), output.zero_point() as f64 - from / to * input.zero_point() as f64);
    let pool = tpu::Pool2D { scale: Some(scale), offset: Some(offset), ..average(context, op)? };
    Ok(Lowered::one(by_dimensions(pool), vec![OperandRef::Operand { index: 0, elem: input }], context.name, context.result_type(output)))
}

/// Whether the last windows end where the padding does.
fn ends_meet(context: &OpContext, op: &top::AvgPool) -> Result<bool, LowerError> {
    let input = &context.tensor(0)?.shape;
    let pads = floor_pads(context, op.ceil_mode, &op.kernel_shape, &op.strides, &op.pads)?;
    let spatial = op.kernel_shape.len();
    let (Some(first), true) = (input.len().checked_sub(spatial), pads.len() == 2 * spatial && op.strides.len() == spatial) else { return Ok(true) };
    Ok((0..spatial).all(|d| op.strides[d] < 1 || (input[first + d] + pads[d] + pads[d + spatial] - op.kernel_shape[d]) % op.strides[d] == 0))
}

/// The maximum of the integers, in the scale of the result.
pub(crate) fn max_int8(context: &OpContext, op: &top::MaxPool) -> Result<Lowered, LowerError> {
    one_or_two_dimensions(context, &op.kernel_shape)?;
    let pool = by_dimensions(maximum(context, op)?);
    let Some(elem) = context.shared_elem()? else { return within_one_scale(context, None, |_| pool) };
    let operand = OperandRef::Operand { index: 0, elem: context.operand_elem(0)? };
    Ok(Lowered::one(pool, vec![operand], context.name, context.result_type(elem)))
}

fn one_or_two_dimensions(context: &OpContext, kernel: &[i64]) -> Result<(), LowerError> {
    match kernel.len() {
        1 | 2 => Ok(()),
        spatial => Err(context.unsupported(format!("has {spatial} spatial dimensions, expected 1 or 2"))),
    }
}

/// The op for the dimensions of its windows.
pub(crate) fn by_dimensions(pool: tpu::Pool2D) -> Op {
    if pool.kernel_shape.len() == 1 { tpu::Pool1D::from(pool).into() } else { pool.into() }
}

/// A mean with the geometry of the Top op. An error where windows would have divisors of their own.
pub(crate) fn average(context: &OpContext, op: &top::AvgPool) -> Result<tpu::Pool2D, LowerError> {
    let pads = floor_pads(context, op.ceil_mode, &op.kernel_shape, &op.strides, &op.pads)?;
    if pads != op.pads && op.count_include_pad {
        return Err(context.unsupported("ceil_mode with count_include_pad has windows of different divisors"));
    }
    Ok(tpu::Pool2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads,
        pool_mode: tpu::PoolMode::Avg,
        is_adaptive: op.is_adaptive,
        keepdims: op.keepdims,
        pad_value: op.pad_value,
        count_include_pad: op.count_include_pad,
        do_relu: op.do_relu,
        round_mode: round_mode(context, &op.round_mode)?,
        first_round_mode: round_mode(context, &op.first_round_mode)?,
        ..Default::default()
    })
}

/// A maximum with the geometry of the Top op.
pub(crate) fn maximum(context: &OpContext, op: &top::MaxPool) -> Result<tpu::Pool2D, LowerError> {
    Ok(tpu::Pool2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads: floor_pads(context, op.ceil_mode, &op.kernel_shape, &op.strides, &op.pads)?,
        pool_mode: tpu::PoolMode::Max,
        is_adaptive: op.is_adaptive,
        keepdims: op.keepdims,
        pad_value: op.pad_value,
        count_include_pad: op.count_include_pad,
        do_relu: op.do_relu,
        round_mode: round_mode(context, &op.round_mode)?,
        first_round_mode: round_mode(context, &op.first_round_mode)?,
        ..Default::default()
    })
}

/// Padding with which the floor of the division gives the result's size: `ceil_mode` is not known below Top.
fn floor_pads(context: &OpContext, ceil: Option<bool>, kernel: &[i64], strides: &[i64], pads: &[i64]) -> Result<Vec<i64>, LowerError> {
    let input = &context.tensor(0)?.shape;
    let mut pads = pads.to_vec();
    let spatial = kernel.len();
    if ceil != Some(true) || pads.len() != 2 * spatial || strides.len() != spatial || input.len() < spatial {
        return Ok(pads);
    }
    for d in 0..spatial {
        let size = input[input.len() - spatial + d];
        let span = size + pads[d] + pads[d + spatial] - kernel[d];
        if strides[d] > 0 && span > 0 {
            pads[d + spatial] += (strides[d] - span % strides[d]) % strides[d];
        }
    }
    Ok(pads)
}

pub(crate) fn round_mode(context: &OpContext, word: &str) -> Result<tpu::RoundMode, LowerError> {
    let unknown = || context.unsupported(format!("unknown round mode '{word}', expected one of {}", tpu::RoundMode::CASES.join(", ")));
    tpu::RoundMode::from_case(word).ok_or_else(unknown)
}
