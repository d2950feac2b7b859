//! Matrix product: one weight scale and one requantization for the whole tensor.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, matmul};
use crate::quantize::{max_abs, to_8_bits, to_i32, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::Data;
use tpuc_tensor::round::fit_any;

/// `y = saturate((sum(x w) + bias) * multiplier >> rshift)` with `multiplier / 2^rshift = s_in s_right / s_out`.
///
/// A right operand that is a weight has scale `max|W| / 127`; one that is computed has the scale of its type.
pub(super) fn int8(context: &OpContext, op: &top::MatMul) -> Result<Lowered, LowerError> {
    if context.is_weight(0) {
        return Err(context.unsupported("the left operand is a weight, which needs float arithmetic"));
    }
    let bias = bias(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let mut lowered = Lowered::default();
    let (right, right_scale) = match context.weight(1).transpose()? {
        Some(values) => {
            let scale = match f64::from(max_abs(&values)) {
                // All zero: any scale will do that leaves the bias in range.
                0.0 => 1e-5,
                largest => largest / 127.0,
            };
            let data = to_8_bits(&values, scale);
            let quantized = weight(format!("{}_filter_int8", context.name), &context.tensor(1)?.shape, Data::I8(data));
            (lowered.weight(quantized), scale)
        }
        None => {
            let elem = context.operand_elem(1)?;
            (OperandRef::Operand { index: 1, elem }, elem.scale().unwrap_or(1.0))
        }
    };
    let input_scale = input.scale().unwrap_or(1.0);
    let bias = match bias {
        None => OperandRef::None,
        Some(values) => {
            let columns = context.result.shape.last().copied().unwrap_or(0);
            if values.len() as i64 != columns {
                return Err(context.unsupported(format!("the bias has {} elements, expected {columns} (columns)", values.len())));
            }
            let mut shape = vec![1; context.tensor(0)?.shape.len()];
            if let Some(last) = shape.last_mut() {
                *last = columns;
            }
            let data = values.iter().map(|&b| to_i32(b, right_scale * input_scale)).collect();
            lowered.weight(weight(format!("{}_bias_int32", context.name), &shape, Data::I32(data)))
        }
    };
    let fitted = fit_any((input_scale * right_scale / output.scale().unwrap_or(1.0)) as f32, 32);
    let (multipliers, rshifts) = (vec![i64::from(fitted.multiplier)], vec![i64::from(fitted.shift)]);
    let matmul = tpu::MatMul { cal_i8: Some(true), multipliers, rshifts, ..matmul(op) };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, right, bias, OperandRef::None, OperandRef::None];
    lowered.push(matmul, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}
