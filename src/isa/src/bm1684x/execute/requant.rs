//! Requantization (RQ) and dequantization (DQ).

use super::arith::float_to_int;
use super::round::{range, shift_round, shift_row};
use super::unsupported;
use super::view::{LaneJob, RUN, View, channels_of, for_lanes, joined, read_floats, read_ints, same_lane, write_floats, write_ints};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{DType, Dq, Layout, QuantParams, Rounding, Rq, Shape, lane_of, offset_of};

/// Bytes from one channel's record to the next: a table has an aligned channel for each.
const RECORD: usize = 64;

/// Parameters of one channel.
#[derive(Debug, Clone, Copy)]
enum Params {
    Int { multiplier: i64, shift: i64, zero_point: i64 },
    Float { scale: f32, offset: f32 },
    Dequant { scale: f32, zero_point: i32 },
}

struct Job {
    shape: Shape,
    input: View,
    result: View,
    params: QuantParams,
    /// Where the table starts in a lane.
    table: usize,
    rounding: Rounding,
    limits: (i64, i64),
    dequant: bool,
}

/// Where the records of a table start in a lane, checked against the lane's end.
fn table_at(params: &QuantParams, shape: Shape, lane: usize, dequant: bool) -> Result<usize> {
    let (QuantParams::IntTable(addr) | QuantParams::FloatTable(addr)) = *params else { return Ok(0) };
    let blocks = (lane + shape.c as usize).div_ceil(LANES);
    let words = if matches!(params, QuantParams::FloatTable(_)) { 2 } else { 3 };
    let _ = dequant;
    let end = u64::from(offset_of(addr)) + (blocks * RECORD) as u64 - (RECORD - 4 * words) as u64;
    if end > LANE as u64 {
        return Err(ExecuteError::Local { what: "the table of requantization", end });
    }
    if lane_of(addr) as usize != lane {
        return Err(ExecuteError::Operand("requantization: table and result start in different lanes".into()));
    }
    Ok(offset_of(addr) as usize)
}

pub fn run(memory: &mut Memory, inst: &Rq) -> Result<()> {
    // The model rounds the float form in a way of its own, which has not been found out.
    if matches!(inst.params, QuantParams::Float { .. } | QuantParams::FloatTable(_)) {
        return unsupported("rq by a float scale");
    }
    if inst.input.precision.is_float() || inst.result.precision.is_float() || matches!(inst.params, QuantParams::FloatDequant { .. }) {
        return unsupported("rq of these types");
    }
    start(memory, inst.shape, (inst.input_addr, inst.input), (inst.result_addr, inst.result), inst.params, inst.rounding, false)
}

pub fn run_dequant(memory: &mut Memory, inst: &Dq) -> Result<()> {
    let float_params = matches!(inst.params, QuantParams::FloatDequant { .. } | QuantParams::FloatTable(_));
    if inst.input.precision.is_float() || matches!(inst.params, QuantParams::Float { .. }) || inst.result.precision.is_float() != float_params {
        return unsupported("dq of these types");
    }
    start(memory, inst.shape, (inst.input_addr, inst.input), (inst.result_addr, inst.result), inst.params, inst.rounding, true)
}

fn start(memory: &mut Memory, shape: Shape, input: (u32, DType), result: (u32, DType), params: QuantParams, rounding: Rounding, dequant: bool) -> Result<()> {
    if shape.elements() == 0 {
        return Ok(());
    }
    let input = View::new(input.0, shape, input.1, Layout::Aligned, "the input")?;
    let result = View::new(result.0, shape, result.1, Layout::Aligned, "the result")?;
    same_lane("rq", [&input, &result])?;
    let table = table_at(&params, shape, result.lane, dequant)?;
    let limits = range(result.dtype.bytes(), result.dtype.signed);
    let shape = joined(shape, &[&input, &result]);
    let job = Job { shape, input, result, params, table, rounding, limits, dequant };
    for_lanes(memory, result.lane, shape.c as usize, shape.elements(), &job);
    Ok(())
}

impl Job {
    #[inline(always)]
    fn params_of(&self, lane: &[u8], block: usize) -> Params {
        // A zero point has 16 bits and the sign of the unrounded side.
        let zero = |bits: i32| if self.dequant || self.result.dtype.signed { i64::from(bits as i16) } else { i64::from(bits as u16) };
        let word = |i: usize| {
            let at = self.table + block * RECORD + 4 * i;
            u32::from_le_bytes([lane[at], lane[at + 1], lane[at + 2], lane[at + 3]])
        };
        match self.params {
            QuantParams::IntTable(_) => Params::Int { multiplier: i64::from(word(0) as i32), shift: i64::from(word(1) as i8), zero_point: zero(word(2) as i32) },
            QuantParams::Int { multiplier, shift, zero_point } => Params::Int { multiplier: i64::from(multiplier), shift: i64::from(shift), zero_point: zero(i32::from(zero_point)) },
            QuantParams::FloatTable(_) if self.dequant => Params::Dequant { zero_point: word(0) as i32, scale: f32::from_bits(word(1)) },
            QuantParams::FloatTable(_) => Params::Float { scale: f32::from_bits(word(0)), offset: f32::from_bits(word(1)) },
            QuantParams::Float { scale, offset } => Params::Float { scale, offset },
            QuantParams::FloatDequant { scale, zero_point } => Params::Dequant { scale, zero_point },
        }
    }
}

impl LaneJob for Job {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let mut ints = [0i64; RUN];
        let mut floats = [0f32; RUN];
        let (input, result) = (&self.input, &self.result);
        channels_of(lane, result.lane, self.shape, |n, block| {
            let params = self.params_of(bytes, block);
            for h in 0..self.shape.h as usize {
                let (source, out) = (input.row(n, block, h), result.row(n, block, h));
                let mut from = 0;
                while from < self.shape.w as usize {
                    let count = (self.shape.w as usize - from).min(RUN);
                    let (ints, floats) = (&mut ints[..count], &mut floats[..count]);
                    let (source, out) = (source + from * input.step(), out + from * result.step());
                    match params {
                        Params::Int { multiplier, shift, zero_point } => {
                            read_ints(bytes, source, input.step(), input.dtype, ints);
                            if self.dequant {
                                ints.iter_mut().for_each(|v| *v = shift_round((*v - zero_point) * multiplier, shift, self.rounding).clamp(self.limits.0, self.limits.1));
                            } else {
                                ints.iter_mut().for_each(|v| *v *= multiplier);
                                shift_row(ints, shift, self.rounding, zero_point, self.limits);
                            }
                            write_ints(bytes, out, result.step(), result.dtype.bytes(), ints);
                        }
                        Params::Float { scale, offset } => {
                            if input.dtype.precision.is_float() {
                                read_floats(bytes, source, input.step(), input.dtype.precision, floats);
                            } else {
                                read_ints(bytes, source, input.step(), input.dtype, ints);
                                floats.iter_mut().zip(&*ints).for_each(|(f, v)| *f = *v as f32);
                            }
                            floats.iter_mut().for_each(|f| *f = *f * scale + offset);
                            float_to_int(floats, ints, self.rounding, self.limits);
                            write_ints(bytes, out, result.step(), result.dtype.bytes(), ints);
                        }
                        Params::Dequant { scale, zero_point } => {
                            read_ints(bytes, source, input.step(), input.dtype, ints);
                            // 16 bits of it, with the input's sign.
                            let zero_point = if input.dtype.signed { i64::from(zero_point as i16) } else { i64::from(zero_point as u16) };
                            floats.iter_mut().zip(&*ints).for_each(|(f, v)| *f = (*v - zero_point) as f32 * scale);
                            write_floats(bytes, out, result.step(), result.dtype.precision, floats);
                        }
                    }
                    from += count;
                }
            }
        });
    }
}
