//! Functions of one 8-bit tensor: a table of 256 results, or one a channel, looked up by the bits of the element.

use crate::Context;
use crate::elementwise::flat_steps;
use crate::emit::Ddr;
use crate::local::{LANES, half};
use tpuc_interp::eight_bit_table;
use tpuc_ops::{Elem, Op, Program};
use tpuc_tensor::{DType, round};

/// Elements a lane of one step: of one byte each, and two as an index.
const RUN: u64 = 24 << 10;

/// Whether an op has a table is the same for all types.
const ANY: Elem = Elem::symmetric(DType::I8, 1.0);

/// Whether an op is such a function, or why it has no table.
pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let values = program.nodes[node].operands.iter().take(1).chain(&program.nodes[node].results);
    let mut types = values.filter_map(|&v| program.tensor_type(v));
    if !types.all(crate::is_quantized) {
        return Some("of integers only INT8 is generated".into());
    }
    let op = &program.nodes[node].op;
    (!matches!(op, Op::TpuLut(_)) && eight_bit_table(op, &ANY, &ANY).is_none()).then(|| "no kernel".into())
}

/// Results by the bits of the element.
fn table(context: &Context, node: usize, from: &Elem, to: &Elem) -> Result<Vec<u8>, String> {
    let op = &context.program.nodes[node].op;
    if !matches!(op, Op::TpuLut(_)) {
        return eight_bit_table(op, from, to).map(Vec::from).ok_or_else(|| "no kernel".into());
    }
    let weight = context.weight(context.operand(node, 1))?;
    if weight.len() != 256 || weight.dtype().integer_range().is_none() {
        return Err(format!("its table has {} elements of {}, expected 256 integers", weight.len(), weight.dtype()));
    }
    Ok(weight.to_f32().iter().map(|&v| round::saturate(v as i64, to.storage()) as u8).collect())
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let (x, y) = (context.operand(node, 0), context.result(node));
    let table = table(context, node, &context.ty(x)?.elem, &context.ty(y)?.elem)?;
    let count = context.ty(y)?.count() as u64;
    look_up(context, node, &[table], 1, count)
}

/// Why a table a channel is not generated.
pub fn refuse_by_channel(program: &Program, node: usize) -> Option<String> {
    let values = program.nodes[node].operands.iter().take(1).chain(&program.nodes[node].results);
    let mut types = values.filter_map(|&v| program.tensor_type(v));
    (!types.all(crate::is_quantized)).then(|| "of integers only INT8 is generated".into())
}

/// A ScaleLut: each channel has a table.
pub fn generate_by_channel(context: &mut Context, node: usize) -> Result<(), String> {
    let (table, shape) = (context.weight(context.operand(node, 1))?, &context.ty(context.result(node))?.shape);
    let &[images, _, h, w] = shape.as_slice() else { return Err(format!("a result of {} dimensions, expected 4", shape.len())) };
    let to = context.ty(context.result(node))?.elem.storage();
    let tables: Vec<Vec<u8>> = table.to_f32().chunks_exact(256).map(|t| t.iter().map(|&v| round::saturate(v as i64, to) as u8).collect()).collect();
    look_up(context, node, &tables, images as u64, (h * w) as u64)
}

/// Blocks of `count` elements, one a table and that `times` over, looked up in their tables.
fn look_up(context: &mut Context, node: usize, tables: &[Vec<u8>], times: u64, count: u64) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let to = context.ty(result)?.elem.storage();
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let tables: Vec<u64> = tables.iter().map(|table| context.coeff.add(table.clone())).collect();
    let blocks = (0..times).flat_map(|_| &tables).enumerate();
    let steps = blocks.flat_map(|(block, &table)| flat_steps(count, RUN).into_iter().map(move |step| (block as u64 * count, table, step)));
    let mut loaded = [None; 2];
    for (turn, (first, table_at, step)) in steps.enumerate() {
        let mut arena = half(turn);
        // The first in each half, so that it stays where it is.
        let table = arena.tensor([1, LANES, 1, 256], to)?;
        if loaded[turn % 2].replace(table_at) != Some(table_at) {
            context.emit.load(table, Ddr::coefficients(table_at, [0, 0, 0, 1]));
        }
        // The element's bits, whatever its sign.
        let (x, y) = (arena.tensor(step.shape(), DType::U8)?, arena.tensor(step.shape(), to)?);
        let index = arena.tensor(step.shape(), DType::U16)?;
        context.emit.load(x, step.ddr(x_at + first, 1));
        context.emit.cast_exact(x, index);
        context.emit.lookup(table, index, y);
        context.emit.store(y, step.ddr(y_at + first, 1));
    }
    Ok(())
}
