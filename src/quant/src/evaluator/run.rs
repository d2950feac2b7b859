//! Running some values of networks for one sample, from what is kept of it.

use crate::error::QuantError;
use crate::evaluator::graph::{Node, NodeSource};
use std::collections::HashMap;
use std::sync::Arc;
use tpuc_interp::{Activation, Memory, Runner};
use tpuc_tensor::Tensor;

/// Tensors of one sample by node.
pub type Kept = HashMap<u64, Activation>;

/// What a run is for.
#[derive(Default)]
pub struct Wanted {
    /// Tensors that are wanted themselves.
    pub targets: Vec<Arc<Node>>,
    /// Tensors that are only compared, each with another.
    pub pairs: Vec<[Arc<Node>; 2]>,
}

impl Wanted {
    /// Tensors alone.
    pub fn targets(targets: Vec<Arc<Node>>) -> Wanted {
        Wanted { targets, pairs: Vec::new() }
    }
}

/// What comes of a run for one sample, in the order of what was wanted.
pub struct Found {
    pub targets: Vec<Activation>,
    pub pairs: Vec<f64>,
}

/// Compares the two tensors of a pair; also gets its number among all pairs of a schedule.
pub type Compare<'a> = &'a (dyn Fn(usize, &Activation, &Activation) -> Result<f64, QuantError> + Sync);

/// What has to run to have some values: nodes in execution order, and how often each is read.
pub struct Schedule {
    order: Vec<Arc<Node>>,
    pairs: Vec<[u64; 2]>,
    /// By node: pairs that are there once it has run.
    complete: HashMap<u64, Vec<usize>>,
    /// Pairs that are kept.
    there: Vec<usize>,
    /// From here on a node runs for all samples before the next one does: what gains from it, and what depends on that.
    together: usize,
    uses: HashMap<u64, usize>,
    targets: Vec<u64>,
    pub needs_inputs: bool,
    bytes: Bytes,
}

/// So many runs of one op are one at most, and so many samples run together in a thread.
pub const TOGETHER: usize = 8;

/// About the memory that a schedule takes for a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bytes {
    /// At most, in the first part and in the second.
    alone: usize,
    together: usize,
    /// Between the two.
    carried: usize,
    /// For runs of several: operands and results beside each other.
    copied: usize,
}

impl Schedule {
    /// `kept` says which nodes are there already.
    pub fn new<'a>(wanted: impl IntoIterator<Item = &'a Wanted>, kept: impl Fn(u64) -> bool) -> Schedule {
        let mut schedule = Schedule { order: Vec::new(), pairs: Vec::new(), complete: HashMap::new(), there: Vec::new(), together: 0, uses: HashMap::new(), targets: Vec::new(), needs_inputs: false, bytes: Bytes::default() };
        // By node: the first of what is wanted that needs it.
        let mut places: HashMap<u64, usize> = HashMap::new();
        for (place, wanted) in wanted.into_iter().enumerate() {
            // What is compared runs side by side, and is dropped soon.
            let place = |number: usize| (place << 32) + number;
            let pairs = wanted.pairs.iter().enumerate().flat_map(|(number, pair)| pair.iter().map(move |node| (number, node)));
            for (place, node) in pairs.map(|(number, node)| (place(number), node)).chain(wanted.targets.iter().map(|node| (place(wanted.pairs.len()), node))) {
                schedule.want(node, place, &mut places, &kept);
            }
            schedule.targets.extend(wanted.targets.iter().map(|t| t.id));
            schedule.pairs.extend(wanted.pairs.iter().map(|pair| [0, 1].map(|i| pair[i].id)));
        }
        schedule.needs_inputs = schedule.order.iter().any(|n| matches!(n.source, NodeSource::Input(_)));
        schedule.together = put_in_order(&mut schedule.order, &places);
        let at: HashMap<u64, usize> = schedule.order.iter().enumerate().map(|(at, n)| (n.id, at)).collect();
        for (number, pair) in schedule.pairs.iter().enumerate() {
            match pair.iter().filter_map(|id| at.get(id)).max() {
                Some(&last) => schedule.complete.entry(schedule.order[last].id).or_default().push(number),
                None => schedule.there.push(number),
            }
        }
        schedule.bytes = schedule.follow();
        schedule
    }

    /// A node is needed, and so is all that it is computed from.
    fn want(&mut self, node: &Arc<Node>, place: usize, places: &mut HashMap<u64, usize>, kept: &impl Fn(u64) -> bool) {
        *self.uses.entry(node.id).or_insert(0) += 1;
        let mut stack = vec![Arc::clone(node)];
        while let Some(node) = stack.pop() {
            if kept(node.id) || places.contains_key(&node.id) {
                continue;
            }
            places.insert(node.id, place);
            for operand in node.operands() {
                *self.uses.entry(operand.id).or_insert(0) += 1;
                stack.push(Arc::clone(operand));
            }
            self.order.push(node);
        }
    }

    /// Whether it gains from running for several samples at once: what they share is much of what is read and written for one.
    pub fn gains_together(&self) -> bool {
        let shared: usize = self.order.iter().filter_map(gaining).map(|runner| runner.shared_bytes()).sum();
        let moved: usize = self.order.iter().map(|node| node.bytes()).sum();
        shared > moved / MUCH
    }

    /// About the bytes that so many samples take at once, without what is kept.
    pub fn bytes(&self, samples: usize) -> usize {
        (self.bytes.alone + samples.saturating_sub(1) * self.bytes.carried).max(samples * self.bytes.together + self.bytes.copied)
    }

    /// Runs it for some samples. By sample: its inputs, and what is kept of it.
    pub fn run(&self, samples: &[(&[Tensor], &Kept)], compare: Compare, memory: &mut Memory) -> Result<Vec<Found>, QuantError> {
        let running = |&(inputs, kept)| Running { schedule: self, inputs, kept, alive: HashMap::new(), uses: self.uses.clone(), compared: vec![0.0; self.pairs.len()], compare };
        let mut all: Vec<Running> = samples.iter().map(running).collect();
        let (alone, together) = self.order.split_at(self.together);
        for sample in &mut all {
            self.there.iter().try_for_each(|&pair| sample.compare(pair, memory))?;
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
            let places: Vec<(usize, &Arc<Node>)> = (0..all.len()).flat_map(|sample| nodes.iter().map(move |node| (sample, node))).collect();
            for places in places.chunks(TOGETHER) {
                let given: Vec<Vec<Option<&Activation>>> = places.iter().map(|&(sample, node)| all[sample].operands(node)).collect();
                let results = runner.run_many(&given, memory)?;
                places.iter().zip(results).try_for_each(|(&(sample, node), result)| all[sample].store(node, result, memory))?;
            }
        }
        Ok(all.into_iter().map(Running::found).collect())
    }

    /// Follows what is alive.
    fn follow(&self) -> Bytes {
        let mut uses = self.uses.clone();
        let mut alive: HashMap<u64, usize> = HashMap::new();
        let (mut now, mut found) = (0, Bytes::default());
        for (at, node) in self.order.iter().enumerate() {
            if at == self.together {
                found.carried = now;
            }
            let size = node.bytes();
            if gaining(node).is_some() {
                found.copied = found.copied.max(TOGETHER * (size + node.operands().map(|o| o.bytes()).sum::<usize>()));
            }
            let most = now + size + node.scratch_bytes();
            let part = if at < self.together { &mut found.alone } else { &mut found.together };
            *part = (*part).max(most);
            // A view of an operand counts once more: what is counted is never too little.
            alive.insert(node.id, size);
            now += size;
            let compared = self.complete.get(&node.id).into_iter().flatten().flat_map(|&pair| self.pairs[pair]);
            for id in node.operands().map(|o| o.id).chain(compared) {
                let left = uses.entry(id).or_insert(1);
                *left -= 1;
                if *left == 0 {
                    now -= alive.remove(&id).unwrap_or(0);
                }
            }
        }
        if self.together == self.order.len() {
            found.carried = now;
        }
        found
    }
}

/// This part of all bytes is much.
const MUCH: usize = 10;

/// The runner of a node that gains from running for several samples at once.
fn gaining(node: &Arc<Node>) -> Option<&Arc<Runner>> {
    match &node.source {
        NodeSource::Op { runner, .. } if runner.shared_bytes() > 0 => Some(runner),
        NodeSource::Op { .. } | NodeSource::Input(_) => None,
    }
}

/// Puts nodes into an order in which they can run: first those that run for one sample after the other, then the others, so that
/// equal places of several networks are neighbours. Returns how many the first are.
fn put_in_order(nodes: &mut [Arc<Node>], places: &HashMap<u64, usize>) -> usize {
    // What is computed from others has a larger number.
    nodes.sort_by_key(|n| n.id);
    let mut levels: HashMap<u64, usize> = HashMap::new();
    for node in &*nodes {
        let below = node.operands().filter_map(|o| levels.get(&o.id)).max().copied();
        if gaining(node).is_some() || below.is_some() {
            levels.insert(node.id, below.map_or(0, |l| l + 1));
        }
    }
    let address = |node: &Arc<Node>| gaining(node).map_or(0, |runner| Arc::as_ptr(runner) as usize);
    nodes.sort_by_cached_key(|n| match levels.get(&n.id) {
        None => (None, places.get(&n.id).copied().unwrap_or(0), n.id),
        Some(&level) => (Some(level), address(n), n.id),
    });
    nodes.len() - levels.len()
}

/// One sample while it runs.
struct Running<'a> {
    schedule: &'a Schedule,
    inputs: &'a [Tensor],
    kept: &'a Kept,
    alive: Kept,
    /// How often tensors will still be read.
    uses: HashMap<u64, usize>,
    /// By pair.
    compared: Vec<f64>,
    compare: Compare<'a>,
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
        self.store(node, result, memory)
    }

    fn find(&self, id: u64) -> Option<&Activation> {
        self.alive.get(&id).or_else(|| self.kept.get(&id))
    }

    fn operands(&self, node: &Node) -> Vec<Option<&Activation>> {
        let NodeSource::Op { operands, .. } = &node.source else { return Vec::new() };
        operands.iter().map(|operand| operand.as_ref().and_then(|n| self.find(n.id))).collect()
    }

    /// Takes a result in, compares what it completes, and drops what nobody reads any more.
    fn store(&mut self, node: &Node, result: Activation, memory: &mut Memory) -> Result<(), QuantError> {
        for operand in node.operands() {
            self.release(operand.id, memory);
        }
        self.alive.insert(node.id, result);
        let schedule = self.schedule;
        schedule.complete.get(&node.id).into_iter().flatten().try_for_each(|&pair| self.compare(pair, memory))
    }

    /// Compares a pair, whose tensors are there.
    fn compare(&mut self, pair: usize, memory: &mut Memory) -> Result<(), QuantError> {
        let ids = self.schedule.pairs[pair];
        if let [Some(a), Some(b)] = ids.map(|id| self.find(id)) {
            self.compared[pair] = (self.compare)(pair, a, b)?;
        } else {
            debug_assert!(false, "a pair is not there");
        }
        ids.into_iter().for_each(|id| self.release(id, memory));
        Ok(())
    }

    /// One reader less.
    fn release(&mut self, id: u64, memory: &mut Memory) {
        let left = self.uses.entry(id).or_insert(1);
        *left -= 1;
        if *left == 0 {
            self.alive.remove(&id).into_iter().for_each(|a| memory.recycle(a));
        }
    }

    fn found(self) -> Found {
        let targets: Vec<Activation> = self.schedule.targets.iter().filter_map(|&id| self.find(id)).cloned().collect();
        debug_assert_eq!(targets.len(), self.schedule.targets.len());
        Found { targets, pairs: self.compared }
    }
}
