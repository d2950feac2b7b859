//! Softmax along one axis: float, and 8-bit through a table of exponentials.

use crate::buffer::{bytes, bytes_mut};
use crate::onednn::{DST, Desc, Primitive, SRC, Type, Workspace};
use crate::{Int8, Ints, IntsMut, KernelError, expect_length};

/// Where the axis of a reduction stands: `[outer, length, inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    pub outer: usize,
    pub length: usize,
    pub inner: usize,
}

impl Axis {
    /// A negative axis counts from the end.
    pub fn of(shape: &[usize], axis: i64) -> Result<Axis, KernelError> {
        let rank = shape.len() as i64;
        let at = if axis < 0 { axis + rank } else { axis };
        let Some(at) = usize::try_from(at).ok().filter(|&a| a < shape.len()) else {
            return Err(KernelError::Geometry(format!("axis {axis} does not exist in {shape:?}")));
        };
        Ok(Axis { outer: shape[..at].iter().product(), length: shape[at], inner: shape[at + 1..].iter().product() })
    }

    pub(crate) fn count(&self) -> usize {
        self.outer * self.length * self.inner
    }

    /// The index of the first element of every slice along the axis.
    fn starts(self) -> impl Iterator<Item = usize> {
        (0..self.outer).flat_map(move |o| (0..self.inner).map(move |i| o * self.length * self.inner + i))
    }
}

/// A prepared `exp(beta x) / sum(exp(beta x))`, or its logarithm.
///
/// Along the innermost dimension it is oneDNN's, whose exponentials are its own; along others plain loops. So is the
/// reference's, to the bit.
pub struct Softmax {
    axis: Axis,
    beta: f32,
    log: bool,
    innermost: Option<Primitive>,
}

impl Softmax {
    pub fn new(axis: Axis, beta: f32, log: bool) -> Result<Softmax, KernelError> {
        let rows = [axis.outer as i64, axis.length as i64];
        let innermost = if axis.inner == 1 && beta == 1.0 { Some(Primitive::softmax(Desc::dense(&rows, Type::F32)?, 2, log)?) } else { None };
        Ok(Softmax { axis, beta, log, innermost })
    }

    pub fn run(&self, x: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("input elements of a softmax", self.axis.count(), x.len())?;
        expect_length("output elements of a softmax", self.axis.count(), y.len())?;
        match &self.innermost {
            Some(primitive) => primitive.execute(&[(SRC, bytes(x))], (DST, bytes_mut(y)), workspace),
            None => {
                by_definition(self.axis, x, self.beta, self.log, y);
                Ok(())
            }
        }
    }
}

/// The largest element is subtracted first.
fn by_definition(axis: Axis, x: &[f32], beta: f32, log: bool, y: &mut [f32]) {
    for start in axis.starts() {
        let at = |k: usize| start + k * axis.inner;
        let max = (0..axis.length).map(|k| x[at(k)] * beta).fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0f32;
        for k in 0..axis.length {
            let shifted = x[at(k)] * beta - max;
            let power = shifted.exp();
            y[at(k)] = if log { shifted } else { power };
            sum += power;
        }
        let log_sum = sum.ln();
        for k in 0..axis.length {
            y[at(k)] = if log { y[at(k)] - log_sum } else { y[at(k)] / sum };
        }
    }
}

/// 8-bit softmax: `saturate(trunc(table[max - x] / (sum * scale) + 0.5))`, everything in f32, the sum in the order of the
/// axis; `scale` is the output's (`spec/lowering.md` section 4, BM1684X Softmax). `table` holds 256 entries.
pub fn softmax_int(axis: Axis, x: Ints<'_>, table: &[f32], scale: f64, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("input elements of a softmax", axis.count(), x.len())?;
    expect_length("output elements of a softmax", axis.count(), y.len())?;
    let table: &[f32; 256] = table.try_into().map_err(|_| KernelError::Length { what: "entries of an exponential table", expected: 256, found: table.len() })?;
    match (x, y) {
        (Ints::I8(x), IntsMut::I8(y)) => by_table(axis, x, table, scale, y),
        (Ints::I8(x), IntsMut::U8(y)) => by_table(axis, x, table, scale, y),
        (Ints::U8(x), IntsMut::I8(y)) => by_table(axis, x, table, scale, y),
        (Ints::U8(x), IntsMut::U8(y)) => by_table(axis, x, table, scale, y),
    }
    Ok(())
}

fn by_table<X: Int8, Y: Int8>(axis: Axis, x: &[X], table: &[f32; 256], scale: f64, y: &mut [Y]) {
    let (low, high) = (i64::from(Y::MIN), i64::from(Y::MAX));
    for start in axis.starts() {
        let at = |k: usize| start + k * axis.inner;
        let max = (0..axis.length).map(|k| x[at(k)].wide()).max().unwrap_or(0);
        let power = |k: usize| table[(max - x[at(k)].wide()) as usize & 255];
        let sum = (0..axis.length).fold(0f32, |sum, k| sum + power(k));
        let divisor = sum * scale as f32;
        for k in 0..axis.length {
            let p = ((power(k) / divisor + 0.5) as i64).clamp(low, high);
            y[at(k)] = Y::narrow(p as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_to_one_along_the_axis() {
        let shape = [2, 3, 4];
        let x: Vec<f32> = (0..24).map(|i| ((i * 7) % 11) as f32).collect();
        let mut workspace = Workspace::new().unwrap();
        for (axis, beta) in [(-1, 0.5f32), (-1, 1.0), (0, 0.5), (1, 1.0)] {
            let a = Axis::of(&shape, axis).unwrap();
            let (mut y, mut l) = (vec![0.0; 24], vec![0.0; 24]);
            Softmax::new(a, beta, false).unwrap().run(&x, &mut y, &mut workspace).unwrap();
            Softmax::new(a, beta, true).unwrap().run(&x, &mut l, &mut workspace).unwrap();
            for start in a.starts() {
                let sum: f64 = (0..a.length).map(|k| f64::from(beta * x[start + k * a.inner]).exp()).sum();
                for i in (0..a.length).map(|k| start + k * a.inner) {
                    let wanted = f64::from(beta * x[i]).exp() / sum;
                    assert!((f64::from(y[i]) - wanted).abs() < 1e-6 && (f64::from(l[i]) - wanted.ln()).abs() < 1e-5);
                }
            }
        }
        assert!(Axis::of(&shape, 3).is_err() && Axis::of(&shape, -4).is_err());
    }

    #[test]
    fn by_a_table() {
        let table: Vec<f32> = (0..256).map(|i| (-0.1 * f64::from(i)).exp() as f32).collect();
        let mut y = [0u8; 3];
        softmax_int(Axis { outer: 1, length: 3, inner: 1 }, Ints::I8(&[10, 0, -118]), &table, 1.0 / 255.0, IntsMut::U8(&mut y)).unwrap();
        assert_eq!(y, [186, 69, 0]);
        assert!(softmax_int(Axis { outer: 1, length: 3, inner: 1 }, Ints::I8(&[1, 2, 3]), &table[..9], 1.0, IntsMut::U8(&mut y)).is_err());
    }
}
