//! `top-merge-scale`: a Scale takes in the Scale, the MulConst or the AddConst before it, unless somebody else reads that or a Relu
//! stands between.

use crate::MergeScaleOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::Op;

pub fn run(module: &PassModule, _options: &MergeScaleOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| {
        if !matches!(editor.op(node), Op::TopScale(_)) {
            return Ok(false);
        }
        let Some(before) = editor.sole_producer(editor.operand(node, 0)) else { return Ok(false) };
        let weight = |editor: &Editor, node: usize, index: usize| editor.weight(editor.operand(node, index));
        let (Some(mut scale), Some(mut bias)) = (weight(editor, node, 1), weight(editor, node, 2)) else { return Ok(false) };
        match editor.op(before) {
            Op::TopScale(op) if !op.do_relu => {
                let (Some(first_scale), Some(first_bias)) = (weight(editor, before, 1), weight(editor, before, 2)) else { return Ok(false) };
                if first_scale.len() != scale.len() || first_bias.len() != bias.len() || scale.len() != bias.len() {
                    return Ok(false);
                }
                for c in 0..scale.len() {
                    bias[c] += first_bias[c] * scale[c];
                    scale[c] *= first_scale[c];
                }
            }
            Op::TopMulConst(op) if !op.do_relu => {
                let factor = op.const_val as f32;
                scale.iter_mut().for_each(|s| *s *= factor);
            }
            Op::TopAddConst(op) if !op.do_relu && scale.len() == bias.len() => {
                let summand = op.const_val as f32;
                bias.iter_mut().zip(&scale).for_each(|(b, s)| *b += summand * s);
            }
            _ => return Ok(false),
        }
        let layer = editor.program.node_name(node).to_owned();
        let shape = [1, scale.len() as i64];
        let scale = editor.add_weight(&format!("{layer}_merged_scale"), &shape, scale)?;
        let bias = editor.add_weight(&format!("{layer}_merged_bias"), &shape, bias)?;
        let input = editor.operand(before, 0);
        editor.program.nodes[node].operands = vec![input, scale, bias];
        Ok(true)
    })
}
