//! Slices of tensors as NumPy writes them: `0,:,2:5,-1`, `...,0`.

use tpuc_tensor::Tensor;

/// What is taken of one dimension.
enum Part {
    /// One index; the dimension goes away.
    Index(i64),
    Range {
        start: Option<i64>,
        stop: Option<i64>,
        step: usize,
    },
    /// As many whole dimensions as are left.
    Rest,
}

/// The part of a tensor that a slice names.
pub fn slice(tensor: &Tensor, text: &str) -> Result<Tensor, String> {
    let parts = text.split(',').map(|p| part(p.trim()).ok_or_else(|| format!("'{text}' is no slice such as 0,:,2:5"))).collect::<Result<Vec<_>, _>>()?;
    let rank = tensor.shape().len();
    let named = parts.iter().filter(|p| !matches!(p, Part::Rest)).count();
    if named > rank || parts.len() > named + 1 {
        return Err(format!("'{text}' has too many dimensions for shape {:?}", tensor.shape()));
    }
    let mut lists: Vec<(bool, Vec<usize>)> = Vec::with_capacity(rank);
    for part in &parts {
        match part {
            Part::Rest => (0..rank - named).for_each(|_| lists.push((true, (0..tensor.shape()[lists.len()]).collect()))),
            part => {
                let size = tensor.shape()[lists.len()];
                lists.push(indices(part, size).ok_or_else(|| format!("'{text}': {size} elements in dimension {}", lists.len()))?);
            }
        }
    }
    while lists.len() < rank {
        lists.push((true, (0..tensor.shape()[lists.len()]).collect()));
    }
    take(tensor, &lists).ok_or_else(|| format!("'{text}' does not fit shape {:?}", tensor.shape()))
}

fn part(text: &str) -> Option<Part> {
    let number = |s: &str| if s.trim().is_empty() { Some(None) } else { s.trim().parse().ok().map(Some) };
    let fields: Vec<&str> = text.split(':').collect();
    match fields.as_slice() {
        ["..."] => Some(Part::Rest),
        [index] => index.parse().ok().map(Part::Index),
        [start, stop] => Some(Part::Range { start: number(start)?, stop: number(stop)?, step: 1 }),
        [start, stop, step] => {
            let step = number(step)?.unwrap_or(1);
            Some(Part::Range { start: number(start)?, stop: number(stop)?, step: usize::try_from(step).ok().filter(|&s| s > 0)? })
        }
        _ => None,
    }
}

/// Whether the dimension stays, and which of its elements.
fn indices(part: &Part, size: usize) -> Option<(bool, Vec<usize>)> {
    let from_end = |v: i64| if v < 0 { v.saturating_add(size as i64) } else { v };
    match *part {
        Part::Index(i) => usize::try_from(from_end(i)).ok().filter(|&i| i < size).map(|i| (false, vec![i])),
        Part::Range { start, stop, step } => {
            let bound = |v: Option<i64>, default: usize| v.map_or(default, |v| from_end(v).clamp(0, size as i64) as usize);
            Some((true, (bound(start, 0)..bound(stop, size)).step_by(step).collect()))
        }
        Part::Rest => None,
    }
}

fn take(tensor: &Tensor, lists: &[(bool, Vec<usize>)]) -> Option<Tensor> {
    let size = tensor.dtype().size();
    let bytes = tensor.to_le_bytes();
    let mut offsets = vec![0usize];
    for ((_, list), &dim) in lists.iter().zip(tensor.shape()) {
        offsets = offsets.iter().flat_map(|&o| list.iter().map(move |&i| o * dim + i)).collect();
    }
    let out: Vec<u8> = offsets.iter().flat_map(|&o| bytes[o * size..(o + 1) * size].iter().copied()).collect();
    let shape: Vec<usize> = lists.iter().filter(|(stays, _)| *stays).map(|(_, l)| l.len()).collect();
    Tensor::from_le_bytes(&shape, tensor.dtype(), &out).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slices_as_numpy() {
        let tensor = Tensor::i16(&[2, 3, 2], (0..12).collect()).unwrap();
        let taken = |text: &str| slice(&tensor, text).map(|t| (t.shape().to_vec(), t.as_i16().unwrap().to_vec()));
        assert_eq!(taken("0").unwrap(), (vec![3, 2], vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(taken("-1,1:,0").unwrap(), (vec![2], vec![8, 10]));
        assert_eq!(taken("...,1").unwrap(), (vec![2, 3], vec![1, 3, 5, 7, 9, 11]));
        assert_eq!(taken(":,::2,0").unwrap(), (vec![2, 2], vec![0, 4, 6, 10]));
        assert_eq!(taken("0,0,0").unwrap(), (vec![], vec![0]));
        assert_eq!(taken("0,2:1").unwrap(), (vec![0, 2], vec![]));
        assert_eq!(taken("2").unwrap_err(), "'2': 2 elements in dimension 0");
        assert!(taken("0,0,0,0").unwrap_err().contains("too many dimensions"));
        for wrong in ["", "x", "::0", "1:2:3:4", "...,..."] {
            assert!(taken(wrong).is_err(), "{wrong}");
        }
    }
}
