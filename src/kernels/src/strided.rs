//! Copies with strides: permutations, slices, repetitions, broadcasts, blocks of pixels. One loop for all of them.

use crate::buffer::Element;
use crate::{KernelError, Layout, expect_length, threads};

/// From which element of the input every element of the result comes: the result's dimensions from outermost to innermost,
/// each with the step that it makes in the input (0 repeats, a negative one runs back).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strided {
    dims: Vec<usize>,
    steps: Vec<isize>,
    offset: usize,
    input: usize,
    output: usize,
}

/// What one index step in every dimension of a tensor in this layout is in elements.
pub fn steps_of(shape: &[usize], layout: Layout) -> Vec<isize> {
    let physical = layout.physical(shape);
    let mut steps = vec![1isize; shape.len()];
    for d in (1..shape.len()).rev() {
        steps[d - 1] = steps[d] * physical[d] as isize;
    }
    if layout == Layout::ChannelsLast && shape.len() > 2 {
        steps[1..].rotate_right(1);
    }
    steps
}

impl Strided {
    /// Dimensions of the result with their steps, the index of the first element, and the input's number of elements, which
    /// nothing may leave.
    pub fn new(dims: &[usize], steps: &[isize], offset: usize, input: usize) -> Result<Strided, KernelError> {
        let fail = |reason: &str| Err(KernelError::Geometry(format!("strided copy of {input} elements to {dims:?} by {steps:?} from {offset}: {reason}")));
        let Some(output) = dims.iter().try_fold(1usize, |a, &d| a.checked_mul(d)) else { return fail("is too large") };
        if dims.len() != steps.len() {
            return fail("needs a step for every dimension");
        }
        let mut copy = Strided { dims: Vec::new(), steps: Vec::new(), offset, input, output };
        if output == 0 {
            copy.dims.push(0);
            copy.steps.push(1);
            return Ok(copy);
        }
        let (mut low, mut high) = (offset as i128, offset as i128);
        for (&size, &step) in dims.iter().zip(steps) {
            let span = (size as i128 - 1) * step as i128;
            (low, high) = (low + span.min(0), high + span.max(0));
        }
        if low < 0 || high >= input as i128 {
            return fail("leaves the input");
        }
        for (&size, &step) in dims.iter().zip(steps).filter(|(size, _)| **size > 1) {
            match copy.dims.last_mut().zip(copy.steps.last_mut()) {
                // Two dimensions that are one in both orders.
                Some((last, before)) if *before == step * size as isize => (*last, *before) = (*last * size, step),
                _ => {
                    copy.dims.push(size);
                    copy.steps.push(step);
                }
            }
        }
        if copy.dims.is_empty() {
            copy.dims.push(1);
            copy.steps.push(1);
        }
        Ok(copy)
    }

    pub fn run<T: Element>(&self, x: &[T], y: &mut [T]) -> Result<(), KernelError> {
        expect_length("elements to copy from", self.input, x.len())?;
        expect_length("elements to copy into", self.output, y.len())?;
        if self.output == 0 {
            return Ok(());
        }
        let rank = self.dims.len();
        // Two inner dimensions of which the outer one is contiguous in the input: a transposition, done in tiles.
        if rank >= 2 && self.steps[rank - 2] == 1 && self.steps[rank - 1] > 1 {
            let columns = self.dims[rank - 1];
            threads::for_parts(y, columns, |start, part| self.transpose(x, start / columns, part));
            return Ok(());
        }
        let row = self.dims[rank - 1];
        threads::for_parts(y, row, |start, part| {
            let mut at = Position::at(self, rank - 1, start / row);
            for y in part.chunks_exact_mut(row) {
                self.row(x, at.input, y);
                at.advance(self, rank - 1);
            }
        });
        Ok(())
    }

    fn row<T: Element>(&self, x: &[T], from: isize, y: &mut [T]) {
        let from = from as usize;
        match self.steps[self.dims.len() - 1] {
            1 => y.copy_from_slice(&x[from..from + y.len()]),
            0 => y.fill(x[from]),
            step if step > 0 => y.iter_mut().zip(x[from..].iter().step_by(step as usize)).for_each(|(y, x)| *y = *x),
            step => y.iter_mut().enumerate().for_each(|(i, y)| *y = x[(from as isize + i as isize * step) as usize]),
        }
    }

    /// Rows of the result from `first` on, counted over all dimensions but the last.
    fn transpose<T: Element>(&self, x: &[T], first: usize, part: &mut [T]) {
        const TILE: usize = 16;
        let rank = self.dims.len();
        let (rows, columns, step) = (self.dims[rank - 2], self.dims[rank - 1], self.steps[rank - 1] as usize);
        let (mut done, count) = (0, part.len() / columns);
        while done < count {
            let (outer, r0) = ((first + done) / rows, (first + done) % rows);
            let run = (rows - r0).min(count - done);
            let base = Position::at(self, rank - 2, outer).input as usize + r0;
            let block = &mut part[done * columns..(done + run) * columns];
            for c0 in (0..columns).step_by(TILE) {
                let c1 = (c0 + TILE).min(columns);
                for r in (0..run).step_by(TILE) {
                    for r in r..(r + TILE).min(run) {
                        for c in c0..c1 {
                            block[r * columns + c] = x[base + r + c * step];
                        }
                    }
                }
            }
            done += run;
        }
    }
}

/// An index into the outer dimensions of a copy.
struct Position {
    index: Vec<usize>,
    input: isize,
}

impl Position {
    /// The `number`-th index over the first `outer` dimensions.
    fn at(copy: &Strided, outer: usize, number: usize) -> Position {
        let mut position = Position { index: vec![0; outer], input: copy.offset as isize };
        let mut rest = number;
        for d in (0..outer).rev() {
            position.index[d] = rest % copy.dims[d];
            rest /= copy.dims[d];
            position.input += position.index[d] as isize * copy.steps[d];
        }
        position
    }

    fn advance(&mut self, copy: &Strided, outer: usize) {
        for d in (0..outer).rev() {
            self.index[d] += 1;
            self.input += copy.steps[d];
            if self.index[d] < copy.dims[d] {
                return;
            }
            self.input -= copy.dims[d] as isize * copy.steps[d];
            self.index[d] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(dims: &[usize], steps: &[isize], offset: usize, x: &[u32]) -> Vec<u32> {
        let count = dims.iter().product::<usize>();
        let element = |i: usize| {
            let mut rest = i;
            let mut at = offset as isize;
            for (&size, &step) in dims.iter().zip(steps).rev() {
                at += (rest % size) as isize * step;
                rest /= size;
            }
            x[at as usize]
        };
        (0..count).map(element).collect()
    }

    #[test]
    fn random_copies_equal_the_definition() {
        let mut seed = 9u64;
        let mut random = |most: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % most
        };
        for _ in 0..300 {
            let rank = 1 + random(5);
            let shape: Vec<usize> = (0..rank).map(|_| 1 + random(9)).collect();
            let count = shape.iter().product::<usize>();
            let x: Vec<u32> = (0..count as u32).collect();
            // A random permutation of random slices, some of them backwards, some dimensions repeated.
            let mut order: Vec<usize> = (0..rank).collect();
            (1..rank).for_each(|i| order.swap(i, random(i + 1)));
            let natural = steps_of(&shape, Layout::RowMajor);
            let (mut dims, mut steps, mut offset) = (Vec::new(), Vec::new(), 0);
            for &d in &order {
                let backwards = random(4) == 0;
                if backwards {
                    offset += (shape[d] - 1) * natural[d] as usize;
                }
                dims.push(1 + random(shape[d]));
                steps.push(if backwards { -natural[d] } else { natural[d] });
                if random(4) == 0 {
                    dims.push(1 + random(3));
                    steps.push(0);
                }
            }
            let copy = Strided::new(&dims, &steps, offset, count).unwrap();
            let mut y = vec![0; dims.iter().product()];
            copy.run(&x, &mut y).unwrap();
            assert_eq!(y, naive(&dims, &steps, offset, &x), "{dims:?} {steps:?}");
        }
    }

    #[test]
    fn nothing_leaves_the_input() {
        assert!(Strided::new(&[3], &[2], 0, 4).is_err());
        assert!(Strided::new(&[2], &[-1], 0, 4).is_err());
        assert!(Strided::new(&[usize::MAX, 2], &[0, 0], 0, 4).is_err());
        assert!(Strided::new(&[0, 7], &[1, 1], 0, 4).unwrap().run(&[0u8; 4], &mut []).is_ok());
        assert_eq!(steps_of(&[2, 3, 4, 5], Layout::ChannelsLast), [60, 1, 15, 3]);
    }
}
