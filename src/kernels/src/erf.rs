//! The error function of f32, by the rational approximations of fdlibm (glibc up to 2.40): results are theirs in every bit.

use crate::math::exp;

/// A polynomial, its constant term first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, terms: [f32; N]) -> f32 {
    terms.iter().rev().fold(0.0, |sum, term| term + x * sum)
}

const ERF_OF_ONE: f32 = 0.845_062_9;

// About 0: erf(x) = x + x P(x^2) / Q(x^2).
const P: [f32; 5] = [1.283_791_7e-1, -3.250_421e-1, -2.848_175e-2, -5.770_270_2e-3, -2.376_301_7e-5];
const Q: [f32; 6] = [1.0, 3.979_172e-1, 6.502_225e-2, 5.081_306_2e-3, 1.324_947_4e-4, -3.960_228e-6];
// About 1: erf(x) = ERF_OF_ONE + P(|x| - 1) / Q(|x| - 1).
const P_ONE: [f32; 7] = [-2.362_118_6e-3, 4.148_561e-1, -3.722_078_8e-1, 3.183_466_2e-1, -1.108_946_95e-1, 3.547_830_5e-2, -2.166_375_5e-3];
const Q_ONE: [f32; 7] = [1.0, 1.064_208_8e-1, 5.403_979_4e-1, 7.182_866e-2, 1.261_712_16e-1, 1.363_708_36e-2, 1.198_45e-2];
// Beyond: erf(x) = 1 - exp(-x^2 - 0.5625 + R(1/x^2) / S(1/x^2)) / x, up to 1/0.35 and from there on.
const R_NEAR: [f32; 8] = [-9.864_944e-3, -6.938_585_6e-1, -1.055_862_6e1, -6.237_533e1, -1.623_966_7e2, -1.846_050_9e2, -8.128_744e1, -9.814_329];
const S_NEAR: [f32; 9] = [1.0, 1.965_127_2e1, 1.376_577_6e2, 4.345_658_9e2, 6.453_872_7e2, 4.290_081_5e2, 1.086_35e2, 6.570_25, -6.042_441_4e-2];
const R_FAR: [f32; 7] = [-9.864_943e-3, -7.992_832_7e-1, -1.775_795_6e1, -1.606_363_8e2, -6.375_665e2, -1.025_095_1e3, -4.835_192e2];
const S_FAR: [f32; 8] = [1.0, 3.033_806e1, 3.257_925e2, 1.536_729_6e3, 3.199_858_2e3, 2.553_050_3e3, 4.745_285_3e2, -2.244_095_2e1];

/// erf(x)
#[inline]
pub fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    if x.is_nan() {
        return x;
    }
    if magnitude < 0.843_75 {
        return if magnitude < 3.725_290_3e-9 {
            if magnitude < 1.504_632_8e-36 { 0.0625 * (16.0 * x + (16.0 * 1.283_791_7e-1) * x) } else { x + 1.283_791_7e-1 * x }
        } else {
            let z = x * x;
            x + x * (polynomial(z, P) / polynomial(z, Q))
        };
    }
    let y = if magnitude < 1.25 {
        let s = magnitude - 1.0;
        ERF_OF_ONE + polynomial(s, P_ONE) / polynomial(s, Q_ONE)
    } else if magnitude >= 6.0 {
        1.0
    } else {
        let s = 1.0 / (magnitude * magnitude);
        let ratio = if magnitude < 2.857_142_4 { polynomial(s, R_NEAR) / polynomial(s, S_NEAR) } else { polynomial(s, R_FAR) / polynomial(s, S_FAR) };
        // x^2 in two parts: the square of the leading bits is exact.
        let leading = f32::from_bits(magnitude.to_bits() & 0xffff_f000);
        let r = exp(-leading * leading - 0.5625) * exp((leading - magnitude) * (leading + magnitude) + ratio);
        1.0 - r / magnitude
    };
    y.copysign(x)
}
