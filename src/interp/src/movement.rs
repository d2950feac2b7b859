//! Ops that only move elements: Permute, Slice, Tile, Expand, Reverse, Depth2Space, Upsample, Concat, Gather.
//!
//! All but the last two are one strided copy. They read their input in the layout in which it comes; those that keep the
//! dimensions in place also write it so.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::{Slice, SliceMut};
use tpuc_kernels::strided::{Strided, steps_of};
use tpuc_kernels::{Activation, Element, KernelError, Layout, join};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

/// Runs a generic body on slices of one type.
macro_rules! same_type {
    ($x:expr, $y:expr, |$a:ident, $b:ident| $body:expr) => {
        match ($x, $y) {
            (Slice::F32($a), SliceMut::F32($b)) => $body,
            (Slice::I8($a), SliceMut::I8($b)) => $body,
            (Slice::U8($a), SliceMut::U8($b)) => $body,
            (Slice::I32($a), SliceMut::I32($b)) => $body,
            _ => Err(KernelError::Geometry("input and result differ in type".into())),
        }
    };
}

/// A strided copy: for every dimension of the result, in the order of its shape, parts from outermost to innermost of (size, step
/// in the input). `layout` is the order in which the result's dimensions stand in memory.
fn copied(parts: &[Vec<(usize, isize)>], offset: usize, from: Layout, layout: Layout, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != request.result_element()? {
        return Err(request.unsupported("needs operand and result of one type"));
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    if layout == Layout::ChannelsLast && parts.len() > 2 {
        order[1..].rotate_left(1);
    }
    let flat = order.iter().flat_map(|&d| parts[d].iter().copied());
    let (dims, steps): (Vec<usize>, Vec<isize>) = flat.unzip();
    let copy = Strided::new(&dims, &steps, offset, request.shape(0)?.iter().product())?;
    let kernel = boxed(move |operands, y, _| same_type!(operand(operands, 0)?, y, |x, y| copy.run(x, y)));
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(from);
    Ok(Prepared { kernel, operands, result: layout })
}

/// The layout of the input as it comes, and the step of each of its dimensions.
fn source(request: &Request<'_>) -> Result<(Vec<usize>, Layout, Vec<isize>), InterpError> {
    let (shape, layout) = (request.shape(0)?, request.layout(0));
    let steps = steps_of(&shape, layout);
    Ok((shape, layout, steps))
}

pub(crate) fn prepare_permute(op: &top::Permute, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout, steps) = source(request)?;
    let order = op.resolve(shape.len()).map_err(|r| request.unsupported(r))?;
    let parts: Vec<_> = order.iter().map(|&d| vec![(shape[d], steps[d])]).collect();
    copied(&parts, 0, layout, Layout::RowMajor, request)
}

pub(crate) fn prepare_slice(op: &top::Slice, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (_, layout, steps) = source(request)?;
    let ranges = op.resolve(&request.tensor_type(0)?.shape).map_err(|r| request.unsupported(r))?;
    let parts: Vec<_> = ranges.iter().zip(&steps).map(|(r, &s)| vec![(r.count, s * r.step as isize)]).collect();
    let offset = ranges.iter().zip(&steps).map(|(r, &s)| r.start * s as usize).sum();
    copied(&parts, offset, layout, layout, request)
}

pub(crate) fn prepare_reverse(op: &top::Reverse, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout, steps) = source(request)?;
    let rank = shape.len() as i64;
    let axis = if op.axis < 0 { op.axis + rank } else { op.axis } as usize;
    let sign = |d: usize| if d == axis { -1 } else { 1 };
    let parts: Vec<_> = (0..shape.len()).map(|d| vec![(shape[d], sign(d) * steps[d])]).collect();
    let last = shape.get(axis).ok_or_else(|| request.unsupported(format!("has axis {} of {rank}", op.axis)))? - 1;
    copied(&parts, last * steps[axis] as usize, layout, layout, request)
}

pub(crate) fn prepare_tile(op: &top::Tile, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout, steps) = source(request)?;
    let counts = op.tile.as_deref().filter(|t| t.len() == shape.len()).ok_or_else(|| request.unsupported("needs a count for every dimension"))?;
    let parts: Vec<_> = (0..shape.len()).map(|d| vec![(counts[d].max(0) as usize, 0), (shape[d], steps[d])]).collect();
    copied(&parts, 0, layout, layout, request)
}

pub(crate) fn prepare_expand(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, _, _) = source(request)?;
    let result = request.result.dims();
    let steps = steps_of(&shape, Layout::RowMajor);
    let new = result.len().checked_sub(shape.len()).ok_or_else(|| request.unsupported("has a result of fewer dimensions than its input"))?;
    let part = |d: usize| if d < new { vec![(result[d], 0)] } else { vec![(result[d], if shape[d - new] == 1 { 0 } else { steps[d - new] })] };
    let parts: Vec<_> = (0..result.len()).map(part).collect();
    copied(&parts, 0, Layout::RowMajor, Layout::RowMajor, request)
}

/// Channels in another order: a block each.
pub(crate) fn prepare_swap(op: &tpu::SwapChannel, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let order = op.channel_order.iter().map(|&c| usize::try_from(c).ok().filter(|&c| c < shape[1])).collect::<Option<Vec<_>>>();
    let order = order.filter(|o| o.len() == shape[1]).ok_or_else(|| request.unsupported(format!("has the order {:?} for {} channels", op.channel_order, shape[1])))?;
    if request.element(0)? != request.result_element()? {
        return Err(request.unsupported("needs operand and result of one type"));
    }
    let plane: usize = shape[2..].iter().product();
    fn swap<T: Copy>(x: &[T], y: &mut [T], order: &[usize], plane: usize) -> Result<(), KernelError> {
        let image = order.len() * plane;
        for (x, y) in x.chunks_exact(image).zip(y.chunks_exact_mut(image)) {
            y.chunks_exact_mut(plane).zip(order).for_each(|(y, &c)| y.copy_from_slice(&x[c * plane..][..plane]));
        }
        Ok(())
    }
    let kernel = boxed(move |operands, y, _| same_type!(operand(operands, 0)?, y, |x, y| swap(x, y, &order, plane)));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}

pub(crate) fn prepare_upsample(op: &top::Upsample, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout, steps) = source(request)?;
    let [n, c, h, w] = shape[..] else { return Err(request.unsupported("needs an input of four dimensions")) };
    let (sh, sw) = (op.scale_h.max(0) as usize, op.scale_w.max(0) as usize);
    let parts = [vec![(n, steps[0])], vec![(c, steps[1])], vec![(h, steps[2]), (sh, 0)], vec![(w, steps[3]), (sw, 0)]];
    let prepared = copied(&parts, 0, layout, layout, request)?;
    let activation = Activation::relu(op.do_relu, op.relu_limit);
    if activation == Activation::None {
        return Ok(prepared);
    }
    let (copy, zero_point) = (prepared.kernel, request.result_zero_point());
    let kernel = boxed(move |operands, y, workspace| {
        let mut y = y;
        copy.run(operands, y.again(), workspace)?;
        rectify(y, activation, zero_point);
        Ok(())
    });
    Ok(Prepared { kernel, ..prepared })
}

/// The Relu at the end of an op that moves elements. Of integers it has no limit but their type's.
fn rectify(y: SliceMut<'_>, activation: Activation, zero_point: i32) {
    if activation == Activation::None {
        return;
    }
    match y {
        SliceMut::F32(y) => y.iter_mut().for_each(|v| *v = activation.apply(*v)),
        SliceMut::I8(y) => y.iter_mut().for_each(|v| *v = (*v).max(zero_point.clamp(-128, 127) as i8)),
        SliceMut::U8(y) => y.iter_mut().for_each(|v| *v = (*v).max(zero_point.clamp(0, 255) as u8)),
        SliceMut::I32(y) => y.iter_mut().for_each(|v| *v = (*v).max(zero_point)),
    }
}

/// The channels of the deeper side are taken apart into block row, block column and channel; where each of them goes or comes
/// from is one strided copy.
pub(crate) fn prepare_depth2space(op: &top::Depth2Space, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let result = request.result.dims();
    if shape.len() != 4 || result.len() != 4 {
        return Err(request.unsupported("needs four dimensions"));
    }
    let (bh, bw) = (op.block_h.max(1) as usize, op.block_w.max(1) as usize);
    let steps = steps_of(&shape, Layout::RowMajor);
    // Positions of channels, rows, columns among the dimensions of input and result.
    let at = |nchw: bool| if nchw { [1, 2, 3] } else { [3, 1, 2] };
    let ([ic, ih, iw], [oc, oh, ow]) = (at(op.in_is_NCHW), at(op.out_is_NCHW));
    let depth = if op.is_inversed { result[oc] } else { shape[ic] } / (bh * bw);
    // Sizes and order of what the deep channels consist of, outermost first: 0 channel, 1 block row, 2 block column.
    let blocks = if op.swap_cr { [2, 1] } else { [1, 2] };
    let order = if op.is_CRD { [0, blocks[0], blocks[1]] } else { [blocks[0], blocks[1], 0] };
    let size = |part: usize| [depth, bh, bw][part];
    let mut parts = vec![vec![(shape[0], steps[0])]; 4];
    if op.is_inversed {
        let step = |part: usize| [steps[ic], steps[ih], steps[iw]][part];
        parts[oc] = order.iter().map(|&p| (size(p), step(p))).collect();
        parts[oh] = vec![(result[oh], steps[ih] * bh as isize)];
        parts[ow] = vec![(result[ow], steps[iw] * bw as isize)];
    } else {
        let step = |part: usize| {
            let inner = order.iter().rev().take_while(|&&p| p != part).map(|&p| size(p)).product::<usize>();
            steps[ic] * inner as isize
        };
        parts[oc] = vec![(depth, step(0))];
        parts[oh] = vec![(shape[ih], steps[ih]), (bh, step(1))];
        parts[ow] = vec![(shape[iw], steps[iw]), (bw, step(2))];
    }
    copied(&parts, 0, Layout::RowMajor, Layout::RowMajor, request)
}

pub(crate) fn prepare_concat(op: &top::Concat, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let count = request.operands.len();
    for index in 0..count {
        if request.element(index)? != request.result_element()? {
            return Err(request.unsupported("needs operands and result of one type"));
        }
    }
    // The layout in which most of it comes.
    let activations = (0..count).filter(|&i| request.constant(i).is_none());
    let last = activations.clone().filter(|&i| request.layout(i) == Layout::ChannelsLast).count();
    let layout = if 2 * last > activations.count() { Layout::ChannelsLast } else { Layout::RowMajor };
    let result = request.result.dims();
    let rank = result.len();
    let axis = i64::from(op.axis);
    let axis = if axis < 0 { axis + rank as i64 } else { axis } as usize;
    let position = match layout {
        Layout::ChannelsLast if rank > 2 && axis == 1 => rank - 1,
        Layout::ChannelsLast if rank > 2 && axis > 1 => axis - 1,
        _ => axis,
    };
    let physical = layout.physical(&result);
    let rows: usize = physical.get(..position).ok_or_else(|| request.unsupported(format!("has axis {} of {rank}", op.axis)))?.iter().product();
    let (activation, zero_point) = (Activation::relu(op.do_relu, op.relu_limit), request.result_zero_point());
    let kernel = boxed(move |operands, y, _| {
        fn join_all<'a, T: Element>(parts: impl Iterator<Item = Result<&'a [T], KernelError>>, rows: usize, y: &mut [T]) -> Result<(), KernelError> {
            let row = y.len() / rows.max(1);
            let mut offset = 0;
            for part in parts {
                let part = part?;
                join::place(part, rows, offset, row, y)?;
                offset += part.len() / rows.max(1);
            }
            Ok(())
        }
        let wrong = || KernelError::Geometry("a piece of another type".into());
        macro_rules! each {
            ($variant:ident, $y:expr) => {
                join_all(operands.iter().map(|o| if let Some(Slice::$variant(x)) = o { Ok(*x) } else { Err(wrong()) }), rows, $y)
            };
        }
        let mut y = y;
        match &mut y {
            SliceMut::F32(y) => each!(F32, y),
            SliceMut::I8(y) => each!(I8, y),
            SliceMut::U8(y) => each!(U8, y),
            SliceMut::I32(y) => each!(I32, y),
        }?;
        rectify(y, activation, zero_point);
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(layout); count], result: layout })
}

pub(crate) fn prepare_gather(op: &top::Gather, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != request.result_element()? {
        return Err(request.unsupported("needs operand and result of one type"));
    }
    let shape = request.shape(0)?;
    let rank = shape.len();
    let axis = i64::from(op.axis);
    let axis = if axis < 0 { axis + rank as i64 } else { axis } as usize;
    let Some(&size) = shape.get(axis) else { return Err(request.unsupported(format!("has axis {} of {rank}", op.axis))) };
    let dims = [shape[..axis].iter().product(), size, shape[axis + 1..].iter().product()];
    let list = |values: &[f32]| values.iter().map(|&v| join::index(v, size)).collect::<Result<Vec<_>, _>>();
    let whole = |values: Vec<i32>| values.iter().map(|&v| join::index(v as f32, size)).collect::<Result<Vec<_>, _>>();
    let constant = match request.tensor_type(1)?.elem.storage() {
        DType::I32 => request.integers(1)?.map(whole).transpose()?,
        _ => request.floats(1)?.map(list).transpose()?,
    };
    let kept = constant.is_none().then_some(Layout::RowMajor);
    let kernel = boxed(move |operands, y, _| {
        let at_run;
        let indices = match &constant {
            Some(indices) => indices,
            None => {
                at_run = operand(operands, 1)?.floats()?.iter().map(|&v| join::index(v, size)).collect::<Result<Vec<_>, _>>()?;
                &at_run
            }
        };
        same_type!(operand(operands, 0)?, y, |x, y| join::gather(x, dims, indices, y))
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), kept], result: Layout::RowMajor })
}
