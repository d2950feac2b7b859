//! Reductions of integers: means and sums with a multiplier and a shift, extrema within one scale.

use super::scale::seven_bits;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::structure;
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// `y = saturate(sum * multiplier >> rshift)` with `multiplier / 2^rshift = s_in / s_out`, over the number of elements of a mean.
pub(super) fn int8(context: &OpContext, op: &top::Reduce) -> Result<Lowered, LowerError> {
    let shape = &context.tensor(0)?.shape;
    let rank = shape.len() as i64;
    let count: i64 = op.axes.iter().filter_map(|&a| shape.get(usize::try_from(if a < 0 { a + rank } else { a }).ok()?)).product();
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let scale = input.scale().unwrap_or(1.0) / output.scale().unwrap_or(1.0);
    let fitted = match op.mode.as_str() {
        "ReduceMean" => seven_bits(&[scale / count.max(1) as f64]),
        "ReduceSum" => seven_bits(&[scale]),
        _ => None,
    };
    let Some((multiplier, rshift)) = fitted else { return float::lower(context, DType::BF16) };
    let form = tpu::Reduce {
        axes: op.axes.clone(),
        keepdims: op.keepdims,
        mode: op.mode.clone(),
        is_scalar: Some(op.is_scalar),
        multiplier: Some(multiplier),
        rshift: Some(vec![rshift]),
    };
    let mut lowered = Lowered::default();
    structure::push(context, &mut lowered, form, vec![OperandRef::Operand { index: 0, elem: input }], output);
    Ok(lowered.finish())
}
