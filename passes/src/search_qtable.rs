//! `search-qtable`: calibrates by several methods and finds the layers that stay float, each with the method that suits it.
//!
//! The modes become the attribute `quantize_mode`, the thresholds ranges in the result types.

use crate::SearchQtableOptions;
use crate::mixed::by_cost::{CostError, Wanted, better};
use crate::mixed::{Subject, comparison, count, modes, request};
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{Mode, QuantizeRow, QuantizeTable};
use tpuc_ops::Program;
use tpuc_quant::search::check_cos;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::qtable::{QtableOptions, search_qtable, start};
use tpuc_quant::search::tables::{methods, tuned};

pub fn run(module: &PassModule, options: &SearchQtableOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let mut comparison = comparison!(options, &program, options.inference_num)?;
    let names = methods(&options.quantize_method_list).map_err(|e| format!("option quantize-method-list: {e}"))?;
    check_cos("expected-cos", options.expected_cos).map_err(|e| format!("option {e}"))?;
    comparison.fixed = fixed(&program, options)?;
    let wanted = wanted(options, comparison.chip.name).map_err(option)?;
    let search = QtableOptions {
        // Within a budget the best is wanted, whatever is good enough.
        expected_cos: if wanted.is_some_and(|w| w.budget.is_some()) { 1.0 } else { options.expected_cos },
        max_float_layers: count("max-float-layers", options.max_float_layers, 0)?,
        transformer: options.transformer,
        screening: options.op_type_screening,
        fixed: comparison.fixed.clone(),
    };
    let subject = Subject { program: &program, weights: &weights, mlir: &program.name };
    crate::mixed::warn_of_memory("search-qtable", &options.memory, &comparison, subject, options.tune_num);
    let session = crate::calibrate::open(&program, &weights, request!(options, comparison))?;
    let (tables, _) = tuned(&session, &names, &|done, what| crate::tell_progress(done * 0.2, what)).map_err(crate::text)?;
    session.release();
    let tables: Vec<_> = tables.into_iter().map(|t| t.table).collect();
    let log = |line: &str| {
        if !options.quiet && line.starts_with("pareto") {
            eprintln!("search-qtable: {line}");
        }
    };
    let found = comparison.search(subject, session.loader(), Journal::in_memory(), &log, |trials| {
        let Some(wanted) = wanted else { return Ok(search_qtable(trials, &tables, &search)?) };
        wanted.check_int8(trials, start(&tables).map_or(&[], |t| &t.rows), search.fixed.as_ref())?;
        let found = search_qtable(trials, &tables, &search)?;
        better(trials, found, search.fixed.as_ref(), wanted)
    });
    let found = found.map_err(option)?;
    crate::mixed::say("search-qtable", &program, &found, options.quiet);
    module.set_program(&comparison.annotated(&program, &found)?).map_err(crate::text)
}

/// An error as the pass says it.
fn option(error: CostError) -> String {
    match error {
        CostError::Budget(_) | CostError::NoEstimate(_) => format!("option {error}"),
        CostError::Search(error) => error.to_string(),
    }
}

/// What the options `optimize` and `budget` ask for.
fn wanted(options: &SearchQtableOptions, chip: &str) -> Result<Option<Wanted>, CostError> {
    let budget = (!options.budget.is_empty()).then(|| options.budget.parse()).transpose()?;
    let wanted = Wanted { budget, expected_cos: options.expected_cos };
    wanted.check(chip)?;
    Ok((options.optimize || budget.is_some()).then_some(wanted))
}

/// The modes that stay: those of the ops, and those of a table.
fn fixed(program: &Program, options: &SearchQtableOptions) -> Result<Option<QuantizeTable>, String> {
    let mut kept = modes(program)?;
    if !options.pre_qtable.is_empty() {
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", options.pre_qtable);
        let table = QuantizeTable::read(Path::new(&options.pre_qtable)).map_err(|e| fail(&e))?;
        let (modes, _) = table.modes(program, false).map_err(|e| fail(&e))?;
        kept.iter_mut().zip(modes).for_each(|(mode, given)| *mode = given.or(*mode));
    }
    let row = |(node, mode): (usize, Option<Mode>)| mode.map(|mode| QuantizeRow { name: program.node_name(node).to_owned(), mode, line: 0 });
    let rows: Vec<QuantizeRow> = kept.into_iter().enumerate().filter_map(row).collect();
    Ok((!rows.is_empty()).then(|| QuantizeTable { comments: Vec::new(), rows }))
}
