//! INT8 softmax over the channels through a table of exponentials: positions on the lanes, channels along H.

pub(crate) mod float;

use crate::Context;
use crate::conv::steps;
use crate::emit::{Ddr, Window};
use crate::local::{Arena, LANE_BYTES, LANES, Layout, Local, half};
use tpuc_ops::{Program, tpu};
use tpuc_tensor::DType;

pub fn refuse(program: &Program, node: usize, op: &tpu::Softmax) -> Option<String> {
    let ty = program.tensor_type(program.nodes[node].operands[0])?;
    if crate::is_float(ty) {
        return float::refuse(op, ty);
    }
    let known = op.axis == 1 && !op.log && ty.shape.len() == 4;
    (!known).then(|| "of integers only softmax over axis 1 of four-dimensional tensors is generated".into())
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Softmax) -> Result<(), String> {
    if crate::is_float(context.ty(context.operand(node, 0))?) {
        return float::generate(context, node, op);
    }
    let (input, table, result) = (context.operand(node, 0), context.operand(node, 1), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    if op.axis != 1 || op.log || x_type.shape.len() != 4 {
        return Err("only softmax over axis 1 of four-dimensional tensors is generated".into());
    }
    if y_type.elem.storage() != DType::U8 {
        return Err("its result is not ui8".into());
    }
    let table = context.weight(table)?.as_f32().filter(|t| t.len() == 256).ok_or("its table should have 256 f32 entries")?;
    let table: Vec<u8> = table.iter().flat_map(|v| v.to_le_bytes()).collect();
    let scale = y_type.elem.scale().ok_or("no scale in its types")? as f32;
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let table_at = context.coeff.add(table);
    let [images, channels, height, width] = [0, 1, 2, 3].map(|d| x_type.shape[d] as u64);
    let positions = height * width;
    // 1 byte in, 2 + 4 + 4 in between, 1 out for every channel; some room for the table and the sums. Where that does not
    // fit, results take the place of what they are computed from.
    let in_place = channels * 13 + 2048 > LANE_BYTES / 2;
    if channels * 7 + 2048 > LANE_BYTES {
        return Err(format!("{channels} channels do not fit local memory"));
    }
    let mut turn = 0;
    for image in 0..images {
        for (first, lanes) in steps(positions, LANES) {
            let mut arena = if in_place { Arena::new(0, LANE_BYTES) } else { half(turn) };
            turn += 1;
            let full = [1, lanes, channels, 1];
            let single = [1, lanes, 1, 1];
            let ddr = |at: u64| Ddr::context(at + image * channels * positions + first, [channels * positions, 1, positions, 1]);
            let lookup = arena.tensor([1, lanes, 1, 256], DType::F32)?;
            let x = arena.tensor(full, x_type.elem.storage())?;
            let peak = arena.tensor(single, x_type.elem.storage())?;
            let distance = arena.tensor(full, DType::I16)?;
            let exponential = arena.tensor(full, DType::F32)?;
            let sum = arena.tensor(single, DType::F32)?;
            let quotient = if in_place { exponential } else { arena.tensor(full, DType::F32)? };
            let y = if in_place { Local { dtype: DType::U8, ..x } } else { arena.tensor(full, DType::U8)? };
            context.emit.load(lookup, Ddr::coefficients(table_at, [0, 0, 0, 1]));
            context.emit.load(x, ddr(x_at));
            let column = Window { kernel: [channels, 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
            context.emit.max_pool(x, peak, column);
            context.emit.subtract_wrapping(spread(peak, full), x, distance);
            context.emit.lookup(lookup, distance, exponential);
            context.emit.sum_pool_f32(exponential, sum, column);
            context.emit.multiply_float(sum, scale, sum);
            context.emit.divide(exponential, spread(sum, full), quotient);
            context.emit.add_float(quotient, 0.5, quotient);
            context.emit.cast_round_down(quotient, y);
            context.emit.store(y, ddr(y_at));
        }
    }
    Ok(())
}

/// One element a channel, read as if it filled the whole channel.
pub(crate) fn spread(one: Local, shape: [u64; 4]) -> Local {
    let block = (64 / one.dtype.size()) as u32;
    one.with_shape(shape).with_layout(Layout::Free([0, block, 0, 0]))
}
