//! From records to words. TIU instructions are written in the long form, whose fields are the same for all operations.
//!
//! What goes into a file is written by [`try_encode_tiu`] and [`try_encode_dma`], which refuse a value that its field can't
//! hold: cut, it would be another value that is just as valid, and nothing later could tell.

use super::fields::{self, DmaField as D, FieldId, Form, TiuField as T, Words};
use super::inst::*;

/// A value has more bits than its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, its field has {bits} bits")]
pub struct EncodeError {
    pub field: &'static str,
    pub value: u64,
    pub bits: u8,
}

fn write_exactly<F: FieldId>(words: &Words<F>, form: &Form<F>) -> Result<Vec<u8>, EncodeError> {
    match words.too_wide(form) {
        Some((field, value)) => Err(EncodeError { field: field.id.name(), value, bits: field.width }),
        None => Ok(words.write(form)),
    }
}

/// The bytes of a TIU command: 128, or 16 for `Sys` and `Lar`.
///
/// `cmd_id` is its number in the TIU queue, from 1; `dep` the number of DMA commands that must be complete before it.
/// The first value that does not fit its field is the error.
pub fn try_encode_tiu(inst: &Tiu, cmd_id: u32, dep: u32) -> Result<Vec<u8>, EncodeError> {
    let (words, form) = tiu_words(inst, cmd_id, dep);
    write_exactly(&words, form)
}

/// As [`try_encode_tiu`] for an instruction whose values are known to fit (decoded ones do); others are cut.
pub fn encode_tiu(inst: &Tiu, cmd_id: u32, dep: u32) -> Vec<u8> {
    let (words, form) = tiu_words(inst, cmd_id, dep);
    words.write(form)
}

fn tiu_words(inst: &Tiu, cmd_id: u32, dep: u32) -> (TiuWords, &'static Form<T>) {
    let mut w = Words::<T>::default();
    let form = match inst {
        Tiu::Sys(_) => &fields::SYS,
        Tiu::Lar(_) => &fields::LAR,
        _ => &fields::LONG,
    };
    // The vendor's end command waits for nothing; everything else must have its ids enabled, or it does not wait.
    let is_end = matches!(inst, Tiu::Sys(Sys { function: SysFunction::End, .. }));
    w.set(T::CmdId, cmd_id.into()).set(T::CmdIdDep, dep.into()).set(T::CmdIdEn, u64::from(!is_end || dep != 0));
    w.set(T::TskLaneNum, u64::MAX);
    let (kind, function) = tiu(inst, &mut w);
    w.set(T::TskTyp, kind).set(T::TskEuTyp, function.into());
    (w, form)
}

type TiuWords = Words<T>;

/// Fills in the operation's fields; returns its type and function codes.
fn tiu(inst: &Tiu, w: &mut TiuWords) -> (u64, u8) {
    match inst {
        Tiu::Conv(i) => (0, conv(i, w)),
        Tiu::PorD(i) => (1, pool(i, w)),
        Tiu::Mm(i) => (2, mm(i, w)),
        Tiu::Mm2(i) => (2, mm2(i, w)),
        Tiu::Ar(i) => (3, ar(i, w)),
        Tiu::Rq(i) => {
            quant(w, i.shape, (i.result_addr, i.result), (i.input_addr, i.input), &i.params, i.rounding);
            (4, if is_float(&i.params) { 0 } else { 1 })
        }
        Tiu::Dq(i) => {
            quant(w, i.shape, (i.result_addr, i.result), (i.input_addr, i.input), &i.params, i.rounding);
            (4, if is_float(&i.params) { 3 } else { 4 })
        }
        Tiu::TransBc(i) => (5, trans_bc(i, w)),
        Tiu::Sg(i) => (6, sg(i, w)),
        Tiu::Sgl(i) => (6, sgl(i, w)),
        Tiu::Lar(i) => (7, lar(i, w)),
        Tiu::Sfu(i) => (9, sfu(i, w)),
        Tiu::Lin(i) => (10, lin(i, w)),
        Tiu::Cmp(i) => (13, cmp(i, w)),
        Tiu::Vc(i) => (14, vc(i, w)),
        Tiu::Sys(i) => {
            let [one, two, three] = i.engine_ids.map(u64::from);
            w.set(T::CmdIdEng1, one).set(T::CmdIdEng2, two).set(T::CmdIdEng3, three);
            (15, i.function.code())
        }
    }
}

fn put(w: &mut TiuWords, field: T, value: u32) {
    w.set(field, value.into());
}

fn put_precision(w: &mut TiuWords, field: T, precision: Precision) {
    w.set(field, precision.code().into());
}

fn put_dtype(w: &mut TiuWords, precision: T, sign: T, dtype: DType) {
    w.set(precision, dtype.precision.code().into()).set(sign, (dtype.signed || dtype.precision.is_float()).into());
}

fn put_source(w: &mut TiuWords, is_const: T, addr: T, source: Source) {
    match source {
        Source::Local(value) => w.set(is_const, 0).set(addr, value.into()),
        Source::Const(value) => w.set(is_const, 1).set(addr, value.into()),
    };
}

fn put_layout(w: &mut TiuWords, code: T, [n, c, h, width]: [T; 4], layout: Layout) {
    match layout {
        Layout::Aligned => w.set(code, 0),
        Layout::Compact => w.set(code, 1),
        Layout::Free(s) => {
            w.set(n, s.n.into()).set(c, s.c.into()).set(h, s.h.into()).set(width, s.w.into());
            w.set(code, 3)
        }
    };
}

fn put_shape(w: &mut TiuWords, [n, c, h, width]: [T; 4], shape: Shape) {
    w.set(n, shape.n.into()).set(c, shape.c.into()).set(h, shape.h.into()).set(width, shape.w.into());
}

const RES0_SHAPE: [T; 4] = [T::Res0N, T::Res0C, T::Res0H, T::Res0W];
const OPD0_SHAPE: [T; 4] = [T::Opd0N, T::Opd0C, T::Opd0H, T::Opd0W];
const OPD1_SHAPE: [T; 4] = [T::Opd1N, T::Opd1C, T::Opd1H, T::Opd1W];
const RES0_STRIDES: [T; 4] = [T::Res0NStr, T::Res0CStr, T::Res0HStr, T::Res0WStr];
const OPD0_STRIDES: [T; 4] = [T::Opd0NStr, T::Opd0CStr, T::Opd0HStr, T::Opd0WStr];
const OPD1_STRIDES: [T; 4] = [T::Opd1NStr, T::Opd1CStr, T::Opd1HStr, T::Opd1WStr];
const OPD2_STRIDES: [T; 4] = [T::Opd2NStr, T::Opd2CStr, T::Opd2HStr, T::Opd2WStr];

fn put_dest(w: &mut TiuWords, dest: &Dest) {
    put(w, T::Res0Addr, dest.addr);
    put_precision(w, T::Res0Prec, dest.precision);
    put_layout(w, T::Res0Str, RES0_STRIDES, dest.layout);
}

fn put_input(w: &mut TiuWords, input: &Tensor) {
    put(w, T::Opd0Addr, input.addr);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, input.dtype);
    put_layout(w, T::Opd0Str, OPD0_STRIDES, input.layout);
}

fn put_opd2(w: &mut TiuWords, source: Source, signed: bool) {
    put_source(w, T::Opd2Const, T::Opd2Addr, source);
    w.set(T::Opd2Sign, signed.into());
}

fn put_window(w: &mut TiuWords, window: &Window) {
    for (field, value) in [
        (T::Opd1H, window.kernel_h),
        (T::Opd1W, window.kernel_w),
        (T::ResOpYStr, window.stride_h),
        (T::ResOpXStr, window.stride_w),
        (T::Opd1YIns0, window.kernel_insert_h),
        (T::Opd1XIns0, window.kernel_insert_w),
        (T::Opd0YIns0, window.input_insert_h),
        (T::Opd0XIns0, window.input_insert_w),
        (T::Opd0UpPad, window.pad_top),
        (T::Opd0DnPad, window.pad_bottom),
        (T::Opd0LfPad, window.pad_left),
        (T::Opd0RtPad, window.pad_right),
    ] {
        put(w, field, value);
    }
    w.set(T::PadMode, window.pad_mode.code().into()).set(T::KernelRotate, window.rotate.into());
}

/// The type of a convolution's or depthwise convolution's third operand.
fn third_precision(input: Precision, integer: Precision, float: Precision) -> Precision {
    if input.is_float() { float } else { integer }
}

fn conv(i: &Conv, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, Shape::new(i.shape.n, i.input_c, i.input_h, i.input_w));
    put_shape(w, OPD1_SHAPE, Shape::new(i.input_c, i.shape.c, 0, 0));
    put_window(w, &i.window);
    put_dest(w, &i.result);
    put_input(w, &i.input);
    put_source(w, T::Opd1Const, T::Opd1Addr, i.weight);
    put_precision(w, T::Opd1Prec, i.input.dtype.precision);
    w.set(T::Opd1Sign, i.weight_signed.into());
    put_opd2(w, i.opd2, i.opd2_signed);
    put_precision(w, T::Opd2Prec, third_precision(i.input.dtype.precision, Precision::Int8, Precision::F32));
    put_source(w, T::Opd3Const, T::Opd3Addr, i.pad_value);
    w.set(T::ResAdd, i.accumulate.into()).set(T::Relu, i.relu.into()).set(T::TskOpdNum, 3);
    0
}

fn pool(i: &Pool, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, Shape::new(i.shape.n, i.shape.c, i.input_h, i.input_w));
    put_shape(w, OPD1_SHAPE, Shape::new(1, i.shape.c, 0, 0));
    put_window(w, &i.window);
    put_dest(w, &i.result);
    put_input(w, &i.input);
    put_source(w, T::Opd1Const, T::Opd1Addr, i.weight);
    put_precision(w, T::Opd1Prec, i.input.dtype.precision);
    w.set(T::Opd1Sign, i.weight_signed.into());
    put_opd2(w, i.opd2, i.opd2_signed);
    put_precision(
        w,
        T::Opd2Prec,
        third_precision(i.input.dtype.precision, Precision::Int32, i.input.dtype.precision),
    );
    put_source(w, T::Opd3Const, T::Opd3Addr, i.pad_value);
    w.set(T::Opd2NStr, i.rounding.code().into()).set(T::Res1Addr, i.roi.into()).set(T::TskOpdNum, 3);
    i.function.code()
}

fn mm2(i: &Mm2, w: &mut TiuWords) -> u8 {
    // The left factor as it is stored.
    let (left_c, left_w) = match i.function {
        Mm2Function::Nn | Mm2Function::Nt => (i.rows, i.inner()),
        Mm2Function::Tt => (i.inner(), i.cols),
    };
    put_shape(w, RES0_SHAPE, Shape::new(1, i.rows, 1, i.cols));
    put_shape(w, OPD0_SHAPE, Shape::new(1, left_c, 1, left_w));
    put_shape(w, OPD1_SHAPE, Shape::new(1, i.right_rows, 1, i.right_cols));
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put_source(w, T::Opd0Const, T::Opd0Addr, i.left);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, i.left_dtype);
    put_source(w, T::Opd1Const, T::Opd1Addr, i.right);
    put_precision(w, T::Opd1Prec, i.left_dtype.precision);
    w.set(T::Opd1Sign, i.right_signed.into());
    put_opd2(w, i.opd2, i.opd2_signed);
    put_precision(w, T::Opd2Prec, i.left_dtype.precision);
    w.set(T::ResAdd, i.accumulate.into()).set(T::TskOpdNum, 3);
    i.function.code()
}

fn mm(i: &Mm, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, Shape::new(i.left_rows, i.result_blocks, 1, i.result_width));
    put_shape(w, OPD0_SHAPE, Shape::new(i.left_rows, i.left_blocks, 1, i.left_width));
    put(w, T::Opd1W, i.left_last_width);
    w.set(T::LeftTran, i.left_transposed.into());
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put_source(w, T::Opd0Const, T::Opd0Addr, i.left);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, i.left_dtype);
    put(w, T::Opd1Addr, i.right_addr);
    put_precision(w, T::Opd1Prec, i.left_dtype.precision);
    w.set(T::Opd1Sign, i.right_signed.into());
    put_opd2(w, i.opd2, i.opd2_signed);
    put(w, T::Opd3Addr, i.opd3_addr);
    w.set(T::Opd2NStr, i.rounding.code().into()).set(T::ResAdd, i.accumulate.into()).set(T::TskOpdNum, 3);
    1
}

fn ar(i: &Ar, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, i.shape);
    put_dest(w, &i.result);
    let mut operand = |operand: Operand, [is_const, addr, precision, sign, code]: [T; 5], strides| {
        put_dtype(w, precision, sign, operand.dtype());
        match operand {
            Operand::Const { bits, .. } => put_source(w, is_const, addr, Source::Const(bits)),
            Operand::Tensor(tensor) => {
                put_source(w, is_const, addr, Source::Local(tensor.addr));
                put_layout(w, code, strides, tensor.layout);
            }
        }
    };
    operand(i.opd0, [T::Opd0Const, T::Opd0Addr, T::Opd0Prec, T::Opd0Sign, T::Opd0Str], OPD0_STRIDES);
    if let Some(opd1) = i.opd1 {
        operand(opd1, [T::Opd1Const, T::Opd1Addr, T::Opd1Prec, T::Opd1Sign, T::Opd1Str], OPD1_STRIDES);
    }
    if let Some(opd2) = i.opd2 {
        operand(opd2, [T::Opd2Const, T::Opd2Addr, T::Opd2Prec, T::Opd2Sign, T::Opd2Str], OPD2_STRIDES);
    }
    if i.opd1.is_some() {
        put_shape(w, OPD1_SHAPE, i.shape);
    }
    match i.function {
        ArFunction::Cast => w.set(T::Opd2Sign, i.result_signed.into()),
        _ => w,
    };
    w.set(
        T::Opd2NStr,
        match i.function {
            ArFunction::Div => i.iterations.into(),
            _ => i.rounding.code().into(),
        },
    );
    let generated = matches!(i.function, ArFunction::EuIndex | ArFunction::LaneIndex);
    let operands = if generated { 0 } else { 1 + u64::from(i.opd1.is_some()) + u64::from(i.opd2.is_some()) };
    w.set(T::TskOpdNum, operands);
    i.function.code()
}

fn is_float(params: &QuantParams) -> bool {
    match params {
        QuantParams::FloatTable(_) | QuantParams::Float { .. } | QuantParams::FloatDequant { .. } => true,
        QuantParams::IntTable(_) | QuantParams::Int { .. } => false,
    }
}

fn quant(
    w: &mut TiuWords,
    shape: Shape,
    result: (u32, DType),
    input: (u32, DType),
    params: &QuantParams,
    rounding: Rounding,
) {
    put_shape(w, RES0_SHAPE, shape);
    put_shape(w, OPD0_SHAPE, shape);
    put(w, T::Res0Addr, result.0);
    put_dtype(w, T::Res0Prec, T::Opd2Sign, result.1);
    put(w, T::Opd0Addr, input.0);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, input.1);
    let (is_const, opd1, opd2) = match *params {
        QuantParams::FloatTable(addr) | QuantParams::IntTable(addr) => (false, addr, 0),
        QuantParams::Float { scale, offset } => (true, scale.to_bits(), offset.to_bits()),
        QuantParams::FloatDequant { scale, zero_point } => (true, zero_point as u32, scale.to_bits()),
        QuantParams::Int { multiplier, shift, zero_point } => {
            (true, multiplier as u32, u32::from(shift as u8) | u32::from(zero_point as u16) << 16)
        }
    };
    w.set(T::Opd1Const, is_const.into());
    put(w, T::Opd1Addr, opd1);
    put(w, T::Opd2Addr, opd2);
    put_precision(w, T::Opd1Prec, if is_float(params) { Precision::F32 } else { Precision::Int32 });
    w.set(T::Opd2NStr, rounding.code().into()).set(T::TskOpdNum, 2);
}

fn trans_bc(i: &TransBc, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, Shape::new(i.shape.n, i.source_c, i.shape.h, i.source_w));
    put_precision(w, T::Res0Prec, i.precision);
    put_precision(w, T::Opd0Prec, i.precision);
    put(w, T::Res0Addr, i.result_addr);
    put(w, T::Opd0Addr, i.source_addr);
    w.set(T::TskOpdNum, 1);
    i.function.code()
}

fn sg(i: &Sg, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, Shape::new(i.shape.n, i.shape.c, i.table_h, i.table_w));
    put_shape(w, OPD1_SHAPE, Shape::new(1, i.index_c, 1, i.index_w));
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put(w, T::Opd0Addr, i.table_addr);
    put_precision(w, T::Opd0Prec, i.table_precision);
    w.set(T::Opd0Str, i.table_layout.into());
    put(w, T::Opd1Addr, i.index_addr);
    put_precision(w, T::Opd1Prec, i.index_precision);
    put_opd2(w, i.opd2, false);
    put_source(w, T::Opd3Const, T::Opd3Addr, i.opd3);
    put(w, T::Res1Addr, i.result1_addr);
    w.set(T::TskOpdNum, 2);
    i.function.code()
}

fn sgl(i: &Sgl, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, Shape::new(i.shape.n, i.shape.c, i.table_h, i.shape.w));
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.precision);
    put_precision(w, T::Opd0Prec, i.precision);
    put(w, T::Opd0Addr, i.table_addr);
    w.set(T::Opd0Str, i.table_layout.into());
    put(w, T::Opd1Addr, i.index_addr);
    put_precision(w, T::Opd1Prec, i.index_precision);
    put_opd2(w, i.opd2, false);
    w.set(T::Opd3Const, i.opd3_const.into());
    put(w, T::Res1Addr, i.result1_addr);
    w.set(T::TskOpdNum, 2);
    i.function.code()
}

fn lar(i: &Lar, w: &mut TiuWords) -> u8 {
    put(w, T::Res0C, i.result_c);
    put(w, T::Res0W, i.result_w);
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put(w, T::Opd0Addr, i.opd0_addr);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, i.opd0);
    put(w, T::Opd1Addr, i.opd1_addr);
    put_dtype(w, T::Opd1Prec, T::Opd1Sign, i.opd1);
    w.set(T::Opd0WStr, i.opd0_w_stride.into()).set(T::Opd1WStr, i.opd1_w_stride.into());
    put_opd2(w, i.opd2, false);
    w.set(T::Opd2NStr, i.rounding.code().into());
    w.set(T::TskOpdNum, i.operands.into()).set(T::StartTid, i.start_tid.into());
    i.function
}

fn sfu(i: &Sfu, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, i.shape);
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put(w, T::Opd0Addr, i.source_addr);
    put_precision(w, T::Opd0Prec, i.source_precision);
    put(w, T::Opd1Addr, i.table_addr);
    put_precision(w, T::Opd1Prec, i.source_precision);
    put_shape(w, OPD1_SHAPE, Shape::new(i.terms, 0, 0, 0));
    w.set(T::Opd2NStr, i.iterations.into());
    let taylor = matches!(i.function, SfuFunction::Taylor | SfuFunction::Taylor4x);
    w.set(T::TskOpdNum, 1 + u64::from(taylor));
    i.function.code()
}

fn lin(i: &Lin, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, i.shape);
    put_shape(w, OPD0_SHAPE, i.shape);
    put(w, T::Res0Addr, i.result_addr);
    for field in [T::Res0Prec, T::Opd0Prec, T::Opd1Prec, T::Opd2Prec] {
        put_precision(w, field, i.precision);
    }
    put(w, T::Opd0Addr, i.opd0_addr);
    put_source(w, T::Opd1Const, T::Opd1Addr, i.opd1);
    put_source(w, T::Opd2Const, T::Opd2Addr, i.opd2);
    w.set(T::TskOpdNum, if i.function == LinFunction::Mac { 3 } else { 2 });
    i.function.code()
}

fn cmp(i: &Cmp, w: &mut TiuWords) -> u8 {
    for shape in [RES0_SHAPE, OPD0_SHAPE, OPD1_SHAPE] {
        put_shape(w, shape, i.shape);
    }
    put(w, T::Res0Addr, i.result_addr);
    put(w, T::Res1Addr, i.result1_addr);
    put_precision(w, T::Res0Prec, i.result_precision());
    put_source(w, T::Opd0Const, T::Opd0Addr, i.opd0);
    put_source(w, T::Opd1Const, T::Opd1Addr, i.opd1);
    put_source(w, T::Opd2Const, T::Opd2Addr, i.opd2);
    put_source(w, T::Opd3Const, T::Opd3Addr, i.opd3);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, i.compared);
    put_dtype(w, T::Opd1Prec, T::Opd1Sign, i.compared);
    put_precision(w, T::Opd2Prec, i.selected);
    w.set(T::Opd0Str, i.opd0_broadcast.into()).set(T::Opd1Str, i.opd1_broadcast.into()).set(T::TskOpdNum, 3);
    i.function.code()
}

fn vc(i: &Vc, w: &mut TiuWords) -> u8 {
    put_shape(w, RES0_SHAPE, Shape::new(1, i.result_c, 1, i.result_w));
    put_shape(w, OPD0_SHAPE, Shape::new(1, i.left_c, 1, i.left_w));
    put(w, T::Opd1W, i.left_last_width);
    put(w, T::Res0Addr, i.result_addr);
    put_precision(w, T::Res0Prec, i.result_precision);
    put(w, T::Opd0Addr, i.left_addr);
    put_dtype(w, T::Opd0Prec, T::Opd0Sign, i.left);
    put(w, T::Opd1Addr, i.right_addr);
    put_dtype(w, T::Opd1Prec, T::Opd1Sign, i.right);
    put(w, T::Opd2Addr, i.opd2_addr);
    w.set(T::Opd2NStr, i.rounding.code().into()).set(T::TskOpdNum, 2);
    i.function.code()
}

/// The bytes of a DMA command: 96, or 16 for `Sys`.
///
/// `cmd_id` is its number in the DMA queue, from 1; `dep` the number of TIU commands that must be complete before it.
/// The first value that does not fit its field is the error.
pub fn try_encode_dma(inst: &Dma, cmd_id: u32, dep: u32) -> Result<Vec<u8>, EncodeError> {
    let (words, form) = dma_words(inst, cmd_id, dep);
    write_exactly(&words, form)
}

/// As [`try_encode_dma`] for an instruction whose values are known to fit (decoded ones do); others are cut.
pub fn encode_dma(inst: &Dma, cmd_id: u32, dep: u32) -> Vec<u8> {
    let (words, form) = dma_words(inst, cmd_id, dep);
    words.write(form)
}

fn dma_words(inst: &Dma, cmd_id: u32, dep: u32) -> (Words<D>, &'static Form<D>) {
    let mut w = Words::<D>::default();
    w.set(D::CmdId, cmd_id.into()).set(D::CmdIdDep, dep.into()).set(D::CmdIdEn, 1);
    let form = dma(inst, &mut w);
    (w, form)
}

fn dma(inst: &Dma, w: &mut Words<D>) -> &'static fields::Form<D> {
    match inst {
        Dma::Tensor(i) => {
            head(w, 0, i.function.code(), i.precision, &i.flags, i.fill);
            blocks(w, &i.source, &i.dest);
            &fields::DMA_BLOCK
        }
        Dma::Matrix(i) => {
            head(w, 1, i.transpose.into(), i.precision, &i.flags, i.fill);
            blocks(w, &i.source, &i.dest);
            &fields::DMA_BLOCK
        }
        Dma::MaskedSelect(i) => {
            head(w, 2, 0, i.precision, &i.flags, None);
            blocks(w, &i.source, &i.dest);
            w.set(D::MaskDataFormat, i.mask_precision.code().into()).set(D::MaskStartAddr, i.mask_addr);
            &fields::DMA_MASKED_SELECT
        }
        Dma::General(i) => {
            head(w, 3, i.broadcast.into(), i.precision, &i.flags, i.fill);
            w.set(D::SrcStartAddr, i.source_addr).set(D::DstStartAddr, i.dest_addr);
            w.set(D::SrcCstride, i.elements.into()).set(D::DstCsize, i.lanes.into());
            &fields::DMA_BLOCK
        }
        Dma::CwTranspose(i) => {
            head(w, 4, 0, i.precision, &i.flags, i.fill);
            blocks(w, &i.source, &i.dest);
            &fields::DMA_BLOCK
        }
        Dma::Nonzero(i) => {
            head(w, 5, 0, i.precision, &i.flags, None);
            blocks(w, &i.source, &i.dest);
            w.set(D::IndexDataFormat, i.index_precision.code().into());
            &fields::DMA_NONZERO
        }
        Dma::Sys(i) => {
            w.set(D::CmdShort, 1).set(D::CmdType, 6);
            w.set(D::CmdSpecialFunction, i.function.code().into()).set(D::ConstantValue, i.constant.into());
            &fields::DMA_SYS
        }
        Dma::Gather(i) => indexed(w, 7, i),
        Dma::Scatter(i) => indexed(w, 8, i),
    }
}

fn head(w: &mut Words<D>, kind: u64, function: u8, precision: Precision, flags: &DmaFlags, fill: Option<u32>) {
    w.set(D::CmdType, kind).set(D::CmdSpecialFunction, function.into());
    w.set(D::SrcDataFormat, precision.code().into());
    w.set(D::StrideEnable, flags.stride_enable.into()).set(D::NchwCopy, flags.nchw_copy.into());
    w.set(D::DecompressEnable, flags.decompress.into()).set(D::LocalmemMask, flags.lane_mask);
    w.set(D::FillConstantEn, fill.is_some().into()).set(D::ConstantValue, fill.unwrap_or(0).into());
}

fn blocks(w: &mut Words<D>, source: &DmaBlock, dest: &DmaBlock) {
    let mut block = |block: &DmaBlock, fields: [D; 9]| {
        let (size, stride) = (block.shape, block.strides);
        let small = [size.n, size.c, size.h, size.w, stride.n, stride.c, stride.h, stride.w].map(u64::from);
        w.set(fields[0], block.addr);
        for (field, value) in fields[1..].iter().zip(small) {
            w.set(*field, value);
        }
    };
    block(
        source,
        [
            D::SrcStartAddr,
            D::SrcNsize,
            D::SrcCsize,
            D::SrcHsize,
            D::SrcWsize,
            D::SrcNstride,
            D::SrcCstride,
            D::SrcHstride,
            D::SrcWstride,
        ],
    );
    block(
        dest,
        [
            D::DstStartAddr,
            D::DstNsize,
            D::DstCsize,
            D::DstHsize,
            D::DstWsize,
            D::DstNstride,
            D::DstCstride,
            D::DstHstride,
            D::DstWstride,
        ],
    );
}

fn indexed(w: &mut Words<D>, kind: u64, i: &DmaIndexed) -> &'static fields::Form<D> {
    head(w, kind, 0, i.precision, &i.flags, None);
    w.set(D::ConstantValue, i.constant.into());
    let (source, dest, index) = (&i.source, &i.dest, &i.index);
    w.set(D::SrcStartAddr, source.addr).set(D::DstStartAddr, dest.addr).set(D::IndexStartAddr, index.addr);
    for (field, value) in [
        (D::SrcCsize, source.c),
        (D::SrcHsize, source.h),
        (D::SrcWsize, source.w),
        (D::SrcCstride, source.c_stride),
        (D::SrcHstride, source.h_stride),
        (D::DstCsize, dest.c),
        (D::DstHsize, dest.h),
        (D::DstWsize, dest.w),
        (D::DstCstride, dest.c_stride),
        (D::DstHstride, dest.h_stride),
        (D::IndexCsize, index.c),
        (D::IndexHsize, index.h),
        (D::IndexCstride, index.c_stride),
        (D::IndexHstride, index.h_stride),
    ] {
        w.set(field, value.into());
    }
    &fields::DMA_INDEXED
}
