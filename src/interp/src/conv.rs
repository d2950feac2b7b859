//! Conv, Conv2D.

use crate::error::InterpError;
use crate::kernel::{Kernel, Prepared, Request, boxed, operand};
use crate::view::{ElementType, Slice, SliceMut};
use crate::{FloatOrder, LARGE};
use tpuc_kernels::conv::{ConvShape, FloatConv, IntConv};
use tpuc_kernels::requant::Requant;
use tpuc_kernels::pad::{Border, pad};
use tpuc_kernels::{Activation, Ints, KernelError, Layout, Workspace};
use tpuc_ops::{top, tpu};
use tpuc_tensor::DType;

pub(crate) fn prepare_top(op: &top::Conv, request: &Request<'_>) -> Result<Prepared, InterpError> {
    check_inserts(op.inserts.as_deref(), request)?;
    let shape = ConvShape::new(&request.shape(0)?, &request.shape(1)?, &op.strides, &op.pads, op.dilations.as_deref(), op.group)?;
    prepare_float(shape, Activation::relu(op.do_relu, op.relu_limit), request)
}

pub(crate) fn prepare_tpu(op: &tpu::Conv2D, request: &Request<'_>) -> Result<Prepared, InterpError> {
    check_inserts(op.inserts.as_deref(), request)?;
    let shape = ConvShape::new(&request.shape(0)?, &request.shape(1)?, &op.strides, &op.pads, op.dilations.as_deref(), op.group)?;
    if request.is_float_or_biased(&[0])? {
        return prepare_float(shape, Activation::relu(op.do_relu, op.relu_limit), request);
    }
    if op.kernel_zp != 0 {
        return Err(request.unsupported("with a zero point of the filter does not run"));
    }
    check_result(&shape, request)?;
    let Some(weights) = request.bytes(1)? else { return Err(request.unsupported("needs a weight as 8-bit filter")) };
    let bias = request.bias(2, request.integers(2)?)?;
    let one = vec![1];
    let (Some(multiplier), Some(shift)) = (op.multiplier.as_ref().or((op.quant_mode == tpu::RequantMode::OnlyShift).then_some(&one)), &op.rshift) else {
        return Err(request.unsupported("needs multiplier and rshift for an 8-bit result"));
    };
    // An unsigned result saturates at 0 by itself; a limit is folded into its scale.
    let requant = Requant::new(shape.filter[0], bias.as_deref(), multiplier, shift, op.do_relu)?.with_style(request.requant_style(op.quant_mode)?);
    let requant = requant.with_zero_point(request.result_zero_point());
    if request.zero_point(0) != 0 && op.pads.iter().any(|&p| p != 0) {
        return prepare_padded(op, request, &weights, requant);
    }
    let conv = IntConv::new(&shape, request.element(0)? == ElementType::I8, &weights, requant)?;
    let kernel = boxed(move |operands, y, workspace| conv.run(operand(operands, 0)?.ints()?, y.ints()?, workspace));
    Ok(Prepared { kernel, operands: vec![Some(Layout::ChannelsLast), None, None], result: Layout::ChannelsLast })
}

/// Padding with the zero point of the input, then a convolution without.
fn prepare_padded(op: &tpu::Conv2D, request: &Request<'_>, weights: &[i16], requant: Requant) -> Result<Prepared, InterpError> {
    let (input, spatial) = (request.shape(0)?, op.pads.len() / 2);
    let mut padded = input.clone();
    for d in 0..spatial {
        padded[2 + d] += (op.pads[d] + op.pads[spatial + d]) as usize;
    }
    let shape = ConvShape::new(&padded, &request.shape(1)?, &op.strides, &vec![0; op.pads.len()], op.dilations.as_deref(), op.group)?;
    check_result(&shape, request)?;
    let conv = IntConv::new(&shape, request.element(0)? == ElementType::I8, weights, requant)?;
    let around = |pads: &[i64]| [&[0], pads, &[0]].concat();
    let (before, after, value) = (around(&op.pads[..spatial]), around(&op.pads[spatial..]), request.zero_point(0));
    let (from, count) = (Layout::ChannelsLast.physical(&input), padded.iter().product());
    let kernel = boxed(move |operands, y, workspace| match operand(operands, 0)?.ints()? {
        Ints::I8(x) => {
            let mut filled = vec![0i8; count];
            pad(x, &from, &before, &after, Border::Constant(value as i8), &mut filled)?;
            conv.run(Ints::I8(&filled), y.ints()?, workspace)
        }
        Ints::U8(x) => {
            let mut filled = vec![0u8; count];
            pad(x, &from, &before, &after, Border::Constant(value as u8), &mut filled)?;
            conv.run(Ints::U8(&filled), y.ints()?, workspace)
        }
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::ChannelsLast), None, None], result: Layout::ChannelsLast })
}

fn prepare_float(shape: ConvShape, activation: Activation, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0, 1])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    check_result(&shape, request)?;
    let bias = request.bias(2, request.floats(2)?)?;
    // A filter that is computed is prepared anew for each run: not worth tiles.
    let halves = request.constant(1).is_some() && matches!(request.tensor_type(0)?.elem.storage(), DType::F16 | DType::BF16);
    let is_fast = match request.options.order {
        FloatOrder::Fast => true,
        FloatOrder::FastWhereLarge => shape.products() >= LARGE,
        FloatOrder::Reference => false,
    };
    let prepared = move |shape: &ConvShape, weights: &[f32], bias: Option<&[f32]>| match is_fast {
        true if halves => FloatConv::of_halves(shape, weights, bias, activation),
        true => FloatConv::new(shape, weights, bias, activation, Layout::ChannelsLast),
        false => FloatConv::in_reference_order(shape, weights, bias, activation),
    };
    if let Some(weights) = request.floats(1)? {
        let conv = prepared(&shape, weights, bias)?;
        let layout = conv.layout();
        return Ok(Prepared { kernel: Box::new(ConstantFilter(conv)), operands: vec![Some(layout), None, None], result: layout });
    }
    // A filter that is computed is prepared at every run.
    let bias = bias.map(<[f32]>::to_vec);
    let layout = prepared(&shape, &vec![0.0; shape.filter.iter().product()], bias.as_deref())?.layout();
    let kernel = boxed(move |operands, y, workspace| {
        let conv = prepared(&shape, operand(operands, 1)?.floats()?, bias.as_deref())?;
        conv.run(operand(operands, 0)?.floats()?, y.floats()?, workspace)
    });
    Ok(Prepared { kernel, operands: vec![Some(layout), Some(Layout::RowMajor), None], result: layout })
}

/// A float convolution of a constant filter, computed nearly ([`FloatConv::near`]); `None` where that takes no less time.
pub(crate) fn prepare_near(op: &top::Conv, request: &Request<'_>) -> Result<Option<Prepared>, InterpError> {
    let shape = ConvShape::new(&request.shape(0)?, &request.shape(1)?, &op.strides, &op.pads, op.dilations.as_deref(), op.group)?;
    let Some(weights) = request.floats(1)?.filter(|_| shape.products() >= LARGE) else { return Ok(None) };
    check_inserts(op.inserts.as_deref(), request)?;
    check_result(&shape, request)?;
    let bias = request.bias(2, request.floats(2)?)?;
    let Some(conv) = FloatConv::near(&shape, weights, bias, Activation::relu(op.do_relu, op.relu_limit))? else { return Ok(None) };
    let layout = conv.layout();
    Ok(Some(Prepared { kernel: Box::new(ConstantFilter(conv)), operands: vec![Some(layout), None, None], result: layout }))
}

/// A float convolution whose filter was packed when it was prepared.
struct ConstantFilter(FloatConv);

impl Kernel for ConstantFilter {
    fn run(&self, operands: &[Option<Slice<'_>>], result: SliceMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        self.0.run(operand(operands, 0)?.floats()?, result.floats()?, workspace)
    }

    fn scratch_bytes(&self) -> usize {
        self.0.scratch_bytes()
    }

    fn shared_bytes(&self) -> usize {
        self.0.shared_bytes()
    }

    fn run_many(&self, operands: &[Vec<Option<Slice<'_>>>], results: Vec<SliceMut<'_>>, workspace: &mut Workspace) -> Result<(), KernelError> {
        let xs = operands.iter().map(|o| operand(o, 0)?.floats()).collect::<Result<Vec<_>, _>>()?;
        let mut ys = results.into_iter().map(SliceMut::floats).collect::<Result<Vec<_>, _>>()?;
        self.0.run_many(&xs, &mut ys, workspace)
    }
}

fn check_inserts(inserts: Option<&[i64]>, request: &Request<'_>) -> Result<(), InterpError> {
    match inserts {
        Some(list) if list.iter().any(|&v| v != 0) => Err(request.unsupported("with inserts does not run")),
        _ => Ok(()),
    }
}

fn check_result(shape: &ConvShape, request: &Request<'_>) -> Result<(), InterpError> {
    let found = request.result.dims();
    if found != shape.output {
        return Err(request.unsupported(format!("has a result of shape {found:?}, expected {:?}", shape.output)));
    }
    Ok(())
}
