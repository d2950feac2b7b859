//! Dense convolutions of bytes and of half floats on the processor's matrix unit (AMX), channels last, without unfolding.
//!
//! The input is copied once into a plane with its padding, in which what a row of the filter sees of a pixel is one run of memory; a
//! tile of 16 neighbouring output pixels is then read straight from there. Where both strides are 1 the plane is one row of
//! pixels: tiles run across the ends of lines, and what falls between two lines is dropped.
//!
//! 8-bit sums are exact. A half float (f16) is the sum of two bf16, the nearest one and what is left, at most 2^-8 of it. Three of the
//! four products of such pairs are added up in f32: without the one of what is left of both, a product is off by at most 2^-16 of
//! itself, not much more than the roundings of long sums in f32 come to. Infinities and other floats are left to the caller
//! ([`TileConv::run_floats`]).

mod pack;
mod unit;

use crate::buffer::{Buffer, Element};
use crate::conv::ConvShape;
use crate::onednn::{Activation, Workspace};
use crate::{Ints, KernelError, expect_length, threads};
pub(crate) use unit::is_available;
use unit::{Block, Kind, LINE, SIDE, Sums, Tiles};

/// What was measured on one processor: products a nanosecond on tiles, nanoseconds an element that comes in or goes out, and
/// products a nanosecond of oneDNN's vector kernels.
struct Cost {
    products: f64,
    element: f64,
    vector_products: f64,
}

impl Cost {
    fn of(kind: Kind) -> Cost {
        match kind {
            Kind::S8 | Kind::U8 => Cost { products: 1000.0, element: 0.25, vector_products: 225.0 },
            Kind::Bf16 => Cost { products: 500.0, element: 0.3, vector_products: 82.0 },
            Kind::F16 => Cost { products: 240.0, element: 0.35, vector_products: 82.0 },
        }
    }
}

/// The part of the filter that is multiplied with one pair of tiles of pixels after the other: a larger one leaves less to be done
/// between, a smaller one stays in a nearer cache (measured: 24 to 96 KiB are all alike within a tenth). And how many pairs, so that
/// their sums stay in the second-level cache.
const COLUMN_BYTES: usize = 64 * 1024;
const PAIRS_TOGETHER: usize = 32;

/// A prepared convolution.
pub(crate) struct TileConv {
    shape: ConvShape,
    kind: Kind,
    plane: Plane,
    /// By line of depth: bytes from a pixel's place in the plane.
    offsets: Vec<usize>,
    /// Two tiles of outputs after the other, by line of depth.
    columns: Buffer,
    split: Split,
}

/// Makes two bf16 of every element, if it can.
type Split = fn(&[f32], &mut [u16], &mut [u16]) -> bool;

/// The two parts of all weights.
fn parts(weights: &[f32], split: Split) -> Option<[Vec<u16>; 2]> {
    let [mut first, mut second] = [(); 2].map(|()| vec![0; weights.len()]);
    split(weights, &mut first, &mut second).then_some([first, second])
}

/// The padded input: `[N, height, width, C]`.
#[derive(Debug, Clone)]
struct Plane {
    height: usize,
    width: usize,
    /// Bytes of a pixel, and of everything with what tiles may read behind the end.
    pixel: usize,
    bytes: usize,
    /// Output pixels of neighbouring lines are at equal distances.
    is_one_row: bool,
}

/// Sizes of one or two spatial dimensions as two.
fn two(list: &[usize], fill: usize) -> [usize; 2] {
    match *list {
        [one] => [fill, one],
        _ => [list[0], list[1]],
    }
}

impl Plane {
    fn new(shape: &ConvShape, kind: Kind) -> Plane {
        let (input, before, after, strides) = (two(&shape.input[2..], 1), two(&shape.before, 0), two(&shape.after, 0), two(&shape.strides, 1));
        let (height, width) = (input[0] + before[0] + after[0], input[1] + before[1] + after[1]);
        let pixel = shape.input[1] * kind.element();
        let behind = SIDE * strides[1] * pixel + LINE;
        let bytes = shape.input[0].saturating_mul(height).saturating_mul(width).saturating_mul(pixel).saturating_add(behind + LINE) / LINE * LINE;
        Plane { height, width, pixel, bytes, is_one_row: strides == [1, 1] }
    }
}

impl TileConv {
    /// Of 8-bit integers: `weights` in row-major order of the filter, -128..=127. `None` where tiles can't be used or gain nothing.
    pub fn integer(shape: &ConvShape, signed_input: bool, weights: &[i16]) -> Option<TileConv> {
        let kind = if signed_input { Kind::S8 } else { Kind::U8 };
        Self::gains(shape, kind).then(|| Self::of_bytes(shape, kind, weights)).flatten()
    }

    fn of_bytes(shape: &ConvShape, kind: Kind, weights: &[i16]) -> Option<TileConv> {
        if !Self::fits(shape) || weights.iter().any(|w| i8::try_from(*w).is_err()) {
            return None;
        }
        Some(Self::prepared(shape, kind, |number| [u16::from(weights[number] as u8), 0]))
    }

    /// Of half floats in f32: `weights` in row-major order of the filter. `None` also where they are no half floats.
    pub fn halves(shape: &ConvShape, weights: &[f32]) -> Option<TileConv> {
        Self::gains(shape, Kind::F16).then(|| Self::of_floats(shape, weights)).flatten()
    }

    /// Of any floats: products are off by at most 2^-14 of themselves. `None` also where some weights are no numbers.
    pub fn near(shape: &ConvShape, weights: &[f32]) -> Option<TileConv> {
        if !Self::gains(shape, Kind::F16) {
            return None;
        }
        let [first, second] = parts(weights, pack::near)?;
        Some(TileConv { split: pack::near, ..Self::prepared(shape, Kind::F16, |number| [first[number], second[number]]) })
    }

    fn of_floats(shape: &ConvShape, weights: &[f32]) -> Option<TileConv> {
        if !Self::fits(shape) {
            return None;
        }
        let [first, second] = parts(weights, pack::split)?;
        let kind = if second.iter().all(|&s| s & 0x7fff == 0) { Kind::Bf16 } else { Kind::F16 };
        Some(Self::prepared(shape, kind, |number| [first[number], second[number]]))
    }

    /// Whether a convolution can run on tiles.
    fn fits(shape: &ConvShape) -> bool {
        is_available() && shape.group == 1 && shape.strides.len() <= 2 && shape.output.iter().chain(&shape.filter).all(|&d| d > 0)
    }

    /// Whether it does, in less time than oneDNN's kernels take, by what both were measured to take.
    fn gains(shape: &ConvShape, kind: Kind) -> bool {
        if !Self::fits(shape) {
            return false;
        }
        let pixels = shape.output[0] * shape.output[2..].iter().product::<usize>();
        let width = shape.output[2..].last().copied().unwrap_or(1);
        let plane = Plane::new(shape, kind);
        // Sizes from outside: what follows must not overflow.
        if plane.bytes >= 1 << 40 {
            return false;
        }
        let rows = match plane.is_one_row {
            true => (shape.output[0] * plane.height * plane.width).next_multiple_of(2 * SIDE),
            false => pixels / width * width.next_multiple_of(2 * SIDE),
        };
        let depth = offsets(shape, kind, &plane).len() * kind.depth();
        let computed = (rows * shape.filter[0].next_multiple_of(2 * SIDE)) as f64 * depth as f64;
        let moved = plane.bytes as f64 / kind.element() as f64 + (pixels * shape.filter[0]) as f64;
        let useful = pixels as f64 * shape.filter.iter().product::<usize>() as f64;
        let cost = Cost::of(kind);
        computed / cost.products + moved * cost.element < 0.9 * useful / cost.vector_products
    }

    /// `weight` gives the bits of both parts of a weight by its number.
    fn prepared(shape: &ConvShape, kind: Kind, weight: impl Fn(usize) -> [u16; 2]) -> TileConv {
        let plane = Plane::new(shape, kind);
        let offsets = offsets(shape, kind, &plane);
        let columns = pack::columns(shape, kind, offsets.len(), weight);
        TileConv { shape: shape.clone(), kind, plane, offsets, columns, split: pack::split }
    }

    /// The float filter that it was made of.
    pub fn weights(&self) -> Vec<f32> {
        pack::weights(&self.shape, self.kind, self.offsets.len(), &self.columns)
    }

    /// Bytes of scratch memory that a run takes.
    pub fn scratch_bytes(&self) -> usize {
        self.plane.bytes * self.kind.parts()
    }

    /// Sums of products: `sums` are `[N, spatial.., O]`.
    pub fn run_integers(&self, x: Ints<'_>, sums: &mut [i32], workspace: &mut Workspace) -> Result<(), KernelError> {
        self.expect(x.len(), sums.len())?;
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let plane = scratch.grown::<u8>(self.plane.bytes);
        self.fill([&mut *plane], |at, [out]| {
            out.copy_from_slice(&x.bytes()[at..at + out.len()]);
            true
        });
        self.on_team(plane, sums, |_, sums, y| y.iter_mut().zip(sums).for_each(|(y, &sum)| *y = sum as i32));
        workspace.scratch = scratch;
        Ok(())
    }

    /// The convolution with bias and activation. False, and nothing written, where the input has elements that are no half floats.
    pub fn run_floats(&self, x: &[f32], bias: &[f32], activation: Activation, y: &mut [f32], workspace: &mut Workspace) -> Result<bool, KernelError> {
        self.expect(x.len(), y.len())?;
        if !bias.is_empty() {
            expect_length("biases", self.shape.filter[0], bias.len())?;
        }
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let planes = scratch.grown::<u16>(self.scratch_bytes() / 2);
        let exact = match self.kind {
            Kind::F16 => {
                let (first, second) = planes.split_at_mut(self.plane.bytes / 2);
                self.fill([first, second], |at, [first, second]| (self.split)(&x[at..at + first.len()], first, second))
            }
            _ => self.fill([&mut *planes], |at, [first]| pack::whole(&x[at..at + first.len()], first)),
        };
        if exact {
            let planes = crate::buffer::bytes(planes);
            self.on_team(planes, y, |output, sums, y| {
                y.iter_mut().zip(sums).for_each(|(y, &sum)| *y = f32::from_bits(sum));
                if let Some(bias) = bias.get(output..output + y.len()) {
                    y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                }
                y.iter_mut().for_each(|y| *y = activation.apply(*y));
            });
        }
        workspace.scratch = scratch;
        Ok(exact)
    }

    fn expect(&self, x: usize, y: usize) -> Result<(), KernelError> {
        expect_length("input elements", self.shape.input.iter().product(), x)?;
        expect_length("output elements", self.shape.output.iter().product(), y)
    }

    /// Lines of the plane: for each, the place of its pixels in the input, unless all of it is padding.
    fn lines(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        let (input, before) = (two(&self.shape.input[2..], 1), two(&self.shape.before, 0));
        let line = input[1] * self.shape.input[1];
        (0..self.shape.input[0] * self.plane.height).map(move |at| {
            let (n, y) = (at / self.plane.height, at % self.plane.height);
            let y = y.checked_sub(before[0]).filter(|&y| y < input[0])?;
            Some((n * input[0] + y) * line)
        })
    }

    /// Elements of padding before a line's pixels, and of the pixels.
    fn inside(&self) -> (usize, usize) {
        (two(&self.shape.before, 0)[1] * self.shape.input[1], two(&self.shape.input[2..], 1)[1] * self.shape.input[1])
    }

    /// Writes planes; `copy` takes a place in the input and where its pixels go. False as soon as that gives false.
    fn fill<T: Element, const N: usize>(&self, mut planes: [&mut [T]; N], copy: impl Fn(usize, [&mut [T]; N]) -> bool) -> bool {
        let (left, inside) = self.inside();
        let line = self.plane.width * self.shape.input[1];
        let whole = self.shape.input[0] * self.plane.height * line;
        planes.iter_mut().for_each(|plane| plane[whole..].fill(T::default()));
        for (number, source) in self.lines().enumerate() {
            let lines = planes.each_mut().map(|plane| &mut plane[number * line..(number + 1) * line]);
            let Some(at) = source else {
                lines.into_iter().for_each(|line| line.fill(T::default()));
                continue;
            };
            let pixels = lines.map(|line| {
                let (before, rest) = line.split_at_mut(left);
                let (pixels, after) = rest.split_at_mut(inside);
                before.fill(T::default());
                after.fill(T::default());
                pixels
            });
            if !copy(at, pixels) {
                return false;
            }
        }
        true
    }

    /// All outputs, shared between the threads of the team.
    fn on_team<T: Element>(&self, plane: &[u8], y: &mut [T], store: impl Fn(usize, &[u32], &mut [T]) + Sync) {
        let line = two(&self.shape.output[2..], 1)[1] * self.shape.filter[0];
        threads::for_parts(y, line, |start, part| self.outputs(plane, start / line, part, &store));
    }

    /// The output lines from `first` on.
    fn outputs<T: Element>(&self, plane: &[u8], first: usize, y: &mut [T], store: &impl Fn(usize, &[u32], &mut [T])) {
        let Some(tiles) = Tiles::begin() else { return };
        let (outputs, [height, width]) = (self.shape.filter[0], two(&self.shape.output[2..], 1));
        let strides = two(&self.shape.strides, 1);
        let lines = y.len() / (width * outputs);
        let place = |line: usize| ((line / height) * self.plane.height + line % height * strides[0]) * self.plane.width;
        // Runs of output places at equal distances: where the first is in the plane, and how many there are.
        let runs: Vec<(usize, usize)> = match self.plane.is_one_row {
            true if lines > 0 => vec![(place(first), place(first + lines - 1) - place(first) + width)],
            _ => (0..lines).map(|line| (place(first + line), width)).collect(),
        };
        // The last tiles begin earlier rather than reach beyond the end.
        let pairs_of = |(run, &(start, length)): (usize, &(usize, usize))| {
            let last = length.saturating_sub(SIDE);
            let tile = move |at: usize| Rows { run, start, at: at.min(last), count: SIDE.min(length - at.min(last)) };
            (0..length).step_by(2 * SIDE).map(move |at| [tile(at), tile(at + SIDE)])
        };
        let pairs: Vec<[Rows; 2]> = runs.iter().enumerate().flat_map(pairs_of).collect();
        let mut sums = vec![Sums::ZERO; PAIRS_TOGETHER.min(pairs.len())];
        let blocks = self.columns.byte_count() / pack::block_bytes(self.kind, self.offsets.len()).max(1);
        for block in 0..blocks {
            for pairs in pairs.chunks(PAIRS_TOGETHER) {
                self.products(&tiles, plane, block, pairs, &mut sums);
                for (tile, sums) in pairs.iter().zip(&sums).flat_map(|(pair, sums)| pair.iter().zip(&sums.0)) {
                    self.store_tile(first, block, tile, sums, y, store);
                }
            }
        }
    }

    /// The sums of some pairs of tiles of places with a block of columns.
    fn products(&self, tiles: &Tiles, plane: &[u8], block: usize, pairs: &[[Rows; 2]], sums: &mut [Sums]) {
        let step = two(&self.shape.strides, 1)[1] * self.plane.pixel;
        let line_bytes = pack::block_bytes(self.kind, 1);
        let lines_together = (COLUMN_BYTES / line_bytes).max(1);
        let chunk_bytes = lines_together * line_bytes;
        let all = self.columns.slice::<u8>(self.columns.byte_count());
        let start = block * pack::block_bytes(self.kind, self.offsets.len());
        sums.fill(Sums::ZERO);
        for (chunk, offsets) in self.offsets.chunks(lines_together).enumerate() {
            let begin = start + chunk * chunk_bytes;
            let end = begin + offsets.len() * line_bytes;
            // What comes next is fetched meanwhile, a part with every pair.
            let mut next = all[end..(end + chunk_bytes).min(all.len())].chunks(chunk_bytes.div_ceil(pairs.len()).next_multiple_of(LINE));
            for (sums, pair) in sums.iter_mut().zip(pairs) {
                unit::prefetch(next.next().unwrap_or_default());
                let at = pair.map(|tile| tile.start * self.plane.pixel + tile.at * step);
                tiles.product(self.kind, &Block { at, rows: plane, step, second: self.plane.bytes, offsets, columns: &all[begin..end] }, sums);
            }
        }
    }

    /// Stores the sums of a tile of places, for both tiles of outputs of a block.
    fn store_tile<T: Element>(&self, first: usize, block: usize, tile: &Rows, sums: &[[u32; SIDE * SIDE]; 2], y: &mut [T], store: &impl Fn(usize, &[u32], &mut [T])) {
        let outputs = self.shape.filter[0];
        let mut places = self.places(first, tile.run, tile.start + tile.at, tile.at);
        for row in 0..tile.count {
            let Some(pixel) = places.take() else { continue };
            let y = &mut y[pixel * outputs..(pixel + 1) * outputs];
            for (half, sums) in sums.iter().enumerate() {
                let output = block * 2 * SIDE + half * SIDE;
                if output < outputs {
                    let end = (output + SIDE).min(outputs);
                    store(output, &sums[row * SIDE..][..SIDE], &mut y[output..end]);
                }
            }
        }
    }

    /// The outputs of neighbouring places, from one on: `at` of a run, `start` of the plane.
    fn places(&self, first: usize, run: usize, start: usize, at: usize) -> Places {
        let [height, width] = two(&self.shape.output[2..], 1);
        match self.plane.is_one_row {
            false => Places { x: at, y: 0, line: run, output: [1, width], plane: [1, usize::MAX] },
            true => {
                let (line, x) = (start / self.plane.width, start % self.plane.width);
                let (n, y) = (line / self.plane.height, line % self.plane.height);
                Places { x, y, line: n * height + y.min(height) - first, output: [height, width], plane: [self.plane.height, self.plane.width] }
            }
        }
    }
}

/// A tile of output places.
#[derive(Debug, Clone, Copy)]
struct Rows {
    run: usize,
    /// Where the run begins in the plane, and the tile in the run.
    start: usize,
    at: usize,
    /// So many of the rows are places of the run.
    count: usize,
}

/// Which output pixels the places of a run are.
struct Places {
    x: usize,
    /// Line of the plane's image, and of the output.
    y: usize,
    line: usize,
    /// Heights and widths.
    output: [usize; 2],
    plane: [usize; 2],
}

impl Places {
    /// The pixel of this place, if it is one of the output's; goes on to the next place.
    #[inline]
    fn take(&mut self) -> Option<usize> {
        let found = (self.x < self.output[1] && self.y < self.output[0]).then(|| self.line * self.output[1] + self.x);
        self.x += 1;
        if self.x == self.plane[1] {
            self.line += usize::from(self.y < self.output[0]);
            self.x = 0;
            self.y += 1;
            if self.y == self.plane[0] {
                self.y = 0;
            }
        }
        found
    }
}

/// By line of depth, bytes from a pixel's place: what a row of the filter sees is a run of memory where its taps are neighbours.
fn offsets(shape: &ConvShape, kind: Kind, plane: &Plane) -> Vec<usize> {
    let (kernel, dilations) = (two(&shape.filter[2..], 1), two(&shape.dilations, 1));
    let (runs, run) = runs(shape);
    let tap = if runs == 1 { 0 } else { dilations[1] * plane.pixel };
    let mut offsets = Vec::new();
    for y in 0..kernel[0] {
        for x in 0..runs {
            let start = y * dilations[0] * plane.width * plane.pixel + x * tap;
            offsets.extend((0..run.div_ceil(kind.depth())).map(|line| start + line * LINE));
        }
    }
    offsets
}

/// How many runs of memory a row of the filter sees, and elements of each.
fn runs(shape: &ConvShape) -> (usize, usize) {
    let (kernel, dilations, channels) = (two(&shape.filter[2..], 1), two(&shape.dilations, 1), shape.filter[1]);
    match dilations[1] {
        1 => (1, kernel[1] * channels),
        _ => (kernel[1], channels),
    }
}

#[cfg(test)]
mod tests;
