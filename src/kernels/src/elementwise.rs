//! Elementwise kernels: sums, activations, per-channel scales, broadcasting.

use crate::buffer::Element;
use crate::cpu::vectorized;
use crate::onednn::Activation;
use crate::{Int8, Ints, IntsMut, KernelError, expect_length, threads};
use tpuc_tensor::round::shift_half_up;

/// Repeats `x` of dimensions `from` along the dimensions in which it has size 1, until it has the dimensions `to` (both in
/// memory order; missing leading dimensions count as 1).
pub fn broadcast<T: Element>(x: &[T], from: &[usize], to: &[usize], y: &mut [T]) -> Result<(), KernelError> {
    let rank = to.len();
    let fits = from.len() <= rank && from.iter().rev().zip(to.iter().rev()).all(|(f, t)| f == t || *f == 1);
    if !fits {
        return Err(KernelError::Geometry(format!("{from:?} does not broadcast to {to:?}")));
    }
    expect_length("elements to broadcast", from.iter().product(), x.len())?;
    expect_length("elements to broadcast into", to.iter().product(), y.len())?;
    if y.is_empty() {
        return Ok(());
    }
    let mut strides = vec![0; rank];
    let mut stride = 1;
    for (d, &size) in from.iter().enumerate().rev() {
        strides[rank - from.len() + d] = if size == 1 { 0 } else { stride };
        stride *= size;
    }
    let inner = to.last().copied().unwrap_or(1);
    let inner_stride = strides.last().copied().unwrap_or(0);
    for (row, y) in y.chunks_exact_mut(inner).enumerate() {
        let (mut rest, mut offset) = (row, 0);
        for d in (0..rank.saturating_sub(1)).rev() {
            offset += rest % to[d] * strides[d];
            rest /= to[d];
        }
        match inner_stride {
            0 => y.fill(x[offset]),
            _ => y.copy_from_slice(&x[offset..offset + inner]),
        }
    }
    Ok(())
}

vectorized! {
    fn add_two(a: &[f32], b: &[f32], limit: f32, low: f32, y: &mut [f32]) {
        for ((a, b), y) in a.iter().zip(b).zip(y) {
            *y = (a + b).max(low).min(limit);
        }
    }
}

/// `y = activation(sum of coeff_i * x_i)` over inputs of one shape; no coefficients means ones. Sums run from the first input.
pub fn add(inputs: &[&[f32]], coeff: Option<&[f64]>, activation: Activation, y: &mut [f32]) -> Result<(), KernelError> {
    for x in inputs {
        expect_length("elements of a summand", y.len(), x.len())?;
    }
    if let Some(coeff) = coeff {
        expect_length("coefficients", inputs.len(), coeff.len())?;
    }
    let ones = coeff.is_none_or(|c| c.iter().all(|&v| v == 1.0));
    if let ([a, b], true, Activation::Relu | Activation::ReluLimit(_)) = (inputs, ones, activation) {
        let limit = if let Activation::ReluLimit(limit) = activation { limit } else { f32::INFINITY };
        threads::for_parts(y, 1, |start, y| add_two(&a[start..start + y.len()], &b[start..start + y.len()], limit, 0.0, y));
        return Ok(());
    }
    threads::for_parts(y, 1, |start, y| {
        y.fill(0.0);
        for (i, x) in inputs.iter().enumerate() {
            let c = coeff.map_or(1.0, |c| c[i] as f32);
            let x = &x[start..start + y.len()];
            match (i, c == 1.0) {
                (0, true) => y.copy_from_slice(x),
                (_, true) => accumulate(x, y),
                (0, false) => y.iter_mut().zip(x).for_each(|(y, x)| *y = c * x),
                (_, false) => y.iter_mut().zip(x).for_each(|(y, x)| *y += c * x),
            }
        }
        activate_in_place(y, activation);
    });
    Ok(())
}

vectorized! {
    fn accumulate(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y += x;
        }
    }
}

vectorized! {
    fn clamp_in_place(low: f32, high: f32, y: &mut [f32]) {
        for y in y {
            *y = y.max(low).min(high);
        }
    }
}

/// Applies an activation.
pub fn activate_in_place(y: &mut [f32], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Relu => clamp_in_place(0.0, f32::INFINITY, y),
        Activation::ReluLimit(limit) => clamp_in_place(0.0, limit, y),
    }
}

/// `y = min(max(x, low), high)`
pub fn clip(x: &[f32], low: f32, high: f32, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("results of a clip", x.len(), y.len())?;
    y.copy_from_slice(x);
    clamp_in_place(low, high, y);
    Ok(())
}

/// `y = activation(x * scale + bias)`, one scale and bias per channel; `inner` elements of a channel stand together.
pub fn scale(x: &[f32], inner: usize, scale: &[f32], bias: &[f32], activation: Activation, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("results of a scale", x.len(), y.len())?;
    expect_length("biases of a scale", scale.len(), bias.len())?;
    let plane = inner * scale.len();
    expect_length("rest of the channels", 0, if plane == 0 { x.len() } else { x.len() % plane })?;
    if inner == 1 {
        scale_rows(x, scale, bias, y);
        activate_in_place(y, activation);
        return Ok(());
    }
    for (x, y) in x.chunks_exact(plane.max(1)).zip(y.chunks_exact_mut(plane.max(1))) {
        for (((x, y), &s), &b) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)).zip(scale).zip(bias) {
            x.iter().zip(y).for_each(|(x, y)| *y = activation.apply(x * s + b));
        }
    }
    Ok(())
}

vectorized! {
    fn scale_rows(x: &[f32], scale: &[f32], bias: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(scale.len().max(1)).zip(y.chunks_exact_mut(scale.len().max(1))) {
            for (((x, y), s), b) in x.iter().zip(y).zip(scale).zip(bias) {
                *y = x * s + b;
            }
        }
    }
}

/// A summand of an 8-bit sum: `((x - zero_point) * multiplier) >> shift`, halves up, or the negative of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summand<'a> {
    pub x: Ints<'a>,
    pub zero_point: i32,
    pub multiplier: i32,
    pub shift: i32,
    pub negative: bool,
}

/// `y = saturate(relu(sum of ((x_i - z_i) * m_i) >> r_i) + zero_point)` over inputs of one shape (`spec/lowering.md` section 4, BM1684X Add).
pub fn add_int(inputs: &[Summand<'_>], relu: bool, zero_point: i32, y: IntsMut<'_>) -> Result<(), KernelError> {
    for input in inputs {
        expect_length("elements of a summand", y.len(), input.x.len())?;
    }
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, y| sum_of(inputs, start, relu, zero_point, y)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, y| sum_of(inputs, start, relu, zero_point, y)),
    }
    Ok(())
}

/// `y = saturate(relu(sum of (x_i * m_i) >> shift))`: one shift of the whole sum, halves up (CV18xx). The shifts of the
/// summands are left out.
pub fn add_int_shared(inputs: &[Summand<'_>], shift: i32, relu: bool, y: IntsMut<'_>) -> Result<(), KernelError> {
    for input in inputs {
        expect_length("elements of a summand", y.len(), input.x.len())?;
    }
    match y {
        IntsMut::I8(y) => threads::for_parts(y, 1, |start, y| shared_sum_of(inputs, start, shift, relu, y)),
        IntsMut::U8(y) => threads::for_parts(y, 1, |start, y| shared_sum_of(inputs, start, shift, relu, y)),
    }
    Ok(())
}

fn shared_sum_of<T: Int8>(inputs: &[Summand<'_>], start: usize, shift: i32, relu: bool, y: &mut [T]) {
    let low = if relu { 0 } else { i64::from(T::MIN) };
    for (i, y) in y.iter_mut().enumerate() {
        let product = |input: &Summand<'_>| {
            let x = match input.x {
                Ints::I8(x) => i64::from(x[start + i]),
                Ints::U8(x) => i64::from(x[start + i]),
            };
            let x = x * i64::from(input.multiplier);
            if input.negative { -x } else { x }
        };
        let sum: i64 = inputs.iter().map(product).sum();
        *y = T::narrow(shift_half_up(sum, shift).clamp(low, i64::from(T::MAX)) as i32);
    }
}

/// Sums block by block, so that the wide sums stay in the cache.
fn sum_of<T: Int8>(inputs: &[Summand<'_>], start: usize, relu: bool, zero_point: i32, y: &mut [T]) {
    let mut sums = [0i32; 1024];
    let mut at = start;
    for y in y.chunks_mut(sums.len()) {
        let sums = &mut sums[..y.len()];
        sums.fill(zero_point);
        for &Summand { x, zero_point, multiplier, shift, negative } in inputs {
            // What attributes really hold fits 32 bits, sums included. Anything else goes the slow way.
            let narrow = (-32768..32768).contains(&multiplier) && (0..=22).contains(&shift) && inputs.len() <= 64;
            let sign = if negative { -1 } else { 1 };
            match (x, narrow) {
                (Ints::I8(x), true) => summand(&x[at..at + sums.len()], zero_point, multiplier, shift, sign, sums),
                (Ints::U8(x), true) => summand(&x[at..at + sums.len()], zero_point, multiplier, shift, sign, sums),
                (Ints::I8(x), false) => summand_wide(&x[at..at + sums.len()], zero_point, multiplier, shift, sign, sums),
                (Ints::U8(x), false) => summand_wide(&x[at..at + sums.len()], zero_point, multiplier, shift, sign, sums),
            }
        }
        narrow_sums(sums, if relu { zero_point } else { T::MIN }, y);
        at += y.len();
    }
}

vectorized! {
    fn summand<T: Int8>(x: &[T], zero_point: i32, multiplier: i32, shift: i32, sign: i32, sums: &mut [i32]) {
        let half = if shift > 0 { 1 << (shift - 1) } else { 0 };
        for (x, sum) in x.iter().zip(sums) {
            *sum += (((x.wide() - zero_point) * multiplier + half) >> (shift & 31)) * sign;
        }
    }
}

fn summand_wide<T: Int8>(x: &[T], zero_point: i32, multiplier: i32, shift: i32, sign: i32, sums: &mut [i32]) {
    for (x, sum) in x.iter().zip(sums) {
        let v = shift_half_up(i64::from(x.wide() - zero_point) * i64::from(multiplier), shift).clamp(i64::from(-i32::MAX), i64::from(i32::MAX));
        *sum = sum.saturating_add(v as i32 * sign);
    }
}

vectorized! {
    fn narrow_sums<T: Int8>(sums: &[i32], low: i32, y: &mut [T]) {
        for (sum, y) in sums.iter().zip(y) {
            *y = T::narrow((*sum).max(low).min(T::MAX));
        }
    }
}

/// `y = saturate(max(x, 0))` within one scale.
pub fn relu_int(x: Ints<'_>, limit: Option<i32>, y: IntsMut<'_>) -> Result<(), KernelError> {
    let sum = [Summand { x, zero_point: 0, multiplier: 1, shift: 0, negative: false }];
    let Some(limit) = limit else { return add_int(&sum, true, 0, y) };
    match y {
        IntsMut::I8(y) => {
            add_int(&sum, true, 0, IntsMut::I8(y))?;
            y.iter_mut().for_each(|v| *v = i32::from(*v).min(limit) as i8);
        }
        IntsMut::U8(y) => {
            add_int(&sum, true, 0, IntsMut::U8(y))?;
            y.iter_mut().for_each(|v| *v = i32::from(*v).min(limit) as u8);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_floats() {
        let (a, b) = ([1.0, -5.0, 4.0], [2.0, 1.0, 4.0]);
        let mut y = [0.0; 3];
        add(&[&a, &b], None, Activation::ReluLimit(6.0), &mut y).unwrap();
        assert_eq!(y, [3.0, 0.0, 6.0]);
        add(&[&a, &b, &a], Some(&[1.0, 2.0, -1.0]), Activation::None, &mut y).unwrap();
        assert_eq!(y, [4.0, 2.0, 8.0]);
        assert!(add(&[&a, &b[..2]], None, Activation::None, &mut y).is_err());
    }

    #[test]
    fn sums_of_integers_round_each_summand() {
        let (a, b): (Vec<i8>, Vec<u8>) = (-128..=127).map(|v: i32| (v as i8, (v + 128) as u8)).unzip();
        for (ma, ra, mb, rb) in [(17, 4, 73, 7), (1, 0, 126, 30), (100, 3, 5, 25), (3, 22, 126, 22)] {
            let mut y = vec![0i8; 256];
            for negative in [false, true] {
                let inputs = [Summand { x: Ints::I8(&a), zero_point: 0, multiplier: ma, shift: ra, negative: false }, Summand { x: Ints::U8(&b), zero_point: 0, multiplier: mb, shift: rb, negative }];
                add_int(&inputs, false, 0, IntsMut::I8(&mut y)).unwrap();
                let up = |x: i64, m: i32, r: i32| (x as f64 * f64::from(m) / 2f64.powi(r) + 0.5).floor() as i64;
                let sign = if negative { -1 } else { 1 };
                let wanted = |i: usize| (up(i64::from(a[i]), ma, ra) + sign * up(i64::from(b[i]), mb, rb)).clamp(-128, 127) as i8;
                assert_eq!(y, (0..256).map(wanted).collect::<Vec<_>>());
            }
        }
        let mut y = vec![0u8; 256];
        relu_int(Ints::I8(&a), None, IntsMut::U8(&mut y)).unwrap();
        assert!(y.iter().zip(&a).all(|(&y, &x)| i32::from(y) == i32::from(x).max(0)));
        relu_int(Ints::I8(&a), Some(5), IntsMut::U8(&mut y)).unwrap();
        assert!(y.iter().zip(&a).all(|(&y, &x)| i32::from(y) == i32::from(x).clamp(0, 5)));
    }

    #[test]
    fn broadcasting() {
        let mut y = [0; 12];
        broadcast(&[1, 2, 3], &[3, 1], &[2, 3, 2], &mut y).unwrap();
        assert_eq!(y, [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]);
        broadcast(&[1, 2], &[2, 1, 1], &[2, 3, 2], &mut y).unwrap();
        assert_eq!(y, [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
        assert!(broadcast(&[1, 2], &[2], &[2, 3], &mut [0; 6]).is_err());
    }

    #[test]
    fn scales_per_channel() {
        let mut y = [0.0; 8];
        scale(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2, &[1.0, -1.0], &[0.5, 0.0], Activation::Relu, &mut y).unwrap();
        assert_eq!(y, [1.5, 2.5, 0.0, 0.0, 5.5, 6.5, 0.0, 0.0]);
        scale(&[1.0, 2.0, 3.0, 4.0], 1, &[1.0, -1.0], &[0.5, 0.0], Activation::None, &mut y[..4]).unwrap();
        assert_eq!(y[..4], [1.5, -2.0, 3.5, -4.0]);
    }
}
