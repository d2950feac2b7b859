//! DMA commands.

use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, Memory, Result};
use crate::bm1684x::{CHIP, Dma, DmaBlock, DmaGeneral, DmaTensor, DmaTensorFunction, Layout, Precision, Shape, Strides};

/// One side of a transfer: byte addresses of its elements.
struct Side {
    address: u64,
    strides: [u64; 4],
    size: u64,
    /// Of a local tensor: the lane of channel 0.
    lane: Option<u64>,
}

impl Side {
    fn new(block: &DmaBlock, shape: Shape, precision: Precision, strided: bool) -> Side {
        let size = u64::from(precision.bytes());
        let local = block.addr.checked_sub(CHIP.dma_local_base).filter(|&a| a < CHIP.local_bytes());
        let lane = local.map(|a| a / u64::from(CHIP.lane_bytes));
        let Strides { n, c, h, w } = match (strided, lane) {
            (true, _) => block.strides,
            (false, Some(lane)) => Layout::Aligned.strides(shape, precision, lane as u32),
            (false, None) => {
                let plane = shape.h * shape.w;
                Strides::new(shape.c.saturating_mul(plane), plane, shape.w, 1)
            }
        };
        Side { address: block.addr, strides: [n, c, h, w].map(|s| u64::from(s) * size), size, lane }
    }

    /// Address of element (n, c, h, 0).
    fn row(&self, n: u64, c: u64, h: u64) -> u64 {
        let [sn, sc, sh, _] = self.strides;
        match self.lane {
            None => self.address + n * sn + c * sc + h * sh,
            Some(lane) => {
                let lanes = u64::from(CHIP.lanes);
                let (block, target) = ((lane + c) / lanes, (lane + c) % lanes);
                let base = self.address - lane * u64::from(CHIP.lane_bytes);
                base + target * u64::from(CHIP.lane_bytes) + n * sn + block * sc + h * sh
            }
        }
    }

    /// A row must stay in its lane.
    fn check(&self, shape: Shape) -> Result<()> {
        if let Some(lane) = self.lane {
            let lanes = u64::from(CHIP.lanes);
            let block = (lane + u64::from(shape.c.max(1)) - 1) / lanes;
            let last = [u64::from(shape.n.max(1)) - 1, block, u64::from(shape.h.max(1)) - 1, u64::from(shape.w.max(1)) - 1];
            let offset = self.address % u64::from(CHIP.lane_bytes);
            let end = last.iter().zip(self.strides).fold(offset + self.size, |sum, (i, s)| sum.saturating_add(i.saturating_mul(s)));
            if end > u64::from(CHIP.lane_bytes) {
                return Err(ExecuteError::Local { what: "a transfer", end });
            }
        }
        Ok(())
    }
}

pub fn run(memory: &mut Memory, inst: &Dma) -> Result<()> {
    match inst {
        Dma::Tensor(t) => tensor(memory, t),
        Dma::General(g) => general(memory, g),
        Dma::Sys(_) => Ok(()),
        Dma::Matrix(_) => unsupported("dma.matrix"),
        Dma::MaskedSelect(_) => unsupported("dma.masked_select"),
        Dma::CwTranspose(_) => unsupported("dma.cw_transpose"),
        Dma::Nonzero(_) => unsupported("dma.nonzero"),
        Dma::Gather(_) => unsupported("dma.gather"),
        Dma::Scatter(_) => unsupported("dma.scatter"),
    }
}

fn unsupported_function<T>(inst: &DmaTensor) -> Result<T> {
    unsupported(inst.function.name())
}

fn tensor(memory: &mut Memory, inst: &DmaTensor) -> Result<()> {
    let source_shape = inst.source.shape;
    let dest_shape = if inst.flags.nchw_copy && inst.fill.is_none() { source_shape } else { inst.dest.shape };
    let precision = inst.precision;
    let size = precision.bytes() as usize;
    let dest = Side::new(&inst.dest, dest_shape, precision, inst.flags.stride_enable);
    dest.check(dest_shape)?;
    if let Some(value) = inst.fill {
        let word = value.to_le_bytes();
        let row: Vec<u8> = word[..size].iter().copied().cycle().take(dest_shape.w as usize * size).collect();
        return each_row(dest_shape, |n, c, h| put_row(memory, &dest, n, c, h, &row));
    }
    let source = Side::new(&inst.source, source_shape, precision, inst.flags.stride_enable);
    source.check(source_shape)?;
    match inst.function {
        DmaTensorFunction::Copy if source_shape == dest_shape => {
            let mut row = vec![0u8; source_shape.w as usize * size];
            each_row(source_shape, |n, c, h| {
                get_row(memory, &source, n, c, h, &mut row)?;
                put_row(memory, &dest, n, c, h, &row)
            })
        }
        DmaTensorFunction::Copy if source_shape.elements() == dest_shape.elements() => {
            // The elements in order, under another shape.
            let mut all = vec![0u8; source_shape.elements() as usize * size];
            let row = source_shape.w as usize * size;
            let mut at = 0;
            each_row(source_shape, |n, c, h| {
                get_row(memory, &source, n, c, h, &mut all[at..at + row])?;
                at += row;
                Ok(())
            })?;
            let row = dest_shape.w as usize * size;
            let mut at = 0;
            each_row(dest_shape, |n, c, h| {
                put_row(memory, &dest, n, c, h, &all[at..at + row])?;
                at += row;
                Ok(())
            })
        }
        DmaTensorFunction::Broadcast => {
            let mut row = vec![0u8; source_shape.w as usize * size];
            let broadcast = Shape { c: inst.dest.shape.c, ..source_shape };
            dest.check(broadcast)?;
            each_row(broadcast, |n, c, h| {
                get_row(memory, &source, n, 0, h, &mut row)?;
                put_row(memory, &dest, n, c, h, &row)
            })
        }
        DmaTensorFunction::Transpose => {
            // N and C change places.
            let swapped = Shape { n: source_shape.c, c: source_shape.n, ..source_shape };
            let dest = Side::new(&inst.dest, swapped, precision, inst.flags.stride_enable);
            dest.check(swapped)?;
            let mut row = vec![0u8; source_shape.w as usize * size];
            each_row(source_shape, |n, c, h| {
                get_row(memory, &source, n, c, h, &mut row)?;
                put_row(memory, &dest, c, n, h, &row)
            })
        }
        _ => unsupported_function(inst),
    }
}

fn each_row(shape: Shape, mut body: impl FnMut(u64, u64, u64) -> Result<()>) -> Result<()> {
    for n in 0..u64::from(shape.n) {
        for c in 0..u64::from(shape.c) {
            for h in 0..u64::from(shape.h) {
                body(n, c, h)?;
            }
        }
    }
    Ok(())
}

fn get_row(memory: &Memory, side: &Side, n: u64, c: u64, h: u64, row: &mut [u8]) -> Result<()> {
    let at = side.row(n, c, h);
    let step = side.strides[3];
    if step == side.size {
        return memory.read(at, row);
    }
    for (x, element) in row.chunks_exact_mut(side.size as usize).enumerate() {
        memory.read(at + x as u64 * step, element)?;
    }
    Ok(())
}

fn put_row(memory: &mut Memory, side: &Side, n: u64, c: u64, h: u64, row: &[u8]) -> Result<()> {
    let at = side.row(n, c, h);
    let step = side.strides[3];
    if step == side.size {
        return memory.write(at, row);
    }
    for (x, element) in row.chunks_exact(side.size as usize).enumerate() {
        memory.write(at + x as u64 * step, element)?;
    }
    Ok(())
}

fn general(memory: &mut Memory, inst: &DmaGeneral) -> Result<()> {
    let size = inst.precision.bytes() as usize;
    let bytes = (inst.elements as usize).checked_mul(size).filter(|&b| b <= 1 << 31).ok_or_else(|| ExecuteError::Operand("a copy is too long".into()))?;
    let mut data = vec![0u8; bytes];
    match inst.fill {
        Some(value) => data.chunks_exact_mut(size).for_each(|e| e.copy_from_slice(&value.to_le_bytes()[..size])),
        None => memory.read(inst.source_addr, &mut data)?,
    }
    if !inst.broadcast {
        return memory.write(inst.dest_addr, &data);
    }
    for lane in 0..u64::from(inst.lanes) {
        memory.write(inst.dest_addr + lane * u64::from(CHIP.lane_bytes), &data)?;
    }
    Ok(())
}
