//! Every elementwise op in a small network, lowered in every mode with ranges from its own tensors and run: what the chip
//! computes must be near to what the floats say.

use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Chip, Mode, Range, Ranges, lower_program, top_optimize};
use tpuc_ops::{Op, Program, TensorType, ValueId, top};
use tpuc_tensor::{Tensor, WeightStore};

const SHAPE: [i64; 4] = [2, 4, 6, 5];

/// Numbers that are the same in every run, spread over a range.
fn numbers(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| low + (high - low) * next()).collect()
}

struct Net {
    program: Program,
    weights: WeightStore,
    inputs: Vec<Tensor>,
}

impl Net {
    fn new() -> Net {
        Net { program: Program::new("net"), weights: WeightStore::new(), inputs: Vec::new() }
    }

    fn input(&mut self, shape: &[i64], low: f32, high: f32) -> ValueId {
        let index = self.inputs.len();
        let ty = TensorType::f32(shape);
        let dims = ty.dims();
        self.inputs.push(Tensor::f32(&dims, numbers(index as u64 + 3, dims.iter().product(), low, high)).unwrap());
        let argument = self.program.add_input(format!("arg{index}"), ty.clone());
        self.program.push(top::Input::default(), &[argument], format!("in{index}"), ty)
    }

    fn weight(&mut self, shape: &[i64], low: f32, high: f32) -> ValueId {
        let name = format!("w{}", self.weights.len());
        let ty = TensorType::f32(shape);
        let dims = ty.dims();
        self.weights.insert(name.clone(), Tensor::f32(&dims, numbers(99, dims.iter().product(), low, high)).unwrap());
        self.program.add_weight(name, ty)
    }

    /// The last op of the network.
    fn end(mut self, op: impl Into<Op>, operands: &[ValueId]) -> Net {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).unwrap().remove(0);
        let y = self.program.push(op, operands, "y", TensorType::f32(&shape));
        self.program.outputs = vec![y];
        self
    }

    fn run(&self, program: Program, weights: &WeightStore) -> std::collections::BTreeMap<String, Tensor> {
        let plan = Arc::new(Plan::new(program, weights, Options::default()).unwrap());
        plan.executor().unwrap().run_all(&self.inputs.iter().collect::<Vec<_>>()).unwrap()
    }

    /// The cosine between the float result and that of the chip in a mode.
    fn similarity(&self, chip: &'static Chip, mode: Mode) -> f64 {
        let floats = self.run(self.program.clone(), &self.weights);
        let mut ranges = Ranges::from_types(&self.program);
        for node in &self.program.nodes {
            let id = node.results[0];
            let values = floats[&self.program.value(id).name].to_f32();
            let (low, high) = values.iter().fold((0f32, 0f32), |(l, h), v| (l.min(*v), h.max(*v)));
            let threshold = f64::from(high.max(-low));
            ranges.set(id, Range::new(if low < 0.0 { -threshold } else { 0.0 }, threshold));
        }
        ranges.propagate(&self.program, chip);
        let program = if mode == Mode::Int8 { ranges.annotate(&self.program) } else { self.program.clone() };
        let (program, weights) = top_optimize(&program, &self.weights, chip).unwrap();
        let (program, weights) = lower_program(&program, &weights, chip, mode).unwrap_or_else(|e| panic!("{e}"));
        let name = program.value(program.outputs[0]).name.clone();
        let found = self.run(program, &weights)[&name].to_f32();
        let wanted = floats["y"].to_f32();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        dot(&found, &wanted) / (dot(&found, &found) * dot(&wanted, &wanted)).sqrt()
    }
}

/// Ops of one tensor whose values are in a range.
fn unary(op: impl Into<Op>, low: f32, high: f32) -> (String, Net) {
    let op = op.into();
    let mut net = Net::new();
    let x = net.input(&SHAPE, low, high);
    (format!("{op:?}"), net.end(op, &[x]))
}

fn ops_of_one_tensor() -> Vec<(String, Net)> {
    let mut list = Vec::new();
    macro_rules! plain {
        ($($op:ident),*) => {$( list.push(unary(top::$op::default(), -3.0, 2.5)); )*};
    }
    plain!(Abs, Ceil, Cos, Cosh, Erf, Exp, HardSwish, Mish, Round, Sign, SiLU, Sin, Sinh, Softplus, Softsign, Floor, GELU, Sigmoid, Tanh, Relu);
    list.push(unary(top::Tan::default(), -1.2, 1.2));
    list.push(unary(top::Log::default(), 0.5, 5.0));
    list.push(unary(top::Sqrt::default(), 0.0, 5.0));
    list.push(unary(top::Rsqrt::default(), 0.5, 5.0));
    list.push(unary(top::Reciprocal { const_val: 2.0, ..Default::default() }, 0.5, 5.0));
    list.push(unary(top::Elu { alpha: 0.7, quantize_mode: None }, -3.0, 2.5));
    list.push(unary(top::GELU { approx_mode: "tanh".into(), ..Default::default() }, -3.0, 2.5));
    list.push(unary(top::GELU { approx_mode: "sigm".into(), ..Default::default() }, -3.0, 2.5));
    list.push(unary(top::HardSigmoid { alpha: 0.2, beta: 0.5, quantize_mode: None }, -3.0, 2.5));
    list.push(unary(top::LeakyRelu { alpha: 0.2, ..Default::default() }, -3.0, 2.5));
    for exponent in [-1.0, 0.5, 1.5, 2.0, 3.0] {
        list.push(unary(top::Pow { exponent, quantize_mode: None }, 0.5, 3.0));
    }
    list.push(unary(top::Pow { exponent: 3.0, quantize_mode: None }, -2.0, 2.0));
    list.push(unary(top::Pow2 { const_val: 1.7, quantize_mode: None }, -2.0, 2.0));
    list.push(unary(top::Sigmoid { scale: 2.0, bias: 0.5, ..Default::default() }, -3.0, 3.0));
    list.push(unary(top::Sigmoid { log: true, ..Default::default() }, -3.0, 3.0));
    list.push(unary(top::Swish { beta: 1.5, ..Default::default() }, -3.0, 3.0));
    list.push(unary(top::Clip { min: -0.5, max: 0.9, ..Default::default() }, -2.0, 2.0));
    list.push(unary(top::Relu { relu_limit: 1.5, ..Default::default() }, -2.0, 4.0));
    for (low, high) in [(-2.0, 3.0), (0.0, 3.0)] {
        for do_relu in [false, true] {
            list.push(unary(top::AddConst { const_val: 0.7, do_relu, ..Default::default() }, low, high));
            list.push(unary(top::MulConst { const_val: 0.7, do_relu, ..Default::default() }, low, high));
            list.push(unary(top::SubConst { const_val: 0.7, do_relu, ..Default::default() }, low, high));
            list.push(unary(top::SubConst { const_val: 0.7, is_reverse: true, do_relu, ..Default::default() }, low, high));
        }
        list.push(unary(top::MulConst { const_val: -1.3, ..Default::default() }, low, high));
        list.push(unary(top::MaxConst { const_val: 0.7, ..Default::default() }, low, high));
        list.push(unary(top::MinConst { const_val: 0.7, ..Default::default() }, low, high));
    }
    list.push(unary(top::CompareConst { mode: "Greater".into(), const_val: 0.51, inversed: false, ..Default::default() }, -2.0, 2.0));
    list
}

fn ops_of_tensors() -> Vec<(String, Net)> {
    let mut list = Vec::new();
    let row = [4, 1, 1];
    // By the ranges of both inputs, and where the second comes from.
    for (a, b) in [((-2.0, 3.0), (-1.0, 4.0)), ((-2.0, 3.0), (0.5, 4.0)), ((0.5, 3.0), (-4.0, 1.0)), ((0.2, 3.0), (0.5, 0.8))] {
        for constant in [false, true] {
            for shape in [&SHAPE[..], &row] {
                let mut add = |name: &str, op: Op| {
                    let mut net = Net::new();
                    let x = net.input(&SHAPE, a.0, a.1);
                    let y = if constant { net.weight(shape, b.0, b.1) } else { net.input(shape, b.0, b.1) };
                    list.push((format!("{name} of {a:?} and {b:?}, constant {constant}, {shape:?}"), net.end(op, &[x, y])));
                };
                add("Add", top::Add::default().into());
                add("Sub", top::Sub::default().into());
                add("Sub reverse", top::Sub { is_reverse: true, ..Default::default() }.into());
                add("Mul", top::Mul::default().into());
                add("Max", top::Max::default().into());
                add("Min", top::Min::default().into());
                if b.0 > 0.0 {
                    add("Div", top::Div::default().into());
                }
                if a.0 > 0.0 {
                    add("Pow3", top::Pow3::default().into());
                }
                add("Compare", top::Compare { mode: "Greater".into(), quantize_mode: None }.into());
            }
        }
        let mut net = Net::new();
        let (x, y) = (net.input(&SHAPE, a.0, a.1), net.input(&SHAPE, b.0, b.1));
        list.push((format!("Mul of three, {a:?} {b:?}"), net.end(top::Mul::default(), &[x, y, x])));
        for (x_is_const, y_is_const) in [(false, false), (true, false), (false, true)] {
            for constant in [false, true] {
                let mut net = Net::new();
                let (x, y) = (net.input(&SHAPE, a.0, a.1), net.input(&SHAPE, b.0, b.1));
                let condition = net.program.push(top::Compare { mode: "Less".into(), quantize_mode: None }, &[x, y], "c", TensorType::f32(&SHAPE));
                let other = if constant { net.weight(&row, b.0, b.1) } else { y };
                let none = net.program.none();
                let op = top::Where { x_is_const, y_is_const, x_const_val: 9.5, y_const_val: -1.5, quantize_mode: None };
                let branches = [if x_is_const { none } else { x }, if y_is_const { none } else { other }];
                list.push((format!("Where {x_is_const} {y_is_const} {constant} of {a:?} {b:?}"), net.end(op, &[condition, branches[0], branches[1]])));
            }
        }
        let mut net = Net::new();
        let (x, slope) = (net.input(&SHAPE, a.0, a.1), net.weight(&row, -0.5, 0.5));
        list.push((format!("PRelu {a:?}"), net.end(top::PRelu::default(), &[x, slope])));
        let mut net = Net::new();
        let (x, scale, bias) = (net.input(&SHAPE, a.0, a.1), net.weight(&[1, 4, 1, 1], b.0, b.1), net.weight(&[1, 4, 1, 1], -1.0, 1.0));
        list.push((format!("Scale {a:?} {b:?}"), net.end(top::Scale::default(), &[x, scale, bias])));
        let mut net = Net::new();
        let (x, scale, bias) = (net.input(&[3, 4], a.0, a.1), net.weight(&[4], b.0, b.1), net.weight(&[4], -1.0, 1.0));
        list.push((format!("Scale of rows {a:?} {b:?}"), net.end(top::Scale::default(), &[x, scale, bias])));
    }
    list
}

#[test]
fn every_elementwise_op_is_near_to_its_float_form() {
    let mut failures = Vec::new();
    let cases: Vec<(String, Net)> = ops_of_one_tensor().into_iter().chain(ops_of_tensors()).collect();
    for (name, net) in &cases {
        for (mode, least) in [(Mode::F32, 0.999999), (Mode::F16, 0.9999), (Mode::BF16, 0.999), (Mode::Int8, 0.99)] {
            let found = net.similarity(&Chip::BM1684X, mode);
            // What jumps errs by a jump where rounded numbers stand on the other side.
            let jumps = ["Compare", "Where", "Floor", "Ceil", "Round"].iter().any(|op| name.contains(op));
            let least = if mode != Mode::F32 && jumps { 0.9 } else { least };
            if !(found >= least) {
                failures.push(format!("{mode} {name}: cosine {found}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
