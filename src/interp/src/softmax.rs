//! Softmax.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::Layout;
use tpuc_kernels::softmax::{self, Axis, Softmax};
use tpuc_kernels::table16::{self, MantissaTable, SlopeTable};
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_top(op: &top::Softmax, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    prepare_float(i64::from(op.axis), op.beta, op.log, request)
}

pub(crate) fn prepare_tpu(op: &tpu::Softmax, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.is_float_or_biased(&[0])? {
        return if request.is_absent(1) { prepare_float(i64::from(op.axis), op.beta, op.log, request) } else { prepare_tables(op, request) };
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

/// In bf16 by the tables of operands 1 to 4: exponentials, their slopes, exponents and mantissas of the reciprocal.
fn prepare_tables(op: &tpu::Softmax, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if op.log {
        return Err(request.unsupported("with log does not run by tables"));
    }
    let axis = Axis::of(&request.shape(0)?, i64::from(op.axis))?;
    let table = |index| request.floats(index)?.ok_or_else(|| request.unsupported(format!("needs a weight as operand {index}")));
    let exponential = SlopeTable::new(table(1)?, table(2)?, -15.0, 15.0)?;
    let reciprocal = MantissaTable::new(table(3)?, table(4)?)?;
    let kernel = boxed(move |operands, y, _| table16::softmax(axis, operand(operands, 0)?.floats()?, &exponential, &reciprocal, y.floats()?));
    Ok(prepared(kernel, request))
}

/// A function of bf16 by table.
pub(crate) fn prepare_lut(op: &tpu::LutBF16, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let table = |index| request.floats(index)?.ok_or_else(|| request.unsupported(format!("needs a weight as operand {index}")));
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a bf16 table needs floats"));
    }
    let layout = request.layout(0);
    let kernel = match op.lut_mode {
        tpu::LutBF16Mode::Slope => {
            let table = SlopeTable::new(table(1)?, table(2)?, op.min_range, op.max_range)?;
            boxed(move |operands, y, _| table.run(operand(operands, 0)?.floats()?, y.floats()?))
        }
        tpu::LutBF16Mode::Mantissa => {
            let table = MantissaTable::new(table(1)?, table(2)?)?;
            boxed(move |operands, y, _| table.run(operand(operands, 0)?.floats()?, y.floats()?))
        }
        other => return Err(request.unsupported(format!("with lut_mode {other:?} does not run"))),
    };
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(layout);
    Ok(Prepared { kernel, operands, result: layout })
}

fn prepared(kernel: Box<dyn crate::kernel::Kernel>, request: &Request<'_>) -> Prepared {
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Prepared { kernel, operands, result: Layout::RowMajor }
}
