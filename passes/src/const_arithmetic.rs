//! `top-const-arithmetic`: arithmetic with a constant of one value (or of many that are equal) takes it as an attribute, which chips
//! do with a number of their own: Add becomes AddConst, Mul MulConst, Max MaxConst, Min MinConst, Sub one of AddConst and
//! SubConst, a constant divided by a tensor Reciprocal. A tensor divided by a constant is multiplied by its inverse. What adds 0 or
//! multiplies by 1 goes.

use crate::ConstArithmeticOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, ValueId, top};

pub fn run(module: &PassModule, _options: &ConstArithmeticOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| {
        if drops(editor, node) {
            return Ok(true);
        }
        let [first, second] = editor.program.nodes[node].operands[..] else { return Ok(false) };
        match (editor.is_weight(first), editor.is_weight(second)) {
            (false, true) => rewrite(editor, node, first, second, false),
            (true, false) => rewrite(editor, node, second, first, true),
            _ => Ok(false),
        }
    })
}

/// Lets an op go that changes nothing. An output keeps it, because it has its name.
fn drops(editor: &mut Editor, node: usize) -> bool {
    let idle = match editor.op(node) {
        Op::TopMulConst(op) => op.const_val == 1.0 && !op.do_relu,
        Op::TopAddConst(op) => op.const_val == 0.0 && !op.do_relu,
        _ => false,
    };
    let (input, result) = (editor.program.nodes[node].operands.first().copied(), editor.result(node));
    match input {
        Some(input) if idle && editor.is_read(result) && !editor.is_output(result) => {
            editor.bypass(node, input);
            true
        }
        _ => false,
    }
}

/// An op on a tensor and a constant; `reversed` if the constant comes first.
fn rewrite(editor: &mut Editor, node: usize, input: ValueId, constant: ValueId, reversed: bool) -> Result<bool, String> {
    let widens = editor.shape(editor.result(node)) != editor.shape(input);
    let single = editor.single_value(constant).filter(|_| !widens).map(f64::from);
    let op: Op = match (editor.op(node).clone(), single) {
        (Op::TopAdd(op), Some(const_val)) if op.coeff.as_ref().is_none_or(|c| c.iter().all(|&v| v == 1.0)) => {
            top::AddConst { const_val, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: op.is_scalar, ..Default::default() }.into()
        }
        (Op::TopSub(op), Some(value)) if op.coeff.is_none() && op.is_reverse == reversed => {
            top::AddConst { const_val: -value, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: op.is_scalar, ..Default::default() }.into()
        }
        (Op::TopSub(op), Some(const_val)) if op.coeff.is_none() => {
            top::SubConst { const_val, is_reverse: true, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: op.is_scalar, ..Default::default() }.into()
        }
        (Op::TopMul(op), Some(const_val)) => {
            top::MulConst { const_val, do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: op.is_scalar, ..Default::default() }.into()
        }
        (Op::TopMax(_), Some(const_val)) => top::MaxConst { const_val, ..Default::default() }.into(),
        (Op::TopMin(_), Some(const_val)) => top::MinConst { const_val, ..Default::default() }.into(),
        (Op::TopPRelu(_), Some(alpha)) if !reversed => top::LeakyRelu { alpha, ..Default::default() }.into(),
        (Op::TopDiv(op), _) if op.is_reverse == reversed => return multiply_by_inverse(editor, node, &op, input, constant),
        (Op::TopDiv(op), Some(const_val)) => top::Reciprocal { const_val, do_relu: op.do_relu, relu_limit: op.relu_limit, ..Default::default() }.into(),
        _ => return Ok(false),
    };
    editor.program.nodes[node].op = op;
    editor.program.nodes[node].operands = vec![input];
    Ok(true)
}

fn multiply_by_inverse(editor: &mut Editor, node: usize, op: &top::Div, input: ValueId, divisor: ValueId) -> Result<bool, String> {
    let Some(values) = editor.weight(divisor) else { return Ok(false) };
    let (name, shape) = (format!("{}_divisor", editor.program.node_name(node)), editor.shape(divisor).to_vec());
    let inverse = editor.add_weight(&name, &shape, values.iter().map(|v| 1.0 / v).collect())?;
    editor.program.nodes[node].op = top::Mul { do_relu: op.do_relu, relu_limit: op.relu_limit, is_scalar: op.is_scalar, ..Default::default() }.into();
    editor.program.nodes[node].operands = vec![input, inverse];
    Ok(true)
}
