//! Arithmetic of tensors, slopes, scales, comparison and choice.

use super::{elem, float_type, operand};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{Op, tpu};
use tpuc_tensor::DType;

/// Operands and result in the type, constants rounded to it.
pub(super) fn float(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let op: Op = match context.op {
        Op::TopSub(op) => {
            let (do_relu, relu_limit) = (op.do_relu, op.relu_limit);
            tpu::Sub { is_reverse: op.is_reverse, do_relu, relu_limit, coeff: op.coeff.clone(), is_scalar: Some(op.is_scalar), ..Default::default() }.into()
        }
        Op::TopMul(op) => tpu::Mul { do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: Some(op.is_scalar), ..Default::default() }.into(),
        Op::TopDiv(op) => {
            let (do_relu, relu_limit) = (op.do_relu, op.relu_limit);
            tpu::Div { is_reverse: op.is_reverse, do_relu, relu_limit, is_scalar: Some(op.is_scalar), ..Default::default() }.into()
        }
        Op::TopMax(_) => tpu::Max::default().into(),
        Op::TopMin(_) => tpu::Min::default().into(),
        Op::TopPRelu(_) => tpu::PReluOp::default().into(),
        Op::TopCompare(op) => tpu::Compare { mode: op.mode.clone() }.into(),
        _ => return Err(context.unsupported("has no float form")),
    };
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|i| operand(context, &mut lowered, i, dtype)).collect::<Result<_, _>>()?;
    lowered.push(op, operands, context.name, float_type(context, dtype));
    Ok(lowered.finish())
}

pub(super) fn select(context: &OpContext, op: &tpuc_ops::top::Where, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let mut operands = (0..3).map(|i| operand(context, &mut lowered, i, dtype)).collect::<Result<Vec<_>, _>>()?;
    operands.push(OperandRef::None);
    let select = tpu::Where { x_is_const: op.x_is_const, y_is_const: op.y_is_const, x_const_val: op.x_const_val, y_const_val: op.y_const_val };
    lowered.push(select, operands, context.name, float_type(context, dtype));
    Ok(lowered.finish())
}

/// A factor and an offset per channel, which stay f32.
pub(super) fn scale(context: &OpContext, op: &tpuc_ops::top::Scale, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let input = OperandRef::Operand { index: 0, elem: elem(dtype) };
    if !context.is_weight(1) || !(context.is_absent(2) || context.is_weight(2)) {
        return Err(context.unsupported("scale and bias must be weights"));
    }
    let (scale, bias) = (operand(context, &mut lowered, 1, DType::F32)?, operand(context, &mut lowered, 2, DType::F32)?);
    let scaled = tpu::Scale { do_relu: op.do_relu, relu_limit: op.relu_limit };
    lowered.push(scaled, vec![input, scale, bias, OperandRef::None], context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
