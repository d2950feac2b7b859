//! Convolutions: per-channel INT8, plain, grouped and depthwise.
//!
//! One step holds some output channels, some output rows and (rarely less than all) input channels. The accumulator is
//! i32; bias is added, then the requantization records of the channels turn it into i8 or u8.

use crate::Context;
use crate::coeff::Lanes;
use crate::emit::{Conv, Ddr, Depthwise, Window};
use crate::local::{Arena, LANE_BYTES, LANES, Local, aligned_bytes};
use crate::tile::{ConvShape, ConvTile, Rows, largest, parameter_bytes};
use tpuc_ops::{TensorType, tpu};
use tpuc_tensor::{DType, Data};

/// What the whole layer's steps share.
struct Layer<'a> {
    op: &'a tpu::Conv2D,
    input: TensorType,
    output: TensorType,
    input_at: u64,
    output_at: u64,
    weights: Vec<u8>,
    weight_signed: bool,
    bias: Option<Vec<i32>>,
    multiplier: Vec<i64>,
    rshift: Vec<i64>,
}

impl Layer<'_> {
    fn dim(ty: &TensorType, d: usize) -> u64 {
        ty.shape[d] as u64
    }

    fn dilation(&self, d: usize) -> u64 {
        self.op.dilations.as_ref().map_or(1, |v| v[d] as u64)
    }

    fn rows(&self) -> Rows {
        Rows {
            input: Self::dim(&self.input, 2),
            kernel: self.op.kernel_shape[0] as u64,
            stride: self.op.strides[0] as u64,
            dilation: self.dilation(0),
            pad_before: self.op.pads[0] as u64,
            output: Self::dim(&self.output, 2),
        }
    }

    /// Records for the requantization of one channel: multiplier, shift (negative: right), zero point.
    fn record(&self, channel: usize) -> [u8; 12] {
        let pick = |list: &[i64]| if list.len() == 1 { list[0] } else { list[channel] };
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&(pick(&self.multiplier) as i32).to_le_bytes());
        bytes[4..8].copy_from_slice(&(-(pick(&self.rshift) as i32)).to_le_bytes());
        bytes
    }

    /// Requantization records and biases of output channels `first..first + count`, at the start of a lane blob.
    fn put_parameters(&self, blob: &mut Lanes, first: usize, count: usize) {
        let blocks = count.div_ceil(LANES as usize);
        for channel in 0..count {
            let (block, lane) = (channel / LANES as usize, channel % LANES as usize);
            blob.put(lane, block * 64, &self.record(first + channel));
            let bias = self.bias.as_ref().map_or(0, |b| b[first + channel]);
            blob.put(lane, blocks * 64 + block * 4, &bias.to_le_bytes());
        }
    }

    fn window(&self, pad_before: u64, pad_after: u64) -> Window {
        Window {
            kernel: [self.op.kernel_shape[0] as u64, self.op.kernel_shape[1] as u64],
            strides: [self.op.strides[0] as u64, self.op.strides[1] as u64],
            pads: [pad_before, self.op.pads[1] as u64, pad_after, self.op.pads[3] as u64],
            dilations: [self.dilation(0), self.dilation(1)],
        }
    }

    fn output_dtype(&self) -> DType {
        self.output.elem.storage()
    }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Conv2D) -> Result<(), String> {
    let (input, filter, bias, output) = (context.operand(node, 0), context.operand(node, 1), context.operand(node, 2), context.result(node));
    if op.kernel_shape.len() != 2 {
        return Err(format!("kernel {:?} is not two-dimensional", op.kernel_shape));
    }
    if op.inserts.as_ref().is_some_and(|v| v.iter().any(|&i| i != 0)) || op.kernel_zp != 0 {
        return Err("zero insertion and kernel zero points are not generated".into());
    }
    let (weights, weight_signed) = match context.weight(filter)?.data() {
        Data::I8(v) => (v.iter().map(|&x| x as u8).collect(), true),
        Data::U8(v) => (v.clone(), false),
        other => return Err(format!("the filter is of type {}, expected si8 or ui8", other.dtype())),
    };
    let bias = match context.program.value(bias).ty.is_none() {
        true => None,
        false => Some(context.weight(bias)?.as_i32().ok_or("the bias is not si32")?.to_vec()),
    };
    let need = |list: &Option<Vec<i64>>, name: &str| list.clone().ok_or_else(|| format!("attribute '{name}' is missing"));
    let layer = Layer {
        op,
        input: context.ty(input)?.clone(),
        output: context.ty(output)?.clone(),
        input_at: context.placement.offset(input)?,
        output_at: context.placement.offset(output)?,
        weights,
        weight_signed,
        bias,
        multiplier: need(&op.multiplier, "multiplier")?,
        rshift: need(&op.rshift, "rshift")?,
    };
    let channels = (layer.input.shape[1], layer.output.shape[1]);
    if op.group > 1 && op.group == channels.0 && channels.0 == channels.1 {
        return depthwise(context, &layer);
    }
    for group in 0..op.group as u64 {
        grouped(context, &layer, group)?;
    }
    Ok(())
}

/// One group of a convolution: a convolution of its own on a run of channels.
fn grouped(context: &mut Context, layer: &Layer, group: u64) -> Result<(), String> {
    let groups = layer.op.group as u64;
    let (input_channels, output_channels) = (Layer::dim(&layer.input, 1) / groups, Layer::dim(&layer.output, 1) / groups);
    let rows = layer.rows();
    let shape = ConvShape {
        input_channels,
        output_channels,
        input_width: Layer::dim(&layer.input, 3),
        output_width: Layer::dim(&layer.output, 3),
        kernel_area: layer.op.kernel_shape.iter().product::<i64>() as u64,
        rows,
        images: Layer::dim(&layer.input, 0),
    };
    let tile = shape.best_tile()?;
    let mut buffers = Buffers::new(&shape, &tile)?;
    let input_steps: Vec<(u64, u64)> = steps(input_channels, tile.input_channels).collect();
    for (first_oc, oc) in steps(output_channels, tile.output_channels) {
        let oc_base = group * output_channels + first_oc;
        let blobs: Vec<(u64, u64)> = input_steps.iter().map(|&(first_ic, ic)| weight_blob(context, layer, &shape, oc_base, oc, first_ic, ic)).collect();
        let parameters = parameter_bytes(oc);
        // One input pass: the weights stay for all rows and images.
        let resident = (input_steps.len() == 1).then(|| buffers.next_coefficients());
        if let Some(at) = resident {
            context.emit.load_lanes(at, oc.min(LANES), blobs[0].1, blobs[0].0);
        }
        for image in 0..shape.images {
            for (first_row, count) in steps(rows.output, tile.output_rows) {
                let slice = rows.slice(first_row, count)?;
                let accumulator = [1, oc, count, shape.output_width];
                let step = buffers.next_data();
                let sums = Local::aligned(step.accumulator, accumulator, DType::I32);
                let mut parameters_at = resident.unwrap_or(0);
                for (pass, &(first_ic, ic)) in input_steps.iter().enumerate() {
                    let weights_at = match resident {
                        Some(at) => at + parameters,
                        None => {
                            // The first pass brings the parameters; later passes leave them where they are.
                            let at = buffers.pass_coefficients(pass);
                            let skip = if pass == 0 { 0 } else { parameters };
                            if pass == 0 {
                                parameters_at = at;
                            }
                            context.emit.load_lanes(at + skip, oc.min(LANES), blobs[pass].1, blobs[pass].0);
                            at + parameters
                        }
                    };
                    let source = Local::aligned(step.input, [1, ic, slice.count, shape.input_width], layer.input.elem.storage());
                    let channel = group * input_channels + first_ic;
                    context.emit.load(source, rows_of(&layer.input, layer.input_at, image, channel, slice.start));
                    let window = layer.window(slice.pad_before, slice.pad_after);
                    context.emit.conv(&Conv { input: source, weights: weights_at, weight_signed: layer.weight_signed, result: sums, window, accumulate: pass > 0 });
                }
                finish(context, layer, sums, step.result, parameters_at, image, oc_base, first_row);
            }
        }
    }
    Ok(())
}

/// Bias, requantization, store.
#[allow(clippy::too_many_arguments)]
fn finish(context: &mut Context, layer: &Layer, sums: Local, result_at: u64, parameters_at: u64, image: u64, channel: u64, row: u64) {
    let blocks = sums.shape[1].div_ceil(LANES);
    if layer.bias.is_some() {
        context.emit.add_channel_bias(sums, parameters_at + blocks * 64);
    }
    let result = Local::aligned(result_at, sums.shape, layer.output_dtype());
    context.emit.requant_channels(sums, parameters_at, result);
    if layer.op.do_relu && layer.output_dtype().is_signed() {
        context.emit.max_constant(result, result, 0);
    }
    context.emit.store(result, rows_of(&layer.output, layer.output_at, image, channel, row));
}

/// Parameters (in the first pass) and weights of one step, lane by lane. Returns the blob's address and bytes a lane.
fn weight_blob(context: &mut Context, layer: &Layer, shape: &ConvShape, first_oc: u64, oc: u64, first_ic: u64, ic: u64) -> (u64, u64) {
    let skip = if first_ic == 0 { parameter_bytes(oc) } else { 0 };
    let lane_bytes = skip + shape.weight_bytes(oc, ic);
    let mut blob = Lanes::new(oc.min(LANES) as usize, lane_bytes as usize);
    if first_ic == 0 {
        layer.put_parameters(&mut blob, first_oc as usize, oc as usize);
    }
    let area = shape.kernel_area as usize;
    let (ic, all_ic) = (ic as usize, shape.input_channels as usize);
    let cubes = ic.div_ceil(64);
    for channel in 0..oc as usize {
        let (block, lane) = (channel / 64, channel % 64);
        let filter = (first_oc as usize + channel) * all_ic * area;
        for i in 0..ic {
            for tap in 0..area {
                let at = skip as usize + ((block * cubes + i / 64) * area + tap) * 64 + i % 64;
                let byte = layer.weights[filter + (first_ic as usize + i) * area + tap];
                blob.put(lane, at, &[byte]);
            }
        }
    }
    (context.coeff.add(blob.bytes), lane_bytes)
}

/// Every channel by itself.
fn depthwise(context: &mut Context, layer: &Layer) -> Result<(), String> {
    let rows = layer.rows();
    let area = layer.op.kernel_shape.iter().product::<i64>() as u64;
    let channels = Layer::dim(&layer.output, 1);
    let (input_width, output_width) = (Layer::dim(&layer.input, 3), Layer::dim(&layer.output, 3));
    let coefficients = |c: u64| (parameter_bytes(c) + c.div_ceil(LANES) * area).next_multiple_of(64);
    let data = |c: u64, r: u64| {
        aligned_bytes(c, rows.most_input(r) * input_width, DType::I8) + aligned_bytes(c, r * output_width, DType::I32) + aligned_bytes(c, r * output_width, DType::I8)
    };
    let fits = |c: u64, r: u64| 2 * (coefficients(c) + data(c, r) + 5 * 64) <= LANE_BYTES;
    // As many rows as fit with one block of channels; then, if all rows do, as many blocks as fit.
    let most_rows = largest(rows.output, |r| fits(channels.min(LANES), r)).ok_or_else(|| format!("a single output row of {output_width} elements does not fit local memory"))?;
    let tile_rows = rows.output.div_ceil(rows.output.div_ceil(most_rows));
    let blocks = if tile_rows == rows.output { largest(channels.div_ceil(LANES), |b| fits((b * LANES).min(channels), tile_rows)).unwrap_or(1) } else { 1 };
    let tile_channels = (blocks * LANES).min(channels);
    let mut turn = 0;
    for (first, c) in steps(channels, tile_channels) {
        let blob = depthwise_blob(layer, first as usize, c as usize, area as usize);
        let lane_bytes = blob.lane_bytes as u64;
        let at = context.coeff.add(blob.bytes);
        for image in 0..Layer::dim(&layer.input, 0) {
            for (first_row, count) in steps(rows.output, tile_rows) {
                let slice = rows.slice(first_row, count)?;
                let mut arena = crate::local::half(turn);
                turn += 1;
                let parameters = arena.take(lane_bytes).ok_or("the weights do not fit local memory")?;
                let input = arena.tensor([1, c, slice.count, input_width], layer.input.elem.storage())?;
                let sums = arena.tensor([1, c, count, output_width], DType::I32)?;
                let result = arena.tensor([1, c, count, output_width], layer.output_dtype())?;
                context.emit.load_lanes(parameters, c.min(LANES), lane_bytes, at);
                context.emit.load(input, rows_of(&layer.input, layer.input_at, image, first, slice.start));
                let weights = parameters + parameter_bytes(c);
                let bias = parameters + c.div_ceil(LANES) * 64;
                let window = layer.window(slice.pad_before, slice.pad_after);
                context.emit.depthwise(&Depthwise { input, weights, weight_signed: layer.weight_signed, bias, result: sums, window });
                context.emit.requant_channels(sums, parameters, result);
                if layer.op.do_relu && layer.output_dtype().is_signed() {
                    context.emit.max_constant(result, result, 0);
                }
                context.emit.store(result, rows_of(&layer.output, layer.output_at, image, first, first_row));
            }
        }
    }
    Ok(())
}

fn depthwise_blob(layer: &Layer, first: usize, channels: usize, area: usize) -> Lanes {
    let skip = parameter_bytes(channels as u64) as usize;
    let lane_bytes = (skip + channels.div_ceil(64) * area).next_multiple_of(64);
    let mut blob = Lanes::new(channels.min(64), lane_bytes);
    layer.put_parameters(&mut blob, first, channels);
    for channel in 0..channels {
        let filter = (first + channel) * area;
        blob.put(channel % 64, skip + channel / 64 * area, &layer.weights[filter..filter + area]);
    }
    blob
}

/// Rows from `row` on, from channel `channel` on, of an image of a tensor in the ctx region.
pub fn rows_of(ty: &TensorType, at: u64, image: u64, channel: u64, row: u64) -> Ddr {
    let [_, c, h, w] = [0, 1, 2, 3].map(|d| ty.shape[d] as u64);
    let size = ty.elem.storage().size() as u64;
    Ddr::context(at + (((image * c + channel) * h + row) * w) * size, [c * h * w, h * w, w, 1])
}

/// `(first, count)` of steps of at most `step`.
pub fn steps(total: u64, step: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..total.div_ceil(step)).map(move |i| (i * step, step.min(total - i * step)))
}

/// Where the buffers of consecutive steps are: two sets taking turns, or one.
struct Buffers {
    coefficients: Vec<u64>,
    data: Vec<StepBuffers>,
    coefficient_turn: usize,
    data_turn: usize,
}

#[derive(Debug, Clone, Copy)]
struct StepBuffers {
    input: u64,
    accumulator: u64,
    result: u64,
}

impl Buffers {
    fn new(shape: &ConvShape, tile: &ConvTile) -> Result<Buffers, String> {
        let sets = if tile.double { 2 } else { 1 };
        let mut arena = Arena::new(0, LANE_BYTES);
        let full = || "a step does not fit local memory".to_owned();
        let mut coefficients = Vec::new();
        let mut data = Vec::new();
        let plane = tile.output_rows * shape.output_width;
        for _ in 0..sets {
            coefficients.push(arena.take(shape.coefficient_bytes(tile)).ok_or_else(full)?);
            data.push(StepBuffers {
                input: arena.take(aligned_bytes(tile.input_channels, shape.rows.most_input(tile.output_rows) * shape.input_width, DType::I8)).ok_or_else(full)?,
                accumulator: arena.take(aligned_bytes(tile.output_channels, plane, DType::I32)).ok_or_else(full)?,
                result: arena.take(aligned_bytes(tile.output_channels, plane, DType::I8)).ok_or_else(full)?,
            });
        }
        Ok(Buffers { coefficients, data, coefficient_turn: 0, data_turn: 0 })
    }

    fn next_coefficients(&mut self) -> u64 {
        self.coefficient_turn += 1;
        self.coefficients[self.coefficient_turn % self.coefficients.len()]
    }

    /// The buffer of an input pass; the first pass's holds the parameters until the end of the step.
    fn pass_coefficients(&mut self, pass: usize) -> u64 {
        self.coefficients[pass % self.coefficients.len()]
    }

    fn next_data(&mut self) -> StepBuffers {
        self.data_turn += 1;
        self.data[self.data_turn % self.data.len()]
    }
}
