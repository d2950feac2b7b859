//! Matrix products of floats: MM of f32, MM2 of f16 and bf16. Sums are those of the convolution: even and odd products apart,
//! or 32 fused.

use super::conv_float::{FUSED, fused};
use super::unsupported;
use super::view::{View, read_floats, write_floats};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{DType, Layout, Mm, Mm2, Mm2Function, Precision, Shape, Source};
use rayon::prelude::*;

/// Rows behind each other.
struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

impl Matrix {
    fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    fn transposed(&self) -> Matrix {
        let rows = self.rows();
        let mut values = vec![0.0; self.values.len()];
        for (r, row) in self.values.chunks_exact(self.columns.max(1)).enumerate() {
            row.iter().enumerate().for_each(|(c, v)| values[c * rows + r] = *v);
        }
        Matrix { values, columns: rows }
    }
}

/// Where a row or a part of it lies: reads or writes `values` at row `index` of N or lanes.
fn place(view: &View, n: usize, channel: usize) -> usize {
    let channel = view.lane + channel;
    (channel % LANES) * LANE + view.row(n, channel / LANES, 0)
}

pub fn run_mm(memory: &mut Memory, inst: &Mm) -> Result<()> {
    let Source::Local(left_addr) = inst.left else { return unsupported("mm with a constant factor") };
    if inst.result_precision != Precision::F32 || inst.left_dtype.precision != Precision::F32 || inst.left_transposed || inst.accumulate {
        return unsupported("mm of other floats than f32, with a transposed factor or accumulation");
    }
    let depth = inst.left_blocks.saturating_sub(1).saturating_mul(inst.left_width).saturating_add(inst.left_last_width);
    let columns = inst.result_blocks.saturating_mul(inst.result_width);
    if inst.left_rows == 0 || depth == 0 || columns == 0 || inst.left_last_width == 0 || inst.left_last_width > inst.left_width {
        return Err(ExecuteError::Operand("mm without elements, or with a last lane wider than the others".into()));
    }
    let view = |addr, rows, blocks, width, what| View::new(addr, Shape::new(rows, blocks, 1, width), DType::F32, Layout::Aligned, what);
    let left_view = view(left_addr, inst.left_rows, inst.left_blocks, inst.left_width, "the left matrix")?;
    let right_view = view(inst.right_addr, depth, inst.result_blocks, inst.result_width, "the right matrix")?;
    let result = view(inst.result_addr, inst.left_rows, inst.result_blocks, inst.result_width, "the result")?;
    let bias = match inst.opd2 {
        Source::Const(0) => None,
        Source::Const(_) => return unsupported("mm with a constant bias"),
        Source::Local(addr) => Some(view(addr, 1, inst.result_blocks, inst.result_width, "the bias")?),
    };
    if [Some(&left_view), Some(&right_view), bias.as_ref()].into_iter().flatten().any(|v| v.lane != result.lane) {
        return Err(ExecuteError::Operand("mm: factors, bias and result start in different lanes".into()));
    }
    let read = |view: &View, rows: u32, columns: u32, width: u32| {
        let mut matrix = Matrix { values: vec![0.0; (rows * columns) as usize], columns: columns as usize };
        for (r, row) in matrix.values.chunks_exact_mut(columns as usize).enumerate() {
            for (block, part) in row.chunks_mut(width as usize).enumerate() {
                read_floats(&memory.local, place(view, r, block), 4, Precision::F32, part);
            }
        }
        matrix
    };
    let left = read(&left_view, inst.left_rows, depth, inst.left_width);
    let right = read(&right_view, depth, columns, inst.result_width);
    let bias = bias.map(|view| read(&view, 1, columns, inst.result_width).values);
    let sums: Vec<Vec<f32>> = left
        .values
        .par_chunks_exact(depth as usize)
        .map(|row| {
            let mut halves = [vec![0f32; columns as usize], vec![0f32; columns as usize]];
            // The bias is the first of the list.
            let shift = usize::from(bias.is_some());
            if let Some(bias) = &bias {
                halves[0].copy_from_slice(bias);
            }
            for (k, x) in row.iter().enumerate() {
                let right = &right.values[k * right.columns..(k + 1) * right.columns];
                halves[(k + shift) % 2].iter_mut().zip(right).for_each(|(s, y)| *s += x * y);
            }
            let [mut even, odd] = halves;
            even.iter_mut().zip(odd).for_each(|(e, o)| *e += o);
            even
        })
        .collect();
    for (r, sums) in sums.iter().enumerate() {
        for (block, part) in sums.chunks(inst.result_width as usize).enumerate() {
            write_floats(&mut memory.local, place(&result, r, block), 4, Precision::F32, part);
        }
    }
    Ok(())
}

pub fn run_mm2(memory: &mut Memory, inst: &Mm2) -> Result<()> {
    let (name, precision) = (inst.function.name(), inst.left_dtype.precision);
    let known = matches!(precision, Precision::F16 | Precision::Bf16) && (inst.result_precision == Precision::F32 || (inst.result_precision == precision && !inst.accumulate));
    if !known {
        return unsupported(&format!("{name} of {} into {}", precision.name(), inst.result_precision.name()));
    }
    let (Source::Local(left), Source::Local(right)) = (inst.left, inst.right) else {
        return unsupported(&format!("{name} with constant factors"));
    };
    if inst.rows == 0 || inst.cols == 0 || inst.inner() == 0 {
        return Err(ExecuteError::Operand(format!("{name} without elements")));
    }
    let (left_rows, left_columns, fits) = match inst.function {
        Mm2Function::Nn => (inst.rows, inst.inner(), inst.right_cols == inst.cols),
        Mm2Function::Nt => (inst.rows, inst.inner(), inst.right_rows == inst.cols),
        Mm2Function::Tt => (inst.inner(), inst.cols, inst.right_rows == inst.rows),
    };
    if !fits {
        return Err(ExecuteError::Operand(format!("{name}: {}x{} on the right do not make {}x{}", inst.right_rows, inst.right_cols, inst.rows, inst.cols)));
    }
    let dtype = DType::new(precision, true);
    let size = precision.bytes() as usize;
    let read = |addr: u32, rows: u32, columns: u32, what: &'static str| -> Result<(Matrix, usize)> {
        let view = View::new(addr, Shape::new(1, rows, 1, columns), dtype, Layout::Aligned, what)?;
        let mut matrix = Matrix { values: vec![0.0; (rows * columns) as usize], columns: columns as usize };
        for (r, row) in matrix.values.chunks_exact_mut(columns as usize).enumerate() {
            read_floats(&memory.local, place(&view, 0, r), size, precision, row);
        }
        Ok((matrix, view.lane))
    };
    let (left, left_lane) = read(left, left_rows, left_columns, "the left matrix")?;
    let (right, right_lane) = read(right, inst.right_rows, inst.right_cols, "the right matrix")?;
    let result_type = DType::new(inst.result_precision, true);
    let result = View::new(inst.result_addr, Shape::new(1, inst.rows, 1, inst.cols), result_type, Layout::Aligned, "the result")?;
    if left_lane != result.lane || right_lane != result.lane {
        return Err(ExecuteError::Operand(format!("{name}: factors and result start in different lanes")));
    }
    // Rows that are multiplied element by element.
    let (first, second) = match inst.function {
        Mm2Function::Nn => (left, right.transposed()),
        Mm2Function::Nt => (left, right),
        Mm2Function::Tt => (right, left.transposed()),
    };
    let result_size = inst.result_precision.bytes() as usize;
    let mut starts = vec![vec![0.0; inst.cols as usize]; inst.rows as usize];
    if inst.accumulate {
        for (r, row) in starts.iter_mut().enumerate() {
            read_floats(&memory.local, place(&result, 0, r), result_size, inst.result_precision, row);
        }
    }
    let product = |(row, start): (&[f32], Vec<f32>)| -> Vec<f32> { second.values.chunks_exact(second.columns).zip(start).map(|(column, start)| dot(start, row, column)).collect() };
    let sums: Vec<Vec<f32>> = first.values.par_chunks_exact(first.columns).zip(starts).map(product).collect();
    for (r, sums) in sums.into_iter().enumerate() {
        let at = place(&result, 0, r);
        write_floats(&mut memory.local, at, result_size, inst.result_precision, &sums);
    }
    Ok(())
}

fn dot(mut sum: f32, a: &[f32], b: &[f32]) -> f32 {
    for (a, b) in a.chunks(FUSED).zip(b.chunks(FUSED)) {
        if a.len() == FUSED {
            sum += fused(a, b);
        } else {
            let (mut x, mut y) = ([0.0; FUSED], [0.0; FUSED]);
            x[..a.len()].copy_from_slice(a);
            y[..b.len()].copy_from_slice(b);
            sum += fused(&x, &y);
        }
    }
    sum
}
