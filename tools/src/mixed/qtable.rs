//! `run_calibration --search search_qtable`.

use super::{Job, Options, beside, failure, write_table};
use crate::calibration::arguments::Arguments;
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::path::PathBuf;
use tpuc_lowering::QuantizeTable;
use tpuc_lowering::table::Header;
use tpuc_passes::mixed::by_cost::{self, Wanted};
use tpuc_quant::search::check_cos;
use tpuc_quant::search::qtable::{QtableOptions, search_qtable, start};
use tpuc_quant::search::tables::{methods, tuned};
use tpuc_quant::Request;

const LOG: &str = "Search_Qtable";

/// Calibrates by all methods and searches the layers that stay float.
pub fn run(arguments: &Arguments, request: Request) -> Result<(), Failure> {
    let table = arguments.quantize_table.as_deref().ok_or_else(|| Failure::usage("--search search_qtable needs --quantize_table, the table to write"))?;
    let names = methods(&arguments.quantize_method_list).map_err(|e| Failure::usage(format!("--quantize_method_list: {e}")))?;
    check_cos("expected_cos", arguments.expected_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
    let options = Options { chip: &arguments.chip, fp_type: &arguments.fp_type, layers: &arguments.global_compare_layers };
    let mut job = Job::new(LOG, &arguments.mlir, table, &options, arguments.inference_num()?, request.threads, &arguments.means, arguments.quiet)?.with_report(arguments.report.as_deref(), arguments.expected_cos)?;
    let wanted = wanted(arguments, job.comparison.chip.name)?;
    let file = |name: &str, suffix: &str| beside(&arguments.calibration_table, &format!("_{name}{suffix}"));
    names.iter().flat_map(|n| [file(n, ".1"), file(n, "_tune")]).try_for_each(|path| cli::check_output(&path))?;
    cli::check_output(&arguments.calibration_table)?;
    let read = |path: &PathBuf| QuantizeTable::read(path).map_err(|e| Failure::work(format!("{}: {e}", path.display())));
    let search = QtableOptions {
        // Within a budget the best is wanted, whatever is good enough.
        expected_cos: if wanted.is_some_and(|w| w.budget.is_some()) { 1.0 } else { arguments.expected_cos },
        max_float_layers: arguments.max_float_layers,
        transformer: arguments.transformer()?,
        screening: arguments.op_type_screening,
        fixed: arguments.pre_qtable.as_ref().map(read).transpose()?,
    };
    job.comparison.fixed.clone_from(&search.fixed);

    let network = job.read_network()?;
    if let (Some(table), Some(path)) = (&search.fixed, &arguments.pre_qtable) {
        table.modes(&network.program, false).map_err(|e| cli::named(path, e))?;
    }
    job.warn_of_memory("run_calibration", &network, request.tune_num);
    let shown = Shown::start(arguments.quiet);
    let request = Request { memory: job.comparison.memory, ..request };
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let (tables, statistics) = tuned(&session, &names, &|done, what| tpuc_passes::tell_progress(done * 0.2, what)).map_err(Failure::work)?;
    session.release();
    statistics.warnings().iter().for_each(|w| eprintln!("run_calibration: warning: {w}"));
    let mlir = arguments.mlir.display().to_string();
    let header = |method: &str| Header { method: Some(method.to_owned()), ..tpuc_passes::calibrate::header(session.request(), &mlir, statistics.samples) };
    for tuned in &tables {
        write_table(&file(tuned.table.method, ".1"), &header(tuned.table.method), &tuned.untuned)?;
        write_table(&file(tuned.table.method, "_tune"), &header(tuned.table.method), &tuned.table.rows)?;
    }
    let tables: Vec<_> = tables.into_iter().map(|t| t.table).collect();
    if let Some(start) = start(&tables) {
        write_table(&arguments.calibration_table, &header(start.method), &start.rows)?;
    }
    let plain = tpuc_passes::calibrate::header(session.request(), &mlir, statistics.samples);
    let identity = format!("search_qtable {search:?} {names:?} {wanted:?} {}", session.request().identity());
    job.run(&network, session.loader(), &identity, plain, |trials| {
        wanted.map_or(Ok(()), |w| w.check_int8(trials, start(&tables).map_or(&[], |t| &t.rows), search.fixed.as_ref()))?;
        let found = search_qtable(trials, &tables, &search).map_err(failure)?;
        match wanted {
            Some(wanted) => Ok(by_cost::better(trials, found, search.fixed.as_ref(), wanted)?),
            None => Ok(found),
        }
    })?;
    drop(shown);
    if !arguments.quiet {
        println!("success search qtable");
    }
    Ok(())
}

/// What `--optimize` and `--budget` ask for.
fn wanted(arguments: &Arguments, chip: &str) -> Result<Option<Wanted>, Failure> {
    let budget = arguments.budget.as_deref().map(str::parse).transpose()?;
    let wanted = Wanted { budget, expected_cos: arguments.expected_cos };
    wanted.check(chip)?;
    Ok((arguments.optimize || budget.is_some()).then_some(wanted))
}
