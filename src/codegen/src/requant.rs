//! Sums of 32 bits to 8-bit integers, with a multiplier, a shift and a zero point for each channel.

use crate::Context;
use crate::coeff::Lanes;
use crate::conv::{part_of, steps};
use crate::local::{Arena, LANE_BYTES, LANES, Local, aligned_bytes};
use crate::tile::largest;
use tpuc_ops::{Program, tpu};
use tpuc_tensor::DType;

/// Bytes of a channel's record in local memory.
const RECORD: u64 = 64;

pub fn refuse(program: &Program, node: usize, op: &tpu::RequantIntAxis) -> Option<String> {
    let node = &program.nodes[node];
    let (x, quant, y) = (program.tensor_type(node.operands[0])?, program.tensor_type(node.operands[1])?, program.tensor_type(node.results[0])?);
    if x.elem.storage() != DType::I32 || !crate::is_quantized(y) {
        return Some(format!("from {} to {}", x.elem.storage(), y.elem.storage()));
    }
    if op.quant_mode != tpu::RequantMode::MultiplierShift {
        return Some("another requantization than by multiplier and shift".into());
    }
    let channels = x.shape.get(1).copied().unwrap_or(0);
    (quant.count() != 3 * channels || !(2..=4).contains(&x.shape.len())).then(|| format!("{} parameters for a tensor of shape {:?}", quant.count(), x.shape))
}

pub fn generate(context: &mut Context, node: usize) -> Result<(), String> {
    let (input, quant, result) = (context.operand(node, 0), context.operand(node, 1), context.result(node));
    let (x_at, y_at) = (context.placement.offset(input)?, context.placement.offset(result)?);
    let y_type = context.ty(result)?.clone();
    let mut shape = [1; 4];
    shape.iter_mut().zip(&y_type.shape).for_each(|(d, &s)| *d = s as u64);
    let quant = context.weight(quant)?;
    if quant.dtype() != DType::I32 {
        return Err(format!("the parameters are of type {}, expected si32", quant.dtype()));
    }
    let records = quant.to_le_bytes();
    let dtype = y_type.elem.storage();
    let [images, channels, height, width] = shape;
    let middle = (RECORD + LANE_BYTES) / 2;
    let fits = |rows: u64| aligned_bytes(1, rows * width, DType::I32) + aligned_bytes(1, rows * width, dtype) + 128 <= LANE_BYTES - middle;
    let most = largest(height, fits).ok_or_else(|| format!("a row of {width} elements does not fit local memory"))?;
    let mut turn = 0;
    for (channel, lanes) in steps(channels, LANES) {
        let mut blob = Lanes::new(lanes as usize, RECORD as usize);
        for lane in 0..lanes as usize {
            blob.put(lane, 0, &records[(channel as usize + lane) * 12..][..12]);
        }
        let at = context.coeff.add(blob.bytes);
        context.emit.load_lanes(0, lanes, RECORD, at);
        for image in 0..images {
            for (row, count) in steps(height, most) {
                let mut arena = if turn % 2 == 0 { Arena::new(RECORD, middle) } else { Arena::new(middle, LANE_BYTES) };
                turn += 1;
                let x: Local = arena.tensor([1, lanes, count, width], DType::I32)?;
                let y = arena.tensor(x.shape, dtype)?;
                context.emit.load(x, part_of(shape, x_at, [image, channel, row, 0], DType::I32));
                context.emit.requant_channels(x, 0, y);
                context.emit.store(y, part_of(shape, y_at, [image, channel, row, 0], dtype));
            }
        }
    }
    Ok(())
}
