//! Legality of instructions: what the hardware demands and the vendor's cmodel does not look at.
//!
//! The rules are those of the vendor's own generator (`facts.md` d.0), as far as they are known, and hold for everything
//! that the vendor's compiler emits. A check returns all violations, as values.

use super::access;
use super::inst::*;
use super::{CHIP, lane_of, offset_of};
use crate::hazards::{Footprint, Region, Space};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    #[error("{what} is {value}, must be {min}..={max}")]
    Range { what: &'static str, value: u64, min: u64, max: u64 },
    #[error("{operand} starts at byte {offset:#x} of its lane, must be a multiple of {multiple}")]
    Misaligned { operand: &'static str, offset: u64, multiple: u32 },
    #[error("{operand} starts in lane {lane}, the result in lane {expected}")]
    StartLane { operand: &'static str, lane: u32, expected: u32 },
    #[error("{operand} is at {addr:#x}, beyond the last lane")]
    NoSuchLane { operand: &'static str, addr: u32 },
    #[error("{region} reaches beyond the {limit} bytes of that memory")]
    OutOfMemory { region: Region, limit: u64 },
    #[error("{operand}: address {addr:#x} is in no memory")]
    NoSuchMemory { operand: &'static str, addr: u64 },
    #[error("lanes {start}..{end} reach beyond the last lane, where a broadcast or lane copy does not go on")]
    LanesWrap { start: u32, end: u32 },
    #[error("{operand} is {found}, must be {expected}")]
    Type { operand: &'static str, found: Precision, expected: &'static str },
    #[error("{operand}: {expected} layout is needed")]
    WrongLayout { operand: &'static str, expected: &'static str },
    #[error("the window needs {needed} input {axis}, input and padding have {available}")]
    Window { axis: &'static str, needed: u64, available: u64 },
    #[error("{what} is {found}, must be {expected}")]
    Mismatch { what: &'static str, found: u64, expected: u64 },
    #[error("{what}")]
    Rule { what: &'static str },
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Collects violations.
#[derive(Default)]
struct Report(Vec<Violation>);

const MAX_EXTENT: u64 = 0xffff;
/// Fields of padding, stride and insertion have 4 bits.
const MAX_SMALL: u64 = 15;
const MAX_STRIDE: u64 = (1 << 18) - 1;
/// The N and C strides of the TIU have 16 bits.
const MAX_OUTER_STRIDE: u64 = 0xffff;
/// Bytes between neighbouring elements of a row in a DMA.
const MAX_W_STRIDE_BYTES: u64 = 128;

impl Report {
    fn range(&mut self, what: &'static str, value: impl Into<u64>, min: u64, max: u64) {
        let value = value.into();
        if !(min..=max).contains(&value) {
            self.0.push(Violation::Range { what, value, min, max });
        }
    }

    fn rule(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.0.push(Violation::Rule { what });
        }
    }

    fn equal(&mut self, what: &'static str, found: impl Into<u64>, expected: impl Into<u64>) {
        let (found, expected) = (found.into(), expected.into());
        if found != expected {
            self.0.push(Violation::Mismatch { what, found, expected });
        }
    }

    fn typed(&mut self, operand: &'static str, found: Precision, legal: &[Precision], expected: &'static str) {
        if !legal.contains(&found) {
            self.0.push(Violation::Type { operand, found, expected });
        }
    }

    fn layout(&mut self, holds: bool, operand: &'static str, expected: &'static str) {
        if !holds {
            self.0.push(Violation::WrongLayout { operand, expected });
        }
    }

    fn shape(&mut self, shape: Shape) {
        for (what, value) in [("N", shape.n), ("C", shape.c), ("H", shape.h), ("W", shape.w)] {
            self.range(what, value, 1, MAX_EXTENT);
        }
    }

    /// A local address: in a lane that exists, and a multiple of what its layout asks for.
    fn address(&mut self, operand: &'static str, addr: u32, multiple: u32) {
        if lane_of(addr) >= CHIP.lanes {
            self.0.push(Violation::NoSuchLane { operand, addr });
        }
        if !offset_of(addr).is_multiple_of(multiple) {
            self.0.push(Violation::Misaligned { operand, offset: offset_of(addr).into(), multiple });
        }
    }

    /// [`Report::address`], and the result's start lane.
    fn operand(&mut self, operand: &'static str, addr: u32, multiple: u32, result: u32) {
        self.address(operand, addr, multiple);
        let (lane, expected) = (lane_of(addr), lane_of(result));
        if lane != expected {
            self.0.push(Violation::StartLane { operand, lane, expected });
        }
    }

    /// The operand where it is in memory; a constant has no address to check.
    fn source(&mut self, operand: &'static str, source: Source, multiple: u32, result: u32) {
        if let Source::Local(addr) = source {
            self.operand(operand, addr, multiple, result);
        }
    }

    fn free_strides(&mut self, layout: Layout) {
        if let Layout::Free(strides) = layout {
            self.range("N stride", strides.n, 0, MAX_OUTER_STRIDE);
            self.range("C stride", strides.c, 0, MAX_OUTER_STRIDE);
            self.range("H stride", strides.h, 0, MAX_STRIDE);
            self.range("W stride", strides.w, 0, MAX_STRIDE);
        }
    }

    /// Nothing may reach beyond a lane's end.
    fn bounds(&mut self, footprint: &Footprint) {
        for region in footprint.reads.iter().chain(&footprint.writes) {
            let limit = match region.space {
                Space::Local => CHIP.lane_bytes.into(),
                Space::Static => CHIP.static_bytes.into(),
                Space::L2 => CHIP.l2_base + CHIP.l2_bytes,
                Space::Global => 1 << 40,
            };
            if region.end > limit {
                self.0.push(Violation::OutOfMemory { region: *region, limit });
            }
        }
    }

    fn window(&mut self, window: &Window, input: (u32, u32), result: (u32, u32)) {
        self.range("kernel height", window.kernel_h, 1, MAX_EXTENT);
        self.range("kernel width", window.kernel_w, 1, MAX_EXTENT);
        self.range("stride", window.stride_h, 1, MAX_SMALL);
        self.range("stride", window.stride_w, 1, MAX_SMALL);
        for (what, value) in [
            ("padding", window.pad_top),
            ("padding", window.pad_bottom),
            ("padding", window.pad_left),
            ("padding", window.pad_right),
            ("dilation - 1", window.kernel_insert_h),
            ("dilation - 1", window.kernel_insert_w),
            ("zero insertion", window.input_insert_h),
            ("zero insertion", window.input_insert_w),
        ] {
            self.range(what, value, 0, MAX_SMALL);
        }
        for (axis, input, insert, pads, kernel, dilate, stride, result) in [
            (
                "rows",
                input.0,
                window.input_insert_h,
                (window.pad_top, window.pad_bottom),
                window.kernel_h,
                window.kernel_insert_h,
                window.stride_h,
                result.0,
            ),
            (
                "columns",
                input.1,
                window.input_insert_w,
                (window.pad_left, window.pad_right),
                window.kernel_w,
                window.kernel_insert_w,
                window.stride_w,
                result.1,
            ),
        ] {
            let spread = |count: u32, between: u32| u64::from(count.max(1) - 1) * u64::from(between + 1) + 1;
            let available = spread(input, insert) + u64::from(pads.0) + u64::from(pads.1);
            let needed = u64::from(result.max(1) - 1) * u64::from(stride) + spread(kernel, dilate);
            if needed > available {
                self.0.push(Violation::Window { axis, needed, available });
            }
        }
    }
}

const INTEGERS: &[Precision] = &[Precision::Int8, Precision::Int16, Precision::Int32];
const FLOATS: &[Precision] = &[Precision::F16, Precision::Bf16, Precision::F32];

/// All rules that a TIU instruction breaks.
pub fn check_tiu(inst: &Tiu) -> Vec<Violation> {
    let mut r = Report::default();
    match inst {
        Tiu::Conv(i) => conv(i, &mut r),
        Tiu::PorD(i) => pool(i, &mut r),
        Tiu::Mm(i) => mm(i, &mut r),
        Tiu::Mm2(i) => mm2(i, &mut r),
        Tiu::Ar(i) => ar(i, &mut r),
        Tiu::Rq(i) => {
            r.typed("result", i.result.precision, &[Precision::Int8, Precision::Int16], "i8 or i16");
            r.rule(
                !matches!(i.params, QuantParams::FloatDequant { .. }),
                "a requantization has no dequantization parameters",
            );
            quant(i.shape, (i.result_addr, i.input_addr), &i.params, &mut r);
        }
        Tiu::Dq(i) => {
            r.typed("input", i.input.precision, INTEGERS, "an integer");
            let float = matches!(i.params, QuantParams::FloatTable(_) | QuantParams::FloatDequant { .. });
            r.rule(i.result.precision.is_float() == float, "float parameters give a float, integer ones an integer");
            r.rule(
                !matches!(i.params, QuantParams::Float { .. }),
                "a dequantization has no requantization parameters",
            );
            quant(i.shape, (i.result_addr, i.input_addr), &i.params, &mut r);
        }
        Tiu::TransBc(i) => trans_bc(i, &mut r),
        Tiu::Sg(i) => {
            r.shape(i.shape);
            r.range("table height", i.table_h, 1, MAX_EXTENT);
            r.range("table width", i.table_w, 1, MAX_EXTENT);
            r.range("indices", u64::from(i.index_c) * u64::from(i.index_w), 1, u64::from(u32::MAX));
            r.address("result", i.result_addr, CHIP.eu_bytes);
            r.operand("table", i.table_addr, CHIP.eu_bytes, i.result_addr);
            r.operand("index", i.index_addr, CHIP.eu_bytes, i.result_addr);
            r.equal("width of the table's elements", i.table_precision.bytes(), i.result_precision.bytes());
            r.typed("index", i.index_precision, &[Precision::Int8, Precision::Int16], "u8 or u16");
        }
        Tiu::Sgl(i) => {
            r.shape(i.shape);
            r.range("table height", i.table_h, 1, MAX_EXTENT);
            r.address("result", i.result_addr, CHIP.eu_bytes);
            r.operand("table", i.table_addr, CHIP.eu_bytes, i.result_addr);
            r.operand("index", i.index_addr, CHIP.eu_bytes, i.result_addr);
        }
        Tiu::Lar(i) => {
            r.range("C", i.result_c, 1, 255);
            r.range("W", i.result_w, 1, 255);
        }
        Tiu::Sfu(i) => {
            r.shape(i.shape);
            r.typed("source", i.source_precision, FLOATS, "a float");
            r.address("result", i.result_addr, CHIP.eu_bytes);
            r.operand("source", i.source_addr, CHIP.eu_bytes, i.result_addr);
            if matches!(i.function, SfuFunction::Taylor | SfuFunction::Taylor4x) {
                r.operand("coefficients", i.table_addr, CHIP.eu_bytes, i.result_addr);
                r.range("coefficients", i.terms, 1, MAX_EXTENT);
            }
        }
        Tiu::Lin(i) => {
            r.shape(i.shape);
            r.typed("operands", i.precision, FLOATS, "a float");
            r.address("result", i.result_addr, CHIP.eu_bytes);
            r.operand("operand 0", i.opd0_addr, CHIP.eu_bytes, i.result_addr);
            r.source("operand 1", i.opd1, i.precision.bytes(), i.result_addr);
            if i.function == LinFunction::Mac {
                r.source("operand 2", i.opd2, i.precision.bytes(), i.result_addr);
            }
        }
        Tiu::Cmp(i) => {
            r.shape(i.shape);
            r.address("result", i.result_addr, CHIP.eu_bytes);
            for (name, source) in
                [("operand 0", i.opd0), ("operand 1", i.opd1), ("operand 2", i.opd2), ("operand 3", i.opd3)]
            {
                r.source(name, source, CHIP.eu_bytes, i.result_addr);
            }
        }
        Tiu::Vc(i) => {
            r.address("result", i.result_addr, CHIP.eu_bytes);
            r.operand("left", i.left_addr, CHIP.eu_bytes, i.result_addr);
            r.operand("right", i.right_addr, CHIP.eu_bytes, i.result_addr);
        }
        Tiu::Sys(i) => i.engine_ids.iter().for_each(|&id| r.range("engine id", id, 0, (1 << 20) - 1)),
    }
    // Addresses beyond the lanes would make no sense of the bytes.
    if !r.0.iter().any(|violation| matches!(violation, Violation::NoSuchLane { .. })) {
        r.bounds(&access::tiu(inst));
    }
    r.0
}

fn conv(i: &Conv, r: &mut Report) {
    let precision = i.input.dtype.precision;
    r.shape(i.shape);
    r.shape(Shape::new(i.shape.n, i.input_c, i.input_h, i.input_w));
    r.window(&i.window, (i.input_h, i.input_w), (i.shape.h, i.shape.w));
    match precision {
        Precision::Int8 | Precision::Int4 => {
            r.typed("result", i.result.precision, &[Precision::Int32], "i32");
        }
        Precision::F16 | Precision::Bf16 | Precision::F32 => {
            r.typed("result", i.result.precision, &[Precision::F32, precision], "f32 or the input's type");
        }
        Precision::Int16 | Precision::Int32 => {
            r.typed("input", precision, &[Precision::Int8], "i8 or a float");
        }
    }
    r.layout(i.result.layout == Layout::Aligned, "result", "the aligned");
    r.layout(i.input.layout != Layout::Compact, "input", "the aligned or a free");
    r.free_strides(i.input.layout);
    r.address("result", i.result.addr, CHIP.eu_bytes);
    // The input alone may start in any lane.
    let multiple = if i.input.layout == Layout::Aligned { CHIP.eu_bytes } else { precision.bytes() };
    r.address("input", i.input.addr, multiple);
    r.source("weight", i.weight, CHIP.eu_bytes, i.result.addr);
    let third = if precision.is_float() { 4 } else { precision.bytes() };
    r.source("bias or kernel zero point", i.opd2, third, i.result.addr);
}

fn pool(i: &Pool, r: &mut Report) {
    let precision = i.input.dtype.precision;
    r.shape(i.shape);
    r.range("input height", i.input_h, 1, MAX_EXTENT);
    r.range("input width", i.input_w, 1, MAX_EXTENT);
    r.window(&i.window, (i.input_h, i.input_w), (i.shape.h, i.shape.w));
    r.typed("input", precision, &[Precision::Int8, Precision::F16, Precision::Bf16, Precision::F32], "i8 or a float");
    match (precision.is_float(), i.function) {
        (true, _) => r.typed("result", i.result.precision, &[precision, Precision::F32], "f32 or the input's type"),
        (false, PoolFunction::Max | PoolFunction::RoiMax) => {
            r.typed("result", i.result.precision, &[Precision::Int8], "i8");
        }
        (false, _) => r.typed("result", i.result.precision, INTEGERS, "an integer"),
    }
    r.layout(i.result.layout == Layout::Aligned, "result", "the aligned");
    r.layout(i.input.layout == Layout::Aligned, "input", "the aligned");
    r.address("result", i.result.addr, CHIP.eu_bytes);
    r.operand("input", i.input.addr, CHIP.eu_bytes, i.result.addr);
    if matches!(i.function, PoolFunction::Depthwise | PoolFunction::DepthwiseRelu) {
        r.source("weight", i.weight, precision.bytes(), i.result.addr);
        let bias = if precision.is_float() { precision.bytes() } else { 4 };
        r.source("bias", i.opd2, bias, i.result.addr);
    }
}

fn mm(i: &Mm, r: &mut Report) {
    for (what, value) in [
        ("left rows", i.left_rows),
        ("left lanes", i.left_blocks),
        ("left width", i.left_width),
        ("right lanes", i.result_blocks),
        ("right width", i.result_width),
    ] {
        r.range(what, value, 1, MAX_EXTENT);
    }
    r.range("left width in the last lane", i.left_last_width, 1, i.left_width.max(1).into());
    r.typed("left", i.left_dtype.precision, &[Precision::Int8, Precision::F32], "i8 or f32");
    match i.left_dtype.precision.is_float() {
        true => r.typed("result", i.result_precision, &[Precision::F32], "f32"),
        false => r.typed("result", i.result_precision, INTEGERS, "an integer"),
    }
    r.address("result", i.result_addr, CHIP.eu_bytes);
    r.source("left", i.left, CHIP.eu_bytes, i.result_addr);
    r.operand("right", i.right_addr, CHIP.eu_bytes, i.result_addr);
}

fn mm2(i: &Mm2, r: &mut Report) {
    let precision = i.left_dtype.precision;
    for (what, value) in
        [("rows", i.rows), ("columns", i.cols), ("right rows", i.right_rows), ("right columns", i.right_cols)]
    {
        r.range(what, value, 1, MAX_EXTENT);
    }
    // With f32 the chip gives wrong numbers without a word.
    r.typed("left", precision, &[Precision::Int8, Precision::F16, Precision::Bf16], "i8, f16 or bf16");
    match precision.is_float() {
        true => r.typed("result", i.result_precision, &[Precision::F32, precision], "f32 or the factors' type"),
        false => r.typed("result", i.result_precision, &[Precision::Int32], "i32"),
    }
    match i.function {
        Mm2Function::Nn => r.equal("columns of the right factor", i.right_cols, i.cols),
        Mm2Function::Nt => r.equal("rows of the right factor", i.right_rows, i.cols),
        Mm2Function::Tt => r.equal("rows of the right factor", i.right_rows, i.rows),
    }
    r.address("result", i.result_addr, CHIP.eu_bytes);
    r.source("left", i.left, CHIP.eu_bytes, i.result_addr);
    r.source("right", i.right, CHIP.eu_bytes, i.result_addr);
}

fn ar(i: &Ar, r: &mut Report) {
    r.shape(i.shape);
    let multiple = |layout: Layout, precision: Precision| match layout {
        Layout::Aligned => CHIP.eu_bytes,
        Layout::Compact | Layout::Free(_) => precision.bytes(),
    };
    r.layout(i.result.layout != Layout::Compact, "result", "the aligned or a free");
    r.free_strides(i.result.layout);
    r.address("result", i.result.addr, multiple(i.result.layout, i.result.precision));
    r.rule(i.opd1.is_some() || i.opd2.is_none(), "a third operand needs a second one");
    let operands = [("operand 0", Some(i.opd0)), ("operand 1", i.opd1), ("operand 2", i.opd2)];
    for (name, operand) in operands {
        let Some(Operand::Tensor(tensor)) = operand else { continue };
        r.layout(tensor.layout != Layout::Compact, name, "the aligned or a free");
        r.layout(name != "operand 2" || tensor.layout == Layout::Aligned, name, "the aligned");
        r.free_strides(tensor.layout);
        r.operand(name, tensor.addr, multiple(tensor.layout, tensor.dtype.precision), i.result.addr);
    }
    match i.function {
        ArFunction::Cast => {
            // The two last rounding modes are for integers.
            let to_integer = i.opd0.dtype().precision.is_float() && !i.result.precision.is_float();
            r.rule(
                !to_integer || !matches!(i.rounding, Rounding::HalfUp | Rounding::HalfDown),
                "a cast from float to integer cannot round half up or half down",
            );
        }
        ArFunction::EuIndex | ArFunction::LaneIndex => {}
        ArFunction::SelectGreater | ArFunction::SelectEqual | ArFunction::SelectLess => {
            if let Some(opd1) = i.opd1 {
                same_float(r, "operand 1", opd1.dtype().precision, i.opd0.dtype().precision);
            }
        }
        _ => {
            let first = i.opd0.dtype().precision;
            if let Some(opd1) = i.opd1 {
                same_float(r, "operand 1", opd1.dtype().precision, first);
            }
            same_float(r, "result", i.result.precision, first);
        }
    }
    r.rule(
        i.function != ArFunction::Div || i.opd0.dtype().precision == Precision::F32,
        "a division is of f32 operands",
    );
}

/// Floats mix with nothing, integers with all integers.
fn same_float(r: &mut Report, operand: &'static str, found: Precision, first: Precision) {
    match first.is_float() {
        true => r.typed(operand, found, &[first], "of operand 0's float type"),
        false => r.typed(operand, found, INTEGERS, "an integer, as operand 0"),
    }
}

fn quant(shape: Shape, (result, input): (u32, u32), params: &QuantParams, r: &mut Report) {
    r.shape(shape);
    r.address("result", result, CHIP.eu_bytes);
    r.operand("input", input, CHIP.eu_bytes, result);
    if let QuantParams::FloatTable(addr) | QuantParams::IntTable(addr) = *params {
        r.operand("parameters", addr, CHIP.eu_bytes, result);
    }
}

fn trans_bc(i: &TransBc, r: &mut Report) {
    r.shape(i.shape);
    r.range("source channels", i.source_c, 1, MAX_EXTENT);
    r.range("source width", i.source_w, 1, MAX_EXTENT);
    let is_static = matches!(i.function, TransBcFunction::StaticBroadcast | TransBcFunction::StaticDistribute);
    // Distributed words lie behind each other, everything else is aligned.
    let multiple = if i.function == TransBcFunction::StaticDistribute { i.precision.bytes() } else { CHIP.eu_bytes };
    r.address("result", i.result_addr, multiple);
    if is_static {
        let inside = (CHIP.static_base..CHIP.static_base + CHIP.static_bytes).contains(&i.source_addr);
        if !inside {
            r.0.push(Violation::NoSuchMemory { operand: "source", addr: i.source_addr.into() });
        }
    } else {
        r.address("source", i.source_addr, CHIP.eu_bytes);
    }
    match i.function {
        TransBcFunction::CwTranspose | TransBcFunction::WcTranspose => {
            r.equal("result channels", i.shape.c, i.source_w);
            r.equal("result width", i.shape.w, i.source_c);
            if lane_of(i.source_addr) != lane_of(i.result_addr) {
                let (lane, expected) = (lane_of(i.source_addr), lane_of(i.result_addr));
                r.0.push(Violation::StartLane { operand: "source", lane, expected });
            }
        }
        TransBcFunction::LaneCopy => {
            r.equal("source channels", i.source_c, i.shape.c);
            r.equal("source width", i.source_w, i.shape.w);
        }
        TransBcFunction::LaneBroadcast => {
            r.equal("source channels", i.source_c, 1u32);
            r.equal("source width", i.source_w, i.shape.w);
        }
        TransBcFunction::StaticBroadcast | TransBcFunction::StaticDistribute => {}
    }
    let wraps = matches!(i.function, TransBcFunction::LaneBroadcast) || is_static;
    let (start, end) = (lane_of(i.result_addr), lane_of(i.result_addr).saturating_add(i.shape.c));
    if wraps && end > CHIP.lanes {
        r.0.push(Violation::LanesWrap { start, end });
    }
}

/// All rules that a DMA instruction breaks.
pub fn check_dma(inst: &Dma) -> Vec<Violation> {
    let mut r = Report::default();
    match inst {
        Dma::Tensor(i) => tensor(i, &mut r),
        Dma::Matrix(i) => {
            matrix_side("source", &i.source, i.fill.is_some(), &mut r);
            matrix_side("destination", &i.dest, false, &mut r);
            let local = |block: &DmaBlock| access::tiu_address(block.addr).is_some();
            r.rule(
                i.fill.is_some() || local(&i.source) != local(&i.dest),
                "a matrix moves between local and external memory",
            );
        }
        Dma::General(i) => {
            r.range("elements", i.elements, 1, u32::MAX.into());
            if i.fill.is_none() {
                memory("source", i.source_addr, &mut r);
            }
            memory("destination", i.dest_addr, &mut r);
            if i.broadcast {
                broadcast(i.dest_addr, i.lanes, &mut r);
            }
        }
        Dma::MaskedSelect(i) => {
            r.shape(i.source.shape);
            memory("source", i.source.addr, &mut r);
            memory("mask", i.mask_addr, &mut r);
            memory("destination", i.dest.addr, &mut r);
        }
        Dma::CwTranspose(i) => {
            r.shape(i.source.shape);
            if i.fill.is_none() {
                memory("source", i.source.addr, &mut r);
            }
            memory("destination", i.dest.addr, &mut r);
        }
        Dma::Nonzero(i) => {
            r.shape(i.source.shape);
            memory("source", i.source.addr, &mut r);
            memory("destination", i.dest.addr, &mut r);
        }
        Dma::Gather(i) | Dma::Scatter(i) => {
            for (name, rows) in [("source", &i.source), ("destination", &i.dest), ("index", &i.index)] {
                memory(name, rows.addr, &mut r);
            }
            r.range("row width", i.source.w.max(i.dest.w), 1, MAX_EXTENT);
            r.range("indices", i.index.h, 1, u32::MAX.into());
        }
        Dma::Sys(_) => {}
    }
    r.bounds(&access::dma(inst));
    r.0
}

/// The address must lie in a memory that the DMA engine sees.
fn memory(operand: &'static str, addr: u64, r: &mut Report) {
    let global = CHIP.global_base..1 << 40;
    if access::dma_space(addr) == Space::Global && !global.contains(&addr) {
        r.0.push(Violation::NoSuchMemory { operand, addr });
    }
}

/// Lanes that a broadcast writes, from `addr` on.
fn broadcast(addr: u64, lanes: u32, r: &mut Report) {
    match access::tiu_address(addr) {
        Some(addr) => {
            let (start, end) = (lane_of(addr), lane_of(addr).saturating_add(lanes));
            if lanes == 0 || end > CHIP.lanes {
                r.0.push(Violation::LanesWrap { start, end });
            }
        }
        None => r.rule(false, "a broadcast writes local memory"),
    }
}

fn tensor(i: &DmaTensor, r: &mut Report) {
    let bytes = i.precision.bytes();
    let mut side = |name: &'static str, block: &DmaBlock, shape: Shape| {
        r.shape(shape);
        memory(name, block.addr, r);
        if i.flags.stride_enable {
            r.range(
                "bytes between the elements of a row",
                u64::from(block.steps().w) * u64::from(bytes),
                1,
                MAX_W_STRIDE_BYTES,
            );
        }
        if let Some(addr) = access::tiu_address(block.addr) {
            r.address(name, addr, if i.flags.stride_enable { bytes } else { CHIP.eu_bytes });
        }
    };
    if i.fill.is_none() {
        side("source", &i.source, i.source.shape);
    }
    side("destination", &i.dest, i.dest_shape());
    match i.function {
        DmaTensorFunction::Broadcast | DmaTensorFunction::FourBankBroadcast => {
            broadcast(i.dest.addr, i.dest_shape().c, r);
            if i.fill.is_none() {
                r.equal("source channels", i.source.shape.c, 1u32);
            }
        }
        DmaTensorFunction::Copy => {
            let written = |block: &DmaBlock| block.strides.w != 0;
            let sides = (i.fill.is_some() || written(&i.source)) && written(&i.dest);
            r.rule(!i.flags.stride_enable || sides, "the W strides of a copy must not be 0");
            if i.fill.is_none() {
                r.equal("elements of the destination", i.dest_shape().elements(), i.source.shape.elements());
            }
        }
        DmaTensorFunction::Transpose
        | DmaTensorFunction::Collect
        | DmaTensorFunction::Distribute
        | DmaTensorFunction::FourBankCopy => {}
    }
}

fn matrix_side(name: &'static str, block: &DmaBlock, unused: bool, r: &mut Report) {
    if unused {
        return;
    }
    memory(name, block.addr, r);
    let shape = match access::tiu_address(block.addr) {
        Some(_) => Shape { h: 1, ..block.shape },
        None => Shape { n: 1, c: 1, ..block.shape },
    };
    r.shape(shape);
}
