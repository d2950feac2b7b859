//! One head of an attention. Rows are on the lanes from the first projection to the last; keys and values of an image stay in
//! local memory while the rows of its queries pass, a lane each.

use crate::Context;
use crate::conv::steps;
use crate::emit::{Arithmetic, Ddr, Window};
use crate::local::{Arena, LANE_BYTES, LANES, Local, aligned_bytes};
use crate::softmax::{self, spread};
use tpuc_ops::{Elem, Program, TensorType, ValueId, tpu};
use tpuc_tensor::DType;

/// Operands: weight and bias of queries, keys, values and the result.
const PROJECTIONS: [(usize, usize); 4] = [(3, 4), (5, 6), (7, 8), (9, 10)];
const OUT: usize = 3;
const MASK: usize = 11;
const TABLE: usize = 12;

pub fn refuse(program: &Program, node: usize, op: &tpu::Attention) -> Option<String> {
    let operands = &program.nodes[node].operands;
    let ty = |index: usize| operands.get(index).and_then(|&v| program.tensor_type(v));
    let half = |t: &TensorType| matches!(t.elem.storage(), DType::F16 | DType::BF16) && crate::is_float(t);
    let sources: Vec<&TensorType> = (0..3).filter_map(ty).collect();
    let integers = sources.iter().all(|t| crate::is_quantized(t)) && program.tensor_type(program.nodes[node].results[0]).is_some_and(|t| t.elem == Elem::Plain(DType::I32));
    if !integers && !sources.iter().all(|t| half(t)) {
        return Some("only heads of INT8 and of half floats are generated".into());
    }
    if integers && ty(MASK).is_some() {
        return Some("a mask of integers is not generated".into());
    }
    if integers && op.quant_param.len() != 16 {
        return Some("quant_param should have 16 entries".into());
    }
    if sources.iter().any(|t| t.shape.len() != 3) {
        return Some("its operands should have three dimensions".into());
    }
    let constants = PROJECTIONS.iter().flat_map(|&(w, b)| [w, b]).chain(integers.then_some(TABLE));
    let mut computed = constants.filter(|&i| operands.get(i).is_some_and(|&v| program.producer(v).is_some()));
    computed.next().map(|index| format!("operand {index} should be a weight"))
}

/// A projection in local memory.
#[derive(Clone, Copy)]
struct Projection {
    /// `[1, rows, 1, columns]`
    weight: Local,
    /// The bias on every lane, in the type of the sums.
    bias: Option<Local>,
    /// Multiplier and right shift, of integers.
    requant: Option<(i64, i64)>,
}

/// A tensor that is projected: its place, rows of an image and columns.
#[derive(Clone, Copy)]
struct Input {
    at: u64,
    rows: u64,
    columns: u64,
    dtype: DType,
}

impl Input {
    fn of(context: &Context, value: ValueId) -> Result<Input, String> {
        let ty = context.ty(value)?;
        match ty.shape[..] {
            [_, rows, columns] => Ok(Input { at: context.placement.offset(value)?, rows: rows as u64, columns: columns as u64, dtype: ty.elem.storage() }),
            _ => Err(format!("an operand of shape {:?}, expected three dimensions", ty.shape)),
        }
    }
}

struct Head {
    inputs: [Input; 3],
    projections: [Projection; 4],
    /// Multiplier and shift of scores and of weighted values, of integers.
    scalings: [(i64, i64); 2],
    /// Exponentials of integers; terms of the series of exp for floats.
    table: Local,
    scale: f32,
    /// Of what is multiplied inside.
    dtype: DType,
    /// Offset of the mask, one row of half floats an image.
    mask: Option<u64>,
    dim: u64,
    out_at: u64,
    out_columns: u64,
    out_dtype: DType,
}

/// Sums of integers are 32 bits wide, those of half floats are f32.
fn wide(dtype: DType) -> DType {
    if dtype == DType::I8 { DType::I32 } else { DType::F32 }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Attention) -> Result<(), String> {
    let images = context.ty(context.operand(node, 0))?.shape[0] as u64;
    // Weights stay for all images; what is left is for one image at a time.
    let mut arena = Arena::new(0, LANE_BYTES);
    let head = Head::new(context, &mut arena, node, op)?;
    for image in 0..images {
        let mut arena = arena.clone();
        let keys = head.projected(context, &mut arena, 1, image)?;
        let values = head.projected(context, &mut arena, 2, image)?;
        for (row, rows) in steps(head.inputs[0].rows, LANES) {
            head.rows(context, &mut arena.clone(), image, (row, rows), keys, values)?;
        }
    }
    Ok(())
}

impl Head {
    fn new(context: &mut Context, arena: &mut Arena, node: usize, op: &tpu::Attention) -> Result<Head, String> {
        let absent = |context: &Context, index: usize| context.program.value(context.operand(node, index)).ty.is_none();
        let keys = if absent(context, 1) { 0 } else { 1 };
        let values = if absent(context, 2) { keys } else { 2 };
        let mut inputs = Vec::with_capacity(3);
        for index in [0, keys, values] {
            inputs.push(Input::of(context, context.operand(node, index))?);
        }
        let result = context.result(node);
        let out = context.ty(result)?.clone();
        let integers = out.elem.storage() == DType::I32;
        let dtype = if integers { DType::I8 } else { out.elem.storage() };
        let dim = op.dim as u64;
        let out_columns = out.shape.last().map_or(0, |&d| d as u64);
        let scaling = |i: usize| integers.then(|| (op.quant_param[3 * i], op.quant_param[3 * i + 1]));
        let mut projections = Vec::with_capacity(4);
        for (i, (weight, bias)) in PROJECTIONS.into_iter().enumerate() {
            let (rows, columns) = if i == OUT { (dim, out_columns) } else { (inputs[i].columns, dim) };
            let weight = constant(context, arena, node, weight, [1, rows, 1, columns], dtype)?.ok_or("a projection has no weight")?;
            let bias = constant(context, arena, node, bias, [1, LANES, 1, columns], wide(dtype))?;
            projections.push(Projection { weight, bias, requant: scaling(i).filter(|_| i != OUT) });
        }
        let table = if integers {
            constant(context, arena, node, TABLE, [1, LANES, 1, 256], DType::F32)?.ok_or("no table of exponentials")?
        } else {
            softmax::float::load_series(context, arena)?
        };
        let mask = if absent(context, MASK) { None } else { Some(mask_at(context, node)?) };
        Ok(Head {
            inputs: inputs.try_into().map_err(|_| "three inputs")?,
            projections: projections.try_into().map_err(|_| "four projections")?,
            scalings: [scaling(3).unwrap_or((1, 0)), scaling(4).unwrap_or((1, 0))],
            table,
            scale: op.scale as f32,
            dtype,
            mask,
            dim,
            out_at: context.placement.offset(result)?,
            out_columns,
            out_dtype: out.elem.storage(),
        })
    }

    /// Keys or values of an image: `[1, rows, 1, dim]`.
    fn projected(&self, context: &mut Context, arena: &mut Arena, index: usize, image: u64) -> Result<Local, String> {
        let total = self.inputs[index].rows;
        let all = arena.tensor([1, total, 1, self.dim], self.dtype)?;
        let block = aligned_bytes(1, self.dim, self.dtype);
        for (row, rows) in steps(total, LANES) {
            // A step is a block of lanes.
            let part = Local { offset: all.offset + row / LANES * block, shape: [1, rows, 1, self.dim], ..all };
            self.project(context, &mut arena.clone(), index, image, row, part)?;
        }
        Ok(all)
    }

    /// Rows of an image from `row` on, projected into `result`.
    fn project(&self, context: &mut Context, arena: &mut Arena, index: usize, image: u64, row: u64, result: Local) -> Result<(), String> {
        let Input { at, rows: total, columns, dtype } = self.inputs[index];
        let rows = result.shape[1];
        let x = arena.tensor([1, rows, 1, columns], dtype)?;
        let first = (image * total + row) * columns * dtype.size() as u64;
        context.emit.load(x, Ddr::context(at + first, [0, columns, 0, 1]));
        let sums = self.multiplied(context, arena, x, self.projections[index])?;
        self.narrowed(context, sums, self.projections[index].requant, result)
    }

    /// Left rows times a projection, with its bias, in the type of the sums.
    fn multiplied(&self, context: &mut Context, arena: &mut Arena, left: Local, projection: Projection) -> Result<Local, String> {
        let shape = [1, left.shape[1], 1, projection.weight.shape[3]];
        let sums = arena.tensor(shape, wide(self.dtype))?;
        context.emit.matmul(left, projection.weight, false, sums, false);
        if let Some(bias) = projection.bias {
            context.emit.add_wrapping(sums, bias.with_shape(shape), sums);
        }
        Ok(sums)
    }

    fn narrowed(&self, context: &mut Context, sums: Local, requant: Option<(i64, i64)>, result: Local) -> Result<(), String> {
        match requant {
            Some((multiplier, shift)) => context.emit.requant_half_away(sums, multiplier, shift, result),
            None => {
                context.emit.cast_exact(sums, result);
                Ok(())
            }
        }
    }

    /// The result of some rows of an image's queries.
    fn rows(&self, context: &mut Context, arena: &mut Arena, image: u64, (row, rows): (u64, u64), keys: Local, values: Local) -> Result<(), String> {
        let integers = self.dtype == DType::I8;
        let count = keys.shape[1];
        let queries = arena.tensor([1, rows, 1, self.dim], self.dtype)?;
        self.project(context, &mut arena.clone(), 0, image, row, queries)?;
        let scores = arena.tensor([1, rows, 1, count], wide(self.dtype))?;
        context.emit.matmul(queries, keys, true, scores, false);
        let shares = if integers { self.integer_shares(context, arena, scores)? } else { self.float_shares(context, arena, scores, image)? };
        let sums = arena.tensor([1, rows, 1, self.dim], wide(self.dtype))?;
        context.emit.matmul(shares, values, false, sums, false);
        let weighted = arena.tensor([1, rows, 1, self.dim], self.dtype)?;
        self.narrowed(context, sums, integers.then_some(self.scalings[1]), weighted)?;
        let mut result = self.multiplied(context, arena, weighted, self.projections[OUT])?;
        if !integers {
            let narrow = arena.tensor(result.shape, self.out_dtype)?;
            context.emit.cast_exact(result, narrow);
            result = narrow;
        }
        let first = (image * self.inputs[0].rows + row) * self.out_columns * self.out_dtype.size() as u64;
        context.emit.store(result, Ddr::context(self.out_at + first, [0, self.out_columns, 0, 1]));
        Ok(())
    }

    /// Probabilities in u8: entries of the table at the distance from 127, over their sum.
    fn integer_shares(&self, context: &mut Context, arena: &mut Arena, sums: Local) -> Result<Local, String> {
        let (shape, single) = (sums.shape, [1, sums.shape[1], 1, 1]);
        let scores = arena.tensor(shape, DType::I8)?;
        context.emit.requant_half_away(sums, self.scalings[0].0, self.scalings[0].1, scores)?;
        let distance = arena.tensor(shape, DType::I16)?;
        context.emit.subtract_from(127, scores, distance);
        // The sums are needed no more.
        let powers = Local { dtype: DType::F32, ..sums };
        context.emit.lookup(Local { shape: [1, shape[1], 1, 256], ..self.table }, distance, powers);
        let sum = arena.tensor(single, DType::F32)?;
        let column = [1, shape[1], shape[3], 1];
        let window = Window { kernel: [shape[3], 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
        context.emit.sum_pool_f32(powers.with_shape(column), sum, window);
        context.emit.multiply_float(sum, self.scale, sum);
        context.emit.divide(powers, spread(sum, shape), powers);
        let shares = arena.tensor(shape, DType::U8)?;
        context.emit.cast_round_half_away(powers, shares);
        Ok(shares)
    }

    /// Probabilities in half floats.
    fn float_shares(&self, context: &mut Context, arena: &mut Arena, scores: Local, image: u64) -> Result<Local, String> {
        let shape = scores.shape;
        context.emit.multiply_float(scores, self.scale, scores);
        if let Some(at) = self.mask {
            let row = arena.tensor(shape, self.dtype)?;
            context.emit.load(row, Ddr::context(at + image * shape[3] * self.dtype.size() as u64, [0, 0, 0, 1]));
            let mask = arena.tensor(shape, DType::F32)?;
            context.emit.cast_exact(row, mask);
            context.emit.binary_float(Arithmetic::Add, scores, mask, scores);
        }
        softmax::float::normalize(context, arena, scores.with_shape([1, shape[1], shape[3], 1]), self.table)?;
        let shares = arena.tensor(shape, self.dtype)?;
        context.emit.cast_exact(scores, shares);
        Ok(shares)
    }
}

/// A weight in local memory, on every lane the same row where the shape says as many rows as there are lanes but the weight has one;
/// floats in the type that is asked for. `None` if the operand is absent.
fn constant(context: &mut Context, arena: &mut Arena, node: usize, index: usize, shape: [u64; 4], dtype: DType) -> Result<Option<Local>, String> {
    let value = context.operand(node, index);
    if context.program.value(value).ty.is_none() {
        return Ok(None);
    }
    let tensor = context.weight(value)?;
    let (rows, columns) = (shape[1], shape[3]);
    let one_row = tensor.len() as u64 == columns;
    if !one_row && tensor.len() as u64 != rows * columns {
        return Err(format!("operand {index} has {} elements, expected {rows} x {columns}", tensor.len()));
    }
    let bytes = match (tensor.dtype(), dtype) {
        (found, wanted) if found == wanted => tensor.to_le_bytes(),
        (found, DType::F32) if crate::is_float_type(found) => tensor.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect(),
        (found, wanted) => return Err(format!("operand {index} is of {found}, expected {wanted}")),
    };
    let at = context.coeff.add(bytes);
    let local = arena.tensor(shape, dtype)?;
    context.emit.load(local, Ddr::coefficients(at, [0, if one_row { 0 } else { columns }, 0, 1]));
    Ok(Some(local))
}

fn mask_at(context: &mut Context, node: usize) -> Result<u64, String> {
    let value = context.operand(node, MASK);
    if context.program.producer(value).is_none() {
        return Err("a constant mask is not generated".into());
    }
    context.placement.offset(value)
}
