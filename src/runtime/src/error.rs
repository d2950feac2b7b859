//! Why a model did not run.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] tpuc_tensor::file::FileError),
    /// The bytes are not a bmodel.
    #[error(transparent)]
    Bmodel(#[from] tpuc_bmodel::BmodelError),
    /// The model is sound, but this runner cannot run it.
    #[error("cannot run the model: {0}")]
    Unsupported(String),
    /// An input does not fit the model.
    #[error("input '{name}': {reason}")]
    Input { name: String, reason: String },
    /// The vendor's libraries are not where they should be.
    #[error("vendor runtime in '{}': {reason}", folder.display())]
    Library { folder: PathBuf, reason: String },
    /// The child process that hosts the vendor's runtime failed.
    #[error("vendor runtime: {reason}{}", tail_text(tail))]
    Child { reason: String, tail: String },
    /// A command could not be executed.
    #[error("group {group}, {engine} command {index}: {reason}")]
    Command { group: usize, engine: &'static str, index: usize, reason: String },
}

fn tail_text(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; it said last: {tail}") }
}
