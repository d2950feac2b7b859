//! Normalization: `(x - mean) / sqrt(variance + eps) * weight + bias`.

use crate::cast::HalfFloat;
use crate::{KernelError, expect_length, threads};

/// A tensor as rows that are normalized one by one, and where weight and bias of an element stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormShape {
    /// Elements of a row.
    pub row: usize,
    /// Consecutive elements that share weight and bias: 1 where every element of a row has its own.
    pub shared: usize,
    /// How many weights there are; element `i` of the tensor has number `i / shared % affine`.
    pub affine: usize,
    pub eps: f32,
}

/// Everything in f32: the sums run along memory, the deviations are multiplied by the reciprocal root. So does the reference.
pub fn normalize(shape: NormShape, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("normalized elements", x.len(), y.len())?;
    if shape.row == 0 || shape.shared == 0 || x.len() % shape.row != 0 {
        return Err(KernelError::Geometry(format!("{} elements cannot be normalized in rows of {}", x.len(), shape.row)));
    }
    for (what, list) in [("weights of a normalization", weight), ("biases of a normalization", bias)] {
        list.map_or(Ok(()), |list| expect_length(what, shape.affine, list.len()))?;
    }
    threads::for_parts(y, shape.row, |start, part| {
        for (i, y) in part.chunks_exact_mut(shape.row).enumerate() {
            let first = start + i * shape.row;
            let x = &x[first..first + shape.row];
            let count = shape.row as f32;
            let mean = x.iter().fold(0f32, |a, v| a + v) / count;
            let variance = x.iter().fold(0f32, |a, v| a + (v - mean) * (v - mean)) / count;
            let factor = 1.0 / (variance + shape.eps).sqrt();
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * factor);
            affine(shape, first, weight, y, |y, w| y * w);
            affine(shape, first, bias, y, |y, b| y + b);
        }
    });
    Ok(())
}

/// Layer normalization over rows of `width` with every step rounded to bf16, as the reference computes in that type; `root` gives
/// the inverse root of the variance.
pub fn normalize_bf16(width: usize, x: &[f32], gain: Option<&[f32]>, bias: Option<&[f32]>, eps: f64, root: impl Fn(f32) -> f32 + Sync, y: &mut [f32]) -> Result<(), KernelError> {
    let bf16 = |x: f32| HalfFloat::BF16.round(x);
    expect_length("results of a normalization", x.len(), y.len())?;
    for list in [gain, bias].into_iter().flatten() {
        expect_length("parameters of a normalization", width, list.len())?;
    }
    let (share, eps) = (bf16(1.0 / width.max(1) as f32), bf16(eps as f32));
    threads::for_parts(y, width.max(1), |start, part| {
        for (x, y) in x[start..].chunks_exact(width.max(1)).zip(part.chunks_exact_mut(width.max(1))) {
            let mean = bf16(x.iter().sum::<f32>() * share);
            let squares: f32 = x.iter().map(|x| bf16(x - mean)).map(|d| bf16(d * d)).sum();
            let factor = root(bf16(bf16(squares * share) + eps));
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                let mut v = bf16(bf16(x - mean) * factor);
                if let Some(gain) = gain {
                    v = bf16(v * gain[i]);
                }
                if let Some(bias) = bias {
                    v = bf16(v + bias[i]);
                }
                *y = v;
            }
        }
    });
    Ok(())
}

/// The inverse root in bf16, the root rounded too.
pub fn inverse_root_bf16(x: f32) -> f32 {
    HalfFloat::BF16.round(1.0 / HalfFloat::BF16.round(x.sqrt()))
}

fn affine(shape: NormShape, first: usize, list: Option<&[f32]>, y: &mut [f32], apply: impl Fn(f32, f32) -> f32) {
    let Some(list) = list else { return };
    if shape.shared == 1 && shape.affine == y.len() {
        return y.iter_mut().zip(list).for_each(|(y, v)| *y = apply(*y, *v));
    }
    // Rows begin where a shared run begins: a row is a whole number of channels.
    for (i, y) in y.chunks_mut(shape.shared).enumerate() {
        let value = list[(first / shape.shared + i) % shape.affine];
        y.iter_mut().for_each(|y| *y = apply(*y, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_channels() {
        let x: Vec<f32> = (0..12).map(|i| ((i * 5) % 7) as f32).collect();
        let mut y = vec![0.0; 12];
        // Two rows of two channels of three pixels.
        let shape = NormShape { row: 6, shared: 3, affine: 2, eps: 0.5 };
        normalize(shape, &x, Some(&[2.0, 3.0]), Some(&[0.0, 1.0]), &mut y).unwrap();
        for (row, out) in x.chunks(6).zip(y.chunks(6)) {
            let mean = row.iter().sum::<f32>() / 6.0;
            let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / 6.0;
            for (i, (x, y)) in row.iter().zip(out).enumerate() {
                let wanted = (x - mean) / (variance + 0.5).sqrt() * [2.0, 3.0][i / 3] + [0.0, 1.0][i / 3];
                assert!((wanted - y).abs() < 1e-5);
            }
        }
        assert!(normalize(shape, &x, Some(&[1.0]), None, &mut y).is_err());
        assert!(normalize(NormShape { row: 5, ..shape }, &x, None, None, &mut y).is_err());
    }
}
