//! `top-calibrate`: samples run through the network, thresholds become ranges in the result types.
//!
//! The work itself is [`tpuc_quant::Session`]'s; [`calibrate`] makes the table of it, for the command line too.

use crate::{CalibrateOptions, progress};
use std::path::PathBuf;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::Ranges;
use tpuc_lowering::table::{CalibrationTable, Header};
use tpuc_ops::Program;
use tpuc_quant::{DebugCommand, Outcome, Request, Session};
use tpuc_tensor::WeightStore;

/// A calibration with its table.
pub struct Calibrated {
    pub table: CalibrationTable,
    pub outcome: Outcome,
    /// How many batches of samples there were.
    pub available: usize,
    pub warnings: Vec<String>,
}

/// Opens a session on a Top program.
pub fn open(program: &Program, weights: &WeightStore, request: Request) -> Result<Session, String> {
    Session::open(program, weights, crate::net_inputs(program)?, request).map_err(crate::text)
}

/// Thresholds of every tensor of a session's network. `mlir` is what the table calls the network.
pub fn calibrate(session: &Session, mlir: &str) -> Result<Calibrated, String> {
    let outcome = session.calibrate(&progress::tell).map_err(crate::text)?;
    let method = session.request().method().name();
    let header = Header {
        method: Some(if outcome.is_tuned { format!("['{method}']") } else { method.to_owned() }),
        is_fp8: session.request().debug.fp8,
        ..header(session.request(), mlir, outcome.used)
    };
    let mut table = CalibrationTable::new(header, outcome.rows.clone());
    table.int4_rows.clone_from(&outcome.int4_rows);
    table.asymmetric_ops.clone_from(&outcome.asymmetric);
    let warnings = outcome.statistics.iter().flat_map(|s| s.warnings()).map(|w| w.to_string()).collect();
    Ok(Calibrated { table, available: session.loader().groups(), outcome, warnings })
}

/// The header of a table that comes of a request.
pub fn header(request: &Request, mlir: &str, used: usize) -> Header {
    Header {
        version: crate::version(),
        mlir: mlir.to_owned(),
        time: format!("{}.000000", crate::timestamp()),
        method: None,
        histogram_number: Some(request.histogram_bins as u64),
        sample_number: Some(used as u64),
        tune_number: Some(request.tune_num as u64),
        ..Header::default()
    }
}

pub fn run(module: &PassModule, options: &CalibrateOptions) -> Result<(), String> {
    let count = |name: &str, value: i64| usize::try_from(value).map_err(|_| format!("option {name}: {value} is negative"));
    let request = Request {
        dataset: PathBuf::from(&options.dataset),
        data_list: PathBuf::from(&options.data_list),
        tune_list: PathBuf::from(&options.tune_list),
        debug: DebugCommand::parse(&options.debug_cmd).map_err(|e| format!("option debug-cmd: {e}"))?,
        method: options.method.parse().map_err(crate::text)?,
        input_num: count("input-num", options.input_num)?,
        tune_num: count("tune-num", options.tune_num)?,
        histogram_bins: count("histogram-bin-num", options.histogram_bin_num)?,
        threads: match count("threads", options.threads)? {
            0 => tpuc_quant::default_threads(),
            n => n,
        },
        ..Request::default()
    };
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let calibrated = calibrate(&open(&program, &weights, request)?, &program.name)?;
    if !options.table.is_empty() {
        calibrated.table.write(std::path::Path::new(&options.table)).map_err(crate::text)?;
    }
    let ranges = Ranges::from_table(&program, &calibrated.table, crate::processor_assign::chip_or_default(&program)?).map_err(crate::text)?;
    module.set_program(&ranges.annotate(&program)).map_err(crate::text)
}
