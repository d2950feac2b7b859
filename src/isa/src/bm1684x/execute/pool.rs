//! Pooling and depthwise convolution (PorD): a window over every channel by itself.

use super::arith::{View, float_of, int_of, range, read_floats, read_ints, shift_round, write_floats, write_ints};
use super::requant::for_channels;
use super::unsupported;
use crate::bm1684x::memory::{ExecuteError, LANE, Memory, Result};
use crate::bm1684x::{CHIP, DType, Pool, PoolFunction, Shape, Source, lane_of, offset_of};

pub fn run(memory: &mut Memory, inst: &Pool) -> Result<()> {
    let window = &inst.window;
    if window.input_insert_h != 0 || window.input_insert_w != 0 || window.rotate || window.pad_mode.code() != 0 {
        return unsupported("pooling with insertion");
    }
    let Source::Const(pad) = inst.pad_value else { return unsupported("pooling with padding per channel") };
    let float = inst.input.dtype.precision.is_float();
    match (inst.function, float) {
        (PoolFunction::Depthwise, false) => {}
        (PoolFunction::Average | PoolFunction::Max, _) => {}
        (other, _) => return unsupported(other.name()),
    }
    let shape = inst.shape;
    let input_shape = Shape::new(shape.n, shape.c, inst.input_h, inst.input_w);
    let input = View::new(inst.input.addr, input_shape, inst.input.dtype, inst.input.layout, "the input")?;
    let signed = inst.input.dtype.signed || (inst.function == PoolFunction::Depthwise && inst.weight_signed);
    let result_type = DType::new(inst.result.precision, signed);
    let result = View::new(inst.result.addr, shape, result_type, inst.result.layout, "the result")?;
    let area = (window.kernel_h * window.kernel_w) as usize;
    let blocks = (result.lane + shape.c as usize).div_ceil(CHIP.lanes as usize);
    let (mut weights_at, mut bias_at) = (0, None);
    if inst.function == PoolFunction::Depthwise {
        let Source::Local(weights) = inst.weight else { return unsupported("depthwise convolution with constant weights") };
        weights_at = offset_of(weights) as usize;
        let end = weights_at as u64 + (blocks * area) as u64;
        if end > LANE as u64 || lane_of(weights) as usize != result.lane {
            return Err(ExecuteError::Local { what: "the weights", end });
        }
        if let Source::Local(bias) = inst.opd2 {
            let end = u64::from(offset_of(bias)) + 4 * blocks as u64;
            if end > LANE as u64 {
                return Err(ExecuteError::Local { what: "the bias", end });
            }
            bias_at = Some(offset_of(bias) as usize);
        }
    }
    // Rows of the padded input, and of one row of results.
    let padded = (inst.input_w + window.pad_left + window.pad_right) as usize;
    let (dilation_h, dilation_w) = (window.kernel_insert_h as usize + 1, window.kernel_insert_w as usize + 1);
    let last = |out: u32, stride: u32, kernel: u32, dilation: usize| (out.max(1) as usize - 1) * stride as usize + (kernel as usize - 1) * dilation;
    if last(shape.w, window.stride_w, window.kernel_w, dilation_w) >= padded
        || last(shape.h, window.stride_h, window.kernel_h, dilation_h) >= (inst.input_h + window.pad_top + window.pad_bottom) as usize
    {
        return Err(ExecuteError::Operand("pooling: the result is larger than the padded input allows".into()));
    }
    let (low, high) = range(inst.result.precision.bytes(), signed);
    let left = window.pad_left as usize;
    let right = left + inst.input_w as usize;
    let stride = window.stride_w as usize;
    for_channels(memory, shape, result.lane, |lane, n, block| {
        let mut ints = vec![int_of(pad, inst.input.dtype); if float { 0 } else { padded }];
        let mut floats = vec![float_of(pad, inst.input.dtype.precision); if float { padded } else { 0 }];
        let mut sums = vec![0i64; shape.w as usize];
        let mut float_sums = vec![0f32; shape.w as usize];
        let bias = bias_at.map_or(0, |at| {
            let at = at + 4 * block;
            i64::from(i32::from_le_bytes([lane[at], lane[at + 1], lane[at + 2], lane[at + 3]]))
        });
        for h in 0..shape.h as usize {
            match inst.function {
                PoolFunction::Max => {
                    sums.fill(i64::MIN);
                    float_sums.fill(f32::NEG_INFINITY);
                }
                _ => {
                    sums.fill(bias);
                    float_sums.fill(0.0);
                }
            }
            for ky in 0..window.kernel_h as usize {
                let y = (h * window.stride_h as usize + ky * dilation_h).checked_sub(window.pad_top as usize).filter(|&y| y < inst.input_h as usize);
                match (y, float) {
                    (Some(y), false) => read_ints(lane, input.row(n, block, y), input.step(), inst.input.dtype, &mut ints[left..right]),
                    (Some(y), true) => read_floats(lane, input.row(n, block, y), input.step(), inst.input.dtype, &mut floats[left..right]),
                    (None, false) => ints[left..right].fill(int_of(pad, inst.input.dtype)),
                    (None, true) => floats[left..right].fill(float_of(pad, inst.input.dtype.precision)),
                }
                for kx in 0..window.kernel_w as usize {
                    let from = kx * dilation_w;
                    if float {
                        let taps = floats[from..].iter().step_by(stride);
                        match inst.function {
                            PoolFunction::Max => float_sums.iter_mut().zip(taps).for_each(|(s, v)| *s = s.max(*v)),
                            _ => float_sums.iter_mut().zip(taps).for_each(|(s, v)| *s += v),
                        }
                        continue;
                    }
                    let taps = ints[from..].iter().step_by(stride);
                    match inst.function {
                        PoolFunction::Max => sums.iter_mut().zip(taps).for_each(|(s, v)| *s = (*s).max(*v)),
                        PoolFunction::Depthwise => {
                            let byte = lane[weights_at + block * area + ky * window.kernel_w as usize + kx];
                            let weight = if inst.weight_signed { i64::from(byte as i8) } else { i64::from(byte) };
                            sums.iter_mut().zip(taps).for_each(|(s, v)| *s += v * weight);
                        }
                        _ => sums.iter_mut().zip(taps).for_each(|(s, v)| *s += v),
                    }
                }
            }
            let out = result.row(n, block, h);
            if float {
                if let (PoolFunction::Average, Source::Const(factor)) = (inst.function, inst.weight) {
                    let factor = float_of(factor, inst.input.dtype.precision);
                    float_sums.iter_mut().for_each(|s| *s *= factor);
                }
                write_floats(lane, out, result.step(), inst.result.precision, &float_sums);
                continue;
            }
            if let (PoolFunction::Average, Source::Const(multiplier), Source::Const(shift)) = (inst.function, inst.weight, inst.opd2) {
                let multiplier = i64::from(multiplier as u8);
                let shift = -i64::from(shift as i8);
                sums.iter_mut().for_each(|s| *s = shift_round(*s * multiplier, shift, inst.rounding).clamp(low, high));
            }
            write_ints(lane, out, result.step(), inst.result.precision.bytes(), &sums);
        }
    });
    Ok(())
}
