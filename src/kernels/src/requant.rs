//! From 32-bit sums back to 8 bits: `saturate((sum + bias) * multiplier >> shift)`, halves towards plus infinity
//! (`spec/lowering.md` section 4, BM1684X Conv and MatMul).

use crate::cpu::vectorized;
use crate::{Int8, IntsMut, KernelError, expect_length, threads};
use tpuc_tensor::round::{shift_half_away, shift_half_up};

/// How a sum is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequantStyle {
    /// `v * multiplier >> shift`, halves up.
    #[default]
    MultiplierShift,
    /// `v * multiplier >> shift`, halves away from zero.
    HalfAway,
    /// TFLite's: `v * multiplier / 2^31`, halves up and saturated to 32 bits, then `>> shift`, halves away from zero.
    HighProduct,
}

impl RequantStyle {
    #[inline(always)]
    pub fn scale(self, v: i64, multiplier: i64, shift: i32) -> i64 {
        match self {
            RequantStyle::MultiplierShift => shift_half_up(v.wrapping_mul(multiplier), shift),
            RequantStyle::HalfAway => shift_half_away(v.wrapping_mul(multiplier), shift),
            RequantStyle::HighProduct => {
                let v = if shift < 0 { v.saturating_mul(1 << shift.unsigned_abs().min(31)).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) } else { v };
                let high = (v.wrapping_mul(multiplier).wrapping_add(1 << 30) >> 31).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
                shift_half_away(high, shift.max(0))
            }
        }
    }
}

/// Bias, multiplier and shift of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Requant {
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i32>,
    relu: bool,
    style: RequantStyle,
    /// Added before saturating.
    zero_point: i32,
    /// Half of the divisor and the shift, where every shift is to the right and at most 62.
    fast: Option<(Vec<i64>, Vec<i64>)>,
}

impl Requant {
    /// One entry per channel; a single multiplier or shift stands for all channels. `relu` clamps at 0 from below.
    pub fn new(channels: usize, bias: Option<&[i32]>, multiplier: &[i64], shift: &[i64], relu: bool) -> Result<Requant, KernelError> {
        let spread = |what: &'static str, list: &[i64]| {
            if list.len() != 1 {
                expect_length(what, channels, list.len())?;
            }
            let narrow = |&v: &i64| i32::try_from(v).map_err(|_| KernelError::Geometry(format!("{what} {v} does not fit 32 bits")));
            let list = list.iter().map(narrow).collect::<Result<Vec<i32>, _>>()?;
            Ok::<_, KernelError>(if list.len() == 1 { vec![list[0]; channels] } else { list })
        };
        let (multiplier, shift) = (spread("multipliers", multiplier)?, spread("shifts", shift)?);
        let bias = match bias {
            Some(bias) => {
                expect_length("biases", channels, bias.len())?;
                bias.to_vec()
            }
            None => vec![0; channels],
        };
        let fast = shift.iter().all(|s| (0..=62).contains(s)).then(|| {
            let half = |&s: &i32| if s > 0 { 1i64 << (s - 1) } else { 0 };
            (shift.iter().map(half).collect(), shift.iter().map(|&s| i64::from(s)).collect())
        });
        Ok(Requant { bias, multiplier, shift, relu, style: RequantStyle::MultiplierShift, zero_point: 0, fast })
    }

    /// The same with another way of scaling.
    pub fn with_style(self, style: RequantStyle) -> Requant {
        let fast = self.fast.filter(|_| style == RequantStyle::MultiplierShift);
        Requant { style, fast, ..self }
    }

    /// The same with results around a zero point, which is also where a Relu clamps.
    pub fn with_zero_point(self, zero_point: i32) -> Requant {
        Requant { zero_point, ..self }
    }

    /// Sums with their biases, as they are.
    pub(crate) fn add_biases(&self, sums: &mut [i32]) {
        for sums in sums.chunks_exact_mut(self.channels().max(1)) {
            sums.iter_mut().zip(&self.bias).for_each(|(sum, bias)| *sum = sum.wrapping_add(*bias));
        }
    }

    pub fn channels(&self) -> usize {
        self.bias.len()
    }

    /// Requantizes sums whose innermost dimension is the channel. The sum with its bias wraps at 32 bits, as the
    /// accumulators of the chips do.
    pub fn run(&self, sums: &[i32], out: IntsMut<'_>) -> Result<(), KernelError> {
        expect_length("results of a requantization", sums.len(), out.len())?;
        expect_length("rest of the channels", 0, sums.len() % self.channels().max(1))?;
        match out {
            IntsMut::I8(out) => threads::for_parts(out, self.channels().max(1), |start, part| self.rows(&sums[start..start + part.len()], part)),
            IntsMut::U8(out) => threads::for_parts(out, self.channels().max(1), |start, part| self.rows(&sums[start..start + part.len()], part)),
        }
        Ok(())
    }

    fn rows<T: Int8>(&self, sums: &[i32], out: &mut [T]) {
        let low = if self.relu { self.zero_point.max(T::MIN) } else { T::MIN };
        match &self.fast {
            Some((half, shift)) => requantize(sums, &self.bias, &self.multiplier, half, shift, [low, self.zero_point], out),
            None => {
                for (sums, out) in sums.chunks_exact(self.channels().max(1)).zip(out.chunks_exact_mut(self.channels().max(1))) {
                    for (c, (&sum, out)) in sums.iter().zip(out).enumerate() {
                        let v = self.style.scale(i64::from(sum.wrapping_add(self.bias[c])), i64::from(self.multiplier[c]), self.shift[c]);
                        *out = T::narrow(v.saturating_add(i64::from(self.zero_point)).clamp(i64::from(low), i64::from(T::MAX)) as i32);
                    }
                }
            }
        }
    }
}

/// A requantization of its own: `saturate((v * multiplier >> shift) + zero_point)` with rows of the three, each for `inner`
/// neighbours in turn.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelRequant {
    pub rows: Vec<[i64; 3]>,
    pub inner: usize,
    /// Halves go up; else away from zero.
    pub half_up: bool,
}

impl ChannelRequant {
    pub fn run(&self, sums: &[i32], out: IntsMut<'_>) -> Result<(), KernelError> {
        expect_length("results of a requantization", sums.len(), out.len())?;
        match out {
            IntsMut::I8(out) => threads::for_parts(out, 1, |start, part| self.part(&sums[start..], start, part)),
            IntsMut::U8(out) => threads::for_parts(out, 1, |start, part| self.part(&sums[start..], start, part)),
        }
        Ok(())
    }

    fn part<T: Int8>(&self, sums: &[i32], start: usize, out: &mut [T]) {
        let round = if self.half_up { shift_half_up } else { shift_half_away };
        for (i, (&sum, out)) in sums.iter().zip(out).enumerate() {
            let [multiplier, shift, zero_point] = self.rows[(start + i) / self.inner.max(1) % self.rows.len().max(1)];
            let shift = shift.clamp(-63, 64) as i32;
            let v = round(i64::from(sum).wrapping_mul(multiplier), shift).saturating_add(zero_point);
            *out = T::narrow(v.clamp(i64::from(T::MIN), i64::from(T::MAX)) as i32);
        }
    }
}

vectorized! {
    fn requantize<T: Int8>(sums: &[i32], bias: &[i32], multiplier: &[i32], half: &[i64], shift: &[i64], ends: [i32; 2], out: &mut [T]) {
        // The least result, and the zero point.
        let [low, zero_point] = ends;
        let channels = bias.len();
        if channels == 0 {
            return;
        }
        let (multiplier, half, shift) = (&multiplier[..channels], &half[..channels], &shift[..channels]);
        for (sums, out) in sums.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for c in 0..channels {
                let product = i64::from(sums[c].wrapping_add(bias[c])) * i64::from(multiplier[c]);
                let v = ((product + half[c]) >> (shift[c] & 63)) + i64::from(zero_point);
                out[c] = T::narrow(v.clamp(i64::from(low), i64::from(T::MAX)) as i32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_and_both_paths_agree() {
        let fast = Requant::new(3, Some(&[0, 1, -1]), &[3], &[1], false).unwrap();
        let mut out = [0i8; 6];
        fast.run(&[1, -2, 2, 100, -100, 0], IntsMut::I8(&mut out)).unwrap();
        // 1.5, -1.5, 1.5, 150, -148.5, -1.5
        assert_eq!(out, [2, -1, 2, 127, -128, -1]);
        let mut unsigned = [0u8; 6];
        fast.run(&[1, -2, 2, 100, -100, 200], IntsMut::U8(&mut unsigned)).unwrap();
        assert_eq!(unsigned, [2, 0, 2, 150, 0, 255]);
        let left = Requant::new(1, None, &[1], &[-3], true).unwrap();
        let mut out = [0i8; 3];
        left.run(&[-1, 2, 100], IntsMut::I8(&mut out)).unwrap();
        assert_eq!(out, [0, 16, 127]);
        assert!(Requant::new(3, None, &[1, 2], &[1], false).is_err());
        assert!(Requant::new(1, None, &[1 << 40], &[1], false).is_err());
    }

    #[test]
    fn high_products_round_twice() {
        let style = RequantStyle::HighProduct;
        // Half: 3 / 2 goes up to 2; then halves away from zero.
        assert_eq!([3, -3, 1, -1].map(|v| style.scale(v, 1 << 30, 0)), [2, -1, 1, 0]);
        assert_eq!([6, -6, 2, -2, 7].map(|v| style.scale(v, 1 << 30, 1)), [2, -2, 1, -1, 2]);
        assert_eq!(style.scale(5, 1 << 30, -2), 10);
        assert_eq!(style.scale(i64::from(i32::MIN), i64::from(i32::MIN), 0), i64::from(i32::MAX));
        let mut out = [0i8; 2];
        Requant::new(1, Some(&[1]), &[1 << 30], &[1], true).unwrap().with_style(style).run(&[199, -500], IntsMut::I8(&mut out)).unwrap();
        assert_eq!(out, [50, 0]);
    }

    #[test]
    fn random_sums_equal_the_definition() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 32) as i32
        };
        let channels = 37;
        let (multiplier, shift): (Vec<i64>, Vec<i64>) = (0..channels).map(|_| (i64::from(random()), i64::from(random().rem_euclid(63)))).unzip();
        let bias: Vec<i32> = (0..channels).map(|_| random() / 4).collect();
        let requant = Requant::new(channels, Some(&bias), &multiplier, &shift, false).unwrap();
        let sums: Vec<i32> = (0..channels * 50).map(|_| random() / 2).collect();
        let mut out = vec![0i8; sums.len()];
        requant.run(&sums, IntsMut::I8(&mut out)).unwrap();
        for (i, (&sum, &y)) in sums.iter().zip(&out).enumerate() {
            let c = i % channels;
            let exact = (i128::from(sum) + i128::from(bias[c])) * i128::from(multiplier[c]);
            let half = if shift[c] > 0 { 1i128 << (shift[c] - 1) } else { 0 };
            assert_eq!(i128::from(y), ((exact + half) >> shift[c]).clamp(-128, 127));
        }
    }
}
