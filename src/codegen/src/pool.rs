//! Maximum and mean over windows.

use crate::Context;
use crate::conv::{rows_of, steps};
use crate::emit::{Ddr, Window};
use crate::local::{Arena, LANES, LANE_BYTES, Layout, Local, aligned_bytes, half};
use crate::tile::{Rows, largest};
use tpuc_ops::tpu;
use tpuc_tensor::{DType, round};

pub fn refuse(op: &tpu::Pool2D) -> Option<String> {
    if op.kernel_shape.len() != 2 {
        return Some(format!("kernel {:?} is not two-dimensional", op.kernel_shape));
    }
    if op.is_adaptive || !op.keepdims {
        return Some("adaptive pooling is not generated".into());
    }
    if leaves_padding_out(op) && op.kernel_shape.iter().product::<i64>() > MOST_TAPS {
        return Some(format!("a mean that leaves padding out of its divisor is generated for at most {MOST_TAPS} taps"));
    }
    None
}

/// A table for every sum must fit local memory beside a tile.
const MOST_TAPS: i64 = 81;

/// Whether windows on the border have another divisor than those inside.
fn leaves_padding_out(op: &tpu::Pool2D) -> bool {
    op.pool_mode == tpu::PoolMode::Avg && !op.count_include_pad && op.pads.iter().any(|&p| p != 0)
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
    let partial = leaves_padding_out(op);
    let taps = (op.kernel_shape[0] * op.kernel_shape[1]) as u64;
    // Sums of a tile, and of a region of it in 32 and 16 bits, ones for every tap, and the table.
    let sums = |c: u64, r: u64| if partial { 3 * aligned_bytes(c, r * output_width, DType::I32) + c.div_ceil(LANES) * taps + 4 * table_length(taps) + 512 } else { 0 };
    let bytes = |c: u64, r: u64| sums(c, r) + aligned_bytes(c, rows.most_input(r) * input_width, x_dtype) + aligned_bytes(c, r * output_width, y_dtype) + 128;
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
                        if !partial {
                            context.emit.average_pool(x, y, window, multiplier, rshift)?;
                        } else {
                            let across = valid_taps(0, output_width, window.kernel[1], window.strides[1], op.pads[1] as u64, input_width);
                            let down = valid_taps(first_row, count, window.kernel[0], window.strides[0], op.pads[0] as u64, input_rows);
                            partial_mean(context, &mut arena, x, y, window, [&down, &across], (multiplier, rshift))?;
                        }
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

/// A run of windows along one dimension that have the same number of taps inside the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    count: u64,
    taps: u64,
}

/// The runs of windows `first..first + count`; `first` of the runs is relative to the first window.
fn valid_taps(first: u64, count: u64, kernel: u64, stride: u64, pad: u64, input: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for window in first..first + count {
        let (start, end) = (window * stride, window * stride + kernel);
        let taps = end.min(pad + input).saturating_sub(start.max(pad));
        match runs.last_mut() {
            Some(run) if run.taps == taps => run.count += 1,
            _ => runs.push(Run { first: window - first, count: 1, taps }),
        }
    }
    runs
}

/// A mean over the taps inside the input. Sums in i32 are requantized as if all taps counted; border windows then get theirs
/// from a table of every sum that they can have.
fn partial_mean(context: &mut Context, arena: &mut Arena, x: Local, y: Local, window: Window, runs: [&[Run]; 2], requant: (i32, i32)) -> Result<(), String> {
    let [_, c, height, width] = y.shape;
    let all = window.kernel[0] * window.kernel[1];
    let sums = arena.tensor([1, c, height, width], DType::I32)?;
    let bytes = c.div_ceil(LANES) * all;
    let ones = Local { offset: arena.take(bytes).ok_or("no room for the weights of a sum")?, shape: [1, LANES.min(c), 1, bytes], dtype: DType::U8, layout: Layout::Aligned };
    context.emit.fill(ones, 1);
    context.emit.sum_pool(x, ones.offset, sums, window);
    context.emit.requant_constant(sums, i64::from(requant.0), i64::from(requant.1), y)?;
    let space = arena.tensor([1, c, height, width], DType::I32)?;
    let index_space = arena.tensor([1, c, height, width], DType::I16)?;
    let table_space = arena.tensor([1, LANES, 1, table_length(all)], DType::F32)?;
    let region = |of: Local, top: u64, left: u64, shape: [u64; 4]| {
        let size = of.dtype.size() as u64;
        let block = (aligned_bytes(1, height * width, of.dtype) / size) as u32;
        Local { offset: of.offset + size * (top * width + left), shape, layout: Layout::Free([0, block, width as u32, 1]), ..of }
    };
    for down in runs[0] {
        for across in runs[1] {
            let taps = down.taps * across.taps;
            if taps == all {
                continue;
            }
            if taps == 0 {
                return Err("some windows lie in the padding alone, which have no mean".into());
            }
            let shape = [1, c, down.count, across.count];
            let (wide, index) = (space.with_shape(shape), index_space.with_shape(shape));
            let (lowest, values) = table(taps, all, x.dtype, y.dtype, requant)?;
            let table = table_space.with_shape([1, LANES, 1, values.len() as u64]);
            let at = context.coeff.add(values.iter().flat_map(|v| v.to_le_bytes()).collect());
            context.emit.load(table, Ddr::coefficients(at, [0, 0, 0, 1]));
            context.emit.copy_local(region(sums, down.first, across.first, shape), wide);
            context.emit.add_integer(wide, -lowest, wide);
            context.emit.cast_exact(wide, index);
            let values = Local { dtype: DType::F32, ..wide };
            context.emit.lookup_f32(table, index, values);
            context.emit.cast_round_half_away(values, region(y, down.first, across.first, shape));
        }
    }
    Ok(())
}

/// Elements of a table that holds a result for every sum of less than `all` bytes.
fn table_length(all: u64) -> u64 {
    255 * all.saturating_sub(1) + 1
}

/// The smallest sum of `taps` elements, and the result for it and each that follows: the mean times `all` in f32, rounded
/// with halves away from zero as the reference does, requantized as all windows are.
fn table(taps: u64, all: u64, from: DType, to: DType, (multiplier, rshift): (i32, i32)) -> Result<(i32, Vec<f32>), String> {
    let (low, high) = from.integer_range().ok_or_else(|| format!("a mean of {from} is not generated"))?;
    let result = |sum: i64| {
        let scaled = f64::from(round::half_away_f32(sum as f32 / taps as f32 * all as f32)) as i64;
        round::saturate(round::shift_half_up(scaled * i64::from(multiplier), rshift), to) as f32
    };
    Ok(((low * taps as i64) as i32, (low * taps as i64..=high * taps as i64).map(result).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_border_windows() {
        let run = |first, count, taps| Run { first, count, taps };
        assert_eq!(valid_taps(0, 5, 3, 1, 1, 5), [run(0, 1, 2), run(1, 3, 3), run(4, 1, 2)]);
        assert_eq!(valid_taps(2, 3, 3, 2, 1, 9), [run(0, 2, 3), run(2, 1, 2)]);
        assert_eq!(valid_taps(0, 2, 5, 4, 2, 3), [run(0, 1, 3), run(1, 1, 1)]);
    }

    #[test]
    fn tables_hold_every_sum() {
        // Four of nine taps: 9 / 4 of the sum, then 8 / 2^4 of it.
        let (lowest, values) = table(4, 9, DType::I8, DType::I8, (8, 4)).unwrap();
        assert_eq!((lowest, values.len()), (-512, 1021));
        let of = |sum: i32| values[(sum - lowest) as usize];
        // 4.5 goes away from zero, 2.5 up.
        assert_eq!([of(0), of(2), of(-2), of(508), of(-512)], [0.0, 3.0, -2.0, 127.0, -128.0]);
        assert!((values.len() as u64) <= table_length(9));
    }
}
