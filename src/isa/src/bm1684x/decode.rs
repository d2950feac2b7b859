//! From words to records: one command at a time, or a whole stream.
//!
//! Nothing about the bytes is trusted: a stream that ends early, an operation that the chip lacks, or a code without a
//! meaning gives a [`DecodeError`]. Fields that mean nothing for an operation are ignored.

use super::fields::{self, DmaField as D, Form, TiuField as T, Words};
use super::inst::*;

/// Why bytes are not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{engine} command needs {needed} bytes, the stream has {available}")]
    Truncated { engine: &'static str, needed: usize, available: usize },
    #[error("{engine} command type {code} does not exist on the BM1684X")]
    UnknownType { engine: &'static str, code: u64 },
    #[error("{kind} has no function {code}")]
    UnknownFunction { kind: &'static str, code: u64 },
    #[error("{kind}: field {field} is {value}, which has no meaning")]
    BadField { kind: &'static str, field: &'static str, value: u64 },
    #[error("command {index} at byte {offset}: {error}")]
    InStream { index: usize, offset: usize, error: Box<DecodeError> },
}

type TiuWords = Words<T>;
type DmaWords = Words<D>;

fn function<V>(kind: &'static str, code: u64, variant: Option<V>) -> Result<V, DecodeError> {
    variant.ok_or(DecodeError::UnknownFunction { kind, code })
}

/// The form of the TIU command that `bytes` starts with, from its first 8 bytes.
pub fn tiu_form(bytes: &[u8]) -> Result<&'static Form<T>, DecodeError> {
    let head = head(bytes, "TIU")?;
    let (kind, code, short) = (head >> 41 & 0xf, head >> 45 & 0x1f, head & 1 == 1);
    let unknown = || DecodeError::UnknownType { engine: "TIU", code: kind };
    Ok(match (kind, short) {
        (15, _) => &fields::SYS,
        (7, _) => &fields::LAR,
        (0..=6 | 9 | 10 | 13 | 14, false) => &fields::LONG,
        (0, true) => &fields::SHORT_CONV,
        (1, true) => &fields::SHORT_PORD,
        (2, true) if code > 3 => &fields::SHORT_MM2,
        (2, true) => &fields::SHORT_MM,
        (3, true) if code == 24 || code == 25 => &fields::SHORT_INDEX,
        (3, true) => &fields::SHORT_AR,
        (4, true) => &fields::SHORT_RQ_DQ,
        (5, true) => &fields::SHORT_TRANS_BC,
        (6, true) if code > 16 => &fields::SHORT_SGL,
        (6, true) => &fields::SHORT_SG,
        (9, true) => &fields::SHORT_SFU,
        (10, true) => &fields::SHORT_LIN,
        (13, true) => &fields::SHORT_CMP,
        (14, true) => &fields::SHORT_VC,
        _ => return Err(unknown()),
    })
}

/// The form of the DMA command that `bytes` starts with. The short forms that the vendor's table has for some types are
/// no use, as his runtime steps 96 bytes, and are refused.
pub fn dma_form(bytes: &[u8]) -> Result<&'static Form<D>, DecodeError> {
    let head = head(bytes, "DMA")?;
    let (kind, short) = (head >> 32 & 0xf, head >> 3 & 1);
    match (kind, short) {
        (6, _) => Ok(&fields::DMA_SYS),
        (0 | 1 | 3 | 4, 0) => Ok(&fields::DMA_BLOCK),
        (2, 0) => Ok(&fields::DMA_MASKED_SELECT),
        (5, 0) => Ok(&fields::DMA_NONZERO),
        (7 | 8, 0) => Ok(&fields::DMA_INDEXED),
        (0..=8, _) => Err(DecodeError::BadField { kind: "DMA", field: "cmd_short", value: short }),
        _ => Err(DecodeError::UnknownType { engine: "DMA", code: kind }),
    }
}

fn head(bytes: &[u8], engine: &'static str) -> Result<u64, DecodeError> {
    match bytes.first_chunk::<8>() {
        Some(head) => Ok(u64::from_le_bytes(*head)),
        None => Err(DecodeError::Truncated { engine, needed: 8, available: bytes.len() }),
    }
}

fn read<F: fields::FieldId>(engine: &'static str, form: &Form<F>, bytes: &[u8]) -> Result<Words<F>, DecodeError> {
    if bytes.len() < form.bytes {
        return Err(DecodeError::Truncated { engine, needed: form.bytes, available: bytes.len() });
    }
    Ok(Words::read(form, bytes))
}

/// The TIU command that `bytes` starts with, long or short.
pub fn decode_tiu(bytes: &[u8]) -> Result<(Header, Tiu), DecodeError> {
    let form = tiu_form(bytes)?;
    let mut w = read("TIU", form, bytes)?;
    fill_in(form, &mut w);
    let header = Header {
        cmd_id: w.get(T::CmdId) as u32,
        cmd_id_dep: w.get(T::CmdIdDep) as u32,
        cmd_id_en: w.get(T::CmdIdEn) as u8,
        pwr_step: w.get(T::PwrStep) as u8,
        intr_en: w.get(T::IntrEn) == 1,
        short: w.get(T::CmdShort) == 1,
        length: form.bytes,
    };
    Ok((header, tiu(&w)?))
}

/// Gives the fields that a short form lacks the values that they have in the long form.
fn fill_in(form: &Form<T>, w: &mut TiuWords) {
    let mut copy = |to: T, from: T| {
        let value = w.get(from);
        w.set(to, value);
    };
    match form.name {
        "sCONV" | "sPorD" | "sMM" => copy(T::Opd1Prec, T::Opd0Prec),
        "sMM2" => {
            copy(T::Opd1Prec, T::Opd0Prec);
            copy(T::Opd2Sign, T::Opd1Sign);
        }
        "sCMP" => {
            copy(T::Opd1Prec, T::Opd0Prec);
            copy(T::Opd1Sign, T::Opd0Sign);
            copy(T::Res0Prec, T::Opd2Prec);
        }
        "sLIN" => copy(T::Opd0Prec, T::Res0Prec),
        "sSEG" => {
            w.set(T::Res0N, 1).set(T::Res0H, 1);
        }
        _ => {}
    }
}

fn tiu(w: &TiuWords) -> Result<Tiu, DecodeError> {
    let code = w.get(T::TskEuTyp);
    Ok(match w.get(T::TskTyp) {
        0 => Tiu::Conv(conv(w)?),
        1 => Tiu::PorD(pool(w)?),
        2 if code > 3 => Tiu::Mm2(mm2(w)?),
        2 => Tiu::Mm(mm(w)?),
        3 => Tiu::Ar(ar(w)?),
        4 => quant(w)?,
        5 => Tiu::TransBc(trans_bc(w)?),
        6 if code > 16 => Tiu::Sgl(sgl(w)?),
        6 => Tiu::Sg(sg(w)?),
        7 => Tiu::Lar(lar(w)?),
        9 => Tiu::Sfu(sfu(w)?),
        10 => Tiu::Lin(lin(w)?),
        13 => Tiu::Cmp(cmp(w)?),
        14 => Tiu::Vc(vc(w)?),
        15 => Tiu::Sys(Sys {
            function: function("SYS", code, SysFunction::from_code(code))?,
            engine_ids: [T::CmdIdEng1, T::CmdIdEng2, T::CmdIdEng3].map(|id| w.get(id) as u32),
        }),
        kind => return Err(DecodeError::UnknownType { engine: "TIU", code: kind }),
    })
}

fn get(w: &TiuWords, field: T) -> u32 {
    w.get(field) as u32
}

fn bit(w: &TiuWords, field: T) -> bool {
    w.get(field) & 1 == 1
}

fn bad<F: fields::FieldId>(kind: &'static str, w: &Words<F>, field: F) -> DecodeError {
    DecodeError::BadField { kind, field: field.name(), value: w.get(field) }
}

fn precision(kind: &'static str, w: &TiuWords, field: T) -> Result<Precision, DecodeError> {
    Precision::from_code(w.get(field)).ok_or_else(|| bad(kind, w, field))
}

fn dtype(kind: &'static str, w: &TiuWords, precision_field: T, sign: T) -> Result<DType, DecodeError> {
    let precision = precision(kind, w, precision_field)?;
    Ok(DType { precision, signed: precision.is_float() || bit(w, sign) })
}

fn rounding(kind: &'static str, w: &TiuWords) -> Result<Rounding, DecodeError> {
    Rounding::from_code(w.get(T::Opd2NStr)).ok_or_else(|| bad(kind, w, T::Opd2NStr))
}

fn shape(w: &TiuWords) -> Shape {
    Shape::new(get(w, T::Res0N), get(w, T::Res0C), get(w, T::Res0H), get(w, T::Res0W))
}

/// A layout code with its strides `[n, c, h, w]`.
fn layout(kind: &'static str, w: &TiuWords, code: T, strides: [T; 4]) -> Result<Layout, DecodeError> {
    match w.get(code) {
        0 => Ok(Layout::Aligned),
        1 => Ok(Layout::Compact),
        3 => {
            let [n, c, h, w] = strides.map(|field| get(w, field));
            Ok(Layout::Free(Strides { n, c, h, w }))
        }
        _ => Err(bad(kind, w, code)),
    }
}

const RES0_STRIDES: [T; 4] = [T::Res0NStr, T::Res0CStr, T::Res0HStr, T::Res0WStr];
const OPD0_STRIDES: [T; 4] = [T::Opd0NStr, T::Opd0CStr, T::Opd0HStr, T::Opd0WStr];
const OPD1_STRIDES: [T; 4] = [T::Opd1NStr, T::Opd1CStr, T::Opd1HStr, T::Opd1WStr];
/// The third operand's N stride is taken by the rounding: it is never free.
const OPD2_STRIDES: [T; 4] = [T::Opd2NStr, T::Opd2CStr, T::Opd2HStr, T::Opd2WStr];

fn source(w: &TiuWords, is_const: T, addr: T) -> Source {
    match bit(w, is_const) {
        true => Source::Const(get(w, addr)),
        false => Source::Local(get(w, addr)),
    }
}

fn opd2(w: &TiuWords) -> Source {
    source(w, T::Opd2Const, T::Opd2Addr)
}

fn window(kind: &'static str, w: &TiuWords) -> Result<Window, DecodeError> {
    Ok(Window {
        kernel_h: get(w, T::Opd1H),
        kernel_w: get(w, T::Opd1W),
        stride_h: get(w, T::ResOpYStr),
        stride_w: get(w, T::ResOpXStr),
        kernel_insert_h: get(w, T::Opd1YIns0),
        kernel_insert_w: get(w, T::Opd1XIns0),
        input_insert_h: get(w, T::Opd0YIns0),
        input_insert_w: get(w, T::Opd0XIns0),
        pad_top: get(w, T::Opd0UpPad),
        pad_bottom: get(w, T::Opd0DnPad),
        pad_left: get(w, T::Opd0LfPad),
        pad_right: get(w, T::Opd0RtPad),
        pad_mode: PadMode::from_code(w.get(T::PadMode)).ok_or_else(|| bad(kind, w, T::PadMode))?,
        rotate: bit(w, T::KernelRotate),
    })
}

fn conv(w: &TiuWords) -> Result<Conv, DecodeError> {
    const KIND: &str = "CONV";
    match w.get(T::TskEuTyp) {
        0 => {}
        // Functions 1 and 2 requantize inside the convolution; nothing is known that uses them.
        code => return Err(DecodeError::UnknownFunction { kind: KIND, code }),
    }
    Ok(Conv {
        shape: shape(w),
        result: Dest {
            addr: get(w, T::Res0Addr),
            precision: precision(KIND, w, T::Res0Prec)?,
            layout: layout(KIND, w, T::Res0Str, RES0_STRIDES)?,
        },
        input: Tensor {
            addr: get(w, T::Opd0Addr),
            dtype: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
            layout: layout(KIND, w, T::Opd0Str, OPD0_STRIDES)?,
        },
        input_c: get(w, T::Opd0C),
        input_h: get(w, T::Opd0H),
        input_w: get(w, T::Opd0W),
        weight: source(w, T::Opd1Const, T::Opd1Addr),
        weight_signed: bit(w, T::Opd1Sign),
        opd2: opd2(w),
        opd2_signed: bit(w, T::Opd2Sign),
        pad_value: source(w, T::Opd3Const, T::Opd3Addr),
        window: window(KIND, w)?,
        accumulate: bit(w, T::ResAdd),
        relu: bit(w, T::Relu),
    })
}

fn pool(w: &TiuWords) -> Result<Pool, DecodeError> {
    const KIND: &str = "PorD";
    let code = w.get(T::TskEuTyp);
    Ok(Pool {
        function: function(KIND, code, PoolFunction::from_code(code))?,
        shape: shape(w),
        result: Dest {
            addr: get(w, T::Res0Addr),
            precision: precision(KIND, w, T::Res0Prec)?,
            layout: layout(KIND, w, T::Res0Str, RES0_STRIDES)?,
        },
        input: Tensor {
            addr: get(w, T::Opd0Addr),
            dtype: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
            layout: layout(KIND, w, T::Opd0Str, OPD0_STRIDES)?,
        },
        input_h: get(w, T::Opd0H),
        input_w: get(w, T::Opd0W),
        weight: source(w, T::Opd1Const, T::Opd1Addr),
        weight_signed: bit(w, T::Opd1Sign),
        opd2: opd2(w),
        opd2_signed: bit(w, T::Opd2Sign),
        pad_value: source(w, T::Opd3Const, T::Opd3Addr),
        window: window(KIND, w)?,
        rounding: rounding(KIND, w)?,
        roi: get(w, T::Res1Addr),
    })
}

fn mm2(w: &TiuWords) -> Result<Mm2, DecodeError> {
    const KIND: &str = "MM2";
    let code = w.get(T::TskEuTyp);
    Ok(Mm2 {
        function: function(KIND, code, Mm2Function::from_code(code))?,
        rows: get(w, T::Res0C),
        cols: get(w, T::Res0W),
        right_rows: get(w, T::Opd1C),
        right_cols: get(w, T::Opd1W),
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        left: source(w, T::Opd0Const, T::Opd0Addr),
        left_dtype: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
        right: source(w, T::Opd1Const, T::Opd1Addr),
        right_signed: bit(w, T::Opd1Sign),
        opd2: opd2(w),
        opd2_signed: bit(w, T::Opd2Sign),
        accumulate: bit(w, T::ResAdd),
    })
}

fn mm(w: &TiuWords) -> Result<Mm, DecodeError> {
    const KIND: &str = "MM";
    match w.get(T::TskEuTyp) {
        1 => {}
        // Functions 2 and 3 requantize inside; nothing is known that uses them.
        code => return Err(DecodeError::UnknownFunction { kind: KIND, code }),
    }
    Ok(Mm {
        left_rows: get(w, T::Opd0N),
        left_blocks: get(w, T::Opd0C),
        left_width: get(w, T::Opd0W),
        left_last_width: get(w, T::Opd1W),
        left_transposed: bit(w, T::LeftTran),
        result_blocks: get(w, T::Res0C),
        result_width: get(w, T::Res0W),
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        left: source(w, T::Opd0Const, T::Opd0Addr),
        left_dtype: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
        right_addr: get(w, T::Opd1Addr),
        right_signed: bit(w, T::Opd1Sign),
        opd2: opd2(w),
        opd2_signed: bit(w, T::Opd2Sign),
        opd3_addr: get(w, T::Opd3Addr),
        rounding: rounding(KIND, w)?,
        accumulate: bit(w, T::ResAdd),
    })
}

fn ar(w: &TiuWords) -> Result<Ar, DecodeError> {
    const KIND: &str = "AR";
    let code = w.get(T::TskEuTyp);
    let function = function(KIND, code, ArFunction::from_code(code))?;
    let generated = matches!(function, ArFunction::EuIndex | ArFunction::LaneIndex);
    let operands = if generated { 0 } else { w.get(T::TskOpdNum) };
    let operand = |is_const, addr, precision, sign, code, strides| -> Result<Operand, DecodeError> {
        let dtype = dtype(KIND, w, precision, sign)?;
        Ok(match source(w, is_const, addr) {
            Source::Const(bits) => Operand::Const { bits, dtype },
            Source::Local(addr) => Operand::Tensor(Tensor { addr, dtype, layout: layout(KIND, w, code, strides)? }),
        })
    };
    let is_div = function == ArFunction::Div;
    Ok(Ar {
        function,
        shape: shape(w),
        result: Dest {
            addr: get(w, T::Res0Addr),
            precision: precision(KIND, w, T::Res0Prec)?,
            layout: layout(KIND, w, T::Res0Str, RES0_STRIDES)?,
        },
        opd0: match generated {
            true => Operand::Const { bits: 0, dtype: DType::I8 },
            false => operand(T::Opd0Const, T::Opd0Addr, T::Opd0Prec, T::Opd0Sign, T::Opd0Str, OPD0_STRIDES)?,
        },
        opd1: match operands >= 2 {
            true => Some(operand(T::Opd1Const, T::Opd1Addr, T::Opd1Prec, T::Opd1Sign, T::Opd1Str, OPD1_STRIDES)?),
            false => None,
        },
        opd2: match operands >= 3 {
            true => {
                if w.get(T::Opd2Str) == 3 {
                    return Err(bad(KIND, w, T::Opd2Str));
                }
                Some(operand(T::Opd2Const, T::Opd2Addr, T::Opd2Prec, T::Opd2Sign, T::Opd2Str, OPD2_STRIDES)?)
            }
            false => None,
        },
        result_signed: function == ArFunction::Cast && bit(w, T::Opd2Sign),
        rounding: if is_div { Rounding::HalfToEven } else { rounding(KIND, w)? },
        iterations: if is_div { w.get(T::Opd2NStr) as u8 } else { 0 },
    })
}

fn quant(w: &TiuWords) -> Result<Tiu, DecodeError> {
    const KIND: &str = "RQ/DQ";
    let code = w.get(T::TskEuTyp);
    let (opd1, opd2) = (get(w, T::Opd1Addr), get(w, T::Opd2Addr));
    let is_const = bit(w, T::Opd1Const);
    let int = QuantParams::Int { multiplier: opd1 as i32, shift: opd2 as u8 as i8, zero_point: (opd2 >> 16) as i16 };
    let params = match (code, is_const) {
        (0 | 3, false) => QuantParams::FloatTable(opd1),
        (0, true) => QuantParams::Float { scale: f32::from_bits(opd1), offset: f32::from_bits(opd2) },
        (3, true) => QuantParams::FloatDequant { zero_point: opd1 as i32, scale: f32::from_bits(opd2) },
        (1 | 4, false) => QuantParams::IntTable(opd1),
        (1 | 4, true) => int,
        _ => return Err(DecodeError::UnknownFunction { kind: KIND, code }),
    };
    let shape = shape(w);
    let result_addr = get(w, T::Res0Addr);
    let result = dtype(KIND, w, T::Res0Prec, T::Opd2Sign)?;
    let input_addr = get(w, T::Opd0Addr);
    let input = dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?;
    let rounding = rounding(KIND, w)?;
    Ok(match code {
        0 | 1 => Tiu::Rq(Rq { shape, result_addr, result, input_addr, input, params, rounding }),
        _ => Tiu::Dq(Dq { shape, result_addr, result, input_addr, input, params, rounding }),
    })
}

fn trans_bc(w: &TiuWords) -> Result<TransBc, DecodeError> {
    const KIND: &str = "TRANS/BC";
    let code = w.get(T::TskEuTyp);
    Ok(TransBc {
        function: function(KIND, code, TransBcFunction::from_code(code))?,
        shape: shape(w),
        precision: precision(KIND, w, T::Res0Prec)?,
        result_addr: get(w, T::Res0Addr),
        source_addr: get(w, T::Opd0Addr),
        source_c: get(w, T::Opd0C),
        source_w: get(w, T::Opd0W),
    })
}

fn sg(w: &TiuWords) -> Result<Sg, DecodeError> {
    const KIND: &str = "SG";
    let code = w.get(T::TskEuTyp);
    Ok(Sg {
        function: function(KIND, code, SgFunction::from_code(code))?,
        shape: shape(w),
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        table_addr: get(w, T::Opd0Addr),
        table_precision: precision(KIND, w, T::Opd0Prec)?,
        table_layout: w.get(T::Opd0Str) as u8,
        table_h: get(w, T::Opd0H),
        table_w: get(w, T::Opd0W),
        index_addr: get(w, T::Opd1Addr),
        index_precision: precision(KIND, w, T::Opd1Prec)?,
        index_c: get(w, T::Opd1C),
        index_w: get(w, T::Opd1W),
        opd2: opd2(w),
        opd3: source(w, T::Opd3Const, T::Opd3Addr),
        result1_addr: get(w, T::Res1Addr),
    })
}

fn sgl(w: &TiuWords) -> Result<Sgl, DecodeError> {
    const KIND: &str = "SGL";
    let code = w.get(T::TskEuTyp);
    Ok(Sgl {
        function: function(KIND, code, SglFunction::from_code(code))?,
        shape: shape(w),
        result_addr: get(w, T::Res0Addr),
        precision: precision(KIND, w, T::Res0Prec)?,
        table_addr: get(w, T::Opd0Addr),
        table_layout: w.get(T::Opd0Str) as u8,
        table_h: get(w, T::Opd0H),
        index_addr: get(w, T::Opd1Addr),
        index_precision: precision(KIND, w, T::Opd1Prec)?,
        opd2: opd2(w),
        opd3_const: bit(w, T::Opd3Const),
        result1_addr: get(w, T::Res1Addr),
    })
}

fn lar(w: &TiuWords) -> Result<Lar, DecodeError> {
    const KIND: &str = "LAR";
    Ok(Lar {
        function: w.get(T::TskEuTyp) as u8,
        operands: w.get(T::TskOpdNum) as u8,
        start_tid: w.get(T::StartTid) as u8,
        result_c: get(w, T::Res0C),
        result_w: get(w, T::Res0W),
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        opd0_addr: get(w, T::Opd0Addr),
        opd0: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
        opd0_w_stride: w.get(T::Opd0WStr) as u8,
        opd1_addr: get(w, T::Opd1Addr),
        opd1: dtype(KIND, w, T::Opd1Prec, T::Opd1Sign)?,
        opd1_w_stride: w.get(T::Opd1WStr) as u8,
        opd2: opd2(w),
        rounding: rounding(KIND, w)?,
    })
}

fn sfu(w: &TiuWords) -> Result<Sfu, DecodeError> {
    const KIND: &str = "SFU";
    let code = w.get(T::TskEuTyp);
    Ok(Sfu {
        function: function(KIND, code, SfuFunction::from_code(code))?,
        shape: shape(w),
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        source_addr: get(w, T::Opd0Addr),
        source_precision: precision(KIND, w, T::Opd0Prec)?,
        table_addr: get(w, T::Opd1Addr),
        terms: get(w, T::Opd1N),
        iterations: w.get(T::Opd2NStr) as u8,
    })
}

fn lin(w: &TiuWords) -> Result<Lin, DecodeError> {
    const KIND: &str = "LIN";
    let code = w.get(T::TskEuTyp);
    Ok(Lin {
        function: function(KIND, code, LinFunction::from_code(code))?,
        shape: shape(w),
        precision: precision(KIND, w, T::Res0Prec)?,
        result_addr: get(w, T::Res0Addr),
        opd0_addr: get(w, T::Opd0Addr),
        opd1: source(w, T::Opd1Const, T::Opd1Addr),
        opd2: opd2(w),
    })
}

fn cmp(w: &TiuWords) -> Result<Cmp, DecodeError> {
    const KIND: &str = "CMP";
    let code = w.get(T::TskEuTyp);
    Ok(Cmp {
        function: function(KIND, code, CmpFunction::from_code(code))?,
        shape: shape(w),
        result_addr: get(w, T::Res0Addr),
        result1_addr: get(w, T::Res1Addr),
        opd0: source(w, T::Opd0Const, T::Opd0Addr),
        opd0_broadcast: w.get(T::Opd0Str) as u8,
        opd1: source(w, T::Opd1Const, T::Opd1Addr),
        opd1_broadcast: w.get(T::Opd1Str) as u8,
        compared: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
        selected: precision(KIND, w, T::Opd2Prec)?,
        opd2: opd2(w),
        opd3: source(w, T::Opd3Const, T::Opd3Addr),
    })
}

fn vc(w: &TiuWords) -> Result<Vc, DecodeError> {
    const KIND: &str = "VC";
    let code = w.get(T::TskEuTyp);
    Ok(Vc {
        function: function(KIND, code, VcFunction::from_code(code))?,
        result_addr: get(w, T::Res0Addr),
        result_precision: precision(KIND, w, T::Res0Prec)?,
        result_c: get(w, T::Res0C),
        result_w: get(w, T::Res0W),
        left_addr: get(w, T::Opd0Addr),
        left: dtype(KIND, w, T::Opd0Prec, T::Opd0Sign)?,
        left_c: get(w, T::Opd0C),
        left_w: get(w, T::Opd0W),
        left_last_width: get(w, T::Opd1W),
        right_addr: get(w, T::Opd1Addr),
        right: dtype(KIND, w, T::Opd1Prec, T::Opd1Sign)?,
        opd2_addr: get(w, T::Opd2Addr),
        rounding: rounding(KIND, w)?,
    })
}

/// The DMA command that `bytes` starts with.
pub fn decode_dma(bytes: &[u8]) -> Result<(Header, Dma), DecodeError> {
    let form = dma_form(bytes)?;
    let w = read("DMA", form, bytes)?;
    let header = Header {
        cmd_id: w.get(D::CmdId) as u32,
        cmd_id_dep: w.get(D::CmdIdDep) as u32,
        cmd_id_en: w.get(D::CmdIdEn) as u8,
        pwr_step: 0,
        intr_en: w.get(D::IntrEn) == 1,
        short: w.get(D::CmdShort) == 1,
        length: form.bytes,
    };
    Ok((header, dma(&w)?))
}

fn dma(w: &DmaWords) -> Result<Dma, DecodeError> {
    let code = w.get(D::CmdSpecialFunction);
    let flags = DmaFlags {
        stride_enable: w.get(D::StrideEnable) == 1,
        nchw_copy: w.get(D::NchwCopy) == 1,
        decompress: w.get(D::DecompressEnable) == 1,
        lane_mask: w.get(D::LocalmemMask),
    };
    let precision = |field| Precision::from_code(w.get(field)).ok_or_else(|| bad("DMA", w, field));
    let constant = w.get(D::ConstantValue) as u32;
    let fill = (w.get(D::FillConstantEn) == 1).then_some(constant);
    let source = || DmaBlock {
        addr: w.get(D::SrcStartAddr),
        shape: dma_shape(w, [D::SrcNsize, D::SrcCsize, D::SrcHsize, D::SrcWsize]),
        strides: dma_strides(w, [D::SrcNstride, D::SrcCstride, D::SrcHstride, D::SrcWstride]),
    };
    let dest = || DmaBlock {
        addr: w.get(D::DstStartAddr),
        shape: dma_shape(w, [D::DstNsize, D::DstCsize, D::DstHsize, D::DstWsize]),
        strides: dma_strides(w, [D::DstNstride, D::DstCstride, D::DstHstride, D::DstWstride]),
    };
    let format = || precision(D::SrcDataFormat);
    let only = |kind: &'static str, last: u64| match code <= last {
        true => Ok(()),
        false => Err(DecodeError::UnknownFunction { kind, code }),
    };
    Ok(match w.get(D::CmdType) {
        0 => Dma::Tensor(DmaTensor {
            function: function("DMA tensor", code, DmaTensorFunction::from_code(code))?,
            precision: format()?,
            flags,
            source: source(),
            dest: dest(),
            fill,
        }),
        1 => {
            only("DMA matrix", 1)?;
            let transpose = code == 1;
            Dma::Matrix(DmaMatrix { transpose, precision: format()?, flags, source: source(), dest: dest(), fill })
        }
        2 => {
            only("DMA masked select", 0)?;
            Dma::MaskedSelect(DmaMaskedSelect {
                precision: format()?,
                mask_precision: precision(D::MaskDataFormat)?,
                flags,
                source: source(),
                dest: dest(),
                mask_addr: w.get(D::MaskStartAddr),
            })
        }
        3 => {
            only("DMA general", 1)?;
            Dma::General(DmaGeneral {
                broadcast: code == 1,
                precision: format()?,
                flags,
                source_addr: w.get(D::SrcStartAddr),
                dest_addr: w.get(D::DstStartAddr),
                elements: w.get(D::SrcCstride) as u32,
                lanes: w.get(D::DstCsize) as u32,
                fill,
            })
        }
        4 => {
            only("DMA CW transpose", 0)?;
            Dma::CwTranspose(DmaCwTranspose { precision: format()?, flags, source: source(), dest: dest(), fill })
        }
        5 => {
            only("DMA nonzero", 0)?;
            Dma::Nonzero(DmaNonzero {
                precision: format()?,
                index_precision: precision(D::IndexDataFormat)?,
                flags,
                source: source(),
                dest: dest(),
            })
        }
        6 => Dma::Sys(DmaSys { function: function("DMA sys", code, DmaSysFunction::from_code(code))?, constant }),
        kind @ (7 | 8) => {
            only("DMA gather", 0)?;
            let row = |addr, sizes: [D; 3], strides: [D; 2]| DmaRows {
                addr: w.get(addr),
                c: w.get(sizes[0]) as u32,
                h: w.get(sizes[1]) as u32,
                w: w.get(sizes[2]) as u32,
                c_stride: w.get(strides[0]) as u32,
                h_stride: w.get(strides[1]) as u32,
            };
            let index = row(
                D::IndexStartAddr,
                [D::IndexCsize, D::IndexHsize, D::IndexHsize],
                [D::IndexCstride, D::IndexHstride],
            );
            let indexed = DmaIndexed {
                precision: format()?,
                flags,
                source: row(D::SrcStartAddr, [D::SrcCsize, D::SrcHsize, D::SrcWsize], [D::SrcCstride, D::SrcHstride]),
                dest: row(D::DstStartAddr, [D::DstCsize, D::DstHsize, D::DstWsize], [D::DstCstride, D::DstHstride]),
                index: DmaRows { w: 0, ..index },
                constant,
            };
            if kind == 7 { Dma::Gather(indexed) } else { Dma::Scatter(indexed) }
        }
        code => return Err(DecodeError::UnknownType { engine: "DMA", code }),
    })
}

fn dma_shape(w: &DmaWords, [n, c, h, width]: [D; 4]) -> Shape {
    let get = |field| w.get(field) as u32;
    Shape::new(get(n), get(c), get(h), get(width))
}

fn dma_strides(w: &DmaWords, [n, c, h, width]: [D; 4]) -> Strides {
    let get = |field| w.get(field) as u32;
    Strides::new(get(n), get(c), get(h), get(width))
}

/// All commands of a TIU stream up to and with the end command, or to the end of `bytes`.
pub fn decode_tiu_stream(bytes: &[u8]) -> Result<Vec<(Header, Tiu)>, DecodeError> {
    stream(bytes, decode_tiu, |tiu| matches!(tiu, Tiu::Sys(Sys { function: SysFunction::End, .. })))
}

/// All commands of a DMA stream up to and with the end command, or to the end of `bytes`.
pub fn decode_dma_stream(bytes: &[u8]) -> Result<Vec<(Header, Dma)>, DecodeError> {
    stream(bytes, decode_dma, |dma| matches!(dma, Dma::Sys(DmaSys { function: DmaSysFunction::End, .. })))
}

fn stream<I>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<(Header, I), DecodeError>,
    is_end: impl Fn(&I) -> bool,
) -> Result<Vec<(Header, I)>, DecodeError> {
    let mut commands = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let (header, inst) = decode(&bytes[offset..]).map_err(|error| DecodeError::InStream {
            index: commands.len(),
            offset,
            error: Box::new(error),
        })?;
        offset += header.length;
        let end = is_end(&inst);
        commands.push((header, inst));
        if end {
            break;
        }
    }
    Ok(commands)
}
