//! Functions of one tensor in bf16: tables of slopes, powers by exponent and mantissa.

use super::table16::{mantissa_lut, powers, slopes, table};
use crate::error::LowerError;
use crate::float::{self, elem};
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::lut;
use crate::quantize::weight;
use half::bf16;
use tpuc_kernels::unary::Function;
use tpuc_ops::{Op, tpu};
use tpuc_tensor::{DType, Data};

/// Up to where a function is divided into pieces, either way; `None` of functions that no table of slopes fits.
fn range(function: &Function) -> Option<f64> {
    Some(match function {
        Function::Sigmoid { .. } | Function::Elu { .. } | Function::Silu | Function::Swish { .. } => 12.0,
        Function::Tanh | Function::Exp => 15.0,
        Function::Softplus | Function::Gelu | Function::GeluTanh | Function::GeluSigmoid | Function::Mish => 8.0,
        _ => return None,
    })
}

/// A function in bf16. What has no table is computed as on other chips and rounded.
pub(super) fn bf16(context: &OpContext) -> Result<Lowered, LowerError> {
    let function = lut::function(context.op);
    match (context.op, function) {
        (Op::TopHardSigmoid(op), _) => hard(context, op.alpha, op.beta, false),
        (Op::TopHardSwish(_), _) => hard(context, 1.0 / 6.0, 0.5, true),
        (Op::TopSqrt(_), _) => power(context, 0.5),
        (Op::TopRsqrt(_), _) => power(context, -0.5),
        (Op::TopReciprocal(op), _) if op.const_val == 1.0 && !op.do_relu => power(context, -1.0),
        (_, Some(function)) => match range(&function) {
            Some(range) => slope(context, range, |x| function.exact(x)),
            None => float::lower(context, DType::BF16),
        },
        (_, None) => float::lower(context, DType::BF16),
    }
}

/// `min(max(x, low), high)`
pub(super) fn clip(context: &OpContext, low: f64, high: f64) -> Result<Lowered, LowerError> {
    let input = OperandRef::Operand { index: 0, elem: elem(DType::BF16) };
    Ok(Lowered::one(tpu::Clip { min: low, max: high }, vec![input], context.name, context.result_type(elem(DType::BF16))))
}

/// By 256 pieces from `-range` to `range`.
pub(super) fn slope(context: &OpContext, range: f64, f: impl Fn(f64) -> f64) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let [values, slope] = slopes(range, f);
    let operands = vec![
        OperandRef::Operand { index: 0, elem: elem(DType::BF16) },
        table(context, &mut lowered, "slope_table", values),
        table(context, &mut lowered, "slope_slope_table", slope),
    ];
    let lut = tpu::LutBF16 { lut_mode: tpu::LutBF16Mode::Slope, min_range: -range, max_range: range, ..Default::default() };
    lowered.push(lut, operands, context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

fn power(context: &OpContext, power: f64) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let [exponent, mantissa] = powers(power, power == -1.0);
    let operands = vec![
        OperandRef::Operand { index: 0, elem: elem(DType::BF16) },
        table(context, &mut lowered, "pow_table", exponent),
        table(context, &mut lowered, "pow_mantissa_table", mantissa),
    ];
    lowered.push(mantissa_lut(), operands, context.name, context.result_type(elem(DType::BF16)));
    Ok(lowered.finish())
}

/// `clip(alpha x + beta, 0, 1)`, times x if `swish`: a product, a sum and a clip, each rounded.
fn hard(context: &OpContext, alpha: f64, beta: f64, swish: bool) -> Result<Lowered, LowerError> {
    let mut lowered = Lowered::default();
    let ty = context.result_type(elem(DType::BF16));
    let input = OperandRef::Operand { index: 0, elem: elem(DType::BF16) };
    let Some(&channels) = ty.shape.get(1).filter(|_| ty.shape.len() == 4) else { return float::lower(context, DType::BF16) };
    let name = |suffix: &str| format!("{}_{suffix}", context.name);
    let (filter, bias) = (vec![bf16::from_f32(alpha as f32); channels.max(0) as usize], vec![beta as f32; channels.max(0) as usize]);
    let scaled = name("scale");
    let bias = lowered.weight(weight(format!("{scaled}_{scaled}_bias"), &[channels], Data::F32(bias)));
    let filter = lowered.weight(weight(format!("{scaled}_{scaled}_filter_bf16"), &[channels, 1, 1, 1], Data::BF16(filter)));
    let conv = tpu::Conv2D {
        kernel_shape: vec![1, 1],
        strides: vec![1, 1],
        pads: vec![0; 4],
        group: channels,
        with_bias: true,
        quant_mode: tpu::RequantMode::MultiplierShift,
        round_mode: tpu::RoundMode::HalfUp,
        ..Default::default()
    };
    let conv = lowered.push(conv, vec![input.clone(), filter, bias], scaled, ty.clone());
    let clip = tpu::Clip { min: 0.0, max: 1.0 };
    if swish {
        let clip = lowered.push(clip, vec![conv], name("clip"), ty.clone());
        lowered.push(tpu::Mul { is_scalar: Some(false), ..Default::default() }, vec![input, clip], context.name, ty);
    } else {
        lowered.push(clip, vec![conv], context.name, ty);
    }
    Ok(lowered.finish())
}
