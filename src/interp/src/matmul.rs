//! MatMul.

use crate::error::InterpError;
use crate::kernel::{Kernel, Prepared, Request, boxed, half_float, operand};
use crate::view::{ElementType, Slice, SliceMut};
use tpuc_kernels::matmul::{FloatMatMul, IntMatMul, MatMulShape};
use tpuc_kernels::requant::Requant;
use tpuc_kernels::{Activation, KernelError, Layout, Workspace};
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_top(op: &top::MatMul, request: &Request<'_>) -> Result<Prepared, InterpError> {
    check(op.hdim_is_batch || op.output_transpose, request)?;
    prepare_float(op.left_transpose, op.right_transpose, Activation::relu(op.do_relu, op.relu_limit), request)
}

pub(crate) fn prepare_tpu(op: &tpu::MatMul, request: &Request<'_>) -> Result<Prepared, InterpError> {
    check(op.hdim_is_batch || op.output_transpose, request)?;
    if request.is_float_or_biased(&[0])? {
        return prepare_float(op.left_transpose, op.right_transpose, Activation::relu(op.do_relu, op.relu_limit), request);
    }
    if request.zero_point(1) != 0 || request.zero_point(0) != 0 && request.constant(1).is_none() {
        return Err(request.unsupported("of two computed operands with zero points does not run"));
    }
    if op.input_zp != 0 || op.right_zp != 0 {
        return Err(request.unsupported("with zero points does not run"));
    }
    let shape = shape(op.left_transpose, op.right_transpose, request)?;
    let right = request.bytes(1)?;
    let bias = request.bias(2, request.integers(2)?)?;
    let requant = Requant::new(shape.columns(), bias.as_deref(), &op.multipliers, &op.rshifts, op.do_relu)?.with_style(request.requant_style(op.quant_mode)?);
    let requant = requant.with_zero_point(request.result_zero_point());
    // The zero point of the left operand is in the bias.
    let product = IntMatMul::new(&shape, request.element(0)? == ElementType::I8, right.as_deref(), request.element(1)? == ElementType::I8, requant)?;
    let kernel = boxed(move |operands, y, workspace| {
        let right = operands.get(1).copied().flatten().map(Slice::ints).transpose()?;
        product.run(operand(operands, 0)?.ints()?, right, y.ints()?, workspace)
    });
    Ok(prepared(kernel, right.is_some(), request))
}

/// Weights of 8 or 4 bits become floats of the activations' type once; then it is a float product.
pub(crate) fn prepare_groups(op: &tpu::A16MatMul, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let half = half_float(&request.tensor_type(0)?.elem).filter(|_| request.is_float(&[0]) == Ok(true));
    let half = half.ok_or_else(|| request.unsupported("needs activations in f16 or bf16"))?;
    let (bytes, scales, zero_points) = (request.bytes(1)?, request.floats(2)?, request.bytes(3)?);
    let (Some(bytes), Some(scales), Some(zero_points)) = (bytes, scales, zero_points) else {
        return Err(request.unsupported("needs weights as operands 1, 2 and 3"));
    };
    // The verifier has seen that these fit together.
    let (columns, depth, size) = (request.shape(1)?[0], request.shape(0)?.last().copied().unwrap_or(0), op.q_group_size.max(1) as usize);
    let integer = |at: usize| match op.weight_bits {
        4 => bytes[at / 2] >> (4 * (at % 2)) & 15,
        _ => bytes[at],
    };
    let value = |at: usize| (integer(at) - zero_points[at / size]) as f32 * scales[at / size];
    let mut right: Vec<f32> = (0..columns * depth).map(value).collect();
    half.round_slice(&mut right);
    let shape = MatMulShape::new(&request.shape(0)?, &[columns, depth], false, true)?;
    let bias = request.bias(4, request.floats(4)?)?;
    let product = FloatMatMul::new(&shape, Some(&right), bias, Activation::None)?;
    let kernel = boxed(move |operands, y, workspace| product.run(operand(operands, 0)?.floats()?, &[], y.floats()?, workspace));
    Ok(prepared(kernel, true, request))
}

fn prepare_float(left_transpose: bool, right_transpose: bool, activation: Activation, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0, 1])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let shape = shape(left_transpose, right_transpose, request)?;
    let right = request.floats(1)?;
    let bias = request.bias(2, request.floats(2)?)?;
    let product = FloatMatMul::new(&shape, right, bias, activation)?;
    Ok(prepared(Box::new(FloatProduct(product)), right.is_some(), request))
}

/// A float product; its right operand is the second, where it is not constant.
struct FloatProduct(FloatMatMul);

impl Kernel for FloatProduct {
    fn run(&self, operands: &[Option<Slice<'_>>], result: SliceMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        let right = operands.get(1).copied().flatten().map_or(Ok(&[][..]), Slice::floats)?;
        self.0.run(operand(operands, 0)?.floats()?, right, result.floats()?, workspace)
    }

    fn shared_bytes(&self) -> usize {
        self.0.shared_bytes()
    }

    fn run_many(&self, operands: &[Vec<Option<Slice<'_>>>], results: Vec<SliceMut<'_>>, workspace: &mut Workspace) -> Result<(), KernelError> {
        if self.shared_bytes() == 0 {
            return operands.iter().zip(results).try_for_each(|(operands, result)| self.run(operands, result, workspace));
        }
        let lefts = operands.iter().map(|o| operand(o, 0)?.floats()).collect::<Result<Vec<_>, _>>()?;
        let mut ys = results.into_iter().map(SliceMut::floats).collect::<Result<Vec<_>, _>>()?;
        self.0.run_many(&lefts, &mut ys, workspace)
    }
}

fn prepared(kernel: Box<dyn Kernel>, constant: bool, request: &Request<'_>) -> Prepared {
    let mut operands = vec![None; request.operands.len()];
    operands[0] = Some(Layout::RowMajor);
    operands[1] = (!constant).then_some(Layout::RowMajor);
    Prepared { kernel, operands, result: Layout::RowMajor }
}

fn shape(left_transpose: bool, right_transpose: bool, request: &Request<'_>) -> Result<MatMulShape, InterpError> {
    let shape = MatMulShape::new(&request.shape(0)?, &request.shape(1)?, left_transpose, right_transpose)?;
    if shape.output.iter().product::<usize>() as i64 != request.result.count() {
        return Err(request.unsupported(format!("has a result of shape {:?}, expected {:?}", request.result.shape, shape.output)));
    }
    Ok(shape)
}

fn check(unsupported: bool, request: &Request<'_>) -> Result<(), InterpError> {
    if unsupported { Err(request.unsupported("with hdim_is_batch or output_transpose does not run")) } else { Ok(()) }
}
