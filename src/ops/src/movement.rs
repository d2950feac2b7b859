//! Ops that move elements without computing: orders, parts, joins, repetitions.

use crate::{Operands, top};

/// An axis counted from the front.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let rank = rank as i64;
    if (-rank..rank).contains(&axis) {
        return Ok(if axis < 0 { axis + rank } else { axis } as usize);
    }
    Err(format!("axis is {axis}, expected {} to {} (rank {rank})", -rank, rank - 1))
}

/// Axes counted from the front, in ascending order; none twice.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut found = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    match found.windows(2).find(|w| w[0] == w[1]) {
        Some(w) => Err(format!("axes {list:?} name dimension {} twice", w[0])),
        None => Ok(found),
    }
}

/// The part of one dimension that a slice takes: `count` elements from `start` on, `step` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceRange {
    pub start: usize,
    pub step: i64,
    pub count: usize,
}

impl top::Permute {
    /// The order as dimensions of an input of this rank.
    pub fn resolve(&self, rank: usize) -> Result<Vec<usize>, String> {
        if self.order.is_empty() {
            return Ok((0..rank).rev().collect());
        }
        let order = self.order.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted.iter().copied().eq(0..rank) { Ok(order) } else { Err(format!("order {:?} is no order of {rank} dimensions", self.order)) }
    }
}

impl top::Slice {
    /// What is taken of every dimension of an input of this shape. NumPy's rules: negative offsets and ends count from the
    /// end, and both are cut to the dimension.
    pub fn resolve(&self, input: &[i64]) -> Result<Vec<SliceRange>, String> {
        // Trailing dimensions may be left out where none are named.
        let entries = if self.axes.is_empty() { self.offset.len().min(input.len()) } else { self.axes.len() };
        for (name, list) in [("offset", &self.offset), ("steps", &self.steps), ("ends", &self.ends)] {
            if list.len() != entries {
                return Err(format!("{name} has {} entries, expected {entries}", list.len()));
            }
        }
        let whole = |&size: &i64| SliceRange { start: 0, step: 1, count: size.max(0) as usize };
        let mut ranges: Vec<SliceRange> = input.iter().map(whole).collect();
        let mut seen = vec![false; input.len()];
        for (entry, &step) in self.steps.iter().enumerate() {
            let d = if self.axes.is_empty() { entry } else { axis(self.axes[entry], input.len())? };
            if std::mem::replace(&mut seen[d], true) {
                return Err(format!("axes {:?} name dimension {d} twice", self.axes));
            }
            ranges[d] = range(input[d], self.offset[entry], self.ends[entry], step).ok_or_else(|| {
                format!("dimension {d} of size {} has no elements from {} to {} by {step}", input[d], self.offset[entry], self.ends[entry])
            })?;
        }
        Ok(ranges)
    }
}

/// `None` where nothing is taken.
fn range(size: i64, offset: i64, end: i64, step: i64) -> Option<SliceRange> {
    let wrap = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
    let (start, end) = match step {
        0 => return None,
        1.. => (wrap(offset).clamp(0, size), wrap(end).clamp(0, size)),
        _ => (wrap(offset).clamp(-1, size - 1), wrap(end).clamp(-1, size - 1)),
    };
    let span = if step > 0 { end - start } else { start - end };
    if span <= 0 {
        return None;
    }
    let count = ((span - 1) as u64 / step.unsigned_abs() + 1) as usize;
    // A single element needs no step, and a step that is larger than the dimension fits nowhere.
    Some(SliceRange { start: start as usize, step: if count == 1 { step.signum() } else { step }, count })
}

pub(crate) fn permute(op: &top::Permute, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    Ok(op.resolve(input.len())?.into_iter().map(|d| input[d]).collect())
}

pub(crate) fn slice(op: &top::Slice, operands: &Operands) -> Result<Vec<i64>, String> {
    if (1..4).any(|i| operands.list.get(i).is_some_and(|o| !o.is_none())) {
        return Err("offsets, ends and steps must be attributes".into());
    }
    Ok(op.resolve(operands.shape(0)?)?.iter().map(|r| r.count as i64).collect())
}

/// No network needs more parts; a hostile one may ask for billions.
const MOST_PARTS: i64 = 1 << 16;

impl top::Split {
    /// The axis and the sizes of the parts.
    pub fn resolve(&self, input: &[i64]) -> Result<(usize, Vec<i64>), String> {
        let d = axis(i64::from(self.axis), input.len())?;
        if !(1..=MOST_PARTS).contains(&self.num) {
            return Err(format!("num is {}, expected 1 to {MOST_PARTS}", self.num));
        }
        let sizes = match self.split_size.as_deref().filter(|s| !s.is_empty()) {
            Some(sizes) => sizes.to_vec(),
            None if input[d] % self.num == 0 => vec![input[d] / self.num; self.num as usize],
            None => return Err(format!("dimension {d} of size {} is not divisible by {}", input[d], self.num)),
        };
        let sum = sizes.iter().try_fold(0i64, |sum, &s| if s < 1 { None } else { sum.checked_add(s) });
        if sizes.len() as i64 != self.num || sum != Some(input[d]) {
            return Err(format!("split_size {sizes:?} does not divide {} into {} parts", input[d], self.num));
        }
        Ok((d, sizes))
    }
}

pub(crate) fn split(op: &top::Split, operands: &Operands) -> Result<Vec<Vec<i64>>, String> {
    let input = operands.shape(0)?;
    let (axis, sizes) = op.resolve(input)?;
    let part = |size: i64| {
        let mut shape = input.to_vec();
        shape[axis] = size;
        shape
    };
    Ok(sizes.into_iter().map(part).collect())
}

pub(crate) fn concat(op: &top::Concat, operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    let d = axis(i64::from(op.axis), shape.len())?;
    for index in 1..operands.len() {
        let other = operands.shape(index)?;
        let fits = other.len() == shape.len() && (0..shape.len()).all(|i| i == d || other[i] == shape[i]);
        if !fits {
            return Err(format!("operand {index} of shape {other:?} does not continue {shape:?} along dimension {d}"));
        }
        shape[d] = shape[d].checked_add(other[d]).ok_or("result is too large")?;
    }
    Ok(shape)
}

pub(crate) fn squeeze(op: &top::Squeeze, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    let gone = match op.axes.as_slice() {
        [] => (0..input.len()).filter(|&d| input[d] == 1).collect(),
        list => axes(list, input.len())?,
    };
    if let Some(&d) = gone.iter().find(|&&d| input[d] != 1) {
        return Err(format!("dimension {d} of {input:?} is not 1"));
    }
    let shape: Vec<i64> = input.iter().enumerate().filter(|(d, _)| !gone.contains(d)).map(|(_, &s)| s).collect();
    Ok(if shape.is_empty() { vec![1] } else { shape })
}

pub(crate) fn unsqueeze(op: &top::Unsqueeze, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    let rank = input.len() + op.axes.len();
    let new = axes(&op.axes, rank)?;
    let mut rest = input.iter();
    Ok((0..rank).map(|d| if new.contains(&d) { 1 } else { rest.next().copied().unwrap_or(1) }).collect())
}

pub(crate) fn tile(op: &top::Tile, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    let counts = op.tile.as_deref().ok_or("tile must be an attribute")?;
    if counts.len() != input.len() || counts.iter().any(|&c| c < 1) {
        return Err(format!("tile is {counts:?}, expected {} positive counts", input.len()));
    }
    input.iter().zip(counts).map(|(s, c)| s.checked_mul(*c).ok_or_else(|| "result is too large".to_owned())).collect()
}

pub(crate) fn expand(op: &top::Expand, operands: &Operands) -> Result<Vec<i64>, String> {
    crate::elementwise::broadcast(operands.shape(0)?, &op.shape)
}

pub(crate) fn gather(op: &top::Gather, operands: &Operands) -> Result<Vec<i64>, String> {
    let (input, indices) = (operands.shape(0)?, operands.shape(1)?);
    let d = axis(i64::from(op.axis), input.len())?;
    if !op.keepdims && indices.iter().any(|&s| s != 1) {
        return Err(format!("without keepdims there is one index, found indices of shape {indices:?}"));
    }
    let picked = if op.keepdims { indices } else { &[] };
    let shape = [&input[..d], picked, &input[d + 1..]].concat();
    Ok(if shape.is_empty() { vec![1] } else { shape })
}

impl top::Depth2Space {
    /// Channels, height and width of a [N, C, H, W] input after the op.
    fn result(&self, channels: i64, height: i64, width: i64) -> Result<[i64; 3], String> {
        let (h, w) = (self.block_h, self.block_w);
        let area = h.checked_mul(w).filter(|_| h > 0 && w > 0).ok_or_else(|| format!("block is {h}x{w}, expected positive sizes"))?;
        let large = "result is too large";
        if self.is_inversed {
            if height % h != 0 || width % w != 0 {
                return Err(format!("{height}x{width} pixels are not divisible into blocks of {h}x{w}"));
            }
            return Ok([channels.checked_mul(area).ok_or(large)?, height / h, width / w]);
        }
        if channels % area != 0 {
            return Err(format!("{channels} channels are not divisible into blocks of {h}x{w}"));
        }
        Ok([channels / area, height.checked_mul(h).ok_or(large)?, width.checked_mul(w).ok_or(large)?])
    }
}

pub(crate) fn depth2space(op: &top::Depth2Space, operands: &Operands) -> Result<Vec<i64>, String> {
    let &[n, a, b, c] = operands.shape(0)? else {
        return Err(format!("expected an input of four dimensions, found {:?}", operands.shape(0)?));
    };
    let [channels, height, width] = if op.in_is_NCHW { op.result(a, b, c) } else { op.result(c, a, b) }?;
    Ok(if op.out_is_NCHW { vec![n, channels, height, width] } else { vec![n, height, width, channels] })
}

pub(crate) fn reverse(op: &top::Reverse, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    axis(op.axis, input.len()).map(|_| input.to_vec())
}
