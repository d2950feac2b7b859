//! Matrix products, with a weight or of two activations: rows of both operands on the lanes, columns along W.
//!
//! A left operand that is stored transposed is turned while it is loaded; a transposed right operand is what the
//! instruction's `nt` form multiplies.

mod float;

use crate::Context;
use crate::conv::steps;
use crate::emit::{Ddr, Region};
use crate::local::{LANE_BYTES, LANES, Local, aligned_bytes, half};
use tpuc_ops::{Program, TensorType, ValueId, tpu};
use tpuc_tensor::DType;

/// Rows, summed columns and result columns that are in local memory at once.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: u64,
    depth: u64,
    columns: u64,
    /// Of the factors.
    dtype: DType,
}

impl Tile {
    fn bytes(&self) -> u64 {
        // The right operand takes the most where its rows are the summed ones: transposed it has as many elements, but
        // fewer blocks are rounded up.
        let right = aligned_bytes(self.depth, self.columns, self.dtype).max(aligned_bytes(self.columns, self.depth, self.dtype));
        aligned_bytes(self.rows, self.depth, self.dtype)
            + right
            + 2 * aligned_bytes(self.rows, self.columns, DType::I32)
            + aligned_bytes(self.rows, self.columns, self.dtype)
            + 5 * 64
    }

    /// Shrinks columns, then depth, then rows until two sets fit.
    fn choose(rows: u64, depth: u64, columns: u64, dtype: DType) -> Tile {
        let fits = |t: &Tile| 2 * t.bytes() <= LANE_BYTES;
        let mut tile = Tile { rows: rows.min(4 * LANES), depth, columns, dtype };
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

/// A factor in DDR: a matrix for every index of the batch dimensions.
struct Factor {
    region: Region,
    at: u64,
    dtype: DType,
    /// Batch dimensions, then rows and columns as stored.
    shape: Vec<u64>,
    transposed: bool,
}

impl Factor {
    fn of(context: &mut Context, value: ValueId, transposed: bool) -> Result<Factor, String> {
        let ty = context.ty(value)?.clone();
        let shape: Vec<u64> = ty.shape.iter().map(|&d| d as u64).collect();
        if shape.len() < 2 {
            return Err(format!("a factor has shape {:?}, expected at least two dimensions", ty.shape));
        }
        if context.program.producer(value).is_some() {
            return Ok(Factor { region: Region::Context, at: context.placement.offset(value)?, dtype: ty.elem.storage(), shape, transposed });
        }
        let tensor = context.weight(value)?;
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::I8 | DType::U8) && !crate::is_float_type(dtype) {
            return Err(format!("the weight is of type {dtype}, expected si8, ui8 or a float"));
        }
        let bytes = tensor.to_le_bytes();
        Ok(Factor { region: Region::Coefficients, at: context.coeff.add(bytes), dtype, shape, transposed })
    }

    /// Rows and columns as stored.
    fn stored(&self) -> (u64, u64) {
        (self.shape[self.shape.len() - 2], self.shape[self.shape.len() - 1])
    }

    /// Rows and columns as multiplied.
    fn matrix(&self) -> (u64, u64) {
        let (rows, columns) = self.stored();
        if self.transposed { (columns, rows) } else { (rows, columns) }
    }

    /// Where the matrix starts that belongs to the result's matrix `batch` (row-major index over `dims`); dimensions of 1 repeat.
    fn batch(&self, batch: u64, dims: &[u64]) -> u64 {
        let own = &self.shape[..self.shape.len() - 2];
        let (mut rest, mut at, mut stride) = (batch, 0, self.stored().0 * self.stored().1);
        for (d, &size) in dims.iter().enumerate().rev() {
            let index = rest % size;
            rest /= size;
            let Some(&own) = (d + own.len()).checked_sub(dims.len()).and_then(|d| own.get(d)) else { break };
            at += if own == 1 { 0 } else { index * stride };
            stride *= own;
        }
        at
    }

    /// A stored part, `rows` by `columns` elements apart.
    fn ddr(&self, first: u64, rows: u64, columns: u64) -> Ddr {
        Ddr { region: self.region, offset: self.at + first * self.dtype.size() as u64, strides: [0, rows, 0, columns] }
    }

    /// As a left factor: rows from `row` on, of each the elements from `column` on.
    fn rows_from(&self, start: u64, row: u64, column: u64) -> Ddr {
        let pitch = self.pitch();
        if self.transposed { self.ddr(start + column * pitch + row, 1, pitch) } else { self.ddr(start + row * pitch + column, pitch, 1) }
    }

    /// Columns of a stored row.
    fn pitch(&self) -> u64 {
        self.stored().1
    }
}

/// What all tiles share.
struct Layer<'a> {
    op: &'a tpu::MatMul,
    left: Factor,
    right: Factor,
    /// Offset of the bias in the coefficients.
    bias_at: Option<u64>,
    multiplier: i64,
    rshift: i64,
    y_type: TensorType,
    y_at: u64,
    tile: Tile,
}

pub fn refuse(program: &Program, node: usize, op: &tpu::MatMul) -> Option<String> {
    if op.output_transpose || op.hdim_is_batch || op.right_zp != 0 || op.input_zp != 0 {
        return Some("transposed results and zero points are not generated".into());
    }
    let operands = &program.nodes[node].operands;
    let computed = |v: &&ValueId| program.producer(**v).is_some();
    if operands.get(1).filter(computed).and_then(|&v| program.tensor_type(v)).is_some_and(|ty| !(crate::is_int8(ty) || crate::is_float(ty))) {
        return Some("the right factor is neither symmetric INT8 nor of floats".into());
    }
    operands.get(2).filter(computed).map(|_| "a computed bias is not generated".into())
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::MatMul) -> Result<(), String> {
    let result = context.result(node);
    let mut left = Factor::of(context, context.operand(node, 0), op.left_transpose)?;
    let right = Factor::of(context, context.operand(node, 1), op.right_transpose)?;
    // One right factor for all batches: they are further rows.
    if !left.transposed && right.shape[..right.shape.len() - 2].iter().all(|&d| d == 1) {
        let (rows, depth) = left.stored();
        left.shape = vec![left.shape[..left.shape.len() - 2].iter().product::<u64>() * rows, depth];
    }
    let ((rows, depth), (right_depth, columns)) = (left.matrix(), right.matrix());
    if depth != right_depth {
        return Err(format!("the factors sum over {depth} and {right_depth} elements"));
    }
    let one = |list: &[i64], name: &str| match list {
        &[v] => Ok(v),
        _ => Err(format!("attribute '{name}' should have one entry")),
    };
    let y_type = context.ty(result)?.clone();
    let batches = batch_dims(&left, &right);
    if y_type.count() as u64 != batches.iter().product::<u64>() * rows * columns {
        return Err(format!("a result of shape {:?} does not fit its factors", y_type.shape));
    }
    if left.dtype.size() != right.dtype.size() || (left.dtype != right.dtype && crate::is_float_type(left.dtype)) {
        return Err(format!("factors of {} and {}", left.dtype, right.dtype));
    }
    if crate::is_float_type(left.dtype) {
        let bias_at = bias_f32(context, node, columns)?;
        return float::Layer { op, bias_at, y_at: context.placement.offset(result)?, y_type, left, right }.generate(context);
    }
    let layer = Layer {
        op,
        bias_at: bias(context, node, columns)?,
        multiplier: one(&op.multipliers, "multipliers")?,
        rshift: one(&op.rshifts, "rshifts")?,
        y_at: context.placement.offset(result)?,
        y_type,
        tile: Tile::choose(rows, depth, columns, DType::I8),
        left,
        right,
    };
    let mut turn = 0;
    for batch in 0..batches.iter().product() {
        let starts = [layer.left.batch(batch, &batches), layer.right.batch(batch, &batches)];
        for (first_row, m) in steps(rows, layer.tile.rows) {
            for (first_column, n) in steps(columns, layer.tile.columns) {
                layer.part(context, turn, starts, batch, (first_row, m), (first_column, n))?;
                turn += 1;
            }
        }
    }
    Ok(())
}

/// Dimensions over which the product is repeated: those of the factors, broadcast.
fn batch_dims(left: &Factor, right: &Factor) -> Vec<u64> {
    let rank = left.shape.len().max(right.shape.len()) - 2;
    let dim = |factor: &Factor, d: usize| (d + factor.shape.len() - 2).checked_sub(rank).map_or(1, |d| factor.shape[d]);
    (0..rank).map(|d| dim(left, d).max(dim(right, d))).collect()
}

fn bias(context: &mut Context, node: usize, columns: u64) -> Result<Option<u64>, String> {
    let value = context.operand(node, 2);
    if context.program.value(value).ty.is_none() {
        return Ok(None);
    }
    let tensor = context.weight(value)?;
    if tensor.dtype() != DType::I32 || tensor.len() as u64 != columns {
        return Err(format!("the bias has {} elements of {}, expected {columns} of si32", tensor.len(), tensor.dtype()));
    }
    let bytes = tensor.to_le_bytes();
    Ok(Some(context.coeff.add(bytes)))
}

/// A bias of floats, widened to f32.
fn bias_f32(context: &mut Context, node: usize, columns: u64) -> Result<Option<u64>, String> {
    let value = context.operand(node, 2);
    if context.program.value(value).ty.is_none() {
        return Ok(None);
    }
    let tensor = context.weight(value)?;
    if !crate::is_float_type(tensor.dtype()) || tensor.len() as u64 != columns {
        return Err(format!("the bias has {} elements of {}, expected {columns} floats", tensor.len(), tensor.dtype()));
    }
    let bytes = tensor.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(Some(context.coeff.add(bytes)))
}

impl Layer<'_> {
    /// Rows `row..row + m` and columns `column..column + n` of the result's matrix `batch`, whose factors start at `starts`.
    fn part(&self, context: &mut Context, turn: usize, starts: [u64; 2], batch: u64, (row, m): (u64, u64), (column, n): (u64, u64)) -> Result<(), String> {
        let (rows, depth) = self.left.matrix();
        let (_, columns) = self.right.matrix();
        let y_dtype = self.y_type.elem.storage();
        let mut arena = half(turn);
        let sums = arena.tensor([1, m, 1, n], DType::I32)?;
        let bias_rows = arena.tensor([1, m, 1, n], DType::I32)?;
        let y = arena.tensor([1, m, 1, n], y_dtype)?;
        let x_space = arena.tensor([1, m, 1, self.tile.depth], self.left.dtype)?;
        let stored = |k: u64| if self.right.transposed { [1, n, 1, k] } else { [1, k, 1, n] };
        let w_space = arena.tensor(stored(self.tile.depth), self.right.dtype)?;
        for (first, k) in steps(depth, self.tile.depth) {
            let x: Local = x_space.with_shape([1, m, 1, k]);
            let w = w_space.with_shape(stored(k));
            context.emit.load(x, self.left.rows_from(starts[0], row, first));
            let pitch = self.right.pitch();
            let (stored_row, stored_column) = if self.right.transposed { (column, first) } else { (first, column) };
            context.emit.load(w, self.right.ddr(starts[1] + stored_row * pitch + stored_column, pitch, 1));
            context.emit.matmul(x, w, self.right.transposed, sums, first > 0);
        }
        if let Some(at) = self.bias_at {
            // The same row for every lane.
            context.emit.load(bias_rows, Ddr::coefficients(at + column * 4, [0, 0, 0, 1]));
            context.emit.add_wrapping(sums, bias_rows, sums);
        }
        let zero_point = crate::zero_point(&self.y_type);
        context.emit.requant_constant(sums, self.multiplier, self.rshift, zero_point, y)?;
        if self.op.do_relu && y_dtype.is_signed() {
            context.emit.max_constant(y, y, zero_point as i8);
        }
        context.emit.store(y, Ddr::context(self.y_at + (batch * rows + row) * columns + column, [0, columns, 0, 1]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_broadcast() {
        let factor = |shape: &[u64]| Factor { region: Region::Context, at: 0, dtype: DType::I8, shape: shape.to_vec(), transposed: false };
        let (left, right) = (factor(&[2, 1, 3, 5]), factor(&[4, 5, 7]));
        let dims = batch_dims(&left, &right);
        assert_eq!(dims, [2, 4]);
        assert_eq!((0..8).map(|b| left.batch(b, &dims)).collect::<Vec<_>>(), [0, 0, 0, 0, 15, 15, 15, 15]);
        assert_eq!((0..8).map(|b| right.batch(b, &dims)).collect::<Vec<_>>(), [0, 35, 70, 105, 0, 35, 70, 105]);
    }

    #[test]
    fn tiles_fit_half_of_local_memory() {
        for (rows, depth, columns) in [(1, 25088, 4096), (4096, 4096, 4096), (1, 1, 1), (70, 130, 33), (65535, 3, 60000)] {
            let tile = Tile::choose(rows, depth, columns, DType::I8);
            assert!(2 * tile.bytes() <= LANE_BYTES, "{tile:?}");
        }
    }
}
