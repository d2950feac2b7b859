//! `fp_forward`: a quantize table of the layers around given ones.

use crate::cli::{self, Failure, Talk};
use serde_json::json;
use std::path::PathBuf;
use tpuc_dialects::Module;
use tpuc_lowering::QuantizeTable;
use tpuc_quant::fp_forward::{Block, Selection, layers};

/// Write a quantize table that lets the layers before, behind or between given ones run in float
#[derive(clap::Parser)]
#[command(name = "fp_forward", after_help = concat!(include_str!("../help/fp_forward.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    mlir: PathBuf,
    /// These layers and everything before them, comma separated
    #[arg(long, default_value = "", hide_default_value = true)]
    fpfwd_inputs: String,
    /// These layers and everything behind them, comma separated
    #[arg(long, default_value = "", hide_default_value = true)]
    fpfwd_outputs: String,
    /// start:end, each one layer or several with commas: what lies between; several blocks with spaces between them
    #[arg(long, num_args = 1..)]
    fpfwd_blocks: Vec<String>,
    /// The chip
    #[arg(long, alias = "processor")]
    chip: String,
    /// Float type: auto, F16, F32 or BF16; auto is the chip's own
    #[arg(long, default_value = "auto")]
    fp_type: String,
    /// The quantize table to write
    #[arg(short = 'o', long = "quantize_table", alias = "quantize_free_table", alias = "output")]
    output: PathBuf,
    /// Skip names that no layer has, instead of ending
    #[arg(long, alias = "ignore-unknown-layers")]
    ignore_unknown_layers: bool,
    /// Accepted: the table does not depend on how the other layers are quantized
    #[arg(long)]
    quantize: Option<String>,
    #[command(flatten)]
    talk: Talk,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    let chip = cli::chip(&arguments.chip)?;
    let mode = chip.float_mode(&arguments.fp_type).map_err(|e| Failure::usage(format!("--fp_type: {e}")))?;
    if arguments.fpfwd_inputs.is_empty() && arguments.fpfwd_outputs.is_empty() && arguments.fpfwd_blocks.is_empty() {
        return Err(Failure::usage("no layers: expected --fpfwd_inputs, --fpfwd_outputs or --fpfwd_blocks"));
    }
    cli::check_input(&arguments.mlir)?;
    cli::check_output(&arguments.output)?;
    let context = tpuc_dialects::context();
    let program = Module::read(&context, &arguments.mlir)?.program()?;
    let block = |text: &String| Block::parse(text, &program).map_err(|e| Failure::usage(format!("--fpfwd_blocks: {e}")));
    let blocks = arguments.fpfwd_blocks.iter().map(block).collect::<Result<_, _>>()?;
    let selection = Selection { inputs: cli::list(&arguments.fpfwd_inputs), outputs: cli::list(&arguments.fpfwd_outputs), blocks };
    let (nodes, unknown) = layers(&program, &selection);
    if !unknown.is_empty() && !arguments.ignore_unknown_layers {
        let names = unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(Failure::usage(format!("{}: {names} (--ignore_unknown_layers skips such names)", arguments.mlir.display())));
    }
    if !arguments.talk.quiet {
        unknown.iter().for_each(|u| eprintln!("warning: {u}"));
    }
    let names: Vec<String> = nodes.iter().map(|&n| program.node_name(n).to_owned()).collect();
    let table = QuantizeTable::documented(&tpuc_passes::timestamp(), None, chip, mode, names.clone());
    tpuc_tensor::file::write(&arguments.output, table.to_text().as_bytes())?;
    arguments.talk.say(format_args!("{}: {} of {} layers in {mode}", arguments.output.display(), names.len(), program.nodes.len()));
    let fields = json!({ "mlir": arguments.mlir, "table": arguments.output, "chip": chip.name, "mode": mode.name(), "layers": names, "unknown": unknown.iter().map(|u| &u.name).collect::<Vec<_>>() });
    arguments.talk.result("fp_forward", true, fields);
    Ok(())
}
