//! Elementary functions of f32 in a form that loops vectorize.
//!
//! Thresholds of a calibration depend on every bit of the activations, so results must not change with the processor or the
//! C library. `exp` and `ln` are the table methods of Arm's optimized routines, which glibc uses from 2.28 on, `tanh` is that
//! of fdlibm, which glibc used up to 2.40: the results are theirs in every bit.

/// 2^(i/32), as bits less `i << 47`, so that adding `k << 47` for `k = 32 n + i` gives 2^(k/32).
const EXP2: [u64; 32] = {
    // 2^(i/32) rounded to f64.
    let powers = [
        0x3ff0000000000000u64, 0x3ff059b0d3158574, 0x3ff0b5586cf9890f, 0x3ff11301d0125b51, 0x3ff172b83c7d517b, 0x3ff1d4873168b9aa, 0x3ff2387a6e756238, 0x3ff29e9df51fdee1,
        0x3ff306fe0a31b715, 0x3ff371a7373aa9cb, 0x3ff3dea64c123422, 0x3ff44e086061892d, 0x3ff4bfdad5362a27, 0x3ff5342b569d4f82, 0x3ff5ab07dd485429, 0x3ff6247eb03a5585,
        0x3ff6a09e667f3bcd, 0x3ff71f75e8ec5f74, 0x3ff7a11473eb0187, 0x3ff82589994cce13, 0x3ff8ace5422aa0db, 0x3ff93737b0cdc5e5, 0x3ff9c49182a3f090, 0x3ffa5503b23e255d,
        0x3ffae89f995ad3ad, 0x3ffb7f76f2fb5e47, 0x3ffc199bdd85529c, 0x3ffcb720dcef9069, 0x3ffd5818dcfba487, 0x3ffdfc97337b9b5f, 0x3ffea4afa2a490da, 0x3fff50765b6e4540,
    ];
    let mut table = [0; 32];
    let mut i = 0;
    while i < 32 {
        table[i] = powers[i] - ((i as u64) << 47);
        i += 1;
    }
    table
};

/// Adding and taking away this rounds an f64 to an integer, which then stands in its low bits.
const ROUND: f64 = 6755399441055744.0;

/// e^x
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const N: f64 = 32.0;
    const C: [f64; 3] = [0.05550361559341535 / N / N / N, 0.2402284522445722 / N / N, 0.6931471806916203 / N];
    let z = std::f64::consts::LOG2_E * N * f64::from(x);
    let shifted = z + ROUND;
    let k = shifted.to_bits();
    let r = z - (shifted - ROUND);
    let power = f64::from_bits(EXP2[(k % 32) as usize].wrapping_add(k << 47));
    let y = (C[0] * r + C[1]) * (r * r) + (C[2] * r + 1.0);
    let y = (y * power) as f32;
    // Beyond these results overflow, or round to zero.
    let y = if x > 88.72283 { f32::INFINITY } else { y };
    let y = if x < -103.972_08 { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// By the leading bits of a significand z: about 1/z, and the logarithm of its inverse.
const LN: [(f64, f64); 16] = [
    (1.398907162146528, -0.33569133332882284),
    (1.3403141896637998, -0.2929040563774074),
    (1.286432210124115, -0.2518726580937369),
    (1.2367150214269895, -0.21245868807117255),
    (1.1906977166711752, -0.17453945183745634),
    (1.1479821020556429, -0.1380057072319758),
    (1.1082251448272158, -0.10275976698545139),
    (1.0711297413057381, -0.06871392447020525),
    (1.036437278977283, -0.0357891387398228),
    (1.0, 0.0),
    (0.9492859795739057, 0.05204517742929496),
    (0.8951049428609004, 0.11081431298787942),
    (0.8476821620351103, 0.1652495223695143),
    (0.8050314851692001, 0.21687389031699977),
    (0.7664671008843108, 0.2659635028121397),
    (0.731428603316328, 0.3127556664073557),
];

/// The natural logarithm.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    const A: [f64; 3] = [-0.25089342214237154, 0.333456765744066, -0.4999997485802103];
    // Subnormals are scaled into the normal range first.
    let small = x < f32::MIN_POSITIVE;
    let bits = if small { (x * 8388608.0).to_bits().wrapping_sub(23 << 23) } else { x.to_bits() };
    let from_least = bits.wrapping_sub(0x3f33_0000);
    let (inverse, log) = LN[(from_least >> 19 & 15) as usize];
    let exponent = f64::from(from_least as i32 >> 23);
    let z = f64::from(f32::from_bits(bits.wrapping_sub(from_least & 0xff80_0000)));
    let r = z * inverse - 1.0;
    let y = (A[0] * (r * r) + (A[1] * r + A[2])) * (r * r) + ((log + exponent * std::f64::consts::LN_2) + r);
    let y = if x == f32::INFINITY { x } else { y as f32 };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x < 0.0 { f32::NAN } else { y };
    if x.is_nan() { x } else { y }
}

/// e^x - 1 for |x| up to 44.
#[inline(always)]
fn exp_m1(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_138_1;
    const LN2_LOW: f32 = 9.058_001e-6;
    const Q: [f32; 5] = [-0.033333335, 0.0015873016, -7.936507e-5, 4.008217e-6, -2.0109921e-7];
    let magnitude = x.abs();
    let half = if x < 0.0 { -0.5f32 } else { 0.5 };
    let steps = (std::f32::consts::LOG2_E * x + half) as i32;
    let near = if x < 0.0 { -1 } else { 1 };
    let k = if magnitude < 1.5 * std::f32::consts::LN_2 { near } else { steps };
    let k = if magnitude > 0.5 * std::f32::consts::LN_2 { k } else { 0 };
    let (high, low) = (x - k as f32 * LN2_HIGH, k as f32 * LN2_LOW);
    let r = high - low;
    let c = (high - r) - low;
    let half_r = 0.5 * r;
    let square = r * half_r;
    let r1 = 1.0 + square * (Q[0] + square * (Q[1] + square * (Q[2] + square * (Q[3] + square * Q[4]))));
    let t = 3.0 - r1 * half_r;
    let e = square * ((r1 - t) / (6.0 - r * t));
    let at_zero = r - (r * e - square);
    let e = r * (e - c) - c - square;
    let power = |k: i32| f32::from_bits(((127 + k) as u32) << 23);
    let scaled = |y: f32| f32::from_bits(y.to_bits().wrapping_add((k as u32) << 23));
    let by_one = if r < -0.25 { -2.0 * (e - (r + 0.5)) } else { 1.0 + 2.0 * (r - e) };
    let far = scaled(1.0 - (e - r)) - 1.0;
    let inverse = power(-k.clamp(0, 100));
    let middle = scaled((1.0 - inverse) - (e - r));
    let large = scaled((r - (e + inverse)) + 1.0);
    let y = if k < 23 { middle } else { large };
    let y = if k <= -2 || k > 56 { far } else { y };
    let y = if k == 1 { by_one } else { y };
    let y = if k == -1 { 0.5 * (r - e) - 0.5 } else { y };
    let y = if k == 0 { at_zero } else { y };
    if magnitude < 2.980_232_2e-8 { x } else { y }
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let is_large = magnitude >= 1.0;
    let limited = if magnitude < 22.0 { magnitude } else { 22.0 };
    let t = exp_m1(if is_large { 2.0 * limited } else { -2.0 * limited });
    let ratio = if is_large { 2.0 } else { t } / (t + 2.0);
    let y = if is_large { 1.0 - ratio } else { -ratio };
    let y = if magnitude >= 22.0 { 1.0 } else { y };
    let y = if magnitude < 2.775_557_6e-17 { magnitude * (1.0 + magnitude) } else { y };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// e^x in f64, for x from -700 to 0.
#[inline(always)]
fn exp_wide(x: f64) -> f64 {
    let z = x * (std::f64::consts::LOG2_E * 32.0);
    let shifted = z + ROUND;
    let k = shifted.to_bits();
    let r = x - (shifted - ROUND) * (std::f64::consts::LN_2 / 32.0);
    let power = f64::from_bits(EXP2[(k % 32) as usize].wrapping_add(k << 47));
    power + power * (r + r * r * (1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0)))))
}

/// x / 2 * (1 + erf(x / sqrt(2))), in f64.
///
/// (1 + 2 t) exp(t^2) erfc(t) is a polynomial in (t - 3.75) / (t + 3.75), to 8e-14 for every t from 0 on (Shepherd and
/// Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, Mathematics of Computation 36, 1981).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    const TERMS: [f64; 19] = [
        1.2375126308378275, -0.14024059858485527, 0.00358541548688866, 0.08227673844848053, -0.1088039302274392, 0.09230432190065486,
        -0.058693397071736896, 0.028362271400984504, -0.009746591834571775, 0.0017556525846575803, 0.0002937677737945232,
        -0.00029022473576904097, 5.1507738093871415e-05, 2.2499527072026865e-05, -1.1217512069615754e-05, -1.0898663273129686e-06,
        1.5292909475109917e-06, 1.2872829473336132e-08, -1.3093404292787538e-07,
    ];
    let x = f64::from(x);
    let t = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let t = if t < 25.0 { t } else { 25.0 };
    let (sum, double) = (t + 3.75, 1.0 + 2.0 * t);
    let inverse = 1.0 / (sum * double);
    let q = (t - 3.75) * double * inverse;
    let mut p = 0.0;
    for term in TERMS.iter().rev() {
        p = term + q * p;
    }
    let erf = 1.0 - exp_wide(-t * t) * p * (sum * inverse);
    (0.5 * x * (1.0 + erf.copysign(x))) as f32
}
