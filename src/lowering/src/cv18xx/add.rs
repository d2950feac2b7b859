//! Elementwise sum: inputs times multipliers, one shift of the sum.

use super::scale::seven_bits;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};

/// `y = saturate(sum(x_i * multiplier_i) >> rshift)`, halves up. Sums with constants are computed in bf16.
pub(super) fn int8(context: &OpContext, op: &top::Add) -> Result<Lowered, LowerError> {
    let count = context.operands.len();
    if op.coeff.as_ref().is_some_and(|c| c.len() != count) {
        return Err(context.unsupported(format!("has {} coefficients for {count} inputs", op.coeff.as_ref().map_or(0, Vec::len))));
    }
    if (0..count).any(|index| context.is_weight(index)) {
        return float::lower(context, context.chip.fallback);
    }
    let output = context.result_elem()?;
    let (mut operands, mut scales) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for index in 0..count {
        let elem = context.operand_elem(index)?;
        operands.push(OperandRef::Operand { index, elem });
        let coefficient = op.coeff.as_ref().map_or(1.0, |c| c[index]);
        scales.push(coefficient * elem.scale().unwrap_or(1.0) / output.scale().unwrap_or(1.0));
    }
    let Some((multipliers, rshift)) = seven_bits(&scales) else {
        return float::lower(context, context.chip.fallback);
    };
    let add = tpu::Add { do_relu: op.do_relu, multipliers: Some(multipliers), rshifts: Some(vec![rshift]), ..Default::default() };
    Ok(Lowered::one(add, operands, context.name, context.result_type(output)))
}
