//! Padding at the borders of any dimension.

use crate::buffer::Element;
use crate::{KernelError, expect_length};

/// What stands outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Border<T> {
    Constant(T),
    /// The elements inwards from the border, which is not repeated.
    Reflect,
    /// The element at the border.
    Edge,
}

/// Pads `x` of dimensions `shape` (in memory order) by `before` and `after` elements; negative counts cut.
pub fn pad<T: Element>(x: &[T], shape: &[usize], before: &[i64], after: &[i64], border: Border<T>, y: &mut [T]) -> Result<(), KernelError> {
    expect_length("elements to pad", shape.iter().product(), x.len())?;
    expect_length("counts before", shape.len(), before.len())?;
    expect_length("counts after", shape.len(), after.len())?;
    let mut out = Vec::with_capacity(shape.len());
    // For every dimension and output position the input position, or none outside.
    let mut sources: Vec<Vec<Option<usize>>> = Vec::with_capacity(shape.len());
    for (d, &size) in shape.iter().enumerate() {
        let padded = (size as i64).checked_add(before[d]).and_then(|s| s.checked_add(after[d])).filter(|&p| p >= 0 && p as usize <= y.len().max(1));
        let reach = if border == Border::Reflect { size as i64 - 1 } else { i64::MAX };
        let Some(padded) = padded.filter(|_| before[d] <= reach && after[d] <= reach && before[d].min(after[d]) >= -(size as i64) && size > 0) else {
            return Err(KernelError::Geometry(format!("dimension {d} of {shape:?} cannot be padded by {} and {}", before[d], after[d])));
        };
        let last = size as i64 - 1;
        let source = |p: i64| match border {
            Border::Constant(_) => usize::try_from(p).ok().filter(|&p| p < size),
            Border::Edge => Some(p.clamp(0, last) as usize),
            Border::Reflect => Some((last - (last - p.abs()).abs()) as usize),
        };
        sources.push((0..padded).map(|p| source(p - before[d])).collect());
        out.push(padded as usize);
    }
    expect_length("padded elements", out.iter().product(), y.len())?;
    let fill = if let Border::Constant(value) = border { value } else { T::default() };
    let Some((inner_sources, outer)) = sources.split_last() else {
        y.copy_from_slice(x);
        return Ok(());
    };
    let inner = inner_sources.len().max(1);
    for (row, y) in y.chunks_exact_mut(inner).enumerate() {
        let mut rest = row;
        let mut base = Some(0);
        let mut stride = shape[shape.len() - 1];
        for (d, sources) in outer.iter().enumerate().rev() {
            let at = sources[rest % sources.len()];
            rest /= sources.len();
            base = base.zip(at).map(|(base, at)| base + at * stride);
            stride *= shape[d];
        }
        match base {
            None => y.fill(fill),
            Some(base) => y.iter_mut().zip(inner_sources).for_each(|(y, source)| *y = source.map_or(fill, |s| x[base + s])),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        let x = [1, 2, 3, 4, 5, 6];
        let mut y = [0; 12];
        pad(&x, &[2, 3], &[1, 0], &[0, 1], Border::Constant(9), &mut y).unwrap();
        assert_eq!(y, [9, 9, 9, 9, 1, 2, 3, 9, 4, 5, 6, 9]);
        pad(&x, &[2, 3], &[1, 0], &[0, 1], Border::Edge, &mut y).unwrap();
        assert_eq!(y, [1, 2, 3, 3, 1, 2, 3, 3, 4, 5, 6, 6]);
        pad(&x, &[2, 3], &[1, 1], &[0, 0], Border::Reflect, &mut y).unwrap();
        assert_eq!(y, [5, 4, 5, 6, 2, 1, 2, 3, 5, 4, 5, 6]);
        pad(&x, &[2, 3], &[0, -1], &[0, 0], Border::Constant(0), &mut y[..4]).unwrap();
        assert_eq!(y[..4], [2, 3, 5, 6]);
        assert!(pad(&x, &[2, 3], &[2, 0], &[0, 0], Border::Reflect, &mut y).is_err());
        assert!(pad(&x, &[2, 3], &[i64::MAX, 0], &[1, 0], Border::Edge, &mut y).is_err());
    }
}
