//! Sums of 32 bits: added up, and scaled to 8 bits. Elements are dealt out to all lanes in equal runs.

use crate::Context;
use crate::elementwise::flat_steps;
use crate::local::half;
use tpuc_ops::{Elem, Op, Program, TensorType, tpu};
use tpuc_tensor::DType;

/// Elements a lane of one step.
const RUN: u64 = 8 << 10;

fn is_wide(ty: &TensorType) -> bool {
    ty.elem == Elem::Plain(DType::I32)
}

/// Whether a node adds or scales sums of 32 bits.
pub fn is_of_sums(program: &Program, node: usize) -> bool {
    let node = &program.nodes[node];
    let first = node.operands.first().and_then(|&v| program.tensor_type(v));
    matches!(node.op, Op::TpuAdd(_) | Op::TpuRequantInt(_)) && first.is_some_and(is_wide)
}

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let result = program.tensor_type(node.results[0])?;
    match &node.op {
        Op::TpuAdd(op) => {
            let alike = node.operands.iter().all(|&v| program.producer(v).is_some() && program.tensor_type(v) == Some(result));
            let plain = op.multipliers.is_none() && op.coeff.is_none() && !op.do_relu;
            (node.operands.len() != 2 || !alike || !plain).then(|| "of 32-bit integers a plain sum of two tensors of one shape is generated".into())
        }
        Op::TpuRequantInt(op) => {
            let known = op.quant_mode == tpu::RequantMode::MultiplierShift && op.round_mode == tpu::RoundMode::HalfAwayFromZero;
            (!known || !crate::is_int8(result)).then(|| "a multiplier and shift to symmetric INT8, halves away from zero, is generated".into())
        }
        _ => Some("no kernel".into()),
    }
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let result = context.result(node);
    let ty = context.ty(result)?.clone();
    let (size, y_at) = (ty.elem.storage().size() as u64, context.placement.offset(result)?);
    let x_at = context.placement.offset(context.operand(node, 0))?;
    let requant = match &context.program.nodes[node].op {
        Op::TpuRequantInt(op) => Some((i64::from(op.multiplier), i64::from(op.rshift))),
        _ => None,
    };
    let other = if requant.is_none() { Some(context.placement.offset(context.operand(node, 1))?) } else { None };
    for (turn, step) in flat_steps(ty.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let x = arena.tensor(step.shape(), DType::I32)?;
        context.emit.load(x, step.ddr(x_at, 4));
        let y = arena.tensor(step.shape(), ty.elem.storage())?;
        if let Some(at) = other {
            let more = arena.tensor(step.shape(), DType::I32)?;
            context.emit.load(more, step.ddr(at, 4));
            context.emit.add_wrapping(x, more, y);
        }
        if let Some((multiplier, shift)) = requant {
            context.emit.requant_half_away(x, multiplier, shift, y)?;
        }
        context.emit.store(y, step.ddr(y_at, size));
    }
    Ok(())
}
