//! Structural ops of the Tpu dialect: each runs as the Top op of its geometry does, on the types that it has.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, prepare_exact};
use tpuc_ops::Op;

/// Prepares the Top form. Operands that only some chip has (buffers, tables) must be absent.
pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
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
