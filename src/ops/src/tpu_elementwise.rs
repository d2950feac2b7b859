//! Elementwise ops of the Tpu dialect: which there are, what their attributes must be.

use crate::elementwise::broadcasts_to;
use crate::types::{TensorType, ValueType};
use crate::{Op, choice, tpu};

/// A pattern: Tpu's functions of one tensor and arithmetic with constants. Their result has the shape of operand 0.
#[macro_export]
macro_rules! tpu_unary {
    () => {
        $crate::Op::TpuActive(_)
            | $crate::Op::TpuAddConst(_)
            | $crate::Op::TpuClip(_)
            | $crate::Op::TpuCompareConst(_)
            | $crate::Op::TpuLeakyRelu(_)
            | $crate::Op::TpuLut(_)
            | $crate::Op::TpuLutBF16(_)
            | $crate::Op::TpuMaxConst(_)
            | $crate::Op::TpuMinConst(_)
            | $crate::Op::TpuMulConst(_)
            | $crate::Op::TpuMulShift(_)
            | $crate::Op::TpuPReluOp(_)
            | $crate::Op::TpuReciprocal(_)
            | $crate::Op::TpuRequantInt(_)
            | $crate::Op::TpuRequantIntAxis(_)
            | $crate::Op::TpuScale(_)
            | $crate::Op::TpuSubConst(_)
    };
}

/// A pattern: Tpu's arithmetic of tensors that broadcast, but for Add.
#[macro_export]
macro_rules! tpu_binary {
    () => {
        $crate::Op::TpuSub(_) | $crate::Op::TpuMul(_) | $crate::Op::TpuDiv(_) | $crate::Op::TpuMax(_) | $crate::Op::TpuMin(_)
    };
}

/// A pattern: Tpu's comparison of tensors and choice between them.
#[macro_export]
macro_rules! tpu_choice {
    () => {
        $crate::Op::TpuCompare(_) | $crate::Op::TpuWhere(_) | $crate::Op::TpuMaskedFill(_)
    };
}

/// What the parameters of an elementwise Tpu op must be.
pub(crate) fn verify(op: &Op, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let count = operands.len();
    let shape = |v: Option<&ValueType>| v.and_then(ValueType::tensor).map(|t| t.shape.clone()).unwrap_or_default();
    match op {
        Op::TpuSub(op) => two(count).and(per_input(count, &op.multipliers, &op.rshifts)).and(coefficients(count, &op.coeff)),
        Op::TpuDiv(_) => two(count),
        Op::TpuMul(_) if count < 2 => Err(format!("expected at least 2 operands, found {count}")),
        Op::TpuMax(tpu::Max { multipliers, rshifts, .. }) | Op::TpuMin(tpu::Min { multipliers, rshifts, .. }) => match count {
            2.. => per_input(count, multipliers, rshifts),
            _ => Err(format!("expected at least 2 operands, found {count}")),
        },
        Op::TpuLut(_) => match operands.get(1).and_then(ValueType::tensor).map(TensorType::count) {
            Some(256) => Ok(()),
            found => Err(format!("table has {} elements, expected 256", found.unwrap_or(0))),
        },
        Op::TpuPReluOp(_) => {
            let (slope, result) = (shape(operands.get(1)), shape(results.first()));
            broadcasts_to(&slope, &result).then_some(()).ok_or_else(|| format!("slope {slope:?} does not broadcast to the input {result:?}"))
        }
        Op::TpuScale(_) => {
            let channels = shape(operands.first()).get(1).copied().ok_or("input needs at least two dimensions")?;
            let wrong = operands[1..].iter().filter_map(ValueType::tensor).find(|t| t.count() != channels);
            wrong.map_or(Ok(()), |t| Err(format!("a parameter has {} elements, expected {channels} (channels)", t.count())))
        }
        Op::TpuCompare(op) => choice::check_mode(&op.mode),
        Op::TpuCompareConst(op) => choice::check_mode(&op.mode),
        Op::TpuClip(op) if op.min > op.max => Err(format!("[{}, {}] is not a range", op.min, op.max)),
        Op::TpuActive(tpu::Active { mode, coeffs, .. }) => {
            let (expected, found) = (parameters(*mode), coeffs.as_ref().map_or(0, Vec::len));
            if expected == found { Ok(()) } else { Err(format!("coeffs has {found} entries, expected {expected}")) }
        }
        _ => Ok(()),
    }?;
    let nan = op.to_attrs().into_iter().find(|(_, attr)| matches!(attr, crate::Attr::F64(v) if v.is_nan()));
    nan.map_or(Ok(()), |(name, _)| Err(format!("{name} is not a number")))
}

/// How many coefficients a function has.
fn parameters(mode: tpu::ActiveMode) -> usize {
    match mode {
        tpu::ActiveMode::ELU | tpu::ActiveMode::SWISH => 1,
        tpu::ActiveMode::HSIGMOID => 2,
        _ => 0,
    }
}

fn two(found: usize) -> Result<(), String> {
    if found == 2 { Ok(()) } else { Err(format!("expected 2 operands, found {found}")) }
}

fn coefficients(count: usize, coeff: &Option<Vec<f64>>) -> Result<(), String> {
    match coeff {
        Some(list) if list.len() != count => Err(format!("coeff has {} entries, expected {count} (inputs)", list.len())),
        _ => Ok(()),
    }
}

/// A multiplier for each input; one shift for all, or one for each.
fn per_input(count: usize, multipliers: &Option<Vec<i64>>, rshifts: &Option<Vec<i64>>) -> Result<(), String> {
    if let Some(list) = multipliers.as_ref().filter(|l| l.len() != count) {
        return Err(format!("multipliers has {} entries, expected {count} (inputs)", list.len()));
    }
    match rshifts.as_ref().filter(|l| l.len() != count && l.len() != 1) {
        Some(list) => Err(format!("rshifts has {} entries, expected {count} (inputs) or 1", list.len())),
        None => Ok(()),
    }
}
