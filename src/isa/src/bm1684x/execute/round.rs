//! Rounding and saturation as the chip does them.

use crate::bm1684x::Rounding;

/// Range of an integer type.
pub fn range(bytes: u32, signed: bool) -> (i64, i64) {
    let bits = 8 * bytes.min(4);
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// `v * 2^shift`, rounded where bits are lost. Right shifts of more than 62 count as 62.
#[inline(always)]
pub fn shift_round(v: i64, shift: i64, rounding: Rounding) -> i64 {
    if shift >= 0 {
        return v.checked_shl(shift.min(64) as u32).unwrap_or(0);
    }
    let right = (-shift).min(62) as u32;
    let half = 1i64 << (right - 1);
    let mask = (half << 1).wrapping_sub(1);
    let negative = i64::from(v < 0);
    let add = match rounding {
        Rounding::Down => 0,
        Rounding::Up => mask,
        Rounding::TowardsZero => mask & -negative,
        Rounding::HalfUp => half,
        Rounding::HalfDown => half - 1,
        Rounding::HalfAwayFromZero => half - negative,
        Rounding::HalfToEven => half - 1 + ((v >> right) & 1),
    };
    v.wrapping_add(add) >> right
}

/// `saturate(shift_round(v, shift, rounding) + offset)` of every element; the loop of each rounding is one the compiler
/// turns into vector instructions.
#[inline(always)]
pub fn shift_row(row: &mut [i64], shift: i64, rounding: Rounding, offset: i64, (low, high): (i64, i64)) {
    macro_rules! each {
        ($rounding:expr) => {
            row.iter_mut().for_each(|v| *v = shift_round(*v, shift, $rounding).saturating_add(offset).clamp(low, high))
        };
    }
    if shift >= 0 {
        each!(Rounding::Down);
        return;
    }
    let right = (-shift).min(62) as u32;
    let half = 1i64 << (right - 1);
    let mask = (half << 1).wrapping_sub(1);
    macro_rules! add {
        ($v:ident, $add:expr) => {
            row.iter_mut().for_each(|place| {
                let $v = *place;
                *place = ($v.wrapping_add($add) >> right).wrapping_add(offset).clamp(low, high);
            })
        };
    }
    match rounding {
        Rounding::Down => add!(v, 0),
        Rounding::Up => add!(v, mask),
        Rounding::TowardsZero => add!(v, mask & (v >> 63)),
        Rounding::HalfUp => add!(v, half),
        Rounding::HalfDown => add!(v, half - 1),
        Rounding::HalfAwayFromZero => add!(v, half + (v >> 63)),
        Rounding::HalfToEven => add!(v, half - 1 + ((v >> right) & 1)),
    }
}

/// A float as a whole number.
#[inline(always)]
pub fn round_float(x: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::HalfToEven => x.round_ties_even(),
        Rounding::HalfAwayFromZero => x.round(),
        Rounding::TowardsZero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
        Rounding::HalfUp => (f64::from(x) + 0.5).floor() as f32,
        Rounding::HalfDown => (f64::from(x) - 0.5).ceil() as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_single_values_agree() {
        for &rounding in Rounding::ALL {
            for shift in [-62, -40, -9, -1, 0, 3] {
                let values: Vec<i64> = (-700..700).flat_map(|v| [v, v << 20]).collect();
                let mut row = values.clone();
                shift_row(&mut row, shift, rounding, 3, (-1000, 1000));
                for (v, r) in values.iter().zip(&row) {
                    assert_eq!((shift_round(*v, shift, rounding) + 3).clamp(-1000, 1000), *r, "{v} {shift} {rounding:?}");
                }
            }
        }
    }

    #[test]
    fn halves() {
        let of = |v, rounding| shift_round(v, -1, rounding);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::HalfToEven)), [-2, 0, 0, 2]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::HalfAwayFromZero)), [-2, -1, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::TowardsZero)), [-1, 0, 0, 1]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::Down)), [-2, -1, 0, 1]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::Up)), [-1, 0, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::HalfUp)), [-1, 0, 1, 2]);
        assert_eq!([-3, -1, 1, 3].map(|v| of(v, Rounding::HalfDown)), [-2, -1, 0, 1]);
    }
}
