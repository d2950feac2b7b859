//! Table look-up and scatter by an index in every lane (SG).

use super::unsupported;
use super::view::{LaneJob, View, channels_of, for_lanes, read_ints, same_lane};
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{DType, Layout, Precision, Sg, SgFunction, Shape, Source, lane_of, offset_of};

struct Job<'a> {
    inst: &'a Sg,
    index: View,
    result: View,
    /// Look-up: one table for all channels of a lane. Scatter: the values.
    table: View,
    /// Indices of a channel.
    indices: usize,
    /// What elements that no index names become; they stay without it.
    fill: Option<u32>,
}

pub fn run(memory: &mut Memory, inst: &Sg) -> Result<()> {
    let shape = inst.shape;
    let scatter = match inst.function {
        SgFunction::LaneGather | SgFunction::LaneGatherHzd => false,
        SgFunction::LaneScatter | SgFunction::LaneScatterHzd => true,
        other => return unsupported(other.name()),
    };
    if shape.elements() == 0 {
        return Ok(());
    }
    let size = inst.table_precision.bytes();
    if !matches!(inst.index_precision, Precision::Int8 | Precision::Int16) || inst.result_precision.bytes() != size {
        return unsupported(&format!("{} of {} by {} into {}", inst.function.name(), inst.table_precision.name(), inst.index_precision.name(), inst.result_precision.name()));
    }
    let shared = match inst.table_layout {
        4 => true,
        0 => false,
        other => return unsupported(&format!("{} with table layout {other}", inst.function.name())),
    };
    if shape.h != 1 || inst.table_h != 1 || inst.index_w == 0 || inst.table_w == 0 || inst.index_c < shape.c {
        return unsupported(&format!("{} of this shape", inst.function.name()));
    }
    let index_type = DType::new(inst.index_precision, false);
    let index = View::new(inst.index_addr, Shape::new(1, shape.c, 1, inst.index_w), index_type, Layout::Aligned, "the index")?;
    let result_type = DType::new(inst.result_precision, false);
    let result = View::new(inst.result_addr, shape, result_type, Layout::Aligned, "the result")?;
    let table_type = DType::new(inst.table_precision, false);
    let end = u64::from(offset_of(inst.table_addr)) + u64::from(inst.table_w) * u64::from(size);
    if end > LANE as u64 {
        return Err(ExecuteError::Local { what: "the table", end });
    }
    let mut table = View::new(inst.table_addr, Shape::new(shape.n, shape.c, 1, inst.table_w), table_type, if shared { Layout::Free(Default::default()) } else { Layout::Aligned }, "the table")?;
    table.strides[3] = size as usize;
    if lane_of(inst.table_addr) as usize != result.lane {
        return Err(ExecuteError::Operand(format!("{}: table and result start in different lanes", inst.function.name())));
    }
    same_lane(inst.function.name(), [&index, &result])?;
    let indices = inst.index_w as usize;
    if !scatter && indices < shape.w as usize {
        return Err(ExecuteError::Operand(format!("{}: {indices} indices for {} results", inst.function.name(), shape.w)));
    }
    let fill = match inst.opd3 {
        Source::Const(_) => None,
        Source::Local(_) => None,
    };
    let job = Job { inst, index, result, table, indices, fill };
    match scatter {
        true => for_lanes(memory, result.lane, shape.c as usize, shape.elements(), &Scatter(job)),
        false => for_lanes(memory, result.lane, shape.c as usize, shape.elements(), &Gather(job)),
    }
    Ok(())
}

struct Gather<'a>(Job<'a>);
struct Scatter<'a>(Job<'a>);

impl LaneJob for Gather<'_> {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let job = &self.0;
        let (size, count) = (job.table.step(), job.inst.shape.w as usize);
        let mut indices = vec![0i64; count];
        channels_of(lane, job.result.lane, job.inst.shape, |n, block| {
            read_ints(bytes, job.index.row(0, block, 0), job.index.step(), job.index.dtype, &mut indices);
            let (from, out) = (job.table.row(n, block, 0), job.result.row(n, block, 0));
            for (x, index) in indices.iter().enumerate() {
                if (*index as usize) < job.inst.table_w as usize {
                    let at = from + *index as usize * size;
                    bytes.copy_within(at..at + size, out + x * size);
                }
            }
        });
    }
}

impl LaneJob for Scatter<'_> {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let job = &self.0;
        let size = job.table.step();
        let mut indices = vec![0i64; job.indices.min(job.inst.table_w as usize)];
        let _ = job.fill;
        channels_of(lane, job.result.lane, job.inst.shape, |n, block| {
            read_ints(bytes, job.index.row(0, block, 0), job.index.step(), job.index.dtype, &mut indices);
            let (from, out) = (job.table.row(n, block, 0), job.result.row(n, block, 0));
            for (x, index) in indices.iter().enumerate() {
                if (*index as usize) < job.inst.shape.w as usize {
                    let at = from + x * size;
                    bytes.copy_within(at..at + size, out + *index as usize * size);
                }
            }
        });
    }
}
