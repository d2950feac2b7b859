//! Matrix products of INT8: MM2 (a row per lane) and MM (columns spread over the lanes).

use super::round::range;
use super::unsupported;
use super::view::View;
use crate::bm1684x::memory::{ExecuteError, LANES, Memory, Result};
use crate::bm1684x::{DType, Layout, Mm, Mm2, Mm2Function, Precision, Shape, Source};
use rayon::prelude::*;

/// A factor: rows of bytes behind each other.
struct Matrix {
    bytes: Vec<u8>,
    columns: usize,
    signed: bool,
}

impl Matrix {
    fn at(&self, row: usize) -> impl Iterator<Item = i32> + '_ {
        let signed = self.signed;
        self.bytes[row * self.columns..(row + 1) * self.columns].iter().map(move |&b| if signed { i32::from(b as i8) } else { i32::from(b) })
    }

    fn transposed(&self) -> Matrix {
        let rows = self.bytes.len() / self.columns.max(1);
        let mut bytes = vec![0; self.bytes.len()];
        for r in 0..rows {
            for c in 0..self.columns {
                bytes[c * rows + r] = self.bytes[r * self.columns + c];
            }
        }
        Matrix { bytes, columns: rows, signed: self.signed }
    }
}

/// `left` (M x K) times `right` (K x N), row by row.
fn product(left: &Matrix, right: &Matrix) -> Vec<Vec<i32>> {
    (0..left.bytes.len() / left.columns.max(1))
        .into_par_iter()
        .map(|row| {
            let mut sums = vec![0i32; right.columns];
            for (k, x) in left.at(row).enumerate().filter(|(_, x)| *x != 0) {
                let right_row = &right.bytes[k * right.columns..(k + 1) * right.columns];
                match right.signed {
                    true => sums.iter_mut().zip(right_row).for_each(|(s, y)| *s = s.wrapping_add(x * i32::from(*y as i8))),
                    false => sums.iter_mut().zip(right_row).for_each(|(s, y)| *s = s.wrapping_add(x * i32::from(*y))),
                }
            }
            sums
        })
        .collect()
}

/// Writes (or adds) sums at byte `at` of local memory.
fn put(local: &mut [u8], at: usize, sums: &[i32], precision: Precision, signed: bool, accumulate: bool) {
    let (low, high) = range(precision.bytes(), signed);
    for (i, sum) in sums.iter().enumerate() {
        match precision {
            Precision::Int32 => {
                let place = &mut local[at + 4 * i..at + 4 * i + 4];
                let old = if accumulate { i32::from_le_bytes([place[0], place[1], place[2], place[3]]) } else { 0 };
                place.copy_from_slice(&sum.wrapping_add(old).to_le_bytes());
            }
            Precision::Int16 => local[at + 2 * i..at + 2 * i + 2].copy_from_slice(&(i64::from(*sum).clamp(low, high) as u16).to_le_bytes()),
            _ => local[at + i] = i64::from(*sum).clamp(low, high) as u8,
        }
    }
}

/// A matrix with a row per lane.
fn rows_on_lanes(memory: &Memory, addr: u32, rows: u32, columns: u32, dtype: DType, what: &'static str) -> Result<(Matrix, usize)> {
    let view = View::new(addr, Shape::new(1, rows, 1, columns), dtype, Layout::Aligned, what)?;
    let columns = columns as usize;
    let mut bytes = vec![0; rows as usize * columns];
    for (r, row) in bytes.chunks_exact_mut(columns.max(1)).enumerate() {
        let channel = view.lane + r;
        let at = view.row(0, channel / LANES, 0);
        row.copy_from_slice(&memory.lane(channel % LANES)[at..at + columns]);
    }
    Ok((Matrix { bytes, columns, signed: dtype.signed }, view.lane))
}

pub fn run(memory: &mut Memory, inst: &Mm2) -> Result<()> {
    if inst.left_dtype.precision.is_float() {
        return super::matmul_float::run_mm2(memory, inst);
    }
    let name = inst.function.name();
    if inst.left_dtype.precision != Precision::Int8 || inst.result_precision != Precision::Int32 {
        return unsupported(&format!("{name} of {} into {}", inst.left_dtype.precision.name(), inst.result_precision.name()));
    }
    let (Source::Local(left), Source::Local(right), Source::Const(0)) = (inst.left, inst.right, inst.opd2) else {
        return unsupported(&format!("{name} with constant factors or a zero point"));
    };
    if inst.rows == 0 || inst.cols == 0 || inst.inner() == 0 {
        return Err(ExecuteError::Operand(format!("{name} without elements")));
    }
    let right_type = DType::new(Precision::Int8, inst.right_signed);
    let (left_rows, left_columns) = match inst.function {
        Mm2Function::Nn | Mm2Function::Nt => (inst.rows, inst.inner()),
        Mm2Function::Tt => (inst.inner(), inst.cols),
    };
    let columns_fit = match inst.function {
        Mm2Function::Nn => inst.right_cols == inst.cols,
        Mm2Function::Nt => inst.right_rows == inst.cols,
        Mm2Function::Tt => inst.right_rows == inst.rows,
    };
    if !columns_fit {
        return Err(ExecuteError::Operand(format!("{name}: {}x{} on the right do not make {}x{}", inst.right_rows, inst.right_cols, inst.rows, inst.cols)));
    }
    let (left, left_lane) = rows_on_lanes(memory, left, left_rows, left_columns, inst.left_dtype, "the left matrix")?;
    let (right, right_lane) = rows_on_lanes(memory, right, inst.right_rows, inst.right_cols, right_type, "the right matrix")?;
    let result = View::new(inst.result_addr, Shape::new(1, inst.rows, 1, inst.cols), DType::I32, Layout::Aligned, "the result")?;
    if left_lane != result.lane || right_lane != result.lane {
        return Err(ExecuteError::Operand(format!("{name}: factors and result start in different lanes")));
    }
    let sums = match inst.function {
        Mm2Function::Nn => product(&left, &right),
        Mm2Function::Nt => product(&left, &right.transposed()),
        // The transposed product: right (N x K) times left (K x M).
        Mm2Function::Tt => product(&right, &left),
    };
    for (r, sums) in sums.iter().enumerate() {
        let channel = result.lane + r;
        let at = (channel % LANES) * crate::bm1684x::memory::LANE + result.row(0, channel / LANES, 0);
        put(&mut memory.local, at, sums, inst.result_precision, true, inst.accumulate);
    }
    Ok(())
}

/// A matrix whose row `r` is N index `r` and whose columns are dealt out to lanes, `width` each.
fn columns_on_lanes(memory: &Memory, addr: u32, rows: u32, columns: u32, width: u32, dtype: DType, what: &'static str) -> Result<(Matrix, usize)> {
    let blocks = columns.div_ceil(width);
    let view = View::new(addr, Shape::new(rows, blocks, 1, width), dtype, Layout::Aligned, what)?;
    let (columns, width) = (columns as usize, width as usize);
    let mut bytes = vec![0; rows as usize * columns];
    for (r, row) in bytes.chunks_exact_mut(columns).enumerate() {
        for (block, part) in row.chunks_mut(width).enumerate() {
            let channel = view.lane + block;
            let at = view.row(r, channel / LANES, 0);
            part.copy_from_slice(&memory.lane(channel % LANES)[at..at + part.len()]);
        }
    }
    Ok((Matrix { bytes, columns, signed: dtype.signed }, view.lane))
}

pub fn run_mm(memory: &mut Memory, inst: &Mm) -> Result<()> {
    if inst.left_dtype.precision.is_float() {
        return super::matmul_float::run_mm(memory, inst);
    }
    if inst.left_dtype.precision != Precision::Int8 || !matches!(inst.result_precision, Precision::Int32 | Precision::Int16 | Precision::Int8) {
        return unsupported(&format!("mm of {} into {}", inst.left_dtype.precision.name(), inst.result_precision.name()));
    }
    let Source::Local(left) = inst.left else { return unsupported("mm with a constant factor") };
    let whole = inst.left_blocks.saturating_sub(1).saturating_mul(inst.left_width);
    let left_columns = whole.saturating_add(inst.left_last_width);
    let columns = inst.result_blocks.saturating_mul(inst.result_width);
    if inst.left_transposed || (inst.accumulate && inst.result_precision != Precision::Int32) {
        return unsupported("mm with a transposed factor or accumulation into less than 32 bits");
    }
    if inst.left_rows == 0 || left_columns == 0 || columns == 0 || inst.left_last_width == 0 || inst.left_last_width > inst.left_width {
        return Err(ExecuteError::Operand("mm without elements, or with a last lane wider than the others".into()));
    }
    let right_type = DType::new(Precision::Int8, inst.right_signed);
    let (left, left_lane) = columns_on_lanes(memory, left, inst.left_rows, left_columns, inst.left_width, inst.left_dtype, "the left matrix")?;
    let (right, right_lane) = columns_on_lanes(memory, inst.right_addr, left_columns, columns, inst.result_width, right_type, "the right matrix")?;
    let signed = inst.left_dtype.signed || inst.right_signed;
    let shape = Shape::new(inst.left_rows, inst.result_blocks, 1, inst.result_width);
    let result = View::new(inst.result_addr, shape, DType::new(inst.result_precision, signed), Layout::Aligned, "the result")?;
    if left_lane != result.lane || right_lane != result.lane {
        return Err(ExecuteError::Operand("mm: factors and result start in different lanes".into()));
    }
    for (r, sums) in product(&left, &right).iter().enumerate() {
        for (block, part) in sums.chunks(inst.result_width as usize).enumerate() {
            let channel = result.lane + block;
            let at = (channel % LANES) * crate::bm1684x::memory::LANE + result.row(r, channel / LANES, 0);
            put(&mut memory.local, at, part, inst.result_precision, signed, inst.accumulate);
        }
    }
    Ok(())
}
