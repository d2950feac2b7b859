//! What a Tpu op of 8-bit integers computes, by its definition (`spec/lowering.md` sections 3 and 4): an element at a time, in exact
//! integers where the chip's are, without a thought to speed. Written from the page, not from the interpreter.

use super::floats::Real;
use super::tensor::{Values, indices};
use half::{bf16, f16};
use tpuc_ops::{Elem, Family, Op, TensorType, tpu};
use tpuc_tensor::DType;

/// One op with its operands (absent ones are `None`).
pub struct Case<'a> {
    pub op: &'a Op,
    pub operands: &'a [Option<Values>],
    pub types: Vec<Option<TensorType>>,
    pub result: &'a TensorType,
    pub family: Family,
}

/// `v / 2^shift`, halves upwards.
fn half_up(v: i128, shift: i64) -> i128 {
    if shift <= 0 { v << -shift } else { (2 * v + (1 << shift)).div_euclid(1 << (shift + 1)) }
}

/// `v / 2^shift`, halves away from zero.
fn half_away(v: i128, shift: i64) -> i128 {
    if v < 0 { -half_up(-v, shift) } else { half_up(v, shift) }
}

/// As TFLite scales: a 31-bit multiplier, then a shift, each rounded.
fn high_product(v: i128, multiplier: i128, shift: i64) -> i128 {
    let v = if shift < 0 { (v << -shift).clamp(i128::from(i32::MIN), i128::from(i32::MAX)) } else { v };
    half_away(half_up(v * multiplier, 31).clamp(i128::from(i32::MIN), i128::from(i32::MAX)), shift.max(0))
}

fn range(elem: Elem) -> Option<(f64, f64)> {
    match elem.storage() {
        DType::I8 => Some((-128.0, 127.0)),
        DType::U8 => Some((0.0, 255.0)),
        DType::I32 => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        _ => None,
    }
}

/// What a result must be.
pub enum Wanted {
    Exact(Values),
    /// Real numbers, and the type to which the op rounds them.
    Near(Vec<Real>, DType),
}

impl Case<'_> {
    /// What the op computes, or `None` where these pages do not define it.
    pub fn wanted(&self) -> Option<Wanted> {
        match self.op {
            Op::TopInput(_) => Some(Wanted::Exact(self.x(0).clone())),
            // Views round nothing, not even what their operand's op left unrounded.
            Op::TpuReshape(_) | Op::TpuSqueeze(_) | Op::TpuUnsqueeze(_) => self.moved().map(Wanted::Exact),
            Op::TpuCast(op) => self.cast(op).map(Wanted::Exact),
            _ if range(self.result.elem).is_some() => self.integers().map(Wanted::Exact),
            _ => self.reals().map(|reals| Wanted::Near(reals, self.rounds_to())),
        }
    }

    fn integers(&self) -> Option<Values> {
        self.moved().or_else(|| self.elementwise()).or_else(|| self.summed())
    }

    pub(super) fn x(&self, index: usize) -> &Values {
        self.operands[index].as_ref().expect("an operand")
    }

    fn scale(&self, index: usize) -> f64 {
        self.types[index].as_ref().and_then(|t| t.elem.scale()).expect("a scale")
    }

    /// The integer of zero at an operand.
    fn zero(&self, index: usize) -> i128 {
        self.types.get(index).and_then(Option::as_ref).map_or(0, |t| t.elem.zero_point().into())
    }

    fn saturated(&self, v: i128) -> f64 {
        let (low, high) = range(self.result.elem).expect("an integer");
        (v as f64).clamp(low, high)
    }

    /// As [`Case::each`], with the result's zero point added.
    fn each_around(&self, f: impl Fn(&[usize]) -> i128) -> Option<Values> {
        let zero = i128::from(self.result.elem.zero_point());
        self.each(|at| f(at) + zero)
    }

    /// An element for each index of the result, saturated.
    fn each(&self, f: impl Fn(&[usize]) -> i128) -> Option<Values> {
        Some(Values::of(&self.result.dims(), |at| self.saturated(f(at))))
    }

    fn cast(&self, op: &tpu::Cast) -> Option<Values> {
        let from = self.types[0].as_ref()?.elem;
        let to = self.result.elem;
        let half = |dtype: DType, v: f32| match dtype {
            DType::F16 => f16::from_f32(v).to_f32(),
            DType::BF16 => bf16::from_f32(v).to_f32(),
            _ => v,
        };
        assert!(op.with_scale);
        let cv = self.family == Family::Cv18xx;
        let one = |x: f64| -> f64 {
            match (range(from), range(to)) {
                (None, Some((low, high))) => {
                    let dtype = from.storage();
                    let x = if cv { half(dtype, x as f32) } else { x as f32 };
                    // Where the type has no such reciprocal, its largest value stands for it.
                    let factor = half(dtype, (1.0 / to.scale().expect("a scale")) as f32);
                    let product = half(dtype, x * if factor.is_infinite() { f16::MAX.to_f32() } else { factor });
                    let whole = if cv { product.round_ties_even() } else { product.round() };
                    // NaN is the lowest.
                    (f64::from(whole) + to.zero_point() as f64).max(low).min(high)
                }
                (Some(_), None) => {
                    let dtype = if cv { DType::BF16 } else { to.storage() };
                    f64::from(half(dtype, (x - from.zero_point() as f64) as f32 * half(dtype, from.scale().expect("a scale") as f32)))
                }
                (None, None) if cv && from.storage() == DType::F32 && to.storage() == DType::BF16 => f64::from(f32::from_bits((x as f32).to_bits() >> 16 << 16)),
                (None, None) => f64::from(half(to.storage(), x as f32)),
                (Some(_), Some(_)) => x,
            }
        };
        Some(self.x(0).map(one))
    }

    /// Ops that move elements.
    pub(super) fn moved(&self) -> Option<Values> {
        let dims = self.result.dims();
        let x = || self.x(0);
        let plain = |source: &dyn Fn(&[usize]) -> Vec<usize>| Some(Values::of(&dims, |at| x().at(&source(at))));
        match self.op {
            Op::TpuReshape(_) | Op::TpuSqueeze(_) | Op::TpuUnsqueeze(_) => Some(Values { shape: dims, data: x().data.clone() }),
            Op::TpuPermute(op) => plain(&|at| {
                let mut source = vec![0; at.len()];
                op.order.iter().enumerate().for_each(|(d, &from)| source[from as usize] = at[d]);
                source
            }),
            Op::TpuSlice(op) => plain(&|at| at.iter().enumerate().map(|(d, &i)| (op.offset[d] + op.steps[d] * i as i64) as usize).collect()),
            Op::TpuTile(_) => plain(&|at| at.iter().zip(&x().shape).map(|(&i, &size)| i % size).collect()),
            Op::TpuReverse(op) => plain(&|at| at.iter().enumerate().map(|(d, &i)| if d as i64 == op.axis { x().shape[d] - 1 - i } else { i }).collect()),
            Op::TpuUpsample(op) => {
                let stretched = plain(&|at| vec![at[0], at[1], at[2] / op.scale_h as usize, at[3] / op.scale_w as usize])?;
                Some(self.above_zero(stretched, op.do_relu))
            }
            Op::TpuPad(op) => {
                let rank = dims.len();
                Some(Values::of(&dims, |at| {
                    let source: Vec<i64> = (0..rank).map(|d| at[d] as i64 - op.paddings[d]).collect();
                    let size = |d: usize| x().shape[d] as i64;
                    let inside = (0..rank).all(|d| (0..size(d)).contains(&source[d]));
                    // The border itself is repeated.
                    let again = i64::from(op.mode == tpu::PaddingMode::symmetric);
                    let mirrored = |d: usize| match source[d] {
                        i if i < 0 => -i - again,
                        i if i >= size(d) => 2 * (size(d) - 1) - i + again,
                        i => i,
                    };
                    match op.mode {
                        tpu::PaddingMode::constant if !inside => op.val,
                        tpu::PaddingMode::constant => x().at_signed(&source),
                        tpu::PaddingMode::edge => x().at_signed(&(0..rank).map(|d| source[d].clamp(0, size(d) - 1)).collect::<Vec<_>>()),
                        tpu::PaddingMode::reflect | tpu::PaddingMode::symmetric => x().at_signed(&(0..rank).map(mirrored).collect::<Vec<_>>()),
                    }
                }))
            }
            Op::TpuDepth2Space(op) => {
                assert!(op.in_is_NCHW && op.out_is_NCHW);
                let (h, w) = (op.block_h as usize, op.block_w as usize);
                // The channel of the deep tensor for a channel of the wide one and a place in the block.
                let deep = |channel: usize, row: usize, column: usize, channels: usize| {
                    let block = if op.swap_cr { column * h + row } else { row * w + column };
                    if op.is_CRD { channel * h * w + block } else { block * channels + channel }
                };
                match op.is_inversed {
                    false => plain(&|at| vec![at[0], deep(at[1], at[2] % h, at[3] % w, dims[1]), at[2] / h, at[3] / w]),
                    true => {
                        let mut result = Values::of(&dims, |_| f64::NAN);
                        for at in indices(&x().shape) {
                            let channel = deep(at[1], at[2] % h, at[3] % w, x().shape[1]);
                            *result.at_mut(&[at[0], channel, at[2] / h, at[3] / w]) = x().at(&at);
                        }
                        Some(result)
                    }
                }
            }
            Op::TpuConcat(op) => {
                assert!(op.multipliers.is_none());
                let joined = Values::of(&dims, |at| {
                    let mut at = at.to_vec();
                    for x in self.operands.iter().flatten() {
                        let size = x.shape[op.axis as usize];
                        if at[op.axis as usize] < size {
                            return x.at(&at);
                        }
                        at[op.axis as usize] -= size;
                    }
                    panic!("beyond the end")
                });
                Some(self.above_zero(joined, op.do_relu))
            }
            _ => None,
        }
    }

    fn above_zero(&self, values: Values, do_relu: bool) -> Values {
        let zero = self.result.elem.zero_point() as f64;
        if do_relu { values.map(|v| v.max(zero)) } else { values }
    }

    /// Ops of an element, or of elements that stand at one place.
    fn elementwise(&self) -> Option<Values> {
        // What the integers stand for, in steps.
        let a = |at: &[usize]| self.x(0).stretched(at) as i128 - self.zero(0);
        let b = |at: &[usize]| self.x(1).stretched(at) as i128 - self.zero(1);
        let relu = |do_relu: bool, v: i128| if do_relu { v.max(0) } else { v };
        match self.op {
            Op::TpuLut(_) => Some(self.x(0).map(|x| self.x(1).data[x.rem_euclid(256.0) as usize])),
            Op::TpuRelu(op) => {
                let limit = if op.relu_limit > 0.0 { (op.relu_limit / self.result.elem.scale()?).round() as i128 } else { i128::MAX };
                self.each(|at| a(at).clamp(0, limit))
            }
            Op::TpuActive(op) if op.mode == tpu::ActiveMode::ABSVAL => self.each_around(|at| a(at).abs()),
            Op::TpuRequantInt(op) => {
                assert_eq!(op.round_mode, tpu::RoundMode::HalfAwayFromZero);
                self.each_around(|at| half_away(a(at) * i128::from(op.multiplier), op.rshift.into()))
            }
            Op::TpuMulShift(op) => self.each_around(|at| relu(op.do_relu == Some(true), half_up(a(at) * i128::from(op.multiplier), op.rshift.into()))),
            Op::TpuMulConst(op) => self.each_around(|at| relu(op.do_relu, half_up(a(at) * i128::from(op.multiplier), op.rshift.into()))),
            Op::TpuAddConst(op) => self.each_around(|at| relu(op.do_relu, half_up(a(at) * i128::from(op.multiplier) + op.const_val as i128, op.rshift.into()))),
            Op::TpuSubConst(op) => self.each_around(|at| {
                // The constant has the zero point already.
                let difference = (a(at) + self.zero(0)) * i128::from(op.multiplier) - op.const_val as i128;
                relu(op.do_relu, half_up(if op.is_reverse { -difference } else { difference }, op.rshift.into()))
            }),
            Op::TpuMaxConst(op) => self.each_around(|at| half_up((a(at) * i128::from(op.multiplier)).max(op.const_val as i128), op.rshift.into())),
            Op::TpuMinConst(op) => self.each_around(|at| half_up((a(at) * i128::from(op.multiplier)).min(op.const_val as i128), op.rshift.into())),
            Op::TpuLeakyRelu(op) => {
                let negative = (op.multiplier_neg.or(op.multiplier)?, if op.multiplier_neg.is_some() { op.rshift_neg? } else { op.rshift? });
                let positive = if op.multiplier_neg.is_some() { (op.multiplier?, op.rshift?) } else { (1, 0) };
                self.each_around(|at| {
                    let (m, r) = if a(at) < 0 { negative } else { positive };
                    half_up(a(at) * i128::from(m), r.into())
                })
            }
            Op::TpuPReluOp(op) => {
                let positive = op.multiplier_pos.map_or((1, 0), |m| (m, op.rshift_pos.unwrap_or(0)));
                self.each(|at| if a(at) < 0 { half_up(a(at) * b(at), op.rshift.into()) } else { half_up(a(at) * i128::from(positive.0), positive.1.into()) })
            }
            Op::TpuMul(op) => match op.quant_mode {
                tpu::RequantMode::MultiplierShift => self.each_around(|at| relu(op.do_relu, half_up(a(at) * b(at) * i128::from(op.multiplier), op.rshift.into()))),
                _ => self.each_around(|at| relu(op.do_relu, high_product(a(at) * b(at), op.multiplier.into(), op.rshift.into()))),
            },
            // Operands, constants among them, are integers of the result's type.
            Op::TpuMax(tpu::Max { do_relu, .. }) | Op::TpuMin(tpu::Min { do_relu, .. }) => {
                let zero = i128::from(self.result.elem.zero_point());
                let own = |index: usize, at: &[usize]| self.x(index).stretched(at) as i128 - zero;
                let picked = |at: &[usize]| if matches!(self.op, Op::TpuMax(_)) { own(0, at).max(own(1, at)) } else { own(0, at).min(own(1, at)) };
                self.each_around(|at| relu(*do_relu, picked(at)))
            }
            Op::TpuAdd(op) => self.sum(op.multipliers.as_deref()?, op.rshifts.as_deref()?, &vec![1; self.operands.len()], op.do_relu),
            Op::TpuSub(op) => self.sum(op.multipliers.as_deref()?, op.rshifts.as_deref()?, if op.is_reverse { &[-1, 1] } else { &[1, -1] }, op.do_relu),
            // BM1684: the bias has the half already.
            Op::TpuScale(op) => self.each(|at| {
                let channel = |index: usize| self.operands[index].as_ref().map_or(0, |v| v.data[at[1]] as i128);
                relu(op.do_relu, (a(at) * channel(1) + channel(2)) >> -channel(3))
            }),
            Op::TpuCompare(op) => self.each(|at| i128::from(holds(&op.mode, a(at) as f64, b(at) as f64))),
            Op::TpuCompareConst(op) => self.each(|at| i128::from(if op.inversed { holds(&op.mode, op.const_val, a(at) as f64) } else { holds(&op.mode, a(at) as f64, op.const_val) })),
            Op::TpuWhere(op) => self.each(|at| {
                let branch = |index: usize, is_const: bool, c: f64| if is_const { c.round() as i128 } else { self.x(index).stretched(at) as i128 };
                if a(at) != 0 { branch(1, op.x_is_const, op.x_const_val) } else { branch(2, op.y_is_const, op.y_const_val) }
            }),
            Op::TpuMaskedFill(op) => self.each(|at| if (a(at) != 0) == op.inversed { b(at) } else { op.const_val.round() as i128 }),
            _ => None,
        }
    }

    /// CV18xx sums first and scales once (in floats that hold such sums exactly), the others scale each.
    fn sum(&self, multipliers: &[i64], shifts: &[i64], signs: &[i128], relu: bool) -> Option<Values> {
        self.each_around(|at| {
            let product = |i: usize| (self.x(i).stretched(at) as i128 - self.zero(i)) * i128::from(multipliers[i]);
            let count = 0..self.operands.len();
            let v = match self.family {
                Family::Cv18xx => half_up(count.map(|i| signs[i] * product(i)).sum(), shifts[0]),
                _ => count.map(|i| signs[i] * half_up(product(i), shifts[i])).sum(),
            };
            if relu { v.max(0) } else { v }
        })
    }

    /// Ops that add products, and those that scale sums.
    fn summed(&self) -> Option<Values> {
        match self.op {
            Op::TpuConv2D(op) => self.conv(op),
            Op::TpuDeconv(op) => self.deconv(op),
            Op::TpuMatMul(op) => self.matmul(op),
            Op::TpuPool2D(op) => self.pool(op),
            Op::TpuPool1D(op) => self.pool(&op.clone().into()),
            Op::TpuSoftmax(op) => self.softmax(op),
            Op::TpuReduce(op) => {
                let x = self.x(0);
                let gone: Vec<usize> = op.axes.iter().map(|&a| if a < 0 { a + x.shape.len() as i64 } else { a } as usize).collect();
                let kept: Vec<usize> = x.shape.iter().enumerate().map(|(d, &size)| if gone.contains(&d) { 1 } else { size }).collect();
                let sum = |place: &[usize]| {
                    let of_place = indices(&x.shape).into_iter().filter(|i| (0..i.len()).all(|d| gone.contains(&d) || i[d] == place[d]));
                    of_place.map(|i| x.at(&i) as i128).sum::<i128>()
                };
                let (m, r) = (op.multiplier.as_ref()?[0], op.rshift.as_ref()?[0]);
                let data = indices(&kept).iter().map(|place| self.saturated(half_up(sum(place) * i128::from(m), r))).collect();
                Some(Values { shape: self.result.dims(), data })
            }
            Op::TpuRequantIntAxis(op) => {
                assert_eq!(op.round_mode, tpu::RoundMode::HalfAwayFromZero);
                let rows = self.x(1);
                let width = rows.data.len() / self.result.dims()[1];
                self.each(|at| {
                    let row = &rows.data[at[1] * width..][..width];
                    let (shift, zero_point) = if width == 3 { (-row[1], row[2]) } else { (-f64::from(row[1] as i32 as i16), f64::from(row[1] as i32 >> 16)) };
                    half_away(self.x(0).at(at) as i128 * row[0] as i128, shift as i64) + zero_point as i128
                })
            }
            _ => None,
        }
    }

    /// A sum of a channel, requantized.
    fn requantized(&self, sum: i128, channel: usize, multipliers: Option<&[i64]>, shifts: Option<&[i64]>, mode: tpu::RequantMode, relu: bool) -> i128 {
        let of = |list: Option<&[i64]>, absent: i64| list.map_or(absent, |l| l[if l.len() == 1 { 0 } else { channel }]);
        let (multiplier, shift) = (of(multipliers, 1), of(shifts, 0));
        let v = if mode == tpu::RequantMode::QDM { high_product(sum, multiplier.into(), shift) } else { half_up(sum * i128::from(multiplier), shift) };
        if relu { v.max(0) } else { v }
    }

    fn bias(&self, channel: usize) -> i128 {
        self.operands.get(2).and_then(Option::as_ref).map_or(0, |b| b.data[channel] as i128)
    }

    fn conv(&self, op: &tpu::Conv2D) -> Option<Values> {
        let (x, filter) = (self.x(0), self.x(1));
        let (inputs, outputs) = (filter.shape[1], filter.shape[0] / op.group as usize);
        let dilation = |d: usize| op.dilations.as_ref().map_or(1, |l| l[d]);
        // Padding adds nothing; what the zero point adds to the whole filter's sum is in the bias.
        let row = filter.data.len() / filter.shape[0];
        let folded = |channel: usize| self.zero(0) * filter.data[channel * row..][..row].iter().sum::<f64>() as i128;
        self.each_around(|at| {
            let mut sum = self.bias(at[1]) + folded(at[1]);
            for tap in indices(&filter.shape[1..]) {
                let mut place = vec![at[0] as i64, (at[1] / outputs * inputs + tap[0]) as i64];
                place.extend((0..op.kernel_shape.len()).map(|d| at[d + 2] as i64 * op.strides[d] + tap[d + 1] as i64 * dilation(d) - op.pads[d]));
                let weight = filter.at(&[&[at[1]], &tap[..]].concat());
                let value = if x.has(&place) { x.at_signed(&place) as i128 - self.zero(0) } else { 0 };
                sum += value * weight as i128;
            }
            self.requantized(sum, at[1], op.multiplier.as_deref(), op.rshift.as_deref(), op.quant_mode, op.do_relu)
        })
    }

    /// Where an element of the input meets a tap of the filter, their product is added to the result.
    fn deconv(&self, op: &tpu::Deconv) -> Option<Values> {
        let x = self.x(0);
        let (group, dims) = (op.group as usize, self.result.dims());
        let (inputs, outputs) = (x.shape[1] / group, dims[1] / group);
        let kernel: Vec<usize> = op.kernel_shape.iter().map(|&k| k as usize).collect();
        let taps = indices(&kernel);
        let dilation = |d: usize| op.dilations.as_ref().map_or(1, |l| l[d]);
        let row = self.x(1).data.len() / dims[1];
        let folded = |channel: usize| self.zero(0) as f64 * self.x(1).data[channel * row..][..row].iter().sum::<f64>();
        let mut sums = Values::of(&dims, |at| self.bias(at[1]) as f64 + folded(at[1]));
        for from in indices(&x.shape) {
            for (tap, offset) in taps.iter().enumerate() {
                let spatial: Vec<i64> = (0..kernel.len()).map(|d| from[d + 2] as i64 * op.strides[d] + offset[d] as i64 * dilation(d) - op.pads[d]).collect();
                if !spatial.iter().zip(&dims[2..]).all(|(&p, &size)| (0..size as i64).contains(&p)) {
                    continue;
                }
                for o in 0..outputs {
                    let channel = from[1] / inputs * outputs + o;
                    let weight = self.x(1).data[(channel * inputs + from[1] % inputs) * taps.len() + tap];
                    let mut to = vec![from[0], channel];
                    to.extend(spatial.iter().map(|&p| p as usize));
                    *sums.at_mut(&to) += (x.at(&from) - self.zero(0) as f64) * weight;
                }
            }
        }
        match self.result.elem.storage() {
            DType::I32 => self.each(|at| if op.do_relu { sums.at(at).max(0.0) as i128 } else { sums.at(at) as i128 }),
            _ => self.each(|at| self.requantized(sums.at(at) as i128, at[1], op.multiplier.as_deref(), op.rshift.as_deref(), op.quant_mode, op.do_relu)),
        }
    }

    fn matmul(&self, op: &tpu::MatMul) -> Option<Values> {
        let (left, right) = (self.x(0), self.x(1));
        let dims = self.result.dims();
        let rank = left.shape.len();
        let depth = left.shape[if op.left_transpose { rank - 2 } else { rank - 1 }];
        self.each_around(|at| {
            let (batch, row, column) = (&at[..dims.len() - 2], at[dims.len() - 2], at[dims.len() - 1]);
            let mut sum = self.bias(column);
            for k in 0..depth {
                let pair = |swap: bool, a: usize, b: usize| if swap { [b, a] } else { [a, b] };
                let l = left.stretched(&[batch, &pair(op.left_transpose, row, k)].concat());
                let r = right.stretched(&[batch, &pair(op.right_transpose, k, column)].concat());
                sum += l as i128 * r as i128;
            }
            self.requantized(sum, column, Some(&op.multipliers), Some(&op.rshifts), op.quant_mode, op.do_relu)
        })
    }

    fn pool(&self, op: &tpu::Pool2D) -> Option<Values> {
        let x = self.x(0);
        let kernel: Vec<usize> = op.kernel_shape.iter().map(|&k| k as usize).collect();
        let area = kernel.iter().product::<usize>();
        let spatial = kernel.len();
        let size = |d: usize| (x.shape[d + 2] as i64 + op.pads[d] + op.pads[d + spatial] - op.kernel_shape[d]) / op.strides[d] + 1;
        let dims: Vec<usize> = x.shape[..2].iter().copied().chain((0..spatial).map(|d| size(d) as usize)).collect();
        let one = |at: &[usize]| {
            let along = |d: usize, tap: usize| at[d + 2] as i64 * op.strides[d] + tap as i64 - op.pads[d];
            let place = |tap: &Vec<usize>| [at[0] as i64, at[1] as i64].into_iter().chain(tap.iter().enumerate().map(|(d, &tap)| along(d, tap))).collect::<Vec<_>>();
            let window: Vec<i128> = indices(&kernel).iter().map(place).filter(|p| x.has(p)).map(|p| x.at_signed(&p) as i128).collect();
            let v = match op.pool_mode {
                // Scale and offset in f32; the scale is that of the taps which count, padding counts as zero point.
                tpu::PoolMode::Avg if op.scale.is_some() => {
                    let divisor = if op.count_include_pad { area } else { window.len() };
                    let scale = (op.scale.expect("a scale") * area as f64 / divisor as f64) as f32;
                    let padding = if op.count_include_pad { self.zero(0) * (area - window.len()) as i128 } else { 0 };
                    let sum = (window.iter().sum::<i128>() + padding) as f32;
                    (sum * scale + op.offset.expect("an offset") as f32).round() as i128
                }
                tpu::PoolMode::Avg => {
                    let divisor = if op.count_include_pad { area } else { window.len() };
                    let mean = window.iter().sum::<i128>() as f32 / divisor as f32;
                    let v = match self.family {
                        _ if divisor == area => window.iter().sum::<i128>(),
                        Family::Cv18xx => (mean * area as f32 + 0.5).floor() as i128,
                        _ => (mean * area as f32).round() as i128,
                    };
                    half_up(v * i128::from(op.multiplier.expect("a multiplier")), op.rshift.expect("a shift").into())
                }
                _ => window.into_iter().max().expect("a window that is not empty"),
            };
            self.saturated(if op.do_relu { v.max(self.result.elem.zero_point().into()) } else { v })
        };
        let pooled = Values::of(&dims, one);
        Some(Values { shape: self.result.dims(), data: pooled.data })
    }

    /// `table[largest - x]` over their sum in f32, in the order of the channels.
    fn softmax(&self, op: &tpu::Softmax) -> Option<Values> {
        let (x, table) = (self.x(0), self.x(1));
        let (axis, scale) = (op.axis as usize, self.result.elem.scale()?);
        let (low, high) = range(self.result.elem)?;
        assert_eq!(self.scale(0) * 0.0, 0.0);
        Some(Values::of(&self.result.dims(), |at| {
            let along = |i: usize| {
                let mut at = at.to_vec();
                at[axis] = i;
                x.at(&at)
            };
            let largest = (0..x.shape[axis]).map(along).fold(f64::MIN, f64::max);
            let exponential = |i: usize| table.data[(largest - along(i)) as usize] as f32;
            let sum = (0..x.shape[axis]).fold(0f32, |sum, i| sum + exponential(i));
            let p = exponential(at[axis]) / (sum * scale as f32);
            f64::from(if low < 0.0 { p.round() } else { (p + 0.5).trunc() }).clamp(low, high)
        }))
    }
}

pub(super) fn holds(mode: &str, a: f64, b: f64) -> bool {
    match mode {
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Equal" => a == b,
        "NotEqual" => a != b,
        "And" => a != 0.0 && b != 0.0,
        "Xor" => (a != 0.0) != (b != 0.0),
        "Not" => a == 0.0,
        other => panic!("mode {other}"),
    }
}
