//! Means that leave padding out of their divisor.
//!
//! Sums in i32 are requantized as if all taps counted; border windows then get theirs from tables of every sum that they
//! can have: the reference divides in f32, which no multiplier and shift repeats (`docs/numerics.md`).

use crate::Context;
use crate::emit::{Ddr, Window};
use crate::local::{Arena, LANES, Layout, Local, aligned_bytes};
use tpuc_tensor::{DType, round};

/// Indices have 16 bits: 255 values for each tap but one.
pub const MOST_TAPS: i64 = 257;

/// A run of windows along one dimension that have the same number of taps inside the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub count: u64,
    pub taps: u64,
}

/// The runs of windows `first..first + count`; `first` of the runs is relative to the first window.
pub fn valid_taps(first: u64, count: u64, kernel: u64, stride: u64, pad: u64, input: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for window in first..first + count {
        let (start, end) = (window * stride, window * stride + kernel);
        let taps = end.min(pad + input).saturating_sub(start.max(pad));
        match runs.last_mut() {
            Some(run) if run.taps == taps => run.count += 1,
            _ => runs.push(Run { first: window - first, count: 1, taps }),
        }
    }
    runs
}

/// Bytes a lane that [`mean`] needs beside input and result: sums, sums and indices and results of a region, ones for every
/// tap, a table.
pub fn bytes(c: u64, output: u64, taps: u64) -> u64 {
    let region = |dtype| aligned_bytes(c, output, dtype);
    2 * region(DType::I32) + region(DType::U16) + region(DType::U8) + c.div_ceil(LANES) * taps + table_length(taps) + 6 * 64
}

/// Means of `x` in `y`, by runs of windows along height and width; `all` are the taps of a whole window, for which
/// `requant` (multiplier, shift) is.
#[allow(clippy::too_many_arguments)]
pub fn mean(context: &mut Context, arena: &mut Arena, x: Local, y: Local, window: Window, runs: [&[Run]; 2], all: u64, requant: (i32, i32)) -> Result<(), String> {
    let [_, c, height, width] = y.shape;
    let taps = window.kernel[0] * window.kernel[1];
    let sums = arena.tensor([1, c, height, width], DType::I32)?;
    let bytes = c.div_ceil(LANES) * taps;
    let ones = Local { offset: arena.take(bytes).ok_or("no room for the weights of a sum")?, shape: [1, LANES.min(c), 1, bytes], dtype: DType::U8, layout: Layout::Aligned };
    context.emit.fill(ones, 1);
    context.emit.sum_pool(x, ones.offset, sums, window);
    context.emit.requant_constant(sums, i64::from(requant.0), i64::from(requant.1), 0, y)?;
    let spaces = [DType::I32, DType::U16, y.dtype].map(|dtype| arena.tensor([1, c, height, width], dtype));
    let [wide, index, values] = spaces;
    let (wide, index, values) = (wide?, index?, values?);
    let table_space = arena.tensor([1, LANES, 1, table_length(all)], y.dtype)?;
    let mut regions: Vec<(u64, Run, Run)> = runs[0].iter().flat_map(|&down| runs[1].iter().map(move |&across| (down.taps * across.taps, down, across))).collect();
    regions.retain(|&(taps, ..)| taps != all);
    // Regions that share a table behind each other.
    regions.sort_by_key(|&(taps, ..)| taps);
    let mut loaded = None;
    for (taps, down, across) in regions {
        if taps == 0 {
            return Err("some windows lie in the padding alone, which have no mean".into());
        }
        let (lowest, results) = table(taps, all, x.dtype, y.dtype, requant)?;
        let table = table_space.with_shape([1, LANES, 1, results.len() as u64]);
        if loaded != Some(taps) {
            let at = context.coeff.add(results);
            context.emit.load(table, Ddr::coefficients(at, [0, 0, 0, 1]));
            loaded = Some(taps);
        }
        let (place, shape) = ([0, 0, down.first, across.first], [1, c, down.count, across.count]);
        let (wide, index, values) = (wide.with_shape(shape), index.with_shape(shape), values.with_shape(shape));
        context.emit.copy_local(sums.part(place, shape), wide);
        context.emit.add_integer(wide, -lowest, wide);
        context.emit.cast_exact(wide, index);
        context.emit.lookup(table, index, values);
        context.emit.copy_local(values, y.part(place, shape));
    }
    Ok(())
}

/// Elements of a table that holds a result for every sum of less than `all` bytes.
fn table_length(all: u64) -> u64 {
    255 * all.saturating_sub(1) + 1
}

/// The smallest sum of `taps` elements, and the result for it and each that follows: the mean times `all` in f32, rounded
/// with halves away from zero as the reference does, requantized as all windows are.
fn table(taps: u64, all: u64, from: DType, to: DType, (multiplier, rshift): (i32, i32)) -> Result<(i32, Vec<u8>), String> {
    let (low, high) = from.integer_range().ok_or_else(|| format!("a mean of {from} is not generated"))?;
    let result = |sum: i64| {
        let scaled = f64::from(round::half_away_f32(sum as f32 / taps as f32 * all as f32)) as i64;
        round::saturate(round::shift_half_up(scaled * i64::from(multiplier), rshift), to) as u8
    };
    Ok(((low * taps as i64) as i32, (low * taps as i64..=high * taps as i64).map(result).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_border_windows() {
        let run = |first, count, taps| Run { first, count, taps };
        assert_eq!(valid_taps(0, 5, 3, 1, 1, 5), [run(0, 1, 2), run(1, 3, 3), run(4, 1, 2)]);
        assert_eq!(valid_taps(2, 3, 3, 2, 1, 9), [run(0, 2, 3), run(2, 1, 2)]);
        assert_eq!(valid_taps(0, 2, 5, 4, 2, 3), [run(0, 1, 3), run(1, 1, 1)]);
    }

    #[test]
    fn tables_hold_every_sum() {
        // Four of nine taps: 9 / 4 of the sum, then 8 / 2^4 of it.
        let (lowest, values) = table(4, 9, DType::I8, DType::I8, (8, 4)).unwrap();
        assert_eq!((lowest, values.len()), (-512, 1021));
        let of = |sum: i32| values[(sum - lowest) as usize] as i8;
        // 4.5 goes away from zero, 2.5 up.
        assert_eq!([of(0), of(2), of(-2), of(508), of(-512)], [0, 3, -2, 127, -128]);
        assert!((values.len() as u64) <= table_length(9));
        assert!(table_length(MOST_TAPS as u64) <= 1 << 16);
    }
}
