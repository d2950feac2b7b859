//! Convolution (CONV), INT8 into i32.
//!
//! The input is gathered once into cubes of 64 channels with its padding, `[cube][row][column][64]`; then every lane computes
//! its own output channels as dot products of 64 bytes. Signed inputs are shifted by 128 to be unsigned, as the
//! processor's dot product wants them, and the shift is taken back per output channel.

use super::arith::{View, int_of};
use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{CHIP, Conv, DType, Precision, Shape, Source, lane_of, offset_of};
use rayon::prelude::*;

const CUBE: usize = 64;
const LANES: usize = CHIP.lanes as usize;

/// The padded input of one image, and where its taps are.
struct Cubes {
    bytes: Vec<u8>,
    row: usize,
    plane: usize,
}

pub fn run(memory: &mut Memory, inst: &Conv) -> Result<()> {
    let (window, shape) = (&inst.window, inst.shape);
    if inst.input.dtype.precision != Precision::Int8 || inst.result.precision != Precision::Int32 {
        return unsupported("convolution in other types than int8 to int32");
    }
    if window.input_insert_h != 0 || window.input_insert_w != 0 || window.rotate || window.pad_mode.code() != 0 {
        return unsupported("transposed convolution");
    }
    let (Source::Local(weights), Source::Const(0), Source::Const(pad)) = (inst.weight, inst.opd2, inst.pad_value) else {
        return unsupported("convolution with constant weights, kernel zero points or padding per channel");
    };
    let input_shape = Shape::new(shape.n, inst.input_c, inst.input_h, inst.input_w);
    let input = View::new(inst.input.addr, input_shape, inst.input.dtype, inst.input.layout, "the input")?;
    let result = View::new(inst.result.addr, shape, DType::I32, inst.result.layout, "the result")?;
    if lane_of(weights) as usize != result.lane {
        return Err(ExecuteError::Operand("conv: weights and result start in different lanes".into()));
    }
    let (taps_h, taps_w) = (window.kernel_h as usize, window.kernel_w as usize);
    let cubes = (inst.input_c as usize).div_ceil(CUBE);
    let blocks = (result.lane + shape.c as usize).div_ceil(LANES);
    let filter = cubes * taps_h * taps_w * CUBE;
    let end = offset_of(weights) as u64 + (blocks * filter) as u64;
    if end > LANE as u64 {
        return Err(ExecuteError::Local { what: "the weights", end });
    }
    let reach = |out: u32, stride: u32, kernel: u32, insert: u32| (out.max(1) as u64 - 1) * u64::from(stride) + (u64::from(kernel) - 1) * (u64::from(insert) + 1) + 1;
    let padded = [inst.input_h + window.pad_top + window.pad_bottom, inst.input_w + window.pad_left + window.pad_right];
    if reach(shape.h, window.stride_h, window.kernel_h, window.kernel_insert_h) > u64::from(padded[0]) || reach(shape.w, window.stride_w, window.kernel_w, window.kernel_insert_w) > u64::from(padded[1]) {
        return Err(ExecuteError::Operand("conv: the result is larger than the padded input allows".into()));
    }
    let shift = if inst.input.dtype.signed { 128u8 } else { 0 };
    let pad = (int_of(pad, inst.input.dtype) as u8).wrapping_add(shift);
    for n in 0..shape.n as usize {
        let image = gather(memory, inst, &input, n, shift, pad);
        // Offsets of all taps from the top left one, in the order of the weights.
        let mut taps = Vec::with_capacity(cubes * taps_h * taps_w);
        for cube in 0..cubes {
            for y in 0..taps_h {
                for x in 0..taps_w {
                    taps.push(cube * image.plane + y * (window.kernel_insert_h as usize + 1) * image.row + x * (window.kernel_insert_w as usize + 1) * CUBE);
                }
            }
        }
        memory.local.par_chunks_mut(LANE).enumerate().for_each(|(lane, bytes)| {
            let first = (lane + LANES - result.lane) % LANES;
            let mut sums = vec![0i32; shape.w as usize];
            for channel in (first..shape.c as usize).step_by(LANES) {
                let block = (result.lane + channel) / LANES;
                let at = offset_of(weights) as usize + block * filter;
                let mut kernel = bytes[at..at + filter].to_vec();
                clear_tail(&mut kernel, inst.input_c as usize, taps_h * taps_w);
                let correction = if shift == 0 { 0 } else { sum_of(&kernel, inst.weight_signed).wrapping_mul(128) };
                for h in 0..shape.h as usize {
                    let start = h * window.stride_h as usize * image.row;
                    dot_row(&image.bytes[start..], &taps, &kernel, inst.weight_signed, window.stride_w as usize * CUBE, &mut sums);
                    let out = result.row(n, block, h);
                    for (x, sum) in sums.iter().enumerate() {
                        let place = &mut bytes[out + x * result.step()..][..4];
                        let mut value = sum.wrapping_sub(correction);
                        if inst.accumulate {
                            value = value.wrapping_add(i32::from_le_bytes([place[0], place[1], place[2], place[3]]));
                        }
                        place.copy_from_slice(&value.to_le_bytes());
                    }
                }
            }
        });
    }
    Ok(())
}

/// Channels behind the last one do not count, whatever the memory holds.
fn clear_tail(kernel: &mut [u8], channels: usize, taps: usize) {
    let tail = channels % CUBE;
    if tail != 0 {
        let last = kernel.len() - taps * CUBE;
        kernel[last..].chunks_exact_mut(CUBE).for_each(|cube| cube[tail..].fill(0));
    }
}

fn sum_of(kernel: &[u8], signed: bool) -> i32 {
    if signed { kernel.iter().map(|&w| i32::from(w as i8)).sum() } else { kernel.iter().map(|&w| i32::from(w)).sum() }
}

fn gather(memory: &Memory, inst: &Conv, input: &View, n: usize, shift: u8, pad: u8) -> Cubes {
    let window = &inst.window;
    let (height, width, channels) = (inst.input_h as usize, inst.input_w as usize, inst.input_c as usize);
    let row = (width + (window.pad_left + window.pad_right) as usize) * CUBE;
    let rows = height + (window.pad_top + window.pad_bottom) as usize;
    let cubes = channels.div_ceil(CUBE);
    let (top, left) = (window.pad_top as usize, window.pad_left as usize);
    // A register's worth behind the end may be read, never used.
    let mut bytes = vec![pad; cubes * rows * row];
    bytes.par_chunks_mut(row).enumerate().for_each(|(index, out)| {
        let (cube, y) = (index / rows, index % rows);
        if y < top || y >= top + height {
            return;
        }
        let inside = &mut out[left * CUBE..(left + width) * CUBE];
        let count = (channels - cube * CUBE).min(CUBE);
        for c in 0..count {
            let channel = input.lane + cube * CUBE + c;
            let lane = memory.lane(channel % LANES);
            let at = input.row(n, channel / LANES, y - top);
            let step = input.step();
            if step == 1 {
                lane[at..at + width].iter().zip(inside[c..].iter_mut().step_by(CUBE)).for_each(|(v, o)| *o = v.wrapping_add(shift));
            } else {
                (0..width).for_each(|x| inside[x * CUBE + c] = lane[at + x * step].wrapping_add(shift));
            }
        }
    });
    Cubes { bytes, row, plane: rows * row }
}

/// One row of dot products: output `x` is the sum over taps of `image[taps[t] + x * step ..][..64]` times its weights.
fn dot_row(image: &[u8], taps: &[usize], kernel: &[u8], signed: bool, step: usize, sums: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if signed && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512f") {
        // SAFETY: the features are there; the last tap of the last output lies inside of the image (checked in `run`).
        unsafe { dot_row_vnni(image, taps, kernel, step, sums) };
        return;
    }
    for (x, sum) in sums.iter_mut().enumerate() {
        let mut total = 0i32;
        for (tap, weights) in taps.iter().zip(kernel.chunks_exact(CUBE)) {
            let at = tap + x * step;
            let values = &image[at..at + CUBE];
            let part: i32 = if signed {
                values.iter().zip(weights).map(|(&v, &w)| i32::from(v) * i32::from(w as i8)).sum()
            } else {
                values.iter().zip(weights).map(|(&v, &w)| i32::from(v) * i32::from(w)).sum()
            };
            total = total.wrapping_add(part);
        }
        *sum = total;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dot_row_vnni(image: &[u8], taps: &[usize], kernel: &[u8], step: usize, sums: &mut [i32]) {
    use std::arch::x86_64::*;
    let mut x = 0;
    while x < sums.len() {
        let count = (sums.len() - x).min(4);
        let mut total = [_mm512_setzero_si512(); 4];
        for (tap, weights) in taps.iter().zip(kernel.chunks_exact(CUBE)) {
            // SAFETY: 64 bytes of weights; every output's tap lies inside of the image.
            unsafe {
                let w = _mm512_loadu_si512(weights.as_ptr().cast());
                let base = image.as_ptr().add(tap + x * step);
                debug_assert!(tap + (x + count - 1) * step + CUBE <= image.len());
                if count == 4 {
                    total[0] = _mm512_dpbusd_epi32(total[0], _mm512_loadu_si512(base.cast()), w);
                    total[1] = _mm512_dpbusd_epi32(total[1], _mm512_loadu_si512(base.add(step).cast()), w);
                    total[2] = _mm512_dpbusd_epi32(total[2], _mm512_loadu_si512(base.add(2 * step).cast()), w);
                    total[3] = _mm512_dpbusd_epi32(total[3], _mm512_loadu_si512(base.add(3 * step).cast()), w);
                } else {
                    for (i, total) in total.iter_mut().enumerate().take(count) {
                        *total = _mm512_dpbusd_epi32(*total, _mm512_loadu_si512(base.add(i * step).cast()), w);
                    }
                }
            }
        }
        for i in 0..count {
            sums[x + i] = _mm512_reduce_add_epi32(total[i]);
        }
        x += count;
    }
}
