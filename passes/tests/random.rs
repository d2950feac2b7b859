//! Random small networks through lowering and code generation: interpreter, simulator and (where its libraries are) the
//! vendor's simulator agree bit for bit.

use proptest::test_runner::{RngAlgorithm, TestRng};
use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Chip, Mode, Ranges, lower_mixed, lower_program, table};
use tpuc_ops::{Attr, Op, Program, TensorType, ValueId, top};
use tpuc_runtime::{Bmrt, BmrtOptions, Runner, Simulator, SimulatorOptions};
use tpuc_tensor::{Tensor, WeightStore};

/// Re-entered by the child process that runs the vendor's library.
#[test]
fn child_entry() {
    tpuc_runtime::child_main_if_requested();
}

struct Random(TestRng);

impl Random {
    fn new(seed: u64) -> Random {
        let mut bytes = [7u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Random(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn next(&mut self) -> u64 {
        use proptest::prelude::Rng;
        self.0.next_u64()
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    fn floats(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| ((self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * spread).collect()
    }
}

struct Builder {
    random: Random,
    program: Program,
    weights: WeightStore,
    count: usize,
}

impl Builder {
    fn shape(&self, value: ValueId) -> Vec<i64> {
        self.program.tensor_type(value).unwrap().shape.clone()
    }

    fn weight(&mut self, shape: &[i64], spread: f32) -> ValueId {
        let name = format!("w{}", self.weights.len());
        let count: i64 = shape.iter().product();
        let data = self.random.floats(count as usize, spread);
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        self.weights.insert(name.clone(), Tensor::f32(&dims, data).unwrap());
        self.program.add_weight(name, TensorType::f32(shape))
    }

    fn push(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> ValueId {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).unwrap().remove(0);
        self.count += 1;
        self.program.push(op, operands, format!("op{}", self.count), TensorType::f32(&shape))
    }

    fn conv(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let (channels, height, width) = (shape[1], shape[2], shape[3]);
        let group = match self.random.below(5) {
            0 => channels,
            1 if channels % 2 == 0 => 2,
            // Narrow groups, of which several are computed together.
            2 => [10, 8, 5, 4, 3].into_iter().find(|g| channels % g == 0).unwrap_or(1),
            _ => 1,
        };
        let outputs = match group {
            1 => self.random.pick(&[1, 10, 63, 64, 65, 130]),
            2 => self.random.pick(&[2, 34, 130]),
            g if g < channels => g * self.random.pick(&[1, 3, 16]),
            _ => channels * if channels < 8 { self.random.pick(&[1, 2]) } else { 1 },
        };
        let side = |random: &mut Random, size: i64| random.pick(&[1i64, 2, 3, 5]).min(size);
        let kernel = [side(&mut self.random, height), side(&mut self.random, width)];
        let dilation = if kernel[0] * 2 < height && kernel[1] * 2 < width { self.random.pick(&[1, 1, 2]) } else { 1 };
        let pad = |random: &mut Random, k: i64| random.below(k as u64) as i64;
        let pads = vec![pad(&mut self.random, kernel[0]), pad(&mut self.random, kernel[1]), pad(&mut self.random, kernel[0]), pad(&mut self.random, kernel[1])];
        let strides = vec![self.random.pick(&[1, 1, 2, 3]), self.random.pick(&[1, 1, 2])];
        let (dilation, pads, strides) = match self.random.below(12) {
            // Beyond the fields of an instruction.
            0 if kernel == [3, 3] => (18, vec![18; 4], vec![1, 1]),
            1 => (dilation, pads, vec![17, strides[1]]),
            2 => (dilation, vec![16, 17, 3, 18], strides),
            _ => (dilation, pads, strides),
        };
        let fan_in = (channels / group * kernel[0] * kernel[1]) as f32;
        let filter = self.weight(&[outputs, channels / group, kernel[0], kernel[1]], 2.0 / fan_in.sqrt());
        let bias = if self.random.below(3) == 0 { self.program.none() } else { self.weight(&[outputs], 0.5) };
        let do_relu = self.random.below(2) == 0;
        let relu_limit = if do_relu && self.random.below(3) == 0 { 6.0 } else { -1.0 };
        let op = top::Conv { kernel_shape: kernel.to_vec(), strides, pads, group, dilations: Some(vec![dilation; 2]), do_relu, relu_limit, ..Default::default() };
        self.push(op, &[input, filter, bias])
    }

    fn pool(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let large = self.random.below(6) == 0;
        let sides = if large { [7i64, 13, 18] } else { [1, 2, 3] };
        let kernel = vec![self.random.pick(&sides).min(shape[2]), self.random.pick(&sides).max(2).min(shape[3])];
        let strides = if large && self.random.below(2) == 0 { kernel.clone() } else { vec![self.random.pick(&[1, 2]), self.random.pick(&[1, 2])] };
        let pad = |random: &mut Random, k: i64| random.below(k as u64) as i64;
        let pads = vec![pad(&mut self.random, kernel[0]), pad(&mut self.random, kernel[1]), pad(&mut self.random, kernel[0]), pad(&mut self.random, kernel[1])];
        if self.random.below(2) == 0 {
            return self.push(top::MaxPool { kernel_shape: kernel, strides, pads, ..Default::default() }, &[input]);
        }
        let count_include_pad = self.random.below(2) == 0 || kernel[0] * kernel[1] > 257;
        self.push(top::AvgPool { kernel_shape: kernel, strides, pads, count_include_pad, ..Default::default() }, &[input])
    }

    /// A sum with something of another shape: a constant or a mean, per channel or for all.
    fn broadcast_add(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let other = match self.random.below(5) {
            4 => self.weight(&[1], 1.0),
            0 => self.weight(&[1, shape[1], 1, 1], 1.0),
            1 => self.weight(&[1, 1, shape[2], shape[3]], 1.0),
            2 => self.weight(&shape.clone(), 1.0),
            _ => {
                let op = top::AvgPool { kernel_shape: shape[2..].to_vec(), strides: vec![1, 1], pads: vec![0; 4], count_include_pad: true, ..Default::default() };
                self.push(op, &[input])
            }
        };
        let do_relu = self.random.below(2) == 0;
        self.push(top::Add { do_relu, ..Default::default() }, &[input, other])
    }

    /// Padding: by a constant, by reflection or by the border's elements; now and then of channels and images too.
    fn pad(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let mode = self.random.pick(&["constant", "constant", "reflect", "edge"]);
        let first = if self.random.below(4) == 0 { 0 } else { 2 };
        let mut paddings = vec![0; 8];
        for d in (first..4).chain(4 + first..8) {
            let reach = if mode == "reflect" { shape[d % 4].min(3) as u64 } else { 3 };
            paddings[d] = self.random.below(reach) as i64;
        }
        let val = self.random.pick(&[0.0, 0.5]);
        self.push(top::Pad { paddings, val, mode: mode.into(), ..Default::default() }, &[input])
    }

    /// A product of two activations over W: the other factor comes from a second convolution.
    fn product(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let filter = self.weight(&[shape[1], 1, 1, 1], 1.0);
        let none = self.program.none();
        let op = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], group: shape[1], dilations: Some(vec![1, 1]), ..Default::default() };
        let mut side = self.push(op, &[input, filter, none]);
        let (left_transpose, right_transpose) = (self.random.below(3) == 0, self.random.below(2) == 0);
        // Equal shapes multiply if exactly one of them is transposed; otherwise the other is reshaped.
        if left_transpose == right_transpose {
            let turned = vec![shape[0], shape[1], shape[3], shape[2]];
            side = self.push(top::Reshape { shape: Some(turned), ..Default::default() }, &[side]);
        }
        let do_relu = self.random.below(3) == 0;
        self.push(top::MatMul { left_transpose, right_transpose, do_relu, ..Default::default() }, &[input, side, none])
    }

    /// A function of one tensor.
    fn function(&mut self, input: ValueId) -> ValueId {
        let op: Op = match self.random.below(8) {
            0 => top::LeakyRelu { alpha: 0.1, ..Default::default() }.into(),
            1 => top::AddConst { const_val: 0.3, ..Default::default() }.into(),
            2 => top::MulConst { const_val: -0.7, ..Default::default() }.into(),
            3 => top::SubConst { const_val: 0.4, is_reverse: self.random.below(2) == 0, ..Default::default() }.into(),
            4 => top::Abs::default().into(),
            5 => top::Clip { min: -0.4, max: 0.6, ..Default::default() }.into(),
            6 => top::MaxConst { const_val: 0.1, ..Default::default() }.into(),
            _ => top::MinConst { const_val: 0.2, ..Default::default() }.into(),
        };
        self.push(op, &[input])
    }

    /// Elements moved, several tensors joined, parts cut out and joined again in another order.
    fn movement(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        match self.random.below(6) {
            0 => self.push(top::Concat { axis: 1, ..Default::default() }, &[input, input]),
            1 if shape[2] > 1 => {
                let steps = vec![1, 1, self.random.pick(&[1, 2]), 1];
                let none = self.program.none();
                self.push(top::Slice { offset: vec![0, 0, 1, 0], ends: shape.clone(), steps, ..Default::default() }, &[input, none, none, none])
            }
            2 => {
                let order = self.random.pick(&[[0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2]]).to_vec();
                self.push(top::Permute { order, ..Default::default() }, &[input])
            }
            3 if shape[2] * shape[3] < 1000 => {
                let scale_w = self.random.pick(&[1, 2, 3]);
                self.push(top::Upsample { scale_h: 2, scale_w, do_relu: scale_w == 2, ..Default::default() }, &[input])
            }
            // Channels in turn from the two halves.
            4 if shape[1] % 2 == 0 => {
                let split = vec![shape[0], 2, shape[1] / 2, shape[2] * shape[3]];
                let value = self.push(top::Reshape { shape: Some(split), ..Default::default() }, &[input]);
                let value = self.push(top::Permute { order: vec![0, 2, 1, 3], ..Default::default() }, &[value]);
                self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[value])
            }
            _ => self.push(top::Tile { tile: Some(vec![1, 1, 1, 2]), ..Default::default() }, &[input]),
        }
    }

    /// A transposed convolution.
    fn deconv(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let (outputs, kernel) = (self.random.pick(&[1, 16, 65]), self.random.pick(&[2i64, 3, 4]));
        let filter = self.weight(&[outputs, shape[1], kernel, kernel], 2.0 / ((shape[1] * kernel * kernel) as f32).sqrt());
        let bias = self.weight(&[outputs], 0.5);
        let pads = vec![(kernel - 2) / 2; 4];
        let op = top::Deconv { kernel_shape: vec![kernel; 2], strides: vec![self.random.pick(&[1, 2]), 2], pads, group: 1, dilations: Some(vec![1, 1]), ..Default::default() };
        self.push(op, &[input, filter, bias])
    }

    /// Two tensors of one shape, or one that repeats; slopes by channel.
    fn pair(&mut self, input: ValueId) -> ValueId {
        let shape = self.shape(input);
        let side = match self.random.below(3) {
            0 => self.weight(&[1, shape[1], 1, 1], 1.0),
            _ => {
                let filter = self.weight(&[shape[1], 1, 1, 1], 1.0);
                let none = self.program.none();
                let op = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], group: shape[1], dilations: Some(vec![1, 1]), ..Default::default() };
                self.push(op, &[input, filter, none])
            }
        };
        let is_weight = self.program.producer(side).is_none();
        let op: Op = match self.random.below(5) {
            0 if is_weight => top::PRelu::default().into(),
            1 => top::Sub { is_reverse: self.random.below(2) == 0, do_relu: self.random.below(2) == 0, ..Default::default() }.into(),
            2 if !is_weight => top::Max::default().into(),
            3 if !is_weight => top::Min::default().into(),
            _ => top::Mul { do_relu: self.random.below(2) == 0, ..Default::default() }.into(),
        };
        self.push(op, &[input, side])
    }

    fn network(seed: u64) -> (Program, WeightStore, Tensor) {
        let mut random = Random::new(seed);
        let channels = random.pick(&[1i64, 3, 16, 64, 70, 130]);
        // One in eight is large enough that tiles are needed.
        let (height, width) = if random.below(8) == 0 { (random.pick(&[90i64, 150]), random.pick(&[120i64, 200])) } else { (1 + random.below(24) as i64, 2 + random.below(24) as i64) };
        let images = random.pick(&[1i64, 1, 2]);
        let mut program = Program::new(format!("random{seed}"));
        let shape = [images, channels, height, width];
        let argument = program.add_input("x", TensorType::f32(&shape));
        let mut value = program.push(top::Input { do_preprocess: true, ..Default::default() }, &[argument], "x", TensorType::f32(&shape));
        program.attrs.insert("module.weight_file".into(), Attr::Str("w.npz".into()));
        program.attrs.insert("module.state".into(), Attr::Str("TOP_F32".into()));
        let count: i64 = shape.iter().product();
        let input = Tensor::f32(&shape.map(|d| d as usize), random.floats(count as usize, 2.0)).unwrap();
        let mut b = Builder { random, program, weights: WeightStore::new(), count: 0 };
        value = b.conv(value);
        for _ in 0..b.random.below(4) {
            value = match b.random.below(14) {
                0 | 1 => b.conv(value),
                2 => b.pool(value),
                3 => {
                    let shape = b.shape(value);
                    let filter = b.weight(&[shape[1], shape[1], 1, 1], 1.0 / (shape[1] as f32).sqrt());
                    let none = b.program.none();
                    let op = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], dilations: Some(vec![1, 1]), ..Default::default() };
                    let side = b.push(op, &[value, filter, none]);
                    let do_relu = b.random.below(2) == 0;
                    b.push(top::Add { do_relu, ..Default::default() }, &[value, side])
                }
                4 => b.pad(value),
                5 => b.broadcast_add(value),
                6 => b.product(value),
                7 => b.function(value),
                8 => b.pair(value),
                9..12 => b.movement(value),
                12 if b.shape(value)[2] * b.shape(value)[3] < 1000 => b.deconv(value),
                // A Relu behind a mean is always folded into it before lowering.
                _ if matches!(b.program.nodes.last().map(|n| &n.op), Some(Op::TopAvgPool(_))) => b.conv(value),
                _ => {
                    let relu_limit = b.random.pick(&[-1.0, 0.5]);
                    b.push(top::Relu { relu_limit, ..Default::default() }, &[value])
                }
            };
        }
        match b.random.below(3) {
            0 => {
                let shape = b.shape(value);
                let depth: i64 = shape[1..].iter().product();
                if depth <= 4000 {
                    value = b.push(top::Reshape { shape: Some(vec![shape[0], depth]), ..Default::default() }, &[value]);
                    let columns = b.random.pick(&[1, 10, 100, 1000]);
                    let right = b.weight(&[depth, columns], 1.0 / (depth as f32).sqrt());
                    let bias = if b.random.below(2) == 0 { b.program.none() } else { b.weight(&[columns], 0.3) };
                    value = b.push(top::MatMul::default(), &[value, right, bias]);
                }
            }
            1 => value = b.push(top::Softmax { axis: 1, ..Default::default() }, &[value]),
            _ => {}
        }
        b.program.outputs = vec![value];
        (b.program, b.weights, input)
    }
}

/// Thresholds from one run.
fn ranges(program: &Program, weights: &WeightStore, input: &Tensor) -> Ranges {
    let plan = Arc::new(Plan::new(program.clone(), weights, Options::default()).unwrap());
    let all = plan.executor().unwrap().run_all(&[input]).unwrap();
    let row = |(name, tensor): (&String, &Tensor)| {
        let (low, high) = tensor.to_f32().iter().fold((0f32, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
        table::Row { name: name.clone(), threshold: f64::from(low.abs().max(high).max(1e-5)), min: f64::from(low), max: f64::from(high) }
    };
    let table = table::CalibrationTable::new(table::Header::default(), all.iter().map(row));
    let mut ranges = Ranges::from_table(program, &table, &Chip::BM1684X).unwrap();
    ranges.propagate(program, &Chip::BM1684X);
    ranges
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    let bits = |t: &Tensor| t.to_f32().into_iter().map(f32::to_bits).collect::<Vec<_>>();
    bits(a) == bits(b)
}

/// Elements in which the chip's result differs from the interpreter's: none, but for probabilities one step away, one in
/// 10,000 at most (docs/numerics.md: the chip's division in a softmax is not IEEE's).
fn differences(seed: u64, lowered: &Program, found: &Tensor, wanted: &Tensor) -> usize {
    let (found, wanted) = (found.to_f32(), wanted.to_f32());
    assert_eq!(found.len(), wanted.len(), "network {seed}");
    let off: Vec<_> = found.iter().zip(&wanted).filter(|(f, w)| f.to_bits() != w.to_bits()).map(|(f, w)| (f - w).abs()).collect();
    let softmax = lowered.nodes.iter().any(|n| matches!(n.op, Op::TpuSoftmax(_)));
    let explained = softmax && off.iter().all(|d| *d < 1.01 / 255.0) && off.len() * 10_000 <= found.len();
    assert!(off.is_empty() || explained, "network {seed}: {} of {} elements of simulator and interpreter differ", off.len(), found.len());
    off.len()
}

/// How the modes of a network's layers are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All in one mode.
    All(Mode),
    /// All in INT8 with zero points.
    ZeroPoints,
    /// Each in one of its own.
    Mixed,
}

/// A network lowered and compiled; `None` where code generation refuses it.
fn compile(seed: u64, kind: Kind) -> Option<(Program, WeightStore, tpuc_codegen::Compiled, Tensor)> {
    let (mut program, weights, input) = Builder::network(seed);
    program.attrs.insert("module.asymmetric".into(), tpuc_ops::Attr::Bool(kind == Kind::ZeroPoints));
    program.check().unwrap();
    let annotated = ranges(&program, &weights, &input).annotate(&program);
    let chip = Chip::BM1684X;
    let lowered = match kind {
        Kind::All(mode) => lower_program(&annotated, &weights, &chip, mode),
        Kind::ZeroPoints => lower_program(&annotated, &weights, &chip, Mode::Int8),
        Kind::Mixed => {
            let mut random = Random::new(seed);
            let modes: Vec<Mode> = annotated.nodes.iter().map(|_| random.pick(&[Mode::Int8, Mode::Int8, Mode::F32, Mode::F16, Mode::BF16])).collect();
            lower_mixed(&annotated, &weights, &chip, Mode::Int8, |node| modes[node])
        }
    };
    let (lowered, lowered_weights) = match (lowered, kind) {
        (Ok(lowered), _) => lowered,
        // Between two modes a layer may have no range that both sides know.
        (Err(error), Kind::Mixed) => {
            println!("network {seed}, {kind:?} is not lowered: {error}");
            return None;
        }
        (Err(error), _) => panic!("network {seed}, {kind:?}: {error}"),
    };
    match tpuc_codegen::compile(&lowered, &lowered_weights) {
        Ok(compiled) => {
            compiled.timeline().unwrap_or_else(|e| panic!("network {seed}, {kind:?}: {e}"));
            Some((lowered, lowered_weights, compiled, input))
        }
        Err(error) => {
            println!("network {seed}, {kind:?} is refused: {error}");
            None
        }
    }
}

/// Runs compiled networks in our simulator and in the vendor's, if it is there.
struct Runners {
    folder: tempfile::TempDir,
    vendor: bool,
    child: (std::path::PathBuf, Vec<String>),
    different: Vec<u64>,
}

impl Runners {
    fn new() -> Runners {
        let vendor = std::env::var_os(tpuc_runtime::LIBRARY_DIR_VARIABLE).is_some();
        if !vendor {
            println!("skipped: {} is not set, nothing is compared with the vendor's simulator", tpuc_runtime::LIBRARY_DIR_VARIABLE);
        }
        let child = (std::env::current_exe().unwrap(), ["--exact", "child_entry", "--nocapture"].map(String::from).to_vec());
        Runners { folder: tempfile::tempdir().unwrap(), vendor, child, different: Vec::new() }
    }

    /// The simulator's result; the vendor's must be the same bits.
    fn run(&mut self, seed: u64, lowered: &Program, compiled: &tpuc_codegen::Compiled, input: Tensor, on_vendor: bool) -> Tensor {
        let model = compiled.model(lowered, "now");
        let inputs = [("x".to_owned(), input)];
        let simulated = Simulator::new(&model, &SimulatorOptions::default()).unwrap().run(&inputs).unwrap_or_else(|e| panic!("network {seed}: {e}")).remove(0).1;
        if self.vendor && on_vendor {
            let path = self.folder.path().join("random.bmodel");
            std::fs::write(&path, tpuc_bmodel::write(&model).unwrap()).unwrap();
            let options = BmrtOptions { child: Some(self.child.clone()), ..BmrtOptions::default() };
            let outputs = Bmrt::open(&path, &options).and_then(|mut r| r.run(&inputs)).unwrap_or_else(|e| panic!("network {seed}: {e}"));
            if !same(&outputs[0].1, &simulated) {
                let (found, wanted) = (outputs[0].1.to_f32(), simulated.to_f32());
                let places: Vec<_> = (0..found.len()).filter(|&i| found[i].to_bits() != wanted[i].to_bits()).collect();
                println!("network {seed}: {} of {} elements differ, first at {:?}: {} instead of {}", places.len(), found.len(), places.first(), found[places[0]], wanted[places[0]]);
                for node in 0..lowered.nodes.len() {
                    println!("    {:?} {:?} {:?}", lowered.nodes[node].op, lowered.operand_types(node).first(), lowered.result_types(node).first());
                }
                self.different.push(seed);
            }
        }
        simulated
    }

    fn finish(&self) {
        assert!(self.different.is_empty(), "the vendor's simulator and ours differ on networks {:?}", self.different);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

fn interpreted(lowered: &Program, weights: &WeightStore, input: &Tensor) -> Tensor {
    let plan = Arc::new(Plan::new(lowered.clone(), weights, Options::default()).unwrap());
    plan.executor().unwrap().outputs(&[input]).unwrap().remove(0)
}

/// Whether a layer between the first cast and the last computes in floats.
fn has_floats(lowered: &Program) -> bool {
    let float = |node: &tpuc_ops::Node| lowered.tensor_type(node.results[0]).is_some_and(|t| t.elem.scale().is_none() && t.elem.storage() != tpuc_tensor::DType::I32);
    lowered.nodes.iter().any(|n| float(n) && !matches!(n.op, Op::TpuCast(_) | Op::TopInput(_)))
}

/// Where some layers are in floats (a Relu by itself, some means), sums in another order may move integers behind them.
#[test]
fn random_networks_with_zero_points_agree() {
    let mut runners = Runners::new();
    let (on_vendor, count) = (number("TPUC_RANDOM_VENDOR", 15), number("TPUC_RANDOM_COUNT", 60));
    let (mut exact, mut close) = (0, 0);
    for seed in (number("TPUC_RANDOM_SEED", 0) + 1..).take(3 * count as usize) {
        if exact + close == count {
            break;
        }
        let Some((lowered, weights, compiled, input)) = compile(seed, Kind::ZeroPoints) else { continue };
        let expected = interpreted(&lowered, &weights, &input);
        let simulated = runners.run(seed, &lowered, &compiled, input, exact + close < on_vendor);
        if !has_floats(&lowered) {
            differences(seed, &lowered, &simulated, &expected);
            exact += 1;
            continue;
        }
        let (found, wanted) = (simulated.to_f32(), expected.to_f32());
        let peak = wanted.iter().fold(f32::MIN_POSITIVE, |p, v| p.max(v.abs()));
        let off = found.iter().zip(&wanted).fold(0f32, |m, (f, w)| m.max((f - w).abs())) / peak;
        assert!(off < 8.0 / 255.0, "network {seed}: off by {off} of the peak");
        close += 1;
    }
    runners.finish();
    println!("{exact} networks agree exactly, {close} with floats inside closely");
    assert_eq!(exact + close, count, "too many networks are refused");
}

#[test]
fn two_hundred_random_networks_agree() {
    let mut runners = Runners::new();
    // A process and seconds of the vendor's simulator each: the first forty unless asked for more.
    let (on_vendor, count) = (number("TPUC_RANDOM_VENDOR", 40), number("TPUC_RANDOM_COUNT", 200));
    let (mut done, mut refused, mut commands, mut off_by_one) = (0, 0, 0, 0);
    let mut seed = number("TPUC_RANDOM_SEED", 0);
    while done < count {
        seed += 1;
        let Some((lowered, weights, compiled, input)) = compile(seed, Kind::All(Mode::Int8)) else {
            refused += 1;
            assert!(refused < 40, "too many networks are refused");
            continue;
        };
        commands += compiled.commands.len();
        done += 1;
        let expected = interpreted(&lowered, &weights, &input);
        let simulated = runners.run(seed, &lowered, &compiled, input, done <= on_vendor);
        off_by_one += differences(seed, &lowered, &simulated, &expected);
    }
    runners.finish();
    println!("{done} networks of {commands} commands agree ({off_by_one} probabilities one step off), {refused} refused");
}

/// The part of the largest magnitude that results may be off (docs/numerics.md).
fn tolerance(kind: Kind) -> f32 {
    match kind {
        Kind::All(Mode::F32) => 5e-5,
        Kind::All(Mode::F16) => 4e-3,
        Kind::All(Mode::BF16) => 3e-2,
        _ => 5e-2,
    }
}

/// Pure float networks and such of all modes: the vendor's simulator and ours agree bit for bit, the interpreter within a
/// tolerance.
#[test]
fn random_float_and_mixed_networks_agree() {
    let mut runners = Runners::new();
    let (on_vendor, count) = (number("TPUC_RANDOM_VENDOR", 24), number("TPUC_RANDOM_COUNT", 80));
    let kinds = [Kind::All(Mode::F32), Kind::All(Mode::F16), Kind::All(Mode::BF16), Kind::Mixed];
    let mut worst = [0f32; 4];
    let (mut done, mut refused) = (0, 0);
    let mut seed = number("TPUC_RANDOM_SEED", 0);
    let mut failures = Vec::new();
    while done < count {
        seed += 1;
        let index = (seed % 4) as usize;
        let Some((lowered, weights, compiled, input)) = compile(seed, kinds[index]) else {
            refused += 1;
            assert!(refused < 20, "too many networks are refused");
            continue;
        };
        done += 1;
        let expected = interpreted(&lowered, &weights, &input).to_f32();
        let found = runners.run(seed, &lowered, &compiled, input, done <= on_vendor).to_f32();
        assert_eq!(found.len(), expected.len());
        let peak = expected.iter().fold(f32::MIN_POSITIVE, |p, v| p.max(v.abs()));
        let off = found.iter().zip(&expected).fold(0f32, |m, (f, e)| if f.is_finite() { m.max((f - e).abs() / peak) } else { f32::INFINITY });
        worst[index] = worst[index].max(off);
        if off > tolerance(kinds[index]) {
            println!("network {seed}, {:?}: off by {off} of its peak", kinds[index]);
            for node in 0..lowered.nodes.len() {
                println!("    {:?} {:?} {:?}", lowered.nodes[node].op, lowered.operand_types(node).first(), lowered.result_types(node).first());
            }
            failures.push(seed);
        }
    }
    println!("{done} networks, {refused} refused; the most that F32, F16, BF16 and mixed ones are off: {worst:?} of their peaks");
    runners.finish();
    assert!(failures.is_empty(), "networks {failures:?} are off too much");
}
