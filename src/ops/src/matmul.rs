//! Matrix products: shapes.

use crate::elementwise::broadcast;
use crate::types::ValueType;
use crate::{Operands, top, tpu};

pub(crate) struct Layout {
    left_transpose: bool,
    right_transpose: bool,
    output_transpose: bool,
    hdim_is_batch: bool,
    keep_dims: bool,
}

impl Layout {
    pub fn of_top(op: &top::MatMul) -> Self {
        Layout {
            left_transpose: op.left_transpose,
            right_transpose: op.right_transpose,
            output_transpose: op.output_transpose,
            hdim_is_batch: op.hdim_is_batch,
            keep_dims: op.keep_dims,
        }
    }

    pub fn of_tpu(op: &tpu::MatMul) -> Self {
        Layout {
            left_transpose: op.left_transpose,
            right_transpose: op.right_transpose,
            output_transpose: op.output_transpose,
            hdim_is_batch: op.hdim_is_batch,
            keep_dims: op.keep_dims,
        }
    }

    /// Length of the summed dimension.
    pub fn depth(&self, operands: &[ValueType]) -> i64 {
        let shape = operands.first().and_then(ValueType::tensor).map_or(&[][..], |t| &t.shape);
        let from_end = if self.left_transpose { 2 } else { 1 };
        shape.len().checked_sub(from_end).map_or(0, |at| shape[at])
    }
}

/// The last dimension of an operand, 0 where there is none.
pub(crate) fn last(operands: &[ValueType], index: usize) -> i64 {
    operands.get(index).and_then(ValueType::tensor).and_then(|t| t.shape.last().copied()).unwrap_or(0)
}

/// `[.., M, K] x [N, K] -> [.., M, N]`, where the weights are bytes of 8 bits or of twice 4, and each group of neighbours
/// along K has a scale and a zero point.
pub(crate) fn infer_groups(op: &tpu::A16MatMul, operands: &Operands) -> Result<Vec<i64>, String> {
    let (left, right) = (operands.shape(0)?, operands.shape(1)?);
    let (&[.., _, depth], &[columns, bytes]) = (left, right) else {
        return Err(format!("expected activations of two or more dimensions and a matrix of weights, found {left:?} and {right:?}"));
    };
    if !op.w_transpose || !matches!(op.weight_bits, 4 | 8) || op.q_group_size < 1 {
        return Err(format!("weight_bits {} (expected 4 or 8), q_group_size {} (expected at least 1), w_transpose {} (expected true)", op.weight_bits, op.q_group_size, op.w_transpose));
    }
    if bytes.checked_mul(8 / op.weight_bits) != Some(depth) || depth % op.q_group_size != 0 {
        return Err(format!("activations of {depth} columns do not fit weights of {bytes} bytes a column in groups of {}", op.q_group_size));
    }
    for index in [2, 3] {
        let found = operands.shape(index)?;
        if found != [columns, depth / op.q_group_size] {
            return Err(format!("operand {index} has shape {found:?}, expected {:?}", [columns, depth / op.q_group_size]));
        }
    }
    let mut shape = left.to_vec();
    shape[left.len() - 1] = columns;
    Ok(shape)
}

/// Batch dimensions broadcast; `[.., M, K] x [.., K, N] -> [.., M, N]`.
pub(crate) fn infer(layout: &Layout, operands: &Operands) -> Result<Vec<i64>, String> {
    if layout.hdim_is_batch || layout.output_transpose {
        return Err("hdim_is_batch and output_transpose are not supported".into());
    }
    let (left, right) = (operands.shape(0)?, operands.shape(1)?);
    if left.len() < 2 || right.len() < 2 {
        return Err(format!("operands need at least two dimensions, found {left:?} and {right:?}"));
    }
    let split = |shape: &[i64], transposed: bool| {
        let (a, b) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        if transposed { (b, a) } else { (a, b) }
    };
    let (rows, depth) = split(left, layout.left_transpose);
    let (right_depth, columns) = split(right, layout.right_transpose);
    if depth != right_depth {
        return Err(format!("left {left:?} has {depth} columns, right {right:?} has {right_depth} rows"));
    }
    let mut shape = broadcast(&left[..left.len() - 2], &right[..right.len() - 2])?;
    if !layout.keep_dims {
        let flat = shape.iter().product::<i64>() * rows;
        return Ok(vec![flat, columns]);
    }
    shape.extend([rows, columns]);
    Ok(shape)
}
