//! Resizing of pictures `[outer, height, width, inner]`: `inner` holds the channels where they are last in memory, else it is 1.

use crate::buffer::Element;
use crate::{KernelError, expect_length, threads};

/// Which position of the input a pixel of the result has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// Pixels are areas: `(i + 0.5) in/out - 0.5`.
    HalfPixel,
    /// The same, but position 0 where the result has one pixel.
    PytorchHalfPixel,
    /// The outermost pixels' centres stay: `i (in - 1)/(out - 1)`.
    AlignCorners,
    /// `i in/out`
    Asymmetric,
}

/// Sizes before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeShape {
    pub outer: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub inner: usize,
}

impl Coordinates {
    /// Positions in f32: one multiplication by an f32 ratio, as the reference has it.
    fn positions(self, input: usize, output: usize) -> impl Iterator<Item = f32> {
        let ratio = match self {
            Coordinates::AlignCorners if output > 1 => (input - 1) as f32 / (output - 1) as f32,
            Coordinates::AlignCorners => 0.0,
            _ => input as f32 / output as f32,
        };
        (0..output).map(move |i| match self {
            Coordinates::AlignCorners | Coordinates::Asymmetric => i as f32 * ratio,
            Coordinates::PytorchHalfPixel if output == 1 => 0.0,
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (i as f32 + 0.5) * ratio - 0.5,
        })
    }

    /// The two pixels around each position and how far it is from the first.
    pub fn neighbours(self, input: usize, output: usize) -> Vec<(usize, usize, f32)> {
        let one = |v: f32| {
            let v = v.max(0.0);
            let low = (v as usize).min(input - 1);
            (low, (low + 1).min(input - 1), v - low as f32)
        };
        self.positions(input, output).map(one).collect()
    }
}

impl ResizeShape {
    fn check(&self, x: usize, y: usize) -> Result<(), KernelError> {
        let [sizes, wanted] = [self.input, self.output].map(|[h, w]| h * w);
        if sizes == 0 || wanted == 0 || self.inner == 0 {
            return Err(KernelError::Geometry(format!("cannot resize {:?} to {:?}", self.input, self.output)));
        }
        expect_length("pixels to resize", self.outer * sizes * self.inner, x)?;
        expect_length("resized pixels", self.outer * wanted * self.inner, y)
    }

    /// Runs `row(picture, line, y)` for every line of the result, in parallel.
    fn lines<T: Element>(&self, y: &mut [T], row: impl Fn(usize, usize, &mut [T], &mut Vec<T>) + Sync) {
        let (length, lines) = (self.output[1] * self.inner, self.output[0]);
        threads::for_parts(y, length, |start, part| {
            let mut scratch = Vec::new();
            for (i, y) in part.chunks_exact_mut(length).enumerate() {
                let at = start / length + i;
                row(at / lines, at % lines, y, &mut scratch);
            }
        });
    }
}

/// Every pixel of the result is one of the input: `rows` and `columns` say which.
pub fn pick<T: Element>(shape: &ResizeShape, rows: &[usize], columns: &[usize], x: &[T], y: &mut [T]) -> Result<(), KernelError> {
    shape.check(x.len(), y.len())?;
    expect_length("rows", shape.output[0], rows.len())?;
    expect_length("columns", shape.output[1], columns.len())?;
    if rows.iter().any(|&r| r >= shape.input[0]) || columns.iter().any(|&c| c >= shape.input[1]) {
        return Err(KernelError::Geometry("a pixel outside the picture".into()));
    }
    let (width, inner) = (shape.input[1] * shape.inner, shape.inner);
    shape.lines(y, |picture, line, y, _| {
        let x = &x[(picture * shape.input[0] + rows[line]) * width..][..width];
        if inner == 1 {
            return y.iter_mut().zip(columns).for_each(|(y, &c)| *y = x[c]);
        }
        y.chunks_exact_mut(inner).zip(columns).for_each(|(y, &c)| y.copy_from_slice(&x[c * inner..][..inner]));
    });
    Ok(())
}

/// Linear in both directions: first between two lines, then along the line, each `a + (b - a) t` in f32 (the reference's order).
pub fn linear(shape: &ResizeShape, coordinates: Coordinates, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
    shape.check(x.len(), y.len())?;
    let rows = coordinates.neighbours(shape.input[0], shape.output[0]);
    let columns = coordinates.neighbours(shape.input[1], shape.output[1]);
    let (width, inner) = (shape.input[1] * shape.inner, shape.inner);
    shape.lines(y, |picture, line, y, between| {
        let (above, below, t) = rows[line];
        let input = |row: usize| &x[(picture * shape.input[0] + row) * width..][..width];
        between.clear();
        between.extend(input(above).iter().zip(input(below)).map(|(a, b)| a + (b - a) * t));
        for (y, &(left, right, t)) in y.chunks_exact_mut(inner).zip(&columns) {
            let (left, right) = (&between[left * inner..][..inner], &between[right * inner..][..inner]);
            y.iter_mut().zip(left.iter().zip(right)).for_each(|(y, (a, b))| *y = a + (b - a) * t);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: ResizeShape = ResizeShape { outer: 1, input: [1, 4], output: [1, 8], inner: 1 };

    #[test]
    fn linear_by_hand() {
        let x = [0.0, 1.0, 2.0, 3.0];
        let run = |coordinates| {
            let mut y = [0.0; 8];
            linear(&LINE, coordinates, &x, &mut y).unwrap();
            y
        };
        assert_eq!(run(Coordinates::HalfPixel), [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
        assert_eq!(run(Coordinates::Asymmetric), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]);
        assert!(run(Coordinates::AlignCorners).iter().enumerate().all(|(i, v)| (v - i as f32 * 3.0 / 7.0).abs() < 1e-6));
    }

    #[test]
    fn pixels_by_number() {
        let mut y = [0; 6];
        let shape = ResizeShape { outer: 1, input: [2, 1], output: [3, 1], inner: 2 };
        pick(&shape, &[1, 0, 1], &[0], &[1, 2, 3, 4], &mut y).unwrap();
        assert_eq!(y, [3, 4, 1, 2, 3, 4]);
        assert!(pick(&shape, &[2, 0, 1], &[0], &[1, 2, 3, 4], &mut y).is_err());
    }

    #[test]
    fn channels_first_or_last_are_the_same_picture() {
        let (h, w, c) = (5, 3, 4);
        let x: Vec<f32> = (0..h * w * c).map(|i| ((i * 37) % 23) as f32).collect();
        let (first, last) = (ResizeShape { outer: c, input: [h, w], output: [7, 4], inner: 1 }, ResizeShape { outer: 1, input: [h, w], output: [7, 4], inner: c });
        let mut planes = vec![0.0; h * w * c];
        crate::layout::transpose(&x, h * w, c, &mut planes);
        let (mut a, mut b, mut b_planes) = (vec![0.0; 28 * c], vec![0.0; 28 * c], vec![0.0; 28 * c]);
        linear(&first, Coordinates::HalfPixel, &planes, &mut a).unwrap();
        linear(&last, Coordinates::HalfPixel, &x, &mut b).unwrap();
        crate::layout::transpose(&b, 28, c, &mut b_planes);
        assert_eq!(a, b_planes);
        assert!(linear(&ResizeShape { input: [0, 3], ..first }, Coordinates::HalfPixel, &[], &mut a).is_err());
    }
}
