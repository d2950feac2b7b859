//! Editing programs: what the rewriting passes share.

use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, Program, Source, TensorType, Value, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

/// A program under edit with its weights.
pub struct Editor {
    pub program: Program,
    pub weights: WeightStore,
    changed: bool,
    weights_changed: bool,
}

impl Editor {
    /// Applies `rewrite` to one node after the other until nothing changes any more, then writes the module back.
    /// `rewrite` returns whether it changed something.
    pub fn run(module: &PassModule, mut rewrite: impl FnMut(&mut Editor, usize) -> Result<bool, String>) -> Result<(), String> {
        let program = module.program().map_err(crate::text)?;
        let weights = module.weights().map_err(crate::text)?;
        let mut editor = Editor { program, weights, changed: false, weights_changed: false };
        loop {
            let mut again = false;
            for node in 0..editor.program.nodes.len() {
                again |= rewrite(&mut editor, node)?;
            }
            if !again {
                break;
            }
            editor.changed = true;
            editor.program = editor.program.without_dead();
        }
        if editor.changed {
            module.set_program(&editor.program).map_err(crate::text)?;
        }
        if editor.weights_changed {
            if let Some(tpuc_ops::Attr::Str(file)) = editor.program.attrs.get("module.weight_file") {
                module.set_weights(file, editor.program.used_weights(&editor.weights));
            }
        }
        Ok(())
    }

    pub fn op(&self, node: usize) -> &Op {
        &self.program.nodes[node].op
    }

    pub fn operand(&self, node: usize, index: usize) -> ValueId {
        self.program.nodes[node].operands[index]
    }

    pub fn result(&self, node: usize) -> ValueId {
        self.program.nodes[node].results[0]
    }

    pub fn shape(&self, value: ValueId) -> &[i64] {
        self.program.tensor_type(value).map_or(&[], |t| &t.shape)
    }

    /// The node that computes a value which nobody else reads and which is no output.
    pub fn sole_producer(&self, value: ValueId) -> Option<usize> {
        let reads: usize = self.program.nodes.iter().map(|n| n.operands.iter().filter(|&&o| o == value).count()).sum();
        if reads != 1 || self.program.outputs.contains(&value) {
            return None;
        }
        self.program.producer(value)
    }

    pub fn is_output(&self, value: ValueId) -> bool {
        self.program.outputs.contains(&value)
    }

    /// Whether anything still needs a value. What a rewrite has taken out of use stays until the round ends.
    pub fn is_used(&self, value: ValueId) -> bool {
        self.is_output(value) || self.program.nodes.iter().any(|n| n.operands.contains(&value))
    }

    /// The node that computes a value, whoever else reads it.
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        self.program.producer(value)
    }

    /// Puts a new op with one result in front of a node, whose index grows by one. The result's shape is inferred.
    pub fn insert(&mut self, node: usize, op: impl Into<Op>, operands: &[ValueId], layer: &str) -> Result<ValueId, String> {
        let op = op.into();
        let types: Vec<_> = operands.iter().map(|&o| self.program.value(o).ty.clone()).collect();
        let shape = op.infer_shapes(&types).map_err(crate::text)?.remove(0);
        for value in &mut self.program.values {
            if let Source::Op { node: at, .. } = &mut value.source {
                *at += usize::from(*at >= node);
            }
        }
        let result = ValueId(self.program.values.len() as u32);
        self.program.values.push(Value { name: layer.to_owned(), ty: TensorType::f32(&shape).into(), source: Source::Op { node, result: 0 } });
        self.program.nodes.insert(node, tpuc_ops::Node { op, operands: operands.to_vec(), results: vec![result] });
        Ok(result)
    }

    /// Lets everybody read `new` instead of `old`.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        self.redirect(usize::MAX, old, new);
    }

    /// Whether an op reads a value.
    pub fn is_read(&self, value: ValueId) -> bool {
        self.program.nodes.iter().any(|n| n.operands.contains(&value))
    }

    pub fn is_weight(&self, value: ValueId) -> bool {
        self.program.value(value).source == Source::Weight
    }

    /// The value of all elements of a weight, if it is one.
    pub fn single_value(&self, value: ValueId) -> Option<f32> {
        let values = self.weight(value)?;
        let first = *values.first()?;
        values.iter().all(|&v| v == first).then_some(first)
    }

    /// The elements of a weight.
    pub fn weight(&self, value: ValueId) -> Option<Vec<f32>> {
        let value = self.program.value(value);
        if value.source != Source::Weight {
            return None;
        }
        self.weights.get(&value.name).map(|t| t.to_f32())
    }

    /// A new f32 weight. A name that is taken gets a number.
    pub fn add_weight(&mut self, name: &str, shape: &[i64], data: Vec<f32>) -> Result<ValueId, String> {
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        let tensor = Tensor::f32(&dims, data).map_err(crate::text)?;
        let mut unique = name.to_owned();
        let mut number = 1;
        while self.weights.contains(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        self.weights.insert(unique.clone(), tensor);
        self.weights_changed = true;
        Ok(self.program.add_weight(unique, TensorType::f32(shape)))
    }

    /// Lets `node` disappear: its readers read `replacement`, which takes over its layer name and type where it is
    /// computed by an op (a fused op is known by the name of the last op fused).
    pub fn fuse_into(&mut self, node: usize, replacement: ValueId) {
        let old = self.result(node);
        let Value { name, ty, .. } = self.program.values[old.index()].clone();
        let target = &mut self.program.values[replacement.index()];
        (target.name, target.ty) = (name, ty);
        self.redirect(node, old, replacement);
    }

    /// Lets `node` disappear: its readers read `replacement`, which keeps its name.
    pub fn bypass(&mut self, node: usize, replacement: ValueId) {
        let old = self.result(node);
        self.redirect(node, old, replacement);
    }

    fn redirect(&mut self, node: usize, old: ValueId, new: ValueId) {
        for (index, other) in self.program.nodes.iter_mut().enumerate() {
            if index != node {
                other.operands.iter_mut().filter(|o| **o == old).for_each(|o| *o = new);
            }
        }
        self.program.outputs.iter_mut().filter(|o| **o == old).for_each(|o| *o = new);
    }
}
