//! An execution plan as a network that can be calibrated.

use crate::network::{ElementOrder, Network, NetworkError, PreparedOp};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use tpuc_interp::{Executor, Observer, Plan, PreparedNode, Slice, TensorView, Want};
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::Tensor;

/// A plan and the executors that are not running just now: their buffers serve the next sample.
pub struct PlanNetwork {
    plan: Arc<Plan>,
    idle: Mutex<Vec<Executor>>,
}

impl PlanNetwork {
    /// The plan should be built for one thread: samples run side by side.
    pub fn new(plan: impl Into<Arc<Plan>>) -> PlanNetwork {
        PlanNetwork { plan: plan.into(), idle: Mutex::new(Vec::new()) }
    }
}

impl PlanNetwork {
    /// Bytes of activations of a run.
    pub fn activation_bytes(&self) -> usize {
        self.plan.activation_bytes()
    }

    /// Bytes of activations that no run uses just now.
    pub fn idle_bytes(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len() * self.activation_bytes()
    }

    /// Forgets the buffers of runs that are over.
    pub fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// An executor that is not running just now.
    fn take(&self) -> Result<Executor, NetworkError> {
        let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(match taken {
            Some(executor) => executor,
            None => self.plan.executor()?,
        })
    }

    fn give_back(&self, executor: Executor) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(executor);
    }

    /// Runs the network and keeps some tensors, as floats in row-major order: quantized ones times their scale.
    pub fn tensors(&self, inputs: &[Tensor], wanted: &[ValueId]) -> Result<Vec<Vec<f32>>, NetworkError> {
        let mut executor = self.take()?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let mut keep = Keep { wanted, found: vec![None; wanted.len()], failed: None };
        executor.run(&inputs, &mut keep)?;
        self.give_back(executor);
        match keep.failed {
            Some(error) => Err(error),
            None => keep.found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| "a tensor was not computed".into()),
        }
    }
}

struct Keep<'a> {
    wanted: &'a [ValueId],
    found: Vec<Option<Vec<f32>>>,
    failed: Option<NetworkError>,
}

impl Observer for Keep<'_> {
    fn wants(&self, id: ValueId) -> Want {
        if self.wanted.contains(&id) { Want::RowMajor } else { Want::Nothing }
    }

    fn tensor(&mut self, id: ValueId, view: TensorView<'_>) -> ControlFlow<()> {
        match view.to_f32() {
            Ok(tensor) => {
                for (_, found) in self.wanted.iter().zip(&mut self.found).filter(|(w, _)| **w == id) {
                    *found = Some(tensor.to_f32());
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.failed = Some(error.into());
                ControlFlow::Break(())
            }
        }
    }
}

struct Watch<'a> {
    want: Want,
    observe: &'a mut dyn FnMut(ValueId, &[f32]) -> bool,
}

impl Observer for Watch<'_> {
    fn wants(&self, _: ValueId) -> Want {
        self.want
    }

    fn tensor(&mut self, value: ValueId, view: TensorView<'_>) -> ControlFlow<()> {
        let go_on = match view.elements {
            Slice::F32(elements) => (self.observe)(value, elements),
            // Integers only occur in lowered networks, whose tensors have their scales already.
            Slice::I8(_) | Slice::U8(_) | Slice::I32(_) => view.to_f32().is_ok_and(|t| (self.observe)(value, t.as_f32().unwrap_or_default())),
        };
        if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Network for PlanNetwork {
    fn program(&self) -> &Program {
        self.plan.program()
    }

    fn run(&self, inputs: &[Tensor], order: ElementOrder, observe: &mut dyn FnMut(ValueId, &[f32]) -> bool) -> Result<(), NetworkError> {
        let mut executor = self.take()?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let want = match order {
            ElementOrder::Any => Want::AnyOrder,
            ElementOrder::RowMajor => Want::RowMajor,
        };
        executor.run(&inputs, &mut Watch { want, observe })?;
        self.give_back(executor);
        Ok(())
    }

    fn prepare(&self, node: usize) -> Result<Box<dyn PreparedOp + '_>, NetworkError> {
        Ok(Box::new(self.plan.prepare_node(node)?))
    }

    fn prepare_near(&self, node: usize) -> Result<Option<Box<dyn PreparedOp + '_>>, NetworkError> {
        Ok(self.plan.prepare_node_near(node)?.map(|op| Box::new(op) as Box<dyn PreparedOp>))
    }
}

impl PreparedOp for PreparedNode {
    fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), NetworkError> {
        PreparedNode::run(self, operands, results).map_err(Into::into)
    }
}
