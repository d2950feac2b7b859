//! How long instructions take, and how long a pair of streams takes.
//!
//! The formulas are fits to the vendor's own estimator (`facts.md` f.1, f.2): exact on the samples there. Transposes,
//! integer `Mm` and the rarer gathers are guesses of the same form, and that bank conflicts slow convolution and pooling
//! too is inferred from the total of one network (`docs/isa-bm1684x.md`). Cycles are of the 1 GHz clock
//! ([`super::CHIP`]).

use super::access::{self, conv_cube, dma_space};
use super::inst::*;
use super::{CHIP, offset_of};
use crate::hazards::Space;

/// Cycles of a TIU instruction.
pub fn tiu_cycles(inst: &Tiu) -> u64 {
    match inst {
        Tiu::Conv(i) => product([conv(i), bank_factor(inst)]),
        Tiu::PorD(i) => {
            // Kernel and bias are read so rarely that they disturb nobody.
            let streams = Tiu::PorD(Pool { weight: Source::Const(0), opd2: Source::Const(0), ..*i });
            product([pool(i), bank_factor(&streams)])
        }
        Tiu::Mm(i) => {
            let columns =
                u64::from(i.left_blocks.max(1) - 1) * u64::from(i.left_width) + u64::from(i.left_last_width);
            let rows = i.left_rows.into();
            product([columns, rows, i.result_blocks.into(), i.result_width.into()]).div_ceil(128)
        }
        Tiu::Mm2(i) => {
            let inner = u64::from(i.inner()).div_ceil(conv_cube(i.left_dtype.precision).into());
            product([blocks(i.rows), inner, u64::from(i.cols).div_ceil(4)])
        }
        Tiu::Ar(i) => {
            let widest = [Some(i.opd0), i.opd1, i.opd2]
                .into_iter()
                .flatten()
                .filter_map(Operand::tensor)
                .map(|operand| operand.dtype.bytes())
                .fold(i.result.precision.bytes(), u32::max);
            let each = if i.function == ArFunction::Div { 31 } else { 1 };
            product([element_wise(i.shape, widest), each, bank_factor(inst)])
        }
        Tiu::Rq(i) => product([element_wise(i.shape, i.input.bytes().max(i.result.bytes())), bank_factor(inst)]),
        Tiu::Dq(i) => product([element_wise(i.shape, i.input.bytes().max(i.result.bytes())), bank_factor(inst)]),
        Tiu::Cmp(i) => {
            let widest = i.compared.bytes().max(i.selected.bytes());
            product([element_wise(i.shape, widest), bank_factor(inst)])
        }
        Tiu::Lin(i) => product([element_wise(i.shape, i.precision.bytes()), bank_factor(inst)]),
        Tiu::TransBc(i) => {
            let source = Shape { c: i.source_c, w: i.source_w, ..i.shape };
            let bytes = i.precision.bytes();
            product([element_wise(i.shape, bytes).max(element_wise(source, bytes)), bank_factor(inst)])
        }
        Tiu::Sfu(i) => {
            let each = match i.function {
                SfuFunction::Taylor => u64::from(i.terms),
                SfuFunction::Taylor4x => u64::from(i.terms).div_ceil(4),
                SfuFunction::Normalize => 1,
                SfuFunction::Rsqrt => 30,
            };
            let widest = i.source_precision.bytes().max(i.result_precision.bytes());
            product([element_wise(i.shape, widest), each.max(1)])
        }
        // One element a cycle in each lane.
        Tiu::Sg(i) => product([i.shape.n.into(), blocks(i.shape.c), plane(i.shape)]),
        Tiu::Sgl(i) => product([i.shape.n.into(), blocks(i.shape.c), plane(i.shape)]),
        Tiu::Vc(i) => {
            let rows = u64::from(i.left_c) * u64::from(i.left_w);
            let widest = i.left.bytes().max(i.right.bytes()).max(i.result_precision.bytes());
            let units = u64::from(CHIP.eu_elements(widest));
            product([rows, blocks(i.result_c), u64::from(i.result_w).div_ceil(units)])
        }
        Tiu::Lar(i) => u64::from(i.result_c) * u64::from(i.result_w),
        Tiu::Sys(_) => 0,
    }
}

/// Extents of a hostile instruction may multiply to more than there is; nothing is slower than the largest number.
fn product<const N: usize>(factors: [u64; N]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}

/// Channels that one lane works on, one after the other.
fn blocks(channels: u32) -> u64 {
    u64::from(channels.div_ceil(CHIP.lanes))
}

fn plane(shape: Shape) -> u64 {
    u64::from(shape.h) * u64::from(shape.w)
}

/// A row of execution units at a time, for elements of `bytes` bytes.
fn element_wise(shape: Shape, bytes: u32) -> u64 {
    product([shape.n.into(), blocks(shape.c), plane(shape).div_ceil(CHIP.eu_elements(bytes).into())])
}

fn conv(i: &Conv) -> u64 {
    let precision = i.input.dtype.precision;
    let at_once = if precision == Precision::F32 { 16 } else { 4 };
    let kernel = u64::from(i.window.kernel_h) * u64::from(i.window.kernel_w);
    let inputs = u64::from(i.input_c.div_ceil(conv_cube(precision)));
    product([i.shape.n.into(), blocks(i.shape.c), kernel, inputs, plane(i.shape).div_ceil(at_once)])
}

fn pool(i: &Pool) -> u64 {
    let widest = i.input.dtype.bytes().max(i.result.precision.bytes());
    let kernel = u64::from(i.window.kernel_h) * u64::from(i.window.kernel_w);
    // Steps along a row break the units' row; steps between rows cost nothing.
    let row_steps = if i.window.stride_w > 1 { 3 } else { 1 };
    product([element_wise(i.shape, widest), kernel, row_steps])
}

/// 2 where two of the instruction's streams (in-place counts) lie in one bank of local memory, else 1.
fn bank_factor(inst: &Tiu) -> u64 {
    let streams = streams(inst);
    let conflict = streams.iter().enumerate().any(|(i, one)| streams[i + 1..].iter().any(|other| one & other != 0));
    if conflict { 2 } else { 1 }
}

/// The banks that each tensor of an instruction occupies, as masks.
fn streams(inst: &Tiu) -> Vec<u32> {
    let footprint = access::tiu(inst);
    let mut streams: Vec<(u64, u32)> = Vec::new();
    // A tensor that wraps round the lanes has several regions: those of one side and one tensor lie behind each other, and
    // are one stream if they start in the same bank or touch.
    let mut add = |first: u64, end: u64, joined: bool| {
        let bank = |byte: u64| (byte / u64::from(CHIP.bank_bytes)).min(31) as u32;
        let mask = (bank(first)..=bank(end.max(1) - 1)).fold(0u32, |mask, bank| mask | 1 << bank);
        match streams.last_mut() {
            Some((last_end, last)) if joined => {
                *last |= mask;
                *last_end = end;
            }
            _ => streams.push((end, mask)),
        }
    };
    for side in [&footprint.reads, &footprint.writes] {
        let mut previous: Option<(u32, u64)> = None;
        for region in side.iter().filter(|region| region.space == Space::Local) {
            // Later blocks of a wrapped tensor begin in lane 0, where its first block ended in the last lane.
            let joined = previous.is_some_and(|(end_lane, start)| {
                end_lane == CHIP.lanes && region.first_lane == 0 && region.start > start
            });
            add(region.start, region.end, joined);
            previous = Some((region.end_lane, region.start));
        }
    }
    streams.into_iter().map(|(_, mask)| mask).collect()
}

/// Bytes a cycle of transfers from external memory, and to it.
const LOAD: f64 = 54.02;
const STORE: f64 = 40.98;
const MATRIX_LOAD: f64 = 58.0;
const MATRIX_STORE: f64 = 44.0;

/// Cycles of a DMA instruction.
///
/// `rows * R / (B * er * et)` with contiguous external runs of `r` bytes: `R` is `r`, below 256 rounded up to 64;
/// short runs (`er = ceil(r / 64) / 4`) and short transfers (`et = ceil(total / 4096) / 4`) are less efficient.
pub fn dma_cycles(inst: &Dma) -> u64 {
    match inst {
        Dma::Tensor(i) => {
            let shape = i.dest_shape();
            let source = i.fill.is_none().then_some((&i.source, i.source.shape));
            transfer(source, (&i.dest, shape), &i.flags, i.precision, (LOAD, STORE))
        }
        Dma::CwTranspose(i) => {
            let shape = Shape { c: i.source.shape.w, w: i.source.shape.c, ..i.source.shape };
            let source = i.fill.is_none().then_some((&i.source, i.source.shape));
            transfer(source, (&i.dest, shape), &i.flags, i.precision, (LOAD, STORE))
        }
        Dma::Matrix(i) => {
            let load = dma_space(i.source.addr) == Space::Global;
            let external = if load { &i.source } else { &i.dest };
            let bytes = u64::from(i.precision.bytes());
            let row = u64::from(external.shape.w) * bytes;
            let joined = external.shape.h <= 1 || external.strides.h == external.shape.w;
            let (rows, row) = if joined {
                (1, row.saturating_mul(external.shape.h.into()))
            } else {
                (external.shape.h.into(), row)
            };
            runs(rows, row, if load { MATRIX_LOAD } else { MATRIX_STORE })
        }
        Dma::General(i) => {
            let bytes = u64::from(i.elements) * u64::from(i.precision.bytes());
            let store = dma_space(i.dest_addr) == Space::Global;
            runs(1, bytes, if store { STORE } else { LOAD })
        }
        Dma::MaskedSelect(i) => runs(1, i.source.shape.elements().saturating_mul(i.precision.bytes().into()), STORE),
        Dma::Nonzero(i) => runs(1, i.source.shape.elements().saturating_mul(i.index_precision.bytes().into()), STORE),
        Dma::Gather(i) | Dma::Scatter(i) => {
            let row = u64::from(i.source.w.max(i.dest.w)) * u64::from(i.precision.bytes());
            let rows = product([i.index.c.max(1).into(), i.index.h.into()]);
            let store = dma_space(i.dest.addr) == Space::Global;
            runs(rows, row, if store { STORE } else { LOAD })
        }
        Dma::Sys(_) => 0,
    }
}

/// A transfer takes as long as its slower side; local memory keeps up with both.
fn transfer(
    source: Option<(&DmaBlock, Shape)>,
    dest: (&DmaBlock, Shape),
    flags: &DmaFlags,
    precision: Precision,
    (load, store): (f64, f64),
) -> u64 {
    let external = |block: &DmaBlock, shape: Shape, rate: f64| {
        let (rows, row) = contiguous(shape, flags.stride_enable.then_some(block.steps()));
        runs(rows, row.saturating_mul(precision.bytes().into()), rate)
    };
    let is_external = |block: &DmaBlock| dma_space(block.addr) != Space::Local;
    let mut cycles = 0;
    if let Some((block, shape)) = source.filter(|(block, _)| is_external(block)) {
        cycles = cycles.max(external(block, shape, load));
    }
    if is_external(dest.0) {
        cycles = cycles.max(external(dest.0, dest.1, store));
    }
    if cycles == 0 && dest.1.elements() > 0 {
        cycles =
            external(dest.0, Shape { h: 1, c: dest.1.c, n: dest.1.n, w: dest.1.h.saturating_mul(dest.1.w) }, load);
    }
    cycles
}

/// How many runs of how many neighbouring elements a block has.
fn contiguous(shape: Shape, strides: Option<Strides>) -> (u64, u64) {
    let Some(strides) = strides else { return (1, shape.elements()) };
    let mut rows = 1;
    let mut run = 1u64;
    let mut whole = true;
    for (extent, stride) in [(shape.w, strides.w), (shape.h, strides.h), (shape.c, strides.c), (shape.n, strides.n)] {
        if whole && (extent <= 1 || u64::from(stride) == run) {
            run = run.saturating_mul(extent.into());
        } else {
            whole = false;
            rows = u64::saturating_mul(rows, extent.into());
        }
    }
    (rows, run)
}

fn runs(rows: u64, row: u64, rate: f64) -> u64 {
    if rows == 0 || row == 0 {
        return 0;
    }
    let moved = if row >= 256 { row } else { row.next_multiple_of(64) };
    let row_efficiency = (row.div_ceil(64) as f64 / 4.0).min(1.0);
    let total = rows as f64 * row as f64;
    let total_efficiency = ((total / 4096.0).ceil() / 4.0).min(1.0);
    (rows as f64 * moved as f64 / (rate * row_efficiency * total_efficiency)).ceil() as u64
}

/// When a command runs, in cycles from the start of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

/// How long two streams take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Until the last command of both queues ends.
    pub cycles: u64,
    /// Sum over the TIU's commands, without waiting.
    pub tiu_cycles: u64,
    pub dma_cycles: u64,
    /// When each command runs, in the order of its queue.
    pub tiu: Vec<Span>,
    pub dma: Vec<Span>,
}

/// Runs both queues on the clock: a command starts when the one before it in its queue has ended, and the commands of the
/// other queue that it waits for have.
///
/// A wait that can never end (a deadlock, or a number beyond the other queue's end) is not waited for.
pub fn estimate(tiu: &[(Header, Tiu)], dma: &[(Header, Dma)]) -> Estimate {
    let wait = |header: &Header| if header.cmd_id_en == 0 { 0 } else { header.cmd_id_dep as usize };
    let tiu_waits: Vec<usize> = tiu.iter().map(|(header, _)| wait(header)).collect();
    let dma_waits: Vec<usize> = dma.iter().map(|(header, _)| wait(header)).collect();
    let mut out = Estimate::default();
    let (mut tiu_now, mut dma_now) = (0, 0);
    while out.tiu.len() < tiu.len() || out.dma.len() < dma.len() {
        let (t, d) = (out.tiu.len(), out.dma.len());
        let tiu_ready = t < tiu.len() && tiu_waits[t].min(dma.len()) <= d;
        let dma_ready = d < dma.len() && dma_waits[d].min(tiu.len()) <= t;
        // Neither can start: a deadlock. Let one through, so that this ends.
        if tiu_ready || (!dma_ready && t < tiu.len()) {
            let start = ended(&out.dma, tiu_waits[t]).max(tiu_now);
            let cycles = tiu_cycles(&tiu[t].1);
            tiu_now = start.saturating_add(cycles);
            out.tiu_cycles = out.tiu_cycles.saturating_add(cycles);
            out.tiu.push(Span { start, end: tiu_now });
        } else {
            let start = ended(&out.tiu, dma_waits[d]).max(dma_now);
            let cycles = dma_cycles(&dma[d].1);
            dma_now = start.saturating_add(cycles);
            out.dma_cycles = out.dma_cycles.saturating_add(cycles);
            out.dma.push(Span { start, end: dma_now });
        }
    }
    out.cycles = tiu_now.max(dma_now);
    out
}

/// When the first `count` commands of a queue have ended.
fn ended(spans: &[Span], count: usize) -> u64 {
    spans[..count.min(spans.len())].last().map_or(0, |span| span.end)
}

/// The bank of local memory that a TIU address lies in.
pub const fn bank_of(addr: u32) -> u32 {
    offset_of(addr) / CHIP.bank_bytes
}
