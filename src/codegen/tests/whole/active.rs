//! Activation functions of floats: the vendor's simulator equals ours bit for bit, the interpreter within what
//! docs/numerics.md says.

use crate::network::{Network, Random, elem};
use tpuc_ops::tpu::{self, ActiveMode as Mode};
use tpuc_tensor::DType;

/// Functions of any number, with their coefficients.
const ALL: [(Mode, &[f64]); 22] = [
    (Mode::TANH, &[]),
    (Mode::SIGMOID, &[]),
    (Mode::ABSVAL, &[]),
    (Mode::ELU, &[0.7]),
    (Mode::ROUND, &[]),
    (Mode::CEIL, &[]),
    (Mode::FLOOR, &[]),
    (Mode::SIN, &[]),
    (Mode::COS, &[]),
    (Mode::MISH, &[]),
    (Mode::SWISH, &[1.3]),
    (Mode::HSWISH, &[]),
    (Mode::SILU, &[]),
    (Mode::SIGN, &[]),
    (Mode::GELU, &[]),
    (Mode::TGELU, &[]),
    (Mode::QGELU, &[]),
    (Mode::ERF, &[]),
    (Mode::HSIGMOID, &[0.4, 0.3]),
    (Mode::LOG_SIGMOID, &[]),
    (Mode::SOFT_PLUS, &[]),
    (Mode::SOFT_SIGN, &[]),
];
/// Of numbers of moderate size, or of positive ones.
const NARROW: [Mode; 4] = [Mode::EXP, Mode::SINH, Mode::COSH, Mode::TAN];
const POSITIVE: [Mode; 3] = [Mode::SQRT, Mode::RSQRT, Mode::LN];

fn active(mode: Mode, coeffs: &[f64]) -> tpu::Active {
    tpu::Active { mode, coeffs: Some(coeffs.to_vec()).filter(|c| !c.is_empty()), scale: None, bias: None, log: None, is_scalar: None }
}

#[test]
fn activations_are_close() {
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 1e-3), (DType::BF16, 8e-3)] {
        let mut random = Random::new(3);
        let mut network = Network::new(&format!("active {dtype}"));
        let ty = elem(dtype, 1.0);
        for spread in [0.01, 6.0, 30.0] {
            let x = network.input(&mut random, &[1, 37, 5, 1], ty, spread);
            // The error of erf is absolute.
            for (mode, coeffs) in ALL.into_iter().filter(|(mode, _)| *mode != Mode::ERF || spread >= 1.0) {
                network.push(active(mode, coeffs), &[x], ty);
            }
            let scaled = tpu::Active { scale: Some(2.0), bias: Some(0.5), ..active(Mode::SIGMOID, &[]) };
            network.push(scaled, &[x], ty);
        }
        for spread in [0.01, 1.2] {
            let x = network.input(&mut random, &[1, 1, 20, 33], ty, spread);
            for mode in NARROW {
                network.push(active(mode, &[]), &[x], ty);
            }
        }
        let x = network.input(&mut random, &[1, 3, 4, 5], ty, 10.0);
        let positive = network.push(active(Mode::ABSVAL, &[]), &[x], ty);
        for mode in POSITIVE {
            network.push(active(mode, &[]), &[positive], ty);
        }
        println!("{dtype}: at most {} of the peak", network.check_close(tolerance, true));
    }
}

/// What lies far outside saturates as it should.
#[test]
fn large_arguments_saturate() {
    let mut random = Random::new(4);
    let mut network = Network::new("large");
    let ty = elem(DType::F32, 1.0);
    let x = network.input(&mut random, &[1, 64, 7, 1], ty, 3000.0);
    for mode in [Mode::TANH, Mode::SIGMOID, Mode::SILU, Mode::MISH, Mode::GELU, Mode::TGELU, Mode::QGELU, Mode::ERF, Mode::SOFT_PLUS, Mode::SOFT_SIGN] {
        network.push(active(mode, &[]), &[x], ty);
    }
    network.check_close(1e-6, true);
}
