//! Relu, Clip.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::elementwise;

pub(crate) fn prepare_relu(limit: f64, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let layout = request.layout(0);
    let kernel = if request.is_float(&[0])? {
        let high = if limit > 0.0 { limit as f32 } else { f32::INFINITY };
        boxed(move |operands, y, _| elementwise::clip(operand(operands, 0)?.floats()?, 0.0, high, y.floats()?))
    } else {
        // The limit is in real units.
        let scale = request.result.elem.scale().unwrap_or(1.0);
        let limit = (limit > 0.0).then(|| (limit / scale).round().clamp(0.0, 255.0) as i32);
        boxed(move |operands, y, _| elementwise::relu_int(operand(operands, 0)?.ints()?, limit, y.ints()?))
    };
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}

/// Clamps to `[min, max]`, in floats.
pub(crate) fn prepare_clip(min: f64, max: f64, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let layout = request.layout(0);
    let (low, high) = (min as f32, max as f32);
    let kernel = boxed(move |operands, y, _| elementwise::clip(operand(operands, 0)?.floats()?, low, high, y.floats()?));
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}
