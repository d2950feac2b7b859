//! Elementwise sum: every input is brought to the result's scale first.

use crate::bm1684x::binary::inputs_exceed_result;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::eight_bit_operand;
use tpuc_ops::{top, tpu};

/// `y = saturate(sum(x_i * multiplier_i >> rshift_i))` with multipliers of 64 to 127 where the shift allows.
/// In f32 where a multiplier would be negative or beyond 7 bits.
pub(super) fn int8(context: &OpContext, op: &top::Add) -> Result<Lowered, LowerError> {
    let count = context.operands.len();
    if op.coeff.as_ref().is_some_and(|c| c.len() != count) {
        return Err(context.unsupported(format!("has {} coefficients for {count} inputs", op.coeff.as_ref().map_or(0, Vec::len))));
    }
    if (0..count).all(|index| context.is_weight(index)) {
        return Err(context.unsupported("all inputs are constants"));
    }
    let coefficients: Vec<f64> = (0..count).map(|i| op.coeff.as_ref().map_or(1.0, |c| c[i])).collect();
    let Some((lowered, operands, [multipliers, rshifts])) = summands(context, &coefficients)? else {
        return float::lower(context, context.chip.fallback);
    };
    let add = tpu::Add { do_relu: op.do_relu, multipliers: Some(multipliers), rshifts: Some(rshifts), ..Default::default() };
    let mut lowered = lowered;
    lowered.push(add, operands, context.name, context.result_type(context.result_elem()?));
    Ok(lowered.finish())
}

/// `y = saturate((x_0 * multiplier_0 >> rshift_0) - (x_1 * multiplier_1 >> rshift_1))`, as in a sum.
/// In floats where an input reaches further than the result.
pub(super) fn sub(context: &OpContext, op: &top::Sub) -> Result<Lowered, LowerError> {
    if inputs_exceed_result(context) {
        return float::lower(context, context.chip.fallback);
    }
    let coefficients: Vec<f64> = (0..context.operands.len()).map(|i| op.coeff.as_ref().and_then(|c| c.get(i)).copied().unwrap_or(1.0)).collect();
    let Some((mut lowered, operands, [multipliers, rshifts])) = summands(context, &coefficients)? else {
        return float::lower(context, context.chip.fallback);
    };
    let sub = tpu::Sub { is_reverse: op.is_reverse, do_relu: op.do_relu, multipliers: Some(multipliers), rshifts: Some(rshifts), ..Default::default() };
    lowered.push(sub, operands, context.name, context.result_type(context.result_elem()?));
    Ok(lowered.finish())
}

type Summands = (Lowered, Vec<OperandRef>, [Vec<i64>; 2]);

/// The operands in 8 bits with their multipliers and shifts; `None` where one has none.
fn summands(context: &OpContext, coefficients: &[f64]) -> Result<Option<Summands>, LowerError> {
    let output_scale = context.result_elem()?.scale().unwrap_or(1.0);
    let mut lowered = Lowered::default();
    let mut operands = Vec::with_capacity(coefficients.len());
    let (mut multipliers, mut rshifts) = (Vec::new(), Vec::new());
    for (index, coefficient) in coefficients.iter().enumerate() {
        let (operand, scale) = eight_bit_operand(context, &mut lowered, index)?;
        operands.push(operand);
        let Some((multiplier, rshift)) = seven_bits(coefficient * scale / output_scale) else { return Ok(None) };
        multipliers.push(multiplier);
        rshifts.push(rshift);
    }
    Ok(Some((lowered, operands, [multipliers, rshifts])))
}

/// A scale as `multiplier / 2^rshift` with the largest multiplier within 7 bits; `None` of what is negative or beyond 127.
pub(super) fn seven_bits(scale: f64) -> Option<(i64, i64)> {
    let rshift = (127.0 / scale).log2().floor().clamp(0.0, 31.0);
    let multiplier = (scale * rshift.exp2()).round();
    (0.0..=127.0).contains(&multiplier).then_some((multiplier as i64, rshift as i64))
}

#[cfg(test)]
mod tests {
    use super::seven_bits;

    #[test]
    fn multipliers_use_all_of_seven_bits() {
        assert_eq!(seven_bits(1.0), Some((64, 6)));
        assert_eq!(seven_bits(127.0), Some((127, 0)));
        assert_eq!(seven_bits(0.3266), Some((84, 8)));
        assert_eq!(seven_bits(1e-12), Some((0, 31)));
        assert_eq!(seven_bits(0.0), Some((0, 31)));
        assert_eq!(seven_bits(128.0), None);
        assert_eq!(seven_bits(-1.0), None);
        assert_eq!(seven_bits(f64::NAN), None);
    }
}
