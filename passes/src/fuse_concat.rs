//! `top-fuse-concat`: a Concat within a Concat along the same axis is part of it.

use crate::FuseConcatOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FuseConcatOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopConcat(op) => Ok(fuse(editor, node, &op)),
        _ => Ok(false),
    })
}

fn axis(op: &top::Concat, rank: usize) -> i64 {
    if op.axis < 0 { i64::from(op.axis) + rank as i64 } else { i64::from(op.axis) }
}

fn fuse(editor: &mut Editor, node: usize, op: &top::Concat) -> bool {
    let rank = editor.shape(editor.result(node)).len();
    for index in 0..editor.program.nodes[node].operands.len() {
        let Some(inner) = editor.sole_producer(editor.operand(node, index)) else { continue };
        let Op::TopConcat(other) = editor.op(inner) else { continue };
        if axis(other, rank) != axis(op, rank) || (other.do_relu && !op.do_relu) {
            continue;
        }
        let parts = editor.program.nodes[inner].operands.clone();
        editor.program.nodes[node].operands.splice(index..=index, parts);
        return true;
    }
    false
}
