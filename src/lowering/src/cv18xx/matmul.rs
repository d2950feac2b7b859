//! Matrix product with weights; products of two activations are computed in bf16.

use super::scale::Thresholds;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, matmul};
use crate::quantize::{max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// As for convolutions, with one scale for the whole tensor.
pub(super) fn int8(context: &OpContext, op: &top::MatMul) -> Result<Lowered, LowerError> {
    let (Some(values), false) = (context.weight(1).transpose()?, context.is_weight(0)) else {
        return float::lower(context, context.chip.fallback);
    };
    let bias = bias(context)?;
    let columns = context.result.shape.last().copied().unwrap_or(0);
    if bias.as_ref().is_some_and(|b| b.len() as i64 != columns) {
        return Err(context.unsupported(format!("the bias has {} elements, expected {columns} (columns)", bias.map_or(0, |b| b.len()))));
    }
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let thresholds = Thresholds::of(input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let scale = thresholds.scale(max_abs(&values), bias.as_ref().map(|b| max_abs(b)));

    let mut lowered = Lowered::default();
    let filter = weight(format!("{}_filter_i8", context.name), &context.tensor(1)?.shape, Data::I8(thresholds.weights(&values, scale)));
    let filter = lowered.weight(filter);
    let bias = match bias {
        Some(b) => lowered.weight(weight(format!("{}_bias_int32", context.name), &context.tensor(2)?.shape, Data::I32(thresholds.bias(&b, scale)))),
        None => OperandRef::None,
    };
    let product = tpu::MatMul { multipliers: vec![scale.multiplier], rshifts: vec![scale.rshift], quant_mode: tpu::RequantMode::QDM, ..matmul(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias, OperandRef::None, OperandRef::None];
    lowered.push(product, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
