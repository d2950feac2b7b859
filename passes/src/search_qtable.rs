//! `search-qtable`: calibrates by several methods and finds the layers that stay float, each with the method that suits it.
//!
//! The modes become the attribute `quantize_mode`, the thresholds ranges in the result types.

use crate::SearchQtableOptions;
use crate::mixed::{Subject, comparison, count, modes, request};
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{Mode, QuantizeRow, QuantizeTable};
use tpuc_ops::Program;
use tpuc_quant::search::check_cos;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::qtable::{QtableOptions, search_qtable};
use tpuc_quant::search::tables::{methods, tuned};

pub fn run(module: &PassModule, options: &SearchQtableOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let mut comparison = comparison!(options, &program, options.inference_num)?;
    let names = methods(&options.quantize_method_list).map_err(|e| format!("option quantize-method-list: {e}"))?;
    check_cos("expected-cos", options.expected_cos).map_err(|e| format!("option {e}"))?;
    comparison.fixed = fixed(&program, options)?;
    let search = QtableOptions {
        expected_cos: options.expected_cos,
        max_float_layers: count("max-float-layers", options.max_float_layers, 0)?,
        transformer: options.transformer,
        screening: options.op_type_screening,
        fixed: comparison.fixed.clone(),
    };
    let session = crate::calibrate::open(&program, &weights, request!(options, comparison.threads))?;
    let (tables, _) = tuned(&session, &names, &|done, what| crate::tell_progress(done * 0.2, what)).map_err(crate::text)?;
    let tables: Vec<_> = tables.into_iter().map(|t| t.table).collect();
    let subject = Subject { program: &program, weights: &weights, mlir: &program.name };
    let found = comparison.search(subject, session.loader(), Journal::in_memory(), &|_| (), |trials| search_qtable(trials, &tables, &search)).map_err(crate::text)?;
    crate::mixed::say("search-qtable", &program, &found, options.quiet);
    module.set_program(&comparison.annotated(&program, &found)?).map_err(crate::text)
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
