//! `top-reduce-to-pool`: the mean or maximum over height and width is a pool, which every chip has. A Reduce whose dimensions an
//! Unsqueeze puts back keeps them.

use crate::ReduceToPoolOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &ReduceToPoolOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopUnsqueeze(op) if editor.is_used(editor.result(node)) => Ok(keep_dimensions(editor, node, &op)),
        Op::TopReduce(op) => Ok(pool(editor, node, &op)),
        _ => Ok(false),
    })
}

fn keep_dimensions(editor: &mut Editor, unsqueeze: usize, op: &top::Unsqueeze) -> bool {
    let Some(producer) = editor.sole_producer(editor.operand(unsqueeze, 0)) else { return false };
    let Op::TopReduce(mut reduce) = editor.op(producer).clone() else { return false };
    let rank = editor.shape(editor.operand(producer, 0)).len();
    let new = top::Reduce { axes: op.axes.clone(), ..Default::default() };
    if reduce.keepdims || reduce.resolve(rank).ok() != new.resolve(rank).ok() || editor.is_output(editor.result(unsqueeze)) {
        return false;
    }
    (reduce.keepdims, reduce.is_scalar) = (true, false);
    editor.program.nodes[producer].op = reduce.into();
    // The reduction keeps its own name.
    let (value, ty) = (editor.result(producer), editor.program.value(editor.result(unsqueeze)).ty.clone());
    editor.program.values[value.index()].ty = ty;
    editor.bypass(unsqueeze, value);
    true
}

fn pool(editor: &mut Editor, node: usize, op: &top::Reduce) -> bool {
    let &[_, _, height, width] = editor.shape(editor.operand(node, 0)) else { return false };
    if op.resolve(4).ok().as_deref() != Some(&[2, 3]) {
        return false;
    }
    let (kernel_shape, strides, pads) = (vec![height, width], vec![1; 2], vec![0; 4]);
    let (keepdims, count_include_pad) = (op.keepdims, true);
    let new: Op = match op.mode.as_str() {
        "ReduceMean" => top::AvgPool { kernel_shape, strides, pads, keepdims, count_include_pad, ..Default::default() }.into(),
        "ReduceMax" => top::MaxPool { kernel_shape, strides, pads, keepdims, count_include_pad, ..Default::default() }.into(),
        _ => return false,
    };
    editor.program.nodes[node].op = new;
    true
}
