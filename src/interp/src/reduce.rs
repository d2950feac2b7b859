//! Reduce, Arg.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, half_float, operand};
use tpuc_kernels::reduce::{self, Reduction};
use tpuc_kernels::softmax::Axis;
use tpuc_kernels::strided::{Strided, steps_of};
use tpuc_kernels::{Buffer, Ints, IntsMut, Layout};
use tpuc_ops::{top, tpu};
use tpuc_tensor::round::{saturate_i8, saturate_u8, shift_half_up};

pub(crate) fn prepare_reduce(op: &top::Reduce, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let reduction = Reduction::of_mode(&op.mode).ok_or_else(|| request.unsupported(format!("has unknown mode '{}'", op.mode)))?;
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

/// Means and sums of 8-bit integers: `saturate(sum * multiplier >> rshift)`, halves up.
pub(crate) fn prepare_int(op: &tpu::Reduce, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (Some([multiplier]), Some([rshift])) = (op.multiplier.as_deref(), op.rshift.as_deref()) else {
        return Err(request.unsupported("needs one multiplier and one rshift"));
    };
    if !matches!(op.mode.as_str(), "ReduceMean" | "ReduceSum") {
        return Err(request.unsupported(format!("{} has no form in integers", op.mode)));
    }
    let (multiplier, rshift) = (*multiplier, i32::try_from(*rshift).map_err(|_| request.unsupported("has a shift beyond 32 bits"))?);
    let shape = request.shape(0)?;
    let form = top::Reduce { axes: op.axes.clone(), keepdims: op.keepdims, mode: op.mode.clone(), ..Default::default() };
    let gone = form.resolve(shape.len()).map_err(|r| request.unsupported(r))?;
    let result: usize = request.result.dims().iter().product();
    // How far a step along a dimension goes in the result.
    let mut steps = vec![0; shape.len()];
    let mut step = 1;
    for d in (0..shape.len()).rev().filter(|d| !gone.contains(d)) {
        steps[d] = step;
        step *= shape[d];
    }
    if step != result {
        return Err(request.unsupported(format!("has a result of {result} elements, expected {step}")));
    }
    let kernel = boxed(move |operands, y, _| {
        let x = operand(operands, 0)?.ints()?;
        let mut sums = vec![0i64; result];
        for i in 0..shape.iter().product() {
            let mut rest = i;
            let place: usize = (0..shape.len()).rev().map(|d| { let at = rest % shape[d]; rest /= shape[d]; at * steps[d] }).sum();
            sums[place] += match x {
                Ints::I8(x) => i64::from(x[i]),
                Ints::U8(x) => i64::from(x[i]),
            };
        }
        let scaled = sums.iter().map(|&sum| shift_half_up(sum.wrapping_mul(multiplier), rshift));
        match y.ints()? {
            IntsMut::I8(y) => y.iter_mut().zip(scaled).for_each(|(y, v)| *y = saturate_i8(v)),
            IntsMut::U8(y) => y.iter_mut().zip(scaled).for_each(|(y, v)| *y = saturate_u8(v)),
        }
        Ok(())
    });
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Ok(Prepared { kernel, operands, result: Layout::RowMajor })
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
