//! `run_sensitive_layer`.

use super::arguments::Searched;
use super::{beside, failure, write_table};
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::path::PathBuf;
use tpuc_quant::Request;
use tpuc_quant::search::sensitive;
use tpuc_quant::search::tables::{SENSITIVE, tuned_by_range};

const LOG: &str = "SensitiveLayerSearch";

/// Find the layers that lose most in INT8, and write them as a quantize table
#[derive(clap::Parser)]
#[command(name = "run_sensitive_layer", after_help = concat!(include_str!("../../help/run_sensitive_layer.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    searched: Searched,
    /// How many samples compare networks
    #[arg(long, default_value_t = 10)]
    inference_num: usize,
    /// How many layers become float
    #[arg(long, default_value_t = 5, allow_hyphen_values = true)]
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
}

impl Arguments {
    fn request(&self) -> Result<Request, Failure> {
        Ok(Request {
            tune_list: self.tune_list.clone().unwrap_or_default(),
            tune_num: self.tune_num,
            histogram_bins: match self.histogram_bin_num {
                n @ 2..=8_000_000 => n,
                n => return Err(Failure::usage(format!("--histogram_bin_num: {n} should be from 2 to 8000000"))),
            },
            ..self.searched.request()?
        })
    }
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    let searched = &arguments.searched;
    let job = searched.job(LOG, Some(("inference_num", arguments.inference_num)))?;
    let file = |name: &str, suffix: &str| beside(&searched.calibration_table, &format!("_{name}{suffix}"));
    SENSITIVE.iter().flat_map(|n| [file(n, ".1"), file(n, "_tune")]).try_for_each(|path| cli::check_output(&path))?;
    let request = arguments.request()?;

    let (network, table) = searched.read(&job)?;
    job.warn_of_memory("run_sensitive_layer", &network, request.tune_num);
    let shown = Shown::start(searched.quiet);
    let request = Request { memory: job.comparison.memory, ..request };
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let mlir = job.mlir.display().to_string();
    let header = tpuc_passes::calibrate::header(session.request(), &mlir, session.loader().groups());
    let identity = format!("run_sensitive_layer {:?} {} {} {}", table.rows(), searched.expected_cos, arguments.max_float_layers, session.request().identity());
    job.run(&network, session.loader(), &identity, header.clone(), |trials| {
        let mut written = Ok(());
        let tables = || {
            let (tables, _) = tuned_by_range(&session, &|done, what| tpuc_passes::tell_progress(done * 0.2, what))?;
            session.release();
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
        let found = sensitive::search(trials, table.rows(), searched.expected_cos, arguments.max_float_layers, tables).map_err(failure)?;
        written?;
        Ok(found)
    })?;
    drop(shown);
    if !searched.quiet {
        println!("success sensitive layer search");
    }
    Ok(())
}
