//! `top-interp-to-upsample`: where the nearest pixel of every pixel is the one at its place divided by a whole factor, pixels are
//! only repeated.

use crate::InterpToUpsampleOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &InterpToUpsampleOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopInterp(op) if op.mode == "nearest" => Ok(rewrite(editor, node, &op)),
        _ => Ok(false),
    })
}

fn rewrite(editor: &mut Editor, node: usize, op: &top::Interp) -> bool {
    let input = editor.operand(node, 0);
    let (&[_, _, h, w], &[_, _, oh, ow]) = (editor.shape(input), editor.shape(editor.result(node))) else { return false };
    let repeats = |size: i64, target: i64| {
        let whole = target % size == 0;
        whole && tpuc_ops::resize::nearest(&op.coord_mode, size, target).iter().enumerate().all(|(i, &from)| from == i as i64 / (target / size))
    };
    // The chips repeat by one factor in both directions.
    if !repeats(h, oh) || !repeats(w, ow) || oh / h != ow / w {
        return false;
    }
    editor.program.nodes[node].op = top::Upsample { scale_h: oh / h, scale_w: ow / w, ..Default::default() }.into();
    editor.program.nodes[node].operands.truncate(1);
    true
}
