//! Element-wise arithmetic (AR), row by row in every lane.

use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{Ar, ArFunction, CHIP, DType, Layout, Operand, Precision, Rounding, Shape, Strides, lane_of, offset_of};
use half::{bf16, f16};
use rayon::prelude::*;

/// A tensor in local memory with its strides in bytes.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub lane: usize,
    offset: usize,
    strides: [usize; 4],
    pub dtype: DType,
}

impl View {
    /// Checks that every element lies inside its lane.
    pub fn new(addr: u32, shape: Shape, dtype: DType, layout: Layout, what: &'static str) -> Result<View> {
        let lane = lane_of(addr);
        if lane >= CHIP.lanes {
            return Err(ExecuteError::Address { what, address: u64::from(addr), bytes: 0 });
        }
        let Strides { n, c, h, w } = layout.strides(shape, dtype.precision, lane);
        let size = dtype.bytes() as usize;
        let strides = [n, c, h, w].map(|s| s as usize * size);
        let last_block = (lane + shape.c.max(1) - 1) / CHIP.lanes;
        let last = [shape.n.max(1) - 1, last_block, shape.h.max(1) - 1, shape.w.max(1) - 1];
        let offset = offset_of(addr) as usize;
        let end = last.iter().zip(strides).try_fold(offset as u64 + size as u64, |sum, (&i, s)| sum.checked_add(u64::from(i) * s as u64));
        match end {
            Some(end) if end <= LANE as u64 => Ok(View { lane: lane as usize, offset, strides, dtype }),
            end => Err(ExecuteError::Local { what, end: end.unwrap_or(u64::MAX) }),
        }
    }

    /// Byte offset inside its lane of the first element of a row.
    pub fn row(&self, n: usize, block: usize, h: usize) -> usize {
        self.offset + n * self.strides[0] + block * self.strides[1] + h * self.strides[2]
    }

    pub fn step(&self) -> usize {
        self.strides[3]
    }
}

/// An operand: a tensor or one value.
enum Input {
    View(View),
    Int(i64),
    Float(f32),
}

impl Input {
    fn new(operand: Operand, shape: Shape) -> Result<Input> {
        match operand {
            Operand::Tensor(t) => Ok(Input::View(View::new(t.addr, shape, t.dtype, t.layout, "an operand")?)),
            Operand::Const { bits, dtype } => Ok(if dtype.precision.is_float() { Input::Float(float_of(bits, dtype.precision)) } else { Input::Int(int_of(bits, dtype)) }),
        }
    }

    fn ints(&self, lane: &[u8], at: (usize, usize, usize), row: &mut [i64]) {
        match self {
            Input::View(view) => read_ints(lane, view.row(at.0, at.1, at.2), view.step(), view.dtype, row),
            Input::Int(value) => row.fill(*value),
            Input::Float(value) => row.fill(*value as i64),
        }
    }

    fn floats(&self, lane: &[u8], at: (usize, usize, usize), row: &mut [f32]) {
        match self {
            Input::View(view) => read_floats(lane, view.row(at.0, at.1, at.2), view.step(), view.dtype, row),
            Input::Int(value) => row.fill(*value as f32),
            Input::Float(value) => row.fill(*value),
        }
    }
}

/// The value of a constant's bits.
pub fn int_of(bits: u32, dtype: DType) -> i64 {
    match (dtype.precision.bytes(), dtype.signed) {
        (1, true) => i64::from(bits as u8 as i8),
        (1, false) => i64::from(bits as u8),
        (2, true) => i64::from(bits as u16 as i16),
        (2, false) => i64::from(bits as u16),
        (_, true) => i64::from(bits as i32),
        (_, false) => i64::from(bits),
    }
}

pub fn float_of(bits: u32, precision: Precision) -> f32 {
    match precision {
        Precision::F16 => f16::from_bits(bits as u16).to_f32(),
        Precision::Bf16 => bf16::from_bits(bits as u16).to_f32(),
        _ => f32::from_bits(bits),
    }
}

/// Reads every `step` bytes. The view that the row belongs to has been checked.
pub fn read_ints(lane: &[u8], at: usize, step: usize, dtype: DType, row: &mut [i64]) {
    let byte = |i: usize| at + i * step;
    match (dtype.precision.bytes(), dtype.signed) {
        (1, true) => row.iter_mut().enumerate().for_each(|(i, v)| *v = i64::from(lane[byte(i)] as i8)),
        (1, false) => row.iter_mut().enumerate().for_each(|(i, v)| *v = i64::from(lane[byte(i)])),
        (2, signed) => row.iter_mut().enumerate().for_each(|(i, v)| {
            let bits = u16::from_le_bytes([lane[byte(i)], lane[byte(i) + 1]]);
            *v = if signed { i64::from(bits as i16) } else { i64::from(bits) };
        }),
        (_, signed) => row.iter_mut().enumerate().for_each(|(i, v)| {
            let b = byte(i);
            let bits = u32::from_le_bytes([lane[b], lane[b + 1], lane[b + 2], lane[b + 3]]);
            *v = if signed { i64::from(bits as i32) } else { i64::from(bits) };
        }),
    }
}

pub fn read_floats(lane: &[u8], at: usize, step: usize, dtype: DType, row: &mut [f32]) {
    let half = |i: usize| u16::from_le_bytes([lane[at + i * step], lane[at + i * step + 1]]);
    match dtype.precision {
        Precision::F16 => row.iter_mut().enumerate().for_each(|(i, v)| *v = f16::from_bits(half(i)).to_f32()),
        Precision::Bf16 => row.iter_mut().enumerate().for_each(|(i, v)| *v = bf16::from_bits(half(i)).to_f32()),
        _ => row.iter_mut().enumerate().for_each(|(i, v)| {
            let b = at + i * step;
            *v = f32::from_le_bytes([lane[b], lane[b + 1], lane[b + 2], lane[b + 3]]);
        }),
    }
}

/// Writes the low bytes of every value.
pub fn write_ints(lane: &mut [u8], at: usize, step: usize, bytes: u32, row: &[i64]) {
    match bytes {
        1 => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step] = *v as u8),
        2 => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..2].copy_from_slice(&(*v as u16).to_le_bytes())),
        _ => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..4].copy_from_slice(&(*v as u32).to_le_bytes())),
    }
}

/// Rounds to the precision and writes.
pub fn write_floats(lane: &mut [u8], at: usize, step: usize, precision: Precision, row: &[f32]) {
    match precision {
        Precision::F16 => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..2].copy_from_slice(&f16::from_f32(*v).to_le_bytes())),
        Precision::Bf16 => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..2].copy_from_slice(&bf16::from_f32(*v).to_le_bytes())),
        _ => row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..4].copy_from_slice(&v.to_le_bytes())),
    }
}

/// Range of an integer type.
pub fn range(bytes: u32, signed: bool) -> (i64, i64) {
    let bits = 8 * bytes.min(4);
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// `v * 2^shift`, rounded where bits are lost.
pub fn shift_round(v: i64, shift: i64, rounding: Rounding) -> i64 {
    if shift >= 0 {
        return v.checked_shl(shift.min(63) as u32).unwrap_or(0);
    }
    let right = (-shift).min(62) as u32;
    let floor = v >> right;
    let rest = v - (floor << right);
    let half = 1i64 << (right - 1);
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest != 0,
        Rounding::TowardsZero => v < 0 && rest != 0,
        Rounding::HalfUp => rest >= half,
        Rounding::HalfDown => rest > half,
        Rounding::HalfAwayFromZero => rest > half || (rest == half && v >= 0),
        Rounding::HalfToEven => rest > half || (rest == half && floor & 1 == 1),
    };
    floor + i64::from(up)
}

pub fn round_float(x: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::HalfToEven => x.round_ties_even(),
        Rounding::HalfAwayFromZero => x.round(),
        Rounding::TowardsZero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
        Rounding::HalfUp => (f64::from(x) + 0.5).floor() as f32,
        Rounding::HalfDown => (f64::from(x) - 0.5).ceil() as f32,
    }
}

pub fn run(memory: &mut Memory, inst: &Ar) -> Result<()> {
    let shape = inst.shape;
    let result_float = inst.result.precision.is_float();
    let opd0 = inst.opd0.dtype();
    let source_float = opd0.precision.is_float();
    let result_type = DType::new(inst.result.precision, true);
    let result = View::new(inst.result.addr, shape, result_type, inst.result.layout, "the result")?;
    let inputs = [Some(inst.opd0), inst.opd1, inst.opd2].map(|o| o.map(|o| Input::new(o, shape)).transpose());
    let [a, b, c] = inputs;
    let (a, b, c) = (a?, b?, c?);
    let Some(a) = a else { return unsupported(inst.function.name()) };
    for input in [Some(&a), b.as_ref(), c.as_ref()].into_iter().flatten() {
        if let Input::View(view) = input
            && view.lane != result.lane
        {
            return Err(ExecuteError::Operand(format!("{}: operands and result start in different lanes", inst.function.name())));
        }
    }
    let cast = inst.function == ArFunction::Cast;
    if source_float != result_float && !cast && inst.function != ArFunction::Copy {
        return unsupported(inst.function.name());
    }
    // Checks the function once, outside of the rows.
    let signed = match inst.function {
        ArFunction::Cast => inst.result_signed,
        ArFunction::Copy => opd0.signed,
        _ => opd0.signed || inst.opd1.is_some_and(|o| o.dtype().signed),
    };
    let (low, high) = range(inst.result.precision.bytes(), signed);
    let width = shape.w as usize;
    let failure = std::sync::Mutex::new(None);
    memory.local.par_chunks_mut(LANE).enumerate().for_each(|(lane, bytes)| {
        let mut ints = [vec![0i64; width], vec![0; width], vec![0; width]];
        let mut floats = [vec![0f32; width], vec![0.0; width]];
        let first = (lane + CHIP.lanes as usize - result.lane) % CHIP.lanes as usize;
        for n in 0..shape.n as usize {
            for channel in (first..shape.c as usize).step_by(CHIP.lanes as usize) {
                let block = (result.lane + channel) / CHIP.lanes as usize;
                for h in 0..shape.h as usize {
                    let at = (n, block, h);
                    let out = result.row(n, block, h);
                    let done = if source_float {
                        let [x, y] = &mut floats;
                        a.floats(bytes, at, x);
                        if let Some(b) = &b {
                            b.floats(bytes, at, y);
                        }
                        if cast && !result_float {
                            let row = &mut ints[0];
                            for (v, x) in row.iter_mut().zip(x.iter()) {
                                *v = (round_float(*x, inst.rounding) as i64).clamp(low, high);
                            }
                            write_ints(bytes, out, result.step(), inst.result.precision.bytes(), row);
                            Ok(())
                        } else {
                            float_row(inst.function, x, y).map(|()| write_floats(bytes, out, result.step(), inst.result.precision, x))
                        }
                    } else {
                        let [x, y, z] = &mut ints;
                        a.ints(bytes, at, x);
                        if let Some(b) = &b {
                            b.ints(bytes, at, y);
                        }
                        if let Some(c) = &c {
                            c.ints(bytes, at, z);
                        } else {
                            z.fill(0);
                        }
                        if result_float {
                            let row = &mut floats[0];
                            row.iter_mut().zip(x.iter()).for_each(|(v, x)| *v = *x as f32);
                            write_floats(bytes, out, result.step(), inst.result.precision, row);
                            Ok(())
                        } else {
                            int_row(inst.function, x, y, z, inst.rounding, (low, high)).map(|()| write_ints(bytes, out, result.step(), inst.result.precision.bytes(), x))
                        }
                    };
                    if let Err(error) = done {
                        if let Ok(mut slot) = failure.lock() {
                            *slot = Some(error);
                        }
                        return;
                    }
                }
            }
        }
    });
    failure.into_inner().unwrap_or_default().map_or(Ok(()), Err)
}

/// `x = x op y` in integers; `z` is the third operand, the shift of saturating functions.
fn int_row(function: ArFunction, x: &mut [i64], y: &[i64], z: &[i64], rounding: Rounding, (low, high): (i64, i64)) -> Result<()> {
    let pairs = || y.iter().zip(z);
    match function {
        ArFunction::Copy => {}
        ArFunction::Cast => x.iter_mut().for_each(|x| *x = (*x).clamp(low, high)),
        ArFunction::Add => x.iter_mut().zip(y).for_each(|(x, y)| *x += y),
        ArFunction::Sub => x.iter_mut().zip(y).for_each(|(x, y)| *x -= y),
        ArFunction::Mul => x.iter_mut().zip(y).for_each(|(x, y)| *x = x.wrapping_mul(*y)),
        ArFunction::Max => x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x).max(*y)),
        ArFunction::Min => x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x).min(*y)),
        ArFunction::AddSaturate => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = shift_round(*x + y, *z, rounding).clamp(low, high)),
        ArFunction::SubSaturate => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = shift_round(*x - y, *z, rounding).clamp(low, high)),
        ArFunction::MulSaturate => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = shift_round(*x * y, *z, rounding).clamp(low, high)),
        ArFunction::ArithShift => x.iter_mut().zip(y).for_each(|(x, y)| *x = shift_round(*x, *y, rounding).clamp(low, high)),
        ArFunction::And => x.iter_mut().zip(y).for_each(|(x, y)| *x &= y),
        ArFunction::Or => x.iter_mut().zip(y).for_each(|(x, y)| *x |= y),
        ArFunction::Xor => x.iter_mut().zip(y).for_each(|(x, y)| *x ^= y),
        ArFunction::Not => x.iter_mut().for_each(|x| *x = !*x),
        ArFunction::Abs => x.iter_mut().for_each(|x| *x = x.abs().min(high)),
        ArFunction::SelectGreater => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = if *x > *y { *x } else { *z }),
        ArFunction::SelectEqual => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = if *x == *y { *x } else { *z }),
        ArFunction::SelectLess => x.iter_mut().zip(pairs()).for_each(|(x, (y, z))| *x = if *x < *y { *x } else { *z }),
        other => return unsupported(other.name()),
    }
    Ok(())
}

/// `x = x op y` in floats.
fn float_row(function: ArFunction, x: &mut [f32], y: &[f32]) -> Result<()> {
    let pairs = x.iter_mut().zip(y);
    match function {
        ArFunction::Copy | ArFunction::Cast => {}
        ArFunction::Add | ArFunction::AddSaturate => pairs.for_each(|(x, y)| *x += y),
        ArFunction::Sub | ArFunction::SubSaturate => pairs.for_each(|(x, y)| *x -= y),
        ArFunction::Mul | ArFunction::MulSaturate => pairs.for_each(|(x, y)| *x *= y),
        ArFunction::Div => pairs.for_each(|(x, y)| *x /= y),
        ArFunction::Max => pairs.for_each(|(x, y)| *x = if *x > *y { *x } else { *y }),
        ArFunction::Min => pairs.for_each(|(x, y)| *x = if *x < *y { *x } else { *y }),
        ArFunction::Abs => x.iter_mut().for_each(|x| *x = x.abs()),
        ArFunction::AbsDifference => pairs.for_each(|(x, y)| *x = (*x - y).abs()),
        other => return unsupported(other.name()),
    }
    Ok(())
}
