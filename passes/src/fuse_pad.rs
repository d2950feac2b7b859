//! `top-fuse-pad`: a convolution pads by itself.

use crate::FusePadOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::Op;

pub fn run(module: &PassModule, _options: &FusePadOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| Ok(matches!(editor.op(node), Op::TopConv(_)) && fuse(editor, node)))
}

fn fuse(editor: &mut Editor, conv: usize) -> bool {
    let Some(pad) = editor.sole_producer(editor.operand(conv, 0)) else { return false };
    let (Op::TopPad(padding), Op::TopConv(mut op)) = (editor.op(pad).clone(), editor.op(conv).clone()) else { return false };
    let rank = padding.paddings.len() / 2;
    let spatial = op.kernel_shape.len();
    let (before, after) = padding.paddings.split_at(rank);
    let outer_is_plain = before[..2].iter().chain(&after[..2]).all(|&p| p == 0);
    if padding.mode != "constant" || padding.val != 0.0 || rank != spatial + 2 || !outer_is_plain || padding.paddings.iter().any(|&p| p < 0) {
        return false;
    }
    for d in 0..spatial {
        op.pads[d] += before[d + 2];
        op.pads[d + spatial] += after[d + 2];
    }
    editor.program.nodes[conv].op = Op::TopConv(op);
    editor.program.nodes[conv].operands[0] = editor.operand(pad, 0);
    true
}
