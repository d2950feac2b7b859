//! Deconv.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::ElementType;
use tpuc_kernels::deconv::{self, Deconv, DeconvShape};
use tpuc_kernels::requant::Requant;
use tpuc_kernels::{Activation, Ints, Layout};
use tpuc_ops::{Op, top, tpu};

pub(crate) fn prepare(op: &top::Deconv, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if !request.is_float(&[0])? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    let Some(weights) = request.floats(1)? else { return Err(request.unsupported("needs a weight as filter")) };
    let bias = request.bias(2, request.floats(2)?)?;
    let shape = geometry(op, request)?;
    let deconv = Deconv::new(&shape, weights, bias, Activation::relu(op.do_relu, op.relu_limit))?;
    let kernel = boxed(move |operands, y, workspace| deconv.run(operand(operands, 0)?.floats()?, y.floats()?, workspace));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None, None], result: Layout::RowMajor })
}

fn geometry(op: &top::Deconv, request: &Request<'_>) -> Result<DeconvShape, InterpError> {
    let (input, filter, result) = (request.shape(0)?, request.shape(1)?, request.result.dims());
    let spatial = op.kernel_shape.len();
    if !(1..=3).contains(&spatial) || [input.len(), filter.len(), result.len()] != [spatial + 2; 3] {
        return Err(request.unsupported("needs one to three spatial dimensions"));
    }
    let three = |list: &[usize], fill: usize| {
        let mut out = [fill; 3];
        out[3 - spatial..].copy_from_slice(list);
        out
    };
    let positive = |list: &[i64]| list.iter().map(|&v| v.max(0) as usize).collect::<Vec<_>>();
    let group = op.group.max(1) as usize;
    Ok(DeconvShape {
        batch: input[0],
        group,
        input_channels: input[1] / group,
        output_channels: filter[0],
        input: three(&input[2..], 1),
        output: three(&result[2..], 1),
        kernel: three(&filter[2..], 1),
        strides: three(&positive(&op.strides), 1),
        dilations: three(&op.dilations.as_deref().map_or_else(|| vec![1; spatial], positive), 1),
        before: three(&positive(&op.pads[..spatial]), 0),
    })
}

/// Of 8-bit integers. BM1684 and CV18xx requantize in the op, BM1684X gives the sums to an op behind it.
pub(crate) fn prepare_int(op: &tpu::Deconv, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let Some(Op::TopDeconv(form)) = request.op.top_form() else { return Err(request.unsupported("is no transposed convolution")) };
    let shape = geometry(&form, request)?;
    let Some(weights) = request.bytes(1)? else { return Err(request.unsupported("needs a weight as 8-bit filter")) };
    let bias = request.bias(2, request.integers(2)?)?;
    let zero_point = request.zero_point(0);
    if request.result_element()? == ElementType::I32 {
        let relu = op.do_relu;
        if zero_point != 0 {
            return prepare_biased(shape, &weights, bias, zero_point, relu);
        }
        let kernel = boxed(move |operands, y, _| deconv::run_sums(&shape, operand(operands, 0)?.ints()?, &weights, bias.as_deref(), relu, y.sums()?));
        return Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None, None], result: Layout::RowMajor });
    }
    if zero_point != 0 || request.result_zero_point() != 0 {
        return Err(request.unsupported("with zero points needs a result of 32 bits"));
    }
    let one = vec![1];
    let (Some(multiplier), Some(shift)) = (op.multiplier.as_ref().or((op.quant_mode == tpu::RequantMode::OnlyShift).then_some(&one)), &op.rshift) else {
        return Err(request.unsupported("needs multiplier and rshift for an 8-bit result"));
    };
    let requant = Requant::new(shape.output_channels * shape.group, bias.as_deref(), multiplier, shift, op.do_relu)?.with_style(request.requant_style(op.quant_mode)?);
    let kernel = boxed(move |operands, y, _| deconv::run_int(&shape, operand(operands, 0)?.ints()?, &weights, &requant, y.ints()?));
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None, None], result: Layout::RowMajor })
}

/// What stands between inputs and around them counts as zero point: where fewer taps than all meet an input, the others are added.
fn prepare_biased(shape: DeconvShape, weights: &[i16], bias: Option<Vec<i32>>, zero_point: i32, relu: bool) -> Result<Prepared, InterpError> {
    let one_image = DeconvShape { batch: 1, ..shape.clone() };
    let (channels, area) = (shape.group * shape.output_channels, shape.output.iter().product::<usize>());
    let ones = vec![1u8; shape.group * shape.input_channels * shape.input.iter().product::<usize>()];
    let mut met = vec![0i32; channels * area];
    deconv::run_sums(&one_image, Ints::U8(&ones), weights, None, false, &mut met)?;
    let taps = (weights.len() / channels.max(1)).max(1);
    let all: Vec<i32> = weights.chunks(taps).map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
    let missing: Vec<i32> = met.iter().enumerate().map(|(i, &met)| all[i / area.max(1)].wrapping_sub(met).wrapping_mul(zero_point)).collect();
    let weights = weights.to_vec();
    let kernel = boxed(move |operands, y, _| {
        let y = y.sums()?;
        deconv::run_sums(&shape, operand(operands, 0)?.ints()?, &weights, bias.as_deref(), false, &mut *y)?;
        for y in y.chunks_mut(missing.len().max(1)) {
            y.iter_mut().zip(&missing).for_each(|(y, m)| *y = y.wrapping_add(*m).max(if relu { 0 } else { i32::MIN }));
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None, None], result: Layout::RowMajor })
}
