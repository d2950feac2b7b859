//! `top-fuse-activation`: activation functions written as several ops, and powers that are simpler functions. The function
//! keeps the name of the last op.

use crate::FuseActivationOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, ValueId, top};

pub fn run(module: &PassModule, _options: &FuseActivationOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| {
        let (op, operands): (Op, Vec<ValueId>) = match editor.op(node) {
            Op::TopPow(op) if op.exponent == 2.0 => (top::Mul::default().into(), vec![editor.operand(node, 0); 2]),
            Op::TopPow(op) if op.exponent == 0.5 => (top::Sqrt::default().into(), vec![editor.operand(node, 0)]),
            Op::TopMul(op) if !op.do_relu => match silu(editor, node).or_else(|| gelu(editor, node)) {
                Some((op, input)) => (op, vec![input]),
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        (editor.program.nodes[node].op, editor.program.nodes[node].operands) = (op, operands);
        Ok(true)
    })
}

/// The factors of a product of two, in both orders.
fn factors(editor: &Editor, node: usize) -> Vec<(ValueId, ValueId)> {
    match editor.program.nodes[node].operands[..] {
        [first, second] => vec![(first, second), (second, first)],
        _ => Vec::new(),
    }
}

/// x * sigmoid(x)
fn silu(editor: &Editor, node: usize) -> Option<(Op, ValueId)> {
    factors(editor, node).into_iter().find_map(|(x, gate)| {
        let gate = editor.sole_producer(gate)?;
        match editor.op(gate) {
            Op::TopSigmoid(op) if op.scale == 1.0 && op.bias == 0.0 && !op.log && editor.operand(gate, 0) == x => Some((top::SiLU::default().into(), x)),
            _ => None,
        }
    })
}

/// (x / 2) * (erf(x / sqrt(2)) + 1)
fn gelu(editor: &Editor, node: usize) -> Option<(Op, ValueId)> {
    let is = |value: f64, expected: f64| (value - expected).abs() <= 1e-4;
    factors(editor, node).into_iter().find_map(|(half, gate)| {
        let (half, gate) = (editor.sole_producer(half)?, editor.sole_producer(gate)?);
        let (Op::TopMulConst(by_half), Op::TopAddConst(plus_one)) = (editor.op(half), editor.op(gate)) else { return None };
        let erf = editor.sole_producer(editor.operand(gate, 0)).filter(|&n| matches!(editor.op(n), Op::TopErf(_)))?;
        let inner = editor.sole_producer(editor.operand(erf, 0))?;
        let Op::TopMulConst(by_root) = editor.op(inner) else { return None };
        let plain = !by_half.do_relu && !plus_one.do_relu && !by_root.do_relu;
        let fits = is(by_half.const_val, 0.5) && is(plus_one.const_val, 1.0) && is(by_root.const_val, std::f64::consts::FRAC_1_SQRT_2);
        let x = editor.operand(half, 0);
        (plain && fits && editor.operand(inner, 0) == x).then(|| (top::GELU::default().into(), x))
    })
}
