//! Ops in floats that look at many elements: pools, softmax, reductions, norms, resizing; and those that pick elements.

use super::floats::{Real, STEP, rounded};
use super::scalar::Case;
use super::tensor::{Values, indices};
use tpuc_ops::{Op, tpu};
use tpuc_tensor::DType;

impl Case<'_> {
    pub(super) fn float_windows(&self) -> Option<Vec<Real>> {
        match self.op {
            Op::TpuPool2D(op) => Some(self.float_pool(op)),
            Op::TpuPool1D(op) => Some(self.float_pool(&op.clone().into())),
            Op::TpuSoftmax(op) => self.float_softmax(op),
            Op::TpuReduce(op) => Some(self.float_reduce(op)),
            Op::TpuArg(op) => Some(self.arg(op)),
            Op::TpuGather(op) => self.gather(op),
            Op::TpuInterp(op) => self.interp(op),
            Op::TpuLayerNorm(op) => {
                let first = op.axis.rem_euclid(self.x(0).shape.len() as i32) as usize;
                let width: usize = self.x(0).shape[first..].iter().product();
                Some(self.norm(width, op.eps, |i| i % width))
            }
            Op::TpuInstanceNorm(op) => Some(self.norm(self.area(), op.eps, |i| i / self.area() % self.x(0).shape[1])),
            Op::TpuGroupNorm(op) => {
                let channels = self.x(0).shape[1];
                Some(self.norm(channels / op.num_groups as usize * self.area(), op.eps, |i| i / self.area() % channels))
            }
            _ => None,
        }
    }

    /// Elements of a channel.
    fn area(&self) -> usize {
        self.x(0).shape[2..].iter().product()
    }

    fn float_softmax(&self, op: &tpu::Softmax) -> Option<Vec<Real>> {
        let (x, axis) = (self.x(0), op.axis.rem_euclid(self.x(0).shape.len() as i32) as usize);
        self.reals_of(|at| {
            let row = x.row(at, axis);
            let largest = row.iter().copied().fold(f64::MIN, f64::max);
            let below = |x: f64| op.beta * (x - largest);
            let sum: f64 = row.iter().map(|&x| below(x).exp()).sum();
            // Exponentials, their sum and the quotient, relative to the result.
            let lost = STEP * (8.0 + row.len() as f64 + below(x.at(at)).abs());
            // Along the innermost dimension the logarithm is oneDNN's (docs/numerics.md).
            let logarithm = if x.shape[axis + 1..].iter().all(|&size| size == 1) { 5e-6 } else { 0.0 };
            match op.log {
                true => Real::near(below(x.at(at)) - sum.ln(), lost + logarithm),
                false => Real::near(below(x.at(at)).exp() / sum, below(x.at(at)).exp() / sum * lost),
            }
        })
    }

    fn float_reduce(&self, op: &tpu::Reduce) -> Vec<Real> {
        let x = self.x(0);
        let rank = x.shape.len() as i64;
        let gone: Vec<usize> = op.axes.iter().map(|a| a.rem_euclid(rank) as usize).collect();
        let gone = if gone.is_empty() { (0..x.shape.len()).collect() } else { gone };
        let dtype = self.result.elem.storage();
        let one = |terms: Vec<f64>| {
            let (sum, count) = (Real::sum(&terms), terms.len() as f64);
            let scaled = |by: f64| Real::near(sum.value * by, (sum.slack + sum.value.abs() * STEP) * by);
            match op.mode.as_str() {
                "ReduceSum" => sum,
                // In half floats the share of an element is one.
                "ReduceMean" => scaled(if dtype == DType::F32 { 1.0 / count } else { rounded(1.0 / count, dtype) }),
                "ReduceMax" => Real::exact(terms.into_iter().fold(f64::NEG_INFINITY, f64::max)),
                "ReduceMin" => Real::exact(terms.into_iter().fold(f64::INFINITY, f64::min)),
                "ReduceL1" => Real::sum(&terms.iter().map(|t| t.abs()).collect::<Vec<_>>()),
                "ReduceL2" => {
                    let length = terms.iter().map(|t| t * t).sum::<f64>().sqrt();
                    Real::near(length, length * STEP * count)
                }
                "ReduceProd" => {
                    let product: f64 = terms.iter().product();
                    Real::near(product, product.abs() * STEP * count)
                }
                other => panic!("mode {other}"),
            }
        };
        x.groups(&gone).into_iter().map(one).collect()
    }

    /// The place of the first or the last extremum.
    fn arg(&self, op: &tpu::Arg) -> Vec<Real> {
        let x = self.x(0);
        let axis = op.axis.rem_euclid(x.shape.len() as i64) as usize;
        let sign = if op.mode == "ArgMax" { 1.0 } else { -1.0 };
        let one = |row: Vec<f64>| {
            let best = row.iter().map(|x| sign * x).fold(f64::NEG_INFINITY, f64::max);
            let is_best = |x: &f64| sign * x == best;
            let place = if op.select_last_index { row.iter().rposition(is_best) } else { row.iter().position(is_best) };
            Real::exact(place.expect("an extremum") as f64)
        };
        x.groups(&[axis]).into_iter().map(one).collect()
    }

    /// Dimension `axis` is replaced by those of the indices; negative ones count from the end.
    fn gather(&self, op: &tpu::Gather) -> Option<Vec<Real>> {
        let (x, at_index) = (self.x(0), self.x(1));
        let axis = op.axis.rem_euclid(x.shape.len() as i32) as usize;
        let (before, after) = (&x.shape[..axis], &x.shape[axis + 1..]);
        let all = indices(&[before, &at_index.shape[..], after].concat());
        let one = |at: &Vec<usize>| {
            let i = at_index.at(&at[axis..axis + at_index.shape.len()]) as i64;
            let i = if i < 0 { i + x.shape[axis] as i64 } else { i } as usize;
            Real::exact(x.at(&[&at[..axis], &[i], &at[axis + at_index.shape.len()..]].concat()))
        };
        Some(all.iter().map(one).collect())
    }

    /// Rows of `width` elements are brought to mean 0 and variance 1; `parameter` says which weight and bias an element has.
    fn norm(&self, width: usize, eps: f64, parameter: impl Fn(usize) -> usize) -> Vec<Real> {
        let x = self.x(0);
        let given = |index: usize, i: usize| self.operands.get(index).and_then(Option::as_ref).map(|v| v.data[parameter(i)]);
        let mut reals = Vec::new();
        for (r, row) in x.data.chunks(width).enumerate() {
            let n = width as f64;
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
            let factor = 1.0 / (variance + f64::from(eps as f32)).sqrt();
            // What f32 sums lose of a mean and of a variance.
            let mean_lost = STEP * (n + 2.0) * row.iter().fold(0f64, |m, x| m.max(x.abs()));
            let variance_lost = 2.0 * mean_lost * variance.sqrt() + mean_lost * mean_lost + STEP * (n + 4.0) * variance;
            let factor_lost = factor * (variance_lost / (variance + eps) / 2.0 + 4.0 * STEP);
            for (i, x) in row.iter().enumerate() {
                let (weight, bias) = (given(1, r * width + i).unwrap_or(1.0), given(2, r * width + i).unwrap_or(0.0));
                let deviation = x - mean;
                let lost = weight.abs() * (mean_lost * factor + deviation.abs() * factor_lost);
                let value = deviation * factor * weight;
                reals.push(Real::near(value + bias, lost + STEP * (2.0 * value.abs() + bias.abs())));
            }
        }
        reals
    }

    fn float_pool(&self, op: &tpu::Pool2D) -> Vec<Real> {
        let x: &Values = self.x(0);
        let spatial = op.kernel_shape.len();
        let lead = x.shape.len() - spatial;
        let kernel: Vec<usize> = op.kernel_shape.iter().map(|&k| k as usize).collect();
        let size = |d: usize| ((x.shape[d + lead] as i64 + op.pads[d] + op.pads[d + spatial] - op.kernel_shape[d]) / op.strides[d] + 1) as usize;
        let dims: Vec<usize> = x.shape[..lead].iter().copied().chain((0..spatial).map(size)).collect();
        let one = |at: &Vec<usize>| {
            let place = |tap: &Vec<usize>| -> Vec<i64> {
                let along = |d: usize| at[d + lead] as i64 * op.strides[d] + tap[d] as i64 - op.pads[d];
                at[..lead].iter().map(|&i| i as i64).chain((0..spatial).map(along)).collect()
            };
            let window: Vec<f64> = indices(&kernel).iter().map(place).filter(|p| x.has(p)).map(|p| x.at_signed(&p)).collect();
            let real = match op.pool_mode {
                tpu::PoolMode::Max => Real::exact(window.into_iter().fold(f64::NEG_INFINITY, f64::max)),
                tpu::PoolMode::Avg => {
                    let count = if op.count_include_pad { kernel.iter().product() } else { window.len() } as f64;
                    let sum = Real::sum(&window);
                    Real::near(sum.value / count, (sum.slack + sum.value.abs() * STEP) / count)
                }
            };
            real.relu(op.do_relu, op.relu_limit)
        };
        indices(&dims).iter().map(one).collect()
    }

    /// For every element of a transposed convolution the products that meet there.
    pub(super) fn deconv_terms(&self, kernel: &[i64], strides: &[i64], pads: &[i64], dilations: Option<&[i64]>, group: usize) -> Vec<Vec<f64>> {
        let (x, filter, dims) = (self.x(0), self.x(1), self.result.dims());
        let (inputs, outputs) = (x.shape[1] / group, dims[1] / group);
        let taps = indices(&kernel.iter().map(|&k| k as usize).collect::<Vec<_>>());
        let mut terms = vec![Vec::new(); dims.iter().product()];
        for from in indices(&x.shape) {
            for (t, tap) in taps.iter().enumerate() {
                let along = |d: usize| from[d + 2] as i64 * strides[d] + tap[d] as i64 * dilations.map_or(1, |l| l[d]) - pads[d];
                let spatial: Vec<i64> = (0..kernel.len()).map(along).collect();
                if !spatial.iter().zip(&dims[2..]).all(|(&p, &size)| (0..size as i64).contains(&p)) {
                    continue;
                }
                for channel in (0..outputs).map(|o| from[1] / inputs * outputs + o) {
                    let weight = filter.data[(channel * inputs + from[1] % inputs) * taps.len() + t];
                    let start = from[0] * dims[1] + channel;
                    let place = spatial.iter().zip(&dims[2..]).fold(start, |place, (&p, size)| place * size + p as usize);
                    terms[place].push(x.at(&from) * weight);
                }
            }
        }
        terms
    }

    /// Between the pixels around a position in both directions, or the nearest. Positions are f32: an index times one ratio.
    fn interp(&self, op: &tpu::Interp) -> Option<Vec<Real>> {
        let (x, dims) = (self.x(0), self.result.dims());
        let last = dims.len() - 1;
        let position = |d: usize, i: usize| -> f32 {
            let (from, to) = (x.shape[d], dims[d]);
            let ratio = from as f32 / to as f32;
            match op.coord_mode {
                tpu::ResizeCoordMode::align_corners if to > 1 => i as f32 * ((from - 1) as f32 / (to - 1) as f32),
                tpu::ResizeCoordMode::align_corners => 0.0,
                tpu::ResizeCoordMode::asymmetric => i as f32 * ratio,
                tpu::ResizeCoordMode::pytorch_half_pixel if to == 1 => 0.0,
                tpu::ResizeCoordMode::half_pixel | tpu::ResizeCoordMode::pytorch_half_pixel => (i as f32 + 0.5) * ratio - 0.5,
            }
        };
        let pixel = |d: usize, at: f64| at.clamp(0.0, x.shape[d] as f64 - 1.0) as usize;
        match op.mode {
            tpu::ResizeMode::nearest => self.reals_of(|at| {
                // Halves go to the pixel before where pixels are areas, to the one behind where corners are aligned.
                let nearest = |d: usize| {
                    let p = f64::from(position(d, at[d]));
                    pixel(d, match op.coord_mode {
                        tpu::ResizeCoordMode::align_corners => (p + 0.5).floor(),
                        tpu::ResizeCoordMode::asymmetric => p.floor(),
                        tpu::ResizeCoordMode::pytorch_half_pixel if dims[d] == 1 => 0.0,
                        _ => (p - 0.5).ceil(),
                    })
                };
                let place: Vec<usize> = (0..=last).map(|d| if d < 2 { at[d] } else { nearest(d) }).collect();
                Real::exact(x.at(&place))
            }),
            tpu::ResizeMode::linear => self.reals_of(|at| {
                let around: Vec<[(usize, f64); 2]> = (2..=last).map(|d| {
                    let p = f64::from(position(d, at[d])).clamp(0.0, x.shape[d] as f64 - 1.0);
                    [(pixel(d, p.floor()), 1.0 - p.fract()), (pixel(d, p.floor() + 1.0), p.fract())]
                }).collect();
                let corners = indices(&vec![2; around.len()]);
                let value = |corner: &Vec<usize>| x.at(&[&at[..2], &corner.iter().enumerate().map(|(d, &c)| around[d][c].0).collect::<Vec<_>>()[..]].concat());
                let share = |corner: &Vec<usize>| corner.iter().enumerate().map(|(d, &c)| around[d][c].1).product::<f64>();
                let reach = corners.iter().map(|c| value(c).abs()).fold(0.0, f64::max);
                let size = *x.shape[2..].iter().max().expect("a size") as f64;
                Real::near(corners.iter().map(|c| value(c) * share(c)).sum(), reach * STEP * (8.0 + 4.0 * size))
            }),
        }
    }
}
