//! Layer normalization as the chip has it: groups normalized, then a product and a sum.

use crate::error::LowerError;
use crate::float::{self, elem, operand};
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// Of everything behind the channels: a GroupNorm with a group a channel, `<layer>_convert_to_group_norm`. Of other dimensions
/// as it is.
pub(super) fn layer_norm(context: &OpContext, op: &top::LayerNorm) -> Result<Lowered, LowerError> {
    let shape = &context.tensor(0)?.shape;
    if shape.len() < 3 || i64::from(op.axis) != 2 {
        return float::lower(context, DType::F32);
    }
    let mut lowered = Lowered::default();
    let ty = context.result_type(elem(DType::F32));
    let (weight, bias) = (operand(context, &mut lowered, 1, DType::F32)?, operand(context, &mut lowered, 2, DType::F32)?);
    let steps = usize::from(weight != OperandRef::None) + usize::from(bias != OperandRef::None);
    let name = |step: usize, suffix: &str| if step == steps { context.name.to_owned() } else { format!("{}_{suffix}", context.name) };
    let mut operands = vec![OperandRef::None; 5];
    operands[0] = OperandRef::Operand { index: 0, elem: elem(DType::F32) };
    let norm = tpu::GroupNorm { num_groups: shape[1], eps: op.eps };
    let mut last = lowered.push(norm, operands, name(0, "convert_to_group_norm"), ty.clone());
    let mut step = 0;
    if weight != OperandRef::None {
        step += 1;
        last = lowered.push(tpu::Mul::default(), vec![last, weight], name(step, "mul_weights"), ty.clone());
    }
    if bias != OperandRef::None {
        lowered.push(tpu::Add::default(), vec![last, bias], context.name, ty);
    }
    Ok(lowered.finish())
}
