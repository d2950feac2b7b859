//! Attention: whole (Top), or one head of it (Tpu) in floats or in 8-bit integers.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, half_float, operand};
use crate::view::{ElementType, Slice, SliceMut};
use tpuc_kernels::attention::{FloatHead, HeadShape, IntHead, Projection, Scalings, Sources};
use tpuc_kernels::{KernelError, Layout};
use tpuc_ops::{top, tpu};

/// Operands: weight and bias of queries, keys, values and the result.
const PROJECTIONS: [(usize, usize); 4] = [(3, 4), (5, 6), (7, 8), (9, 10)];
const MASK: usize = 11;
const TABLE: usize = 12;

/// From which operands queries, keys and values are projected: keys that are absent are the input, values the keys.
fn sources(request: &Request<'_>) -> [usize; 3] {
    let keys = if request.is_absent(1) { 0 } else { 1 };
    [0, keys, if request.is_absent(2) { keys } else { 2 }]
}

fn shape(dim: i64, request: &Request<'_>) -> Result<HeadShape, InterpError> {
    let mut columns = [0; 3];
    let mut rows = [0; 3];
    for (i, index) in sources(request).into_iter().enumerate() {
        match request.shape(index)?[..] {
            [_, r, c] => (rows[i], columns[i]) = (r, c),
            ref other => return Err(request.unsupported(format!("needs operands of three dimensions, found {other:?}"))),
        }
    }
    let out = request.shape(9)?.last().copied().unwrap_or(0);
    let dim = usize::try_from(dim).map_err(|_| request.unsupported(format!("has heads of {dim} columns")))?;
    Ok(HeadShape { batch: request.shape(0)?[0], rows: rows[0], keys: rows[1], columns, dim, out })
}

/// Operands that are read at every run.
fn read(request: &Request<'_>) -> Vec<Option<Layout>> {
    let mut operands = vec![None; request.operands.len()];
    for index in sources(request).into_iter().chain((!request.is_absent(MASK) && request.constant(MASK).is_none()).then_some(MASK)) {
        operands[index] = Some(Layout::RowMajor);
    }
    operands
}

pub(crate) fn prepare_head(op: &tpu::Attention, request: &Request<'_>) -> Result<Prepared, InterpError> {
    match request.result_element()? {
        ElementType::I32 => prepare_int(op, request),
        _ => prepare_float(1, op.dim, op.scale, request),
    }
}

/// The heads one after the other, their results added up.
pub(crate) fn prepare_whole(op: &top::Attention, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let width = request.shape(3)?.last().map_or(0, |&w| w as i64);
    if op.head < 1 || width % op.head != 0 {
        return Err(request.unsupported(format!("has {width} columns for {} heads", op.head)));
    }
    prepare_float(op.head as usize, width / op.head, op.scale, request)
}

fn prepare_float(heads: usize, dim: i64, scale: f64, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let from = sources(request);
    if !request.is_float(&from)? {
        return Err(request.unsupported("of a float network needs float tensors"));
    }
    let shape = shape(dim, request)?;
    let mask = request.floats(MASK)?.map(<[f32]>::to_vec);
    let masked = !request.is_absent(MASK);
    let half = half_float(&request.result.elem);
    let list = (0..heads).map(|head| float_head(head, heads, shape, scale as f32, half, request)).collect::<Result<Vec<_>, _>>()?;
    let kernel = boxed(move |operands, y, workspace| {
        let [queries, keys, values] = from.map(|i| operand(operands, i).and_then(Slice::floats));
        let sources = Sources { queries: queries?, keys: keys?, values: values? };
        let mask = match &mask {
            Some(mask) => Some(&mask[..]),
            None => masked.then(|| operand(operands, MASK).and_then(Slice::floats)).transpose()?,
        };
        let y = y.floats()?;
        let mut part = vec![0.0; if list.len() > 1 { y.len() } else { 0 }];
        for (index, head) in list.iter().enumerate() {
            if index == 0 {
                head.run(sources, mask, y, workspace)?;
                continue;
            }
            head.run(sources, mask, &mut part, workspace)?;
            y.iter_mut().zip(&part).for_each(|(y, p)| *y += p);
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: read(request), result: Layout::RowMajor })
}

/// Columns of the first projections and rows of the last that are a head's; the result's bias is the first head's.
fn float_head(head: usize, heads: usize, shape: HeadShape, scale: f32, half: Option<tpuc_kernels::cast::HalfFloat>, request: &Request<'_>) -> Result<FloatHead, InterpError> {
    let columns = |index: usize| -> Result<Option<Vec<f32>>, InterpError> {
        let Some(list) = request.bias(index, request.floats(index)?)? else { return Ok(None) };
        Ok(Some(list.chunks(shape.dim * heads).flat_map(|row| row.iter().skip(head * shape.dim).take(shape.dim).copied()).collect()))
    };
    let missing = |index: usize| request.unsupported(format!("needs a weight as operand {index}"));
    let mut weights = Vec::with_capacity(4);
    for (weight, bias) in &PROJECTIONS[..3] {
        weights.push((columns(*weight)?.ok_or_else(|| missing(*weight))?, columns(*bias)?));
    }
    let size = shape.dim * shape.out;
    let rows = request.floats(9)?.and_then(|list| list.get(head * size..(head + 1) * size)).ok_or_else(|| missing(9))?;
    weights.push((rows.to_vec(), request.bias(10, request.floats(10)?)?.filter(|_| head == 0).map(<[f32]>::to_vec)));
    let projection = |i: usize| Projection { weight: &weights[i].0[..], bias: weights[i].1.as_deref() };
    Ok(FloatHead::new(shape, [0, 1, 2, 3].map(projection), scale, half)?)
}

fn prepare_int(op: &tpu::Attention, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let from = sources(request);
    let shape = shape(op.dim, request)?;
    let elements = [request.element(from[0])?, request.element(from[1])?, request.element(from[2])?];
    if elements.iter().any(|e| !matches!(e, ElementType::I8 | ElementType::U8)) {
        return Err(request.unsupported(format!("with a result of i32 needs 8-bit operands, found {}", elements.map(|e| e.dtype().name()).join(", "))));
    }
    let mut weights = Vec::with_capacity(4);
    for (weight, bias) in PROJECTIONS {
        let bytes = request.bytes(weight)?.ok_or_else(|| request.unsupported(format!("needs a weight as operand {weight}")))?;
        weights.push((bytes, request.bias(bias, request.integers(bias)?)?));
    }
    let projection = |i: usize| Projection { weight: &weights[i].0[..], bias: weights[i].1.as_deref() };
    let table = request.floats(TABLE)?.ok_or_else(|| request.unsupported("needs a table of exponentials"))?;
    let signed = elements.map(|e| e == ElementType::I8);
    let head = IntHead::new(shape, signed, [0, 1, 2, 3].map(projection), scalings(op, request)?, table, op.scale)?;
    let constant = request.constant(MASK).map(|mask| mask.to_f32().iter().map(|&v| v != 0.0).collect::<Vec<bool>>());
    let masked = !request.is_absent(MASK);
    let kernel = boxed(move |operands, y, workspace| {
        let [queries, keys, values] = from.map(|i| operand(operands, i).and_then(Slice::ints));
        let sources = Sources { queries: queries?, keys: keys?, values: values? };
        let computed = match (&constant, masked) {
            (None, true) => Some(hidden(operand(operands, MASK)?)?),
            _ => None,
        };
        match y {
            SliceMut::I32(y) => head.run(sources, constant.as_deref().or(computed.as_deref()), y, workspace),
            _ => Err(KernelError::Geometry("an attention of integers gives 32 bits".into())),
        }
    });
    Ok(Prepared { kernel, operands: read(request), result: Layout::RowMajor })
}

/// Keys whose mask is not 0.
fn hidden(mask: Slice<'_>) -> Result<Vec<bool>, KernelError> {
    match mask {
        Slice::I32(mask) => Ok(mask.iter().map(|&v| v != 0).collect()),
        _ => Err(KernelError::Geometry("a mask of integers has 32 bits".into())),
    }
}

fn scalings(op: &tpu::Attention, request: &Request<'_>) -> Result<Scalings, InterpError> {
    let list = &op.quant_param;
    if list.len() < 15 || list.chunks(3).any(|c| c.get(2).is_some_and(|&zero| zero != 0)) || list.get(15).is_some_and(|&zero| zero != 0) {
        return Err(request.unsupported(format!("needs quant_param of five multipliers, shifts and zero points 0, found {list:?}")));
    }
    Ok([0, 1, 2, 3, 4].map(|i| (list[3 * i], list[3 * i + 1])))
}
