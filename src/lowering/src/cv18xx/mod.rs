//! Rules of CV183x, CV182x, CV181x and CV180x: one file an op.
//!
//! All integers are signed; requantization is a 31-bit multiplier and a shift, as in TFLite. What has no integer form runs
//! in bf16. `spec/lowering.md` section 4 has the arithmetic.

mod add;
mod conv;
mod matmul;
mod pool;
mod scale;
mod softmax;
mod table16;

use crate::bm1684x::movement;
use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::Op;
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.mode {
        Mode::Int8 => lower_int8(context),
        Mode::F16 | Mode::BF16 | Mode::F32 => lower_bf16(context),
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
        _ => lower_bf16(context),
    }
}

/// In bf16, whose functions are tables.
fn lower_bf16(context: &OpContext) -> Result<Lowered, LowerError> {
    match context.op {
        Op::TopSoftmax(op) => softmax::bf16(context, op),
        _ => float::lower(context, DType::BF16),
    }
}
