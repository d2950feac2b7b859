//! Rules in 8 bits that are the same on every chip, or on those of both BM families.

use crate::bm1684x::{binary, movement, unary};
use crate::chip::Family;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::{Op, tpu};

/// What an op becomes whose integer form no chip has for itself; `None` for other ops.
pub(crate) fn shared(context: &OpContext) -> Result<Option<Lowered>, LowerError> {
    let family = context.chip.family;
    let lowered = match context.op {
        Op::TopInput(op) => movement::input(context, op),
        Op::TopReshape(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) if movement::views_float(context) => {
            float::lower(context, context.operands[0].computed.storage())
        }
        Op::TopPad(_) | Op::TopReshape(_) | Op::TopPermute(_) | Op::TopSlice(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) | Op::TopTile(_)
        | Op::TopDepth2Space(_) | Op::TopReverse(_) | Op::TopUpsample(_) => movement::moved(context),
        Op::TopExpand(_) => movement::expand(context),
        Op::TopConcat(op) => movement::concat(context, op),
        Op::TopMax(_) => binary::extremum(context, tpu::Max::default()),
        Op::TopMin(_) => binary::extremum(context, tpu::Min::default()),
        Op::TopMul(op) if family != Family::Cv18xx => binary::mul(context, op),
        Op::TopLeakyRelu(op) if family != Family::Cv18xx => unary::leaky_relu(context, op),
        Op::TopPRelu(_) if family != Family::Cv18xx => unary::prelu(context),
        _ => return Ok(None),
    };
    lowered.map(Some)
}
