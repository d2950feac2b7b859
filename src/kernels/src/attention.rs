//! One head of an attention: projections of queries, keys and values, `softmax(q k^T scale + mask) v`, and the head's part of
//! the output projection.

use crate::cast::HalfFloat;
use crate::matmul::{FloatMatMul, IntMatMul, MatMulShape};
use crate::onednn::{Activation, Workspace};
use crate::requant::{Requant, RequantStyle};
use crate::softmax::{Axis, Softmax};
use crate::{Ints, IntsMut, KernelError, expect_length};

/// Sizes of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadShape {
    pub batch: usize,
    /// Rows of the queries, which are those of the result.
    pub rows: usize,
    /// Rows of keys and values.
    pub keys: usize,
    /// Columns of what queries, keys and values are projected from.
    pub columns: [usize; 3],
    /// Columns of a head.
    pub dim: usize,
    /// Columns of the result.
    pub out: usize,
}

impl HeadShape {
    /// The products: projections of queries, keys and values, queries with keys, probabilities with values, projection of the
    /// result.
    fn products(&self) -> Result<[MatMulShape; 6], KernelError> {
        let (b, m, k, d) = (self.batch, self.rows, self.keys, self.dim);
        let projection = |rows: usize, from: usize, to: usize| MatMulShape::new(&[b * rows, from], &[from, to], false, false);
        Ok([
            projection(m, self.columns[0], d)?,
            projection(k, self.columns[1], d)?,
            projection(k, self.columns[2], d)?,
            MatMulShape::new(&[b, m, d], &[b, k, d], false, true)?,
            MatMulShape::new(&[b, m, k], &[b, k, d], false, false)?,
            projection(m, d, self.out)?,
        ])
    }

    fn scores(&self) -> usize {
        self.batch * self.rows * self.keys
    }
}

/// Weight and bias of a projection.
#[derive(Debug, Clone, Copy)]
pub struct Projection<'a, W, B> {
    pub weight: &'a [W],
    pub bias: Option<&'a [B]>,
}

/// What a head reads: the tensors that queries, keys and values are projected from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<T> {
    pub queries: T,
    pub keys: T,
    pub values: T,
}

/// A head in floats.
pub struct FloatHead {
    shape: HeadShape,
    projections: [FloatMatMul; 3],
    scores: FloatMatMul,
    softmax: Softmax,
    weighted: FloatMatMul,
    out: FloatMatMul,
    scale: f32,
    half: Option<HalfFloat>,
}

impl FloatHead {
    /// `projections` of queries, keys, values and the result. With a half float type what products and the softmax give is
    /// rounded to it, but for the scores, and for the result, which is the caller's.
    pub fn new(shape: HeadShape, projections: [Projection<'_, f32, f32>; 4], scale: f32, half: Option<HalfFloat>) -> Result<FloatHead, KernelError> {
        let [q, k, v, scores, weighted, out] = shape.products()?;
        let product = |s: &MatMulShape, p: Projection<'_, f32, f32>| FloatMatMul::new(s, Some(p.weight), p.bias, Activation::None);
        Ok(FloatHead {
            shape,
            projections: [product(&q, projections[0])?, product(&k, projections[1])?, product(&v, projections[2])?],
            scores: FloatMatMul::new(&scores, None, None, Activation::None)?,
            softmax: Softmax::new(Axis { outer: shape.batch * shape.rows, length: shape.keys, inner: 1 }, 1.0, false)?,
            weighted: FloatMatMul::new(&weighted, None, None, Activation::None)?,
            out: product(&out, projections[3])?,
            scale,
            half,
        })
    }

    /// `mask` has a number for each key of an image, which is added to its scores.
    pub fn run(&self, sources: Sources<&[f32]>, mask: Option<&[f32]>, y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        let HeadShape { batch, rows, keys, dim, .. } = self.shape;
        let round = |values: &mut [f32]| self.half.into_iter().for_each(|half| half.round_slice(values));
        let mut projected = |index: usize, rows: usize, x: &[f32]| -> Result<Vec<f32>, KernelError> {
            let mut result = vec![0.0; batch * rows * dim];
            self.projections[index].run(x, &[], &mut result, workspace)?;
            round(&mut result);
            Ok(result)
        };
        let q = projected(0, rows, sources.queries)?;
        let k = projected(1, keys, sources.keys)?;
        let v = projected(2, keys, sources.values)?;
        let mut scores = vec![0.0; self.shape.scores()];
        self.scores.run(&q, &k, &mut scores, workspace)?;
        scores.iter_mut().for_each(|s| *s *= self.scale);
        if let Some(mask) = mask {
            expect_length("elements of a mask", batch * keys, mask.len())?;
            for (row, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
                scores.iter_mut().zip(&mask[row / rows * keys..]).for_each(|(s, m)| *s += m);
            }
        }
        let mut shares = vec![0.0; scores.len()];
        self.softmax.run(&scores, &mut shares, workspace)?;
        round(&mut shares);
        let mut weighted = q;
        self.weighted.run(&shares, &v, &mut weighted, workspace)?;
        round(&mut weighted);
        self.out.run(&weighted, &[], y, workspace)
    }
}

/// Multiplier and right shift of the five products inside a head, in the order of [`HeadShape`]'s.
pub type Scalings = [(i64, i64); 5];

/// A head in 8-bit integers; the result is 32 bits wide.
pub struct IntHead {
    shape: HeadShape,
    projections: [IntMatMul; 3],
    scores: IntMatMul,
    weighted: IntMatMul,
    out: IntMatMul,
    table: Box<[f32; 256]>,
    /// What one step of a probability stands for.
    step: f32,
}

/// The integer that all scores are taken from, whatever the largest of a row is.
const LARGEST_SCORE: i32 = 127;

impl IntHead {
    /// `signed`: whether queries', keys' and values' sources are. `table` has `exp(-s d)` for distances d from 0 to 255.
    pub fn new(shape: HeadShape, signed: [bool; 3], projections: [Projection<'_, i16, i32>; 4], scalings: Scalings, table: &[f32], step: f64) -> Result<IntHead, KernelError> {
        let [q, k, v, scores, weighted, out] = shape.products()?;
        let requant = |s: &MatMulShape, bias: Option<&[i32]>, (multiplier, shift): (i64, i64)| {
            Requant::new(s.columns(), bias, &[multiplier], &[shift], false).map(|r| r.with_style(RequantStyle::HalfAway))
        };
        let project = |s: &MatMulShape, i: usize| IntMatMul::new(s, signed[i], Some(projections[i].weight), true, requant(s, projections[i].bias, scalings[i])?);
        expect_length("entries of an exponential table", 256, table.len())?;
        Ok(IntHead {
            shape,
            projections: [project(&q, 0)?, project(&k, 1)?, project(&v, 2)?],
            scores: IntMatMul::new(&scores, true, None, true, requant(&scores, None, scalings[3])?)?,
            weighted: IntMatMul::new(&weighted, false, None, true, requant(&weighted, None, scalings[4])?)?,
            out: IntMatMul::new(&out, true, Some(projections[3].weight), true, Requant::new(out.columns(), projections[3].bias, &[1], &[0], false)?)?,
            table: table.to_vec().into_boxed_slice().try_into().map_err(|_| KernelError::Geometry("a table of 256 entries".into()))?,
            step: step as f32,
        })
    }

    /// `hidden` says for each key of an image whether it is left out.
    pub fn run(&self, sources: Sources<Ints<'_>>, hidden: Option<&[bool]>, y: &mut [i32], workspace: &mut Workspace) -> Result<(), KernelError> {
        let HeadShape { batch, rows, keys, dim, .. } = self.shape;
        let mut projected = |index: usize, rows: usize, x: Ints<'_>| -> Result<Vec<i8>, KernelError> {
            let mut result = vec![0i8; batch * rows * dim];
            self.projections[index].run(x, None, IntsMut::I8(&mut result), workspace)?;
            Ok(result)
        };
        let q = projected(0, rows, sources.queries)?;
        let k = projected(1, keys, sources.keys)?;
        let v = projected(2, keys, sources.values)?;
        let mut scores = vec![0i8; self.shape.scores()];
        self.scores.run(Ints::I8(&q), Some(Ints::I8(&k)), IntsMut::I8(&mut scores), workspace)?;
        if let Some(hidden) = hidden {
            expect_length("elements of a mask", batch * keys, hidden.len())?;
            for (row, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
                scores.iter_mut().zip(&hidden[row / rows * keys..]).filter(|(_, h)| **h).for_each(|(s, _)| *s = (i32::from(*s) - 255).max(-128) as i8);
            }
        }
        let shares = self.shares(&scores);
        let mut weighted = q;
        self.weighted.run(Ints::U8(&shares), Some(Ints::I8(&v)), IntsMut::I8(&mut weighted), workspace)?;
        self.out.run_wide(Ints::I8(&weighted), y, workspace)
    }

    /// Probabilities of each row: the table's entries over their sum, in f32 and in order, rounded halves away from zero.
    fn shares(&self, scores: &[i8]) -> Vec<u8> {
        let power = |score: i8| self.table[(LARGEST_SCORE - i32::from(score)) as usize & 255];
        let mut shares = Vec::with_capacity(scores.len());
        for row in scores.chunks_exact(self.shape.keys.max(1)) {
            let divisor = row.iter().fold(0f32, |sum, &s| sum + power(s)) * self.step;
            shares.extend(row.iter().map(|&s| (power(s) / divisor).round() as u8));
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: HeadShape = HeadShape { batch: 2, rows: 3, keys: 4, columns: [5, 6, 6], dim: 2, out: 3 };

    fn numbers(count: usize, seed: usize) -> Vec<i32> {
        (0..count).map(|i| ((i * 37 + seed * 11) % 23) as i32 - 11).collect()
    }

    /// `x w + b`, one row at a time.
    fn project(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
        let (columns, depth) = (b.len(), w.len() / b.len());
        x.chunks(depth).flat_map(|row| (0..columns).map(move |c| b[c] + row.iter().enumerate().map(|(k, x)| x * w[k * columns + c]).sum::<f64>())).collect()
    }

    fn scores(image: usize, row: usize, q: &[f64], k: &[f64]) -> Vec<f64> {
        let s = SHAPE;
        let at = |list: &[f64], row: usize| list[row * s.dim..][..s.dim].to_vec();
        (0..s.keys).map(|key| at(q, image * s.rows + row).iter().zip(at(k, image * s.keys + key)).map(|(a, b)| a * b).sum()).collect()
    }

    #[test]
    fn floats_follow_the_definition() {
        let s = SHAPE;
        let list = |count, seed| -> Vec<f32> { numbers(count, seed).iter().map(|&v| v as f32 / 10.0).collect() };
        let (x, y) = (list(s.batch * s.rows * 5, 1), list(s.batch * s.keys * 6, 2));
        let weights = [list(10, 3), list(12, 4), list(12, 5), list(6, 6)];
        let biases = [list(2, 7), list(2, 8), list(2, 9), list(3, 10)];
        let projection = |i: usize| Projection { weight: &weights[i][..], bias: Some(&biases[i][..]) };
        let head = FloatHead::new(s, [0, 1, 2, 3].map(projection), 0.5, None).unwrap();
        let mask = [0.0, 0.0, 0.0, -1e4, 0.0, -1e4, 0.0, 0.0];
        let mut found = vec![0.0; s.batch * s.rows * s.out];
        let mut workspace = Workspace::new().unwrap();
        head.run(Sources { queries: &x, keys: &y, values: &y }, Some(&mask), &mut found, &mut workspace).unwrap();

        let wide = |list: &[f32]| -> Vec<f64> { list.iter().map(|&v| f64::from(v)).collect() };
        let projected = |from: &[f32], i: usize| project(&wide(from), &wide(&weights[i]), &wide(&biases[i]));
        let (q, k, v) = (projected(&x, 0), projected(&y, 1), projected(&y, 2));
        let mut weighted = Vec::new();
        for (image, row) in (0..s.batch * s.rows).map(|i| (i / s.rows, i % s.rows)) {
            let powers: Vec<f64> = scores(image, row, &q, &k).iter().enumerate().map(|(key, p)| (p * 0.5 + f64::from(mask[image * s.keys + key])).exp()).collect();
            let sum: f64 = powers.iter().sum();
            weighted.extend((0..s.dim).map(|c| powers.iter().enumerate().map(|(key, p)| p / sum * v[(image * s.keys + key) * s.dim + c]).sum::<f64>()));
        }
        let wanted = project(&weighted, &wide(&weights[3]), &wide(&biases[3]));
        assert!(found.iter().zip(&wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{found:?} {wanted:?}");
    }

    #[test]
    fn integers_follow_the_definition() {
        let s = SHAPE;
        let (x, y) = (numbers(s.batch * s.rows * 5, 1), numbers(s.batch * s.keys * 6, 2));
        let weights = [numbers(10, 3), numbers(12, 4), numbers(12, 5), numbers(6, 6)].map(|w| w.iter().map(|&v| v as i16).collect::<Vec<_>>());
        let biases = [numbers(2, 7), numbers(2, 8), numbers(2, 9), numbers(3, 10)];
        let table: Vec<f32> = (0..256).map(|d| (-0.05 * f64::from(d)).exp() as f32).collect();
        let scalings = [(3, 3), (1, 2), (5, 4), (1, 3), (1, 7)];
        let projection = |i: usize| Projection { weight: &weights[i][..], bias: Some(&biases[i][..]) };
        let head = IntHead::new(s, [true; 3], [0, 1, 2, 3].map(projection), scalings, &table, 1.0 / 255.0).unwrap();
        let narrow = |list: &[i32]| list.iter().map(|&v| v as i8).collect::<Vec<_>>();
        let (narrow_x, narrow_y) = (narrow(&x), narrow(&y));
        let hidden: Vec<bool> = (0..8).map(|i| i == 3 || i == 5).collect();
        let mut found = vec![0; s.batch * s.rows * s.out];
        let sources = Sources { queries: Ints::I8(&narrow_x), keys: Ints::I8(&narrow_y), values: Ints::I8(&narrow_y) };
        head.run(sources, Some(&hidden), &mut found, &mut Workspace::new().unwrap()).unwrap();

        let wide = |list: &[i32]| -> Vec<f64> { list.iter().map(|&v| f64::from(v)).collect() };
        let requant = |v: Vec<f64>, i: usize| -> Vec<f64> { v.iter().map(|v| (v * scalings[i].0 as f64 / 2f64.powi(scalings[i].1 as i32)).round().clamp(-128.0, 127.0)).collect() };
        let projected = |from: &[i32], i: usize| project(&wide(from), &weights[i].iter().map(|&w| f64::from(w)).collect::<Vec<_>>(), &wide(&biases[i]));
        let (q, k, v) = (requant(projected(&x, 0), 0), requant(projected(&y, 1), 1), requant(projected(&y, 2), 2));
        let mut weighted = Vec::new();
        for (image, row) in (0..s.batch * s.rows).map(|i| (i / s.rows, i % s.rows)) {
            let scores = requant(scores(image, row, &q, &k), 3);
            let seen = scores.iter().enumerate().map(|(key, p)| if hidden[image * s.keys + key] { (p - 255.0).max(-128.0) } else { *p });
            let powers: Vec<f32> = seen.map(|p| table[(127.0 - p) as usize]).collect();
            let sum = powers.iter().fold(0f32, |a, p| a + p);
            let shares: Vec<f64> = powers.iter().map(|p| f64::from((p / (sum * (1f32 / 255.0))).round())).collect();
            weighted.extend((0..s.dim).map(|c| shares.iter().enumerate().map(|(key, p)| p * v[(image * s.keys + key) * s.dim + c]).sum::<f64>()));
        }
        let wanted = project(&requant(weighted, 4), &weights[3].iter().map(|&w| f64::from(w)).collect::<Vec<_>>(), &wide(&biases[3]));
        assert_eq!(wide(&found), wanted);
    }
}
