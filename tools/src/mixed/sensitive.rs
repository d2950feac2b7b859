//! `run_sensitive_layer`.

use super::{Job, Means, Options, beside, failure, write_table};
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::path::PathBuf;
use tpuc_lowering::CalibrationTable;
use tpuc_quant::search::tables::{SENSITIVE, tuned_by_range};
use tpuc_quant::search::{check_cos, sensitive};
use tpuc_quant::{DebugCommand, Request};

const LOG: &str = "SensitiveLayerSearch";

/// Find the layers that lose most in INT8, and write them as a quantize table
#[derive(clap::Parser)]
#[command(name = "run_sensitive_layer", after_help = concat!(include_str!("../../help/run_sensitive_layer.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    mlir: PathBuf,
    /// Folder of samples: pictures, npy or npz files
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File that lists the samples, one a line; several inputs separated by commas
    #[arg(long)]
    data_list: Option<PathBuf>,
    /// How many samples calibrate; 0: all
    #[arg(long, default_value_t = 10)]
    input_num: usize,
    /// How many samples compare networks
    #[arg(long, default_value_t = 10)]
    inference_num: usize,
    /// How many layers become float
    #[arg(long, default_value_t = 5)]
    max_float_layers: usize,
    /// File that lists the samples which tune, instead of the first ones of the others
    #[arg(long)]
    tune_list: Option<PathBuf>,
    /// How many samples tune the thresholds; 0: no tuning
    #[arg(long, default_value_t = 5)]
    tune_num: usize,
    /// Bins of a histogram
    #[arg(long, default_value_t = 2048)]
    histogram_bin_num: usize,
    /// Accepted: the search tries MAX, Percentile9999 and KL whatever it says
    #[arg(long, hide = true)]
    cali_method: Option<String>,
    /// Outputs that are more similar to the float ones than this need no float layers
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    expected_cos: f64,
    /// Tensors that are compared instead of the outputs: layer1,layer2 or layer1:0.3,layer2:0.7
    #[arg(long, default_value = "", hide_default_value = true)]
    global_compare_layers: String,
    /// The calibration table of the network, with whose thresholds the search begins
    #[arg(long)]
    calibration_table: PathBuf,
    /// The chip
    #[arg(long, alias = "processor")]
    chip: String,
    /// Float type: auto, F16, F32 or BF16; auto is the chip's own
    #[arg(long, default_value = "auto")]
    fp_type: String,
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
    if arguments.dataset.is_none() && arguments.data_list.is_none() {
        return Err(Failure::usage("no samples: give --dataset FOLDER or --data_list FILE"));
    }
    if arguments.inference_num == 0 {
        return Err(Failure::usage("--inference_num: 0 samples, expected at least 1"));
    }
    let threads = if arguments.threads == 0 { tpuc_quant::default_threads() } else { arguments.threads };
    let options = Options { chip: &arguments.chip, fp_type: &arguments.fp_type, layers: &arguments.global_compare_layers };
    let job = Job::new(LOG, &arguments.mlir, &arguments.quantize_table, &options, arguments.inference_num, threads, &arguments.means, arguments.quiet)?;
    cli::check_input(&arguments.calibration_table)?;
    let file = |name: &str, suffix: &str| beside(&arguments.calibration_table, &format!("_{name}{suffix}"));
    SENSITIVE.iter().flat_map(|n| [file(n, ".1"), file(n, "_tune")]).try_for_each(|path| cli::check_output(&path))?;
    let debug = DebugCommand::parse(&arguments.debug_cmd).map_err(|e| Failure::usage(format!("--debug_cmd: {e}")))?;
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let request = Request {
        dataset: path(&arguments.dataset),
        data_list: path(&arguments.data_list),
        tune_list: path(&arguments.tune_list),
        debug,
        input_num: arguments.input_num,
        tune_num: arguments.tune_num,
        histogram_bins: match arguments.histogram_bin_num {
            n @ 2..=8_000_000 => n,
            n => return Err(Failure::usage(format!("--histogram_bin_num: {n} should be from 2 to 8000000"))),
        },
        threads,
        ..Request::default()
    };
    let table = CalibrationTable::read(&arguments.calibration_table).map_err(|e| cli::named(&arguments.calibration_table, e))?;

    let network = job.read_network()?;
    table.check_layers(network.program.names().keys().copied()).map_err(|e| cli::named(&arguments.calibration_table, e))?;
    let shown = Shown::start(arguments.quiet);
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let mlir = arguments.mlir.display().to_string();
    let header = tpuc_passes::calibrate::header(session.request(), &mlir, session.loader().groups());
    let identity = format!("run_sensitive_layer {:?} {} {} {:?}", table.rows(), arguments.expected_cos, arguments.max_float_layers, session.request());
    job.run(&network, session.loader(), &identity, header.clone(), |trials| {
        let mut written = Ok(());
        let tables = || {
            let (tables, _) = tuned_by_range(&session, &|done, what| tpuc_passes::tell_progress(done * 0.2, what))?;
            let mut write = |name: &str, suffix: &str, rows: &[_]| {
                if written.is_ok() {
                    written = write_table(&file(name, suffix), &header, rows);
                }
            };
            for tuned in &tables {
                write(tuned.table.method, ".1", &tuned.untuned);
                write(tuned.table.method, "_tune", &tuned.table.rows);
            }
            Ok(tables.into_iter().map(|t| t.table).collect())
        };
        let found = sensitive::search(trials, table.rows(), arguments.expected_cos, arguments.max_float_layers, tables).map_err(failure)?;
        written?;
        Ok(found)
    })?;
    drop(shown);
    if !arguments.quiet {
        println!("success sensitive layer search");
    }
    Ok(())
}
