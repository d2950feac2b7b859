//! Strided copies between tensors in device memory, of any number of dimensions: what permutations, slices, concatenations and
//! repetitions are made of.
//!
//! A copy whose innermost elements are neighbours on both sides is a transfer from memory to memory. Otherwise rows are
//! loaded as they lie in the source, brought into the order of the result in local memory, and stored in long runs: by strided
//! reads where other dimensions fill the lanes, else by a transfer that exchanges lanes and columns.

use crate::conv::steps;
use crate::emit::{Ddr, Emitter, MOST_PITCH};
use crate::local::{Arena, LANE_BYTES, LANES, Layout, aligned_bytes, half};
use crate::tile::largest;
use tpuc_tensor::DType;

/// Elements that are `from` apart in the source and `to` apart in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim {
    pub count: u64,
    /// 0 repeats.
    pub from: u64,
    pub to: u64,
}

/// A copy of elements; offsets in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub from: u64,
    pub to: u64,
    pub dims: Vec<Dim>,
}

/// Extents of a transfer have 16 bits; longer dimensions are taken apart into runs of this many.
const RUN: u64 = 1 << 15;
/// From so many elements on, the lanes exchanged with columns are worth a transfer of their own.
const WIDE: u64 = 32;

/// Where a copy goes.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    pub from: Ddr,
    pub to: Ddr,
    pub dtype: DType,
}

impl Sides {
    fn source(&self, first: u64, strides: [u64; 4]) -> Ddr {
        Ddr { offset: self.from.offset + first * self.dtype.size() as u64, strides, ..self.from }
    }

    fn dest(&self, first: u64, strides: [u64; 4]) -> Ddr {
        Ddr { offset: self.to.offset + first * self.dtype.size() as u64, strides, ..self.to }
    }
}

impl Copy {
    /// Dimensions from the widest step in the result to the narrowest, without those of one element; neighbours that continue
    /// each other on both sides are one.
    fn simplified(&self) -> Copy {
        let mut dims: Vec<Dim> = self.dims.iter().copied().filter(|d| d.count != 1).collect();
        dims.sort_by_key(|d| std::cmp::Reverse(d.to));
        let mut merged: Vec<Dim> = Vec::new();
        for d in dims {
            match merged.last_mut() {
                Some(outer) if outer.from == d.from * d.count && outer.to == d.to * d.count => *outer = Dim { count: outer.count * d.count, ..d },
                _ => merged.push(d),
            }
        }
        Copy { dims: merged, ..*self }
    }

    /// The same elements with one dimension replaced by a part of it.
    fn part(&self, index: usize, first: u64, dims: &[Dim]) -> Copy {
        let d = self.dims[index];
        let mut copy = Copy { from: self.from + first * d.from, to: self.to + first * d.to, dims: self.dims.clone() };
        copy.dims.splice(index..=index, dims.iter().copied());
        copy
    }
}

/// Emits a copy. `turn` chooses the half of local memory, and is counted on.
pub fn generate(emit: &mut Emitter, copy: &Copy, sides: &Sides, turn: &mut usize) -> Result<(), String> {
    if copy.dims.iter().any(|d| d.count == 0) {
        return Ok(());
    }
    let copy = copy.simplified();
    let Some(&inner) = copy.dims.last() else {
        transfer(emit, &copy, sides);
        return Ok(());
    };
    // The source's neighbours, which the result has farther apart.
    let neighbours = copy.dims.iter().position(|d| d.from == 1 && d.to != 1);
    let lanes: u64 = copy.dims[..copy.dims.len() - 1].iter().enumerate().filter(|(i, d)| Some(*i) != neighbours && d.from != 0).map(|(_, d)| d.count).max().unwrap_or(1);
    match neighbours {
        _ if inner.to != 1 || inner.from == 1 => transfer(emit, &copy, sides),
        Some(neighbours) if inner.from > 1 && (inner.count >= WIDE || lanes < WIDE) => return exchange(emit, &copy, neighbours, sides, turn),
        None if inner.from > 8 => transfer(emit, &copy, sides),
        neighbours => return reorder(emit, &copy, neighbours, sides, turn),
    }
    Ok(())
}

/// Transfers from memory to memory, of at most four dimensions each.
fn transfer(emit: &mut Emitter, copy: &Copy, sides: &Sides) {
    if let Some(index) = copy.dims.iter().position(|d| d.count > RUN) {
        let d = copy.dims[index];
        let (whole, rest) = (d.count / RUN, d.count % RUN);
        let runs = [Dim { count: whole, from: d.from * RUN, to: d.to * RUN }, Dim { count: RUN, ..d }];
        transfer(emit, &copy.part(index, 0, &runs), sides);
        if rest > 0 {
            transfer(emit, &copy.part(index, whole * RUN, &[Dim { count: rest, ..d }]), sides);
        }
        return;
    }
    let mut dims = copy.dims.clone();
    // A row's elements lie close together and are not repeated.
    let size = sides.dtype.size() as u64;
    let near = |d: &Dim| (1..=MOST_PITCH / size).contains(&d.from) && (1..=MOST_PITCH / size).contains(&d.to);
    let unit = Dim { count: 1, from: 1, to: 1 };
    let row = match dims.last() {
        Some(d) if near(d) => dims.pop().unwrap_or(unit),
        _ => unit,
    };
    let outer = dims.len().saturating_sub(3);
    let mut block = [unit, unit, unit, row];
    block[3 - (dims.len() - outer)..3].copy_from_slice(&dims[outer..]);
    let shape = block.map(|d| d.count);
    let mut index = vec![0u64; outer];
    loop {
        let at = |step: fn(&Dim) -> u64| index.iter().zip(&dims).map(|(i, d)| i * step(d)).sum::<u64>();
        let (from, to) = (copy.from + at(|d| d.from), copy.to + at(|d| d.to));
        emit.transfer(shape, sides.dtype, sides.source(from, block.map(|d| d.from)), sides.dest(to, block.map(|d| d.to)));
        let Some(place) = (0..outer).rev().find(|&i| index[i] + 1 < dims[i].count) else { return };
        index[place] += 1;
        index[place + 1..].fill(0);
    }
}

/// What is left of a copy when some of its dimensions are done at once: calls `body` with the offsets of each position.
fn each(dims: &[Dim], from: u64, to: u64, body: &mut impl FnMut(u64, u64) -> Result<(), String>) -> Result<(), String> {
    let Some((first, rest)) = dims.split_first() else { return body(from, to) };
    (0..first.count).try_for_each(|i| each(rest, from + i * first.from, to + i * first.to, body))
}

/// The result's neighbours come to the lanes, the source's lie along W; the store exchanges both.
fn exchange(emit: &mut Emitter, copy: &Copy, neighbours: usize, sides: &Sides, turn: &mut usize) -> Result<(), String> {
    let (inner, across) = (copy.dims[copy.dims.len() - 1], copy.dims[neighbours]);
    let mut rest = copy.dims.clone();
    rest.pop();
    rest.remove(neighbours);
    let fits = |w: u64| aligned_bytes(LANES, w, sides.dtype) <= LANE_BYTES / 2;
    let most = largest(across.count.min(RUN), fits).ok_or("a row does not fit local memory")?;
    let blocks = largest(inner.count.min(RUN).div_ceil(LANES), |b| aligned_bytes(b * LANES, most, sides.dtype) <= LANE_BYTES / 2).unwrap_or(1);
    each(&rest, copy.from, copy.to, &mut |from, to| {
        for (lane, lanes) in steps(inner.count, blocks * LANES) {
            for (column, columns) in steps(across.count, most) {
                let x = half(*turn).tensor([1, lanes, 1, columns], sides.dtype)?;
                *turn += 1;
                emit.load(x, sides.source(from + lane * inner.from + column, [0, inner.from, 0, 1]));
                emit.store_exchanged(x, sides.dest(to + lane + column * across.to, [0, across.to, 0, 1]));
            }
        }
        Ok(())
    })
}

/// Rows are loaded as they lie in the source and read in the order of the result. Another dimension fills the lanes.
fn reorder(emit: &mut Emitter, copy: &Copy, neighbours: Option<usize>, sides: &Sides, turn: &mut usize) -> Result<(), String> {
    let one = Dim { count: 1, from: 0, to: 0 };
    let inner = copy.dims[copy.dims.len() - 1];
    let across = neighbours.map_or(one, |i| copy.dims[i]);
    let mut rest: Vec<Dim> = copy.dims.iter().enumerate().filter(|(i, _)| *i + 1 < copy.dims.len() && Some(*i) != neighbours).map(|(_, d)| *d).collect();
    let widest = (0..rest.len()).filter(|&i| rest[i].from != 0).max_by_key(|&i| rest[i].count);
    let on_lanes = widest.map_or(one, |i| rest.remove(i));
    // What is repeated as a whole is stored again and again.
    let (repeats, rest): (Vec<Dim>, Vec<Dim>) = rest.into_iter().partition(|d| d.from == 0);
    // Rows of the source and elements of each: with neighbours one row for each step of the result's innermost dimension,
    // without them one row with gaps.
    let rows = if neighbours.is_some() && inner.from > 0 { inner.count } else { 1 };
    let width = |columns: u64| if neighbours.is_some() { columns } else { (inner.count - 1) * inner.from + 1 };
    let bytes = |columns: u64, channels: u64| aligned_bytes(channels, rows * width(columns), sides.dtype) + aligned_bytes(channels, columns * inner.count, sides.dtype) + 128;
    let most = largest(across.count.min(RUN), |w| bytes(w, LANES) <= LANE_BYTES / 2);
    let Some(most) = most else { return inner_parts(emit, copy, sides, turn) };
    let blocks = largest(on_lanes.count.min(RUN).div_ceil(LANES), |b| bytes(most, b * LANES) <= LANE_BYTES / 2).unwrap_or(1);
    each(&rest, copy.from, copy.to, &mut |from, to| {
        for (lane, lanes) in steps(on_lanes.count, blocks * LANES) {
            for (column, columns) in steps(across.count, most) {
                let mut arena: Arena = half(*turn);
                *turn += 1;
                let x = arena.tensor([1, lanes, rows, width(columns)], sides.dtype)?;
                let y = arena.tensor([1, lanes, columns, inner.count], sides.dtype)?;
                let (from, to) = (from + lane * on_lanes.from + column * across.from, to + lane * on_lanes.to + column * across.to);
                emit.load(x, sides.source(from, [0, on_lanes.from, inner.from, 1]));
                let block = (aligned_bytes(1, rows * width(columns), sides.dtype) / sides.dtype.size() as u64) as u32;
                let step = if rows > 1 { width(columns) } else { inner.from } as u32;
                emit.copy_local(x.with_shape(y.shape).with_layout(Layout::Free([0, block, u32::from(neighbours.is_some()), step])), y);
                each(&repeats, 0, to, &mut |_, to| {
                    emit.store(y, sides.dest(to, [0, on_lanes.to, across.to, 1]));
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}

/// Rows too long for local memory, in two parts.
fn inner_parts(emit: &mut Emitter, copy: &Copy, sides: &Sides, turn: &mut usize) -> Result<(), String> {
    let last = copy.dims.len() - 1;
    let inner = copy.dims[last];
    let first = inner.count / 2;
    if first == 0 {
        return Err("an element does not fit local memory".into());
    }
    for (at, count) in [(0, first), (first, inner.count - first)] {
        generate(emit, &copy.part(last, at, &[Dim { count, ..inner }]), sides, turn)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(count: u64, from: u64, to: u64) -> Dim {
        Dim { count, from, to }
    }

    #[test]
    fn dimensions_that_continue_each_other_are_one() {
        let copy = |dims: &[Dim]| Copy { from: 0, to: 0, dims: dims.to_vec() }.simplified().dims;
        assert_eq!(copy(&[dim(2, 12, 12), dim(3, 4, 4), dim(4, 1, 1)]), [dim(24, 1, 1)]);
        assert_eq!(copy(&[dim(1, 7, 7), dim(4, 1, 3), dim(3, 4, 1)]), [dim(4, 1, 3), dim(3, 4, 1)]);
        assert_eq!(copy(&[dim(5, 0, 8), dim(8, 1, 1)]), [dim(5, 0, 8), dim(8, 1, 1)]);
        assert!(copy(&[dim(1, 0, 8)]).is_empty());
    }
}
