//! Random float networks of the ops that have an integer form.

use tpuc_ops::{Op, Program, TensorType, ValueId, top};
use tpuc_tensor::{Tensor, WeightStore};

/// xorshift: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `low` to `high`, both included.
    pub fn next(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }

    pub fn flag(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    pub fn float(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.next(0, list.len() as i64 - 1) as usize]
    }
}

pub struct Network {
    pub program: Program,
    pub weights: WeightStore,
    pub inputs: Vec<Tensor>,
}

impl Network {
    /// Two inputs and up to ten ops, each of one or two values that there are.
    pub fn random(random: &mut Random) -> Network {
        let mut net = Network { program: Program::new("net"), weights: WeightStore::new(), inputs: Vec::new() };
        let mut values = Vec::new();
        let channels = random.pick(&[2, 4, 6]);
        for _ in 0..2 {
            let shape = [random.next(1, 2), channels, random.next(4, 9), random.next(4, 9)];
            let low = if random.flag() { -3.0 } else { 0.0 };
            let x = net.input(&shape, low, random);
            values.push(x);
        }
        let mut used = Vec::new();
        for _ in 0..random.next(3, 10) {
            // The newest values are read most.
            let x = values[values.len() - 1 - random.next(0, 2.min(values.len() as i64 - 1)) as usize];
            let y = values[random.next(0, values.len() as i64 - 1) as usize];
            if let Some(result) = net.op(x, y, random) {
                used.extend([x, y]);
                values.push(result);
            }
        }
        net.program.outputs = values.iter().skip(2).copied().collect();
        if net.program.outputs.is_empty() {
            let x = values[0];
            let y = net.push(top::Relu::default(), &[x]).expect("a Relu");
            net.program.outputs.push(y);
        }
        net
    }

    fn input(&mut self, shape: &[i64], low: f32, random: &mut Random) -> ValueId {
        let (index, ty) = (self.inputs.len(), TensorType::f32(shape));
        let dims = ty.dims();
        self.inputs.push(Tensor::f32(&dims, (0..dims.iter().product()).map(|_| random.float(low, 3.0)).collect()).unwrap());
        let argument = self.program.add_input(format!("arg{index}"), ty.clone());
        self.program.push(top::Input::default(), &[argument], format!("in{index}"), ty)
    }

    fn weight(&mut self, shape: &[i64], low: f32, high: f32, random: &mut Random) -> ValueId {
        let (name, ty) = (format!("w{}", self.weights.len()), TensorType::f32(shape));
        let dims = ty.dims();
        self.weights.insert(name.clone(), Tensor::f32(&dims, (0..dims.iter().product()).map(|_| random.float(low, high)).collect()).unwrap());
        self.program.add_weight(name, ty)
    }

    /// The op's result; nothing where shapes do not fit or become large.
    fn push(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> Option<ValueId> {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).ok()?.remove(0);
        if shape.is_empty() || shape.iter().product::<i64>() > 3000 || shape.iter().any(|&d| d < 1) {
            return None;
        }
        let name = format!("n{}_{}", self.program.nodes.len(), op.name().trim_start_matches("top."));
        Some(self.program.push(op, operands, name, TensorType::f32(&shape)))
    }

    fn shape(&self, value: ValueId) -> Vec<i64> {
        self.program.tensor_type(value).expect("a tensor").shape.clone()
    }

    fn op(&mut self, x: ValueId, y: ValueId, random: &mut Random) -> Option<ValueId> {
        match random.next(0, 5) {
            0 | 1 => self.product(x, random),
            2 => self.movement(x, random),
            3 => self.function(x, random),
            _ => self.pair(x, y, random),
        }
    }

    /// Ops with weights, and pools.
    fn product(&mut self, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let low = if random.next(0, 5) == 0 { 0.0 } else { -1.0 };
        let do_relu = random.flag();
        if shape.len() != 4 || random.next(0, 5) == 0 {
            let columns = random.next(1, 7);
            let depth = *shape.last()?;
            let right_transpose = random.flag();
            let right = self.weight(&if right_transpose { [columns, depth] } else { [depth, columns] }, -1.0, 1.0, random);
            let bias = if random.flag() { self.weight(&[columns], -1.0, 1.0, random) } else { self.program.none() };
            let op = top::MatMul { right_transpose, do_relu, ..Default::default() };
            return self.push(op, &[x, right, bias]);
        }
        let channels = shape[1];
        let kernel = [random.next(1, 3), random.next(1, 3)];
        let strides = vec![random.next(1, 2), random.next(1, 2)];
        let pads: Vec<i64> = (0..4).map(|d| random.next(0, kernel[d % 2] - 1)).collect();
        let group = match random.next(0, 3) {
            0 => channels,
            1 if channels % 2 == 0 => 2,
            _ => 1,
        };
        match random.next(0, 3) {
            0 => {
                let outputs = group * random.next(1, 3);
                let filter = self.weight(&[outputs, channels / group, kernel[0], kernel[1]], low, 1.0, random);
                let bias = if random.flag() { self.weight(&[outputs], -1.0, 1.0, random) } else { self.program.none() };
                let dilations = Some(vec![random.next(1, 2), 1]);
                self.push(top::Conv { kernel_shape: kernel.to_vec(), strides, pads, group, dilations, do_relu, ..Default::default() }, &[x, filter, bias])
            }
            1 => {
                let outputs = random.next(1, 3);
                let filter = self.weight(&[outputs, channels, kernel[0], kernel[1]], low, 1.0, random);
                let bias = if random.flag() { self.weight(&[outputs * group], -1.0, 1.0, random) } else { self.program.none() };
                let dilations = Some(vec![1, random.next(1, 2)]);
                let output_padding = Some(strides.iter().map(|s| s - 1).collect());
                self.push(top::Deconv { kernel_shape: kernel.to_vec(), strides, pads, group, dilations, output_padding, do_relu, ..Default::default() }, &[x, filter, bias])
            }
            2 => {
                let pads: Vec<i64> = (0..4).map(|d| random.next(0, kernel[d % 2] / 2)).collect();
                self.push(top::AvgPool { kernel_shape: kernel.to_vec(), strides, pads, count_include_pad: random.flag(), do_relu, keepdims: true, ..Default::default() }, &[x])
            }
            _ => {
                let pads: Vec<i64> = (0..4).map(|d| random.next(0, kernel[d % 2] / 2)).collect();
                self.push(top::MaxPool { kernel_shape: kernel.to_vec(), strides, pads, keepdims: true, ..Default::default() }, &[x])
            }
        }
    }

    fn movement(&mut self, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let rank = shape.len();
        match random.next(0, 9) {
            0 => {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                (1..rank).for_each(|d| order.swap(d, random.next(0, d as i64) as usize));
                self.push(top::Permute { order, quantize_mode: None }, &[x])
            }
            1 => {
                let none = self.program.none();
                let steps: Vec<i64> = (0..rank).map(|_| random.next(1, 2)).collect();
                let offset: Vec<i64> = shape.iter().map(|&d| random.next(0, (d - 1).min(2))).collect();
                self.push(top::Slice { offset, steps, ends: shape, axes: vec![], hasparamConvert_axes: vec![], quantize_mode: None }, &[x, none, none, none])
            }
            2 => {
                let flat = vec![shape[0], shape[1..].iter().product()];
                self.push(top::Reshape { shape: Some(flat), ..Default::default() }, &[x])
            }
            3 => self.push(top::Tile { tile: Some((0..rank).map(|_| random.next(1, 2)).collect()), quantize_mode: None }, &[x]),
            4 => self.push(top::Reverse { axis: random.next(0, rank as i64 - 1), quantize_mode: None }, &[x]),
            5 if rank == 4 => self.push(top::Upsample { scale_h: 2, scale_w: random.next(1, 3), do_relu: false, relu_limit: -1.0, quantize_mode: None }, &[x]),
            6 if rank == 4 => {
                let (block_h, block_w) = (random.next(1, 2), random.next(1, 2));
                let op = top::Depth2Space { block_h, block_w, is_CRD: random.flag(), is_inversed: false, in_is_NCHW: true, out_is_NCHW: true, swap_cr: false, quantize_mode: None };
                if shape[1] % (block_h * block_w) == 0 { self.push(op, &[x]) } else { None }
            }
            7 => {
                let paddings = (0..2 * rank).map(|d| if d % rank < 1 { 0 } else { random.next(0, (shape[d % rank] - 1).min(2)) }).collect();
                let mode = random.pick(&["constant", "reflect", "edge"]);
                self.push(top::Pad { paddings, val: if mode == "constant" { f64::from(random.float(-1.0, 1.0)) } else { 0.0 }, mode: mode.into(), quantize_mode: None }, &[x])
            }
            8 => self.push(top::Unsqueeze { axes: vec![0], quantize_mode: None }, &[x]).filter(|_| rank < 4),
            _ => {
                let row: Vec<i64> = shape.iter().map(|&d| if d == 1 { 2 } else { d }).collect();
                self.push(top::Expand { shape: row, quantize_mode: None }, &[x])
            }
        }
    }

    /// Functions of one value.
    fn function(&mut self, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let (do_relu, c) = (random.flag(), f64::from(random.float(-1.5, 1.5)));
        let shape = self.shape(x);
        match random.next(0, 16) {
            0 => self.push(top::Sigmoid::default(), &[x]),
            1 => self.push(top::Tanh::default(), &[x]),
            2 => self.push(top::GELU::default(), &[x]),
            3 => self.push(top::Softplus::default(), &[x]),
            4 => self.push(top::Abs::default(), &[x]),
            5 => self.push(top::LeakyRelu { alpha: f64::from(random.float(0.01, 0.9)), ..Default::default() }, &[x]),
            6 => self.push(top::Relu::default(), &[x]),
            7 => self.push(top::Relu { relu_limit: 1.0, ..Default::default() }, &[x]),
            8 => self.push(top::AddConst { const_val: c, do_relu, ..Default::default() }, &[x]),
            9 => self.push(top::SubConst { const_val: c, do_relu, is_reverse: random.flag(), ..Default::default() }, &[x]),
            10 => self.push(top::MulConst { const_val: c, do_relu, ..Default::default() }, &[x]),
            11 => self.push(top::MaxConst { const_val: c, ..Default::default() }, &[x]),
            12 => self.push(top::MinConst { const_val: c, ..Default::default() }, &[x]),
            13 if shape.len() == 4 => {
                let slope = self.weight(&[shape[1], 1, 1], -0.5, 0.5, random);
                self.push(top::PRelu::default(), &[x, slope])
            }
            14 if shape.len() == 4 => {
                let (scale, bias) = (self.weight(&[1, shape[1], 1, 1], -1.0, 1.0, random), self.weight(&[1, shape[1], 1, 1], -1.0, 1.0, random));
                self.push(top::Scale { do_relu, ..Default::default() }, &[x, scale, bias])
            }
            15 => {
                let mode = random.pick(&["ReduceMean", "ReduceSum"]);
                self.push(top::Reduce { axes: vec![random.next(0, shape.len() as i64 - 1)], keepdims: true, mode: mode.into(), is_scalar: false, quantize_mode: None }, &[x])
            }
            _ => self.push(top::Softmax { axis: 1, ..Default::default() }, &[x]),
        }
    }

    /// Ops of two values, or of one and a constant.
    fn pair(&mut self, x: ValueId, other: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let same = self.shape(other) == shape;
        let y = match random.next(0, 2) {
            0 => self.weight(&shape[1..], -1.0, 1.0, random),
            1 => {
                let row: Vec<i64> = shape.iter().enumerate().map(|(d, &size)| if d == 1 { size } else { 1 }).collect();
                self.weight(&row, 0.0, 1.0, random)
            }
            _ if same => other,
            _ => x,
        };
        let do_relu = random.flag();
        match random.next(0, 8) {
            0 => self.push(top::Add { do_relu, ..Default::default() }, &[x, y]),
            1 => self.push(top::Sub { do_relu, is_reverse: random.flag(), ..Default::default() }, &[x, y]),
            2 => self.push(top::Mul { do_relu, ..Default::default() }, &[x, y]),
            3 => self.push(top::Max::default(), &[x, y]),
            4 => self.push(top::Min::default(), &[x, y]),
            5 => {
                let axis = random.next(1, shape.len() as i64 - 1).max(0) as i32;
                let second = if same { other } else { x };
                self.push(top::Concat { axis, ..Default::default() }, &[x, second, x])
            }
            6 => {
                let none = self.program.none();
                let mut order: Vec<i64> = (0..shape.len() as i64).collect();
                let last = order.len();
                if last < 2 {
                    return None;
                }
                order.swap(last - 1, last - 2);
                let right = self.push(top::Permute { order, quantize_mode: None }, &[x])?;
                self.push(top::MatMul { do_relu, ..Default::default() }, &[x, right, none])
            }
            7 if same => {
                let condition = self.push(top::Compare { mode: "Less".into(), quantize_mode: None }, &[x, other])?;
                self.push(top::Where { x_is_const: random.flag(), y_is_const: false, x_const_val: 0.5, y_const_val: 0.0, quantize_mode: None }, &[condition, x, other])
            }
            _ => self.push(top::Add { coeff: Some(vec![1.0, f64::from(random.float(0.1, 2.0))]), ..Default::default() }, &[x, y]),
        }
    }
}
