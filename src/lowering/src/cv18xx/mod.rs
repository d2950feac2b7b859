//! Rules of CV183x, CV182x, CV181x and CV180x: one file an op.
//!
//! All integers are signed; requantization is a 31-bit multiplier and a shift, as in TFLite. What has no integer form runs
//! in bf16. `spec/lowering.md` section 4 has the arithmetic.

mod add;
mod arithmetic;
mod conv;
mod deconv;
mod matmul;
mod norm;
mod pool;
mod reduce;
pub(crate) mod scale;
mod softmax;
mod table16;
mod unary;

use crate::bm1684x::movement;
use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::integer;
use crate::lowered::{Lowered, OpContext};
use crate::lut;
use tpuc_ops::{Op, top_unary, tpu};
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.mode {
        Mode::Int8 => lower_int8(context),
        _ => lower_bf16(context),
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
        Op::TopRelu(op) if op.relu_limit > 0.0 => lower_bf16(context),
        Op::TopRelu(op) => movement::relu(context, op),
        Op::TopReduce(op) => reduce::int8(context, op),
        Op::TopDeconv(op) => deconv::int8(context, op),
        Op::TopSub(op) => add::int8(context, &arithmetic::as_sum(op)),
        Op::TopMul(op) => arithmetic::mul_int8(context, op),
        Op::TopMaxConst(op) => arithmetic::extremum_const(context, tpu::Max::default(), "max", op.const_val),
        Op::TopMinConst(op) => arithmetic::extremum_const(context, tpu::Min::default(), "min", op.const_val),
        Op::TopMulConst(op) => lut::int8(context, |x| limited(x * op.const_val, op.do_relu)),
        Op::TopSubConst(op) if op.is_reverse => lut::int8(context, |x| limited(op.const_val - x, op.do_relu)),
        Op::TopLeakyRelu(op) => arithmetic::leaky_relu(context, op),
        Op::TopPRelu(_) => arithmetic::prelu(context),
        Op::TopAbs(_) => crate::bm1684x::unary::abs(context),
        Op::TopTan(_) => lower_bf16(context),
        Op::TopPow2(op) if op.const_val.is_nan() || op.const_val <= 0.0 => lower_bf16(context),
        top_unary!() => match lut::function(context.op) {
            Some(function) => lut::int8(context, |x| function.exact(x)),
            None => lower_bf16(context),
        },
        _ => lower_bf16(context),
    }
}

fn limited(x: f64, do_relu: bool) -> f64 {
    if do_relu { x.max(0.0) } else { x }
}

/// In bf16, whose functions are tables.
fn lower_bf16(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.op {
        Op::TopSoftmax(op) => softmax::bf16(context, op),
        Op::TopLayerNorm(op) => norm::layer_norm(context, op),
        // On the host.
        Op::TopInterp(_) => float::lower(context, DType::F32),
        Op::TopRelu(op) if op.relu_limit > 0.0 => unary::clip(context, 0.0, op.relu_limit),
        Op::TopSub(op) => float::add(context, &arithmetic::as_sum(op), DType::BF16),
        Op::TopMul(op) => arithmetic::mul_bf16(context, op),
        Op::TopDiv(op) => arithmetic::div_bf16(context, op),
        Op::TopAddConst(op) => arithmetic::add_const_bf16(context, op.const_val, op.do_relu, op.relu_limit),
        Op::TopSubConst(op) if !op.is_reverse => arithmetic::add_const_bf16(context, -op.const_val, op.do_relu, op.relu_limit),
        Op::TopSubConst(op) => unary::slope(context, 15.0, |x| limited(op.const_val - x, op.do_relu)),
        Op::TopMulConst(op) => unary::slope(context, 15.0, |x| limited(x * op.const_val, op.do_relu)),
        Op::TopMaxConst(op) => arithmetic::extremum_const_bf16(context, tpu::Max::default(), "max", op.const_val),
        Op::TopMinConst(op) => arithmetic::extremum_const_bf16(context, tpu::Min::default(), "min", op.const_val),
        Op::TopAbs(_) => float::lower(context, DType::BF16),
        top_unary!() => unary::bf16(context),
        _ => float::lower(context, DType::BF16),
    }
}
