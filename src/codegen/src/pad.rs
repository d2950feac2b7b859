//! Padding, by a constant, by reflection or with the border's elements. Rows of the result are put together in local
//! memory: DMA brings the input rows to their places, the columns left and right of them are copied from inside.

use crate::Context;
use crate::conv::steps;
use crate::emit::{Ddr, float_bits};
use crate::local::{LANE_BYTES, LANES, Local, aligned_bytes, half};
use crate::tile::largest;
use tpuc_ops::attr::EnumAttribute;
use tpuc_ops::{Program, tpu};
use tpuc_tensor::round;

/// What stands outside of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Border {
    Constant,
    Reflect,
    Edge,
}

impl Border {
    fn of(mode: &str) -> Result<Border, String> {
        match mode {
            "constant" => Ok(Border::Constant),
            "reflect" => Ok(Border::Reflect),
            "edge" => Ok(Border::Edge),
            other => Err(format!("mode '{other}' is unknown, expected constant, reflect or edge")),
        }
    }

    /// The input position that stands at position `p` (0 is the input's first), or none where the constant does.
    fn source(self, p: i64, size: i64) -> Option<i64> {
        match self {
            Border::Constant => (0..size).contains(&p).then_some(p),
            Border::Edge => Some(p.clamp(0, size - 1)),
            Border::Reflect => Some((size - 1 - (size - 1 - p.abs()).abs()).clamp(0, size - 1)),
        }
    }
}

/// One dimension: sizes of input and result, and how many elements are in front.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: i64,
    output: i64,
    before: i64,
    border: Border,
}

/// Consecutive positions of the result that are consecutive in the input too, or that are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    count: u64,
    source: Option<u64>,
}

impl Axis {
    fn source(&self, p: u64) -> Option<u64> {
        self.border.source(p as i64 - self.before, self.input).map(|s| s as u64)
    }

    /// The positions `first..first + count` of the result as runs, whose `first` is relative to the first of them.
    fn runs(&self, first: u64, count: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for p in 0..count {
            let source = self.source(first + p);
            match runs.last_mut() {
                Some(run) if run.source.map(|s| s + run.count) == source => run.count += 1,
                _ => runs.push(Run { first: p, count: 1, source }),
            }
        }
        runs
    }
}

/// The four axes of a padding, or why there is none. Leading dimensions without padding become one; missing ones are 1.
fn axes(op: &tpu::Pad, input: &[i64], output: &[i64]) -> Result<[Axis; 4], String> {
    let (border, rank) = (Border::of(op.mode.case())?, input.len());
    if op.paddings.len() != 2 * rank || output.len() != rank {
        return Err(format!("paddings {:?} do not fit an input of shape {input:?}", op.paddings));
    }
    let mut list: Vec<Axis> = (0..rank).map(|d| Axis { input: input[d], output: output[d], before: op.paddings[d], border }).collect();
    while list.len() < 4 {
        list.insert(0, Axis { input: 1, output: 1, before: 0, border });
    }
    let plain = |a: &Axis| a.input == a.output && a.before == 0;
    while list.len() > 4 && plain(&list[0]) && plain(&list[1]) {
        let first = list.remove(0);
        list[0].input *= first.input;
        list[0].output *= first.output;
    }
    let list: [Axis; 4] = list.try_into().map_err(|_| format!("padding {:?} of {rank} dimensions is not generated", op.paddings))?;
    if border == Border::Reflect && list.iter().any(|a| a.before >= a.input.max(1) || a.output - a.input - a.before >= a.input.max(1)) {
        return Err(format!("reflection by {:?} goes beyond the input {input:?}", op.paddings));
    }
    Ok(list)
}

pub fn refuse(program: &Program, node: usize, op: &tpu::Pad) -> Option<String> {
    let node = &program.nodes[node];
    let (x, y) = (program.tensor_type(node.operands[0])?, program.tensor_type(node.results[0])?);
    axes(op, &x.shape, &y.shape).err()
}

/// What all tiles share.
struct Layer {
    axes: [Axis; 4],
    x_at: u64,
    /// The constant, in the tensor's type.
    bits: u32,
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Pad) -> Result<(), String> {
    let (input, result) = (context.operand(node, 0), context.result(node));
    let (x_type, y_type) = (context.ty(input)?.clone(), context.ty(result)?.clone());
    let dtype = y_type.elem.storage();
    let layer = Layer {
        axes: axes(op, &x_type.shape, &y_type.shape)?,
        x_at: context.placement.offset(input)?,
        // The value of an integer Pad is in units of the storage type already.
        bits: match crate::is_float_type(dtype) {
            true => float_bits(op.val, dtype),
            false => u32::from(round::saturate(round::float_to_i64(round::half_away_f64(op.val)), dtype) as u8),
        },
    };
    let y_at = context.placement.offset(result)?;
    let [images, channels, height, width] = layer.axes.map(|a| a.output as u64);
    let rows = largest(height, |r| aligned_bytes(1, r * width, dtype) <= LANE_BYTES / 2).ok_or_else(|| format!("a row of {width} elements does not fit local memory"))?;
    let mut turn = 0;
    for image in 0..images {
        for (channel, c) in steps(channels, LANES) {
            for (row, count) in steps(height, rows) {
                let y = half(turn).tensor([1, c, count, width], dtype)?;
                turn += 1;
                layer.tile(context, y, image, channel, row);
                let at = ((image * channels + channel) * height + row) * width;
                context.emit.store(y, Ddr::context(y_at + at * dtype.size() as u64, [0, height * width, width, 1]));
            }
        }
    }
    Ok(())
}

impl Layer {
    /// The tile `y` of the result, from `channel` and `row` on.
    fn tile(&self, context: &mut Context, y: Local, image: u64, channel: u64, row: u64) {
        let [_, c, count, width] = y.shape;
        let [images, channels, rows, columns] = &self.axes;
        let (image, c_runs, h_runs, w_runs) = (images.source(image), channels.runs(channel, c), rows.runs(row, count), columns.runs(0, width));
        // Columns that stand in the input one by one; the others are copies of theirs.
        let inside = w_runs.iter().copied().max_by_key(|r| if r.source.is_some() { r.count } else { 0 }).filter(|r| r.source.is_some());
        let outside = image.is_none() || inside.is_none() || [&c_runs, &h_runs, &w_runs].iter().any(|runs| runs.iter().any(|r| r.source.is_none()));
        if outside {
            context.emit.fill(y, self.bits);
        }
        let (Some(image), Some(inside)) = (image, inside) else { return };
        let held = |run: &Run| run.source.zip(inside.source).and_then(|(s, first)| s.checked_sub(first)).filter(|at| at + run.count <= inside.count);
        let (c_in, h_in, w_in) = (channels.input as u64, rows.input as u64, columns.input as u64);
        for w_run in w_runs.iter().filter(|r| **r == inside || held(r).is_none()) {
            for (c_run, h_run) in c_runs.iter().flat_map(|c| h_runs.iter().map(move |h| (c, h))) {
                let (Some(channel), Some(row), Some(column)) = (c_run.source, h_run.source, w_run.source) else { continue };
                let shape = [1, c_run.count, h_run.count, w_run.count];
                let at = ((image * c_in + channel) * h_in + row) * w_in + column;
                context.emit.load(y.part([0, c_run.first, h_run.first, w_run.first], shape), Ddr::context(self.x_at + at * y.dtype.size() as u64, [0, h_in * w_in, w_in, 1]));
            }
        }
        for run in w_runs.iter().filter(|&r| *r != inside) {
            let Some(from) = held(run) else { continue };
            let shape = [1, c, count, run.count];
            context.emit.copy_local(y.part([0, 0, 0, inside.first + from], shape), y.part([0, 0, 0, run.first], shape));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_each_border() {
        let axis = |border| Axis { input: 4, output: 8, before: 2, border };
        let run = |first, count, source| Run { first, count, source };
        assert_eq!(axis(Border::Constant).runs(0, 8), [run(0, 2, None), run(2, 4, Some(0)), run(6, 2, None)]);
        assert_eq!(axis(Border::Edge).runs(0, 8), [run(0, 1, Some(0)), run(1, 1, Some(0)), run(2, 4, Some(0)), run(6, 1, Some(3)), run(7, 1, Some(3))]);
        assert_eq!(axis(Border::Reflect).runs(0, 8), [run(0, 1, Some(2)), run(1, 1, Some(1)), run(2, 4, Some(0)), run(6, 1, Some(2)), run(7, 1, Some(1))]);
        assert_eq!(axis(Border::Reflect).runs(5, 2), [run(0, 1, Some(3)), run(1, 1, Some(2))]);
    }
}
