//! Reductions over any dimensions, and where extrema are.

use crate::softmax::Axis;
use crate::{KernelError, expect_length, threads};

/// What is computed of the elements that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    Mean,
    Sum,
    Max,
    Min,
    Prod,
    /// Sum of absolute values.
    L1,
    /// Square root of the sum of squares.
    L2,
}

impl Reduction {
    /// By the word of a Reduce op.
    pub fn of_mode(mode: &str) -> Option<Reduction> {
        Some(match mode {
            "ReduceMean" => Reduction::Mean,
            "ReduceSum" => Reduction::Sum,
            "ReduceMax" => Reduction::Max,
            "ReduceMin" => Reduction::Min,
            "ReduceProd" => Reduction::Prod,
            "ReduceL1" => Reduction::L1,
            "ReduceL2" => Reduction::L2,
            _ => return None,
        })
    }
}

/// Adds up in f32, one element after the other along the axis: the order in which the reference adds too.
pub fn reduce(axis: Axis, reduction: Reduction, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("elements to reduce", axis.outer * axis.length * axis.inner, x.len())?;
    expect_length("reduced elements", axis.outer * axis.inner, y.len())?;
    if axis.length == 0 || y.is_empty() {
        return Err(KernelError::Geometry("nothing to reduce".into()));
    }
    threads::for_parts(y, axis.inner, |start, part| {
        for (o, y) in part.chunks_exact_mut(axis.inner).enumerate().map(|(i, y)| (start / axis.inner + i, y)) {
            let x = &x[o * axis.length * axis.inner..][..axis.length * axis.inner];
            match reduction {
                Reduction::Mean => fold(x, y, 0.0, |a, v| a + v, |a| a / axis.length as f32),
                Reduction::Sum => fold(x, y, 0.0, |a, v| a + v, |a| a),
                Reduction::Max => fold(x, y, f32::NEG_INFINITY, |a, v| if v > a || v.is_nan() { v } else { a }, |a| a),
                Reduction::Min => fold(x, y, f32::INFINITY, |a, v| if v < a || v.is_nan() { v } else { a }, |a| a),
                Reduction::Prod => fold(x, y, 1.0, |a, v| a * v, |a| a),
                Reduction::L1 => fold(x, y, 0.0, |a, v| a + v.abs(), |a| a),
                Reduction::L2 => fold(x, y, 0.0, |a, v| a + v * v, f32::sqrt),
            }
        }
    });
    Ok(())
}

fn fold(x: &[f32], y: &mut [f32], start: f32, step: impl Fn(f32, f32) -> f32, last: impl Fn(f32) -> f32) {
    if let [y] = y {
        *y = last(x.iter().fold(start, |a, &v| step(a, v)));
        return;
    }
    y.fill(start);
    for row in x.chunks_exact(y.len()) {
        y.iter_mut().zip(row).for_each(|(a, &v)| *a = step(*a, v));
    }
    y.iter_mut().for_each(|a| *a = last(*a));
}

/// The index of the largest (smallest) element along the axis, as a float; of several equal ones the first, or the last.
pub fn arg(axis: Axis, largest: bool, last: bool, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("elements to search", axis.outer * axis.length * axis.inner, x.len())?;
    expect_length("indices", axis.outer * axis.inner, y.len())?;
    for (i, y) in y.iter_mut().enumerate() {
        let at = |k: usize| x[(i / axis.inner * axis.length + k) * axis.inner + i % axis.inner];
        let mut best = 0;
        for k in 1..axis.length {
            let better = if largest { at(k) > at(best) } else { at(k) < at(best) };
            if better || (last && at(k) == at(best)) {
                best = k;
            }
        }
        *y = best as f32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let axis = Axis { outer: 1, length: 3, inner: 2 };
        let x = [1.0, -2.0, 3.0, -2.0, 2.0, 5.0];
        let run = |reduction| {
            let mut y = [0.0; 2];
            reduce(axis, reduction, &x, &mut y).unwrap();
            y
        };
        assert_eq!(run(Reduction::Mean), [2.0, 1.0 / 3.0]);
        assert_eq!(run(Reduction::Sum), [6.0, 1.0]);
        assert_eq!(run(Reduction::Max), [3.0, 5.0]);
        assert_eq!(run(Reduction::Min), [1.0, -2.0]);
        assert_eq!(run(Reduction::Prod), [6.0, 20.0]);
        assert_eq!(run(Reduction::L1), [6.0, 9.0]);
        assert_eq!(run(Reduction::L2), [14f32.sqrt(), 33f32.sqrt()]);
        let mut y = [0.0; 2];
        arg(axis, false, false, &x, &mut y).unwrap();
        assert_eq!(y, [0.0, 0.0]);
        arg(axis, false, true, &x, &mut y).unwrap();
        assert_eq!(y, [0.0, 1.0]);
        arg(axis, true, true, &x, &mut y).unwrap();
        assert_eq!(y, [1.0, 2.0]);
        assert!(reduce(axis, Reduction::Sum, &x[..5], &mut y).is_err());
    }
}
