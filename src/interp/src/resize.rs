//! Interp.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::Layout;
use tpuc_kernels::resize::{self, Coordinates, ResizeShape};
use tpuc_ops::top;

pub(crate) fn prepare(op: &top::Interp, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let coordinates = match op.coord_mode.as_str() {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => return Err(request.unsupported(format!("has unknown coord_mode '{other}'"))),
    };
    let (shape, result) = (request.shape(0)?, request.result.dims());
    let (n, c, input, output) = match (&shape[..], &result[..]) {
        (&[n, c, h, w], &[_, _, oh, ow]) => (n, c, [h, w], [oh, ow]),
        (&[n, c, w], &[_, _, ow]) => (n, c, [1, w], [1, ow]),
        _ => return Err(request.unsupported("needs an input of three or four dimensions")),
    };
    let layout = request.layout(0);
    let (outer, inner) = if layout == Layout::ChannelsLast { (n, c) } else { (n * c, 1) };
    let shape = ResizeShape { outer, input, output, inner };
    let kernel = match op.mode.as_str() {
        "linear" => boxed(move |operands, y, _| resize::linear(&shape, coordinates, operand(operands, 0)?.floats()?, y.floats()?)),
        "nearest" => {
            let map = |d: usize| tpuc_ops::resize::nearest(&op.coord_mode, input[d] as i64, output[d] as i64).into_iter().map(|i| i as usize).collect::<Vec<_>>();
            let (rows, columns) = (map(0), map(1));
            boxed(move |operands, y, _| resize::pick(&shape, &rows, &columns, operand(operands, 0)?.floats()?, y.floats()?))
        }
        other => return Err(request.unsupported(format!("has unknown mode '{other}'"))),
    };
    Ok(Prepared { kernel, operands: vec![Some(layout), None], result: layout })
}
