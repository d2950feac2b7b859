//! A function as a flat list of ops. Execution plans are built from it, lowering and code generation read it. It is not a
//! second IR: passes rewrite MLIR, and this is what they hand to code that needs no MLIR.

use crate::attr::Attr;
use crate::types::{TensorType, ValueType};
use crate::{Op, OpError};
use std::collections::{BTreeMap, HashMap, HashSet};
use tpuc_tensor::WeightStore;

/// A value of a program: an index into [`Program::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Argument of the function.
    Argument(usize),
    /// A weight; its data is in the weight store under the value's name.
    Weight,
    /// An absent operand.
    None,
    /// A result of a node.
    Op { node: usize, result: usize },
}

/// A value: its layer name (the location in MLIR), type and source.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub name: String,
    pub ty: ValueType,
    pub source: Source,
}

/// One op. `top.Weight` and `top.None` are values only; `top.Input` is a node whose operand is an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub op: Op,
    pub operands: Vec<ValueId>,
    pub results: Vec<ValueId>,
}

/// A function `@main` and the attributes of its module. Nodes are in execution order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    pub name: String,
    pub values: Vec<Value>,
    pub nodes: Vec<Node>,
    /// The function's arguments.
    pub inputs: Vec<ValueId>,
    /// What the function returns.
    pub outputs: Vec<ValueId>,
    /// The module's attributes (`module.chip`, `module.weight_file`...).
    pub attrs: BTreeMap<String, Attr>,
}

impl Program {
    pub fn new(name: impl Into<String>) -> Program {
        Program { name: name.into(), ..Program::default() }
    }

    fn add(&mut self, name: impl Into<String>, ty: ValueType, source: Source) -> ValueId {
        self.values.push(Value { name: name.into(), ty, source });
        ValueId(self.values.len() as u32 - 1)
    }

    /// A further argument of the function.
    pub fn add_input(&mut self, name: impl Into<String>, ty: TensorType) -> ValueId {
        let id = self.add(name, ty.into(), Source::Argument(self.inputs.len()));
        self.inputs.push(id);
        id
    }

    pub fn add_weight(&mut self, name: impl Into<String>, ty: TensorType) -> ValueId {
        self.add(name, ty.into(), Source::Weight)
    }

    /// The value that stands for an absent operand.
    pub fn none(&mut self) -> ValueId {
        match self.values.iter().position(|v| v.source == Source::None) {
            Some(at) => ValueId(at as u32),
            None => self.add("none", ValueType::None, Source::None),
        }
    }

    /// Appends an op with one result per (name, type). A result that is absent has type none.
    pub fn push_results<T: Into<ValueType>>(&mut self, op: impl Into<Op>, operands: &[ValueId], results: Vec<(String, T)>) -> Vec<ValueId> {
        let node = self.nodes.len();
        let ids = results.into_iter().enumerate().map(|(result, (name, ty))| self.add(name, ty.into(), Source::Op { node, result })).collect::<Vec<_>>();
        self.nodes.push(Node { op: op.into(), operands: operands.to_vec(), results: ids.clone() });
        ids
    }

    /// Appends an op with one result.
    pub fn push(&mut self, op: impl Into<Op>, operands: &[ValueId], name: impl Into<String>, ty: TensorType) -> ValueId {
        self.push_results(op, operands, vec![(name.into(), ty)])[0]
    }

    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The tensor type of a value; `None` for an absent operand.
    pub fn tensor_type(&self, id: ValueId) -> Option<&TensorType> {
        self.value(id).ty.tensor()
    }

    /// The layer name of a node: that of its first result.
    pub fn node_name(&self, node: usize) -> &str {
        self.nodes[node].results.first().map_or("", |&r| self.value(r).name.as_str())
    }

    /// The node that computes a value, if an op does.
    pub fn producer(&self, id: ValueId) -> Option<usize> {
        match self.value(id).source {
            Source::Op { node, .. } => Some(node),
            Source::Argument(_) | Source::Weight | Source::None => None,
        }
    }

    /// For every value the nodes that read it, in execution order, once per node.
    pub fn users(&self) -> Vec<Vec<usize>> {
        let mut users = vec![Vec::new(); self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &operand in &node.operands {
                let list: &mut Vec<usize> = &mut users[operand.index()];
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        users
    }

    /// Results of ops by layer name.
    pub fn names(&self) -> HashMap<&str, ValueId> {
        let ids = self.nodes.iter().flat_map(|n| n.results.iter().copied());
        ids.map(|id| (self.value(id).name.as_str(), id)).collect()
    }

    pub fn operand_types(&self, node: usize) -> Vec<ValueType> {
        self.nodes[node].operands.iter().map(|&v| self.value(v).ty.clone()).collect()
    }

    pub fn result_types(&self, node: usize) -> Vec<ValueType> {
        self.nodes[node].results.iter().map(|&v| self.value(v).ty.clone()).collect()
    }

    /// The program without nodes that no output needs and without values that nobody mentions. Inputs stay even where nothing
    /// reads them: they are the network's signature.
    pub fn without_dead(&self) -> Program {
        let mut needed = vec![false; self.nodes.len()];
        let mut stack: Vec<ValueId> = self.outputs.clone();
        while let Some(value) = stack.pop() {
            if let Some(node) = self.producer(value) {
                if !std::mem::replace(&mut needed[node], true) {
                    stack.extend(self.nodes[node].operands.iter().copied());
                }
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            needed[index] |= matches!(node.op, Op::TopInput(_));
        }
        let mut out = Program { name: self.name.clone(), attrs: self.attrs.clone(), ..Program::default() };
        let mut map: Vec<Option<ValueId>> = vec![None; self.values.len()];
        for &input in &self.inputs {
            let value = self.value(input);
            if let Some(ty) = value.ty.tensor() {
                map[input.index()] = Some(out.add_input(value.name.clone(), ty.clone()));
            }
        }
        for node in self.nodes.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(n, _)| n) {
            let mut operands = Vec::with_capacity(node.operands.len());
            for &operand in &node.operands {
                let value = self.value(operand);
                let known = map[operand.index()];
                let id = known.unwrap_or_else(|| match value.ty.tensor() {
                    Some(ty) => out.add_weight(value.name.clone(), ty.clone()),
                    None => out.none(),
                });
                map[operand.index()] = Some(id);
                operands.push(id);
            }
            let results = node.results.iter().map(|&r| (self.value(r).name.clone(), self.value(r).ty.clone())).collect();
            let ids = out.push_results(node.op.clone(), &operands, results);
            for (&old, new) in node.results.iter().zip(ids) {
                map[old.index()] = Some(new);
            }
        }
        out.outputs = self.outputs.iter().filter_map(|&o| map[o.index()]).collect();
        out
    }

    /// Those of the weights that the program reads.
    pub fn used_weights(&self, weights: &WeightStore) -> WeightStore {
        let used: HashSet<&str> = self.values.iter().filter(|v| v.source == Source::Weight).map(|v| v.name.as_str()).collect();
        let mut kept = WeightStore::new();
        weights.iter().filter(|(name, _)| used.contains(name)).for_each(|(name, tensor)| kept.insert(name, tensor.clone()));
        kept
    }

    /// Files of lowered networks have half floats as `u16` (NumPy knows no bf16): they become what the program says they are.
    pub fn type_half_weights(&self, weights: &mut WeightStore) {
        for value in self.values.iter().filter(|v| v.source == Source::Weight) {
            let (Some(ty), Some(tensor)) = (value.ty.tensor(), weights.get(&value.name)) else { continue };
            if let Some(typed) = tensor.from_half_bits(ty.elem.storage()) {
                weights.insert(value.name.clone(), typed);
            }
        }
    }

    /// Checks that every node reads only what is computed before it and that every op's verifier holds. The error names
    /// the layer.
    pub fn check(&self) -> Result<(), OpError> {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let layer = || self.node_name(index).to_owned();
            for &operand in &node.operands {
                let Some(value) = self.values.get(operand.index()) else {
                    return Err(OpError::Invalid { name: node.op.name().into(), reason: "reads a value that does not exist".into() }.at(&layer()));
                };
                if matches!(value.source, Source::Op { node, .. } if node >= index) {
                    return Err(OpError::Invalid { name: node.op.name().into(), reason: format!("reads '{}' before it is computed", value.name) }.at(&layer()));
                }
            }
            node.op.verify(&self.operand_types(index), &self.result_types(index)).map_err(|e| e.at(&layer()))?;
        }
        Ok(())
    }
}
