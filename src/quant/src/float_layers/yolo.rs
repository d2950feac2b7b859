//! YOLO: the last convolution of every head and what decodes it. The newest (26) decodes in two stages, of which the first wants f32.

use super::blocks::BLOCKS;
use super::families::{Found, Picked};
use super::graph::Graph;

/// `None`: a two-stage network whose decoder is not as known; nothing is said about it.
pub fn find(graph: &Graph, types: &[&str]) -> Option<Found> {
    let has = |names: [&str; 2]| BLOCKS.yolo26.iter().filter(|b| names.contains(&b.name)).any(|b| b.count(types) > 0);
    let in_two_stages = has(["trans_block", "trans_block_v1"]) && has(["typical_block_nsm", "typical_block_lx"]);
    let second_stage = if in_two_stages { before_decoder(graph)? } else { Vec::new() };
    Some(Found { pattern: heads(graph), in_two_stages, second_stage, ..Found::default() })
}

/// The last convolution of each head, and all behind it: it reads an activation, only a Concat or Reshape reads it, and no
/// convolution comes behind that.
fn heads(graph: &Graph) -> Vec<usize> {
    let is = |node: usize, types: &[&str]| types.contains(&graph.op(node));
    let mut picked = Picked::default();
    for node in (0..graph.len()).filter(|&n| graph.op(n) == "Conv") {
        let (Some(next), Some(previous)) = (graph.only_after(node), graph.only_before(node)) else { continue };
        let ends = is(next, &["Concat", "Reshape"]) && is(previous, &["SiLU", "LeakyRelu"]) && !graph.after(next).iter().any(|&n| is(n, &["Conv"]));
        if !ends {
            continue;
        }
        picked.add(node);
        let mut queue = std::collections::VecDeque::from([next]);
        while let Some(behind) = queue.pop_front() {
            if !picked.0.contains(&behind) {
                picked.add(behind);
                queue.extend(graph.after(behind));
            }
        }
    }
    picked.0
}

/// Everything that leads straight into the concatenations of boxes and of confidences.
fn before_decoder(graph: &Graph) -> Option<Vec<usize>> {
    let is = |node: usize, types: &[&str]| types.contains(&graph.op(node));
    // Two slices of it are added and subtracted, and meet again in one concatenation.
    let boxes = |concat: usize| -> Option<usize> {
        let &[a, b] = graph.after(concat) else { return None };
        let meets = |slice: usize| {
            let sum = graph.only_after(slice).filter(|&n| is(slice, &["Slice"]) && is(n, &["Add", "Sub"]))?;
            graph.only_after(sum).filter(|&n| is(n, &["Concat"]))
        };
        let (a, b) = (meets(a)?, meets(b)?);
        (a == b).then_some(a)
    };
    let (concat, joined) = (0..graph.len()).filter(|&n| is(n, &["Concat"])).find_map(|n| Some((n, boxes(n)?)))?;
    let scaled = *graph.after(joined).first()?;
    let result = *graph.after(scaled).first()?;
    let confidence = graph.before(result).iter().copied().find(|&n| n != scaled)?;
    let confidences = *graph.before(confidence).first()?;
    let mut stack: Vec<usize> = graph.before(concat).iter().chain(graph.before(confidences)).copied().collect();
    let mut picked = Picked::default();
    while let Some(node) = stack.pop() {
        picked.add(node);
        stack.extend(graph.only_before(node).filter(|&n| graph.after(n).len() == 1 && !picked.0.contains(&n)));
    }
    Some(picked.0)
}
