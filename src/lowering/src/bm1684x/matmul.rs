//! Matrix product: one weight scale and one requantization for the whole tensor.

use crate::ahead::Quantized;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{bias, matmul};
use crate::float;
use crate::quantize::{max_abs, to_8_bits, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::{DType, Data};
use tpuc_tensor::round::fit_any;

/// `y = saturate((sum(x w) + bias) * multiplier >> rshift)` with `multiplier / 2^rshift = s_in s_right / s_out`.
///
/// A right operand that is a weight has scale `max|W| / 127`; one that is computed has the scale of its type. A zero point of the left
/// operand goes into the bias; products of two computed operands with zero points are in f32, as in the reference.
pub(super) fn int8(context: &OpContext, op: &top::MatMul) -> Result<Lowered, LowerError> {
    if context.is_weight(0) {
        return Err(context.unsupported("the left operand is a weight, which needs float arithmetic"));
    }
    let bias = bias(context)?;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let mut lowered = Lowered::default();
    if context.asymmetric && !context.is_weight(1) {
        return float::lower(context, DType::F32);
    }
    let mut folded = None;
    let (right, right_scale) = match context.floats(1) {
        Some(values) => {
            let Quantized { data, largest } = context.prepared.take().unwrap_or_else(|| quantized(&values));
            let scale = scale(max_abs(&largest)).ok_or_else(|| context.not_finite(1, &values))?;
            let shape = &context.tensor(1)?.shape;
            if input.zero_point() != 0 {
                let sums = if let Data::I8(data) = &data { column_sums(data, shape, op.right_transpose) } else { None };
                folded = Some(sums.ok_or_else(|| context.unsupported(format!("has a zero point and a weight of shape {shape:?}, expected two dimensions")))?);
            }
            let quantized = weight(format!("{}_filter_int8", context.name), shape, data);
            (lowered.weight(quantized), scale)
        }
        None => {
            let elem = context.operand_elem(1)?;
            (OperandRef::Operand { index: 1, elem }, elem.scale().unwrap_or(1.0))
        }
    };
    let input_scale = input.scale().unwrap_or(1.0);
    let columns = context.result.shape.last().copied().unwrap_or(0);
    if let Some(values) = bias.as_ref().filter(|values| values.len() as i64 != columns) {
        return Err(context.unsupported(format!("the bias has {} elements, expected {columns} (columns)", values.len())));
    }
    let bias = match bias.is_some() || folded.is_some() {
        false => OperandRef::None,
        true => {
            let mut shape = vec![1; context.tensor(0)?.shape.len()];
            if let Some(last) = shape.last_mut() {
                *last = columns;
            }
            let of = |column: usize| {
                let bias = bias.as_ref().map_or(0.0, |values| f64::from(values[column]) / (right_scale * input_scale));
                let sum = folded.as_ref().and_then(|sums| sums.get(column)).copied().unwrap_or(0);
                (bias - (sum * input.zero_point()) as f64).round() as i32
            };
            let data = (0..columns.max(0) as usize).map(of).collect();
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

/// The scale of a weight with this largest magnitude; `None` if that is not finite.
fn scale(largest: f32) -> Option<f64> {
    match largest {
        // All zero: any scale will do that leaves the bias in range.
        0.0 => Some(1e-5),
        largest => largest.is_finite().then_some(f64::from(largest) / 127.0),
    }
}

/// A right operand in 8 bits, and its largest magnitude.
pub(super) fn quantized(values: &[f32]) -> Quantized {
    let largest = max_abs(values);
    Quantized { data: Data::I8(to_8_bits(values, scale(largest).unwrap_or(1.0))), largest: vec![largest] }
}

/// Sums of a weight's columns; `None` if it is no matrix.
fn column_sums(data: &[i8], shape: &[i64], transposed: bool) -> Option<Vec<i64>> {
    let &[rows, columns] = shape else { return None };
    let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
    let sum = |row: &[i8]| row.iter().map(|&w| i64::from(w)).sum();
    Some(match transposed {
        true => data.chunks(columns.max(1)).map(sum).collect(),
        false => (0..columns).map(|c| (0..rows).map(|r| i64::from(data[r * columns + c])).sum()).collect(),
    })
}
