//! Bringing weights and activations into the order and the types of tiles.

use super::unit::{Kind, LINE, SIDE, TILE};
use super::{runs, two};
use crate::buffer::Buffer;
use crate::conv::ConvShape;
use crate::cpu::vectorized;

/// Below this, products with other small floats could be less than the unit's least.
const LEAST: f32 = 1e-30;

vectorized! {
    /// Every element as the sum of two bf16, the nearest and the rest, given by their bits. False, and the rest may be unwritten, where that is not exact.
    pub fn split(x: &[f32], first: &mut [u16], second: &mut [u16]) -> bool {
        for ((x, first), second) in x.chunks(4096).zip(first.chunks_mut(4096)).zip(second.chunks_mut(4096)) {
            let mut wrong = 0u32;
            for ((&x, first), second) in x.iter().zip(first).zip(second) {
                let bits = x.to_bits();
                let upper = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
                let rest = (x - f32::from_bits(upper)).to_bits();
                wrong |= (rest & 0xffff) | u32::from(!(x.abs() <= f32::MAX)) | u32::from((x.abs() < LEAST) & (x != 0.0));
                *first = (upper >> 16) as u16;
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
            let bits = x.to_bits();
            let upper = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
            let rest = (x - f32::from_bits(upper)).to_bits();
            wrong |= u32::from(!(f32::from_bits(upper).abs() <= f32::MAX));
            *first = (upper >> 16) as u16;
            *second = (rest >> 16) as u16;
        }
        wrong == 0
    }
}

vectorized! {
    /// As [`split`] for elements that are bf16 themselves.
    pub fn whole(x: &[f32], first: &mut [u16]) -> bool {
        for (x, first) in x.chunks(4096).zip(first.chunks_mut(4096)) {
            let mut wrong = 0u32;
            for (&x, first) in x.iter().zip(first) {
                wrong |= (x.to_bits() & 0xffff) | u32::from(!(x.abs() <= f32::MAX)) | u32::from((x.abs() < LEAST) & (x != 0.0));
                *first = (x.to_bits() >> 16) as u16;
            }
            if wrong != 0 {
                return false;
            }
        }
        true
    }
}

/// Where the bytes of every weight are among the columns: calls `at(number, part, place)` with the number in row-major order.
fn places(shape: &ConvShape, kind: Kind, lines: usize, mut at: impl FnMut(usize, usize, usize)) {
    let (outputs, inner) = (shape.filter[0], shape.filter[1]);
    let kernel = two(&shape.filter[2..], 1);
    let taps = kernel[0] * kernel[1];
    let (runs, run) = runs(shape);
    let per_run = run.div_ceil(kind.depth());
    let (element, parts) = (kind.element(), kind.parts());
    // Elements of depth beside each other in a column.
    let together = 4 / element;
    for o in 0..outputs {
        let (block, half, column) = (o / (2 * SIDE) * block_bytes(kind, lines), o / SIDE % 2, o % SIDE);
        for tap in 0..taps {
            let (y, x) = (tap / kernel[1], tap % kernel[1]);
            for c in 0..inner {
                let (number, depth) = if runs == 1 { (y, x * inner + c) } else { (y * runs + x, c) };
                let (line, k) = (number * per_run + depth / kind.depth(), depth % kind.depth());
                let place = k / together * LINE + column * 4 + k % together * element;
                for part in 0..parts {
                    at((o * inner + c) * taps + tap, part, block + ((line * parts + part) * 2 + half) * TILE + place);
                }
            }
        }
    }
}

/// Bytes of two tiles of outputs over all lines of depth.
pub fn block_bytes(kind: Kind, lines: usize) -> usize {
    lines * 2 * kind.parts() * TILE
}

/// The filter as tiles of columns: by two tiles of outputs, by line of depth, the first parts of both, then the second ones.
/// `weight` gives the bits of both parts of a weight by its number in row-major order.
pub fn columns(shape: &ConvShape, kind: Kind, lines: usize, weight: impl Fn(usize) -> [u16; 2]) -> Buffer {
    let mut buffer = Buffer::with_bytes(shape.filter[0].div_ceil(2 * SIDE) * block_bytes(kind, lines));
    let bytes = buffer.slice_mut::<u8>(buffer.byte_count());
    let element = kind.element();
    places(shape, kind, lines, |number, part, place| {
        bytes[place..place + element].copy_from_slice(&weight(number)[part].to_le_bytes()[..element]);
    });
    buffer
}

/// The float filter that columns were made of.
pub fn weights(shape: &ConvShape, kind: Kind, lines: usize, columns: &Buffer) -> Vec<f32> {
    let mut weights = vec![0.0; shape.filter.iter().product()];
    let bits = columns.slice::<u16>(columns.byte_count() / 2);
    // The first part comes first, and the sum is exact.
    places(shape, kind, lines, |number, _, place| weights[number] += f32::from_bits(u32::from(bits[place / 2]) << 16));
    weights
}
