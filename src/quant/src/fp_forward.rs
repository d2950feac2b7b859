//! The layers around given ones: all that feed them, all that they feed, or all between two sets (`fp_forward`).
//!
//! In go a Top program and names of layers; out come the layers that shall run in float, in graph order. Inputs of the network
//! are never among them.

use tpuc_ops::{Op, Program};
use tpuc_tensor::text::nearest;

/// What is asked for; the answer is the union.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These layers and everything upstream.
    pub inputs: Vec<String>,
    /// These layers and everything downstream.
    pub outputs: Vec<String>,
    /// Everything that is downstream of a start and upstream of an end, both included.
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    pub starts: Vec<String>,
    pub ends: Vec<String>,
}

/// A text that names no block of the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' should be starts:ends, each one layer or several with commas between them")]
pub struct BadBlock(pub String);

/// A name that no layer has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer '{name}' is not in the network{}", nearest.as_ref().map(|n| format!("; the nearest is '{n}'")).unwrap_or_default())]
pub struct NoLayer {
    pub name: String,
    pub nearest: Option<String>,
}

/// `a,b` as names, without empty ones.
pub fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

impl Block {
    /// `start1,start2:end1,end2`. Names may hold colons: then the one counts that leaves layers of the network on either side.
    pub fn parse(text: &str, program: &Program) -> Result<Block, BadBlock> {
        let halves = |(at, _): (usize, &str)| Block { starts: names(&text[..at]), ends: names(&text[at + 1..]) };
        let candidates: Vec<Block> = text.match_indices(':').map(halves).filter(|b| !b.starts.is_empty() && !b.ends.is_empty()).collect();
        let known = |b: &&Block| b.starts.iter().chain(&b.ends).all(|name| node(program, name).is_some());
        let block = candidates.iter().find(known).or(candidates.first());
        block.cloned().ok_or_else(|| BadBlock(text.to_owned()))
    }
}

/// The node with a result of that name.
fn node(program: &Program, name: &str) -> Option<usize> {
    program.nodes.iter().position(|n| n.results.iter().any(|&r| program.value(r).name == name))
}

/// Nodes in graph order, and the names that no layer has.
pub fn layers(program: &Program, selection: &Selection) -> (Vec<usize>, Vec<NoLayer>) {
    let mut unknown: Vec<NoLayer> = Vec::new();
    let mut find = |names: &[String]| -> Vec<usize> {
        let mut found = Vec::new();
        for name in names {
            match node(program, name) {
                Some(node) => found.push(node),
                None if unknown.iter().any(|u| u.name == *name) => {}
                None => {
                    let all = program.nodes.iter().flat_map(|n| &n.results).map(|&r| program.value(r).name.as_str());
                    unknown.push(NoLayer { name: name.clone(), nearest: nearest(name, all).map(str::to_owned) });
                }
            }
        }
        found
    };
    let mut chosen = upstream(program, &find(&selection.inputs));
    join(&mut chosen, &downstream(program, &find(&selection.outputs)), |a, b| a || b);
    for block in &selection.blocks {
        let mut between = downstream(program, &find(&block.starts));
        join(&mut between, &upstream(program, &find(&block.ends)), |a, b| a && b);
        join(&mut chosen, &between, |a, b| a || b);
    }
    let layer = |&node: &usize| chosen[node] && !matches!(program.nodes[node].op, Op::TopInput(_));
    ((0..program.nodes.len()).filter(layer).collect(), unknown)
}

fn join(all: &mut [bool], more: &[bool], with: impl Fn(bool, bool) -> bool) {
    all.iter_mut().zip(more).for_each(|(a, b)| *a = with(*a, *b));
}

/// The given nodes and all that feed them.
fn upstream(program: &Program, seeds: &[usize]) -> Vec<bool> {
    let mut reached = vec![false; program.nodes.len()];
    seeds.iter().for_each(|&s| reached[s] = true);
    // Nodes stand in an order in which operands come first.
    for node in (0..program.nodes.len()).rev().filter(|&n| seeds.iter().any(|&s| n <= s)) {
        if reached[node] {
            program.nodes[node].operands.iter().filter_map(|&o| program.producer(o)).for_each(|p| reached[p] = true);
        }
    }
    reached
}

/// The given nodes and all that they feed.
fn downstream(program: &Program, seeds: &[usize]) -> Vec<bool> {
    let mut reached = vec![false; program.nodes.len()];
    seeds.iter().for_each(|&s| reached[s] = true);
    for node in 0..program.nodes.len() {
        reached[node] |= program.nodes[node].operands.iter().filter_map(|&o| program.producer(o)).any(|p| reached[p]);
    }
    reached
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top};

    /// x -> a -> b -> sum -> last, with c beside b, and an output d of a.
    fn program() -> Program {
        let ty = TensorType::f32(&[1, 4]);
        let mut p = Program::new("net");
        let argument = p.add_input("x", ty.clone());
        let x = p.push(top::Input::default(), &[argument], "x", ty.clone());
        let relu = |p: &mut Program, from, name: &str| p.push(top::Relu::default(), &[from], name, ty.clone());
        let a = relu(&mut p, x, "a");
        let b = relu(&mut p, a, "b");
        let c = relu(&mut p, a, "ns::c");
        let sum = p.push(top::Add::default(), &[b, c], "sum", ty.clone());
        let last = relu(&mut p, sum, "last");
        let d = relu(&mut p, a, "d");
        p.outputs = vec![last, d];
        p
    }

    fn chosen(selection: &Selection) -> Vec<String> {
        let p = program();
        let (nodes, unknown) = layers(&p, selection);
        assert_eq!(unknown, []);
        nodes.into_iter().map(|n| p.node_name(n).to_owned()).collect()
    }

    #[test]
    fn directions() {
        assert_eq!(chosen(&Selection { inputs: names("b"), ..Selection::default() }), ["a", "b"]);
        assert_eq!(chosen(&Selection { outputs: names("b,d"), ..Selection::default() }), ["b", "sum", "last", "d"]);
        let block = |text| vec![Block::parse(text, &program()).unwrap()];
        assert_eq!(chosen(&Selection { blocks: block("a:sum"), ..Selection::default() }), ["a", "b", "ns::c", "sum"]);
        assert_eq!(chosen(&Selection { blocks: block("d:sum"), ..Selection::default() }), [""; 0]);
        assert_eq!(chosen(&Selection { inputs: names("a"), outputs: names("last"), blocks: block("b:b") }), ["a", "b", "last"]);
    }

    #[test]
    fn names_with_colons() {
        assert_eq!(Block::parse("ns::c,b:sum", &program()).unwrap(), Block { starts: names("ns::c,b"), ends: names("sum") });
        assert_eq!(Block::parse("a", &program()), Err(BadBlock("a".into())));
        assert_eq!(Block::parse("a:", &program()).unwrap_err().to_string(), "'a:' should be starts:ends, each one layer or several with commas between them");
    }

    #[test]
    fn unknown_names() {
        let (nodes, unknown) = layers(&program(), &Selection { inputs: names("lsat,b"), ..Selection::default() });
        assert_eq!(nodes.len(), 2);
        assert_eq!(unknown[0].to_string(), "layer 'lsat' is not in the network; the nearest is 'last'");
    }
}
