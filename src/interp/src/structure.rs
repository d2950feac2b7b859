//! Structural ops of the Tpu dialect: each runs as the Top op of its geometry does, on the types that it has.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand, prepare_exact};
use crate::view::SliceMut;
use tpuc_kernels::{Ints, KernelError, Layout};
use tpuc_ops::{Op, tpu};

/// Prepares the Top form. Operands that only some chip has (buffers, tables) must be absent.
pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    if let Op::TpuConcat(tpu::Concat { axis, multipliers: Some(multipliers), rshifts: Some(rshifts), .. }) = request.op {
        if multipliers.iter().any(|&m| m != 1) || rshifts.iter().any(|&r| r != 0) {
            return prepare_scaled_concat(i64::from(*axis), multipliers, rshifts, request);
        }
    }
    let top = request.op.top_form().ok_or_else(|| request.unsupported("does not run yet"))?;
    let spec = top.spec();
    let total = request.operands.len();
    let taken = if spec.operands.iter().any(|o| o.variadic) { total } else { spec.operands.len().min(total) };
    if (taken..total).any(|i| !request.is_absent(i)) {
        return Err(request.unsupported("with a table or buffer does not run yet"));
    }
    let form = Request {
        op: &top,
        operands: &request.operands[..taken],
        constants: request.constants.get(..taken).unwrap_or(request.constants),
        available: request.available.get(..taken).unwrap_or(request.available),
        ..*request
    };
    let mut prepared = prepare_exact(&form).map_err(|e| named(e, request.op))?;
    prepared.operands.resize(total, None);
    Ok(prepared)
}

/// An error about the Top form as one about the op.
fn named(error: InterpError, op: &Op) -> InterpError {
    match error {
        InterpError::Unsupported { layer, reason, .. } => InterpError::Unsupported { layer, op: op.name(), reason },
        other => other,
    }
}

/// Every input times its multiplier, shifted (halves up), saturated: 8-bit integers.
fn prepare_scaled_concat(axis: i64, multipliers: &[i64], rshifts: &[i64], request: &Request<'_>) -> Result<Prepared, InterpError> {
    let count = request.operands.len();
    if request.is_float(&(0..count).collect::<Vec<_>>())? {
        return Err(request.unsupported("with multipliers runs in 8-bit integers only"));
    }
    let result = request.result.dims();
    let axis = usize::try_from(if axis < 0 { axis + result.len() as i64 } else { axis }).unwrap_or(usize::MAX);
    let (Some(outer), Some(inner)) = (result.get(..axis), result.get(axis + 1..)) else { return Err(request.unsupported(format!("has axis {axis} of {}", result.len()))) };
    let (rows, inner): (usize, usize) = (outer.iter().product(), inner.iter().product());
    let mut parts = Vec::with_capacity(count);
    for index in 0..count {
        let shift = u32::try_from(rshifts[index]).ok().filter(|&s| s < 32).ok_or_else(|| request.unsupported(format!("shifts by {}", rshifts[index])))?;
        parts.push((request.shape(index)?[axis] * inner, multipliers[index].clamp(i64::from(i32::MIN), i64::from(i32::MAX)), shift));
    }
    let kernel = boxed(move |operands, mut y, _| {
        let row: usize = parts.iter().map(|p| p.0).sum();
        let mut first = 0;
        for (index, &(length, multiplier, shift)) in parts.iter().enumerate() {
            let x = operand(operands, index)?.ints()?;
            let element = |i: usize| match x {
                Ints::I8(x) => i64::from(x[i]),
                Ints::U8(x) => i64::from(x[i]),
            };
            let scaled = |i: usize| (element(i) * multiplier + ((1i64 << shift) >> 1)) >> shift;
            for r in 0..rows {
                for i in 0..length {
                    let (at, value) = (r * row + first + i, scaled(r * length + i));
                    match &mut y {
                        SliceMut::I8(y) => y[at] = value.clamp(-128, 127) as i8,
                        SliceMut::U8(y) => y[at] = value.clamp(0, 255) as u8,
                        _ => return Err(KernelError::Geometry("a result that is not of 8 bits".into())),
                    }
                }
            }
            first += length;
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor); count], result: Layout::RowMajor })
}
