//! OpenCLIP with both encoders and the similarity of their results: recognized if all of its blocks are there and just two
//! normalizations by length.

use super::blocks::BLOCKS;
use super::families::{Found, Picked, base};
use super::graph::Graph;

/// The products of the first text block's multilayer perceptron, counted from the block's first op.
const FIRST_TEXT_MLP: std::ops::RangeInclusive<usize> = 27..=31;
/// Ops that never run in integers here.
const ALWAYS: [&str; 9] = ["Abs", "Reduce", "Sqrt", "Softmax", "Gather", "Slice", "Squeeze", "Arg", "Concat"];

pub fn find(graph: &Graph, types: &[&str]) -> Option<Found> {
    let places: Vec<(&str, Vec<usize>)> = BLOCKS.openclip.iter().map(|b| (b.name, b.places(types))).collect();
    let of = |name: &str| places.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, places)| places);
    if places.iter().any(|(_, p)| p.is_empty()) || of("l2_norm_block").len() != 2 {
        return None;
    }
    let text = *of("openclip_text_block").first()?;
    let last_product = types.iter().rposition(|t| *t == "MatMul")?;
    let mut picked = Picked::default();
    for node in 0..graph.len() {
        base(graph, node, &mut picked);
        if node >= last_product || node.checked_sub(text).is_some_and(|n| FIRST_TEXT_MLP.contains(&n)) || wants_float(graph, node) {
            picked.add(node);
        }
    }
    let log = places.iter().map(|(name, p)| format!("family openclip, {name}: {}", p.len())).collect();
    Some(Found { pattern: picked.0, log, ..Found::default() })
}

fn wants_float(graph: &Graph, node: usize) -> bool {
    let next_is = |types: &[&str]| graph.only_after(node).is_some_and(|n| types.contains(&graph.op(n)));
    match graph.op(node) {
        op if ALWAYS.contains(&op) => true,
        "Div" => true,
        "Mul" => next_is(&["Reduce"]),
        "Permute" => graph.only_before(node).is_some_and(|n| graph.op(n) == "Div"),
        "Add" => next_is(&["Add", "Slice", "Gather"]) || graph.before(node).iter().all(|&n| graph.op(n) == "Add"),
        _ => false,
    }
}
