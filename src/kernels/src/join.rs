//! Concatenation, and picking by index.

use crate::buffer::Element;
use crate::{KernelError, expect_length};

/// Writes the `part`-th piece of every row: rows of `row` elements, the piece `x` of `x.len() / rows` elements each, `offset`
/// elements into the row.
pub fn place<T: Element>(x: &[T], rows: usize, offset: usize, row: usize, y: &mut [T]) -> Result<(), KernelError> {
    let piece = x.len().checked_div(rows).unwrap_or(0);
    expect_length("elements of a piece", piece * rows, x.len())?;
    expect_length("joined elements", row * rows, y.len())?;
    if offset + piece > row {
        return Err(KernelError::Geometry(format!("{piece} elements at {offset} leave a row of {row}")));
    }
    if piece > 0 {
        y.chunks_exact_mut(row).zip(x.chunks_exact(piece)).for_each(|(y, x)| y[offset..offset + piece].copy_from_slice(x));
    }
    Ok(())
}

/// An index as it stands in a float tensor; negative ones count from the end.
pub fn index(value: f32, size: usize) -> Result<usize, KernelError> {
    let at = if value < 0.0 { value + size as f32 } else { value };
    // Not a number compares with nothing.
    if at >= 0.0 && at < size as f32 && at.fract() == 0.0 {
        return Ok(at as usize);
    }
    Err(KernelError::Geometry(format!("index {value} does not exist in a dimension of {size}")))
}

/// `x` of `[outer, size, inner]`: the slices of the middle dimension that `indices` name.
pub fn gather<T: Element>(x: &[T], [outer, size, inner]: [usize; 3], indices: &[usize], y: &mut [T]) -> Result<(), KernelError> {
    expect_length("elements to gather from", outer * size * inner, x.len())?;
    expect_length("gathered elements", outer * indices.len() * inner, y.len())?;
    if let Some(at) = indices.iter().find(|&&i| i >= size) {
        return Err(KernelError::Geometry(format!("index {at} does not exist in a dimension of {size}")));
    }
    if inner == 0 || indices.is_empty() {
        return Ok(());
    }
    for (o, y) in y.chunks_exact_mut(indices.len() * inner).enumerate() {
        y.chunks_exact_mut(inner).zip(indices).for_each(|(y, &i)| y.copy_from_slice(&x[(o * size + i) * inner..][..inner]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_rows() {
        let mut y = [0; 6];
        place(&[1, 2], 2, 0, 3, &mut y).unwrap();
        place(&[3, 4, 5, 6], 2, 1, 3, &mut y).unwrap();
        assert_eq!(y, [1, 3, 4, 2, 5, 6]);
        assert!(place(&[1, 2], 2, 3, 3, &mut y).is_err());
        assert!(place(&[1, 2, 3], 2, 0, 3, &mut y).is_err());
    }

    #[test]
    fn by_index() {
        let mut y = [0; 4];
        gather(&[1, 2, 3, 4, 5, 6], [2, 3, 1], &[2, 0], &mut y).unwrap();
        assert_eq!(y, [3, 1, 6, 4]);
        assert!(gather(&[1, 2, 3, 4, 5, 6], [2, 3, 1], &[3, 0], &mut y).is_err());
        assert_eq!(index(-1.0, 5).unwrap(), 4);
        assert!(index(5.0, 5).is_err() && index(-6.0, 5).is_err() && index(0.5, 5).is_err() && index(f32::NAN, 5).is_err());
    }
}
