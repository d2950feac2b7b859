//! What can be wrong with a program, its weights or its inputs.

use tpuc_kernels::KernelError;
use tpuc_ops::OpError;
use tpuc_tensor::DType;

/// A program cannot be prepared or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InterpError {
    #[error(transparent)]
    Op(#[from] OpError),
    #[error("layer '{layer}': {source}")]
    Kernel { layer: String, source: KernelError },
    #[error("layer '{layer}': {op} {reason}")]
    Unsupported { layer: String, op: &'static str, reason: String },
    #[error("layer '{layer}': weight '{weight}' is not in the weight file")]
    MissingWeight { layer: String, weight: String },
    #[error("layer '{layer}': weight '{weight}' has {found}, expected {expected}")]
    Weight { layer: String, weight: String, expected: String, found: String },
    #[error("expected {expected} input tensors, found {found}")]
    InputCount { expected: usize, found: usize },
    #[error("no input tensor for '{name}'")]
    MissingInput { name: String },
    #[error("tensor '{name}' has shape {found:?}, expected {expected:?}")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("tensor '{name}' holds {found}, expected {expected}")]
    Type { name: String, expected: DType, found: DType },
    #[error("node {node} does not exist: the program has {count}")]
    NoNode { node: usize, count: usize },
    #[error("value '{name}' is needed to run from node {node} on, but was not given")]
    NotGiven { name: String, node: usize },
}

impl From<KernelError> for InterpError {
    fn from(source: KernelError) -> InterpError {
        InterpError::Kernel { layer: String::new(), source }
    }
}

impl InterpError {
    /// The same error with the layer that it concerns, if it did not know.
    pub(crate) fn at(self, name: &str) -> InterpError {
        match self {
            InterpError::Kernel { layer, source } if layer.is_empty() => InterpError::Kernel { layer: name.into(), source },
            InterpError::Unsupported { layer, op, reason } if layer.is_empty() => InterpError::Unsupported { layer: name.into(), op, reason },
            InterpError::Weight { layer, weight, expected, found } if layer.is_empty() => InterpError::Weight { layer: name.into(), weight, expected, found },
            other => other,
        }
    }
}
