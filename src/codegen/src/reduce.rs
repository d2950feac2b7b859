//! Reductions of floats, in f32: positions that stay on the lanes, what goes along H.

use crate::Context;
use crate::conv::steps;
use crate::emit::{Arithmetic as A, Ddr, Emitter, Window};
use crate::float::{load_f32, store_f32};
use crate::local::{LANE_BYTES, LANES, Local, half};
use crate::place::Place;
use tpuc_kernels::reduce::Reduction;
use tpuc_ops::{Program, top, tpu};
use tpuc_tensor::DType;

/// A product is taken element by element.
const MOST_FACTORS: u64 = 64;
/// Elements that are reduced at once.
const RUN: u64 = 8 << 10;

fn mode(op: &tpu::Reduce) -> Result<Reduction, String> {
    Reduction::of_mode(&op.mode).ok_or_else(|| format!("unknown mode '{}'", op.mode))
}

/// Positions in front of what goes, elements that go, positions behind.
fn extents(op: &tpu::Reduce, shape: &[i64]) -> Result<[u64; 3], String> {
    let form = top::Reduce { axes: op.axes.clone(), keepdims: op.keepdims, mode: op.mode.clone(), ..Default::default() };
    let gone: Vec<usize> = form.resolve(shape.len())?.into_iter().filter(|&d| shape[d] != 1).collect();
    let (Some(&first), Some(&last)) = (gone.first(), gone.last()) else { return Ok([shape.iter().product::<i64>() as u64, 1, 1]) };
    if (first..=last).any(|d| shape[d] != 1 && !gone.contains(&d)) {
        return Err(format!("dimensions {:?} of {shape:?} are not next to each other", op.axes));
    }
    let product = |list: &[i64]| list.iter().product::<i64>() as u64;
    Ok([product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])])
}

pub fn refuse(program: &Program, node: usize, op: &tpu::Reduce) -> Option<String> {
    let ty = program.tensor_type(program.nodes[node].operands[0])?;
    if op.multiplier.is_some() {
        return Some("of integers".into());
    }
    match (mode(op), extents(op, &ty.shape)) {
        (Err(reason), _) | (_, Err(reason)) => Some(reason),
        (Ok(Reduction::Prod), Ok([_, length, _])) if length > MOST_FACTORS => Some(format!("a product of {length} elements")),
        _ => None,
    }
}

/// The sum of a tensor's H in f32.
pub fn sum_column(emit: &mut Emitter, x: Local, y: Local) {
    emit.sum_pool_f32(x, y, column(x.shape[2]));
}

fn column(length: u64) -> Window {
    Window { kernel: [length, 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Reduce) -> Result<(), String> {
    let (x, y) = (Place::floats(context, context.operand(node, 0))?, Place::floats(context, context.result(node))?);
    let (mode, [outer, length, inner]) = (mode(op)?, extents(op, &x.shape)?);
    let (repeats, positions, lane_stride, step) = if inner == 1 { (1, outer, length, 1) } else { (outer, inner, 1, inner) };
    let mut turn = 0;
    for repeat in 0..repeats {
        for (first, lanes) in steps(positions, LANES) {
            let total = Local::aligned(LANE_BYTES - 64, [1, lanes, 1, 1], DType::F32);
            for (at, count) in steps(length, RUN.min(length)) {
                let mut arena = half(turn);
                turn += 1;
                let from = (repeat * length * inner + first * lane_stride + at * step) * x.size();
                let ddr = Ddr { offset: x.base.offset + from, strides: [0, lane_stride, step, 1], ..x.base };
                let loaded = load_f32(context, &mut arena, [1, lanes, count, 1], x.dtype, ddr)?;
                let part = if at == 0 { total } else { arena.tensor(total.shape, DType::F32)? };
                let scratch = arena.tensor(loaded.shape, DType::F32)?;
                reduce(&mut context.emit, mode, loaded, scratch, part);
                if at > 0 {
                    context.emit.binary_float(combining(mode), total, part, total);
                }
            }
            finish(&mut context.emit, mode, length, y.dtype, total, half(turn).tensor(total.shape, DType::F32)?);
            let to = Ddr { offset: y.base.offset + (repeat * inner + first) * y.size(), strides: [0, 1, 1, 1], ..y.base };
            store_f32(context, &mut half(turn), total, y.dtype, to)?;
        }
    }
    Ok(())
}

fn combining(mode: Reduction) -> A {
    match mode {
        Reduction::Mean | Reduction::Sum | Reduction::L1 | Reduction::L2 => A::Add,
        // A minimum is kept with the other sign.
        Reduction::Max | Reduction::Min => A::Max,
        Reduction::Prod => A::Mul,
    }
}

/// One number for each lane; `x` is lost.
fn reduce(emit: &mut Emitter, mode: Reduction, x: Local, scratch: Local, y: Local) {
    let window = column(x.shape[2]);
    match mode {
        Reduction::Mean | Reduction::Sum => emit.sum_pool_f32(x, y, window),
        Reduction::L1 => {
            emit.multiply_float(x, -1.0, scratch);
            emit.binary_float(A::Max, x, scratch, x);
            emit.sum_pool_f32(x, y, window);
        }
        Reduction::L2 => {
            emit.binary_float(A::Mul, x, x, x);
            emit.sum_pool_f32(x, y, window);
        }
        Reduction::Max => emit.max_pool(x, y, window),
        Reduction::Min => {
            emit.multiply_float(x, -1.0, scratch);
            emit.max_pool(scratch, y, window);
        }
        Reduction::Prod => {
            emit.copy_local(x.part([0; 4], y.shape), y);
            for row in 1..x.shape[2] {
                emit.binary_float(A::Mul, y, x.part([0, 0, row, 0], y.shape), y);
            }
        }
    }
}

/// What is done to the reduction of all elements, in place.
fn finish(emit: &mut Emitter, mode: Reduction, length: u64, dtype: DType, y: Local, scratch: Local) {
    match mode {
        // The reciprocal of a count is a constant of the tensor's type.
        Reduction::Mean => emit.multiply_float(y, crate::cast::rounded(1.0 / length as f32, dtype), y),
        Reduction::Min => emit.multiply_float(y, -1.0, y),
        Reduction::L2 => {
            emit.reciprocal_root(y, scratch);
            emit.binary_float(A::Mul, y, scratch, y);
        }
        Reduction::Sum | Reduction::Max | Reduction::Prod | Reduction::L1 => {}
    }
}
