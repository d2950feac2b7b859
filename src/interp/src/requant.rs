//! RequantInt, RequantIntAxis: sums in 32 bits to 8 bits.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::ElementType;
use tpuc_kernels::requant::ChannelRequant;
use tpuc_kernels::{KernelError, Layout};
use tpuc_ops::tpu;

/// One multiplier and right shift for all.
pub(crate) fn prepare(op: &tpu::RequantInt, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let zero_point = request.result.elem.zero_point();
    if matches!(request.element(0)?, ElementType::I8 | ElementType::U8) {
        return crate::integer::prepare_unary(request);
    }
    with(op.quant_mode, op.round_mode, vec![[i64::from(op.multiplier), i64::from(op.rshift), zero_point]], 1, request)
}

/// A row of multiplier, left shift and zero point for each index of axis 1.
pub(crate) fn prepare_axis(op: &tpu::RequantIntAxis, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let shape = request.shape(0)?;
    if op.rq_axis != 1 || op.fuse_rq_axis || shape.len() < 2 {
        return Err(request.unsupported("needs axis 1 of two or more dimensions"));
    }
    let rows = request.integers(1)?.unwrap_or_default();
    let rows = match rows.len() / shape[1] {
        3 => rows.chunks_exact(3).map(|r| [i64::from(r[0]), -i64::from(r[1]), i64::from(r[2])]).collect(),
        // Shift and zero point are the halves of a word.
        2 => rows.chunks_exact(2).map(|r| [i64::from(r[0]), -i64::from(r[1] as i16), i64::from(r[1] >> 16)]).collect(),
        _ => return Err(request.unsupported(format!("needs a weight of {} rows of three or two integers as operand 1", shape[1]))),
    };
    with(op.quant_mode, op.round_mode, rows, shape[2..].iter().product(), request)
}

/// `rows` of multiplier, right shift and zero point, each for `inner` neighbours, again and again.
fn with(quant_mode: tpu::RequantMode, round_mode: tpu::RoundMode, rows: Vec<[i64; 3]>, inner: usize, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if quant_mode != tpu::RequantMode::MultiplierShift || !matches!(round_mode, tpu::RoundMode::HalfAwayFromZero | tpu::RoundMode::HalfUp) {
        return Err(request.unsupported(format!("with quant_mode {quant_mode:?} and round_mode {round_mode:?} does not run")));
    }
    if request.element(0)? != ElementType::I32 || !matches!(request.result_element()?, ElementType::I8 | ElementType::U8) || request.shape(0)? != request.result.dims() {
        return Err(request.unsupported(format!("needs 32-bit integers and an 8-bit result of one shape, found {:?} and {:?}", request.tensor_type(0)?, request.result)));
    }
    let requant = ChannelRequant { rows, inner, half_up: round_mode == tpu::RoundMode::HalfUp };
    let kernel = boxed(move |operands, y, _| -> Result<(), KernelError> { requant.run(operand(operands, 0)?.sums()?, y.ints()?) });
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    Ok(Prepared { kernel, operands, result: Layout::RowMajor })
}
