//! Functions of one float tensor. Which steps are in f32 and which in f64 is as in the reference's interpreter, so that
//! results agree with it in every bit.

use crate::cpu::vectorized;
use crate::{KernelError, erf, expect_length, math, threads};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    Abs,
    Ceil,
    Cos,
    Cosh,
    Elu { alpha: f64 },
    Erf,
    Exp,
    Floor,
    /// x / 2 * (1 + erf(x / sqrt(2)))
    Gelu,
    /// x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    GeluTanh,
    /// x * sigmoid(1.702 x)
    GeluSigmoid,
    HardSigmoid { alpha: f64, beta: f64 },
    HardSwish,
    LeakyRelu { alpha: f64 },
    Ln,
    Mish,
    /// x to a constant power.
    Pow { exponent: f64 },
    /// A constant to the power x.
    PowOf { base: f64 },
    /// A constant divided by x.
    Reciprocal { numerator: f64 },
    /// Halves go to the even integer, as ONNX says.
    Round,
    Rsqrt,
    /// scale * sigmoid(x) + bias
    Sigmoid { scale: f64, bias: f64 },
    /// ln(scale * sigmoid(x) + bias)
    LogSigmoid { scale: f64, bias: f64 },
    Sign,
    Silu,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    /// x * sigmoid(beta x)
    Swish { beta: f64 },
    Tan,
    Tanh,
    Add { value: f64 },
    /// A constant less x.
    SubtractFrom { value: f64 },
    Mul { value: f64 },
    Max { value: f64 },
    Min { value: f64 },
}

impl Function {
    /// `y = f(x)`, element by element.
    pub fn apply(self, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
        expect_length("results of an elementwise function", x.len(), y.len())?;
        threads::for_parts(y, 1, |start, y| self.part(&x[start..start + y.len()], y));
        Ok(())
    }

    fn part(self, x: &[f32], y: &mut [f32]) {
        match self {
            Function::Abs => each(x, y, f32::abs),
            Function::Ceil => ceil(x, y),
            Function::Cos => each(x, y, f32::cos),
            Function::Cosh => each(x, y, f32::cosh),
            Function::Elu { alpha } => elu(x, alpha as f32, y),
            Function::Erf => each(x, y, erf::erf),
            Function::Exp => exp(x, y),
            Function::Floor => floor(x, y),
            Function::Gelu => gelu(x, y),
            Function::GeluTanh => gelu_tanh(x, y),
            Function::GeluSigmoid => gelu_sigmoid(x, y),
            Function::HardSigmoid { alpha, beta } => hard_sigmoid(x, alpha, beta, y),
            Function::HardSwish => hard_swish(x, y),
            Function::LeakyRelu { alpha } => leaky_relu(x, alpha as f32, y),
            Function::Ln => ln(x, y),
            Function::Mish => mish(x, y),
            Function::Pow { exponent } => each(x, y, |x| f64::from(x).powf(exponent) as f32),
            Function::PowOf { base } => each(x, y, |x| base.powf(f64::from(x)) as f32),
            Function::Reciprocal { numerator } => each(x, y, |x| numerator as f32 / x),
            Function::Round => round(x, y),
            Function::Rsqrt => each(x, y, |x| 1.0 / x.sqrt()),
            Function::Sigmoid { scale: 1.0, bias: 0.0 } => sigmoid(x, y),
            Function::Sigmoid { scale, bias } => each(x, y, |x| scaled_sigmoid(x, scale, bias)),
            Function::LogSigmoid { scale, bias } => each(x, y, |x| math::ln(scaled_sigmoid(x, scale, bias))),
            Function::Sign => each(x, y, |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 }),
            Function::Silu => silu(x, y),
            Function::Sin => each(x, y, f32::sin),
            Function::Sinh => each(x, y, f32::sinh),
            Function::Softplus => softplus(x, y),
            Function::Softsign => each(x, y, |x| x / (1.0 + x.abs())),
            Function::Sqrt => each(x, y, f32::sqrt),
            Function::Swish { beta } => each(x, y, |x| (f64::from(x) / (1.0 + (-beta * f64::from(x)).exp())) as f32),
            Function::Tan => each(x, y, f32::tan),
            Function::Tanh => tanh(x, y),
            Function::Add { value } => add(x, value as f32, y),
            Function::SubtractFrom { value } => each(x, y, |x| value as f32 - x),
            Function::Mul { value } => mul(x, value, y),
            Function::Max { value } => each(x, y, |x| if x < value as f32 { value as f32 } else { x }),
            Function::Min { value } => each(x, y, |x| if x > value as f32 { value as f32 } else { x }),
        }
    }
}

/// For functions that cost so little, or are used so rarely, that the baseline's vectors do.
fn each(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    x.iter().zip(y).for_each(|(x, y)| *y = f(*x));
}

fn scaled_sigmoid(x: f32, scale: f64, bias: f64) -> f32 {
    (scale * f64::from(1.0 / (1.0 + math::exp(-x))) + bias) as f32
}

/// Beyond, ln(exp(x) + 1) is x.
#[inline(always)]
fn softplus_of(x: f32) -> f32 {
    let y = math::ln(math::exp(x) + 1.0);
    if x > 20.0 { x } else { y }
}

#[inline(always)]
fn elu_of(x: f32, alpha: f32) -> f32 {
    let y = alpha * (math::exp(x) - 1.0);
    if x > 0.0 { x } else { y }
}

/// tanh(ln(1 + e)) = n / (n + 2) with n = e (e + 2), which loses nothing where e is small.
#[inline(always)]
fn mish_of(x: f32) -> f32 {
    let e = math::exp(x);
    let n = e * (e + 2.0);
    if x > 20.0 { x } else { x * (n / (n + 2.0)) }
}

macro_rules! loops {
    ($(fn $name:ident(x $(, $arg:ident: $ty:ty)*) -> $body:expr, with $x:ident;)*) => {$(
        vectorized! {
            fn $name(x: &[f32], $($arg: $ty,)* y: &mut [f32]) {
                for (x, y) in x.iter().zip(y) {
                    let $x = *x;
                    *y = $body;
                }
            }
        }
    )*};
}

loops! {
    fn exp(x) -> math::exp(v), with v;
    fn ln(x) -> math::ln(v), with v;
    fn tanh(x) -> math::tanh(v), with v;
    fn sigmoid(x) -> 1.0 / (1.0 + math::exp(-v)), with v;
    fn silu(x) -> v / (1.0 + math::exp(-v)), with v;
    fn softplus(x) -> softplus_of(v), with v;
    fn mish(x) -> mish_of(v), with v;
    fn elu(x, alpha: f32) -> elu_of(v, alpha), with v;
    fn ceil(x) -> v.ceil(), with v;
    fn floor(x) -> v.floor(), with v;
    fn round(x) -> v.round_ties_even(), with v;
    fn gelu(x) -> math::gelu(v), with v;
    fn gelu_tanh(x) -> 0.5 * v * (1.0 + math::tanh(0.797_884_56 * (v + 0.044715 * v * v * v))), with v;
    fn gelu_sigmoid(x) -> v / (1.0 + math::exp(-1.702 * v)), with v;
    fn leaky_relu(x, alpha: f32) -> if v > 0.0 { v } else { v * alpha }, with v;
    fn hard_sigmoid(x, alpha: f64, beta: f64) -> (alpha * f64::from(v) + beta).min(1.0).max(0.0) as f32, with v;
    fn hard_swish(x) -> (f64::from(v) * (f64::from(v) / 6.0 + 0.5).min(1.0).max(0.0)) as f32, with v;
    fn add(x, value: f32) -> v + value, with v;
    fn mul(x, value: f64) -> (f64::from(v) * value) as f32, with v;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(function: Function, x: f32) -> f32 {
        let mut y = [0.0];
        function.apply(&[x], &mut y).unwrap();
        y[0]
    }

    /// Every function against its formula in f64, on numbers around 0.
    #[test]
    fn functions_equal_their_formulas() {
        let erf = libm::erf;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let softplus = |x: f64| (x.exp() + 1.0).ln();
        type Formula<'a> = &'a dyn Fn(f64) -> f64;
        let list: [(Function, Formula); 32] = [
            (Function::Abs, &f64::abs),
            (Function::Ceil, &f64::ceil),
            (Function::Cos, &f64::cos),
            (Function::Cosh, &f64::cosh),
            (Function::Elu { alpha: 0.7 }, &|x| if x > 0.0 { x } else { 0.7 * (x.exp() - 1.0) }),
            (Function::Erf, &erf),
            (Function::Exp, &f64::exp),
            (Function::Floor, &f64::floor),
            (Function::Gelu, &|x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()))),
            (Function::GeluTanh, &|x| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())),
            (Function::GeluSigmoid, &|x| x * sigmoid(1.702 * x)),
            (Function::HardSigmoid { alpha: 0.2, beta: 0.5 }, &|x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
            (Function::HardSwish, &|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            (Function::LeakyRelu { alpha: 0.1 }, &|x| if x < 0.0 { 0.1 * x } else { x }),
            (Function::Mish, &|x| x * softplus(x).tanh()),
            (Function::PowOf { base: 1.5 }, &|x| 1.5f64.powf(x)),
            (Function::Reciprocal { numerator: 3.0 }, &|x| 3.0 / x),
            (Function::Round, &f64::round_ties_even),
            (Function::Sigmoid { scale: 1.0, bias: 0.0 }, &sigmoid),
            (Function::Sigmoid { scale: 2.0, bias: 0.5 }, &|x| 2.0 * sigmoid(x) + 0.5),
            (Function::LogSigmoid { scale: 1.0, bias: 0.0 }, &|x| sigmoid(x).ln()),
            (Function::Silu, &|x| x * sigmoid(x)),
            (Function::Sinh, &f64::sinh),
            (Function::Softplus, &softplus),
            (Function::Softsign, &|x| x / (1.0 + x.abs())),
            (Function::Swish { beta: 1.7 }, &|x| x * sigmoid(1.7 * x)),
            (Function::Tanh, &f64::tanh),
            (Function::Add { value: 0.25 }, &|x| x + 0.25),
            (Function::SubtractFrom { value: 0.25 }, &|x| 0.25 - x),
            (Function::Mul { value: -1.5 }, &|x| x * -1.5),
            (Function::Max { value: 0.25 }, &|x| x.max(0.25)),
            (Function::Min { value: 0.25 }, &|x| x.min(0.25)),
        ];
        for (function, formula) in list {
            for i in -3000..=3000 {
                let x = i as f32 * 0.004;
                let (found, wanted) = (f64::from(at(function, x)), formula(f64::from(x)));
                let close = (found - wanted).abs() <= 4e-7 * wanted.abs().max(1.0) || (found.is_nan() && wanted.is_nan());
                assert!(close || found == wanted, "{function:?} of {x} is {found}, expected {wanted}");
            }
        }
        for (function, formula) in [(Function::Ln, &f64::ln as Formula), (Function::Sqrt, &f64::sqrt), (Function::Rsqrt, &|x| 1.0 / x.sqrt()), (Function::Pow { exponent: 1.5 }, &|x| x.powf(1.5))] {
            for i in 1..3000 {
                let x = i as f32 * 0.01;
                let (found, wanted) = (f64::from(at(function, x)), formula(f64::from(x)));
                assert!((found - wanted).abs() <= 2e-7 * wanted.abs().max(1.0), "{function:?} of {x} is {found}, expected {wanted}");
            }
        }
    }

    /// Sums over the bits of results, made with glibc 2.36: one bit in one result would change them.
    #[test]
    fn results_are_those_of_glibc() {
        let sum = |function: Function| {
            let x: Vec<f32> = (0..1u32 << 16).map(|i| f32::from_bits(i << 16 | 0x5a5a)).filter(|x| !x.is_nan()).collect();
            let mut y = vec![0.0; x.len()];
            function.apply(&x, &mut y).unwrap();
            y.iter().filter(|y| !y.is_nan()).fold(0u64, |sum, y| sum.wrapping_mul(31).wrapping_add(u64::from(y.to_bits())))
        };
        let found = [Function::Exp, Function::Ln, Function::Tanh, Function::Erf].map(sum);
        assert_eq!(found, [12458103182324701023, 9589482180510154741, 14813682789775095596, 2962515888380435142]);
    }

    #[test]
    fn special_numbers() {
        let nan = f32::NAN;
        assert!([Function::Exp, Function::Ln, Function::Tanh, Function::Erf, Function::Softplus].iter().all(|f| at(*f, nan).is_nan()));
        assert_eq!(at(Function::Exp, f32::INFINITY), f32::INFINITY);
        assert_eq!((at(Function::Exp, f32::NEG_INFINITY), at(Function::Exp, -200.0), at(Function::Exp, 1e30)), (0.0, 0.0, f32::INFINITY));
        assert_eq!((at(Function::Ln, 0.0), at(Function::Ln, f32::INFINITY), at(Function::Ln, 1.0)), (f32::NEG_INFINITY, f32::INFINITY, 0.0));
        assert!(at(Function::Ln, -1.0).is_nan());
        assert_eq!((at(Function::Tanh, 1e30), at(Function::Tanh, f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((at(Function::Softplus, 90.0), at(Function::Silu, -200.0)), (90.0, -0.0));
        assert_eq!((at(Function::Round, 0.5), at(Function::Round, 1.5), at(Function::Round, -2.5)), (0.0, 2.0, -2.0));
        assert_eq!((at(Function::Sign, -3.0), at(Function::Sign, 0.0)), (-1.0, 0.0));
    }
}
