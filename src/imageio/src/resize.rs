//! Bilinear resizing of 8-bit pictures, bit for bit as OpenCV's `resize` with `INTER_LINEAR`.
//!
//! The arithmetic, which is public knowledge about OpenCV: pixel centres are at half integers, the source position of output `i` is
//! `(i + 0.5) * source / target - 0.5`; the two weights are rounded to 11 bits. The horizontal pass is exact
//! (19 bits); the vertical pass drops 4 bits of that before and 16 bits after each multiplication, and rounds the last two.
//! Halving both sides exactly is the mean of 2x2 pixels instead.

use crate::image::Image;
use std::ops::Range;

const WEIGHT_ONE: f32 = 2048.0;

/// One output column or row: which two source positions it mixes, and their weights of 2048.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i16; 2],
}

/// The taps of outputs `range` of an axis that goes from `source` to `target` pixels.
///
/// Beyond the border the columns use the border pixel alone; the rows mix the border row with itself, which rounds
/// differently, and both are as OpenCV does it.
fn taps(source: usize, target: usize, range: Range<usize>, is_row: bool) -> Vec<Tap> {
    let scale = 1.0 / (target as f64 / source as f64);
    let last = source - 1;
    let weights = |f: f32| {
        [
            ((1.0 - f) * WEIGHT_ONE).round_ties_even() as i16,
            (f * WEIGHT_ONE).round_ties_even() as i16,
        ]
    };
    range
        .map(|i| {
            let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
            let floor = position.floor();
            let fraction = position - floor;
            let clamp = |v: f32| if v <= 0.0 { 0 } else { (v as usize).min(last) };
            if !is_row && (floor < 0.0 || floor as usize >= last) {
                let edge = clamp(floor);
                return Tap {
                    first: edge,
                    second: edge,
                    weights: weights(0.0),
                };
            }
            Tap {
                first: clamp(floor),
                second: clamp(floor + 1.0),
                weights: weights(fraction),
            }
        })
        .collect()
}

/// The whole picture resized to `width` x `height`, both at least 1.
pub fn resize(image: &Image, width: usize, height: usize) -> Image {
    window(image, width, height, 0..width, 0..height)
}

/// The part of the resized picture in columns `xs` and rows `ys`, without computing the rest: what a crop after a resize
/// needs. The ranges must be non-empty and lie in the `width` x `height` target.
pub fn window(
    image: &Image,
    width: usize,
    height: usize,
    xs: Range<usize>,
    ys: Range<usize>,
) -> Image {
    assert!(
        !xs.is_empty() && xs.end <= width && !ys.is_empty() && ys.end <= height,
        "the window lies in the target"
    );
    let (out_w, out_h) = (xs.len(), ys.len());
    let mut out = vec![0u8; out_w * out_h * image.channels()];
    let rows = out.chunks_exact_mut(out_w * image.channels());
    match image.channels() {
        1 => window_rows::<1>(image, width, height, xs, ys, rows),
        3 => window_rows::<3>(image, width, height, xs, ys, rows),
        _ => window_rows::<4>(image, width, height, xs, ys, rows),
    }
    Image::new(out_w, out_h, image.channels(), out)
        .unwrap_or_else(|| unreachable!("the window is not empty"))
}

fn window_rows<'a, const C: usize>(
    image: &Image,
    width: usize,
    height: usize,
    xs: Range<usize>,
    ys: Range<usize>,
    rows: impl Iterator<Item = &'a mut [u8]>,
) {
    let (in_w, in_h) = (image.width(), image.height());
    if (width, height) == (in_w, in_h) {
        for (y, row) in ys.zip(rows) {
            row.copy_from_slice(&image.row(y)[xs.start * C..xs.end * C]);
        }
        return;
    }
    if in_w == 2 * width && in_h == 2 * height {
        for (y, row) in ys.zip(rows) {
            let upper = &image.row(2 * y)[xs.start * 2 * C..xs.end * 2 * C];
            let lower = &image.row(2 * y + 1)[xs.start * 2 * C..xs.end * 2 * C];
            halve::<C>(upper, lower, row);
        }
        return;
    }
    let columns = taps(in_w, width, xs, false);
    // The two mixed source rows of the output row before, kept because neighbours share them.
    let empty = || MixedRow {
        source: usize::MAX,
        values: vec![0i16; columns.len() * C],
    };
    let (mut a, mut b) = (empty(), empty());
    for (tap, row) in taps(in_h, height, ys, true).into_iter().zip(rows) {
        if a.source != tap.first {
            std::mem::swap(&mut a, &mut b);
        }
        if a.source != tap.first {
            a.fill::<C>(image, tap.first, &columns);
        }
        if tap.second == tap.first {
            mix_rows(&a.values, &a.values, tap.weights, row);
            continue;
        }
        if b.source != tap.second {
            b.fill::<C>(image, tap.second, &columns);
        }
        mix_rows(&a.values, &b.values, tap.weights, row);
    }
}

/// A source row after the horizontal pass, in units of 1/128 (the 4 lowest of 11 fraction bits are dropped already).
struct MixedRow {
    source: usize,
    values: Vec<i16>,
}

impl MixedRow {
    fn fill<const C: usize>(&mut self, image: &Image, y: usize, columns: &[Tap]) {
        self.source = y;
        let (pixels, _) = image.row(y).as_chunks::<C>();
        let (out, _) = self.values.as_chunks_mut::<C>();
        for (out, tap) in out.iter_mut().zip(columns) {
            let (p, q) = (&pixels[tap.first], &pixels[tap.second]);
            let [u, v] = tap.weights.map(i32::from);
            for c in 0..C {
                out[c] = ((i32::from(p[c]) * u + i32::from(q[c]) * v) >> 4) as i16;
            }
        }
    }
}

fn mix_rows(a: &[i16], b: &[i16], weights: [i16; 2], out: &mut [u8]) {
    let [u, v] = weights.map(i32::from);
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let upper = ((i32::from(a) * u) >> 16) as i16;
        let lower = ((i32::from(b) * v) >> 16) as i16;
        *out = ((upper + lower + 2) >> 2).clamp(0, 255) as u8;
    }
}

fn halve<const C: usize>(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let pairs = upper.chunks_exact(2 * C).zip(lower.chunks_exact(2 * C));
    for (out, (upper, lower)) in out.chunks_exact_mut(C).zip(pairs) {
        for c in 0..C {
            let sum = u16::from(upper[c])
                + u16::from(upper[C + c])
                + u16::from(lower[c])
                + u16::from(lower[C + c]);
            out[c] = ((sum + 2) >> 2) as u8;
        }
    }
}
