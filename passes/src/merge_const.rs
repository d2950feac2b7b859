//! `top-merge-const`: constants meet. A MulConst goes into the weights of the Conv or MatMul before it, or joins the MulConst before it;
//! the constants of two sums, or of two products, in a row become one.

use crate::MergeConstOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_interp::{Options, PreparedNode};
use tpuc_ops::{Op, TensorType, top};
use tpuc_tensor::Tensor;

pub fn run(module: &PassModule, _options: &MergeConstOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopMulConst(op) => multiply(editor, node, &op),
        Op::TopAdd(op) if op.coeff.is_none() => join(editor, node, "merged"),
        Op::TopMul(_) => join(editor, node, "divisor"),
        _ => Ok(false),
    })
}

/// `factor * max(x, 0)` is `max(factor * x, 0)` for a positive factor; a limit grows with it.
struct Relu {
    do_relu: bool,
    limit: f64,
}

impl Relu {
    /// What is left of a Relu, a product and a second Relu; `None` if that is not one Relu.
    fn scaled(&self, op: &top::MulConst) -> Option<Relu> {
        if self.do_relu && op.const_val <= 0.0 {
            return None;
        }
        let before = if self.do_relu && self.limit > 0.0 { self.limit * op.const_val } else { -1.0 };
        let after = if op.do_relu && op.relu_limit > 0.0 { op.relu_limit } else { -1.0 };
        let limit = if before < 0.0 { after } else if after < 0.0 { before } else { before.min(after) };
        Some(Relu { do_relu: self.do_relu || op.do_relu, limit })
    }
}

fn multiply(editor: &mut Editor, node: usize, op: &top::MulConst) -> Result<bool, String> {
    let Some(before) = editor.sole_producer(editor.operand(node, 0)) else { return Ok(false) };
    let mut merged = editor.op(before).clone();
    let (do_relu, limit) = match &mut merged {
        Op::TopConv(conv) => (&mut conv.do_relu, &mut conv.relu_limit),
        Op::TopMatMul(matmul) => (&mut matmul.do_relu, &mut matmul.relu_limit),
        Op::TopMulConst(first) => (&mut first.do_relu, &mut first.relu_limit),
        _ => return Ok(false),
    };
    let Some(relu) = (Relu { do_relu: *do_relu, limit: *limit }).scaled(op) else { return Ok(false) };
    (*do_relu, *limit) = (relu.do_relu, relu.limit);
    if let Op::TopMulConst(first) = &mut merged {
        first.const_val *= op.const_val;
    } else if !multiply_weights(editor, before, op.const_val)? {
        return Ok(false);
    }
    editor.program.nodes[before].op = merged;
    let replacement = editor.result(before);
    editor.fuse_into(node, replacement);
    Ok(true)
}

/// Multiplies filter and bias; false if they are not constants.
fn multiply_weights(editor: &mut Editor, node: usize, factor: f64) -> Result<bool, String> {
    let operands = [editor.operand(node, 1), editor.operand(node, 2)];
    let present: Vec<usize> = (0..2).filter(|&i| !editor.program.value(operands[i]).ty.is_none()).collect();
    if !present.contains(&0) || present.iter().any(|&i| !editor.is_weight(operands[i])) {
        return Ok(false);
    }
    for i in present {
        let Some(values) = editor.weight(operands[i]) else { return Ok(false) };
        let name = format!("{}_{}_mergeMulConst", editor.program.node_name(node), ["filter", "bias"][i]);
        let shape = editor.shape(operands[i]).to_vec();
        let product = values.iter().map(|&v| (f64::from(v) * factor) as f32).collect();
        editor.program.nodes[node].operands[i + 1] = editor.add_weight(&name, &shape, product)?;
    }
    Ok(true)
}

/// `(x op a) op b` is `x op (a op b)`.
fn join(editor: &mut Editor, node: usize, suffix: &str) -> Result<bool, String> {
    let split = |editor: &Editor, node: usize| {
        let [first, second] = editor.program.nodes[node].operands[..] else { return None };
        match (editor.is_weight(first), editor.is_weight(second)) {
            (false, true) => Some((first, second)),
            (true, false) => Some((second, first)),
            _ => None,
        }
    };
    let Some((inner, second)) = split(editor, node) else { return Ok(false) };
    let Some(before) = editor.sole_producer(inner) else { return Ok(false) };
    let op = match (editor.op(before), editor.op(node)) {
        (Op::TopAdd(first), Op::TopAdd(_)) if !first.do_relu && first.coeff.is_none() => Op::from(top::Add::default()),
        (Op::TopMul(first), Op::TopMul(_)) if !first.do_relu => Op::from(top::Mul::default()),
        _ => return Ok(false),
    };
    let Some((input, first)) = split(editor, before) else { return Ok(false) };
    let types = [first, second].map(|v| editor.program.value(v).ty.clone());
    let shape = op.infer_shapes(&types).map_err(crate::text)?.remove(0);
    // A constant may not become larger than the result.
    let result: i64 = editor.shape(editor.result(node)).iter().product();
    let constants: Vec<_> = [first, second].iter().map(|&v| editor.weights.get(&editor.program.value(v).name).cloned()).collect();
    if shape.iter().product::<i64>() > result || constants.iter().any(Option::is_none) {
        return Ok(false);
    }
    let layer = editor.program.node_name(node).to_owned();
    let prepared = PreparedNode::new(&layer, &op, &types, &[TensorType::f32(&shape).into()], &constants, Options::default()).map_err(crate::text)?;
    let mut computed = Vec::new();
    prepared.run(&[None, None], &mut computed).map_err(crate::text)?;
    let values = computed.first().map(Tensor::to_f32).unwrap_or_default();
    let constant = editor.add_weight(&format!("{layer}_{suffix}"), &shape, values)?;
    editor.program.nodes[node].operands = vec![input, constant];
    Ok(true)
}
