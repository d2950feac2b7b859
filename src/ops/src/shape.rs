//! Ops that move elements without computing: reshape, padding.

use crate::Operands;
use crate::types::ValueType;

/// In `shape` 0 keeps the input's dimension and one -1 takes what is left. Without `shape` the input is flattened from
/// `flatten_start_dim` on.
pub(crate) fn infer_reshape(shape: Option<&[i64]>, flatten_start_dim: i64, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    let count: i64 = input.iter().product();
    let Some(shape) = shape.filter(|s| !s.is_empty()) else {
        if flatten_start_dim < 0 {
            return Err("needs either shape or flatten_start_dim".into());
        }
        let start = (flatten_start_dim as usize).min(input.len());
        let mut out = input[..start].to_vec();
        out.push(input[start..].iter().product());
        return Ok(out);
    };
    let mut out = Vec::with_capacity(shape.len());
    for (d, &size) in shape.iter().enumerate() {
        out.push(match size {
            0 => *input.get(d).ok_or_else(|| format!("shape {shape:?} keeps dimension {d}, which {input:?} does not have"))?,
            size => size,
        });
    }
    let mismatch = || format!("{input:?} ({count} elements) cannot become {shape:?}");
    if out.iter().filter(|&&d| d == -1).count() > 1 || out.iter().any(|&d| d < -1) {
        return Err(mismatch());
    }
    let known = out.iter().filter(|&&d| d != -1).try_fold(1i64, |a, &d| a.checked_mul(d)).ok_or_else(mismatch)?;
    if let Some(free) = out.iter().position(|&d| d == -1) {
        if known == 0 || count % known != 0 {
            return Err(mismatch());
        }
        out[free] = count / known;
    } else if known != count {
        return Err(mismatch());
    }
    Ok(out)
}

/// A reshape keeps the number of elements; its result type says the shape.
pub(crate) fn verify_reshape(operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let count = |v: &ValueType| v.tensor().map(|t| (t.shape.clone(), t.count()));
    match (operands.first().and_then(count), results.first().and_then(count)) {
        (Some((_, a)), Some((_, b))) if a == b => Ok(()),
        (Some((from, a)), Some((to, b))) => Err(format!("{from:?} ({a} elements) cannot become {to:?} ({b} elements)")),
        _ => Err("operand and result must be tensors".into()),
    }
}

/// `paddings` holds the counts before every dimension, then after every dimension; negative counts cut.
pub(crate) fn infer_pad(paddings: &[i64], mode: &str, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    if !matches!(mode, "constant" | "reflect" | "edge") {
        return Err(format!("unknown mode '{mode}', expected constant, reflect or edge"));
    }
    if paddings.len() != 2 * input.len() {
        return Err(format!("paddings has {} entries, expected {} (twice the rank of {input:?})", paddings.len(), 2 * input.len()));
    }
    input
        .iter()
        .enumerate()
        .map(|(d, &size)| {
            let (before, after) = (paddings[d], paddings[d + input.len()]);
            let padded = size.checked_add(before).and_then(|s| s.checked_add(after)).unwrap_or(0);
            let reach = match mode {
                "reflect" => size - 1,
                _ => i64::MAX,
            };
            if padded < 1 || before.min(after) < -size || before > reach || after > reach {
                return Err(format!("dimension {d} of size {size} cannot be padded by {before} and {after} ({mode})"));
            }
            Ok(padded)
        })
        .collect()
}
