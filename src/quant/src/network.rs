//! What calibration needs of a network that can run.

use tpuc_ops::{Program, ValueId};
use tpuc_tensor::Tensor;

/// A network that could not run: what failed and at which layer.
pub type NetworkError = Box<dyn std::error::Error + Send + Sync>;

/// In which order the elements of an activation are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementOrder {
    /// As they stand in memory.
    Any,
    RowMajor,
}

/// A network with its weights. It runs on several threads at once.
pub trait Network: Sync {
    fn program(&self) -> &Program;

    /// Runs the whole network. `observe` is called with the elements (each once) of every result of every op, once it is
    /// computed; when that returns false the run ends early, without an error. `inputs` are the tensors of `program().inputs`.
    fn run(&self, inputs: &[Tensor], order: ElementOrder, observe: &mut dyn FnMut(ValueId, &[f32]) -> bool) -> Result<(), NetworkError>;

    /// One node, made ready to run alone many times.
    fn prepare(&self, node: usize) -> Result<Box<dyn PreparedOp + '_>, NetworkError>;

    /// The same, but that results are off by a little, at most some 2^-14 of the products that they are sums of, and come much sooner.
    /// `None` for nodes that have no such form.
    fn prepare_near(&self, _node: usize) -> Result<Option<Box<dyn PreparedOp + '_>>, NetworkError> {
        Ok(None)
    }
}

/// An op with its weights in place.
pub trait PreparedOp: Sync {
    /// Computes the results from the activations among the operands, in the node's operand order: `None` for weights and
    /// absent operands. What `results` held is replaced; its memory may be used again.
    fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), NetworkError>;
}
