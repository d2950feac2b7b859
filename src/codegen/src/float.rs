//! Elementwise ops of floats. Whatever the type, elements are computed in f32 and rounded once.

use crate::Context;
use crate::broadcast::{bytes, spread, tiles};
use crate::emit::{Arithmetic, Ddr};
use crate::local::{Arena, LANE_BYTES, Local, half};
use crate::place::Place;
use tpuc_ops::{Op, Program, TensorType};
use tpuc_tensor::DType;

/// Two or more tensors, from the first to the last.
struct Fold {
    operation: Arithmetic,
    /// A factor for each operand.
    factors: Vec<f32>,
    /// The second operand comes first.
    reverse: bool,
    relu: Option<f64>,
}

/// One step on a tensor in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Constant(Arithmetic, f32),
    /// constant op x
    ConstantFirst(Arithmetic, f32),
    Relu(f64),
    /// x where it is positive, else `alpha` x.
    Leaky(f32),
}

/// Whether an op is one of floats that [`generate`] knows, or why not.
pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let values = program.nodes[node].operands.iter().chain(&program.nodes[node].results);
    let types: Vec<&TensorType> = values.filter_map(|&v| program.tensor_type(v)).collect();
    if let Some(ty) = types.iter().find(|ty| !crate::is_float(ty)) {
        return Some(format!("a tensor of {} among floats", ty.elem.storage()));
    }
    let op = &program.nodes[node].op;
    match (fold_of(op, program.nodes[node].operands.len()), steps_of(op)) {
        (Ok(None), None) => Some("no kernel".into()),
        (Err(reason), _) => Some(reason),
        _ => None,
    }
}

fn fold_of(op: &Op, count: usize) -> Result<Option<Fold>, String> {
    let relu = |on: bool, limit: f64| on.then_some(limit);
    let ones = vec![1.0; count];
    let factors = |coeff: &Option<Vec<f64>>| match coeff {
        None => Ok(vec![1.0; count]),
        Some(list) if list.len() == count => Ok(list.iter().map(|&v| v as f32).collect()),
        Some(list) => Err(format!("{} coefficients for {count} operands", list.len())),
    };
    Ok(Some(match op {
        Op::TpuAdd(op) => Fold { operation: Arithmetic::Add, factors: factors(&op.coeff)?, reverse: false, relu: relu(op.do_relu, op.relu_limit) },
        Op::TpuSub(op) => Fold { operation: Arithmetic::Sub, factors: factors(&op.coeff)?, reverse: op.is_reverse, relu: relu(op.do_relu, op.relu_limit) },
        Op::TpuMul(op) => Fold { operation: Arithmetic::Mul, factors: ones, reverse: false, relu: relu(op.do_relu, op.relu_limit) },
        Op::TpuDiv(op) => Fold { operation: Arithmetic::Div, factors: ones, reverse: op.is_reverse, relu: relu(op.do_relu, op.relu_limit) },
        Op::TpuMax(op) => Fold { operation: Arithmetic::Max, factors: ones, reverse: false, relu: relu(op.do_relu, op.relu_limit) },
        Op::TpuMin(op) => Fold { operation: Arithmetic::Min, factors: ones, reverse: false, relu: relu(op.do_relu, op.relu_limit) },
        _ => return Ok(None),
    }))
}

fn steps_of(op: &Op) -> Option<Vec<Step>> {
    use Arithmetic as A;
    let with_relu = |step: Step, on: bool, limit: f64| if on { vec![step, Step::Relu(limit)] } else { vec![step] };
    Some(match op {
        Op::TpuRelu(op) => vec![Step::Relu(op.relu_limit)],
        Op::TpuLeakyRelu(op) => vec![Step::Leaky(op.alpha? as f32)],
        Op::TpuClip(op) => vec![Step::Constant(A::Max, op.min as f32), Step::Constant(A::Min, op.max as f32)],
        Op::TpuAddConst(op) => with_relu(Step::Constant(A::Add, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuSubConst(op) if op.is_reverse => with_relu(Step::ConstantFirst(A::Sub, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuSubConst(op) => with_relu(Step::Constant(A::Sub, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuMulConst(op) => with_relu(Step::Constant(A::Mul, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuMaxConst(op) => with_relu(Step::Constant(A::Max, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuMinConst(op) => with_relu(Step::Constant(A::Min, op.const_val as f32), op.do_relu, op.relu_limit),
        Op::TpuReciprocal(op) => with_relu(Step::ConstantFirst(A::Div, op.const_val as f32), op.do_relu, op.relu_limit),
        _ => return None,
    })
}

/// Loads a tensor and widens it to f32.
pub fn load_f32(context: &mut Context, arena: &mut Arena, shape: [u64; 4], dtype: DType, from: Ddr) -> Result<Local, String> {
    let x = arena.tensor(shape, dtype)?;
    context.emit.load(x, from);
    if dtype == DType::F32 {
        return Ok(x);
    }
    let wide = arena.tensor(shape, DType::F32)?;
    context.emit.cast_exact(x, wide);
    Ok(wide)
}

/// Rounds f32 to the type and stores.
pub fn store_f32(context: &mut Context, arena: &mut Arena, x: Local, dtype: DType, to: Ddr) -> Result<(), String> {
    let y = if dtype == DType::F32 { x } else { arena.tensor(x.shape, dtype)? };
    if dtype != DType::F32 {
        context.emit.cast_exact(x, y);
    }
    context.emit.store(y, to);
    Ok(())
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let op = &context.program.nodes[node].op;
    let count = context.program.nodes[node].operands.len();
    if let Some(fold) = fold_of(op, count)? {
        return generate_fold(context, node, &fold);
    }
    match steps_of(op) {
        Some(steps) => generate_steps(context, node, &steps),
        None => Err("no kernel".into()),
    }
}

fn generate_fold(context: &mut Context, node: usize, fold: &Fold) -> Result<(), String> {
    let operands = context.program.nodes[node].operands.clone();
    let places = operands.iter().map(|&v| Place::floats(context, v)).collect::<Result<Vec<_>, _>>()?;
    let result = Place::floats(context, context.result(node))?;
    let shapes: Vec<&[i64]> = places.iter().map(|p| p.shape.as_slice()).collect();
    // Each operand as it is and in f32; the result in both.
    let types: Vec<DType> = places.iter().chain([&result]).flat_map(|p| [p.dtype, DType::F32]).collect();
    for (turn, tile) in tiles(&shapes, &result.shape, |e| bytes(e, &types) <= LANE_BYTES / 2)?.into_iter().enumerate() {
        let mut arena = half(turn);
        let mut loaded = Vec::new();
        for ((place, part), &factor) in places.iter().zip(&tile.operands).zip(&fold.factors) {
            let x = load_f32(context, &mut arena, part.shape, place.dtype, part.of(place.base, place.dtype.size()))?;
            if factor != 1.0 {
                context.emit.multiply_float(x, factor, x);
            }
            loaded.push(spread(x, tile.shape));
        }
        if fold.reverse && loaded.len() > 1 {
            loaded.swap(0, 1);
        }
        let y = arena.tensor(tile.shape, DType::F32)?;
        let mut so_far = loaded[0];
        for &x in &loaded[1..] {
            context.emit.binary_float(fold.operation, so_far, x, y);
            so_far = y;
        }
        if let Some(limit) = fold.relu {
            context.emit.relu_float(so_far, limit);
        }
        store_f32(context, &mut arena, so_far, result.dtype, tile.result.of(result.base, result.dtype.size()))?;
    }
    Ok(())
}

fn generate_steps(context: &mut Context, node: usize, list: &[Step]) -> Result<(), String> {
    let x_place = Place::floats(context, context.operand(node, 0))?;
    let y_place = Place::floats(context, context.result(node))?;
    let types = [x_place.dtype, DType::F32, DType::F32, y_place.dtype];
    for (turn, tile) in tiles(&[&x_place.shape], &y_place.shape, |e| bytes(e, &types) <= LANE_BYTES / 2)?.into_iter().enumerate() {
        let mut arena = half(turn);
        let x = load_f32(context, &mut arena, tile.shape, x_place.dtype, tile.operands[0].of(x_place.base, x_place.dtype.size()))?;
        for &step in list {
            match step {
                Step::Constant(operation, v) => context.emit.constant_float(operation, x, v, x),
                Step::ConstantFirst(operation, v) => context.emit.constant_first(operation, v, x, x),
                Step::Relu(limit) => context.emit.relu_float(x, limit),
                Step::Leaky(alpha) => {
                    let negative = arena.tensor(tile.shape, DType::F32)?;
                    context.emit.constant_float(Arithmetic::Min, x, 0.0, negative);
                    context.emit.multiply_float(negative, alpha, negative);
                    context.emit.constant_float(Arithmetic::Max, x, 0.0, x);
                    context.emit.binary_float(Arithmetic::Add, x, negative, x);
                }
            }
        }
        store_f32(context, &mut arena, x, y_place.dtype, tile.result.of(y_place.base, y_place.dtype.size()))?;
    }
    Ok(())
}
