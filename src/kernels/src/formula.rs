//! The functions of one number in f64, for tables and for what the chips compute in f32: the reference evaluates both so and
//! rounds once.

use crate::unary::Function;
use crate::{KernelError, expect_length, threads};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Beyond 20, ln(exp(x) + 1) is x.
fn softplus(x: f64) -> f64 {
    if x > 20.0 { x } else { (x.exp() + 1.0).ln() }
}

impl Function {
    /// f(x).
    pub fn exact(self, x: f64) -> f64 {
        match self {
            Function::Abs => x.abs(),
            Function::Ceil => x.ceil(),
            Function::Cos => x.cos(),
            Function::Cosh => x.cosh(),
            Function::Elu { alpha } => if x > 0.0 { x } else { alpha * (x.exp() - 1.0) },
            Function::Erf => libm::erf(x),
            Function::Exp => x.exp(),
            Function::Floor => x.floor(),
            Function::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
            Function::GeluTanh => 0.5 * x * (1.0 + (x * 0.7978845608 * (1.0 + 0.044715 * x * x)).tanh()),
            Function::GeluSigmoid => x * sigmoid(1.702 * x),
            Function::HardSigmoid { alpha, beta } => (alpha * x + beta).min(1.0).max(0.0),
            Function::HardSwish => x * (x / 6.0 + 0.5).min(1.0).max(0.0),
            Function::LeakyRelu { alpha } => if x > 0.0 { x } else { x * alpha },
            Function::Ln => x.ln(),
            Function::Mish => x * softplus(x).tanh(),
            Function::Pow { exponent } => x.powf(exponent),
            Function::PowOf { base } => base.powf(x),
            Function::Reciprocal { numerator } => numerator / x,
            Function::Round => x.round_ties_even(),
            Function::Rsqrt => 1.0 / x.sqrt(),
            Function::Sigmoid { scale, bias } => scale * sigmoid(x) + bias,
            Function::LogSigmoid { scale, bias } => (scale * sigmoid(x) + bias).ln(),
            Function::Sign => if x == 0.0 { 0.0 } else { x.signum() },
            Function::Silu => x * sigmoid(x),
            Function::Sin => x.sin(),
            Function::Sinh => x.sinh(),
            Function::Softplus => softplus(x),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Sqrt => x.sqrt(),
            Function::Swish { beta } => x * sigmoid(beta * x),
            Function::Tan => x.tan(),
            Function::Tanh => x.tanh(),
            Function::Add { value } => x + value,
            Function::SubtractFrom { value } => value - x,
            Function::Mul { value } => x * value,
            Function::Max { value } => if x < value { value } else { x },
            Function::Min { value } => if x > value { value } else { x },
        }
    }

    /// `y = f(x)` element by element, in f64 rounded to f32.
    pub fn apply_exact(self, x: &[f32], y: &mut [f32]) -> Result<(), KernelError> {
        expect_length("results of an elementwise function", x.len(), y.len())?;
        threads::for_parts(y, 1, |start, y| {
            let x = &x[start..start + y.len()];
            x.iter().zip(y).for_each(|(x, y)| *y = self.exact(f64::from(*x)) as f32);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of a function agree as far as f32 goes.
    #[test]
    fn formulas_are_those_of_the_f32_kernels() {
        let all = [
            Function::Abs, Function::Ceil, Function::Cos, Function::Cosh, Function::Elu { alpha: 0.7 }, Function::Erf, Function::Exp, Function::Floor,
            Function::Gelu, Function::GeluTanh, Function::GeluSigmoid, Function::HardSigmoid { alpha: 0.2, beta: 0.5 }, Function::HardSwish,
            Function::LeakyRelu { alpha: 0.1 }, Function::Mish, Function::PowOf { base: 1.5 }, Function::Reciprocal { numerator: 3.0 }, Function::Round,
            Function::Sigmoid { scale: 2.0, bias: 0.5 }, Function::LogSigmoid { scale: 1.0, bias: 0.0 }, Function::Sign, Function::Silu, Function::Sin,
            Function::Sinh, Function::Softplus, Function::Softsign, Function::Swish { beta: 1.7 }, Function::Tanh, Function::Add { value: 0.25 },
            Function::SubtractFrom { value: 0.25 }, Function::Mul { value: -1.5 }, Function::Max { value: 0.25 }, Function::Min { value: 0.25 },
        ];
        let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.005).collect();
        let (mut fast, mut exact) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut check = |function: Function, x: &[f32]| {
            let (fast, exact) = (&mut fast[..x.len()], &mut exact[..x.len()]);
            function.apply(x, fast).unwrap();
            function.apply_exact(x, exact).unwrap();
            for (i, (a, b)) in fast.iter().zip(exact).enumerate() {
                assert!(a == b || (*a - *b).abs() <= 4e-7 * b.abs().max(1.0), "{function:?} of {}: {a} {b}", x[i]);
            }
        };
        all.into_iter().for_each(|f| check(f, &x));
        let positive: Vec<f32> = x.iter().copied().filter(|v| *v > 0.0).collect();
        [Function::Ln, Function::Sqrt, Function::Rsqrt, Function::Pow { exponent: 1.5 }].into_iter().for_each(|f| check(f, &positive));
    }
}
