//! Casts at the borders of the INT8 part: f32 to i8/u8 and back.

use crate::Context;
use crate::elementwise::flat_steps;
use crate::local::half;
use tpuc_ops::{Program, tpu};
use tpuc_tensor::DType;

const RUN: u64 = 8 << 10;

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let (Some(from), Some(to)) = (program.tensor_type(node.operands[0]), program.tensor_type(node.results[0])) else {
        return Some("no tensor types".into());
    };
    let float = |storage: DType| storage == DType::F32;
    match (from.elem.storage(), to.elem.storage()) {
        (a, _) if float(a) && crate::is_int8(to) => None,
        (_, b) if crate::is_int8(from) && float(b) => None,
        (a, b) => Some(format!("from {a} to {b}")),
    }
}

pub fn generate(context: &mut Context, node: usize, _op: &tpu::Cast) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let quantize = x_type.elem.storage() == DType::F32;
    let scale = if quantize { y_type.elem.scale() } else { x_type.elem.scale() };
    let scale = scale.ok_or("no scale in its types")?;
    for (turn, step) in flat_steps(y_type.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let x = arena.tensor(step.shape(), x_type.elem.storage())?;
        let float = if quantize { x } else { arena.tensor(step.shape(), DType::F32)? };
        context.emit.load(x, step.ddr(x_at, x.dtype.size() as u64));
        let y = if quantize {
            let y = arena.tensor(step.shape(), y_type.elem.storage())?;
            context.emit.multiply_float(x, (1.0 / scale) as f32, float);
            context.emit.cast_round_half_away(float, y);
            y
        } else {
            context.emit.cast_exact(x, float);
            context.emit.multiply_float(float, scale as f32, float);
            float
        };
        context.emit.store(y, step.ddr(y_at, y.dtype.size() as u64));
    }
    Ok(())
}
