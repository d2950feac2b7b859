//! Convolutions over one to three spatial dimensions, float and 8-bit.

use crate::amx::TileConv;
use crate::buffer::{Buffer, bytes, bytes_mut};
use crate::layout::Layout;
use crate::pointwise::{BLOCK, Pointwise};
use crate::onednn::{Activation, BIAS, DST, Desc, Primitive, SRC, Type, WEIGHTS, Workspace};
use crate::requant::Requant;
use crate::unfold::Unfolded;
use crate::{Int8, Ints, IntsMut, KernelError, cpu, expect_length, threads};
use std::sync::OnceLock;

/// Shapes of a convolution: input `[N, C, spatial..]`, filter `[O, C / group, kernel..]`, output `[N, O, spatial..]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvShape {
    pub input: Vec<usize>,
    pub filter: Vec<usize>,
    pub output: Vec<usize>,
    pub strides: Vec<usize>,
    /// Padding before and after each spatial dimension.
    pub before: Vec<usize>,
    pub after: Vec<usize>,
    pub dilations: Vec<usize>,
    pub group: usize,
}

/// The largest sizes and steps that are computed with; far beyond any network, far below an overflow.
const LARGEST: i64 = 1 << 24;

impl ConvShape {
    /// `pads` holds the counts before every spatial dimension, then after every one. Errors say what does not fit.
    pub fn new(input: &[usize], filter: &[usize], strides: &[i64], pads: &[i64], dilations: Option<&[i64]>, group: i64) -> Result<ConvShape, KernelError> {
        let fail = |reason: String| Err(KernelError::Geometry(format!("convolution of {input:?} with {filter:?}: {reason}")));
        let spatial = input.len().saturating_sub(2);
        if !(1..=3).contains(&spatial) || filter.len() != input.len() {
            return fail("needs input and filter of 3 to 5 dimensions".into());
        }
        let ones = vec![1; spatial];
        let dilations = dilations.unwrap_or(&ones);
        if strides.len() != spatial || pads.len() != 2 * spatial || dilations.len() != spatial {
            return fail(format!("strides {strides:?}, pads {pads:?}, dilations {dilations:?} do not fit {spatial} spatial dimensions"));
        }
        let within = |list: &[i64], least: i64| list.iter().all(|v| (least..=LARGEST).contains(v));
        if !within(strides, 1) || !within(pads, 0) || !within(dilations, 1) || filter.contains(&0) || input.iter().chain(filter).any(|&d| d as u64 > LARGEST as u64) {
            return fail(format!("strides {strides:?}, pads {pads:?} or dilations {dilations:?} out of range"));
        }
        let group = usize::try_from(group).unwrap_or(0);
        if group == 0 || filter[1].checked_mul(group) != Some(input[1]) || !filter[0].is_multiple_of(group) {
            return fail(format!("{} input channels do not fit in {group} groups", input[1]));
        }
        let size = |list: &[i64]| list.iter().map(|&v| v as usize).collect::<Vec<_>>();
        let (strides, dilations) = (size(strides), size(dilations));
        let (before, after) = (size(&pads[..spatial]), size(&pads[spatial..]));
        let mut output = vec![input[0], filter[0]];
        for d in 0..spatial {
            let padded = input[d + 2] + before[d] + after[d];
            let reach = (filter[d + 2] - 1) * dilations[d] + 1;
            if padded < reach {
                return fail(format!("a kernel of {reach} does not fit into {padded} padded elements"));
            }
            output.push((padded - reach) / strides[d] + 1);
        }
        Ok(ConvShape { input: input.to_vec(), filter: filter.to_vec(), output, strides, before, after, dilations, group })
    }

    /// How many products it takes.
    pub fn products(&self) -> usize {
        self.output[2..].iter().product::<usize>().saturating_mul(self.output[0]).saturating_mul(count(&self.filter))
    }

    fn weights_shape(&self) -> Vec<i64> {
        let mut shape = integers(&self.filter);
        if self.group > 1 {
            shape[0] /= self.group as i64;
            shape.insert(0, self.group as i64);
        }
        shape
    }

    fn is_depthwise(&self) -> bool {
        self.filter[1] == 1 && self.filter[0] == self.group
    }

    /// Whether one sum of a dense convolution is a single block of the reference's matrix product. Longer sums it splits into
    /// blocks of equal length and adds those up, so the order is no longer that of one run through the filter.
    fn is_one_block(&self) -> bool {
        self.group == 1 && count(&self.filter[1..]) <= BLOCK
    }

    /// Whether every output pixel is computed from the one at its place. With one pixel or one output the reference sums as for
    /// a vector, in another order.
    fn is_pointwise(&self) -> bool {
        let one = |list: &[usize]| list.iter().all(|&v| v == 1);
        self.group == 1 && one(&self.filter[2..]) && one(&self.strides) && self.input[2..] == self.output[2..] && count(&self.input[2..]) > 1 && self.filter[0] > 1
    }

    /// Whether the filter is larger than what it is applied to.
    fn is_mostly_weights(&self) -> bool {
        count(&self.filter) > count(&self.input) + count(&self.output)
    }

    /// An error if there are not as many weights and biases as there should be.
    fn expect(&self, weights: &[f32], bias: Option<&[f32]>) -> Result<(), KernelError> {
        expect_length("filter elements", count(&self.filter), weights.len())?;
        bias.map_or(Ok(()), |bias| expect_length("biases", self.filter[0], bias.len()))
    }

    fn primitive(&self, types: [Type; 4], bias: bool, layout: Layout, activation: Activation) -> Result<Primitive, KernelError> {
        let described = |shape: &[usize], ty| match layout {
            Layout::RowMajor => Desc::dense(&integers(shape), ty),
            Layout::ChannelsLast => Desc::channels_last(&integers(shape), ty),
        };
        let [src, weights, bias_type, dst] = types;
        let bias = if bias { Some(Desc::dense(&[self.filter[0] as i64], bias_type)?) } else { None };
        let dilates: Vec<i64> = self.dilations.iter().map(|&d| d as i64 - 1).collect();
        Primitive::convolution(
            described(&self.input, src)?, Desc::any(&self.weights_shape(), weights)?, bias, described(&self.output, dst)?,
            &integers(&self.strides), &dilates, &integers(&self.before), &integers(&self.after), activation,
        )
    }
}

fn integers(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A prepared float convolution with bias and activation.
pub struct FloatConv {
    shape: ConvShape,
    layout: Layout,
    product: Product,
    bias: Option<Vec<f32>>,
}

enum Product {
    Direct { primitive: Primitive, weights: Buffer },
    Unfolded(Box<Unfolded>),
    Pointwise(Box<Pointwise>),
    Tiles { tiles: Box<TileConv>, activation: Activation, others: OnceLock<Result<Box<FloatConv>, KernelError>> },
}

impl FloatConv {
    /// `weights` and `bias` in row-major order of the shapes; activations will be in `layout`.
    pub fn new(shape: &ConvShape, weights: &[f32], bias: Option<&[f32]>, activation: Activation, layout: Layout) -> Result<FloatConv, KernelError> {
        shape.expect(weights, bias)?;
        let primitive = shape.primitive([Type::F32; 4], bias.is_some(), layout, activation)?;
        let weights = primitive.reorder_weights(Desc::dense(&shape.weights_shape(), Type::F32)?, bytes(weights))?;
        Ok(FloatConv { shape: shape.clone(), layout, product: Product::Direct { primitive, weights }, bias: bias.map(<[f32]>::to_vec) })
    }

    /// As [`FloatConv::new`], adding up in the reference's order: that of a matrix product over unfolded windows, input channel
    /// outermost. The layout is the one in which this is fastest.
    pub fn in_reference_order(shape: &ConvShape, weights: &[f32], bias: Option<&[f32]>, activation: Activation) -> Result<FloatConv, KernelError> {
        shape.expect(weights, bias)?;
        let one_tap = shape.filter[2..].iter().all(|&k| k == 1);
        if shape.is_pointwise() && (!shape.is_one_block() || shape.is_mostly_weights()) {
            let pointwise = Pointwise::new(shape.input[1], shape.filter[0], shape.input[0] * count(&shape.input[2..]), weights, bias, activation)?;
            return Ok(FloatConv { shape: shape.clone(), layout: Layout::ChannelsLast, product: Product::Pointwise(Box::new(pointwise)), bias: None });
        }
        if shape.is_depthwise() || shape.is_one_block() && one_tap {
            // Whatever the implementation, there is only one order.
            return Self::new(shape, weights, bias, activation, Layout::ChannelsLast);
        }
        if !shape.is_one_block() || !Unfolded::fits(shape) {
            // oneDNN's own unfolding, with its own blocks: what the reference uses.
            return Self::new(shape, weights, bias, activation, Layout::RowMajor);
        }
        let product = Product::Unfolded(Box::new(Unfolded::new(shape, weights, bias.is_some(), activation)?));
        Ok(FloatConv { shape: shape.clone(), layout: Layout::ChannelsLast, product, bias: bias.map(<[f32]>::to_vec) })
    }

    /// As [`FloatConv::new`] of half floats (f16 or bf16, held in f32): on tiles where the processor has them. Sums are rounded to half
    /// floats afterwards, so their order hardly matters, and is whatever is fastest. Other elements are computed as well, more slowly.
    pub fn of_halves(shape: &ConvShape, weights: &[f32], bias: Option<&[f32]>, activation: Activation) -> Result<FloatConv, KernelError> {
        shape.expect(weights, bias)?;
        if let Some(tiles) = TileConv::halves(shape, weights) {
            let product = Product::Tiles { tiles: Box::new(tiles), activation, others: OnceLock::new() };
            return Ok(FloatConv { shape: shape.clone(), layout: Layout::ChannelsLast, product, bias: bias.map(<[f32]>::to_vec) });
        }
        match shape.is_pointwise() && shape.is_mostly_weights() {
            true => Self::in_reference_order(shape, weights, bias, activation),
            false => Self::new(shape, weights, bias, activation, Layout::ChannelsLast),
        }
    }

    /// As [`FloatConv::new`], but that products may be off by 2^-14 of themselves: to tell inputs apart by what comes out, not for
    /// results. `None` where that takes no less time.
    pub fn near(shape: &ConvShape, weights: &[f32], bias: Option<&[f32]>, activation: Activation) -> Result<Option<FloatConv>, KernelError> {
        shape.expect(weights, bias)?;
        let Some(tiles) = TileConv::near(shape, weights) else { return Ok(None) };
        let product = Product::Tiles { tiles: Box::new(tiles), activation, others: OnceLock::new() };
        Ok(Some(FloatConv { shape: shape.clone(), layout: Layout::ChannelsLast, product, bias: bias.map(<[f32]>::to_vec) }))
    }

    /// The layout of input and output.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// `x` and `y` hold exactly the input and the output.
    pub fn run(&self, x: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("input elements", count(&self.shape.input), x.len())?;
        expect_length("output elements", count(&self.shape.output), y.len())?;
        let bias = self.bias.as_deref().unwrap_or(&[]);
        match &self.product {
            Product::Direct { primitive, weights } => {
                let weights = weights.slice::<u8>(weights.byte_count());
                primitive.execute(&[(SRC, bytes(x)), (WEIGHTS, weights), (BIAS, bytes(bias))], (DST, bytes_mut(y)), workspace)
            }
            Product::Unfolded(product) => product.run(x, bias, y, workspace),
            Product::Pointwise(product) => product.run(&[x], &mut [y], workspace),
            Product::Tiles { tiles, activation, others } => {
                if tiles.run_floats(x, bias, *activation, y, workspace)? {
                    return Ok(());
                }
                let other = || Self::new(&self.shape, &tiles.weights(), self.bias.as_deref(), *activation, self.layout).map(Box::new);
                others.get_or_init(other).as_ref().map_err(Clone::clone)?.run(x, y, workspace)
            }
        }
    }

    /// Bytes of scratch memory that a run takes.
    pub fn scratch_bytes(&self) -> usize {
        match &self.product {
            Product::Direct { primitive, .. } => primitive.scratch_bytes(),
            Product::Unfolded(product) => product.scratch_bytes(),
            Product::Pointwise(_) => 0,
            Product::Tiles { tiles, .. } => tiles.scratch_bytes(),
        }
    }

    /// Bytes that [`FloatConv::run_many`] reads once: those of the filter, where it is larger than the activations. 0 where several inputs
    /// take no less time together than one after the other.
    pub fn shared_bytes(&self) -> usize {
        let gains = matches!(self.product, Product::Pointwise(_)) && self.shape.is_mostly_weights();
        if gains { count(&self.shape.filter) * size_of::<f32>() } else { 0 }
    }

    /// As [`FloatConv::run`] on every pair, to the bit.
    pub fn run_many(&self, xs: &[&[f32]], ys: &mut [&mut [f32]], workspace: &mut Workspace) -> Result<(), KernelError> {
        match &self.product {
            Product::Pointwise(product) => {
                let pixels = count(&self.shape.input) / self.shape.input[1].max(1);
                xs.iter().try_for_each(|x| expect_length("input elements", pixels * self.shape.input[1], x.len()))?;
                product.run(xs, ys, workspace)
            }
            Product::Direct { .. } | Product::Unfolded(_) | Product::Tiles { .. } => xs.iter().zip(ys).try_for_each(|(x, y)| self.run(x, y, workspace)),
        }
    }
}

/// How the exact 32-bit sums of an 8-bit convolution are computed.
enum Way {
    Tiles(Box<TileConv>),
    /// oneDNN's integer convolution, where the processor sums exactly.
    Integer { primitive: Primitive, weights: Buffer },
    /// A float convolution: exact while no partial sum can reach 2^24.
    Float(Box<FloatConv>),
    /// Loops; weights as `[group][tap][channel in][channel out]`.
    Loops(Vec<i32>),
}

/// A prepared 8-bit convolution with requantization, channels last.
pub struct IntConv {
    shape: ConvShape,
    signed_input: bool,
    way: Way,
    requant: Requant,
}

impl IntConv {
    /// `weights` in row-major order of the filter shape, -128..=255 (unsigned filters exist); padding counts as 0.
    pub fn new(shape: &ConvShape, signed_input: bool, weights: &[i16], requant: Requant) -> Result<IntConv, KernelError> {
        expect_length("filter elements", count(&shape.filter), weights.len())?;
        expect_length("channels of the requantization", shape.filter[0], requant.channels())?;
        let way = if let Some(tiles) = TileConv::integer(shape, signed_input, weights) {
            Way::Tiles(Box::new(tiles))
        } else if cpu::has_exact_int8() && weights.iter().all(|w| (-128..=127).contains(w)) {
            Self::integer(shape, signed_input, weights)?
        } else {
            Self::portable(shape, signed_input, weights)?
        };
        Ok(IntConv { shape: shape.clone(), signed_input, way, requant })
    }

    /// The sums of oneDNN alone.
    #[cfg(test)]
    pub(crate) fn direct_sums(shape: &ConvShape, signed_input: bool, weights: &[i16]) -> Result<impl Fn(Ints, &mut [i32], &mut Workspace) + use<>, KernelError> {
        let requant = Requant::new(shape.filter[0], None, &[1], &[0], false)?;
        let conv = IntConv { shape: shape.clone(), signed_input, way: Self::integer(shape, signed_input, weights)?, requant };
        Ok(move |x: Ints, sums: &mut [i32], workspace: &mut Workspace| conv.sums(x, sums, workspace).expect("runs"))
    }

    fn integer(shape: &ConvShape, signed_input: bool, weights: &[i16]) -> Result<Way, KernelError> {
        let src = if signed_input { Type::S8 } else { Type::U8 };
        let primitive = shape.primitive([src, Type::S8, Type::S32, Type::S32], false, Layout::ChannelsLast, Activation::None)?;
        let narrow: Vec<i8> = weights.iter().map(|&w| w as i8).collect();
        let weights = primitive.reorder_weights(Desc::dense(&shape.weights_shape(), Type::S8)?, bytes(&narrow))?;
        Ok(Way::Integer { primitive, weights })
    }

    /// Without the processor's help: in floats where that is exact, in loops elsewhere.
    fn portable(shape: &ConvShape, signed_input: bool, weights: &[i16]) -> Result<Way, KernelError> {
        let largest = if signed_input { 128 } else { 255 };
        let reach = |filter: &[i16]| filter.iter().map(|w| i64::from(w.unsigned_abs())).sum::<i64>() * largest;
        let per_channel = count(&shape.filter[1..]).max(1);
        if weights.chunks(per_channel).all(|filter| reach(filter) < 1 << 24) {
            let floats: Vec<f32> = weights.iter().map(|&w| f32::from(w)).collect();
            return Ok(Way::Float(Box::new(FloatConv::new(shape, &floats, None, Activation::None, Layout::ChannelsLast)?)));
        }
        let (inner, taps, outer) = (shape.filter[1], count(&shape.filter[2..]), shape.filter[0] / shape.group);
        let mut order = vec![0i32; weights.len()];
        for (i, &w) in weights.iter().enumerate() {
            let (o, c, tap) = (i / (inner * taps), i / taps % inner, i % taps);
            order[((o / outer * taps + tap) * inner + c) * outer + o % outer] = i32::from(w);
        }
        Ok(Way::Loops(order))
    }

    /// `x` and `y` hold exactly the input and the output, channels last.
    pub fn run(&self, x: Ints<'_>, y: IntsMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("input elements", count(&self.shape.input), x.len())?;
        expect_length("output elements", count(&self.shape.output), y.len())?;
        if matches!(x, Ints::I8(_)) != self.signed_input {
            return Err(KernelError::Geometry("a convolution got an input of the other signedness than it was prepared for".into()));
        }
        let mut accumulators = std::mem::take(&mut workspace.accumulators);
        let sums = accumulators.grown::<i32>(y.len());
        let done = self.sums(x, sums, workspace).and_then(|()| self.requant.run(sums, y));
        workspace.accumulators = accumulators;
        done
    }

    fn sums(&self, x: Ints<'_>, sums: &mut [i32], workspace: &mut Workspace) -> Result<(), KernelError> {
        match &self.way {
            Way::Tiles(tiles) => tiles.run_integers(x, sums, workspace),
            Way::Integer { primitive, weights } => {
                let weights = weights.slice::<u8>(weights.byte_count());
                primitive.execute(&[(SRC, x.bytes()), (WEIGHTS, weights)], (DST, bytes_mut(sums)), workspace)
            }
            Way::Float(conv) => {
                let mut scratch = std::mem::take(&mut workspace.scratch);
                let (input, output) = scratch.grown::<f32>(x.len() + sums.len()).split_at_mut(x.len());
                match x {
                    Ints::I8(x) => input.iter_mut().zip(x).for_each(|(f, &q)| *f = f32::from(q)),
                    Ints::U8(x) => input.iter_mut().zip(x).for_each(|(f, &q)| *f = f32::from(q)),
                }
                let done = conv.run(input, output, workspace);
                sums.iter_mut().zip(&*output).for_each(|(s, &f)| *s = f as i32);
                workspace.scratch = scratch;
                done
            }
            Way::Loops(weights) => {
                match x {
                    Ints::I8(x) => self.loops(x, weights, sums),
                    Ints::U8(x) => self.loops(x, weights, sums),
                }
                Ok(())
            }
        }
    }

    fn loops<T: Int8>(&self, x: &[T], weights: &[i32], sums: &mut [i32]) {
        let s = &self.shape;
        let spatial = s.strides.len();
        let three = |list: &[usize], fill: usize| {
            let mut out = [fill; 3];
            out[3 - spatial..].copy_from_slice(list);
            out
        };
        let (size, out, kernel) = (three(&s.input[2..], 1), three(&s.output[2..], 1), three(&s.filter[2..], 1));
        let (strides, before, dilations) = (three(&s.strides, 1), three(&s.before, 0), three(&s.dilations, 1));
        let (channels, outputs, inner, outer) = (s.input[1], s.filter[0], s.filter[1], s.filter[0] / s.group);
        let taps: usize = kernel.iter().product();
        let (area, out_area) = (size.iter().product::<usize>(), out.iter().product::<usize>());
        threads::for_parts(sums, outputs, |start, part| {
            for (at, sums) in part.chunks_exact_mut(outputs).enumerate().map(|(i, p)| (i + start / outputs, p)) {
                sums.fill(0);
                let (n, at) = (at / out_area, at % out_area);
                let position = [at / (out[1] * out[2]), at / out[2] % out[1], at % out[2]];
                for tap in 0..taps {
                    let step = [tap / (kernel[1] * kernel[2]), tap / kernel[2] % kernel[1], tap % kernel[2]];
                    let source: [usize; 3] = std::array::from_fn(|d| (position[d] * strides[d] + step[d] * dilations[d]).wrapping_sub(before[d]));
                    if (0..3).any(|d| source[d] >= size[d]) {
                        continue;
                    }
                    let pixel = (n * area + (source[0] * size[1] + source[1]) * size[2] + source[2]) * channels;
                    for (group, sums) in sums.chunks_exact_mut(outer).enumerate() {
                        for c in 0..inner {
                            let v = x[pixel + group * inner + c].wide();
                            let row = &weights[((group * taps + tap) * inner + c) * outer..][..outer];
                            sums.iter_mut().zip(row).for_each(|(sum, &w)| *sum = sum.wrapping_add(v * w));
                        }
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::convert;

    /// Numbers that are the same in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            range.start() + ((self.0 >> 33) as i64) % (range.end() - range.start() + 1)
        }
    }

    /// The definition, over row-major arrays, one output at a time.
    fn definition(s: &ConvShape, x: &[i64], w: &[i64]) -> Vec<i64> {
        let spatial = s.strides.len();
        let index = |shape: &[usize], at: &[usize]| shape.iter().zip(at).fold(0, |i, (&d, &a)| i * d + a);
        let unravel = |shape: &[usize], mut i: usize| {
            let mut at = vec![0; shape.len()];
            for d in (0..shape.len()).rev() {
                at[d] = i % shape[d];
                i /= shape[d];
            }
            at
        };
        (0..count(&s.output))
            .map(|o| {
                let at = unravel(&s.output, o);
                let group = at[1] / (s.filter[0] / s.group);
                let mut sum = 0;
                for k in 0..count(&s.filter[1..]) {
                    let tap = unravel(&s.filter[1..], k);
                    let mut source = vec![at[0], group * s.filter[1] + tap[0]];
                    let mut inside = true;
                    for d in 0..spatial {
                        let p = (at[d + 2] * s.strides[d] + tap[d + 1] * s.dilations[d]) as i64 - s.before[d] as i64;
                        inside &= p >= 0 && p < s.input[d + 2] as i64;
                        source.push(p.max(0) as usize);
                    }
                    if inside {
                        sum += x[index(&s.input, &source)] * w[at[1] * count(&s.filter[1..]) + k];
                    }
                }
                sum
            })
            .collect()
    }

    fn random_shape(r: &mut Random) -> ConvShape {
        loop {
            let spatial = r.next(1..=3) as usize;
            let (group, inner, outer) = match r.next(0..=2) {
                0 => (1, r.next(1..=20), r.next(1..=20)),
                1 => (r.next(1..=40), 1, 1),
                _ => (r.next(2..=3), r.next(1..=5), r.next(1..=5)),
            };
            let mut input = vec![r.next(1..=2) as usize, (group * inner) as usize];
            let mut filter = vec![(group * outer) as usize, inner as usize];
            (0..spatial).for_each(|_| input.push(r.next(1..=9) as usize));
            (0..spatial).for_each(|_| filter.push(r.next(1..=3) as usize));
            let mut list = |low, high, n: usize| (0..n).map(|_| r.next(low..=high)).collect::<Vec<_>>();
            let (strides, pads, dilations) = (list(1, 2, spatial), list(0, 2, 2 * spatial), list(1, 2, spatial));
            if let Ok(shape) = ConvShape::new(&input, &filter, &strides, &pads, Some(&dilations), group) {
                return shape;
            }
        }
    }

    #[test]
    fn random_convolutions_equal_the_definition() {
        let mut r = Random(7);
        let mut workspace = Workspace::new().unwrap();
        for round in 0..60 {
            let shape = random_shape(&mut r);
            let signed = round % 2 == 0;
            let range = if signed { -128..=127 } else { 0..=255 };
            let x: Vec<i64> = (0..count(&shape.input)).map(|_| r.next(range.clone())).collect();
            let w: Vec<i64> = (0..count(&shape.filter)).map(|_| r.next(-128..=127)).collect();
            let expected = definition(&shape, &x, &w);

            let weights: Vec<f32> = w.iter().map(|&v| v as f32).collect();
            let floats: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            let bias: Vec<f32> = (0..shape.filter[0]).map(|_| r.next(-50..=50) as f32).collect();
            let area = count(&shape.output[2..]);
            let activation = Activation::ReluLimit(90.0);
            let by_layout = [Layout::RowMajor, Layout::ChannelsLast].map(|layout| FloatConv::new(&shape, &weights, Some(&bias), activation, layout).unwrap());
            let in_order = FloatConv::in_reference_order(&shape, &weights, Some(&bias), activation).unwrap();
            for conv in by_layout.into_iter().chain([in_order]) {
                let layout = conv.layout();
                let (mut input, mut output, mut plain) = (vec![0.0; x.len()], vec![0.0; expected.len()], vec![0.0; expected.len()]);
                convert(&shape.input, Layout::RowMajor, &floats, layout, &mut input).unwrap();
                conv.run(&input, &mut output, &mut workspace).unwrap();
                convert(&shape.output, layout, &output, Layout::RowMajor, &mut plain).unwrap();
                let wanted = |(i, &e): (usize, &i64)| (e as f32 + bias[i / area % shape.filter[0]]).clamp(0.0, 90.0);
                assert_eq!(plain, expected.iter().enumerate().map(wanted).collect::<Vec<_>>(), "{shape:?} {layout:?}");
            }

            let weights: Vec<i16> = w.iter().map(|&v| v as i16).collect();
            let requant = Requant::new(shape.filter[0], None, &[1 << 20], &[27], false).unwrap();
            let mut ways = vec![IntConv::portable(&shape, signed, &weights).unwrap()];
            // The same in loops: as if the float way were not exact.
            let (inner, taps, outer) = (shape.filter[1], count(&shape.filter[2..]), shape.filter[0] / shape.group);
            let mut order = vec![0; weights.len()];
            for (i, &w) in weights.iter().enumerate() {
                let (o, c, tap) = (i / (inner * taps), i / taps % inner, i % taps);
                order[((o / outer * taps + tap) * inner + c) * outer + o % outer] = i32::from(w);
            }
            ways.push(Way::Loops(order));
            if cpu::has_exact_int8() {
                ways.push(IntConv::integer(&shape, signed, &weights).unwrap());
            }
            for way in ways {
                let conv = IntConv { shape: shape.clone(), signed_input: signed, way, requant: requant.clone() };
                let mut plain = vec![0i8; expected.len()];
                let mut output = vec![0i8; expected.len()];
                if signed {
                    let plain: Vec<i8> = x.iter().map(|&v| v as i8).collect();
                    let mut input = vec![0; x.len()];
                    convert(&shape.input, Layout::RowMajor, &plain, Layout::ChannelsLast, &mut input).unwrap();
                    conv.run(Ints::I8(&input), IntsMut::I8(&mut output), &mut workspace).unwrap();
                } else {
                    let plain: Vec<u8> = x.iter().map(|&v| v as u8).collect();
                    let mut input = vec![0; x.len()];
                    convert(&shape.input, Layout::RowMajor, &plain, Layout::ChannelsLast, &mut input).unwrap();
                    conv.run(Ints::U8(&input), IntsMut::I8(&mut output), &mut workspace).unwrap();
                }
                convert(&shape.output, Layout::ChannelsLast, &output, Layout::RowMajor, &mut plain).unwrap();
                let wanted = |&e: &i64| ((e + 64) >> 7).clamp(-128, 127) as i8;
                assert_eq!(plain, expected.iter().map(wanted).collect::<Vec<_>>(), "{shape:?} signed {signed}");
            }
        }
    }

    /// oneDNN's generated code was wrong at times where several threads had convolutions made.
    #[test]
    fn convolutions_made_beside_others_are_right() {
        let wrong = |thread: u64| {
            let _team = threads::Team::of(1);
            let mut r = Random(thread * 77 + 5);
            let mut workspace = Workspace::new().unwrap();
            let mut wrong = 0;
            for _ in 0..400 {
                let shape = random_shape(&mut r);
                if thread.is_multiple_of(2) {
                    let (x, filter) = (vec![0.5; count(&shape.input)], vec![0.25; count(&shape.filter)]);
                    let layout = if thread == 0 { Layout::ChannelsLast } else { Layout::RowMajor };
                    let conv = FloatConv::new(&shape, &filter, None, Activation::None, layout).unwrap();
                    conv.run(&x, &mut vec![0.0; count(&shape.output)], &mut workspace).unwrap();
                    continue;
                }
                let x: Vec<i64> = (0..count(&shape.input)).map(|_| r.next(0..=255)).collect();
                let w: Vec<i64> = (0..count(&shape.filter)).map(|_| r.next(-128..=127)).collect();
                let bytes: Vec<u8> = x.iter().map(|&v| v as u8).collect();
                let (mut input, mut sums, mut plain) = (vec![0; x.len()], vec![0; count(&shape.output)], vec![0; count(&shape.output)]);
                convert(&shape.input, Layout::RowMajor, &bytes, Layout::ChannelsLast, &mut input).unwrap();
                let weights: Vec<i16> = w.iter().map(|&v| v as i16).collect();
                let sum = IntConv::direct_sums(&shape, false, &weights).unwrap();
                sum(Ints::U8(&input), &mut sums, &mut workspace);
                convert(&shape.output, Layout::ChannelsLast, &sums, Layout::RowMajor, &mut plain).unwrap();
                wrong += usize::from(!plain.iter().zip(definition(&shape, &x, &w)).all(|(&found, sum)| i64::from(found) == sum));
            }
            wrong
        };
        if cpu::has_exact_int8() {
            let wrong: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || wrong(thread))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(wrong, 0);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let new = |input: &[usize], filter: &[usize], strides: &[i64], pads: &[i64], group| ConvShape::new(input, filter, strides, pads, None, group);
        assert!(new(&[1, 4, 8, 8], &[2, 4, 3, 3], &[1, 1], &[0, 0, 0, 0], 1).is_ok());
        assert!(new(&[1, 4, 8, 8], &[2, 3, 3, 3], &[1, 1], &[0, 0, 0, 0], 1).is_err());
        assert!(new(&[1, 4, 2, 8], &[2, 4, 3, 3], &[1, 1], &[0, 0, 0, 0], 1).is_err());
        assert!(new(&[1, 4, 8, 8], &[2, 4, 3, 3], &[0, 1], &[0, 0, 0, 0], 1).is_err());
        assert!(new(&[1, 4, 8, 8], &[2, 4, 3, 3], &[1, 1], &[-1, 0, 0, 0], 1).is_err());
        assert!(new(&[1, 4, 8, 8], &[2, 4, 3, 3], &[1, 1], &[i64::MAX, 0, 0, 0], 1).is_err());
        assert!(new(&[1, 4, 8, 8], &[2, 4, 3, 3], &[1, 1], &[0, 0, 0, 0], 0).is_err());
        assert!(new(&[1, 4], &[2, 4], &[], &[], 1).is_err());
    }
}
