//! Bringing weights and activations into the order and the types of tiles.

use super::unit::{Kind, SIDE, TILE};
use super::{runs, two};
use crate::buffer::Buffer;
use crate::conv::ConvShape;
use crate::cpu::vectorized;

/// Below this, products with other small floats could be less than the unit's least.
const LEAST: f32 = 1e-30;

/// An element as the nearest bf16 and the rest, both with their bits in the upper half of a word; the rest may have more bits.
#[inline(always)]
fn parts(x: f32) -> [u32; 2] {
    let bits = x.to_bits();
    let first = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    [first, (x - f32::from_bits(first)).to_bits()]
}

/// Not 0 where an element is infinite or no number, or so small that it is left to others.
#[inline(always)]
fn is_beyond(x: f32) -> u32 {
    u32::from(!(x.abs() <= f32::MAX)) | u32::from((x.abs() < LEAST) & (x != 0.0))
}

/// Elements that are looked at together.
const PIECE: usize = 4096;

vectorized! {
    /// Every element as the sum of two bf16, the nearest and the rest, given by their bits. False, and the rest may be unwritten, where that is not exact.
    pub fn split(x: &[f32], first: &mut [u16], second: &mut [u16]) -> bool {
        for ((x, first), second) in x.chunks(PIECE).zip(first.chunks_mut(PIECE)).zip(second.chunks_mut(PIECE)) {
            let mut wrong = 0u32;
            for ((&x, first), second) in x.iter().zip(first).zip(second) {
                let [nearest, rest] = parts(x);
                wrong |= (rest & 0xffff) | is_beyond(x);
                *first = (nearest >> 16) as u16;
                *second = (rest >> 16) as u16;
            }
            if wrong != 0 {
                return false;
            }
        }
        true
    }
}

vectorized! {
    /// The same of any floats, whose rest is cut off. False where one is infinite or no number.
    pub fn near(x: &[f32], first: &mut [u16], second: &mut [u16]) -> bool {
        let mut wrong = 0u32;
        for ((&x, first), second) in x.iter().zip(first).zip(second) {
            let [nearest, rest] = parts(x);
            wrong |= u32::from(!(f32::from_bits(nearest).abs() <= f32::MAX));
            *first = (nearest >> 16) as u16;
            *second = (rest >> 16) as u16;
        }
        wrong == 0
    }
}

vectorized! {
    /// As [`split`] for elements that are bf16 themselves.
    pub fn whole(x: &[f32], first: &mut [u16]) -> bool {
        for (x, first) in x.chunks(PIECE).zip(first.chunks_mut(PIECE)) {
            let mut wrong = 0u32;
            for (&x, first) in x.iter().zip(first) {
                wrong |= (x.to_bits() & 0xffff) | is_beyond(x);
                *first = (x.to_bits() >> 16) as u16;
            }
            if wrong != 0 {
                return false;
            }
        }
        true
    }
}

/// Where the channels of a tap begin in all the depth of an output, by tap. Runs of memory begin with a line each.
fn depths(shape: &ConvShape, kind: Kind) -> Vec<usize> {
    let kernel = two(&shape.filter[2..], 1);
    let (runs, run) = runs(shape);
    let length = run.next_multiple_of(kind.depth());
    let of_tap = |tap: usize| match runs {
        1 => tap / kernel[1] * length + tap % kernel[1] * shape.filter[1],
        _ => tap * length,
    };
    (0..kernel[0] * kernel[1]).map(of_tap).collect()
}

/// Bytes of two tiles of outputs over all lines of depth.
pub fn block_bytes(kind: Kind, lines: usize) -> usize {
    lines * 2 * kind.parts() * TILE
}

/// Where an output's words are among the columns' words: 16 for every line and part of it, each [`SIDE`] words after the other. Calls
/// `at(line, part, words)` with the number of the first.
fn words(kind: Kind, lines: usize, output: usize, mut at: impl FnMut(usize, usize, usize)) {
    let (block, half, column) = (output / (2 * SIDE) * block_bytes(kind, lines), output / SIDE % 2, output % SIDE);
    for line in 0..lines {
        for part in 0..kind.parts() {
            at(line, part, (block + ((line * kind.parts() + part) * 2 + half) * TILE) / 4 + column);
        }
    }
}

/// The filter as tiles of columns: by two tiles of outputs, by line of depth, the first parts of both, then the second ones.
/// `weight` gives the bits of both parts of a weight by its number in row-major order.
pub fn columns(shape: &ConvShape, kind: Kind, lines: usize, weight: impl Fn(usize) -> [u16; 2]) -> Buffer {
    let mut buffer = Buffer::with_bytes(shape.filter[0].div_ceil(2 * SIDE) * block_bytes(kind, lines));
    let all = buffer.slice_mut::<u32>(buffer.byte_count() / 4);
    let (depths, inner) = (depths(shape, kind), shape.filter[1]);
    // All the depth of one output.
    let mut rows = [(); 2].map(|()| vec![0u16; lines * kind.depth()]);
    for output in 0..shape.filter[0] {
        for (tap, &start) in depths.iter().enumerate() {
            for c in 0..inner {
                let parts = weight((output * inner + c) * depths.len() + tap);
                rows.iter_mut().zip(parts).for_each(|(row, bits)| row[start + c] = bits);
            }
        }
        words(kind, lines, output, |line, part, first| {
            let row = &rows[part][line * kind.depth()..][..kind.depth()];
            let words = all[first..].iter_mut().step_by(SIDE);
            match kind.element() {
                1 => words.zip(row.as_chunks::<4>().0).for_each(|(word, bytes)| *word = u32::from_le_bytes(bytes.map(|b| b as u8))),
                _ => words.zip(row.as_chunks::<2>().0).for_each(|(word, [low, high])| *word = u32::from(*low) | u32::from(*high) << 16),
            }
        });
    }
    buffer
}

/// The float filter that columns were made of.
pub fn weights(shape: &ConvShape, kind: Kind, lines: usize, columns: &Buffer) -> Vec<f32> {
    let mut weights = vec![0.0; shape.filter.iter().product()];
    let all = columns.slice::<u32>(columns.byte_count() / 4);
    let (depths, inner) = (depths(shape, kind), shape.filter[1]);
    let mut row = vec![0.0f32; lines * kind.depth()];
    for output in 0..shape.filter[0] {
        row.fill(0.0);
        // The first part comes first, and the sum is exact.
        words(kind, lines, output, |line, _, first| {
            let row = &mut row[line * kind.depth()..][..kind.depth()];
            for ([low, high], word) in row.as_chunks_mut::<2>().0.iter_mut().zip(all[first..].iter().step_by(SIDE)) {
                *low += f32::from_bits(word << 16);
                *high += f32::from_bits(word & 0xffff_0000);
            }
        });
        for (tap, &start) in depths.iter().enumerate() {
            for c in 0..inner {
                weights[(output * inner + c) * depths.len() + tap] = row[start + c];
            }
        }
    }
    weights
}
