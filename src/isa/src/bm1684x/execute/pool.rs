//! Pooling and depthwise convolution (PorD): a window over every channel by itself.
//!
//! A channel's padded input is laid out once as a plane of numbers, its columns dealt out by stride, so that each tap of
//! the window is a run of neighbours for a run of outputs.

use super::conv::{check_reach, check_window};
use super::round::{range, shift_row};
use super::unsupported;
use super::view::{LaneJob, View, channels_of, float_of, for_lanes, half_bits, int_of, read_floats, same_lane, write_floats, write_ints};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{DType, Pool, PoolFunction, Precision, Rounding, Shape, Source, lane_of, offset_of};

/// Outputs that are summed up before the next ones.
const BLOCK: usize = 1024;

struct Job<'a> {
    inst: &'a Pool,
    input: View,
    result: View,
    /// Of depthwise weights and bias, in each lane.
    weights: usize,
    bias: Option<usize>,
    /// Padded rows, and columns of each of the `stride_w` interleaved parts of a padded row.
    rows: usize,
    pitch: usize,
    /// Offsets of the taps in the plane.
    taps: Vec<usize>,
    /// Runs of outputs: offset in the plane. Their length.
    runs: Vec<usize>,
    length: usize,
    /// Outputs of a row are this far apart in the run (0: a run is a row).
    out_pitch: usize,
    pad: u32,
    limits: (i64, i64),
    /// Multiplier and right shift of the mean.
    mean: (u32, u32),
}

pub fn run(memory: &mut Memory, inst: &Pool) -> Result<()> {
    let (window, shape, name) = (&inst.window, inst.shape, inst.function.name());
    check_window(name, window)?;
    if shape.elements() == 0 {
        return Ok(());
    }
    let Source::Const(pad) = inst.pad_value else { return unsupported("pooling with padding per channel") };
    let (input_type, to) = (inst.input.dtype, inst.result.precision);
    match (inst.function, input_type.precision, to) {
        (PoolFunction::Depthwise, Precision::Int8, Precision::Int8 | Precision::Int32) => {}
        (PoolFunction::Average, Precision::Int8, Precision::Int8 | Precision::Int32) => {}
        (PoolFunction::Max, Precision::Int8, Precision::Int8) => {}
        (PoolFunction::Depthwise | PoolFunction::Average | PoolFunction::Max, from, to) if from.is_float() && from == to => {}
        _ => return unsupported(&format!("{name} of {} into {}", input_type.precision.name(), to.name())),
    }
    let input_shape = Shape::new(shape.n, shape.c, inst.input_h, inst.input_w);
    let input = View::new(inst.input.addr, input_shape, input_type, inst.input.layout, "the input")?;
    let depthwise = inst.function == PoolFunction::Depthwise;
    let signed = input_type.signed || (depthwise && (inst.weight_signed || inst.opd2_signed));
    let result = View::new(inst.result.addr, shape, DType::new(to, signed), inst.result.layout, "the result")?;
    same_lane(name, [&input, &result])?;
    check_reach(name, window, shape, inst.input_h, inst.input_w)?;
    let area = (window.kernel_h * window.kernel_w) as usize;
    let blocks = (result.lane + shape.c as usize).div_ceil(LANES);
    let in_lane = |addr: u32, bytes: usize, what: &'static str| {
        let end = u64::from(offset_of(addr)) + bytes as u64;
        match lane_of(addr) as usize == result.lane {
            false => Err(ExecuteError::Operand(format!("{name}: {what} and the result start in different lanes"))),
            true if end > LANE as u64 => Err(ExecuteError::Local { what, end }),
            true => Ok(offset_of(addr) as usize),
        }
    };
    let bias_bytes = if input_type.precision.is_float() { input_type.bytes() as usize } else { 4 };
    let (mut weights, mut bias) = (0, None);
    let mut mean = (0, 0);
    match (inst.function, inst.weight, inst.opd2) {
        (PoolFunction::Depthwise, Source::Local(at), opd2) => {
            weights = in_lane(at, blocks * area * input_type.bytes() as usize, "the weights")?;
            match opd2 {
                Source::Local(at) => bias = Some(in_lane(at, blocks * bias_bytes, "the bias")?),
                Source::Const(0) => {}
                Source::Const(_) => return unsupported("depthwise convolution with a constant bias"),
            }
        }
        (PoolFunction::Depthwise, Source::Const(_), _) => return unsupported("depthwise convolution with constant weights"),
        // The vendor writes the shift of the integer mean without the constant bit; floats have none.
        (PoolFunction::Average, Source::Const(multiplier), Source::Const(shift) | Source::Local(shift)) => mean = (multiplier, shift),
        (PoolFunction::Average, Source::Local(_), _) => return unsupported("a mean with a multiplier for each channel"),
        _ => {}
    }
    if inst.function == PoolFunction::Average && !input_type.precision.is_float() && inst.rounding != Rounding::HalfUp {
        return unsupported(&format!("{name} that does not round halves up"));
    }
    let (stride_h, stride_w) = (window.stride_h as usize, window.stride_w as usize);
    let (dilation_h, dilation_w) = (window.kernel_insert_h as usize + 1, window.kernel_insert_w as usize + 1);
    let rows = (inst.input_h + window.pad_top + window.pad_bottom) as usize;
    let columns = (inst.input_w + window.pad_left + window.pad_right) as usize;
    let pitch = columns.div_ceil(stride_w);
    let taps = (0..window.kernel_h as usize)
        .flat_map(|y| (0..window.kernel_w as usize).map(move |x| (y * dilation_h, x * dilation_w)))
        .map(|(y, x)| (y * stride_w + x % stride_w) * pitch + x / stride_w)
        .collect();
    let (out_h, out_w) = (shape.h as usize, shape.w as usize);
    // With stride 1 all rows are one run; what falls between two rows is computed and thrown away.
    let (runs, length, out_pitch) = match stride_h == 1 && stride_w == 1 {
        true => (vec![0], (out_h - 1) * pitch + out_w, pitch),
        false => ((0..out_h).map(|y| y * stride_h * stride_w * pitch).collect(), out_w, 0),
    };
    let limits = range(to.bytes(), signed);
    let job = Job { inst, input, result, weights, bias, rows, pitch, taps, runs, length, out_pitch, pad, limits, mean };
    for_lanes(memory, result.lane, shape.c as usize, shape.elements() * area as u64, &job);
    Ok(())
}

impl LaneJob for Job<'_> {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        match self.inst.input.dtype.precision.is_float() {
            true => self.floats(lane, bytes),
            false => self.ints(lane, bytes),
        }
    }
}

impl Job<'_> {
    /// The plane of a channel, `read` puts the columns of an input row behind each other.
    #[inline(always)]
    fn plane<T: Copy>(&self, pad: T, plane: &mut [T], row: &mut [T], mut read: impl FnMut(usize, &mut [T])) {
        let window = &self.inst.window;
        let (top, left, stride) = (window.pad_top as usize, window.pad_left as usize, window.stride_w as usize);
        if window.pad_top + window.pad_bottom + window.pad_left + window.pad_right > 0 {
            plane.fill(pad);
        }
        for y in 0..self.inst.input_h as usize {
            let line = &mut plane[(y + top) * stride * self.pitch..(y + top + 1) * stride * self.pitch];
            if stride == 1 {
                read(y, &mut line[left..left + self.inst.input_w as usize]);
                continue;
            }
            read(y, row);
            if stride == 2 {
                let (even, odd) = line.split_at_mut(self.pitch);
                let (first, second) = if left % 2 == 0 { (even, odd) } else { (odd, even) };
                let (a, b) = (left / 2, left.div_ceil(2));
                row.iter().step_by(2).zip(&mut first[a..]).for_each(|(v, place)| *place = *v);
                row.iter().skip(1).step_by(2).zip(&mut second[b..]).for_each(|(v, place)| *place = *v);
                continue;
            }
            for (x, v) in row.iter().enumerate() {
                line[(x + left) % stride * self.pitch + (x + left) / stride] = *v;
            }
        }
    }

    #[inline(always)]
    fn ints(&self, lane: usize, bytes: &mut [u8]) {
        let inst = self.inst;
        let (shape, dtype) = (inst.shape, inst.input.dtype);
        let mut plane = vec![0i32; self.rows * inst.window.stride_w as usize * self.pitch];
        let mut row = vec![0i32; inst.input_w as usize];
        let mut sums = vec![0i32; self.length];
        let mut out = vec![0i64; shape.w as usize];
        let pad = int_of(self.pad, dtype) as i32;
        let mut weights = vec![1i32; self.taps.len()];
        let (low, high) = self.limits;
        channels_of(lane, self.result.lane, shape, |n, block| {
            let source: &[u8] = bytes;
            self.plane(pad, &mut plane, &mut row, |y, row| {
                let at = self.input.row(n, block, y);
                let step = self.input.step();
                match (step == 1, dtype.signed) {
                    (true, true) => row.iter_mut().zip(&source[at..at + inst.input_w as usize]).for_each(|(v, b)| *v = i32::from(*b as i8)),
                    (true, false) => row.iter_mut().zip(&source[at..at + inst.input_w as usize]).for_each(|(v, b)| *v = i32::from(*b)),
                    (false, signed) => row.iter_mut().enumerate().for_each(|(x, v)| {
                        let b = source[at + x * step];
                        *v = if signed { i32::from(b as i8) } else { i32::from(b) };
                    }),
                }
            });
            let mut initial = 0;
            if inst.function == PoolFunction::Depthwise {
                let at = self.weights + block * weights.len();
                let kernel = &bytes[at..at + weights.len()];
                match inst.weight_signed {
                    true => weights.iter_mut().zip(kernel).for_each(|(v, b)| *v = i32::from(*b as i8)),
                    false => weights.iter_mut().zip(kernel).for_each(|(v, b)| *v = i32::from(*b)),
                }
                if let Some(bias) = self.bias {
                    let at = bias + 4 * block;
                    initial = i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
                }
            }
            for (index, run) in self.runs.iter().enumerate() {
                match inst.function {
                    PoolFunction::Max => fold(&plane, *run, &self.taps, &weights, i32::MIN, &mut sums, |s, v, _| s.max(v)),
                    PoolFunction::Average => fold(&plane, *run, &self.taps, &weights, 0, &mut sums, |s, v, _| s.wrapping_add(v)),
                    _ => fold(&plane, *run, &self.taps, &weights, initial, &mut sums, |s, v, w| s.wrapping_add(v.wrapping_mul(w))),
                }
                let rows = if self.out_pitch == 0 { 1 } else { shape.h as usize };
                for y in 0..rows {
                    let part = &sums[y * self.out_pitch..y * self.out_pitch + shape.w as usize];
                    out.iter_mut().zip(part).for_each(|(o, s)| *o = if low < 0 { i64::from(*s) } else { i64::from(*s as u32) });
                    match inst.function {
                        PoolFunction::Average => {
                            let (multiplier, shift) = (i64::from(self.mean.0 as u8), -i64::from(self.mean.1 as u8 as i8));
                            out.iter_mut().for_each(|o| *o *= multiplier);
                            shift_row(&mut out, shift, Rounding::HalfUp, 0, self.limits);
                        }
                        _ => out.iter_mut().for_each(|o| *o = (*o).clamp(low, high)),
                    }
                    let at = self.result.row(n, block, index + y);
                    write_ints(bytes, at, self.result.step(), inst.result.precision.bytes(), &out);
                }
            }
        });
    }

    #[inline(always)]
    fn floats(&self, lane: usize, bytes: &mut [u8]) {
        let inst = self.inst;
        let shape = inst.shape;
        let precision = inst.input.dtype.precision;
        let mut plane = vec![0f32; self.rows * inst.window.stride_w as usize * self.pitch];
        let mut row = vec![0f32; inst.input_w as usize];
        let mut sums = vec![0f32; self.length];
        let mut odd = vec![0f32; self.length];
        let pad = float_of(self.pad, precision);
        let mut weights = vec![float_of(self.mean.0, precision); self.taps.len()];
        let tap_halves = [every_second(&self.taps, 0), every_second(&self.taps, 1)];
        channels_of(lane, self.result.lane, shape, |n, block| {
            let source: &[u8] = bytes;
            self.plane(pad, &mut plane, &mut row, |y, row| read_floats(source, self.input.row(n, block, y), self.input.step(), precision, row));
            let mut bias = None;
            if inst.function == PoolFunction::Depthwise {
                let size = precision.bytes() as usize;
                let count = weights.len();
                read_floats(bytes, self.weights + block * count * size, size, precision, &mut weights);
                let mut one = [0f32];
                if let Some(at) = self.bias {
                    read_floats(bytes, at + block * size, size, precision, &mut one);
                    bias = Some(one[0]);
                }
            }
            // Even and odd taps are summed apart; in 16 bits every product and every sum is rounded.
            let halves = [every_second(&weights, 0), every_second(&weights, 1)];
            for (index, run) in self.runs.iter().enumerate() {
                match inst.function {
                    PoolFunction::Max => fold(&plane, *run, &self.taps, &weights, f32::NEG_INFINITY, &mut sums, |s, v, _| if v > s { v } else { s }),
                    _ => {
                        // A bias is the first of the list, which moves the taps to the other sum.
                        let (first, second, start) = match bias {
                            Some(bias) => (1, 0, bias),
                            None if inst.function == PoolFunction::Depthwise => (0, 1, 0.0),
                            None => (0, 1, -0.0),
                        };
                        fold_products(precision, &plane, *run, &tap_halves[first], &halves[first], start, &mut sums);
                        if !tap_halves[second].is_empty() {
                            fold_products(precision, &plane, *run, &tap_halves[second], &halves[second], -0.0, &mut odd);
                            sums.iter_mut().zip(&odd).for_each(|(s, o)| *s = rounded(*s + o, precision));
                        }
                    }
                }
                let rows = if self.out_pitch == 0 { 1 } else { shape.h as usize };
                for y in 0..rows {
                    let part = &sums[y * self.out_pitch..y * self.out_pitch + shape.w as usize];
                    write_floats(bytes, self.result.row(n, block, index + y), self.result.step(), inst.result.precision, part);
                }
            }
        });
    }
}

fn every_second<T: Copy>(list: &[T], first: usize) -> Vec<T> {
    list.iter().skip(first).step_by(2).copied().collect()
}

fn rounded(v: f32, precision: Precision) -> f32 {
    match precision {
        Precision::F16 => half::f16::from_bits(half_bits(v, precision)).to_f32(),
        Precision::Bf16 => half::bf16::from_bits(half_bits(v, precision)).to_f32(),
        _ => v,
    }
}

/// Sums of products of one half of the taps.
#[inline(always)]
fn fold_products(precision: Precision, plane: &[f32], run: usize, taps: &[usize], weights: &[f32], start: f32, sums: &mut [f32]) {
    match precision {
        Precision::F32 => fold(plane, run, taps, weights, start, sums, |s, v, w| s + v * w),
        _ => fold(plane, run, taps, weights, start, sums, |s, v, w| rounded(s + rounded(v * w, precision), precision)),
    }
}

/// `sums[i]` is the fold of `plane[run + tap + i]` over all taps, in their order.
#[inline(always)]
fn fold<T: Copy>(plane: &[T], run: usize, taps: &[usize], weights: &[T], initial: T, sums: &mut [T], op: impl Fn(T, T, T) -> T) {
    for (index, sums) in sums.chunks_mut(BLOCK).enumerate() {
        sums.fill(initial);
        let at = run + index * BLOCK;
        for (tap, weight) in taps.iter().zip(weights) {
            let values = &plane[at + tap..at + tap + sums.len()];
            for (s, v) in sums.iter_mut().zip(values) {
                *s = op(*s, *v, *weight);
            }
        }
    }
}
