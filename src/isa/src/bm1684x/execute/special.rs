//! Special functions (SFU) and linear functions of channels (LIN), f32.

use super::arith::{flush, reciprocal_root};
use super::unsupported;
use super::view::{LaneJob, RUN, View, channels_of, for_lanes, joined, read_floats, same_lane, write_floats};
use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{DType, Layout, Lin, LinFunction, Precision, Sfu, SfuFunction, Shape, Source, lane_of, offset_of};

struct SfuJob {
    function: SfuFunction,
    shape: Shape,
    source: View,
    result: View,
    table: usize,
    terms: usize,
    /// Of the root.
    steps: u8,
}

pub fn run_sfu(memory: &mut Memory, inst: &Sfu) -> Result<()> {
    let name = inst.function.name();
    if inst.source_precision != Precision::F32 || inst.result_precision != Precision::F32 || inst.function == SfuFunction::Normalize {
        return unsupported(&format!("{name} of {} into {}", inst.source_precision.name(), inst.result_precision.name()));
    }
    let shape = inst.shape;
    if shape.elements() == 0 {
        return Ok(());
    }
    let source = View::new(inst.source_addr, shape, DType::F32, Layout::Aligned, "the source")?;
    let result = View::new(inst.result_addr, shape, DType::F32, Layout::Aligned, "the result")?;
    same_lane(name, [&source, &result])?;
    let taylor = matches!(inst.function, SfuFunction::Taylor | SfuFunction::Taylor4x);
    let end = u64::from(offset_of(inst.table_addr)) + 4 * u64::from(inst.terms);
    if taylor && (end > LANE as u64 || inst.terms == 0 || lane_of(inst.table_addr) as usize != result.lane) {
        return Err(ExecuteError::Local { what: "the coefficients", end });
    }
    let shape = joined(shape, &[&source, &result]);
    let job = SfuJob { function: inst.function, shape, source, result, table: offset_of(inst.table_addr) as usize, terms: if taylor { inst.terms as usize } else { 0 }, steps: (inst.iterations & 3) + 1 };
    for_lanes(memory, result.lane, shape.c as usize, shape.elements() * u64::from(inst.terms.max(1)), &job);
    Ok(())
}

impl LaneJob for SfuJob {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let mut x = [0f32; RUN];
        let mut y = [0f32; RUN];
        let mut table = vec![0f32; self.terms];
        if self.terms > 0 {
            read_floats(bytes, self.table, 4, Precision::F32, &mut table);
        }
        each_run(lane, self.result.lane, self.shape, |[n, block, h], from, count| {
            let (x, y) = (&mut x[..count], &mut y[..count]);
            read_floats(bytes, self.source.row(n, block, h) + 4 * from, 4, Precision::F32, x);
            match self.function {
                SfuFunction::Rsqrt => y.iter_mut().zip(&*x).for_each(|(y, x)| *y = reciprocal_root(*x, self.steps)),
                SfuFunction::Normalize => y.iter_mut().zip(&*x).for_each(|(y, x)| *y = f32::from_bits(x.to_bits() & 0xff80_0000)),
                _ => {
                    // Lowest order first.
                    y.fill(0.0);
                    for c in table.iter().rev() {
                        let c = flush(*c);
                        y.iter_mut().zip(&*x).for_each(|(y, x)| *y = flush(flush(*y * flush(*x)) + c));
                    }
                }
            }
            write_floats(bytes, self.result.row(n, block, h) + 4 * from, 4, Precision::F32, y);
        });
    }
}

/// Calls `body` with (n, block, h), the first element and the number of elements of every run of a tensor in a lane.
#[inline(always)]
fn each_run(lane: usize, start: usize, shape: Shape, mut body: impl FnMut([usize; 3], usize, usize)) {
    channels_of(lane, start, shape, |n, block| {
        for h in 0..shape.h as usize {
            for from in (0..shape.w as usize).step_by(RUN) {
                body([n, block, h], from, (shape.w as usize - from).min(RUN));
            }
        }
    });
}

/// A parameter of each channel, or of all.
#[derive(Clone, Copy)]
enum Parameter {
    Lane(usize),
    Value(f32),
}

struct LinJob {
    function: LinFunction,
    shape: Shape,
    source: View,
    result: View,
    b: Parameter,
    c: Parameter,
}

pub fn run_lin(memory: &mut Memory, inst: &Lin) -> Result<()> {
    let name = inst.function.name();
    if inst.precision != Precision::F32 {
        return unsupported(&format!("{name} of {}", inst.precision.name()));
    }
    let shape = inst.shape;
    if shape.elements() == 0 {
        return Ok(());
    }
    let source = View::new(inst.opd0_addr, shape, DType::F32, Layout::Aligned, "operand 0")?;
    let result = View::new(inst.result_addr, shape, DType::F32, Layout::Aligned, "the result")?;
    same_lane(name, [&source, &result])?;
    let blocks = (result.lane + shape.c as usize).div_ceil(LANES);
    let parameter = |source: Source| match source {
        Source::Const(bits) => Ok(Parameter::Value(f32::from_bits(bits))),
        Source::Local(addr) => {
            let end = u64::from(offset_of(addr)) + 4 * blocks as u64;
            match end > LANE as u64 || lane_of(addr) as usize != result.lane {
                true => Err(ExecuteError::Local { what: "the parameters of the channels", end }),
                false => Ok(Parameter::Lane(offset_of(addr) as usize)),
            }
        }
    };
    let unused = inst.function != LinFunction::Mac;
    let c = if unused { Parameter::Value(0.0) } else { parameter(inst.opd2)? };
    let shape = joined(shape, &[&source, &result]);
    let job = LinJob { function: inst.function, shape, source, result, b: parameter(inst.opd1)?, c };
    for_lanes(memory, result.lane, shape.c as usize, shape.elements(), &job);
    Ok(())
}

impl LaneJob for LinJob {
    #[inline(always)]
    fn run(&self, lane: usize, bytes: &mut [u8]) {
        let mut x = [0f32; RUN];
        each_run(lane, self.result.lane, self.shape, |[n, block, h], from, count| {
            let x = &mut x[..count];
            let value = |parameter, bytes: &[u8]| match parameter {
                Parameter::Value(value) => value,
                Parameter::Lane(at) => {
                    let mut one = [0f32];
                    read_floats(bytes, at + 4 * block, 4, Precision::F32, &mut one);
                    one[0]
                }
            };
            let (b, c) = (flush(value(self.b, bytes)), flush(value(self.c, bytes)));
            let square = |x: f32| flush(x * x);
            read_floats(bytes, self.source.row(n, block, h) + 4 * from, 4, Precision::F32, x);
            match self.function {
                LinFunction::Mac => x.iter_mut().for_each(|x| *x = flush(flush(flush(*x) * b) + c)),
                LinFunction::SquareSum => x.iter_mut().for_each(|x| *x = square(flush(flush(*x) + b))),
                LinFunction::SquareDiff => x.iter_mut().for_each(|x| *x = square(flush(flush(*x) - b))),
            }
            write_floats(bytes, self.result.row(n, block, h) + 4 * from, 4, Precision::F32, x);
        });
    }
}
