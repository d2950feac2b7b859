//! Convolutions, pools, products, arithmetic and casts of floats.

use super::{Places, Report, ar_case, lane, layout, name, window};
use crate::cmodel::{Pair, Values};
use tpuc_isa::bm1684x::*;

const F16: DType = DType::new(Precision::F16, true);
const BF16: DType = DType::new(Precision::Bf16, true);
const FLOATS: [DType; 3] = [DType::F32, F16, BF16];

pub fn run(pair: &mut Pair, report: &mut Report) {
    for _ in 0..60 {
        for dtype in FLOATS {
            convolution(pair, report, dtype);
            pooling(pair, report, dtype);
        }
        product_f32(pair, report);
        for dtype in [F16, BF16] {
            product(pair, report, dtype);
        }
    }
    for _ in 0..25 {
        arithmetic(pair, report);
    }
}

fn convolution(pair: &mut Pair, report: &mut Report, dtype: DType) {
    let r = &mut pair.random;
    let shape = Shape::new(r.pick(&[1, 1, 2]), r.pick(&[1, 5, 64, 65, 130]), r.pick(&[1, 2, 5]), r.pick(&[1, 3, 7, 16]));
    let input_c = r.pick(&[1, 3, 24, 32, 33, 64, 65, 100]);
    let (window, input_h, input_w) = window(pair, (shape.h, shape.w), if input_c > 30 { 2 } else { 4 }, true);
    let mut places = Places::new(lane(pair));
    let input_shape = Shape::new(shape.n, input_c, input_h, input_w);
    let input_lane = if pair.random.bool() { places.lane } else { lane(pair) };
    let mut other = Places { next: 0, lane: input_lane };
    let input_layout = if pair.random.chance(3) { layout(pair, input_shape, dtype, input_lane, false) } else { Layout::Aligned };
    let addr = other.place(input_shape, dtype, input_layout);
    pair.fill(addr, input_shape, dtype, input_layout, Values::Plain);
    places.next = other.next;
    let cube = if dtype == DType::F32 { 1 } else { 32 };
    let weight_shape = Shape::new(1, shape.c, 1, input_c.next_multiple_of(cube) * window.kernel_h * window.kernel_w);
    let weight = places.place(weight_shape, dtype, Layout::Compact);
    pair.fill(weight, weight_shape, dtype, Layout::Compact, Values::Plain);
    let bias_shape = Shape::new(1, shape.c, 1, 1);
    let bias = places.place(bias_shape, DType::F32, Layout::Compact);
    pair.fill(bias, bias_shape, DType::F32, Layout::Compact, Values::Plain);
    let with_bias = pair.random.bool();
    let to = if pair.random.bool() { DType::F32 } else { dtype };
    let accumulate = to == DType::F32 && pair.random.bool();
    let result = Dest { addr: places.place(shape, to, Layout::Aligned), precision: to.precision, layout: Layout::Aligned };
    if accumulate {
        pair.fill(result.addr, shape, to, Layout::Aligned, Values::Plain);
    }
    let conv = Conv {
        shape,
        result,
        input: Tensor { addr, dtype, layout: input_layout },
        input_c,
        input_h,
        input_w,
        weight: Source::Local(weight),
        weight_signed: true,
        opd2: if with_bias { Source::Local(bias) } else { Source::Const(0) },
        opd2_signed: true,
        pad_value: Source::Const(if pair.random.bool() { 0 } else { pair.value(dtype, Values::Plain) }),
        window,
        accumulate,
        relu: false,
    };
    report.tiu(pair, format!("conv {} -> {} acc {accumulate} bias {with_bias}", name(dtype), name(to)), Tiu::Conv(conv));
}

fn pooling(pair: &mut Pair, report: &mut Report, dtype: DType) {
    use PoolFunction as F;
    for function in [F::Depthwise, F::Average, F::Max] {
        let r = &mut pair.random;
        let shape = Shape::new(r.pick(&[1, 1, 2]), r.pick(&[1, 5, 64, 65, 130]), r.pick(&[1, 2, 5]), r.pick(&[1, 3, 7, 16, 19]));
        let (window, input_h, input_w) = window(pair, (shape.h, shape.w), 5, function == F::Depthwise);
        let mut places = Places::new(lane(pair));
        let mut filled = |pair: &mut Pair, shape: Shape, layout: Layout| {
            let addr = places.place(shape, dtype, layout);
            pair.fill(addr, shape, dtype, layout, Values::Plain);
            addr
        };
        let addr = filled(pair, Shape::new(shape.n, shape.c, input_h, input_w), Layout::Aligned);
        let kernel = filled(pair, Shape::new(1, shape.c, window.kernel_h, window.kernel_w), Layout::Compact);
        let bias = filled(pair, Shape::new(1, shape.c, 1, 1), Layout::Compact);
        let with_bias = function == F::Depthwise && pair.random.bool();
        let weight = match function {
            F::Depthwise => Source::Local(kernel),
            F::Average => Source::Const(pair.value(dtype, Values::Plain)),
            _ => Source::Const(0),
        };
        let pad = if pair.random.bool() { 0 } else { pair.value(dtype, Values::Plain) };
        let result = Dest { addr: places.place(shape, dtype, Layout::Aligned), precision: dtype.precision, layout: Layout::Aligned };
        let pool = Pool {
            function,
            shape,
            result,
            input: Tensor { addr, dtype, layout: Layout::Aligned },
            input_h,
            input_w,
            weight,
            weight_signed: true,
            opd2: if with_bias { Source::Local(bias) } else { Source::Const(0) },
            opd2_signed: true,
            pad_value: Source::Const(pad),
            window,
            rounding: Rounding::HalfToEven,
            roi: 0,
        };
        report.tiu(pair, format!("{} {} bias {with_bias}", function.name(), name(dtype)), Tiu::PorD(pool));
    }
}

fn product_f32(pair: &mut Pair, report: &mut Report) {
    let r = &mut pair.random;
    let (rows, width, left_blocks) = (r.pick(&[1, 2, 5]), r.pick(&[1, 3, 16, 17]), r.pick(&[1, 2, 5]));
    let (last, result_blocks, result_width) = (1 + r.below(width), r.pick(&[1, 5, 64, 70]), r.pick(&[1, 2, 16, 20]));
    let depth = (left_blocks - 1) * width + last;
    let mut places = Places::new(lane(pair));
    let mut filled = |pair: &mut Pair, shape: Shape| {
        let addr = places.place(shape, DType::F32, Layout::Aligned);
        pair.fill(addr, shape, DType::F32, Layout::Aligned, Values::Plain);
        addr
    };
    let left = filled(pair, Shape::new(rows, left_blocks, 1, width));
    let right_addr = filled(pair, Shape::new(depth, result_blocks, 1, result_width));
    let bias = filled(pair, Shape::new(1, result_blocks, 1, result_width));
    let result_addr = places.place(Shape::new(rows, result_blocks, 1, result_width), DType::F32, Layout::Aligned);
    let with_bias = pair.random.bool();
    let inst = Mm {
        left_rows: rows,
        left_blocks,
        left_width: width,
        left_last_width: last,
        left_transposed: false,
        result_blocks,
        result_width,
        result_addr,
        result_precision: Precision::F32,
        left: Source::Local(left),
        left_dtype: DType::F32,
        right_addr,
        right_signed: true,
        opd2: if with_bias { Source::Local(bias) } else { Source::Const(0) },
        opd2_signed: true,
        opd3_addr: 0,
        rounding: Rounding::HalfToEven,
        accumulate: false,
    };
    report.tiu(pair, format!("mm f32 bias {with_bias}"), Tiu::Mm(inst));
}

fn product(pair: &mut Pair, report: &mut Report, dtype: DType) {
    for function in [Mm2Function::Nn, Mm2Function::Nt, Mm2Function::Tt] {
        let r = &mut pair.random;
        let (m, k, n) = (r.pick(&[1, 3, 64, 70]), r.pick(&[1, 7, 32, 65, 130]), r.pick(&[1, 5, 33, 100]));
        let (left, right, rows, cols) = match function {
            Mm2Function::Nn => ((m, k), (k, n), m, n),
            Mm2Function::Nt => ((m, k), (n, k), m, n),
            Mm2Function::Tt => ((k, m), (n, k), n, m),
        };
        let to = if r.bool() { DType::F32 } else { dtype };
        let accumulate = to == DType::F32 && r.bool();
        let mut places = Places::new(lane(pair));
        let mut filled = |pair: &mut Pair, (r, c): (u32, u32), dtype: DType| {
            let shape = Shape::new(1, r, 1, c);
            let addr = places.place(shape, dtype, Layout::Aligned);
            pair.fill(addr, shape, dtype, Layout::Aligned, Values::Plain);
            addr
        };
        let (left_addr, right_addr, result_addr) = (filled(pair, left, dtype), filled(pair, right, dtype), filled(pair, (rows, cols), to));
        let inst = Mm2 { function, rows, cols, right_rows: right.0, right_cols: right.1, result_addr, result_precision: to.precision, left: Source::Local(left_addr), left_dtype: dtype, right: Source::Local(right_addr), right_signed: true, opd2: Source::Const(0), opd2_signed: true, accumulate };
        report.tiu(pair, format!("{} {} -> {} acc {accumulate}", function.name(), name(dtype), name(to)), Tiu::Mm2(inst));
    }
}

fn arithmetic(pair: &mut Pair, report: &mut Report) {
    use ArFunction as F;
    let even = Rounding::HalfToEven;
    for dtype in FLOATS {
        for f in [F::Mul, F::Add, F::Sub, F::Max, F::Min] {
            let case = ar_case(pair, f, [Some(dtype), Some(dtype), None], [Values::Tiny; 3], dtype.precision, false, even);
            report.tiu(pair, format!("{} {} tiny", f.name(), name(dtype)), Tiu::Ar(case));
        }
    }
    for values in [Values::Plain, Values::Extreme] {
        for dtype in FLOATS {
            for f in [F::Mul, F::Add, F::Sub, F::Max, F::Min] {
                // Which of two NaN an f32 instruction hands on is the processor's affair.
                if dtype == DType::F32 && values == Values::Extreme && !matches!(f, F::Max | F::Min) {
                    continue;
                }
                let case = ar_case(pair, f, [Some(dtype), Some(dtype), None], [values; 3], dtype.precision, false, even);
                report.tiu(pair, format!("{} {} {values:?}", f.name(), name(dtype)), Tiu::Ar(case));
            }
            let case = ar_case(pair, F::Copy, [Some(dtype), None, None], [values; 3], dtype.precision, false, even);
            report.tiu(pair, format!("arith.copy {} {values:?}", name(dtype)), Tiu::Ar(case));
            for to in FLOATS {
                // Into the type that it has: to whole numbers, by any rule.
                let rounding = if to == dtype { pair.random.pick(&Rounding::ALL[..5]) } else { even };
                let case = ar_case(pair, F::Cast, [Some(dtype), None, None], [values; 3], to.precision, to.signed, rounding);
                report.tiu(pair, format!("arith.cast {} -> {} {values:?}", name(dtype), name(to)), Tiu::Ar(case));
            }
            for to in [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32] {
                let rounding = pair.random.pick(&Rounding::ALL[..5]);
                let case = ar_case(pair, F::Cast, [Some(dtype), None, None], [values; 3], to.precision, to.signed, rounding);
                report.tiu(pair, format!("arith.cast {} -> {} {} {values:?}", name(dtype), name(to), rounding.name()), Tiu::Ar(case));
                // How an i32 becomes bf16 where it is not exact is not known.
                let small = if to == DType::I32 && dtype == BF16 { Values::Within(-256, 256) } else { values };
                let case = ar_case(pair, F::Cast, [Some(to), None, None], [small; 3], dtype.precision, false, even);
                report.tiu(pair, format!("arith.cast {} -> {} {values:?}", name(to), name(dtype)), Tiu::Ar(case));
            }
        }
    }
}
