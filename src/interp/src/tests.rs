//! Plans against single nodes on random networks, ops against their definitions, and what is refused.

use crate::{FloatOrder, InterpError, Options, Plan, PreparedNode};
use std::collections::BTreeMap;
use std::sync::Arc;
use tpuc_ops::{Elem, Op, Program, TensorType, ValueId, ValueType, top, tpu};
use tpuc_tensor::{DType, Tensor, WeightStore};

/// Numbers that are the same in every run.
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        low + ((self.0 >> 33) as i64) % (high - low + 1)
    }

    fn tensor(&mut self, shape: &[i64]) -> Tensor {
        let shape: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        let count = shape.iter().product();
        Tensor::f32(&shape, (0..count).map(|_| self.next(-8, 8) as f32 / 4.0).collect()).unwrap()
    }
}

/// A network under construction: every op's result is a candidate operand of later ops.
struct Network {
    program: Program,
    weights: WeightStore,
    random: Random,
}

impl Network {
    fn new(seed: u64, input: &[i64]) -> (Network, ValueId) {
        let mut program = Program::new("main");
        let argument = program.add_input("arg0", TensorType::f32(input));
        let mut network = Network { program, weights: WeightStore::new(), random: Random(seed) };
        let id = network.push(top::Input::default(), &[argument]);
        (network, id)
    }

    fn shape(&self, id: ValueId) -> Vec<i64> {
        self.program.tensor_type(id).unwrap().shape.clone()
    }

    fn weight(&mut self, shape: &[i64]) -> ValueId {
        let name = format!("w{}", self.weights.len());
        self.weights.insert(name.clone(), self.random.tensor(shape));
        self.program.add_weight(name, TensorType::f32(shape))
    }

    fn push(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> ValueId {
        let op = op.into();
        let types: Vec<ValueType> = operands.iter().map(|&id| self.program.value(id).ty.clone()).collect();
        let shape = op.infer_shapes(&types).unwrap().remove(0);
        let name = format!("n{}", self.program.nodes.len());
        self.program.push(op, operands, name, TensorType::f32(&shape))
    }

    /// One more op on `x`; `same` lists values that it may be added to.
    fn grow(&mut self, x: ValueId, same: &[ValueId]) -> ValueId {
        let shape = self.shape(x);
        let channels = shape[1];
        match self.random.next(0, 14) {
            10.. => self.rearrange(x, same),
            0..=2 => {
                let depthwise = self.random.next(0, 1) == 1;
                let out = if depthwise { channels } else { self.random.next(1, 9) };
                let kernel = self.random.next(1, 3);
                let filter = self.weight(&[out, if depthwise { 1 } else { channels }, kernel, kernel]);
                let bias = if self.random.next(0, 1) == 0 { self.program.none() } else { self.weight(&[out]) };
                let op = top::Conv {
                    kernel_shape: vec![kernel; 2], strides: vec![1; 2], pads: vec![kernel / 2; 4], group: if depthwise { channels } else { 1 },
                    do_relu: true, relu_limit: 6.0, ..Default::default()
                };
                self.push(op, &[x, filter, bias])
            }
            3 => self.push(top::Relu { relu_limit: 1.5, ..Default::default() }, &[x]),
            4 => self.push(top::Clip { min: -1.0, max: 2.0, ..Default::default() }, &[x]),
            5 => {
                let (scale, bias) = (self.weight(&[1, channels, 1, 1]), self.weight(&[1, channels, 1, 1]));
                self.push(top::Scale::default(), &[x, scale, bias])
            }
            6 => self.push(top::Pad { paddings: vec![0, 1, 0, 1, 0, 0, 1, 0], val: 0.5, mode: "constant".into(), ..Default::default() }, &[x]),
            7 => self.push(top::MaxPool { kernel_shape: vec![2, 2], strides: vec![1, 1], pads: vec![1, 0, 0, 1], ..Default::default() }, &[x]),
            8 => {
                let row = self.weight(&[1, channels, 1, 1]);
                self.push(top::Add { do_relu: true, ..Default::default() }, &[x, row])
            }
            _ => {
                let other = same.iter().copied().filter(|&o| self.shape(o) == shape).last().unwrap_or(x);
                self.push(top::Add::default(), &[x, other])
            }
        }
    }
}

impl Network {
    /// One more op that moves, reduces or normalizes the elements of `x`, which has four dimensions before and after.
    fn rearrange(&mut self, x: ValueId, same: &[ValueId]) -> ValueId {
        let shape = self.shape(x);
        let small = shape.iter().product::<i64>() < 2000;
        let axis = self.random.next(0, 3);
        let none = self.program.none();
        match self.random.next(0, 11) {
            0 => {
                let order = [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [0, 3, 2, 1]][self.random.next(0, 3) as usize];
                self.push(top::Permute { order: order.to_vec(), ..Default::default() }, &[x])
            }
            1 | 2 => {
                let (mut op, d) = (top::Slice { offset: vec![0; 4], steps: vec![1; 4], ends: vec![i64::MAX; 4], ..Default::default() }, axis as usize);
                if self.random.next(0, 1) == 0 {
                    (op.offset[d], op.steps[d]) = (self.random.next(0, shape[d] - 1), self.random.next(1, 2));
                } else {
                    (op.offset[d], op.steps[d], op.ends[d]) = (-1, self.random.next(-2, -1), i64::MIN);
                }
                self.push(op, &[x, none, none, none])
            }
            3 => self.push(top::Reverse { axis, ..Default::default() }, &[x]),
            4 if small => {
                let other = same.iter().copied().filter(|&o| self.shape(o) == shape).last().unwrap_or(x);
                let weight = self.weight(&shape);
                let axis = self.random.next(1, 3) as i32;
                self.push(top::Concat { axis, do_relu: true, ..Default::default() }, &[x, weight, other])
            }
            5 if small => {
                let tile = vec![1, self.random.next(1, 2), 1, self.random.next(1, 2)];
                self.push(top::Tile { tile: Some(tile), ..Default::default() }, &[x])
            }
            6 if small => {
                let scale_w = self.random.next(1, 2);
                self.push(top::Upsample { scale_h: 2, scale_w, ..Default::default() }, &[x])
            }
            7 if small => {
                let coord_mode = tpuc_ops::resize::COORD_MODES[self.random.next(0, 3) as usize].to_owned();
                let mode = tpuc_ops::resize::INTERP_MODES[self.random.next(0, 1) as usize].to_owned();
                self.push(top::Interp { mode, coord_mode, scale_h: 1.5, scale_w: 1.25, ..Default::default() }, &[x, none])
            }
            8 if shape[2] % 2 == 0 && shape[3] % 2 == 0 => {
                self.push(top::Depth2Space { block_h: 2, block_w: 2, is_CRD: axis == 0, is_inversed: true, ..Default::default() }, &[x])
            }
            8 if shape[1] % 4 == 0 => self.push(top::Depth2Space { block_h: 2, block_w: 2, is_CRD: axis == 0, is_inversed: false, ..Default::default() }, &[x]),
            9 => {
                let weight = self.weight(&[1, 1, 1, shape[3]]);
                self.push(top::LayerNorm { axis: 3, eps: 1e-3, ..Default::default() }, &[x, weight, none])
            }
            10 => self.push(top::InstanceNorm { eps: 1e-3, ..Default::default() }, &[x, none, none]),
            _ => {
                let mode = tpuc_ops::reduce::REDUCE_MODES[self.random.next(0, 3) as usize].to_owned();
                let axes = [vec![1], vec![2], vec![1, 3], vec![3]][self.random.next(0, 3) as usize].clone();
                self.push(top::Reduce { axes, keepdims: true, mode, ..Default::default() }, &[x])
            }
        }
    }
}

/// Every node alone, row-major, in order.
fn node_by_node(plan: &Plan, input: &Tensor) -> BTreeMap<String, Tensor> {
    let program = plan.program();
    let mut values: Vec<Option<Tensor>> = vec![None; program.values.len()];
    values[program.inputs[0].index()] = Some(input.clone());
    let mut named = BTreeMap::new();
    for (index, node) in program.nodes.iter().enumerate() {
        let operands: Vec<Option<&Tensor>> = node.operands.iter().map(|id| values[id.index()].as_ref()).collect();
        let mut results = Vec::new();
        plan.prepare_node(index).unwrap().run(&operands, &mut results).unwrap();
        named.insert(program.node_name(index).to_owned(), results[0].clone());
        values[node.results[0].index()] = Some(results.remove(0));
    }
    named
}

#[test]
fn random_networks_run_as_their_nodes_do() {
    for seed in 0..120 {
        let (mut network, mut x) = Network::new(seed, &[1 + seed as i64 % 2, 3, 6, 5]);
        let mut all = vec![x];
        for _ in 0..12 {
            let from = if network.random.next(0, 4) == 0 { all[network.random.next(0, all.len() as i64 - 1) as usize] } else { x };
            x = network.grow(from, &all);
            all.push(x);
        }
        let shape = network.shape(x);
        let pooled = network.push(top::AvgPool { kernel_shape: shape[2..].to_vec(), strides: vec![1, 1], pads: vec![0; 4], ..Default::default() }, &[x]);
        let flat = network.push(top::Reshape { shape: Some(vec![shape[0], -1]), ..Default::default() }, &[x]);
        let right = network.weight(&[shape[1..].iter().product(), 4]);
        let none = network.program.none();
        let product = network.push(top::MatMul::default(), &[flat, right, none]);
        let softmax = network.push(top::Softmax { axis: 1, ..Default::default() }, &[product]);
        network.program.outputs = vec![softmax, x, pooled];
        let input = { let shape = network.shape(network.program.inputs[0]); network.random.tensor(&shape) };
        for order in [FloatOrder::Fast, FloatOrder::Reference] {
            let plan = Arc::new(Plan::new(network.program.clone(), &network.weights, Options { threads: 1, order, ..Options::default() }).unwrap());
            let mut executor = plan.executor().unwrap();
            let expected = node_by_node(&plan, &input);
            // Twice: what the first run left in the buffers must not matter.
            for _ in 0..2 {
                let found = executor.run_all(&[&input]).unwrap();
                assert_eq!(found.len(), expected.len());
                for (name, tensor) in &expected {
                    let close = |a: &f32, b: &f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
                    let (a, b) = (found[name].as_f32().unwrap(), tensor.as_f32().unwrap());
                    assert!(found[name].shape() == tensor.shape() && a.iter().zip(b).all(|(a, b)| close(a, b)), "seed {seed} {name}");
                }
                let outputs = executor.outputs(&[&input]).unwrap();
                assert_eq!(outputs[1].shape(), expected[&plan.program().value(x).name].shape());
                assert!((outputs[0].as_f32().unwrap().iter().take(4).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}

pub(crate) fn alone(op: impl Into<Op>, operands: &[(TensorType, Option<Tensor>)], result: TensorType, inputs: &[Option<&Tensor>]) -> Result<Tensor, InterpError> {
    let types: Vec<ValueType> = operands.iter().map(|(t, _)| t.clone().into()).collect();
    let constants: Vec<_> = operands.iter().map(|(_, c)| c.clone().map(Arc::new)).collect();
    let node = PreparedNode::new("node", &op.into(), &types, &[result.into()], &constants, Options::default())?;
    let mut results = Vec::new();
    node.run(inputs, &mut results)?;
    Ok(results.remove(0))
}

#[test]
fn batch_norm_is_its_formula() {
    let ty = TensorType::f32(&[1, 2, 1, 2]);
    let x = Tensor::f32(&[1, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    let weight = |v: [f32; 2]| (TensorType::f32(&[2]), Some(Tensor::f32(&[2], v.to_vec()).unwrap()));
    let operands = [(ty.clone(), None), weight([1.0, 2.0]), weight([4.0, 1.0]), weight([2.0, 3.0]), weight([0.5, -9.0])];
    let y = alone(top::BatchNorm { epsilon: 0.0, do_relu: true, ..Default::default() }, &operands, ty, &[Some(&x)]).unwrap();
    assert_eq!(y.as_f32().unwrap(), [0.5, 1.5, 0.0, 0.0]);
}

#[test]
fn integers_of_the_chip() {
    let (i8s, u8s) = (|shape: &[i64], scale| TensorType::new(shape, Elem::symmetric(DType::I8, scale)), |shape: &[i64], scale| TensorType::new(shape, Elem::symmetric(DType::U8, scale)));
    let x = Tensor::i8(&[1, 4], vec![-128, -3, 3, 127]).unwrap();
    let y = alone(tpu::Cast::default(), &[(i8s(&[1, 4], 0.1), None)], TensorType::f32(&[1, 4]), &[Some(&x)]).unwrap();
    assert_eq!(y.as_f32().unwrap(), [-128.0 * 0.1f32, -3.0 * 0.1, 3.0 * 0.1, 127.0 * 0.1]);
    let back = alone(tpu::Cast::default(), &[(TensorType::f32(&[1, 4]), None)], i8s(&[1, 4], 0.1), &[Some(&y)]).unwrap();
    assert_eq!(back, x);
    let add = tpu::Add { multipliers: Some(vec![3, 1]), rshifts: Some(vec![1, 0]), do_relu: true, ..Default::default() };
    let y = alone(add, &[(i8s(&[1, 4], 0.1), None), (i8s(&[1, 4], 0.1), None)], u8s(&[1, 4], 0.1), &[Some(&x), Some(&x)]).unwrap();
    // -192-128, -4.5 (halves up: -4) -3, 4.5 (5) + 3, 190.5 (191) + 127
    assert_eq!(y.as_u8().unwrap(), [0, 0, 8, 255]);
    let y = alone(tpu::Relu::default(), &[(i8s(&[1, 4], 0.1), None)], i8s(&[1, 4], 0.1), &[Some(&x)]).unwrap();
    assert_eq!(y.as_i8().unwrap(), [0, 0, 3, 127]);
    let pad = tpu::Pad { paddings: vec![0, 1, 0, 0], val: 7.0, ..Default::default() };
    let y = alone(pad, &[(i8s(&[1, 4], 0.1), None)], i8s(&[1, 5], 0.1), &[Some(&x)]).unwrap();
    assert_eq!(y.as_i8().unwrap(), [7, -128, -3, 3, 127]);
    let biased = TensorType::new(&[1, 4], Elem::Uniform { storage: DType::I8, expressed: DType::F32, scale: 0.1, zero_point: 3 });
    assert!(matches!(alone(tpu::Relu::default(), &[(biased.clone(), None)], biased, &[Some(&x)]), Err(InterpError::Unsupported { .. })));
}

#[test]
fn what_is_wrong_is_said() {
    let (mut network, x) = Network::new(1, &[1, 3, 4, 4]);
    let y = network.grow(x, &[]);
    network.program.outputs = vec![y];
    let filter = network.weight(&[2, 3, 1, 1]);
    let none = network.program.none();
    let z = network.push(top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() }, &[x, filter, none]);
    network.program.outputs.push(z);
    let name = network.program.value(filter).name.clone();
    let plan = |network: &Network| Plan::new(network.program.clone(), &network.weights, Options::default());

    let good = Arc::new(plan(&network).unwrap());
    let mut executor = good.executor().unwrap();
    let wrong_shape = Tensor::f32(&[1, 3, 4, 5], vec![0.0; 60]).unwrap();
    assert!(matches!(executor.outputs(&[&wrong_shape]), Err(InterpError::Shape { .. })));
    assert!(matches!(executor.outputs(&[]), Err(InterpError::InputCount { expected: 1, found: 0 })));
    assert!(matches!(good.prepare_node(99), Err(InterpError::NoNode { node: 99, .. })));
    assert!(matches!(good.inputs_named(|_| None), Err(InterpError::MissingInput { .. })));
    let bytes = Tensor::u8(&[1, 3, 4, 4], vec![7; 48]).unwrap();
    let floats = Tensor::f32(&[1, 3, 4, 4], vec![7.0; 48]).unwrap();
    assert_eq!(executor.outputs(&[&bytes]).unwrap(), executor.outputs(&[&floats]).unwrap());

    let right = network.weights.remove(&name).unwrap();
    let error = plan(&network).unwrap_err();
    assert!(error.to_string().contains(&name) && error.to_string().contains(good.program().node_name(2)), "{error}");
    network.weights.insert(name.clone(), Tensor::f32(&[5], vec![0.0; 5]).unwrap());
    assert!(matches!(plan(&network), Err(InterpError::Weight { .. })));
    network.weights.insert(name.clone(), Tensor::i8(&[6], vec![0; 6]).unwrap());
    assert!(plan(&network).unwrap_err().to_string().contains("expected f32"));
    network.weights.insert(name, right);

    // A reader of hostile text may hand over any shape.
    for shape in [vec![1, 0, 4, 4], vec![1 << 40, 1 << 40, 1, 1], vec![1 << 20, 1 << 20, 1, 1]] {
        let mut program = Program::new("main");
        let argument = program.add_input("arg0", TensorType::f32(&shape));
        let y = program.push(top::Relu::default(), &[argument], "y", TensorType::f32(&shape));
        program.outputs = vec![y];
        assert!(Plan::new(program, &WeightStore::new(), Options::default()).is_err(), "{shape:?}");
    }
}
