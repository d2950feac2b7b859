//! `sensitive-layers`: the layers that lose most in INT8, each with the best threshold of MAX, Percentile9999 and KL, become float.

use crate::SensitiveLayersOptions;
use crate::mixed::{Subject, Words, check_no_modes, count, rows};
use std::path::PathBuf;
use tpuc_dialects::pass::PassModule;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::tables::tuned_by_range;
use tpuc_quant::search::{check_cos, sensitive};
use tpuc_quant::{DebugCommand, Request};

pub fn run(module: &PassModule, options: &SensitiveLayersOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let words = Words {
        chip: &options.chip,
        fp_type: &options.fp_type,
        layers: &options.global_compare_layers,
        inference_num: options.inference_num,
        post_process: &options.post_process,
        post_process_timeout: options.post_process_timeout,
        memory: &options.memory,
        threads: options.threads,
    };
    let comparison = words.comparison(&program)?;
    check_cos("expected-cos", options.expected_cos).map_err(|e| format!("option {e}"))?;
    check_no_modes(&program)?;
    let rows = rows(&program, &options.calibration_table)?;
    let most = count("max-float-layers", options.max_float_layers, 0)?;
    let request = Request {
        dataset: PathBuf::from(&options.dataset),
        data_list: PathBuf::from(&options.data_list),
        tune_list: PathBuf::from(&options.tune_list),
        debug: DebugCommand::parse(&options.debug_cmd).map_err(|e| format!("option debug-cmd: {e}"))?,
        input_num: count("input-num", options.input_num, 0)?,
        tune_num: count("tune-num", options.tune_num, 0)?,
        histogram_bins: count("histogram-bin-num", options.histogram_bin_num, 2)?,
        threads: comparison.threads,
        ..Request::default()
    };
    let session = crate::calibrate::open(&program, &weights, request)?;
    let tables = || {
        let (tables, _) = tuned_by_range(&session, &|done, what| crate::tell_progress(done * 0.2, what))?;
        Ok(tables.into_iter().map(|t| t.table).collect())
    };
    let subject = Subject { program: &program, weights: &weights, mlir: &program.name };
    let found = comparison.search(subject, session.loader(), Journal::in_memory(), &|_| (), |trials| sensitive::search(trials, &rows, options.expected_cos, most, tables)).map_err(crate::text)?;
    crate::mixed::say("sensitive-layers", &program, &found, options.quiet);
    module.set_program(&comparison.annotated(&program, &found)?).map_err(crate::text)
}
