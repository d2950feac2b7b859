//! Convolution (CONV) of floats.
//!
//! f32: bias (if there is one), what is added to (if anything), then products in the order input channel, row, column make a
//! list, of which even and odd places are summed apart, and the two sums added.
//!
//! f16 and bf16: 32 input channels of a tap are one fused sum ([`fused`]); the sums of blocks and taps are added in f32.

use super::conv::{check_reach, check_window};
use super::unsupported;
use super::view::{LaneJob, View, channels_of, float_of, for_lanes, read_floats, write_floats};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{Conv, DType, Precision, Shape, Source, lane_of, offset_of};

/// Input channels that a fused sum takes.
pub const FUSED: usize = 32;

/// The padded input of one image: `[channel / cube][row][column][channel % cube]`.
struct Image {
    values: Vec<f32>,
    row: usize,
    plane: usize,
    cube: usize,
}

struct Job<'a> {
    inst: &'a Conv,
    result: View,
    image: &'a Image,
    /// Byte offset of the weights in every lane, and elements of an output channel's.
    weights: usize,
    filter: usize,
    /// Byte offset of the biases in every lane.
    bias: Option<usize>,
    n: usize,
}

pub fn run(memory: &mut Memory, inst: &Conv) -> Result<()> {
    let (window, shape, precision) = (&inst.window, inst.shape, inst.input.dtype.precision);
    check_window("conv", window)?;
    if !(inst.result.precision == precision || inst.result.precision == Precision::F32) {
        return unsupported(&format!("conv of {} into {}", precision.name(), inst.result.precision.name()));
    }
    if inst.accumulate && inst.result.precision != Precision::F32 {
        return unsupported("conv that accumulates in 16 bits");
    }
    let (Source::Local(weights), Source::Const(pad)) = (inst.weight, inst.pad_value) else {
        return unsupported("conv with constant weights or padding per channel");
    };
    if shape.elements() == 0 || inst.input_c == 0 {
        return Err(ExecuteError::Operand("conv without elements".into()));
    }
    let input_shape = Shape::new(shape.n, inst.input_c, inst.input_h, inst.input_w);
    let input = View::new(inst.input.addr, input_shape, inst.input.dtype, inst.input.layout, "the input")?;
    let result = View::new(inst.result.addr, shape, DType::new(inst.result.precision, true), inst.result.layout, "the result")?;
    check_reach("conv", window, shape, inst.input_h, inst.input_w)?;
    let blocks = (result.lane + shape.c as usize).div_ceil(LANES);
    let in_lane = |addr: u32, bytes: usize, what: &'static str| {
        let end = u64::from(offset_of(addr)) + bytes as u64;
        match lane_of(addr) as usize == result.lane {
            false => Err(ExecuteError::Operand(format!("conv: {what} and result start in different lanes"))),
            true if end > LANE as u64 => Err(ExecuteError::Local { what, end }),
            true => Ok(offset_of(addr) as usize),
        }
    };
    let cube = if precision == Precision::F32 { 1 } else { FUSED };
    let filter = (inst.input_c as usize).next_multiple_of(cube) * (window.kernel_h * window.kernel_w) as usize;
    let weights = in_lane(weights, blocks * filter * precision.bytes() as usize, "the weights")?;
    let bias = match inst.opd2 {
        Source::Const(0) => None,
        Source::Const(_) => return unsupported("conv with one bias for all channels"),
        Source::Local(addr) => Some(in_lane(addr, blocks * 4, "the bias")?),
    };
    let pad = float_of(pad, precision);
    for n in 0..shape.n as usize {
        let image = gather(memory, inst, &input, n, cube, pad);
        let job = Job { inst, result, image: &image, weights, filter, bias, n };
        let work = shape.elements() * filter as u64 / u64::from(shape.n);
        for_lanes(memory, result.lane, shape.c as usize, work, &job);
    }
    Ok(())
}

/// Channels behind the last one are zero.
fn gather(memory: &Memory, inst: &Conv, input: &View, n: usize, cube: usize, pad: f32) -> Image {
    let window = &inst.window;
    let (height, width, channels) = (inst.input_h as usize, inst.input_w as usize, inst.input_c as usize);
    let (top, left) = (window.pad_top as usize, window.pad_left as usize);
    let row = (width + (window.pad_left + window.pad_right) as usize) * cube;
    let plane = (height + (window.pad_top + window.pad_bottom) as usize) * row;
    let mut values = vec![0.0; channels.div_ceil(cube) * plane];
    let mut line = vec![0.0; width];
    for c in 0..channels {
        let channel = input.lane + c;
        let part = &mut values[c / cube * plane..(c / cube + 1) * plane];
        if pad != 0.0 {
            part.iter_mut().skip(c % cube).step_by(cube).for_each(|v| *v = pad);
        }
        for y in 0..height {
            read_floats(memory.lane(channel % LANES), input.row(n, channel / LANES, y), input.step(), input.dtype.precision, &mut line);
            let out = &mut part[(y + top) * row + left * cube + c % cube..];
            line.iter().zip(out.iter_mut().step_by(cube)).for_each(|(v, place)| *place = *v);
        }
    }
    Image { values, row, plane, cube }
}

impl LaneJob for Job<'_> {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let (inst, shape) = (self.inst, self.inst.shape);
        let precision = inst.input.dtype.precision;
        let mut filter = vec![0.0; self.filter];
        let width = shape.w as usize;
        let mut rows = [vec![0.0; width], vec![0.0; width]];
        let mut old = vec![0.0; width];
        channels_of(lane, self.result.lane, Shape { n: 1, ..shape }, |_, block| {
            let size = precision.bytes() as usize;
            read_floats(bytes, self.weights + block * self.filter * size, size, precision, &mut filter);
            let mut bias = [0f32];
            if let Some(at) = self.bias {
                read_floats(bytes, at + 4 * block, 4, Precision::F32, &mut bias);
            }
            for y in 0..shape.h as usize {
                let at = self.result.row(self.n, block, y);
                if inst.accumulate {
                    read_floats(bytes, at, self.result.step(), inst.result.precision, &mut old);
                }
                match precision {
                    Precision::F32 => {
                        // Of the list bias, old value, products what comes first; the second of two starts the other sum.
                        rows.iter_mut().for_each(|r| r.fill(-0.0));
                        let starts = [self.bias.map(|_| None), inst.accumulate.then_some(Some(&old))];
                        let mut filled = 0;
                        for start in starts.into_iter().flatten() {
                            match start {
                                Some(old) => rows[filled].copy_from_slice(old),
                                None => rows[filled].fill(bias[0]),
                            }
                            filled += 1;
                        }
                        self.row_f32(&filter, y, &mut rows, filled);
                    }
                    _ => {
                        // Sums start from the bias and from what is there.
                        rows[0].fill(bias[0]);
                        if inst.accumulate {
                            rows[0].iter_mut().zip(&old).for_each(|(s, old)| *s += old);
                        }
                        self.row_fused(&filter, y, &mut rows[0]);
                    }
                }
                write_floats(bytes, at, self.result.step(), inst.result.precision, &rows[0]);
            }
        });
    }
}

impl Job<'_> {
    /// Offsets of the taps of the window from an output's first one.
    #[inline(always)]
    fn taps(&self) -> impl Iterator<Item = usize> + '_ {
        let window = &self.inst.window;
        let (down, across) = (window.kernel_insert_h as usize + 1, window.kernel_insert_w as usize + 1);
        (0..window.kernel_h as usize).flat_map(move |y| (0..window.kernel_w as usize).map(move |x| y * down * self.image.row + x * across * self.image.cube))
    }

    #[inline(always)]
    fn row_f32(&self, filter: &[f32], y: usize, rows: &mut [Vec<f32>; 2], mut place: usize) {
        let window = &self.inst.window;
        let (start, step) = (y * window.stride_h as usize * self.image.row, window.stride_w as usize);
        let mut weights = filter.iter();
        for c in 0..self.inst.input_c as usize {
            for tap in self.taps() {
                let values = &self.image.values[c * self.image.plane + start + tap..];
                let Some(&w) = weights.next() else { return };
                let sums = &mut rows[place % 2];
                match step {
                    1 => sums.iter_mut().zip(values).for_each(|(s, v)| *s += v * w),
                    _ => sums.iter_mut().zip(values.iter().step_by(step)).for_each(|(s, v)| *s += v * w),
                }
                place += 1;
            }
        }
        let [even, odd] = rows;
        even.iter_mut().zip(odd).for_each(|(e, o)| *e += *o);
    }

    #[inline(always)]
    fn row_fused(&self, filter: &[f32], y: usize, sums: &mut [f32]) {
        let window = &self.inst.window;
        let (start, step) = (y * window.stride_h as usize * self.image.row, window.stride_w as usize * FUSED);
        let mut weights = filter.chunks_exact(FUSED);
        for cube in 0..(self.inst.input_c as usize).div_ceil(FUSED) {
            for tap in self.taps() {
                let Some(w) = weights.next() else { return };
                let values = &self.image.values[cube * self.image.plane + start + tap..];
                for (i, s) in sums.iter_mut().enumerate() {
                    *s += fused(&values[i * step..i * step + FUSED], w);
                }
            }
        }
    }
}

/// The chip's sum of 32 products of 16-bit floats: products are exact; of each the bits below 2^-24 of the largest one are cut
/// off; their exact sum is rounded to f32, halves to even.
#[inline(always)]
pub fn fused(a: &[f32], b: &[f32]) -> f32 {
    let mut products = [0f32; FUSED];
    let mut largest = 0u32;
    for ((p, x), y) in products.iter_mut().zip(a).zip(b) {
        *p = x * y;
        largest = largest.max(p.to_bits() & 0x7fff_ffff);
    }
    let exponent = largest >> 23;
    // Beyond this the two factors below are no normal numbers.
    if !(30..=250).contains(&exponent) {
        return fused_extreme(&products, largest);
    }
    let up = f32::from_bits((278 - exponent) << 23);
    let down = f32::from_bits((exponent - 24) << 23);
    let mut sum = 0i32;
    for p in products {
        sum = sum.wrapping_add((p * up) as i32);
    }
    sum as f32 * down
}

/// Tiny, huge or infinite products.
#[cold]
fn fused_extreme(products: &[f32], largest: u32) -> f32 {
    if largest == 0 {
        return 0.0;
    }
    if largest >= f32::INFINITY.to_bits() {
        return products.iter().sum();
    }
    let exponent = (largest >> 23).max(1) as i32 - 127;
    let unit = 2f64.powi(exponent - 24);
    (products.iter().map(|p| (f64::from(*p) / unit).trunc()).sum::<f64>() * unit) as f32
}
