//! Activation functions of floats. Elements are widened to f32, computed by `functions.rs`, and rounded once.

use crate::Context;
use crate::elementwise::flat_steps;
use crate::emit::{Arithmetic as A, Ddr};
use crate::float::{load_f32, store_f32};
use crate::functions::{Functions, Table, load_tables, table_bytes};
use crate::local::{Arena, LANE_BYTES, Local, aligned_bytes};
use crate::place::Place;
use crate::tile::largest;
use tpuc_isa::bm1684x::Rounding;
use tpuc_ops::tpu::{self, ActiveMode as Mode};
use tpuc_tensor::DType;

/// Tensors that a function has for its steps, beside the elements and the result.
const SCRATCH: usize = 4;

/// Coefficients that a function reads, or why there is none.
fn tables(op: &tpu::Active) -> Result<&'static [Table], String> {
    let coeffs = |count: usize| match op.coeffs.as_ref().map_or(0, Vec::len) {
        found if found >= count => Ok(()),
        found => Err(format!("{found} coefficients, expected {count}")),
    };
    Ok(match op.mode {
        Mode::ABSVAL | Mode::SQRT | Mode::RSQRT | Mode::SQUARE | Mode::ROUND | Mode::CEIL | Mode::FLOOR | Mode::SIGN | Mode::SOFT_SIGN | Mode::HSWISH | Mode::RELU => &[],
        Mode::HSIGMOID => coeffs(2).map(|()| &[] as &[Table])?,
        Mode::ELU | Mode::SWISH => coeffs(1).map(|()| &[Table::Exponential] as &[Table])?,
        Mode::TANH | Mode::SIGMOID | Mode::EXP | Mode::MISH | Mode::SILU | Mode::SINH | Mode::COSH | Mode::TGELU | Mode::QGELU => &[Table::Exponential],
        Mode::GELU | Mode::ERF => &[Table::Exponential, Table::Erf],
        Mode::LN | Mode::LOG2 => &[Table::Logarithm],
        Mode::LOG_SIGMOID | Mode::SOFT_PLUS => &[Table::Exponential, Table::Logarithm],
        Mode::SIN | Mode::COS | Mode::TAN => &[Table::Sine],
        Mode::IS_FINITE | Mode::ARCSIN | Mode::ARCCOS | Mode::ARCSINH | Mode::ARCCOSH | Mode::ARCTANH => return Err(format!("no kernel for {:?}", op.mode)),
    })
}

pub fn refuse(op: &tpu::Active) -> Option<String> {
    tables(op).err()
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Active) -> Result<(), String> {
    let (x, y) = (Place::floats(context, context.operand(node, 0))?, Place::floats(context, context.result(node))?);
    let list = tables(op)?;
    let tables = load_tables(&mut context.emit, &mut context.coeff, list);
    let start = table_bytes(list.len());
    let middle = (start + LANE_BYTES) / 2;
    // The elements as they are and in f32, the result in both, the steps.
    let fits = |run: u64| {
        let types = [x.dtype, y.dtype].into_iter().chain([DType::F32; 2 + SCRATCH]);
        types.map(|t| aligned_bytes(1, run, t) + 64).sum::<u64>() <= LANE_BYTES - middle
    };
    let run = largest(1 << 15, fits).ok_or("no element fits local memory")?;
    let count: i64 = y.shape.iter().product();
    let ddr = |place: &Place, first: u64, run: u64| Ddr { offset: place.base.offset + first * place.size(), strides: [0, run, run, 1], ..place.base };
    for (turn, step) in flat_steps(count as u64, (run / 16 * 16).max(1)).into_iter().enumerate() {
        let mut arena = if turn % 2 == 0 { Arena::new(start, middle) } else { Arena::new(middle, LANE_BYTES) };
        let from = load_f32(context, &mut arena, step.shape(), x.dtype, ddr(&x, step.first, step.run))?;
        let to = arena.tensor(step.shape(), DType::F32)?;
        let scratch = (0..SCRATCH).map(|_| arena.tensor(step.shape(), DType::F32)).collect::<Result<Vec<_>, _>>()?;
        let mut functions = Functions::new(&mut context.emit, tables.clone(), scratch);
        compute(&mut functions, op, from, to);
        store_f32(context, &mut arena, to, y.dtype, ddr(&y, step.first, step.run))?;
    }
    Ok(())
}

/// y = function(x); x is lost.
fn compute(f: &mut Functions, op: &tpu::Active, x: Local, y: Local) {
    let [s, t, u, kept] = [f.scratch[0], f.scratch[1], f.scratch[2], f.scratch[3]];
    let coeff = |index: usize| op.coeffs.as_ref().and_then(|c| c.get(index)).copied().unwrap_or(0.0) as f32;
    let (scale, bias) = (op.scale.unwrap_or(1.0) as f32, op.bias.unwrap_or(0.0) as f32);
    let whole = |f: &mut Functions, rounding| f.emit.round_whole(x, rounding, y);
    match op.mode {
        Mode::RELU => f.emit.constant_float(A::Max, x, 0.0, y),
        Mode::ABSVAL => {
            f.emit.multiply_float(x, -1.0, y);
            f.emit.binary_float(A::Max, x, y, y);
        }
        Mode::SQUARE => f.emit.binary_float(A::Mul, x, x, y),
        Mode::RSQRT => f.emit.reciprocal_root(x, y),
        Mode::SQRT => {
            f.emit.reciprocal_root(x, y);
            f.emit.binary_float(A::Mul, x, y, y);
        }
        Mode::ROUND => whole(f, Rounding::HalfToEven),
        Mode::CEIL => whole(f, Rounding::Up),
        Mode::FLOOR => whole(f, Rounding::Down),
        Mode::SIGN => f.sign(x, y),
        Mode::SOFT_SIGN => {
            f.emit.multiply_float(x, -1.0, y);
            f.emit.binary_float(A::Max, x, y, y);
            f.emit.add_float(y, 1.0, y);
            f.emit.divide(x, y, y);
        }
        Mode::HSIGMOID => hard_sigmoid(f, x, coeff(1), coeff(0), y),
        Mode::HSWISH => {
            hard_sigmoid(f, x, 1.0 / 6.0, 0.5, y);
            f.emit.binary_float(A::Mul, x, y, y);
        }
        Mode::EXP => f.exp(x, y, s),
        Mode::SIGMOID => {
            f.sigmoid(x, y, s);
            f.emit.multiply_float(y, scale, y);
            f.emit.add_float(y, bias, y);
        }
        Mode::TANH => f.tanh(x, y, s),
        Mode::SILU => gated(f, 1.0, x, y),
        Mode::QGELU => gated(f, 1.702, x, y),
        Mode::SWISH => gated(f, coeff(0), x, y),
        Mode::ELU => {
            f.emit.constant_float(A::Max, x, 0.0, kept);
            f.emit.constant_float(A::Min, x, 0.0, x);
            f.exp_minus_one(x, y, s);
            f.emit.multiply_float(y, coeff(0), y);
            f.emit.binary_float(A::Add, y, kept, y);
        }
        // x w / (w + 2), w = e (e + 2), e = exp(x)
        Mode::MISH => {
            f.emit.copy_local(x, kept);
            f.emit.constant_float(A::Min, x, 40.0, x);
            f.exp(x, y, s);
            f.emit.add_float(y, 2.0, s);
            f.emit.binary_float(A::Mul, y, s, s);
            f.emit.add_float(s, 2.0, t);
            f.emit.divide(s, t, y);
            f.emit.binary_float(A::Mul, y, kept, y);
        }
        // (t + t / (t + 1)) / 2, t = exp(|x|) - 1, with the sign of x
        Mode::SINH => {
            f.sign(x, kept);
            f.abs(x, y);
            f.exp_minus_one(x, y, s);
            f.emit.add_float(y, 1.0, s);
            f.emit.divide(y, s, s);
            f.emit.binary_float(A::Add, y, s, y);
            f.emit.multiply_float(y, 0.5, y);
            f.emit.binary_float(A::Mul, y, kept, y);
        }
        Mode::COSH => {
            f.abs(x, y);
            f.exp(x, y, s);
            f.emit.constant_first(A::Div, 1.0, y, s);
            f.emit.binary_float(A::Add, y, s, y);
            f.emit.multiply_float(y, 0.5, y);
        }
        Mode::ERF => {
            f.sign(x, kept);
            f.erfc(x, y, [s, t]);
            f.emit.constant_first(A::Sub, 1.0, y, y);
            f.emit.binary_float(A::Mul, y, kept, y);
        }
        // max(x, 0) - |x| erfc(|x| / sqrt 2) / 2
        Mode::GELU => {
            f.emit.constant_float(A::Max, x, 0.0, kept);
            f.abs(x, y);
            f.emit.multiply_float(x, 0.5, u);
            f.emit.multiply_float(x, std::f32::consts::FRAC_1_SQRT_2, x);
            f.erfc(x, y, [s, t]);
            f.emit.binary_float(A::Mul, y, u, y);
            f.emit.binary_float(A::Sub, kept, y, y);
        }
        // x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)): tanh is a sigmoid of twice its argument
        Mode::TGELU => {
            f.emit.binary_float(A::Mul, x, x, y);
            f.emit.multiply_float(y, 0.044_715, y);
            f.emit.add_float(y, 1.0, y);
            f.emit.binary_float(A::Mul, x, y, y);
            f.emit.multiply_float(y, 1.595_769_1, y);
            f.emit.copy_local(x, kept);
            f.sigmoid(y, t, s);
            f.emit.binary_float(A::Mul, kept, t, y);
        }
        Mode::LN => f.ln(x, y, [s, t]),
        Mode::LOG2 => {
            f.ln(x, y, [s, t]);
            f.emit.multiply_float(y, std::f32::consts::LOG2_E, y);
        }
        Mode::SOFT_PLUS => f.softplus(x, y, [s, t, u]),
        Mode::LOG_SIGMOID if scale == 1.0 && bias == 0.0 => {
            f.emit.multiply_float(x, -1.0, x);
            f.softplus(x, y, [s, t, u]);
            f.emit.multiply_float(y, -1.0, y);
        }
        Mode::LOG_SIGMOID => {
            f.sigmoid(x, u, s);
            f.emit.multiply_float(u, scale, u);
            f.emit.add_float(u, bias, u);
            f.ln(u, y, [s, t]);
        }
        Mode::SIN => f.sine(false, x, y, [s, t]),
        Mode::COS => f.sine(true, x, y, [s, t]),
        Mode::TAN => {
            f.emit.copy_local(x, kept);
            f.sine(false, x, u, [s, t]);
            f.sine(true, kept, y, [s, t]);
            f.emit.divide(u, y, y);
        }
        // Refused before anything is generated.
        Mode::IS_FINITE | Mode::ARCSIN | Mode::ARCCOS | Mode::ARCSINH | Mode::ARCCOSH | Mode::ARCTANH => {}
    }
}

/// min(max(alpha x + beta, 0), 1)
fn hard_sigmoid(f: &mut Functions, x: Local, alpha: f32, beta: f32, y: Local) {
    f.emit.multiply_float(x, alpha, y);
    f.emit.add_float(y, beta, y);
    f.emit.relu_float(y, 1.0);
}

/// x sigmoid(beta x)
fn gated(f: &mut Functions, beta: f32, x: Local, y: Local) {
    let [s, kept] = [f.scratch[0], f.scratch[3]];
    f.emit.copy_local(x, kept);
    f.emit.multiply_float(x, beta, x);
    f.sigmoid(x, y, s);
    f.emit.binary_float(A::Mul, y, kept, y);
}
