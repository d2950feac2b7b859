//! Dense convolutions as a matrix product over unfolded windows, channels last.
//!
//! Each output pixel becomes a row of `C * taps` values, input channel outermost, and the product with the filter adds them up
//! in that order: the reference's. oneDNN's own unfolding convolution has the same order but wants `[N, C, H, W]` and is slower.

use crate::buffer::{Buffer, bytes, bytes_mut};
use crate::conv::ConvShape;
use crate::onednn::{Activation, BIAS, DST, Desc, Primitive, SRC, Type, WEIGHTS, Workspace};
use crate::tile::{self, SIDE};
use crate::{KernelError, expect_length, threads};

/// Unfolded rows of one product stay within this many bytes, a part of the second-level cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// The same where the weights are larger than that: they are read once a block, so there should be few blocks.
const WIDE_BLOCK_BYTES: usize = 3 * BLOCK_BYTES;

/// A prepared dense convolution over two spatial dimensions.
pub(crate) struct Unfolded {
    shape: ConvShape,
    /// Rows of a block, and the products of a whole and of the last block.
    rows: usize,
    block: Primitive,
    last: Option<Primitive>,
    weights: Buffer,
    /// Those of the last block, where it wants them in another order.
    last_weights: Option<Buffer>,
}

impl Unfolded {
    /// Whether a convolution can run so: one group, two spatial dimensions.
    pub fn fits(shape: &ConvShape) -> bool {
        shape.group == 1 && shape.strides.len() == 2
    }

    pub fn new(shape: &ConvShape, weights: &[f32], bias: bool, activation: Activation) -> Result<Unfolded, KernelError> {
        let (outputs, depth) = (shape.filter[0], shape.filter[1..].iter().product::<usize>());
        let pixels = shape.output[0] * shape.output[2] * shape.output[3];
        expect_length("filter elements", outputs * depth, weights.len())?;
        let block_bytes = if outputs * depth * 4 > BLOCK_BYTES { WIDE_BLOCK_BYTES } else { BLOCK_BYTES };
        let rows = (block_bytes / (depth * 4)).max(16).min(pixels);
        let filter = [outputs as i64, depth as i64, 1, 1];
        let product = |rows: usize| {
            let described = |channels: usize| Desc::channels_last(&[1, channels as i64, 1, rows as i64], Type::F32);
            let bias = if bias { Some(Desc::dense(&[outputs as i64], Type::F32)?) } else { None };
            Primitive::convolution(described(depth)?, Desc::any(&filter, Type::F32)?, bias, described(outputs)?, &[1, 1], &[0, 0], &[0, 0], &[0, 0], activation)
        };
        let block = product(rows)?;
        let weights = block.reorder_weights(Desc::dense(&filter, Type::F32)?, bytes(weights))?;
        let last = match pixels % rows {
            0 => None,
            rest => Some(product(rest)?),
        };
        let last_weights = last.as_ref().map(|last| last.weights_from(&block, &weights)).transpose()?.flatten();
        Ok(Unfolded { shape: shape.clone(), rows, block, last, weights, last_weights })
    }

    /// Bytes of scratch memory that a run takes.
    pub fn scratch_bytes(&self) -> usize {
        self.rows * self.shape.filter[1..].iter().product::<usize>() * 4 + self.block.scratch_bytes()
    }

    /// `x` and `y` are channels last and of the shape's sizes.
    pub fn run(&self, x: &[f32], bias: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        let (outputs, depth) = (self.shape.filter[0], self.shape.filter[1..].iter().product::<usize>());
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let mut done = Ok(());
        for (index, y) in y.chunks_mut(self.rows * outputs).enumerate() {
            let rows = y.len() / outputs;
            let unfolded = scratch.grown::<f32>(rows * depth);
            threads::for_parts(unfolded, depth, |start, part| {
                self.unfold(x, index * self.rows + start / depth, part);
            });
            let (primitive, weights) = match &self.last {
                Some(last) if rows < self.rows => (last, self.last_weights.as_ref().unwrap_or(&self.weights)),
                _ => (&self.block, &self.weights),
            };
            let weights = weights.slice::<u8>(weights.byte_count());
            done = primitive.execute(&[(SRC, bytes(unfolded)), (WEIGHTS, weights), (BIAS, bytes(bias))], (DST, bytes_mut(y)), workspace);
            if done.is_err() {
                break;
            }
        }
        workspace.scratch = scratch;
        done
    }

    /// The windows of the output pixels from `first` on, `[C, taps]` each.
    fn unfold(&self, x: &[f32], first: usize, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.unfold_avx2(x, first, out) };
        }
        self.unfold_by(x, first, out, |rows, out| tile::plain(rows, out, TAPS));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn unfold_avx2(&self, x: &[f32], first: usize, out: &mut [f32]) {
        self.unfold_by(x, first, out, |rows, out| tile::avx2(rows, out, TAPS));
    }

    /// `square` writes what eight taps see of eight channels.
    #[inline(always)]
    fn unfold_by(&self, x: &[f32], first: usize, out: &mut [f32], square: impl Fn([&[u32; SIDE]; SIDE], &mut [u32])) {
        let s = &self.shape;
        let (channels, height, width, taps) = (s.input[1], s.input[2], s.input[3], s.filter[2] * s.filter[3]);
        let (mut n, at) = (first / (s.output[2] * s.output[3]), first % (s.output[2] * s.output[3]));
        let (mut oy, mut ox) = (at / s.output[3], at % s.output[3]);
        let is_3x3 = s.filter[2..] == [3, 3] && s.dilations == [1, 1];
        for out in out.chunks_exact_mut(channels * taps) {
            let (top, left) = ((oy * s.strides[0]).wrapping_sub(s.before[0]), (ox * s.strides[1]).wrapping_sub(s.before[1]));
            let is_inside = top < height && left < width && top + 2 < height && left + 2 < width;
            if is_3x3 && is_inside {
                let row = |ky: usize| &x[((n * height + top + ky) * width + left) * channels..][..3 * channels];
                unfold_3x3([row(0), row(1), row(2)], channels, out, &square);
            } else {
                self.unfold_any(&x[n * height * width * channels..][..height * width * channels], top, left, out);
            }
            ox += 1;
            if ox == s.output[3] {
                (oy, ox) = (oy + 1, 0);
            }
            if oy == s.output[2] {
                (n, oy) = (n + 1, 0);
            }
        }
    }

    /// One window of one image, which may reach into the padding.
    fn unfold_any(&self, x: &[f32], top: usize, left: usize, out: &mut [f32]) {
        let s = &self.shape;
        let (channels, height, width, taps) = (s.input[1], s.input[2], s.input[3], s.filter[2] * s.filter[3]);
        for ky in 0..s.filter[2] {
            let row = top.wrapping_add(ky * s.dilations[0]);
            for kx in 0..s.filter[3] {
                let column = left.wrapping_add(kx * s.dilations[1]);
                let to = out[ky * s.filter[3] + kx..].iter_mut().step_by(taps);
                if row < height && column < width {
                    to.zip(&x[(row * width + column) * channels..][..channels]).for_each(|(o, v)| *o = *v);
                } else {
                    to.for_each(|o| *o = 0.0);
                }
            }
        }
    }
}

/// Taps of a 3x3 window.
const TAPS: usize = 9;

/// A window of 3x3 pixels: `rows` are its rows, `[3, C]`.
#[inline(always)]
fn unfold_3x3(rows: [&[f32]; 3], channels: usize, out: &mut [f32], square: &impl Fn([&[u32; SIDE]; SIDE], &mut [u32])) {
    if let ([Some(rows0), Some(rows1), Some(rows2)], 3, Some(out)) = (rows.map(<[f32]>::first_chunk::<9>), channels, out.first_chunk_mut::<27>()) {
        // Pictures.
        *out = std::array::from_fn(|i| [rows0, rows1, rows2][i / 3 % 3][i % 3 * 3 + i / TAPS]);
        return;
    }
    let rows: [&[u32]; 3] = rows.map(bytemuck::cast_slice);
    let words: [&[u32]; TAPS] = std::array::from_fn(|tap| &rows[tap / 3][tap % 3 * channels..][..channels]);
    let out: &mut [u32] = bytemuck::cast_slice_mut(out);
    for (block, out) in out.chunks_exact_mut(SIDE * TAPS).enumerate() {
        // The last tap does not fit into the square.
        let c = block * SIDE;
        square(std::array::from_fn(|tap| words[tap][c..].first_chunk().unwrap_or(&[0; SIDE])), out);
        for (out, &word) in out.iter_mut().skip(SIDE).step_by(TAPS).zip(&words[SIDE][c..]) {
            *out = word;
        }
    }
    for (c, out) in out.as_chunks_mut::<TAPS>().0.iter_mut().enumerate().skip(channels / SIDE * SIDE) {
        *out = words.map(|tap| tap[c]);
    }
}
