//! Interp of floats, in f32: channels on the lanes; first between rows, then along each row, `a + (b - a) t`. Pixels of the result
//! with the same t whose neighbours lie evenly are one instruction.

use crate::Context;
use crate::conv::steps;
use crate::emit::{Arithmetic as A, Ddr, Emitter};
use crate::float::{load_f32, store_f32};
use crate::local::{LANE_BYTES, LANES, Layout, Local, aligned_bytes, half};
use crate::place::Place;
use crate::tile::largest;
use tpuc_kernels::resize::Coordinates;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Program, tpu};
use tpuc_tensor::DType;

/// Pixels `first`, `first + step`, ... of the result, `count` of them: between pixels `low + i low_step` and `low + reach + i low_step` of
/// the input.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    first: u64,
    step: u64,
    count: u64,
    low: u64,
    low_step: u64,
    /// 0 where both neighbours are one pixel.
    reach: u64,
    t: f32,
}

/// Sizes before and after: `[images * channels, height, width]`.
struct Shape {
    planes: u64,
    input: [u64; 2],
    output: [u64; 2],
}

fn shape(x: &[i64], y: &[i64]) -> Result<Shape, String> {
    let of = |d: &[i64]| d.iter().map(|&v| v as u64).collect::<Vec<_>>();
    match (of(x).as_slice(), of(y).as_slice()) {
        (&[n, c, h, w], &[_, _, oh, ow]) => Ok(Shape { planes: n * c, input: [h, w], output: [oh, ow] }),
        (&[n, c, w], &[_, _, ow]) => Ok(Shape { planes: n * c, input: [1, w], output: [1, ow] }),
        _ => Err(format!("an input of {} dimensions, expected 3 or 4", x.len())),
    }
}

/// For every pixel of the result its neighbours and how far it is from the first.
fn neighbours(op: &tpu::Interp, input: u64, output: u64) -> Result<Vec<(usize, usize, f32)>, String> {
    let coordinates = match op.coord_mode {
        tpu::ResizeCoordMode::half_pixel => Coordinates::HalfPixel,
        tpu::ResizeCoordMode::pytorch_half_pixel => Coordinates::PytorchHalfPixel,
        tpu::ResizeCoordMode::align_corners => Coordinates::AlignCorners,
        tpu::ResizeCoordMode::asymmetric => Coordinates::Asymmetric,
    };
    match op.mode {
        tpu::ResizeMode::linear => Ok(coordinates.neighbours(input as usize, output as usize)),
        tpu::ResizeMode::nearest => {
            let list = tpuc_ops::resize::nearest(op.coord_mode.case(), input as i64, output as i64);
            Ok(list.into_iter().map(|i| (i as usize, i as usize, 0.0)).collect())
        }
    }
}

/// Joins pixels of the result from `first` on into runs.
fn runs(list: &[(usize, usize, f32)]) -> Vec<Run> {
    // Pixels of one kind, in order.
    let mut kinds: Vec<((u64, u32), Vec<(u64, u64)>)> = Vec::new();
    for (i, &(low, high, t)) in list.iter().enumerate() {
        let t = if low == high { 0.0 } else { t };
        let kind = ((high - low) as u64, t.to_bits());
        match kinds.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, pixels)) => pixels.push((i as u64, low as u64)),
            None => kinds.push((kind, vec![(i as u64, low as u64)])),
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for ((reach, t), pixels) in kinds {
        let mut last: Option<Run> = None;
        for (first, low) in pixels {
            let next = last.and_then(|run: Run| {
                let (end, end_low) = (run.first + (run.count - 1) * run.step, run.low + (run.count - 1) * run.low_step);
                let (step, low_step) = (first - end, low.checked_sub(end_low)?);
                (run.count == 1 || (run.step, run.low_step) == (step, low_step)).then_some(Run { count: run.count + 1, step, low_step, ..run })
            });
            last = match next {
                Some(run) => Some(run),
                None => {
                    runs.extend(last);
                    Some(Run { first, step: 1, count: 1, low, low_step: 0, reach, t: f32::from_bits(t) })
                }
            };
        }
        runs.extend(last);
    }
    runs
}

pub fn refuse(program: &Program, node: usize) -> Option<String> {
    let node = &program.nodes[node];
    let (x, y) = (program.tensor_type(node.operands[0])?, program.tensor_type(node.results[0])?);
    shape(&x.shape, &y.shape).err()
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Interp) -> Result<(), String> {
    let (x, y) = (Place::floats(context, context.operand(node, 0))?, Place::floats(context, context.result(node))?);
    let Shape { planes, input: [height, width], output: [rows, columns] } = shape(&x.shape, &y.shape)?;
    let (vertical, horizontal) = (neighbours(op, height, rows)?, neighbours(op, width, columns)?);
    let across = runs(&horizontal);
    // Input rows that `count` rows of the result from `first` on lie between.
    let needed = |first: u64, count: u64| {
        let list = &vertical[first as usize..(first + count) as usize];
        let (low, high) = (list.iter().map(|n| n.0).min().unwrap_or(0), list.iter().map(|n| n.1).max().unwrap_or(0));
        (low as u64, (high - low + 1) as u64)
    };
    let fits = |count: u64| {
        let most = steps(rows, count).map(|(first, count)| needed(first, count).1).max().unwrap_or(height);
        let bytes = |elements: u64, dtype: DType| aligned_bytes(1, elements, dtype) + 64;
        let input = bytes(most * width, x.dtype) + bytes(most * width, DType::F32);
        input + 2 * bytes(count * width, DType::F32) + 2 * bytes(count * columns, DType::F32) + bytes(count * columns, y.dtype) <= LANE_BYTES / 2
    };
    let at_once = largest(rows, fits).ok_or_else(|| format!("rows of {width} and {columns} pixels do not fit local memory"))?;
    let mut turn = 0;
    for (plane, lanes) in steps(planes, LANES) {
        for (row, count) in steps(rows, at_once) {
            let mut arena = half(turn);
            turn += 1;
            let (first, input_rows) = needed(row, count);
            let ddr = |place: &Place, [rows, columns]: [u64; 2], row: u64| {
                Ddr { offset: place.base.offset + (plane * rows * columns + row * columns) * place.size(), strides: [0, rows * columns, columns, 1], ..place.base }
            };
            let loaded = load_f32(context, &mut arena, [1, lanes, input_rows, width], x.dtype, ddr(&x, [height, width], first))?;
            let between = arena.tensor([1, lanes, count, width], DType::F32)?;
            let scratch = arena.tensor([1, lanes, count, width.max(columns)], DType::F32)?;
            let result = arena.tensor([1, lanes, count, columns], DType::F32)?;
            let rebased: Vec<_> = vertical[row as usize..(row + count) as usize].iter().map(|&(a, b, t)| (a - first as usize, b - first as usize, t)).collect();
            for run in runs(&rebased) {
                blend(&mut context.emit, &run, loaded, between, scratch, Axis::Rows);
            }
            for run in &across {
                blend(&mut context.emit, run, between, result, scratch, Axis::Columns);
            }
            store_f32(context, &mut arena, result, y.dtype, ddr(&y, [rows, columns], row))?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Rows,
    Columns,
}

/// The pixels `first`, `first + step`, ... of an aligned tensor along an axis.
fn picked(x: Local, axis: Axis, first: u64, step: u64, count: u64) -> Local {
    let [n, c, h, w] = x.shape;
    let block = (aligned_bytes(1, h * w, x.dtype) / x.dtype.size() as u64) as u32;
    let (offset, shape, strides) = match axis {
        Axis::Rows => (first * w, [n, c, count, w], [0, block, (step * w) as u32, 1]),
        Axis::Columns => (first, [n, c, h, count], [0, block, w as u32, step as u32]),
    };
    Local { offset: x.offset + offset * x.dtype.size() as u64, shape, layout: Layout::Free(strides), ..x }
}

/// One run of pixels of `y`.
fn blend(emit: &mut Emitter, run: &Run, x: Local, y: Local, scratch: Local, axis: Axis) {
    let to = picked(y, axis, run.first, run.step, run.count);
    let low = picked(x, axis, run.low, run.low_step, run.count);
    if run.t == 0.0 {
        return emit.copy_local(low, to);
    }
    let high = picked(x, axis, run.low + run.reach, run.low_step, run.count);
    let distance = scratch.with_shape(to.shape);
    emit.binary_float(A::Sub, high, low, distance);
    emit.multiply_float(distance, run.t, distance);
    emit.binary_float(A::Add, low, distance, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_lie_evenly_are_one_run() {
        // Twice as large: every other pixel has the same place between its neighbours.
        let list = Coordinates::HalfPixel.neighbours(4, 8);
        let found = runs(&list);
        assert_eq!(found.iter().map(|r| r.count).sum::<u64>(), 8);
        assert!(found.contains(&Run { first: 1, step: 2, count: 3, low: 0, low_step: 1, reach: 1, t: 0.25 }), "{found:?}");
        assert!(found.len() <= 4, "{found:?}");
        let nearest: Vec<_> = [0, 0, 0, 1, 1, 1].map(|i| (i, i, 0.0)).to_vec();
        assert_eq!(runs(&nearest).len(), 2);
    }
}
