//! Numbers with a shape, in row-major order. f64 holds every integer and every float that occurs here.

use tpuc_tensor::Tensor;

#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

/// All indices of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let count: usize = shape.iter().product();
    let one = |mut rest: usize| {
        let mut at = vec![0; shape.len()];
        for d in (0..shape.len()).rev() {
            at[d] = rest % shape[d];
            rest /= shape[d];
        }
        at
    };
    (0..count).map(one).collect()
}

impl Values {
    pub fn new(tensor: &Tensor, shape: &[usize]) -> Values {
        let data = match tensor.to_i64() {
            Some(list) => list.into_iter().map(|v| v as f64).collect(),
            None => tensor.to_f32().into_iter().map(f64::from).collect(),
        };
        Values { shape: shape.to_vec(), data }
    }

    pub fn of(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Values {
        Values { shape: shape.to_vec(), data: indices(shape).iter().map(|at| f(at)).collect() }
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Values {
        Values { shape: self.shape.clone(), data: self.data.iter().map(|&v| f(v)).collect() }
    }

    fn offset(&self, at: &[usize]) -> usize {
        assert!(at.len() == self.shape.len() && at.iter().zip(&self.shape).all(|(i, size)| i < size), "{at:?} of {:?}", self.shape);
        at.iter().zip(&self.shape).fold(0, |offset, (i, size)| offset * size + i)
    }

    pub fn at(&self, at: &[usize]) -> f64 {
        self.data[self.offset(at)]
    }

    pub fn at_mut(&mut self, at: &[usize]) -> &mut f64 {
        let offset = self.offset(at);
        &mut self.data[offset]
    }

    pub fn has(&self, at: &[i64]) -> bool {
        at.iter().zip(&self.shape).all(|(&i, &size)| (0..size as i64).contains(&i))
    }

    pub fn at_signed(&self, at: &[i64]) -> f64 {
        self.at(&at.iter().map(|&i| i as usize).collect::<Vec<_>>())
    }

    /// The element that stands at an index of a larger shape to which this one broadcasts.
    pub fn stretched(&self, at: &[usize]) -> f64 {
        let at = &at[at.len() - self.shape.len()..];
        self.at(&at.iter().zip(&self.shape).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect::<Vec<_>>())
    }
}
