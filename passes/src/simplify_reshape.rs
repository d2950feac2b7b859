//! `top-simplify-reshape`: a reshape of a reshape is one; a reshape to the same shape is none, nor are a Squeeze and an Unsqueeze that
//! undo each other.

use crate::SimplifyReshapeOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &SimplifyReshapeOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| {
        let (input, result) = match editor.program.nodes[node].operands.first() {
            Some(&input) => (input, editor.result(node)),
            None => return Ok(false),
        };
        if matches!(editor.op(node), Op::TopSqueeze(_) | Op::TopUnsqueeze(_)) {
            return Ok(undo(editor, node));
        }
        if !matches!(editor.op(node), Op::TopReshape(_)) {
            return Ok(false);
        }
        if let Some(inner) = editor.sole_producer(input).filter(|&p| matches!(editor.op(p), Op::TopReshape(_))) {
            let shape = editor.shape(result).to_vec();
            editor.program.nodes[node].op = Op::TopReshape(top::Reshape { shape: Some(shape), ..Default::default() });
            editor.program.nodes[node].operands[0] = editor.operand(inner, 0);
            return Ok(true);
        }
        // An output keeps its name, and with it its op.
        let read = editor.program.nodes.iter().any(|n| n.operands.contains(&result));
        if read && editor.shape(input) == editor.shape(result) && !editor.program.outputs.contains(&result) {
            editor.bypass(node, input);
            return Ok(true);
        }
        Ok(false)
    })
}

fn undo(editor: &mut Editor, node: usize) -> bool {
    let result = editor.result(node);
    let Some(before) = editor.producer(editor.operand(node, 0)).filter(|&p| matches!(editor.op(p), Op::TopSqueeze(_) | Op::TopUnsqueeze(_))) else { return false };
    let source = editor.operand(before, 0);
    if editor.shape(source) != editor.shape(result) || editor.is_output(result) || !editor.is_used(result) {
        return false;
    }
    editor.bypass(node, source);
    true
}
