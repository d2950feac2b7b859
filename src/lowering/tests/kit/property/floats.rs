//! What a Tpu op computes in floats, by its definition: in f64 from the operands that it had, and rounded once to the type of the
//! result. A bound of the error of f32 arithmetic goes with each value: chips and kernels may add in any order.

use super::scalar::{Case, holds};
use super::tensor::{Values, indices};
use half::{bf16, f16};
use tpuc_ops::{Family, Op, tpu};
use tpuc_tensor::DType;

/// The distance between f32 numbers near 1.
const STEP: f64 = f32::EPSILON as f64;

/// A result before it is rounded to its type.
#[derive(Debug, Clone, Copy)]
pub struct Real {
    pub value: f64,
    /// How far f32 arithmetic may be from it.
    pub slack: f64,
}

impl Real {
    fn exact(value: f64) -> Real {
        Real { value, slack: 0.0 }
    }

    /// A sum of terms.
    fn sum(terms: &[f64]) -> Real {
        let reach: f64 = terms.iter().map(|t| t.abs()).sum();
        Real { value: terms.iter().sum(), slack: reach * STEP * terms.len() as f64 }
    }

    fn near(value: f64, slack: f64) -> Real {
        Real { value, slack }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Real {
        Real { value: f(self.value), slack: self.slack }
    }

    fn relu(self, do_relu: bool, limit: f64) -> Real {
        match do_relu {
            true => self.map(|v| if limit > 0.0 { v.clamp(0.0, limit) } else { v.max(0.0) }),
            false => self,
        }
    }

    /// The least and the greatest number of a type that the result may be.
    pub fn bounds(self, dtype: DType) -> (f64, f64) {
        (rounded(self.value - self.slack, dtype), rounded(self.value + self.slack, dtype))
    }
}

/// The nearest number of a type, halves to even.
pub fn rounded(v: f64, dtype: DType) -> f64 {
    // Twice rounded would be wrong on halves of a half: f32 first, to odd.
    let single = v as f32;
    let odd = if f64::from(single) == v || single.to_bits() & 1 == 1 {
        single
    } else {
        let towards = if (f64::from(single) < v) == (v > 0.0) { 1i32 } else { -1 };
        f32::from_bits(single.to_bits().wrapping_add_signed(towards))
    };
    match dtype {
        DType::F16 => f64::from(f16::from_f32(odd).to_f32()),
        DType::BF16 => f64::from(bf16::from_f32(odd).to_f32()),
        _ => f64::from(single),
    }
}

/// The next number of a type towards infinity.
pub fn above(v: f64, dtype: DType) -> f64 {
    let up = |bits: u32, sign: u32| if bits == 0 || bits == sign { 1 } else if bits & sign != 0 { bits - 1 } else { bits + 1 };
    match dtype {
        DType::F16 => f64::from(f16::from_bits(up(f16::from_f64(v).to_bits().into(), 1 << 15) as u16).to_f32()),
        DType::BF16 => f64::from(bf16::from_bits(up(bf16::from_f64(v).to_bits().into(), 1 << 15) as u16).to_f32()),
        _ => f64::from(f32::from_bits(up((v as f32).to_bits(), 1 << 31))),
    }
}

fn erf(x: f64) -> f64 {
    // The Maclaurin series; beyond 6 it is 1 to the last bit.
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

impl Case<'_> {
    /// The real results of an op that computes in floats, or `None` where this page does not define it.
    pub fn reals(&self) -> Option<Vec<Real>> {
        if let Some(moved) = self.moved() {
            return Some(moved.data.into_iter().map(Real::exact).collect());
        }
        self.float_elements().or_else(|| self.float_products()).or_else(|| self.float_windows())
    }

    fn reals_of(&self, f: impl Fn(&[usize]) -> Real) -> Option<Vec<Real>> {
        Some(indices(&self.result.dims()).iter().map(|at| f(at)).collect())
    }

    fn float_elements(&self) -> Option<Vec<Real>> {
        let a = |at: &[usize]| self.x(0).stretched(at);
        let b = |at: &[usize]| self.x(1).stretched(at);
        let product = |v: f64| Real::near(v, v.abs() * STEP);
        match self.op {
            Op::TpuRelu(op) => self.reals_of(|at| Real::exact(a(at)).relu(true, op.relu_limit)),
            Op::TpuAdd(op) => self.reals_of(|at| {
                let coefficient = |i: usize| op.coeff.as_ref().map_or(1.0, |c| c[i] as f32 as f64);
                let terms: Vec<f64> = (0..self.operands.len()).map(|i| self.x(i).stretched(at) * coefficient(i)).collect();
                Real::sum(&terms).relu(op.do_relu, op.relu_limit)
            }),
            Op::TpuSub(op) => self.reals_of(|at| Real::sum(&if op.is_reverse { [b(at), -a(at)] } else { [a(at), -b(at)] }).relu(op.do_relu, op.relu_limit)),
            Op::TpuMul(op) => self.reals_of(|at| product(a(at) * b(at)).relu(op.do_relu, op.relu_limit)),
            Op::TpuMax(_) => self.reals_of(|at| Real::exact(a(at).max(b(at)))),
            Op::TpuMin(_) => self.reals_of(|at| Real::exact(a(at).min(b(at)))),
            Op::TpuAddConst(op) => self.reals_of(|at| Real::sum(&[a(at), op.const_val]).relu(op.do_relu, op.relu_limit)),
            Op::TpuSubConst(op) => self.reals_of(|at| Real::sum(&if op.is_reverse { [op.const_val, -a(at)] } else { [a(at), -op.const_val] }).relu(op.do_relu, op.relu_limit)),
            Op::TpuMulConst(op) => self.reals_of(|at| product(a(at) * op.const_val).relu(op.do_relu, op.relu_limit)),
            Op::TpuMaxConst(op) => self.reals_of(|at| product(a(at).max(op.const_val))),
            Op::TpuMinConst(op) => self.reals_of(|at| product(a(at).min(op.const_val))),
            Op::TpuLeakyRelu(op) => {
                let alpha = op.alpha?;
                self.reals_of(|at| if a(at) < 0.0 { product(a(at) * alpha) } else { Real::exact(a(at)) })
            }
            Op::TpuPReluOp(_) => self.reals_of(|at| if a(at) < 0.0 { product(a(at) * b(at)) } else { Real::exact(a(at)) }),
            Op::TpuScale(op) => self.reals_of(|at| {
                let channel = |index: usize, absent: f64| self.operands.get(index).and_then(Option::as_ref).map_or(absent, |v| v.data[at[1]]);
                Real::sum(&[a(at) * channel(1, 1.0), channel(2, 0.0)]).relu(op.do_relu, op.relu_limit)
            }),
            Op::TpuActive(op) if self.family != Family::Cv18xx => {
                let f = function(op.mode)?;
                self.reals_of(|at| Real::near(f(a(at)), STEP * (4.0 * f(a(at)).abs() + 1.0 + a(at).abs())))
            }
            Op::TpuCompare(op) => self.reals_of(|at| Real::exact(f64::from(u8::from(holds(&op.mode, a(at), b(at)))))),
            Op::TpuWhere(op) => self.reals_of(|at| {
                let branch = |index: usize, is_const: bool, c: f64| if is_const { c } else { self.x(index).stretched(at) };
                Real::exact(if a(at) != 0.0 { branch(1, op.x_is_const, op.x_const_val) } else { branch(2, op.y_is_const, op.y_const_val) })
            }),
            _ => None,
        }
    }

    fn float_bias(&self, channel: usize) -> f64 {
        self.operands.get(2).and_then(Option::as_ref).map_or(0.0, |b| b.data[channel])
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
                        x.at_or_zero(&place) * filter.at(&[&[at[1]], &tap[..]].concat())
                    };
                    let mut terms: Vec<f64> = taps.iter().map(term).collect();
                    terms.push(self.float_bias(at[1]));
                    Real::sum(&terms).relu(op.do_relu, op.relu_limit)
                })
            }
            Op::TpuMatMul(op) => {
                let (left, right, dims) = (self.x(0), self.x(1), self.result.dims());
                let rank = left.shape.len();
                let depth = left.shape[if op.left_transpose { rank - 2 } else { rank - 1 }];
                self.reals_of(|at| {
                    let (batch, row, column) = (&at[..dims.len() - 2], at[dims.len() - 2], at[dims.len() - 1]);
                    let pair = |swap: bool, a: usize, b: usize| if swap { [b, a] } else { [a, b] };
                    let term = |k: usize| left.stretched(&[batch, &pair(op.left_transpose, row, k)].concat()) * right.stretched(&[batch, &pair(op.right_transpose, k, column)].concat());
                    let mut terms: Vec<f64> = (0..depth).map(term).collect();
                    terms.push(self.float_bias(column));
                    Real::sum(&terms).relu(op.do_relu, op.relu_limit)
                })
            }
            _ => None,
        }
    }

    fn float_windows(&self) -> Option<Vec<Real>> {
        match self.op {
            // CV18xx multiplies by a rounded share.
            Op::TpuPool2D(op) if op.pool_mode == tpu::PoolMode::Max || self.family != Family::Cv18xx => self.float_pool(op),
            Op::TpuSoftmax(op) if !op.log && self.family != Family::Cv18xx => {
                let (x, axis) = (self.x(0), op.axis.rem_euclid(self.x(0).shape.len() as i32) as usize);
                self.reals_of(|at| {
                    let along = |i: usize| {
                        let mut at = at.to_vec();
                        at[axis] = i;
                        x.at(&at)
                    };
                    let largest = (0..x.shape[axis]).map(along).fold(f64::MIN, f64::max);
                    let sum: f64 = (0..x.shape[axis]).map(|i| (along(i) - largest).exp()).sum();
                    let p = (along(at[axis]) - largest).exp() / sum;
                    Real::near(p, p * STEP * (8.0 + x.shape[axis] as f64 + (largest - along(at[axis]))))
                })
            }
            Op::TpuReduce(op) if self.family != Family::Cv18xx && matches!(op.mode.as_str(), "ReduceMean" | "ReduceSum") => self.float_reduce(op),
            _ => None,
        }
    }

    fn float_reduce(&self, op: &tpu::Reduce) -> Option<Vec<Real>> {
        let x = self.x(0);
        let gone: Vec<usize> = op.axes.iter().map(|&a| if a < 0 { a + x.shape.len() as i64 } else { a } as usize).collect();
        let kept: Vec<usize> = x.shape.iter().enumerate().map(|(d, &size)| if gone.contains(&d) { 1 } else { size }).collect();
        let all = indices(&x.shape);
        let one = |place: &Vec<usize>| {
            let terms: Vec<f64> = all.iter().filter(|i| (0..i.len()).all(|d| gone.contains(&d) || i[d] == place[d])).map(|i| x.at(i)).collect();
            let (sum, count) = (Real::sum(&terms), terms.len() as f64);
            if op.mode == "ReduceMean" { Real::near(sum.value / count, (sum.slack + sum.value.abs() * STEP * 2.0) / count) } else { sum }
        };
        Some(indices(&kept).iter().map(one).collect())
    }

    fn float_pool(&self, op: &tpu::Pool2D) -> Option<Vec<Real>> {
        let x: &Values = self.x(0);
        let kernel: Vec<usize> = op.kernel_shape.iter().map(|&k| k as usize).collect();
        let size = |d: usize| ((x.shape[d + 2] as i64 + op.pads[d] + op.pads[d + 2] - op.kernel_shape[d]) / op.strides[d] + 1) as usize;
        let dims = [x.shape[0], x.shape[1], size(0), size(1)];
        let one = |at: &Vec<usize>| {
            let place = |tap: &Vec<usize>| vec![at[0] as i64, at[1] as i64, at[2] as i64 * op.strides[0] + tap[0] as i64 - op.pads[0], at[3] as i64 * op.strides[1] + tap[1] as i64 - op.pads[1]];
            let window: Vec<f64> = indices(&kernel).iter().map(place).filter(|p| x.has(p)).map(|p| x.at_signed(&p)).collect();
            let real = match op.pool_mode {
                tpu::PoolMode::Max => Real::exact(window.into_iter().fold(f64::MIN, f64::max)),
                tpu::PoolMode::Avg => {
                    let count = if op.count_include_pad { kernel.iter().product() } else { window.len() } as f64;
                    let sum = Real::sum(&window);
                    Real::near(sum.value / count, (sum.slack + sum.value.abs() * STEP * 2.0) / count)
                }
            };
            real.relu(op.do_relu, op.relu_limit)
        };
        Some(indices(&dims).iter().map(one).collect())
    }
}

fn function(mode: tpu::ActiveMode) -> Option<fn(f64) -> f64> {
    Some(match mode {
        tpu::ActiveMode::SIGMOID => |x| 1.0 / (1.0 + (-x).exp()),
        tpu::ActiveMode::TANH => f64::tanh,
        tpu::ActiveMode::GELU => |x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        tpu::ActiveMode::SOFT_PLUS => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
        tpu::ActiveMode::ABSVAL => f64::abs,
        _ => return None,
    })
}
