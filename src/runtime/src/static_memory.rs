//! The constants that BM1684X's runtime puts into the TIU's static memory: exponentials, and the coefficients of Taylor
//! series and of one polynomial, in f32, f16 and bf16. All are computed here (`isa/facts.md` chapter b says where each
//! lies).

use half::{bf16, f16};
use std::f64::consts::PI;

/// Bytes of the static memory.
pub const SIZE: usize = 16 * 1024;

/// `e^k` starts at the smallest `k` whose exponential is not zero in f32 and ends at the largest that is finite.
const EXP_RANGE: std::ops::RangeInclusive<i32> = -103..=88;

/// erfc(x) = t exp(-x^2 + P(t)), t = 1 / (1 + x/2): the coefficients of P (Numerical Recipes, section 6.2).
const ERFC: [f64; 10] =
    [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];

/// The content of the static memory.
pub fn static_memory() -> Vec<u8> {
    let mut memory = vec![0u8; SIZE];
    let mut f32s = |at: usize, values: &[f64]| put(&mut memory, at, values.iter().map(|&v| (v as f32).to_le_bytes()));
    f32s(0, &EXP_RANGE.map(|k| f64::from(k).exp()).collect::<Vec<_>>());
    f32s(1024, &exp_series(32));
    f32s(1152, &log_series(64));
    f32s(1408, &ERFC);
    f32s(1728, &sin_series(32));
    f32s(1856, &cos_series(32));
    f32s(1984, &arcsin_series(64));
    f32s(2240, &tan_series(32));
    f32s(2880, &arctan_series(32));
    put(&mut memory, 1472, (0..64u32).map(u32::to_le_bytes));
    let halves = [(2368, exp_series(16)), (2496, log_series(16)), (2624, sin_series(16)), (2752, cos_series(16))];
    for (at, series) in halves {
        put(&mut memory, at, series.iter().map(|&v| f16::from_f64(v).to_le_bytes()));
        put(&mut memory, at + 64, series.iter().map(|&v| bf16::from_f64(v).to_le_bytes()));
    }
    memory
}

fn put<const N: usize>(memory: &mut [u8], at: usize, values: impl Iterator<Item = [u8; N]>) {
    for (to, value) in memory[at..].chunks_exact_mut(N).zip(values) {
        to.copy_from_slice(&value);
    }
}

/// exp(x): 1/n!.
fn exp_series(terms: usize) -> Vec<f64> {
    (0..terms).scan(1.0, |term, n| Some(std::mem::replace(term, *term / (n + 1) as f64))).collect()
}

/// log(1 + x): 0, then (-1)^(n+1)/n.
fn log_series(terms: usize) -> Vec<f64> {
    (0..terms).map(|n| if n == 0 { 0.0 } else { alternating(n + 1) / n as f64 }).collect()
}

/// sin(2 pi x) / x in powers of x^2.
fn sin_series(terms: usize) -> Vec<f64> {
    turns(terms, 1)
}

/// cos(2 pi x) in powers of x^2.
fn cos_series(terms: usize) -> Vec<f64> {
    turns(terms, 0)
}

/// (-1)^k (2 pi)^(2k+odd) / (2k+odd)!.
fn turns(terms: usize, odd: usize) -> Vec<f64> {
    let powers: Vec<f64> = (0..2 * terms).scan(1.0, |term, n| Some(std::mem::replace(term, *term * 2.0 * PI / (n + 1) as f64))).collect();
    (0..terms).map(|k| alternating(k) * powers[2 * k + odd]).collect()
}

/// arcsin(x) / x in powers of x^2: (2k)! / (4^k k!^2 (2k+1)).
fn arcsin_series(terms: usize) -> Vec<f64> {
    let central = (0..terms).scan(1.0, |term, k| Some(std::mem::replace(term, *term * (2 * k + 1) as f64 / (2 * k + 2) as f64)));
    central.enumerate().map(|(k, c)| c / (2 * k + 1) as f64).collect()
}

/// tan(pi x) / x in powers of x^2: 2 * 4^n * lambda(2n) / pi, lambda(s) the sum of 1/odd^s.
fn tan_series(terms: usize) -> Vec<f64> {
    let lambda = |n: i32| match n {
        // The sum converges slowly for the first two, which are known: pi^2/8 and pi^4/96.
        1 => PI * PI / 8.0,
        2 => PI.powi(4) / 96.0,
        _ => (0..2000).rev().map(|k| f64::from(2 * k + 1).powi(-2 * n)).sum(),
    };
    (1..=terms as i32).map(|n| 2.0 * 4f64.powi(n) * lambda(n) / PI).collect()
}

/// arctan(x) / x in powers of x^2: (-1)^k / (2k+1).
fn arctan_series(terms: usize) -> Vec<f64> {
    (0..terms).map(|k| alternating(k) / (2 * k + 1) as f64).collect()
}

fn alternating(k: usize) -> f64 {
    if k.is_multiple_of(2) { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_dump_of_the_vendors_runtime() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/isa/smem_1684x.bin");
        let Ok(dump) = std::fs::read(path) else {
            println!("skipped: no dump beside the checkout");
            return;
        };
        let memory = static_memory();
        assert_eq!(memory.len(), dump.len());
        let different: Vec<_> = (0..SIZE).step_by(4).filter(|&i| memory[i..i + 4] != dump[i..i + 4]).map(|i| (i, memory[i..i + 4].to_vec(), dump[i..i + 4].to_vec())).collect();
        assert!(different.is_empty(), "{different:x?}");
    }
}
