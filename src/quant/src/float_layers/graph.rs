//! A program as a graph of op types.

use tpuc_ops::{Attr, Op, Program, Source};

/// Nodes with their neighbours. Weights and function arguments are no neighbours.
pub struct Graph<'a> {
    pub program: &'a Program,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub fn new(program: &'a Program) -> Graph<'a> {
        let before: Vec<Vec<usize>> = program.nodes.iter().map(|n| n.operands.iter().filter_map(|&o| program.producer(o)).collect()).collect();
        let mut after = vec![Vec::new(); program.nodes.len()];
        for (node, producers) in before.iter().enumerate() {
            for &producer in producers {
                let list: &mut Vec<usize> = &mut after[producer];
                if list.last() != Some(&node) {
                    list.push(node);
                }
            }
        }
        Graph { program, before, after }
    }

    pub fn len(&self) -> usize {
        self.program.nodes.len()
    }

    /// The op's type without its dialect: `Conv`.
    pub fn op(&self, node: usize) -> &'static str {
        let name = self.program.nodes[node].op.name();
        name.split_once('.').map_or(name, |(_, op)| op)
    }

    /// The nodes whose results a node reads, once an operand.
    pub fn before(&self, node: usize) -> &[usize] {
        &self.before[node]
    }

    /// The nodes that read a node's results, in execution order, once a node.
    pub fn after(&self, node: usize) -> &[usize] {
        &self.after[node]
    }

    /// The one node before, if there is just one operand.
    pub fn only_before(&self, node: usize) -> Option<usize> {
        match self.before[node][..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The one node after.
    pub fn only_after(&self, node: usize) -> Option<usize> {
        match self.after[node][..] {
            [one] => Some(one),
            _ => None,
        }
    }

    pub fn is_output(&self, node: usize) -> bool {
        self.program.nodes[node].results.iter().any(|r| self.program.outputs.contains(r))
    }

    pub fn is_input(&self, node: usize) -> bool {
        matches!(self.program.nodes[node].op, Op::TopInput(_))
    }

    /// A text attribute of an op, empty if it has none of the name.
    pub fn text(&self, node: usize, attribute: &str) -> String {
        let found = self.program.nodes[node].op.to_attrs().into_iter().find(|(name, _)| *name == attribute);
        match found {
            Some((_, Attr::Str(text))) => text,
            _ => String::new(),
        }
    }

    /// The nodes that read a certain result of a node.
    pub fn readers(&self, node: usize, result: usize) -> Vec<usize> {
        let wanted = Source::Op { node, result };
        self.after[node].iter().copied().filter(|&n| self.program.nodes[n].operands.iter().any(|&o| self.program.value(o).source == wanted)).collect()
    }
}
