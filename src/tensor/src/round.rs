//! Rounding primitives of the quantized arithmetic. Every integer path of the house goes through these, so that the
//! interpreter, the simulator and the lowering cannot disagree about a half.

use crate::dtype::DType;

/// `(v + 2^(shift-1)) >> shift`: right shift, halves towards plus infinity. `shift <= 0` shifts left.
#[inline(always)]
pub fn shift_half_up(v: i64, shift: i32) -> i64 {
    if shift > 62 {
        0
    } else if shift > 0 {
        v.wrapping_add(1i64 << (shift - 1)) >> shift
    } else {
        v.wrapping_shl(shift.unsigned_abs().min(63))
    }
}

/// Right shift with halves away from zero. `shift <= 0` shifts left.
#[inline(always)]
pub fn shift_half_away(v: i64, shift: i32) -> i64 {
    if shift <= 0 {
        return shift_half_up(v, shift);
    }
    if shift > 62 {
        return 0;
    }
    let magnitude = (v.unsigned_abs() + (1u64 << (shift - 1))) >> shift;
    if v < 0 { -(magnitude as i64) } else { magnitude as i64 }
}

/// Round to the nearest integer, halves away from zero.
#[inline(always)]
pub fn half_away_f32(x: f32) -> f32 {
    x.round()
}

/// Round to the nearest integer, halves away from zero.
#[inline(always)]
pub fn half_away_f64(x: f64) -> f64 {
    x.round()
}

/// Round to the nearest integer, halves to even.
#[inline(always)]
pub fn half_even_f64(x: f64) -> f64 {
    x.round_ties_even()
}

/// Round to the nearest integer, halves to even.
#[inline(always)]
pub fn half_even_f32(x: f32) -> f32 {
    x.round_ties_even()
}

/// Clamp to the range of an integer type.
#[inline(always)]
pub fn saturate(v: i64, dtype: DType) -> i64 {
    match dtype.integer_range() {
        Some((low, high)) => v.clamp(low, high),
        None => v,
    }
}

#[inline(always)]
pub fn saturate_i8(v: i64) -> i8 {
    v.clamp(-128, 127) as i8
}

#[inline(always)]
pub fn saturate_u8(v: i64) -> u8 {
    v.clamp(0, 255) as u8
}

/// Saturating conversion of an already rounded float; NaN becomes 0.
#[inline(always)]
pub fn float_to_i64(x: f64) -> i64 {
    x as i64
}

/// A scale as `multiplier / 2^shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultiplierShift {
    pub multiplier: i32,
    pub shift: i32,
}

/// `2^shift` of an exponent that normal floats have.
fn power_of_two(shift: i32) -> f32 {
    f32::from_bits(((shift + 127) as u32) << 23)
}

/// As [`half_away_f32`], without a call where the processor has no such instruction.
#[inline(always)]
fn half_away_inline(x: f32) -> f32 {
    // From 2^23 on every float is whole; and NaN stays.
    if !(x.abs() < 8_388_608.0) {
        return x;
    }
    let whole = (x as i32) as f32;
    if (x - whole).abs() >= 0.5 { whole + 1f32.copysign(x) } else { whole }
}

/// The multiplier and shift nearest to a scale (`spec/lowering.md` section 3, "fit").
///
/// Candidates are `m = round_half_away(scale * 2^n)` for every shift `n` of `shifts`; those with `|m|` below
/// `2^(bits-1) - 1` count, and the smallest `n` with the smallest `|m / 2^n - scale|` (in f32) wins.
///
/// All of them are multiples of `2^-l` for the largest shift `l` that counts, so that none is nearer than the one of `l`. The
/// smallest shift with the same distance is the one that leaves that multiplier odd; halfway between two, one is even.
pub fn fit(scale: f32, bits: u32, shifts: std::ops::RangeInclusive<i32>) -> MultiplierShift {
    let limit = ((1i64 << (bits - 1)) - 1) as f32;
    let first = *shifts.start();
    let exponent = (scale.to_bits() >> 23 & 0xff) as i32 - 127;
    let mut last = (bits as i32 - 1 - exponent).min(*shifts.end());
    let counts = |shift: i32| half_away_inline(scale * power_of_two(shift)).abs() < limit;
    while last >= first && !counts(last) {
        last -= 1;
    }
    if last < first || !scale.is_finite() {
        return MultiplierShift { multiplier: 0, shift: 0 };
    }
    let exact = scale * power_of_two(last);
    let rounded = half_away_inline(exact) as i32;
    let inner = exact as i32;
    let is_halfway = (exact - inner as f32).abs() == 0.5;
    let nearest = if is_halfway && rounded % 2 != 0 && last > first { inner } else { rounded };
    // Of all shifts 0 is equally far.
    let spare = if nearest == 0 { last - first } else { (nearest.trailing_zeros() as i32).min(last - first) };
    MultiplierShift { multiplier: nearest >> spare.min(31), shift: last - spare }
}

/// `fit` over shifts -32..=30, for convolutions, matrix products and multiplications.
pub fn fit_any(scale: f32, bits: u32) -> MultiplierShift {
    fit(scale, bits, -32..=30)
}

/// `fit` over shifts 0..=30, for additions, concatenations and constants.
pub fn fit_positive(scale: f32, bits: u32) -> MultiplierShift {
    fit(scale, bits, 0..=30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        assert_eq!([-3, -1, 1, 3].map(|v| shift_half_up(v, 1)), [-1, 0, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|v| shift_half_away(v, 1)), [-2, -1, 1, 2]);
        assert_eq!(shift_half_up(5, -2), 20);
        assert_eq!(shift_half_up(i64::MAX, 80), 0);
        assert_eq!([-2.5f32, -0.5, 0.5, 1.5].map(half_even_f32), [-2.0, -0.0, 0.0, 2.0]);
        assert_eq!([-2.5f32, -0.5, 0.5, 1.5].map(half_away_f32), [-3.0, -1.0, 1.0, 2.0]);
    }

    #[test]
    fn fit_is_the_first_of_the_nearest_of_all_shifts() {
        let plain = |scale: f32, bits: u32, shifts: std::ops::RangeInclusive<i32>| {
            let mut best = (f32::INFINITY, MultiplierShift { multiplier: 0, shift: 0 });
            for shift in shifts {
                let m = (scale * (shift as f32).exp2()).round();
                let distance = (m / (shift as f32).exp2() - scale).abs();
                if m.is_finite() && m.abs() < ((1i64 << (bits - 1)) - 1) as f32 && distance < best.0 {
                    best = (distance, MultiplierShift { multiplier: m as i32, shift });
                }
            }
            best.1
        };
        let mut state = 7u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            // Any f32 now and then, mostly such as scales are.
            let scale = if state & 15 == 0 { f32::from_bits(state.rotate_left(9)) } else { f32::from_bits(state >> 5 & 0x7f_ffff | ((state >> 28) * 3 + 95) << 23) };
            // Halfway between two multipliers of the last shift.
            let halfway = ((state >> 20) as f32 - 2048.0 + 0.5) * power_of_two(-30);
            for scale in [scale, -scale, halfway] {
                for (bits, shifts) in [(8, -32..=30), (32, -32..=30), (8, 0..=30), (8, 30..=30)] {
                    assert_eq!(fit(scale, bits, shifts.clone()), plain(scale, bits, shifts), "{scale:e} {bits}");
                }
            }
        }
    }

    #[test]
    fn fit_takes_the_smallest_exact_shift() {
        assert_eq!(fit_any(0.375, 8), MultiplierShift { multiplier: 3, shift: 3 });
        assert_eq!(fit_positive(1.0, 8), MultiplierShift { multiplier: 1, shift: 0 });
        assert_eq!(fit_any(256.0, 8), MultiplierShift { multiplier: 1, shift: -8 });
    }
}
