//! Random float networks. `more.rs` has the functions of one value and the ops that run in floats everywhere.

use super::more::{FUNCTIONS, MORE};
use tpuc_ops::{Family, Op, Program, TensorType, ValueId, ValueType, top};
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

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.next(0, list.len() as i64 - 1) as usize]
    }
}

pub struct Network {
    pub program: Program,
    pub weights: WeightStore,
    pub inputs: Vec<Tensor>,
    pub(super) family: Family,
}

/// Ops that are made: [`Network::op`] makes the one of a number.
pub const KINDS: usize = PRODUCTS + MOVEMENTS + PAIRS + FUNCTIONS + MORE;
const PRODUCTS: usize = 6;
const MOVEMENTS: usize = 13;
const PAIRS: usize = 13;

/// What a network is made for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub family: Family,
    /// Ops that are to be in it, first.
    pub kinds: [usize; 4],
    /// The most ops that it may have.
    pub ops: usize,
}

impl Network {
    /// Two inputs and up to ten ops, each of one or two values that there are. The first network of `random` with fewer ops is
    /// the same without the last ones. `lengths`: how many nodes there are after each op.
    pub fn random(random: &mut Random, wish: &Wish) -> (Network, Vec<usize>) {
        let mut net = Network { program: Program::new("net"), weights: WeightStore::new(), inputs: Vec::new(), family: wish.family };
        let mut values = Vec::new();
        let channels = random.pick(&[2, 4, 6]);
        for _ in 0..2 {
            let shape = [random.next(1, 2), channels, random.next(4, 9), random.next(4, 9)];
            let low = if random.flag() { -3.0 } else { 0.0 };
            let x = net.input(&shape, low, random);
            values.push(x);
        }
        let mut lengths = Vec::new();
        for at in 0..wish.kinds.len() + random.next(0, 6) as usize {
            if at == wish.ops {
                break;
            }
            // The newest values are read most.
            let x = values[values.len() - 1 - random.next(0, 2.min(values.len() as i64 - 1)) as usize];
            let y = values[random.next(0, values.len() as i64 - 1) as usize];
            let kind = wish.kinds.get(at).copied().unwrap_or_else(|| Network::any_kind(random));
            // What does not take the value may take an input.
            let made = net.op(kind, x, y, random).or_else(|| net.op(kind, values[0], values[1], random));
            values.extend(made);
            lengths.push(net.program.nodes.len());
        }
        if net.program.nodes.len() == 2 {
            values.push(net.push(top::Relu::default(), &[values[0]]).expect("a Relu"));
        }
        net.program.outputs = values.split_off(2);
        // What began as a part of something that did not fit.
        let users = net.program.users();
        let unused = net.program.nodes.iter().map(|n| n.results[0]).filter(|r| users[r.index()].is_empty() && !net.program.outputs.contains(r));
        let unused: Vec<ValueId> = unused.collect();
        net.program.outputs.extend(unused);
        (net, lengths)
    }

    fn any_kind(random: &mut Random) -> usize {
        let (first, count) = match random.next(0, 6) {
            0 | 1 => (0, PRODUCTS),
            2 => (PRODUCTS, MOVEMENTS),
            3 | 4 => (PRODUCTS + MOVEMENTS, PAIRS),
            5 => (PRODUCTS + MOVEMENTS + PAIRS, FUNCTIONS),
            _ => (KINDS - MORE, MORE),
        };
        first + random.next(0, count as i64 - 1) as usize
    }

    fn op(&mut self, kind: usize, x: ValueId, y: ValueId, random: &mut Random) -> Option<ValueId> {
        let mut kind = kind;
        type Make = fn(&mut Network, usize, ValueId, ValueId, &mut Random) -> Option<ValueId>;
        let lists: [(usize, Make); 5] = [
            (PRODUCTS, |net, kind, x, _, random| net.product(kind, x, random)),
            (MOVEMENTS, |net, kind, x, _, random| net.movement(kind, x, random)),
            (PAIRS, Network::pair),
            (FUNCTIONS, |net, kind, x, _, random| net.function(kind, x, random)),
            (MORE, Network::more),
        ];
        for (count, make) in lists {
            if kind < count {
                return make(self, kind, x, y, random);
            }
            kind -= count;
        }
        None
    }

    fn input(&mut self, shape: &[i64], low: f32, random: &mut Random) -> ValueId {
        let (index, ty) = (self.inputs.len(), TensorType::f32(shape));
        let dims = ty.dims();
        self.inputs.push(Tensor::f32(&dims, (0..dims.iter().product()).map(|_| random.float(low, 3.0)).collect()).unwrap());
        let argument = self.program.add_input(format!("arg{index}"), ty.clone());
        self.program.push(top::Input::default(), &[argument], format!("in{index}"), ty)
    }

    pub(super) fn weight(&mut self, shape: &[i64], low: f32, high: f32, random: &mut Random) -> ValueId {
        let (name, ty) = (format!("w{}", self.weights.len()), TensorType::f32(shape));
        let dims = ty.dims();
        self.weights.insert(name.clone(), Tensor::f32(&dims, (0..dims.iter().product()).map(|_| random.float(low, high)).collect()).unwrap());
        self.program.add_weight(name, ty)
    }

    /// The op's result; nothing where shapes do not fit or become large.
    pub(super) fn push(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> Option<ValueId> {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).ok()?.remove(0);
        if shape.is_empty() || shape.iter().product::<i64>() > 3000 || shape.iter().any(|&d| d < 1) {
            return None;
        }
        let name = format!("n{}_{}", self.program.nodes.len(), op.name().trim_start_matches("top."));
        let ty = ValueType::from(TensorType::f32(&shape));
        let results = match op {
            Op::TopArg(_) => vec![(name.clone(), ty), (format!("{name}_values"), ValueType::None)],
            _ => vec![(name, ty)],
        };
        Some(self.program.push_results(op, operands, results)[0])
    }

    pub(super) fn shape(&self, value: ValueId) -> Vec<i64> {
        self.program.tensor_type(value).expect("a tensor").shape.clone()
    }

    /// Ops with weights, and pools, along one or two dimensions.
    fn product(&mut self, kind: usize, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let low = if random.next(0, 5) == 0 { 0.0 } else { -1.0 };
        let (do_relu, relu_limit) = self.relu(random);
        if kind == 0 || kind == 1 && shape.len() < 3 {
            let columns = random.next(1, 7);
            let depth = *shape.last()?;
            let right_transpose = random.flag();
            let right = self.weight(&if right_transpose { [columns, depth] } else { [depth, columns] }, -1.0, 1.0, random);
            let bias = if random.flag() { self.weight(&[columns], -1.0, 1.0, random) } else { self.program.none() };
            let op = top::MatMul { right_transpose, do_relu, relu_limit, ..Default::default() };
            return self.push(op, &[x, right, bias]);
        }
        let spatial = shape.len() - 2.min(shape.len());
        if !(1..=2).contains(&spatial) {
            return None;
        }
        let channels = shape[1];
        let each = |random: &mut Random, high: i64| (0..spatial).map(|_| random.next(1, high)).collect::<Vec<_>>();
        let (kernel, strides, dilations) = (each(random, 3), each(random, 2), each(random, 2));
        let pads: Vec<i64> = (0..2 * spatial).map(|d| random.next(0, kernel[d % spatial] - 1)).collect();
        let half_pads: Vec<i64> = (0..2 * spatial).map(|d| random.next(0, kernel[d % spatial] / 2)).collect();
        let group = match random.next(0, 3) {
            0 => channels,
            1 if channels % 2 == 0 => 2,
            _ => 1,
        };
        let outputs = group * random.next(1, 3);
        let bias = if random.flag() { self.weight(&[outputs], -1.0, 1.0, random) } else { self.program.none() };
        match kind {
            1 | 2 => {
                let filter = self.weight(&[&[outputs, channels / group], &kernel[..]].concat(), low, 1.0, random);
                self.push(top::Conv { kernel_shape: kernel, strides, pads, group, dilations: Some(dilations), do_relu, relu_limit, ..Default::default() }, &[x, filter, bias])
            }
            3 => {
                let filter = self.weight(&[&[outputs / group, channels], &kernel[..]].concat(), low, 1.0, random);
                let output_padding = Some(strides.iter().map(|s| s - 1).collect());
                self.push(top::Deconv { kernel_shape: kernel, strides, pads, group, dilations: Some(dilations), output_padding, do_relu, relu_limit, ..Default::default() }, &[x, filter, bias])
            }
            4 if random.next(0, 3) == 0 && shape[2..].iter().all(|d| d % 2 == 0) => {
                let two = vec![2; spatial];
                self.push(top::AvgPool { kernel_shape: two.clone(), strides: two, pads: vec![0; 2 * spatial], is_adaptive: true, keepdims: true, ..Default::default() }, &[x])
            }
            4 => self.push(top::AvgPool { kernel_shape: kernel, strides, pads: half_pads, count_include_pad: random.flag(), do_relu, relu_limit, keepdims: true, ..Default::default() }, &[x]),
            _ => self.push(top::MaxPool { kernel_shape: kernel, strides, pads: half_pads, do_relu, keepdims: true, ..Default::default() }, &[x]),
        }
    }

    /// Whether an op ends in a Relu, and its limit.
    fn relu(&self, random: &mut Random) -> (bool, f64) {
        let do_relu = random.flag();
        (do_relu, if do_relu && random.next(0, 3) == 0 { f64::from(random.float(0.2, 4.0)) } else { -1.0 })
    }

    fn movement(&mut self, kind: usize, x: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let rank = shape.len();
        match kind {
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
            5 if rank == 4 => self.push(top::Upsample { scale_h: 2, scale_w: random.next(1, 3), do_relu: random.flag(), relu_limit: -1.0, quantize_mode: None }, &[x]),
            6 if rank == 4 => {
                let (block_h, block_w) = (random.next(1, 2), random.next(1, 2));
                let is_inversed = random.flag();
                let op = top::Depth2Space { block_h, block_w, is_CRD: random.flag(), is_inversed, in_is_NCHW: true, out_is_NCHW: true, swap_cr: random.flag(), quantize_mode: None };
                let fits = if is_inversed { shape[2] % block_h + shape[3] % block_w == 0 } else { shape[1] % (block_h * block_w) == 0 };
                if fits { self.push(op, &[x]) } else { None }
            }
            7 => {
                let paddings = (0..2 * rank).map(|d| if d % rank < 1 { 0 } else { random.next(0, (shape[d % rank] - 1).min(2)) }).collect();
                let mode = random.pick(&["constant", "reflect", "edge", "symmetric"]);
                self.push(top::Pad { paddings, val: if mode == "constant" { f64::from(random.float(-1.0, 1.0)) } else { 0.0 }, mode: mode.into(), quantize_mode: None }, &[x])
            }
            8 => {
                let x = if rank < 4 { x } else { self.push(top::Reshape { shape: Some(vec![shape[0], -1, shape[3]]), ..Default::default() }, &[x])? };
                self.push(top::Unsqueeze { axes: vec![random.next(0, self.shape(x).len() as i64)], quantize_mode: None }, &[x])
            }
            // Three dimensions.
            9 if rank == 4 => self.push(top::Reshape { shape: Some(vec![shape[0], shape[1], shape[2] * shape[3]]), ..Default::default() }, &[x]),
            10 => {
                let none = self.program.none();
                let axis = random.next(0, rank as i64 - 1);
                let mut ends = shape.clone();
                ends[axis as usize] = 1;
                let slice = top::Slice { offset: vec![0; rank], steps: vec![1; rank], ends, axes: vec![], hasparamConvert_axes: vec![], quantize_mode: None };
                let thin = self.push(slice, &[x, none, none, none])?;
                self.push(top::Squeeze { axes: vec![axis], is_scalar: false, quantize_mode: None }, &[thin]).filter(|_| rank > 2)
            }
            11 => {
                let count = random.next(1, 3);
                let (axis, size) = self.axis_of(&shape, random);
                let scalar = count == 1 && random.flag();
                let list = if random.flag() && !scalar { vec![count, 2] } else { vec![count] };
                let indices = self.integers(&list, -size, size - 1, random);
                self.push(top::Gather { axis, keepdims: !scalar, is_scalar: false, is_lora: false, quantize_mode: None }, &[x, indices])
            }
            _ => {
                let row: Vec<i64> = shape.iter().map(|&d| if d == 1 { 2 } else { d }).collect();
                self.push(top::Expand { shape: row, quantize_mode: None }, &[x])
            }
        }
    }

    /// An axis and its size.
    pub(super) fn axis_of(&self, shape: &[i64], random: &mut Random) -> (i32, i64) {
        let axis = random.next(0, shape.len() as i64 - 1);
        (axis as i32, shape[axis as usize])
    }

    /// Whole numbers as a weight.
    fn integers(&mut self, shape: &[i64], low: i64, high: i64, random: &mut Random) -> ValueId {
        let (name, ty) = (format!("w{}", self.weights.len()), TensorType::f32(shape));
        let dims = ty.dims();
        self.weights.insert(name.clone(), Tensor::f32(&dims, (0..dims.iter().product()).map(|_| random.next(low, high) as f32).collect()).unwrap());
        self.program.add_weight(name, ty)
    }

    /// Ops of two values, or of one and a constant.
    fn pair(&mut self, kind: usize, x: ValueId, other: ValueId, random: &mut Random) -> Option<ValueId> {
        let shape = self.shape(x);
        let same = self.shape(other) == shape && other != x;
        let y = match random.next(0, 2) {
            0 => self.weight(&shape[1..], -1.0, 1.0, random),
            1 => {
                let row: Vec<i64> = shape.iter().enumerate().map(|(d, &size)| if d == 1 { size } else { 1 }).collect();
                self.weight(&row, 0.0, 1.0, random)
            }
            _ if same => other,
            _ => x,
        };
        let (do_relu, relu_limit) = self.relu(random);
        match kind {
            0 if random.next(0, 3) == 0 => self.push(top::Add { do_relu, relu_limit, ..Default::default() }, &[x, y, if same { other } else { x }]),
            0 => self.push(top::Add { do_relu, relu_limit, ..Default::default() }, &[x, y]),
            1 => self.push(top::Sub { do_relu, relu_limit, is_reverse: random.flag(), ..Default::default() }, &[x, y]),
            2 => self.push(top::Mul { do_relu, relu_limit, ..Default::default() }, &[x, y]),
            3 => self.push(top::Max::default(), &[x, y]),
            4 => self.push(top::Min::default(), &[x, y]),
            5 => {
                let axis = random.next(1.min(shape.len() as i64 - 1), shape.len() as i64 - 1) as i32;
                let second = if same { other } else { x };
                self.push(top::Concat { axis, do_relu, ..Default::default() }, &[x, second, x])
            }
            6 => {
                let none = self.program.none();
                let mut order: Vec<i64> = (0..shape.len() as i64).collect();
                let last = order.len();
                if last < 2 {
                    return None;
                }
                order.swap(last - 1, last - 2);
                let right = if same && random.flag() { other } else { x };
                let right = self.push(top::Permute { order, quantize_mode: None }, &[right])?;
                self.push(top::MatMul { do_relu, relu_limit, ..Default::default() }, &[x, right, none])
            }
            7 => {
                let mode = random.pick(&["Equal", "NotEqual", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Xor"]);
                let other = if same { other } else { self.push(top::Reverse { axis: random.next(0, shape.len() as i64 - 1), quantize_mode: None }, &[x])? };
                let condition = self.push(top::Compare { mode: mode.into(), quantize_mode: None }, &[x, if random.next(0, 3) == 0 { y } else { other }])?;
                self.choice(condition, x, other, random)
            }
            8 => {
                let mode = random.pick(&["Equal", "NotEqual", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Xor", "Not"]);
                let const_val = if random.flag() { 0.0 } else { f64::from(random.float(-1.0, 1.0)) };
                let inversed = mode != "Not" && random.flag();
                let condition = self.push(top::CompareConst { mode: mode.into(), const_val, inversed, is_scalar: false, quantize_mode: None }, &[x])?;
                self.choice(condition, x, if same { other } else { x }, random)
            }
            9 => {
                let divisor = if random.flag() { self.far_from_zero(if same { other } else { x }, random)? } else { self.positive_weight(&shape[1..], random) };
                self.push(top::Div { do_relu, relu_limit, ..Default::default() }, &[x, divisor])
            }
            10 => {
                let base = if random.flag() { self.far_from_zero(x, random)? } else { self.positive_weight(&shape, random) };
                let exponent = if same { other } else { x };
                self.push(top::Pow3::default(), &[base, exponent])
            }
            11 => {
                // Places that are computed, as floats.
                let (axis, _) = self.axis_of(&shape, random);
                let found = self.arg(x, axis.into(), random)?;
                self.push(top::Gather { axis, keepdims: true, is_scalar: false, is_lora: false, quantize_mode: None }, &[x, found])
            }
            _ => self.push(top::Add { coeff: Some(vec![1.0, f64::from(random.float(0.1, 2.0))]), ..Default::default() }, &[x, y]),
        }
    }

    /// One of two values, of which one may be a number.
    fn choice(&mut self, condition: ValueId, x: ValueId, y: ValueId, random: &mut Random) -> Option<ValueId> {
        let (x_is_const, y_is_const) = (random.next(0, 2) == 0, random.next(0, 2) == 0);
        let number = |is_const: bool, random: &mut Random| if is_const { f64::from(random.float(-1.0, 1.0)) } else { 0.0 };
        let (x_const_val, y_const_val) = (number(x_is_const, random), number(y_is_const, random));
        let none = self.program.none();
        let axis = random.next(0, self.shape(condition).len() as i64 - 1);
        let condition = if random.flag() { condition } else { self.push(top::Reverse { axis, quantize_mode: None }, &[condition])? };
        let operands = [condition, if x_is_const { none } else { x }, if y_is_const { none } else { y }];
        self.push(top::Where { x_is_const, y_is_const, x_const_val, y_const_val, quantize_mode: None }, &operands)
    }
}
