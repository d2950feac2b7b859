//! Rules of BM1684: one file an op.
//!
//! Convolutions and products are requantized by a right shift alone, which sits in the weights' scale; halves round up.
//! What has no integer form runs in f32. `spec/lowering.md` section 4 has the arithmetic.

mod add;
mod constant;
mod conv;
mod deconv;
mod matmul;
mod norm;
mod pool;
mod scale;
mod shift;

use crate::bm1684x::movement;
use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::integer;
use crate::lowered::{Lowered, OpContext};
use crate::lut;
use tpuc_kernels::unary::Function;
use tpuc_ops::{Op, top_unary};
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.mode {
        Mode::Int8 => lower_int8(context),
        _ => lower_float(context),
    }
}

fn lower_float(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.op {
        Op::TopLayerNorm(op) => norm::layer_norm(context, op),
        _ => float::lower(context, DType::F32),
    }
}

fn lower_int8(context: &OpContext) -> Result<Lowered, LowerError> {
    if let Some(lowered) = integer::shared(context)? {
        return Ok(lowered);
    }
    match context.op {
        Op::TopConv(op) => conv::int8(context, op),
        Op::TopMatMul(op) => matmul::int8(context, op),
        Op::TopAdd(op) => add::int8(context, op),
        Op::TopAvgPool(op) => pool::average_int8(context, op),
        Op::TopMaxPool(op) => pool::max_int8(context, op),
        Op::TopRelu(op) => relu(context, op),
        Op::TopDeconv(op) => deconv::int8(context, op),
        Op::TopScale(op) => scale::int8(context, op),
        Op::TopAddConst(op) => constant::add(context, op),
        Op::TopSubConst(op) => constant::sub(context, op),
        Op::TopMulConst(op) => constant::mul(context, op),
        Op::TopMaxConst(op) => constant::max(context, op),
        Op::TopMinConst(op) => constant::min(context, op),
        Op::TopSub(op) => add::sub(context, op),
        // Too steep for a table, or no function of numbers.
        Op::TopTan(_) | Op::TopClip(_) => float::lower(context, DType::F32),
        Op::TopPow2(op) if op.const_val.is_nan() || op.const_val <= 0.0 => float::lower(context, DType::F32),
        top_unary!() => match lut::function(context.op) {
            // The chip's own approximation.
            Some(Function::Gelu) => lut::int8(context, |x| Function::GeluTanh.exact(x)),
            Some(function) => lut::int8(context, |x| function.exact(x)),
            None => float::lower(context, DType::F32),
        },
        _ => lower_float(context),
    }
}

/// As a product with 64 / 64.
fn relu(context: &OpContext, op: &tpuc_ops::top::Relu) -> Result<Lowered, LowerError> {
    let mut lowered = movement::relu(context, op)?;
    for node in &mut lowered.nodes {
        if let Op::TpuRelu(relu) = &mut node.op {
            (relu.multiplier, relu.rshift) = (Some(64), Some(6));
        }
    }
    Ok(lowered)
}
