//! Attentions made here: what is fused, what is not, and that fusing changes no numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Chip, LowerError, Mode, lower_program, top_optimize};
use tpuc_ops::{Elem, Op, Program, TensorType, ValueId, top};
use tpuc_tensor::{DType, Tensor, WeightStore};

/// A network that is one attention and a sum with its input.
#[derive(Clone, Copy)]
struct Net {
    images: i64,
    rows: i64,
    keys: i64,
    heads: i64,
    dim: i64,
    /// Heads stand beside images in one dimension.
    stacked: bool,
    /// Keys are transposed by the first transposition, not by a second one.
    keys_at_once: bool,
    bias: bool,
    /// Keys and values come from a second input.
    cross: bool,
    mask: bool,
    relu: bool,
    /// Queries are split into heads along the rows: no attention.
    wrong_order: bool,
    /// The scaled product is a result of the network.
    watched: bool,
}

const PLAIN: Net =
    Net { images: 1, rows: 5, keys: 5, heads: 2, dim: 4, stacked: false, keys_at_once: true, bias: true, cross: false, mask: false, relu: false, wrong_order: false, watched: false };
const COLUMNS: i64 = 6;
const NAMES: [&str; 3] = ["q", "k", "v"];

struct Maker {
    net: Net,
    program: Program,
    weights: WeightStore,
}

/// Numbers from -1 to 1.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729 + i * i * 31) % 2001) as f32 / 1000.0 - 1.0).collect()
}

impl Maker {
    fn push(&mut self, op: impl Into<Op>, operands: &[ValueId], name: &str, shape: &[i64]) -> ValueId {
        self.program.push(op, operands, name, TensorType::f32(shape))
    }

    fn weight(&mut self, name: &str, shape: &[i64]) -> ValueId {
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        let seed = name.bytes().map(usize::from).sum();
        self.weights.insert(name, Tensor::f32(&dims, numbers(dims.iter().product(), seed)).unwrap());
        self.program.add_weight(name, TensorType::f32(shape))
    }

    fn matmul(&mut self, x: ValueId, from: i64, to: i64, do_relu: bool, name: &str, shape: &[i64]) -> ValueId {
        let weight = self.weight(&format!("{name}_w"), &[from, to]);
        let bias = if self.net.bias { self.weight(&format!("{name}_b"), &[1, 1, to]) } else { self.program.none() };
        self.push(top::MatMul { do_relu, keep_dims: true, ..Default::default() }, &[x, weight, bias], name, shape)
    }

    fn view(&mut self, x: ValueId, name: &str, shape: &[i64]) -> ValueId {
        self.push(top::Reshape { shape: Some(shape.to_vec()), ..Default::default() }, &[x], name, shape)
    }

    fn permute(&mut self, x: ValueId, order: &[i64], name: &str) -> ValueId {
        let from = self.program.tensor_type(x).unwrap().shape.clone();
        let shape: Vec<i64> = order.iter().map(|&d| from[d as usize]).collect();
        self.push(top::Permute { order: order.to_vec(), quantize_mode: None }, &[x], name, &shape)
    }

    /// A projection, split into heads.
    fn heads(&mut self, index: usize, x: ValueId, rows: i64) -> ValueId {
        let Net { images, heads, dim, stacked, keys_at_once, wrong_order, .. } = self.net;
        let name = NAMES[index];
        let projected = self.matmul(x, COLUMNS, heads * dim, false, name, &[images, rows, heads * dim]);
        if wrong_order && index == 0 {
            let split = self.view(projected, &format!("{name}_r"), &[images, heads, rows, dim]);
            let there = self.permute(split, &[0, 2, 1, 3], &format!("{name}_t"));
            return self.permute(there, &[0, 2, 1, 3], &format!("{name}_tt"));
        }
        let split = self.view(projected, &format!("{name}_r"), &[images, rows, heads, dim]);
        let is_keys = index == 1;
        let order: &[i64] = if is_keys && keys_at_once && !stacked { &[0, 2, 3, 1] } else { &[0, 2, 1, 3] };
        let mut moved = self.permute(split, order, &format!("{name}_t"));
        if stacked {
            moved = self.view(moved, &format!("{name}_s"), &[images * heads, rows, dim]);
        }
        match (is_keys, stacked, keys_at_once) {
            (true, true, _) => self.permute(moved, &[0, 2, 1], &format!("{name}_x")),
            (true, false, false) => self.permute(moved, &[0, 1, 3, 2], &format!("{name}_x")),
            _ => moved,
        }
    }

    fn make(net: Net) -> (Program, WeightStore) {
        let Net { images, rows, keys, heads, dim, .. } = net;
        let mut m = Maker { net, program: Program::new("net"), weights: WeightStore::new() };
        let input = |m: &mut Maker, name: &str, shape: &[i64]| {
            let argument = m.program.add_input(format!("{name}_in"), TensorType::f32(shape));
            m.push(top::Input::default(), &[argument], name, shape)
        };
        let x = input(&mut m, "x", &[images, rows, COLUMNS]);
        let y = if net.cross { input(&mut m, "y", &[images, keys, COLUMNS]) } else { x };
        let [q, k, v] = [(0, x, rows), (1, y, keys), (2, y, keys)].map(|(i, from, rows)| m.heads(i, from, rows));
        let lead: &[i64] = if net.stacked { &[images * heads] } else { &[images, heads] };
        let (square, result) = ([lead, &[rows, keys]].concat(), [lead, &[rows, dim]].concat());
        let none = m.program.none();
        let mut scores = m.push(top::MatMul { keep_dims: true, ..Default::default() }, &[q, k, none], "qk", &square);
        scores = m.push(top::MulConst { const_val: 0.5, ..Default::default() }, &[scores], "scaled", &square);
        let scaled = scores;
        if net.mask {
            let shape = if net.stacked { vec![1, 1, keys] } else { vec![images, 1, 1, keys] };
            let mask = input(&mut m, "mask", &shape);
            scores = m.push(top::Add::default(), &[scores, mask], "masked", &square);
        }
        let axis = square.len() as i32 - 1;
        let shares = m.push(top::Softmax { axis, beta: 1.0, ..Default::default() }, &[scores], "shares", &square);
        let mut joined = m.push(top::MatMul { keep_dims: true, ..Default::default() }, &[shares, v, none], "pv", &result);
        if net.stacked {
            joined = m.view(joined, "apart", &[images, heads, rows, dim]);
        }
        joined = m.permute(joined, &[0, 2, 1, 3], "joined_t");
        joined = m.view(joined, "joined", &[images, rows, heads * dim]);
        let out = m.matmul(joined, heads * dim, COLUMNS, net.relu, "out", &[images, rows, COLUMNS]);
        let sum = m.push(top::Add::default(), &[x, out], "sum", &[images, rows, COLUMNS]);
        m.program.outputs = if net.watched { vec![sum, scaled] } else { vec![sum] };
        m.program.check().unwrap();
        (m.program, m.weights)
    }
}

fn run(program: &Program, weights: &WeightStore) -> BTreeMap<String, Tensor> {
    let plan = Arc::new(Plan::new(program.clone(), weights, Options::default()).unwrap());
    let inputs: Vec<Tensor> = program.inputs.iter().enumerate().map(|(seed, &id)| {
        let dims = program.tensor_type(id).unwrap().dims();
        let count = dims.iter().product();
        let hidden = |i: usize| if i % 4 == 2 { -10_000.0 } else { 0.0 };
        let data = if program.value(id).name == "mask_in" { (0..count).map(hidden).collect() } else { numbers(count, seed) };
        Tensor::f32(&dims, data).unwrap()
    }).collect();
    plan.executor().unwrap().run_all(&inputs.iter().collect::<Vec<_>>()).unwrap()
}

/// The program with the ranges that its tensors have.
fn ranged(program: &Program, tensors: &BTreeMap<String, Tensor>) -> Program {
    let mut program = program.clone();
    for result in program.nodes.iter().map(|n| n.results[0]).collect::<Vec<_>>() {
        let value = &mut program.values[result.index()];
        let peak = f64::from(tensors[&value.name].to_f32().iter().fold(0f32, |m, v| m.max(v.abs())));
        let min = if value.name == "shares" { 0.0 } else { -peak };
        value.ty = TensorType::new(&value.ty.tensor().unwrap().shape, Elem::Calibrated { expressed: DType::F32, min, max: peak.max(1e-3) }).into();
    }
    program
}

fn count(program: &Program, name: &str) -> usize {
    program.nodes.iter().filter(|n| n.op.name() == name).count()
}

/// Heads beside or above each other, one or many, with and without biases, masks, other keys: always one op with the same numbers.
#[test]
fn attentions_become_one_op() {
    let nets = [
        PLAIN,
        Net { heads: 1, ..PLAIN },
        Net { heads: 3, dim: 1, bias: false, ..PLAIN },
        Net { keys_at_once: false, rows: 1, keys: 1, ..PLAIN },
        Net { images: 3, keys: 7, cross: true, ..PLAIN },
        Net { images: 3, keys: 7, cross: true, mask: true, keys_at_once: false, ..PLAIN },
        Net { stacked: true, images: 2, ..PLAIN },
        Net { stacked: true, mask: true, ..PLAIN },
        Net { watched: true, mask: true, ..PLAIN },
    ];
    for (index, net) in nets.into_iter().enumerate() {
        let (program, weights) = Maker::make(net);
        let (fused, fused_weights) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
        fused.check().unwrap();
        // What is looked at elsewhere stays.
        if net.watched {
            assert_eq!((count(&fused, "top.Attention"), count(&fused, "top.MatMul")), (0, 6));
            continue;
        }
        assert_eq!((count(&fused, "top.Attention"), count(&fused, "top.MatMul"), count(&fused, "top.Softmax"), count(&fused, "top.Reshape")), (1, 0, 0, 0), "{index}");
        let (wanted, found) = (run(&program, &weights), run(&fused, &fused_weights));
        for (name, found) in &found {
            let (found, wanted) = (found.to_f32(), wanted[name].to_f32());
            assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{index} {name}: {found:?} {wanted:?}");
        }
        // In every mode it lowers to an op a head, and stays near.
        let (top, top_weights) = top_optimize(&ranged(&program, &wanted), &weights, &Chip::BM1684X).unwrap();
        for mode in [Mode::Int8, Mode::F16, Mode::BF16, Mode::F32] {
            let (lowered, lowered_weights) = lower_program(&top, &top_weights, &Chip::BM1684X, mode).unwrap();
            assert_eq!(count(&lowered, "tpu.Attention"), net.heads as usize);
            let tensors = run(&lowered, &lowered_weights);
            let (found, wanted) = (tensors["sum"].to_f32(), wanted["sum"].to_f32());
            let scale = lowered.tensor_type(lowered.names()["sum"]).unwrap().elem.scale();
            let step = scale.filter(|_| tensors["sum"].as_f32().is_none()).unwrap_or(1.0) as f32;
            let limit = match mode {
                Mode::Int8 => 0.2,
                Mode::BF16 => 0.05,
                _ => 0.01,
            };
            let off = found.iter().zip(&wanted).fold(0f32, |m, (a, b)| m.max((a * step - b).abs()));
            assert!(off < limit, "{index} {mode}: {off}");
        }
    }
}

#[test]
fn what_is_no_attention_stays() {
    for net in [Net { relu: true, ..PLAIN }, Net { wrong_order: true, ..PLAIN }] {
        let (program, weights) = Maker::make(net);
        let (kept, _) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
        assert_eq!((count(&kept, "top.Attention"), count(&kept, "top.MatMul")), (0, 6));
    }
    let (program, weights) = Maker::make(PLAIN);
    for chip in Chip::ALL.iter().filter(|c| c.name != "bm1684x") {
        let (kept, _) = top_optimize(&program, &weights, chip).unwrap();
        assert_eq!(count(&kept, "top.Attention"), 0, "{}", chip.name);
    }
}

/// Thresholds inside are needed too, and the layer that has none is named.
#[test]
fn a_threshold_that_is_missing_inside_is_named() {
    let (program, weights) = Maker::make(PLAIN);
    let mut program = ranged(&program, &run(&program, &weights));
    let scores = program.names()["qk"];
    program.values[scores.index()].ty = TensorType::f32(&[1, 2, 5, 5]).into();
    let (kept, weights) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
    assert_eq!(count(&kept, "top.Attention"), 0);
    let error = lower_program(&kept, &weights, &Chip::BM1684X, Mode::Int8).unwrap_err();
    assert_eq!(error, LowerError::MissingThresholds { layers: vec!["qk".into()] });
}
