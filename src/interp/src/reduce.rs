//! Reduce, Arg.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, half_float, operand};
use tpuc_kernels::reduce::{self, Reduction};
use tpuc_kernels::softmax::Axis;
use tpuc_kernels::strided::{Strided, steps_of};
use tpuc_kernels::{Buffer, Layout};
use tpuc_ops::top;

pub(crate) fn prepare_reduce(op: &top::Reduce, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let reduction = match op.mode.as_str() {
        "ReduceMean" => Reduction::Mean,
        "ReduceSum" => Reduction::Sum,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Prod,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        other => return Err(request.unsupported(format!("has unknown mode '{other}'"))),
    };
    let shape = request.shape(0)?;
    let gone = op.resolve(shape.len()).map_err(|r| request.unsupported(r))?;
    let plain = vec![Some(Layout::RowMajor)];
    // A mean in half floats is the sum times the reciprocal of the count, which is a half float too.
    let half = half_float(&request.result.elem).filter(|_| reduction == Reduction::Mean);
    let count = gone.iter().map(|&d| shape[d]).product::<usize>() as f32;
    let factor = half.map(|half| half.round(1.0 / count));
    let reduction = if factor.is_some() { Reduction::Sum } else { reduction };
    let scale = move |y: &mut [f32]| if let Some(factor) = factor { y.iter_mut().for_each(|v| *v *= factor) };
    if let Some(axis) = consecutive(&shape, &gone) {
        let kernel = boxed(move |operands, y, _| {
            let y = y.floats()?;
            reduce::reduce(axis, reduction, operand(operands, 0)?.floats()?, y)?;
            scale(y);
            Ok(())
        });
        return Ok(Prepared { kernel, operands: plain, result: Layout::RowMajor });
    }
    // What goes is brought together behind what stays.
    let order: Vec<usize> = (0..shape.len()).filter(|d| !gone.contains(d)).chain(gone.iter().copied()).collect();
    let steps = steps_of(&shape, Layout::RowMajor);
    let (dims, steps): (Vec<usize>, Vec<isize>) = order.iter().map(|&d| (shape[d], steps[d])).unzip();
    let count = shape.iter().product();
    let gather = Strided::new(&dims, &steps, 0, count)?;
    let length = gone.iter().map(|&d| shape[d]).product();
    let axis = Axis { outer: count / length, length, inner: 1 };
    let kernel = boxed(move |operands, y, _| {
        let mut moved = Buffer::try_with_bytes(count * 4)?;
        gather.run(operand(operands, 0)?.floats()?, moved.slice_mut(count))?;
        let y = y.floats()?;
        reduce::reduce(axis, reduction, moved.slice(count), y)?;
        scale(y);
        Ok(())
    });
    Ok(Prepared { kernel, operands: plain, result: Layout::RowMajor })
}

/// The axis that consecutive dimensions are together; dimensions of size 1 do not come between them.
fn consecutive(shape: &[usize], gone: &[usize]) -> Option<Axis> {
    let real: Vec<usize> = gone.iter().copied().filter(|&d| shape[d] > 1).collect();
    let (Some(&first), Some(&last)) = (real.first(), real.last()) else {
        return Some(Axis { outer: shape.iter().product(), length: 1, inner: 1 });
    };
    let together = (first..=last).all(|d| shape[d] == 1 || real.contains(&d));
    together.then(|| Axis { outer: shape[..first].iter().product(), length: shape[first..=last].iter().product(), inner: shape[last + 1..].iter().product() })
}

pub(crate) fn prepare_arg(op: &top::Arg, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let axis = Axis::of(&request.shape(0)?, op.axis)?;
    let (largest, last) = (op.mode == "ArgMax", op.select_last_index);
    let kernel = boxed(move |operands, y, _| reduce::arg(axis, largest, last, operand(operands, 0)?.floats()?, y.floats()?));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}
