//! Arithmetic of two float tensors that broadcast, without copies of what is repeated.

use crate::cpu::vectorized;
use crate::{Element, KernelError, expect_length, threads};

/// An operation of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
    /// The first where it is positive, its product with the second elsewhere.
    PRelu,
}

/// How two operands run along the result: dimensions in memory order, neighbours that both operands run through alike merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Sizes of the outer dimensions, then that of the inner one.
    sizes: Vec<usize>,
    /// By operand: strides of these dimensions; 0 where it repeats.
    strides: [Vec<usize>; 2],
    /// By operand: how many elements it has.
    counts: [usize; 2],
}

impl Broadcast {
    /// Operand dimensions align with the last ones of the result and equal them or are 1 (NumPy's rule).
    pub fn new(operands: [&[usize]; 2], result: &[usize]) -> Result<Broadcast, KernelError> {
        let mut broadcast = Broadcast { sizes: Vec::new(), strides: [Vec::new(), Vec::new()], counts: operands.map(|o| o.iter().product()) };
        let mut all = [vec![0; result.len()], vec![0; result.len()]];
        for (operand, strides) in operands.iter().zip(&mut all) {
            let fits = operand.len() <= result.len() && operand.iter().rev().zip(result.iter().rev()).all(|(o, r)| o == r || *o == 1);
            if !fits {
                return Err(KernelError::Geometry(format!("{operand:?} does not broadcast to {result:?}")));
            }
            let mut stride = 1;
            for (size, slot) in operand.iter().rev().zip(strides.iter_mut().rev()) {
                *slot = if *size == 1 { 0 } else { stride };
                stride *= size;
            }
        }
        for d in (0..result.len()).filter(|&d| result[d] != 1) {
            let merges = !broadcast.sizes.is_empty() && (0..2).all(|i| broadcast.strides[i].last() == Some(&(all[i][d] * result[d])));
            for i in 0..2 {
                if merges {
                    broadcast.strides[i].pop();
                }
                broadcast.strides[i].push(all[i][d]);
            }
            let size = if merges { broadcast.sizes.pop().unwrap_or(1) } else { 1 };
            broadcast.sizes.push(size * result[d]);
        }
        if broadcast.sizes.is_empty() {
            broadcast.sizes.push(1);
            broadcast.strides.iter_mut().for_each(|s| s.push(0));
        }
        Ok(broadcast)
    }

    fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Calls `body` with the operands' and the result's share of each row of the inner dimension.
    pub(crate) fn rows<A: Element, B: Element, Y: Element>(&self, a: &[A], b: &[B], y: &mut [Y], body: impl Fn(Run<'_, A>, Run<'_, B>, &mut [Y]) + Sync) -> Result<(), KernelError> {
        expect_length("elements of the first operand", self.counts[0], a.len())?;
        expect_length("elements of the second operand", self.counts[1], b.len())?;
        expect_length("results of elementwise arithmetic", self.count(), y.len())?;
        let inner = self.sizes.last().copied().unwrap_or(1).max(1);
        let last = self.sizes.len() - 1;
        // Rows that are long enough may be cut anywhere.
        let grain = if last == 0 { 1 } else { inner };
        threads::for_parts(y, grain, |start, y| {
            let (mut row, mut within) = (start / inner, start % inner);
            for y in y.chunks_mut(inner) {
                let offsets = self.offsets(row);
                let a = Run::of(a, offsets[0], within, self.strides[0][last], y.len());
                let b = Run::of(b, offsets[1], within, self.strides[1][last], y.len());
                body(a, b, y);
                (row, within) = (row + 1, 0);
            }
        });
        Ok(())
    }

    /// Where the operands stand at the start of a row of the inner dimension.
    fn offsets(&self, row: usize) -> [usize; 2] {
        let (mut rest, mut offsets) = (row, [0; 2]);
        for d in (0..self.sizes.len() - 1).rev() {
            let index = rest % self.sizes[d];
            rest /= self.sizes[d];
            offsets[0] += index * self.strides[0][d];
            offsets[1] += index * self.strides[1][d];
        }
        offsets
    }
}

/// One operand of a row: a run of elements, or one that repeats.
#[derive(Clone, Copy)]
pub(crate) enum Run<'a, T> {
    Elements(&'a [T]),
    Repeated(T),
}

impl<'a, T: Copy> Run<'a, T> {
    /// `count` elements of the row that starts at `start`, from its element `within` on.
    fn of(x: &'a [T], start: usize, within: usize, stride: usize, count: usize) -> Run<'a, T> {
        if stride == 0 { Run::Repeated(x[start]) } else { Run::Elements(&x[start + within..start + within + count]) }
    }

    /// The element at a position of the run.
    #[inline(always)]
    pub fn at(&self, index: usize) -> T {
        match self {
            Run::Elements(x) => x[index],
            Run::Repeated(x) => *x,
        }
    }
}

impl Operation {
    /// `y = a op b`
    pub fn apply(self, a: &[f32], b: &[f32], broadcast: &Broadcast, y: &mut [f32]) -> Result<(), KernelError> {
        broadcast.rows(a, b, y, |a, b, y| self.row(a, b, y))
    }

    fn row(self, a: Run<f32>, b: Run<f32>, y: &mut [f32]) {
        match self {
            Operation::Add => add(a, b, y),
            Operation::Sub => sub(a, b, y),
            Operation::Mul => mul(a, b, y),
            Operation::Div => div(a, b, y),
            Operation::Max => max(a, b, y),
            Operation::Min => min(a, b, y),
            Operation::Pow => pow(a, b, y),
            Operation::PRelu => prelu(a, b, y),
        }
    }
}

macro_rules! operations {
    ($(fn $name:ident($a:ident, $b:ident) -> $body:expr;)*) => {$(
        vectorized! {
            fn $name(a: Run<'_, f32>, b: Run<'_, f32>, y: &mut [f32]) {
                let f = |$a: f32, $b: f32| $body;
                match (a, b) {
                    (Run::Elements(a), Run::Elements(b)) => a.iter().zip(b).zip(y).for_each(|((a, b), y)| *y = f(*a, *b)),
                    (Run::Elements(a), Run::Repeated(b)) => a.iter().zip(y).for_each(|(a, y)| *y = f(*a, b)),
                    (Run::Repeated(a), Run::Elements(b)) => b.iter().zip(y).for_each(|(b, y)| *y = f(a, *b)),
                    (Run::Repeated(a), Run::Repeated(b)) => y.fill(f(a, b)),
                }
            }
        }
    )*};
}

operations! {
    fn add(a, b) -> a + b;
    fn sub(a, b) -> a - b;
    fn mul(a, b) -> a * b;
    fn div(a, b) -> a / b;
    fn max(a, b) -> if a < b { b } else { a };
    fn min(a, b) -> if b < a { b } else { a };
    fn pow(a, b) -> f64::from(a).powf(f64::from(b)) as f32;
    fn prelu(a, b) -> if a > 0.0 { a } else { a * b };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Team;

    /// Every element by its index.
    fn naive(a: &[f32], da: &[usize], b: &[f32], db: &[usize], dy: &[usize]) -> Vec<f32> {
        let at = |x: &[f32], dims: &[usize], mut index: usize| {
            let (mut offset, mut stride) = (0, 1);
            let mut digits: Vec<usize> = dy.iter().rev().map(|&d| { let digit = index % d; index /= d; digit }).collect();
            digits.truncate(dims.len());
            for (digit, &d) in digits.iter().zip(dims.iter().rev()) {
                offset += if d == 1 { 0 } else { digit * stride };
                stride *= d;
            }
            x[offset]
        };
        (0..dy.iter().product()).map(|i| at(a, da, i) - at(b, db, i)).collect()
    }

    #[test]
    fn broadcasting_equals_a_loop_over_indices() {
        let cases: [(&[usize], &[usize], &[usize]); 9] = [
            (&[2, 3, 4, 5], &[2, 3, 4, 5], &[2, 3, 4, 5]),
            (&[2, 3, 4, 5], &[1, 3, 1, 1], &[2, 3, 4, 5]),
            (&[2, 3, 1, 5], &[3, 4, 1], &[2, 3, 4, 5]),
            (&[1], &[7], &[7]),
            (&[1, 1], &[1], &[1, 1]),
            (&[3, 1, 5], &[1, 4, 1], &[3, 4, 5]),
            (&[5], &[4, 1, 3, 5], &[4, 1, 3, 5]),
            (&[200, 300], &[300], &[200, 300]),
            (&[70_001], &[1], &[70_001]),
        ];
        for threads in [1, 2] {
            let _team = Team::of(threads);
            for (da, db, dy) in cases {
                let list = |dims: &[usize], k: usize| (0..dims.iter().product()).map(|i: usize| (i * k % 101) as f32).collect::<Vec<_>>();
                let (a, b) = (list(da, 7), list(db, 13));
                let mut y = vec![f32::NAN; dy.iter().product()];
                Operation::Sub.apply(&a, &b, &Broadcast::new([da, db], dy).unwrap(), &mut y).unwrap();
                assert_eq!(y, naive(&a, da, &b, db, dy), "{da:?} {db:?}");
            }
        }
    }

    #[test]
    fn operations_on_special_numbers() {
        let (a, b) = ([-2.0, 3.0, -0.0, 4.0], [0.5, 2.0, -1.0, 0.0]);
        let same = Broadcast::new([&[4], &[4]], &[4]).unwrap();
        let run = |op: Operation| {
            let mut y = [0.0; 4];
            op.apply(&a, &b, &same, &mut y).unwrap();
            y
        };
        assert_eq!(run(Operation::PRelu), [-1.0, 3.0, 0.0, 4.0]);
        assert_eq!(run(Operation::Max), [0.5, 3.0, 0.0, 4.0]);
        assert_eq!(run(Operation::Min), [-2.0, 2.0, -1.0, 0.0]);
        assert_eq!(run(Operation::Div), [-4.0, 1.5, 0.0, f32::INFINITY]);
        assert!(run(Operation::Pow)[0].is_nan());
        assert_eq!(run(Operation::Pow)[1..], [9.0, f32::NEG_INFINITY, 1.0]);
        assert!(Broadcast::new([&[4], &[3]], &[4]).is_err());
        assert!(Operation::Add.apply(&a, &b[..2], &same, &mut [0.0; 4]).is_err());
    }
}
