//! `top-move-relu`: a Relu behind a Concat goes in front of it, where every one of the ops that are joined can do it by itself.
//!
//! The limit moves along. (The reference loses it.) The ops get new names, because their results are others: `<op>_move_ahead_relu`,
//! and `<concat>_relu` for the joined ones, which are the Relu's results now.

use crate::MoveReluOptions;
use crate::edit::Editor;
use crate::fuse_relu::{is_fusable, limit_of};
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &MoveReluOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match limit_of(editor.op(node)) {
        Some(limit) if editor.is_used(editor.result(node)) => rewrite(editor, node, limit),
        _ => Ok(false),
    })
}

fn rewrite(editor: &mut Editor, relu: usize, limit: f64) -> Result<bool, String> {
    let Some(mut concat) = editor.sole_producer(editor.operand(relu, 0)) else { return Ok(false) };
    if !matches!(editor.op(concat), Op::TopConcat(_)) {
        return Ok(false);
    }
    let producers: Vec<Option<usize>> = editor.program.nodes[concat].operands.iter().map(|&o| editor.producer(o)).collect();
    if !producers.iter().all(|p| p.is_some_and(|p| is_fusable(editor.op(p)))) {
        return Ok(false);
    }
    for index in 0..producers.len() {
        let operand = editor.operand(concat, index);
        let name = format!("{}_move_ahead_relu", editor.program.value(operand).name);
        let moved = editor.insert(concat, top::Relu { relu_limit: limit, ..Default::default() }, &[operand], &name)?;
        concat += 1;
        editor.program.nodes[concat].operands[index] = moved;
    }
    let joined = editor.result(concat);
    let name = format!("{}_relu", editor.program.value(joined).name);
    editor.program.values[joined.index()].name = name;
    editor.replace(editor.result(relu + producers.len()), joined);
    Ok(true)
}
