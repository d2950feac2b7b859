//! What the rules of several chips read from an op, checked, and the attributes that they all keep.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::{constant, max_abs_by_rows};
use std::borrow::Cow;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{top, tpu};

/// The constants of a convolution.
pub(crate) struct ConvWeights<'a> {
    /// `[O, I / group, kernel...]`, all output channels one after the other.
    pub filter: Cow<'a, [f32]>,
    pub filter_shape: Vec<i64>,
    /// One value per output channel.
    pub bias: Option<Cow<'a, [f32]>>,
    /// Output channels, at least 1; they divide the filter evenly.
    pub channels: usize,
}

impl<'a> ConvWeights<'a> {
    /// The weights of an op whose operands are input, filter and bias. An error where they are computed or do not fit. Whether the filter
    /// is finite is found by [`ConvWeights::largest`], or by who looks at all of it anyway.
    pub fn of(context: &'a OpContext) -> Result<ConvWeights<'a>, LowerError> {
        let filter = context.floats(1).ok_or_else(|| context.unsupported("the filter is not a weight"))?;
        let bias = bias(context)?;
        let filter_shape = context.tensor(1)?.shape.clone();
        let channels = filter_shape.first().copied().unwrap_or(0).max(0) as usize;
        if channels == 0 || filter.is_empty() || filter.len() % channels != 0 || bias.as_ref().is_some_and(|b| b.len() != channels) {
            return Err(context.unsupported(format!("filter {filter_shape:?} does not fit its bias")));
        }
        Ok(ConvWeights { filter, filter_shape, bias, channels })
    }

    /// By output channel: the largest magnitude in its filter.
    pub fn largest(&self, context: &OpContext) -> Result<Vec<f32>, LowerError> {
        self.checked(context, max_abs_by_rows(&self.filter, self.filter.len() / self.channels))
    }

    /// Largest magnitudes by output channel, or the error for a filter that is not finite.
    pub fn checked(&self, context: &OpContext, largest: Vec<f32>) -> Result<Vec<f32>, LowerError> {
        if largest.iter().all(|v| v.is_finite()) { Ok(largest) } else { Err(context.not_finite(1, &self.filter)) }
    }

    /// The filter, an output channel at a time.
    pub fn by_channel(&self) -> std::slice::ChunksExact<'_, f32> {
        self.filter.chunks_exact(self.filter.len() / self.channels)
    }
}

/// Operand 2 as a constant, `None` if it is absent.
pub(crate) fn bias<'a>(context: &'a OpContext) -> Result<Option<Cow<'a, [f32]>>, LowerError> {
    let bias = context.weight(2).transpose()?;
    if bias.is_none() && !context.is_absent(2) {
        return Err(context.unsupported("the bias is not a weight"));
    }
    Ok(bias)
}

/// A convolution with the geometry of the Top op.
pub(crate) fn conv2d(op: &top::Conv) -> tpu::Conv2D {
    tpu::Conv2D {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads: op.pads.clone(),
        group: op.group,
        dilations: op.dilations.clone(),
        inserts: op.inserts.clone(),
        do_relu: op.do_relu,
        do_winograd: Some(false),
        dynweight_reorderd: op.dynweight_reorderd,
        weight_is_coeff: op.weight_is_coeff,
        round_mode: tpu::RoundMode::HalfUp,
        ..Default::default()
    }
}

/// A product with the geometry of the Top op.
pub(crate) fn matmul(op: &top::MatMul) -> tpu::MatMul {
    tpu::MatMul {
        left_transpose: op.left_transpose,
        right_transpose: op.right_transpose,
        output_transpose: op.output_transpose,
        hdim_is_batch: op.hdim_is_batch,
        keep_dims: op.keep_dims,
        do_relu: op.do_relu,
        is_lora: op.is_lora,
        left_reuse: 1,
        dq_type: op.dq_type.clone(),
        q_group_size: op.q_group_size,
        ..Default::default()
    }
}

/// What stands in the border, by the word of a Top Pad.
pub(crate) fn padding_mode(context: &OpContext, word: &str) -> Result<tpu::PaddingMode, LowerError> {
    let unknown = || context.unsupported(format!("unknown mode '{word}', expected one of {}", tpu::PaddingMode::CASES.join(", ")));
    tpu::PaddingMode::from_case(word).ok_or_else(unknown)
}

/// A transposed convolution with the geometry of the Top op.
pub(crate) fn deconv(op: &top::Deconv) -> tpu::Deconv {
    tpu::Deconv {
        kernel_shape: op.kernel_shape.clone(),
        strides: op.strides.clone(),
        pads: op.pads.clone(),
        group: op.group,
        dilations: op.dilations.clone(),
        output_padding: op.output_padding.clone(),
        dynweight_reorderd: Some(op.dynweight_reorderd),
        do_relu: op.do_relu,
        ..Default::default()
    }
}

/// An operand in 8 bits and its scale: a constant by its largest magnitude, a value by its type.
pub(crate) fn eight_bit_operand(context: &OpContext, lowered: &mut Lowered, index: usize) -> Result<(OperandRef, f64), LowerError> {
    match context.weight(index).transpose()? {
        None => {
            let elem = context.operand_elem(index)?;
            Ok((OperandRef::Operand { index, elem }, elem.scale().unwrap_or(1.0)))
        }
        Some(values) => {
            let (weight, scale) = constant(&context.operands[index].name, &context.tensor(index)?.shape, &values);
            Ok((lowered.weight(weight), scale))
        }
    }
}
