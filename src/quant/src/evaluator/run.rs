//! Running some values of networks for one sample, from what is kept of it.

use crate::error::QuantError;
use crate::evaluator::graph::{Node, NodeSource};
use std::collections::HashMap;
use std::sync::Arc;
use tpuc_interp::{Activation, Memory};
use tpuc_tensor::Tensor;

/// Tensors of one sample by node.
pub type Kept = HashMap<u64, Activation>;

/// What has to run to have some values: nodes in execution order, and how often each is read.
pub struct Schedule {
    order: Vec<Arc<Node>>,
    uses: HashMap<u64, usize>,
    targets: Vec<u64>,
    pub needs_inputs: bool,
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
        // What is computed from others has a larger number.
        order.sort_by_key(|n| n.id);
        let needs_inputs = order.iter().any(|n| matches!(n.source, NodeSource::Input(_)));
        Schedule { order, uses, targets: targets.iter().map(|t| t.id).collect(), needs_inputs }
    }

    /// Runs it for one sample and gives the targets, in their order.
    pub fn run(&self, inputs: &[Tensor], kept: &Kept, memory: &mut Memory) -> Result<Vec<Activation>, QuantError> {
        let mut alive: Kept = HashMap::new();
        let mut uses = self.uses.clone();
        for node in &self.order {
            let result = match &node.source {
                NodeSource::Input(index) => {
                    let missing = || QuantError::Plan(tpuc_interp::InterpError::InputCount { expected: index + 1, found: inputs.len() });
                    Activation::of_input(&node.name, inputs.get(*index).ok_or_else(missing)?, &node.ty, memory)?
                }
                NodeSource::Op { runner, operands } => {
                    let find = |operand: &Option<Arc<Node>>| operand.as_ref().and_then(|n| alive.get(&n.id).or_else(|| kept.get(&n.id)));
                    let given: Vec<Option<&Activation>> = operands.iter().map(find).collect();
                    let result = runner.run(&given, memory)?;
                    for operand in operands.iter().flatten() {
                        let left = uses.entry(operand.id).or_insert(1);
                        *left -= 1;
                        if *left == 0 {
                            alive.remove(&operand.id).into_iter().for_each(|a| memory.recycle(a));
                        }
                    }
                    result
                }
            };
            alive.insert(node.id, result);
        }
        let targets = self.targets.iter().filter_map(|id| alive.get(id).or_else(|| kept.get(id)).cloned());
        let found: Vec<Activation> = targets.collect();
        debug_assert_eq!(found.len(), self.targets.len());
        Ok(found)
    }
}
