//! Functions of one tensor, arithmetic with a constant.

use crate::error::InterpError;
use crate::integer;
use crate::kernel::{Prepared, Request, boxed, operand};
use tpuc_kernels::elementwise::activate_in_place;
use tpuc_kernels::unary::Function;
use tpuc_kernels::{Activation, Layout};
use tpuc_ops::{Op, tpu};

/// The function of an op, and what comes after it.
fn function(op: &Op) -> Option<(Function, Activation)> {
    let plain = |function| Some((function, Activation::None));
    match op {
        Op::TopAbs(_) => plain(Function::Abs),
        Op::TopCeil(_) => plain(Function::Ceil),
        Op::TopCos(_) => plain(Function::Cos),
        Op::TopCosh(_) => plain(Function::Cosh),
        Op::TopElu(op) => plain(Function::Elu { alpha: op.alpha }),
        Op::TopErf(_) => plain(Function::Erf),
        Op::TopExp(_) => plain(Function::Exp),
        Op::TopFloor(_) => plain(Function::Floor),
        Op::TopGELU(op) => plain(match op.approx_mode.as_str() {
            "tanh" => Function::GeluTanh,
            "sigm" => Function::GeluSigmoid,
            _ => Function::Gelu,
        }),
        Op::TopHardSigmoid(op) => plain(Function::HardSigmoid { alpha: op.alpha, beta: op.beta }),
        Op::TopHardSwish(_) => plain(Function::HardSwish),
        Op::TopLeakyRelu(op) => plain(Function::LeakyRelu { alpha: op.alpha }),
        Op::TopLog(_) => plain(Function::Ln),
        Op::TopMish(_) => plain(Function::Mish),
        Op::TopPow(op) => plain(Function::Pow { exponent: op.exponent }),
        Op::TopPow2(op) => plain(Function::PowOf { base: op.const_val }),
        Op::TopReciprocal(op) => Some((Function::Reciprocal { numerator: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TopRound(_) => plain(Function::Round),
        Op::TopRsqrt(_) => plain(Function::Rsqrt),
        Op::TopSigmoid(op) if op.log => plain(Function::LogSigmoid { scale: op.scale, bias: op.bias }),
        Op::TopSigmoid(op) => plain(Function::Sigmoid { scale: op.scale, bias: op.bias }),
        Op::TopSign(_) => plain(Function::Sign),
        Op::TopSiLU(_) => plain(Function::Silu),
        Op::TopSin(_) => plain(Function::Sin),
        Op::TopSinh(_) => plain(Function::Sinh),
        Op::TopSoftplus(_) => plain(Function::Softplus),
        Op::TopSoftsign(_) => plain(Function::Softsign),
        Op::TopSqrt(_) => plain(Function::Sqrt),
        Op::TopSwish(op) => plain(Function::Swish { beta: op.beta }),
        Op::TopTan(_) => plain(Function::Tan),
        Op::TopTanh(_) => plain(Function::Tanh),
        Op::TopAddConst(op) => Some((Function::Add { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TopSubConst(op) if op.is_reverse => Some((Function::SubtractFrom { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TopSubConst(op) => Some((Function::Add { value: -op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TopMulConst(op) => Some((Function::Mul { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TopMaxConst(op) => plain(Function::Max { value: op.const_val }),
        Op::TopMinConst(op) => plain(Function::Min { value: op.const_val }),
        Op::TpuActive(op) => active(op).map(|f| (f, Activation::None)),
        Op::TpuLeakyRelu(op) => plain(Function::LeakyRelu { alpha: op.alpha? }),
        Op::TpuReciprocal(op) => Some((Function::Reciprocal { numerator: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuAddConst(op) => Some((Function::Add { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuSubConst(op) if op.is_reverse => Some((Function::SubtractFrom { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuSubConst(op) => Some((Function::Add { value: -op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuMulConst(op) => Some((Function::Mul { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuMaxConst(op) => Some((Function::Max { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        Op::TpuMinConst(op) => Some((Function::Min { value: op.const_val }, Activation::relu(op.do_relu, op.relu_limit))),
        _ => None,
    }
}

/// `None` for modes that no Top op becomes.
fn active(op: &tpu::Active) -> Option<Function> {
    use tpu::ActiveMode as Mode;
    let coeff = |index: usize| op.coeffs.as_ref().and_then(|c| c.get(index)).copied();
    let (scale, bias) = (op.scale.unwrap_or(1.0), op.bias.unwrap_or(0.0));
    Some(match op.mode {
        Mode::TANH => Function::Tanh,
        Mode::SIGMOID => Function::Sigmoid { scale, bias },
        Mode::LOG_SIGMOID => Function::LogSigmoid { scale, bias },
        Mode::EXP => Function::Exp,
        Mode::ELU => Function::Elu { alpha: coeff(0)? },
        Mode::SQRT => Function::Sqrt,
        Mode::RSQRT => Function::Rsqrt,
        Mode::ABSVAL => Function::Abs,
        Mode::LN => Function::Ln,
        Mode::ROUND => Function::Round,
        Mode::CEIL => Function::Ceil,
        Mode::FLOOR => Function::Floor,
        Mode::SIN => Function::Sin,
        Mode::COS => Function::Cos,
        Mode::MISH => Function::Mish,
        Mode::SWISH => Function::Swish { beta: coeff(0)? },
        Mode::HSWISH => Function::HardSwish,
        Mode::SILU => Function::Silu,
        Mode::SINH => Function::Sinh,
        Mode::COSH => Function::Cosh,
        Mode::TAN => Function::Tan,
        Mode::SIGN => Function::Sign,
        Mode::GELU => Function::Gelu,
        Mode::TGELU => Function::GeluTanh,
        Mode::QGELU => Function::GeluSigmoid,
        Mode::ERF => Function::Erf,
        Mode::HSIGMOID => Function::HardSigmoid { alpha: coeff(1)?, beta: coeff(0)? },
        Mode::SOFT_PLUS => Function::Softplus,
        Mode::SOFT_SIGN => Function::Softsign,
        Mode::RELU | Mode::SQUARE | Mode::IS_FINITE | Mode::ARCSIN | Mode::ARCCOS | Mode::ARCSINH | Mode::ARCCOSH | Mode::ARCTANH | Mode::LOG2 => return None,
    })
}

/// In floats, or in 8-bit integers.
pub(crate) fn prepare_tpu(request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.is_float_or_biased(&[0])? { prepare(request) } else { integer::prepare_unary(request) }
}

pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let Some((function, activation)) = function(request.op) else { return Err(request.unsupported("has no float kernel")) };
    request.need_float()?;
    let layout = if request.shape(0)? == request.result.dims() { request.layout(0) } else { Layout::RowMajor };
    // The chips' functions are evaluated in f64, as in the reference.
    let exact = matches!(request.op, Op::TpuActive(_));
    let kernel = boxed(move |operands, y, _| {
        let y = y.floats()?;
        let x = operand(operands, 0)?.floats()?;
        if exact { function.apply_exact(x, y)? } else { function.apply(x, y)? };
        activate_in_place(y, activation);
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(layout)], result: layout })
}
