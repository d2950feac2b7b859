//! `top-fold-constants`: an op that reads weights alone is computed now, and its result is a weight.

use crate::FoldConstantsOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_interp::{Options, PreparedNode};
use tpuc_ops::{Op, Source};

/// A constant may not become larger than this many elements, unless one of its operands is as large.
const MOST_ELEMENTS: i64 = 1 << 24;

pub fn run(module: &PassModule, _options: &FoldConstantsOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node) {
        Op::TopInput(_) | Op::TopSplit(_) => Ok(false),
        _ => fold(editor, node),
    })
}

fn fold(editor: &mut Editor, node: usize) -> Result<bool, String> {
    let found = &editor.program.nodes[node];
    let sources: Vec<Source> = found.operands.iter().map(|&o| editor.program.value(o).source).collect();
    let constant = sources.contains(&Source::Weight) && sources.iter().all(|s| matches!(s, Source::Weight | Source::None));
    let [result] = found.results[..] else { return Ok(false) };
    // An output has to be computed by an op.
    if !constant || !editor.is_used(result) || editor.is_output(result) {
        return Ok(false);
    }
    let size = |v: &tpuc_ops::ValueType| v.tensor().map_or(0, |t| t.count());
    let (operands, results) = (editor.program.operand_types(node), editor.program.result_types(node));
    if size(&results[0]) > MOST_ELEMENTS.max(operands.iter().map(size).max().unwrap_or(0)) {
        return Ok(false);
    }
    let name = editor.program.node_name(node).to_owned();
    let constants: Vec<_> = found.operands.iter().map(|&o| editor.weights.get(&editor.program.value(o).name).cloned()).collect();
    let mut computed = Vec::new();
    PreparedNode::new(&name, &found.op, &operands, &results, &constants, Options::default())
        .and_then(|prepared| prepared.run(&vec![None; operands.len()], &mut computed))
        .map_err(crate::text)?;
    let shape = results[0].tensor().map(|t| t.shape.clone()).unwrap_or_default();
    let weight = editor.add_weight(&name, &shape, computed.first().map(|t| t.to_f32()).unwrap_or_default())?;
    editor.replace(result, weight);
    Ok(true)
}
