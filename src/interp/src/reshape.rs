//! Input, Reshape: the same elements under another shape. Plans share the memory; alone they copy.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view;
use tpuc_kernels::Layout;

pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != request.result_element()? || request.tensor_type(0)?.count() != request.result.count() {
        return Err(request.unsupported("needs operand and result of one type and size"));
    }
    let shape = request.result.dims();
    let kernel = boxed(move |operands, y, _| view::copy(&shape, Layout::RowMajor, operand(operands, 0)?, Layout::RowMajor, y));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}
