//! Constants: nodes whose inputs are all known are computed while importing. Exporters build paddings and target shapes
//! out of such nodes; they never reach the network.

use super::node::OnnxNode;
use super::{arith, tensor};
use tpuc_tensor::{DType, Data, Tensor};

/// No constant that a network's shapes need is larger; a hostile file may ask for more.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Computes a node from constant inputs. `None`: not an op that is computed here.
pub fn evaluate(node: &OnnxNode, inputs: &[Option<&Tensor>]) -> Option<Result<Vec<Tensor>, String>> {
    if let ("Split", Some(Some(t))) = (node.op(), inputs.first()) {
        return Some(split(node, t, inputs.get(1).copied().flatten()));
    }
    one_result(node, inputs).map(|r| r.map(|t| vec![t]))
}

fn one_result(node: &OnnxNode, inputs: &[Option<&Tensor>]) -> Option<Result<Tensor, String>> {
    let need = |i: usize| inputs.get(i).copied().flatten().ok_or_else(|| format!("input {i} is missing"));
    Some(match node.op() {
        "Constant" => constant(node),
        "ConstantOfShape" => need(0).and_then(|shape| constant_of_shape(node, shape)),
        "Identity" => need(0).cloned(),
        "Cast" => need(0).and_then(|t| cast(t, node.int("to", 1) as i32)),
        "Concat" => inputs.iter().map(|t| t.ok_or("an input is missing".to_owned())).collect::<Result<Vec<_>, _>>().and_then(|list| concat(&list, node.int("axis", 0))),
        "Reshape" => need(0).and_then(|t| reshape(t, need(1)?)),
        "Unsqueeze" => need(0).and_then(|t| unsqueeze(t, &axes(node, inputs.get(1).copied().flatten())?)),
        "Squeeze" => need(0).and_then(|t| squeeze(t, axes(node, inputs.get(1).copied().flatten()).ok().as_deref())),
        "Slice" => need(0).and_then(|t| slice(node, t, inputs)),
        "Transpose" => need(0).and_then(|t| transpose(t, node.ints("perm"))),
        "Gather" => need(0).and_then(|t| gather(t, need(1)?, node.int("axis", 0))),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" => {
            need(0).and_then(|a| arith::binary(node.op(), a, need(1)?))
        }
        "Min" | "Max" => need(0).cloned().and_then(|first| (1..inputs.len()).try_fold(first, |a, i| arith::binary(node.op(), &a, need(i)?))),
        "Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "Sqrt" | "Reciprocal" | "Exp" | "Log" | "Sin" | "Cos" | "Not" => need(0).and_then(|t| arith::unary(node.op(), t)),
        "Where" => need(0).and_then(|c| arith::select(c, need(1)?, need(2)?)),
        "Expand" => need(0).and_then(|t| arith::expand(t, &integers(need(1)?)?)),
        "Range" => need(0).and_then(|start| arith::range(start, need(1)?, need(2)?)),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => need(0).and_then(|t| arith::reduce(node, t, axes(node, inputs.get(1).copied().flatten()).ok())),
        "Tile" => need(0).and_then(|t| tile(t, &integers(need(1)?)?)),
        "Shape" => need(0).and_then(|t| shape_of(node, t)),
        "Size" => need(0).and_then(|t| Tensor::i64(&[], vec![t.len() as i64]).map_err(|e| e.to_string())),
        "Flatten" => need(0).and_then(|t| flatten(node, t)),
        _ => return None,
    })
}

fn integers(t: &Tensor) -> Result<Vec<i64>, String> {
    t.to_i64().ok_or_else(|| format!("expected integers, found {}", t.dtype()))
}

fn constant(node: &OnnxNode) -> Result<Tensor, String> {
    if let Some(proto) = node.tensor("value") {
        return tensor::read(proto);
    }
    if let Some(list) = node.ints("value_ints") {
        return Tensor::i64(&[list.len()], list.to_vec()).map_err(|e| e.to_string());
    }
    if let Some(list) = node.floats("value_floats") {
        return Tensor::f32(&[list.len()], list.to_vec()).map_err(|e| e.to_string());
    }
    if let Some(value) = node.float("value_float") {
        return Tensor::f32(&[], vec![value]).map_err(|e| e.to_string());
    }
    Tensor::i64(&[], vec![node.int("value_int", 0)]).map_err(|e| e.to_string())
}

fn constant_of_shape(node: &OnnxNode, shape: &Tensor) -> Result<Tensor, String> {
    let shape = integers(shape)?.iter().map(|&d| usize::try_from(d).map_err(|_| format!("negative dimension {d}"))).collect::<Result<Vec<_>, _>>()?;
    let count = shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d)).filter(|&c| c <= MAX_ELEMENTS).ok_or("shape is too large")?;
    let value = node.tensor("value").map(tensor::read).transpose()?;
    let data = match value.as_ref().map(Tensor::data) {
        None => Data::F32(vec![0.0; count]),
        Some(Data::F32(v)) => Data::F32(vec![v.first().copied().unwrap_or(0.0); count]),
        Some(Data::I64(v)) => Data::I64(vec![v.first().copied().unwrap_or(0); count]),
        Some(Data::I32(v)) => Data::I32(vec![v.first().copied().unwrap_or(0); count]),
        Some(Data::Bool(v)) => Data::Bool(vec![v.first().copied().unwrap_or(false); count]),
        Some(other) => return Err(format!("element type {} is not supported", other.dtype())),
    };
    Tensor::new(&shape, data).map_err(|e| e.to_string())
}

fn cast(t: &Tensor, to: i32) -> Result<Tensor, String> {
    let to = tensor::dtype(to).ok_or_else(|| format!("element type {to} is not supported"))?;
    let data = match to {
        DType::F32 => Data::F32(t.to_f32()),
        DType::I64 => Data::I64(t.to_i64().unwrap_or_else(|| t.to_f32().iter().map(|&v| v as i64).collect())),
        DType::I32 => Data::I32(t.to_i64().map_or_else(|| t.to_f32().iter().map(|&v| v as i32).collect(), |v| v.iter().map(|&x| x as i32).collect())),
        DType::Bool => Data::Bool(t.to_f32().iter().map(|&v| v != 0.0).collect()),
        // All floats are f32 here.
        DType::F16 | DType::BF16 | DType::F64 => Data::F32(t.to_f32()),
        other => return Err(format!("a constant cast to {other} is not supported")),
    };
    Tensor::new(t.shape(), data).map_err(|e| e.to_string())
}

fn reshape(t: &Tensor, shape: &Tensor) -> Result<Tensor, String> {
    let wanted = integers(shape)?;
    let given = wanted.iter().enumerate().filter(|(_, d)| **d != -1).map(|(i, &d)| if d == 0 { t.shape().get(i).map_or(0, |&x| x as i64) } else { d });
    let known = given.fold(1i64, i64::saturating_mul);
    let shape = wanted
        .iter()
        .enumerate()
        .map(|(i, &d)| match d {
            -1 if known > 0 => Ok(t.len() / known as usize),
            0 => t.shape().get(i).copied().ok_or("0 keeps a dimension that is not there".to_owned()),
            d => usize::try_from(d).map_err(|_| format!("dimension {d} is out of range")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    t.clone().reshaped(&shape).map_err(|e| e.to_string())
}

fn axes(node: &OnnxNode, input: Option<&Tensor>) -> Result<Vec<i64>, String> {
    match (input, node.ints("axes")) {
        (Some(t), _) => integers(t),
        (None, Some(list)) => Ok(list.to_vec()),
        (None, None) => Err("axes are missing".into()),
    }
}

fn unsqueeze(t: &Tensor, axes: &[i64]) -> Result<Tensor, String> {
    let rank = (t.shape().len() + axes.len()) as i64;
    let positions = axes.iter().map(|&a| normalize(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = t.shape().iter();
    let shape = (0..rank as usize).map(|d| if positions.contains(&d) { Ok(1) } else { rest.next().copied().ok_or("axes repeat".to_owned()) }).collect::<Result<Vec<_>, _>>()?;
    t.clone().reshaped(&shape).map_err(|e| e.to_string())
}

fn squeeze(t: &Tensor, axes: Option<&[i64]>) -> Result<Tensor, String> {
    let rank = t.shape().len() as i64;
    let positions = match axes {
        Some(list) => list.iter().map(|&a| normalize(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..t.shape().len()).filter(|&d| t.shape()[d] == 1).collect(),
    };
    let shape: Vec<usize> = t.shape().iter().enumerate().filter(|(d, _)| !positions.contains(d)).map(|(_, &s)| s).collect();
    t.clone().reshaped(&shape).map_err(|e| e.to_string())
}

/// An axis counted from the front.
pub fn normalize(axis: i64, rank: i64) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank } else { axis };
    if (0..rank.max(1)).contains(&at) { Ok(at as usize) } else { Err(format!("axis {axis} is out of range for {rank} dimensions")) }
}

/// Copies elements by computing for every result position the source position.
fn pick(t: &Tensor, shape: &[usize], source: impl Fn(&[usize]) -> usize) -> Result<Tensor, String> {
    let count = shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d)).filter(|&c| c <= MAX_ELEMENTS).ok_or("result is too large")?;
    let size = t.dtype().size();
    let bytes = t.to_le_bytes();
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let at = source(&index) * size;
        out.extend_from_slice(bytes.get(at..at + size).ok_or("index is out of range")?);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    Tensor::from_le_bytes(shape, t.dtype(), &out).map_err(|e| e.to_string())
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

fn concat(list: &[&Tensor], axis: i64) -> Result<Tensor, String> {
    let first = list.first().ok_or("no inputs")?;
    let axis = normalize(axis, first.shape().len() as i64)?;
    let mut shape = first.shape().to_vec();
    let fits = |t: &&Tensor| t.dtype() == first.dtype() && t.shape().len() == shape.len() && (0..shape.len()).all(|d| d == axis || t.shape()[d] == shape[d]);
    if shape.is_empty() || !list.iter().all(fits) {
        return Err("inputs do not fit each other".into());
    }
    let inner: usize = shape[axis + 1..].iter().product::<usize>() * first.dtype().size();
    let outer: usize = shape[..axis].iter().product();
    shape[axis] = list.iter().map(|t| t.shape()[axis]).sum();
    let parts: Vec<(Vec<u8>, usize)> = list.iter().map(|t| (t.to_le_bytes(), t.shape()[axis] * inner)).collect();
    let bytes: Vec<u8> = (0..outer).flat_map(|o| parts.iter().flat_map(move |(b, n)| &b[o * n..(o + 1) * n])).copied().collect();
    Tensor::from_le_bytes(&shape, first.dtype(), &bytes).map_err(|e| e.to_string())
}

fn slice(node: &OnnxNode, t: &Tensor, inputs: &[Option<&Tensor>]) -> Result<Tensor, String> {
    let read = |i: usize, name: &str| match inputs.get(i).copied().flatten() {
        Some(t) => integers(t).map(Some),
        None => Ok(node.ints(name).map(<[i64]>::to_vec)),
    };
    let starts = read(1, "starts")?.ok_or("starts are missing")?;
    let ends = read(2, "ends")?.ok_or("ends are missing")?;
    let axes = read(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = read(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("starts, ends, axes and steps differ in length".into());
    }
    let mut shape = t.shape().to_vec();
    let mut from = vec![0i64; shape.len()];
    let mut step = vec![1i64; shape.len()];
    for (i, &axis) in axes.iter().enumerate() {
        let d = normalize(axis, shape.len() as i64)?;
        let size = t.shape().get(d).copied().ok_or("axis is out of range")? as i64;
        let wrap = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (low, high) = if steps[i] > 0 { (wrap(starts[i]).clamp(0, size), wrap(ends[i]).clamp(0, size)) } else { (wrap(starts[i]).clamp(0, size - 1), wrap(ends[i]).clamp(-1, size - 1)) };
        if steps[i] == 0 {
            return Err("a step is 0".into());
        }
        let span = if steps[i] > 0 { high - low } else { low - high };
        shape[d] = if span <= 0 { 0 } else { ((span - 1) as u64 / steps[i].unsigned_abs() + 1) as usize };
        (from[d], step[d]) = (low, steps[i]);
    }
    let source = strides(t.shape());
    pick(t, &shape, |index| index.iter().enumerate().map(|(d, &i)| (from[d] + i as i64 * step[d]) as usize * source[d]).sum())
}

/// The tensor with its dimensions in another order (reversed without `order`).
pub fn transpose(t: &Tensor, order: Option<&[i64]>) -> Result<Tensor, String> {
    let rank = t.shape().len();
    let order = match order {
        Some(list) => list.iter().map(|&a| normalize(a, rank as i64)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut seen = order.clone();
    seen.sort_unstable();
    if seen != (0..rank).collect::<Vec<_>>() {
        return Err(format!("{order:?} is not an order of {rank} dimensions"));
    }
    let shape: Vec<usize> = order.iter().map(|&d| t.shape()[d]).collect();
    let source = strides(t.shape());
    pick(t, &shape, |index| index.iter().zip(&order).map(|(&i, &d)| i * source[d]).sum())
}

fn gather(t: &Tensor, indices: &Tensor, axis: i64) -> Result<Tensor, String> {
    let axis = normalize(axis, t.shape().len() as i64)?;
    let size = t.shape().get(axis).copied().ok_or("axis is out of range")? as i64;
    let wanted = integers(indices)?;
    let positions = wanted.iter().map(|&i| normalize(i, size)).collect::<Result<Vec<_>, _>>()?;
    let shape: Vec<usize> = [&t.shape()[..axis], indices.shape(), &t.shape()[axis + 1..]].concat();
    let source = strides(t.shape());
    let picked = strides(indices.shape());
    let rank = indices.shape().len();
    pick(t, &shape, |index| {
        let flat: usize = index[axis..axis + rank].iter().zip(&picked).map(|(i, s)| i * s).sum();
        let before: usize = (0..axis).map(|d| index[d] * source[d]).sum();
        let after: usize = (axis + 1..t.shape().len()).map(|d| index[d + rank - 1] * source[d]).sum();
        before + positions[flat] * source[axis] + after
    })
}

fn tile(t: &Tensor, counts: &[i64]) -> Result<Tensor, String> {
    if counts.len() != t.shape().len() || counts.iter().any(|&c| c < 0) {
        return Err(format!("repeats {counts:?} do not fit {} dimensions", t.shape().len()));
    }
    let sizes = t.shape().iter().zip(counts).map(|(&s, &c)| s.checked_mul(c as usize));
    let shape = sizes.collect::<Option<Vec<_>>>().ok_or("result is too large")?;
    let source = strides(t.shape());
    pick(t, &shape, |index| index.iter().enumerate().map(|(d, &i)| i % t.shape()[d].max(1) * source[d]).sum())
}

fn shape_of(node: &OnnxNode, t: &Tensor) -> Result<Tensor, String> {
    let rank = t.shape().len() as i64;
    let at = |v: i64| if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank) as usize;
    let part = t.shape().get(at(node.int("start", 0))..at(node.int("end", rank))).unwrap_or(&[]);
    Tensor::i64(&[part.len()], part.iter().map(|&d| d as i64).collect()).map_err(|e| e.to_string())
}

fn flatten(node: &OnnxNode, t: &Tensor) -> Result<Tensor, String> {
    let rank = t.shape().len();
    let axis = if node.int("axis", 1) == rank as i64 { rank } else { normalize(node.int("axis", 1), rank as i64)? };
    let (rows, columns) = t.shape().split_at(axis);
    t.clone().reshaped(&[rows.iter().product(), columns.iter().product()]).map_err(|e| e.to_string())
}

/// The parts of a constant.
fn split(node: &OnnxNode, t: &Tensor, sizes: Option<&Tensor>) -> Result<Vec<Tensor>, String> {
    let parts = node.proto.output.len();
    let axis = normalize(node.int("axis", 0), t.shape().len() as i64)?;
    let size = t.shape().get(axis).copied().ok_or("its input has no dimensions")?;
    let sizes: Vec<usize> = match (sizes.map(integers).transpose()?, node.ints("split")) {
        (Some(list), _) => list.iter().map(|&s| s.max(0) as usize).collect(),
        (None, Some(list)) => list.iter().map(|&s| s.max(0) as usize).collect(),
        (None, None) => (0..parts).map(|i| size.div_ceil(parts).min(size.saturating_sub(i * size.div_ceil(parts)))).collect(),
    };
    if sizes.len() != parts || sizes.iter().try_fold(0usize, |a, &s| a.checked_add(s)) != Some(size) {
        return Err(format!("sizes {sizes:?} do not divide {size} into {parts} parts"));
    }
    let source = strides(t.shape());
    let mut start = 0;
    let mut one = |&count: &usize| {
        let mut shape = t.shape().to_vec();
        shape[axis] = count;
        let first = start;
        start += count;
        pick(t, &shape, |index| first * source[axis] + index.iter().zip(&source).map(|(i, s)| i * s).sum::<usize>())
    };
    sizes.iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{AttributeProto, NodeProto};

    fn run(op: &str, ints: &[(&str, Vec<i64>)], inputs: &[Tensor]) -> Vec<i64> {
        let attribute = |(name, v): &(&str, Vec<i64>)| AttributeProto { name: (*name).into(), i: v.first().copied().unwrap_or(0), ints: v.clone(), ..Default::default() };
        let proto = NodeProto { op_type: op.into(), attribute: ints.iter().map(attribute).collect(), ..Default::default() };
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
        evaluate(&OnnxNode::new(&proto), &inputs).unwrap().unwrap()[0].to_i64().unwrap()
    }

    fn tensor(shape: &[usize], data: &[i64]) -> Tensor {
        Tensor::i64(shape, data.to_vec()).unwrap()
    }

    #[test]
    fn the_chain_that_pytorch_exports_for_a_padding() {
        // Reverse the rows of a [4, 2] table, transpose and flatten it.
        let table = tensor(&[4, 2], &[0, 1, 0, 1, 0, 0, 0, 0]);
        let all = |v: &[i64]| tensor(&[v.len()], v);
        let reversed = run("Slice", &[], &[table, all(&[-1]), all(&[i64::MIN + 1]), all(&[0]), all(&[-1])]);
        assert_eq!(reversed, [0, 0, 0, 0, 0, 1, 0, 1]);
        assert_eq!(run("Transpose", &[("perm", vec![1, 0])], &[tensor(&[4, 2], &reversed)]), [0, 0, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn gather_and_concat() {
        let t = tensor(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(run("Gather", &[("axis", vec![1])], &[t.clone(), tensor(&[2], &[2, -3])]), [3, 1, 6, 4]);
        assert_eq!(run("Concat", &[("axis", vec![1])], &[t.clone(), tensor(&[2, 1], &[7, 8])]), [1, 2, 3, 7, 4, 5, 6, 8]);
        assert_eq!(run("Reshape", &[], &[t, tensor(&[2], &[3, -1])]), [1, 2, 3, 4, 5, 6]);
    }
}
