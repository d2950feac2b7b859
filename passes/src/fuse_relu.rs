//! `top-fuse-relu`: Clip(0, limit) is a Relu with a limit; a Relu whose input nobody else reads becomes part of the op that
//! computes it.

use crate::FuseReluOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

/// Limits from here on do not limit anything.
const NO_LIMIT: f64 = 1e30;

pub fn run(module: &PassModule, _options: &FuseReluOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match limit_of(editor.op(node)) {
        Some(relu_limit) if matches!(editor.op(node), Op::TopClip(_)) => {
            editor.program.nodes[node].op = Op::TopRelu(top::Relu { relu_limit, ..Default::default() });
            Ok(true)
        }
        Some(limit) => Ok(fuse(editor, node, limit)),
        None => Ok(false),
    })
}

/// The limit of an op that is a Relu, or a Clip that is one; -1 where there is none.
pub fn limit_of(op: &Op) -> Option<f64> {
    match op {
        Op::TopRelu(op) => Some(op.relu_limit),
        Op::TopClip(op) if op.min == 0.0 && op.max > 0.0 => Some(if op.max >= NO_LIMIT { -1.0 } else { op.max }),
        _ => None,
    }
}

/// Whether an op can end in a Relu.
pub fn is_fusable(op: &Op) -> bool {
    relu_of(&mut op.clone()).is_some()
}

/// The attributes `do_relu` and `relu_limit` of an op that can end in a Relu.
fn relu_of(op: &mut Op) -> Option<(&mut bool, &mut f64)> {
    Some(match op {
        Op::TopConv(op) => (&mut op.do_relu, &mut op.relu_limit),
        Op::TopDeconv(op) => (&mut op.do_relu, &mut op.relu_limit),
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
        Op::TopUpsample(op) => (&mut op.do_relu, &mut op.relu_limit),
        _ => return None,
    })
}

fn fuse(editor: &mut Editor, relu: usize, limit: f64) -> bool {
    let Some(producer) = editor.sole_producer(editor.operand(relu, 0)) else { return false };
    let mut op = editor.op(producer).clone();
    let Some((do_relu, relu_limit)) = relu_of(&mut op) else { return false };
    // Two limits in a row: the smaller one holds.
    let both = |a: f64, b: f64| if a <= 0.0 { b } else if b <= 0.0 { a } else { a.min(b) };
    *relu_limit = if *do_relu { both(*relu_limit, limit) } else { limit };
    *do_relu = true;
    editor.program.nodes[producer].op = op;
    let replacement = editor.result(producer);
    editor.fuse_into(relu, replacement);
    true
}
