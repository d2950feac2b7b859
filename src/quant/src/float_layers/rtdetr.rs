//! RT-DETR v2: selection of queries, attention and the decoding of boxes stay float; the indices behind the second selection in f32.

use super::families::{Found, Picked};
use super::graph::Graph;

/// In any order: exporters sort independent ops as they please.
const SELF_ATTENTION: [&str; 22] = [
    "Add", "Permute", "Permute", "MatMul", "MatMul", "MatMul", "Reshape", "Permute", "Reshape", "Reshape", "Permute", "MulConst", "Permute", "MatMul", "Softmax", "MatMul", "Permute", "Reshape", "MatMul",
    "Reshape", "Permute", "Add",
];
const CROSS_ATTENTION: [&str; 41] = [
    "Add", "MatMul", "Reshape", "MatMul", "Reshape", "MatMul", "Reshape", "Softmax", "Unsqueeze", "Slice", "Mul", "MulConst", "Slice", "Add", "Permute", "Reshape", "Slice", "Slice", "Slice", "MulConst",
    "AddConst", "Permute", "Reshape", "Slice", "Slice", "Slice", "Reshape", "GridSampler", "Reshape", "GridSampler", "Reshape", "GridSampler", "Permute", "Reshape", "Concat", "Mul", "Reduce", "Reshape",
    "Permute", "MatMul", "Add",
];
/// The inverse of a sigmoid, an addition to it, and the sigmoid again.
const REFINEMENT: [&str; 8] = ["Relu", "Clip", "SubConst", "Clip", "Div", "Log", "Add", "Sigmoid"];
const PERCEPTRON: [&str; 4] = ["LayerNorm", "MatMul", "MatMul", "Add"];

pub fn find(graph: &Graph, types: &[&str]) -> Found {
    let mut found = Found::default();
    let selections: Vec<usize> = (0..types.len()).filter(|&n| types[n] == "TopK").collect();
    let [first, second] = selections[..] else {
        found.log.push(format!("rtdetrv2 has 2 TopK, this network {}: no layer is set to float", selections.len()));
        return found;
    };
    let mut picked = Picked::default();
    match queries(graph, first) {
        Some(nodes) => nodes.into_iter().for_each(|n| picked.add(n)),
        None => found.log.push("rtdetrv2: what follows the first TopK is not as known".into()),
    }
    match indices(graph, second) {
        Some(nodes) => found.f32 = nodes,
        None => found.log.push("rtdetrv2: what follows the second TopK is not as known".into()),
    }
    for attention in [&SELF_ATTENTION[..], &CROSS_ATTENTION[..]] {
        windows_of(types, attention, first).flat_map(|at| at..at + attention.len()).for_each(|n| picked.add(n));
    }
    (0..types.len().saturating_sub(3)).filter(|&at| types[at..at + 4] == PERCEPTRON).for_each(|at| picked.add(at + 3));
    windows_of(types, &REFINEMENT, 0).flat_map(|at| at..at + REFINEMENT.len()).for_each(|n| picked.add(n));
    match windows_of(types, &["Slice", "Slice", "Slice", "Slice", "Squeeze", "Squeeze", "Squeeze", "Squeeze"], 0).next() {
        Some(decoder) => (decoder..types.len()).filter(|n| !found.f32.contains(n)).for_each(|n| picked.add(n)),
        None => found.log.push("rtdetrv2: the decoding of boxes is not as known".into()),
    }
    picked.0.sort_unstable();
    found.pattern = picked.0;
    found
}

/// Where a window from `start` on has just these ops, in any order.
fn windows_of<'a>(types: &'a [&'a str], ops: &[&'a str], start: usize) -> impl Iterator<Item = usize> + 'a {
    let sorted = |list: &[&'a str]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    let (wanted, length) = (sorted(ops), ops.len());
    (start..(types.len() + 1).saturating_sub(length)).filter(move |&at| sorted(&types[at..at + length]) == wanted)
}

/// TopK -> Unsqueeze -> two Tiles -> GatherElements; one of these gathers from an Add and goes into a Sigmoid.
fn queries(graph: &Graph, selection: usize) -> Option<Vec<usize>> {
    let is = |node: usize, op: &str| graph.op(node) == op;
    let unsqueeze = graph.readers(selection, 1).into_iter().find(|&n| is(n, "Unsqueeze"))?;
    let &[a, b] = graph.after(unsqueeze) else { return None };
    if !is(a, "Tile") || !is(b, "Tile") {
        return None;
    }
    [a, b].into_iter().find_map(|tile| {
        let gather = graph.only_after(tile).filter(|&n| is(n, "GatherElements"))?;
        let sigmoid = graph.only_after(gather).filter(|&n| is(n, "Sigmoid"))?;
        let add = graph.before(gather).iter().copied().find(|&n| is(n, "Add"))?;
        Some(vec![selection, unsqueeze, a, b, add, sigmoid])
    })
}

/// TopK -> MulConst -> Floor -> MulConst -> Sub, which reads the indices themselves as well.
fn indices(graph: &Graph, selection: usize) -> Option<Vec<usize>> {
    let is = |node: usize, op: &str| graph.op(node) == op;
    let readers = graph.readers(selection, 1);
    let divided = readers.iter().copied().find(|&n| is(n, "MulConst"))?;
    let rest = readers.iter().copied().find(|&n| is(n, "Sub"))?;
    let floor = graph.only_after(divided).filter(|&n| is(n, "Floor"))?;
    let whole = graph.after(floor).iter().copied().find(|&n| is(n, "MulConst")).filter(|_| graph.after(floor).len() == 2)?;
    (graph.only_after(whole)? == rest).then(|| vec![selection, divided, floor, whole, rest])
}
