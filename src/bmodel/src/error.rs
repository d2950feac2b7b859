//! Why bytes are not a bmodel.

/// What is wrong with a file that should be a bmodel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BmodelError {
    #[error("not a bmodel: {reason}")]
    Header { reason: String },
    /// The flatbuffer or a blob reference is broken.
    #[error("broken bmodel: {place}: {reason}")]
    Broken { place: String, reason: String },
    /// The models cannot stand in one file, or a value does not fit the container.
    #[error("cannot write bmodel: {0}")]
    Write(String),
}
