//! Who looks at tensors while a network runs.

use crate::view::TensorView;
use std::ops::ControlFlow;
use tpuc_ops::ValueId;

/// How an observer wants a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Nothing,
    /// Every element once, in whatever order it stands in memory: costs nothing.
    AnyOrder,
    RowMajor,
}

/// Sees the results of nodes right after they are computed, in execution order.
pub trait Observer {
    fn wants(&self, value: ValueId) -> Want;

    /// `Break` ends the run early.
    fn tensor(&mut self, value: ValueId, view: TensorView<'_>) -> ControlFlow<()>;
}

/// Looks at nothing.
pub struct Ignore;

impl Observer for Ignore {
    fn wants(&self, _: ValueId) -> Want {
        Want::Nothing
    }

    fn tensor(&mut self, _: ValueId, _: TensorView<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Any closure over row-major tensors; false ends the run.
impl<F: FnMut(ValueId, TensorView<'_>) -> bool> Observer for F {
    fn wants(&self, _: ValueId) -> Want {
        Want::RowMajor
    }

    fn tensor(&mut self, value: ValueId, view: TensorView<'_>) -> ControlFlow<()> {
        if self(value, view) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
