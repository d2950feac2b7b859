//! Elementwise ops: which there are, broadcasting, costs, requantization attributes.

use crate::types::ValueType;
use crate::{Op, Operands, top, tpu};

/// A pattern: Top's functions of one tensor. Their result has the shape of the operand.
#[macro_export]
macro_rules! top_unary {
    () => {
        $crate::Op::TopAbs(_)
            | $crate::Op::TopCeil(_)
            | $crate::Op::TopCos(_)
            | $crate::Op::TopCosh(_)
            | $crate::Op::TopElu(_)
            | $crate::Op::TopErf(_)
            | $crate::Op::TopExp(_)
            | $crate::Op::TopFloor(_)
            | $crate::Op::TopGELU(_)
            | $crate::Op::TopHardSigmoid(_)
            | $crate::Op::TopHardSwish(_)
            | $crate::Op::TopLeakyRelu(_)
            | $crate::Op::TopLog(_)
            | $crate::Op::TopMish(_)
            | $crate::Op::TopPow(_)
            | $crate::Op::TopPow2(_)
            | $crate::Op::TopReciprocal(_)
            | $crate::Op::TopRound(_)
            | $crate::Op::TopRsqrt(_)
            | $crate::Op::TopSigmoid(_)
            | $crate::Op::TopSign(_)
            | $crate::Op::TopSiLU(_)
            | $crate::Op::TopSin(_)
            | $crate::Op::TopSinh(_)
            | $crate::Op::TopSoftplus(_)
            | $crate::Op::TopSoftsign(_)
            | $crate::Op::TopSqrt(_)
            | $crate::Op::TopSwish(_)
            | $crate::Op::TopTan(_)
            | $crate::Op::TopTanh(_)
    };
}

/// A pattern: Top's arithmetic of a tensor and a constant.
#[macro_export]
macro_rules! top_const {
    () => {
        $crate::Op::TopAddConst(_) | $crate::Op::TopSubConst(_) | $crate::Op::TopMulConst(_) | $crate::Op::TopMaxConst(_) | $crate::Op::TopMinConst(_)
    };
}

/// A pattern: Top's arithmetic of tensors that broadcast, but for Add.
#[macro_export]
macro_rules! top_binary {
    () => {
        $crate::Op::TopSub(_) | $crate::Op::TopMul(_) | $crate::Op::TopDiv(_) | $crate::Op::TopMax(_) | $crate::Op::TopMin(_) | $crate::Op::TopPow3(_)
    };
}

/// The common shape of two shapes, dimensions of 1 stretching (NumPy's rule).
pub(crate) fn broadcast(a: &[i64], b: &[i64]) -> Result<Vec<i64>, String> {
    let rank = a.len().max(b.len());
    let at = |s: &[i64], d: usize| if d + s.len() < rank { 1 } else { s[d + s.len() - rank] };
    (0..rank)
        .map(|d| match (at(a, d), at(b, d)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

/// Whether a shape stretches to another.
pub(crate) fn broadcasts_to(shape: &[i64], to: &[i64]) -> bool {
    broadcast(shape, to).is_ok_and(|s| s == to)
}

pub(crate) fn infer_broadcast(operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    for index in 1..operands.len() {
        shape = broadcast(&shape, operands.shape(index)?)?;
    }
    Ok(shape)
}

/// A quantized sum has one multiplier per input, and a shift per input or one of the sum.
pub(crate) fn verify_requant(op: &tpu::Add, operands: &[ValueType]) -> Result<(), String> {
    for (name, list) in [("multipliers", &op.multipliers), ("rshifts", &op.rshifts)] {
        if let Some(list) = list.as_ref().filter(|l| l.len() != operands.len() && !(name == "rshifts" && l.len() == 1)) {
            let one = if name == "rshifts" { " or 1 (the sum)" } else { "" };
            return Err(format!("{name} has {} entries, expected {} (inputs){one}", list.len(), operands.len()));
        }
    }
    Ok(())
}

/// What the parameters of an elementwise Top op must be.
pub(crate) fn verify_parameters(op: &Op, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let exactly_two = || if operands.len() == 2 { Ok(()) } else { Err(format!("expected 2 operands, found {}", operands.len())) };
    let coefficients = |coeff: &Option<Vec<f64>>| match coeff {
        Some(list) if list.len() != operands.len() => Err(format!("coeff has {} entries, expected {} (inputs)", list.len(), operands.len())),
        _ => Ok(()),
    };
    match op {
        Op::TopAdd(op) => coefficients(&op.coeff),
        Op::TopSub(op) => exactly_two().and(coefficients(&op.coeff)),
        Op::TopDiv(_) | Op::TopPow3(_) => exactly_two(),
        Op::TopMul(_) | Op::TopMax(_) | Op::TopMin(_) if operands.len() < 2 => Err(format!("expected at least 2 operands, found {}", operands.len())),
        Op::TopGELU(top::GELU { approx_mode, round_mode, .. }) => one_of("approx_mode", approx_mode, &["normal", "tanh", "sigm"]).and(rounding(round_mode)),
        Op::TopLeakyRelu(top::LeakyRelu { round_mode, .. })
        | Op::TopSigmoid(top::Sigmoid { round_mode, .. })
        | Op::TopSwish(top::Swish { round_mode, .. })
        | Op::TopTanh(top::Tanh { round_mode, .. }) => rounding(round_mode),
        Op::TopPRelu(_) => {
            let shape = |v: Option<&ValueType>| v.and_then(ValueType::tensor).map(|t| t.shape.clone()).unwrap_or_default();
            let (slope, result) = (shape(operands.get(1)), shape(results.first()));
            if broadcasts_to(&slope, &result) { Ok(()) } else { Err(format!("slope {slope:?} does not broadcast to the input {result:?}")) }
        }
        _ => Ok(()),
    }?;
    let nan = op.to_attrs().into_iter().find(|(_, attr)| matches!(attr, crate::Attr::F64(v) if v.is_nan()));
    nan.map_or(Ok(()), |(name, _)| Err(format!("{name} is not a number")))
}

fn rounding(mode: &str) -> Result<(), String> {
    let modes = ["HalfAwayFromZero", "HalfUp", "HalfDown", "HalfToEven", "HalfToOdd", "HalfTowardsZero", "TowardsZero", "Up", "Down"];
    one_of("round_mode", mode, &modes)
}

fn one_of(what: &str, found: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&found) { Ok(()) } else { Err(format!("{what} is '{found}', expected one of {}", allowed.join(", "))) }
}

/// Operations per element of a function of one tensor, as the reference counts them.
pub(crate) fn unary_cost(op: &Op) -> i64 {
    match op {
        Op::TopGELU(_) | Op::TopSiLU(_) | Op::TopSwish(_) | Op::TopHardSwish(_) => 5,
        Op::TopCos(_) | Op::TopCosh(_) | Op::TopExp(_) | Op::TopHardSigmoid(_) | Op::TopLog(_) | Op::TopMish(_) | Op::TopSigmoid(_) | Op::TopSin(_) | Op::TopSinh(_) | Op::TopTan(_) | Op::TopTanh(_) => 4,
        Op::TopSign(_) | Op::TopSoftplus(_) | Op::TopSoftsign(_) => 3,
        Op::TopRsqrt(_) => 2,
        Op::TopReciprocal(op) => 1 + i64::from(op.do_relu),
        _ => 1,
    }
}
