//! What is rounded to bf16 after every step: functions of CV18xx by tables of 256 numbers, LayerNorm in bf16. Sums are in f32, one
//! element after the other.

use super::scalar::Case;
use super::tensor::{Values, indices};
use half::bf16;
use tpuc_ops::{Op, tpu};
use tpuc_tensor::DType;

fn b(x: f64) -> f64 {
    f64::from(bf16::from_f32(x as f32).to_f32())
}

/// A product of two floats, rounded.
fn times(x: f64, y: f64) -> f64 {
    b(f64::from((x * y) as f32))
}

/// The range from low to high has 256 pieces, from -128 to 127, each with a value and a slope; piece p stands at p mod 256.
fn by_slope(values: &[f64], slopes: &[f64], low: f64, high: f64, x: f64) -> f64 {
    let position = times(b(x - b((low + high) / 2.0)), b(256.0 / (high - low)));
    let piece = position.trunc().clamp(-128.0, 127.0);
    let entry = piece.rem_euclid(256.0) as usize;
    b(values[entry] + times(slopes[entry], b(position - piece)))
}

/// A factor for the binary exponent (from -62 on, of negative numbers in the second half; of 0 the first) times one for the lower
/// eight of the sixteen bits.
fn by_exponent(exponents: &[f64], mantissas: &[f64], x: f64) -> f64 {
    let number = bf16::from_f32(x as f32);
    let exponent = if number == bf16::ZERO { 0 } else { (number.to_f64().abs().log2().floor() + 63.0).clamp(0.0, 127.0) as usize };
    let side = if number < bf16::ZERO { 128 } else { 0 };
    times(exponents[exponent + side], mantissas[usize::from(number.to_bits() & 255)])
}

impl Case<'_> {
    fn entries(&self, index: usize) -> &[f64] {
        &self.x(index).data
    }

    fn given(&self, index: usize) -> bool {
        self.operands.get(index).is_some_and(Option::is_some)
    }

    pub(super) fn by_table(&self) -> Option<Values> {
        match self.op {
            Op::TpuLutBF16(op) => Some(self.x(0).map(|x| match op.lut_mode {
                tpu::LutBF16Mode::Slope => by_slope(self.entries(1), self.entries(2), op.min_range, op.max_range, x),
                tpu::LutBF16Mode::Mantissa => by_exponent(self.entries(1), self.entries(2), x),
                other => panic!("{other:?} is not made"),
            })),
            Op::TpuSoftmax(op) if self.given(1) => Some(self.softmax_by_tables(op)),
            Op::TpuLayerNorm(op) if self.result.elem.storage() == DType::BF16 => Some(self.layer_norm_in_bf16(op)),
            _ => None,
        }
    }

    /// Exponentials over -15 to 15, and the reciprocal of their sum.
    fn softmax_by_tables(&self, op: &tpu::Softmax) -> Values {
        let x = self.x(0);
        let axis = op.axis.rem_euclid(x.shape.len() as i32) as usize;
        Values::of(&x.shape, |at| {
            let row = x.row(at, axis);
            let largest = row.iter().copied().fold(f64::MIN, f64::max);
            let exponential = |x: f64| by_slope(self.entries(1), self.entries(2), -15.0, 15.0, b(x - largest));
            let sum = row.iter().fold(0f32, |sum, &x| sum + exponential(x) as f32);
            times(exponential(x.at(at)), by_exponent(self.entries(3), self.entries(4), sum.into()))
        })
    }

    /// `(x - mean) * root * weight + bias` with means as sums times `1 / n`; the inverse root by table, if there is one.
    fn layer_norm_in_bf16(&self, op: &tpu::LayerNorm) -> Values {
        let x = self.x(0);
        let first = op.axis.rem_euclid(x.shape.len() as i32) as usize;
        let width: usize = x.shape[first..].iter().product();
        let share = b(1.0 / width as f64);
        let mean_of = |list: &[f64]| times(list.iter().fold(0f32, |sum, &v| sum + v as f32).into(), share);
        let root = |variance: f64| match self.given(3) {
            true => by_exponent(self.entries(3), self.entries(4), variance),
            false => b(1.0 / b(variance.sqrt())),
        };
        let one = |row: &[f64]| -> Vec<f64> {
            let mean = mean_of(row);
            let squares: Vec<f64> = row.iter().map(|x| times(b(x - mean), b(x - mean))).collect();
            let factor = root(b(mean_of(&squares) + b(op.eps)));
            let normal = |(i, x): (usize, &f64)| {
                let v = times(b(x - mean), factor);
                let v = if self.given(1) { times(v, self.entries(1)[i]) } else { v };
                if self.given(2) { b(v + self.entries(2)[i]) } else { v }
            };
            row.iter().enumerate().map(normal).collect()
        };
        Values { shape: x.shape.clone(), data: x.data.chunks(width).flat_map(one).collect() }
    }
}

impl Values {
    /// The elements that differ from one in a single index.
    pub fn row(&self, at: &[usize], axis: usize) -> Vec<f64> {
        let place = |i: usize| at.iter().enumerate().map(|(d, &own)| if d == axis { i } else { own }).collect::<Vec<_>>();
        (0..self.shape[axis]).map(|i| self.at(&place(i))).collect()
    }

    /// For every index of this shape with some dimensions reduced to size 1: the elements that it stands for.
    pub fn groups(&self, gone: &[usize]) -> Vec<Vec<f64>> {
        let kept: Vec<usize> = self.shape.iter().enumerate().map(|(d, &size)| if gone.contains(&d) { 1 } else { size }).collect();
        let all = indices(&self.shape);
        let belongs = |i: &[usize], place: &[usize]| (0..i.len()).all(|d| gone.contains(&d) || i[d] == place[d]);
        indices(&kept).iter().map(|place| all.iter().filter(|i| belongs(i, place)).map(|i| self.at(i)).collect()).collect()
    }
}
