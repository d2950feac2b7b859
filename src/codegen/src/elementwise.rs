//! Sums and activations. Shapes do not matter here: elements are dealt out to all lanes in equal runs.

use crate::Context;
use crate::emit::Ddr;
use crate::local::{LANES, Local, half};
use tpuc_ops::{Program, tpu};
use tpuc_tensor::{DType, round};

/// Elements a lane of one step: seven bytes an element must fit half of local memory.
const RUN: u64 = 8 << 10;

/// A step of `lanes` runs of `run` elements, from element `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    pub first: u64,
    pub lanes: u64,
    pub run: u64,
}

impl Flat {
    pub fn shape(&self) -> [u64; 4] {
        [1, self.lanes, 1, self.run]
    }

    /// The elements in DDR, for a tensor at `at` of elements of `size` bytes.
    pub fn ddr(&self, at: u64, size: u64) -> Ddr {
        Ddr::context(at + self.first * size, [self.lanes * self.run, self.run, self.run, 1])
    }
}

/// Splits `count` elements into steps that use all lanes, and a short one for the rest.
pub fn flat_steps(count: u64, most: u64) -> Vec<Flat> {
    let mut steps = Vec::new();
    let mut first = 0;
    while first < count {
        let run = ((count - first) / LANES).min(most);
        let step = if run == 0 { Flat { first, lanes: 1, run: count - first } } else { Flat { first, lanes: LANES, run } };
        first += step.lanes * step.run;
        steps.push(step);
    }
    steps
}

pub fn refuse_add(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let Some(result) = program.tensor_type(node.results[0]) else { return Some("no result type".into()) };
    if node.operands.len() != 2 {
        return Some(format!("{} inputs, two are generated", node.operands.len()));
    }
    for &operand in &node.operands {
        match program.tensor_type(operand) {
            Some(ty) if ty.shape != result.shape => return Some("broadcasting is not generated".into()),
            Some(ty) if !crate::is_int8(ty) => return Some("only symmetric INT8 is generated".into()),
            _ => {}
        }
        if program.producer(operand).is_none() {
            return Some("a weight as an input is not generated".into());
        }
    }
    None
}

/// y = saturate(relu(round(a * ma >> ra) + round(b * mb >> rb))).
pub fn generate_add(context: &mut Context, node: usize, op: &tpu::Add) -> Result<(), String> {
    let pair = |list: &Option<Vec<i64>>, name: &str| match list.as_deref() {
        Some(&[a, b]) => Ok([a, b]),
        _ => Err(format!("attribute '{name}' should have two entries")),
    };
    let (multipliers, rshifts) = (pair(&op.multipliers, "multipliers")?, pair(&op.rshifts, "rshifts")?);
    let operands = [context.operand(node, 0), context.operand(node, 1)];
    let result = context.result(node);
    let (a_type, b_type, y_type) = (context.ty(operands[0])?.clone(), context.ty(operands[1])?.clone(), context.ty(result)?.clone());
    let (a_at, b_at, y_at) = (context.placement.offset(operands[0])?, context.placement.offset(operands[1])?, context.placement.offset(result)?);
    for (turn, step) in flat_steps(y_type.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let mut scaled = Vec::new();
        for (index, (ty, at)) in [(&a_type, a_at), (&b_type, b_at)].into_iter().enumerate() {
            let input = arena.tensor(step.shape(), ty.elem.storage())?;
            let product = arena.tensor(step.shape(), DType::I16)?;
            context.emit.load(input, step.ddr(at, 1));
            context.emit.multiply_shift(input, multipliers[index], rshifts[index], product)?;
            scaled.push(product);
        }
        let sum = arena.tensor(step.shape(), y_type.elem.storage())?;
        context.emit.add_saturating(scaled[0], scaled[1], sum);
        if op.do_relu && y_type.elem.storage().is_signed() {
            context.emit.max_constant(sum, sum, 0);
        }
        context.emit.store(sum, step.ddr(y_at, 1));
    }
    Ok(())
}

/// max(x, 0) without a change of scale, and at most the limit where there is one.
pub fn generate_relu(context: &mut Context, node: usize, op: &tpu::Relu) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    if x_type.elem.scale() != y_type.elem.scale() {
        return Err("input and result have different scales".into());
    }
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let largest = y_type.elem.storage().integer_range().map_or(0, |(_, high)| high);
    let scale = y_type.elem.scale().unwrap_or(1.0);
    let limit = (op.relu_limit > 0.0).then(|| round::float_to_i64(round::half_away_f64(op.relu_limit / scale))).filter(|&l| l < largest);
    for (turn, step) in flat_steps(y_type.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let x: Local = arena.tensor(step.shape(), x_type.elem.storage())?;
        let y = arena.tensor(step.shape(), y_type.elem.storage())?;
        context.emit.load(x, step.ddr(x_at, 1));
        context.emit.max_constant(x, y, 0);
        if let Some(limit) = limit {
            context.emit.min_constant(y, y, limit.max(0) as u8);
        }
        context.emit.store(y, step.ddr(y_at, 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_in_one_step() {
        for count in [1, 63, 64, 1000, 64 * 8192, 64 * 8192 * 3 + 77] {
            let mut next = 0;
            for step in flat_steps(count, RUN) {
                assert_eq!(step.first, next);
                assert!(step.run <= RUN && step.lanes <= LANES);
                next += step.lanes * step.run;
            }
            assert_eq!(next, count);
        }
    }
}
