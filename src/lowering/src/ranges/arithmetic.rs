//! Steps of propagation for ops with several operands: what they ask of each other's ranges.

use super::{Graph, Range, Ranges};
use crate::chip::Family;
use tpuc_ops::{Node, Op, ValueId};

impl Ranges {
    /// Differences and products may be negative where calibration saw nothing below zero: a constant taken from what is not
    /// negative, a difference, a product of two signed values.
    pub(super) fn allow_negative(&mut self, _: &Graph, node: &Node) -> bool {
        let ranges = node.operands.iter().map(|&o| self.get(o)).collect::<Vec<_>>();
        let Some(output) = node.results.first().copied() else { return false };
        let Some(range) = self.get(output).filter(|r| !r.is_signed() && r.max > 0.0) else { return false };
        let negative = match &node.op {
            Op::TopSubConst(op) => !op.do_relu && ranges.first().copied().flatten().is_some_and(|r| !r.is_signed()),
            Op::TopSub(_) => true,
            Op::TopMul(op) => !op.do_relu && ranges.len() == 2 && ranges.iter().all(|r| r.is_some_and(|r| r.is_signed())),
            _ => false,
        };
        negative && self.update(output, range.made_signed())
    }

    /// Ops that compare or join integers as they are: where nothing else reads their inputs, inputs and result get one range.
    pub(super) fn join(&mut self, graph: &Graph, node: &Node) -> bool {
        let Some(output) = node.results.first().copied() else { return false };
        let inputs: Vec<(ValueId, Option<Range>)> = node.operands.iter().map(|&o| (o, self.get(o))).collect();
        let alone = |value: ValueId| {
            let others = graph.users[value.index()].iter().map(|&n| &graph.program.nodes[n]).filter(|n| !matches!(n.op, Op::TopMaxPool(_))).count();
            others <= 1 && !graph.program.outputs.contains(&value)
        };
        let Some(first) = inputs.first().and_then(|i| i.1) else { return false };
        if !inputs.iter().all(|&(value, range)| range.is_some() && alone(value)) {
            return false;
        }
        let one_sign = inputs.iter().all(|(_, r)| r.is_some_and(|r| r.is_signed() == first.is_signed()));
        if matches!(node.op, Op::TopConcat(_)) && !one_sign {
            return false;
        }
        if inputs.iter().all(|(_, r)| *r == Some(first)) {
            return self.update(output, first);
        }
        let Some(range) = self.get(output) else { return false };
        let mut changed = false;
        for (input, _) in inputs {
            changed |= self.update(input, range);
            self.backward_through(graph, input, range, |op| matches!(op, Op::TopReshape(_) | Op::TopPermute(_) | Op::TopDepth2Space(_)));
        }
        changed
    }

    /// What only moves in front of a value takes its range.
    pub(super) fn backward_through(&mut self, graph: &Graph, value: ValueId, range: Range, moves: impl Fn(&Op) -> bool) {
        let producer = graph.program.producer(value).map(|p| &graph.program.nodes[p]);
        if let Some(&source) = producer.filter(|p| moves(&p.op)).and_then(|p| p.operands.first()) {
            self.update(source, range);
        }
    }

    /// The input takes the result's upper end and keeps its own lower one: what is below zero is scaled down by the op.
    pub(super) fn backward_max(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Some(&input), Some(&output)) = (node.operands.first(), node.results.first()) else { return false };
        let (Some(from), Some(to)) = (self.get(input), self.get(output)) else { return false };
        graph.uses[input.index()] == 1 && self.update(input, Range::new(from.min, to.max))
    }

    /// Products that only a sum reads take its range.
    pub(super) fn sum_of_products(&mut self, graph: &Graph, node: &Node) -> bool {
        let Some(range) = node.results.first().and_then(|&r| self.get(r)) else { return false };
        let is_product = |value: ValueId| {
            let producer = graph.program.producer(value).map(|p| &graph.program.nodes[p].op);
            graph.uses[value.index()] == 1 && matches!(producer, Some(Op::TopMul(_)))
        };
        if !node.operands.iter().all(|&o| is_product(o)) {
            return false;
        }
        node.operands.iter().filter(|&&o| self.update(o, range)).count() > 0
    }

    /// Both sides of a comparison get a range that has room for both. The branches of a choice get its range, which has room
    /// for its constants; where it had to be widened for them the branches keep theirs.
    pub(super) fn choice(&mut self, _: &Graph, node: &Node) -> bool {
        match &node.op {
            Op::TopCompare(_) => {
                let [Some(a), Some(b)] = [0, 1].map(|i: usize| node.operands.get(i).and_then(|&o| self.get(o))) else { return false };
                let both = Range::new(a.min.min(b.min), a.max.max(b.max));
                node.operands.iter().filter(|&&o| self.update(o, both)).count() > 0
            }
            Op::TopWhere(op) => {
                let Some(&output) = node.results.first() else { return false };
                let Some(range) = self.get(output) else { return false };
                let constants = [(op.x_is_const, op.x_const_val), (op.y_is_const, op.y_const_val)].into_iter().filter(|c| c.0 && c.1.is_finite());
                let wide = constants.fold(range, |r, (_, c)| Range::new(r.min.min(c), r.max.max(c)));
                if wide != range {
                    self.widened.push(output);
                    return self.update(output, wide);
                }
                if self.widened.contains(&output) {
                    return false;
                }
                let branches: Vec<ValueId> = node.operands.iter().skip(1).copied().filter(|&o| self.get(o).is_some()).collect();
                branches.into_iter().filter(|&o| self.update(o, range)).count() > 0
            }
            _ => false,
        }
    }

    /// The range of a multiple.
    pub(super) fn forward_product(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Op::TopMulConst(op), Some(&input), Some(&output)) = (&node.op, node.operands.first(), node.results.first()) else { return false };
        let Some(range) = self.get(input) else { return false };
        let ends = [range.min * op.const_val, range.max * op.const_val];
        let lowest = if op.do_relu { 0.0 } else { f64::NEG_INFINITY };
        let range = Range::new(ends[0].min(ends[1]).max(lowest), ends[0].max(ends[1]).max(lowest));
        // CV18xx has only signed integers.
        let range = if graph.chip.family == Family::Cv18xx { Range::new(-range.threshold(), range.threshold()) } else { range };
        // A multiple of nothing but zeros has no range of its own.
        if range.threshold() <= 0.0 {
            return false;
        }
        let changed = self.update(output, range);
        if changed {
            self.forward_views(graph, output);
        }
        changed
    }
}
