//! Comparison, and choice by a condition. Truth is 1 in u8 of scale 1.

use super::rescale::rescaled;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::{asymmetric_elem, integer_of, weight};
use tpuc_ops::{Elem, top, tpu};
use tpuc_tensor::{DType, Data};

const TRUTH: Elem = Elem::symmetric(DType::U8, 1.0);

/// Of integers of one scale. With a constant tensor in f32: its values need not be multiples of the scale.
pub(crate) fn compare(context: &OpContext, op: &top::Compare) -> Result<Lowered, LowerError> {
    if context.is_weight(0) || context.is_weight(1) {
        return float::lower(context, DType::F32);
    }
    let (left, right) = (context.operand_elem(0)?, context.operand_elem(1)?);
    let same = (left.scale(), left.storage(), left.zero_point()) == (right.scale(), right.storage(), right.zero_point());
    let common = if same { left } else { wider(&left, &right, context.asymmetric) };
    let mut lowered = Lowered::default();
    let operands = vec![rescaled(context, &mut lowered, 0, common)?, rescaled(context, &mut lowered, 1, common)?];
    lowered.push(tpu::Compare { mode: op.mode.clone() }, operands, context.name, context.result_type(TRUTH));
    Ok(lowered.finish())
}

/// A type that reaches as far as both.
fn wider(a: &Elem, b: &Elem, asymmetric: bool) -> Elem {
    if asymmetric {
        let end = |elem: &Elem, integer: i64| (integer - elem.zero_point()) as f64 * elem.scale().unwrap_or(1.0);
        let ends = [a, b].map(|elem| elem.storage().integer_range().map_or((0.0, 0.0), |(low, high)| (end(elem, low), end(elem, high))));
        let both = Elem::Calibrated { expressed: DType::F32, min: ends[0].0.min(ends[1].0), max: ends[0].1.max(ends[1].1) };
        return asymmetric_elem(&both).unwrap_or(*a);
    }
    let reach = |elem: &Elem| elem.scale().unwrap_or(1.0) * if elem.storage() == DType::I8 { 127.0 } else { 255.0 };
    let reach = reach(a).max(reach(b));
    match a.storage() == DType::I8 || b.storage() == DType::I8 {
        true => Elem::symmetric(DType::I8, reach / 127.0),
        false => Elem::symmetric(DType::U8, reach / 255.0),
    }
}

/// Of `q - z` with the constant `round(const / s)`.
pub(crate) fn compare_const(context: &OpContext, op: &top::CompareConst) -> Result<Lowered, LowerError> {
    let elem = context.operand_elem(0)?;
    let const_val = (op.const_val / elem.scale().unwrap_or(1.0)).round();
    let compare = tpu::CompareConst { mode: op.mode.clone(), const_val, inversed: op.inversed, is_scalar: Some(op.is_scalar) };
    Ok(Lowered::one(compare, vec![OperandRef::Operand { index: 0, elem }], context.name, context.result_type(TRUTH)))
}

/// Branches in the result's scale, numbers as `round(number / s) + z`. The condition is whatever it is computed in.
pub(crate) fn select(context: &OpContext, op: &top::Where) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let number = |value: f64| integer_of(value, &output);
    let mut lowered = Lowered::default();
    let condition = match context.weight(0).transpose()? {
        None => OperandRef::Operand { index: 0, elem: context.operand_elem(0)? },
        Some(values) => {
            let truth = Data::U8(values.iter().map(|&v| u8::from(v != 0.0)).collect());
            lowered.weight(weight(format!("{}_{}_u8", context.operands[0].name, context.name), &context.tensor(0)?.shape, truth))
        }
    };
    let mut branch = |index: usize, is_const: bool| match is_const {
        true => Ok(OperandRef::None),
        false => rescaled(context, &mut lowered, index, output),
    };
    let (yes, no) = (branch(1, op.x_is_const)?, branch(2, op.y_is_const)?);
    let select = tpu::Where {
        x_is_const: op.x_is_const,
        y_is_const: op.y_is_const,
        x_const_val: if op.x_is_const { number(op.x_const_val) } else { 0.0 },
        y_const_val: if op.y_is_const { number(op.y_const_val) } else { 0.0 },
    };
    lowered.push(select, vec![condition, yes, no, OperandRef::None], context.name, context.result_type(output));
    Ok(lowered.finish())
}
