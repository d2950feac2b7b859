//! Structural ops as the Tpu dialect has them, of whatever element type: what the rules of all chips share.

use crate::chip::Family;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::padding_mode;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Elem, Op, tpu};

/// The Tpu op of an op that only moves elements; `None` for other ops. A Pad has its constant as it is.
pub(crate) fn moved(context: &OpContext) -> Result<Option<Op>, LowerError> {
    Ok(Some(match context.op {
        Op::TopReshape(op) => tpu::Reshape { shape: op.shape.clone(), flatten_start_dim: op.flatten_start_dim }.into(),
        Op::TopPermute(op) => tpu::Permute { order: op.order.clone() }.into(),
        Op::TopSlice(op) => {
            let op = op.clone();
            tpu::Slice { offset: op.offset, steps: op.steps, ends: op.ends, axes: op.axes, hasparamConvert_axes: op.hasparamConvert_axes }.into()
        }
        // A view like others there, whose shape is that of its type.
        Op::TopSqueeze(_) if context.chip.family == Family::Bm1684 => tpu::Reshape { shape: Some(vec![]), flatten_start_dim: -1 }.into(),
        Op::TopSqueeze(op) => tpu::Squeeze { axes: op.axes.clone(), is_scalar: Some(op.is_scalar) }.into(),
        Op::TopUnsqueeze(op) => tpu::Unsqueeze { axes: op.axes.clone() }.into(),
        Op::TopTile(op) => tpu::Tile { tile: op.tile.clone().ok_or_else(|| context.unsupported("needs its counts as an attribute"))? }.into(),
        Op::TopDepth2Space(op) => tpu::Depth2Space {
            block_h: op.block_h,
            block_w: op.block_w,
            is_CRD: op.is_CRD,
            is_inversed: op.is_inversed,
            in_is_NCHW: op.in_is_NCHW,
            out_is_NCHW: op.out_is_NCHW,
            swap_cr: op.swap_cr,
        }
        .into(),
        Op::TopReverse(op) => tpu::Reverse { axis: op.axis }.into(),
        Op::TopUpsample(op) => tpu::Upsample { scale_h: op.scale_h, scale_w: op.scale_w, do_relu: op.do_relu, relu_limit: op.relu_limit }.into(),
        Op::TopPad(op) => tpu::Pad { paddings: op.paddings.clone(), val: op.val, mode: padding_mode(context, &op.mode)?, ..Default::default() }.into(),
        _ => return Ok(None),
    }))
}

/// A node under the layer's name. Operands that are not given are absent.
pub(crate) fn push(context: &OpContext, lowered: &mut Lowered, op: impl Into<Op>, mut operands: Vec<OperandRef>, elem: Elem) -> OperandRef {
    let op = op.into();
    let spec = op.spec();
    if !spec.operands.iter().any(|o| o.variadic) {
        operands.resize(spec.operands.len(), OperandRef::None);
    }
    lowered.push(op, operands, context.name, context.result_type(elem))
}

/// The Tpu op of a resize, a reduction, a search of extrema or a normalization; `None` for other ops.
pub(crate) fn computed(context: &OpContext) -> Result<Option<Op>, LowerError> {
    Ok(Some(match context.op {
        Op::TopInterp(op) => {
            let unknown = |what: &str, word: &str| context.unsupported(format!("unknown {what} '{word}'"));
            let mode = tpu::ResizeMode::from_case(&op.mode).ok_or_else(|| unknown("mode", &op.mode))?;
            let coord_mode = tpu::ResizeCoordMode::from_case(&op.coord_mode).ok_or_else(|| unknown("coord_mode", &op.coord_mode))?;
            tpu::Interp { scale_h: op.scale_h, scale_w: op.scale_w, mode, coord_mode, ppl_flag: false }.into()
        }
        Op::TopReduce(op) => {
            tpu::Reduce { axes: op.axes.clone(), keepdims: op.keepdims, mode: op.mode.clone(), is_scalar: Some(op.is_scalar), multiplier: None, rshift: None }.into()
        }
        Op::TopArg(op) => tpu::Arg { axis: op.axis, keepdims: op.keepdims, mode: op.mode.clone(), select_last_index: op.select_last_index, use_int_input: false }.into(),
        Op::TopLayerNorm(op) => tpu::LayerNorm { normalized_shape: op.normalized_shape.clone(), axis: op.axis, eps: op.eps }.into(),
        Op::TopInstanceNorm(op) => tpu::InstanceNorm { eps: op.eps }.into(),
        Op::TopGroupNorm(op) => tpu::GroupNorm { num_groups: op.num_groups, eps: op.eps }.into(),
        _ => return Ok(None),
    }))
}

/// An Expand as the repetition that it is: the counts for an input that has been given leading dimensions of size 1.
pub(crate) fn repetitions(context: &OpContext) -> Result<(Vec<i64>, Vec<i64>), LowerError> {
    let (input, result) = (&context.tensor(0)?.shape, &context.result.shape);
    let lead = result.len().checked_sub(input.len()).ok_or_else(|| context.unsupported("has a result of fewer dimensions than its input"))?;
    let mut shape = vec![1; lead];
    shape.extend(input);
    let counts = shape.iter().zip(result).map(|(&from, &to)| if from > 0 { to / from } else { 0 }).collect();
    Ok((shape, counts))
}
