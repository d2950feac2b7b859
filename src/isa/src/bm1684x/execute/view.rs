//! Local tensors as the instructions see them, and rows of their elements as numbers.

use crate::bm1684x::memory::{ExecuteError, LANE, LANES, Memory, Result};
use crate::bm1684x::{CHIP, DType, Layout, Operand, Precision, Shape, Strides, lane_of, offset_of};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// A tensor in local memory with its strides in bytes.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Of channel 0.
    pub lane: usize,
    pub offset: usize,
    /// N, block of 64 channels, H, W.
    pub strides: [usize; 4],
    pub dtype: DType,
}

impl View {
    /// Checks that every element lies inside its lane.
    pub fn new(addr: u32, shape: Shape, dtype: DType, layout: Layout, what: &'static str) -> Result<View> {
        let lane = lane_of(addr);
        if dtype.precision == Precision::Int4 {
            return Err(ExecuteError::Unsupported(format!("{what} of int4")));
        }
        if lane >= CHIP.lanes {
            return Err(ExecuteError::Address { what, address: u64::from(addr), bytes: 0 });
        }
        let Strides { n, c, h, w } = layout.strides(shape, dtype.precision, lane);
        let size = u64::from(dtype.bytes());
        let strides = [n, c, h, w].map(|s| u64::from(s) * size);
        let blocks = (u64::from(lane) + u64::from(shape.c)).div_ceil(LANES as u64);
        let counts = [u64::from(shape.n), blocks, u64::from(shape.h), u64::from(shape.w)];
        let start = u64::from(offset_of(addr));
        let end = counts.iter().zip(strides).fold(start + size, |end, (count, s)| end.saturating_add(count.saturating_sub(1).saturating_mul(s)));
        if end > LANE as u64 {
            return Err(ExecuteError::Local { what, end });
        }
        Ok(View { lane: lane as usize, offset: start as usize, strides: strides.map(|s| s as usize), dtype })
    }

    /// Byte offset inside its lane of the first element of a row.
    #[inline(always)]
    pub fn row(&self, n: usize, block: usize, h: usize) -> usize {
        self.offset + n * self.strides[0] + block * self.strides[1] + h * self.strides[2]
    }

    /// Bytes between neighbours of a row.
    pub fn step(&self) -> usize {
        self.strides[3]
    }

    /// Whether the rows of `shape` follow each other as the elements of a row do.
    pub fn rows_join(&self, shape: Shape) -> bool {
        shape.h <= 1 || self.strides[2] == shape.w as usize * self.strides[3]
    }

    /// Whether the elements of a row touch.
    pub fn dense(&self) -> bool {
        self.strides[3] == self.dtype.bytes() as usize
    }
}

/// The shape with its rows joined into one, where all the views allow it.
pub fn joined(shape: Shape, views: &[&View]) -> Shape {
    match views.iter().all(|v| v.rows_join(shape)) {
        true => Shape { h: 1, w: shape.h * shape.w, ..shape },
        false => shape,
    }
}

/// All operands of an instruction start in one lane; the executor does not guess what other words would do.
pub fn same_lane<'a>(what: &str, views: impl IntoIterator<Item = &'a View>) -> Result<()> {
    let mut views = views.into_iter();
    let Some(first) = views.next() else { return Ok(()) };
    match views.all(|v| v.lane == first.lane) {
        true => Ok(()),
        false => Err(ExecuteError::Operand(format!("{what}: operands and result start in different lanes"))),
    }
}

/// Elements of a row that are worked on at once.
pub const RUN: usize = 512;

/// An operand: a tensor or one value.
#[derive(Debug, Clone, Copy)]
pub enum Input {
    View(View),
    Const { bits: u32, dtype: DType },
}

impl Input {
    pub fn new(operand: Operand, shape: Shape) -> Result<Input> {
        Ok(match operand {
            Operand::Tensor(t) => Input::View(View::new(t.addr, shape, t.dtype, t.layout, "an operand")?),
            Operand::Const { bits, dtype } => Input::Const { bits, dtype },
        })
    }

    pub fn view(&self) -> Option<&View> {
        match self {
            Input::View(view) => Some(view),
            Input::Const { .. } => None,
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Input::View(view) => view.dtype,
            Input::Const { dtype, .. } => *dtype,
        }
    }

    /// Elements `from..from + row.len()` of row (n, block, h).
    #[inline(always)]
    pub fn ints(&self, lane: &[u8], [n, block, h, from]: [usize; 4], row: &mut [i64]) {
        match self {
            Input::View(view) => read_ints(lane, view.row(n, block, h) + from * view.step(), view.step(), view.dtype, row),
            Input::Const { bits, dtype } => row.fill(int_of(*bits, *dtype)),
        }
    }

    #[inline(always)]
    pub fn floats(&self, lane: &[u8], [n, block, h, from]: [usize; 4], row: &mut [f32]) {
        match self {
            Input::View(view) => read_floats(lane, view.row(n, block, h) + from * view.step(), view.step(), view.dtype.precision, row),
            Input::Const { bits, dtype } => row.fill(float_of(*bits, dtype.precision)),
        }
    }
}

/// The value of a constant's bits.
pub fn int_of(bits: u32, dtype: DType) -> i64 {
    match (dtype.precision.bytes(), dtype.signed) {
        (1, true) => i64::from(bits as u8 as i8),
        (1, false) => i64::from(bits as u8),
        (2, true) => i64::from(bits as u16 as i16),
        (2, false) => i64::from(bits as u16),
        (_, true) => i64::from(bits as i32),
        (_, false) => i64::from(bits),
    }
}

pub fn float_of(bits: u32, precision: Precision) -> f32 {
    match precision {
        Precision::F16 => f16::from_bits(bits as u16).to_f32(),
        Precision::Bf16 => bf16::from_bits(bits as u16).to_f32(),
        _ => f32::from_bits(bits),
    }
}

/// Elements of `SIZE` bytes, `step` bytes apart, from `at` on.
#[inline(always)]
fn read_each<const SIZE: usize, T: Copy>(lane: &[u8], at: usize, step: usize, row: &mut [T], value: impl Fn([u8; SIZE]) -> T) {
    let element = |at: usize| {
        let mut bytes = [0; SIZE];
        bytes.copy_from_slice(&lane[at..at + SIZE]);
        value(bytes)
    };
    if step == SIZE {
        let source = &lane[at..at + row.len() * SIZE];
        for (v, bytes) in row.iter_mut().zip(source.chunks_exact(SIZE)) {
            let mut array = [0; SIZE];
            array.copy_from_slice(bytes);
            *v = value(array);
        }
    } else if step == 0 {
        row.fill(element(at));
    } else {
        row.iter_mut().enumerate().for_each(|(i, v)| *v = element(at + i * step));
    }
}

#[inline(always)]
fn write_each<const SIZE: usize, T: Copy>(lane: &mut [u8], at: usize, step: usize, row: &[T], bytes: impl Fn(T) -> [u8; SIZE]) {
    if step == SIZE {
        let dest = &mut lane[at..at + row.len() * SIZE];
        for (place, v) in dest.chunks_exact_mut(SIZE).zip(row) {
            place.copy_from_slice(&bytes(*v));
        }
    } else {
        row.iter().enumerate().for_each(|(i, v)| lane[at + i * step..][..SIZE].copy_from_slice(&bytes(*v)));
    }
}

/// Reads every `step` bytes. The view that the row belongs to has been checked.
#[inline(always)]
pub fn read_ints(lane: &[u8], at: usize, step: usize, dtype: DType, row: &mut [i64]) {
    match (dtype.precision.bytes(), dtype.signed) {
        (1, true) => read_each(lane, at, step, row, |b: [u8; 1]| i64::from(b[0] as i8)),
        (1, false) => read_each(lane, at, step, row, |b: [u8; 1]| i64::from(b[0])),
        (2, true) => read_each(lane, at, step, row, |b| i64::from(i16::from_le_bytes(b))),
        (2, false) => read_each(lane, at, step, row, |b| i64::from(u16::from_le_bytes(b))),
        (_, true) => read_each(lane, at, step, row, |b| i64::from(i32::from_le_bytes(b))),
        (_, false) => read_each(lane, at, step, row, |b| i64::from(u32::from_le_bytes(b))),
    }
}

#[inline(always)]
pub fn read_floats(lane: &[u8], at: usize, step: usize, precision: Precision, row: &mut [f32]) {
    match precision {
        Precision::F32 => read_each(lane, at, step, row, f32::from_le_bytes),
        _ => read_halves(lane, at, step, precision, row),
    }
}

#[inline(never)]
fn read_halves(lane: &[u8], at: usize, step: usize, precision: Precision, row: &mut [f32]) {
    for (run, row) in row.chunks_mut(RUN).enumerate() {
        let at = at + run * RUN * step;
        match precision {
            Precision::Bf16 => read_each(lane, at, step, row, |b| bf16::from_le_bytes(b).to_f32()),
            _ => {
                let mut halves = [f16::ZERO; RUN];
                let halves = &mut halves[..row.len()];
                read_each(lane, at, step, halves, f16::from_le_bytes);
                halves.convert_to_f32_slice(row);
            }
        }
    }
}

/// Writes the low bytes of every value.
#[inline(always)]
pub fn write_ints(lane: &mut [u8], at: usize, step: usize, bytes: u32, row: &[i64]) {
    match bytes {
        1 => write_each(lane, at, step, row, |v| [v as u8]),
        2 => write_each(lane, at, step, row, |v| (v as u16).to_le_bytes()),
        _ => write_each(lane, at, step, row, |v| (v as u32).to_le_bytes()),
    }
}

/// The bits of a half float as the chip writes it: what is no number has all bits but the sign, bf16 has no subnormals.
pub fn half_bits(v: f32, precision: Precision) -> u16 {
    if v.is_nan() {
        return 0x7fff;
    }
    match precision {
        Precision::F16 => f16::from_f32(v).to_bits(),
        _ => {
            let bits = bf16::from_f32(v).to_bits();
            if bits & 0x7f80 == 0 { bits & 0x8000 } else { bits }
        }
    }
}

/// Rounds to the precision (half to even) and writes.
#[inline(always)]
pub fn write_floats(lane: &mut [u8], at: usize, step: usize, precision: Precision, row: &[f32]) {
    match precision {
        Precision::F16 => write_each(lane, at, step, row, |v| half_bits(v, Precision::F16).to_le_bytes()),
        Precision::Bf16 => write_each(lane, at, step, row, |v| half_bits(v, Precision::Bf16).to_le_bytes()),
        _ => write_each(lane, at, step, row, f32::to_le_bytes),
    }
}

/// Work that every lane does by itself on its own bytes.
pub trait LaneJob: Sync {
    /// Must be `#[inline(always)]`, so that it is compiled for the vector instructions that there are.
    fn run(&self, lane: usize, bytes: &mut [u8]);
}

/// Runs the job on the lanes that hold channels `0..channels` from lane `start` on; `elements` is all its work.
pub fn for_lanes<J: LaneJob>(memory: &mut Memory, start: usize, channels: usize, elements: u64, job: &J) {
    let used = |lane: usize| (lane + LANES - start) % LANES < channels;
    let vectors = has_vectors();
    let one = |(lane, bytes): (usize, &mut [u8])| {
        if !used(lane) {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if vectors {
            // SAFETY: the processor has these features.
            unsafe { run_vectors(job, lane, bytes) };
            return;
        }
        let _ = vectors;
        job.run(lane, bytes);
    };
    // Waking a thread costs as much as some ten thousand elements.
    match elements < 1 << 15 {
        true => memory.local.chunks_mut(LANE).enumerate().for_each(one),
        false => memory.local.par_chunks_mut(LANE).enumerate().for_each(one),
    }
}

fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
fn run_vectors<J: LaneJob>(job: &J, lane: usize, bytes: &mut [u8]) {
    job.run(lane, bytes);
}

/// Calls `body` with (n, block) for every channel of a tensor that lane `lane` holds.
#[inline(always)]
pub fn channels_of(lane: usize, start: usize, shape: Shape, mut body: impl FnMut(usize, usize)) {
    let first = (lane + LANES - start) % LANES;
    for n in 0..shape.n as usize {
        for channel in (first..shape.c as usize).step_by(LANES) {
            body(n, (start + channel) / LANES);
        }
    }
}
