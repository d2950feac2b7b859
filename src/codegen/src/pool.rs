//! Maximum and mean over windows.

use crate::Context;
use crate::conv::{rows_of, steps};
use crate::emit::Window;
use crate::local::{LANES, LANE_BYTES, aligned_bytes, half};
use crate::tile::{Rows, largest};
use tpuc_ops::tpu;

pub fn refuse(op: &tpu::Pool2D) -> Option<String> {
    if op.kernel_shape.len() != 2 {
        return Some(format!("kernel {:?} is not two-dimensional", op.kernel_shape));
    }
    if op.is_adaptive || !op.keepdims {
        return Some("adaptive pooling is not generated".into());
    }
    // The divisor of border windows differs, and with it the arithmetic.
    let partial = op.pool_mode == tpu::PoolMode::Avg && !op.count_include_pad && op.pads.iter().any(|&p| p != 0);
    partial.then(|| "a mean that leaves padding out of its divisor is not generated".into())
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Pool2D) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    if x_type.shape.len() != 4 {
        return Err(format!("input of shape {:?} is not four-dimensional", x_type.shape));
    }
    let [images, channels, input_rows, input_width] = [0, 1, 2, 3].map(|d| x_type.shape[d] as u64);
    let (output_rows, output_width) = (y_type.shape[2] as u64, y_type.shape[3] as u64);
    let rows = Rows {
        input: input_rows,
        kernel: op.kernel_shape[0] as u64,
        stride: op.strides[0] as u64,
        dilation: 1,
        pad_before: op.pads[0] as u64,
        output: output_rows,
    };
    let (x_dtype, y_dtype) = (x_type.elem.storage(), y_type.elem.storage());
    let bytes = |c: u64, r: u64| aligned_bytes(c, rows.most_input(r) * input_width, x_dtype) + aligned_bytes(c, r * output_width, y_dtype) + 128;
    let fits = |c: u64, r: u64| bytes(c, r) <= LANE_BYTES / 2;
    let most = largest(output_rows, |r| fits(channels.min(LANES), r)).ok_or("a single window does not fit local memory")?;
    let tile_rows = output_rows.div_ceil(output_rows.div_ceil(most));
    let blocks = if tile_rows == output_rows { largest(channels.div_ceil(LANES), |b| fits((b * LANES).min(channels), tile_rows)).unwrap_or(1) } else { 1 };
    let mut turn = 0;
    for image in 0..images {
        for (first, c) in steps(channels, (blocks * LANES).min(channels)) {
            for (first_row, count) in steps(output_rows, tile_rows) {
                let slice = rows.slice(first_row, count)?;
                let mut arena = half(turn);
                turn += 1;
                let x = arena.tensor([1, c, slice.count, input_width], x_dtype)?;
                let y = arena.tensor([1, c, count, output_width], y_dtype)?;
                let window = Window {
                    kernel: [op.kernel_shape[0] as u64, op.kernel_shape[1] as u64],
                    strides: [op.strides[0] as u64, op.strides[1] as u64],
                    pads: [slice.pad_before, op.pads[1] as u64, slice.pad_after, op.pads[3] as u64],
                    dilations: [1, 1],
                };
                context.emit.load(x, rows_of(&x_type, x_at, image, first, slice.start));
                match op.pool_mode {
                    tpu::PoolMode::Max => context.emit.max_pool(x, y, window),
                    tpu::PoolMode::Avg => {
                        let multiplier = op.multiplier.ok_or("attribute 'multiplier' is missing")?;
                        let rshift = op.rshift.ok_or("attribute 'rshift' is missing")?;
                        context.emit.average_pool(x, y, window, multiplier, rshift)?;
                    }
                }
                if op.do_relu && y_dtype.is_signed() {
                    context.emit.max_constant(y, y, 0);
                }
                context.emit.store(y, rows_of(&y_type, y_at, image, first, first_row));
            }
        }
    }
    Ok(())
}
