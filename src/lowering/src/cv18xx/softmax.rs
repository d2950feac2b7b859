//! Softmax in bf16 by tables.

use super::table16::{powers, slopes, table};
use crate::bm1684x::pool::round_mode;
use crate::error::LowerError;
use crate::float::elem;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// Exponentials over -15 to 15, and the reciprocal of their sum.
pub(super) fn bf16(context: &OpContext, op: &top::Softmax) -> Result<Lowered, LowerError> {
    if op.log {
        return Err(context.unsupported("the logarithm of a softmax has no form in tables"));
    }
    let mut lowered = Lowered::default();
    let [values, slope] = slopes(15.0, |x| (x * op.beta).exp());
    let [exponent, mantissa] = powers(-1.0, true);
    let operands = vec![
        OperandRef::Operand { index: 0, elem: elem(DType::BF16) },
        table(context, &mut lowered, "slope_table", values),
        table(context, &mut lowered, "slope_slope_table", slope),
        table(context, &mut lowered, "pow_table", exponent),
        table(context, &mut lowered, "pow_mantissa_table", mantissa),
        OperandRef::None,
    ];
    let softmax = tpu::Softmax { axis: op.axis, beta: op.beta, log: false, round_mode: round_mode(context, &op.round_mode)? };
    lowered.push(softmax, operands, context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}
