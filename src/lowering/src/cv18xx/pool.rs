//! Means; maxima are as on other chips.

use super::scale::seven_bits;
use crate::bm1684x::pool;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::{Op, top, tpu};

/// `y = saturate(sum * multiplier >> rshift)` with `multiplier / 2^rshift = s_in / (s_out kh kw)` in 7 bits.
pub(super) fn average_int8(context: &OpContext, op: &top::AvgPool) -> Result<Lowered, LowerError> {
    if op.kernel_shape.len() != 2 || op.is_adaptive {
        return float::lower(context, context.chip.fallback);
    }
    let mut lowered = pool::average_int8(context, op)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let taps = op.kernel_shape.iter().product::<i64>() as f64;
    let Some((multipliers, rshift)) = seven_bits(&[input.scale().unwrap_or(1.0) / (output.scale().unwrap_or(1.0) * taps)]) else {
        return float::lower(context, context.chip.fallback);
    };
    for node in &mut lowered.nodes {
        if let Op::TpuPool2D(pool) = &mut node.op {
            *pool = tpu::Pool2D { multiplier: Some(multipliers[0] as i32), rshift: Some(rshift as i32), ..pool.clone() };
        }
    }
    Ok(lowered)
}

pub(super) fn max_int8(context: &OpContext, op: &top::MaxPool) -> Result<Lowered, LowerError> {
    match op.kernel_shape.len() {
        2 => pool::max_int8(context, op),
        _ => float::lower(context, context.chip.fallback),
    }
}
