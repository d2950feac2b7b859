//! The command line of `run_calibration`.

use crate::cli::{self, Failure};
use crate::mixed::Means;
use std::path::PathBuf;
use std::str::FromStr;
use tpuc_quant::{DebugCommand, Method, Request};
use tpuc_tensor::text::nearest;

/// Run samples through a Top network and write the threshold of every tensor.
#[derive(clap::Parser)]
#[command(name = "run_calibration", after_help = concat!(include_str!("../../help/run_calibration.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    pub mlir: PathBuf,
    /// Folder of samples: pictures, npy or npz files
    #[arg(long)]
    pub dataset: Option<PathBuf>,
    /// File that lists the samples, one a line; several inputs separated by commas
    #[arg(long)]
    pub data_list: Option<PathBuf>,
    /// How many samples; 0: all
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    input_num: i64,
    /// File that lists the samples which tune, instead of the first ones of the others
    #[arg(long)]
    tune_list: Option<PathBuf>,
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
    /// search_threshold: calibrate with several methods and keep the one whose INT8 network is nearest to the float one;
    /// search_qtable: find the layers that should stay float; fast_search: the same in rounds of one sample, with the thresholds
    /// of the table
    #[arg(long, default_value = "False")]
    pub search: String,
    /// How many samples compare the networks of a search
    #[arg(long, default_value_t = 30, allow_hyphen_values = true)]
    inference_num: i64,
    /// How the networks of search_threshold are compared: cos or snr
    #[arg(long, default_value = "cos")]
    pub benchmark_method: String,
    /// The chip that the network is meant for
    #[arg(long, alias = "processor", default_value = "bm1684x")]
    pub chip: String,
    /// The table to write
    #[arg(short = 'o', long = "calibration_table", alias = "output")]
    pub calibration_table: PathBuf,
    /// SmoothQuant first: what makes activations hard to quantize moves into the weights of matrix products
    #[arg(long)]
    pub sq: bool,
    /// Softmax correction first: attention weights are scaled so that they use all of the 8 bits
    #[arg(long)]
    pub smc: bool,
    /// Equalize the weights of successive convolutions first: the network with the new weights is written beside the table
    #[arg(long)]
    pub we: bool,
    /// With --we: leave convolutions alone that have a ReLU with an upper limit between them
    #[arg(long)]
    pub we_skip_limited: bool,
    /// Correct biases by what quantization shifts, and calibrate again: the network with the new weights is written beside the table
    #[arg(long)]
    pub bc: bool,
    /// How many samples correct biases
    #[arg(long, default_value_t = 30, allow_hyphen_values = true)]
    pub bc_inference_num: i64,
    /// Outputs that are more similar to the float ones than this need no correction
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    pub expected_cos: f64,
    /// Layers that are at least this similar to the float ones keep their bias
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    pub min_layer_cos: f64,
    /// Set all ops to float but those of some types: N_mode, H_mode or custom_mode; without a mode all but convolutions and
    /// matrix products
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "MODE")]
    pub part_quantize: Option<String>,
    /// The types that custom_mode leaves in integers: Conv,MatMul
    #[arg(long, default_value = "")]
    pub custom_operator: String,
    /// The float type of layers that stay float: auto, F16, BF16 or F32
    #[arg(long, default_value = "auto")]
    pub fp_type: String,
    /// SiLU and GELU that only convolutions and matrix products read get asymmetric ranges
    #[arg(long)]
    part_asymmetric: bool,
    /// Also write kurtosis_analysis beside the table: how heavy the tails of every tensor are
    #[arg(long)]
    pub kurtosis_analysis: bool,
    /// search_qtable: the table to write; search_threshold: layers that stay float
    #[arg(long)]
    pub quantize_table: Option<PathBuf>,
    /// Tensors that a search compares instead of the outputs: layer1,layer2 or layer1:0.3,layer2:0.7
    #[arg(long, default_value = "")]
    pub global_compare_layers: String,
    /// key;key=value: a method, int4, fp8, tune_steps, min_tuned_diff, find_lower_th, not_use_fp32_tensor_as_ref,
    /// input_calibration_table, print_debug_info, use_pil_resize, Observer_type, dump_list
    #[arg(long, default_value = "")]
    debug_cmd: String,
    /// Also write a page with the histogram of every tensor and the thresholds of all methods, or what a search of layers found
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Worker threads; 0: one a processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
    /// search_qtable: leave layers alone that only move data in transformers (True or False)
    #[arg(long)]
    transformer: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1)]
    debug_log: Option<Option<String>>,
    /// search_qtable: how many layers become float
    #[arg(long, default_value_t = 5, allow_hyphen_values = true)]
    pub max_float_layers: usize,
    /// search_qtable: the methods whose thresholds are tried for every layer, of KL, MSE, MAX and Percentile9999
    #[arg(long, default_value = "MSE")]
    pub quantize_method_list: String,
    /// search_qtable: a quantize table whose layers keep their modes
    #[arg(long)]
    pub pre_qtable: Option<PathBuf>,
    /// search_qtable: search only layers of op types that lose by themselves
    #[arg(long)]
    pub op_type_screening: bool,
    /// search_qtable: after the ranking, look for a cheaper set of float layers that is more similar than --expected_cos; the cost
    /// is in estimated cycles where there are such, else in layers
    #[arg(long)]
    pub optimize: bool,
    /// search_qtable: like --optimize, but the most similar network of no more than so many estimated cycles (900000) or float
    /// layers (8layers)
    #[arg(long, allow_hyphen_values = true)]
    pub budget: Option<String>,
    #[command(flatten)]
    pub means: Means,
}

/// Documented options that come with a later version.
pub const LATER: &[&str] =
    &["--lwq", "--mix_mode", "--cluster"];

/// The chips of the documents. A calibration is the same for all of them.
const CHIPS: [&str; 11] = ["bm1684x", "bm1684", "bm1688", "bm1690", "cv183x", "cv182x", "cv181x", "cv180x", "cv184x", "cv186x", "sg2262"];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Calibrate,
    SearchThreshold,
    SearchQtable,
    FastSearch,
}

impl Arguments {
    pub fn task(&self) -> Result<Task, Failure> {
        const SEARCHES: [&str; 5] = ["False", "search_threshold", "search_qtable", "fast_search", "mix_search"];
        match self.search.to_ascii_lowercase().as_str() {
            "false" => Ok(Task::Calibrate),
            "search_threshold" => Ok(Task::SearchThreshold),
            "search_qtable" => Ok(Task::SearchQtable),
            "fast_search" => Ok(Task::FastSearch),
            "mix_search" => Err(cli::not_yet(&format!("--search {}", self.search))),
            other => Err(Failure::usage(format!("--search: unknown search '{}'{}; expected one of: {}", self.search, meant(other, &SEARCHES), SEARCHES.join(", ")))),
        }
    }

    /// Checks everything that can be checked without reading files.
    pub fn request(&self) -> Result<Request, Failure> {
        self.transformer()?;
        let finds_layers = matches!(self.task()?, Task::SearchQtable | Task::FastSearch);
        if self.means.post_process.is_some() && !finds_layers {
            return Err(Failure::usage("--post_process belongs to --search search_qtable and fast_search"));
        }
        if (self.optimize || self.budget.is_some()) && self.task()? != Task::SearchQtable {
            return Err(Failure::usage("--optimize and --budget belong to --search search_qtable"));
        }
        if !CHIPS.iter().any(|c| c.eq_ignore_ascii_case(&self.chip)) {
            return Err(Failure::usage(format!("--chip: unknown chip '{}'{}; known chips: {}", self.chip, meant(&self.chip, &CHIPS), CHIPS.join(", "))));
        }
        let debug = DebugCommand::parse(&self.debug_cmd).map_err(|e| Failure::usage(format!("--debug_cmd: {e}")))?;
        let method = Method::from_str(&self.cali_method).map_err(|e| Failure::usage(format!("--cali_method: {e}")))?;
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let (dataset, data_list) = (path(&self.dataset), path(&self.data_list));
        if dataset.as_os_str().is_empty() && data_list.as_os_str().is_empty() {
            return Err(Failure::usage("no samples: give --dataset FOLDER or --data_list FILE"));
        }
        let tune_num = count("--tune_num", self.tune_num)?;
        if self.task()? != Task::Calibrate && (debug.int4 || debug.fp8 || debug.input_table.is_some() || (self.report.is_some() && !finds_layers)) {
            return Err(Failure::usage("--search: int4, fp8 and input_calibration_table belong to a calibration without search; --report to one, or to search_qtable and fast_search"));
        }
        if debug.input_table.is_some() && tune_num == 0 {
            return Err(Failure::usage("--debug_cmd: input_calibration_table tunes a table, which needs --tune_num of 1 or more"));
        }
        let histogram_bins = match self.histogram_bin_num {
            n @ 2..=8_000_000 => n as usize,
            n => return Err(Failure::usage(format!("--histogram_bin_num: {n} should be from 2 to 8000000"))),
        };
        let threads = if self.threads == 0 { tpuc_quant::default_threads() } else { self.threads };
        let input_num = count("--input_num", self.input_num)?;
        Ok(Request { dataset, data_list, tune_list: path(&self.tune_list), method, debug, softmax_corrected: self.smc, part_asymmetric: self.part_asymmetric, kurtosis: self.kurtosis_analysis, input_num, tune_num, histogram_bins, threads, ..Request::default() })
    }

    /// As given: 0 means all.
    pub fn input_num(&self) -> i64 {
        self.input_num
    }

    pub fn transformer(&self) -> Result<bool, Failure> {
        self.transformer.as_deref().map_or(Ok(false), |t| cli::boolean("--transformer", t))
    }

    pub fn inference_num(&self) -> Result<usize, Failure> {
        match count("--inference_num", self.inference_num)? {
            0 => Err(Failure::usage("--inference_num: 0 samples, expected at least 1")),
            n => Ok(n),
        }
    }
}

fn count(option: &str, value: i64) -> Result<usize, Failure> {
    usize::try_from(value).map_err(|_| Failure::usage(format!("{option}: {value} is negative")))
}

fn meant(word: &str, known: &[&str]) -> String {
    nearest(&word.to_ascii_lowercase(), known.iter().copied()).map(|n| format!(", did you mean '{n}'?")).unwrap_or_default()
}
