//! MLIR on one side, plain structs on the other. The Top and Tpu dialects are declared in TableGen (`Top/`, `Tpu/`), their
//! C++ half is built by `CMakeLists.txt`; here they meet Rust: contexts that know them, modules from and to files, an op
//! as a [`tpuc_ops::Op`], a function as a [`tpuc_ops::Program`], passes whose bodies are Rust functions.
//!
//! All raw handles of MLIR that the rest of the house would otherwise touch are in `ffi` and `convert`.

pub mod arrays;
mod context;
mod convert;
pub mod driver;
mod ffi;
mod hooks;
mod module;
mod nesting;
pub mod pass;
pub mod probe;
pub mod store;
pub mod view;

pub use context::{Diagnostics, context, registry};
pub use module::{Module, ModuleError};
pub use view::{AnyView, OpView, build_op};
