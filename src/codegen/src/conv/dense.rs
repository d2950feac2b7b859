//! Convolutions over all channels of a group. Several narrow groups are computed as one convolution whose weights are zero
//! between groups: a lane sums 64 input channels as fast as one.
//!
//! A window beyond the instruction's fields is summed tap by tap: each tap is a 1x1 convolution of the input elements that
//! it meets, which DMA brings to where their results are.

use super::{Layer, part_of, steps};
use crate::Context;
use crate::coeff::Lanes;
use crate::emit::{Conv, Window};
use crate::local::{Arena, LANE_BYTES, LANES, Layout, Local, aligned_bytes};
use crate::tile::{ConvShape, ConvTile, Rows, cube, parameter_bytes};
use tpuc_tensor::DType;

/// A run of groups that are computed together.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    first: u64,
    groups: u64,
    /// Channels of one group.
    input_channels: u64,
    output_channels: u64,
}

pub fn generate(context: &mut Context, layer: &Layer) -> Result<(), String> {
    let (input_channels, output_channels) = (layer.input[1] / layer.groups, layer.output[1] / layer.groups);
    let together = (LANES / input_channels.max(output_channels).max(1)).clamp(1, layer.groups);
    for (first, groups) in steps(layer.groups, together) {
        chunk(context, layer, &Chunk { first, groups, input_channels, output_channels })?;
    }
    Ok(())
}

/// The steps' sizes: those of the convolution, or of one tap of it.
fn shape_of(layer: &Layer, chunk: &Chunk) -> ConvShape {
    let by_tap = !layer.fits_fields();
    let output_rows = layer.output[2];
    ConvShape {
        input_channels: chunk.groups * chunk.input_channels,
        output_channels: chunk.groups * chunk.output_channels,
        input_width: if by_tap { layer.output[3] } else { layer.input[3] },
        output_width: layer.output[3],
        kernel_area: layer.area(),
        rows: if by_tap { Rows { input: output_rows, kernel: 1, stride: 1, dilation: 1, pad_before: 0, output: output_rows } } else { layer.rows() },
        images: layer.input[0],
        dtype: layer.input_dtype,
        result: layer.output_dtype,
    }
}

fn chunk(context: &mut Context, layer: &Layer, chunk: &Chunk) -> Result<(), String> {
    let shape = shape_of(layer, chunk);
    let tile = shape.best_tile()?;
    let mut buffers = Buffers::new(&shape, &tile)?;
    let input_steps: Vec<(u64, u64)> = steps(shape.input_channels, tile.input_channels).collect();
    for (first_oc, oc) in steps(shape.output_channels, tile.output_channels) {
        let oc_base = chunk.first * chunk.output_channels + first_oc;
        let blobs: Vec<(u64, u64)> = input_steps.iter().map(|&step| weight_blob(context, layer, chunk, &shape, (first_oc, oc), step)).collect();
        let parameters = parameter_bytes(oc);
        // One input pass: the weights stay for all rows and images.
        let resident = (input_steps.len() == 1).then(|| buffers.next_coefficients());
        if let Some(at) = resident {
            context.emit.load_lanes(at, oc.min(LANES), blobs[0].1, blobs[0].0);
        }
        for image in 0..shape.images {
            for (first_row, count) in steps(shape.rows.output, tile.output_rows) {
                let step = buffers.next_data();
                let sums = Local::aligned(step.accumulator, [1, oc, count, shape.output_width], layer.sum_dtype());
                let mut parameters_at = resident.unwrap_or(0);
                for (pass, &(first_ic, ic)) in input_steps.iter().enumerate() {
                    let weights = match resident {
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
                    // Floats begin with the bias, integers get it in the end.
                    let bias = (!layer.is_integer() && layer.bias.is_some() && pass == 0).then_some(parameters_at + oc.div_ceil(LANES) * 64);
                    let part = Part { bias, image, channel: chunk.first * chunk.input_channels + first_ic, channels: ic, row: first_row, input: step.input, weights, sums, accumulate: pass > 0 };
                    if layer.fits_fields() { part.convolve(context, layer)? } else { part.convolve_by_tap(context, layer, shape.tap_bytes(oc, ic)) }
                }
                if layer.bias.is_some() && layer.is_integer() {
                    context.emit.add_channel_bias(sums, parameters_at + oc.div_ceil(LANES) * 64);
                }
                let result = Local::aligned(step.result, sums.shape, layer.output_dtype);
                layer.finish(context, sums, parameters_at, result, image, oc_base, first_row);
            }
        }
    }
    Ok(())
}

/// Sums over some input channels.
struct Part {
    image: u64,
    /// The first input channel, and how many.
    channel: u64,
    channels: u64,
    /// The first output row.
    row: u64,
    /// Local offsets.
    input: u64,
    weights: u64,
    sums: Local,
    accumulate: bool,
    /// Local offset of the biases that sums begin with.
    bias: Option<u64>,
}

impl Part {
    fn convolve(&self, context: &mut Context, layer: &Layer) -> Result<(), String> {
        let slice = layer.rows().slice(self.row, self.sums.shape[2])?;
        let input = Local::aligned(self.input, [1, self.channels, slice.count, layer.input[3]], layer.input_dtype);
        context.emit.load(input, layer.source(self.image, self.channel, slice.start));
        let window = layer.window(slice.pad_before, slice.pad_after);
        context.emit.conv(&Conv { input, weights: self.weights, weight_signed: layer.weight_signed, result: self.sums, window, accumulate: self.accumulate, bias: self.bias, pad: layer.input_zero });
        Ok(())
    }

    fn convolve_by_tap(&self, context: &mut Context, layer: &Layer, tap_bytes: u64) {
        let [_, _, rows, width] = self.sums.shape;
        let input = Local::aligned(self.input, [1, self.channels, rows, width], layer.input_dtype);
        let single = Window { kernel: [1, 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
        for tap in 0..layer.area() {
            let (tap_row, tap_column) = (tap / layer.kernel[1], tap % layer.kernel[1]);
            let down = Meet::new(layer, 0, tap_row, self.row, rows);
            let across = Meet::new(layer, 1, tap_column, 0, width);
            if down.count * across.count < rows * width {
                context.emit.fill(input, u32::from(layer.input_zero as u8));
            }
            if down.count * across.count > 0 {
                let mut met = input.part([0, 0, down.first, across.first], [1, self.channels, down.count, across.count]);
                let mut source = part_of(layer.input, layer.input_at, [self.image, self.channel, down.source, across.source], layer.input_dtype);
                match (layer.transposed, &mut met.layout) {
                    (true, Layout::Free(strides)) => {
                        strides[2] *= layer.strides[0] as u32;
                        strides[3] *= layer.strides[1] as u32;
                    }
                    _ => {
                        source.strides[2] *= layer.strides[0];
                        source.strides[3] *= layer.strides[1];
                    }
                }
                context.emit.load(met, source);
            }
            let weights = self.weights + tap * tap_bytes;
            let accumulate = self.accumulate || tap > 0;
            context.emit.conv(&Conv { input, weights, weight_signed: layer.weight_signed, result: self.sums, window: single, accumulate, bias: self.bias.filter(|_| tap == 0), pad: 0 });
        }
    }
}

/// The outputs along one dimension for which a tap meets the input, and where the first of them meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meet {
    first: u64,
    count: u64,
    source: u64,
}

impl Meet {
    /// Among the outputs `start..start + count` of dimension `d` (0: H, 1: W); `first` is relative to `start`.
    fn new(layer: &Layer, d: usize, tap: u64, start: u64, count: u64) -> Meet {
        let along = if layer.transposed { Meet::among } else { Meet::along };
        along(layer.input[d + 2], layer.strides[d], (tap * layer.dilations[d]) as i64 - layer.pads[d] as i64, start, count)
    }

    /// Input `i` meets output `i * stride + shift`: those met are `stride` apart.
    fn among(input: u64, stride: u64, shift: i64, start: u64, count: u64) -> Meet {
        let at = |i: u64| (i * stride) as i64 + shift;
        let inside = |i: &u64| (start as i64..(start + count) as i64).contains(&at(*i));
        let Some(source) = (0..input).find(inside) else { return Meet { first: 0, count: 0, source: 0 } };
        let met = (source..input).take_while(inside).count() as u64;
        Meet { first: (at(source) - start as i64) as u64, count: met, source }
    }

    /// Output `o` meets input `o * stride + shift`.
    fn along(input: u64, stride: u64, shift: i64, start: u64, count: u64) -> Meet {
        let at = |o: u64| (o * stride) as i64 + shift;
        let inside = |o: &u64| (0..input as i64).contains(&at(*o));
        let Some(first) = (start..start + count).find(inside) else { return Meet { first: 0, count: 0, source: 0 } };
        let met = (first..start + count).take_while(inside).count() as u64;
        Meet { first: first - start, count: met, source: at(first) as u64 }
    }
}

/// Parameters (in the first pass) and weights of one step, lane by lane, for output channels `(first, count)` and input
/// channels `(first, count)` of a chunk. Returns the blob's address and bytes a lane.
fn weight_blob(context: &mut Context, layer: &Layer, chunk: &Chunk, shape: &ConvShape, (first_oc, oc): (u64, u64), (first_ic, ic): (u64, u64)) -> (u64, u64) {
    let area = layer.area() as usize;
    let (size, cube) = (layer.input_dtype.size(), cube(layer.input_dtype) as usize);
    let cubes = (ic as usize).div_ceil(cube);
    let skip = if first_ic == 0 { parameter_bytes(oc) as usize } else { 0 };
    let (by_tap, tap_bytes) = (!layer.fits_fields(), shape.tap_bytes(oc, ic) as usize);
    let lane_bytes = skip + area * tap_bytes;
    let mut blob = Lanes::new(oc.min(LANES) as usize, lane_bytes);
    if first_ic == 0 {
        layer.put_parameters(&mut blob, (chunk.first * chunk.output_channels + first_oc) as usize, oc as usize);
    }
    for channel in 0..oc {
        let in_chunk = first_oc + channel;
        let group = in_chunk / chunk.output_channels;
        let filter = ((chunk.first * chunk.output_channels + in_chunk) * chunk.input_channels) as usize * area;
        let (block, lane) = ((channel / LANES) as usize, (channel % LANES) as usize);
        for i in 0..chunk.input_channels {
            let Some(position) = (group * chunk.input_channels + i).checked_sub(first_ic).filter(|&p| p < ic) else { continue };
            let (index, inside) = (position as usize / cube, position as usize % cube);
            for tap in 0..area {
                let place = match by_tap {
                    true => tap * tap_bytes + (block * cubes + index) * cube * size,
                    false => ((block * cubes + index) * area + tap) * cube * size,
                };
                let from = (filter + i as usize * area + tap) * size;
                blob.put(lane, skip + place + inside * size, &layer.weights[from..from + size]);
            }
        }
    }
    (context.coeff.add(blob.bytes), lane_bytes as u64)
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
                input: arena.take(aligned_bytes(tile.input_channels, shape.rows.most_input(tile.output_rows) * shape.input_width, shape.dtype)).ok_or_else(full)?,
                accumulator: arena.take(aligned_bytes(tile.output_channels, plane, DType::I32)).ok_or_else(full)?,
                result: arena.take(aligned_bytes(tile.output_channels, plane, shape.result)).ok_or_else(full)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_meet_the_input() {
        let meet = |first, count, source| Meet { first, count, source };
        // Nine inputs, dilation 4 with padding 4: the first tap looks four to the left, the last four to the right.
        assert_eq!(Meet::along(9, 1, -4, 0, 9), meet(4, 5, 0));
        assert_eq!(Meet::along(9, 1, 0, 2, 3), meet(0, 3, 2));
        assert_eq!(Meet::along(9, 1, 4, 0, 9), meet(0, 5, 4));
        assert_eq!(Meet::along(40, 16, -3, 0, 3), meet(1, 2, 13));
        assert_eq!(Meet::along(5, 1, 7, 0, 4), meet(0, 0, 0));
        // Transposed, stride 2: inputs 1, 2, 3 at outputs 1, 3, 5.
        assert_eq!(Meet::among(4, 2, -1, 0, 6), meet(1, 3, 1));
        assert_eq!(Meet::among(4, 2, 1, 4, 2), meet(1, 1, 2));
    }
}
