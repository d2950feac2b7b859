//! Table look-up in every lane (SG).

use super::arith::View;
use super::requant::for_channels;
use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{DType, Layout, Precision, Sg, SgFunction, Shape, offset_of};

pub fn run(memory: &mut Memory, inst: &Sg) -> Result<()> {
    if !matches!(inst.function, SgFunction::LaneGather | SgFunction::LaneGatherHzd) || inst.index_precision != Precision::Int8 || inst.shape.h != 1 || inst.table_layout != 4 {
        return unsupported(inst.function.name());
    }
    let shape = inst.shape;
    let index_shape = Shape::new(shape.n, shape.c, 1, inst.index_w);
    let index = View::new(inst.index_addr, index_shape, DType::U8, Layout::Aligned, "the index")?;
    let result = View::new(inst.result_addr, shape, DType::new(inst.result_precision, true), Layout::Aligned, "the result")?;
    let size = inst.table_precision.bytes() as usize;
    let table = offset_of(inst.table_addr) as usize;
    let end = table + inst.table_w as usize * size;
    if end > LANE || inst.result_precision.bytes() as usize != size || inst.index_w < shape.w {
        return Err(ExecuteError::Local { what: "the table", end: end as u64 });
    }
    for_channels(memory, shape, result.lane, |lane, n, block| {
        let (source, out) = (index.row(n, block, 0), result.row(n, block, 0));
        for x in 0..shape.w as usize {
            let entry = (lane[source + x] as usize).min(inst.table_w as usize - 1);
            lane.copy_within(table + entry * size..table + (entry + 1) * size, out + x * size);
        }
    });
    Ok(())
}
