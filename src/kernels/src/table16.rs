//! Functions in bf16 by tables of 256 entries, as CV18xx computes them: a value and a slope of every piece of a range, or a
//! factor for the exponent and one for the mantissa. Every step is rounded to bf16.

use crate::cast::HalfFloat;
use crate::softmax::Axis;
use crate::{KernelError, expect_length, threads};

/// Entries of a table.
pub const ENTRIES: usize = 256;

fn bf16(x: f32) -> f32 {
    HalfFloat::BF16.round(x)
}

fn entries(what: &'static str, list: &[f32]) -> Result<Box<[f32; ENTRIES]>, KernelError> {
    expect_length(what, ENTRIES, list.len())?;
    list.to_vec().into_boxed_slice().try_into().map_err(|_| KernelError::Geometry(format!("{what}: expected {ENTRIES} entries")))
}

/// `f(x) = table[i] + slope[i] * (u - i)` with `u = (x - middle) * 256 / (high - low)` and `i` its whole part, within
/// -128 to 127; entry `i` stands at `i mod 256`.
#[derive(Debug, Clone)]
pub struct SlopeTable {
    table: Box<[f32; ENTRIES]>,
    slope: Box<[f32; ENTRIES]>,
    scale: f32,
    middle: f32,
}

impl SlopeTable {
    pub fn new(table: &[f32], slope: &[f32], low: f64, high: f64) -> Result<SlopeTable, KernelError> {
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(KernelError::Geometry(format!("a table from {low} to {high}, expected a range")));
        }
        Ok(SlopeTable {
            table: entries("entries of a table", table)?,
            slope: entries("slopes of a table", slope)?,
            scale: bf16((ENTRIES as f64 / (high - low)) as f32),
            middle: bf16(((low + high) / 2.0) as f32),
        })
    }

    pub fn at(&self, x: f32) -> f32 {
        let u = bf16(bf16(bf16(x) - self.middle) * self.scale);
        let whole = u.trunc().clamp(-128.0, 127.0);
        let index = (whole as i32 as u8) as usize;
        bf16(self.table[index] + bf16(self.slope[index] * bf16(u - whole)))
    }

    pub fn run(&self, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
        expect_length("results of a function", x.len(), y.len())?;
        threads::for_parts(y, 1, |start, part| part.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = self.at(*x)));
        Ok(())
    }
}

/// A power of x: `exponent[e] * mantissa[m]`, where e counts the binary exponents from -62 (entry 1) on, those of negative
/// numbers 128 further, and m is the lower byte of the bf16.
#[derive(Debug, Clone)]
pub struct MantissaTable {
    exponent: Box<[f32; ENTRIES]>,
    mantissa: Box<[f32; ENTRIES]>,
}

impl MantissaTable {
    pub fn new(exponent: &[f32], mantissa: &[f32]) -> Result<MantissaTable, KernelError> {
        Ok(MantissaTable { exponent: entries("exponents of a table", exponent)?, mantissa: entries("mantissas of a table", mantissa)? })
    }

    pub fn at(&self, x: f32) -> f32 {
        let bits = (bf16(x).to_bits() >> 16) as usize;
        let exponent = ((bits >> 7 & 0xff) as i32 - 127 + 63).clamp(0, 127) as usize;
        let index = if bf16(x) == 0.0 { 0 } else { exponent + (bits >> 15) * 128 };
        bf16(self.exponent[index] * self.mantissa[bits & 0xff])
    }

    pub fn run(&self, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
        expect_length("results of a function", x.len(), y.len())?;
        threads::for_parts(y, 1, |start, part| part.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = self.at(*x)));
        Ok(())
    }
}

/// Softmax with exponentials and the reciprocal of their sum by table; the sum itself is in f32.
pub fn softmax(axis: Axis, x: &[f32], exponential: &SlopeTable, reciprocal: &MantissaTable, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("elements of a softmax", axis.count(), x.len())?;
    expect_length("results of a softmax", x.len(), y.len())?;
    let (length, inner) = (axis.length, axis.inner);
    for (x, y) in x.chunks_exact((length * inner).max(1)).zip(y.chunks_exact_mut((length * inner).max(1))) {
        for at in 0..inner {
            let elements = || (0..length).map(|i| i * inner + at);
            let largest = elements().fold(f32::NEG_INFINITY, |max, i| max.max(x[i]));
            let mut sum = 0.0;
            for i in elements() {
                y[i] = exponential.at(bf16(x[i] - largest));
                sum += y[i];
            }
            let factor = reciprocal.at(sum);
            elements().for_each(|i| y[i] = bf16(y[i] * factor));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_line_are_the_line() {
        let at = |i: usize| if i < 128 { i as f32 } else { i as f32 - 256.0 };
        let table: Vec<f32> = (0..256).map(|i| at(i) / 16.0).collect();
        let table = SlopeTable::new(&table, &[1.0 / 16.0; 256], -8.0, 8.0).unwrap();
        assert_eq!([-7.75, -1.0, 0.0, 0.5, 3.25, 20.0].map(|x| table.at(x)), [-7.75, -1.0, 0.0, 0.5, 3.25, 20.0]);
        assert!(SlopeTable::new(&[0.0; 3], &[0.0; 256], 0.0, 1.0).is_err());
        assert!(SlopeTable::new(&[0.0; 256], &[0.0; 256], 1.0, 1.0).is_err());
    }

    #[test]
    fn reciprocals_by_exponent_and_mantissa() {
        let exponent: Vec<f32> = (0..256).map(|i| if i < 128 { (63.0 - i as f32).exp2() } else { -(191.0 - i as f32).exp2() }).collect();
        let mantissa: Vec<f32> = (0..256).map(|i| 1.0 / (1.0 + (i % 128) as f32 / 128.0)).collect();
        let table = MantissaTable::new(&exponent, &mantissa).unwrap();
        assert_eq!([1.0, 2.0, -4.0, 0.25].map(|x| table.at(x)), [1.0, 0.5, -0.25, 4.0]);
        assert!((table.at(3.0) - 1.0 / 3.0).abs() < 1e-3);
        assert!(table.at(0.0) > 1e18);
    }
}
