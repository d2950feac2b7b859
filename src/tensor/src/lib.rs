//! Tensors as the rest of the house sees them: element types, dense arrays, rounding primitives, npz/npy files and the
//! store in which the weights of a module travel. Nothing here knows graphs, chips or MLIR.

pub mod dtype;
pub mod file;
pub mod npz;
pub mod round;
pub mod store;
pub mod tensor;
pub mod text;

pub use dtype::DType;
pub use store::WeightStore;
pub use tensor::{Data, Tensor};
