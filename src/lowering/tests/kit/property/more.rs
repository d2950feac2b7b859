//! Functions of one value, norms, reductions, resizing.

use super::network::{Network, Random};
use tpuc_ops::{Family, Op, ValueId, top};

pub const FUNCTIONS: usize = 46;
pub const MORE: usize = 12;

impl Network {
    /// Numbers from 0.5 to 2, by channel from another threshold: what logarithms, roots and quotients take.
    pub(super) fn far_from_zero(&mut self, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let share = self.push(top::Sigmoid::default(), &[x])?;
        self.push(top::AddConst { const_val: f64::from(random.float(0.5, 1.0)), ..Default::default() }, &[share])
    }

    pub(super) fn positive_weight(&mut self, shape: &[i64], random: &mut Random) -> ValueId {
        self.weight(shape, 0.5, 2.0, random)
    }

    /// Functions of one value.
    pub(super) fn function(&mut self, kind: usize, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let (do_relu, c) = (random.flag(), f64::from(random.float(-1.5, 1.5)));
        let positive = f64::from(random.float(0.1, 2.0));
        let shape = self.shape(x);
        let op: Op = match kind {
            0 => top::Sigmoid::default().into(),
            1 => top::Sigmoid { scale: positive, bias: positive / 3.0, log: random.flag(), ..Default::default() }.into(),
            2 => top::Tanh::default().into(),
            3 => top::GELU::default().into(),
            4 => top::GELU { approx_mode: "tanh".into(), ..Default::default() }.into(),
            5 => top::GELU { approx_mode: "sigm".into(), ..Default::default() }.into(),
            6 => top::Softplus::default().into(),
            7 => top::Abs::default().into(),
            8 => top::Ceil::default().into(),
            9 => top::Cos::default().into(),
            10 => top::Cosh::default().into(),
            11 => top::Elu { alpha: positive, quantize_mode: None }.into(),
            12 => top::Erf::default().into(),
            13 => top::Exp::default().into(),
            14 => top::Floor::default().into(),
            15 => top::HardSigmoid { alpha: positive / 2.0, beta: positive / 3.0, quantize_mode: None }.into(),
            16 => top::HardSwish::default().into(),
            17 => top::Mish::default().into(),
            18 => top::Pow { exponent: f64::from(random.next(2, 4) as i32), quantize_mode: None }.into(),
            19 => top::Pow2 { const_val: positive, quantize_mode: None }.into(),
            20 => top::Round::default().into(),
            21 => top::Sign::default().into(),
            22 => top::SiLU::default().into(),
            23 => top::Sin::default().into(),
            24 => top::Sinh::default().into(),
            25 => top::Softsign::default().into(),
            26 => top::Swish { beta: positive, ..Default::default() }.into(),
            27 => top::LeakyRelu { alpha: f64::from(random.float(0.01, 0.9)), ..Default::default() }.into(),
            28 => top::Relu::default().into(),
            29 => top::Relu { relu_limit: 1.0, ..Default::default() }.into(),
            30 => top::Clip { min: -positive, max: positive, quantize_mode: None }.into(),
            31 => top::AddConst { const_val: c, do_relu, ..Default::default() }.into(),
            32 => top::SubConst { const_val: c, do_relu, is_reverse: random.flag(), ..Default::default() }.into(),
            33 => top::MulConst { const_val: c, do_relu, ..Default::default() }.into(),
            34 => top::MaxConst { const_val: c, ..Default::default() }.into(),
            35 => top::MinConst { const_val: c, ..Default::default() }.into(),
            36..=41 => {
                let x = self.far_from_zero(x, random)?;
                let op: Op = match kind {
                    36 => top::Log::default().into(),
                    37 => top::Sqrt::default().into(),
                    38 => top::Rsqrt::default().into(),
                    39 => top::Reciprocal { const_val: if random.flag() { 1.0 } else { positive }, do_relu, ..Default::default() }.into(),
                    40 => top::Pow { exponent: c, quantize_mode: None }.into(),
                    _ => {
                        let small = self.push(top::MulConst { const_val: 0.7, ..Default::default() }, &[x])?;
                        return self.push(top::Tan::default(), &[small]);
                    }
                };
                return self.push(op, &[x]);
            }
            42 | 43 if shape.len() == 4 => {
                let slope = self.weight(&[shape[1], 1, 1], -0.5, 0.5, random);
                return self.push(top::PRelu::default(), &[x, slope]);
            }
            44 if shape.len() >= 2 => {
                let (scale, bias) = (self.weight(&[shape[1]], -1.0, 1.0, random), self.weight(&[shape[1]], -1.0, 1.0, random));
                return self.push(top::Scale { do_relu, ..Default::default() }, &[x, scale, bias]);
            }
            // On BM1684 it is turned into a Scale before, and nobody has it of three spatial dimensions.
            45 if (2..=4).contains(&shape.len()) && self.family != Family::Bm1684 => {
                let (mean, variance) = (self.weight(&[shape[1]], -1.0, 1.0, random), self.positive_weight(&[shape[1]], random));
                let (gamma, beta) = (self.affine(&shape[1..2], random), self.affine(&shape[1..2], random));
                return self.push(top::BatchNorm { do_relu, ..Default::default() }, &[x, mean, variance, gamma, beta]);
            }
            _ => return None,
        };
        self.push(op, &[x])
    }

    /// A weight, or none.
    fn affine(&mut self, shape: &[i64], random: &mut Random) -> ValueId {
        if random.flag() { self.weight(shape, -1.0, 1.0, random) } else { self.program.none() }
    }

    /// Softmax, norms, reductions, resizing.
    pub(super) fn more(&mut self, kind: usize, x: ValueId, _: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let rank = shape.len() as i64;
        let eps = f64::from(random.pick(&[1e-5f32, 1e-3, 0.1]));
        match kind {
            0 => self.push(top::Softmax { axis: random.next(0, rank - 1) as i32, beta: if random.flag() { 1.0 } else { 0.5 }, ..Default::default() }, &[x]),
            // CV18xx has no form of it.
            1 => self.push(top::Softmax { axis: random.next(0, rank - 1) as i32, log: self.family != Family::Cv18xx, ..Default::default() }, &[x]),
            2 => {
                let axis = random.next(1.min(rank - 1), rank - 1);
                let normalized_shape = shape[axis as usize..].to_vec();
                let (weight, bias) = (self.affine(&normalized_shape, random), self.affine(&normalized_shape, random));
                self.push(top::LayerNorm { normalized_shape, axis: axis as i32, eps, quantize_mode: None }, &[x, weight, bias])
            }
            3 if rank >= 3 => {
                let (weight, bias) = (self.affine(&shape[1..2], random), self.affine(&shape[1..2], random));
                self.push(top::InstanceNorm { eps, quantize_mode: None }, &[x, weight, bias])
            }
            4 if rank >= 3 => {
                let num_groups = if shape[1] % 2 == 0 { 2 } else { 1 };
                let (weight, bias) = (self.affine(&shape[1..2], random), self.affine(&shape[1..2], random));
                self.push(top::GroupNorm { num_groups, eps, quantize_mode: None }, &[x, weight, bias])
            }
            5..=7 => {
                let mode = random.pick(&["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"]);
                let mut axes = vec![random.next(0, rank - 1)];
                if random.next(0, 5) == 0 {
                    axes = (0..rank).collect();
                }
                if random.flag() && rank > 2 && axes.len() == 1 {
                    axes.push((axes[0] + random.next(1, rank - 1)) % rank);
                    axes.sort_unstable();
                }
                self.push(top::Reduce { axes, keepdims: rank < 4 || random.flag(), mode: mode.into(), is_scalar: false, quantize_mode: None }, &[x])
            }
            8 => {
                let axis = random.next(0, rank - 1);
                self.arg(x, axis, random)
            }
            9..=11 if rank == 4 || rank == 3 => {
                let none = self.program.none();
                let mode = random.pick(&["nearest", "linear"]);
                let coord_mode = random.pick(&["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]);
                let (scale_h, scale_w) = (random.pick(&[0.5, 1.0, 1.5, 2.0]), random.pick(&[0.4, 0.75, 1.3, 2.0]));
                self.push(top::Interp { mode: mode.into(), coord_mode: coord_mode.into(), scale_h, scale_w, quantize_mode: None }, &[x, none])
            }
            _ => None,
        }
    }

    pub(super) fn arg(&mut self, x: ValueId, axis: i64, random: &mut Random) -> Option<ValueId> {
        let mode = random.pick(&["ArgMax", "ArgMin"]);
        self.push(top::Arg { axis, keepdims: random.flag(), mode: mode.into(), select_last_index: random.flag(), quantize_mode: None }, &[x])
    }
}
