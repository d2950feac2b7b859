//! Arithmetic of two 8-bit tensors that broadcast: product, difference, maximum, minimum; slopes of a PRelu.

use crate::Context;
use crate::broadcast::{bytes, spread, tiles};
use crate::local::{Arena, LANE_BYTES, Local, half};
use crate::place::Place;
use tpuc_ops::{Op, Program, TensorType, ValueId, tpu};
use tpuc_tensor::DType;

/// What becomes of two elements a and b. Shifts round halves up; results saturate.
enum Pair {
    /// ((a - zero_a) (b - zero_b) multiplier) >> rshift, around the result's zero point
    Mul { multiplier: i64, rshift: i64, relu: bool, zeros: [i16; 3] },
    /// (a m0 >> r0) - (b m1 >> r1)
    Sub { multipliers: [i64; 2], rshifts: [i64; 2], reverse: bool, relu: bool },
    /// The larger or the smaller one.
    Extremum { largest: bool, relu: bool, zero: i16 },
    /// a where it is positive (times a multiplier, shifted), else a b >> rshift
    PRelu { positive: Option<(i64, i64)>, rshift: i64 },
}

impl Pair {
    /// `zeros`: zero points of the operands and the result.
    fn of(op: &Op, zeros: [i16; 3]) -> Result<Pair, String> {
        let two = |list: &Option<Vec<i64>>, default: i64, name: &str| match list.as_deref() {
            None => Ok([default; 2]),
            Some(&[a, b]) => Ok([a, b]),
            Some(list) => Err(format!("{} {name}, expected 2", list.len())),
        };
        let extremum = |multipliers: &Option<Vec<i64>>, largest: bool, relu: bool| match multipliers {
            None => Ok(Pair::Extremum { largest, relu, zero: zeros[2] }),
            Some(_) => Err("an extremum with multipliers is not generated".to_owned()),
        };
        match op {
            Op::TpuMul(op) if op.quant_mode == tpu::RequantMode::MultiplierShift => Ok(Pair::Mul { multiplier: op.multiplier.into(), rshift: op.rshift.into(), relu: op.do_relu, zeros }),
            Op::TpuMul(_) => Err("another requantization than by multiplier and shift".into()),
            Op::TpuSub(op) => {
                Ok(Pair::Sub { multipliers: two(&op.multipliers, 1, "multipliers")?, rshifts: two(&op.rshifts, 0, "rshifts")?, reverse: op.is_reverse, relu: op.do_relu })
            }
            Op::TpuMax(op) => extremum(&op.multipliers, true, op.do_relu),
            Op::TpuMin(op) => extremum(&op.multipliers, false, op.do_relu),
            Op::TpuPReluOp(op) => {
                let positive = op.multiplier_pos.map(|m| (i64::from(m), i64::from(op.rshift_pos.unwrap_or(0))));
                Ok(Pair::PRelu { positive, rshift: op.rshift.into() })
            }
            _ => Err("no kernel".into()),
        }
    }
}

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let (operands, results) = (&program.nodes[node].operands, &program.nodes[node].results);
    if operands.len() != 2 {
        return Some(format!("{} inputs, two are generated", operands.len()));
    }
    let computed = operands.iter().filter(|&&v| program.producer(v).is_some()).chain(results);
    let types: Vec<&TensorType> = computed.filter_map(|&v| program.tensor_type(v)).collect();
    if !types.iter().all(|t| crate::is_quantized(t)) {
        return Some("of integers only INT8 is generated".into());
    }
    let one_zero_point = types.iter().all(|t| crate::zero_point(t) == crate::zero_point(types[0]));
    match &program.nodes[node].op {
        Op::TpuMul(_) => {}
        Op::TpuMax(_) | Op::TpuMin(_) if one_zero_point => {}
        _ if types.iter().all(|t| crate::is_int8(t)) => {}
        _ => return Some("is not generated with these zero points".into()),
    }
    Pair::of(&program.nodes[node].op, [0; 3]).err()
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let zero = |context: &Context, value: ValueId| context.ty(value).map_or(0, crate::zero_point);
    let zeros = [zero(context, context.operand(node, 0)), zero(context, context.operand(node, 1)), zero(context, context.result(node))];
    let pair = Pair::of(&context.program.nodes[node].op, zeros)?;
    let places = [Place::bytes(context, context.operand(node, 0))?, Place::bytes(context, context.operand(node, 1))?];
    let result = Place::bytes(context, context.result(node))?;
    // The operands, what is computed of them in at most 32 bits, the result.
    let types = [DType::I8, DType::I8, DType::I32, DType::I16, DType::I16, DType::I8];
    for (turn, tile) in tiles(&[&places[0].shape, &places[1].shape], &result.shape, |e| bytes(e, &types) <= LANE_BYTES / 2)?.into_iter().enumerate() {
        let mut arena = half(turn);
        let mut loaded = Vec::new();
        for (place, part) in places.iter().zip(&tile.operands) {
            let x = arena.tensor(part.shape, place.dtype)?;
            context.emit.load(x, part.of(place.base, 1));
            loaded.push(spread(x, tile.shape));
        }
        let y = arena.tensor(tile.shape, result.dtype)?;
        pair.compute(context, &mut arena, loaded[0], loaded[1], y)?;
        context.emit.store(y, tile.result.of(result.base, 1));
    }
    Ok(())
}

impl Pair {
    fn compute(&self, context: &mut Context, arena: &mut Arena, a: Local, b: Local, y: Local) -> Result<(), String> {
        let emit = &mut context.emit;
        let (relu, zero) = match *self {
            Pair::Mul { multiplier, rshift, relu, zeros } => {
                let product = arena.tensor(y.shape, DType::I32)?;
                let mut factors = [a, b];
                for (x, zero) in factors.iter_mut().zip(zeros).filter(|(_, zero)| *zero != 0) {
                    let shifted = arena.tensor(y.shape, DType::I16)?;
                    emit.subtract_constant(*x, zero as i8, shifted);
                    *x = shifted;
                }
                emit.multiply_wrapping(factors[0], factors[1], product);
                emit.requant_constant(product, multiplier, rshift, zeros[2], y)?;
                (relu, zeros[2])
            }
            Pair::Sub { multipliers, rshifts, reverse, relu } => {
                let (first, second) = (arena.tensor(y.shape, DType::I16)?, arena.tensor(y.shape, DType::I16)?);
                emit.multiply_shift(a, multipliers[0], rshifts[0], first)?;
                emit.multiply_shift(b, multipliers[1], rshifts[1], second)?;
                if reverse { emit.subtract_saturating(second, first, first) } else { emit.subtract_saturating(first, second, first) }
                emit.cast_exact(first, y);
                (relu, 0)
            }
            Pair::Extremum { largest, relu, zero } => {
                let (first, second) = (arena.tensor(y.shape, DType::I16)?, arena.tensor(y.shape, DType::I16)?);
                emit.cast_exact(a, first);
                emit.cast_exact(b, second);
                emit.extremum(largest, first, second, first);
                emit.cast_exact(first, y);
                (relu, zero)
            }
            Pair::PRelu { positive, rshift } => {
                let (first, second) = (arena.tensor(y.shape, DType::I16)?, arena.tensor(y.shape, DType::I16)?);
                let least = arena.tensor(y.shape, a.dtype)?;
                emit.min_constant(a, least, 0);
                emit.multiply_shift_each(least, b, rshift, second)?;
                let (multiplier, shift) = positive.unwrap_or((1, 0));
                emit.max_constant(a, least, 0);
                emit.multiply_shift(least, multiplier, shift, first)?;
                emit.add_saturating(first, second, y);
                (false, 0)
            }
        };
        if relu && y.dtype.is_signed() {
            emit.max_constant(y, y, zero as i8);
        }
        Ok(())
    }
}
