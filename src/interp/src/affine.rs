//! BatchNorm, Scale: a factor and an offset per channel.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::{Activation, Ints, IntsMut, Layout, elementwise};
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_batch_norm(op: &top::BatchNorm, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let weight = |index: usize, name: &str| {
        let found = request.floats(index)?;
        found.ok_or_else(|| request.unsupported(format!("needs a weight as {name}")))
    };
    let (mean, variance) = (weight(1, "mean")?, weight(2, "variance")?);
    let (gamma, beta) = (request.bias(3, request.floats(3)?)?, request.bias(4, request.floats(4)?)?);
    let factor: Vec<f32> = variance.iter().enumerate().map(|(c, v)| gamma.and_then(|g| g.get(c)).copied().unwrap_or(1.0) / (v + op.epsilon as f32).sqrt()).collect();
    let offset = mean.iter().zip(&factor).enumerate().map(|(c, (m, f))| beta.and_then(|b| b.get(c)).copied().unwrap_or(0.0) - m * f).collect();
    prepare(factor, offset, Activation::relu(op.do_relu, op.relu_limit), request)
}

pub(crate) fn prepare_scale(op: &top::Scale, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let Some(scale) = request.floats(1)? else { return Err(request.unsupported("needs a weight as scale")) };
    let bias = request.bias(2, request.floats(2)?)?.map_or_else(|| vec![0.0; scale.len()], <[f32]>::to_vec);
    prepare(scale.to_vec(), bias, Activation::relu(op.do_relu, op.relu_limit), request)
}

pub(crate) fn prepare_tpu(op: &tpu::Scale, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return prepare_int(op, request);
    }
    let Some(scale) = request.floats(1)? else { return Err(request.unsupported("needs a weight as scale")) };
    let bias = request.bias(2, request.floats(2)?)?.map_or_else(|| vec![0.0; scale.len()], <[f32]>::to_vec);
    prepare(scale.to_vec(), bias, Activation::relu(op.do_relu, op.relu_limit), request)
}

/// BM1684: `saturate((x * scale + bias) << lshift)`. The bias has the half of the rounding in it already.
fn prepare_int(op: &tpu::Scale, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    let parameter = |index: usize| match request.integers(index)? {
        Some(list) if Some(&list.len()) == shape.get(1) => Ok(list),
        found => Err(request.unsupported(format!("needs a weight with one element per channel of {shape:?} as operand {index}, found {}", found.map_or(0, |l| l.len())))),
    };
    let (scale, lshift) = (parameter(1)?, parameter(3)?);
    let bias = if request.is_absent(2) { vec![0; scale.len()] } else { parameter(2)? };
    if request.result.dims() != shape {
        return Err(request.unsupported(format!("has a result of shape {:?}, expected {shape:?}", request.result.shape)));
    }
    let inner: usize = shape[2..].iter().product();
    let relu = op.do_relu;
    let kernel = boxed(move |operands, y, _| {
        let of = |i: usize, x: i64, low: i64, high: i64| {
            let c = i / inner.max(1) % scale.len();
            let v = x * i64::from(scale[c]) + i64::from(bias[c]);
            let v = if lshift[c] < 0 { v >> (-lshift[c]).min(63) } else { v << lshift[c].min(31) };
            v.clamp(if relu { 0 } else { low }, high)
        };
        let x = operand(operands, 0)?.ints()?;
        let at = |i: usize| match x {
            Ints::I8(x) => i64::from(x[i]),
            Ints::U8(x) => i64::from(x[i]),
        };
        match y.ints()? {
            IntsMut::I8(y) => y.iter_mut().enumerate().for_each(|(i, y)| *y = of(i, at(i), -128, 127) as i8),
            IntsMut::U8(y) => y.iter_mut().enumerate().for_each(|(i, y)| *y = of(i, at(i), 0, 255) as u8),
        }
        Ok(())
    });
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Ok(Prepared { kernel, operands, result: Layout::RowMajor })
}

fn prepare(factor: Vec<f32>, offset: Vec<f32>, activation: Activation, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let shape = request.shape(0)?;
    if shape.get(1) != Some(&factor.len()) || offset.len() != factor.len() || request.result.dims() != shape {
        return Err(request.unsupported(format!("has {} factors and {} offsets for an input of {shape:?}", factor.len(), offset.len())));
    }
    let layout = request.layout(0);
    let inner = if layout == Layout::ChannelsLast { 1 } else { shape[2..].iter().product() };
    let kernel = boxed(move |operands, y, _| elementwise::scale(operand(operands, 0)?.floats()?, inner, &factor, &offset, activation, y.floats()?));
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}
