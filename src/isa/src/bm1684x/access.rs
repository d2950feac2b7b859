//! Which memory an instruction reads and writes.
//!
//! A region is a run of bytes in each of a run of lanes. Strided accesses are given by their bounds in a lane; tensors whose
//! channels wrap round the lanes are cut into first, middle and last channel block. Instructions whose addressing is not
//! fully known are given more than they touch, never less.

use super::inst::*;
use super::{CHIP, lane_of, offset_of};
use crate::hazards::{Command, Engine, Footprint, Region, Space};

/// A TIU command as the hazard checks see it.
pub fn tiu_command(header: &Header, inst: &Tiu) -> Command {
    command(Engine::Tiu, header, tiu(inst))
}

/// A DMA command as the hazard checks see it.
pub fn dma_command(header: &Header, inst: &Dma) -> Command {
    command(Engine::Dma, header, dma(inst))
}

fn command(engine: Engine, header: &Header, footprint: Footprint) -> Command {
    // Without the enable bit the engine does not wait.
    let cmd_id_dep = if header.cmd_id_en == 0 { 0 } else { header.cmd_id_dep };
    Command { engine, footprint, cmd_id: header.cmd_id, cmd_id_dep }
}

/// Every byte of local memory.
fn everything() -> Region {
    Region::local(0..CHIP.lanes, 0..CHIP.lane_bytes.into())
}

/// Strides in bytes of a local tensor.
#[derive(Clone, Copy)]
struct Placement {
    lane: u32,
    offset: u64,
    strides: [u64; 4],
    bytes: u64,
}

impl Placement {
    fn new(addr: u32, shape: Shape, layout: Layout, precision: Precision) -> Placement {
        let lane = lane_of(addr);
        let strides = layout.strides(shape, precision, lane % CHIP.lanes);
        let bytes = u64::from(precision.bytes());
        Placement {
            lane,
            offset: offset_of(addr).into(),
            strides: [strides.n, strides.c, strides.h, strides.w].map(|stride| u64::from(stride) * bytes),
            bytes,
        }
    }

    /// The bytes of a tensor of this shape: one region, or up to three where the channels wrap round the lanes.
    fn regions(&self, shape: Shape) -> Vec<Region> {
        if shape.elements() == 0 {
            return Vec::new();
        }
        let last = |extent: u32, stride: u64| u64::from(extent - 1).saturating_mul(stride);
        let [n, c, h, w] = self.strides;
        let plane = last(shape.n, n) + last(shape.h, h) + last(shape.w, w) + self.bytes;
        let lanes = CHIP.lanes;
        let lane = self.lane % lanes;
        let end = lane + shape.c;
        let blocks = |first: u32, end: u32, in_lanes: std::ops::Range<u32>| {
            let start = self.offset + u64::from(first) * c;
            Region::local(in_lanes, start..start + last(end - first, c) + plane)
        };
        let whole = end / lanes;
        match (whole, end % lanes) {
            (0, _) | (1, 0) => vec![blocks(0, 1, lane..end)],
            (_, rest) => {
                let mut regions = Vec::new();
                // Lanes before the first have one block less.
                if lane > 0 {
                    regions.push(blocks(0, 1, lane..lanes));
                }
                let first = u32::from(lane > 0);
                if whole > first {
                    regions.push(blocks(first, whole, 0..lanes));
                }
                if rest > 0 {
                    regions.push(blocks(whole, whole + 1, 0..rest));
                }
                regions
            }
        }
    }
}

fn local(addr: u32, shape: Shape, layout: Layout, precision: Precision) -> Vec<Region> {
    Placement::new(addr, shape, layout, precision).regions(shape)
}

fn aligned(addr: u32, shape: Shape, precision: Precision) -> Vec<Region> {
    local(addr, shape, Layout::Aligned, precision)
}

fn compact(addr: u32, shape: Shape, precision: Precision) -> Vec<Region> {
    local(addr, shape, Layout::Compact, precision)
}

/// Each row at a multiple of the execution units' width.
fn line_aligned(addr: u32, shape: Shape, precision: Precision) -> Vec<Region> {
    let row = shape.w.next_multiple_of(CHIP.eu_elements(precision.bytes()));
    let channel = row.saturating_mul(shape.h);
    let blocks = (lane_of(addr) % CHIP.lanes + shape.c).div_ceil(CHIP.lanes);
    let strides = Strides::new(blocks.saturating_mul(channel), channel, row, 1);
    local(addr, shape, Layout::Free(strides), precision)
}

/// `bytes` bytes at the same offset of each lane that a tensor of `channels` from `addr` on occupies.
fn per_lane(addr: u32, channels: u32, bytes: u64) -> Region {
    let lane = lane_of(addr) % CHIP.lanes;
    let end = lane + channels;
    let lanes = if end > CHIP.lanes { 0..CHIP.lanes } else { lane..end };
    let start = u64::from(offset_of(addr));
    Region::local(lanes, start..start + bytes)
}

/// Collects reads and writes.
#[derive(Default)]
struct Touch(Footprint);

impl Touch {
    fn read(&mut self, regions: impl IntoIterator<Item = Region>) -> &mut Self {
        self.0.reads.extend(regions.into_iter().filter(|region| !region.is_empty()));
        self
    }

    fn write(&mut self, regions: impl IntoIterator<Item = Region>) -> &mut Self {
        self.0.writes.extend(regions.into_iter().filter(|region| !region.is_empty()));
        self
    }
}

/// What a TIU instruction reads and writes.
pub fn tiu(inst: &Tiu) -> Footprint {
    let mut touch = Touch::default();
    match inst {
        Tiu::Conv(i) => conv(i, &mut touch),
        Tiu::PorD(i) => pool(i, &mut touch),
        Tiu::Mm(i) => mm(i, &mut touch),
        Tiu::Mm2(i) => mm2(i, &mut touch),
        Tiu::Ar(i) => {
            for operand in [Some(i.opd0), i.opd1, i.opd2].into_iter().flatten().filter_map(Operand::tensor) {
                touch.read(local(operand.addr, i.shape, operand.layout, operand.dtype.precision));
            }
            touch.write(local(i.result.addr, i.shape, i.result.layout, i.result.precision));
        }
        Tiu::Rq(i) => quant(i.shape, (i.input_addr, i.input), (i.result_addr, i.result), &i.params, &mut touch),
        Tiu::Dq(i) => quant(i.shape, (i.input_addr, i.input), (i.result_addr, i.result), &i.params, &mut touch),
        Tiu::TransBc(i) => trans_bc(i, &mut touch),
        Tiu::Sg(i) => sg(i, &mut touch),
        Tiu::Sgl(i) => sgl(i, &mut touch),
        Tiu::Lar(_) => {
            touch.read([everything()]).write([everything()]);
        }
        Tiu::Sfu(i) => {
            touch.read(aligned(i.source_addr, i.shape, i.source_precision));
            if matches!(i.function, SfuFunction::Taylor | SfuFunction::Taylor4x) {
                let bytes = u64::from(i.terms) * u64::from(i.source_precision.bytes());
                touch.read([per_lane(i.table_addr, i.shape.c.min(CHIP.lanes), bytes)]);
            }
            touch.write(aligned(i.result_addr, i.shape, i.result_precision));
        }
        Tiu::Lin(i) => {
            touch.read(aligned(i.opd0_addr, i.shape, i.precision));
            let per_channel = Shape::new(1, i.shape.c, 1, 1);
            let last = (i.function == LinFunction::Mac).then_some(i.opd2);
            for addr in [Some(i.opd1), last].into_iter().flatten().filter_map(Source::local) {
                touch.read(compact(addr, per_channel, i.precision));
            }
            touch.write(aligned(i.result_addr, i.shape, i.precision));
        }
        Tiu::Cmp(i) => {
            for (source, precision) in [
                (i.opd0, i.compared.precision),
                (i.opd1, i.compared.precision),
                (i.opd2, i.selected),
                (i.opd3, i.selected),
            ] {
                touch.read(source.local().into_iter().flat_map(|addr| aligned(addr, i.shape, precision)));
            }
            touch.write(aligned(i.result_addr, i.shape, i.result_precision()));
            if matches!(i.function, CmpFunction::GreaterAndSelect | CmpFunction::LessAndSelect) {
                touch.write(aligned(i.result1_addr, i.shape, i.selected));
            }
        }
        Tiu::Vc(i) => {
            let left = Shape::new(1, i.left_c, 1, i.left_w);
            let columns = u64::from(i.left_c.max(1) - 1) * u64::from(i.left_w) + u64::from(i.left_last_width);
            let rows = u32::try_from(columns).unwrap_or(u32::MAX);
            touch.read(aligned(i.left_addr, left, i.left.precision));
            touch.read(aligned(i.right_addr, Shape::new(1, i.result_c, 1, i.result_w), i.right.precision));
            touch.write(aligned(i.result_addr, Shape::new(rows, i.result_c, 1, i.result_w), i.result_precision));
        }
        Tiu::Sys(i) => match i.function {
            SysFunction::SwrFromLocal | SysFunction::SwrCollect => {
                touch.read([everything()]);
            }
            SysFunction::InterruptBarrier
            | SysFunction::Spb
            | SysFunction::Swr
            | SysFunction::DataBarrier
            | SysFunction::Nop
            | SysFunction::End => {}
        },
    }
    touch.0
}

/// Input channels that a convolution multiplies at once: those of one 64-byte weight group.
pub fn conv_cube(precision: Precision) -> u32 {
    match precision {
        Precision::Int4 | Precision::Int8 => 64,
        Precision::F16 | Precision::Bf16 | Precision::Int16 => 32,
        Precision::F32 | Precision::Int32 => 1,
    }
}

fn conv(i: &Conv, touch: &mut Touch) {
    let precision = i.input.dtype.precision;
    let input = Shape::new(i.shape.n, i.input_c, i.input_h, i.input_w);
    touch.read(local(i.input.addr, input, i.input.layout, precision));
    if let Source::Local(addr) = i.weight {
        let groups = i.input_c.div_ceil(conv_cube(precision));
        let kernel = i.window.kernel_h.saturating_mul(i.window.kernel_w);
        let per_channel = Shape::new(1, i.shape.c, groups.saturating_mul(kernel), conv_cube(precision));
        touch.read(compact(addr, per_channel, precision));
    }
    if let Source::Local(addr) = i.opd2 {
        let third = if precision.is_float() { Precision::F32 } else { precision };
        touch.read(compact(addr, Shape::new(1, i.shape.c, 1, 1), third));
    }
    if let Source::Local(addr) = i.pad_value {
        touch.read(compact(addr, Shape::new(1, i.input_c, 1, 1), precision));
    }
    let result = local(i.result.addr, i.shape, i.result.layout, i.result.precision);
    if i.accumulate {
        touch.read(result.iter().copied());
    }
    touch.write(result);
}

fn pool(i: &Pool, touch: &mut Touch) {
    let precision = i.input.dtype.precision;
    let channels = i.shape.c;
    touch.read(local(i.input.addr, Shape::new(i.shape.n, channels, i.input_h, i.input_w), i.input.layout, precision));
    match i.function {
        PoolFunction::Depthwise | PoolFunction::DepthwiseRelu => {
            if let Source::Local(addr) = i.weight {
                let kernel = Shape::new(1, channels, i.window.kernel_h, i.window.kernel_w);
                touch.read(compact(addr, kernel, precision));
            }
            if let Source::Local(addr) = i.opd2 {
                let bias = if precision.is_float() { precision } else { Precision::Int32 };
                touch.read(compact(addr, Shape::new(1, channels, 1, 1), bias));
            }
        }
        PoolFunction::Average | PoolFunction::Max => {}
        PoolFunction::RoiDepthwise | PoolFunction::RoiAverage | PoolFunction::RoiMax => {
            touch.read([everything()]);
        }
    }
    if let Source::Local(addr) = i.pad_value {
        touch.read(compact(addr, Shape::new(1, channels, 1, 1), precision));
    }
    touch.write(local(i.result.addr, i.shape, i.result.layout, i.result.precision));
}

fn mm(i: &Mm, touch: &mut Touch) {
    let precision = i.left_dtype.precision;
    let columns = u64::from(i.left_blocks.max(1) - 1) * u64::from(i.left_width) + u64::from(i.left_last_width);
    let columns = u32::try_from(columns).unwrap_or(u32::MAX);
    let (rows, inner) = if i.left_transposed { (columns, i.left_rows) } else { (i.left_rows, columns) };
    if let Source::Local(addr) = i.left {
        touch.read(aligned(addr, Shape::new(i.left_rows, i.left_blocks, 1, i.left_width), precision));
    }
    touch.read(aligned(i.right_addr, Shape::new(inner, i.result_blocks, 1, i.result_width), precision));
    if let (Source::Local(addr), true) = (i.opd2, precision.is_float()) {
        touch.read(aligned(addr, Shape::new(1, i.result_blocks, 1, i.result_width), Precision::F32));
    }
    let result = aligned(i.result_addr, Shape::new(rows, i.result_blocks, 1, i.result_width), i.result_precision);
    if i.accumulate {
        touch.read(result.iter().copied());
    }
    touch.write(result);
}

fn mm2(i: &Mm2, touch: &mut Touch) {
    let precision = i.left_dtype.precision;
    if let Source::Local(addr) = i.left {
        let left = match i.function {
            Mm2Function::Nn | Mm2Function::Nt => Shape::new(1, i.rows, 1, i.inner()),
            Mm2Function::Tt => Shape::new(1, i.inner(), 1, i.cols),
        };
        touch.read(aligned(addr, left, precision));
    }
    if let Source::Local(addr) = i.right {
        touch.read(aligned(addr, Shape::new(1, i.right_rows, 1, i.right_cols), precision));
    }
    if let Source::Local(addr) = i.opd2 {
        // One value per column, in each lane.
        touch.read([per_lane(addr, CHIP.lanes, u64::from(i.cols) * 4)]);
    }
    let result = aligned(i.result_addr, Shape::new(1, i.rows, 1, i.cols), i.result_precision);
    if i.accumulate {
        touch.read(result.iter().copied());
    }
    touch.write(result);
}

fn quant(shape: Shape, input: (u32, DType), result: (u32, DType), params: &QuantParams, touch: &mut Touch) {
    touch.read(aligned(input.0, shape, input.1.precision));
    match *params {
        QuantParams::FloatTable(addr) => {
            touch.read(aligned(addr, Shape::new(1, shape.c, 1, 2), Precision::F32));
        }
        QuantParams::IntTable(addr) => {
            touch.read(aligned(addr, Shape::new(1, shape.c, 1, 3), Precision::Int32));
        }
        QuantParams::Float { .. } | QuantParams::FloatDequant { .. } | QuantParams::Int { .. } => {}
    }
    touch.write(aligned(result.0, shape, result.1.precision));
}

fn trans_bc(i: &TransBc, touch: &mut Touch) {
    let source = Shape::new(i.shape.n, i.source_c, i.shape.h, i.source_w);
    match i.function {
        TransBcFunction::CwTranspose => {
            touch.read(aligned(i.source_addr, source, i.precision));
            touch.write(line_aligned(i.result_addr, i.shape, i.precision));
        }
        TransBcFunction::WcTranspose | TransBcFunction::LaneCopy | TransBcFunction::LaneBroadcast => {
            touch.read(aligned(i.source_addr, source, i.precision));
            touch.write(aligned(i.result_addr, i.shape, i.precision));
        }
        TransBcFunction::StaticBroadcast | TransBcFunction::StaticDistribute => {
            let distribute = i.function == TransBcFunction::StaticDistribute;
            let words = if distribute { i.shape.c } else { i.source_w };
            let start = u64::from(i.source_addr.wrapping_sub(CHIP.static_base));
            let bytes = u64::from(words) * u64::from(i.precision.bytes());
            touch.read([Region::flat(Space::Static, start..start + bytes)]);
            // A word per lane behind each other, or the row in each lane.
            match distribute {
                true => touch.write(compact(i.result_addr, i.shape, i.precision)),
                false => touch.write(aligned(i.result_addr, i.shape, i.precision)),
            };
        }
    }
}

fn sg(i: &Sg, touch: &mut Touch) {
    let lanes = i.shape.c.min(CHIP.lanes);
    let rows =
        |addr: u32, c: u32, h: u32, w: u32, precision| aligned(addr, Shape::new(i.shape.n, c, h, w), precision);
    // Code 4: one row for all channels of a lane.
    let table = match i.table_layout {
        4 => {
            let bytes = u64::from(i.table_h) * u64::from(i.table_w) * u64::from(i.table_precision.bytes());
            vec![per_lane(i.table_addr, lanes, bytes)]
        }
        _ => rows(i.table_addr, i.shape.c, i.table_h, i.table_w, i.table_precision),
    };
    let result = aligned(i.result_addr, i.shape, i.result_precision);
    let index = aligned(i.index_addr, Shape::new(i.shape.n, i.index_c, 1, i.index_w), i.index_precision);
    match i.function {
        // Indices that all lanes share: a pair of numbers for each element in the two-coordinate variants.
        SgFunction::GatherD1 | SgFunction::GatherD2 | SgFunction::ScatterD1 | SgFunction::ScatterD2 => {
            let each = if matches!(i.function, SgFunction::GatherD2 | SgFunction::ScatterD2) { 2 } else { 1 };
            let shape = Shape::new(1, i.index_c, 1, i.index_w.saturating_mul(each));
            touch.read(aligned(i.index_addr, shape, i.index_precision)).read(table).write(result);
        }
        SgFunction::LaneGather | SgFunction::LaneScatter | SgFunction::LaneGatherHzd | SgFunction::LaneScatterHzd => {
            touch.read(index).read(table).write(result);
        }
        SgFunction::GatherRect
        | SgFunction::LaneGatherMulti
        | SgFunction::LaneScatterPp
        | SgFunction::GatherPerW
        | SgFunction::ScatterPerW
        | SgFunction::MaskSelect
        | SgFunction::NonZero
        | SgFunction::MaskSelectHzd
        | SgFunction::NonZeroHzd => {
            touch.read([everything()]).write(result);
            let counts = Shape::new(i.shape.n, i.shape.c, 1, 1);
            touch.write(aligned(i.result1_addr, counts, Precision::Int32));
        }
    }
}

fn sgl(i: &Sgl, touch: &mut Touch) {
    let table = Shape::new(i.shape.n, i.shape.c, i.table_h, i.shape.w);
    let (source, result) = match i.function {
        SglFunction::GatherLine => (table, i.shape),
        SglFunction::ScatterLine => (table, i.shape),
    };
    touch.read(line_aligned(i.table_addr, source, i.precision));
    let indices = u64::from(i.shape.h.max(i.table_h)) * u64::from(i.index_precision.bytes());
    touch.read([per_lane(i.index_addr, i.shape.c.min(CHIP.lanes), indices)]);
    touch.write(line_aligned(i.result_addr, result, i.precision));
}

/// Where a DMA address lies.
pub fn dma_space(addr: u64) -> Space {
    let local = CHIP.dma_local_base..CHIP.dma_local_base + CHIP.local_bytes();
    let l2 = CHIP.l2_base..CHIP.l2_base + CHIP.l2_bytes;
    if local.contains(&addr) {
        Space::Local
    } else if l2.contains(&addr) {
        Space::L2
    } else {
        Space::Global
    }
}

/// The TIU address of a DMA address in local memory.
pub fn tiu_address(addr: u64) -> Option<u32> {
    (dma_space(addr) == Space::Local).then(|| (addr - CHIP.dma_local_base) as u32)
}

/// The bytes of a DMA's side. `strided` says whether the block's strides count.
fn block(addr: u64, shape: Shape, strides: Option<Strides>, precision: Precision) -> Vec<Region> {
    if shape.elements() == 0 {
        return Vec::new();
    }
    if let Some(addr) = tiu_address(addr) {
        let layout = strides.map_or(Layout::Aligned, Layout::Free);
        return local(addr, shape, layout, precision);
    }
    let plane = shape.h.saturating_mul(shape.w);
    let strides = strides.unwrap_or(Strides::new(shape.c.saturating_mul(plane), plane, shape.w, 1));
    let last = |extent: u32, stride: u32| u64::from(extent - 1) * u64::from(stride);
    let elements = last(shape.n, strides.n)
        .saturating_add(last(shape.c, strides.c))
        .saturating_add(last(shape.h, strides.h))
        .saturating_add(last(shape.w, strides.w))
        .saturating_add(1);
    flat(addr, elements.saturating_mul(precision.bytes().into()))
}

/// `bytes` bytes in a row.
fn flat(addr: u64, bytes: u64) -> Vec<Region> {
    if bytes == 0 {
        return Vec::new();
    }
    match (dma_space(addr), tiu_address(addr)) {
        (Space::Local, Some(addr)) => {
            let lane_bytes = u64::from(CHIP.lane_bytes);
            let (lane, offset) = (lane_of(addr), u64::from(offset_of(addr)));
            if offset + bytes <= lane_bytes {
                return vec![Region::local(lane..lane + 1, offset..offset + bytes)];
            }
            // Runs on into the next lanes.
            let lanes = (offset.saturating_add(bytes)).div_ceil(lane_bytes).min(CHIP.lanes.into()) as u32;
            vec![Region::local(lane..(lane + lanes).min(CHIP.lanes), 0..lane_bytes)]
        }
        (space, _) => vec![Region::flat(space, addr..addr.saturating_add(bytes))],
    }
}

impl DmaTensor {
    /// Shape of the destination, which a copy takes from its source.
    pub fn dest_shape(&self) -> Shape {
        if self.flags.nchw_copy && self.fill.is_none() { self.source.shape } else { self.dest.shape }
    }
}

/// What a DMA instruction reads and writes.
pub fn dma(inst: &Dma) -> Footprint {
    let mut touch = Touch::default();
    let side = |block_: &DmaBlock, shape: Shape, flags: &DmaFlags, precision| {
        block(block_.addr, shape, flags.stride_enable.then_some(block_.steps()), precision)
    };
    match inst {
        Dma::Tensor(i) => {
            if i.fill.is_none() {
                touch.read(side(&i.source, i.source.shape, &i.flags, i.precision));
            }
            let shape = i.dest_shape();
            match (i.function, tiu_address(i.dest.addr)) {
                (DmaTensorFunction::Broadcast | DmaTensorFunction::FourBankBroadcast, Some(_)) => {
                    // The same channel in each lane: one block.
                    touch.write(side(&i.dest, Shape { c: shape.c.min(CHIP.lanes), ..shape }, &i.flags, i.precision));
                }
                _ => {
                    touch.write(side(&i.dest, shape, &i.flags, i.precision));
                }
            }
        }
        Dma::Matrix(i) => {
            // The external side has rows and columns in H and W.
            let matrix = |b: &DmaBlock| {
                let shape = match tiu_address(b.addr) {
                    Some(_) => Shape { h: 1, ..b.shape },
                    None => Shape { n: 1, c: 1, ..b.shape },
                };
                block(b.addr, shape, i.flags.stride_enable.then_some(b.steps()), i.precision)
            };
            if i.fill.is_none() {
                touch.read(matrix(&i.source));
            }
            touch.write(matrix(&i.dest));
        }
        Dma::MaskedSelect(i) => {
            let bytes = |precision: Precision| i.source.shape.elements().saturating_mul(precision.bytes().into());
            touch.read(side(&i.source, i.source.shape, &i.flags, i.precision));
            touch.read(side(
                &DmaBlock { addr: i.mask_addr, ..i.source },
                i.source.shape,
                &DmaFlags::PLAIN,
                i.mask_precision,
            ));
            touch.write(flat(i.dest.addr, bytes(i.precision)));
        }
        Dma::General(i) => {
            let bytes = u64::from(i.elements) * u64::from(i.precision.bytes());
            if i.fill.is_none() {
                touch.read(flat(i.source_addr, bytes));
            }
            match (i.broadcast, tiu_address(i.dest_addr)) {
                (true, Some(addr)) => touch.write([per_lane(addr, i.lanes, bytes)]),
                _ => touch.write(flat(i.dest_addr, bytes)),
            };
        }
        Dma::CwTranspose(i) => {
            let shape = i.source.shape;
            if i.fill.is_none() {
                touch.read(side(&i.source, shape, &i.flags, i.precision));
            }
            let shape = Shape { c: shape.w, w: shape.c, ..shape };
            touch.write(side(&i.dest, shape, &i.flags, i.precision));
        }
        Dma::Nonzero(i) => {
            touch.read(side(&i.source, i.source.shape, &i.flags, i.precision));
            touch
                .write(flat(i.dest.addr, i.source.shape.elements().saturating_mul(i.index_precision.bytes().into())));
        }
        Dma::Sys(_) => {}
        Dma::Gather(i) => indexed(i, &mut touch),
        Dma::Scatter(i) => indexed(i, &mut touch),
    }
    touch.0
}

fn indexed(i: &DmaIndexed, touch: &mut Touch) {
    let rows = |rows: &DmaRows, c: u32, h: u32, w: u32, precision| {
        let strides = Strides::new(0, rows.c_stride, rows.h_stride, 1);
        block(rows.addr, Shape::new(1, c.max(1), h, w), i.flags.stride_enable.then_some(strides), precision)
    };
    let width = i.source.w.max(i.dest.w);
    let channels = i.source.c.max(i.dest.c);
    touch.read(rows(&i.source, channels, i.source.h, width, i.precision));
    touch.read(rows(&i.index, i.index.c, i.index.h, 1, Precision::Int32));
    touch.write(rows(&i.dest, channels, i.dest.h, width, i.precision));
}
