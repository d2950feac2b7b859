//! Ops that keep the scale: inputs, reshapes, padding, standalone Relu.

use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{Elem, top, tpu};

/// Network inputs stay float, with their range in the type; their users cast them.
pub(crate) fn input(context: &OpContext, op: &top::Input) -> Result<Lowered, LowerError> {
    let elem = context.tensor(0)?.elem;
    Ok(Lowered::one(op.clone(), vec![OperandRef::Operand { index: 0, elem }], context.name, context.result.clone()))
}

/// In floats where its operand is computed in floats: a cast would be for nothing.
pub(crate) fn reshape(context: &OpContext, op: &top::Reshape) -> Result<Lowered, LowerError> {
    if let Some(dtype) = context.operands.first().map(|o| o.computed).filter(|e| e.scale().is_none()).map(|e| e.storage()) {
        return float::lower(context, dtype);
    }
    let elem = context.shared_elem()?;
    let reshape = tpu::Reshape { shape: op.shape.clone(), flatten_start_dim: op.flatten_start_dim };
    Ok(keep(context, reshape, elem))
}

/// The constant is quantized with the tensor's scale: `round(val / scale)`, within the storage type.
pub(crate) fn pad(context: &OpContext, op: &top::Pad) -> Result<Lowered, LowerError> {
    let elem = context.shared_elem()?;
    let (low, high) = elem.storage().integer_range().unwrap_or((0, 0));
    let val = (op.val / elem.scale().unwrap_or(1.0)).round().clamp(low as f64, high as f64);
    if val.is_nan() {
        return Err(context.unsupported("pads with NaN"));
    }
    Ok(keep(context, tpu::Pad { paddings: op.paddings.clone(), val, mode: op.mode.clone() }, elem))
}

/// Within one scale. An upper limit stays only where saturation does not enforce it already: the result has its
/// input's range, which may reach further (the reference drops the limit then).
pub(crate) fn relu(context: &OpContext, op: &top::Relu) -> Result<Lowered, LowerError> {
    let elem = context.shared_elem()?;
    let reach = elem.scale().unwrap_or(1.0) * elem.storage().integer_range().map_or(0.0, |(_, high)| high as f64);
    let limited = op.relu_limit > 0.0 && op.relu_limit < reach * (1.0 - 1e-6);
    Ok(keep(context, tpu::Relu { relu_limit: if limited { op.relu_limit } else { -1.0 }, ..Default::default() }, elem))
}

fn keep(context: &OpContext, op: impl Into<tpuc_ops::Op>, elem: Elem) -> Lowered {
    Lowered::one(op, vec![OperandRef::Operand { index: 0, elem }], context.name, context.result_type(elem))
}
