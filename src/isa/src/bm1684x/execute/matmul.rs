//! Matrix product with a row per lane (MM2), INT8.

use super::arith::{View, read_ints};
use super::unsupported;
use crate::bm1684x::memory::{Memory, Result};
use crate::bm1684x::{CHIP, DType, Layout, Mm2, Mm2Function, Precision, Shape, Source};
use rayon::prelude::*;

/// A matrix as rows of integers: row `r` is channel `r`.
fn rows(memory: &Memory, view: &View, count: usize, columns: usize, dtype: DType) -> Vec<i32> {
    let lanes = CHIP.lanes as usize;
    let mut out = vec![0i32; count * columns];
    let mut row = vec![0i64; columns];
    for (r, out) in out.chunks_exact_mut(columns.max(1)).enumerate() {
        let channel = view.lane + r;
        read_ints(memory.lane(channel % lanes), view.row(0, channel / lanes, 0), view.step(), dtype, &mut row);
        out.iter_mut().zip(&row).for_each(|(o, v)| *o = *v as i32);
    }
    out
}

pub fn run(memory: &mut Memory, inst: &Mm2) -> Result<()> {
    if inst.left_dtype.precision != Precision::Int8 || inst.result_precision != Precision::Int32 || inst.function == Mm2Function::Tt {
        return unsupported("matrix product other than int8 to int32, nn or nt");
    }
    let (Source::Local(left), Source::Local(right), Source::Const(0)) = (inst.left, inst.right, inst.opd2) else {
        return unsupported("matrix product with constant operands or zero points");
    };
    let (m, n, k) = (inst.rows as usize, inst.cols as usize, inst.inner() as usize);
    let right_type = DType::new(Precision::Int8, inst.right_signed);
    let left_view = View::new(left, Shape::new(1, inst.rows, 1, inst.inner()), inst.left_dtype, Layout::Aligned, "the left matrix")?;
    let right_view = View::new(right, Shape::new(1, inst.right_rows, 1, inst.right_cols), right_type, Layout::Aligned, "the right matrix")?;
    let result = View::new(inst.result_addr, Shape::new(1, inst.rows, 1, inst.cols), DType::I32, Layout::Aligned, "the result")?;
    let a = rows(memory, &left_view, m, k, inst.left_dtype);
    let b = rows(memory, &right_view, inst.right_rows as usize, inst.right_cols as usize, right_type);
    let sums: Vec<Vec<i32>> = a
        .par_chunks_exact(k.max(1))
        .map(|a| {
            let mut sums = vec![0i32; n];
            match inst.function {
                Mm2Function::Nn => {
                    for (&x, row) in a.iter().zip(b.chunks_exact(n.max(1))) {
                        sums.iter_mut().zip(row).for_each(|(s, y)| *s = s.wrapping_add(x.wrapping_mul(*y)));
                    }
                }
                _ => sums.iter_mut().zip(b.chunks_exact(k.max(1))).for_each(|(s, row)| *s = a.iter().zip(row).map(|(x, y)| x * y).sum()),
            }
            sums
        })
        .collect();
    for (r, sums) in sums.iter().enumerate() {
        let channel = result.lane + r;
        let base = (channel % CHIP.lanes as usize) * CHIP.lane_bytes as usize + result.row(0, channel / CHIP.lanes as usize, 0);
        for (place, sum) in memory.local[base..base + 4 * n].chunks_exact_mut(4).zip(sums) {
            let mut value = *sum;
            if inst.accumulate {
                value = value.wrapping_add(i32::from_le_bytes([place[0], place[1], place[2], place[3]]));
            }
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
    Ok(())
}
