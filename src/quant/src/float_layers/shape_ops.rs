//! Ops that compute shapes and indices: 8 bits would change them by whole elements.
//!
//! It starts at ops that make shapes or indices out of data, goes on through ops that only move values, and takes every op whose
//! operands are all found.

use super::graph::Graph;

/// Makers of shapes.
const MAKERS: [&str; 2] = ["Shape", "Size"];
/// They only move values.
const MOVERS: [&str; 8] = ["Concat", "Slice", "Tile", "Split", "Pack", "Repeat", "Squeeze", "Unsqueeze"];
/// What they read may be a shape; their results are data.
const READERS: [&str; 2] = ["Reshape", "Interp"];
const INTEGERS: [&str; 3] = ["INT32", "INT16", "INT8"];
const FLOATS: [&str; 2] = ["F32", "F16"];

/// The nodes, in execution order.
pub fn shape_ops(graph: &Graph) -> Vec<usize> {
    let mut found = vec![false; graph.len()];
    // What lies before a maker is data.
    let mut makers = vec![false; graph.len()];
    for node in 0..graph.len() {
        match graph.op(node) {
            op if MAKERS.contains(&op) => makers[node] = true,
            "Cast" if INTEGERS.contains(&graph.text(node, "to").as_str()) => makers[node] = true,
            // The first result are the indices.
            "Arg" => {
                makers[node] = true;
                graph.readers(node, 0).into_iter().for_each(|n| found[n] = true);
            }
            "TopK" => graph.readers(node, 1).into_iter().for_each(|n| found[n] = true),
            _ => {}
        }
    }
    makers.iter().zip(&mut found).for_each(|(maker, found)| *found |= maker);
    loop {
        let before = found.iter().filter(|f| **f).count();
        for node in 0..graph.len() {
            if found[node] {
                go_on(graph, node, &makers, &mut found);
            } else if !graph.before(node).is_empty() && graph.before(node).iter().all(|&n| found[n]) {
                found[node] = true;
            }
        }
        if found.iter().filter(|f| **f).count() == before {
            return (0..graph.len()).filter(|&n| found[n]).collect();
        }
    }
}

/// The neighbours of a found node that are found with it.
fn go_on(graph: &Graph, node: usize, makers: &[bool], found: &mut [bool]) {
    if !graph.is_output(node) {
        for &next in graph.after(node) {
            found[next] |= graph.is_output(next) || MOVERS.contains(&graph.op(next)) && !stops(graph, next);
        }
    }
    if !makers[node] {
        for &previous in graph.before(node) {
            // Where an input meets other data, it is data too.
            found[previous] |= MOVERS.contains(&graph.op(previous)) || graph.is_input(previous);
        }
    }
}

/// Results of this node are data, or are looked up by an op that takes any index.
fn stops(graph: &Graph, node: usize) -> bool {
    let cast = graph.op(node) == "Cast" && FLOATS.contains(&graph.text(node, "to").as_str());
    let index = graph.after(node).iter().any(|&n| graph.op(n) == "GatherElements" && graph.before(n).get(1) == Some(&node));
    cast || index || READERS.contains(&graph.op(node))
}
