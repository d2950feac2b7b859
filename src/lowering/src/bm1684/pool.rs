//! Pooling: in integers up to the size of windows that the chip knows, within one scale.

use crate::bm1684x::pool;
use crate::error::LowerError;
use crate::float;
use crate::lowered::{Lowered, OpContext};
use tpuc_ops::top;

/// The most rows or columns of a window of integers.
const LARGEST_KERNEL: i64 = 15;

pub(super) fn average_int8(context: &OpContext, op: &top::AvgPool) -> Result<Lowered, LowerError> {
    match fits(&op.kernel_shape) && !op.is_adaptive {
        true => pool::average_int8(context, op),
        false => float::lower(context, context.chip.fallback),
    }
}

pub(super) fn max_int8(context: &OpContext, op: &top::MaxPool) -> Result<Lowered, LowerError> {
    match fits(&op.kernel_shape) && !op.is_adaptive {
        true => pool::max_int8(context, op),
        false => float::lower(context, context.chip.fallback),
    }
}

fn fits(kernel: &[i64]) -> bool {
    kernel.len() == 2 && kernel.iter().all(|&k| k <= LARGEST_KERNEL)
}
