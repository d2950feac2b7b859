//! Copying a program with further ops in between.

use std::collections::HashMap;
use tpuc_ops::{Op, Program, Source, TensorType, ValueId};

/// A copy under way. Values of the old program are found by [`Copy::value`] once their node was copied.
pub struct Copy<'a> {
    old: &'a Program,
    pub program: Program,
    moved: HashMap<ValueId, ValueId>,
}

impl<'a> Copy<'a> {
    /// Copies node by node. `after` is called when a node was copied and may add ops behind it; `operands` may change what a node
    /// reads (values of the new program).
    pub fn run(old: &'a Program, mut operands: impl FnMut(&Copy, usize, &mut Vec<ValueId>), mut after: impl FnMut(&mut Copy, usize)) -> Program {
        let mut copy = Copy { old, program: Program::new(old.name.clone()), moved: HashMap::new() };
        copy.program.attrs = old.attrs.clone();
        for &input in &old.inputs {
            let value = old.value(input);
            let ty = value.ty.tensor().cloned().unwrap_or_else(|| TensorType::f32(&[]));
            let new = copy.program.add_input(value.name.clone(), ty);
            copy.moved.insert(input, new);
        }
        for (index, node) in old.nodes.iter().enumerate() {
            let mut reads: Vec<ValueId> = node.operands.iter().map(|&o| copy.value(o)).collect();
            operands(&copy, index, &mut reads);
            copy.push(node.op.clone(), &reads, &node.results);
            after(&mut copy, index);
        }
        copy.program.outputs = old.outputs.iter().map(|&o| copy.value(o)).collect();
        copy.program
    }

    fn push(&mut self, op: Op, operands: &[ValueId], results: &[ValueId]) {
        let named = |&r: &ValueId| (self.old.value(r).name.clone(), self.old.value(r).ty.clone());
        let ids = self.program.push_results(op, operands, results.iter().map(named).collect());
        self.moved.extend(results.iter().copied().zip(ids));
    }

    /// A value of the old program in the new one; weights come along when they are first asked for.
    pub fn value(&mut self, old: ValueId) -> ValueId {
        if let Some(&known) = self.moved.get(&old) {
            return known;
        }
        let value = self.old.value(old);
        let new = match (value.source, value.ty.tensor()) {
            (Source::Weight, Some(ty)) => self.program.add_weight(value.name.clone(), ty.clone()),
            _ => self.program.none(),
        };
        self.moved.insert(old, new);
        new
    }
}

/// A name that neither a value nor a weight has: the wanted one, or with a number.
pub fn unique(program: &Program, wanted: String) -> String {
    let taken = |name: &str| program.values.iter().any(|v| v.name == name);
    let mut name = wanted.clone();
    let mut number = 1;
    while taken(&name) {
        name = format!("{wanted}_{number}");
        number += 1;
    }
    name
}
