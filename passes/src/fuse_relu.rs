//! `top-fuse-relu`: Clip(0, limit) is a Relu with a limit; a Relu whose input nobody else reads becomes part of the op that
//! computes it.

use crate::FuseReluOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

/// Limits from here on do not limit anything.
const NO_LIMIT: f64 = 1e30;

pub fn run(module: &PassModule, _options: &FuseReluOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopClip(op) if op.min == 0.0 && op.max > 0.0 => {
            let relu_limit = if op.max >= NO_LIMIT { -1.0 } else { op.max };
            editor.program.nodes[node].op = Op::TopRelu(top::Relu { relu_limit, ..Default::default() });
            Ok(true)
        }
        Op::TopRelu(op) => Ok(fuse(editor, node, op.relu_limit)),
        _ => Ok(false),
    })
}

fn fuse(editor: &mut Editor, relu: usize, limit: f64) -> bool {
    let Some(producer) = editor.sole_producer(editor.operand(relu, 0)) else { return false };
    let mut op = editor.op(producer).clone();
    let (do_relu, relu_limit) = match &mut op {
        Op::TopConv(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopMatMul(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopAdd(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopSub(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopMul(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopAddConst(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopSubConst(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopMulConst(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopReciprocal(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopScale(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopBatchNorm(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopAvgPool(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopMaxPool(op) => (&mut op.do_relu, &mut op.relu_limit),
        _ => return false,
    };
    // Two limits in a row: the smaller one holds.
    let both = |a: f64, b: f64| if a <= 0.0 { b } else if b <= 0.0 { a } else { a.min(b) };
    *relu_limit = if *do_relu { both(*relu_limit, limit) } else { limit };
    *do_relu = true;
    editor.program.nodes[producer].op = op;
    let replacement = editor.result(producer);
    editor.fuse_into(relu, replacement);
    true
}
