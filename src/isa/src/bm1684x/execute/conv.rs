//! Convolution (CONV), INT8 into i32.
//!
//! The input of one image is gathered once into cubes of 64 channels with its padding, `[cube][row][column][64]`, the order in
//! which the weights of an output channel lie in its lane. An output is then a sum of dot products of 64 bytes, and 16
//! outputs are computed together.
//!
//! The processor's dot product wants one unsigned and one signed side. The weights stay as they are; the input's sign is
//! changed where both sides have the same one, by an offset of 128 that is taken back with the sum of the weights.

use super::unsupported;
use super::view::{View, int_of};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{Conv, DType, Precision, Shape, Source, Window, lane_of, offset_of};
use rayon::prelude::*;

const CUBE: usize = 64;
/// Outputs that are computed together.
const GROUP: usize = 16;

/// The padded input of one image.
struct Image {
    bytes: Vec<u8>,
    /// Bytes of a padded row, and of all rows of a cube.
    row: usize,
    plane: usize,
}

/// What all lanes need to know.
struct Job<'a> {
    inst: &'a Conv,
    result: View,
    image: &'a Image,
    /// Offsets of the taps from an output's first one, in the order of the weights.
    taps: &'a [usize],
    /// Offsets of the outputs' first taps, filled up to whole groups.
    starts: &'a [usize],
    /// Bytes of an output channel's weights, and where they start in a lane.
    filter: usize,
    weights: usize,
    n: usize,
    /// The input's bytes have been changed by 128: to unsigned (weights signed) or to signed (weights unsigned).
    shifted: bool,
}

pub fn run(memory: &mut Memory, inst: &Conv) -> Result<()> {
    if inst.input.dtype.precision.is_float() {
        return super::conv_float::run(memory, inst);
    }
    let (window, shape) = (&inst.window, inst.shape);
    if inst.input.dtype.precision != Precision::Int8 || inst.result.precision != Precision::Int32 {
        return unsupported("conv in other types than int8 to int32");
    }
    check_window("conv", window)?;
    let (Source::Local(weights), Source::Const(0), Source::Const(pad)) = (inst.weight, inst.opd2, inst.pad_value) else {
        return unsupported("conv with constant weights, kernel zero points or padding per channel");
    };
    if shape.elements() == 0 || inst.input_c == 0 {
        return Err(ExecuteError::Operand("conv without elements".into()));
    }
    let input_shape = Shape::new(shape.n, inst.input_c, inst.input_h, inst.input_w);
    let input = View::new(inst.input.addr, input_shape, inst.input.dtype, inst.input.layout, "the input")?;
    let result = View::new(inst.result.addr, shape, DType::I32, inst.result.layout, "the result")?;
    if lane_of(weights) as usize != result.lane {
        return Err(ExecuteError::Operand("conv: weights and result start in different lanes".into()));
    }
    check_reach("conv", window, shape, inst.input_h, inst.input_w)?;
    let (taps_h, taps_w) = (window.kernel_h as usize, window.kernel_w as usize);
    let cubes = (inst.input_c as usize).div_ceil(CUBE);
    let blocks = (result.lane + shape.c as usize).div_ceil(LANES);
    let filter = cubes * taps_h * taps_w * CUBE;
    let weights = offset_of(weights) as usize;
    let end = weights as u64 + (blocks * filter) as u64;
    if end > LANE as u64 {
        return Err(ExecuteError::Local { what: "the weights", end });
    }
    let shifted = inst.input.dtype.signed == inst.weight_signed;
    let flip = if shifted { 0x80 } else { 0 };
    let pad = int_of(pad, inst.input.dtype) as u8 ^ flip;
    let mut starts = Vec::new();
    let mut taps = Vec::with_capacity(cubes * taps_h * taps_w);
    for n in 0..shape.n as usize {
        let image = gather(memory, inst, &input, n, flip, pad);
        if n == 0 {
            for cube in 0..cubes {
                for y in 0..taps_h {
                    for x in 0..taps_w {
                        taps.push(cube * image.plane + y * (window.kernel_insert_h as usize + 1) * image.row + x * (window.kernel_insert_w as usize + 1) * CUBE);
                    }
                }
            }
            for y in 0..shape.h as usize {
                for x in 0..shape.w as usize {
                    starts.push(y * window.stride_h as usize * image.row + x * window.stride_w as usize * CUBE);
                }
            }
            starts.resize(starts.len().next_multiple_of(GROUP), 0);
        }
        let job = Job { inst, result, image: &image, taps: &taps, starts: &starts, filter, weights, n, shifted };
        // A few lanes for each thread at a time, which share the inputs of a group in its first-level cache.
        memory.local.par_chunks_mut(8 * LANE).enumerate().for_each(|(chunk, lanes)| job.lanes(chunk * 8, lanes));
    }
    Ok(())
}

/// Refuses what neither convolution nor pooling can do here.
pub fn check_window(what: &str, window: &Window) -> Result<()> {
    if window.input_insert_h != 0 || window.input_insert_w != 0 || window.rotate || window.pad_mode.code() != 0 {
        return unsupported(&format!("{what} with zero insertion, rotation or a pad mode"));
    }
    match window.kernel_h == 0 || window.kernel_w == 0 || window.stride_h == 0 || window.stride_w == 0 {
        true => Err(ExecuteError::Operand(format!("{what}: a kernel or stride is zero"))),
        false => Ok(()),
    }
}

/// Every window must lie inside of the padded input.
pub fn check_reach(what: &str, window: &Window, shape: Shape, input_h: u32, input_w: u32) -> Result<()> {
    let reach = |out: u32, stride: u32, kernel: u32, insert: u32| {
        u64::from(out.saturating_sub(1)) * u64::from(stride) + (u64::from(kernel) - 1) * (u64::from(insert) + 1) + 1
    };
    let padded = [input_h + window.pad_top + window.pad_bottom, input_w + window.pad_left + window.pad_right];
    let high = reach(shape.h, window.stride_h, window.kernel_h, window.kernel_insert_h);
    let wide = reach(shape.w, window.stride_w, window.kernel_w, window.kernel_insert_w);
    match high > u64::from(padded[0]) || wide > u64::from(padded[1]) {
        true => Err(ExecuteError::Operand(format!("{what}: windows reach over {high}x{wide}, the padded input has {}x{}", padded[0], padded[1]))),
        false => Ok(()),
    }
}

impl Job<'_> {
    /// All outputs of some lanes, from lane `first` on.
    fn lanes(&self, first: usize, lanes: &mut [u8]) {
        let channels = self.inst.shape.c as usize;
        let outputs = (self.inst.shape.h * self.inst.shape.w) as usize;
        // (byte of the weights in `lanes`, byte of the result's channel, offset to take back)
        let mut filters: Vec<(usize, usize, i32)> = Vec::new();
        for lane in 0..lanes.len() / LANE {
            let channel = (first + lane + LANES - self.result.lane) % LANES;
            for channel in (channel..channels).step_by(LANES) {
                let block = (self.result.lane + channel) / LANES;
                let at = lane * LANE + self.weights + block * self.filter;
                let back = if self.shifted { self.sum(&lanes[at..at + self.filter]).wrapping_mul(128) } else { 0 };
                // Signed inputs made unsigned are too large by 128, unsigned ones made signed too small.
                let back = if self.inst.weight_signed { back.wrapping_neg() } else { back };
                filters.push((at, lane * LANE + self.result.row(self.n, block, 0), back));
            }
        }
        let joined = self.result.rows_join(self.inst.shape) && self.result.dense();
        for group in (0..outputs).step_by(GROUP) {
            let count = (outputs - group).min(GROUP);
            let mut starts = [0; GROUP];
            starts.copy_from_slice(&self.starts[group..group + GROUP]);
            for &(weights, channel, back) in &filters {
                let mut sums = dot_group(&self.image.bytes, &starts, self.taps, &lanes[weights..weights + self.filter], self.inst.weight_signed);
                sums.iter_mut().for_each(|s| *s = s.wrapping_add(back));
                if joined && count == GROUP && !self.inst.accumulate {
                    let places = &mut lanes[channel + group * 4..channel + (group + GROUP) * 4];
                    for (place, sum) in places.chunks_exact_mut(4).zip(sums) {
                        place.copy_from_slice(&sum.to_le_bytes());
                    }
                    continue;
                }
                for (i, sum) in sums.iter().enumerate().take(count) {
                    let (y, x) = ((group + i) / self.inst.shape.w as usize, (group + i) % self.inst.shape.w as usize);
                    let at = channel + y * self.result.strides[2] + x * self.result.strides[3];
                    let place = &mut lanes[at..at + 4];
                    let mut value = *sum;
                    if self.inst.accumulate {
                        value = value.wrapping_add(i32::from_le_bytes([place[0], place[1], place[2], place[3]]));
                    }
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    /// The sum of an output channel's weights, without those behind the last input channel.
    fn sum(&self, filter: &[u8]) -> i32 {
        let of = |bytes: &[u8]| -> i32 {
            match self.inst.weight_signed {
                true => bytes.iter().map(|&w| i32::from(w as i8)).sum(),
                false => bytes.iter().map(|&w| i32::from(w)).sum(),
            }
        };
        let tail = self.inst.input_c as usize % CUBE;
        if tail == 0 {
            return of(filter);
        }
        let area = (self.inst.window.kernel_h * self.inst.window.kernel_w) as usize;
        let (whole, last) = filter.split_at(filter.len() - area * CUBE);
        of(whole) + last.chunks_exact(CUBE).map(|cube| of(&cube[..tail])).sum::<i32>()
    }
}

/// Channels behind the last one are zero in the image, so that their weights do not count.
fn gather(memory: &Memory, inst: &Conv, input: &View, n: usize, flip: u8, pad: u8) -> Image {
    let window = &inst.window;
    let (height, width, channels) = (inst.input_h as usize, inst.input_w as usize, inst.input_c as usize);
    let (top, left) = (window.pad_top as usize, window.pad_left as usize);
    let columns = width + (window.pad_left + window.pad_right) as usize;
    let rows = height + (window.pad_top + window.pad_bottom) as usize;
    let cubes = channels.div_ceil(CUBE);
    let row = columns * CUBE;
    let padded = rows != height || columns != width;
    let mut bytes = vec![if padded { pad } else { 0 }; cubes * rows * row];
    let line = |index: usize, count: usize, out: &mut [u8]| {
        // `count` image rows that follow each other without padding, from row `index` of all cubes on.
        let (cube, y) = (index / rows, index % rows);
        let live = (channels - cube * CUBE).min(CUBE);
        if live < CUBE && padded {
            out.chunks_exact_mut(CUBE).for_each(|cell| cell[live..].fill(0));
        }
        if y < top || y >= top + height {
            return;
        }
        let from = |c: usize| {
            let channel = input.lane + cube * CUBE + c;
            (channel % LANES) * LANE + input.row(n, channel / LANES, y - top)
        };
        let inside = &mut out[left * CUBE..];
        if input.dense() {
            columns_of(&memory.local, from, live, count * width, flip, inside);
        } else {
            for c in 0..live {
                let at = from(c);
                (0..count * width).for_each(|x| inside[x * CUBE + c] = memory.local[at + x * input.step()] ^ flip);
            }
        }
    };
    if !padded && input.rows_join(Shape::new(1, 1, inst.input_h, inst.input_w)) {
        // Whole planes; some rows together, for the threads to share.
        let share = height.div_ceil(2);
        bytes.par_chunks_mut(rows * row).enumerate().for_each(|(cube, plane)| {
            plane.par_chunks_mut(share * row).enumerate().for_each(|(part, out)| line(cube * rows + part * share, out.len() / row, out));
        });
    } else {
        bytes.par_chunks_mut(row).with_min_len(8).enumerate().for_each(|(index, out)| line(index, 1, out));
    }
    Image { bytes, row, plane: rows * row }
}

/// `out[x * 64 + c] = local[from(c) + x] ^ flip` for `channels` channels and `count` columns.
fn columns_of(local: &[u8], from: impl Fn(usize) -> usize, channels: usize, count: usize, flip: u8, out: &mut [u8]) {
    let mut done = [0usize; CUBE];
    #[cfg(target_arch = "x86_64")]
    for c in (0..channels.next_multiple_of(16)).step_by(16) {
        if c + 16 > channels {
            break;
        }
        let sources: [&[u8]; 16] = std::array::from_fn(|i| &local[from(c + i)..from(c + i) + count]);
        let whole = count / 16 * 16;
        for x in (0..whole).step_by(16) {
            let cells = &mut out[x * CUBE..(x + 16) * CUBE];
            transpose(&sources, x, flip, c, cells);
        }
        done[c..c + 16].fill(whole);
    }
    for (c, done) in done.iter().enumerate().take(channels) {
        let source = &local[from(c)..from(c) + count];
        for (x, v) in source.iter().enumerate().skip(*done) {
            out[x * CUBE + c] = v ^ flip;
        }
    }
}

/// 16 columns of 16 channels: `cells[i * 64 + c + j] = sources[j][x + i] ^ flip`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(sources: &[&[u8]; 16], x: usize, flip: u8, c: usize, cells: &mut [u8]) {
    use std::arch::x86_64::*;
    assert!(cells.len() == 16 * CUBE && c + 16 <= CUBE && sources.iter().all(|s| x + 16 <= s.len()));
    // SAFETY: SSE2 is part of x86-64; all loads and stores are inside of what was just checked.
    unsafe {
        let mut r: [__m128i; 16] = std::array::from_fn(|i| _mm_loadu_si128(sources[i].as_ptr().add(x).cast()));
        // Four rounds of interleaving row i with row i + 8 transpose a 16 x 16 matrix.
        for _ in 0..4 {
            let t = r;
            for i in 0..8 {
                r[2 * i] = _mm_unpacklo_epi8(t[i], t[i + 8]);
                r[2 * i + 1] = _mm_unpackhi_epi8(t[i], t[i + 8]);
            }
        }
        let flip = _mm_set1_epi8(flip as i8);
        for (i, v) in r.iter().enumerate() {
            _mm_storeu_si128(cells.as_mut_ptr().add(i * CUBE + c).cast(), _mm_xor_si128(*v, flip));
        }
    }
}

/// Dot products of 16 outputs: output `i` is the sum over taps of `image[starts[i] + tap ..][..64]` times its weights.
#[inline]
fn dot_group(image: &[u8], starts: &[usize; GROUP], taps: &[usize], filter: &[u8], weight_signed: bool) -> [i32; GROUP] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512f") {
        let most = |list: &[usize]| list.iter().copied().max().unwrap_or(0);
        debug_assert!(most(starts) + most(taps) + CUBE <= image.len());
        // SAFETY: the features are there; every tap of every output lies inside of the image (`check_reach`).
        return unsafe {
            match weight_signed {
                true => dot_group_vnni::<true>(image, starts, taps, filter),
                false => dot_group_vnni::<false>(image, starts, taps, filter),
            }
        };
    }
    let mut sums = [0i32; GROUP];
    for (start, sum) in starts.iter().zip(&mut sums) {
        for (tap, weights) in taps.iter().zip(filter.chunks_exact(CUBE)) {
            let values = &image[start + tap..start + tap + CUBE];
            let part: i32 = match weight_signed {
                true => values.iter().zip(weights).map(|(&v, &w)| i32::from(v) * i32::from(w as i8)).sum(),
                false => values.iter().zip(weights).map(|(&v, &w)| i32::from(v as i8) * i32::from(w)).sum(),
            };
            *sum = sum.wrapping_add(part);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dot_group_vnni<const WEIGHT_SIGNED: bool>(image: &[u8], starts: &[usize; GROUP], taps: &[usize], filter: &[u8]) -> [i32; GROUP] {
    use std::arch::x86_64::*;
    let mut total = [_mm512_setzero_si512(); GROUP];
    for (tap, weights) in taps.iter().zip(filter.chunks_exact(CUBE)) {
        // SAFETY: 64 bytes of weights; every tap of every output lies inside of the image.
        unsafe {
            let w = _mm512_loadu_si512(weights.as_ptr().cast());
            let base = image.as_ptr().add(*tap);
            for i in 0..GROUP {
                let v = _mm512_loadu_si512(base.add(starts[i]).cast());
                total[i] = if WEIGHT_SIGNED { _mm512_dpbusd_epi32(total[i], v, w) } else { _mm512_dpbusd_epi32(total[i], w, v) };
            }
        }
    }
    // Each round adds neighbours of pairs of registers: 16 registers of 16 parts become one register of 16 sums.
    let pair = |a: __m512i, b: __m512i| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let quad = |a: __m512i, b: __m512i| _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let fours: [__m512i; 4] = std::array::from_fn(|i| quad(pair(total[4 * i], total[4 * i + 1]), pair(total[4 * i + 2], total[4 * i + 3])));
    // Every 128-bit part of `fours[i]` holds parts of the sums 4i..4i+4.
    let low = |a, b| _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
    let high = |a, b| _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
    let halves = |a, b| _mm512_add_epi32(low(a, b), high(a, b));
    let (x, y) = (halves(fours[0], fours[1]), halves(fours[2], fours[3]));
    let sums = _mm512_add_epi32(_mm512_shuffle_i32x4::<0b10_00_10_00>(x, y), _mm512_shuffle_i32x4::<0b11_01_11_01>(x, y));
    let mut out = [0i32; GROUP];
    // SAFETY: 64 bytes.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) };
    out
}
