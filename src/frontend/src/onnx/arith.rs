//! Arithmetic of constants: integers exactly, floats in f32, conditions as 0 and 1. Shapes and sizes are computed with it.

use super::fold::{MAX_ELEMENTS, normalize};
use super::node::OnnxNode;
use tpuc_tensor::{DType, Data, Tensor};

/// The elements of a constant.
#[derive(Clone)]
enum Numbers {
    Int(Vec<i64>),
    Float(Vec<f32>),
}

fn numbers(t: &Tensor) -> Numbers {
    match t.to_i64() {
        Some(list) => Numbers::Int(list),
        None => Numbers::Float(t.to_f32()),
    }
}

impl Numbers {
    fn floats(self) -> Vec<f32> {
        match self {
            Numbers::Int(list) => list.iter().map(|&v| v as f32).collect(),
            Numbers::Float(list) => list,
        }
    }
}

/// A tensor of the element type that the operator gives: that of its operands, or conditions.
fn tensor(shape: &[usize], numbers: Numbers, like: DType) -> Result<Tensor, String> {
    let data = match (numbers, like) {
        (Numbers::Int(list), DType::Bool) => Data::Bool(list.iter().map(|&v| v != 0).collect()),
        (Numbers::Int(list), DType::I32) => Data::I32(list.iter().map(|&v| i32::try_from(v)).collect::<Result<_, _>>().map_err(|_| "a constant does not fit 32 bits")?),
        (Numbers::Int(list), _) => Data::I64(list),
        (Numbers::Float(list), _) => Data::F32(list),
    };
    Tensor::new(shape, data).map_err(|e| e.to_string())
}

/// The common shape of operands that broadcast.
fn common(shapes: &[&[usize]]) -> Result<Vec<usize>, String> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out = vec![1; rank];
    for shape in shapes {
        for (o, &s) in out.iter_mut().rev().zip(shape.iter().rev()) {
            match (*o, s) {
                (a, b) if a == b => {}
                (1, b) => *o = b,
                (_, 1) => {}
                _ => return Err(format!("constants of shapes {shapes:?} do not broadcast")),
            }
        }
    }
    let count = out.iter().try_fold(1usize, |a, &d| a.checked_mul(d));
    if count.is_some_and(|c| c <= MAX_ELEMENTS) { Ok(out) } else { Err("a constant is too large".into()) }
}

/// The elements of a tensor stretched to a shape that `common` gave.
fn stretch<T: Copy>(list: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    if from == to {
        return list.to_vec();
    }
    let count = to.iter().product();
    let mut out = Vec::with_capacity(count);
    for i in 0..count {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for (d, &size) in to.iter().enumerate().rev() {
            let position = rest % size;
            rest /= size;
            if let Some(own) = (d + from.len()).checked_sub(to.len()).map(|d| from[d]) {
                at += if own == 1 { 0 } else { position * stride };
                stride *= own;
            }
        }
        out.push(list[at]);
    }
    out
}

/// Operators of two constants.
pub fn binary(op: &str, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let shape = common(&[a.shape(), b.shape()])?;
    let is_relation = matches!(op, "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor");
    let like = if is_relation { DType::Bool } else { a.dtype() };
    let result = match (numbers(a), numbers(b)) {
        (Numbers::Int(x), Numbers::Int(y)) => {
            let (x, y) = (stretch(&x, a.shape(), &shape), stretch(&y, b.shape(), &shape));
            let one = |(&x, &y): (&i64, &i64)| integer(op, x, y).ok_or_else(|| format!("{op} of constants {x} and {y} is not possible"));
            Numbers::Int(x.iter().zip(&y).map(one).collect::<Result<_, _>>()?)
        }
        (x, y) => {
            let (x, y) = (stretch(&x.floats(), a.shape(), &shape), stretch(&y.floats(), b.shape(), &shape));
            let pairs = x.iter().zip(&y);
            match is_relation {
                true => Numbers::Int(pairs.map(|(&x, &y)| i64::from(relation(op, x, y))).collect()),
                false => Numbers::Float(pairs.map(|(&x, &y)| float(op, x, y)).collect()),
            }
        }
    };
    tensor(&shape, result, like)
}

fn relation<T: PartialOrd + Default>(op: &str, x: T, y: T) -> bool {
    let zero = T::default();
    match op {
        "Equal" => x == y,
        "Greater" => x > y,
        "GreaterOrEqual" => x >= y,
        "Less" => x < y,
        "LessOrEqual" => x <= y,
        "And" => x != zero && y != zero,
        "Or" => x != zero || y != zero,
        _ => (x != zero) != (y != zero),
    }
}

fn integer(op: &str, x: i64, y: i64) -> Option<i64> {
    match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        "Mod" => x.checked_rem_euclid(y).map(|r| if y < 0 && r != 0 { r + y } else { r }),
        "Pow" => x.checked_pow(u32::try_from(y).ok()?),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        _ => Some(i64::from(relation(op, x, y))),
    }
}

fn float(op: &str, x: f32, y: f32) -> f32 {
    match op {
        "Add" => x + y,
        "Sub" => x - y,
        "Mul" => x * y,
        "Div" => x / y,
        "Mod" => x - (x / y).floor() * y,
        "Pow" => x.powf(y),
        "Min" => x.min(y),
        _ => x.max(y),
    }
}

/// Operators of one constant.
pub fn unary(op: &str, t: &Tensor) -> Result<Tensor, String> {
    let result = match (op, numbers(t)) {
        ("Not", Numbers::Int(list)) => return tensor(t.shape(), Numbers::Int(list.iter().map(|&v| i64::from(v == 0)).collect()), DType::Bool),
        ("Neg", Numbers::Int(list)) => Numbers::Int(list.iter().map(|v| v.wrapping_neg()).collect()),
        ("Abs", Numbers::Int(list)) => Numbers::Int(list.iter().map(|v| v.saturating_abs()).collect()),
        ("Floor" | "Ceil" | "Round", whole @ Numbers::Int(_)) => whole,
        (op, list) => Numbers::Float(list.floats().into_iter().map(|v| of_float(op, v)).collect()),
    };
    tensor(t.shape(), result, t.dtype())
}

fn of_float(op: &str, v: f32) -> f32 {
    match op {
        "Neg" => -v,
        "Abs" => v.abs(),
        "Floor" => v.floor(),
        "Ceil" => v.ceil(),
        "Round" => v.round_ties_even(),
        "Sqrt" => v.sqrt(),
        "Reciprocal" => 1.0 / v,
        "Exp" => v.exp(),
        "Log" => v.ln(),
        "Sin" => v.sin(),
        "Cos" => v.cos(),
        _ => f32::from(u8::from(v == 0.0)),
    }
}

pub fn select(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor, String> {
    let shape = common(&[condition.shape(), yes.shape(), no.shape()])?;
    let chosen = stretch(&numbers(condition).floats(), condition.shape(), &shape);
    let result = match (numbers(yes), numbers(no)) {
        (Numbers::Int(x), Numbers::Int(y)) => {
            let (x, y) = (stretch(&x, yes.shape(), &shape), stretch(&y, no.shape(), &shape));
            Numbers::Int(chosen.iter().enumerate().map(|(i, &c)| if c != 0.0 { x[i] } else { y[i] }).collect())
        }
        (x, y) => {
            let (x, y) = (stretch(&x.floats(), yes.shape(), &shape), stretch(&y.floats(), no.shape(), &shape));
            Numbers::Float(chosen.iter().enumerate().map(|(i, &c)| if c != 0.0 { x[i] } else { y[i] }).collect())
        }
    };
    tensor(&shape, result, yes.dtype())
}

pub fn expand(t: &Tensor, shape: &[i64]) -> Result<Tensor, String> {
    let wanted = shape.iter().map(|&d| usize::try_from(d).map_err(|_| format!("negative dimension {d}"))).collect::<Result<Vec<_>, _>>()?;
    let shape = common(&[t.shape(), &wanted])?;
    let result = match numbers(t) {
        Numbers::Int(list) => Numbers::Int(stretch(&list, t.shape(), &shape)),
        Numbers::Float(list) => Numbers::Float(stretch(&list, t.shape(), &shape)),
    };
    tensor(&shape, result, t.dtype())
}

/// From `start` on, `step` apart, below `limit`.
pub fn range(start: &Tensor, limit: &Tensor, step: &Tensor) -> Result<Tensor, String> {
    let one = |t: &Tensor| t.to_f32().first().copied().ok_or("a bound of a range is empty");
    let count = ((f64::from(one(limit)?) - f64::from(one(start)?)) / f64::from(one(step)?)).ceil().max(0.0);
    if count.is_nan() || count > MAX_ELEMENTS as f64 {
        return Err("a range is too long".into());
    }
    let count = count as usize;
    let list = match (numbers(start), numbers(step)) {
        (Numbers::Int(start), Numbers::Int(step)) => Numbers::Int((0..count as i64).map(|i| start[0].wrapping_add(i.wrapping_mul(step[0]))).collect()),
        (start, step) => {
            let (start, step) = (start.floats()[0], step.floats()[0]);
            Numbers::Float((0..count).map(|i| start + i as f32 * step).collect())
        }
    };
    tensor(&[count], list, start.dtype())
}

/// ReduceProd, ReduceSum, ReduceMax, ReduceMin over all or one axis.
pub fn reduce(node: &OnnxNode, t: &Tensor, axes: Option<Vec<i64>>) -> Result<Tensor, String> {
    let rank = t.shape().len();
    let axes = match axes.filter(|a| !a.is_empty()) {
        Some(list) => list.iter().map(|&a| normalize(a, rank as i64)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let op = match node.op() {
        "ReduceProd" => "Mul",
        "ReduceSum" => "Add",
        "ReduceMax" => "Max",
        _ => "Min",
    };
    let kept: Vec<usize> = t.shape().iter().enumerate().map(|(d, &s)| if axes.contains(&d) { 1 } else { s }).collect();
    let target = |i: usize| {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for (d, &size) in t.shape().iter().enumerate().rev() {
            at += if kept[d] == 1 { 0 } else { rest % size * stride };
            stride *= kept[d];
            rest /= size;
        }
        at
    };
    let count = kept.iter().product();
    let list = match numbers(t) {
        Numbers::Int(list) => Numbers::Int(collect(&list, count, target, |a, v| integer(op, a, v))?),
        Numbers::Float(list) => Numbers::Float(collect(&list, count, target, |a, v| Some(float(op, a, v)))?),
    };
    let shape: Vec<usize> = if node.int("keepdims", 1) != 0 { kept } else { (0..rank).filter(|d| !axes.contains(d)).map(|d| t.shape()[d]).collect() };
    tensor(&shape, list, t.dtype())
}

fn collect<T: Copy>(list: &[T], count: usize, target: impl Fn(usize) -> usize, step: impl Fn(T, T) -> Option<T>) -> Result<Vec<T>, String> {
    let mut slots: Vec<Option<T>> = vec![None; count];
    for (i, &value) in list.iter().enumerate() {
        let slot = &mut slots[target(i)];
        *slot = Some(match *slot {
            Some(before) => step(before, value).ok_or("a reduction of constants overflows")?,
            None => value,
        });
    }
    slots.into_iter().map(|s| s.ok_or_else(|| "an empty constant is reduced".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(shape: &[usize], list: &[i64]) -> Tensor {
        Tensor::i64(shape, list.to_vec()).unwrap()
    }

    #[test]
    fn integers_stay_exact_and_broadcast() {
        let sum = binary("Add", &ints(&[2, 1], &[1 << 60, 2]), &ints(&[3], &[1, 2, 3])).unwrap();
        assert_eq!((sum.shape(), sum.to_i64().unwrap()), (&[2, 3][..], vec![(1 << 60) + 1, (1 << 60) + 2, (1 << 60) + 3, 3, 4, 5]));
        assert!(binary("Div", &ints(&[], &[1]), &ints(&[], &[0])).is_err());
        assert!(binary("Add", &ints(&[], &[i64::MAX]), &ints(&[], &[1])).is_err());
        assert!(binary("Add", &ints(&[2], &[1, 2]), &ints(&[3], &[1, 2, 3])).is_err());
        assert_eq!(binary("Less", &ints(&[2], &[1, 5]), &ints(&[], &[3])).unwrap().dtype(), DType::Bool);
    }

    #[test]
    fn sizes_through_floats() {
        let scaled = binary("Mul", &Tensor::f32(&[2], vec![7.0, 9.0]).unwrap(), &Tensor::f32(&[], vec![1.5]).unwrap()).unwrap();
        assert_eq!(unary("Floor", &scaled).unwrap().to_f32(), [10.0, 13.0]);
        assert_eq!(unary("Neg", &ints(&[1], &[3])).unwrap().to_i64().unwrap(), [-3]);
    }

    #[test]
    fn choices_ranges_and_expansions() {
        let chosen = select(&ints(&[3], &[1, 0, 1]), &ints(&[], &[7]), &ints(&[3], &[1, 2, 3])).unwrap();
        assert_eq!(chosen.to_i64().unwrap(), [7, 2, 7]);
        assert_eq!(range(&ints(&[], &[5]), &ints(&[], &[0]), &ints(&[], &[-2])).unwrap().to_i64().unwrap(), [5, 3, 1]);
        assert!(range(&ints(&[], &[0]), &ints(&[], &[1 << 40]), &ints(&[], &[1])).is_err());
        assert!(range(&ints(&[], &[0]), &ints(&[], &[1]), &ints(&[], &[0])).is_err());
        assert_eq!(expand(&ints(&[1], &[4]), &[2, 2]).unwrap().to_i64().unwrap(), [4, 4, 4, 4]);
        assert!(expand(&ints(&[1], &[4]), &[1 << 40, 1 << 40]).is_err());
    }
}
