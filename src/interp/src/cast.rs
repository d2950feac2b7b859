//! Cast.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, half_float, operand, zero_point};
use crate::view::{self, ElementType, SliceMut};
use tpuc_kernels::cast::{HalfFloat, dequantize, dequantize_half, quantize, quantize_even, quantize_half, quantize_half_even, truncate_bf16};
use tpuc_kernels::KernelError;
use tpuc_ops::{Elem, Family, tpu};

pub(crate) fn prepare(op: &tpu::Cast, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (from, to) = (request.tensor_type(0)?.elem, request.result.elem);
    let layout = request.layout(0);
    let shape = request.result.dims();
    if request.shape(0)? != shape {
        return Err(request.unsupported(format!("has a result of shape {shape:?}, expected {:?}", request.shape(0)?)));
    }
    let scale = |elem: Elem| match elem {
        Elem::Uniform { scale, .. } if op.with_scale => (scale, zero_point(&elem)),
        _ => (1.0, 0),
    };
    let cv18xx = request.options.family == Family::Cv18xx;
    if cv18xx && (zero_point(&from), zero_point(&to)) != (0, 0) {
        return Err(request.unsupported("with a zero point does not run on this chip"));
    }
    let kernel = match (request.element(0)?, request.result_element()?) {
        (ElementType::F32, ElementType::I8 | ElementType::U8) => {
            let ((scale, zero_point), half) = (scale(to), half_float(&from));
            boxed(move |operands, y, _| match half {
                None if cv18xx => quantize_even(operand(operands, 0)?.floats()?, scale, y.ints()?),
                Some(half) if cv18xx => quantize_half_even(operand(operands, 0)?.floats()?, half, scale, y.ints()?),
                None => quantize(operand(operands, 0)?.floats()?, scale, zero_point, y.ints()?),
                Some(half) => quantize_half(operand(operands, 0)?.floats()?, half, scale, zero_point, y.ints()?),
            })
        }
        (ElementType::I8 | ElementType::U8, ElementType::F32) => {
            // CV18xx computes in bf16 whatever the result's type is.
            let ((scale, zero_point), half) = (scale(from), if cv18xx { Some(HalfFloat::BF16) } else { half_float(&to) });
            boxed(move |operands, y, _| match half {
                None => dequantize(operand(operands, 0)?.ints()?, scale, zero_point, y.floats()?),
                Some(half) => dequantize_half(operand(operands, 0)?.ints()?, scale, zero_point, half, y.floats()?),
            })
        }
        (ElementType::F32, ElementType::F32) => {
            let half = half_float(&to);
            let truncates = cv18xx && half == Some(HalfFloat::BF16) && half_float(&from).is_none();
            boxed(move |operands, y, _| {
                let y = y.floats()?;
                view::copy(&shape, layout, operand(operands, 0)?, layout, SliceMut::F32(&mut *y))?;
                match half {
                    _ if truncates => truncate_bf16(y),
                    Some(half) => half.round_slice(y),
                    None => {}
                }
                Ok(())
            })
        }
        // Whole numbers as they are, others to the nearest, halves away from zero.
        (ElementType::F32, ElementType::I32) => boxed(move |operands, y, _| match y {
            SliceMut::I32(y) => {
                y.iter_mut().zip(operand(operands, 0)?.floats()?).for_each(|(y, x)| *y = x.round() as i32);
                Ok(())
            }
            _ => Err(KernelError::Geometry("a cast to 32-bit integers".into())),
        }),
        (a, b) if a == b && scale(from) == scale(to) => boxed(move |operands, y, _| view::copy(&shape, layout, operand(operands, 0)?, layout, y)),
        (a, b) => return Err(request.unsupported(format!("from {} to {} does not run", a.dtype(), b.dtype()))),
    };
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}
