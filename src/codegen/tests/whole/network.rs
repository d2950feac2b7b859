//! Programs made for a test, and the three ways to run them.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_ops::{Elem, Op, Program, TensorType, ValueId, top};
use tpuc_runtime::{Bmrt, BmrtOptions, Runner, Simulator, SimulatorOptions};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

/// Re-entered by the child process that runs the vendor's library.
#[test]
fn child_entry() {
    tpuc_runtime::child_main_if_requested();
}

pub struct Random(TestRng);

impl Random {
    pub fn new(seed: u64) -> Random {
        let mut bytes = [9u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Random(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// In -1..1.
    pub fn float(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| self.float() * spread).collect()
    }
}

/// A program of inputs and ops, each op with its own result.
pub struct Network {
    pub program: Program,
    pub weights: WeightStore,
    pub inputs: Vec<(String, Tensor)>,
}

/// The type of tensors of a storage type; integers have a scale.
pub fn elem(dtype: DType, scale: f64) -> Elem {
    match dtype {
        DType::I8 | DType::U8 => Elem::Uniform { storage: dtype, expressed: DType::F32, scale, zero_point: 0 },
        _ => Elem::Plain(dtype),
    }
}

/// Values in a storage type, as an array holds them.
pub fn tensor(shape: &[i64], dtype: DType, values: Vec<f32>) -> Tensor {
    let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
    let data = match dtype {
        DType::I8 => Data::I8(values.iter().map(|&v| (v * 127.0) as i8).collect()),
        DType::U8 => Data::U8(values.iter().map(|&v| (v.abs() * 255.0) as u8).collect()),
        DType::F16 => Data::F16(values.iter().map(|&v| half::f16::from_f32(v)).collect()),
        DType::BF16 => Data::BF16(values.iter().map(|&v| half::bf16::from_f32(v)).collect()),
        _ => return Tensor::f32(&dims, values).unwrap(),
    };
    Tensor::new(&dims, data).unwrap()
}

impl Network {
    pub fn new(name: &str) -> Network {
        Network { program: Program::new(name), weights: WeightStore::new(), inputs: Vec::new() }
    }

    /// An input of numbers between -spread and spread (of 8 bits: the whole range).
    pub fn input(&mut self, random: &mut Random, shape: &[i64], elem: Elem, spread: f32) -> ValueId {
        let name = format!("x{}", self.inputs.len());
        let ty = TensorType::new(shape, elem);
        let argument = self.program.add_input(&name, ty.clone());
        let count: i64 = shape.iter().product();
        self.inputs.push((name.clone(), tensor(shape, elem.storage(), random.floats(count as usize, spread))));
        self.program.push(top::Input::default(), &[argument], name, ty)
    }

    pub fn weight(&mut self, tensor: Tensor, elem: Elem) -> ValueId {
        let name = format!("w{}", self.weights.len());
        let shape: Vec<i64> = tensor.shape().iter().map(|&d| d as i64).collect();
        self.weights.insert(name.clone(), tensor);
        self.program.add_weight(name, TensorType::new(&shape, elem))
    }

    /// An op whose result the program returns. Operands that are not given are absent.
    pub fn push(&mut self, op: impl Into<Op>, operands: &[ValueId], elem: Elem) -> ValueId {
        let op = op.into();
        let mut operands = operands.to_vec();
        let spec = op.spec();
        while !spec.operands.iter().any(|o| o.variadic) && operands.len() < spec.operands.len() {
            operands.push(self.program.none());
        }
        let types: Vec<_> = operands.iter().map(|&v| self.program.value(v).ty.clone()).collect();
        let shape = op.infer_shapes(&types).unwrap_or_else(|e| panic!("{op:?}: {e}")).remove(0);
        let name = format!("op{}", self.program.nodes.len());
        let value = self.program.push(op, &operands, name, TensorType::new(&shape, elem));
        self.program.outputs.push(value);
        value
    }

    pub fn shape(&self, value: ValueId) -> Vec<i64> {
        self.program.tensor_type(value).unwrap().shape.clone()
    }

    /// What the interpreter computes, by output.
    pub fn interpreted(&self) -> Vec<Tensor> {
        let plan = Arc::new(Plan::new(self.program.clone(), &self.weights, Options::default()).unwrap());
        let inputs: Vec<&Tensor> = self.inputs.iter().map(|(_, t)| t).collect();
        plan.executor().unwrap().outputs(&inputs).unwrap()
    }

    /// What the simulator computes of the instructions; the vendor's must agree bit for bit where it is asked and there.
    pub fn simulated(&self, vendor: bool) -> Vec<Tensor> {
        let compiled = tpuc_codegen::compile(&self.program, &self.weights).unwrap_or_else(|e| panic!("{}: {e}", self.program.name));
        compiled.timeline().unwrap_or_else(|e| panic!("{}: {e}", self.program.name));
        let model = compiled.model(&self.program, "now");
        let mine = Simulator::new(&model, &SimulatorOptions::default()).unwrap().run(&self.inputs).unwrap_or_else(|e| panic!("{}: {e}", self.program.name));
        if vendor && vendor_is_there() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.bmodel");
            std::fs::write(&path, tpuc_bmodel::write(&model).unwrap()).unwrap();
            let child = (std::env::current_exe().unwrap(), ["--exact", "network::child_entry", "--nocapture"].map(String::from).to_vec());
            let options = BmrtOptions { child: Some(child), ..BmrtOptions::default() };
            let theirs = Bmrt::open(&path, &options).and_then(|mut r| r.run(&self.inputs)).unwrap();
            for ((name, a), (_, b)) in theirs.iter().zip(&mine) {
                let off = different(a, b);
                if off > 0 {
                    let (a, b) = (a.to_f32(), b.to_f32());
                    let first = (0..a.len()).find(|&i| a[i].to_bits() != b[i].to_bits()).unwrap_or(0);
                    println!("first at {first}: {} from the vendor's simulator, {} from ours", a[first], b[first]);
                }
                assert_eq!(off, 0, "{}: '{name}': vendor and simulator differ in {off} of {}: {:?}", self.program.name, a.len(), self.node(name));
            }
        }
        mine.into_iter().map(|(_, t)| t).collect()
    }

    fn node(&self, name: &str) -> Option<&Op> {
        self.program.nodes.iter().find(|n| self.program.value(n.results[0]).name == name).map(|n| &n.op)
    }

    /// All outputs of simulator and interpreter are the same bits.
    pub fn check_exact(&self, vendor: bool) {
        let (found, wanted) = (self.simulated(vendor), self.interpreted());
        for ((found, wanted), &value) in found.iter().zip(&wanted).zip(&self.program.outputs) {
            let name = &self.program.value(value).name;
            let off = different(found, wanted);
            assert_eq!(off, 0, "{}: '{name}': simulator and interpreter differ in {off} of {}: {:?} of {:?}", self.program.name, found.len(), self.node(name), self.program.nodes.iter().find(|n| n.results[0] == value).map(|n| self.program.tensor_type(n.operands[0])));
        }
    }

    /// All outputs of simulator and interpreter agree within a part of each output's largest magnitude; gives the worst.
    pub fn check_close(&self, tolerance: f32, vendor: bool) -> f32 {
        let (found, wanted) = (self.simulated(vendor), self.interpreted());
        let mut worst = 0f32;
        for ((found, wanted), &value) in found.iter().zip(&wanted).zip(&self.program.outputs) {
            let (found, wanted) = (found.to_f32(), wanted.to_f32());
            assert_eq!(found.len(), wanted.len());
            let peak = wanted.iter().filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, |p, v| p.max(v.abs()));
            for (i, (f, w)) in found.iter().zip(&wanted).enumerate() {
                let off = if f.to_bits() == w.to_bits() || f.is_nan() && w.is_nan() { 0.0 } else { (f - w).abs() / peak };
                assert!(off <= tolerance, "{}: '{}'[{i}] is {f} instead of {w}: {:?}", self.program.name, self.program.value(value).name, self.node(&self.program.value(value).name));
                worst = worst.max(off);
            }
        }
        worst
    }
}

pub fn different(a: &Tensor, b: &Tensor) -> usize {
    let (a, b) = (a.to_f32(), b.to_f32());
    a.len().abs_diff(b.len()) + a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan())).count()
}

pub fn vendor_is_there() -> bool {
    let there = std::env::var_os(tpuc_runtime::LIBRARY_DIR_VARIABLE).is_some();
    if !there {
        println!("skipped: {} is not set, nothing is compared with the vendor's simulator", tpuc_runtime::LIBRARY_DIR_VARIABLE);
    }
    there
}
