//! Arithmetic of two or more tensors that broadcast; the slopes of a PRelu.

use crate::{add, integer};
use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::binary::{Broadcast, Operation};
use tpuc_kernels::elementwise::activate_in_place;
use tpuc_kernels::{Activation, Layout};
use tpuc_ops::{Op, top, tpu};

pub(crate) fn prepare_tpu(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let all: Vec<usize> = (0..request.operands.len()).collect();
    if request.is_float_or_biased(&all)? { prepare(request) } else { integer::prepare_binary(request) }
}

pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (operation, is_reverse, activation) = match request.op {
        Op::TopSub(op) => (Operation::Sub, op.is_reverse, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TopMul(op) => (Operation::Mul, false, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TopDiv(op) => (Operation::Div, op.is_reverse, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TopMax(_) => (Operation::Max, false, Activation::None),
        Op::TopMin(_) => (Operation::Min, false, Activation::None),
        Op::TopPow3(_) => (Operation::Pow, false, Activation::None),
        Op::TopPRelu(_) | Op::TpuPReluOp(_) => (Operation::PRelu, false, Activation::None),
        Op::TpuSub(op) => (Operation::Sub, op.is_reverse, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TpuMul(op) => (Operation::Mul, false, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TpuDiv(op) => (Operation::Div, op.is_reverse, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TpuMax(op) => (Operation::Max, false, Activation::relu(op.do_relu, op.relu_limit)),
        Op::TpuMin(op) => (Operation::Min, false, Activation::relu(op.do_relu, op.relu_limit)),
        _ => return Err(request.unsupported("is no arithmetic of tensors")),
    };
    if let Op::TopSub(top::Sub { coeff: Some(coeff), is_reverse, .. }) | Op::TpuSub(tpu::Sub { coeff: Some(coeff), is_reverse, .. }) = request.op {
        let [first, second] = coeff[..] else { return Err(request.unsupported("needs two coefficients")) };
        request.need_float()?;
        let signed = if *is_reverse { vec![-first, second] } else { vec![first, -second] };
        return add::prepare_float(Some(signed), activation, request);
    }
    prepare_operation(operation, is_reverse, activation, request)
}

/// Operands from the first to the last, each with the result so far.
pub(crate) fn prepare_operation(operation: Operation, is_reverse: bool, activation: Activation, request: &Request<'_>) -> Result<Prepared, InterpError> {
    request.need_float()?;
    let shapes = (0..request.operands.len()).map(|i| request.shape(i)).collect::<Result<Vec<_>, _>>()?;
    let out = request.result.dims();
    let layout = common_layout(&shapes, &out, request);
    let dims: Vec<Vec<usize>> = shapes.iter().map(|s| layout.physical(s)).collect();
    let result = layout.physical(&out);
    let [first, second, rest @ ..] = &dims[..] else { return Err(request.unsupported("needs at least two operands")) };
    let order = if is_reverse { [1, 0] } else { [0, 1] };
    let start = Broadcast::new(if is_reverse { [second, first] } else { [first, second] }, &result)?;
    let further = rest.iter().map(|d| Broadcast::new([&result, d], &result)).collect::<Result<Vec<_>, _>>()?;
    let kernel = boxed(move |operands, y, workspace| {
        let floats = |i: usize| operand(operands, i).and_then(|o| o.floats());
        let y = y.floats()?;
        operation.apply(floats(order[0])?, floats(order[1])?, &start, y)?;
        for (i, broadcast) in further.iter().enumerate() {
            let before: &mut [f32] = workspace.scratch.grown(y.len());
            before.copy_from_slice(y);
            operation.apply(before, floats(i + 2)?, broadcast, y)?;
        }
        activate_in_place(y, activation);
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(layout); shapes.len()], result: layout })
}

/// Channels last where an operand comes so and all have the rank of the result.
pub(crate) fn common_layout(shapes: &[Vec<usize>], result: &[usize], request: &Request<'_>) -> Layout {
    let one_rank = shapes.iter().all(|s| s.len() == result.len());
    let last = one_rank && (0..shapes.len()).any(|i| request.layout(i) == Layout::ChannelsLast);
    if last { Layout::ChannelsLast } else { Layout::RowMajor }
}
