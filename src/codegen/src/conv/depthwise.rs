//! Every channel by itself. Floats are computed in f32, whatever their type: in 16 bits the instruction rounds every product.

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
    let wide = widened(layer.input_dtype);
    let coefficients = |c: u64| (parameter_bytes(c) + c.div_ceil(LANES) * area * wide.size() as u64).next_multiple_of(64);
    let data = |c: u64, r: u64| {
        let (input, output) = (rows.most_input(r) * input_width, r * output_width);
        let copy = if wide == layer.input_dtype { 0 } else { aligned_bytes(c, input, wide) };
        copy + aligned_bytes(c, input, layer.input_dtype) + aligned_bytes(c, output, DType::I32) + aligned_bytes(c, output, layer.output_dtype)
    };
    let fits = |c: u64, r: u64| 2 * (coefficients(c) + data(c, r) + 6 * 64) <= LANE_BYTES;
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
                let sums = arena.tensor([1, c, count, output_width], layer.sum_dtype())?;
                let result = arena.tensor([1, c, count, output_width], layer.output_dtype)?;
                context.emit.load_lanes(parameters, c.min(LANES), lane_bytes, at);
                context.emit.load(input, layer.source(image, first, slice.start));
                let input = match wide == layer.input_dtype {
                    true => input,
                    false => {
                        let copy = arena.tensor(input.shape, wide)?;
                        context.emit.cast_exact(input, copy);
                        copy
                    }
                };
                let weights = parameters + parameter_bytes(c);
                let bias = parameters + c.div_ceil(LANES) * 64;
                let window = layer.window(slice.pad_before, slice.pad_after);
                context.emit.depthwise(&Depthwise { input, weights, weight_signed: layer.weight_signed, bias, result: sums, window, pad: layer.input_zero });
                layer.finish(context, sums, parameters, result, image, first, first_row);
            }
        }
    }
    Ok(())
}

/// The type that a channel is computed in.
fn widened(dtype: DType) -> DType {
    if crate::is_float_type(dtype) { DType::F32 } else { dtype }
}

/// Records, biases and weights of channels `first..first + channels`.
fn coefficient_blob(layer: &Layer, first: usize, channels: usize) -> Lanes {
    let area = layer.area() as usize;
    let skip = parameter_bytes(channels as u64) as usize;
    let row = area * widened(layer.input_dtype).size();
    let lane_bytes = (skip + channels.div_ceil(64) * row).next_multiple_of(64);
    let mut blob = Lanes::new(channels.min(64), lane_bytes);
    layer.put_parameters(&mut blob, first, channels);
    for channel in 0..channels {
        let filter = (first + channel) * area;
        let size = layer.input_dtype.size();
        let weights = widen(&layer.weights[filter * size..(filter + area) * size], layer.input_dtype);
        blob.put(channel % 64, skip + channel / 64 * row, &weights);
    }
    blob
}

/// Half floats as f32; all else as it is.
fn widen(bytes: &[u8], dtype: DType) -> Vec<u8> {
    let each = |value: fn([u8; 2]) -> f32| bytes.chunks_exact(2).flat_map(|b| value([b[0], b[1]]).to_le_bytes()).collect();
    match dtype {
        DType::F16 => each(|b| half::f16::from_le_bytes(b).to_f32()),
        DType::BF16 => each(|b| half::bf16::from_le_bytes(b).to_f32()),
        _ => bytes.to_vec(),
    }
}
