//! A detection head's output as a grid of cells, in whichever layout the network has it.

use crate::evaluator::Named;

/// Distances between neighbouring elements of a tensor, one for each axis that a head has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Steps {
    image: usize,
    anchor: usize,
    value: usize,
    row: usize,
    column: usize,
}

/// Values of the anchors of all cells, for a batch of pictures.
#[derive(Debug, Clone)]
pub struct Grid<'a> {
    data: &'a [f32],
    steps: Steps,
    pub images: usize,
    pub rows: usize,
    pub columns: usize,
    pub anchors: usize,
    /// Values of one anchor in one cell.
    pub values: usize,
    /// Pixels from one cell to the next.
    pub stride: usize,
}

/// Cells may be so far apart.
const STRIDES: [usize; 6] = [4, 8, 16, 32, 64, 128];

/// Pixels from cell to cell, where a grid of these sizes covers a picture of `[width, height]`.
fn stride(rows: usize, columns: usize, picture: [usize; 2]) -> Option<usize> {
    STRIDES.into_iter().find(|&s| picture[0].div_ceil(s) == columns && picture[1].div_ceil(s) == rows)
}

impl<'a> Grid<'a> {
    /// Reads a tensor as a head with so many anchors a cell: `[N, A*V, H, W]`, `[N, H, W, A*V]`, `[N, A, H, W, V]` or
    /// `[N, A, V, H, W]`.
    pub fn of(output: &'a Named, anchors: usize, picture: [usize; 2]) -> Option<Grid<'a>> {
        let data = output.1.as_f32()?;
        let layout = |images, (values, rows, columns), steps| {
            let stride = stride(rows, columns, picture)?;
            (values > 0).then_some(Grid { data, steps, images, rows, columns, anchors, values, stride })
        };
        match *output.1.shape() {
            [n, c, h, w] if c % anchors == 0 && stride(h, w, picture).is_some() => {
                let v = c / anchors;
                layout(n, (v, h, w), Steps { image: c * h * w, anchor: v * h * w, value: h * w, row: w, column: 1 })
            }
            [n, h, w, c] if c % anchors == 0 => {
                let v = c / anchors;
                layout(n, (v, h, w), Steps { image: h * w * c, anchor: v, value: 1, row: w * c, column: c })
            }
            [n, a, h, w, v] if a == anchors && stride(h, w, picture).is_some() => layout(n, (v, h, w), Steps { image: a * h * w * v, anchor: h * w * v, value: 1, row: w * v, column: v }),
            [n, a, v, h, w] if a == anchors => layout(n, (v, h, w), Steps { image: a * h * w * v, anchor: v * h * w, value: h * w, row: w, column: 1 }),
            _ => None,
        }
    }

    /// Grids of one anchor that follow each other in a tensor `[N, cells, V]`, one for each stride.
    pub fn joined(output: &'a Named, strides: &[usize], picture: [usize; 2]) -> Option<Vec<Grid<'a>>> {
        let (data, &[images, cells, values]) = (output.1.as_f32()?, output.1.shape()) else { return None };
        let mut grids = Vec::new();
        let mut before = 0;
        for &stride in strides {
            let (rows, columns) = (picture[1].div_ceil(stride), picture[0].div_ceil(stride));
            let steps = Steps { image: cells * values, anchor: 0, value: 1, row: columns * values, column: values };
            grids.push(Grid { data: data.get(before * values..)?, steps, images, rows, columns, anchors: 1, values, stride });
            before += rows * columns;
        }
        (before == cells && images > 0).then_some(grids)
    }

    /// One grid of one anchor in a tensor `[N, cells, V]`, whose stride follows from the number of cells.
    pub fn flat(output: &'a Named, picture: [usize; 2]) -> Option<Grid<'a>> {
        STRIDES.iter().find_map(|&s| Grid::joined(output, &[s], picture)).and_then(|grids| grids.into_iter().next())
    }

    /// A value of an anchor; a cell is `[row, column]`.
    pub fn at(&self, image: usize, anchor: usize, cell: [usize; 2], value: usize) -> f32 {
        let s = &self.steps;
        self.data[image * s.image + anchor * s.anchor + cell[0] * s.row + cell[1] * s.column + value * s.value]
    }

    /// All cells, row by row.
    pub fn cells(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let columns = self.columns;
        (0..self.rows).flat_map(move |row| (0..columns).map(move |column| [row, column]))
    }

    /// The best of the values from `first` on: its number from there, and itself.
    pub fn best(&self, image: usize, anchor: usize, cell: [usize; 2], values: std::ops::Range<usize>) -> (usize, f32) {
        let first = values.start;
        let better = |best: (usize, f32), v: usize| {
            let value = self.at(image, anchor, cell, v);
            if value > best.1 { (v - first, value) } else { best }
        };
        values.fold((0, f32::NEG_INFINITY), better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_tensor::Tensor;

    #[test]
    fn one_head_in_four_layouts() {
        // Two anchors of three values on 2x3 cells; the value is anchor * 1000 + value * 100 + row * 10 + column.
        let number = |a: usize, v: usize, y: usize, x: usize| (a * 1000 + v * 100 + y * 10 + x) as f32;
        let (a, v, y, x) = (0..2, 0..3, 0..2, 0..3);
        let mut layouts = [(vec![1, 6, 2, 3], vec![]), (vec![1, 2, 3, 6], vec![]), (vec![1, 2, 2, 3, 3], vec![]), (vec![1, 2, 3, 2, 3], vec![])];
        for a in a.clone() {
            for v in v.clone() {
                for y in y.clone() {
                    x.clone().for_each(|x| [0, 3].into_iter().for_each(|l| layouts[l].1.push(number(a, v, y, x))));
                }
            }
        }
        for y in y.clone() {
            for x in x.clone() {
                a.clone().for_each(|a| v.clone().for_each(|v| layouts[1].1.push(number(a, v, y, x))));
            }
        }
        for a in a.clone() {
            for y in y.clone() {
                x.clone().for_each(|x| v.clone().for_each(|v| layouts[2].1.push(number(a, v, y, x))));
            }
        }
        for (shape, data) in layouts {
            let output: Named = ("head".into(), Tensor::f32(&shape, data).unwrap());
            let grid = Grid::of(&output, 2, [96, 64]).unwrap();
            assert_eq!((grid.stride, grid.rows, grid.columns, grid.values), (32, 2, 3, 3), "{shape:?}");
            assert_eq!(grid.at(0, 1, [1, 2], 2), 1212.0, "{shape:?}");
            assert_eq!(grid.best(0, 1, [0, 1], 1..3), (1, 1201.0), "{shape:?}");
        }
    }

    #[test]
    fn cells_one_after_the_other() {
        let output: Named = ("out".into(), Tensor::f32(&[1, 5, 1], vec![0.0, 1.0, 2.0, 3.0, 4.0]).unwrap());
        let grids = Grid::joined(&output, &[32, 64], [64, 64]).unwrap();
        assert_eq!((grids[0].at(0, 0, [1, 0], 0), grids[1].at(0, 0, [0, 0], 0)), (2.0, 4.0));
        assert!(Grid::joined(&output, &[32], [64, 64]).is_none());
        assert!(Grid::flat(&output, [64, 64]).is_none());
    }
}
