//! Elementwise ops of 8-bit integers: functions of one tensor by table, arithmetic of two.

use crate::add;
use crate::binary::common_layout;
use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::ElementType;
use tpuc_kernels::binary::Broadcast;
use tpuc_kernels::integer::{Table, combine};
use tpuc_ops::{Elem, Op, tpu};
use tpuc_tensor::round::{saturate, shift_half_away, shift_half_up};
use tpuc_tensor::Data;

/// The integer that a function of an 8-bit integer gives, before it saturates; `None` if it has no integer form.
/// `x * multiplier >> rshift` rounds halves up (`spec/lowering.md` section 4).
fn function(op: &Op) -> Option<Box<dyn Fn(i64) -> i64>> {
    fn relu(do_relu: bool, v: i64) -> i64 {
        if do_relu { v.max(0) } else { v }
    }
    Some(match op {
        Op::TpuActive(tpu::Active { mode: tpu::ActiveMode::ABSVAL, .. }) => Box::new(i64::abs),
        Op::TpuRequantInt(op) if op.quant_mode == tpu::RequantMode::MultiplierShift => {
            let (m, r) = (i64::from(op.multiplier), op.rshift);
            match op.round_mode {
                tpu::RoundMode::HalfAwayFromZero => Box::new(move |x| shift_half_away(x.saturating_mul(m), r)),
                tpu::RoundMode::HalfUp => Box::new(move |x| shift_half_up(x.saturating_mul(m), r)),
                _ => return None,
            }
        }
        Op::TpuMulShift(op) => {
            let (m, r, do_relu) = (i64::from(op.multiplier), op.rshift, op.do_relu == Some(true));
            Box::new(move |x| relu(do_relu, shift_half_up(x * m, r)))
        }
        Op::TpuAddConst(op) => {
            let (m, r, c, do_relu) = (i64::from(op.multiplier), op.rshift, whole(op.const_val), op.do_relu);
            Box::new(move |x| relu(do_relu, shift_half_up((x * m).saturating_add(c), r)))
        }
        Op::TpuSubConst(op) => {
            let (m, r, c, do_relu, sign) = (i64::from(op.multiplier), op.rshift, whole(op.const_val), op.do_relu, if op.is_reverse { -1 } else { 1 });
            Box::new(move |x| relu(do_relu, shift_half_up((x * m).saturating_sub(c).saturating_mul(sign), r)))
        }
        // The constant is in the multiplier.
        Op::TpuMulConst(op) if op.const_val == 1.0 => {
            let (m, r, do_relu) = (i64::from(op.multiplier), op.rshift, op.do_relu);
            Box::new(move |x| relu(do_relu, shift_half_up(x * m, r)))
        }
        Op::TpuMaxConst(op) => {
            let (m, r, c, do_relu) = (i64::from(op.multiplier), op.rshift, whole(op.const_val), op.do_relu);
            Box::new(move |x| relu(do_relu, shift_half_up((x * m).max(c), r)))
        }
        Op::TpuMinConst(op) => {
            let (m, r, c, do_relu) = (i64::from(op.multiplier), op.rshift, whole(op.const_val), op.do_relu);
            Box::new(move |x| relu(do_relu, shift_half_up((x * m).min(c), r)))
        }
        Op::TpuLeakyRelu(op) => {
            let whole = (op.multiplier.unwrap_or(1), op.rshift.unwrap_or(0));
            let (positive, negative) = match op.multiplier_neg {
                Some(m) => (whole, (m, op.rshift_neg.unwrap_or(0))),
                None => ((1, 0), whole),
            };
            Box::new(move |x| {
                let (m, r) = if x >= 0 { positive } else { negative };
                shift_half_up(x * i64::from(m), r)
            })
        }
        _ => return None,
    })
}

/// What a function of an 8-bit integer gives for every one, by its bits; `None` if the op has no such form (or a table of its
/// own).
pub fn eight_bit_table(op: &Op, from: &Elem, to: &Elem) -> Option<[u8; 256]> {
    let f = around(function(op)?, zero_of_input(op, from.zero_point()), to.zero_point());
    let element = |bits: usize| if from.storage().is_signed() { i64::from(bits as u8 as i8) } else { bits as i64 };
    Some(std::array::from_fn(|bits| saturate(f(element(bits)), to.storage()) as u8))
}

/// The zero point that is taken away in front of a function; a SubConst has it in its constant.
fn zero_of_input(op: &Op, zero_point: i64) -> i64 {
    if matches!(op, Op::TpuSubConst(_)) { 0 } else { zero_point }
}

/// A function of numbers as one of integers with zero points.
fn around(f: impl Fn(i64) -> i64, from: i64, to: i64) -> impl Fn(i64) -> i64 {
    move |x| f(x - from).saturating_add(to)
}

/// A constant that lowering has made an integer.
fn whole(value: f64) -> i64 {
    value.round().clamp(-(1i64 << 52) as f64, (1i64 << 52) as f64) as i64
}

/// Functions of one 8-bit tensor.
pub(crate) fn prepare_unary(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (from, to) = (request.element(0)?, request.result_element()?);
    let table = match request.op {
        Op::TpuLut(_) => given_table(to, request)?,
        Op::TpuCompareConst(op) => compare_const(op, from, to, request)?,
        op => {
            let f = function(op).ok_or_else(|| request.unsupported("has no form in 8-bit integers"))?;
            Table::of(from == ElementType::I8, to == ElementType::I8, around(f, zero_of_input(op, i64::from(request.zero_point(0))), i64::from(request.result_zero_point())))
        }
    };
    let layout = request.layout(0);
    let kernel = boxed(move |operands, y, _| table.run(operand(operands, 0)?.ints()?, y.ints()?));
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(layout);
    Ok(Prepared { kernel, operands, result: layout })
}

/// The weight of a Lut, in the type of the result.
fn given_table(to: ElementType, request: &Request<'_>) -> Result<Table, InterpError> {
    let data = request.constant(1).map(|t| t.data());
    let table = match (to, data) {
        (ElementType::I8, Some(Data::I8(list))) => list.as_slice().try_into().ok().map(Table::I8),
        (ElementType::U8, Some(Data::U8(list))) => list.as_slice().try_into().ok().map(Table::U8),
        // BM1684 keeps them in 32 bits.
        (ElementType::I8, Some(Data::I32(list))) => list.iter().map(|&v| i8::try_from(v).ok()).collect::<Option<Vec<_>>>().and_then(|l| l.try_into().ok()).map(Table::I8),
        (ElementType::U8, Some(Data::U32(list))) => list.iter().map(|&v| u8::try_from(v).ok()).collect::<Option<Vec<_>>>().and_then(|l| l.try_into().ok()).map(Table::U8),
        _ => None,
    };
    table.ok_or_else(|| request.unsupported(format!("needs a weight of 256 {} as table", to.dtype())))
}

fn compare_const(op: &tpu::CompareConst, from: ElementType, to: ElementType, request: &Request<'_>) -> Result<Table, InterpError> {
    let holds = crate::choice::relation(&op.mode, request)?;
    let (c, inversed) = (op.const_val as f32, op.inversed);
    let zero_point = i64::from(request.zero_point(0));
    let f = move |x: i64| {
        let x = (x - zero_point) as f32;
        i64::from(if inversed { holds(c, x) } else { holds(x, c) })
    };
    Ok(Table::of(from == ElementType::I8, to == ElementType::I8, f))
}

/// Arithmetic of two 8-bit tensors that broadcast.
pub(crate) fn prepare_binary(request: &Request<'_>) -> Result<Prepared, InterpError> {
    match request.op {
        Op::TpuSub(op) => add::prepare_int(&add::Sum { multipliers: &op.multipliers, rshifts: &op.rshifts, relu: op.do_relu, subtract: true, reverse: op.is_reverse }, request),
        Op::TpuMul(op) => {
            let (m, r, relu) = (i64::from(op.multiplier), op.rshift, op.do_relu);
            let style = request.requant_style(op.quant_mode)?;
            let (left, right, zero_point) = (request.zero_point(0), request.zero_point(1), i64::from(request.result_zero_point()));
            pairwise(request, move |a, b| {
                let v = style.scale(i64::from(a - left) * i64::from(b - right), m, r);
                (if relu { v.max(0) } else { v }).saturating_add(zero_point).clamp(-128, 255) as i32
            })
        }
        // What remains compares or picks integers of one scale.
        Op::TpuPReluOp(_) if request.zero_point(0) != 0 || request.result_zero_point() != 0 => Err(request.unsupported("with zero points does not run in integers")),
        Op::TpuMax(_) | Op::TpuMin(_) | Op::TpuCompare(_) if !of_one_zero_point(request) => Err(request.unsupported("of integers with different zero points does not run")),
        Op::TpuMax(op) => extremum(&op.multipliers, op.do_relu, request, i32::max),
        Op::TpuMin(op) => extremum(&op.multipliers, op.do_relu, request, i32::min),
        Op::TpuCompare(op) => {
            let (holds, zero_point) = (crate::choice::relation(&op.mode, request)?, request.zero_point(0));
            pairwise(request, move |a, b| i32::from(holds((a - zero_point) as f32, (b - zero_point) as f32)))
        }
        Op::TpuPReluOp(op) => {
            let r = op.rshift;
            let positive = op.multiplier_pos.map(|m| (i64::from(m), op.rshift_pos.unwrap_or(0)));
            pairwise(request, move |x, slope| match (x >= 0, positive) {
                (true, None) => x,
                (true, Some((m, r))) => narrow(shift_half_up(i64::from(x) * m, r), false),
                (false, _) => narrow(shift_half_up(i64::from(x) * i64::from(slope), r), false),
            })
        }
        _ => Err(request.unsupported("has no form in 8-bit integers")),
    }
}

/// Of the integers as they are. Multipliers of CV18xx are not applied, as its own interpreter does not.
fn extremum(multipliers: &Option<Vec<i64>>, relu: bool, request: &Request<'_>, pick: fn(i32, i32) -> i32) -> Result<Prepared, InterpError> {
    if multipliers.is_some() {
        return Err(request.unsupported("with multipliers does not run"));
    }
    let zero_point = request.result_zero_point();
    pairwise(request, move |a, b| if relu { pick(a, b).max(zero_point) } else { pick(a, b) })
}

/// Whether operands have one zero point, and the result of a choice among them, too. A constant is in the others' integers, though its type
/// does not say so.
fn of_one_zero_point(request: &Request<'_>) -> bool {
    let computed = (0..request.operands.len()).filter(|&i| request.constant(i).is_none()).map(|i| request.zero_point(i));
    let result = (!matches!(request.op, Op::TpuCompare(_))).then(|| request.result_zero_point());
    let mut all = computed.chain(result);
    let first = all.next();
    all.all(|zero_point| Some(zero_point) == first)
}

fn narrow(v: i64, relu: bool) -> i32 {
    v.clamp(if relu { 0 } else { -128 }, 255) as i32
}

fn pairwise(request: &Request<'_>, f: impl Fn(i32, i32) -> i32 + Send + Sync + 'static) -> Result<Prepared, InterpError> {
    if request.operands.len() != 2 {
        return Err(request.unsupported(format!("has {} operands, expected 2", request.operands.len())));
    }
    let shapes = [request.shape(0)?, request.shape(1)?];
    let out = request.result.dims();
    let layout = common_layout(&shapes, &out, request);
    let [a, b] = shapes.map(|s| layout.physical(&s));
    let broadcast = Broadcast::new([&a, &b], &layout.physical(&out))?;
    let kernel = boxed(move |operands, y, _| combine(operand(operands, 0)?.ints()?, operand(operands, 1)?.ints()?, &broadcast, &f, y.ints()?));
    Ok(Prepared { kernel, operands: vec![Some(layout); 2], result: layout })
}
