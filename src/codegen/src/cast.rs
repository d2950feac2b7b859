//! Casts between floats of any width and 8-bit integers.
//!
//! An integer becomes a float as `round(q * round(scale))`, a float an integer as `round(round(x * round(1 / scale)))` (with a zero point added, or taken away first), where the
//! inner roundings are to the float's type and the outer is to whole numbers, halves away from zero (docs/numerics.md).

use crate::Context;
use crate::elementwise::flat_steps;
use crate::float::{load_f32, store_f32};
use crate::local::half;
use tpuc_kernels::cast::HalfFloat;
use tpuc_ops::{Program, TensorType, tpu};
use tpuc_tensor::DType;

/// Elements a lane: of 4 bytes in f32, 2 in a half float, 2 in another, 2 as a wide integer and 1 as a narrow one, at most 13.
const RUN: u64 = 8 << 10;

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let (Some(from), Some(to)) = (program.tensor_type(node.operands[0]), program.tensor_type(node.results[0])) else {
        return Some("no tensor types".into());
    };
    let known = |ty: &TensorType| crate::is_float(ty) || crate::is_quantized(ty);
    let same_integers = crate::is_quantized(from) && crate::is_quantized(to);
    if known(from) && known(to) && !same_integers { None } else { Some(format!("from {} to {}", from.elem.storage(), to.elem.storage())) }
}

/// `1 / scale` in the float type that is multiplied by it.
fn reciprocal(scale: f64, dtype: DType) -> f32 {
    match dtype {
        DType::F16 => HalfFloat::F16.reciprocal(scale),
        DType::BF16 => HalfFloat::BF16.reciprocal(scale),
        _ => (1.0 / scale) as f32,
    }
}

/// A constant as the float type holds it.
pub fn rounded(v: f32, dtype: DType) -> f32 {
    match dtype {
        DType::F16 => half::f16::from_f32(v).to_f32(),
        DType::BF16 => half::bf16::from_f32(v).to_f32(),
        _ => v,
    }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Cast) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let (from, to) = (x_type.elem.storage(), y_type.elem.storage());
    let scale = |ty: &TensorType| if op.with_scale { ty.elem.scale().unwrap_or(1.0) } else { 1.0 };
    let zero_point = |ty: &TensorType| if op.with_scale { crate::zero_point(ty) } else { 0 };
    for (turn, step) in flat_steps(y_type.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let (source, dest) = (step.ddr(x_at, from.size() as u64), step.ddr(y_at, to.size() as u64));
        match (crate::is_float(&x_type), crate::is_float(&y_type)) {
            (true, true) => {
                let x = load_f32(context, &mut arena, step.shape(), from, source)?;
                store_f32(context, &mut arena, x, to, dest)?;
            }
            (false, _) => {
                let x = load_f32(context, &mut arena, step.shape(), from, source)?;
                if zero_point(&x_type) != 0 {
                    context.emit.add_float(x, -f32::from(zero_point(&x_type)), x);
                }
                context.emit.multiply_float(x, rounded(scale(&x_type) as f32, to), x);
                store_f32(context, &mut arena, x, to, dest)?;
            }
            (true, false) => {
                let mut x = load_f32(context, &mut arena, step.shape(), from, source)?;
                context.emit.multiply_float(x, reciprocal(scale(&y_type), from), x);
                if from != DType::F32 {
                    let product = arena.tensor(step.shape(), from)?;
                    context.emit.cast_exact(x, product);
                    x = product;
                }
                let y = arena.tensor(step.shape(), to)?;
                match zero_point(&y_type) {
                    0 => context.emit.cast_round_half_away(x, y),
                    zero_point => {
                        let whole = arena.tensor(step.shape(), DType::I16)?;
                        context.emit.cast_round_half_away(x, whole);
                        context.emit.add_constant_saturating(whole, zero_point, y);
                    }
                }
                context.emit.store(y, dest);
            }
        }
    }
    Ok(())
}
