//! `model_runner`: one run of any model.

use crate::cli::{self, Failure, Later, Talk};
use crate::inputs;
use crate::run::{Engine, Model};
use serde_json::json;
use std::path::PathBuf;
use tpuc_imageio::samples::NetInput;
use tpuc_tensor::npz;

/// Run an onnx, mlir or bmodel file on given inputs and write its outputs.
#[derive(clap::Parser)]
#[command(name = "model_runner", after_help = concat!(include_str!("../help/model_runner.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// A npz file with the inputs by name; for onnx and mlir also a picture or npy file, one an input, comma separated
    #[arg(long, required = true, num_args = 1..)]
    input: Vec<String>,
    /// The model: .onnx, .mlir (Top or Tpu) or .bmodel
    #[arg(long)]
    model: PathBuf,
    /// The npz file to write
    #[arg(long, short, default_value = "_output.npz")]
    output: PathBuf,
    /// Write every tensor of the network, not only its outputs (onnx and mlir)
    #[arg(long)]
    dump_all_tensors: bool,
    /// Write quantized outputs as the integers that they are, not multiplied by their scales
    #[arg(long)]
    out_fixed: bool,
    /// What executes a bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
    #[command(flatten)]
    talk: Talk,
}

const LATER: &[Later] = &[
    Later("--weight", &[""]),
    Later("--debug", &[]),
    Later("--cuda", &[]),
    Later("--decrypt_lib", &[""]),
    Later("--ip", &[""]),
    Later("--pwd", &[""]),
    Later("--enable_log", &[]),
    Later("--desire_op", &[]),
];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(cli::without_later(arguments, LATER)?)?;
    cli::check_input(&arguments.model)?;
    let files = cli::files(&arguments.input);
    files.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    cli::check_output(&arguments.output)?;
    let mut model = Model::open(&arguments.model, arguments.runner)?;
    let outputs = match &mut model {
        Model::Plan(plan) => {
            let given = inputs::load(plan.net_inputs(), &files)?;
            match (arguments.dump_all_tensors, arguments.out_fixed) {
                (true, true) => return Err(Failure::usage("--out_fixed is for the outputs, --dump_all_tensors for all tensors: choose one")),
                (true, false) => plan.run_all(&given)?,
                (false, true) => plan.run_raw(&given)?,
                (false, false) => plan.run(&given)?,
            }
        }
        Model::Device(_) if arguments.dump_all_tensors => return Err(Failure::usage("--dump_all_tensors: a bmodel only has its outputs; run its Tpu mlir instead")),
        Model::Device(_) => {
            let wanted: Vec<_> = model.inputs().iter().map(|i| NetInput { name: i.name.clone(), shape: i.shape.clone(), preprocess: None }).collect();
            let given = inputs::load(&wanted, &files)?;
            if arguments.out_fixed { model.run_raw(&given)? } else { model.run(&given)? }
        }
    };
    npz::write_npz(&arguments.output, outputs.iter().map(|(n, t)| (n.as_str(), t)))?;
    arguments.talk.say(format_args!("Saving {}", arguments.output.display()));
    let list: Vec<_> = outputs.iter().map(|(n, t)| json!({ "name": n, "shape": t.shape(), "dtype": t.dtype().name() })).collect();
    arguments.talk.result("model_runner", true, json!({ "model": arguments.model, "output": arguments.output, "tensors": list }));
    Ok(())
}
