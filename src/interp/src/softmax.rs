//! Softmax.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::Layout;
use tpuc_kernels::softmax::{self, Axis, Softmax};
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_top(op: &top::Softmax, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    prepare_float(i64::from(op.axis), op.beta, op.log, request)
}

pub(crate) fn prepare_tpu(op: &tpu::Softmax, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.is_float(&[0])? {
        return prepare_float(i64::from(op.axis), op.beta, op.log, request);
    }
    if op.log {
        return Err(request.unsupported("with log does not run in 8 bits"));
    }
    let axis = Axis::of(&request.shape(0)?, i64::from(op.axis))?;
    let Some(table) = request.floats(1)? else { return Err(request.unsupported("needs a weight as table")) };
    let Some(scale) = request.result.elem.scale() else { return Err(request.unsupported("needs a quantized result")) };
    let table = table.to_vec();
    let kernel = boxed(move |operands, y, _| softmax::softmax_int(axis, operand(operands, 0)?.ints()?, &table, scale, y.ints()?));
    Ok(prepared(kernel, request))
}

fn prepare_float(axis: i64, beta: f64, log: bool, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let axis = Axis::of(&request.shape(0)?, axis)?;
    let prepared_softmax = Softmax::new(axis, beta as f32, log)?;
    let kernel = boxed(move |operands, y, workspace| prepared_softmax.run(operand(operands, 0)?.floats()?, y.floats()?, workspace));
    Ok(prepared(kernel, request))
}

fn prepared(kernel: Box<dyn crate::kernel::Kernel>, request: &Request<'_>) -> Prepared {
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Prepared { kernel, operands, result: Layout::RowMajor }
}
