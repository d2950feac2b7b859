//! `top-fuse-permute`: a Permute of a Permute is one of the first one's input, whoever else reads the first one.

use crate::FusePermuteOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FusePermuteOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopPermute(op) => Ok(fuse(editor, node, &op)),
        _ => Ok(false),
    })
}

fn fuse(editor: &mut Editor, node: usize, second: &top::Permute) -> bool {
    let Some(producer) = editor.producer(editor.operand(node, 0)) else { return false };
    let Op::TopPermute(first) = editor.op(producer).clone() else { return false };
    let rank = editor.shape(editor.result(node)).len();
    let (Ok(first), Ok(second)) = (first.resolve(rank), second.resolve(rank)) else { return false };
    let order = second.iter().map(|&d| first[d] as i64).collect();
    editor.program.nodes[node].op = top::Permute { order, ..Default::default() }.into();
    editor.program.nodes[node].operands[0] = editor.operand(producer, 0);
    true
}
