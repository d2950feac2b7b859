//! `top-split-to-slice`: every part of a Split that somebody reads is a Slice.

use crate::SplitToSliceOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &SplitToSliceOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopSplit(op) if editor.program.nodes[node].results.iter().any(|&r| editor.is_used(r)) => rewrite(editor, node, &op).map(|()| true),
        _ => Ok(false),
    })
}

fn rewrite(editor: &mut Editor, split: usize, op: &top::Split) -> Result<(), String> {
    let input = editor.operand(split, 0);
    let rank = editor.shape(input).len();
    let (axis, sizes) = op.resolve(editor.shape(input))?;
    let none = editor.program.none();
    let (mut at, mut start) = (split, 0);
    for (index, size) in sizes.into_iter().enumerate() {
        let part = editor.program.nodes[at].results[index];
        let mut slice = top::Slice { offset: vec![0; rank], steps: vec![1; rank], ends: vec![i64::MAX; rank], ..Default::default() };
        (slice.offset[axis], slice.ends[axis]) = (start, start + size);
        slice.hasparamConvert_axes = vec![axis as i64];
        start += size;
        if editor.is_used(part) {
            let name = editor.program.value(part).name.clone();
            let result = editor.insert(at, slice, &[input, none, none, none], &name)?;
            at += 1;
            editor.replace(part, result);
        }
    }
    Ok(())
}
