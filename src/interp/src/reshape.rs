//! Input, Reshape: the same elements under another shape. Plans share the memory; alone they copy.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view;
use tpuc_kernels::Layout;
use tpuc_ops::{TensorType, tpu};

/// Whether elements of both types are the same in memory; a range beside a float type changes nothing.
pub(crate) fn is_same(from: Option<&TensorType>, to: Option<&TensorType>) -> bool {
    let key = |ty: &TensorType| (ty.elem.storage(), ty.elem.scale(), ty.elem.zero_point());
    from.map(key) == to.map(key)
}

/// An input of the network, which arrives as its argument says and may be quantized here.
pub(crate) fn prepare_input(request: &Request<'_>) -> Result<Prepared, InterpError> {
    match is_same(request.tensor_type(0).ok(), Some(request.result)) {
        true => prepare(request),
        false => crate::cast::prepare(&tpu::Cast { with_scale: true, ..Default::default() }, request),
    }
}

pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != request.result_element()? || request.tensor_type(0)?.count() != request.result.count() {
        return Err(request.unsupported("needs operand and result of one type and size"));
    }
    let shape = request.result.dims();
    let kernel = boxed(move |operands, y, _| view::copy(&shape, Layout::RowMajor, operand(operands, 0)?, Layout::RowMajor, y));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}
