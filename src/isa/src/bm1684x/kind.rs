//! The *kind* of an instruction: its function with the types and options that decide what it computes, without sizes and
//! addresses. Listings of what a stream uses, and the tests of the executor, count by it.

use super::inst::*;
use super::access::dma_space;
use crate::hazards::Space;

impl Tiu {
    /// Function, types and options as a line of text.
    pub fn kind(&self) -> String {
        match self {
            Tiu::Conv(i) => {
                let third = match (i.input.dtype.precision.is_float(), i.opd2) {
                    (_, Source::Const(0)) => "",
                    (true, Source::Const(_)) => " const bias",
                    (true, Source::Local(_)) => " bias",
                    (false, Source::Const(_)) => " const kernel zero",
                    (false, Source::Local(_)) => " kernel zero",
                };
                let weight = source(i.weight, DType::new(i.input.dtype.precision, i.weight_signed));
                format!("conv {}{} x {weight} -> {}{third}{}{}{}{}", i.input.dtype, free(i.input.layout), i.result.precision, pad(i.pad_value), window(&i.window), on(i.accumulate, "accumulate"), on(i.relu, "relu"))
            }
            Tiu::PorD(i) => {
                let depthwise = matches!(i.function, PoolFunction::Depthwise | PoolFunction::DepthwiseRelu | PoolFunction::RoiDepthwise);
                let weight = if depthwise { format!(" x {}", source(i.weight, DType::new(i.input.dtype.precision, i.weight_signed))) } else { String::new() };
                let bias = match (depthwise, i.opd2) {
                    (false, _) | (_, Source::Const(0)) => "",
                    (true, Source::Const(_)) => " const bias",
                    (true, Source::Local(_)) => " bias",
                };
                format!("{} {}{}{weight} -> {}{bias}{}{}{}", i.function.name(), i.input.dtype, free(i.input.layout), i.result.precision, pad(i.pad_value), window(&i.window), rounded(i.rounding))
            }
            Tiu::Mm(i) => format!("mm {} x {} -> {}{}{}{}", source(i.left, i.left_dtype), DType::new(i.left_dtype.precision, i.right_signed), i.result_precision, on(i.left_transposed, "left transposed"), bias(i.left_dtype, i.opd2), on(i.accumulate, "accumulate")),
            Tiu::Mm2(i) => format!("{} {} x {} -> {}{}{}", i.function.name(), source(i.left, i.left_dtype), source(i.right, DType::new(i.left_dtype.precision, i.right_signed)), i.result_precision, bias(i.left_dtype, i.opd2), on(i.accumulate, "accumulate")),
            Tiu::Ar(i) => ar(i),
            Tiu::Rq(i) => format!("rq {} -> {}{}{}", i.input, i.result, parameters(&i.params), rounded(i.rounding)),
            Tiu::Dq(i) => format!("dq {} -> {}{}{}", i.input, i.result, parameters(&i.params), rounded(i.rounding)),
            Tiu::TransBc(i) => format!("{} of {} bytes", i.function.name(), i.precision.bytes()),
            Tiu::Sg(i) => format!("{} of {} bytes by {} layout {}", i.function.name(), i.table_precision.bytes(), i.index_precision, i.table_layout),
            Tiu::Sgl(i) => format!("{} of {} bytes by {} layout {}", i.function.name(), i.precision.bytes(), i.index_precision, i.table_layout),
            Tiu::Lar(i) => format!("lar.{} {} {}", i.function, i.opd0, i.opd1),
            Tiu::Sfu(i) => format!("{} {} -> {}", i.function.name(), i.source_precision, i.result_precision),
            Tiu::Lin(i) => format!("{} {}", i.function.name(), i.precision),
            Tiu::Cmp(i) => format!("{} {} select {} bytes", i.function.name(), i.compared, i.selected.bytes()),
            Tiu::Vc(i) => format!("{} {} x {} -> {}{}", i.function.name(), i.left, i.right, i.result_precision, rounded(i.rounding)),
            Tiu::Sys(i) => i.function.name().to_string(),
        }
    }
}

fn ar(i: &Ar) -> String {
    let operand = |o: Operand| match o {
        Operand::Tensor(t) => t.dtype.to_string(),
        Operand::Const { dtype, .. } => format!("const {dtype}"),
    };
    let mut text = format!("{} {}", i.function.name(), operand(i.opd0));
    for opd in [i.opd1, i.opd2].into_iter().flatten() {
        text += ", ";
        text += &operand(opd);
    }
    let signed = i.function == ArFunction::Cast && !i.result.precision.is_float();
    match signed {
        true => text += &format!(" -> {}", DType::new(i.result.precision, i.result_signed)),
        false => text += &format!(" -> {}", i.result.precision),
    }
    text + &rounded(i.rounding)
}

fn bias(dtype: DType, source: Source) -> &'static str {
    match (dtype.precision.is_float(), source) {
        (_, Source::Const(0)) => "",
        (true, Source::Const(_)) => " const bias",
        (true, Source::Local(_)) => " bias",
        (false, Source::Const(_)) => " const right zero",
        (false, Source::Local(_)) => " local opd2",
    }
}

fn parameters(params: &QuantParams) -> &'static str {
    match params {
        QuantParams::FloatTable(_) | QuantParams::IntTable(_) => " by table",
        QuantParams::Float { .. } | QuantParams::FloatDequant { .. } | QuantParams::Int { .. } => " by constants",
    }
}

fn source(source: Source, dtype: DType) -> String {
    match source {
        Source::Local(_) => dtype.to_string(),
        Source::Const(_) => format!("const {dtype}"),
    }
}

fn free(layout: Layout) -> &'static str {
    match layout {
        Layout::Aligned => "",
        Layout::Compact => " compact",
        Layout::Free(_) => " strided",
    }
}

fn pad(source: Source) -> &'static str {
    match source {
        Source::Const(_) => "",
        Source::Local(_) => " pad per channel",
    }
}

fn window(w: &Window) -> String {
    let mode = match w.pad_mode {
        PadMode::Constant => String::new(),
        other => format!(" pad {}", other.name()),
    };
    format!("{}{}{mode}", on(w.input_insert_h + w.input_insert_w > 0, "insert"), on(w.rotate, "rotate"))
}

fn rounded(rounding: Rounding) -> String {
    match rounding {
        Rounding::HalfToEven => String::new(),
        other => format!(" {}", other.name()),
    }
}

fn on(switch: bool, name: &str) -> String {
    if switch { format!(" {name}") } else { String::new() }
}

impl Dma {
    /// Function, directions, element size and options as a line of text.
    pub fn kind(&self) -> String {
        let side = |address: u64| match dma_space(address) {
            Space::Local => "local",
            Space::L2 => "l2",
            Space::Global | Space::Static => "global",
        };
        let way = |source: u64, dest: u64, fill: Option<u32>| match fill {
            Some(_) => format!("constant -> {}", side(dest)),
            None => format!("{} -> {}", side(source), side(dest)),
        };
        let size = |precision: Precision| format!("{} bytes", precision.bytes());
        let strides = |flags: &DmaFlags| if flags.stride_enable { " strided" } else { "" };
        match self {
            Dma::Tensor(i) => {
                let shape = if i.fill.is_none() && !i.flags.nchw_copy && i.source.shape != i.dest.shape { " reshaped" } else { "" };
                format!("{} {} of {}{}{shape}", i.function.name(), way(i.source.addr, i.dest.addr, i.fill), size(i.precision), strides(&i.flags))
            }
            Dma::Matrix(i) => format!("dma.matrix{} {} of {}{}", if i.transpose { ".transpose" } else { "" }, way(i.source.addr, i.dest.addr, i.fill), size(i.precision), strides(&i.flags)),
            Dma::General(i) => format!("dma.general{} {} of {}", if i.broadcast { ".broadcast" } else { "" }, way(i.source_addr, i.dest_addr, i.fill), size(i.precision)),
            Dma::MaskedSelect(i) => format!("dma.masked_select {} of {} by {}", way(i.source.addr, i.dest.addr, None), size(i.precision), size(i.mask_precision)),
            Dma::CwTranspose(i) => format!("dma.cw_transpose {} of {}{}", way(i.source.addr, i.dest.addr, i.fill), size(i.precision), strides(&i.flags)),
            Dma::Nonzero(i) => format!("dma.nonzero {} of {} into {}", way(i.source.addr, i.dest.addr, None), size(i.precision), i.index_precision),
            Dma::Gather(i) => format!("dma.gather {} of {}{} index {}", way(i.source.addr, i.dest.addr, None), size(i.precision), strides(&i.flags), side(i.index.addr)),
            Dma::Scatter(i) => format!("dma.scatter {} of {}{} index {}", way(i.source.addr, i.dest.addr, None), size(i.precision), strides(&i.flags), side(i.index.addr)),
            Dma::Sys(i) => i.function.name().to_string(),
        }
    }
}
