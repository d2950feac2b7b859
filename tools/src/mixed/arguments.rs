//! Options of the searches that are commands of their own, and what they start from.

use super::{Job, Means, Options};
use crate::cli::{self, Failure};
use crate::network::Network;
use std::path::PathBuf;
use tpuc_lowering::CalibrationTable;
use tpuc_quant::search::check_cos;
use tpuc_quant::{DebugCommand, Request};

#[derive(clap::Args, Debug)]
#[command(rename_all = "snake_case")]
pub struct Searched {
    /// The Top MLIR file
    mlir: PathBuf,
    /// Folder of samples: pictures, npy or npz files
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File that lists the samples, one a line; several inputs separated by commas
    #[arg(long)]
    data_list: Option<PathBuf>,
    /// How many samples; 0: all that there are, where a search calibrates
    #[arg(long, default_value_t = 10)]
    input_num: usize,
    /// The search ends when the outputs are more similar to the float ones than this
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    pub expected_cos: f64,
    /// Tensors that are compared instead of the outputs: layer1,layer2 or layer1:0.3,layer2:0.7
    #[arg(long, default_value = "", hide_default_value = true)]
    global_compare_layers: String,
    /// The calibration table of the network, with whose thresholds the search begins
    #[arg(long)]
    pub calibration_table: PathBuf,
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
    /// Also write a page with the loss of every layer, what was tried, and the similarity by number of float layers
    #[arg(long)]
    report: Option<PathBuf>,
    /// Worker threads; 0: one a processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten)]
    means: Means,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
}

impl Searched {
    /// Checks what can be checked without reading files. `compared` is the option that says how many samples compare networks,
    /// and its value; none: that of `--input_num`.
    pub fn job(&self, log: &'static str, compared: Option<(&str, usize)>) -> Result<Job, Failure> {
        check_cos("expected_cos", self.expected_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
        if self.dataset.is_none() && self.data_list.is_none() {
            return Err(Failure::usage("no samples: give --dataset FOLDER or --data_list FILE"));
        }
        let (option, samples) = compared.unwrap_or(("input_num", self.input_num));
        if samples == 0 {
            return Err(Failure::usage(format!("--{option}: 0 samples, expected at least 1")));
        }
        let options = Options { chip: &self.chip, fp_type: &self.fp_type, layers: &self.global_compare_layers };
        let job = Job::new(log, &self.mlir, &self.quantize_table, &options, samples, self.threads(), &self.means, self.quiet)?;
        cli::check_input(&self.calibration_table)?;
        job.with_report(self.report.as_deref(), self.expected_cos)
    }

    fn threads(&self) -> usize {
        if self.threads == 0 { tpuc_quant::default_threads() } else { self.threads }
    }

    /// The samples, and how they are used.
    pub fn request(&self) -> Result<Request, Failure> {
        let debug = DebugCommand::parse(&self.debug_cmd).map_err(|e| Failure::usage(format!("--debug_cmd: {e}")))?;
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        Ok(Request { dataset: path(&self.dataset), data_list: path(&self.data_list), debug, input_num: self.input_num, threads: self.threads(), ..Request::default() })
    }

    /// The network, and its calibration table.
    pub fn read(&self, job: &Job) -> Result<(Network, CalibrationTable), Failure> {
        let named = |e| cli::named(&self.calibration_table, e);
        let table = CalibrationTable::read(&self.calibration_table).map_err(named)?;
        let network = job.read_network()?;
        table.check_layers(network.program.names().keys().copied()).map_err(named)?;
        Ok((network, table))
    }
}
