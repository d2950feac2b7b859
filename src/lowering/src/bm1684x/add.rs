//! Elementwise sum: every input is brought to the result's scale first.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext};
use crate::parts::eight_bit_operand;
use tpuc_ops::{top, tpu};
use tpuc_tensor::round::fit_positive;

/// `y = saturate(sum(x_i * multiplier_i >> rshift_i))` with `multiplier_i / 2^rshift_i = coeff_i s_i / s_out`, the
/// multiplier in 8 bits. A constant input becomes i8, or u8 where nothing is negative.
pub(super) fn int8(context: &OpContext, op: &top::Add) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let output_scale = output.scale().unwrap_or(1.0);
    let count = context.operands.len();
    if op.coeff.as_ref().is_some_and(|c| c.len() != count) {
        return Err(context.unsupported(format!("has {} coefficients for {count} inputs", op.coeff.as_ref().map_or(0, Vec::len))));
    }
    if (0..count).all(|index| context.is_weight(index)) {
        return Err(context.unsupported("all inputs are constants"));
    }
    let mut lowered = Lowered::default();
    let mut operands = Vec::with_capacity(count);
    let (mut multipliers, mut rshifts) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for index in 0..count {
        let (operand, scale) = eight_bit_operand(context, &mut lowered, index)?;
        operands.push(operand);
        let coefficient = op.coeff.as_ref().map_or(1.0, |c| c[index]);
        let fitted = fit_positive((coefficient * (scale / output_scale)) as f32, 8);
        multipliers.push(i64::from(fitted.multiplier));
        rshifts.push(i64::from(fitted.shift));
    }
    let add = tpu::Add { do_relu: op.do_relu, multipliers: Some(multipliers), rshifts: Some(rshifts), ..Default::default() };
    lowered.push(add, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
