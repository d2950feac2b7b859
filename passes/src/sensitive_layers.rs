//! `sensitive-layers`: the layers that lose most in INT8, each with the best threshold of MAX, Percentile9999 and KL, become float.

use crate::SensitiveLayersOptions;
use crate::mixed::{Subject, comparison, request, check_no_modes, count, rows};
use tpuc_dialects::pass::PassModule;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::tables::tuned_by_range;
use tpuc_quant::search::{check_cos, sensitive};

pub fn run(module: &PassModule, options: &SensitiveLayersOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let comparison = comparison!(options, &program, options.inference_num)?;
    check_cos("expected-cos", options.expected_cos).map_err(|e| format!("option {e}"))?;
    check_no_modes(&program)?;
    let rows = rows(&program, &options.calibration_table)?;
    let most = count("max-float-layers", options.max_float_layers, 0)?;
    let request = request!(options, comparison);
    let subject = Subject { program: &program, weights: &weights, mlir: &program.name };
    crate::mixed::warn_of_memory("sensitive-layers", &options.memory, &comparison, subject, options.tune_num);
    let session = crate::calibrate::open(&program, &weights, request)?;
    let tables = || {
        let (tables, _) = tuned_by_range(&session, &|done, what| crate::tell_progress(done * 0.2, what))?;
        session.release();
        Ok(tables.into_iter().map(|t| t.table).collect())
    };
    let found = comparison.search(subject, session.loader(), Journal::in_memory(), &|_| (), |trials| sensitive::search(trials, &rows, options.expected_cos, most, tables)).map_err(crate::text)?;
    crate::mixed::say("sensitive-layers", &program, &found, options.quiet);
    module.set_program(&comparison.annotated(&program, &found)?).map_err(crate::text)
}
