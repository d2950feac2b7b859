//! A plain float executor of the ops that the reference networks of these tests have. It stands in for the real one, so that
//! what is tested here is calibration alone.

use tpuc_ops::{Op, Program, Source, ValueId, top};
use tpuc_quant::network::{ElementOrder, NetworkError};
use tpuc_quant::{Network, PreparedOp};
use tpuc_tensor::{Tensor, WeightStore};

pub struct PlainNetwork {
    pub program: Program,
    pub weights: WeightStore,
}

struct PlainOp<'a> {
    op: &'a Op,
    shape: Vec<usize>,
    weights: Vec<Option<Tensor>>,
}

impl Network for PlainNetwork {
    fn program(&self) -> &Program {
        &self.program
    }

    fn run(&self, inputs: &[Tensor], _: ElementOrder, observe: &mut dyn FnMut(ValueId, &[f32]) -> bool) -> Result<(), NetworkError> {
        let mut values: Vec<Option<Tensor>> = vec![None; self.program.values.len()];
        for (id, tensor) in self.program.inputs.iter().zip(inputs) {
            values[id.index()] = Some(tensor.clone());
        }
        for (index, node) in self.program.nodes.iter().enumerate() {
            let operands: Vec<Option<&Tensor>> = node.operands.iter().map(|id| values[id.index()].as_ref()).collect();
            let mut results = Vec::new();
            self.prepare(index)?.run(&operands, &mut results)?;
            for (&id, result) in node.results.iter().zip(results) {
                if !observe(id, &result.to_f32()) {
                    return Ok(());
                }
                values[id.index()] = Some(result);
            }
        }
        Ok(())
    }

    fn prepare(&self, node: usize) -> Result<Box<dyn PreparedOp + '_>, NetworkError> {
        let node = &self.program.nodes[node];
        let weight = |id: &ValueId| {
            let value = self.program.value(*id);
            let stored = self.weights.get(&value.name).filter(|_| value.source == Source::Weight)?;
            // Some are stored flat.
            Tensor::clone(stored).reshaped(&value.ty.tensor()?.dims()).ok()
        };
        let shape = self.program.tensor_type(node.results[0]).ok_or("no result type")?.dims();
        Ok(Box::new(PlainOp { op: &node.op, shape, weights: node.operands.iter().map(weight).collect() }))
    }
}

impl PreparedOp for PlainOp<'_> {
    fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), NetworkError> {
        let tensors: Vec<&Tensor> = operands.iter().zip(&self.weights).filter_map(|(a, w)| a.or(w.as_ref())).collect();
        let data: Vec<&[f32]> = tensors.iter().filter_map(|t| t.as_f32()).collect();
        let shape = |i: usize| tensors[i].shape();
        let out = match self.op {
            Op::TopInput(_) | Op::TopReshape(_) => data[0].to_vec(),
            Op::TopConv(op) => {
                let out = conv(op, (data[0], shape(0)), (data[1], shape(1)), data.get(2).copied(), &self.shape);
                relu(out, op.do_relu, op.relu_limit)
            }
            Op::TopAdd(op) => relu(data[0].iter().zip(data[1]).map(|(a, b)| a + b).collect(), op.do_relu, op.relu_limit),
            Op::TopMaxPool(op) => pool(data[0], shape(0), &self.shape, &op.kernel_shape, &op.strides, |w| w.fold(f32::MIN, f32::max)),
            Op::TopAvgPool(op) => {
                let area = op.kernel_shape.iter().product::<i64>() as f64;
                pool(data[0], shape(0), &self.shape, &op.kernel_shape, &op.strides, |w| (w.map(f64::from).sum::<f64>() / area) as f32)
            }
            Op::TopMatMul(op) => relu(matmul(data[0], data[1], shape(1), data.get(2).copied()), op.do_relu, op.relu_limit),
            Op::TopSoftmax(_) => softmax(data[0]),
            other => return Err(format!("{} is not among the ops of these tests", other.name()).into()),
        };
        results.clear();
        results.push(Tensor::f32(&self.shape, out)?);
        Ok(())
    }
}

fn relu(mut x: Vec<f32>, on: bool, limit: f64) -> Vec<f32> {
    let limit = if limit > 0.0 { limit as f32 } else { f32::INFINITY };
    x.iter_mut().filter(|_| on).for_each(|v| *v = v.max(0.0).min(limit));
    x
}

fn conv(op: &top::Conv, (x, xs): (&[f32], &[usize]), (w, ws): (&[f32], &[usize]), bias: Option<&[f32]>, shape: &[usize]) -> Vec<f32> {
    let [_, channels, oh, ow] = *shape else { panic!("a 2-D convolution") };
    let (stride, pad) = (op.strides[0] as isize, op.pads[0] as isize);
    let (ih, iw, per_group) = (xs[2] as isize, xs[3] as isize, ws[1]);
    let out_per_group = channels / op.group as usize;
    let mut out = vec![0f32; channels * oh * ow];
    let mut sums = vec![0f64; oh * ow];
    for (c, plane) in out.chunks_mut(oh * ow).enumerate() {
        sums.fill(f64::from(bias.map_or(0.0, |b| b[c])));
        for ic in 0..per_group {
            let input = &x[(c / out_per_group * per_group + ic) * (ih * iw) as usize..];
            for (k, &weight) in w[(c * per_group + ic) * ws[2] * ws[3]..][..ws[2] * ws[3]].iter().enumerate() {
                let (ky, kx) = ((k / ws[3]) as isize - pad, (k % ws[3]) as isize - pad);
                for y in 0..oh {
                    let sy = y as isize * stride + ky;
                    if sy < 0 || sy >= ih {
                        continue;
                    }
                    for xo in 0..ow {
                        let sx = xo as isize * stride + kx;
                        if sx >= 0 && sx < iw {
                            sums[y * ow + xo] += f64::from(weight) * f64::from(input[(sy * iw + sx) as usize]);
                        }
                    }
                }
            }
        }
        plane.iter_mut().zip(&sums).for_each(|(o, s)| *o = *s as f32);
    }
    out
}

fn pool(x: &[f32], xs: &[usize], shape: &[usize], kernel: &[i64], strides: &[i64], reduce: impl Fn(&mut dyn Iterator<Item = f32>) -> f32) -> Vec<f32> {
    let (ih, iw) = (xs[2], xs[3]);
    let (oh, ow) = (shape[2], shape[3]);
    let (kh, kw) = (kernel[0] as usize, kernel[1] as usize);
    let mut out = Vec::new();
    for plane in x.chunks(ih * iw) {
        for (y, xo) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
            let (y, xo) = (y * strides[0] as usize, xo * strides[1] as usize);
            let mut window = (0..kh * kw).map(|k| plane[(y + k / kw) * iw + xo + k % kw]);
            out.push(reduce(&mut window));
        }
    }
    out
}

fn matmul(x: &[f32], w: &[f32], ws: &[usize], bias: Option<&[f32]>) -> Vec<f32> {
    let n = ws[1];
    let column = |row: &[f32], j: usize| {
        let product = row.iter().enumerate().map(|(k, &v)| f64::from(v) * f64::from(w[k * n + j])).sum::<f64>();
        (product + f64::from(bias.map_or(0.0, |b| b[j]))) as f32
    };
    x.chunks(ws[0]).flat_map(|row| (0..n).map(move |j| column(row, j))).collect()
}

fn softmax(x: &[f32]) -> Vec<f32> {
    let max = x.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f64> = x.iter().map(|v| f64::from(v - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| (p / sum) as f32).collect()
}
