//! Structural ops of the Tpu dialect: those that move, pool, resize, reduce, normalize, and linear ones besides Conv2D and MatMul.
//!
//! Geometry is that of the Top op of the same name: [`Op::top_form`] gives it, and shapes, checks and kernels are asked of that.

use crate::attr::EnumAttribute;
use crate::types::ValueType;
use crate::{Op, top, tpu};

/// A pattern: structural ops of the Tpu dialect that have a Top form.
#[macro_export]
macro_rules! tpu_structure {
    () => {
        $crate::Op::TpuArg(_)
            | $crate::Op::TpuConcat(_)
            | $crate::Op::TpuConv3D(_)
            | $crate::Op::TpuDeconv(_)
            | $crate::Op::TpuDeconv3D(_)
            | $crate::Op::TpuDepth2Space(_)
            | $crate::Op::TpuGather(_)
            | $crate::Op::TpuGroupNorm(_)
            | $crate::Op::TpuInstanceNorm(_)
            | $crate::Op::TpuInterp(_)
            | $crate::Op::TpuLayerNorm(_)
            | $crate::Op::TpuPad(_)
            | $crate::Op::TpuPermute(_)
            | $crate::Op::TpuPool1D(_)
            | $crate::Op::TpuPool3D(_)
            | $crate::Op::TpuReduce(_)
            | $crate::Op::TpuReverse(_)
            | $crate::Op::TpuSlice(_)
            | $crate::Op::TpuSqueeze(_)
            | $crate::Op::TpuTile(_)
            | $crate::Op::TpuUnsqueeze(_)
            | $crate::Op::TpuUpsample(_)
    };
}

/// The fields that two structs share, and what differs.
macro_rules! form {
    ($target:ident { $($field:ident),* $(,)? } from $op:ident $(, $name:ident: $value:expr)*) => {
        top::$target { $($field: $op.$field.clone(),)* $($name: $value,)* ..Default::default() }.into()
    };
}

/// Pooling of any number of dimensions.
macro_rules! pool {
    ($op:ident) => {
        match $op.pool_mode {
            tpu::PoolMode::Avg => form!(AvgPool { kernel_shape, strides, pads, is_adaptive, keepdims, pad_value, count_include_pad, do_relu, relu_limit } from $op),
            tpu::PoolMode::Max => form!(MaxPool { kernel_shape, strides, pads, is_adaptive, keepdims, pad_value, count_include_pad, do_relu, relu_limit } from $op),
        }
    };
}

macro_rules! deconv {
    ($op:ident) => {
        form!(Deconv { kernel_shape, strides, pads, group, dilations, output_padding, do_relu, relu_limit } from $op)
    };
}

impl Op {
    /// The Top op with the geometry of a structural Tpu op. It takes as many of the leading operands as it has, but for
    /// a Pool3D, whose second operand is a buffer.
    pub fn top_form(&self) -> Option<Op> {
        Some(match self {
            Op::TpuArg(op) => form!(Arg { axis, keepdims, mode, select_last_index } from op),
            Op::TpuConcat(op) => form!(Concat { axis, only_merge, do_relu, relu_limit } from op),
            Op::TpuConv3D(op) => form!(Conv { kernel_shape, strides, pads, group, dilations, inserts, do_relu, relu_limit } from op),
            Op::TpuDeconv(op) => deconv!(op),
            Op::TpuDeconv3D(op) => deconv!(op),
            Op::TpuDepth2Space(op) => form!(Depth2Space { block_h, block_w, is_CRD, is_inversed, in_is_NCHW, out_is_NCHW, swap_cr } from op),
            Op::TpuGather(op) => form!(Gather { axis, is_lora } from op, keepdims: op.keepdims.unwrap_or(true)),
            Op::TpuGroupNorm(op) => form!(GroupNorm { num_groups, eps } from op),
            Op::TpuInstanceNorm(op) => form!(InstanceNorm { eps } from op),
            Op::TpuInterp(op) => form!(Interp { scale_h, scale_w } from op, mode: op.mode.case().to_owned(), coord_mode: op.coord_mode.case().to_owned()),
            Op::TpuLayerNorm(op) => form!(LayerNorm { normalized_shape, axis, eps } from op),
            Op::TpuPad(op) => form!(Pad { paddings, val } from op, mode: op.mode.case().to_owned()),
            Op::TpuPermute(op) => form!(Permute { order } from op),
            Op::TpuPool1D(op) => pool!(op),
            Op::TpuPool3D(op) => pool!(op),
            Op::TpuReduce(op) => form!(Reduce { axes, keepdims, mode } from op),
            Op::TpuReverse(op) => form!(Reverse { axis } from op),
            Op::TpuSlice(op) => form!(Slice { offset, steps, ends, axes, hasparamConvert_axes } from op),
            Op::TpuSqueeze(op) => form!(Squeeze { axes } from op),
            Op::TpuTile(op) => form!(Tile {} from op, tile: Some(op.tile.clone())),
            Op::TpuUnsqueeze(op) => form!(Unsqueeze { axes } from op),
            Op::TpuUpsample(op) => form!(Upsample { scale_h, scale_w, do_relu, relu_limit } from op),
            _ => return None,
        })
    }
}

/// The Top form of a structural op and its operands.
fn formed<'a>(op: &Op, operands: &'a [ValueType]) -> Result<(Op, &'a [ValueType]), String> {
    let top = op.top_form().ok_or("has no Top form")?;
    let spec = top.spec();
    let count = if spec.operands.iter().any(|o| o.variadic) { operands.len() } else { spec.operands.len() };
    Ok((top, operands.get(..count).unwrap_or(operands)))
}

fn reason(error: crate::OpError) -> String {
    match error {
        crate::OpError::Invalid { reason, .. } => reason,
        other => other.to_string(),
    }
}

pub(crate) fn infer(op: &Op, operands: &[ValueType]) -> Result<Vec<Vec<i64>>, String> {
    let (top, operands) = formed(op, operands)?;
    top.infer_shapes(operands).map_err(reason)
}

pub(crate) fn verify(op: &Op, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let (top, leading) = formed(op, operands)?;
    top.verify(leading, results).map_err(reason)?;
    match op {
        Op::TpuConcat(tpu::Concat { multipliers, rshifts, .. }) => {
            let wrong = [("multipliers", multipliers), ("rshifts", rshifts)].into_iter().find(|(_, l)| l.as_ref().is_some_and(|l| l.len() != operands.len()));
            wrong.map_or(Ok(()), |(name, list)| Err(format!("{name} has {} entries, expected {} (inputs)", list.as_ref().map_or(0, Vec::len), operands.len())))
        }
        _ => Ok(()),
    }
}

pub(crate) fn flops(op: &Op, operands: &[ValueType], results: &[ValueType]) -> i64 {
    formed(op, operands).map_or(0, |(top, operands)| top.flops(operands, results))
}
