//! Every channel by itself.

use super::{Layer, steps};
use crate::Context;
use crate::coeff::Lanes;
use crate::emit::Depthwise;
use crate::local::{LANE_BYTES, LANES, aligned_bytes, half};
use crate::tile::{largest, parameter_bytes};
use tpuc_tensor::DType;

pub fn generate(context: &mut Context, layer: &Layer) -> Result<(), String> {
    let rows = layer.rows();
    let area = layer.area();
    let [images, channels, _, output_width] = layer.output;
    let input_width = layer.input[3];
    let coefficients = |c: u64| (parameter_bytes(c) + c.div_ceil(LANES) * area).next_multiple_of(64);
    let data = |c: u64, r: u64| {
        aligned_bytes(c, rows.most_input(r) * input_width, DType::I8) + aligned_bytes(c, r * output_width, DType::I32) + aligned_bytes(c, r * output_width, DType::I8)
    };
    let fits = |c: u64, r: u64| 2 * (coefficients(c) + data(c, r) + 5 * 64) <= LANE_BYTES;
    // As many rows as fit with one block of channels; then, if all rows do, as many blocks as fit.
    let most_rows = largest(rows.output, |r| fits(channels.min(LANES), r)).ok_or_else(|| format!("a single output row of {output_width} elements does not fit local memory"))?;
    let tile_rows = rows.output.div_ceil(rows.output.div_ceil(most_rows));
    let blocks = if tile_rows == rows.output { largest(channels.div_ceil(LANES), |b| fits((b * LANES).min(channels), tile_rows)).unwrap_or(1) } else { 1 };
    let mut turn = 0;
    for (first, c) in steps(channels, (blocks * LANES).min(channels)) {
        let blob = coefficient_blob(layer, first as usize, c as usize);
        let lane_bytes = blob.lane_bytes as u64;
        let at = context.coeff.add(blob.bytes);
        for image in 0..images {
            for (first_row, count) in steps(rows.output, tile_rows) {
                let slice = rows.slice(first_row, count)?;
                let mut arena = half(turn);
                turn += 1;
                let parameters = arena.take(lane_bytes).ok_or("the weights do not fit local memory")?;
                let input = arena.tensor([1, c, slice.count, input_width], layer.input_dtype)?;
                let sums = arena.tensor([1, c, count, output_width], DType::I32)?;
                let result = arena.tensor([1, c, count, output_width], layer.output_dtype)?;
                context.emit.load_lanes(parameters, c.min(LANES), lane_bytes, at);
                context.emit.load(input, layer.source(image, first, slice.start));
                let weights = parameters + parameter_bytes(c);
                let bias = parameters + c.div_ceil(LANES) * 64;
                let window = layer.window(slice.pad_before, slice.pad_after);
                context.emit.depthwise(&Depthwise { input, weights, weight_signed: layer.weight_signed, bias, result: sums, window });
                layer.finish(context, sums, parameters, result, image, first, first_row);
            }
        }
    }
    Ok(())
}

/// Records, biases and weights of channels `first..first + channels`.
fn coefficient_blob(layer: &Layer, first: usize, channels: usize) -> Lanes {
    let area = layer.area() as usize;
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
