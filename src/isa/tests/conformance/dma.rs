//! DMA commands on random shapes, strides and element sizes.

use crate::cmodel::{self, GLOBAL, Pair};
use crate::Report;
use tpuc_isa::bm1684x::*;

const PRECISIONS: &[Precision] = &[Precision::Int8, Precision::F16, Precision::F32, Precision::Int16, Precision::Int32, Precision::Bf16];

/// Where a side lies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    Local,
    Global,
}
use Memory::{Global, Local};

/// Hands out places: local ones in the compared window, external ones anywhere.
struct Room {
    local: u32,
    global: u64,
    /// Something did not fit: the case is not run.
    full: bool,
}

impl Room {
    fn new() -> Room {
        Room { local: 0, global: 0, full: false }
    }

    fn local(&mut self, bytes: u32) -> u32 {
        let at = self.local;
        self.local = (at + bytes).next_multiple_of(64);
        if self.local as usize >= cmodel::WINDOW {
            self.full = true;
            self.local = 0;
            return 0;
        }
        at
    }

    fn global(&mut self, bytes: u64) -> u64 {
        let at = self.global;
        self.global = (at + bytes).next_multiple_of(64);
        assert!(self.global < GLOBAL as u64, "external memory is too small for {bytes}");
        CHIP.global_base + at
    }

    /// A side for a tensor, with strides that leave gaps (or none).
    fn side(&mut self, pair: &mut Pair, memory: Memory, shape: Shape, precision: Precision, w_stride: bool) -> DmaBlock {
        let r = &mut pair.random;
        let size = precision.bytes();
        let gap = |r: &mut cmodel::Random| if r.bool() { 0 } else { r.below(4) };
        let lane = if memory == Local { r.pick(&[0, 0, 1, 37, 63]) } else { 0 };
        let blocks = if memory == Local { (lane + shape.c).div_ceil(64) } else { shape.c };
        let w = if w_stride && r.chance(3) { r.range(1, 3) as u32 } else { 1 };
        let h = shape.w * w + gap(r);
        let c = (shape.h * h + gap(r)).next_multiple_of(if memory == Local { 64 / size } else { 1 });
        let n = blocks * c + gap(r);
        let strides = Strides::new(n, c, h, w);
        let bytes = shape.n * n * size;
        let addr = match memory {
            Local => {
                let at = self.local(bytes + 16) + if r.chance(4) { size * r.below(3) } else { 0 };
                CHIP.dma_local_base + u64::from(local_address(lane, at))
            }
            Global => self.global(u64::from(bytes) + 16) + u64::from(if r.chance(4) { size * r.below(3) } else { 0 }),
        };
        DmaBlock { addr, shape, strides }
    }
}

fn shape(pair: &mut Pair) -> Shape {
    let r = &mut pair.random;
    Shape::new(r.pick(&[1, 1, 2, 3]), r.pick(&[1, 3, 5, 64, 65, 100, 130]), r.pick(&[1, 1, 2, 3, 7]), r.pick(&[1, 2, 5, 16, 17, 33]))
}

/// A shape of the same number of elements.
fn reshaped(pair: &mut Pair, shape: Shape) -> Shape {
    match pair.random.below(4) {
        0 => Shape::new(shape.n, shape.c, 1, shape.h * shape.w),
        1 => Shape::new(1, shape.n * shape.c, shape.w, shape.h),
        2 => Shape::new(shape.c, shape.n, shape.h, shape.w),
        _ => Shape::new(shape.h, shape.w, shape.n, shape.c),
    }
}

pub fn run(pair: &mut Pair, report: &mut Report) {
    for _ in 0..40 {
        for source in [Local, Global] {
            for dest in [Local, Global] {
                tensors(pair, report, source, dest);
                cw(pair, report, source, dest);
                generals(pair, report, source, dest);
                rows(pair, report, source, dest);
            }
            fills(pair, report, source);
            matrices(pair, report, source);
        }
    }
}

fn flags(stride_enable: bool, nchw_copy: bool) -> DmaFlags {
    DmaFlags { stride_enable, nchw_copy, ..DmaFlags::STRIDED }
}

/// Without strides the engine lays tensors out itself: the block must have room for that.
fn plain(room: &mut Room, memory: Memory, shape: Shape, precision: Precision) -> DmaBlock {
    let size = precision.bytes();
    let channel = (shape.h * shape.w * size).next_multiple_of(64);
    let addr = match memory {
        Local => CHIP.dma_local_base + u64::from(room.local(shape.n * shape.c.div_ceil(64) * channel)),
        Global => room.global(shape.elements() * u64::from(size)),
    };
    DmaBlock { addr, shape, strides: Strides::default() }
}

fn tensors(pair: &mut Pair, report: &mut Report, source: Memory, dest: Memory) {
    use DmaTensorFunction as F;
    let precision = pair.random.pick(PRECISIONS);
    for function in [F::Copy, F::Transpose, F::Broadcast, F::Collect, F::Distribute] {
        let (from, nchw) = (shape(pair), pair.random.bool());
        let mut from = if function == F::Broadcast { Shape { c: 1, ..from } } else { from };
        if matches!(function, F::Collect | F::Distribute) {
            from.c = from.c.min(65);
        }
        let strided = pair.random.chance(4).then_some(false).unwrap_or(true);
        let to = match function {
            F::Copy if nchw => from,
            F::Copy => reshaped(pair, from),
            F::Transpose => Shape { n: from.c, c: from.n, ..from },
            F::Broadcast => Shape { c: pair.random.pick(&[1, 5, 64]), ..from },
            _ => Shape { c: from.w, w: from.c, ..from },
        };
        let mut room = Room::new();
        let (s, mut d) = match strided {
            true => (room.side(pair, source, from, precision, function == F::Copy), room.side(pair, dest, to, precision, function == F::Copy)),
            false => (plain(&mut room, source, from, precision), plain(&mut room, dest, to, precision)),
        };
        if function == F::Broadcast && dest == Local {
            d.addr -= u64::from(lane_of((d.addr - CHIP.dma_local_base) as u32) * CHIP.lane_bytes);
        }
        let inst = Dma::Tensor(DmaTensor { function, precision, flags: flags(strided, function == F::Copy && nchw), source: s, dest: d, fill: None });
        if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
    }
}

fn fills(pair: &mut Pair, report: &mut Report, dest: Memory) {
    let precision = pair.random.pick(PRECISIONS);
    let shape = shape(pair);
    let strided = pair.random.bool();
    let mut room = Room::new();
    let dest_side = if strided { room.side(pair, dest, shape, precision, true) } else { plain(&mut room, dest, shape, precision) };
    let fill = Some(pair.random.bits() as u32);
    let inst = Dma::Tensor(DmaTensor { function: DmaTensorFunction::Copy, precision, flags: flags(strided, false), source: DmaBlock::default(), dest: dest_side, fill });
    if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
}

fn cw(pair: &mut Pair, report: &mut Report, source: Memory, dest: Memory) {
    let precision = pair.random.pick(PRECISIONS);
    let from = Shape { c: pair.random.pick(&[1, 3, 16, 33, 65]), ..shape(pair) };
    let to = Shape { c: from.w, w: from.c, ..from };
    let mut room = Room::new();
    let (source, dest) = (room.side(pair, source, from, precision, false), room.side(pair, dest, to, precision, false));
    let inst = Dma::CwTranspose(DmaCwTranspose { precision, flags: flags(true, false), source, dest, fill: None });
    if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
}

fn generals(pair: &mut Pair, report: &mut Report, source: Memory, dest: Memory) {
    let precision = pair.random.pick(PRECISIONS);
    let elements = pair.random.range(1, 3000) as u32;
    let broadcast = dest == Local && pair.random.bool();
    let fill = pair.random.chance(4).then(|| pair.random.bits() as u32);
    let mut room = Room::new();
    let mut place = |memory| match memory {
        Local => CHIP.dma_local_base + u64::from(room.local(elements * 4)),
        Global => room.global(u64::from(elements) * 4),
    };
    let (source_addr, dest_addr) = (place(source), place(dest));
    let lanes = if broadcast { pair.random.range(1, 64) as u32 } else { 0 };
    let inst = Dma::General(DmaGeneral { broadcast, precision, flags: flags(false, false), source_addr, dest_addr, elements, lanes, fill });
    if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
}

/// Between external and local memory.
fn matrices(pair: &mut Pair, report: &mut Report, source: Memory) {
    let precision = pair.random.pick(PRECISIONS);
    let transpose = pair.random.bool();
    let r = &mut pair.random;
    let (rows, columns): (u32, u32) = (r.pick(&[1, 3, 10, 40]), r.pick(&[1, 5, 64, 100, 300]));
    let (local_rows, local_columns) = if transpose { (columns.min(60), rows) } else { (rows, columns) };
    let (rows, columns) = if transpose { (rows, local_rows) } else { (rows, columns) };
    let width = local_columns.div_ceil(r.pick(&[1, 3, 64, 70])).max(1);
    let blocks = local_columns.div_ceil(width);
    let mut room = Room::new();
    let pitch = columns + r.below(3);
    let outer = DmaBlock { addr: room.global(u64::from(rows * pitch * 4)), shape: Shape::new(0, 0, rows, columns), strides: Strides::new(0, 0, pitch, 0) };
    let mut inner = room.side(pair, Local, Shape::new(local_rows, blocks, 1, width), precision, false);
    inner.shape.h = 0;
    inner.strides = Strides { h: 0, w: 0, ..inner.strides };
    let (source, dest) = if source == Global { (outer, inner) } else { (inner, outer) };
    let inst = Dma::Matrix(DmaMatrix { transpose, precision, flags: flags(true, false), source, dest, fill: None });
    if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
}

/// Gather and scatter by random indices, some of them out of range.
fn rows(pair: &mut Pair, report: &mut Report, source: Memory, dest: Memory) {
    for gather in [true, false] {
        let precision = pair.random.pick(PRECISIONS);
        let r = &mut pair.random;
        let (channels, many, some, width) = (r.pick(&[1, 3, 65]), r.pick(&[5, 20, 40]), r.pick(&[1, 4, 9]), r.pick(&[1, 7, 33]));
        let (source_c, index_c) = (r.pick(&[1, channels]), r.pick(&[1, channels]));
        let index_memory = r.pick(&[Local, Global]);
        let channels = source_c.max(index_c);
        let (from_h, to_h) = if gather { (many, some) } else { (some, many) };
        let mut room = Room::new();
        let mut side = |pair: &mut Pair, memory, c, h, w, precision| {
            let block = room.side(pair, memory, Shape::new(1, c, h, w), precision, false);
            DmaRows { addr: block.addr, c, h, w, c_stride: block.strides.c, h_stride: block.strides.h }
        };
        let index = side(pair, index_memory, index_c, some, 1, Precision::Int32);
        let source = side(pair, source, source_c, from_h, width, precision);
        let dest = side(pair, dest, channels, to_h, width, precision);
        for c in 0..index_c {
            for h in 0..some {
                let value = pair.random.below(many + 2);
                pair.put_index(&index, c, h, value);
            }
        }
        let constant = pair.random.bits() as u32;
        let indexed = DmaIndexed { precision, flags: flags(true, false), source, dest, index, constant };
        let inst = if gather { Dma::Gather(indexed) } else { Dma::Scatter(indexed) };
        if !room.full {
            report.dma(pair, inst.kind(), inst);
        }
    }
}
