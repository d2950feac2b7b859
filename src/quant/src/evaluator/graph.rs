//! Lowered networks that share what they have in common.
//!
//! A [`Node`] is one op of the Tpu dialect (or a cast, or an input) together with everything that it is computed from: two
//! networks that lower a layer to the same op over the same operands have the same node, and so the same tensors. What a trial
//! changes, and what is downstream of it, are the nodes that no other network has.

use crate::error::QuantError;
use crate::evaluator::Setting;
use crate::evaluator::runners::{Recipe, Runners};
use crate::model::Target;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use tpuc_interp::{Layout, Options, Runner};
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{LowerError, Lowered, Mode, OpContext, OperandRef, Ranges, lower_op, same_elem, top_optimize};
use tpuc_ops::{Elem, Op, Program, Source, TensorType, ValueId, ValueType, tpu};
use tpuc_tensor::{DType, Tensor, WeightStore};

/// A value of one or more lowered networks. Operands have smaller numbers than what is computed from them.
pub struct Node {
    /// Of what is computed: the same op over the same tensors has the same number, also where ranges are expected that differ.
    pub id: u64,
    /// As the lowered network calls it. A layer that is lowered to several ops may bear another name than in the Top network.
    pub name: String,
    pub ty: TensorType,
    pub source: NodeSource,
}

pub enum NodeSource {
    /// An input of the network: its number.
    Input(usize),
    Op { runner: Arc<Runner>, operands: Vec<Option<Arc<Node>>> },
}

impl Node {
    fn layout(&self) -> Layout {
        match &self.source {
            NodeSource::Input(_) => Layout::RowMajor,
            NodeSource::Op { runner, .. } => runner.layout(),
        }
    }

    pub fn operands(&self) -> impl Iterator<Item = &Arc<Node>> {
        let list = match &self.source {
            NodeSource::Input(_) => &[][..],
            NodeSource::Op { operands, .. } => operands,
        };
        list.iter().flatten()
    }

    /// About the bytes of scratch memory that computing it takes.
    pub fn scratch_bytes(&self) -> usize {
        let NodeSource::Op { runner, operands } = &self.source else { return 0 };
        let given: Vec<Option<(Layout, usize)>> = operands.iter().map(|o| o.as_ref().map(|n| (n.layout(), n.bytes()))).collect();
        runner.scratch_bytes(&given)
    }

    /// Bytes of the tensor.
    pub fn bytes(&self) -> usize {
        match &self.source {
            NodeSource::Input(_) => self.ty.count().max(0) as usize * 4,
            NodeSource::Op { runner, .. } => runner.bytes(),
        }
    }
}

/// A lowered network.
#[derive(Clone)]
pub struct Network {
    /// By node of the Top program: the value that computes its first result.
    pub layers: Vec<Option<Arc<Node>>>,
    /// What the network returns, in f32.
    pub outputs: Vec<Arc<Node>>,
}

impl Network {
    /// All that its outputs are computed from, and they themselves.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        let mut seen = HashSet::new();
        let mut stack: Vec<&Arc<Node>> = self.outputs.iter().collect();
        let mut nodes = Vec::new();
        while let Some(node) = stack.pop() {
            if seen.insert(node.id) {
                nodes.push(Arc::clone(node));
                stack.extend(node.operands());
            }
        }
        nodes
    }
}

/// How nodes are told apart.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Input(usize, String),
    Cast { operand: u64, elem: String },
    /// A node of what a layer became.
    Op { variant: u64, node: usize, operands: Vec<Option<u64>> },
    /// A node of a program that is not made of settings.
    Own { node: usize, operands: Vec<Option<u64>> },
}

/// What a layer became once, and from what.
struct Variant {
    id: u64,
    op: Op,
    mode: Mode,
    operands: Vec<(ValueType, Elem, Option<Arc<Tensor>>)>,
    result: TensorType,
    lowered: Arc<Lowered>,
    constants: Vec<Arc<Tensor>>,
    used: u64,
}

impl Variant {
    fn is_of(&self, context: &OpContext) -> bool {
        let same_weight = |a: &Option<Arc<Tensor>>, b: &Option<Arc<Tensor>>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        };
        let same_operands = self.operands.len() == context.operands.len()
            && self.operands.iter().zip(&context.operands).all(|((ty, computed, weight), b)| *ty == b.ty && *computed == b.computed && same_weight(weight, &b.weight));
        self.mode == context.mode && same_operands && self.result == context.result && self.op == *context.op
    }
}

/// Builds networks, and remembers nodes and what layers became.
pub struct Graphs {
    runners: Runners,
    /// Casts from integers to half floats leave their results in f32.
    unrounded_casts: bool,
    nodes: HashMap<Key, (Arc<Node>, u64)>,
    /// Numbers of results, by runner and operands. A runner's address is not another one's as long as it is looked at from here.
    results: HashMap<(usize, Vec<Option<u64>>), (u64, Weak<Runner>)>,
    variants: HashMap<String, Vec<Variant>>,
    next: u64,
    /// Counts the networks that were built.
    built: u64,
}

/// Nodes and variants that none of so many networks before needed are forgotten.
const REMEMBERED: u64 = 12;

impl Graphs {
    pub fn new(options: Options, unrounded_casts: bool) -> Graphs {
        Graphs { runners: Runners::new(options), unrounded_casts, nodes: HashMap::new(), results: HashMap::new(), variants: HashMap::new(), next: 0, built: 0 }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The network of a setting: what [`Target::mixed_program`] gives for it. `given` replaces what nodes of the Top program
    /// compute.
    pub fn network(&mut self, target: Target, setting: &Setting, given: &HashMap<usize, Arc<Node>>) -> Result<Network, QuantError> {
        self.built += 1;
        let table = CalibrationTable::new(Default::default(), setting.rows.iter().map(Row::as_written));
        let mut ranges = Ranges::from_table(target.program, &table, target.chip)?;
        ranges.propagate(target.program, target.chip);
        let (program, weights) = top_optimize(&ranges.annotate(target.program), target.weights, target.chip)?;
        let modes: HashMap<&str, Mode> = (0..target.program.nodes.len()).map(|n| (target.program.node_name(n), setting.modes[n])).collect();
        let given: HashMap<&str, &Arc<Node>> = given.iter().map(|(&n, node)| (target.program.node_name(n), node)).collect();
        let mut wiring = Wiring { graphs: self, program: &program, values: vec![None; program.values.len()], casts: HashMap::new() };
        wiring.inputs()?;
        for node in 0..program.nodes.len() {
            if let (Some(&given), Some(&result)) = (given.get(program.node_name(node)), program.nodes[node].results.first()) {
                wiring.values[result.index()] = Some(Arc::clone(given));
                continue;
            }
            let asked = modes.get(program.node_name(node)).copied().unwrap_or(Mode::Int8);
            let mut context = OpContext::of(&program, &weights, node, target.chip, target.chip.layer_mode(asked))?;
            for (operand, id) in context.operands.iter_mut().zip(&program.nodes[node].operands) {
                operand.computed = wiring.values[id.index()].as_ref().map_or(operand.computed, |n| n.ty.elem);
            }
            wiring.layer(node, &context)?;
        }
        let outputs = program.outputs.iter().map(|&id| wiring.wanted(id, &Elem::F32)).collect::<Result<Vec<_>, _>>()?;
        let values = wiring.values;
        let by_name: HashMap<&str, &Arc<Node>> = program.nodes.iter().filter_map(|n| n.results.first()).filter_map(|&r| Some((program.value(r).name.as_str(), values[r.index()].as_ref()?))).collect();
        let layers = (0..target.program.nodes.len()).map(|n| by_name.get(target.program.node_name(n)).map(|n| Arc::clone(n))).collect();
        self.forget();
        Ok(Network { layers, outputs })
    }

    /// A program that is lowered already, as a network; layers are those of `top`, found by their names.
    pub fn own(&mut self, top: &Program, program: &Program, weights: &WeightStore) -> Result<Network, QuantError> {
        self.built += 1;
        let mut wiring = Wiring { graphs: self, program, values: vec![None; program.values.len()], casts: HashMap::new() };
        wiring.inputs()?;
        for (index, node) in program.nodes.iter().enumerate() {
            wiring.own(index, node, weights)?;
        }
        let values = wiring.values;
        let names = program.names();
        let layers = (0..top.nodes.len()).map(|n| names.get(top.node_name(n)).and_then(|id| values[id.index()].clone())).collect();
        let outputs = program.outputs.iter().filter_map(|id| values[id.index()].clone()).collect();
        Ok(Network { layers, outputs })
    }

    /// What the layer becomes; lowered once.
    fn variant(&mut self, context: &OpContext) -> Result<(u64, Arc<Lowered>, Vec<Arc<Tensor>>), LowerError> {
        let built = self.built;
        if let Some(found) = self.variants.get_mut(context.name).and_then(|list| list.iter_mut().find(|v| v.is_of(context))) {
            found.used = built;
            return Ok((found.id, Arc::clone(&found.lowered), found.constants.clone()));
        }
        let mut lowered = lower_op(context)?;
        let constants: Vec<Arc<Tensor>> = lowered.weights.iter_mut().map(|w| Arc::new(std::mem::replace(&mut w.data, Tensor::f32(&[0], Vec::new()).expect("no elements")))).collect();
        let variant = Variant {
            id: self.number(),
            op: context.op.clone(),
            mode: context.mode,
            operands: context.operands.iter().map(|o| (o.ty.clone(), o.computed, o.weight.clone())).collect(),
            result: context.result.clone(),
            lowered: Arc::new(lowered),
            constants,
            used: built,
        };
        let found = (variant.id, Arc::clone(&variant.lowered), variant.constants.clone());
        self.variants.entry(context.name.to_owned()).or_default().push(variant);
        Ok(found)
    }

    fn node(&mut self, key: Key, name: &str, make: impl FnOnce(&mut Runners, u64) -> Result<(TensorType, NodeSource), QuantError>) -> Result<Arc<Node>, QuantError> {
        let built = self.built;
        if let Some((node, used)) = self.nodes.get_mut(&key) {
            *used = built;
            return Ok(Arc::clone(node));
        }
        let (ty, source) = make(&mut self.runners, built)?;
        let next = self.number();
        let id = match &source {
            NodeSource::Input(_) => next,
            NodeSource::Op { runner, operands } => {
                let of = (Arc::as_ptr(runner) as usize, operands.iter().map(|o| o.as_ref().map(|n| n.id)).collect());
                self.results.entry(of).or_insert_with(|| (next, Arc::downgrade(runner))).0
            }
        };
        let node = Arc::new(Node { id, name: name.to_owned(), ty, source });
        self.nodes.insert(key, (Arc::clone(&node), built));
        Ok(node)
    }

    fn forget(&mut self) {
        if let Some(oldest) = self.built.checked_sub(REMEMBERED) {
            self.forget_before(oldest);
        }
    }

    /// Forgets all that the last network does not need.
    pub fn forget_others(&mut self) {
        self.forget_before(self.built.saturating_sub(1));
    }

    fn forget_before(&mut self, oldest: u64) {
        self.nodes.retain(|key, (_, used)| *used > oldest || matches!(key, Key::Own { .. }));
        for list in self.variants.values_mut() {
            list.retain(|v| v.used > oldest);
        }
        self.runners.forget(oldest);
        self.results.retain(|_, (_, runner)| runner.strong_count() > 0);
    }
}

/// One network while it is built.
struct Wiring<'a> {
    graphs: &'a mut Graphs,
    program: &'a Program,
    /// By value of the program: where it is computed.
    values: Vec<Option<Arc<Node>>>,
    casts: HashMap<(usize, String), Arc<Node>>,
}

impl Wiring<'_> {
    fn inputs(&mut self) -> Result<(), QuantError> {
        for (index, &input) in self.program.inputs.iter().enumerate() {
            let ty = self.program.tensor_type(input).cloned().unwrap_or_else(|| TensorType::f32(&[]));
            let node = self.graphs.node(Key::Input(index, format!("{ty:?}")), &self.program.value(input).name, |_, _| Ok((ty, NodeSource::Input(index))))?;
            self.values[input.index()] = Some(node);
        }
        Ok(())
    }

    /// Lowers a layer and wires what it becomes.
    fn layer(&mut self, index: usize, context: &OpContext) -> Result<(), QuantError> {
        let (variant, lowered, constants) = self.graphs.variant(context)?;
        let top = &self.program.nodes[index];
        let mut made: Vec<Arc<Node>> = Vec::with_capacity(lowered.nodes.len());
        for (number, new) in lowered.nodes.iter().enumerate() {
            let mut operands = Operands::default();
            for operand in &new.operands {
                match operand {
                    OperandRef::Operand { index, elem } => operands.value(self.wanted(top.operands[*index], elem)?),
                    OperandRef::Node(node) => operands.value(Arc::clone(&made[*node])),
                    OperandRef::Weight(weight) => operands.constant(&lowered.weights[*weight].ty, &constants[*weight]),
                    OperandRef::None => operands.absent(),
                }
            }
            let key = Key::Op { variant, node: number, operands: operands.ids() };
            made.push(self.op(key, &new.name, &new.op, &new.ty, operands)?);
        }
        for (&result, &by) in top.results.iter().zip(&lowered.results) {
            self.values[result.index()] = Some(Arc::clone(&made[by]));
        }
        Ok(())
    }

    /// An op of a program that is lowered already.
    fn own(&mut self, index: usize, node: &tpuc_ops::Node, weights: &WeightStore) -> Result<(), QuantError> {
        let name = self.program.node_name(index);
        let mut operands = Operands::default();
        for &id in &node.operands {
            let value = self.program.value(id);
            match (value.source, value.ty.tensor()) {
                (Source::Weight, Some(ty)) => {
                    let missing = || tpuc_interp::InterpError::MissingWeight { layer: name.into(), weight: value.name.clone() };
                    operands.constant(ty, weights.get(&value.name).ok_or_else(missing)?);
                }
                _ => match &self.values[id.index()] {
                    Some(node) => operands.value(Arc::clone(node)),
                    None => operands.absent(),
                },
            }
        }
        let Some((result, ty)) = node.results.iter().find_map(|&r| Some((r, self.program.tensor_type(r)?))) else { return Ok(()) };
        let key = Key::Own { node: index, operands: operands.ids() };
        let made = self.op(key, name, &node.op, ty, operands)?;
        self.values[result.index()] = Some(made);
        Ok(())
    }

    fn op(&mut self, key: Key, name: &str, op: &Op, ty: &TensorType, operands: Operands) -> Result<Arc<Node>, QuantError> {
        let Operands { types, constants, layouts, nodes } = operands;
        self.graphs.node(key, name, |runners, now| {
            let runner = runners.get(name, Recipe { op, result: ty, types, constants, layouts }, now)?;
            Ok((ty.clone(), NodeSource::Op { runner, operands: nodes }))
        })
    }

    /// A value in an element type: itself, or its cast.
    fn wanted(&mut self, value: ValueId, elem: &Elem) -> Result<Arc<Node>, QuantError> {
        let name = &self.program.value(value).name;
        let missing = || QuantError::Lower(LowerError::MissingThresholds { layers: vec![name.clone()] });
        let source = self.values[value.index()].clone().ok_or_else(missing)?;
        if same_elem(&source.ty.elem, elem) {
            return Ok(source);
        }
        let key = (value.index(), format!("{elem:?}"));
        if let Some(cast) = self.casts.get(&key) {
            return Ok(Arc::clone(cast));
        }
        let is_half = matches!(elem.storage(), DType::F16 | DType::BF16) && source.ty.elem.scale().is_some();
        let result = if is_half && self.graphs.unrounded_casts { Elem::F32 } else { *elem };
        let ty = TensorType::new(&source.ty.shape, result);
        let mut operands = Operands::default();
        operands.value(Arc::clone(&source));
        let cast = Key::Cast { operand: source.id, elem: key.1.clone() };
        let cast = self.op(cast, &format!("{name}_cast"), &tpu::Cast::default().into(), &ty, operands)?;
        self.casts.insert(key, Arc::clone(&cast));
        Ok(cast)
    }
}

/// The operands of an op in the forms that preparing it asks for.
#[derive(Default)]
struct Operands {
    types: Vec<ValueType>,
    constants: Vec<Option<Arc<Tensor>>>,
    layouts: Vec<Layout>,
    nodes: Vec<Option<Arc<Node>>>,
}

impl Operands {
    fn push(&mut self, ty: ValueType, constant: Option<Arc<Tensor>>, layout: Layout, node: Option<Arc<Node>>) {
        self.types.push(ty);
        self.constants.push(constant);
        self.layouts.push(layout);
        self.nodes.push(node);
    }

    fn value(&mut self, node: Arc<Node>) {
        self.push(node.ty.clone().into(), None, node.layout(), Some(node));
    }

    fn constant(&mut self, ty: &TensorType, data: &Arc<Tensor>) {
        self.push(ty.clone().into(), Some(Arc::clone(data)), Layout::RowMajor, None);
    }

    fn absent(&mut self) {
        self.push(ValueType::None, None, Layout::RowMajor, None);
    }

    fn ids(&self) -> Vec<Option<u64>> {
        self.nodes.iter().map(|n| n.as_ref().map(|n| n.id)).collect()
    }
}
