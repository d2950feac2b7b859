//! Rules of CV183x, CV182x, CV181x and CV180x: one file an op.
//!
//! All integers are signed; requantization is a 31-bit multiplier and a shift, as in TFLite. What has no integer form runs
//! in bf16. `spec/lowering.md` section 4 has the arithmetic.

use crate::chip::Mode;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::Op;
use tpuc_tensor::DType;

pub(crate) fn lower(context: &OpContext) -> Result<Lowered, LowerError> {
    match (context.mode, context.op) {
        (Mode::F16 | Mode::BF16 | Mode::F32, _) | (Mode::Int8, Op::TopInput(_)) => float::lower(context, DType::BF16),
        (Mode::Int8, _) => Err(context.unsupported("has no INT8 form yet")),
    }
}
