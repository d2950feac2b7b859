//! Matrix product: fully connected layers in integers, everything else in f32.

use super::shift::{bias_and_shift, right_shift, weights};
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, matmul};
use crate::quantize::{max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;

/// `y = saturate((sum(x w) + bias) >> rshift)`, as for convolutions, for `[M, K] x [K, N]` with weights on the right.
pub(super) fn int8(context: &OpContext, op: &top::MatMul) -> Result<Lowered, LowerError> {
    let (left, right) = (&context.tensor(0)?.shape, &context.tensor(1)?.shape);
    let connects = left.len() == 2 && right.len() == 2 && !op.left_transpose && !op.right_transpose && !op.output_transpose && !op.hdim_is_batch;
    let (Some(values), true, false) = (context.weight(1).transpose()?, connects, context.is_weight(0)) else {
        return float::lower(context, context.chip.fallback);
    };
    let columns = right[1];
    let bias = bias(context)?;
    if bias.as_ref().is_some_and(|b| b.len() as i64 != columns) {
        return Err(context.unsupported(format!("the bias has {} elements, expected {columns} (columns)", bias.map_or(0, |b| b.len()))));
    }
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let (input_scale, output_scale) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let rshift = right_shift(max_abs(&values), input_scale, output_scale).max(0);
    let bias = bias.map(|b| bias_and_shift(&b, rshift, output_scale));
    let rshift = bias.as_ref().map_or(rshift, |(_, shift)| *shift);

    let mut lowered = Lowered::default();
    let values = weights(&values, rshift, input_scale, output_scale);
    let filter = lowered.weight(weight(format!("{}_filter_int8", context.name), right, Data::I8(values)));
    let bias = match bias {
        Some((bias, _)) => lowered.weight(weight(format!("{}_bias_int16", context.name), &context.tensor(2)?.shape, Data::I16(bias))),
        None => OperandRef::None,
    };
    let product = tpu::MatMul { multipliers: vec![1], rshifts: vec![i64::from(rshift)], ..matmul(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias, OperandRef::None, OperandRef::None];
    lowered.push(product, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
