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
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut executor = match taken {
            Some(executor) => executor,
            None => self.plan.executor()?,
        };
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let want = match order {
            ElementOrder::Any => Want::AnyOrder,
            ElementOrder::RowMajor => Want::RowMajor,
        };
        executor.run(&inputs, &mut Watch { want, observe })?;
        idle().push(executor);
        Ok(())
    }

    fn prepare(&self, node: usize) -> Result<Box<dyn PreparedOp + '_>, NetworkError> {
        Ok(Box::new(self.plan.prepare_node(node)?))
    }
}

impl PreparedOp for PreparedNode {
    fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), NetworkError> {
        PreparedNode::run(self, operands, results).map_err(Into::into)
    }
}
