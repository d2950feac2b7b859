//! Pooling: shapes.

use crate::conv::{check_geometry, slide};
use crate::{Operands, top, tpu};

pub(crate) struct Window<'a> {
    kernel: &'a [i64],
    strides: &'a [i64],
    pads: &'a [i64],
    ceil: bool,
    keepdims: bool,
}

impl<'a> Window<'a> {
    pub fn of_avg(op: &'a top::AvgPool) -> Self {
        Window { kernel: &op.kernel_shape, strides: &op.strides, pads: &op.pads, ceil: op.ceil_mode.unwrap_or(false), keepdims: op.keepdims }
    }

    pub fn of_max(op: &'a top::MaxPool) -> Self {
        Window { kernel: &op.kernel_shape, strides: &op.strides, pads: &op.pads, ceil: op.ceil_mode.unwrap_or(false), keepdims: op.keepdims }
    }

    pub fn of_tpu(op: &'a tpu::Pool2D) -> Self {
        Window { kernel: &op.kernel_shape, strides: &op.strides, pads: &op.pads, ceil: false, keepdims: op.keepdims }
    }
}

pub(crate) fn infer(window: &Window, operands: &Operands) -> Result<Vec<i64>, String> {
    check_geometry(window.kernel, window.strides, window.pads, None)?;
    let input = operands.shape(0)?;
    let spatial = window.kernel.len();
    if input.len() < spatial + 1 {
        return Err(format!("a kernel of {spatial} dimensions needs an input of more dimensions, found {input:?}"));
    }
    let lead = input.len() - spatial;
    let mut shape = input[..lead].to_vec();
    for d in 0..spatial {
        shape.push(slide(input[lead + d], window.kernel[d], window.strides[d], (window.pads[d], window.pads[d + spatial]), 1, window.ceil)?);
    }
    if !window.keepdims {
        shape.truncate(lead);
    }
    Ok(shape)
}

/// Pools of one and of two dimensions have the same attributes.
macro_rules! same_pool {
    ($from:ident to $to:ident: $($field:ident),*) => {
        impl From<tpu::$from> for tpu::$to {
            fn from(op: tpu::$from) -> tpu::$to {
                tpu::$to { $($field: op.$field),* }
            }
        }
    };
    ($from:ident to $to:ident) => {
        same_pool!($from to $to: kernel_shape, strides, pads, pool_mode, is_adaptive, keepdims, pad_value, count_include_pad, do_relu, relu_limit, multiplier, rshift, scale, offset, round_mode, first_round_mode);
    };
}

same_pool!(Pool1D to Pool2D);
same_pool!(Pool2D to Pool1D);
