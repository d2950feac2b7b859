//! `run_calibration --search fast_search`.

use super::{Job, Options, failure};
use crate::calibration::arguments::Arguments;
use crate::cli::{self, Failure};
use crate::progress::Shown;
use tpuc_lowering::{CalibrationTable, QuantizeTable};
use tpuc_passes::calibrate::calibrate;
use tpuc_quant::Request;
use tpuc_quant::search::check_cos;
use tpuc_quant::search::fast::{FastOptions, search};

const LOG: &str = "Search_Qtable";

/// Calibrates, unless the table is there already, and searches the layers that stay float.
pub fn run(arguments: &Arguments, request: Request) -> Result<(), Failure> {
    let table = arguments.quantize_table.as_deref().ok_or_else(|| Failure::usage("--search fast_search needs --quantize_table, the table to write"))?;
    check_cos("expected_cos", arguments.expected_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
    let options = Options { chip: &arguments.chip, fp_type: &arguments.fp_type, layers: &arguments.global_compare_layers };
    let job = Job::new(LOG, &arguments.mlir, table, &options, arguments.inference_num()?, request.threads, &arguments.means, arguments.quiet)?;
    let mut job = job.with_report(arguments.report.as_deref(), arguments.expected_cos)?;
    job.new_table = false;
    let read = |path| QuantizeTable::read(path).map_err(|e| cli::named(path, e));
    job.comparison.fixed = arguments.pre_qtable.as_deref().map(read).transpose()?;
    let path = &arguments.calibration_table;
    let exists = path.exists();
    if !exists {
        cli::check_output(path)?;
    }

    let network = job.read_network()?;
    if let (Some(table), Some(path)) = (&job.comparison.fixed, &arguments.pre_qtable) {
        table.modes(&network.program, false).map_err(|e| cli::named(path, e))?;
    }
    job.warn_of_memory("run_calibration", &network, if exists { 0 } else { request.tune_num });
    let shown = Shown::start(arguments.quiet);
    let request = tpuc_quant::Request { memory: job.comparison.memory, ..request };
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let table = match exists {
        true => {
            eprintln!("run_calibration: warning: {} is there already: the search uses its thresholds", path.display());
            let table = CalibrationTable::read(path).map_err(|e| cli::named(path, e))?;
            table.check_layers(network.program.names().keys().copied()).map_err(|e| cli::named(path, e))?;
            table
        }
        false => {
            let calibrated = calibrate(&session, &arguments.mlir.display().to_string()).map_err(Failure::Work)?;
            calibrated.warnings.iter().for_each(|w| eprintln!("run_calibration: warning: {w}"));
            session.release();
            calibrated.table.write(path)?;
            calibrated.table
        }
    };
    let search_options = FastOptions { expected_cos: arguments.expected_cos, fixed: job.comparison.fixed.clone() };
    let identity = format!("fast_search {search_options:?} {:?}", table.rows());
    job.run(&network, session.loader(), &identity, table.header.clone(), |trials| search(trials, table.rows(), &search_options).map_err(failure))?;
    drop(shown);
    if !arguments.quiet {
        println!("success search qtable");
    }
    Ok(())
}
