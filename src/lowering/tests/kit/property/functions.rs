//! The functions of one number that are `tpu.Active`, by their formulas in f64.

use super::floats::Real;
use tpuc_ops::tpu;

/// Of f64 near 1.
const NARROW: f64 = f64::EPSILON;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `2 / sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (1 3 5 ... (2n+1))`: all terms have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..300 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
}

/// Halves to the even one.
fn nearest_integer(x: f64) -> f64 {
    match (x - x.floor(), x.floor() % 2.0 == 0.0) {
        (part, true) if part <= 0.5 => x.floor(),
        (part, false) if part < 0.5 => x.floor(),
        _ => x.floor() + 1.0,
    }
}

/// `f(x)`, with what f64 arithmetic loses where a difference or a logarithm of nearly 1 is in it.
pub fn active(op: &tpu::Active, x: f64) -> Real {
    use tpu::ActiveMode as Mode;
    let coeff = |index: usize| op.coeffs.as_ref().expect("coefficients")[index];
    let (scale, bias) = (op.scale.unwrap_or(1.0), op.bias.unwrap_or(0.0));
    // Relative to the result, and to numbers of the size of x.
    let of = |y: f64, lost: f64| Real::near(y, 8.0 * NARROW * (y.abs() + lost));
    match op.mode {
        Mode::ABSVAL => Real::exact(x.abs()),
        Mode::CEIL => Real::exact(x.ceil()),
        Mode::FLOOR => Real::exact(x.floor()),
        Mode::ROUND => Real::exact(nearest_integer(x)),
        Mode::SIGN => Real::exact(f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))),
        Mode::SQRT => of(x.sqrt(), 0.0),
        Mode::RSQRT => of(1.0 / x.sqrt(), 0.0),
        Mode::EXP => of(x.exp(), 0.0),
        Mode::LN => of(x.ln(), 0.0),
        Mode::SIN => of(x.sin(), 0.0),
        Mode::COS => of(x.cos(), 0.0),
        Mode::TAN => of(x.sin() / x.cos(), 0.0),
        Mode::SINH => of((x.exp() - (-x).exp()) / 2.0, 1.0),
        Mode::COSH => of((x.exp() + (-x).exp()) / 2.0, 0.0),
        Mode::TANH => of(1.0 - 2.0 / ((2.0 * x).exp() + 1.0), 1.0),
        Mode::ERF => of(erf(x), 0.0),
        Mode::SIGMOID => of(scale * sigmoid(x) + bias, scale.abs() + bias.abs()),
        Mode::LOG_SIGMOID => {
            let share = scale * sigmoid(x) + bias;
            of(share.ln(), (scale.abs() * sigmoid(x) + bias.abs()) / share)
        }
        Mode::SOFT_PLUS => {
            // Beyond 20 x is taken for it (docs/numerics.md).
            let left_out = if x > 20.0 { (-x).exp() } else { 0.0 };
            Real::near(softplus(x), 8.0 * NARROW * (1.0 + x.abs()) + left_out)
        }
        Mode::MISH => of(x * softplus(x).tanh(), x.abs()),
        Mode::SOFT_SIGN => of(x / (1.0 + x.abs()), 0.0),
        Mode::ELU => of(if x > 0.0 { x } else { coeff(0) * x.exp_m1() }, coeff(0).abs()),
        Mode::SILU => of(x * sigmoid(x), 0.0),
        Mode::SWISH => of(x * sigmoid(coeff(0) * x), 0.0),
        Mode::HSIGMOID => of((coeff(1) * x + coeff(0)).clamp(0.0, 1.0), (coeff(1) * x).abs() + coeff(0).abs()),
        Mode::HSWISH => of(x * ((x + 3.0) / 6.0).clamp(0.0, 1.0), x.abs() * (1.0 + x.abs())),
        Mode::GELU => of(x * (1.0 + erf(x / 2f64.sqrt())) / 2.0, x.abs()),
        // The root of 2 / pi has ten digits where it is computed: at most 2e-12 of x.
        Mode::TGELU => {
            let y = x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()) / 2.0;
            Real::near(y, 4e-12 * x.abs())
        }
        Mode::QGELU => of(x * sigmoid(1.702 * x), 0.0),
        Mode::RELU | Mode::SQUARE | Mode::IS_FINITE | Mode::ARCSIN | Mode::ARCCOS | Mode::ARCSINH | Mode::ARCCOSH | Mode::ARCTANH | Mode::LOG2 => panic!("{:?} is what no Top op becomes", op.mode),
    }
}
