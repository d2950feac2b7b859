//! Running some values of networks for one sample, from what is kept of it.

use crate::error::QuantError;
use crate::evaluator::graph::{Node, NodeSource};
use std::collections::HashMap;
use std::sync::Arc;
use tpuc_interp::{Activation, Memory, Runner};
use tpuc_tensor::Tensor;

/// Tensors of one sample by node.
pub type Kept = HashMap<u64, Activation>;

/// What has to run to have some values: nodes in execution order, and how often each is read.
pub struct Schedule {
    order: Vec<Arc<Node>>,
    /// From here on a node runs for all samples before the next one does: what gains from it, and what depends on that.
    together: usize,
    uses: HashMap<u64, usize>,
    targets: Vec<u64>,
    pub needs_inputs: bool,
    bytes: Bytes,
}

/// About the memory that a schedule takes for a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bytes {
    /// At most, in the first part and in the second.
    alone: usize,
    together: usize,
    /// Between the two.
    carried: usize,
}

impl Schedule {
    /// `kept` says which nodes are there already.
    pub fn new(targets: &[Arc<Node>], kept: impl Fn(u64) -> bool) -> Schedule {
        let mut uses: HashMap<u64, usize> = HashMap::new();
        let mut order = Vec::new();
        let mut stack: Vec<Arc<Node>> = Vec::new();
        for target in targets {
            *uses.entry(target.id).or_insert(0) += 1;
            stack.push(Arc::clone(target));
        }
        let mut seen = std::collections::HashSet::new();
        while let Some(node) = stack.pop() {
            if kept(node.id) || !seen.insert(node.id) {
                continue;
            }
            for operand in node.operands() {
                *uses.entry(operand.id).or_insert(0) += 1;
                stack.push(Arc::clone(operand));
            }
            order.push(node);
        }
        let needs_inputs = order.iter().any(|n| matches!(n.source, NodeSource::Input(_)));
        let (order, together) = ordered(order);
        let bytes = bytes(&order, together, uses.clone());
        Schedule { order, together, uses, targets: targets.iter().map(|t| t.id).collect(), needs_inputs, bytes }
    }

    /// About the bytes that so many samples take at once, without what is kept.
    pub fn bytes(&self, samples: usize) -> usize {
        (self.bytes.alone + samples.saturating_sub(1) * self.bytes.carried).max(samples * self.bytes.together)
    }

    /// Runs it for some samples and gives the targets of each, in their order. By sample: its inputs, and what is kept of it.
    pub fn run(&self, samples: &[(&[Tensor], &Kept)], memory: &mut Memory) -> Result<Vec<Vec<Activation>>, QuantError> {
        let mut all: Vec<Running> = samples.iter().map(|&(inputs, kept)| Running { inputs, kept, alive: HashMap::new(), uses: self.uses.clone() }).collect();
        let (alone, together) = self.order.split_at(self.together);
        for sample in &mut all {
            alone.iter().try_for_each(|node| sample.step(node, memory))?;
        }
        // Nodes with one runner in a row are one run: those of networks that differ further up.
        for nodes in together.chunk_by(|a, b| matches!((gaining(a), gaining(b)), (Some(a), Some(b)) if Arc::ptr_eq(a, b))) {
            let Some(runner) = nodes.first().and_then(gaining) else {
                for sample in &mut all {
                    nodes.iter().try_for_each(|node| sample.step(node, memory))?;
                }
                continue;
            };
            let given: Vec<Vec<Option<&Activation>>> = all.iter().flat_map(|sample| nodes.iter().map(|node| sample.operands(node))).collect();
            let mut results = runner.run_many(&given, memory)?.into_iter();
            for sample in &mut all {
                nodes.iter().zip(&mut results).for_each(|(node, result)| sample.store(node, result, memory));
            }
        }
        Ok(all.into_iter().map(|sample| sample.targets(&self.targets)).collect())
    }
}

/// The runner of a node that gains from running for several samples at once.
fn gaining(node: &Arc<Node>) -> Option<&Arc<Runner>> {
    match &node.source {
        NodeSource::Op { runner, .. } if runner.gains_together() => Some(runner),
        NodeSource::Op { .. } | NodeSource::Input(_) => None,
    }
}

/// Nodes in an order in which they can run: first those that run for one sample after the other, then the others, so that equal
/// places of several networks are neighbours. Also how many the first are.
fn ordered(mut nodes: Vec<Arc<Node>>) -> (Vec<Arc<Node>>, usize) {
    // What is computed from others has a larger number.
    nodes.sort_by_key(|n| n.id);
    let mut levels: HashMap<u64, usize> = HashMap::new();
    for node in &nodes {
        let below = node.operands().filter_map(|o| levels.get(&o.id)).max().copied();
        if gaining(node).is_some() || below.is_some() {
            levels.insert(node.id, below.map_or(0, |l| l + 1));
        }
    }
    let address = |node: &Arc<Node>| gaining(node).map_or(0, |runner| Arc::as_ptr(runner) as usize);
    nodes.sort_by_cached_key(|n| (levels.get(&n.id).map(|&level| (level, address(n))), n.id));
    let alone = nodes.len() - levels.len();
    (nodes, alone)
}

/// Follows what is alive.
fn bytes(order: &[Arc<Node>], together: usize, mut uses: HashMap<u64, usize>) -> Bytes {
    let mut alive: HashMap<u64, usize> = HashMap::new();
    let (mut now, mut found) = (0, Bytes::default());
    for (at, node) in order.iter().enumerate() {
        if at == together {
            found.carried = now;
        }
        let size = node.bytes();
        let most = now + size + node.scratch_bytes();
        let part = if at < together { &mut found.alone } else { &mut found.together };
        *part = (*part).max(most);
        // A view of an operand counts once more: what is counted is never too little.
        alive.insert(node.id, size);
        now += size;
        for operand in node.operands() {
            let left = uses.entry(operand.id).or_insert(1);
            *left -= 1;
            if *left == 0 {
                now -= alive.remove(&operand.id).unwrap_or(0);
            }
        }
    }
    if together == order.len() {
        found.carried = now;
    }
    found
}

/// One sample while it runs.
struct Running<'a> {
    inputs: &'a [Tensor],
    kept: &'a Kept,
    alive: Kept,
    /// How often tensors will still be read.
    uses: HashMap<u64, usize>,
}

impl Running<'_> {
    fn step(&mut self, node: &Arc<Node>, memory: &mut Memory) -> Result<(), QuantError> {
        let result = match &node.source {
            NodeSource::Input(index) => {
                let missing = || QuantError::Plan(tpuc_interp::InterpError::InputCount { expected: index + 1, found: self.inputs.len() });
                Activation::of_input(&node.name, self.inputs.get(*index).ok_or_else(missing)?, &node.ty, memory)?
            }
            NodeSource::Op { runner, .. } => runner.run(&self.operands(node), memory)?,
        };
        self.store(node, result, memory);
        Ok(())
    }

    fn operands(&self, node: &Node) -> Vec<Option<&Activation>> {
        let NodeSource::Op { operands, .. } = &node.source else { return Vec::new() };
        let find = |operand: &Option<Arc<Node>>| operand.as_ref().and_then(|n| self.alive.get(&n.id).or_else(|| self.kept.get(&n.id)));
        operands.iter().map(find).collect()
    }

    /// Takes a result in, and drops operands that nobody reads any more.
    fn store(&mut self, node: &Node, result: Activation, memory: &mut Memory) {
        for operand in node.operands() {
            let left = self.uses.entry(operand.id).or_insert(1);
            *left -= 1;
            if *left == 0 {
                self.alive.remove(&operand.id).into_iter().for_each(|a| memory.recycle(a));
            }
        }
        self.alive.insert(node.id, result);
    }

    fn targets(self, targets: &[u64]) -> Vec<Activation> {
        let found: Vec<Activation> = targets.iter().filter_map(|id| self.alive.get(id).or_else(|| self.kept.get(id)).cloned()).collect();
        debug_assert_eq!(found.len(), targets.len());
        found
    }
}
