//! From a program to a flat list of steps over shared buffers.

use crate::error::InterpError;
use crate::reshape;
use crate::kernel::{Kernel, Request, check_size, is_alias, prepare, widened};
use crate::node::PreparedNode;
use crate::view::{self, ElementType, Slice};
use crate::{Executor, Options};
use std::ops::Range;
use std::sync::Arc;
use tpuc_kernels::threads::Team;
use tpuc_kernels::{KernelError, Layout};
use tpuc_ops::{Family, Op, Program, Source, TensorType, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

/// A program made ready to run. It is immutable; executors share it.
pub struct Plan {
    pub(crate) program: Arc<Program>,
    pub(crate) options: Options,
    pub(crate) steps: Vec<Step>,
    pub(crate) slots: Vec<Slot>,
    /// Bytes of each buffer.
    pub(crate) buffers: Vec<usize>,
    /// By node: its steps, conversions of operands first.
    pub(crate) node_steps: Vec<Range<usize>>,
    /// By program input and output: the slot that holds it in row-major order.
    pub(crate) input_slots: Vec<usize>,
    pub(crate) output_slots: Vec<usize>,
    /// By value: its data, of weights only.
    constants: Vec<Option<Arc<Tensor>>>,
}

/// A value in one layout in a buffer.
pub(crate) struct Slot {
    pub value: ValueId,
    pub shape: Vec<usize>,
    pub element: ElementType,
    pub layout: Layout,
    pub buffer: usize,
    /// The slot whose memory this one is: itself, unless it is another view of the same elements.
    pub root: usize,
    /// Filled before this step runs (0: before any).
    pub first: usize,
    /// The last step that reads it, if any.
    pub last: Option<usize>,
}

impl Slot {
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn bytes(&self) -> usize {
        self.count() * self.element.size()
    }
}

/// What a step does; `result` is a slot.
pub(crate) struct Step {
    pub node: usize,
    pub action: Action,
    pub result: usize,
}

pub(crate) enum Action {
    /// Runs a kernel.
    Compute { kernel: Box<dyn Kernel>, operands: Vec<Operand> },
    /// Copies a slot into another layout.
    Convert { from: usize },
    /// Nothing: the result is the memory of another slot.
    Alias { from: usize },
}

pub(crate) enum Operand {
    Skipped,
    Slot(usize),
    /// A weight in the layout that the kernel reads.
    Constant(Arc<Tensor>),
}

impl Plan {
    /// Prepares every op: brings weights into the order of the kernels, chooses layouts, assigns buffers. The program is
    /// checked first; errors name the layer.
    pub fn new(program: impl Into<Arc<Program>>, weights: &WeightStore, options: Options) -> Result<Plan, InterpError> {
        let program = program.into();
        program.check()?;
        let constants = constants(&program, weights)?;
        let options = Options { family: Family::of_module(&program.attrs), ..options };
        let _team = Team::of(options.threads);
        let mut builder = Builder { program: &program, options, constants: &constants, steps: Vec::new(), slots: Vec::new(), of_value: vec![Vec::new(); program.values.len()] };
        let input_slots = program.inputs.iter().map(|&id| builder.define(id, Layout::RowMajor, None, "input")).collect::<Result<Vec<_>, _>>()?;
        let mut node_steps = Vec::with_capacity(program.nodes.len());
        for node in 0..program.nodes.len() {
            let start = builder.steps.len();
            builder.node(node).map_err(|e| e.at(program.node_name(node)))?;
            node_steps.push(start..builder.steps.len());
        }
        let output_slots = program.outputs.iter().map(|&id| builder.preferred(id)).collect::<Result<Vec<_>, _>>()?;
        let Builder { steps, mut slots, .. } = builder;
        let buffers = assign_buffers(&mut slots, steps.len(), &output_slots);
        Ok(Plan { options, steps, slots, buffers, node_steps, input_slots, output_slots, constants, program })
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    pub fn options(&self) -> Options {
        self.options
    }

    /// Something to run this plan with; one per thread.
    pub fn executor(self: &Arc<Plan>) -> Result<Executor, InterpError> {
        Executor::new(Arc::clone(self))
    }

    /// Bytes that one executor needs for activations.
    pub fn activation_bytes(&self) -> usize {
        self.buffers.iter().sum()
    }

    /// The tensors of the program's inputs from named ones: under the argument's name, or that of the Input op behind it.
    pub fn inputs_named<'t>(&self, find: impl Fn(&str) -> Option<&'t Tensor>) -> Result<Vec<&'t Tensor>, InterpError> {
        let users = self.program.users();
        let one = |&id: &ValueId| {
            let argument = self.program.value(id).name.as_str();
            let ops = users[id.index()].iter().filter(|&&n| matches!(self.program.nodes[n].op, Op::TopInput(_)));
            let mut names: Vec<&str> = ops.map(|&n| self.program.node_name(n)).collect();
            names.push(argument);
            let found = names.iter().find_map(|name| find(name));
            found.ok_or_else(|| InterpError::MissingInput { name: names[0].to_owned() })
        };
        self.program.inputs.iter().map(one).collect()
    }

    /// One node, ready to run alone with this plan's weights.
    pub fn prepare_node(&self, node: usize) -> Result<PreparedNode, InterpError> {
        self.prepare_node_with(node, &[])
    }

    /// One node, ready to run alone, whose results are near those of [`Plan::prepare_node`], in much less time: to tell operands apart,
    /// not for results. `None` for nodes that are not worth it.
    pub fn prepare_node_near(&self, node: usize) -> Result<Option<PreparedNode>, InterpError> {
        let Some(found) = self.program.nodes.get(node) else {
            return Err(InterpError::NoNode { node, count: self.program.nodes.len() });
        };
        let constants: Vec<_> = found.operands.iter().map(|id| self.constants[id.index()].clone()).collect();
        PreparedNode::near(self.program.node_name(node), &found.op, &self.program.operand_types(node), &self.program.result_types(node), &constants, self.options)
    }

    /// One node, ready to run alone; `weights` replaces the data of operands (by operand; `None` or missing: as in the plan).
    pub fn prepare_node_with(&self, node: usize, weights: &[Option<Arc<Tensor>>]) -> Result<PreparedNode, InterpError> {
        let Some(found) = self.program.nodes.get(node) else {
            return Err(InterpError::NoNode { node, count: self.program.nodes.len() });
        };
        let own = found.operands.iter().map(|id| self.constants[id.index()].clone());
        let constants: Vec<_> = own.enumerate().map(|(i, own)| weights.get(i).cloned().flatten().or(own)).collect();
        PreparedNode::new(self.program.node_name(node), &found.op, &self.program.operand_types(node), &self.program.result_types(node), &constants, self.options)
    }

    /// The data of a weight of this program.
    pub fn weight(&self, value: ValueId) -> Option<&Arc<Tensor>> {
        self.constants.get(value.index()).and_then(Option::as_ref)
    }

    /// The values that nodes from `node` on read and that are computed before it: what [`Executor::run_part`] must be given.
    pub fn live_into(&self, node: usize) -> Vec<ValueId> {
        let start = self.node_steps.get(node).map_or(self.steps.len(), |r| r.start);
        let mut values: Vec<ValueId> = self.slots.iter().filter(|s| s.first <= start && s.last.is_some_and(|last| last >= start)).map(|s| s.value).collect();
        values.sort();
        values.dedup();
        values
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan({}: {} steps, {} buffers)", self.program.name, self.steps.len(), self.buffers.len())
    }
}

/// The data of every weight that a node reads.
fn constants(program: &Program, weights: &WeightStore) -> Result<Vec<Option<Arc<Tensor>>>, InterpError> {
    let mut constants = vec![None; program.values.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        for &id in &node.operands {
            let value = program.value(id);
            if value.source != Source::Weight || constants[id.index()].is_some() {
                continue;
            }
            let missing = || InterpError::MissingWeight { layer: program.node_name(index).into(), weight: value.name.clone() };
            let tensor = weights.get(&value.name).ok_or_else(missing)?;
            let expected = value.ty.tensor().map_or(0, TensorType::count);
            if tensor.len() as i64 != expected {
                let (expected, found) = (format!("{expected} elements"), format!("shape {:?}", tensor.shape()));
                return Err(InterpError::Weight { layer: program.node_name(index).into(), weight: value.name.clone(), expected, found });
            }
            constants[id.index()] = Some(widened(tensor));
        }
    }
    Ok(constants)
}

struct Builder<'a> {
    program: &'a Program,
    options: Options,
    constants: &'a [Option<Arc<Tensor>>],
    steps: Vec<Step>,
    slots: Vec<Slot>,
    /// By value: its slots; the first is the one that its node fills.
    of_value: Vec<Vec<usize>>,
}

impl Builder<'_> {
    /// A slot for a value that the next step fills, or that shares the memory of `root`.
    fn define(&mut self, id: ValueId, layout: Layout, root: Option<usize>, what: &str) -> Result<usize, InterpError> {
        let value = self.program.value(id);
        let fail = |reason: String| InterpError::Unsupported { layer: value.name.clone(), op: "tensor", reason };
        let ty = value.ty.tensor().ok_or_else(|| fail(format!("as {what} has no type")))?;
        let element = ElementType::of(ty.elem.storage()).ok_or_else(|| fail(format!("of {} does not run", ty.elem.storage())))?;
        let shape = ty.dims();
        check_size("tensor", ty).map_err(|e| e.at(&value.name))?;
        let layout = if Layout::is_same(&shape) { Layout::RowMajor } else { layout };
        let index = self.slots.len();
        let first = if what == "input" { 0 } else { self.steps.len() + 1 };
        self.slots.push(Slot { value: id, shape, element, layout, buffer: 0, root: root.map_or(index, |r| self.slots[r].root), first, last: None });
        self.of_value[id.index()].push(index);
        Ok(index)
    }

    /// The slot that a value's node fills.
    fn preferred(&self, id: ValueId) -> Result<usize, InterpError> {
        let fail = || InterpError::Unsupported { layer: self.program.value(id).name.clone(), op: "value", reason: "is not computed by any op".into() };
        self.of_value[id.index()].first().copied().ok_or_else(fail)
    }

    /// A slot of a value in a layout; made by a conversion if there is none yet.
    fn slot_in(&mut self, node: usize, id: ValueId, layout: Layout) -> Result<usize, InterpError> {
        let from = self.preferred(id)?;
        let same = Layout::is_same(&self.slots[from].shape);
        let found = self.of_value[id.index()].iter().copied().find(|&s| same || self.slots[s].layout == layout);
        match found {
            Some(slot) => Ok(slot),
            None => {
                let result = self.define(id, layout, None, "copy")?;
                self.slots[from].last = Some(self.steps.len());
                self.steps.push(Step { node, action: Action::Convert { from }, result });
                Ok(result)
            }
        }
    }

    fn node(&mut self, index: usize) -> Result<(), InterpError> {
        let node = &self.program.nodes[index];
        // Absent results have no type.
        let present: Vec<ValueId> = node.results.iter().copied().filter(|&r| self.program.tensor_type(r).is_some()).collect();
        let [result] = present[..] else {
            return Err(InterpError::Unsupported { layer: String::new(), op: node.op.name(), reason: format!("has {} results, expected 1", present.len()) });
        };
        let is_weight = |id: ValueId| self.constants[id.index()].is_some();
        let quantizes = matches!(node.op, Op::TopInput(_)) && !reshape::is_same(self.program.tensor_type(node.operands[0]), self.program.tensor_type(result));
        if is_alias(&node.op) && !quantizes && node.operands.first().is_some_and(|&id| !is_weight(id)) {
            let from = self.slot_in(index, node.operands[0], Layout::RowMajor)?;
            self.slots[from].last = Some(self.steps.len());
            let slot = self.define(result, Layout::RowMajor, Some(from), "result")?;
            if self.slots[slot].bytes() != self.slots[from].bytes() || self.slots[slot].element != self.slots[from].element {
                return Err(InterpError::Unsupported { layer: String::new(), op: node.op.name(), reason: "needs operand and result of one type and size".into() });
            }
            self.steps.push(Step { node: index, action: Action::Alias { from }, result: slot });
            return Ok(());
        }
        let operand_types = self.program.operand_types(index);
        let constants: Vec<_> = node.operands.iter().map(|id| self.constants[id.index()].clone()).collect();
        let available: Vec<Layout> = node.operands.iter().map(|&id| self.preferred(id).map_or(Layout::RowMajor, |s| self.slots[s].layout)).collect();
        let result_type = self.program.tensor_type(result).ok_or_else(|| InterpError::Unsupported { layer: String::new(), op: node.op.name(), reason: "has no result type".into() })?;
        let prepared = prepare(&Request { op: &node.op, operands: &operand_types, result: result_type, constants: &constants, available: &available, options: self.options })?;
        let mut operands = Vec::with_capacity(node.operands.len());
        for (i, &id) in node.operands.iter().enumerate() {
            operands.push(match (prepared.operands.get(i).copied().flatten(), &constants[i]) {
                (None, _) => Operand::Skipped,
                (Some(layout), Some(tensor)) => Operand::Constant(in_layout(tensor, &operand_types[i], layout)?),
                (Some(layout), None) => Operand::Slot(self.slot_in(index, id, layout)?),
            });
        }
        for operand in &operands {
            if let Operand::Slot(slot) = *operand {
                self.slots[slot].last = Some(self.steps.len());
            }
        }
        let slot = self.define(result, prepared.result, None, "result")?;
        self.steps.push(Step { node: index, action: Action::Compute { kernel: prepared.kernel, operands }, result: slot });
        Ok(())
    }
}

/// A weight in the layout that a kernel reads, with the shape of its type.
pub(crate) fn in_layout(tensor: &Arc<Tensor>, ty: &tpuc_ops::ValueType, layout: Layout) -> Result<Arc<Tensor>, InterpError> {
    let shape = ty.tensor().map_or_else(|| tensor.shape().to_vec(), TensorType::dims);
    if layout == Layout::RowMajor || Layout::is_same(&shape) {
        return Ok(Arc::clone(tensor));
    }
    let fail = |reason: String| InterpError::from(KernelError::Geometry(reason));
    let (Some(x), Some(element)) = (Slice::of(tensor), ElementType::of(tensor.dtype())) else {
        return Err(fail(format!("a weight of {} cannot be an activation", tensor.dtype())));
    };
    let mut data = view::storage(None, element, tensor.len());
    if let Some(y) = view::data_mut(&mut data) {
        view::copy(&shape, Layout::RowMajor, x, layout, y)?;
    }
    // The shape stays the logical one; the elements are in `layout`.
    Tensor::new(&shape, data).map(Arc::new).map_err(|e| fail(e.to_string()))
}

/// Gives every root slot a buffer that nobody else uses while it lives; returns the sizes. Outputs live to the end.
fn assign_buffers(slots: &mut [Slot], steps: usize, outputs: &[usize]) -> Vec<usize> {
    let mut end = vec![0; slots.len()];
    for slot in slots.iter() {
        // A slot that nobody reads still lives while its step writes it.
        end[slot.root] = end[slot.root].max(slot.last.unwrap_or(0)).max(slot.first.saturating_sub(1));
    }
    for &output in outputs {
        end[slots[output].root] = steps;
    }
    let mut buffers: Vec<usize> = Vec::new();
    // By buffer: the last step of its present owner.
    let mut busy: Vec<usize> = Vec::new();
    for index in 0..slots.len() {
        if slots[index].root != index {
            continue;
        }
        let (bytes, first) = (slots[index].bytes(), slots[index].first);
        // Slots are in the order of `first`. Its step `first - 1` writes it while other slots may be read there.
        let free = (0..buffers.len()).filter(|&b| busy[b] + 1 < first);
        let fitting = free.clone().filter(|&b| buffers[b] >= bytes).min_by_key(|&b| buffers[b]);
        let buffer = fitting.or_else(|| free.max_by_key(|&b| buffers[b])).unwrap_or_else(|| {
            buffers.push(0);
            busy.push(0);
            buffers.len() - 1
        });
        buffers[buffer] = buffers[buffer].max(bytes);
        busy[buffer] = end[index];
        slots[index].buffer = buffer;
    }
    for index in 0..slots.len() {
        slots[index].buffer = slots[slots[index].root].buffer;
    }
    buffers
}
