//! Matrix products with a weight: rows of the left operand on the lanes, the weight's rows on the lanes, columns along W.

use crate::Context;
use crate::conv::steps;
use crate::emit::Ddr;
use crate::local::{Arena, LANE_BYTES, LANES, aligned_bytes};
use tpuc_ops::tpu;
use tpuc_tensor::{DType, Data};

/// Rows, summed columns and result columns that are in local memory at once.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: u64,
    depth: u64,
    columns: u64,
}

impl Tile {
    fn bytes(&self) -> u64 {
        aligned_bytes(self.rows, self.depth, DType::I8)
            + aligned_bytes(self.depth, self.columns, DType::I8)
            + 2 * aligned_bytes(self.rows, self.columns, DType::I32)
            + aligned_bytes(self.rows, self.columns, DType::I8)
            + 5 * 64
    }

    /// Shrinks columns, then depth, then rows until two sets fit.
    fn choose(rows: u64, depth: u64, columns: u64) -> Tile {
        let fits = |t: &Tile| 2 * t.bytes() <= LANE_BYTES;
        let mut tile = Tile { rows: rows.min(4 * LANES), depth, columns };
        while !fits(&tile) {
            if tile.columns > 256 {
                tile.columns = (tile.columns / 2).next_multiple_of(64);
            } else if tile.depth > 1024 {
                tile.depth = (tile.depth / 2).next_multiple_of(64);
            } else {
                tile.rows = tile.rows.div_ceil(2);
            }
        }
        tile
    }
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::MatMul) -> Result<(), String> {
    let (left, right, bias, result) = (context.operand(node, 0), context.operand(node, 1), context.operand(node, 2), context.result(node));
    if op.left_transpose || op.right_transpose || op.output_transpose || op.hdim_is_batch || op.right_zp != 0 || op.input_zp != 0 {
        return Err("transposed operands and zero points are not generated".into());
    }
    if context.program.producer(right).is_some() {
        return Err("a product of two activations is not generated".into());
    }
    let right_type = context.ty(right)?.clone();
    let &[depth, columns] = right_type.shape.as_slice() else {
        return Err(format!("the weight has shape {:?}, expected two dimensions", right_type.shape));
    };
    let (depth, columns) = (depth as u64, columns as u64);
    let (x_type, y_type) = (context.ty(left)?.clone(), context.ty(result)?.clone());
    let rows = x_type.count() as u64 / depth.max(1);
    let (signed, weights) = match context.weight(right)?.data() {
        Data::I8(v) => (true, v.iter().map(|&x| x as u8).collect::<Vec<u8>>()),
        Data::U8(v) => (false, v.clone()),
        other => return Err(format!("the weight is of type {}, expected si8 or ui8", other.dtype())),
    };
    let bias = match context.program.value(bias).ty.is_none() {
        true => None,
        false => {
            let tensor = context.weight(bias)?;
            if tensor.dtype() != DType::I32 {
                return Err("the bias is not si32".into());
            }
            Some(tensor.to_le_bytes())
        }
    };
    let one = |list: &[i64], name: &str| match list {
        &[v] => Ok(v),
        _ => Err(format!("attribute '{name}' should have one entry")),
    };
    let (multiplier, rshift) = (one(&op.multipliers, "multipliers")?, one(&op.rshifts, "rshifts")?);
    let (x_at, y_at) = (context.placement.offset(left)?, context.placement.offset(result)?);
    let weights_at = context.coeff.add(weights);
    let bias_at = bias.map(|b| context.coeff.add(b));
    let tile = Tile::choose(rows, depth, columns);
    let y_dtype = y_type.elem.storage();
    let mut turn = 0;
    for (first_row, m) in steps(rows, tile.rows) {
        for (first_column, n) in steps(columns, tile.columns) {
            let start = (turn % 2) * (LANE_BYTES / 2);
            turn += 1;
            let mut arena = Arena::new(start, start + LANE_BYTES / 2);
            let sums = arena.tensor([1, m, 1, n], DType::I32)?;
            let bias_rows = arena.tensor([1, m, 1, n], DType::I32)?;
            let y = arena.tensor([1, m, 1, n], y_dtype)?;
            let x_space = arena.tensor([1, m, 1, tile.depth], x_type.elem.storage())?;
            let w_space = arena.tensor([1, tile.depth, 1, n], if signed { DType::I8 } else { DType::U8 })?;
            for (first_depth, k) in steps(depth, tile.depth) {
                let x = x_space.with_shape([1, m, 1, k]);
                let w = w_space.with_shape([1, k, 1, n]);
                context.emit.load(x, Ddr::context(x_at + first_row * depth + first_depth, [m * depth, depth, depth, 1]));
                context.emit.load(w, Ddr::coefficients(weights_at + first_depth * columns + first_column, [k * columns, columns, columns, 1]));
                context.emit.matmul(x, w, sums, first_depth > 0);
            }
            if let Some(at) = bias_at {
                // The same row for every lane.
                context.emit.load(bias_rows, Ddr::coefficients(at + first_column * 4, [0, 0, 0, 1]));
                context.emit.add_wrapping(sums, bias_rows, sums);
            }
            context.emit.requant_constant(sums, multiplier, rshift, y)?;
            if op.do_relu && y_dtype.is_signed() {
                context.emit.max_constant(y, y, 0);
            }
            context.emit.store(y, Ddr::context(y_at + first_row * columns + first_column, [m * columns, columns, columns, 1]));
        }
    }
    Ok(())
}
