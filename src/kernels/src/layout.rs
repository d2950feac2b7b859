//! Orders of elements in memory, and the way from one to the other.

use crate::buffer::Element;
use crate::threads;
use crate::tile::{self, SIDE};
use crate::{KernelError, expect_length};

/// The order in which the elements of a tensor stand in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The last dimension is innermost.
    RowMajor,
    /// `[N, C, spatial..]` with C innermost.
    ChannelsLast,
}

impl Layout {
    /// The dimensions in memory order, outermost first.
    pub fn physical(self, shape: &[usize]) -> Vec<usize> {
        let mut dims = shape.to_vec();
        if self == Layout::ChannelsLast && dims.len() > 2 {
            dims[1..].rotate_left(1);
        }
        dims
    }

    /// Whether a tensor of this shape has the same bytes in both layouts.
    pub fn is_same(shape: &[usize]) -> bool {
        shape.len() < 3 || shape[1] <= 1 || shape[2..].iter().product::<usize>() <= 1
    }
}

/// Copies a tensor from one layout to the other.
pub fn convert<T: Element>(shape: &[usize], from: Layout, x: &[T], to: Layout, y: &mut [T]) -> Result<(), KernelError> {
    let count = shape.iter().product();
    expect_length("elements to convert", count, x.len())?;
    expect_length("elements to convert into", count, y.len())?;
    if from == to || Layout::is_same(shape) {
        y.copy_from_slice(x);
        return Ok(());
    }
    let (channels, area) = (shape[1], shape[2..].iter().product::<usize>());
    let (rows, columns) = if from == Layout::RowMajor { (channels, area) } else { (area, channels) };
    for (x, y) in x.chunks_exact(rows * columns).zip(y.chunks_exact_mut(rows * columns)) {
        transpose(x, rows, columns, y);
    }
    Ok(())
}

/// `[rows, columns]` to `[columns, rows]`.
pub fn transpose<T: Element>(x: &[T], rows: usize, columns: usize, y: &mut [T]) {
    debug_assert_eq!((x.len(), y.len()), (rows * columns, rows * columns));
    threads::for_parts(y, rows, |start, part| {
        let first = start / rows;
        if rows <= 4 {
            return narrow(x, rows, columns, first, part);
        }
        const TILE: usize = 16;
        let count = part.len() / rows;
        for c0 in (0..count).step_by(TILE) {
            let c1 = (c0 + TILE).min(count);
            for r0 in (0..rows).step_by(TILE) {
                let r1 = (r0 + TILE).min(rows);
                if let (TILE, TILE) = (r1 - r0, c1 - c0) {
                    whole_tile::<T, TILE>(&x[r0 * columns + first + c0..], columns, &mut part[c0 * rows + r0..], rows);
                    continue;
                }
                for c in c0..c1 {
                    let out = &mut part[c * rows + r0..c * rows + r1];
                    for (out, row) in out.iter_mut().zip(r0..r1) {
                        *out = x[row * columns + first + c];
                    }
                }
            }
        }
    });
}

/// A square tile. `x` and `y` start at the tile.
fn whole_tile<T: Element, const TILE: usize>(x: &[T], x_stride: usize, y: &mut [T], y_stride: usize) {
    if let (Some(x), Some(y)) = (tile::words(x), tile::words_mut(y)) {
        for (r, c) in (0..TILE).step_by(SIDE).flat_map(|r| (0..TILE).step_by(SIDE).map(move |c| (r, c))) {
            let rows = std::array::from_fn(|row| x[(r + row) * x_stride + c..].first_chunk().unwrap_or(&[0; SIDE]));
            tile::transpose(rows, &mut y[c * y_stride + r..], y_stride);
        }
        return;
    }
    // By way of an array that fits into the fastest cache.
    let mut tile = [[T::default(); TILE]; TILE];
    for (row, x) in tile.iter_mut().zip(x.chunks(x_stride)) {
        row.copy_from_slice(&x[..TILE]);
    }
    for (c, y) in y.chunks_mut(y_stride).take(TILE).enumerate() {
        for (y, row) in y[..TILE].iter_mut().zip(&tile) {
            *y = row[c];
        }
    }
}

/// Few rows, as of pictures: one pass per row.
fn narrow<T: Element>(x: &[T], rows: usize, columns: usize, first: usize, y: &mut [T]) {
    let count = y.len() / rows;
    for row in 0..rows {
        let source = &x[row * columns + first..][..count];
        for (out, &v) in y[row..].iter_mut().step_by(rows).zip(source) {
            *out = v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for shape in [vec![2, 3, 5, 7], vec![1, 33, 20, 18], vec![2, 1, 4], vec![3, 4], vec![1, 2, 3, 4, 5]] {
            let count = shape.iter().product::<usize>();
            let x: Vec<u16> = (0..count as u16).collect();
            let (mut last, mut back) = (vec![0; count], vec![0; count]);
            convert(&shape, Layout::RowMajor, &x, Layout::ChannelsLast, &mut last).unwrap();
            convert(&shape, Layout::ChannelsLast, &last, Layout::RowMajor, &mut back).unwrap();
            assert_eq!(x, back);
            if shape.len() > 2 {
                let (c, area) = (shape[1], shape[2..].iter().product::<usize>());
                assert!((0..count).all(|i| last[i] == x[i / (c * area) * c * area + i % c * area + i / c % area]));
            }
        }
        assert!(convert(&[2, 2], Layout::RowMajor, &[1u8; 3], Layout::RowMajor, &mut [0; 4]).is_err());
    }
}
