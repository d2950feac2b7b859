//! Ops that keep the scale: inputs, all that moves elements, standalone Relu.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use super::rescale::rescaled;
use crate::float;
use crate::quantize::integer_of;
use crate::structure;
use tpuc_ops::{Elem, Op, TensorType, top, tpu};
use tpuc_tensor::DType;

/// Network inputs stay float, with their range in the type; their users cast them.
pub(crate) fn input(context: &OpContext, op: &top::Input) -> Result<Lowered, LowerError> {
    let elem = context.tensor(0)?.elem;
    Ok(Lowered::one(op.clone(), vec![OperandRef::Operand { index: 0, elem }], context.name, context.result.clone()))
}

/// Elements move as integers. Where ranges differ, as they may in front of a Depth2Space, the input is brought to the
/// result's scale first.
pub(crate) fn moved(context: &OpContext) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let mut op = structure::moved(context)?.ok_or_else(|| context.unsupported("has no INT8 form"))?;
    match &mut op {
        Op::TpuPad(pad) => pad.val = quantized(context, pad.val, output)?,
        // Saturation is the limit.
        Op::TpuUpsample(upsample) => upsample.relu_limit = -1.0,
        _ => {}
    }
    let mut lowered = Lowered::default();
    let input = rescaled(context, &mut lowered, 0, output)?;
    structure::push(context, &mut lowered, op, vec![input], output);
    Ok(lowered.finish())
}

/// A constant as an integer of a type.
fn quantized(context: &OpContext, val: f64, elem: Elem) -> Result<f64, LowerError> {
    let steps = integer_of(val, &elem);
    if steps.is_nan() { Err(context.unsupported("pads with NaN")) } else { Ok(steps) }
}

/// Whether the operand is computed in floats: its view then is, too, and whoever reads that casts it.
pub(crate) fn views_float(context: &OpContext) -> bool {
    context.operands.first().is_some_and(|o| !o.is_input && o.computed.scale().is_none())
}

pub(crate) fn expand(context: &OpContext) -> Result<Lowered, LowerError> {
    let output = context.result_elem()?;
    let (shape, tile) = structure::repetitions(context)?;
    let mut lowered = Lowered::default();
    let mut input = rescaled(context, &mut lowered, 0, output)?;
    if shape.len() != context.tensor(0)?.shape.len() {
        let view = tpu::Reshape { shape: Some(shape.clone()), flatten_start_dim: -1 };
        input = lowered.push(view, vec![input], format!("{}_reshape", context.name), TensorType::new(&shape, output));
    }
    structure::push(context, &mut lowered, tpu::Tile { tile }, vec![input], output);
    Ok(lowered.finish())
}

/// Inputs of another scale or sign than the result's are brought to it. With a constant among them it is float arithmetic.
pub(crate) fn concat(context: &OpContext, op: &top::Concat) -> Result<Lowered, LowerError> {
    if (0..context.operands.len()).any(|i| context.is_weight(i)) {
        return float::lower(context, context.chip.fallback);
    }
    let output = context.result_elem()?;
    let mut lowered = Lowered::default();
    let operands = (0..context.operands.len()).map(|i| rescaled(context, &mut lowered, i, output)).collect::<Result<_, _>>()?;
    let concat = tpu::Concat { axis: op.axis, only_merge: op.only_merge, do_relu: op.do_relu, ..Default::default() };
    structure::push(context, &mut lowered, concat, operands, output);
    Ok(lowered.finish())
}

/// Within one scale. An upper limit stays only where saturation does not enforce it already: the result has its
/// input's range, which may reach further (the reference drops the limit then). With zero points in f32, as the reference.
pub(crate) fn relu(context: &OpContext, op: &top::Relu) -> Result<Lowered, LowerError> {
    if context.asymmetric {
        return float::lower(context, DType::F32);
    }
    let shared = context.shared_elem()?;
    let elem = shared.map_or_else(|| context.result_elem(), Ok)?;
    let reach = elem.scale().unwrap_or(1.0) * elem.storage().integer_range().map_or(0.0, |(_, high)| high as f64);
    let limited = op.relu_limit > 0.0 && op.relu_limit < reach * (1.0 - 1e-6);
    let relu = tpu::Relu { relu_limit: if limited { op.relu_limit } else { -1.0 }, ..Default::default() };
    let mut lowered = Lowered::default();
    let input = match shared {
        Some(_) => OperandRef::Operand { index: 0, elem: context.operand_elem(0)? },
        None => rescaled(context, &mut lowered, 0, elem)?,
    };
    structure::push(context, &mut lowered, relu, vec![input], elem);
    Ok(lowered.finish())
}
