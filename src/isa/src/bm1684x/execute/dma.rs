//! DMA commands.

use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, Memory, Place, Result};
use crate::bm1684x::{
    CHIP, Dma, DmaBlock, DmaCwTranspose, DmaFlags, DmaGeneral, DmaIndexed, DmaMatrix, DmaRows, DmaTensor, DmaTensorFunction, Layout, Precision, Shape, Strides,
};

/// One side of a transfer: byte addresses of its elements.
#[derive(Debug, Clone, Copy)]
struct Side {
    address: u64,
    strides: [u64; 4],
    size: u64,
    /// Of a local tensor: the lane of channel 0.
    lane: Option<u64>,
}

/// The lane of an address in local memory.
fn local_lane(address: u64) -> Option<u64> {
    let at = address.checked_sub(CHIP.dma_local_base).filter(|&a| a < CHIP.local_bytes())?;
    Some(at / u64::from(CHIP.lane_bytes))
}

impl Side {
    /// Checks that every element of a local tensor stays in its lane.
    fn new(block: &DmaBlock, shape: Shape, precision: Precision, flags: &DmaFlags) -> Result<Side> {
        if precision == Precision::Int4 {
            return unsupported("a transfer of int4");
        }
        let size = u64::from(precision.bytes());
        let lane = local_lane(block.addr);
        let Strides { n, c, h, w } = match (flags.stride_enable, lane) {
            (true, _) => block.steps(),
            (false, Some(lane)) => Layout::Aligned.strides(shape, precision, lane as u32),
            (false, None) => {
                let plane = shape.h.saturating_mul(shape.w);
                Strides::new(shape.c.saturating_mul(plane), plane, shape.w, 1)
            }
        };
        let side = Side { address: block.addr, strides: [n, c, h, w].map(|s| u64::from(s) * size), size, lane };
        side.check(shape)?;
        Ok(side)
    }

    fn check(&self, shape: Shape) -> Result<()> {
        let Some(lane) = self.lane else { return Ok(()) };
        let blocks = (lane + u64::from(shape.c)).div_ceil(u64::from(CHIP.lanes));
        let counts = [u64::from(shape.n), blocks, u64::from(shape.h), u64::from(shape.w)];
        let offset = self.address % u64::from(CHIP.lane_bytes);
        let end = counts.iter().zip(self.strides).fold(offset + self.size, |end, (count, s)| end.saturating_add(count.saturating_sub(1).saturating_mul(s)));
        match end > u64::from(CHIP.lane_bytes) {
            true => Err(ExecuteError::Local { what: "a transfer", end }),
            false => Ok(()),
        }
    }

    /// Address of element (n, c, h, 0).
    fn row(&self, [n, c, h]: [u64; 3]) -> u64 {
        let [sn, sc, sh, _] = self.strides;
        match self.lane {
            None => self.address.saturating_add(n * sn + c * sc + h * sh),
            Some(lane) => {
                let lanes = u64::from(CHIP.lanes);
                let (block, target) = ((lane + c) / lanes, (lane + c) % lanes);
                let base = self.address - lane * u64::from(CHIP.lane_bytes);
                base + target * u64::from(CHIP.lane_bytes) + n * sn + block * sc + h * sh
            }
        }
    }

    fn dense(&self) -> bool {
        self.strides[3] == self.size
    }

    fn rows_join(&self, shape: Shape) -> bool {
        shape.h <= 1 || self.strides[2] == u64::from(shape.w) * self.strides[3]
    }
}

pub fn run(memory: &mut Memory, inst: &Dma) -> Result<()> {
    match inst {
        Dma::Tensor(i) => plain(&i.flags).and_then(|()| tensor(memory, i)),
        Dma::Matrix(i) => plain(&i.flags).and_then(|()| matrix(memory, i)),
        Dma::General(i) => plain(&i.flags).and_then(|()| general(memory, i)),
        Dma::CwTranspose(i) => plain(&i.flags).and_then(|()| cw_transpose(memory, i)),
        Dma::Gather(i) => plain(&i.flags).and_then(|()| gather(memory, i)),
        Dma::Scatter(i) => plain(&i.flags).and_then(|()| scatter(memory, i)),
        Dma::Sys(_) => Ok(()),
        Dma::MaskedSelect(_) => unsupported("dma.masked_select"),
        Dma::Nonzero(_) => unsupported("dma.nonzero"),
    }
}

fn plain(flags: &DmaFlags) -> Result<()> {
    match flags.decompress || flags.lane_mask != u64::MAX {
        true => unsupported("a transfer that decompresses or leaves lanes out"),
        false => Ok(()),
    }
}

/// Copies a row of `count` elements.
fn copy_row(memory: &mut Memory, source: &Side, from: [u64; 3], dest: &Side, to: [u64; 3], count: u64, row: &mut Vec<u8>) -> Result<()> {
    let (from, to) = (source.row(from), dest.row(to));
    let bytes = count * source.size;
    if source.dense() && dest.dense() {
        let length = bytes as usize;
        match (memory.place("a read", from, bytes)?, memory.place("a write", to, bytes)?) {
            (Place::Global(s), Place::Local(d)) => memory.local[d..d + length].copy_from_slice(&memory.global[s..s + length]),
            (Place::Local(s), Place::Global(d)) => memory.global[d..d + length].copy_from_slice(&memory.local[s..s + length]),
            (Place::Local(s), Place::Local(d)) => memory.local.copy_within(s..s + length, d),
            (Place::Global(s), Place::Global(d)) => memory.global.copy_within(s..s + length, d),
            (Place::L2(_), _) | (_, Place::L2(_)) => {
                row.resize(length, 0);
                memory.read(from, row)?;
                memory.write(to, row)?;
            }
        }
        return Ok(());
    }
    row.resize(bytes as usize, 0);
    get(memory, source, from, row)?;
    put(memory, dest, to, row)
}

/// Reads elements that are a W stride apart.
fn get(memory: &Memory, side: &Side, at: u64, row: &mut [u8]) -> Result<()> {
    if side.dense() {
        return memory.read(at, row);
    }
    for (x, element) in row.chunks_exact_mut(side.size as usize).enumerate() {
        memory.read(at + x as u64 * side.strides[3], element)?;
    }
    Ok(())
}

fn put(memory: &mut Memory, side: &Side, at: u64, row: &[u8]) -> Result<()> {
    if side.dense() {
        return memory.write(at, row);
    }
    for (x, element) in row.chunks_exact(side.size as usize).enumerate() {
        memory.write(at + x as u64 * side.strides[3], element)?;
    }
    Ok(())
}

fn each_row(shape: Shape, mut body: impl FnMut([u64; 3]) -> Result<()>) -> Result<()> {
    for n in 0..u64::from(shape.n) {
        for c in 0..u64::from(shape.c) {
            for h in 0..u64::from(shape.h) {
                body([n, c, h])?;
            }
        }
    }
    Ok(())
}

/// All elements in order.
fn get_all(memory: &Memory, side: &Side, shape: Shape) -> Result<Vec<u8>> {
    let row = u64::from(shape.w) * side.size;
    let mut all = Vec::new();
    each_row(shape, |at| {
        let start = all.len();
        all.resize(start + row as usize, 0);
        get(memory, side, side.row(at), &mut all[start..])
    })?;
    Ok(all)
}

fn put_all(memory: &mut Memory, side: &Side, shape: Shape, all: &[u8]) -> Result<()> {
    let row = (u64::from(shape.w) * side.size) as usize;
    let mut rows = all.chunks_exact(row.max(1));
    each_row(shape, |at| match rows.next() {
        Some(bytes) => put(memory, side, side.row(at), bytes),
        None => Ok(()),
    })
}

/// Exchanges C and W of elements in order.
fn transpose_cw(all: &[u8], shape: Shape, size: usize) -> Vec<u8> {
    let [n, c, h, w] = [shape.n, shape.c, shape.h, shape.w].map(|d| d as usize);
    let mut out = vec![0; all.len()];
    for n in 0..n {
        for c_at in 0..c {
            for h_at in 0..h {
                for w_at in 0..w {
                    let from = ((n * c + c_at) * h + h_at) * w + w_at;
                    let to = ((n * w + w_at) * h + h_at) * c + c_at;
                    out[to * size..(to + 1) * size].copy_from_slice(&all[from * size..(from + 1) * size]);
                }
            }
        }
    }
    out
}

/// A row of one value.
fn filled(value: u32, size: u64, count: u64) -> Vec<u8> {
    value.to_le_bytes()[..size as usize].repeat(count as usize)
}

fn tensor(memory: &mut Memory, inst: &DmaTensor) -> Result<()> {
    let (source_shape, dest_shape, precision) = (inst.source.shape, inst.dest_shape(), inst.precision);
    let name = inst.function.name();
    if let Some(value) = inst.fill {
        if inst.function != DmaTensorFunction::Copy {
            return unsupported(&format!("{name} of a constant"));
        }
        let dest = Side::new(&inst.dest, dest_shape, precision, &inst.flags)?;
        let row = filled(value, dest.size, u64::from(dest_shape.w));
        return each_row(dest_shape, |at| put(memory, &dest, dest.row(at), &row));
    }
    let source = Side::new(&inst.source, source_shape, precision, &inst.flags)?;
    let mut row = Vec::new();
    match inst.function {
        DmaTensorFunction::Copy if source_shape == dest_shape => {
            let dest = Side::new(&inst.dest, dest_shape, precision, &inst.flags)?;
            let shape = match source.rows_join(source_shape) && dest.rows_join(source_shape) {
                true => Shape { h: 1, w: source_shape.h * source_shape.w, ..source_shape },
                false => source_shape,
            };
            each_row(shape, |at| copy_row(memory, &source, at, &dest, at, u64::from(shape.w), &mut row))
        }
        // The elements in order, under another shape.
        DmaTensorFunction::Copy if source_shape.elements() == dest_shape.elements() => {
            let dest = Side::new(&inst.dest, dest_shape, precision, &inst.flags)?;
            let all = get_all(memory, &source, source_shape)?;
            put_all(memory, &dest, dest_shape, &all)
        }
        DmaTensorFunction::Broadcast if inst.dest.shape.c <= CHIP.lanes => {
            let shape = Shape { c: inst.dest.shape.c, ..source_shape };
            let dest = Side::new(&inst.dest, shape, precision, &inst.flags)?;
            if dest.lane.is_none_or(|lane| lane + u64::from(shape.c) > u64::from(CHIP.lanes)) {
                return Err(ExecuteError::Operand(format!("{name}: {} lanes from {:#x} on are not there", shape.c, inst.dest.addr)));
            }
            each_row(shape, |[n, c, h]| copy_row(memory, &source, [n, 0, h], &dest, [n, c, h], u64::from(shape.w), &mut row))
        }
        DmaTensorFunction::Transpose => {
            // N and C change places.
            let swapped = Shape { n: source_shape.c, c: source_shape.n, ..source_shape };
            let dest = Side::new(&inst.dest, swapped, precision, &inst.flags)?;
            each_row(source_shape, |[n, c, h]| copy_row(memory, &source, [n, c, h], &dest, [c, n, h], u64::from(source_shape.w), &mut row))
        }
        DmaTensorFunction::Collect | DmaTensorFunction::Distribute => {
            let swapped = Shape { c: source_shape.w, w: source_shape.c, ..source_shape };
            let dest = Side::new(&inst.dest, swapped, precision, &inst.flags)?;
            let all = get_all(memory, &source, source_shape)?;
            put_all(memory, &dest, swapped, &transpose_cw(&all, source_shape, source.size as usize))
        }
        _ => unsupported(&format!("{name} of this shape")),
    }
}

fn matrix(memory: &mut Memory, inst: &DmaMatrix) -> Result<()> {
    let (local, outer, store) = match (local_lane(inst.source.addr), local_lane(inst.dest.addr)) {
        (None, Some(_)) => (&inst.dest, &inst.source, false),
        (Some(_), None) => (&inst.source, &inst.dest, true),
        _ => return unsupported("dma.matrix without exactly one local side"),
    };
    if !inst.flags.stride_enable || inst.fill.is_some() {
        return unsupported("dma.matrix of a constant or without strides");
    }
    let (rows, columns) = (outer.shape.h, outer.shape.w);
    let width = local.shape.w;
    // Rows and columns as they lie in local memory.
    let (local_rows, local_columns) = if inst.transpose { (columns, rows) } else { (rows, columns) };
    if width == 0 || local.shape.n != local_rows || local_columns.div_ceil(width) != local.shape.c {
        return Err(ExecuteError::Operand(format!("dma.matrix: {rows}x{columns} in {} rows of {} lanes of {width}", local.shape.n, local.shape.c)));
    }
    let inside = Side::new(local, Shape { h: 1, ..local.shape }, inst.precision, &inst.flags)?;
    let size = inside.size;
    let outside = Side { address: outer.addr, strides: [0, 0, u64::from(outer.strides.h) * size, size], size, lane: None };
    let mut row = Vec::new();
    for r in 0..u64::from(local_rows) {
        for block in 0..u64::from(local.shape.c) {
            let first = block * u64::from(width);
            let count = u64::from(width).min(u64::from(local_columns) - first);
            let at = inside.row([r, block, 0]);
            let far = match inst.transpose {
                // Down a column.
                true => Side { address: outer.addr + r * size + first * outside.strides[2], strides: [0, 0, 0, outside.strides[2]], ..outside },
                false => Side { address: outside.row([0, 0, r]) + first * size, ..outside },
            };
            row.resize((count * size) as usize, 0);
            if store {
                memory.read(at, &mut row)?;
                put(memory, &far, far.address, &row)?;
            } else {
                get(memory, &far, far.address, &mut row)?;
                memory.write(at, &row)?;
            }
        }
    }
    Ok(())
}

fn general(memory: &mut Memory, inst: &DmaGeneral) -> Result<()> {
    let size = u64::from(inst.precision.bytes());
    let bytes = u64::from(inst.elements) * size;
    let lanes = if inst.broadcast { u64::from(inst.lanes) } else { 1 };
    let lane_bytes = u64::from(CHIP.lane_bytes);
    if inst.broadcast {
        let first = local_lane(inst.dest_addr);
        let offset = inst.dest_addr % lane_bytes;
        if first.is_none_or(|first| first + lanes > u64::from(CHIP.lanes)) || offset + bytes > lane_bytes {
            return Err(ExecuteError::Operand(format!("dma.general: {lanes} lanes from {:#x} on are not there", inst.dest_addr)));
        }
    }
    // Both sides must exist before anything as long as that is made.
    memory.place("a write", inst.dest_addr, bytes)?;
    let data = match inst.fill {
        Some(value) => filled(value, size, u64::from(inst.elements)),
        None => {
            memory.place("a read", inst.source_addr, bytes)?;
            let mut data = vec![0u8; bytes as usize];
            memory.read(inst.source_addr, &mut data)?;
            data
        }
    };
    (0..lanes).try_for_each(|lane| memory.write(inst.dest_addr + lane * lane_bytes, &data))
}

fn cw_transpose(memory: &mut Memory, inst: &DmaCwTranspose) -> Result<()> {
    if inst.fill.is_some() {
        return unsupported("dma.cw_transpose of a constant");
    }
    let shape = inst.source.shape;
    let swapped = Shape { c: shape.w, w: shape.c, ..shape };
    let source = Side::new(&inst.source, shape, inst.precision, &inst.flags)?;
    let dest = Side::new(&inst.dest, swapped, inst.precision, &inst.flags)?;
    let all = get_all(memory, &source, shape)?;
    put_all(memory, &dest, swapped, &transpose_cw(&all, shape, source.size as usize))
}

/// A side of a gather or scatter as one of `c` channels of `h` rows of `w`.
fn rows(side: &DmaRows, c: u32, h: u32, w: u32, precision: Precision, flags: &DmaFlags) -> Result<Side> {
    let block = DmaBlock { addr: side.addr, shape: Shape::new(1, c, h, w), strides: Strides::new(0, side.c_stride, side.h_stride, 1) };
    Side::new(&block, block.shape, precision, flags)
}

/// Index `h` of channel `c`; an index of one channel serves all.
fn index_of(memory: &Memory, side: &Side, channels: u32, c: u64, h: u64) -> Result<u32> {
    let mut bytes = [0; 4];
    let c = if channels <= 1 { 0 } else { c };
    memory.read(side.row([0, c, h]), &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn gather(memory: &mut Memory, inst: &DmaIndexed) -> Result<()> {
    let (width, channels) = (inst.source.w, inst.source.c.max(inst.index.c).max(1));
    let source = rows(&inst.source, inst.source.c.max(1), inst.source.h, width, inst.precision, &inst.flags)?;
    let dest = rows(&inst.dest, channels, inst.index.h, width, inst.precision, &inst.flags)?;
    let index = rows(&inst.index, inst.index.c.max(1), inst.index.h, 1, Precision::Int32, &inst.flags)?;
    let mut row = Vec::new();
    for c in 0..u64::from(channels) {
        for h in 0..u64::from(inst.index.h) {
            let at = index_of(memory, &index, inst.index.c, c, h)?;
            let from = if inst.source.c <= 1 { 0 } else { c };
            if at < inst.source.h {
                copy_row(memory, &source, [0, from, u64::from(at)], &dest, [0, c, h], u64::from(width), &mut row)?;
            } else {
                let constant = filled(inst.constant, dest.size, u64::from(width));
                put(memory, &dest, dest.row([0, c, h]), &constant)?;
            }
        }
    }
    Ok(())
}

fn scatter(memory: &mut Memory, inst: &DmaIndexed) -> Result<()> {
    let (width, channels) = (inst.source.w, inst.source.c.max(inst.index.c).max(1));
    let source = rows(&inst.source, inst.source.c.max(1), inst.index.h, width, inst.precision, &inst.flags)?;
    let dest = rows(&inst.dest, channels, inst.dest.h, width, inst.precision, &inst.flags)?;
    let index = rows(&inst.index, inst.index.c.max(1), inst.index.h, 1, Precision::Int32, &inst.flags)?;
    let mut row = Vec::new();
    for c in 0..u64::from(channels) {
        for h in 0..u64::from(inst.index.h) {
            let at = index_of(memory, &index, inst.index.c, c, h)?;
            let from = if inst.source.c <= 1 { 0 } else { c };
            if at < inst.dest.h {
                copy_row(memory, &source, [0, from, h], &dest, [0, c, u64::from(at)], u64::from(width), &mut row)?;
            }
        }
    }
    Ok(())
}
