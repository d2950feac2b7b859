//! Transposed convolution over one to three spatial dimensions, row-major: a matrix product gives what every input pixel adds to
//! the pixels around its place, and a second pass adds it there.

use crate::buffer::Buffer;
use crate::matmul::{FloatMatMul, MatMulShape};
use crate::requant::Requant;
use crate::{Activation, Ints, IntsMut, KernelError, Workspace, expect_length, threads};

/// Sizes; spatial ones filled up to three dimensions with ones.
#[derive(Debug, Clone, PartialEq)]
pub struct DeconvShape {
    pub batch: usize,
    pub group: usize,
    /// Channels of one group.
    pub input_channels: usize,
    pub output_channels: usize,
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub kernel: [usize; 3],
    pub strides: [usize; 3],
    pub dilations: [usize; 3],
    pub before: [usize; 3],
}

/// The products of one image may have so many elements.
const MOST_PRODUCTS: usize = 1 << 30;

/// A prepared transposed convolution.
pub struct Deconv {
    shape: DeconvShape,
    product: FloatMatMul,
    bias: Vec<f32>,
    activation: Activation,
}

impl Deconv {
    /// `weights`: `[output channels of all groups, input channels of a group, taps]`.
    pub fn new(shape: &DeconvShape, weights: &[f32], bias: Option<&[f32]>, activation: Activation) -> Result<Deconv, KernelError> {
        let s = shape;
        let (pixels, taps) = (s.input.iter().product::<usize>(), s.kernel.iter().product::<usize>());
        let columns = s.output_channels * taps;
        expect_length("filter elements", s.output_channels * s.input_channels * s.group * taps, weights.len())?;
        if s.group.checked_mul(pixels).and_then(|p| p.checked_mul(columns)).is_none_or(|p| p > MOST_PRODUCTS) {
            return Err(KernelError::Geometry(format!("a transposed convolution of {pixels} pixels to {columns} products each is too large")));
        }
        if s.strides.contains(&0) || s.dilations.contains(&0) {
            return Err(KernelError::Geometry("strides and dilations must be positive".into()));
        }
        let bias = match bias {
            Some(bias) => {
                expect_length("biases", s.output_channels * s.group, bias.len())?;
                bias.to_vec()
            }
            None => vec![0.0; s.output_channels * s.group],
        };
        // By group `[input channels, output channels * taps]`.
        let mut right = vec![0.0; weights.len()];
        for (i, &w) in weights.iter().enumerate() {
            let (o, c, tap) = (i / taps / s.input_channels, i / taps % s.input_channels, i % taps);
            right[(o / s.output_channels * s.input_channels + c) * columns + o % s.output_channels * taps + tap] = w;
        }
        let product = MatMulShape::new(&[s.group, s.input_channels, pixels], &[s.group, s.input_channels, columns], true, false)?;
        Ok(Deconv { product: FloatMatMul::new(&product, Some(&right), None, Activation::None)?, shape: shape.clone(), bias, activation })
    }

    pub fn run(&self, x: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        let s = &self.shape;
        let (pixels, area) = (s.input.iter().product::<usize>(), s.output.iter().product::<usize>());
        let columns = s.output_channels * s.kernel.iter().product::<usize>();
        let (image, result) = (s.group * s.input_channels * pixels, s.group * s.output_channels * area);
        expect_length("input elements of a transposed convolution", s.batch * image, x.len())?;
        expect_length("output elements of a transposed convolution", s.batch * result, y.len())?;
        let mut products = Buffer::try_with_bytes(s.group * pixels * columns * 4)?;
        for (x, y) in x.chunks_exact(image.max(1)).zip(y.chunks_exact_mut(result.max(1))) {
            let products = products.slice_mut::<f32>(s.group * pixels * columns);
            self.product.run(x, &[], products, workspace)?;
            threads::for_parts(y, area, |start, part| {
                for (i, plane) in part.chunks_exact_mut(area).enumerate() {
                    let channel = start / area + i;
                    let group = &products[channel / s.output_channels * pixels * columns..][..pixels * columns];
                    plane.fill(self.bias[channel]);
                    self.scatter(group, columns, channel % s.output_channels, plane);
                    plane.iter_mut().for_each(|v| *v = self.activation.apply(*v));
                }
            });
        }
        Ok(())
    }

    /// Adds the products of one output channel at their places.
    fn scatter(&self, products: &[f32], columns: usize, channel: usize, plane: &mut [f32]) {
        let s = &self.shape;
        let taps = s.kernel.iter().product::<usize>();
        // The place of an input position's tap in one dimension, if the result has it.
        let place = |d: usize, at: usize, tap: usize| (at * s.strides[d] + tap * s.dilations[d]).checked_sub(s.before[d]).filter(|&p| p < s.output[d]);
        for (tap, (kz, ky, kx)) in cube(s.kernel).enumerate() {
            for (pixel, (z, y, x)) in cube(s.input).enumerate() {
                if let (Some(z), Some(y), Some(x)) = (place(0, z, kz), place(1, y, ky), place(2, x, kx)) {
                    plane[(z * s.output[1] + y) * s.output[2] + x] += products[pixel * columns + channel * taps + tap];
                }
            }
        }
    }
}

/// Of 8-bit integers: sums in 32 bits, requantized per output channel. Weights as in [`Deconv::new`].
pub fn run_int(shape: &DeconvShape, x: Ints<'_>, weights: &[i16], requant: &Requant, y: IntsMut<'_>) -> Result<(), KernelError> {
    let (area, outputs) = (shape.output.iter().product::<usize>(), shape.group * shape.output_channels);
    expect_length("output elements of a transposed convolution", shape.batch * outputs * area, y.len())?;
    expect_length("channels of a requantization", outputs, requant.channels())?;
    // Requantization wants channels last.
    let mut sums = vec![0i32; y.len()];
    let planes = sums_of(shape, x, weights)?;
    transpose(&planes, outputs, area, &mut sums);
    match y {
        IntsMut::I8(y) => {
            let mut last = vec![0i8; y.len()];
            requant.run(&sums, IntsMut::I8(&mut last))?;
            transpose(&last, area, outputs, y);
        }
        IntsMut::U8(y) => {
            let mut last = vec![0u8; y.len()];
            requant.run(&sums, IntsMut::U8(&mut last))?;
            transpose(&last, area, outputs, y);
        }
    }
    Ok(())
}

/// Of 8-bit integers: the sums themselves, with a bias per output channel, not below 0 if `relu`.
pub fn run_sums(shape: &DeconvShape, x: Ints<'_>, weights: &[i16], bias: Option<&[i32]>, relu: bool, y: &mut [i32]) -> Result<(), KernelError> {
    let (area, outputs) = (shape.output.iter().product::<usize>(), shape.group * shape.output_channels);
    expect_length("output elements of a transposed convolution", shape.batch * outputs * area, y.len())?;
    expect_length("biases", outputs, bias.map_or(outputs, <[i32]>::len))?;
    y.copy_from_slice(&sums_of(shape, x, weights)?);
    for (plane, y) in y.chunks_exact_mut(area.max(1)).enumerate() {
        let bias = bias.map_or(0, |b| b[plane % outputs]);
        let low = if relu { 0 } else { i32::MIN };
        y.iter_mut().for_each(|v| *v = v.wrapping_add(bias).max(low));
    }
    Ok(())
}

/// By matrices of `rows x columns`: `columns x rows`.
fn transpose<T: Copy>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    let size = (rows * columns).max(1);
    for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(size)) {
        to.iter_mut().enumerate().for_each(|(i, v)| *v = from[i % rows * columns + i / rows]);
    }
}

/// Sums in 32 bits, which wrap, `[batch, channels, output...]`.
fn sums_of(shape: &DeconvShape, x: Ints<'_>, weights: &[i16]) -> Result<Vec<i32>, KernelError> {
    let s = shape;
    let (pixels, area, taps) = (s.input.iter().product::<usize>(), s.output.iter().product::<usize>(), s.kernel.iter().product::<usize>());
    let (inputs, outputs) = (s.group * s.input_channels, s.group * s.output_channels);
    expect_length("filter elements", s.output_channels * inputs * taps, weights.len())?;
    expect_length("input elements of a transposed convolution", s.batch * inputs * pixels, x.len())?;
    let at = |i: usize| match x {
        Ints::I8(x) => i32::from(x[i]),
        Ints::U8(x) => i32::from(x[i]),
    };
    let place = |d: usize, at: usize, tap: usize| (at * s.strides[d] + tap * s.dilations[d]).checked_sub(s.before[d]).filter(|&p| p < s.output[d]);
    let mut sums = vec![0i32; s.batch * area * outputs];
    threads::for_parts(&mut sums, area, |start, part| {
        for (plane, sums) in part.chunks_exact_mut(area.max(1)).enumerate() {
            let (image, o) = ((start / area.max(1) + plane) / outputs, (start / area.max(1) + plane) % outputs);
            for c in 0..s.input_channels {
                let input = o / s.output_channels * s.input_channels + c;
                let filter = &weights[(o * s.input_channels + c) * taps..][..taps];
                for (pixel, (z, y, x)) in cube(s.input).enumerate() {
                    let value = at((image * inputs + input) * pixels + pixel);
                    for (&w, (kz, ky, kx)) in filter.iter().zip(cube(s.kernel)) {
                        if let (Some(z), Some(y), Some(x)) = (place(0, z, kz), place(1, y, ky), place(2, x, kx)) {
                            let sum = &mut sums[(z * s.output[1] + y) * s.output[2] + x];
                            *sum = sum.wrapping_add(value * i32::from(w));
                        }
                    }
                }
            }
        }
    });
    Ok(sums)
}

fn cube([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |z| (0..b).flat_map(move |y| (0..c).map(move |x| (z, y, x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition() {
        let shape = DeconvShape {
            batch: 2,
            group: 2,
            input_channels: 3,
            output_channels: 2,
            input: [1, 4, 3],
            output: [1, 9, 6],
            kernel: [1, 3, 2],
            strides: [1, 2, 2],
            dilations: [1, 1, 2],
            before: [0, 1, 1],
        };
        let value = |i: usize| ((i * 29) % 17) as f32 - 8.0;
        let x: Vec<f32> = (0..2 * 6 * 12).map(value).collect();
        let w: Vec<f32> = (0..2 * 6 * 6).map(|i| value(i + 3)).collect();
        let bias = [1.0, 2.0, 3.0, 4.0];
        let mut y = vec![0.0; 2 * 4 * 54];
        Deconv::new(&shape, &w, Some(&bias), Activation::None).unwrap().run(&x, &mut y, &mut Workspace::new().unwrap()).unwrap();
        let mut wanted: Vec<f32> = (0..y.len()).map(|i| bias[i / 54 % 4]).collect();
        for (n, c) in (0..2).flat_map(|n| (0..6).map(move |c| (n, c))) {
            for (i, o) in (0..12).flat_map(|i| (0..2).map(move |o| (i, o))) {
                for tap in 0..6 {
                    let (oy, ox) = ((i / 3 * 2 + tap / 2) as i64 - 1, (i % 3 * 2 + tap % 2 * 2) as i64 - 1);
                    if (0..9).contains(&oy) && (0..6).contains(&ox) {
                        let at = ((n * 4 + c / 3 * 2 + o) * 9 + oy as usize) * 6 + ox as usize;
                        wanted[at] += x[(n * 6 + c) * 12 + i] * w[((c / 3 * 2 + o) * 3 + c % 3) * 6 + tap];
                    }
                }
            }
        }
        assert!(y.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{y:?}\n{wanted:?}");
        assert!(Deconv::new(&shape, &w[1..], None, Activation::None).is_err());
        assert!(Deconv::new(&DeconvShape { input: [1 << 20, 1 << 20, 1 << 20], ..shape }, &w, None, Activation::None).is_err());
    }
}
