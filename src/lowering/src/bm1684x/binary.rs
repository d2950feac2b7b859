//! Arithmetic of tensors: Sub, Mul, Max, Min.

use super::rescale::rescaled;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use crate::parts::eight_bit_operand;
use crate::ranges::Range;
use tpuc_ops::{Op, top, tpu};
use tpuc_tensor::DType;
use tpuc_tensor::round::{fit_any, fit_positive};

/// `y = saturate((x_0 multiplier_0 >> rshift_0) - (x_1 multiplier_1 >> rshift_1))` as in a sum. Where an input reaches further
/// than the result, most of what 8 bits hold would cancel: such a difference is computed in floats, and so
/// is every one with zero points.
pub(crate) fn sub(context: &OpContext, op: &top::Sub) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    if context.asymmetric {
        // As the reference: half floats where a constant takes part.
        let constant = (0..context.operands.len()).any(|index| context.is_weight(index));
        return float::lower(context, if constant { context.chip.fallback } else { DType::F32 });
    }
    if inputs_exceed_result(context) {
        return float::lower(context, context.chip.fallback);
    }
    let mut lowered = Lowered::default();
    let (mut operands, mut multipliers, mut rshifts) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..context.operands.len() {
        let (operand, scale) = eight_bit_operand(context, &mut lowered, index)?;
        let coefficient = op.coeff.as_ref().and_then(|c| c.get(index)).copied().unwrap_or(1.0);
        let fitted = fit_positive((coefficient * (scale / output.scale().unwrap_or(1.0))) as f32, 8);
        operands.push(operand);
        multipliers.push(i64::from(fitted.multiplier));
        rshifts.push(i64::from(fitted.shift));
    }
    let sub = tpu::Sub { is_reverse: op.is_reverse, do_relu: op.do_relu, multipliers: Some(multipliers), rshifts: Some(rshifts), ..Default::default() };
    lowered.push(sub, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}

/// Whether an input's range reaches further than the result's.
pub(crate) fn inputs_exceed_result(context: &OpContext) -> bool {
    let threshold = |elem| Range::of_elem(elem).map(|r| r.threshold());
    let reach = threshold(&context.result.elem);
    reach.is_some() && (0..context.operands.len()).any(|index| context.tensor(index).is_ok_and(|t| threshold(&t.elem) > reach))
}

/// `y = saturate(product(x_i) * multiplier >> rshift)` with `multiplier / 2^rshift = product(s_i) / s_out` in 8 bits.
pub(crate) fn mul(context: &OpContext, op: &top::Mul) -> Result<Lowered, LowerError> {
    let count = context.operands.len();
    if (0..count).all(|index| context.is_weight(index)) {
        return Err(context.unsupported("all inputs are constants"));
    }
    // The accumulator has room for the product of two.
    if count != 2 {
        return float::lower(context, context.chip.fallback);
    }
    let output = context.result_elem()?;
    let mut lowered = Lowered::default();
    let [first, second] = if signs_ask_for_exchange(context, output.storage()) { [1, 0] } else { [0, 1] };
    let (left, left_scale) = eight_bit_operand(context, &mut lowered, first)?;
    let (right, right_scale) = eight_bit_operand(context, &mut lowered, second)?;
    let fitted = fit_any((left_scale * right_scale / output.scale().unwrap_or(1.0)) as f32, 8);
    let mul = tpu::Mul { do_relu: op.do_relu, multiplier: fitted.multiplier, rshift: fitted.shift, ..Default::default() };
    lowered.push(mul, vec![left, right], context.name, context.result_type(output));
    Ok(lowered.finish())
}

/// Whether only the second input has the sign of the result, which the chip wants first.
fn signs_ask_for_exchange(context: &OpContext, result: DType) -> bool {
    let same = |index: usize| context.operand_elem(index).is_ok_and(|elem| elem.storage() == result);
    !context.is_weight(0) && !context.is_weight(1) && !same(0) && same(1)
}

/// The larger or smaller of integers that stand for the same: inputs of another scale or sign are brought to the result's
/// (the reference compares integers of different scales).
pub(crate) fn extremum(context: &OpContext, op: impl Into<Op>) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|index| rescaled(context, &mut lowered, index, output)).collect::<Result<_, _>>()?;
    lowered.push(op, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
