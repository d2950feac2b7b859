//! `run_calibration`: thresholds of every tensor from samples, as a calibration table.

use crate::cli::{self, Failure};
use crate::network::Network;
use crate::progress::Shown;
use crate::report::{LayerHistogram, Report};
use std::path::{Path, PathBuf};
use tpuc_passes::calibrate::{Calibrated, Request, calibrate};
use tpuc_quant::Method;

/// Run samples through a Top network and write the threshold of every tensor.
#[derive(clap::Parser)]
#[command(name = "run_calibration", version, rename_all = "snake_case", args_override_self = true)]
struct Arguments {
    /// The Top MLIR file
    mlir: PathBuf,
    /// Folder of samples: pictures, npy or npz files
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File that lists the samples, one a line
    #[arg(long)]
    data_list: Option<PathBuf>,
    /// How many samples; 0: all
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    input_num: i64,
    /// How many samples tune the thresholds; 0: no tuning
    #[arg(long, default_value_t = 5, allow_hyphen_values = true)]
    tune_num: i64,
    /// Bins of a histogram
    #[arg(long, default_value_t = 2048, allow_hyphen_values = true)]
    histogram_bin_num: i64,
    /// How a threshold is chosen: kl, max, mse, percentile9999, aciq_gauss, aciq_laplace or torch_observer_for_cali, each
    /// also with use_ before it
    #[arg(long, default_value = "kl")]
    cali_method: String,
    /// The table to write
    #[arg(short = 'o', long = "calibration_table", alias = "output")]
    calibration_table: PathBuf,
    /// Also write a page with the histogram and threshold of every layer
    #[arg(long)]
    report: Option<PathBuf>,
    /// Worker threads; 0: one a processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print errors only
    #[arg(long)]
    quiet: bool,
    #[arg(long, alias = "processor", hide = true, default_value = "bm1684x")]
    chip: String,
    #[arg(long, hide = true)]
    search: Option<String>,
    #[arg(long, hide = true)]
    transformer: Option<String>,
    #[arg(long, hide = true)]
    debug_cmd: Option<String>,
    #[arg(long, hide = true)]
    debug_log: Option<String>,
}

const LATER: &[&str] = &[
    "--we", "--bc", "--smc", "--sq", "--lwq", "--inference_num", "--bc_inference_num", "--tune_list", "--expected_cos", "--min_layer_cos", "--max_float_layers", "--fp_type", "--post_process",
    "--global_compare_layers", "--quantize_method_list", "--benchmark_method", "--quantize_table", "--part_quantize", "--part_asymmetric", "--mix_mode", "--cluster", "--kurtosis_analysis",
];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    let request = request(&arguments)?;
    cli::check_input(&arguments.mlir)?;
    cli::check_output(&arguments.calibration_table)?;
    arguments.report.iter().try_for_each(|p| cli::check_output(p))?;

    let network = Network::read(&arguments.mlir)?;
    if network.state() != "TOP_F32" {
        return Err(Failure::work(format!("{}: calibration needs a network in the state TOP_F32, this one is '{}'", arguments.mlir.display(), network.state())));
    }
    let shown = Shown::start(arguments.quiet);
    let calibrated = calibrate(&network.program, &network.weights, &arguments.mlir.display().to_string(), &request);
    drop(shown);
    let calibrated = calibrated.map_err(Failure::Work)?;
    calibrated.warnings.iter().for_each(|w| eprintln!("run_calibration: warning: {w}"));
    calibrated.table.write(&arguments.calibration_table)?;
    if let Some(path) = &arguments.report {
        page(&arguments.mlir, &request, &calibrated).write(path)?;
    }
    if !arguments.quiet {
        println!("input_num = {}, ref = {}", request.input_num, calibrated.available);
        println!("real input_num = {}", calibrated.used);
        println!("{}: {} thresholds by {}", arguments.calibration_table.display(), calibrated.table.rows().len(), request.method);
    }
    Ok(())
}

fn request(arguments: &Arguments) -> Result<Request, Failure> {
    // The documents say False and false.
    if let Some(search) = arguments.search.as_ref().filter(|s| !s.eq_ignore_ascii_case("false")) {
        return Err(cli::not_yet(&format!("--search {search}")));
    }
    if arguments.transformer.as_deref().map(|t| cli::boolean("--transformer", t)).transpose()? == Some(true) {
        return Err(cli::not_yet("--transformer True"));
    }
    if let Some(command) = arguments.debug_cmd.as_deref().filter(|c| !c.is_empty()) {
        return Err(cli::not_yet(&format!("--debug_cmd {command}")));
    }
    tpuc_lowering::Chip::find(&arguments.chip).map_err(|e| Failure::usage(format!("--chip: {e}")))?;
    let method: Method = arguments.cali_method.parse().map_err(|e| Failure::usage(format!("--cali_method: {e}")))?;
    let count = |option: &str, value: i64| usize::try_from(value).map_err(|_| Failure::usage(format!("{option}: {value} is negative")));
    let (dataset, data_list) = (arguments.dataset.clone().unwrap_or_default(), arguments.data_list.clone().unwrap_or_default());
    if dataset.as_os_str().is_empty() && data_list.as_os_str().is_empty() {
        return Err(Failure::usage("no samples: give --dataset FOLDER or --data_list FILE"));
    }
    Ok(Request {
        dataset,
        data_list,
        method,
        input_num: count("--input_num", arguments.input_num)?,
        tune_num: count("--tune_num", arguments.tune_num)?,
        histogram_bins: match arguments.histogram_bin_num {
            n @ 2..=8_000_000 => n as usize,
            n => return Err(Failure::usage(format!("--histogram_bin_num: {n} should be from 2 to 8000000"))),
        },
        threads: if arguments.threads == 0 { tpuc_quant::default_threads() } else { arguments.threads },
    })
}

/// Bars of a drawn histogram.
const BARS: usize = 110;

/// The histograms of a calibration with their thresholds; none for methods that count nothing.
pub fn histograms(calibrated: &Calibrated) -> Vec<LayerHistogram> {
    let mut list = Vec::new();
    for (row, tensor) in calibrated.table.rows().iter().zip(&calibrated.statistics.tensors) {
        let Some(histogram) = tensor.histogram.as_ref().filter(|h| !h.is_empty()) else { continue };
        let counts = histogram.counts();
        let per_bar = counts.len().div_ceil(BARS);
        let bars = counts.chunks(per_bar).map(|c| c.iter().sum::<u64>() as f64).collect();
        list.push(LayerHistogram { layer: row.name.clone(), counts: bars, range: histogram.width() * counts.len() as f64, threshold: row.threshold });
    }
    list
}

fn page(mlir: &Path, request: &Request, calibrated: &Calibrated) -> Report {
    let mut report = Report::new(&format!("Calibration of {}", mlir.display()));
    let text = format!("{} samples, method {}. Values beyond a threshold (the line) saturate in INT8. Counts are drawn logarithmically.", calibrated.used, request.method);
    report.section("Thresholds", &text);
    report.histograms(&histograms(calibrated));
    let cell = |v: f64| format!("{v:.7}");
    let rows: Vec<_> = calibrated.table.rows().iter().map(|r| vec![r.name.clone(), cell(r.threshold), cell(r.min), cell(r.max)]).collect();
    report.section("Table", "");
    report.table(&["layer", "threshold", "min", "max"], &rows);
    report
}
