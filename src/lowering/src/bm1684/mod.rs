//! Rules of BM1684: one file an op.
//!
//! Convolutions and products are requantized by a right shift alone, which sits in the weights' scale; halves round up.
//! What has no integer form runs in f32. `spec/lowering.md` section 4 has the arithmetic.

use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::Op;
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match (context.mode, context.op) {
        (Mode::F16 | Mode::BF16 | Mode::F32, _) | (Mode::Int8, Op::TopInput(_)) => float::lower(context, DType::F32),
        (Mode::Int8, _) => Err(context.unsupported("has no INT8 form yet")),
    }
}
