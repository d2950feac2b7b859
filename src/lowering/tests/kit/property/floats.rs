//! What a Tpu op computes in floats, by its definition: in f64 from the operands that it had, with a bound of the error of f32
//! arithmetic (kernels and chips add in any order), rounded to f32 and from there to the type of the result.

use super::functions;
use super::scalar::{Case, holds};
use super::tensor::{Values, indices};
use half::{bf16, f16};
use tpuc_ops::{Op, tpu};
use tpuc_tensor::DType;

/// The distance between f32 numbers near 1.
pub const STEP: f64 = f32::EPSILON as f64;

/// A result before it is rounded to its type.
#[derive(Debug, Clone, Copy)]
pub struct Real {
    pub value: f64,
    /// How far f32 arithmetic may be from it.
    pub slack: f64,
}

impl Real {
    pub fn exact(value: f64) -> Real {
        Real { value, slack: 0.0 }
    }

    /// What is infinite or no number is so exactly.
    pub fn near(value: f64, slack: f64) -> Real {
        Real { value, slack: if value.is_finite() && slack.is_finite() { slack } else { 0.0 } }
    }

    /// A sum of terms, each of which f32 arithmetic has rounded.
    pub fn sum(terms: &[f64]) -> Real {
        let reach: f64 = terms.iter().map(|t| t.abs()).sum();
        Real::near(terms.iter().sum(), reach * STEP * terms.len() as f64)
    }

    /// One operation of f32 numbers, of which one is a rounded constant.
    pub fn product(value: f64) -> Real {
        Real::near(value, value.abs() * STEP)
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Real {
        Real { value: f(self.value), slack: self.slack }
    }

    pub fn relu(self, do_relu: bool, limit: f64) -> Real {
        match do_relu {
            true => self.map(|v| if limit > 0.0 { v.clamp(0.0, limit) } else { v.max(0.0) }),
            false => self,
        }
    }

    /// Whether a number of a type may be this.
    pub fn admits(self, found: f64, dtype: DType) -> bool {
        let (low, high) = (rounded(self.value - self.slack, dtype), rounded(self.value + self.slack, dtype));
        if low.is_nan() { found.is_nan() } else { (low..=high).contains(&found) }
    }
}

/// The number of a type that is nearest to the nearest f32, halves to even.
pub fn rounded(v: f64, dtype: DType) -> f64 {
    f64::from(match dtype {
        DType::F16 => f16::from_f32(v as f32).to_f32(),
        DType::BF16 => bf16::from_f32(v as f32).to_f32(),
        _ => v as f32,
    })
}

impl Case<'_> {
    /// The real results of an op that computes in floats, or `None` where this page does not define it.
    pub fn reals(&self) -> Option<Vec<Real>> {
        let exact = |values: Values| values.data.into_iter().map(Real::exact).collect();
        if let Some(known) = self.moved().or_else(|| self.by_table()) {
            return Some(exact(known));
        }
        self.float_elements().or_else(|| self.float_choices()).or_else(|| self.float_products()).or_else(|| self.float_windows())
    }

    /// The type to which an op rounds: that of its result, but for two which hand their f32 on (docs/numerics.md).
    pub fn rounds_to(&self) -> DType {
        match (self.op, self.result.elem.storage()) {
            (Op::TpuInterp(_), _) | (Op::TpuLayerNorm(_), DType::F16) => DType::F32,
            (_, dtype) => dtype,
        }
    }

    pub(super) fn reals_of(&self, f: impl Fn(&[usize]) -> Real) -> Option<Vec<Real>> {
        Some(indices(&self.result.dims()).iter().map(|at| f(at)).collect())
    }

    fn float_elements(&self) -> Option<Vec<Real>> {
        let a = |at: &[usize]| self.x(0).stretched(at);
        let b = |at: &[usize]| self.x(1).stretched(at);
        match self.op {
            Op::TpuRelu(op) => self.reals_of(|at| Real::exact(a(at)).relu(true, f64::from(op.relu_limit as f32))),
            Op::TpuClip(op) => self.reals_of(|at| Real::exact(a(at).clamp(f64::from(op.min as f32), f64::from(op.max as f32)))),
            Op::TpuAdd(op) => self.reals_of(|at| {
                let coefficient = |i: usize| op.coeff.as_ref().map_or(1.0, |c| c[i]);
                let terms: Vec<f64> = (0..self.operands.len()).map(|i| self.x(i).stretched(at) * coefficient(i)).collect();
                Real::sum(&terms).relu(op.do_relu, op.relu_limit)
            }),
            Op::TpuSub(op) => self.reals_of(|at| Real::sum(&if op.is_reverse { [b(at), -a(at)] } else { [a(at), -b(at)] }).relu(op.do_relu, op.relu_limit)),
            Op::TpuMul(op) => self.reals_of(|at| Real::product(a(at) * b(at)).relu(op.do_relu, op.relu_limit)),
            Op::TpuDiv(op) => self.reals_of(|at| Real::product(if op.is_reverse { b(at) / a(at) } else { a(at) / b(at) }).relu(op.do_relu, op.relu_limit)),
            Op::TpuMax(_) => self.reals_of(|at| Real::exact(a(at).max(b(at)))),
            Op::TpuMin(_) => self.reals_of(|at| Real::exact(a(at).min(b(at)))),
            Op::TpuAddConst(op) => self.reals_of(|at| Real::sum(&[a(at), op.const_val]).relu(op.do_relu, op.relu_limit)),
            Op::TpuSubConst(op) => self.reals_of(|at| Real::sum(&if op.is_reverse { [op.const_val, -a(at)] } else { [a(at), -op.const_val] }).relu(op.do_relu, op.relu_limit)),
            Op::TpuMulConst(op) => self.reals_of(|at| Real::product(a(at) * op.const_val).relu(op.do_relu, op.relu_limit)),
            Op::TpuMaxConst(op) => self.reals_of(|at| Real::exact(a(at).max(f64::from(op.const_val as f32)))),
            Op::TpuMinConst(op) => self.reals_of(|at| Real::exact(a(at).min(f64::from(op.const_val as f32)))),
            Op::TpuReciprocal(op) => self.reals_of(|at| Real::product(op.const_val / a(at)).relu(op.do_relu, op.relu_limit)),
            Op::TpuLeakyRelu(op) => {
                let alpha = op.alpha?;
                self.reals_of(|at| if a(at) < 0.0 { Real::product(a(at) * alpha) } else { Real::exact(a(at)) })
            }
            Op::TpuPReluOp(_) => self.reals_of(|at| if a(at) < 0.0 { Real::product(a(at) * b(at)) } else { Real::exact(a(at)) }),
            Op::TpuScale(op) => self.reals_of(|at| {
                let channel = |index: usize, absent: f64| self.operands.get(index).and_then(Option::as_ref).map_or(absent, |v| v.data[at[1]]);
                Real::sum(&[a(at) * channel(1, 1.0), channel(2, 0.0)]).relu(op.do_relu, op.relu_limit)
            }),
            Op::TpuActive(op) => self.reals_of(|at| functions::active(op, a(at))),
            _ => None,
        }
    }

    fn float_choices(&self) -> Option<Vec<Real>> {
        let a = |at: &[usize]| self.x(0).stretched(at);
        let truth = |holds: bool| Real::exact(f64::from(u8::from(holds)));
        match self.op {
            Op::TpuCompare(op) => self.reals_of(|at| truth(holds(&op.mode, a(at), self.x(1).stretched(at)))),
            Op::TpuCompareConst(op) => {
                let c = f64::from(op.const_val as f32);
                self.reals_of(|at| truth(if op.inversed { holds(&op.mode, c, a(at)) } else { holds(&op.mode, a(at), c) }))
            }
            Op::TpuWhere(op) => self.reals_of(|at| {
                let branch = |index: usize, is_const: bool, c: f64| if is_const { f64::from(c as f32) } else { self.x(index).stretched(at) };
                Real::exact(if a(at) != 0.0 { branch(1, op.x_is_const, op.x_const_val) } else { branch(2, op.y_is_const, op.y_const_val) })
            }),
            _ => None,
        }
    }

    fn float_bias(&self, index: usize, channel: usize) -> f64 {
        self.operands.get(index).and_then(Option::as_ref).map_or(0.0, |b| b.data[channel])
    }

    fn float_products(&self) -> Option<Vec<Real>> {
        match self.op {
            Op::TpuConv2D(op) => {
                let (x, filter) = (self.x(0), self.x(1));
                let (inputs, outputs) = (filter.shape[1], filter.shape[0] / op.group as usize);
                let dilation = |d: usize| op.dilations.as_ref().map_or(1, |l| l[d]);
                let taps = indices(&filter.shape[1..]);
                self.reals_of(|at| {
                    let term = |tap: &Vec<usize>| {
                        let mut place = vec![at[0] as i64, (at[1] / outputs * inputs + tap[0]) as i64];
                        place.extend((0..op.kernel_shape.len()).map(|d| at[d + 2] as i64 * op.strides[d] + tap[d + 1] as i64 * dilation(d) - op.pads[d]));
                        if x.has(&place) { x.at_signed(&place) * filter.at(&[&[at[1]], &tap[..]].concat()) } else { 0.0 }
                    };
                    let mut terms: Vec<f64> = taps.iter().map(term).collect();
                    terms.push(self.float_bias(2, at[1]));
                    Real::sum(&terms).relu(op.do_relu, op.relu_limit)
                })
            }
            Op::TpuDeconv(op) => {
                let products = self.deconv_terms(&op.kernel_shape, &op.strides, &op.pads, op.dilations.as_deref(), op.group as usize);
                let channel_of = |place: usize| place / self.result.dims()[2..].iter().product::<usize>() % self.result.dims()[1];
                let one = |(place, mut terms): (usize, Vec<f64>)| {
                    terms.push(self.float_bias(2, channel_of(place)));
                    Real::sum(&terms).relu(op.do_relu, op.relu_limit)
                };
                Some(products.into_iter().enumerate().map(one).collect())
            }
            Op::TpuMatMul(op) => {
                let right = self.x(1);
                self.float_matmul(op.left_transpose, op.right_transpose, right, 2, op.do_relu.then_some(op.relu_limit))
            }
            Op::TpuA16MatMul(op) => self.float_matmul(false, true, &self.ungrouped(op), 4, None),
            _ => None,
        }
    }

    fn float_matmul(&self, left_transpose: bool, right_transpose: bool, right: &Values, bias: usize, relu: Option<f64>) -> Option<Vec<Real>> {
        let (left, dims) = (self.x(0), self.result.dims());
        let rank = left.shape.len();
        let depth = left.shape[if left_transpose { rank - 2 } else { rank - 1 }];
        self.reals_of(|at| {
            let (batch, row, column) = (&at[..dims.len() - 2], at[dims.len() - 2], at[dims.len() - 1]);
            let pair = |swap: bool, a: usize, b: usize| if swap { [b, a] } else { [a, b] };
            let term = |k: usize| left.stretched(&[batch, &pair(left_transpose, row, k)].concat()) * right.stretched(&[batch, &pair(right_transpose, k, column)].concat());
            let mut terms: Vec<f64> = (0..depth).map(term).collect();
            terms.push(self.float_bias(bias, column));
            Real::sum(&terms).relu(relu.is_some(), relu.unwrap_or(0.0))
        })
    }

    /// The weights `[columns, depth]` of a product whose weights are 8-bit or 4-bit integers in groups: `(q - z) * scale`, rounded to the
    /// type of the activations; of 4 bits the first of two is the low half.
    fn ungrouped(&self, op: &tpu::A16MatMul) -> Values {
        let (columns, depth) = (self.x(1).shape[0], *self.x(0).shape.last().expect("a depth"));
        let group = |index: usize, at: &[usize]| self.x(index).at(&[at[0], at[1] / op.q_group_size as usize]);
        let dtype = self.types[0].as_ref().expect("a type").elem.storage();
        Values::of(&[columns, depth], |at| {
            let q = match op.weight_bits {
                4 => (self.x(1).at(&[at[0], at[1] / 2]) as u8 >> (4 * (at[1] % 2)) & 15).into(),
                _ => self.x(1).at(at),
            };
            rounded((q - group(3, at)) * group(2, at), dtype)
        })
    }
}
