//! Pooling over one to three spatial dimensions, channels last.

use crate::buffer::Element;
use crate::cast::round_half_away;
use crate::onednn::Activation;
use crate::{Int8, Ints, IntsMut, KernelError, expect_length, threads};
use tpuc_tensor::round::shift_half_up;

/// Shapes of a pool; spatial sizes filled up to three dimensions with ones.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolShape {
    batch: usize,
    channels: usize,
    size: [usize; 3],
    out: [usize; 3],
    kernel: [usize; 3],
    strides: [usize; 3],
    before: [usize; 3],
}

impl PoolShape {
    /// Input `[.., C, spatial..]`, result spatial sizes `out` (they may reach beyond the padding, as with rounding up).
    /// `pads` holds the counts before every spatial dimension, then after every one.
    pub fn new(input: &[usize], out: &[usize], kernel: &[i64], strides: &[i64], pads: &[i64]) -> Result<PoolShape, KernelError> {
        let fail = |reason: String| Err(KernelError::Geometry(format!("pool of {input:?} to {out:?}: {reason}")));
        let spatial = kernel.len();
        if !(1..=3).contains(&spatial) || input.len() <= spatial || strides.len() != spatial || pads.len() != 2 * spatial || out.len() != spatial {
            return fail(format!("kernel {kernel:?}, strides {strides:?}, pads {pads:?} do not fit"));
        }
        let within = |list: &[i64], least: i64| list.iter().all(|v| (least..1 << 24).contains(v));
        if !within(kernel, 1) || !within(strides, 1) || !within(pads, 0) || input.iter().any(|&d| d >= 1 << 24) {
            return fail(format!("kernel {kernel:?}, strides {strides:?} or pads {pads:?} out of range"));
        }
        let three = |list: &mut dyn Iterator<Item = usize>, fill: usize| {
            let mut out = [fill; 3];
            out[3 - spatial..].iter_mut().zip(list).for_each(|(o, v)| *o = v);
            out
        };
        let lead = input.len() - spatial;
        let shape = PoolShape {
            batch: input[..lead - 1].iter().product(),
            channels: input[lead - 1],
            size: three(&mut input[lead..].iter().copied(), 1),
            out: three(&mut out.iter().copied(), 1),
            kernel: three(&mut kernel.iter().map(|&v| v as usize), 1),
            strides: three(&mut strides.iter().map(|&v| v as usize), 1),
            before: three(&mut pads[..spatial].iter().map(|&v| v as usize), 0),
        };
        for d in 0..3 {
            // Every window must hold an element: a maximum or mean of nothing is undefined.
            let last = (shape.out[d].max(1) - 1) * shape.strides[d];
            if shape.before[d] >= shape.kernel[d] || last >= shape.size[d] + shape.before[d] {
                return fail("a window would lie in the padding alone".into());
            }
        }
        Ok(shape)
    }

    fn input_count(&self) -> usize {
        self.batch * self.channels * self.size.iter().product::<usize>()
    }

    fn output_count(&self) -> usize {
        self.batch * self.channels * self.out.iter().product::<usize>()
    }

    /// Taps of a full window.
    fn area(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Calls `reduce(pixels, y)` for every output pixel of `part`, which starts at element `start`: the offsets of the
    /// pixels within the window, row by row, and the channels of the result.
    fn windows<T: Element>(&self, start: usize, part: &mut [T], mut reduce: impl FnMut(&[usize], &mut [T])) {
        let mut pixels = Vec::with_capacity(self.area());
        let out_area: usize = self.out.iter().product();
        for (at, y) in part.chunks_exact_mut(self.channels).enumerate().map(|(i, y)| (start / self.channels + i, y)) {
            let (n, at) = (at / out_area, at % out_area);
            let position = [at / (self.out[1] * self.out[2]), at / self.out[2] % self.out[1], at % self.out[2]];
            let range = |d: usize| {
                let first = position[d] * self.strides[d];
                first.saturating_sub(self.before[d])..(first + self.kernel[d]).saturating_sub(self.before[d]).min(self.size[d])
            };
            pixels.clear();
            for z in range(0) {
                for y in range(1) {
                    pixels.extend(range(2).map(|x| (((n * self.size[0] + z) * self.size[1] + y) * self.size[2] + x) * self.channels));
                }
            }
            reduce(&pixels, y);
        }
    }
}

macro_rules! reduce_pixels {
    ($name:ident, $x:ty, $sum:ty, |$acc:ident, $v:ident| $body:expr) => {
        crate::cpu::vectorized! {
            fn $name(x: &[$x], pixels: &[usize], sums: &mut [$sum]) {
                for &pixel in pixels {
                    for ($acc, $v) in sums.iter_mut().zip(&x[pixel..]) {
                        $body;
                    }
                }
            }
        }
    };
}

reduce_pixels!(max_f32, f32, f32, |a, v| *a = if *v > *a { *v } else { *a });
reduce_pixels!(max_i8, i8, i8, |a, v| *a = (*a).max(*v));
reduce_pixels!(max_u8, u8, u8, |a, v| *a = (*a).max(*v));
reduce_pixels!(sum_f32, f32, f32, |a, v| *a += *v);
reduce_pixels!(sum_i8, i8, i32, |a, v| *a += i32::from(*v));
reduce_pixels!(sum_u8, u8, i32, |a, v| *a += i32::from(*v));

/// Maximum of each window.
pub fn max(shape: &PoolShape, x: &[f32], activation: Activation, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("input elements of a pool", shape.input_count(), x.len())?;
    expect_length("output elements of a pool", shape.output_count(), y.len())?;
    threads::for_parts(y, shape.channels, |start, part| {
        shape.windows(start, part, |pixels, y| {
            y.fill(f32::NEG_INFINITY);
            max_f32(x, pixels, y);
            y.iter_mut().for_each(|v| *v = activation.apply(*v));
        });
    });
    Ok(())
}

/// Mean of each window: the sum divided by the number of taps, those in the padding counted if `count_include_pad`.
pub fn avg(shape: &PoolShape, x: &[f32], count_include_pad: bool, activation: Activation, y: &mut [f32]) -> Result<(), KernelError> {
    expect_length("input elements of a pool", shape.input_count(), x.len())?;
    expect_length("output elements of a pool", shape.output_count(), y.len())?;
    threads::for_parts(y, shape.channels, |start, part| {
        shape.windows(start, part, |pixels, y| {
            let taps = if count_include_pad { shape.area() } else { pixels.len() } as f32;
            y.fill(0.0);
            sum_f32(x, pixels, y);
            y.iter_mut().for_each(|v| *v = activation.apply(*v / taps));
        });
    });
    Ok(())
}

/// Maximum of each window of 8-bit integers, and of `least` (the integer of zero, where a Relu follows).
pub fn max_int(shape: &PoolShape, x: Ints<'_>, least: Option<i32>, y: IntsMut<'_>) -> Result<(), KernelError> {
    expect_length("input elements of a pool", shape.input_count(), x.len())?;
    expect_length("output elements of a pool", shape.output_count(), y.len())?;
    match (x, y) {
        (Ints::I8(x), IntsMut::I8(y)) => threads::for_parts(y, shape.channels, |start, part| {
            shape.windows(start, part, |pixels, y| {
                y.fill(least.map_or(i8::MIN, |v| v.clamp(-128, 127) as i8));
                max_i8(x, pixels, y);
            });
        }),
        (Ints::U8(x), IntsMut::U8(y)) => threads::for_parts(y, shape.channels, |start, part| {
            shape.windows(start, part, |pixels, y| {
                y.fill(least.map_or(0, |v| v.clamp(0, 255) as u8));
                max_u8(x, pixels, y);
            });
        }),
        _ => return Err(KernelError::Geometry("a maximum needs input and output of one signedness".into())),
    }
    Ok(())
}

/// How an 8-bit mean is scaled: `saturate((v * multiplier) >> shift)`, halves up, where `v` is the window's mean times the
/// taps of a full window, rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AvgRequant {
    pub multiplier: i64,
    pub shift: i32,
    pub count_include_pad: bool,
    pub relu: bool,
    /// How the mean times the taps is rounded where taps are missing.
    pub halves: Halves,
}

/// Where halves go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halves {
    AwayFromZero,
    Up,
}

/// How an 8-bit mean between types with zero points is scaled: `saturate(round(sum * scale + offset))` in f32, halves away from zero,
/// where `scale` is that of the sum of all taps, and for windows of fewer the larger by as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AvgScale {
    pub scale: f64,
    pub offset: f32,
    /// The integer that padding counts as; `None` if it does not count.
    pub padding: Option<i32>,
    /// The least result: the integer of zero, where a Relu follows.
    pub least: Option<i32>,
}

/// Mean of each window of 8-bit integers with zero points ([`AvgScale`]).
pub fn avg_scaled(shape: &PoolShape, x: Ints<'_>, by: AvgScale, y: IntsMut<'_>) -> Result<(), KernelError> {
    let area = shape.area();
    int_means(shape, x, y, by.padding.unwrap_or(0), by.least, |taps| {
        let whole = by.padding.is_some() || taps == area;
        let scale = (if whole { by.scale } else { by.scale * area as f64 / taps as f64 }) as f32;
        move |sum| round_half_away(sum as f32 * scale + by.offset) as i64
    })
}

/// Mean of each window of 8-bit integers (`spec/lowering.md` section 4, BM1684X AvgPool).
pub fn avg_int(shape: &PoolShape, x: Ints<'_>, requant: AvgRequant, y: IntsMut<'_>) -> Result<(), KernelError> {
    let area = shape.area();
    int_means(shape, x, y, 0, requant.relu.then_some(0), |taps| {
        let whole = requant.count_include_pad || taps == area;
        move |sum| {
            // With fewer taps the mean is of those, and the window's scale still that of all: in f32, as the reference has it.
            let mean = || sum as f32 / taps as f32 * area as f32;
            let v = match requant.halves {
                _ if whole => i64::from(sum),
                Halves::AwayFromZero => round_half_away(mean()) as i64,
                Halves::Up => (mean() + 0.5).floor() as i64,
            };
            shift_half_up(v.wrapping_mul(requant.multiplier), requant.shift)
        }
    })
}

/// A mean of each window: `mean` has the number of taps inside the input and gives what becomes of their sum, to which a tap outside adds
/// `padding`. Saturated, and at least `least`.
fn int_means<F: Fn(i32) -> i64>(shape: &PoolShape, x: Ints<'_>, y: IntsMut<'_>, padding: i32, least: Option<i32>, mean: impl Fn(usize) -> F + Sync) -> Result<(), KernelError> {
    expect_length("input elements of a pool", shape.input_count(), x.len())?;
    expect_length("output elements of a pool", shape.output_count(), y.len())?;
    match y {
        IntsMut::I8(y) => threads::for_parts(y, shape.channels, |start, part| int_means_of(shape, x, start, part, padding, least, &mean)),
        IntsMut::U8(y) => threads::for_parts(y, shape.channels, |start, part| int_means_of(shape, x, start, part, padding, least, &mean)),
    }
    Ok(())
}

fn int_means_of<T: Int8, F: Fn(i32) -> i64>(shape: &PoolShape, x: Ints<'_>, start: usize, part: &mut [T], padding: i32, least: Option<i32>, mean: &impl Fn(usize) -> F) {
    let mut sums = vec![0i32; shape.channels];
    let low = i64::from(least.map_or(T::MIN, |least| least.clamp(T::MIN, T::MAX)));
    shape.windows(start, part, |pixels, y| {
        let taps = pixels.len().min(shape.area());
        sums.fill(padding * (shape.area() - taps) as i32);
        match x {
            Ints::I8(x) => sum_i8(x, pixels, &mut sums),
            Ints::U8(x) => sum_u8(x, pixels, &mut sums),
        }
        let mean = mean(taps);
        y.iter_mut().zip(&sums).for_each(|(y, &sum)| *y = T::narrow(mean(sum).clamp(low, i64::from(T::MAX)) as i32));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Layout, convert};

    /// The definition on row-major `[N, C, H, W]`: the values of one window at a time.
    fn windows(input: &[usize], out: &[usize], kernel: &[i64], strides: &[i64], pads: &[i64], x: &[i64]) -> Vec<Vec<i64>> {
        let mut list = Vec::new();
        for plane in x.chunks(input[2] * input[3]) {
            for (oy, ox) in (0..out[0]).flat_map(|y| (0..out[1]).map(move |x| (y, x))) {
                let mut window = Vec::new();
                for (ky, kx) in (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| (y, x))) {
                    let (y, x) = (oy as i64 * strides[0] + ky - pads[0], ox as i64 * strides[1] + kx - pads[1]);
                    if (0..input[2] as i64).contains(&y) && (0..input[3] as i64).contains(&x) {
                        window.push(plane[y as usize * input[3] + x as usize]);
                    }
                }
                list.push(window);
            }
        }
        list
    }

    #[test]
    fn random_pools_equal_the_definition() {
        let mut seed = 5u64;
        let mut random = |low: i64, high: i64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            low + ((seed >> 33) as i64) % (high - low + 1)
        };
        for round in 0..80 {
            let input = [random(1, 2), random(1, 40), random(3, 9), random(3, 9)].map(|v| v as usize);
            let kernel = [random(1, 3), random(1, 3)];
            let strides = [random(1, 3), random(1, 3)];
            let mut pad = |k: i64| random(0, k - 1);
            let pads = [pad(kernel[0]), pad(kernel[1]), pad(kernel[0]), pad(kernel[1])];
            let out: Vec<usize> = (0..2).map(|d| ((input[d + 2] as i64 + pads[d] + pads[d + 2] - kernel[d]) / strides[d] + 1) as usize).collect();
            let shape = PoolShape::new(&input, &out, &kernel, &strides, &pads).unwrap();
            let signed = round % 2 == 0;
            let x: Vec<i64> = (0..input.iter().product::<usize>()).map(|_| if signed { random(-128, 127) } else { random(0, 255) }).collect();
            let windows = windows(&input, &out, &kernel, &strides, &pads, &x);
            let full = [input[0], input[1], out[0], out[1]];
            let area = kernel[0] * kernel[1];
            let (to_last, to_rows) = (
                |v: &[i64]| {
                    let mut y = vec![0; v.len()];
                    convert(&input, Layout::RowMajor, v, Layout::ChannelsLast, &mut y).unwrap();
                    y
                },
                |v: Vec<f32>| {
                    let mut y = vec![0.0; v.len()];
                    convert(&full, Layout::ChannelsLast, &v, Layout::RowMajor, &mut y).unwrap();
                    y
                },
            );
            let last = to_last(&x);
            let floats: Vec<f32> = last.iter().map(|&v| v as f32).collect();
            let include = round % 4 < 2;
            let mut y = vec![0.0; windows.len()];
            max(&shape, &floats, Activation::None, &mut y).unwrap();
            assert_eq!(to_rows(y.clone()), windows.iter().map(|w| *w.iter().max().unwrap() as f32).collect::<Vec<_>>());
            avg(&shape, &floats, include, Activation::Relu, &mut y).unwrap();
            let taps = |w: &Vec<i64>| if include { area } else { w.len() as i64 };
            let mean = |w: &Vec<i64>| (w.iter().sum::<i64>() as f32 / taps(w) as f32).max(0.0);
            assert_eq!(to_rows(y), windows.iter().map(mean).collect::<Vec<_>>());

            let requant = AvgRequant { multiplier: random(1, 127), shift: random(4, 9) as i32, count_include_pad: include, relu: false, halves: Halves::AwayFromZero };
            let scaled = |w: &Vec<i64>| {
                let v = (w.iter().sum::<i64>() as f32 / taps(w) as f32 * area as f32).round();
                (f64::from(v) * requant.multiplier as f64 / 2f64.powi(requant.shift) + 0.5).floor()
            };
            let (as_i8, as_u8): (Vec<i8>, Vec<u8>) = last.iter().map(|&v| (v as i8, v as u8)).unzip();
            let ints = if signed { Ints::I8(&as_i8) } else { Ints::U8(&as_u8) };
            let mut y = vec![0i8; windows.len()];
            avg_int(&shape, ints, requant, IntsMut::I8(&mut y)).unwrap();
            let wanted: Vec<f32> = windows.iter().map(|w| scaled(w).clamp(-128.0, 127.0) as f32).collect();
            assert_eq!(to_rows(y.iter().map(|&v| f32::from(v)).collect()), wanted);
            if signed {
                max_int(&shape, ints, None, IntsMut::I8(&mut y)).unwrap();
                assert_eq!(to_rows(y.iter().map(|&v| f32::from(v)).collect()), windows.iter().map(|w| *w.iter().max().unwrap() as f32).collect::<Vec<_>>());
            } else {
                assert!(max_int(&shape, ints, None, IntsMut::I8(&mut y)).is_err());
            }
        }
        assert!(PoolShape::new(&[1, 1, 4, 4], &[2, 2], &[2, 2], &[2, 2], &[2, 0, 0, 0]).is_err());
        assert!(PoolShape::new(&[1, 1, 4, 4], &[4, 2], &[2, 2], &[2, 2], &[0, 0, 0, 0]).is_err());
    }
}
