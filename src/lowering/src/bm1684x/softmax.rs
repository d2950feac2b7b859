//! Softmax over channels through a table of exponentials.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::weight;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{TensorType, top, tpu};
use tpuc_tensor::Data;

/// Whether there is an integer form: over axis 1 of at most four dimensions, and not its logarithm.
pub(super) fn is_integer(context: &OpContext, op: &top::Softmax) -> bool {
    let rank = context.operands.first().and_then(|o| o.ty.tensor()).map_or(0, |t| t.shape.len()) as i64;
    let axis = if op.axis < 0 { i64::from(op.axis) + rank } else { i64::from(op.axis) };
    axis == 1 && rank <= 4 && !op.log
}

/// `p = table[max - x] / (sum * s_out)` with `table[d] = exp(-beta s_in d)` in f32, over axis 1 of four dimensions;
/// tensors of fewer dimensions are reshaped around it.
pub(super) fn int8(context: &OpContext, op: &top::Softmax) -> Result<Lowered, LowerError> {
    let input_type = context.tensor(0)?;
    let rank = input_type.shape.len();
    let round_mode = tpu::RoundMode::from_case(&op.round_mode).ok_or_else(|| context.unsupported(format!("unknown round mode '{}'", op.round_mode)))?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let scale = input.scale().unwrap_or(1.0);
    let table = (0..256).map(|d| (-scale * f64::from(d) * op.beta).exp() as f32).collect();

    let mut lowered = Lowered::default();
    let table = lowered.weight(weight(format!("{}_table", context.name), &[1, 1, 1, 256], Data::F32(table)));
    let softmax = tpu::Softmax { axis: 1, beta: op.beta, round_mode, ..Default::default() };
    let operands = |input| vec![input, table, OperandRef::None, OperandRef::None, OperandRef::None, OperandRef::None];
    let input_ref = OperandRef::Operand { index: 0, elem: input };
    if rank == 4 {
        lowered.push(softmax, operands(input_ref), context.name, context.result_type(output));
        return Ok(lowered.finish());
    }
    let mut shape = input_type.shape.clone();
    shape.resize(4, 1);
    // The helpers' shape is that of their result type.
    let reshape = tpu::Reshape { shape: Some(vec![]), flatten_start_dim: -1 };
    let wide = lowered.push(reshape.clone(), vec![input_ref], format!("{}_reshape", context.operands[0].name), TensorType::new(&shape, input));
    let softmax = lowered.push(softmax, operands(wide), format!("{}__softmax", context.name), TensorType::new(&shape, output));
    lowered.push(reshape, vec![softmax], format!("{}__softmax_reshape", context.name), context.result_type(output));
    Ok(lowered.finish())
}
