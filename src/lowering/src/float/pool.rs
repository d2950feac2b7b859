//! Pooling.

use super::{elem, float_type};
use crate::bm1684x::pool::{floor_pads, round_mode};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(super) fn average(context: &OpContext, op: &top::AvgPool, dtype: DType) -> Result<Lowered, LowerError> {
    let pads = floor_pads(context, op.ceil_mode, &op.kernel_shape, &op.strides, &op.pads)?;
    if pads != op.pads && op.count_include_pad {
        return Err(context.unsupported("ceil_mode with count_include_pad has windows of different divisors"));
    }
    let pool = tpu::Pool2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads,
        pool_mode: tpu::PoolMode::Avg,
        is_adaptive: op.is_adaptive,
        keepdims: op.keepdims,
        pad_value: op.pad_value,
        count_include_pad: op.count_include_pad,
        do_relu: op.do_relu,
        relu_limit: op.relu_limit,
        round_mode: round_mode(context, &op.round_mode)?,
        first_round_mode: round_mode(context, &op.first_round_mode)?,
        ..Default::default()
    };
    Ok(pooled(context, pool, dtype))
}

pub(super) fn max(context: &OpContext, op: &top::MaxPool, dtype: DType) -> Result<Lowered, LowerError> {
    let pool = tpu::Pool2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads: floor_pads(context, op.ceil_mode, &op.kernel_shape, &op.strides, &op.pads)?,
        pool_mode: tpu::PoolMode::Max,
        is_adaptive: op.is_adaptive,
        keepdims: op.keepdims,
        pad_value: op.pad_value,
        count_include_pad: op.count_include_pad,
        do_relu: op.do_relu,
        relu_limit: op.relu_limit,
        round_mode: round_mode(context, &op.round_mode)?,
        first_round_mode: round_mode(context, &op.first_round_mode)?,
        ..Default::default()
    };
    Ok(pooled(context, pool, dtype))
}

fn pooled(context: &OpContext, pool: tpu::Pool2D, dtype: DType) -> Lowered {
    let operand = OperandRef::Operand { index: 0, elem: elem(dtype) };
    Lowered::one(pool, vec![operand], context.name, float_type(context, dtype))
}
