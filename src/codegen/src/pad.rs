//! Constant padding: the result is filled, then the input is copied into its middle, all in DDR.

use crate::Context;
use crate::conv::steps;
use crate::elementwise::flat_steps;
use crate::emit::Ddr;
use crate::local::{LANES, aligned_bytes, half, LANE_BYTES};
use crate::tile::largest;
use tpuc_ops::tpu;
use tpuc_tensor::{DType, round};

pub fn generate(context: &mut Context, node: usize, op: &tpu::Pad) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    if op.mode != "constant" || x_type.shape.len() != 4 || op.paddings.iter().any(|&p| p < 0) {
        return Err("only constant padding of four-dimensional tensors is generated".into());
    }
    let dtype = y_type.elem.storage();
    // The value of a lowered Pad is in units of the storage type already.
    let byte = round::saturate(round::float_to_i64(round::half_away_f64(op.val)), dtype) as u8;
    for (turn, step) in flat_steps(y_type.count() as u64, 8 << 10).into_iter().enumerate() {
        let mut arena = half(turn);
        let y = arena.tensor(step.shape(), dtype)?;
        context.emit.fill(y, byte);
        context.emit.store(y, step.ddr(y_at, 1));
    }
    let [images, channels, height, width] = [0, 1, 2, 3].map(|d| x_type.shape[d] as u64);
    let [_, out_channels, out_height, out_width] = [0, 1, 2, 3].map(|d| y_type.shape[d] as u64);
    let before = [0, 1, 2, 3].map(|d| op.paddings[d] as u64);
    let rows = largest(height, |r| aligned_bytes(channels.min(LANES), r * width, DType::I8) + 64 <= LANE_BYTES / 2).ok_or("a single row does not fit local memory")?;
    let mut turn = 0;
    for image in 0..images {
        for (first, c) in steps(channels, LANES) {
            for (row, count) in steps(height, rows) {
                let mut arena = half(turn);
                turn += 1;
                let x = arena.tensor([1, c, count, width], dtype)?;
                let source = ((image * channels + first) * height + row) * width;
                context.emit.load(x, Ddr::context(x_at + source, [channels * height * width, height * width, width, 1]));
                let target = (((image + before[0]) * out_channels + first + before[1]) * out_height + row + before[2]) * out_width + before[3];
                context.emit.store(x, Ddr::context(y_at + target, [out_channels * out_height * out_width, out_height * out_width, out_width, 1]));
            }
        }
    }
    Ok(())
}
