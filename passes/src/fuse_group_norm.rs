//! `top-fuse-group-norm`: exporters write a GroupNorm as a Reshape that makes a channel of every group, an InstanceNorm, and a Reshape
//! back.

use crate::FuseGroupNormOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FuseGroupNormOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node) {
        Op::TopReshape(_) => fuse(editor, node),
        _ => Ok(false),
    })
}

fn fuse(editor: &mut Editor, last: usize) -> Result<bool, String> {
    let Some(norm) = editor.sole_producer(editor.operand(last, 0)) else { return Ok(false) };
    let Op::TopInstanceNorm(op) = editor.op(norm).clone() else { return Ok(false) };
    let Some(first) = editor.sole_producer(editor.operand(norm, 0)).filter(|&f| matches!(editor.op(f), Op::TopReshape(_))) else { return Ok(false) };
    let input = editor.operand(first, 0);
    let shape = editor.shape(input).to_vec();
    let (&[batch, channels, ..], &[n, groups, ..]) = (shape.as_slice(), editor.shape(editor.operand(norm, 0))) else { return Ok(false) };
    if shape.len() < 3 || shape != editor.shape(editor.result(last)) || n != batch || channels % groups != 0 {
        return Ok(false);
    }
    // A weight of a group is one of each of its channels.
    let mut operands = vec![input];
    for index in [1, 2] {
        let value = editor.operand(norm, index);
        if editor.program.value(value).ty.is_none() {
            operands.push(value);
            continue;
        }
        let Some(values) = editor.weight(value).filter(|v| v.len() as i64 == groups) else { return Ok(false) };
        let spread = values.iter().flat_map(|&v| std::iter::repeat_n(v, (channels / groups) as usize)).collect();
        let name = format!("{}_reorderd", editor.program.value(value).name);
        operands.push(editor.add_weight(&name, &[vec![1, channels], vec![1; shape.len() - 2]].concat(), spread)?);
    }
    let (result, name) = (editor.result(last), format!("{}_r_GroupNorm", editor.program.node_name(norm)));
    editor.program.nodes[last].op = top::GroupNorm { num_groups: groups, eps: op.eps, ..Default::default() }.into();
    editor.program.nodes[last].operands = operands;
    editor.program.values[result.index()].name = name;
    Ok(true)
}
