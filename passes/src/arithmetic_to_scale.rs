//! `top-arithmetic-to-scale`: the sum or product of a tensor and a constant per channel is a Scale, which can take in its
//! neighbours and becomes a convolution on a chip.

use crate::ArithmeticToScaleOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, ValueId, top};

pub fn run(module: &PassModule, _options: &ArithmeticToScaleOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| {
        let (do_relu, relu_limit, is_sum) = match editor.op(node) {
            Op::TopAdd(op) if op.coeff.as_ref().is_none_or(|c| c.iter().all(|&v| v == 1.0)) => (op.do_relu, op.relu_limit, true),
            // The reference makes Scales of products in four dimensions only, and so do we.
            Op::TopMul(op) if editor.shape(editor.result(node)).len() == 4 => (op.do_relu, op.relu_limit, false),
            _ => return Ok(false),
        };
        let [first, second] = editor.program.nodes[node].operands[..] else { return Ok(false) };
        let (input, constant) = if editor.is_weight(first) { (second, first) } else { (first, second) };
        if editor.is_weight(input) || !editor.is_weight(constant) || !is_per_channel(editor, node, input, constant) {
            return Ok(false);
        }
        let layer = editor.program.node_name(node).to_owned();
        let shape = editor.shape(constant).to_vec();
        let channels = shape.iter().product::<i64>() as usize;
        let (scale, bias) = match is_sum {
            true => (editor.add_weight(&format!("{layer}__scale_weight"), &shape, vec![1.0; channels])?, constant),
            false => (constant, editor.add_weight(&format!("{layer}_bias"), &shape, vec![0.0; channels])?),
        };
        editor.program.nodes[node].op = top::Scale { do_relu, relu_limit, ..Default::default() }.into();
        editor.program.nodes[node].operands = vec![input, scale, bias];
        Ok(true)
    })
}

/// Whether a constant has one element per channel of a larger tensor.
fn is_per_channel(editor: &Editor, node: usize, input: ValueId, constant: ValueId) -> bool {
    let (input, constant) = (editor.shape(input), editor.shape(constant));
    let channels = |d: usize| if d == 1 { input.get(1).copied().unwrap_or(1) } else { 1 };
    input.len() >= 2
        && constant.len() == input.len()
        && constant != input
        && constant.iter().enumerate().all(|(d, &size)| size == channels(d))
        && editor.shape(editor.result(node)) == input
}
