//! BatchNorm, Scale: a factor and an offset per channel.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::{Activation, Layout, elementwise};
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
    if !request.is_absent(3) {
        return Err(request.unsupported("of integers does not run"));
    }
    let Some(scale) = request.floats(1)? else { return Err(request.unsupported("needs a weight as scale")) };
    let bias = request.bias(2, request.floats(2)?)?.map_or_else(|| vec![0.0; scale.len()], <[f32]>::to_vec);
    prepare(scale.to_vec(), bias, Activation::relu(op.do_relu, op.relu_limit), request)
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
