//! `top-fuse-pad`: a convolution pads with zeros by itself, a maximum pooling with what is less than everything.

use crate::FusePadOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FusePadOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| Ok(fuse(editor, node)))
}

fn fuse(editor: &mut Editor, node: usize) -> bool {
    if !matches!(editor.op(node), Op::TopConv(_) | Op::TopMaxPool(_)) {
        return false;
    }
    let Some(pad) = editor.sole_producer(editor.operand(node, 0)) else { return false };
    let Op::TopPad(padding) = editor.op(pad).clone() else { return false };
    let fused = match editor.op(node).clone() {
        Op::TopConv(mut op) if padding.val == 0.0 => widen(&mut op.pads, op.kernel_shape.len(), &padding).then_some(Op::TopConv(op)),
        Op::TopMaxPool(mut op) if padding.val == f64::NEG_INFINITY => {
            let fits = widen(&mut op.pads, op.kernel_shape.len(), &padding) && sees_data(&op);
            fits.then_some(Op::TopMaxPool(op))
        }
        _ => None,
    };
    let Some(fused) = fused else { return false };
    editor.program.nodes[node].op = fused;
    editor.program.nodes[node].operands[0] = editor.operand(pad, 0);
    true
}

/// Adds constant padding of the spatial dimensions behind batch and channels to a window's own. False where it pads or cuts
/// anything else.
fn widen(pads: &mut [i64], spatial: usize, padding: &top::Pad) -> bool {
    let rank = padding.paddings.len() / 2;
    let (before, after) = padding.paddings.split_at(rank);
    if padding.mode != "constant" || rank != spatial + 2 || padding.paddings.iter().any(|&p| p < 0) || before[..2].iter().chain(&after[..2]).any(|&p| p != 0) {
        return false;
    }
    for d in 0..spatial {
        pads[d] += before[d + 2];
        pads[d + spatial] += after[d + 2];
    }
    true
}

/// Whether no window lies in the padding altogether: its result would be minus infinity, which a pooling's own padding does not
/// make. Rounding up may add such a window.
fn sees_data(op: &top::MaxPool) -> bool {
    let spatial = op.kernel_shape.len();
    op.ceil_mode != Some(true) && op.pads.iter().enumerate().all(|(i, &p)| p < op.kernel_shape[i % spatial.max(1)])
}
