//! `top-calibrate`: samples run through the network, thresholds become ranges in the result types.
//!
//! The work itself is [`calibrate`], which the command line uses too.

use crate::{CalibrateOptions, progress};
use std::path::PathBuf;
use tpuc_dialects::pass::PassModule;
use tpuc_imageio::samples::{Loader, Samples};
use tpuc_interp::{Options, Plan};
use tpuc_lowering::table::{CalibrationTable, Header};
use tpuc_lowering::Ranges;
use tpuc_ops::Program;
use tpuc_quant::{CalibrationOptions, Method, PlanNetwork, Statistics, TuneOptions, gather, tune};
use tpuc_tensor::WeightStore;

/// What to calibrate with.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Folder of samples, or empty.
    pub dataset: PathBuf,
    /// List of samples, or empty; wins over the folder.
    pub data_list: PathBuf,
    pub method: Method,
    /// 0: all.
    pub input_num: usize,
    /// 0: no tuning.
    pub tune_num: usize,
    pub histogram_bins: usize,
    pub threads: usize,
}

/// What calibration found.
pub struct Calibrated {
    pub table: CalibrationTable,
    pub statistics: Statistics,
    /// How many samples there were and how many were used.
    pub available: usize,
    pub used: usize,
    pub warnings: Vec<String>,
}

/// Thresholds of every tensor of a Top program. `mlir` is what the table calls the network.
pub fn calibrate(program: &Program, weights: &WeightStore, mlir: &str, request: &Request) -> Result<Calibrated, String> {
    let inputs = crate::net_inputs(program)?;
    let samples = match (request.data_list.as_os_str().is_empty(), request.dataset.as_os_str().is_empty()) {
        (false, _) => Samples::from_data_list(&request.data_list, request.input_num),
        (true, false) => Samples::from_dataset(&request.dataset, request.input_num),
        (true, true) => return Err("no samples: give a dataset or a data_list".into()),
    };
    let loader = Loader::new(samples.map_err(crate::text)?, inputs).map_err(crate::text)?;
    let available = loader.groups();
    if available == 0 {
        return Err("the samples do not fill a single batch".into());
    }
    let plan = Plan::new(program.clone(), weights, Options { threads: 1, ..Options::default() }).map_err(crate::text)?;
    let network = PlanNetwork::new(plan);
    let options = CalibrationOptions { methods: request.method.into(), histogram_bins: request.histogram_bins, input_num: request.input_num, threads: request.threads, ..Default::default() };
    let gathered = gather(&network, &loader, &options, &|fraction, what| progress::tell(fraction * 0.7, what)).map_err(crate::text)?;
    let mut rows = gathered.thresholds(request.method).map_err(crate::text)?;
    let tuned = request.method.is_tuned() && request.tune_num > 0;
    if tuned {
        let options = TuneOptions { tune_num: request.tune_num, threads: request.threads, ..TuneOptions::default() };
        tune(&network, &loader, &gathered, &mut rows, &options, &|fraction, what| progress::tell(0.7 + fraction * 0.3, what)).map_err(crate::text)?;
    }
    let name = request.method.name();
    let header = Header {
        version: crate::version(),
        mlir: mlir.to_owned(),
        time: format!("{}.000000", crate::timestamp()),
        method: Some(if tuned { format!("['{name}']") } else { name.to_owned() }),
        histogram_number: Some(request.histogram_bins as u64),
        sample_number: Some(gathered.samples as u64),
        tune_number: Some(request.tune_num.min(gathered.samples) as u64),
    };
    let warnings = gathered.warnings().iter().map(ToString::to_string).collect();
    Ok(Calibrated { table: CalibrationTable::new(header, rows), used: gathered.samples, statistics: gathered, available, warnings })
}

pub fn run(module: &PassModule, options: &CalibrateOptions) -> Result<(), String> {
    let count = |name: &str, value: i64| usize::try_from(value).map_err(|_| format!("option {name}: {value} is negative"));
    let request = Request {
        dataset: PathBuf::from(&options.dataset),
        data_list: PathBuf::from(&options.data_list),
        method: options.method.parse().map_err(crate::text)?,
        input_num: count("input-num", options.input_num)?,
        tune_num: count("tune-num", options.tune_num)?,
        histogram_bins: count("histogram-bin-num", options.histogram_bin_num)?,
        threads: match count("threads", options.threads)? {
            0 => tpuc_quant::default_threads(),
            n => n,
        },
    };
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let calibrated = calibrate(&program, &weights, &program.name, &request)?;
    if !options.table.is_empty() {
        calibrated.table.write(std::path::Path::new(&options.table)).map_err(crate::text)?;
    }
    let ranges = Ranges::from_table(&program, &calibrated.table).map_err(crate::text)?;
    module.set_program(&ranges.annotate(&program)).map_err(crate::text)
}
