//! Matrix products of floats. Half floats are multiplied row by lane as integers are, into f32; f32 has an instruction of its
//! own that deals the columns out to the lanes.

use super::{Factor, Tile, batch_dims};
use crate::Context;
use crate::conv::steps;
use crate::emit::{Ddr, Region};
use crate::local::{Arena, LANES, Local, aligned_bytes, half};
use tpuc_ops::{TensorType, tpu};
use tpuc_tensor::DType;

/// What all tiles share.
pub struct Layer<'a> {
    pub op: &'a tpu::MatMul,
    pub left: Factor,
    pub right: Factor,
    /// Offset of an f32 bias in the coefficients.
    pub bias_at: Option<u64>,
    pub y_type: TensorType,
    pub y_at: u64,
}

/// A part of the result: its matrix, rows and columns (first and count).
#[derive(Clone, Copy)]
struct Part {
    batch: u64,
    starts: [u64; 2],
    rows: (u64, u64),
    columns: (u64, u64),
}

impl Layer<'_> {
    pub fn generate(&self, context: &mut Context) -> Result<(), String> {
        let ((rows, depth), (_, columns)) = (self.left.matrix(), self.right.matrix());
        let batches = batch_dims(&self.left, &self.right);
        let dtype = self.left.dtype;
        let tile = if dtype == DType::F32 { tile_f32(rows, depth, columns) } else { Tile::choose(rows, depth, columns, dtype) };
        let mut turn = 0;
        for batch in 0..batches.iter().product() {
            let starts = [self.left.batch(batch, &batches), self.right.batch(batch, &batches)];
            for rows in steps(rows, tile.rows) {
                for columns in steps(columns, tile.columns) {
                    let mut arena = half(turn);
                    turn += 1;
                    let part = Part { batch, starts, rows, columns };
                    if dtype == DType::F32 { self.part_f32(context, &mut arena, part, tile.depth)? } else { self.part_half(context, &mut arena, part, tile.depth)? }
                }
            }
        }
        Ok(())
    }

    fn relu(&self, context: &mut Context, sums: Local) {
        if self.op.do_relu {
            context.emit.relu_float(sums, self.op.relu_limit);
        }
    }

    fn result(&self, part: &Part) -> Ddr {
        let ((rows, _), (_, columns)) = (self.left.matrix(), self.right.matrix());
        let first = (part.batch * rows + part.rows.0) * columns + part.columns.0;
        Ddr::context(self.y_at + first * self.y_type.elem.storage().size() as u64, [0, columns, 0, 1])
    }

    /// Half floats: rows of the left factor and of the result on the lanes.
    fn part_half(&self, context: &mut Context, arena: &mut Arena, part: Part, most_depth: u64) -> Result<(), String> {
        let ((row, m), (column, n)) = (part.rows, part.columns);
        let sums = arena.tensor([1, m, 1, n], DType::F32)?;
        let bias_rows = arena.tensor([1, m, 1, n], DType::F32)?;
        let y = arena.tensor([1, m, 1, n], self.y_type.elem.storage())?;
        let x_space = arena.tensor([1, m, 1, most_depth], self.left.dtype)?;
        let stored = |k: u64| if self.right.transposed { [1, n, 1, k] } else { [1, k, 1, n] };
        let w_space = arena.tensor(stored(most_depth), self.right.dtype)?;
        for (first, k) in steps(self.left.matrix().1, most_depth) {
            let x = x_space.with_shape([1, m, 1, k]);
            let w = w_space.with_shape(stored(k));
            context.emit.load(x, self.left.rows_from(part.starts[0], row, first));
            let pitch = self.right.pitch();
            let (stored_row, stored_column) = if self.right.transposed { (column, first) } else { (first, column) };
            context.emit.load(w, self.right.ddr(part.starts[1] + stored_row * pitch + stored_column, pitch, 1));
            context.emit.matmul(x, w, self.right.transposed, sums, first > 0);
        }
        if let Some(at) = self.bias_at {
            context.emit.load(bias_rows, Ddr::coefficients(at + column * 4, [0, 0, 0, 1]));
            context.emit.add_wrapping(sums, bias_rows, sums);
        }
        self.relu(context, sums);
        context.emit.cast_exact(sums, y);
        context.emit.store(y, self.result(&part));
        Ok(())
    }

    /// f32: rows are N, columns are dealt out to the lanes.
    fn part_f32(&self, context: &mut Context, arena: &mut Arena, part: Part, most_depth: u64) -> Result<(), String> {
        let ((row, m), (column, n)) = (part.rows, part.columns);
        let width = n.div_ceil(LANES);
        let blocks = n.div_ceil(width);
        let shape = |rows: u64| [rows, blocks, 1, width];
        let (sums, product) = (arena.tensor(shape(m), DType::F32)?, arena.tensor(shape(m), DType::F32)?);
        let bias = arena.tensor(shape(1), DType::F32)?;
        let x_space = arena.tensor([m, 1, 1, most_depth], DType::F32)?;
        let w_space = arena.tensor(shape(most_depth), DType::F32)?;
        if let Some(at) = self.bias_at {
            blockwise(bias, n, Ddr::coefficients(at + column * 4, [0, 1, 0, 1]), |local, ddr| context.emit.load(local, ddr));
        }
        for (first, k) in steps(self.left.matrix().1, most_depth) {
            let (x, w) = (x_space.with_shape([m, 1, 1, k]), w_space.with_shape(shape(k)));
            let from = self.left.rows_from(part.starts[0], row, first);
            context.emit.load(x, Ddr { strides: [from.strides[1], 0, 0, from.strides[3]], ..from });
            let pitch = self.right.pitch();
            let (at, strides) = if self.right.transposed { (column * pitch + first, [1, pitch, 0, pitch]) } else { (first * pitch + column, [pitch, 1, 0, 1]) };
            let from = self.right.ddr(part.starts[1] + at, 0, 0);
            blockwise(w, n, Ddr { strides, ..from }, |local, ddr| context.emit.load(local, ddr));
            let target = if first == 0 { sums } else { product };
            context.emit.matmul_f32(x, w, self.bias_at.filter(|_| first == 0).map(|_| bias), target);
            if first > 0 {
                context.emit.add_wrapping(sums, product, sums);
            }
        }
        self.relu(context, sums);
        let to = self.result(&part);
        blockwise(sums, n, Ddr { strides: [to.strides[1], 1, 0, 1], ..to }, |local, ddr| context.emit.store(local, ddr));
        Ok(())
    }
}

/// Transfers `columns` columns dealt out to lanes: whole lanes, then the last one, which may hold fewer. `ddr` has the stride
/// of a column as that of C.
fn blockwise(local: Local, columns: u64, ddr: Ddr, mut transfer: impl FnMut(Local, Ddr)) {
    let [rows, _, _, width] = local.shape;
    let [row, column, _, _] = ddr.strides;
    let (whole, rest) = (columns / width, columns % width);
    let strides = [row, width * column, 0, column];
    if whole > 0 {
        transfer(local.part([0; 4], [rows, whole, 1, width]), Ddr { strides, ..ddr });
    }
    if rest > 0 {
        let offset = ddr.offset + whole * width * column * local.dtype.size() as u64;
        transfer(local.part([0, whole, 0, 0], [rows, 1, 1, rest]), Ddr { offset, strides, region: Region::clone(&ddr.region) });
    }
}

/// Half of local memory holds factors, sums, products and bias.
fn tile_f32(rows: u64, depth: u64, columns: u64) -> Tile {
    let columns = columns.min(LANES * 64);
    let row = aligned_bytes(1, columns.div_ceil(LANES), DType::F32);
    let depth = depth.min((48 << 10) / row);
    // A row of the left factor, of sums and of products.
    let each = aligned_bytes(1, depth, DType::F32) + 2 * row;
    Tile { rows: rows.min(((72 << 10) / each).max(1)), depth, columns, dtype: DType::F32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_of_f32_fit() {
        for (rows, depth, columns) in [(1, 25088, 4096), (5000, 300, 7), (70, 1280, 1000), (65535, 3, 60000)] {
            let tile = tile_f32(rows, depth, columns);
            let row = aligned_bytes(1, tile.columns.div_ceil(LANES), DType::F32);
            let bytes = tile.rows * (2 * row + aligned_bytes(1, tile.depth, DType::F32)) + (tile.depth + 1) * row + 5 * 64;
            assert!(bytes <= crate::local::LANE_BYTES / 2, "{rows} {depth} {columns}: {tile:?}");
        }
    }
}
