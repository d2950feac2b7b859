//! Elementwise work on tensors that broadcast: which tiles there are, and where each operand's part of them is.

use crate::conv::steps;
use crate::elementwise::flat_steps;
use crate::emit::Ddr;
use crate::local::{LANES, Layout, Local, aligned_bytes};
use crate::tile::largest;
use tpuc_tensor::DType;

/// Offset in elements, and strides of N, C, H, W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    pub strides: [u64; 4],
    /// Shape in local memory; 1 where the part repeats.
    pub shape: [u64; 4],
}

/// What is computed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub shape: [u64; 4],
    pub result: Part,
    pub operands: Vec<Part>,
}

impl Part {
    /// `ddr` moved to the part, for elements of `size` bytes.
    pub fn of(&self, base: Ddr, size: usize) -> Ddr {
        Ddr { offset: base.offset + self.first * size as u64, strides: self.strides, ..base }
    }
}

/// A loaded part, read as if it had the tile's shape.
pub fn spread(local: Local, shape: [u64; 4]) -> Local {
    if local.shape == shape {
        return local;
    }
    let [_, _, h, w] = local.shape;
    let block = (aligned_bytes(1, h * w, local.dtype) / local.dtype.size() as u64) as u32;
    local.with_shape(shape).with_layout(Layout::Free([0, block, if h == 1 { 0 } else { w as u32 }, u32::from(w > 1)]))
}

/// The tiles of operands of these shapes and a result of this one. `fits` says whether `[1, lanes, rows, width]` elements do.
pub fn tiles(operands: &[&[i64]], result: &[i64], fits: impl Fn(u64) -> bool) -> Result<Vec<Tile>, String> {
    let most = largest(1 << 16, &fits).ok_or("no element fits local memory")?;
    if operands.iter().all(|s| *s == result) {
        let count: i64 = result.iter().product();
        let tile = |flat: crate::elementwise::Flat| {
            let part = Part { first: flat.first, strides: [flat.lanes * flat.run, flat.run, flat.run, 1], shape: flat.shape() };
            Tile { shape: flat.shape(), result: part, operands: vec![part; operands.len()] }
        };
        return Ok(flat_steps(count as u64, (most / 16 * 16).max(1)).into_iter().map(tile).collect());
    }
    let (operands, result) = collapse(operands, result)?;
    let [images, channels, rows, width] = result;
    let most_rows = (most / width).max(1);
    let mut list = Vec::new();
    for image in 0..images {
        for (channel, c) in steps(channels, LANES) {
            for (row, count) in steps(rows, most_rows) {
                for (column, wide) in steps(width, most) {
                    let part = |dims: &[u64; 4]| {
                        let [n, oc, h, w] = *dims;
                        let strides = [oc * h * w, if oc == 1 { 0 } else { h * w }, w, 1];
                        let at = |size: u64, stride: u64, index: u64| if size == 1 { 0 } else { index * stride };
                        let first = at(n, strides[0], image) + at(oc, strides[1], channel) + at(h, w, row) + at(w, 1, column);
                        Part { first, strides, shape: [1, c, if h == 1 { 1 } else { count }, if w == 1 { 1 } else { wide }] }
                    };
                    list.push(Tile { shape: [1, c, count, wide], result: part(&result), operands: operands.iter().map(part).collect() });
                }
            }
        }
    }
    Ok(list)
}

/// Shapes of four dimensions: neighbours that all operands repeat or have alike become one.
fn collapse(operands: &[&[i64]], result: &[i64]) -> Result<(Vec<[u64; 4]>, [u64; 4]), String> {
    let rank = result.len();
    let mut all: Vec<Vec<u64>> = Vec::new();
    for shape in operands.iter().chain([&result]) {
        let Some(missing) = rank.checked_sub(shape.len()) else { return Err(format!("an operand of shape {shape:?} has more dimensions than its result {result:?}")) };
        let dims: Vec<u64> = std::iter::repeat_n(1, missing).chain(shape.iter().map(|&d| d as u64)).collect();
        if dims.iter().zip(result).any(|(&d, &r)| d != 1 && d != r as u64) {
            return Err(format!("an operand of shape {shape:?} does not broadcast to {result:?}"));
        }
        all.push(dims);
    }
    let mut d = 1;
    while d < all[0].len() {
        let output = &all[all.len() - 1];
        let (left, right) = (output[d - 1], output[d]);
        let alike = all.iter().all(|s| left == 1 || right == 1 || (s[d - 1] == left) == (s[d] == right));
        if alike {
            for shape in &mut all {
                shape[d - 1] *= shape[d];
                shape.remove(d);
            }
        } else {
            d += 1;
        }
    }
    let four = |dims: &Vec<u64>| -> Result<[u64; 4], String> {
        // The first of a few dimensions goes to the lanes.
        Ok(match *dims.as_slice() {
            [] => [1; 4],
            [w] => [1, 1, 1, w],
            [c, w] => [1, c, 1, w],
            [c, h, w] => [1, c, h, w],
            [n, c, h, w] => [n, c, h, w],
            _ => return Err(format!("broadcasting {operands:?} to {result:?} takes more than four dimensions")),
        })
    };
    let mut dims = all.iter().map(four).collect::<Result<Vec<_>, _>>()?;
    let result = dims.pop().unwrap_or([1; 4]);
    Ok((dims, result))
}

/// Bytes a lane of `elements` in one channel block of each of the types, with room for alignment.
pub fn bytes(elements: u64, types: &[DType]) -> u64 {
    types.iter().map(|&t| aligned_bytes(1, elements, t) + 64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one() {
        assert_eq!(collapse(&[&[2, 3, 4, 5, 6], &[3, 1, 1, 1]], &[2, 3, 4, 5, 6]).unwrap(), (vec![[1, 2, 3, 120], [1, 1, 3, 1]], [1, 2, 3, 120]));
        assert_eq!(collapse(&[&[1, 5, 7], &[7]], &[1, 5, 7]).unwrap(), (vec![[1, 5, 1, 7], [1, 1, 1, 7]], [1, 5, 1, 7]));
        assert!(collapse(&[&[2, 1, 2, 1, 2], &[1, 3, 1, 3, 1]], &[2, 3, 2, 3, 2]).is_err());
        assert!(collapse(&[&[4], &[3]], &[4]).is_err());
    }

    #[test]
    fn parts_repeat() {
        let tiles = tiles(&[&[1, 70, 3, 5], &[1, 70, 1, 1]], &[1, 70, 3, 5], |e| e <= 15).unwrap();
        assert_eq!(tiles.len(), 2);
        assert_eq!(tiles[1].operands[0], Part { first: 64 * 15, strides: [70 * 15, 15, 15, 1], shape: [1, 6, 1, 15] });
        assert_eq!(tiles[1].operands[1], Part { first: 64, strides: [70, 1, 1, 1], shape: [1, 6, 1, 1] });
    }
}
