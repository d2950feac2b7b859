//! Convolutions with 1x1 kernels, step 1 and no padding: products of pixels with the filter, channels last.
//!
//! The reference's matrix product splits a sum over more than [`BLOCK`] channels into parts, each summed by itself, and adds
//! them up; so does this. Pixels of several images can be one product, so that a filter larger than the images is read
//! once for all of them. A pixel's result does not depend on what other pixels are in the product.

use crate::buffer::{Buffer, bytes, bytes_mut};
use crate::cpu::vectorized;
use crate::onednn::{Activation, BIAS, DST, Desc, Primitive, SRC, Type, WEIGHTS, Workspace};
use crate::{KernelError, expect_length};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest sum that is not split.
pub(crate) const BLOCK: usize = 384;

/// Pixels of one product: with 384 channels they and their results stay in the second-level cache.
const ROWS: usize = 512;

/// The lengths of the parts of a sum over so many channels.
fn parts(channels: usize) -> Vec<usize> {
    let whole = if channels < 2 * BLOCK { channels.div_ceil(2) } else { BLOCK };
    let mut rest = channels;
    let mut parts = Vec::new();
    while rest > 0 {
        let part = match rest {
            _ if channels <= BLOCK => rest,
            r if r >= 2 * whole => whole,
            r if r > whole => r.div_ceil(2),
            r => r,
        };
        parts.push(part);
        rest -= part;
    }
    parts
}

/// The primitives for a number of pixels, by part; with a filter of their own where theirs is packed otherwise.
struct Product(Vec<(Primitive, Option<Buffer>)>);

/// A prepared convolution.
pub(crate) struct Pointwise {
    channels: usize,
    outputs: usize,
    parts: Vec<usize>,
    /// By part, for the first number of pixels: what packed the filter, and the filter.
    first: Vec<(Primitive, Buffer)>,
    products: Mutex<HashMap<usize, Arc<Product>>>,
    bias: Option<Vec<f32>>,
    activation: Activation,
}

impl Pointwise {
    /// `weights` are `[outputs, channels]`; `rows` is the number of pixels that will mostly run.
    pub fn new(channels: usize, outputs: usize, rows: usize, weights: &[f32], bias: Option<&[f32]>, activation: Activation) -> Result<Pointwise, KernelError> {
        expect_length("filter elements", outputs * channels, weights.len())?;
        let mut made = Pointwise { channels, outputs, parts: parts(channels), first: Vec::new(), products: Mutex::default(), bias: bias.map(<[f32]>::to_vec), activation };
        let mut from = 0;
        for &part in &made.parts {
            let primitive = made.primitive(part, rows.clamp(1, ROWS))?;
            let columns: Vec<f32> = weights.chunks_exact(channels).flat_map(|row| &row[from..from + part]).copied().collect();
            let packed = primitive.reorder_weights(Desc::dense(&[outputs as i64, part as i64, 1, 1], Type::F32)?, bytes(&columns))?;
            made.first.push((primitive, packed));
            from += part;
        }
        Ok(made)
    }

    fn is_split(&self) -> bool {
        self.parts.len() > 1
    }

    fn primitive(&self, part: usize, rows: usize) -> Result<Primitive, KernelError> {
        let pixels = |channels: usize| Desc::channels_last(&[1, channels as i64, 1, rows as i64], Type::F32);
        let filter = Desc::any(&[self.outputs as i64, part as i64, 1, 1], Type::F32)?;
        // Bias and activation come after the last part.
        let (bias, activation) = match (&self.bias, self.is_split()) {
            (_, true) => (None, Activation::None),
            (Some(bias), false) => (Some(Desc::dense(&[bias.len() as i64], Type::F32)?), self.activation),
            (None, false) => (None, self.activation),
        };
        Primitive::convolution(pixels(part)?, filter, bias, pixels(self.outputs)?, &[1, 1], &[0, 0], &[0, 0], &[0, 0], activation)
    }

    fn product(&self, rows: usize) -> Result<Arc<Product>, KernelError> {
        if let Some(known) = self.products.lock().unwrap_or_else(PoisonError::into_inner).get(&rows) {
            return Ok(Arc::clone(known));
        }
        let made = self.parts.iter().zip(&self.first).map(|(&part, (first, packed))| {
            let primitive = self.primitive(part, rows)?;
            let own = primitive.weights_from(first, packed)?;
            Ok((primitive, own))
        });
        let made = Arc::new(Product(made.collect::<Result<_, KernelError>>()?));
        self.products.lock().unwrap_or_else(PoisonError::into_inner).insert(rows, Arc::clone(&made));
        Ok(made)
    }

    fn execute(&self, product: &Product, part: usize, x: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        let (primitive, own) = &product.0[part];
        let weights = own.as_ref().unwrap_or(&self.first[part].1);
        let bias = self.bias.as_deref().unwrap_or(&[]);
        primitive.execute(&[(SRC, bytes(x)), (WEIGHTS, weights.slice::<u8>(weights.byte_count())), (BIAS, bytes(bias))], (DST, bytes_mut(y)), workspace)
    }

    /// Images of equal size, `[pixels, channels]` each, to `[pixels, outputs]` each.
    pub fn run(&self, xs: &[&[f32]], ys: &mut [&mut [f32]], workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("images", xs.len(), ys.len())?;
        let Some(pixels) = xs.first().map(|x| x.len() / self.channels) else { return Ok(()) };
        for (x, y) in xs.iter().zip(ys.iter()) {
            expect_length("input elements", pixels * self.channels, x.len())?;
            expect_length("output elements", pixels * self.outputs, y.len())?;
        }
        if let ([x], [y], false) = (xs, &mut *ys, self.is_split()) {
            return self.execute(&*self.product(pixels)?, 0, x, y, workspace);
        }
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let all = pixels * xs.len();
        let done = (0..all).step_by(ROWS).try_for_each(|start| self.rows(xs, ys, start..(start + ROWS).min(all), &mut scratch, workspace));
        workspace.scratch = scratch;
        done
    }

    /// Some pixels of all images, counted through.
    fn rows(&self, xs: &[&[f32]], ys: &mut [&mut [f32]], range: std::ops::Range<usize>, scratch: &mut Buffer, workspace: &mut Workspace) -> Result<(), KernelError> {
        let (channels, outputs, count) = (self.channels, self.outputs, range.len());
        let pixels = xs[0].len() / channels;
        let longest = self.parts.iter().copied().max().unwrap_or(0);
        let product = self.product(count)?;
        let (packed, results) = scratch.grown::<f32>(count * (longest + 2 * outputs)).split_at_mut(count * longest);
        let (sum, other) = results.split_at_mut(count * outputs);
        let mut from = 0;
        for (index, &part) in self.parts.iter().enumerate() {
            let packed = &mut packed[..count * part];
            for (row, out) in range.clone().zip(packed.chunks_exact_mut(part)) {
                out.copy_from_slice(&xs[row / pixels][row % pixels * channels + from..][..part]);
            }
            from += part;
            if index == 0 {
                self.execute(&product, index, packed, sum, workspace)?;
            } else {
                self.execute(&product, index, packed, other, workspace)?;
                let bias = if index + 1 == self.parts.len() { self.bias.as_deref() } else { None };
                let activation = if index + 1 == self.parts.len() { self.activation } else { Activation::None };
                add(sum, other, bias.unwrap_or(&[]), activation, outputs);
            }
        }
        for (row, sum) in range.zip(sum.chunks_exact(outputs)) {
            ys[row / pixels][row % pixels * outputs..][..outputs].copy_from_slice(sum);
        }
        Ok(())
    }
}

vectorized! {
    /// `activation(sum + other + bias)`, in this order; no bias where it is empty.
    fn add(sum: &mut [f32], other: &[f32], bias: &[f32], activation: Activation, outputs: usize) {
        for (sum, other) in sum.chunks_exact_mut(outputs).zip(other.chunks_exact(outputs)) {
            if bias.len() == outputs {
                for ((sum, other), bias) in sum.iter_mut().zip(other).zip(bias) {
                    *sum = (*sum + other) + bias;
                }
            } else {
                for (sum, other) in sum.iter_mut().zip(other) {
                    *sum += other;
                }
            }
            match activation {
                Activation::None => {}
                // The zero of a negative number is negative, as in oneDNN's matrix products.
                Activation::Relu => sum.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { *v * 0.0 }),
                Activation::ReluLimit(limit) => sum.iter_mut().for_each(|v| *v = v.max(0.0).min(limit)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::conv::{ConvShape, FloatConv};
    use crate::layout::convert;

    #[test]
    fn sums_are_split_as_the_reference_splits_them() {
        assert_eq!([1, 384, 385, 480, 768, 1000, 1152, 1537].map(parts), [vec![1], vec![384], vec![193, 192], vec![240, 240], vec![384, 384], vec![384, 308, 308], vec![384, 384, 384], vec![384, 384, 384, 193, 192]]);
    }

    /// Of the same images alone, together and in oneDNN's own convolution: the unfolding one for long sums.
    #[test]
    fn results_are_the_same_bits_alone_and_together() {
        let _team = crate::threads::Team::of(1);
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let activations = [Activation::None, Activation::Relu, Activation::ReluLimit(6.0)];
        for (index, (channels, outputs, size)) in [(480, 80, 14), (672, 192, 7), (1152, 64, 7), (1000, 33, 9), (385, 17, 3), (2048, 10, 2), (200, 300, 4), (384, 12, 25), (520, 2, 30)].into_iter().enumerate() {
            let (activation, biased) = (activations[index % 3], index % 2 == 0);
            let shape = ConvShape::new(&[1, channels, size, size], &[outputs, channels, 1, 1], &[1, 1], &[0; 4], None, 1).unwrap();
            let weights: Vec<f32> = (0..channels * outputs).map(|_| next()).collect();
            let bias: Vec<f32> = (0..outputs).map(|_| next()).collect();
            let bias = biased.then_some(&bias[..]);
            let layout = if channels > BLOCK { Layout::RowMajor } else { Layout::ChannelsLast };
            let direct = FloatConv::new(&shape, &weights, bias, activation, layout).unwrap();
            let pointwise = Pointwise::new(channels, outputs, size * size, &weights, bias, activation).unwrap();
            let mut workspace = Workspace::new().unwrap();
            let images: Vec<Vec<f32>> = (0..5).map(|_| (0..channels * size * size).map(|_| next()).collect()).collect();
            let wanted: Vec<Vec<f32>> = images.iter().map(|x| {
                let (mut plain, mut y, mut out) = (vec![0.0; x.len()], vec![0.0; outputs * size * size], vec![0.0; outputs * size * size]);
                convert(&shape.input, Layout::ChannelsLast, x, layout, &mut plain).unwrap();
                direct.run(&plain, &mut y, &mut workspace).unwrap();
                convert(&shape.output, layout, &y, Layout::ChannelsLast, &mut out).unwrap();
                out
            }).collect();
            for count in [1, 2, 5] {
                let mut found = vec![vec![0f32; outputs * size * size]; count];
                let xs: Vec<&[f32]> = images[..count].iter().map(Vec::as_slice).collect();
                pointwise.run(&xs, &mut found.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(), &mut workspace).unwrap();
                let bits = |lists: &[Vec<f32>]| lists.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert!(bits(&found) == bits(&wanted[..count]), "{channels} -> {outputs}, {size} x {size}, {count} together");
            }
        }
    }
}
