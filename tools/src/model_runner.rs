//! `model_runner`: one run of any model.

use crate::cli::{self, Failure};
use crate::inputs;
use crate::run::{Engine, Model};
use std::path::PathBuf;
use tpuc_imageio::samples::NetInput;
use tpuc_tensor::npz;

/// Run an onnx, mlir or bmodel file on given inputs and write its outputs.
#[derive(clap::Parser)]
#[command(name = "model_runner", version, rename_all = "snake_case", args_override_self = true)]
struct Arguments {
    /// A npz file with the inputs by name; for onnx and mlir also a picture or npy file, one an input, comma separated
    #[arg(long, required = true)]
    input: String,
    /// The model: .onnx, .mlir (Top or Tpu) or .bmodel
    #[arg(long)]
    model: PathBuf,
    /// The npz file to write
    #[arg(long, short, default_value = "output.npz")]
    output: PathBuf,
    /// Write every tensor of the network, not only its outputs (onnx and mlir)
    #[arg(long)]
    dump_all_tensors: bool,
    /// What executes a bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, &["--decrypt_lib", "--cuda", "--enable_log", "--out_fixed", "--desire_op"])?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    cli::check_input(&arguments.model)?;
    let files = cli::list(&arguments.input);
    files.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    cli::check_output(&arguments.output)?;
    let mut model = Model::open(&arguments.model, arguments.runner)?;
    let outputs = match &mut model {
        Model::Plan(plan) => {
            let given = inputs::load(plan.net_inputs(), &files)?;
            if arguments.dump_all_tensors { plan.run_all(&given)? } else { plan.run(&given)? }
        }
        Model::Device(_) if arguments.dump_all_tensors => return Err(Failure::usage("--dump_all_tensors: a bmodel only has its outputs; run its Tpu mlir instead")),
        Model::Device(_) => {
            let wanted: Vec<_> = model.inputs().iter().map(|i| NetInput { name: i.name.clone(), shape: i.shape.clone(), preprocess: None }).collect();
            let given = inputs::load(&wanted, &files)?;
            model.run(&given)?
        }
    };
    println!("Saving {}", arguments.output.display());
    Ok(npz::write_npz(&arguments.output, outputs.iter().map(|(n, t)| (n.as_str(), t)))?)
}
