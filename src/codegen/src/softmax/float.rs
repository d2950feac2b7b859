//! Softmax of floats over any axis, in f32: positions on the lanes, the axis along H.
//!
//! With n = floor(x / ln 2) and r = x - n ln 2, exp(x) is 2^n times the Taylor series of exp at r, which lies in [0, ln 2].

use super::spread;
use crate::Context;
use crate::conv::steps;
use crate::emit::{Arithmetic, Ddr, Window};
use crate::float::{load_f32, store_f32};
use crate::local::{Arena, LANE_BYTES, LANES, Local};
use tpuc_ops::{TensorType, tpu};
use tpuc_tensor::DType;

/// Terms of the series: the next one is less than 2^-26.
const TERMS: usize = 10;
/// ln 2 in two parts, of which the first has so few bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Below this, exp is no normal number.
const LEAST: f32 = -87.0;

/// Outer positions, the axis, inner positions.
fn extents(op: &tpu::Softmax, ty: &TensorType) -> Result<[u64; 3], String> {
    let rank = ty.shape.len() as i64;
    let axis = if op.axis < 0 { i64::from(op.axis) + rank } else { i64::from(op.axis) };
    if !(0..rank).contains(&axis) {
        return Err(format!("axis {} of a tensor of {rank} dimensions", op.axis));
    }
    let product = |list: &[i64]| list.iter().product::<i64>() as u64;
    let axis = axis as usize;
    Ok([product(&ty.shape[..axis]), ty.shape[axis] as u64, product(&ty.shape[axis + 1..])])
}

pub fn refuse(op: &tpu::Softmax, ty: &TensorType) -> Option<String> {
    if op.log {
        return Some("the logarithm of a softmax is not generated".into());
    }
    match extents(op, ty) {
        Ok([_, length, _]) if 30 * length + 4096 > LANE_BYTES => Some(format!("{length} elements along its axis do not fit local memory")),
        Ok(_) => None,
        Err(reason) => Some(reason),
    }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Softmax) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let ty = context.ty(input)?.clone();
    let (dtype, [outer, length, inner]) = (ty.elem.storage(), extents(op, &ty)?);
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    // Lanes along the inner positions; along the outer ones where there is but one inner.
    let (repeats, positions, lane_stride, step) = if inner == 1 { (1, outer, length, 1) } else { (outer, inner, 1, inner) };
    for repeat in 0..repeats {
        for (first, lanes) in steps(positions, LANES) {
            let ddr = |at: u64| Ddr::context(at + (repeat * length * inner + first * lane_stride) * dtype.size() as u64, [0, lane_stride, step, 1]);
            let mut arena = Arena::new(0, LANE_BYTES);
            let series = load_series(context, &mut arena)?;
            let x = load_f32(context, &mut arena, [1, lanes, length, 1], dtype, ddr(x_at))?;
            if op.beta != 1.0 {
                context.emit.multiply_float(x, op.beta as f32, x);
            }
            normalize(context, &mut arena, x, series)?;
            store_f32(context, &mut arena, x, dtype, ddr(y_at))?;
        }
    }
    Ok(())
}

/// The terms of the series of exp on every lane.
pub(crate) fn load_series(context: &mut Context, arena: &mut Arena) -> Result<Local, String> {
    let mut factorial = 1f64;
    let series: Vec<u8> = (0..TERMS).flat_map(|n| { factorial *= n.max(1) as f64; ((1.0 / factorial) as f32).to_le_bytes() }).collect();
    let at = context.coeff.add(series);
    let local = arena.tensor([1, LANES, 1, TERMS as u64], DType::F32)?;
    context.emit.load(local, Ddr::coefficients(at, [0, 0, 0, 1]));
    Ok(local)
}

/// Softmax along H of f32 elements, in place.
pub(crate) fn normalize(context: &mut Context, arena: &mut Arena, x: Local, series: Local) -> Result<(), String> {
    let column = Window { kernel: [x.shape[2], 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
    let single = arena.tensor([1, x.shape[1], 1, 1], DType::F32)?;
    context.emit.max_pool(x, single, column);
    context.emit.binary_float(Arithmetic::Sub, x, spread(single, x.shape), x);
    let y = exponential(context, arena, x, series)?;
    context.emit.sum_pool_f32(y, single, column);
    context.emit.divide(y, spread(single, x.shape), x);
    Ok(())
}

/// exp of elements that are not positive, in place of which others stand afterwards.
fn exponential(context: &mut Context, arena: &mut Arena, x: Local, series: Local) -> Result<Local, String> {
    let exponent = arena.tensor(x.shape, DType::I32)?;
    let whole = arena.tensor(x.shape, DType::F32)?;
    let y = arena.tensor(x.shape, DType::F32)?;
    let emit = &mut context.emit;
    emit.constant_float(Arithmetic::Max, x, LEAST, x);
    emit.multiply_float(x, std::f32::consts::LOG2_E, whole);
    emit.cast_round_down(whole, exponent);
    emit.cast_exact(exponent, whole);
    emit.multiply_float(whole, -LN2_HIGH, y);
    emit.binary_float(Arithmetic::Add, x, y, x);
    emit.multiply_float(whole, -LN2_LOW, y);
    emit.binary_float(Arithmetic::Add, x, y, x);
    emit.taylor(x, series, TERMS, y);
    // 2^n: n moved to where a float has its exponent.
    emit.add_integer(exponent, 127, exponent);
    emit.multiply_integer(exponent, 1 << 23, exponent);
    emit.binary_float(Arithmetic::Mul, y, Local { dtype: DType::F32, ..exponent }, y);
    Ok(y)
}
