//! Attention, whole (Top) or one head of it (Tpu): weights against the tensors that they project, and the size of a head.

use crate::types::ValueType;
use crate::{Operands, top, tpu};

/// `[batch, rows, columns of the output projection]`
pub(crate) fn infer(operands: &Operands) -> Result<Vec<i64>, String> {
    let (mut shape, out) = (operands.shape(0)?.to_vec(), operands.shape(9)?);
    match (shape.as_mut_slice(), out.last()) {
        ([_, _, last], Some(&columns)) => *last = columns,
        _ => return Err(format!("expected an input of three dimensions and an output weight, found {shape:?} and {out:?}")),
    }
    Ok(shape)
}

pub(crate) fn verify_head(op: &tpu::Attention, operands: &[ValueType]) -> Result<(), String> {
    if op.head != 1 {
        return Err(format!("head is {}, expected 1 (an op a head)", op.head));
    }
    if op.dim < 1 {
        return Err(format!("dim is {}, expected at least 1", op.dim));
    }
    if !matches!(op.quant_param.len(), 1 | 16) {
        return Err(format!("quant_param has {} entries, expected 16 (multiplier, shift and zero point of five products, and a zero) or 1", op.quant_param.len()));
    }
    verify(op.dim, operands)
}

pub(crate) fn verify_whole(op: &top::Attention, operands: &[ValueType]) -> Result<(), String> {
    let columns = Operands { list: operands }.shape(3)?.last().copied().unwrap_or(0);
    if op.head < 1 || columns < 1 || columns % op.head != 0 {
        return Err(format!("{columns} columns of queries_weight are not divisible into {} heads", op.head));
    }
    if !matches!(op.scale_param.len(), 1 | 7) {
        return Err(format!("scale_param has {} entries, expected 7 (queries, keys, values, product, scaled product, probabilities, result) or 1", op.scale_param.len()));
    }
    verify(columns, operands)
}

/// `width`: columns of all heads that the op has.
fn verify(width: i64, operands: &[ValueType]) -> Result<(), String> {
    let shapes = Operands { list: operands };
    // Absent keys are the input, absent values the keys.
    let present = |index: usize| operands.get(index).is_some_and(|o| !o.is_none());
    let keys = if present(1) { 1 } else { 0 };
    let values = if present(2) { 2 } else { keys };
    let input = shapes.shape(0)?;
    for (what, source) in [("keys", keys), ("values", values)] {
        let shape = shapes.shape(source)?;
        if shape.len() != input.len() || shape.first() != input.first() {
            return Err(format!("{what} have shape {shape:?}, expected three dimensions and the batch of {input:?}"));
        }
    }
    if shapes.shape(keys)?.get(1) != shapes.shape(values)?.get(1) {
        return Err(format!("keys and values have shapes {:?} and {:?}, expected as many rows", shapes.shape(keys)?, shapes.shape(values)?));
    }
    for (what, weight, source) in [("queries_weight", 3, 0), ("keys_weight", 5, keys), ("values_weight", 7, values)] {
        let columns = shapes.shape(source)?.last().copied().unwrap_or(1);
        let found = count(operands, weight);
        if columns.checked_mul(width) != Some(found) {
            return Err(format!("{what} has {found} elements, expected {columns} x {width}"));
        }
    }
    let columns = shapes.shape(9)?.last().copied().unwrap_or(1);
    for (what, bias, expected) in [("queries_bias", 4, width), ("keys_bias", 6, width), ("values_bias", 8, width), ("out_bias", 10, columns)] {
        if let Some(found) = operands.get(bias).and_then(ValueType::tensor).map(|t| t.count()).filter(|&c| c != expected) {
            return Err(format!("{what} has {found} elements, expected {expected}"));
        }
    }
    let found = count(operands, 9);
    if columns.checked_mul(width) != Some(found) {
        return Err(format!("out_weight has {found} elements, expected {width} x {columns}"));
    }
    if present(11) {
        let (found, images, rows) = (count(operands, 11), input.first().copied().unwrap_or(1), shapes.shape(keys)?.get(1).copied().unwrap_or(1));
        if images.checked_mul(rows) != Some(found) {
            return Err(format!("mask has {found} elements, expected {images} x {rows} (one a key)"));
        }
    }
    Ok(())
}

fn count(operands: &[ValueType], index: usize) -> i64 {
    operands.get(index).and_then(ValueType::tensor).map_or(0, |t| t.count())
}

/// Three projections in, one out, and two products of rows with rows; a multiply-accumulate counts two.
pub(crate) fn flops(width: i64, operands: &[ValueType]) -> i64 {
    let shape = |i: usize| operands.get(i).and_then(ValueType::tensor).map_or(&[][..], |t| &t.shape);
    let (columns, rows) = (shape(0).last().copied().unwrap_or(1), shape(0).get(1).copied().unwrap_or(1));
    let lines = count(operands, 0) / columns.max(1);
    let products = columns.saturating_mul(4).saturating_add(rows.saturating_mul(2));
    lines.saturating_mul(width).saturating_mul(products).saturating_mul(2)
}
