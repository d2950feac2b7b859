//! One thread's run of a plan.

use crate::error::InterpError;
use crate::observer::{Ignore, Observer, Want};
use crate::plan::{Action, Operand, Plan};
use crate::view::{self, ElementType, Scaling, Slice, TensorView};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use tpuc_kernels::threads::Team;
use tpuc_kernels::{Buffer, KernelError, Layout, Workspace};
use tpuc_ops::{TensorType, ValueId};
use tpuc_tensor::Tensor;

/// Buffers and scratch memory to run a plan with.
pub struct Executor {
    plan: Arc<Plan>,
    buffers: Vec<Buffer>,
    workspace: Workspace,
    /// Row-major copies for observers.
    copy: Buffer,
}

impl Executor {
    pub(crate) fn new(plan: Arc<Plan>) -> Result<Executor, InterpError> {
        let buffers = plan.buffers.iter().map(|&bytes| Buffer::try_with_bytes(bytes)).collect::<Result<_, _>>()?;
        Ok(Executor { plan, buffers, workspace: Workspace::new()?, copy: Buffer::default() })
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Runs the whole network on the tensors of the program's inputs, in their order ([`Plan::inputs_named`] finds them by
    /// name). The results are the program's outputs in row-major order and their storage types; none if the observer ended the
    /// run early.
    pub fn run(&mut self, inputs: &[&Tensor], observer: &mut dyn Observer) -> Result<Vec<Tensor>, InterpError> {
        let plan = Arc::clone(&self.plan);
        if inputs.len() != plan.input_slots.len() {
            return Err(InterpError::InputCount { expected: plan.input_slots.len(), found: inputs.len() });
        }
        for (tensor, &slot) in inputs.iter().zip(&plan.input_slots) {
            let (element, name) = (plan.slots[slot].element, &plan.program.value(plan.slots[slot].value).name);
            if tensor.shape() != plan.slots[slot].shape {
                return Err(InterpError::Shape { name: name.clone(), expected: plan.slots[slot].shape.clone(), found: tensor.shape().to_vec() });
            }
            // Integers serve a float input by their values, as pictures come in bytes.
            let converted;
            let elements = if element == ElementType::F32 && tensor.as_f32().is_none() {
                converted = tensor.to_f32();
                Slice::F32(&converted)
            } else {
                Slice::of(tensor).ok_or_else(|| InterpError::Type { name: name.clone(), expected: element.dtype(), found: tensor.dtype() })?
            };
            self.load(slot, TensorView { shape: tensor.shape(), layout: Layout::RowMajor, elements, scale: None })?;
        }
        match self.steps(0..plan.steps.len(), observer)? {
            ControlFlow::Break(()) => Ok(Vec::new()),
            ControlFlow::Continue(()) => plan.output_slots.iter().map(|&slot| self.view(slot).to_tensor().map_err(|e| internal(&plan, slot, e.to_string()))).collect(),
        }
    }

    /// Every result of every node by layer name, as f32 in row-major order: quantized ones times their scale.
    pub fn run_all(&mut self, inputs: &[&Tensor]) -> Result<BTreeMap<String, Tensor>, InterpError> {
        let plan = Arc::clone(&self.plan);
        let mut tensors = BTreeMap::new();
        let mut failed = None;
        let mut keep = |id: ValueId, view: TensorView<'_>| {
            match view.to_f32() {
                Ok(tensor) => {
                    tensors.insert(plan.program.value(id).name.clone(), tensor);
                }
                Err(error) => failed = Some((id, error)),
            }
            failed.is_none()
        };
        self.run(inputs, &mut keep)?;
        match failed {
            None => Ok(tensors),
            Some((id, error)) => Err(InterpError::Kernel { layer: plan.program.value(id).name.clone(), source: KernelError::Geometry(error.to_string()) }),
        }
    }

    /// Runs some nodes only. `given` holds the values that they read and that are computed before them
    /// ([`Plan::live_into`]), in the storage types; what they compute goes to the observer. Values that an earlier run of this
    /// executor left behind are not used. True if the observer let it run to the end.
    pub fn run_part(&mut self, nodes: Range<usize>, given: &[(ValueId, TensorView<'_>)], observer: &mut dyn Observer) -> Result<bool, InterpError> {
        let plan = Arc::clone(&self.plan);
        let count = plan.program.nodes.len();
        if nodes.start > nodes.end || nodes.end > count {
            return Err(InterpError::NoNode { node: nodes.end, count });
        }
        if nodes.is_empty() {
            return Ok(true);
        }
        let steps = plan.node_steps[nodes.start].start..plan.node_steps[nodes.end - 1].end;
        for (index, slot) in plan.slots.iter().enumerate() {
            // What a step of this part reads and none of them fills.
            let is_read = plan.steps[steps.clone()].iter().any(|step| match &step.action {
                Action::Compute { operands, .. } => operands.iter().any(|o| matches!(o, Operand::Slot(s) if *s == index)),
                Action::Convert { from } | Action::Alias { from } => *from == index,
            });
            if slot.first > steps.start || !is_read {
                continue;
            }
            let missing = || InterpError::NotGiven { name: plan.program.value(slot.value).name.clone(), node: nodes.start };
            let (_, view) = given.iter().find(|(id, _)| *id == slot.value).ok_or_else(missing)?;
            self.load(index, *view)?;
        }
        Ok(self.steps(steps, observer)?.is_continue())
    }

    /// Runs the whole network for its outputs alone.
    pub fn outputs(&mut self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, InterpError> {
        self.run(inputs, &mut Ignore)
    }

    fn load(&mut self, slot: usize, view: TensorView<'_>) -> Result<(), InterpError> {
        let plan = &self.plan;
        let slot = &plan.slots[slot];
        let name = || plan.program.value(slot.value).name.clone();
        if view.shape != slot.shape || view.elements.len() != slot.count() {
            return Err(InterpError::Shape { name: name(), expected: slot.shape.clone(), found: view.shape.to_vec() });
        }
        let found = match view.elements {
            Slice::F32(_) => ElementType::F32,
            Slice::I8(_) => ElementType::I8,
            Slice::U8(_) => ElementType::U8,
            Slice::I32(_) => ElementType::I32,
        };
        if found != slot.element {
            return Err(InterpError::Type { name: name(), expected: slot.element.dtype(), found: found.dtype() });
        }
        let to = slot.element.write(&mut self.buffers[slot.buffer], slot.count());
        view::copy(&slot.shape, view.layout, view.elements, slot.layout, to).map_err(|source| InterpError::Kernel { layer: name(), source })
    }

    fn view(&self, slot: usize) -> TensorView<'_> {
        let slot = &self.plan.slots[slot];
        let scale = self.plan.program.tensor_type(slot.value).and_then(|t: &TensorType| Scaling::of(&t.elem));
        TensorView { shape: &slot.shape, layout: slot.layout, elements: slot.element.read(&self.buffers[slot.buffer], slot.count()), scale }
    }

    fn steps(&mut self, range: Range<usize>, observer: &mut dyn Observer) -> Result<ControlFlow<()>, InterpError> {
        let plan = Arc::clone(&self.plan);
        let _team = Team::of(plan.options.threads);
        for step in &plan.steps[range] {
            let slot = &plan.slots[step.result];
            let at = |source| InterpError::Kernel { layer: plan.program.node_name(step.node).to_owned(), source };
            match &step.action {
                Action::Alias { .. } => {}
                Action::Convert { from } => {
                    let mut result = std::mem::take(&mut self.buffers[slot.buffer]);
                    let from = self.view(*from);
                    let done = view::copy(&slot.shape, from.layout, from.elements, slot.layout, slot.element.write(&mut result, slot.count()));
                    self.buffers[slot.buffer] = result;
                    done.map_err(at)?;
                    // A copy is no result.
                    continue;
                }
                Action::Compute { kernel, operands } => {
                    let mut result = std::mem::take(&mut self.buffers[slot.buffer]);
                    let buffers = &self.buffers;
                    let slices: Vec<Option<Slice<'_>>> = operands
                        .iter()
                        .map(|operand| match operand {
                            Operand::Skipped => None,
                            Operand::Slot(s) => Some(plan.slots[*s].element.read(&buffers[plan.slots[*s].buffer], plan.slots[*s].count())),
                            Operand::Constant(tensor) => Slice::of(tensor),
                        })
                        .collect();
                    let done = kernel.run(&slices, slot.element.write(&mut result, slot.count()), &mut self.workspace);
                    self.buffers[slot.buffer] = result;
                    done.map_err(at)?;
                }
            }
            let flow = match observer.wants(slot.value) {
                Want::Nothing => ControlFlow::Continue(()),
                Want::RowMajor if slot.layout != Layout::RowMajor => {
                    let mut copy = std::mem::take(&mut self.copy);
                    copy.reserve_bytes(slot.count() * slot.element.size());
                    let view = self.view(step.result);
                    view::copy(&slot.shape, slot.layout, view.elements, Layout::RowMajor, slot.element.write(&mut copy, slot.count())).map_err(at)?;
                    let plain = TensorView { layout: Layout::RowMajor, elements: slot.element.read(&copy, slot.count()), ..view };
                    let flow = observer.tensor(slot.value, plain);
                    self.copy = copy;
                    flow
                }
                Want::RowMajor | Want::AnyOrder => observer.tensor(slot.value, self.view(step.result)),
            };
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn internal(plan: &Plan, slot: usize, reason: String) -> InterpError {
    InterpError::Kernel { layer: plan.program.value(plan.slots[slot].value).name.clone(), source: KernelError::Geometry(reason) }
}
