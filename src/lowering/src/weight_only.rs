//! Products of float activations with weights of 8 or 4 bits (W8F16, W4BF16...).
//!
//! A weight is `(q - zero_point) * scale`, rounded to the activations' type; scale and zero point are those of its group of
//! neighbours along the summed dimension. 4-bit weights lie in pairs in a byte, the first in the low half.

use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use crate::quantize::weight;
use tpuc_ops::{Elem, Op, TensorType, top, tpu};
use tpuc_tensor::{DType, Data};

/// The op with such weights, or `None` where it has none: it then runs in the float mode.
pub(crate) fn lower(context: &OpContext, bits: u32) -> Result<Option<Lowered>, LowerError> {
    let (Op::TopMatMul(op), Some(dtype)) = (context.op, context.mode.float()) else { return Ok(None) };
    if !fits(context, op, i64::from(bits))? {
        return Ok(None);
    }
    let Some(values) = context.weight(1).transpose()? else { return Ok(None) };
    let size = context.groups.size as usize;
    let shape = &context.tensor(1)?.shape;
    let (rows, columns) = if op.right_transpose { (shape[1] as usize, shape[0] as usize) } else { (shape[0] as usize, shape[1] as usize) };
    let at = |row: usize, column: usize| if op.right_transpose { values[column * rows + row] } else { values[row * columns + column] };
    let groups = rows / size;
    let (mut integers, mut scales, mut zero_points) = (Vec::with_capacity(values.len()), Vec::new(), Vec::new());
    for column in 0..columns {
        for group in 0..groups {
            let part: Vec<f32> = (group * size..(group + 1) * size).map(|row| at(row, column)).collect();
            let (scale, zero_point) = quantize(&part, bits, context.groups.symmetric, &mut integers);
            scales.push(scale);
            zero_points.push(zero_point);
        }
    }
    if bits == 4 {
        integers = integers.chunks(2).map(|pair| pair[0] | pair.get(1).copied().unwrap_or(0) << 4).collect();
    }
    Ok(Some(product(context, op, dtype, bits, [columns, rows, groups], integers, scales, zero_points)?))
}

/// A matrix of weights on the right whose groups, and the bytes of whose columns, are whole.
fn fits(context: &OpContext, op: &top::MatMul, bits: i64) -> Result<bool, LowerError> {
    let plain = !op.left_transpose && !op.hdim_is_batch && !op.output_transpose;
    if !plain || !context.is_weight(1) || context.is_weight(0) {
        return Ok(false);
    }
    let shape = &context.tensor(1)?.shape;
    let &[first, second] = shape.as_slice() else { return Ok(false) };
    let rows = if op.right_transpose { second } else { first };
    Ok(rows > 0 && rows % context.groups.size == 0 && rows * bits % 8 == 0)
}

/// Appends the integers of one group; its scale and zero point.
///
/// The integers cover the group's range and zero, so that weights of one sign are not cut off.
fn quantize(values: &[f32], bits: u32, symmetric: bool, integers: &mut Vec<u8>) -> (f32, u8) {
    let top = ((1u32 << bits) - 1) as f32;
    let (low, high) = values.iter().fold((0f32, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
    let (scale, zero_point) = match symmetric {
        true => (high.max(-low) / (top / 2.0), (1u32 << (bits - 1)) as f32),
        false => {
            let scale = (high - low).max(1e-5) / top;
            (scale, (-low / scale).round().clamp(0.0, top))
        }
    };
    let integer = |v: f32| if scale == 0.0 { zero_point } else { ((v / scale).round() + zero_point).clamp(0.0, top) };
    integers.extend(values.iter().map(|&v| integer(v) as u8));
    (scale, zero_point as u8)
}

#[allow(clippy::too_many_arguments)]
fn product(context: &OpContext, op: &top::MatMul, dtype: DType, bits: u32, [columns, rows, groups]: [usize; 3], integers: Vec<u8>, scales: Vec<f32>, zero_points: Vec<u8>) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    // The product has no Relu of its own.
    let name = if op.do_relu { format!("{}_a16matmul", context.name) } else { context.name.to_owned() };
    let input = float::operand(context, &mut lowered, 0, dtype)?;
    let bias = float::operand(context, &mut lowered, 2, dtype)?;
    let stored = (rows * bits as usize / 8) as i64;
    let right = lowered.weight(weight(format!("{name}_uint"), &[columns as i64, stored], Data::U8(integers)));
    let per_group = [columns as i64, groups as i64];
    let scale = lowered.weight(float::float_weight(&format!("{name}_scale"), &per_group, &scales, dtype));
    let zero_point = lowered.weight(weight(format!("{name}_zp"), &per_group, Data::U8(zero_points)));
    let product = tpu::A16MatMul { sign: true, w_transpose: true, weight_bits: i64::from(bits), q_group_size: context.groups.size, dq_type: "NONE".into() };
    let ty = TensorType::new(&context.result.shape, Elem::Plain(dtype));
    let result = lowered.push(product, vec![input, right, scale, zero_point, bias], name, ty.clone());
    if op.do_relu {
        lowered.push(tpu::Relu { relu_limit: op.relu_limit, ..Default::default() }, vec![result], context.name, ty);
    }
    Ok(lowered.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let mut integers = Vec::new();
        let (scale, zero_point) = quantize(&[-1.0, 0.0, 0.5, 1.55], 8, false, &mut integers);
        assert_eq!((scale, zero_point, integers.as_slice()), (0.01, 100, &[0, 100, 150, 255][..]));
        // Weights of one sign, and none at all.
        integers.clear();
        let (scale, zero_point) = quantize(&[0.5, 0.5], 4, false, &mut integers);
        assert_eq!((scale, zero_point, integers.as_slice()), (0.5 / 15.0, 0, &[15, 15][..]));
        integers.clear();
        assert_eq!(quantize(&[0.0, 0.0], 4, false, &mut integers), (1e-5 / 15.0, 0));
        assert_eq!(integers, [0, 0]);
        integers.clear();
        let (scale, zero_point) = quantize(&[-1.5, 0.75], 4, true, &mut integers);
        assert_eq!((scale, zero_point, integers.as_slice()), (0.2, 8, &[0, 12][..]));
    }
}
