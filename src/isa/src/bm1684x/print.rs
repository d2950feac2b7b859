//! Instructions as text, one line each: `result = function operands, attributes`.
//!
//! A local tensor is `type[n,c,h,w]@lane:offset`, with its strides behind it where they are free (`{n,c,h,w}`) and
//! `compact` where it is; a constant is `type #value`; a DMA address is `local lane:offset`, `l2:…` or a plain number.

use super::access::{dma_space, tiu_address};
use super::inst::*;
use super::{CHIP, lane_of, offset_of};
use crate::hazards::Space;
use std::fmt::{self, Display, Formatter, Result};

/// A line of a listing: number, wait, instruction.
pub fn listing_line(header: &Header, inst: &impl Display) -> String {
    let wait = match (header.cmd_id_en, header.cmd_id_dep) {
        (0, _) | (_, 0) => String::new(),
        (_, dep) => format!("wait {dep}"),
    };
    format!("{:>6} {wait:<11} {inst}", header.cmd_id)
}

/// A TIU address.
struct Local(u32);

impl Display for Local {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let base = CHIP.static_base;
        if (base..base + CHIP.static_bytes).contains(&self.0) {
            return write!(f, "static:{:#x}", self.0 - base);
        }
        write!(f, "{}:{:#x}", lane_of(self.0), offset_of(self.0))
    }
}

/// A DMA address.
struct Address(u64);

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (dma_space(self.0), tiu_address(self.0)) {
            (Space::Local, Some(addr)) => write!(f, "local {}", Local(addr)),
            (Space::L2, _) => write!(f, "l2:{:#x}", self.0 - CHIP.l2_base),
            _ => write!(f, "{:#x}", self.0),
        }
    }
}

impl Display for DType {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.precision, self.signed) {
            (Precision::Int8, false) => f.write_str("u8"),
            (Precision::Int16, false) => f.write_str("u16"),
            (Precision::Int32, false) => f.write_str("u32"),
            (Precision::Int4, false) => f.write_str("u4"),
            (precision, _) => f.write_str(precision.name()),
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "[{},{},{},{}]", self.n, self.c, self.h, self.w)
    }
}

impl Display for Strides {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{{{},{},{},{}}}", self.n, self.c, self.h, self.w)
    }
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Layout::Aligned => Ok(()),
            Layout::Compact => f.write_str(" compact"),
            Layout::Free(strides) => write!(f, "{strides}"),
        }
    }
}

/// A bit pattern as a value of its type.
struct Value(u32, DType);

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Value(bits, dtype) = *self;
        match (dtype.precision, dtype.signed) {
            (Precision::F32, _) => write!(f, "#{}", f32::from_bits(bits)),
            (Precision::F16, _) => write!(f, "#{}", half::f16::from_bits(bits as u16)),
            (Precision::Bf16, _) => write!(f, "#{}", half::bf16::from_bits(bits as u16)),
            (Precision::Int32, true) => write!(f, "#{}", bits as i32),
            (Precision::Int16, true) => write!(f, "#{}", bits as i16),
            (Precision::Int8, true) => write!(f, "#{}", bits as i8),
            _ => write!(f, "#{bits}"),
        }
    }
}

fn dest(addr: u32, precision: Precision, shape: Shape, layout: Layout) -> String {
    format!("{}{shape}@{}{layout}", precision.name(), Local(addr))
}

fn tensor(tensor: &Tensor, shape: Shape) -> String {
    format!("{}{shape}@{}{}", tensor.dtype, Local(tensor.addr), tensor.layout)
}

fn typed(dtype: DType, shape: Shape, addr: u32) -> String {
    format!("{dtype}{shape}@{}", Local(addr))
}

fn operand(operand: &Operand, shape: Shape) -> String {
    match operand {
        Operand::Tensor(t) => tensor(t, shape),
        Operand::Const { bits, dtype } => format!("{dtype} {}", Value(*bits, *dtype)),
    }
}

fn source(source: Source, dtype: DType) -> String {
    match source {
        Source::Local(addr) => format!("{dtype}@{}", Local(addr)),
        Source::Const(bits) => format!("{dtype} {}", Value(bits, dtype)),
    }
}

fn unsigned(precision: Precision) -> DType {
    DType::new(precision, precision.is_float())
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "kernel={}x{} stride={}x{}", self.kernel_h, self.kernel_w, self.stride_h, self.stride_w)?;
        let pads = (self.pad_top, self.pad_bottom, self.pad_left, self.pad_right);
        if pads != (0, 0, 0, 0) {
            write!(f, " pad={},{},{},{}", pads.0, pads.1, pads.2, pads.3)?;
        }
        if self.pad_mode != PadMode::Constant {
            write!(f, " pad_mode={}", self.pad_mode.name())?;
        }
        if (self.kernel_insert_h, self.kernel_insert_w) != (0, 0) {
            write!(f, " dilation={}x{}", self.kernel_insert_h + 1, self.kernel_insert_w + 1)?;
        }
        if (self.input_insert_h, self.input_insert_w) != (0, 0) {
            write!(f, " insert={}x{}", self.input_insert_h, self.input_insert_w)?;
        }
        if self.rotate {
            f.write_str(" rotate")?;
        }
        Ok(())
    }
}

/// ` name` where the switch is on.
fn switch(on: bool, name: &'static str) -> impl Display {
    fmt::from_fn(move |f| if on { write!(f, " {name}") } else { Ok(()) })
}

fn rounded(rounding: Rounding) -> String {
    match rounding {
        Rounding::HalfToEven => String::new(),
        other => format!(" round={}", other.name()),
    }
}

impl Display for Tiu {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Tiu::Conv(i) => conv(i, f),
            Tiu::PorD(i) => pool(i, f),
            Tiu::Mm(i) => mm(i, f),
            Tiu::Mm2(i) => mm2(i, f),
            Tiu::Ar(i) => ar(i, f),
            Tiu::Rq(i) => quant(
                f,
                "quant.rq",
                i.shape,
                (i.result, i.result_addr),
                (i.input, i.input_addr),
                &i.params,
                i.rounding,
            ),
            Tiu::Dq(i) => quant(
                f,
                "quant.dq",
                i.shape,
                (i.result, i.result_addr),
                (i.input, i.input_addr),
                &i.params,
                i.rounding,
            ),
            Tiu::TransBc(i) => {
                let from = Shape { c: i.source_c, w: i.source_w, ..i.shape };
                write!(
                    f,
                    "{} = {} {}",
                    dest(i.result_addr, i.precision, i.shape, Layout::Aligned),
                    i.function.name(),
                    dest(i.source_addr, i.precision, from, Layout::Aligned)
                )
            }
            Tiu::Sg(i) => sg(i, f),
            Tiu::Sgl(i) => {
                let table = Shape { h: i.table_h, ..i.shape };
                write!(
                    f,
                    "{} = {} {}, index {}@{} {} layout={}",
                    dest(i.result_addr, i.precision, i.shape, Layout::Aligned),
                    i.function.name(),
                    dest(i.table_addr, i.precision, table, Layout::Aligned),
                    unsigned(i.index_precision),
                    Local(i.index_addr),
                    source(i.opd2, unsigned(i.precision)),
                    i.table_layout
                )
            }
            Tiu::Lar(i) => write!(
                f,
                "{}[{},{}]@{:#x} = lar.{} {}@{:#x}, {}@{:#x}, {} operands={} tid={} strides={},{}{}",
                i.result_precision.name(),
                i.result_c,
                i.result_w,
                i.result_addr,
                i.function,
                i.opd0,
                i.opd0_addr,
                i.opd1,
                i.opd1_addr,
                source(i.opd2, DType::I8),
                i.operands,
                i.start_tid,
                i.opd0_w_stride,
                i.opd1_w_stride,
                rounded(i.rounding)
            ),
            Tiu::Sfu(i) => {
                write!(
                    f,
                    "{} = {} {}",
                    dest(i.result_addr, i.result_precision, i.shape, Layout::Aligned),
                    i.function.name(),
                    dest(i.source_addr, i.source_precision, i.shape, Layout::Aligned)
                )?;
                match i.function {
                    SfuFunction::Taylor | SfuFunction::Taylor4x => {
                        write!(f, ", table {}@{} terms={}", i.source_precision.name(), Local(i.table_addr), i.terms)
                    }
                    SfuFunction::Rsqrt => write!(f, " iterations={}", u32::from(i.iterations) + 1),
                    SfuFunction::Normalize => Ok(()),
                }
            }
            Tiu::Lin(i) => {
                let float = unsigned(i.precision);
                write!(
                    f,
                    "{} = {} {}, {}",
                    dest(i.result_addr, i.precision, i.shape, Layout::Aligned),
                    i.function.name(),
                    typed(float, i.shape, i.opd0_addr),
                    source(i.opd1, float)
                )?;
                if i.function == LinFunction::Mac { write!(f, ", {}", source(i.opd2, float)) } else { Ok(()) }
            }
            Tiu::Cmp(i) => {
                write!(f, "{}", dest(i.result_addr, i.result_precision(), i.shape, Layout::Aligned))?;
                if matches!(i.function, CmpFunction::GreaterAndSelect | CmpFunction::LessAndSelect) {
                    write!(f, ", {}@{}", i.selected.name(), Local(i.result1_addr))?;
                }
                let selected = DType::new(i.selected, i.compared.signed);
                write!(
                    f,
                    " = {} {}, {}, {}, {}",
                    i.function.name(),
                    source(i.opd0, i.compared),
                    source(i.opd1, i.compared),
                    source(i.opd2, selected),
                    source(i.opd3, selected)
                )?;
                match (i.opd0_broadcast, i.opd1_broadcast) {
                    (0, 0) => Ok(()),
                    (zero, one) => write!(f, " layout={zero},{one}"),
                }
            }
            Tiu::Vc(i) => write!(
                f,
                "{}[{}x{}]@{} = {} {}[{}x{},{}]@{}, {}@{}, {}{}",
                i.result_precision.name(),
                i.result_c,
                i.result_w,
                Local(i.result_addr),
                i.function.name(),
                i.left,
                i.left_c,
                i.left_w,
                i.left_last_width,
                Local(i.left_addr),
                i.right,
                Local(i.right_addr),
                Local(i.opd2_addr),
                rounded(i.rounding)
            ),
            Tiu::Sys(i) => {
                f.write_str(i.function.name())?;
                if i.engine_ids != [0; 3] { write!(f, " {:?}", i.engine_ids) } else { Ok(()) }
            }
        }
    }
}

fn conv(i: &Conv, f: &mut Formatter<'_>) -> Result {
    let precision = i.input.dtype.precision;
    let weight = DType::new(precision, i.weight_signed || precision.is_float());
    let (name, third) = match precision.is_float() {
        true => ("bias", DType::F32),
        false => ("kernel_zero", DType::new(precision, i.opd2_signed)),
    };
    write!(
        f,
        "{} = conv.normal {}, {}, {name} {}, pad {}, {}{}{}",
        dest(i.result.addr, i.result.precision, i.shape, i.result.layout),
        tensor(&i.input, Shape::new(i.shape.n, i.input_c, i.input_h, i.input_w)),
        source(i.weight, weight),
        source(i.opd2, third),
        source(i.pad_value, i.input.dtype),
        i.window,
        switch(i.accumulate, "accumulate"),
        switch(i.relu, "relu")
    )
}

fn pool(i: &Pool, f: &mut Formatter<'_>) -> Result {
    let dtype = i.input.dtype;
    write!(
        f,
        "{} = {} {}",
        dest(i.result.addr, i.result.precision, i.shape, i.result.layout),
        i.function.name(),
        tensor(&i.input, Shape::new(i.shape.n, i.shape.c, i.input_h, i.input_w))
    )?;
    let weight = DType::new(dtype.precision, i.weight_signed || dtype.precision.is_float());
    match i.function {
        PoolFunction::Depthwise | PoolFunction::DepthwiseRelu | PoolFunction::RoiDepthwise => {
            let bias = match dtype.precision.is_float() {
                true => dtype,
                false => DType::new(Precision::Int32, i.opd2_signed),
            };
            write!(f, ", {}, bias {}", source(i.weight, weight), source(i.opd2, bias))?;
        }
        PoolFunction::Average | PoolFunction::RoiAverage => {
            write!(f, ", scale {}", source(i.weight, weight))?;
            if !dtype.precision.is_float() {
                write!(f, " shift {}", source(i.opd2, DType::I8))?;
            }
        }
        PoolFunction::Max | PoolFunction::RoiMax => {}
    }
    write!(f, ", pad {}, {}{}", source(i.pad_value, dtype), i.window, rounded(i.rounding))?;
    if i.roi != 0 { write!(f, " roi@{}", Local(i.roi)) } else { Ok(()) }
}

fn mm(i: &Mm, f: &mut Formatter<'_>) -> Result {
    let precision = i.left_dtype.precision;
    let right = DType::new(precision, i.right_signed || precision.is_float());
    // Integers have no bias.
    let bias = if precision.is_float() { format!(", bias {}", source(i.opd2, DType::F32)) } else { String::new() };
    let left = match i.left {
        Source::Local(addr) => typed(i.left_dtype, Shape::new(i.left_rows, i.left_blocks, 1, i.left_width), addr),
        value => source(value, i.left_dtype),
    };
    write!(
        f,
        "{}[{}x{}]@{} = mm.normal {left} last={}, {}{bias}{}{}{}",
        i.result_precision.name(),
        i.result_blocks,
        i.result_width,
        Local(i.result_addr),
        i.left_last_width,
        source(Source::Local(i.right_addr), right),
        rounded(i.rounding),
        switch(i.left_transposed, "left_transposed"),
        switch(i.accumulate, "accumulate")
    )
}

fn mm2(i: &Mm2, f: &mut Formatter<'_>) -> Result {
    let precision = i.left_dtype.precision;
    let right = DType::new(precision, i.right_signed || precision.is_float());
    write!(
        f,
        "{}[{}x{}]@{} = {} {}, {}[{}x{}] {}, right_zero {}{}",
        i.result_precision.name(),
        i.rows,
        i.cols,
        Local(i.result_addr),
        i.function.name(),
        source(i.left, i.left_dtype),
        right,
        i.right_rows,
        i.right_cols,
        source(i.right, right),
        source(i.opd2, right),
        switch(i.accumulate, "accumulate")
    )
}

fn ar(i: &Ar, f: &mut Formatter<'_>) -> Result {
    let result = match i.function {
        ArFunction::Cast => {
            DType::new(i.result.precision, i.result_signed || i.result.precision.is_float()).to_string()
        }
        _ => i.result.precision.name().to_string(),
    };
    write!(f, "{result}{}@{}{} = {}", i.shape, Local(i.result.addr), i.result.layout, i.function.name())?;
    if !matches!(i.function, ArFunction::EuIndex | ArFunction::LaneIndex) {
        write!(f, " {}", operand(&i.opd0, i.shape))?;
    }
    for other in [i.opd1, i.opd2].iter().flatten() {
        write!(f, ", {}", operand(other, i.shape))?;
    }
    match i.function {
        ArFunction::Div => write!(f, " iterations={}", i.iterations),
        _ => f.write_str(&rounded(i.rounding)),
    }
}

fn quant(
    f: &mut Formatter<'_>,
    name: &str,
    shape: Shape,
    result: (DType, u32),
    input: (DType, u32),
    params: &QuantParams,
    rounding: Rounding,
) -> Result {
    let kind = match params {
        QuantParams::FloatTable(_) | QuantParams::Float { .. } | QuantParams::FloatDequant { .. } => "float",
        QuantParams::IntTable(_) | QuantParams::Int { .. } => "int",
    };
    write!(f, "{} = {name}.{kind} {}, ", typed(result.0, shape, result.1), typed(input.0, shape, input.1))?;
    match params {
        QuantParams::FloatTable(addr) | QuantParams::IntTable(addr) => write!(f, "table@{}", Local(*addr))?,
        QuantParams::Float { scale, offset } => write!(f, "scale={scale} offset={offset}")?,
        QuantParams::FloatDequant { scale, zero_point } => write!(f, "scale={scale} zero_point={zero_point}")?,
        QuantParams::Int { multiplier, shift, zero_point } => {
            write!(f, "multiplier={multiplier} shift={shift} zero_point={zero_point}")?;
        }
    }
    f.write_str(&rounded(rounding))
}

fn sg(i: &Sg, f: &mut Formatter<'_>) -> Result {
    let table = Shape::new(i.shape.n, i.shape.c, i.table_h, i.table_w);
    write!(
        f,
        "{} = {} {}, index {}[{}x{}]@{}",
        dest(i.result_addr, i.result_precision, i.shape, Layout::Aligned),
        i.function.name(),
        dest(i.table_addr, i.table_precision, table, Layout::Aligned),
        unsigned(i.index_precision),
        i.index_c,
        i.index_w,
        Local(i.index_addr)
    )?;
    if i.table_layout != 0 {
        write!(f, " layout={}", i.table_layout)?;
    }
    if i.opd2 != Source::Local(0) || i.opd3 != Source::Local(0) {
        let fill = DType::new(i.table_precision, i.table_precision.is_float());
        write!(f, ", {}, {}", source(i.opd2, fill), source(i.opd3, fill))?;
    }
    if i.result1_addr != 0 { write!(f, " counts@{}", Local(i.result1_addr)) } else { Ok(()) }
}

/// A side of a DMA.
fn side(block: &DmaBlock, shape: Shape, flags: &DmaFlags, precision: Precision) -> String {
    let strides = if flags.stride_enable { block.steps().to_string() } else { String::new() };
    format!("{}{shape}@{}{strides}", precision.name(), Address(block.addr))
}

fn fill_or(fill: Option<u32>, precision: Precision, source: impl FnOnce() -> String) -> String {
    match fill {
        Some(bits) => format!("fill {}", Value(bits, DType::new(precision, true))),
        None => source(),
    }
}

impl Display for Dma {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let ending = |flags: &DmaFlags| {
            let mask = match flags.lane_mask {
                u64::MAX => String::new(),
                mask => format!(" lanes={mask:#x}"),
            };
            format!("{}{mask}", switch(flags.decompress, "decompress"))
        };
        match self {
            Dma::Tensor(i) => write!(
                f,
                "{} = {} {}{}",
                side(&i.dest, i.dest_shape(), &i.flags, i.precision),
                i.function.name(),
                fill_or(i.fill, i.precision, || side(&i.source, i.source.shape, &i.flags, i.precision)),
                ending(&i.flags)
            ),
            Dma::Matrix(i) => write!(
                f,
                "{} = dma.matrix{} {}{}",
                side(&i.dest, i.dest.shape, &i.flags, i.precision),
                if i.transpose { ".transpose" } else { "" },
                fill_or(i.fill, i.precision, || side(&i.source, i.source.shape, &i.flags, i.precision)),
                ending(&i.flags)
            ),
            Dma::CwTranspose(i) => write!(
                f,
                "{} = dma.cw_transpose {}{}",
                side(
                    &i.dest,
                    Shape { c: i.source.shape.w, w: i.source.shape.c, ..i.source.shape },
                    &i.flags,
                    i.precision
                ),
                fill_or(i.fill, i.precision, || side(&i.source, i.source.shape, &i.flags, i.precision)),
                ending(&i.flags)
            ),
            Dma::General(i) => {
                let lanes = if i.broadcast { format!(" to {} lanes", i.lanes) } else { String::new() };
                write!(
                    f,
                    "{}[{}]@{} = dma.general{} {}{lanes}{}",
                    i.precision.name(),
                    i.elements,
                    Address(i.dest_addr),
                    if i.broadcast { ".broadcast" } else { "" },
                    fill_or(i.fill, i.precision, || format!("@{}", Address(i.source_addr))),
                    ending(&i.flags)
                )
            }
            Dma::MaskedSelect(i) => write!(
                f,
                "{}@{} = dma.masked_select {}, mask {}@{}{}",
                i.precision.name(),
                Address(i.dest.addr),
                side(&i.source, i.source.shape, &i.flags, i.precision),
                i.mask_precision.name(),
                Address(i.mask_addr),
                ending(&i.flags)
            ),
            Dma::Nonzero(i) => write!(
                f,
                "{}@{} = dma.nonzero {} first={}{}",
                i.index_precision.name(),
                Address(i.dest.addr),
                side(&i.source, i.source.shape, &i.flags, i.precision),
                i.dest.strides.n,
                ending(&i.flags)
            ),
            Dma::Gather(i) => indexed(f, "dma.gather", i),
            Dma::Scatter(i) => indexed(f, "dma.scatter", i),
            Dma::Sys(i) => match i.function {
                DmaSysFunction::End => f.write_str("dma.sys.end"),
                DmaSysFunction::Nop => f.write_str("dma.sys.nop"),
            },
        }
    }
}

fn indexed(f: &mut Formatter<'_>, name: &str, i: &DmaIndexed) -> Result {
    let rows = |rows: &DmaRows| {
        format!("[{},{},{}]@{}{{{},{}}}", rows.c, rows.h, rows.w, Address(rows.addr), rows.c_stride, rows.h_stride)
    };
    let precision = i.precision.name();
    write!(
        f,
        "{precision}{} = {name} {precision}{}, index {} fill={:#x}",
        rows(&i.dest),
        rows(&i.source),
        rows(&i.index),
        i.constant
    )
}
