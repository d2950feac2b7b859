//! LayerNorm, InstanceNorm, GroupNorm.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::Layout;
use tpuc_kernels::norm::{self, NormShape};
use tpuc_kernels::table16::MantissaTable;
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_layer(op: &top::LayerNorm, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let first = op.resolve(shape.len()).map_err(|r| request.unsupported(r))?;
    let row = shape[first..].iter().product();
    prepare(NormShape { row, shared: 1, affine: row, eps: op.eps as f32 }, request)
}

/// In bf16 with every step rounded; the inverse root of the variance by the tables of operands 3 and 4, where they are.
pub(crate) fn prepare_bf16(op: &tpu::LayerNorm, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let form = top::LayerNorm { normalized_shape: op.normalized_shape.clone(), axis: op.axis, eps: op.eps, ..Default::default() };
    let first = form.resolve(shape.len()).map_err(|r| request.unsupported(r))?;
    let width: usize = shape[first..].iter().product();
    let parameter = |index| Ok::<_, InterpError>(request.bias(index, request.floats(index)?)?.map(<[f32]>::to_vec));
    let (gain, bias, eps) = (parameter(1)?, parameter(2)?, op.eps);
    let table = |index| request.floats(index)?.ok_or_else(|| request.unsupported(format!("needs a weight as operand {index}")));
    let kernel = if request.is_absent(3) {
        boxed(move |operands, y, _| norm::normalize_bf16(width, operand(operands, 0)?.floats()?, gain.as_deref(), bias.as_deref(), eps, norm::inverse_root_bf16, y.floats()?))
    } else {
        let root = MantissaTable::new(table(3)?, table(4)?)?;
        boxed(move |operands, y, _| norm::normalize_bf16(width, operand(operands, 0)?.floats()?, gain.as_deref(), bias.as_deref(), eps, |x| root.at(x), y.floats()?))
    };
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Ok(Prepared { kernel, operands, result: Layout::RowMajor })
}

pub(crate) fn prepare_instance(op: &top::InstanceNorm, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (channels, area) = picture(request)?;
    prepare(NormShape { row: area, shared: area, affine: channels, eps: op.eps as f32 }, request)
}

pub(crate) fn prepare_group(op: &top::GroupNorm, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (channels, area) = picture(request)?;
    let groups = op.num_groups.max(1) as usize;
    prepare(NormShape { row: channels / groups * area, shared: area, affine: channels, eps: op.eps as f32 }, request)
}

/// Channels, and elements of a channel.
fn picture(request: &Request<'_>) -> Result<(usize, usize), InterpError> {
    let shape = request.shape(0)?;
    match shape.split_at_checked(2) {
        Some((lead, rest)) => Ok((lead[1], rest.iter().product())),
        None => Err(request.unsupported("needs an input with channels")),
    }
}

fn prepare(shape: NormShape, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let owned = |index: usize| -> Result<_, InterpError> { Ok(request.bias(index, request.floats(index)?)?.map(<[f32]>::to_vec)) };
    let (weight, bias) = (owned(1)?, owned(2)?);
    let kernel = boxed(move |operands, y, _| norm::normalize(shape, operand(operands, 0)?.floats()?, weight.as_deref(), bias.as_deref(), y.floats()?));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None, None], result: Layout::RowMajor })
}
