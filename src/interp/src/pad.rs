//! Pad.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::{Slice, SliceMut};
use tpuc_kernels::pad::{Border, pad};
use tpuc_kernels::{Element, KernelError, Layout};

/// The counts and the value come from the attributes; in an 8-bit network the value is already one of the storage type.
pub(crate) fn prepare(paddings: &[i64], value: f64, mode: &str, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let rank = shape.len();
    if paddings.len() != 2 * rank || request.element(0)? != request.result_element()? {
        return Err(request.unsupported(format!("has paddings {paddings:?} and a result of {} for an input of {shape:?}", request.result.elem.storage())));
    }
    let border = match mode {
        "constant" => Border::Constant(()),
        "reflect" => Border::Reflect,
        "edge" => Border::Edge,
        other => return Err(request.unsupported(format!("has unknown mode '{other}', expected constant, reflect or edge"))),
    };
    let layout = request.layout(0);
    let order = |list: &[i64]| {
        let mut list = list.to_vec();
        if layout == Layout::ChannelsLast && list.len() > 2 {
            list[1..].rotate_left(1);
        }
        list
    };
    let (before, after, dims) = (order(&paddings[..rank]), order(&paddings[rank..]), layout.physical(&shape));
    let kernel = boxed(move |operands, y, _| {
        fn run<T: Element>(x: &[T], dims: &[usize], before: &[i64], after: &[i64], border: Border<()>, value: T, y: &mut [T]) -> Result<(), KernelError> {
            let border = match border {
                Border::Constant(()) => Border::Constant(value),
                Border::Reflect => Border::Reflect,
                Border::Edge => Border::Edge,
            };
            pad(x, dims, before, after, border, y)
        }
        match (operand(operands, 0)?, y) {
            (Slice::F32(x), SliceMut::F32(y)) => run(x, &dims, &before, &after, border, value as f32, y),
            (Slice::I8(x), SliceMut::I8(y)) => run(x, &dims, &before, &after, border, value as i8, y),
            (Slice::U8(x), SliceMut::U8(y)) => run(x, &dims, &before, &after, border, value as u8, y),
            (Slice::I32(x), SliceMut::I32(y)) => run(x, &dims, &before, &after, border, value as i32, y),
            _ => Err(KernelError::Geometry("padding got a result of another type than its input".into())),
        }
    });
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}
