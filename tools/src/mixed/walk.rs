//! `run_qtable`.

use super::{Job, Means, Options, failure};
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::fmt::Write as _;
use std::path::PathBuf;
use tpuc_lowering::CalibrationTable;
use tpuc_quant::search::check_cos;
use tpuc_quant::search::walk::{WalkOptions, run_qtable};
use tpuc_quant::{DebugCommand, Request};

const LOG: &str = "MixPrecSearcher";

/// Write a quantize table of layers that are far from the float network in INT8
#[derive(clap::Parser)]
#[command(name = "run_qtable", after_help = concat!(include_str!("../../help/run_qtable.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    mlir: PathBuf,
    /// Folder of samples: pictures, npy or npz files
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File that lists the samples, one a line; several inputs separated by commas
    #[arg(long)]
    data_list: Option<PathBuf>,
    /// How many samples
    #[arg(long, default_value_t = 10)]
    input_num: usize,
    /// The search ends when the outputs are more similar to the float ones than this
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    expected_cos: f64,
    /// Layers that are less similar than this become float, and those that read them
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    min_layer_cos: f64,
    /// Tensors that are compared instead of the outputs: layer1,layer2 or layer1:0.3,layer2:0.7
    #[arg(long, default_value = "", hide_default_value = true)]
    global_compare_layers: String,
    /// The calibration table of the network
    #[arg(long)]
    calibration_table: PathBuf,
    /// The chip
    #[arg(long, alias = "processor")]
    chip: String,
    /// Float type: auto, F16, F32 or BF16; auto is the chip's own
    #[arg(long, default_value = "auto")]
    fp_type: String,
    /// The similarities of all layers that were looked at
    #[arg(long, default_value = "full_loss_table.txt")]
    loss_table: PathBuf,
    /// The quantize table to write
    #[arg(short = 'o', long = "quantize_table", alias = "output")]
    quantize_table: PathBuf,
    /// key;key=value, as run_calibration has it
    #[arg(long, default_value = "", hide_default_value = true)]
    debug_cmd: String,
    /// Worker threads; 0: one a processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten)]
    means: Means,
    /// Print errors only
    #[arg(long)]
    quiet: bool,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    check_cos("expected_cos", arguments.expected_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
    check_cos("min_layer_cos", arguments.min_layer_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
    if arguments.dataset.is_none() && arguments.data_list.is_none() {
        return Err(Failure::usage("no samples: give --dataset FOLDER or --data_list FILE"));
    }
    if arguments.input_num == 0 {
        return Err(Failure::usage("--input_num: 0 samples, expected at least 1"));
    }
    let threads = if arguments.threads == 0 { tpuc_quant::default_threads() } else { arguments.threads };
    let options = Options { chip: &arguments.chip, fp_type: &arguments.fp_type, layers: &arguments.global_compare_layers };
    let mut job = Job::new(LOG, &arguments.mlir, &arguments.quantize_table, &options, arguments.input_num, threads, &arguments.means, arguments.quiet)?;
    job.new_table = false;
    cli::check_input(&arguments.calibration_table)?;
    cli::check_output(&arguments.loss_table)?;
    let debug = DebugCommand::parse(&arguments.debug_cmd).map_err(|e| Failure::usage(format!("--debug_cmd: {e}")))?;
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let request = Request { dataset: path(&arguments.dataset), data_list: path(&arguments.data_list), debug, input_num: arguments.input_num, threads, ..Request::default() };
    let table = CalibrationTable::read(&arguments.calibration_table).map_err(|e| cli::named(&arguments.calibration_table, e))?;

    let network = job.read_network()?;
    table.check_layers(network.program.names().keys().copied()).map_err(|e| cli::named(&arguments.calibration_table, e))?;
    let shown = Shown::start(arguments.quiet);
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let walk = WalkOptions { expected_cos: arguments.expected_cos, min_layer_cos: arguments.min_layer_cos };
    let identity = format!("run_qtable {:?} {walk:?}", table.rows());
    job.run(&network, session.loader(), &identity, table.header.clone(), |trials| {
        let walked = run_qtable(trials, table.rows(), &walk).map_err(failure)?;
        let mut text = format!("# genetated time: {}\n# sample number: {}\n# chip: {}  mix_mode: {}\n###\n", tpuc_passes::timestamp(), trials.evaluator.samples(), job.chip.name, job.float);
        let mut layers = walked.layers;
        layers.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (number, (layer, cos)) in layers.iter().enumerate() {
            let line = format!("No.{number:<4}: Layer: {:<50}\t\t\tCos: {cos:.6}", trials.name(*layer));
            let _ = writeln!(text, "{line}");
            trials.say(line);
        }
        tpuc_tensor::file::write(&arguments.loss_table, text.as_bytes())?;
        Ok(walked.outcome)
    })?;
    drop(shown);
    Ok(())
}
