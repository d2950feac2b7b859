//! AvgPool, MaxPool, Pool2D.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::pool::{self, AvgRequant, AvgScale, Halves, PoolShape};
use tpuc_kernels::{Activation, Layout};
use tpuc_ops::{Family, top, tpu};

pub(crate) fn prepare_avg(op: &top::AvgPool, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout) = shape(&op.kernel_shape, &op.strides, &op.pads, request)?;
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    Ok(float_avg(shape, layout, op.count_include_pad, Activation::relu(op.do_relu, op.relu_limit)))
}

pub(crate) fn prepare_max(op: &top::MaxPool, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout) = shape(&op.kernel_shape, &op.strides, &op.pads, request)?;
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    Ok(float_max(shape, layout, Activation::relu(op.do_relu, op.relu_limit)))
}

pub(crate) fn prepare_tpu(op: &tpu::Pool2D, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (shape, layout) = shape(&op.kernel_shape, &op.strides, &op.pads, request)?;
    let relu = op.do_relu;
    let activation = Activation::relu(relu, op.relu_limit);
    let kernel = match (op.pool_mode, request.is_float_or_biased(&[0])?) {
        (tpu::PoolMode::Avg, true) => return Ok(float_avg(shape, layout, op.count_include_pad, activation)),
        (tpu::PoolMode::Max, true) => return Ok(float_max(shape, layout, activation)),
        (tpu::PoolMode::Avg, false) if op.scale.is_some() => {
            let (scale, offset) = (op.scale.unwrap_or(1.0), op.offset.unwrap_or(0.0) as f32);
            let by = AvgScale { scale, offset, padding: op.count_include_pad.then(|| request.zero_point(0)), least: relu.then(|| request.result_zero_point()) };
            boxed(move |operands, y, _| pool::avg_scaled(&shape, operand(operands, 0)?.ints()?, by, y.ints()?))
        }
        (tpu::PoolMode::Avg, false) => {
            if request.zero_point(0) != 0 || request.result_zero_point() != 0 {
                return Err(request.unsupported("with zero points needs scale and offset"));
            }
            let (Some(multiplier), Some(shift)) = (op.multiplier, op.rshift) else {
                return Err(request.unsupported("needs multiplier and rshift for an 8-bit mean"));
            };
            let halves = if request.options.family == Family::Cv18xx { Halves::Up } else { Halves::AwayFromZero };
            let requant = AvgRequant { multiplier: i64::from(multiplier), shift, count_include_pad: op.count_include_pad, relu, halves };
            boxed(move |operands, y, _| pool::avg_int(&shape, operand(operands, 0)?.ints()?, requant, y.ints()?))
        }
        (tpu::PoolMode::Max, false) => {
            if request.element(0)? != request.result_element()? || request.zero_point(0) != request.result_zero_point() {
                return Err(request.unsupported("needs input and result of one type for a maximum"));
            }
            let least = relu.then(|| request.zero_point(0));
            boxed(move |operands, y, _| pool::max_int(&shape, operand(operands, 0)?.ints()?, least, y.ints()?))
        }
    };
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}

fn float_avg(shape: PoolShape, layout: Layout, count_include_pad: bool, activation: Activation) -> Prepared {
    let kernel = boxed(move |operands, y, _| pool::avg(&shape, operand(operands, 0)?.floats()?, count_include_pad, activation, y.floats()?));
    Prepared { kernel, operands: vec![Some(layout)], result: layout }
}

fn float_max(shape: PoolShape, layout: Layout, activation: Activation) -> Prepared {
    let kernel = boxed(move |operands, y, _| pool::max(&shape, operand(operands, 0)?.floats()?, activation, y.floats()?));
    Prepared { kernel, operands: vec![Some(layout)], result: layout }
}

/// Channels last where the input has a batch and channels; with more or fewer leading dimensions the kernel sees one
/// "channel" per image, and the row-major order is right.
fn shape(kernel: &[i64], strides: &[i64], pads: &[i64], request: &Request<'_>) -> Result<(PoolShape, Layout), InterpError> {
    let input = request.shape(0)?;
    let result = request.result.dims();
    let lead = input.len().saturating_sub(kernel.len());
    let out = match result.get(lead..) {
        Some([]) | None => vec![1; kernel.len()],
        Some(out) => out.to_vec(),
    };
    let fits = result.get(..lead.min(result.len())) == input.get(..lead.min(result.len())) && out.len() == kernel.len();
    if !fits || result.iter().product::<usize>() != input[..lead].iter().chain(&out).product() {
        return Err(request.unsupported(format!("has a result of shape {result:?}, which does not fit an input of {input:?}")));
    }
    if lead == 2 {
        return Ok((PoolShape::new(&input, &out, kernel, strides, pads)?, Layout::ChannelsLast));
    }
    let images = input[..lead].iter().product();
    let planes = [&[images, 1], &input[lead..]].concat();
    Ok((PoolShape::new(&planes, &out, kernel, strides, pads)?, Layout::RowMajor))
}
