//! Requantization (RQ) and dequantization (DQ).

use super::arith::{View, range, read_floats, read_ints, round_float, shift_round, write_floats, write_ints};
use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{CHIP, Dq, Layout, QuantParams, Rq, Shape, lane_of, offset_of};
use rayon::prelude::*;

/// Parameters of one channel.
#[derive(Debug, Clone, Copy)]
enum Params {
    Int { multiplier: i64, shift: i64, zero_point: i64 },
    Float { scale: f32, offset: f32 },
}

/// Where the records of a table start in a lane, checked against the lane's end.
fn table_at(params: &QuantParams, shape: Shape, lane: usize) -> Result<usize> {
    let (QuantParams::IntTable(addr) | QuantParams::FloatTable(addr)) = *params else { return Ok(0) };
    let blocks = (lane + shape.c as usize).div_ceil(CHIP.lanes as usize);
    let end = u64::from(offset_of(addr)) + blocks as u64 * 64;
    // The last record's padding need not exist.
    if end > LANE as u64 + 52 || lane_of(addr) as usize != lane {
        return Err(ExecuteError::Local { what: "the table of requantization", end });
    }
    Ok(offset_of(addr) as usize)
}

fn params_of(params: &QuantParams, lane: &[u8], table: usize, block: usize) -> Params {
    let word = |i: usize| {
        let at = table + block * 64 + 4 * i;
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&lane[at..at + 4]);
        bytes
    };
    let int = |i: usize| i64::from(i32::from_le_bytes(word(i)));
    match *params {
        QuantParams::IntTable(_) => Params::Int { multiplier: int(0), shift: i64::from(int(1) as i8), zero_point: i64::from(int(2) as i16) },
        QuantParams::Int { multiplier, shift, zero_point } => Params::Int { multiplier: i64::from(multiplier), shift: i64::from(shift), zero_point: i64::from(zero_point) },
        QuantParams::FloatTable(_) => Params::Float { scale: f32::from_le_bytes(word(0)), offset: f32::from_le_bytes(word(1)) },
        QuantParams::Float { scale, offset } => Params::Float { scale, offset },
        QuantParams::FloatDequant { scale, zero_point } => Params::Float { scale, offset: zero_point as f32 },
    }
}

pub fn run(memory: &mut Memory, inst: &Rq) -> Result<()> {
    let shape = inst.shape;
    let input = View::new(inst.input_addr, shape, inst.input, Layout::Aligned, "the input")?;
    let result = View::new(inst.result_addr, shape, inst.result, Layout::Aligned, "the result")?;
    let table = table_at(&inst.params, shape, result.lane)?;
    let (low, high) = range(inst.result.bytes(), inst.result.signed);
    let (width, rounding) = (shape.w as usize, inst.rounding);
    if inst.input.precision.is_float() && !matches!(inst.params, QuantParams::Float { .. } | QuantParams::FloatTable(_)) {
        return unsupported("integer requantization of floats");
    }
    for_channels(memory, shape, result.lane, |lane, n, block| {
        let params = params_of(&inst.params, lane, table, block);
        let mut row = vec![0i64; width];
        let mut floats = vec![0f32; if matches!(params, Params::Float { .. }) { width } else { 0 }];
        for h in 0..shape.h as usize {
            let at = input.row(n, block, h);
            match params {
                Params::Int { multiplier, shift, zero_point } => {
                    read_ints(lane, at, input.step(), inst.input, &mut row);
                    row.iter_mut().for_each(|v| *v = (shift_round(*v * multiplier, shift, rounding) + zero_point).clamp(low, high));
                }
                Params::Float { scale, offset } => {
                    if inst.input.precision.is_float() {
                        read_floats(lane, at, input.step(), inst.input, &mut floats);
                    } else {
                        read_ints(lane, at, input.step(), inst.input, &mut row);
                        floats.iter_mut().zip(&row).for_each(|(f, v)| *f = *v as f32);
                    }
                    row.iter_mut().zip(&floats).for_each(|(v, f)| *v = (round_float(f * scale + offset, rounding) as i64).clamp(low, high));
                }
            }
            write_ints(lane, result.row(n, block, h), result.step(), inst.result.bytes(), &row);
        }
    });
    Ok(())
}

pub fn run_dequant(memory: &mut Memory, inst: &Dq) -> Result<()> {
    let shape = inst.shape;
    let input = View::new(inst.input_addr, shape, inst.input, Layout::Aligned, "the input")?;
    let result = View::new(inst.result_addr, shape, inst.result, Layout::Aligned, "the result")?;
    let table = table_at(&inst.params, shape, result.lane)?;
    if !inst.result.precision.is_float() {
        return unsupported("dequantization to integers");
    }
    for_channels(memory, shape, result.lane, |lane, n, block| {
        let params = params_of(&inst.params, lane, table, block);
        let mut row = vec![0i64; shape.w as usize];
        let mut floats = vec![0f32; shape.w as usize];
        for h in 0..shape.h as usize {
            read_ints(lane, input.row(n, block, h), input.step(), inst.input, &mut row);
            if let Params::Float { scale, offset } = params {
                floats.iter_mut().zip(&row).for_each(|(f, v)| *f = (*v as f32 - offset) * scale);
            }
            write_floats(lane, result.row(n, block, h), result.step(), inst.result.precision, &floats);
        }
    });
    Ok(())
}

/// Calls `body` with every lane's bytes for every (n, channel block) that it holds, lanes in parallel.
pub fn for_channels(memory: &mut Memory, shape: Shape, start: usize, body: impl Fn(&mut [u8], usize, usize) + Sync) {
    let lanes = CHIP.lanes as usize;
    memory.local.par_chunks_mut(LANE).enumerate().for_each(|(lane, bytes)| {
        let first = (lane + lanes - start) % lanes;
        for n in 0..shape.n as usize {
            for channel in (first..shape.c as usize).step_by(lanes) {
                body(bytes, n, (start + channel) / lanes);
            }
        }
    });
}
