//! Anything that runs: `.onnx` and `.mlir` in the interpreter, `.bmodel` in the simulator or on the vendor's runtime.

use crate::cli::Failure;
use crate::network::{Network, extension};
use std::path::Path;
use std::sync::Arc;
use tpuc_imageio::samples::NetInput;
use tpuc_interp::{Executor, Options, Plan};
use tpuc_ops::ValueId;
use tpuc_runtime::{Bmrt, BmrtOptions, NamedTensor, Runner, Simulator, SimulatorOptions, TensorInfo, dequantize_all};
use tpuc_tensor::{DType, Tensor};

/// What executes a bmodel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Engine {
    /// This program's own model of the chip
    #[default]
    Simulator,
    /// The vendor's runtime, from the folder in TPUC_BMRT_DIR
    Bmrt,
}

/// A model ready to run.
pub enum Model {
    Plan(Box<PlanRunner>),
    Device(Box<dyn Runner>),
}

/// A program in the interpreter.
pub struct PlanRunner {
    executor: Executor,
    inputs: Vec<TensorInfo>,
    net_inputs: Vec<NetInput>,
    outputs: Vec<(String, Option<f64>)>,
}

impl PlanRunner {
    pub fn new(network: &Network) -> Result<PlanRunner, Failure> {
        PlanRunner::with_threads(network, tpuc_quant::default_threads())
    }

    pub fn with_threads(network: &Network, threads: usize) -> Result<PlanRunner, Failure> {
        let options = Options { threads, ..Options::default() };
        let plan = Arc::new(Plan::new(network.program.clone(), &network.weights, options)?);
        let program = plan.program();
        let info = |&id: &ValueId| {
            let ty = program.tensor_type(id).ok_or_else(|| Failure::work(format!("input '{}' is no tensor", program.value(id).name)))?;
            Ok(TensorInfo { name: program.value(id).name.clone(), dtype: ty.elem.storage(), shape: ty.dims(), scale: 1.0, zero_point: 0 })
        };
        let inputs = program.inputs.iter().map(info).collect::<Result<Vec<_>, Failure>>()?;
        let output = |&id: &ValueId| (program.value(id).name.clone(), program.tensor_type(id).and_then(|t| t.elem.scale()));
        let outputs = program.outputs.iter().map(output).collect();
        Ok(PlanRunner { executor: plan.executor()?, inputs, net_inputs: network.inputs()?, outputs })
    }

    pub fn net_inputs(&self) -> &[NetInput] {
        &self.net_inputs
    }

    /// The tensors of the inputs in their order and element types.
    fn arrange(&self, given: &[NamedTensor]) -> Result<Vec<Tensor>, Failure> {
        let single = self.inputs.len() == 1 && given.len() == 1;
        let one = |info: &TensorInfo| {
            let found = if single { given.first() } else { given.iter().find(|(name, _)| *name == info.name) };
            let (_, tensor) = found.ok_or_else(|| Failure::work(format!("input '{}' is missing", info.name)))?;
            // Files often have a dimension of 1 more or less.
            let wrong = |_| Failure::work(format!("input '{}' has shape {:?}, the network wants {:?}", info.name, tensor.shape(), info.shape));
            Ok(tpuc_runtime::quantize(info, &tensor.clone().reshaped(&info.shape).map_err(wrong)?)?)
        };
        self.inputs.iter().map(one).collect()
    }

    /// The outputs as f32.
    pub fn run(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, Failure> {
        let inputs = self.arrange(given)?;
        let results = self.executor.outputs(&inputs.iter().collect::<Vec<_>>())?;
        Ok(self.outputs.iter().zip(results).map(|((name, scale), tensor)| (name.clone(), as_f32(tensor, *scale))).collect())
    }

    /// The outputs as they are stored: quantized ones as integers.
    pub fn run_raw(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, Failure> {
        let inputs = self.arrange(given)?;
        let results = self.executor.outputs(&inputs.iter().collect::<Vec<_>>())?;
        Ok(self.outputs.iter().map(|(name, _)| name.clone()).zip(results).collect())
    }

    /// Every tensor as f32, in execution order.
    pub fn run_all(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, Failure> {
        let inputs = self.arrange(given)?;
        let mut all = self.executor.run_all(&inputs.iter().collect::<Vec<_>>())?;
        let program = self.executor.plan().program();
        let names = program.nodes.iter().flat_map(|n| &n.results).map(|&r| program.value(r).name.clone());
        Ok(names.filter_map(|name| all.remove(&name).map(|tensor| (name, tensor))).collect())
    }

    pub fn output_names(&self) -> Vec<String> {
        self.outputs.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Integers times their scale, the product in f32.
fn as_f32(tensor: Tensor, scale: Option<f64>) -> Tensor {
    if tensor.dtype() == DType::F32 {
        return tensor;
    }
    let scale = scale.unwrap_or(1.0) as f32;
    let values = tensor.to_f32().into_iter().map(|v| v * scale).collect();
    // The number of elements is that of `tensor`, so its shape fits.
    Tensor::f32(tensor.shape(), values).unwrap_or(tensor)
}

impl Model {
    pub fn open(path: &Path, engine: Engine) -> Result<Model, Failure> {
        if extension(path) != "bmodel" {
            return Ok(Model::Plan(Box::new(PlanRunner::new(&Network::read(path)?)?)));
        }
        let named = |e: tpuc_runtime::RunError| {
            let (file, text) = (path.display().to_string(), e.to_string());
            Failure::Work(if text.contains(&file) { text } else { format!("{file}: {text}") })
        };
        Ok(Model::Device(match engine {
            Engine::Simulator => {
                let model = tpuc_bmodel::read_owned(tpuc_tensor::file::read(path)?).map_err(|e| named(e.into()))?;
                Box::new(Simulator::new(&model, &SimulatorOptions::default()).map_err(named)?)
            }
            Engine::Bmrt => Box::new(Bmrt::open(path, &BmrtOptions::default()).map_err(named)?),
        }))
    }

    pub fn inputs(&self) -> &[TensorInfo] {
        match self {
            Model::Plan(plan) => &plan.inputs,
            Model::Device(runner) => runner.inputs(),
        }
    }

    /// The outputs as f32, in the network's order.
    pub fn run(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, Failure> {
        match self {
            Model::Plan(plan) => plan.run(given),
            Model::Device(runner) => {
                let outputs = runner.run(given)?;
                Ok(dequantize_all(runner.outputs(), outputs))
            }
        }
    }

    /// The outputs as they are stored: quantized ones as integers.
    pub fn run_raw(&mut self, given: &[NamedTensor]) -> Result<Vec<NamedTensor>, Failure> {
        match self {
            Model::Plan(plan) => plan.run_raw(given),
            Model::Device(runner) => Ok(runner.run(given)?),
        }
    }
}
