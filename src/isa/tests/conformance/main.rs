//! Every instruction that the executor knows, on random operands, against the vendor's functional model, bit by bit.
#![allow(clippy::unwrap_used)]

mod cmodel;
mod dma;
mod float;

use cmodel::{Pair, Values};
use std::collections::BTreeMap;
use tpuc_isa::bm1684x::*;

/// Agreements and differences by the kind of case.
#[derive(Default)]
struct Report {
    lines: BTreeMap<String, (usize, usize, String)>,
    /// Kinds by whether the model runs them.
    accepted: BTreeMap<String, bool>,
}

impl Report {
    /// Runs a case of a kind that the model runs.
    fn tiu(&mut self, pair: &mut Pair, key: String, inst: Tiu) {
        let accepted = self.accepted.entry(key.clone()).or_insert_with(|| pair.accepts_tiu(&inst));
        if *accepted {
            if std::env::var_os("TPUC_TRACE").is_some() {
                eprintln!("{key}: {inst:?}");
            }
            let result = pair.try_tiu(&inst);
            self.add(key, &inst, result);
        }
    }

    fn dma(&mut self, pair: &mut Pair, key: String, inst: Dma) {
        let accepted = self.accepted.entry(key.clone()).or_insert_with(|| pair.accepts_dma(&inst));
        if *accepted {
            if std::env::var_os("TPUC_TRACE").is_some() {
                eprintln!("{key}: {inst:?}");
            }
            let result = pair.try_dma(&inst);
            self.add(key, &inst, result);
        }
    }

    fn add(&mut self, key: String, inst: &dyn std::fmt::Debug, result: Result<(), String>) {
        let line = self.lines.entry(key).or_default();
        match result {
            Ok(()) => line.0 += 1,
            Err(text) => {
                line.1 += 1;
                if line.2.is_empty() {
                    line.2 = format!("{inst:?}\n{text}");
                }
            }
        }
    }

    fn print(&self, verbose: bool) -> usize {
    let mut bad = 0;
        for (key, (agreed, different, text)) in &self.lines {
            if *different > 0 {
                bad += 1;
                println!("{key}: {agreed} agree, {different} differ{}", if verbose { format!("\n{text}") } else { String::new() });
            }
        }
        println!("{} kinds, {} cases agree, {bad} kinds differ, not run: {:?}", self.lines.len(), self.lines.values().map(|l| l.0).sum::<usize>(), self.accepted.iter().filter(|a| !a.1).map(|a| a.0).collect::<Vec<_>>());
        bad
    }
}

/// Hands out places in the compared window of every lane.
#[derive(Clone)]
struct Places {
    next: u32,
    lane: u32,
}

impl Places {
    fn new(lane: u32) -> Places {
        Places { next: 0, lane }
    }

    fn place(&mut self, shape: Shape, dtype: DType, layout: Layout) -> u32 {
        let s = layout.strides(shape, dtype.precision, self.lane);
        let blocks = (self.lane + shape.c).div_ceil(64);
        let last = (shape.n - 1) * s.n + blocks.saturating_sub(1) * s.c + (shape.h - 1) * s.h + (shape.w - 1) * s.w + 1;
        let at = self.next;
        self.next = (at + last * dtype.bytes()).next_multiple_of(64);
        assert!((self.next as usize) < cmodel::WINDOW, "the window is too small for {shape:?} {layout:?}");
        local_address(self.lane, at)
    }
}

fn shape(pair: &mut Pair) -> Shape {
    let r = &mut pair.random;
    let (n, c) = (r.pick(&[1, 1, 1, 2, 3]), r.pick(&[1, 3, 5, 64, 65, 100, 130]));
    Shape::new(n, c, r.pick(&[1, 1, 2, 3, 7]), r.pick(&[1, 2, 5, 16, 17, 33]))
}

/// Aligned, or free strides of any kind that makes sense for an operand that is read.
fn layout(pair: &mut Pair, shape: Shape, dtype: DType, lane: u32, read: bool) -> Layout {
    let r = &mut pair.random;
    let full = Layout::Aligned.strides(shape, dtype.precision, lane);
    match r.below(4) {
        0 | 1 => Layout::Aligned,
        2 if read => {
            let mut pick = |v: u32| if r.bool() { 0 } else { v };
            Layout::Free(Strides::new(pick(full.n), pick(full.c), pick(full.h), pick(1)))
        }
        2 => Layout::Free(full),
        _ => {
            let w = r.range(1, 3) as u32;
            let h = shape.w * w + r.below(3);
            let c = shape.h * h + r.below(3);
            let blocks = (lane + shape.c).div_ceil(64);
            Layout::Free(Strides::new(blocks * c + r.below(3), c, h, w))
        }
    }
}

const INTS: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32];

fn name(d: DType) -> String {
    format!("{}{}", if d.signed { "" } else { "u" }, d.precision.name())
}

/// An operand filled with values.
fn operand(pair: &mut Pair, places: &mut Places, shape: Shape, dtype: DType, values: Values) -> Operand {
    if pair.random.chance(4) {
        return Operand::Const { bits: pair.value(dtype, values), dtype };
    }
    let lane = places.lane;
    let layout = layout(pair, shape, dtype, lane, true);
    let addr = places.place(shape, dtype, layout);
    pair.fill(addr, shape, dtype, layout, values);
    Operand::Tensor(Tensor { addr, dtype, layout })
}

fn dest(pair: &mut Pair, places: &mut Places, shape: Shape, precision: Precision) -> Dest {
    let dtype = DType::new(precision, true);
    let lane = places.lane;
    let layout = layout(pair, shape, dtype, lane, false);
    Dest { addr: places.place(shape, dtype, layout), precision, layout }
}

fn lane(pair: &mut Pair) -> u32 {
    pair.random.pick(&[0, 0, 0, 1, 37, 63])
}

fn ar_case(pair: &mut Pair, function: ArFunction, types: [Option<DType>; 3], values: [Values; 3], result: Precision, signed: bool, rounding: Rounding) -> Ar {
    let shape = shape(pair);
    let mut places = Places::new(lane(pair));
    let mut opd = |pair: &mut Pair, i: usize| types[i].map(|t| operand(pair, &mut places, shape, t, values[i]));
    let (opd0, opd1) = (opd(pair, 0), opd(pair, 1));
    let opd2 = opd(pair, 2).map(|o| match o {
        // The third operand has no free strides.
        Operand::Tensor(t) if t.layout != Layout::Aligned || function == ArFunction::MulSaturate => Operand::Const { bits: pair.value(t.dtype, values[2]), dtype: t.dtype },
        o => o,
    });
    let result = dest(pair, &mut places, shape, result);
    let iterations = if function == ArFunction::Div { 2 } else { 0 };
    Ar { function, shape, result, opd0: opd0.unwrap(), opd1, opd2, result_signed: signed, rounding, iterations }
}


fn arithmetic(pair: &mut Pair, report: &mut Report) {
    use ArFunction as F;
    let plain = [Values::Plain; 3];
    for _ in 0..25 {
        // Integers.
        let (a, b, result) = (pair.random.pick(INTS), pair.random.pick(INTS), pair.random.pick(INTS));
        let key = |f: F| format!("{} {} {} -> {}", f.name(), name(a), name(b), result.precision.name());
        for f in [F::Mul, F::Add, F::Sub, F::Max, F::Min, F::AddSaturate, F::SubSaturate, F::MulSaturate] {
            let case = ar_case(pair, f, [Some(a), Some(b), None], plain, result.precision, false, Rounding::HalfToEven);
            report.tiu(pair, key(f), Tiu::Ar(case));
        }
        for f in [F::And, F::Or, F::Xor] {
            let case = ar_case(pair, f, [Some(a), Some(a), None], plain, a.precision, false, Rounding::HalfToEven);
            report.tiu(pair, key(f), Tiu::Ar(case));
        }
        for f in [F::MulSaturate] {
            let rounding = pair.random.pick(Rounding::ALL);
            let values = [Values::Plain, Values::Plain, Values::Within(-20, 8)];
            let shift = pair.random.pick(&[DType::I8, DType::U8]);
            let b = pair.random.pick(&[DType::I8, DType::U8]);
            let a = pair.random.pick(&[DType::I8, DType::U8]);
            let result = DType::I16;
            let case = ar_case(pair, f, [Some(a), Some(b), Some(shift)], values, result.precision, false, rounding);
            report.tiu(pair, format!("{} >> {} {}", key(f), name(shift), rounding.name()), Tiu::Ar(case));
        }
        let case = ar_case(pair, F::Copy, [Some(a), None, None], plain, a.precision, false, Rounding::HalfToEven);
        report.tiu(pair, format!("arith.copy {}", name(a)), Tiu::Ar(case));
        let case = ar_case(pair, F::Cast, [Some(a), None, None], plain, result.precision, result.signed, Rounding::HalfToEven);
        report.tiu(pair, format!("arith.cast {} -> {}", name(a), name(result)), Tiu::Ar(case));
        // Quotients, of all magnitudes and any number of iterations.
        for values in [Values::Plain, Values::Wild] {
            let mut case = ar_case(pair, F::Div, [Some(DType::F32), Some(DType::F32), None], [values; 3], Precision::F32, false, Rounding::HalfToEven);
            case.iterations = pair.random.below(4) as u8;
            report.tiu(pair, format!("arith.div f32 {values:?}"), Tiu::Ar(case));
        }
        // f32.
        for f in [F::Mul, F::Add, F::Sub, F::Max, F::Min] {
            let case = ar_case(pair, f, [Some(DType::F32), Some(DType::F32), None], plain, Precision::F32, false, Rounding::HalfToEven);
            report.tiu(pair, format!("{} f32", f.name()), Tiu::Ar(case));
        }
        let to = pair.random.pick(&[DType::I8, DType::U8, DType::I32]);
        let rounding = pair.random.pick(&Rounding::ALL[..5]);
        let case = ar_case(pair, F::Cast, [Some(DType::F32), None, None], plain, to.precision, to.signed, rounding);
        report.tiu(pair, format!("arith.cast f32 -> {} {}", name(to), rounding.name()), Tiu::Ar(case));
    }
}

fn requantization(pair: &mut Pair, report: &mut Report) {
    for _ in 0..80 {
        let shape = shape(pair);
        let lane = lane(pair);
        let mut places = Places::new(lane);
        let rounding = pair.random.pick(Rounding::ALL);
        let result = pair.random.pick(&INTS[..4]);
        for kind in [0, 1, 4, 5] {
            let mut places = places.clone();
            let input = if kind == 2 && pair.random.bool() { DType::F32 } else if kind >= 4 { pair.random.pick(&INTS[..4]) } else { DType::I32 };
            let to = if kind >= 4 && kind < 6 { DType::F32 } else { result };
            let input_addr = places.place(shape, input, Layout::Aligned);
            let wide = if input.precision == Precision::Int32 { Values::Within(-200_000, 200_000) } else { Values::Plain };
            pair.fill(input_addr, shape, input, Layout::Aligned, wide);
            let result_addr = places.place(shape, to, Layout::Aligned);
            let records = |pair: &mut Pair, places: &mut Places, words: u32| {
                let shape = Shape::new(1, shape.c, 1, words);
                let addr = places.place(shape, DType::I32, Layout::Aligned);
                // Three columns with their own ranges.
                for (column, values) in [(0, Values::Within(-300_000, 300_000)), (1, Values::Within(-30, -1)), (2, Values::Within(-100, 100))].into_iter().take(words as usize) {
                    let one = Layout::Free(Layout::Aligned.strides(shape, Precision::Int32, lane));
                    pair.fill(addr + 4 * column, Shape { w: 1, ..shape }, DType::I32, one, values);
                }
                addr
            };
            let scale = (pair.random.unit() - 0.5) * 0.1;
            let zero_point = pair.random.range(-100, 100);
            let (name_of, params) = match kind {
                0 => ("rq int table", QuantParams::IntTable(records(pair, &mut places, 3))),
                1 => ("rq int", QuantParams::Int { multiplier: pair.random.range(-300_000, 300_000) as i32, shift: pair.random.range(-30, -1) as i8, zero_point: zero_point as i16 }),
                2 => ("rq float", QuantParams::Float { scale, offset: zero_point as f32 / 2.0 }),
                3 | 5 => {
                    let shape = Shape::new(1, shape.c, 1, 2);
                    let addr = places.place(shape, DType::F32, Layout::Aligned);
                    let one = Layout::Free(Layout::Aligned.strides(shape, Precision::F32, lane));
                    let (first, second) = if kind == 3 { (DType::F32, DType::F32) } else { (DType::I32, DType::F32) };
                    pair.fill(addr, Shape { w: 1, ..shape }, first, one, Values::Within(-9, 9));
                    pair.fill(addr + 4, Shape { w: 1, ..shape }, second, one, Values::Plain);
                    (if kind == 3 { "rq float table" } else { "dq float table" }, QuantParams::FloatTable(addr))
                }
                4 => ("dq float", QuantParams::FloatDequant { scale, zero_point: zero_point as i32 }),
                6 => ("dq int table", QuantParams::IntTable(records(pair, &mut places, 3))),
                _ => ("dq int", QuantParams::Int { multiplier: pair.random.range(-300, 300) as i32, shift: pair.random.range(-20, 3) as i8, zero_point: zero_point as i16 }),
            };
            let inst = match kind {
                0..4 => Tiu::Rq(Rq { shape, result_addr, result: to, input_addr, input, params, rounding }),
                _ => Tiu::Dq(Dq { shape, result_addr, result: to, input_addr, input, params, rounding }),
            };
            report.tiu(pair, format!("{name_of} {} -> {} {}", name(input), name(to), rounding.name()), inst);
        }
        places.next = 0;
    }
}

/// A window, and the input's extent that gives `out` results.
fn window(pair: &mut Pair, out: (u32, u32), most: u32, dilated: bool) -> (Window, u32, u32) {
    let r = &mut pair.random;
    loop {
        let mut w = Window::new(1 + r.below(most), 1 + r.below(most));
        (w.stride_h, w.stride_w) = (r.pick(&[1, 1, 2, 3]), r.pick(&[1, 1, 2, 3]));
        if dilated {
            (w.kernel_insert_h, w.kernel_insert_w) = (r.pick(&[0, 0, 1]), r.pick(&[0, 0, 1]));
        }
        let (reach_h, reach_w) = ((w.kernel_h - 1) * (w.kernel_insert_h + 1) + 1, (w.kernel_w - 1) * (w.kernel_insert_w + 1) + 1);
        if r.bool() {
            (w.pad_top, w.pad_bottom) = (r.below(reach_h.min(4)), r.below(reach_h.min(4)));
            (w.pad_left, w.pad_right) = (r.below(reach_w.min(4)), r.below(reach_w.min(4)));
        }
        // Sometimes rows and columns that no window needs.
        let h = (out.0 - 1) * w.stride_h + reach_h + r.below(w.stride_h);
        let v = (out.1 - 1) * w.stride_w + reach_w + r.below(w.stride_w);
        if h > w.pad_top + w.pad_bottom && v > w.pad_left + w.pad_right {
            return (w, h - w.pad_top - w.pad_bottom, v - w.pad_left - w.pad_right);
        }
    }
}

fn convolution(pair: &mut Pair, report: &mut Report) {
    for _ in 0..250 {
        let r = &mut pair.random;
        let shape = Shape::new(r.pick(&[1, 1, 2]), r.pick(&[1, 5, 64, 65, 130]), r.pick(&[1, 2, 5]), r.pick(&[1, 3, 7, 16, 19]));
        let input_c = r.pick(&[1, 3, 24, 64, 65, 100, 192]);
        let (window, input_h, input_w) = window(pair, (shape.h, shape.w), if input_c > 100 { 2 } else { 4 }, true);
        let mut places = Places::new(lane(pair));
        let input_type = pair.random.pick(&[DType::I8, DType::U8]);
        let input_shape = Shape::new(shape.n, input_c, input_h, input_w);
        let input_lane = if pair.random.bool() { places.lane } else { lane(pair) };
        let layout = match pair.random.chance(3) {
            true => layout(pair, input_shape, input_type, input_lane, false),
            false => Layout::Aligned,
        };
        let mut other = Places { next: 0, lane: input_lane };
        let input_addr = other.place(input_shape, input_type, layout);
        pair.fill(input_addr, input_shape, input_type, layout, Values::Plain);
        places.next = other.next;
        let filter = input_c.div_ceil(64) * window.kernel_h * window.kernel_w * 64;
        let weight_shape = Shape::new(1, shape.c, 1, filter);
        let weight = places.place(weight_shape, DType::I8, Layout::Aligned);
        pair.fill(weight, weight_shape, DType::I8, Layout::Aligned, Values::Plain);
        let result = Dest { addr: places.place(shape, DType::I32, Layout::Aligned), precision: Precision::Int32, layout: Layout::Aligned };
        let accumulate = pair.random.bool();
        let weight_signed = pair.random.bool();
        let conv = Conv {
            shape,
            result,
            input: Tensor { addr: input_addr, dtype: input_type, layout },
            input_c,
            input_h,
            input_w,
            weight: Source::Local(weight),
            weight_signed,
            opd2: Source::Const(0),
            opd2_signed: weight_signed,
            pad_value: Source::Const(if pair.random.bool() { 0 } else { pair.random.below(256) }),
            window,
            accumulate,
            relu: false,
        };
        report.tiu(pair, format!("conv {} x {} acc {accumulate} lanes {}", name(input_type), name(DType::new(Precision::Int8, weight_signed)), input_lane == places.lane), Tiu::Conv(conv));
    }
}

fn pooling(pair: &mut Pair, report: &mut Report) {
    use PoolFunction as F;
    for _ in 0..120 {
        for function in [F::Depthwise, F::Average, F::Max] {
            let r = &mut pair.random;
            let shape = Shape::new(r.pick(&[1, 1, 2]), r.pick(&[1, 5, 64, 65, 130]), r.pick(&[1, 2, 5]), r.pick(&[1, 3, 7, 16, 19]));
            let dtype = if function == F::Depthwise { r.pick(&[DType::I8, DType::U8]) } else { r.pick(&[DType::I8, DType::U8, DType::F32]) };
            let (window, input_h, input_w) = window(pair, (shape.h, shape.w), 5, function == F::Depthwise);
            let float = dtype.precision.is_float();
            let to = match function {
                F::Depthwise => pair.random.pick(&[Precision::Int32, Precision::Int8]),
                F::Average if !float => Precision::Int8,
                _ => dtype.precision,
            };
            let mut places = Places::new(lane(pair));
            let input_shape = Shape::new(shape.n, shape.c, input_h, input_w);
            let input_addr = places.place(input_shape, dtype, Layout::Aligned);
            pair.fill(input_addr, input_shape, dtype, Layout::Aligned, Values::Plain);
            let weight_signed = pair.random.bool();
            let mut opd2_signed = true;
            let (weight, opd2) = match function {
                F::Depthwise => {
                    let kernel = Shape::new(1, shape.c, window.kernel_h, window.kernel_w);
                    let addr = places.place(kernel, DType::I8, Layout::Compact);
                    let values = if to == Precision::Int8 { Values::Within(0, 2) } else { Values::Plain };
                    pair.fill(addr, kernel, DType::I8, Layout::Compact, values);
                    let bias = Shape::new(1, shape.c, 1, 1);
                    let bias_addr = places.place(bias, DType::I32, Layout::Compact);
                    pair.fill(bias_addr, bias, DType::I32, Layout::Compact, Values::Within(-100_000, 100_000));
                    opd2_signed = true;
                    (Source::Local(addr), if pair.random.bool() { Source::Local(bias_addr) } else { Source::Const(0) })
                }
                F::Average if float => (Source::Const(pair.value(dtype, Values::Plain)), Source::Const(0)),
                F::Average => (Source::Const(pair.random.below(256)), Source::Const(pair.random.below(12))),
                _ => (Source::Const(0), Source::Const(0)),
            };
            let result = Dest { addr: places.place(shape, DType::new(to, true), Layout::Aligned), precision: to, layout: Layout::Aligned };
            let pad = if function == F::Max && !float { pair.random.below(256) } else if float { pair.value(dtype, Values::Plain) } else { 0 };
            let rounding = Rounding::HalfUp;
            let pool = Pool { function, shape, result, input: Tensor { addr: input_addr, dtype, layout: Layout::Aligned }, input_h, input_w, weight, weight_signed, opd2, opd2_signed, pad_value: Source::Const(pad), window, rounding, roi: 0 };
            let more = match function {
                F::Depthwise => format!("w {} bias {} {opd2_signed}", weight_signed, matches!(opd2, Source::Local(_))),
                F::Average if !float => format!("w {weight_signed} {}", rounding.name()),
                _ => String::new(),
            };
            report.tiu(pair, format!("{} {} -> {} {more}", function.name(), name(dtype), to.name()), Tiu::PorD(pool));
        }
    }
    // Large windows along one side.
    for _ in 0..40 {
        let r = &mut pair.random;
        let long = r.range(6, 300) as u32;
        let across = r.bool();
        let shape = Shape::new(1, r.pick(&[1, 3, 64, 70]), if across { r.pick(&[1, 2, 3]) } else { 1 }, if across { 1 } else { r.pick(&[1, 2, 3]) });
        let (function, dtype) = (r.pick(&[F::Max, F::Average]), r.pick(&[DType::I8, DType::U8]));
        let (input_h, input_w) = if across { (shape.h, long) } else { (long, shape.w) };
        let window = if across { Window::new(1, long) } else { Window::new(long, 1) };
        let mut places = Places::new(lane(pair));
        let input_shape = Shape::new(1, shape.c, input_h, input_w);
        let addr = places.place(input_shape, dtype, Layout::Aligned);
        pair.fill(addr, input_shape, dtype, Layout::Aligned, Values::Plain);
        let float = dtype.precision.is_float();
        let weight = if float { Source::Const(1.0f32.to_bits()) } else { Source::Const(77) };
        let opd2 = if float || function == F::Max { Source::Const(0) } else { Source::Const(13) };
        let result = Dest { addr: places.place(shape, dtype, Layout::Aligned), precision: dtype.precision, layout: Layout::Aligned };
        let pool = Pool { function, shape, result, input: Tensor { addr, dtype, layout: Layout::Aligned }, input_h, input_w, weight, weight_signed: dtype.signed, opd2, opd2_signed: true, pad_value: Source::Const(0), window, rounding: Rounding::HalfUp, roi: 0 };
        report.tiu(pair, format!("{} long {} {}", function.name(), name(dtype), if across { "w" } else { "h" }), Tiu::PorD(pool));
    }
}

fn matrices(pair: &mut Pair, report: &mut Report) {
    for _ in 0..60 {
        for function in [Mm2Function::Nn, Mm2Function::Nt, Mm2Function::Tt] {
            let r = &mut pair.random;
            let (m, k, n) = (r.pick(&[1, 3, 64, 70]), r.pick(&[1, 7, 65, 130]), r.pick(&[1, 5, 33, 100]));
            let (left_dtype, right_signed, accumulate) = (r.pick(&[DType::I8, DType::U8]), r.bool(), r.bool());
            let to = Precision::Int32;
            let (left, right, rows, cols) = match function {
                Mm2Function::Nn => ((m, k), (k, n), m, n),
                Mm2Function::Nt => ((m, k), (n, k), m, n),
                Mm2Function::Tt => ((k, m), (n, k), n, m),
            };
            let mut places = Places::new(lane(pair));
            let mut factor = |pair: &mut Pair, (r, c): (u32, u32)| {
                let shape = Shape::new(1, r, 1, c);
                let addr = places.place(shape, DType::I8, Layout::Aligned);
                pair.fill(addr, shape, DType::I8, Layout::Aligned, Values::Plain);
                addr
            };
            let (left_addr, right_addr) = (factor(pair, left), factor(pair, right));
            let result_addr = places.place(Shape::new(1, rows, 1, cols), DType::new(to, true), Layout::Aligned);
            let inst = Mm2 { function, rows, cols, right_rows: right.0, right_cols: right.1, result_addr, result_precision: to, left: Source::Local(left_addr), left_dtype, right: Source::Local(right_addr), right_signed, opd2: Source::Const(0), opd2_signed: right_signed, accumulate };
            report.tiu(pair, format!("{} {} {right_signed} -> {} acc {accumulate}", function.name(), name(left_dtype), to.name()), Tiu::Mm2(inst));
        }
    }
}

fn lanes(pair: &mut Pair, report: &mut Report) {
    use TransBcFunction as F;
    for index in 0..1024 {
        let word = (index as u32).wrapping_mul(0x9E37_79B9);
        pair.machine.memory.statics[4 * index..4 * index + 4].copy_from_slice(&word.to_le_bytes());
    }
    for _ in 0..60 {
        for function in [F::CwTranspose, F::WcTranspose, F::LaneCopy, F::LaneBroadcast] {
            let mut shape = shape(pair);
            let precision = pair.random.pick(&[Precision::Int8, Precision::Int16, Precision::Int32, Precision::F32, Precision::F16]);
            let dtype = DType::new(precision, true);
            let (first, second) = (lane(pair), lane(pair));
            let transpose = matches!(function, F::CwTranspose | F::WcTranspose);
            if transpose {
                shape.n = 1;
                shape.c = shape.c.min(65);
            }
            if function == F::LaneBroadcast {
                shape.c = shape.c.min(64 - second);
            }
            let (source_c, source_w) = if transpose { (shape.w, shape.c) } else if function == F::LaneBroadcast { (1, shape.w) } else { (shape.c, shape.w) };
            let eu = 64 / precision.bytes();
            let big = |s: Shape| Shape { w: s.w.next_multiple_of(eu), ..s };
            let mut places = Places::new(first);
            let source = Shape::new(shape.n, source_c, shape.h, source_w);
            let source_addr = places.place(big(source), dtype, Layout::Aligned);
            pair.fill(source_addr, big(source), dtype, Layout::Aligned, Values::Plain);
            places.lane = if transpose { first } else { second };
            let result_addr = places.place(big(shape), dtype, Layout::Aligned);
            let inst = TransBc { function, shape, precision, result_addr, source_addr, source_c, source_w };
            report.tiu(pair, format!("{} {} lanes {}", function.name(), precision.name(), first == places.lane), Tiu::TransBc(inst));
        }
    }
}

fn tables(pair: &mut Pair, report: &mut Report) {
    use SgFunction as F;
    for _ in 0..60 {
        for function in [F::LaneGather, F::LaneGatherHzd, F::LaneScatter, F::LaneScatterHzd] {
            let scatter = matches!(function, F::LaneScatter | F::LaneScatterHzd);
            let r = &mut pair.random;
            let precision = r.pick(&[Precision::Int8, Precision::Int16, Precision::F16, Precision::Int32, Precision::F32]);
            let index_precision = Precision::Int8;
            let shape = Shape::new(1, r.pick(&[1, 5, 64, 70]), 1, r.pick(&[1, 9, 64, 200]));
            let indices = if scatter { 1 } else { shape.w };
            let table_layout = if scatter { 0 } else { 4 };
            let table_w = if scatter { 1 } else { 256 };
            let dtype = DType::new(precision, true);
            let mut places = Places::new(lane(pair));
            let table_shape = if table_layout == 4 { Shape::new(1, 64, 1, table_w) } else { Shape::new(shape.n, shape.c, 1, table_w) };
            if table_layout == 4 && places.lane != 0 {
                places.lane = 0;
            }
            let table_addr = places.place(table_shape, dtype, Layout::Aligned);
            pair.fill(table_addr, table_shape, dtype, Layout::Aligned, Values::Plain);
            let index_shape = Shape::new(1, shape.c, 1, indices);
            let index_type = DType::new(index_precision, false);
            let index_addr = places.place(index_shape, index_type, Layout::Aligned);
            let beyond = 0;
            let most = if scatter { i64::from(shape.w) - 1 + beyond } else { i64::from(table_w) - 1 + beyond };
            pair.fill(index_addr, index_shape, index_type, Layout::Aligned, Values::Within(0, if index_precision == Precision::Int8 { most.min(255) } else { most }));
            let result_addr = places.place(shape, dtype, Layout::Aligned);
            let inst = Sg { function, shape, result_addr, result_precision: precision, table_addr, table_precision: precision, table_layout, table_h: 1, table_w, index_addr, index_precision, index_c: shape.c, index_w: indices, opd2: Source::Local(0), opd3: Source::Local(0), result1_addr: 0 };
            report.tiu(pair, format!("{} {} by {} layout {table_layout} tw {} n {}", function.name(), precision.name(), index_precision.name(), if scatter && table_w == 1 { "1" } else { "all" }, shape.n > 1), Tiu::Sg(inst));
        }
    }
}

fn special(pair: &mut Pair, report: &mut Report) {
    for _ in 0..60 {
        for function in [SfuFunction::Taylor, SfuFunction::Taylor4x] {
            let shape = shape(pair);
            let mut places = Places::new(0);
            let source_addr = places.place(shape, DType::F32, Layout::Aligned);
            let values = pair.random.pick(&[Values::Plain, Values::Tiny]);
            pair.fill(source_addr, shape, DType::F32, Layout::Aligned, values);
            let terms = pair.random.range(2, 12) as u32;
            let table = Shape::new(1, 64, 1, terms);
            let table_addr = places.place(table, DType::F32, Layout::Aligned);
            pair.fill(table_addr, table, DType::F32, Layout::Aligned, Values::Plain);
            let result_addr = places.place(shape, DType::F32, Layout::Aligned);
            let inst = Sfu { function, shape, result_addr, result_precision: Precision::F32, source_addr, source_precision: Precision::F32, table_addr, terms, iterations: 0 };
            report.tiu(pair, function.name().to_string(), Tiu::Sfu(inst));
        }
        for iterations in 0..4 {
            let shape = shape(pair);
            let mut places = Places::new(lane(pair));
            let source_addr = places.place(shape, DType::F32, Layout::Aligned);
            let values = pair.random.pick(&[Values::Plain, Values::Tiny]);
            pair.fill(source_addr, shape, DType::F32, Layout::Aligned, values);
            let result_addr = places.place(shape, DType::F32, Layout::Aligned);
            let inst = Sfu { function: SfuFunction::Rsqrt, shape, result_addr, result_precision: Precision::F32, source_addr, source_precision: Precision::F32, table_addr: 0, terms: 0, iterations };
            report.tiu(pair, format!("{} {iterations}", SfuFunction::Rsqrt.name()), Tiu::Sfu(inst));
        }
        for function in [LinFunction::Mac, LinFunction::SquareSum, LinFunction::SquareDiff] {
            let shape = shape(pair);
            let mut places = Places::new(lane(pair));
            let opd0_addr = places.place(shape, DType::F32, Layout::Aligned);
            let values = pair.random.pick(&[Values::Plain, Values::Tiny]);
            pair.fill(opd0_addr, shape, DType::F32, Layout::Aligned, values);
            let mut parameter = |pair: &mut Pair| {
                if pair.random.bool() {
                    return Source::Const(pair.value(DType::F32, Values::Plain));
                }
                let one = Shape::new(1, shape.c, 1, 1);
                let addr = places.place(one, DType::F32, Layout::Compact);
                pair.fill(addr, one, DType::F32, Layout::Compact, Values::Plain);
                Source::Local(addr)
            };
            let (opd1, opd2) = (parameter(pair), parameter(pair));
            let result_addr = places.place(shape, DType::F32, Layout::Aligned);
            report.tiu(pair, function.name().to_string(), Tiu::Lin(Lin { function, shape, precision: Precision::F32, result_addr, opd0_addr, opd1, opd2 }));
        }
    }
}

#[test]
fn conformance() {
    let Some(mut pair) = Pair::open() else { return };
    let only = std::env::var("TPUC_ONLY").unwrap_or_default();
    let mut bad = 0;
    let kinds: [(&str, fn(&mut Pair, &mut Report)); 10] = [("float", float::run), ("dma", dma::run), ("ar", arithmetic), ("rq", requantization), ("conv", convolution), ("pool", pooling), ("mm2", matrices), ("lanes", lanes), ("tables", tables), ("special", special)];
    for (kind, run) in kinds.into_iter().filter(|(kind, _)| only.is_empty() || only == *kind) {
        let start = std::time::Instant::now();
        let mut report = Report::default();
        run(&mut pair, &mut report);
        println!("== {kind} ({:.1} s)", start.elapsed().as_secs_f64());
        bad += report.print(std::env::var_os("TPUC_VERBOSE").is_some());
    }
    assert_eq!(bad, 0);
}
