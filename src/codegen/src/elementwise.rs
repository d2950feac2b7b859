//! Sums and activations. Where shapes do not matter, elements are dealt out to all lanes in equal runs.

use crate::Context;
use crate::conv::steps;
use crate::emit::Ddr;
use crate::local::{LANE_BYTES, LANES, Layout, Local, aligned_bytes, half};
use crate::tile::largest;
use tpuc_ops::{Program, TensorType, tpu};
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
    if !crate::is_quantized(result) {
        return Some("only INT8 is generated".into());
    }
    if node.operands.len() != 2 {
        return Some(format!("{} inputs, two are generated", node.operands.len()));
    }
    for &operand in &node.operands {
        match program.tensor_type(operand) {
            Some(ty) if ty.shape != result.shape && (ty.shape.len() > 4 || result.shape.len() > 4) => {
                return Some(format!("broadcasting {:?} to {:?} is generated for at most 4 dimensions", ty.shape, result.shape));
            }
            Some(ty) if program.producer(operand).is_some() && !crate::is_quantized(ty) => return Some("only INT8 is generated".into()),
            _ => {}
        }
    }
    None
}

/// An operand of a sum: where it is and what is done to it.
struct Summand {
    ty: TensorType,
    at: u64,
    is_weight: bool,
    multiplier: i64,
    rshift: i64,
    zero: i16,
}

impl Summand {
    fn of(context: &mut Context, node: usize, index: usize, op: &tpu::Add) -> Result<Summand, String> {
        let entry = |list: &Option<Vec<i64>>, name: &str| match list.as_deref() {
            Some(list) if list.len() == 2 => Ok(list[index]),
            _ => Err(format!("attribute '{name}' should have two entries")),
        };
        let (multiplier, rshift) = (entry(&op.multipliers, "multipliers")?, entry(&op.rshifts, "rshifts")?);
        let value = context.operand(node, index);
        let ty = context.ty(value)?.clone();
        let is_weight = context.program.producer(value).is_none();
        let at = match is_weight {
            false => context.placement.offset(value)?,
            true => {
                let tensor = context.weight(value)?;
                if !matches!(tensor.dtype(), DType::I8 | DType::U8) {
                    return Err(format!("the constant is of type {}, expected si8 or ui8", tensor.dtype()));
                }
                let bytes = tensor.to_le_bytes();
                context.coeff.add(bytes)
            }
        };
        Ok(Summand { zero: if is_weight { 0 } else { crate::zero_point(&ty) }, ty, at, is_weight, multiplier, rshift })
    }

    /// i16 product = round((input - zero) * multiplier >> rshift).
    fn scale(&self, context: &mut Context, input: Local, product: Local) -> Result<(), String> {
        if self.zero == 0 {
            return context.emit.multiply_shift(input, self.multiplier, self.rshift, product);
        }
        context.emit.subtract_constant(input, self.zero as i8, product);
        context.emit.multiply_shift(product, self.multiplier, self.rshift, product)
    }

    fn dtype(&self) -> DType {
        self.ty.elem.storage()
    }

    /// Elements from `first` on, with strides.
    fn ddr(&self, first: u64, strides: [u64; 4]) -> Ddr {
        if self.is_weight { Ddr::coefficients(self.at + first, strides) } else { Ddr::context(self.at + first, strides) }
    }
}

/// y = saturate(relu(round(a * ma >> ra) + round(b * mb >> rb))); with zero points a and b less theirs, and the result's added.
pub fn generate_add(context: &mut Context, node: usize, op: &tpu::Add) -> Result<(), String> {
    let summands = [Summand::of(context, node, 0, op)?, Summand::of(context, node, 1, op)?];
    let result = context.result(node);
    let y_type = context.ty(result)?.clone();
    let y_at = context.placement.offset(result)?;
    if summands.iter().any(|s| s.ty.shape != y_type.shape) {
        return broadcast_add(context, op, &summands, &y_type, y_at);
    }
    for (turn, step) in flat_steps(y_type.count() as u64, RUN).into_iter().enumerate() {
        let mut arena = half(turn);
        let mut scaled = Vec::new();
        for summand in &summands {
            let input = arena.tensor(step.shape(), summand.dtype())?;
            let product = arena.tensor(step.shape(), DType::I16)?;
            context.emit.load(input, summand.ddr(step.first, [step.lanes * step.run, step.run, step.run, 1]));
            summand.scale(context, input, product)?;
            scaled.push(product);
        }
        let sum = arena.tensor(step.shape(), y_type.elem.storage())?;
        add_products(context, op, &scaled, crate::zero_point(&y_type), sum);
        context.emit.store(sum, step.ddr(y_at, 1));
    }
    Ok(())
}

/// The sum of products of 16 bits, of which none is beyond 255 * 126, around a zero point, which is also where a Relu clamps.
fn add_products(context: &mut Context, op: &tpu::Add, products: &[Local], zero_point: i16, sum: Local) {
    match zero_point {
        0 => context.emit.add_saturating(products[0], products[1], sum),
        zero_point => {
            context.emit.add_saturating(products[0], products[1], products[0]);
            context.emit.add_constant_saturating(products[0], zero_point, sum);
        }
    }
    if op.do_relu && sum.dtype.is_signed() {
        context.emit.max_constant(sum, sum, zero_point as i8);
    }
}

/// A shape as `[N, C, H, W]`, further dimensions in front being 1.
fn four(shape: &[i64]) -> [u64; 4] {
    let mut dims = [1; 4];
    dims[4 - shape.len()..].iter_mut().zip(shape).for_each(|(d, &s)| *d = s as u64);
    dims
}

/// A sum of tensors of different shapes. Where an operand has one element along H or W the instruction reads it again and
/// again; along C the transfer brings it to every lane.
fn broadcast_add(context: &mut Context, op: &tpu::Add, summands: &[Summand; 2], y_type: &TensorType, y_at: u64) -> Result<(), String> {
    let [images, channels, rows, width] = four(&y_type.shape);
    let shapes = [four(&summands[0].ty.shape), four(&summands[1].ty.shape)];
    // Two operands of a byte and two products of two, and the result.
    let fits = |r: u64| 7 * r * width + 5 * 64 <= LANE_BYTES / 2;
    let most = largest(rows, fits).ok_or_else(|| format!("a row of {width} elements does not fit local memory"))?;
    let mut turn = 0;
    for image in 0..images {
        for (first, c) in steps(channels, LANES) {
            for (row, count) in steps(rows, most) {
                let mut arena = half(turn);
                turn += 1;
                let tile = [1, c, count, width];
                let mut scaled = Vec::new();
                for (summand, shape) in summands.iter().zip(&shapes) {
                    let [n, oc, h, w] = *shape;
                    let strides = [oc * h * w, if oc == 1 { 0 } else { h * w }, w, 1];
                    let at = if n == 1 { 0 } else { image * strides[0] } + first * strides[1] + if h == 1 { 0 } else { row * w };
                    let input = arena.tensor([1, c, if h == 1 { 1 } else { count }, w], summand.dtype())?;
                    let product = arena.tensor(tile, DType::I16)?;
                    context.emit.load(input, summand.ddr(at, strides));
                    let block = aligned_bytes(1, input.shape[2] * w, summand.dtype()) as u32;
                    let again = Layout::Free([0, block, if h == 1 { 0 } else { w as u32 }, u32::from(w > 1)]);
                    summand.scale(context, input.with_shape(tile).with_layout(again), product)?;
                    scaled.push(product);
                }
                let sum = arena.tensor(tile, y_type.elem.storage())?;
                add_products(context, op, &scaled, crate::zero_point(y_type), sum);
                let strides = [channels * rows * width, rows * width, width, 1];
                context.emit.store(sum, Ddr::context(y_at + image * strides[0] + first * strides[1] + row * width, strides));
            }
        }
    }
    Ok(())
}

pub fn refuse_relu(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let mut types = node.operands.iter().take(1).chain(&node.results).filter_map(|&v| program.tensor_type(v));
    (!types.all(crate::is_int8)).then(|| "of integers with zero points is not generated".into())
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
