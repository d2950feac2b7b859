//! Rules of BM1684X (and of the chips that compute as it does): one file an op.
//!
//! Requantization is a multiplier and a right shift per layer or output channel; halves round up. `spec/lowering.md`
//! section 4 has the arithmetic.

mod add;
mod conv;
mod matmul;
pub(crate) mod movement;
pub(crate) mod pool;
mod softmax;

use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::{Op, top_binary, top_const, top_unary, tpu_binary, tpu_choice, tpu_unary};
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.mode {
        Mode::Int8 => lower_int8(context),
        Mode::F16 | Mode::BF16 | Mode::F32 => float::lower(context, float_type(context.op, context.mode)),
    }
}

/// The type in which an op computes in a float mode. The chip has no half-float form of functions that it sums from series
/// or divides in, nor of means in f16.
fn float_type(op: &Op, mode: Mode) -> DType {
    match (mode, op) {
        (Mode::BF16, _) => DType::BF16,
        (Mode::F16, Op::TopAvgPool(_)) | (Mode::F32 | Mode::Int8, _) => DType::F32,
        (Mode::F16, _) => DType::F16,
    }
}

fn lower_int8(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.op {
        Op::TopInput(op) => movement::input(context, op),
        Op::TopConv(op) => conv::int8(context, op),
        Op::TopMatMul(op) => matmul::int8(context, op),
        Op::TopAdd(op) => add::int8(context, op),
        Op::TopAvgPool(op) => pool::average_int8(context, op),
        Op::TopMaxPool(op) => pool::max_int8(context, op),
        Op::TopRelu(op) => movement::relu(context, op),
        Op::TopPad(op) => movement::pad(context, op),
        Op::TopReshape(op) => movement::reshape(context, op),
        Op::TopSoftmax(op) => match softmax::is_integer(context, op) {
            true => softmax::int8(context, op),
            false => float::lower(context, context.chip.fallback),
        },
        Op::TopScale(_) | Op::TopBatchNorm(_) => Err(context.unsupported("top_optimize turns it into a convolution; its scale and bias must be weights")),
        Op::TopClip(_) => Err(context.unsupported("needs float arithmetic")),
        Op::TopArg(_) | Op::TopCompare(_) | Op::TopCompareConst(_) | Op::TopConcat(_) | Op::TopDeconv(_) | Op::TopDepth2Space(_) | Op::TopExpand(_) | Op::TopGather(_)
        | Op::TopGroupNorm(_) | Op::TopInstanceNorm(_) | Op::TopInterp(_) | Op::TopLayerNorm(_) | Op::TopPermute(_) | Op::TopReduce(_) | Op::TopReverse(_)
        | Op::TopSlice(_) | Op::TopSplit(_) | Op::TopSqueeze(_) | Op::TopTile(_) | Op::TopUnsqueeze(_) | Op::TopUpsample(_) | Op::TopWhere(_) => {
            Err(context.unsupported("cannot be lowered yet"))
        }
        Op::TopPRelu(_) | top_unary!() | top_binary!() | top_const!() => Err(context.unsupported("has no INT8 form yet")),
        Op::TopNone(_) | Op::TopWeight(_) => Err(context.unsupported("a constant is not computed")),
        Op::TpuAdd(_) | Op::TpuCast(_) | Op::TpuConv2D(_) | Op::TpuMatMul(_) | Op::TpuPad(_) | Op::TpuPool2D(_) | Op::TpuRelu(_) | Op::TpuReshape(_)
        | Op::TpuSoftmax(_) => Err(context.unsupported("is lowered already")),
        tpu_unary!() | tpu_binary!() | tpu_choice!() => Err(context.unsupported("is lowered already")),
    }
}
