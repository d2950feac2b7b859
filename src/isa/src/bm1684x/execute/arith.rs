//! Element-wise arithmetic (AR), row by row in every lane.

use super::round::{range, round_float, shift_round, shift_row};
use super::unsupported;
use super::view::{Input, LaneJob, RUN, View, channels_of, for_lanes, joined, same_lane, write_floats, write_ints};
use crate::bm1684x::memory::{ExecuteError, Memory, Result};
use crate::bm1684x::{Ar, ArFunction as F, DType, Operand, Precision, Rounding, Shape};

struct Job {
    function: F,
    kind: Kind,
    shape: Shape,
    result: View,
    a: Input,
    b: Option<Input>,
    c: Option<Input>,
    rounding: Rounding,
    iterations: u8,
    limits: (i64, i64),
}

/// What the operands and the result are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The same bits.
    Move,
    Int,
    Float,
    FloatToInt,
    IntToFloat,
}

pub fn run(memory: &mut Memory, inst: &Ar) -> Result<()> {
    let shape = inst.shape;
    if shape.elements() == 0 {
        return Ok(());
    }
    let function = inst.function;
    let name = function.name();
    let result_type = DType::new(inst.result.precision, true);
    let result = View::new(inst.result.addr, shape, result_type, inst.result.layout, "the result")?;
    let input = |operand: Operand| Input::new(operand, shape);
    let a = input(inst.opd0)?;
    let b = inst.opd1.map(input).transpose()?;
    let c = inst.opd2.map(input).transpose()?;
    let inputs = || [Some(&a), b.as_ref(), c.as_ref()].into_iter().flatten().filter_map(Input::view);
    same_lane(name, inputs().chain([&result]))?;
    let needed = match function {
        F::Copy | F::Cast | F::Not | F::Abs | F::FirstOne | F::FirstZero => 1,
        F::SelectGreater | F::SelectEqual | F::SelectLess => 3,
        _ => 2,
    };
    let given = 1 + usize::from(b.is_some()) + usize::from(c.is_some());
    if given < needed {
        return Err(ExecuteError::Operand(format!("{name} has {given} operands, {needed} are needed")));
    }
    if matches!(function, F::AddSaturate | F::SubSaturate) && c.is_some() {
        return unsupported(&format!("{name} with a shift"));
    }
    if function == F::MulSaturate && matches!(c, Some(Input::View(_))) {
        return unsupported(&format!("{name} with a shift for each element"));
    }
    // A shift is signed, whatever its type says.
    let c = match (function, c) {
        (F::MulSaturate, Some(Input::Const { bits, .. })) => Some(Input::Const { bits, dtype: DType::I8 }),
        (_, c) => c,
    };
    let kind = kind_of(inst, &a, b.as_ref(), c.as_ref())?;
    if !is_known(function, kind) {
        let numbers = if kind == Kind::Float { "floats" } else { "integers" };
        return unsupported(&format!("{name} of {numbers}"));
    }
    let signed = match function {
        F::Cast => inst.result_signed,
        F::SubSaturate | F::Sub | F::AbsDifference => true,
        _ => inst.opd0.dtype().signed || inst.opd1.is_some_and(|o| o.dtype().signed),
    };
    let limits = range(inst.result.precision.bytes(), signed);
    let walked: Vec<&View> = inputs().chain([&result]).collect();
    let shape = joined(shape, &walked);
    let job = Job { function, kind, shape, result, a, b, c, rounding: inst.rounding, iterations: inst.iterations, limits };
    for_lanes(memory, result.lane, shape.c as usize, shape.elements(), &job);
    Ok(())
}

fn kind_of(inst: &Ar, a: &Input, b: Option<&Input>, c: Option<&Input>) -> Result<Kind> {
    let (from, to) = (a.dtype().precision, inst.result.precision);
    let same = |other: Option<&Input>| other.is_none_or(|o| o.dtype().precision == from);
    match (inst.function, from.is_float(), to.is_float()) {
        (F::Copy, _, _) if from.bytes() == to.bytes() => Ok(Kind::Move),
        (F::Cast, true, false) => Ok(Kind::FloatToInt),
        (F::Cast, false, true) => Ok(Kind::IntToFloat),
        (F::Cast, true, true) => Ok(Kind::Float),
        (_, true, true) if from == to && same(b) && same(c) => Ok(Kind::Float),
        (F::Copy, false, false) => Ok(Kind::Int),
        (_, false, false) if ![b, c].into_iter().flatten().any(|o| o.dtype().precision.is_float()) => Ok(Kind::Int),
        _ => unsupported(&format!("{} of {} into {}", inst.function.name(), from.name(), to.name())),
    }
}

/// Whether [`Job::int_row`] or [`float_row`] compute this function.
fn is_known(function: F, kind: Kind) -> bool {
    let both = matches!(
        function,
        F::Cast | F::Add | F::Sub | F::Mul | F::Max | F::Min | F::Abs | F::AbsDifference | F::AddSaturate | F::SubSaturate | F::MulSaturate | F::SelectGreater
            | F::SelectEqual | F::SelectLess
    );
    match kind {
        Kind::Move => function == F::Copy,
        Kind::FloatToInt | Kind::IntToFloat => function == F::Cast,
        Kind::Int => both || matches!(function, F::Copy | F::And | F::Or | F::Xor | F::Not | F::ArithShift),
        Kind::Float => both || matches!(function, F::Div | F::Mac),
    }
}

impl LaneJob for Job {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let mut ints = [[0i64; RUN]; 3];
        let mut floats = [[0f32; RUN]; 3];
        channels_of(lane, self.result.lane, self.shape, |n, block| {
            for h in 0..self.shape.h as usize {
                let mut from = 0;
                while from < self.shape.w as usize {
                    let count = (self.shape.w as usize - from).min(RUN);
                    self.run_of(bytes, [n, block, h, from], count, &mut ints, &mut floats);
                    from += count;
                }
            }
        });
    }
}

impl Job {
    /// `count` elements from `at` on.
    #[inline(always)]
    fn run_of(&self, bytes: &mut [u8], at: [usize; 4], count: usize, ints: &mut [[i64; RUN]; 3], floats: &mut [[f32; RUN]; 3]) {
        let (result, precision) = (&self.result, self.result.dtype.precision);
        let step = result.step();
        let out = result.row(at[0], at[1], at[2]) + at[3] * step;
        let [x, y, z] = ints;
        let (x, y, z) = (&mut x[..count], &mut y[..count], &mut z[..count]);
        let [p, q, r] = floats;
        let (mut p, mut q, r) = (&mut p[..count], &mut q[..count], &mut r[..count]);
        match self.kind {
            Kind::Move => {
                if let Input::View(view) = &self.a
                    && view.dense()
                    && result.dense()
                {
                    let from = view.row(at[0], at[1], at[2]) + at[3] * step;
                    bytes.copy_within(from..from + count * step, out);
                    return;
                }
                // As integers, whatever they are.
                match &self.a {
                    Input::View(view) => super::view::read_ints(bytes, view.row(at[0], at[1], at[2]) + at[3] * view.step(), view.step(), int_like(view.dtype), x),
                    Input::Const { bits, .. } => x.fill(i64::from(*bits)),
                }
                write_ints(bytes, out, step, precision.bytes(), x);
            }
            Kind::FloatToInt => {
                self.a.floats(bytes, at, p);
                float_to_int(p, x, self.rounding, self.limits);
                write_ints(bytes, out, step, precision.bytes(), x);
            }
            Kind::IntToFloat => {
                self.a.ints(bytes, at, x);
                match precision {
                    // One rounding, not two.
                    Precision::Bf16 => p.iter_mut().zip(&*x).for_each(|(p, x)| *p = half::bf16::from_f64(*x as f64).to_f32()),
                    Precision::F16 => p.iter_mut().zip(&*x).for_each(|(p, x)| *p = half::f16::from_f64(*x as f64).to_f32()),
                    _ => p.iter_mut().zip(&*x).for_each(|(p, x)| *p = *x as f32),
                }
                write_floats(bytes, out, step, precision, p);
            }
            Kind::Float => {
                self.a.floats(bytes, at, p);
                if let Some(b) = &self.b {
                    b.floats(bytes, at, q);
                }
                if let Some(c) = &self.c {
                    c.floats(bytes, at, r);
                }
                // A cast into the same type rounds to whole numbers.
                if self.function == F::Cast && self.a.dtype().precision == precision {
                    p.iter_mut().for_each(|v| *v = round_float(*v, self.rounding));
                }
                if self.function == F::Mac {
                    super::view::read_floats(bytes, out, step, precision, r);
                }
                if self.function == F::Min {
                    // Of two zeros the second one.
                    std::mem::swap(&mut p, &mut q);
                }
                float_row(self.function, p, q, r, self.iterations);
                write_floats(bytes, out, step, precision, p);
            }
            Kind::Int => {
                self.a.ints(bytes, at, x);
                if let Some(b) = &self.b {
                    b.ints(bytes, at, y);
                }
                match &self.c {
                    Some(c) => c.ints(bytes, at, z),
                    None => z.fill(0),
                }
                self.int_row(bytes, out, x, y, z);
                write_ints(bytes, out, step, precision.bytes(), x);
            }
        }
    }

    /// `x = x op y`; `z` is the third operand: the shift of saturating functions.
    #[inline(always)]
    fn int_row(&self, _bytes: &[u8], _out: usize, x: &mut [i64], y: &[i64], z: &[i64]) {
        let (low, high) = self.limits;
        match self.function {
            F::Copy => {}
            F::Cast => x.iter_mut().for_each(|x| *x = (*x).clamp(low, high)),
            F::Add => x.iter_mut().zip(y).for_each(|(x, y)| *x += y),
            F::Sub => x.iter_mut().zip(y).for_each(|(x, y)| *x -= y),
            F::Mul => x.iter_mut().zip(y).for_each(|(x, y)| *x = x.wrapping_mul(*y)),
            F::Max => x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x).max(*y)),
            F::Min => x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x).min(*y)),
            F::And => x.iter_mut().zip(y).for_each(|(x, y)| *x &= y),
            F::Or => x.iter_mut().zip(y).for_each(|(x, y)| *x |= y),
            F::Xor => x.iter_mut().zip(y).for_each(|(x, y)| *x ^= y),
            F::Not => x.iter_mut().for_each(|x| *x = !*x),
            F::Abs => x.iter_mut().for_each(|x| *x = x.abs().min(high)),
            F::AbsDifference => x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x - y).abs()),
            F::AddSaturate => {
                x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
                self.finish(x, z);
            }
            F::SubSaturate => {
                x.iter_mut().zip(y).for_each(|(x, y)| *x -= y);
                self.finish(x, z);
            }
            F::MulSaturate => {
                x.iter_mut().zip(y).for_each(|(x, y)| *x = x.saturating_mul(*y));
                self.finish(x, z);
            }
            F::ArithShift => x.iter_mut().zip(y).for_each(|(x, y)| *x = shift_round(*x, *y, self.rounding)),
            F::SelectGreater => x.iter_mut().zip(y.iter().zip(z)).for_each(|(x, (y, z))| *x = if *x > *y { *x } else { *z }),
            F::SelectEqual => x.iter_mut().zip(y.iter().zip(z)).for_each(|(x, (y, z))| *x = if *x == *y { *x } else { *z }),
            F::SelectLess => x.iter_mut().zip(y.iter().zip(z)).for_each(|(x, (y, z))| *x = if *x < *y { *x } else { *z }),
            // Refused by `is_known`.
            _ => {}
        }
    }

    /// Shift by the third operand, rounding, saturation.
    #[inline(always)]
    fn finish(&self, x: &mut [i64], z: &[i64]) {
        let (low, high) = self.limits;
        match &self.c {
            Some(Input::View(_)) => x.iter_mut().zip(z).for_each(|(x, z)| *x = shift_round(*x, *z, self.rounding).clamp(low, high)),
            Some(Input::Const { .. }) => shift_row(x, z.first().copied().unwrap_or(0), self.rounding, 0, self.limits),
            None => x.iter_mut().for_each(|x| *x = (*x).clamp(low, high)),
        }
    }
}

/// The integer type of the same size.
fn int_like(dtype: DType) -> DType {
    match dtype.bytes() {
        1 => DType::U8,
        2 => DType::U16,
        _ => DType::U32,
    }
}

/// Casts a row; values that are no number give 0.
#[inline(always)]
pub fn float_to_int(from: &[f32], to: &mut [i64], rounding: Rounding, (low, high): (i64, i64)) {
    macro_rules! each {
        ($rounding:expr) => {
            to.iter_mut().zip(from).for_each(|(v, x)| *v = (round_float(*x, $rounding) as i64).clamp(low, high))
        };
    }
    match rounding {
        Rounding::HalfToEven => each!(Rounding::HalfToEven),
        Rounding::HalfAwayFromZero => each!(Rounding::HalfAwayFromZero),
        Rounding::TowardsZero => each!(Rounding::TowardsZero),
        Rounding::Down => each!(Rounding::Down),
        Rounding::Up => each!(Rounding::Up),
        Rounding::HalfUp => each!(Rounding::HalfUp),
        Rounding::HalfDown => each!(Rounding::HalfDown),
    }
}

/// Subnormal numbers are zeros to the chip.
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x }
}

/// `1 / sqrt(y)` by Newton's method, begun at the well-known difference of bit patterns. Negative numbers, zeros, infinities
/// and NaN have no rule of their own.
#[inline(always)]
pub fn reciprocal_root(y: f32, steps: u8) -> f32 {
    let half = flush(flush(y) * 0.5);
    let mut r = flush(f32::from_bits(0x5f37_59dfi32.wrapping_sub(y.to_bits() as i32 >> 1) as u32));
    for _ in 0..steps {
        r = flush(r * flush(1.5 - flush(flush(half * r) * r)));
    }
    r
}

/// `x / y` as the chip divides: `x * r * r`, where `r` approximates `1 / sqrt(|y|)`.
#[inline(always)]
fn divide(x: f32, y: f32, steps: u8) -> f32 {
    let r = reciprocal_root(y.abs(), steps);
    let x = f32::from_bits(x.to_bits() ^ (y.to_bits() & 1 << 31));
    let quotient = flush(flush(x) * flush(r * r));
    // NaN are the operands', made quiet; an operation without a value gives the one below.
    let quiet = |x: f32| f32::from_bits(x.to_bits() | 1 << 22);
    match quotient.is_nan() {
        false => quotient,
        true if y.is_nan() => quiet(y.abs()),
        true if x.is_nan() => quiet(x),
        true => f32::from_bits(0xffc0_0000),
    }
}

/// `x = x op y` in floats; halves are computed as f32 and rounded once.
#[inline(always)]
fn float_row(function: F, x: &mut [f32], y: &[f32], z: &[f32], iterations: u8) {
    let n = x.len();
    let (y, z) = (&y[..n], &z[..n]);
    macro_rules! each {
        ($x:ident, $y:ident, $z:ident, $value:expr) => {
            for i in 0..n {
                let ($x, $y, $z) = (x[i], y[i], z[i]);
                x[i] = $value;
            }
        };
    }
    match function {
        F::Add | F::AddSaturate => each!(x, y, _z, flush(flush(x) + flush(y))),
        F::Sub | F::SubSaturate => each!(x, y, _z, flush(flush(x) - flush(y))),
        F::Mul | F::MulSaturate => each!(x, y, _z, flush(flush(x) * flush(y))),
        F::Div => {
            // The field has two bits.
            let steps = (iterations & 3) + 1;
            each!(x, y, _z, divide(x, y, steps))
        }
        F::Max => each!(x, y, _z, if flush(x) > flush(y) { flush(x) } else { flush(y) }),
        F::Min => each!(x, y, _z, if flush(y) < flush(x) { flush(y) } else { flush(x) }),
        F::Abs => each!(x, _y, _z, x.abs()),
        F::AbsDifference => each!(x, y, _z, flush(flush(x) - flush(y)).abs()),
        F::SelectGreater => each!(x, y, z, if flush(x) > flush(y) { x } else { z }),
        F::SelectEqual => each!(x, y, z, if flush(x) == flush(y) { x } else { z }),
        F::SelectLess => each!(x, y, z, if flush(x) < flush(y) { x } else { z }),
        F::Mac => each!(x, y, z, flush(flush(flush(x) * flush(y)) + flush(z))),
        // A cast has nothing to compute; all else is refused by `is_known`.
        _ => {}
    }
}
