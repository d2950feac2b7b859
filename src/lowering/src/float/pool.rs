//! Pooling.

use super::{elem, float_type};
use crate::bm1684x::pool;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(super) fn average(context: &OpContext, op: &top::AvgPool, dtype: DType) -> Result<Lowered, LowerError> {
    Ok(pooled(context, tpu::Pool2D { relu_limit: op.relu_limit, ..pool::average(context, op)? }, dtype))
}

pub(super) fn max(context: &OpContext, op: &top::MaxPool, dtype: DType) -> Result<Lowered, LowerError> {
    Ok(pooled(context, tpu::Pool2D { relu_limit: op.relu_limit, ..pool::maximum(context, op)? }, dtype))
}

fn pooled(context: &OpContext, pool: tpu::Pool2D, dtype: DType) -> Lowered {
    let operand = OperandRef::Operand { index: 0, elem: elem(dtype) };
    Lowered::one(pool::by_dimensions(pool), vec![operand], context.name, float_type(context, dtype))
}
