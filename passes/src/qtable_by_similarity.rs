//! `qtable-by-similarity`: from the inputs on, layers that are far from the float network become float with those that read them.

use crate::QtableBySimilarityOptions;
use crate::mixed::{Subject, comparison, check_no_modes, rows};
use crate::samples::SampleChoice;
use tpuc_dialects::pass::PassModule;
use tpuc_quant::search::check_cos;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::walk::{WalkOptions, run_qtable};

pub fn run(module: &PassModule, options: &QtableBySimilarityOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let comparison = comparison!(options, &program, options.input_num)?;
    for (name, value) in [("expected-cos", options.expected_cos), ("min-layer-cos", options.min_layer_cos)] {
        check_cos(name, value).map_err(|e| format!("option {e}"))?;
    }
    check_no_modes(&program)?;
    let rows = rows(&program, &options.calibration_table)?;
    let subject = Subject { program: &program, weights: &weights, mlir: &program.name };
    crate::mixed::warn_of_memory("qtable-by-similarity", &options.memory, &comparison, subject, 0);
    let loader = SampleChoice::new(&options.dataset, &options.data_list, options.input_num)?.loader(&program)?;
    let walk = WalkOptions { expected_cos: options.expected_cos, min_layer_cos: options.min_layer_cos };
    let walked = comparison.search(subject, &loader, Journal::in_memory(), &|_| (), |trials| run_qtable(trials, &rows, &walk)).map_err(crate::text)?;
    crate::mixed::say("qtable-by-similarity", &program, &walked.outcome, options.quiet);
    module.set_program(&comparison.annotated(&program, &walked.outcome)?).map_err(crate::text)
}
