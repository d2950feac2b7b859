//! `mlir2onnx`: a network as an ONNX file to look at.

use crate::cli::{self, Failure, Talk};
use crate::network::tensors;
use serde_json::json;
use std::path::PathBuf;
use tpuc_dialects::Module;
use tpuc_tensor::WeightStore;

/// Write a Top or Tpu network as an ONNX graph to look at, in Netron for example
#[derive(clap::Parser)]
#[command(name = "mlir2onnx", after_help = concat!(include_str!("../help/mlir2onnx.txt"), include_str!("../help/common.txt")), version, args_override_self = true)]
pub struct Arguments {
    /// The MLIR file
    #[arg(short, long)]
    mlir: PathBuf,
    /// The ONNX file to write
    #[arg(short, long)]
    output: PathBuf,
    /// The npz file with the network's weights, to have their values in the graph
    #[arg(short, long)]
    weightfile: Option<PathBuf>,
    #[command(flatten)]
    talk: Talk,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    cli::check_input(&arguments.mlir)?;
    arguments.weightfile.iter().try_for_each(|f| cli::check_input(f))?;
    cli::check_output(&arguments.output)?;
    let context = tpuc_dialects::context();
    let program = Module::read(&context, &arguments.mlir)?.program()?;
    let weights = arguments.weightfile.as_deref().map(WeightStore::load).transpose()?;
    if let (Some(weights), Some(file)) = (&weights, &arguments.weightfile) {
        let missing = program.values.iter().find(|v| v.source == tpuc_ops::Source::Weight && weights.get(&v.name).is_none());
        if let Some(value) = missing {
            return Err(Failure::work(format!("{}: no weight '{}', which {} has", file.display(), value.name, arguments.mlir.display())));
        }
    }
    tpuc_tensor::file::write(&arguments.output, &tpuc_frontend::onnx::graph::graph(&program, weights.as_ref()))?;
    arguments.talk.say(format_args!("[done] onnx file saved to {}", arguments.output.display()));
    let fields = json!({ "mlir": arguments.mlir, "output": arguments.output, "nodes": program.nodes.len(), "inputs": tensors(&program, &program.inputs), "outputs": tensors(&program, &program.outputs) });
    arguments.talk.result("mlir2onnx", true, fields);
    Ok(())
}
