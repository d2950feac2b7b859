//! Maximum and mean over windows.

mod partial;

use crate::Context;
use crate::conv::{MOST_STEP, effective_stride, rows_of, steps};
use crate::emit::{Ddr, Window};
use crate::local::{Arena, LANE_BYTES, LANES, Local, aligned_bytes, half};
use crate::tile::{Rows, largest};
use partial::Run;
use tpuc_ops::{TensorType, tpu};
use tpuc_tensor::DType;

pub fn refuse(op: &tpu::Pool2D, float: bool) -> Option<String> {
    if op.kernel_shape.len() != 2 {
        return Some(format!("kernel {:?} is not two-dimensional", op.kernel_shape));
    }
    if op.is_adaptive || !op.keepdims {
        return Some("adaptive pooling is not generated".into());
    }
    let taps = op.kernel_shape.iter().product::<i64>();
    if !float && op.pool_mode == tpu::PoolMode::Avg && op.scale.is_some() {
        return (taps > MOST_EXACT_TAPS).then(|| format!("a mean of integers with zero points is generated for at most {MOST_EXACT_TAPS} taps, this has {taps}"));
    }
    if !float && leaves_padding_out(op) && taps > partial::MOST_TAPS {
        return Some(format!("a mean that leaves padding out of its divisor is generated for at most {} taps, this has {taps}", partial::MOST_TAPS));
    }
    None
}

/// Taps of which f32 holds every sum of bytes exactly.
const MOST_EXACT_TAPS: i64 = (1 << 24) / 255;

/// Whether windows on the border have another divisor than those inside.
fn leaves_padding_out(op: &tpu::Pool2D) -> bool {
    op.pool_mode == tpu::PoolMode::Avg && !op.count_include_pad && op.pads.iter().any(|&p| p != 0)
}

/// What all steps share. Pairs are height and width.
struct Layer<'a> {
    op: &'a tpu::Pool2D,
    x_type: TensorType,
    y_type: TensorType,
    x_at: u64,
    y_at: u64,
    input: [u64; 2],
    output: [u64; 2],
    kernel: [u64; 2],
    strides: [u64; 2],
    /// Top and left, bottom and right.
    before: [u64; 2],
    after: [u64; 2],
    /// Border windows have another divisor.
    partial: bool,
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Pool2D) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    if x_type.shape.len() != 4 || op.pads.len() != 4 || op.strides.len() != 2 {
        return Err(format!("input of shape {:?}, pads {:?} and strides {:?} are not two-dimensional", x_type.shape, op.pads, op.strides));
    }
    let dims = |list: &[i64], first: usize| [list[first] as u64, list[first + 1] as u64];
    let (output, strides) = (dims(&y_type.shape, 2), dims(&op.strides, 0));
    let layer = Layer {
        op,
        x_at: context.placement.offset(input)?,
        y_at: context.placement.offset(result)?,
        input: dims(&x_type.shape, 2),
        output,
        kernel: dims(&op.kernel_shape, 0),
        strides: [0, 1].map(|d| effective_stride(strides[d], output[d], d == 0 || op.kernel_shape[1] == x_type.shape[3] + op.pads[1] + op.pads[3])),
        before: dims(&op.pads, 0),
        after: dims(&op.pads, 2),
        partial: leaves_padding_out(op),
        x_type,
        y_type,
    };
    let fits_fields = [layer.strides, layer.before, layer.after].iter().flatten().all(|&v| v <= MOST_STEP);
    if fits_fields { layer.by_rows(context) } else { layer.by_window(context) }
}

impl Layer<'_> {
    fn taps(&self) -> u64 {
        self.kernel[0] * self.kernel[1]
    }

    fn is_float(&self) -> bool {
        crate::is_float(&self.x_type)
    }

    /// Scale and offset of a mean of integers with zero points.
    fn scaled(&self) -> Option<(f64, f64)> {
        let is_mean = self.op.pool_mode == tpu::PoolMode::Avg && !self.is_float();
        self.op.scale.filter(|_| is_mean).map(|scale| (scale, self.op.offset.unwrap_or(0.0)))
    }

    /// Bytes a lane for `c` channels of `input` and `output` elements.
    fn bytes(&self, c: u64, input: u64, output: u64) -> u64 {
        // A mean of floats is computed in f32, and so is one of integers with zero points.
        let sums = match (self.is_float() || self.scaled().is_some(), self.partial) {
            (true, _) => aligned_bytes(c, input, DType::F32) + aligned_bytes(c, output, DType::F32) + 128,
            (false, true) => partial::bytes(c, output, self.taps()),
            (false, false) => 0,
        };
        sums + aligned_bytes(c, input, self.x_type.elem.storage()) + aligned_bytes(c, output, self.y_type.elem.storage()) + 128
    }

    /// Tiles of some rows.
    fn by_rows(&self, context: &mut Context) -> Result<(), String> {
        let (images, channels) = (self.x_type.shape[0] as u64, self.x_type.shape[1] as u64);
        let ([input_rows, input_width], [output_rows, output_width]) = (self.input, self.output);
        let rows = Rows { input: input_rows, kernel: self.kernel[0], stride: self.strides[0], dilation: 1, pad_before: self.before[0], output: output_rows };
        let fits = |c: u64, r: u64| self.bytes(c, rows.most_input(r) * input_width, r * output_width) <= LANE_BYTES / 2;
        let most = largest(output_rows, |r| fits(channels.min(LANES), r)).ok_or("a single window does not fit local memory")?;
        let tile_rows = output_rows.div_ceil(output_rows.div_ceil(most));
        let blocks = if tile_rows == output_rows { largest(channels.div_ceil(LANES), |b| fits((b * LANES).min(channels), tile_rows)).unwrap_or(1) } else { 1 };
        let across = partial::valid_taps(0, output_width, self.kernel[1], self.strides[1], self.before[1], input_width);
        let mut turn = 0;
        for image in 0..images {
            for (first, c) in steps(channels, (blocks * LANES).min(channels)) {
                for (row, count) in steps(output_rows, tile_rows) {
                    let slice = rows.slice(row, count)?;
                    let mut arena = half(turn);
                    turn += 1;
                    let x = arena.tensor([1, c, slice.count, input_width], self.x_type.elem.storage())?;
                    let y = arena.tensor([1, c, count, output_width], self.y_type.elem.storage())?;
                    context.emit.load(x, rows_of(&self.x_type, self.x_at, image, first, slice.start));
                    let pads = [slice.pad_before, self.before[1], slice.pad_after, self.after[1]];
                    let window = Window { kernel: self.kernel, strides: self.strides, pads, dilations: [1, 1] };
                    let down = partial::valid_taps(row, count, self.kernel[0], self.strides[0], self.before[0], input_rows);
                    self.compute(context, &mut arena, x, y, window, [&down, &across])?;
                    context.emit.store(y, rows_of(&self.y_type, self.y_at, image, first, row));
                }
            }
        }
        Ok(())
    }

    /// Windows one by one, for strides and padding that no instruction holds: of each what lies inside the input.
    fn by_window(&self, context: &mut Context) -> Result<(), String> {
        let (images, channels) = (self.x_type.shape[0] as u64, self.x_type.shape[1] as u64);
        let fits = |b: u64| self.bytes((b * LANES).min(channels), self.taps(), 1) <= LANE_BYTES / 2;
        let blocks = largest(channels.div_ceil(LANES), fits).ok_or("a single window does not fit local memory")?;
        let [output_rows, output_width] = self.output;
        let mut turn = 0;
        for (image, (first, c)) in (0..images).flat_map(|i| steps(channels, (blocks * LANES).min(channels)).map(move |s| (i, s))) {
            for (row, column) in (0..output_rows).flat_map(|r| (0..output_width).map(move |c| (r, c))) {
                let (top, height) = self.inside(0, row)?;
                let (left, width) = self.inside(1, column)?;
                let mut arena = half(turn);
                turn += 1;
                let x = arena.tensor([1, c, height, width], self.x_type.elem.storage())?;
                let y = arena.tensor([1, c, 1, 1], self.y_type.elem.storage())?;
                let size = self.x_type.elem.storage().size() as u64;
                let shifted = |from: Ddr, by: u64| Ddr { offset: from.offset + by * size, ..from };
                context.emit.load(x, shifted(rows_of(&self.x_type, self.x_at, image, first, top), left));
                let window = Window { kernel: [height, width], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
                let run = |taps: u64| [Run { first: 0, count: 1, taps }];
                self.compute(context, &mut arena, x, y, window, [&run(height), &run(width)])?;
                context.emit.store(y, shifted(rows_of(&self.y_type, self.y_at, image, first, row), column));
            }
        }
        Ok(())
    }

    /// Where the window of an output position meets the input along dimension `d`: first and count.
    fn inside(&self, d: usize, position: u64) -> Result<(u64, u64), String> {
        let (start, end) = (position * self.strides[d], position * self.strides[d] + self.kernel[d]);
        let (low, high) = (start.max(self.before[d]) - self.before[d], end.saturating_sub(self.before[d]).min(self.input[d]));
        if low >= high { Err(format!("window {position} lies in the padding alone")) } else { Ok((low, high - low)) }
    }

    fn compute(&self, context: &mut Context, arena: &mut Arena, x: Local, y: Local, window: Window, runs: [&[Run]; 2]) -> Result<(), String> {
        if self.is_float() {
            return self.compute_float(context, arena, x, y, window, runs);
        }
        if let Some((scale, offset)) = self.scaled() {
            return self.compute_scaled(context, arena, x, y, window, runs, scale, offset);
        }
        match self.op.pool_mode {
            tpu::PoolMode::Max => context.emit.max_pool(x, y, window),
            tpu::PoolMode::Avg => {
                let requant = (self.op.multiplier.ok_or("attribute 'multiplier' is missing")?, self.op.rshift.ok_or("attribute 'rshift' is missing")?);
                match self.partial {
                    false => context.emit.average_pool(x, y, window, requant.0, requant.1)?,
                    true => partial::mean(context, arena, x, y, window, runs, self.taps(), requant)?,
                }
            }
        }
        self.relu(context, y);
        Ok(())
    }

    /// `round((sum + padding) * scale + offset)` in f32, which holds the sums exactly. Windows that reach beyond the input: padding counts
    /// as zero point, or the scale is that of fewer taps.
    #[allow(clippy::too_many_arguments)]
    fn compute_scaled(&self, context: &mut Context, arena: &mut Arena, x: Local, y: Local, window: Window, runs: [&[Run]; 2], scale: f64, offset: f64) -> Result<(), String> {
        let wide = arena.tensor(x.shape, DType::F32)?;
        context.emit.cast_exact(x, wide);
        let sums = arena.tensor(y.shape, DType::F32)?;
        context.emit.sum_pool_f32(wide, sums, window);
        let (c, all) = (y.shape[1], self.taps());
        for (down, across) in runs[0].iter().flat_map(|d| runs[1].iter().map(move |a| (d, a))) {
            let taps = down.taps * across.taps;
            if taps == 0 && self.partial {
                return Err("some windows lie in the padding alone, which have no mean".into());
            }
            let part = sums.part([0, 0, down.first, across.first], [1, c, down.count, across.count]);
            let padding = f64::from(crate::zero_point(&self.x_type)) * all.saturating_sub(taps) as f64;
            if !self.partial && padding != 0.0 {
                context.emit.add_float(part, padding as f32, part);
            }
            let scale = if self.partial { scale * all as f64 / taps as f64 } else { scale };
            context.emit.multiply_float(part, scale as f32, part);
        }
        context.emit.add_float(sums, offset as f32, sums);
        context.emit.cast_round_half_away(sums, y);
        self.relu(context, y);
        Ok(())
    }

    /// Integers below zero become zero, where a Relu follows.
    fn relu(&self, context: &mut Context, y: Local) {
        if self.op.do_relu && y.dtype.is_signed() {
            context.emit.max_constant(y, y, crate::zero_point(&self.y_type) as i8);
        }
    }

    fn compute_float(&self, context: &mut Context, arena: &mut Arena, x: Local, y: Local, window: Window, runs: [&[Run]; 2]) -> Result<(), String> {
        let relu = self.op.do_relu.then_some(self.op.relu_limit);
        if self.op.pool_mode == tpu::PoolMode::Max {
            context.emit.max_pool(x, y, window);
            relu.into_iter().for_each(|limit| context.emit.relu_float(y, limit));
            return Ok(());
        }
        let wide = if x.dtype == DType::F32 { x } else { arena.tensor(x.shape, DType::F32)? };
        if x.dtype != DType::F32 {
            context.emit.cast_exact(x, wide);
        }
        let sums = if y.dtype == DType::F32 { y } else { arena.tensor(y.shape, DType::F32)? };
        context.emit.sum_pool_f32(wide, sums, window);
        let [_, c, height, width] = y.shape;
        let whole = [Run { first: 0, count: height, taps: self.kernel[0] }, Run { first: 0, count: width, taps: self.kernel[1] }];
        let [down, across] = if self.partial { runs } else { [&whole[..1], &whole[1..]] };
        for (down, across) in down.iter().flat_map(|d| across.iter().map(move |a| (d, a))) {
            let taps = down.taps * across.taps;
            if taps == 0 {
                return Err("some windows lie in the padding alone, which have no mean".into());
            }
            let part = sums.part([0, 0, down.first, across.first], [1, c, down.count, across.count]);
            context.emit.multiply_float(part, (1.0 / taps as f64) as f32, part);
        }
        relu.into_iter().for_each(|limit| context.emit.relu_float(sums, limit));
        if y.dtype != DType::F32 {
            context.emit.cast_exact(sums, y);
        }
        Ok(())
    }
}
