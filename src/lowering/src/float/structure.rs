//! Structural ops.

use super::{elem, float_type, float_weight, operand, result_elem};
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts;
use crate::quantize::weight;
use crate::structure::{self, computed, moved, repetitions};
use tpuc_ops::{Elem, Op, TensorType, top, tpu};
use tpuc_tensor::{DType, Data};

/// Movement. Views have whatever float type their operand is computed in: a cast would be for nothing.
pub(super) fn movement(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let op = moved(context)?.ok_or_else(|| context.unsupported("has no float form"))?;
    let dtype = match context.op {
        Op::TopReshape(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) => follow(context, dtype),
        _ => dtype,
    };
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    structure::push(context, &mut lowered, op, vec![input], result_elem(context, dtype));
    Ok(lowered.finish())
}

/// The float type in which operand 0 is computed, or `dtype` where that is no float.
fn follow(context: &OpContext, dtype: DType) -> DType {
    match context.operands.first().map(|o| o.computed) {
        Some(Elem::Plain(computed @ (DType::F32 | DType::F16 | DType::BF16)) | Elem::Calibrated { expressed: computed, .. }) => computed,
        _ => dtype,
    }
}

pub(super) fn expand(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let (shape, tile) = repetitions(context)?;
    let mut lowered = Lowered::default();
    let mut input = operand(context, &mut lowered, 0, dtype)?;
    if shape.len() != context.tensor(0)?.shape.len() {
        let view = tpu::Reshape { shape: Some(shape.clone()), flatten_start_dim: -1 };
        input = lowered.push(view, vec![input], format!("{}_reshape", context.name), TensorType::new(&shape, elem(dtype)));
    }
    structure::push(context, &mut lowered, tpu::Tile { tile }, vec![input], result_elem(context, dtype));
    Ok(lowered.finish())
}

pub(super) fn concat(context: &OpContext, op: &top::Concat, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|i| operand(context, &mut lowered, i, dtype)).collect::<Result<_, _>>()?;
    let concat = tpu::Concat { axis: op.axis, only_merge: op.only_merge, do_relu: op.do_relu, relu_limit: op.relu_limit, ..Default::default() };
    structure::push(context, &mut lowered, concat, operands, result_elem(context, dtype));
    Ok(lowered.finish())
}

/// Constant indices become `<name>_int` of i32.
pub(super) fn gather(context: &OpContext, op: &top::Gather, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    let indices = match context.weight(1).transpose()? {
        Some(values) => lowered.weight(weight(format!("{}_int", context.operands[1].name), &context.tensor(1)?.shape, Data::I32(values.iter().map(|&v| v as i32).collect()))),
        None => OperandRef::Operand { index: 1, elem: context.operands[1].computed },
    };
    let gather = tpu::Gather { axis: op.axis, if_neg_index: true, is_lora: op.is_lora, is_scalar: Some(op.is_scalar), keepdims: Some(op.keepdims) };
    structure::push(context, &mut lowered, gather, vec![input, indices], result_elem(context, dtype));
    Ok(lowered.finish())
}

/// Resizing, reduction, normalization: the input and, of norms, weight and bias in the type.
pub(super) fn arithmetic(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let op = computed(context)?.ok_or_else(|| context.unsupported("has no float form"))?;
    let mut lowered = Lowered::default();
    let affine = matches!(op, Op::TpuLayerNorm(_) | Op::TpuInstanceNorm(_) | Op::TpuGroupNorm(_));
    let count = if affine { 3 } else { 1 };
    let operands = (0..count).map(|i| operand(context, &mut lowered, i, dtype)).collect::<Result<_, _>>()?;
    structure::push(context, &mut lowered, op, operands, result_elem(context, dtype));
    Ok(lowered.finish())
}

/// Where an extremum is, as f32; its value, where that is a result, in the type.
pub(super) fn arg(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    let op = computed(context)?.ok_or_else(|| context.unsupported("has no float form"))?;
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    structure::push(context, &mut lowered, op, vec![input], result_elem(context, DType::F32));
    Ok(lowered.finish())
}

/// The filter in the type, the bias in f32.
pub(super) fn deconv(context: &OpContext, op: &top::Deconv, dtype: DType) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let input = operand(context, &mut lowered, 0, dtype)?;
    let bias = operand(context, &mut lowered, 2, DType::F32)?;
    let filter = match context.weight(1).transpose()? {
        Some(values) => lowered.weight(float_weight(&context.operands[1].name, &context.tensor(1)?.shape, &values, dtype)),
        None => return Err(context.unsupported("the filter is not a weight")),
    };
    let deconv = tpu::Deconv { relu_limit: op.relu_limit, with_bias: bias != OperandRef::None, ..parts::deconv(op) };
    lowered.push(deconv, vec![input, filter, bias], context.name, float_type(context, dtype));
    Ok(lowered.finish())
}
