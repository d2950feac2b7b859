//! `top-fuse-slice`: a Slice of a Slice is one.

use crate::FuseSliceOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FuseSliceOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopSlice(op) => Ok(fuse(editor, node, &op)),
        _ => Ok(false),
    })
}

fn fuse(editor: &mut Editor, node: usize, second: &top::Slice) -> bool {
    let Some(producer) = editor.sole_producer(editor.operand(node, 0)) else { return false };
    let Op::TopSlice(first) = editor.op(producer).clone() else { return false };
    let input = editor.shape(editor.operand(producer, 0)).to_vec();
    let middle = editor.shape(editor.result(producer)).to_vec();
    let (Ok(outer), Ok(inner)) = (first.resolve(&input), second.resolve(&middle)) else { return false };
    let mut op = top::Slice { offset: vec![], steps: vec![], ends: vec![], ..Default::default() };
    for (d, (a, b)) in outer.iter().zip(&inner).enumerate() {
        if a.step < 0 || b.step < 0 {
            return false;
        }
        let (start, step) = (a.start as i64 + b.start as i64 * a.step, a.step * b.step);
        op.offset.push(start);
        op.steps.push(step);
        op.ends.push((start + b.count as i64 * step).min(input[d]));
    }
    op.hasparamConvert_axes = second.hasparamConvert_axes.clone();
    op.hasparamConvert_axes.extend(first.hasparamConvert_axes.iter().filter(|a| !second.hasparamConvert_axes.contains(a)));
    editor.program.nodes[node].op = op.into();
    let source = editor.operand(producer, 0);
    editor.program.nodes[node].operands[0] = source;
    true
}
