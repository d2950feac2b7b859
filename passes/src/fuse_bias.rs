//! `top-fuse-bias`: Conv or MatMul followed by the addition of a constant per channel (column) has it as its bias.

use crate::FuseBiasOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, Source};

pub fn run(module: &PassModule, _options: &FuseBiasOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopAdd(op) if op.coeff.is_none() && editor.program.nodes[node].operands.len() == 2 => {
            let (first, second) = (editor.operand(node, 0), editor.operand(node, 1));
            match (is_weight(editor, first), is_weight(editor, second)) {
                (false, true) => fuse(editor, node, first, second, op.do_relu, op.relu_limit),
                (true, false) => fuse(editor, node, second, first, op.do_relu, op.relu_limit),
                _ => Ok(false),
            }
        }
        _ => Ok(false),
    })
}

fn is_weight(editor: &Editor, value: tpuc_ops::ValueId) -> bool {
    editor.program.value(value).source == Source::Weight
}

fn fuse(editor: &mut Editor, add: usize, activation: tpuc_ops::ValueId, constant: tpuc_ops::ValueId, do_relu: bool, relu_limit: f64) -> Result<bool, String> {
    let Some(producer) = editor.sole_producer(activation) else { return Ok(false) };
    let mut op = editor.op(producer).clone();
    // The dimension that has a bias, counted from the end.
    let shape = editor.shape(activation).to_vec();
    let from_end = match &op {
        Op::TopConv(conv) if !conv.do_relu => shape.len() - 2,
        Op::TopMatMul(matmul) if !matmul.do_relu && matmul.keep_dims && is_weight(editor, editor.operand(producer, 1)) => 0,
        _ => return Ok(false),
    };
    let channels = shape[shape.len() - 1 - from_end];
    let constant_shape = editor.shape(constant).to_vec();
    // One number is no bias: it stays an addition, which chips do with a number of their own.
    if constant_shape.iter().product::<i64>() == 1 && channels != 1 {
        return Ok(false);
    }
    let along = constant_shape.len().checked_sub(1 + from_end);
    let per_channel = constant_shape.iter().enumerate().all(|(d, &size)| size == 1 || (Some(d) == along && size == channels));
    let result_shape = editor.shape(editor.result(add));
    if !per_channel || result_shape != shape {
        return Ok(false);
    }
    let Some(mut values) = editor.weight(constant) else { return Ok(false) };
    let bias = editor.operand(producer, 2);
    if !editor.program.value(bias).ty.is_none() {
        let Some(old) = editor.weight(bias).filter(|b| b.len() == values.len()) else { return Ok(false) };
        values.iter_mut().zip(old).for_each(|(v, b)| *v += b);
    }
    let name = format!("{}_bias", editor.program.node_name(add));
    // One number a channel; a product of more than matrices has a row of its result's rank.
    let is_gemm = matches!(op, Op::TopMatMul(_)) && shape.len() == 2 && constant_shape.len() == 1 && editor.operand(add, 0) == activation;
    let bias_shape = if is_gemm || matches!(op, Op::TopConv(_)) { vec![channels] } else { [vec![1; shape.len() - 1], vec![channels]].concat() };
    let bias = editor.add_weight(&name, &bias_shape, values)?;
    match &mut op {
        Op::TopConv(conv) => (conv.do_relu, conv.relu_limit) = (do_relu, relu_limit),
        Op::TopMatMul(matmul) => (matmul.do_relu, matmul.relu_limit) = (do_relu, relu_limit),
        _ => {}
    }
    editor.program.nodes[producer].op = op;
    editor.program.nodes[producer].operands[2] = bias;
    let replacement = editor.result(producer);
    editor.fuse_into(add, replacement);
    if is_gemm {
        // ONNX simplifiers make one operator of the two, and layers are called after operators.
        let value = &mut editor.program.values[replacement.index()];
        if let Some(tensor) = value.name.strip_suffix("_Add") {
            value.name = format!("{tensor}_Gemm");
        }
    }
    Ok(true)
}
