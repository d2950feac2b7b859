//! Rules of BM1684X (and of the chips that compute as it does): one file an op.
//!
//! Requantization is a multiplier and a right shift per layer or output channel; halves round up. `spec/lowering.md`
//! section 4 has the arithmetic.

mod add;
mod attention;
pub(crate) mod binary;
pub(crate) mod choice;
pub(crate) mod constant;
mod conv;
mod deconv;
mod matmul;
pub(crate) mod movement;
pub(crate) mod pool;
pub(crate) mod rescale;
mod softmax;
pub(crate) mod unary;

use crate::ahead::Quantized;
use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::integer;
use crate::lowered::{Lowered, OpContext};
use crate::lut;
use crate::parts::ConvWeights;
use tpuc_ops::{Op, top_unary};
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.mode {
        Mode::Int8 => lower_int8(context),
        mode => match context.op {
            // The chip has no form in f32.
            Op::TopAttention(op) => attention::float(context, op, if mode == Mode::BF16 { DType::BF16 } else { DType::F16 }),
            op => float::lower(context, float_type(op, mode)),
        },
    }
}

/// The weights of products in 8 bits.
pub(crate) fn prepare(context: &OpContext) -> Option<Quantized> {
    match (context.mode, context.op) {
        (Mode::Int8, Op::TopConv(_)) => ConvWeights::of(context).ok().map(|weights| conv::quantized(&weights)),
        (Mode::Int8, Op::TopMatMul(_)) => context.floats(1).map(|values| matmul::quantized(&values)),
        _ => None,
    }
}

/// The type in which an op computes in a float mode. The chip has no half-float form of functions that it sums from series
/// or divides in, nor of means in f16.
fn float_type(op: &Op, mode: Mode) -> DType {
    match (mode, op) {
        // Extrema are found among f32.
        (_, Op::TopArg(_)) => DType::F32,
        (_, op) if unary::needs_f32(op, mode) => DType::F32,
        (Mode::BF16, _) => DType::BF16,
        (Mode::F16, Op::TopAvgPool(_) | Op::TopInstanceNorm(_)) | (Mode::F32 | Mode::Int8, _) => DType::F32,
        _ => DType::F16,
    }
}

fn lower_int8(context: &OpContext) -> Result<Lowered, LowerError> {
    if let Some(lowered) = integer::shared(context)? {
        return Ok(lowered);
    }
    match context.op {
        Op::TopConv(op) => conv::int8(context, op),
        Op::TopMatMul(op) => matmul::int8(context, op),
        Op::TopAttention(op) => attention::int8(context, op),
        Op::TopAdd(op) => add::int8(context, op),
        Op::TopAvgPool(op) => pool::average_int8(context, op),
        Op::TopMaxPool(op) => pool::max_int8(context, op),
        Op::TopRelu(op) => movement::relu(context, op),
        Op::TopSoftmax(op) => match softmax::is_integer(context, op) {
            true => softmax::int8(context, op),
            false => float::lower(context, context.chip.fallback),
        },
        Op::TopAbs(_) => unary::abs(context),
        Op::TopAddConst(op) => constant::add(context, op),
        Op::TopSubConst(op) => constant::sub(context, op),
        Op::TopMulConst(op) => constant::mul(context, op),
        Op::TopMaxConst(op) => constant::max(context, op),
        Op::TopMinConst(op) => constant::min(context, op),
        Op::TopSub(op) => binary::sub(context, op),
        Op::TopCompare(op) => choice::compare(context, op),
        Op::TopCompareConst(op) => choice::compare_const(context, op),
        Op::TopWhere(op) => choice::select(context, op),
        // Quotients, powers of tensors, and what has too steep a slope for a table.
        Op::TopDiv(_) | Op::TopPow3(_) | Op::TopTan(_) => float::lower(context, DType::F32),
        Op::TopClip(_) | Op::TopScale(_) => float::lower(context, context.chip.fallback),
        Op::TopPow2(op) if op.const_val.is_nan() || op.const_val <= 0.0 => float::lower(context, DType::F32),
        top_unary!() => match lut::function(context.op) {
            Some(function) => lut::int8(context, |x| function.exact(x)),
            None => Err(context.unsupported("has no INT8 form")),
        },
        Op::TopBatchNorm(_) => Err(context.unsupported("top_optimize turns it into a convolution; its scale and bias must be weights")),
        Op::TopGather(_) | Op::TopInterp(_) | Op::TopReduce(_) | Op::TopLayerNorm(_) => {
            float::lower(context, context.chip.fallback)
        }
        Op::TopInstanceNorm(_) | Op::TopGroupNorm(_) | Op::TopArg(_) => float::lower(context, DType::F32),
        Op::TopDeconv(op) => deconv::int8(context, op),
        Op::TopSplit(_) => Err(context.unsupported("top-split-to-slice turns it into Slices")),
        Op::TopNone(_) | Op::TopWeight(_) => Err(context.unsupported("a constant is not computed")),
        op if op.name().starts_with("tpu.") => Err(context.unsupported("is lowered already")),
        _ => Err(context.unsupported("has no INT8 form")),
    }
}
