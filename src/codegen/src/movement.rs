//! Ops that only move elements, of whatever type: Permute, Slice, Concat, Tile, Upsample, Depth2Space, Reverse, Gather with
//! constant indices. Each is some strided copies.

use crate::Context;
use crate::copies::{self, Copy, Dim, Sides};
use crate::elementwise::flat_steps;
use crate::emit::{Ddr, Emitter};
use crate::local::{Local, half};
use crate::place::Place;
use tpuc_ops::{Op, Program, TensorType, ValueId, top};
use tpuc_tensor::DType;

/// Negative steps and repetitions by index are a copy each; a network that asks for more is refused.
const MOST_COPIES: usize = 1 << 14;

/// Whether an op is one of these.
pub fn is_movement(op: &Op) -> bool {
    matches!(
        op,
        Op::TpuPermute(_) | Op::TpuSlice(_) | Op::TpuConcat(_) | Op::TpuTile(_) | Op::TpuUpsample(_) | Op::TpuDepth2Space(_) | Op::TpuReverse(_) | Op::TpuGather(_) | Op::TpuSwapChannel(_)
    )
}

/// A dimension of the result: how many, and how far apart in the source; some run backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    count: u64,
    step: i64,
}

/// Copies of one operand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    operand: usize,
    copies: Vec<Copy>,
}

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let (Some(x), Some(y)) = (program.tensor_type(node.operands[0]), program.tensor_type(node.results[0])) else { return Some("no tensor types".into()) };
    if let Op::TpuGather(_) = node.op {
        return (node.operands.get(1).is_none_or(|&v| program.producer(v).is_some())).then(|| "of gathers only such with constant indices are generated".into());
    }
    let known = |ty: &TensorType| crate::is_float(ty) || crate::is_quantized(ty);
    if !known(x) || !known(y) {
        return Some("only floats and INT8 are generated".into());
    }
    if let Op::TpuConcat(op) = &node.op {
        let scaled = op.multipliers.as_ref().is_some_and(|m| m.iter().any(|&m| m != 1)) || op.rshifts.as_ref().is_some_and(|r| r.iter().any(|&r| r != 0));
        if scaled {
            return Some("a concatenation that scales is not generated".into());
        }
        if node.operands.iter().any(|&v| program.tensor_type(v).is_none_or(|t| t.elem.storage() != y.elem.storage())) {
            return Some("its operands are of several types".into());
        }
    }
    moves(program, &node.op, &node.operands, y, &|_| Ok(Vec::new())).err()
}

/// Steps of a compact tensor.
fn steps_of(shape: &[i64]) -> Vec<i64> {
    let mut steps = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        steps[d - 1] = steps[d] * shape[d];
    }
    steps
}

/// Copies of the parts of each result dimension, from outermost to innermost, to a result at `to` with these steps. Parts that run
/// backwards become a copy for each index.
fn copies(parts: &[Vec<Part>], from: i64, to: u64, result_steps: &[i64]) -> Result<Vec<Copy>, String> {
    let mut list = vec![(from, Copy { from: 0, to, dims: Vec::new() })];
    for (dimension, &result_step) in parts.iter().zip(result_steps) {
        let mut to = result_step as u64 * dimension.iter().map(|p| p.count).product::<u64>();
        for part in dimension {
            to /= part.count.max(1);
            if part.step >= 0 || part.count == 1 {
                list.iter_mut().for_each(|(_, c)| c.dims.push(Dim { count: part.count, from: part.step.unsigned_abs(), to }));
                continue;
            }
            if list.len().saturating_mul(part.count as usize) > MOST_COPIES {
                return Err(format!("{} elements that run backwards are not generated", part.count));
            }
            let at = |i: u64, (from, c): &(i64, Copy)| (from + i as i64 * part.step, Copy { to: c.to + i * to, ..c.clone() });
            list = (0..part.count).flat_map(|i| list.iter().map(move |c| (i, c))).map(|(i, c)| at(i, c)).collect();
        }
    }
    list.into_iter().map(|(from, copy)| Ok(Copy { from: u64::try_from(from).map_err(|_| "a part begins in front of its tensor")?, ..copy })).collect()
}

fn part(count: impl TryInto<u64>, step: i64) -> Part {
    Part { count: count.try_into().unwrap_or(0), step }
}

/// What an op does. `indices` gives the integers of a constant operand.
fn moves(program: &Program, op: &Op, operands: &[ValueId], result: &TensorType, indices: &dyn Fn(ValueId) -> Result<Vec<i64>, String>) -> Result<Vec<Move>, String> {
    let shape = |index: usize| operands.get(index).and_then(|&v| program.tensor_type(v)).map(|t| t.shape.clone()).ok_or("an operand is not a tensor");
    let x = shape(0)?;
    let (steps, result_steps) = (steps_of(&x), steps_of(&result.shape));
    let one = |parts: Vec<Vec<Part>>, from: i64| Ok(vec![Move { operand: 0, copies: copies(&parts, from, 0, &result_steps)? }]);
    if let Op::TpuSwapChannel(op) = op {
        return swapped(&op.channel_order, &x);
    }
    let top = op.top_form().ok_or("no kernel")?;
    match &top {
        Op::TopPermute(op) => one(op.resolve(x.len())?.into_iter().map(|d| vec![part(x[d], steps[d])]).collect(), 0),
        Op::TopSlice(op) => {
            let ranges = op.resolve(&x)?;
            let from = ranges.iter().zip(&steps).map(|(r, s)| r.start as i64 * s).sum();
            one(ranges.iter().zip(&steps).map(|(r, s)| vec![part(r.count, s * r.step)]).collect(), from)
        }
        Op::TopTile(op) => {
            let counts = op.tile.as_deref().filter(|t| t.len() == x.len()).ok_or("needs a count for every dimension")?;
            one((0..x.len()).map(|d| vec![part(counts[d].max(0), 0), part(x[d], steps[d])]).collect(), 0)
        }
        Op::TopUpsample(op) => {
            let &[n, c, h, w] = x.as_slice() else { return Err(format!("an input of {} dimensions, expected 4", x.len())) };
            let (rows, columns) = (part(op.scale_h.max(0), 0), part(op.scale_w.max(0), 0));
            one(vec![vec![part(n, steps[0])], vec![part(c, steps[1])], vec![part(h, steps[2]), rows], vec![part(w, steps[3]), columns]], 0)
        }
        Op::TopReverse(op) => {
            let axis = axis(op.axis, x.len())?;
            let sign = |d: usize| if d == axis { -1 } else { 1 };
            one((0..x.len()).map(|d| vec![part(x[d], sign(d) * steps[d])]).collect(), (x[axis] - 1) * steps[axis])
        }
        Op::TopDepth2Space(op) => one(depth_to_space(op, &x, &result.shape)?, 0),
        Op::TopConcat(op) => {
            let axis = axis(i64::from(op.axis), x.len())?;
            let mut at = 0;
            (0..operands.len())
                .map(|operand| {
                    let x = shape(operand)?;
                    let steps = steps_of(&x);
                    let parts: Vec<Vec<Part>> = (0..x.len()).map(|d| vec![part(x[d], steps[d])]).collect();
                    let to = (at * result_steps.get(axis).copied().unwrap_or(1)) as u64;
                    at += x.get(axis).copied().unwrap_or(0);
                    Ok(Move { operand, copies: copies(&parts, 0, to, &result_steps)? })
                })
                .collect()
        }
        Op::TopGather(op) => {
            let axis = axis(i64::from(op.axis), x.len())?;
            let list = indices(*operands.get(1).ok_or("no indices")?)?;
            let (outer, inner): (i64, i64) = (x[..axis].iter().product(), x[axis + 1..].iter().product());
            let count = list.len() as i64;
            if list.len() > MOST_COPIES {
                return Err(format!("{count} indices are not generated"));
            }
            let copy = |(i, &index): (usize, &i64)| {
                let index = if index < 0 { index + x[axis] } else { index };
                if !(0..x[axis]).contains(&index) {
                    return Err(format!("index {index} of {} elements", x[axis]));
                }
                let dims = vec![Dim { count: outer as u64, from: (x[axis] * inner) as u64, to: (count * inner) as u64 }, Dim { count: inner as u64, from: 1, to: 1 }];
                Ok(Copy { from: (index * inner) as u64, to: (i as i64 * inner) as u64, dims })
            };
            Ok(vec![Move { operand: 0, copies: list.iter().enumerate().map(copy).collect::<Result<_, String>>()? }])
        }
        _ => Err("no kernel".into()),
    }
}

/// A copy for each channel of the result, of all images.
fn swapped(order: &[i64], x: &[i64]) -> Result<Vec<Move>, String> {
    let (Some(&images), Some(&channels)) = (x.first(), x.get(1)) else { return Err(format!("an input of {} dimensions", x.len())) };
    let plane: i64 = x[2..].iter().product();
    if order.len() > MOST_COPIES || order.iter().any(|c| !(0..channels).contains(c)) {
        return Err(format!("{} of {channels} channels are not generated", order.len()));
    }
    let dims = vec![Dim { count: images as u64, from: (channels * plane) as u64, to: (channels * plane) as u64 }, Dim { count: plane as u64, from: 1, to: 1 }];
    let copies = order.iter().enumerate().map(|(to, &from)| Copy { from: (from * plane) as u64, to: (to as i64 * plane) as u64, dims: dims.clone() }).collect();
    Ok(vec![Move { operand: 0, copies }])
}

fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_front).ok().filter(|&a| a < rank).ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}

/// The channels of the deeper side are block row, block column and channel, in the order that the attributes say.
fn depth_to_space(op: &top::Depth2Space, x: &[i64], y: &[i64]) -> Result<Vec<Vec<Part>>, String> {
    if x.len() != 4 || y.len() != 4 {
        return Err(format!("an input of {} dimensions, expected 4", x.len()));
    }
    let (bh, bw) = (op.block_h.max(1), op.block_w.max(1));
    let steps = steps_of(x);
    let positions = |nchw: bool| if nchw { [1, 2, 3] } else { [3, 1, 2] };
    let ([ic, ih, iw], [oc, oh, ow]) = (positions(op.in_is_NCHW), positions(op.out_is_NCHW));
    let channels = if op.is_inversed { y[oc] } else { x[ic] } / (bh * bw);
    // (size of a component of the deep channels, its step on the shallow side), from outermost to innermost.
    let component = |what: char| match what {
        'r' => (bh, steps[ih]),
        'c' => (bw, steps[iw]),
        _ => (channels, steps[ic]),
    };
    let order = match (op.is_CRD, op.swap_cr) {
        (true, false) => ['d', 'r', 'c'],
        (true, true) => ['d', 'c', 'r'],
        (false, false) => ['r', 'c', 'd'],
        (false, true) => ['c', 'r', 'd'],
    };
    let mut parts = vec![vec![part(x[0], steps[0])]; 4];
    if op.is_inversed {
        parts[oc] = order.iter().map(|&o| component(o)).map(|(count, step)| part(count, step)).collect();
        parts[oh] = vec![part(y[oh], steps[ih] * bh)];
        parts[ow] = vec![part(y[ow], steps[iw] * bw)];
    } else {
        let deep = |what: char| steps[ic] * order.iter().rev().take_while(|&&o| o != what).map(|&o| component(o).0).product::<i64>();
        parts[oc] = vec![part(channels, deep('d'))];
        parts[oh] = vec![part(x[ih], steps[ih]), part(bh, deep('r'))];
        parts[ow] = vec![part(x[iw], steps[iw]), part(bw, deep('c'))];
    }
    Ok(parts)
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let program = context.program;
    let result = context.result(node);
    let y_type = context.ty(result)?.clone();
    let moves = {
        let context = &*context;
        let indices = |value: ValueId| Ok(context.weight(value)?.to_f32().into_iter().map(|v| v as i64).collect());
        moves(program, &program.nodes[node].op, &program.nodes[node].operands, &y_type, &indices)?
    };
    let dtype = y_type.elem.storage();
    let y = Place::of(context, result, |_| true, "")?;
    let mut turn = 0;
    for Move { operand, copies } in &moves {
        let x = Place::of(context, context.operand(node, *operand), |t| t == dtype, "the result's type")?;
        if x.dtype != dtype {
            return Err(format!("an operand of type {} for a result of {dtype}", x.dtype));
        }
        let sides = Sides { from: x.base, to: y.base, dtype };
        copies.iter().try_for_each(|copy| copies::generate(&mut context.emit, copy, &sides, &mut turn))?;
    }
    let relu = match &program.nodes[node].op {
        Op::TpuConcat(op) if op.do_relu => Some(op.relu_limit),
        Op::TpuUpsample(op) if op.do_relu => Some(op.relu_limit),
        _ => None,
    };
    // Integers are saturated by their type, which is their limit: an unsigned one has nothing to cut off.
    match relu {
        Some(limit) if crate::is_float(&y_type) => rectify(context, &y, y_type.count() as u64, |emit, x| emit.relu_float(x, limit)),
        Some(_) if dtype == DType::I8 => {
            let zero_point = y_type.elem.zero_point().clamp(-128, 127) as i8;
            rectify(context, &y, y_type.count() as u64, |emit, x| emit.max_constant(x, x, zero_point))
        }
        _ => Ok(()),
    }
}

/// A Relu of a result that is in its place already.
fn rectify(context: &mut Context, y: &Place, count: u64, relu: impl Fn(&mut Emitter, Local)) -> Result<(), String> {
    for (turn, step) in flat_steps(count, 16 << 10).into_iter().enumerate() {
        let x = half(turn).tensor(step.shape(), y.dtype)?;
        let ddr = Ddr { offset: y.base.offset + step.first * y.size(), strides: [0, step.run, step.run, 1], ..y.base };
        context.emit.load(x, ddr);
        relu(&mut context.emit, x);
        context.emit.store(x, ddr);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backwards_is_a_copy_for_each_index() {
        let parts = [vec![part(3, -1)], vec![part(2, 3)]];
        let list = copies(&parts, 2, 0, &[2, 1]).unwrap();
        let copy = |from, to| Copy { from, to, dims: vec![Dim { count: 2, from: 3, to: 1 }] };
        assert_eq!(list, [copy(2, 0), copy(1, 2), copy(0, 4)]);
        assert!(copies(&[vec![part(1 << 20, -1)]], 1 << 20, 0, &[1]).is_err());
    }
}
