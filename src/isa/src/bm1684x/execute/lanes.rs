//! Copies between lanes (TRANS/BC).

use super::unsupported;
use super::arith::View;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{CHIP, DType, Layout, Shape, TransBc, TransBcFunction};

pub fn run(memory: &mut Memory, inst: &TransBc) -> Result<()> {
    let (shape, size) = (inst.shape, inst.precision.bytes() as usize);
    let dtype = DType::new(inst.precision, true);
    let lanes = CHIP.lanes as usize;
    match inst.function {
        TransBcFunction::LaneCopy => {
            let source = View::new(inst.source_addr, shape, dtype, Layout::Aligned, "the source")?;
            let result = View::new(inst.result_addr, shape, dtype, Layout::Aligned, "the result")?;
            let bytes = (shape.h * shape.w) as usize * size;
            for n in 0..shape.n as usize {
                for c in 0..shape.c as usize {
                    let (s, r) = (source.lane + c, result.lane + c);
                    let from = (s % lanes) * LANE + source.row(n, s / lanes, 0);
                    let to = (r % lanes) * LANE + result.row(n, r / lanes, 0);
                    memory.local.copy_within(from..from + bytes, to);
                }
            }
            Ok(())
        }
        TransBcFunction::LaneBroadcast => {
            let source = View::new(inst.source_addr, Shape::new(shape.n, 1, shape.h, shape.w), dtype, Layout::Aligned, "the source")?;
            let result = View::new(inst.result_addr, shape, dtype, Layout::Aligned, "the result")?;
            if result.lane + shape.c as usize > lanes {
                return Err(ExecuteError::Operand("a broadcast does not wrap past the last lane".into()));
            }
            let bytes = (shape.h * shape.w) as usize * size;
            for n in 0..shape.n as usize {
                for c in 0..shape.c as usize {
                    let from = source.lane * LANE + source.row(n, 0, 0);
                    let to = (result.lane + c) * LANE + result.row(n, 0, 0);
                    memory.local.copy_within(from..from + bytes, to);
                }
            }
            Ok(())
        }
        TransBcFunction::StaticBroadcast | TransBcFunction::StaticDistribute => {
            let at = inst.source_addr.checked_sub(CHIP.static_base).map(|a| a as usize);
            let distribute = inst.function == TransBcFunction::StaticDistribute;
            let row = if distribute { 1 } else { shape.w as usize } * size;
            let result = View::new(inst.result_addr, shape, dtype, Layout::Aligned, "the result")?;
            for c in 0..shape.c as usize {
                let from = at.map(|a| if distribute { a + c * size } else { a });
                let source = from.and_then(|f| memory.statics.get(f..f + row)).ok_or(ExecuteError::Address { what: "static memory", address: u64::from(inst.source_addr), bytes: row as u64 })?;
                let lane = result.lane + c;
                let to = (lane % lanes) * LANE + result.row(0, lane / lanes, 0);
                memory.local[to..to + row].copy_from_slice(source);
            }
            Ok(())
        }
        other => unsupported(other.name()),
    }
}
