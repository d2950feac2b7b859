//! Dense convolutions as a matrix product over unfolded windows, channels last.
//!
//! Each output pixel becomes a row of `C * taps` values, input channel outermost, and the product with the filter adds them up
//! in that order: the reference's. oneDNN's own unfolding convolution has the same order but wants `[N, C, H, W]` and is slower.

use crate::buffer::{Buffer, bytes, bytes_mut};
use crate::conv::ConvShape;
use crate::onednn::{Activation, BIAS, DST, Desc, Primitive, SRC, Type, WEIGHTS, Workspace};
use crate::{KernelError, expect_length, threads};

/// Unfolded rows of one product stay within this many bytes, a part of the second-level cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// A prepared dense convolution over two spatial dimensions.
pub(crate) struct Unfolded {
    shape: ConvShape,
    /// Rows of a block, and the products of a whole and of the last block.
    rows: usize,
    block: Primitive,
    last: Option<Primitive>,
    weights: Buffer,
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
        let rows = (BLOCK_BYTES / (depth * 4)).max(16).min(pixels);
        let filter = [outputs as i64, depth as i64, 1, 1];
        let product = |rows: usize| {
            let described = |channels: usize| Desc::channels_last(&[1, channels as i64, 1, rows as i64], Type::F32);
            let bias = if bias { Some(Desc::dense(&[outputs as i64], Type::F32)?) } else { None };
            let primitive = Primitive::convolution(described(depth)?, Desc::any(&filter, Type::F32)?, bias, described(outputs)?, &[1, 1], &[0, 0], &[0, 0], &[0, 0], activation)?;
            let reordered = primitive.reorder_weights(Desc::dense(&filter, Type::F32)?, bytes(weights))?;
            Ok::<_, KernelError>((primitive, reordered))
        };
        let (block, block_weights) = product(rows)?;
        let (last, last_weights) = match pixels % rows {
            0 => (None, None),
            rest => product(rest).map(|(p, w)| (Some(p), Some(w)))?,
        };
        Ok(Unfolded { shape: shape.clone(), rows, block, last, weights: block_weights, last_weights })
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
                for (row, out) in part.chunks_exact_mut(depth).enumerate() {
                    self.unfold(x, index * self.rows + start / depth + row, out);
                }
            });
            let (primitive, weights) = match (&self.last, &self.last_weights) {
                (Some(last), Some(weights)) if rows < self.rows => (last, weights),
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

    /// The window of one output pixel, `[C, taps]`.
    fn unfold(&self, x: &[f32], pixel: usize, out: &mut [f32]) {
        let s = &self.shape;
        if s.filter[2..] == [3, 3] {
            return self.unfold_3x3(x, pixel, out);
        }
        self.taps(x, pixel, |tap, from| {
            let to = out[tap..].iter_mut().step_by(s.filter[2] * s.filter[3]);
            match from {
                Some(from) => to.zip(from).for_each(|(o, v)| *o = *v),
                None => to.for_each(|o| *o = 0.0),
            }
        });
    }

    /// The same in one run along the channels.
    fn unfold_3x3(&self, x: &[f32], pixel: usize, out: &mut [f32]) {
        let channels = self.shape.input[1];
        let mut from = [None; 9];
        self.taps(x, pixel, |tap, slice| from[tap] = slice);
        let out = &mut out.as_chunks_mut::<9>().0[..channels];
        if from.iter().all(Option::is_some) {
            let from = from.map(Option::unwrap_or_default).map(|slice| &slice[..channels]);
            for (c, out) in out.iter_mut().enumerate() {
                *out = std::array::from_fn(|tap| from[tap][c]);
            }
            return;
        }
        for (c, out) in out.iter_mut().enumerate() {
            *out = std::array::from_fn(|tap| from[tap].map_or(0.0, |from| from[c]));
        }
    }

    /// The channels that each tap of an output pixel's window sees; none in the padding.
    #[inline(always)]
    fn taps<'x>(&self, x: &'x [f32], pixel: usize, mut take: impl FnMut(usize, Option<&'x [f32]>)) {
        let s = &self.shape;
        let (channels, height, width) = (s.input[1], s.input[2], s.input[3]);
        let (n, at) = (pixel / (s.output[2] * s.output[3]), pixel % (s.output[2] * s.output[3]));
        let (top, left) = (at / s.output[3] * s.strides[0], at % s.output[3] * s.strides[1]);
        for ky in 0..s.filter[2] {
            let row = (top + ky * s.dilations[0]).wrapping_sub(s.before[0]);
            for kx in 0..s.filter[3] {
                let column = (left + kx * s.dilations[1]).wrapping_sub(s.before[1]);
                let from = (row < height && column < width).then(|| &x[((n * height + row) * width + column) * channels..][..channels]);
                take(ky * s.filter[3] + kx, from);
            }
        }
    }
}
