//! Transposes and copies between lanes (TRANS/BC).

use super::unsupported;
use super::view::View;
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{CHIP, DType, Layout, Precision, Shape, Strides, TransBc, TransBcFunction};

/// Byte in local memory of a row of a tensor.
fn byte(view: &View, n: usize, c: usize, h: usize) -> usize {
    let channel = view.lane + c;
    (channel % LANES) * LANE + view.row(n, channel / LANES, h)
}

/// Rows start at multiples of the execution units' width.
fn line_aligned(shape: Shape, precision: Precision, addr: u32) -> Layout {
    let h = shape.w.next_multiple_of(CHIP.eu_elements(precision.bytes()));
    let c = shape.h.saturating_mul(h);
    let blocks = (crate::bm1684x::lane_of(addr) + shape.c).div_ceil(CHIP.lanes);
    Layout::Free(Strides::new(blocks.saturating_mul(c), c, h, 1))
}

pub fn run(memory: &mut Memory, inst: &TransBc) -> Result<()> {
    let (shape, size) = (inst.shape, inst.precision.bytes() as usize);
    let dtype = DType::new(inst.precision, true);
    let name = inst.function.name();
    if shape.elements() == 0 || inst.source_c == 0 || inst.source_w == 0 {
        return Err(ExecuteError::Operand(format!("{name} without elements")));
    }
    let row = shape.w as usize * size;
    let (n, c, h) = (shape.n as usize, shape.c as usize, shape.h as usize);
    match inst.function {
        TransBcFunction::CwTranspose | TransBcFunction::WcTranspose => {
            let source_shape = Shape::new(shape.n, inst.source_c, shape.h, inst.source_w);
            if shape.c != inst.source_w || shape.w != inst.source_c {
                return Err(ExecuteError::Operand(format!("{name}: {}x{} is not the transposed {}x{}", shape.c, shape.w, inst.source_c, inst.source_w)));
            }
            let (from, to) = match inst.function {
                TransBcFunction::CwTranspose => (Layout::Aligned, line_aligned(shape, inst.precision, inst.result_addr)),
                _ => (Layout::Aligned, Layout::Aligned),
            };
            let source = View::new(inst.source_addr, source_shape, dtype, from, "the source")?;
            let result = View::new(inst.result_addr, shape, dtype, to, "the result")?;
            let mut out = vec![0u8; n * c * h * row];
            let mut rows = out.chunks_exact_mut(row);
            for n in 0..n {
                for c in 0..c {
                    for h in 0..h {
                        let Some(out) = rows.next() else { continue };
                        for (w, element) in out.chunks_exact_mut(size).enumerate() {
                            let at = byte(&source, n, w, h) + c * size;
                            element.copy_from_slice(&memory.local[at..at + size]);
                        }
                    }
                }
            }
            let mut rows = out.chunks_exact(row);
            for n in 0..n {
                for c in 0..c {
                    for (h, row) in (0..h).zip(&mut rows) {
                        let at = byte(&result, n, c, h);
                        memory.local[at..at + row.len()].copy_from_slice(row);
                    }
                }
            }
            Ok(())
        }
        TransBcFunction::LaneCopy | TransBcFunction::LaneBroadcast => {
            let broadcast = inst.function == TransBcFunction::LaneBroadcast;
            let source_shape = if broadcast { Shape { c: 1, ..shape } } else { shape };
            let source = View::new(inst.source_addr, source_shape, dtype, Layout::Aligned, "the source")?;
            let result = View::new(inst.result_addr, shape, dtype, Layout::Aligned, "the result")?;
            if broadcast && result.lane + c > LANES {
                return Err(ExecuteError::Operand("a broadcast does not wrap past the last lane".into()));
            }
            for n in 0..n {
                for c in 0..c {
                    let from = byte(&source, n, if broadcast { 0 } else { c }, 0);
                    memory.local.copy_within(from..from + h * row, byte(&result, n, c, 0));
                }
            }
            Ok(())
        }
        TransBcFunction::StaticBroadcast | TransBcFunction::StaticDistribute => {
            let distribute = inst.function == TransBcFunction::StaticDistribute;
            if shape.n != 1 || shape.h != 1 || (distribute && shape.w != 1) {
                return unsupported(&format!("{name} of more than a row"));
            }
            let at = inst.source_addr.checked_sub(CHIP.static_base).unwrap_or(inst.source_addr) as usize;
            let layout = if distribute { Layout::Compact } else { Layout::Aligned };
            let result = View::new(inst.result_addr, shape, dtype, layout, "the result")?;
            if !distribute && result.lane + c > LANES {
                return Err(ExecuteError::Operand("a broadcast does not wrap past the last lane".into()));
            }
            for c in 0..c {
                let from = if distribute { at + c * size } else { at };
                let outside = ExecuteError::Address { what: "static memory", address: u64::from(inst.source_addr), bytes: row as u64 };
                let source = memory.statics.get(from..from + row).ok_or(outside)?;
                let to = byte(&result, 0, c, 0);
                memory.local[to..to + row].copy_from_slice(source);
            }
            Ok(())
        }
    }
}
