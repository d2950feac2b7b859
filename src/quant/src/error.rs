//! What can go wrong while calibrating.

use crate::network::NetworkError;

/// A sample that could not be read, from whatever supplies samples.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum QuantError {
    #[error("there are no calibration samples")]
    NoSamples,
    #[error("no samples: give a dataset or a data_list")]
    NoDataset,
    #[error("{samples} samples do not fill a batch of {batch}")]
    NoBatch { samples: usize, batch: usize },
    #[error(transparent)]
    Samples(#[from] tpuc_imageio::SampleError),
    #[error(transparent)]
    Plan(#[from] tpuc_interp::InterpError),
    #[error(transparent)]
    QuantizeTable(#[from] tpuc_lowering::qtable::QuantizeTableError),
    #[error(transparent)]
    Table(#[from] tpuc_lowering::table::TableError),
    #[error(transparent)]
    Lower(#[from] tpuc_lowering::LowerError),
    #[error("layer '{layer}' is not in the network{}", nearest.as_ref().map(|n| format!("; the nearest is '{n}'")).unwrap_or_default())]
    UnknownLayer { layer: String, nearest: Option<String> },
    #[error("sample {sample}: {source}")]
    Sample { sample: usize, what: String, source: SourceError },
    #[error("sample {sample} ({what}): tensor '{tensor}' has an element that is infinite or not a number; a threshold needs finite activations")]
    NotFinite { sample: usize, what: String, tensor: String },
    #[error("sample {sample} ({what}): {source}")]
    Run { sample: usize, what: String, source: NetworkError },
    #[error("sample {sample} ({what}) has {found} tensors, the network has {expected} inputs")]
    InputCount { sample: usize, what: String, found: usize, expected: usize },
    #[error("sample {sample} ({what}): input '{tensor}' has elements of type {found}, which do not fit into {expected}")]
    ElementType { sample: usize, what: String, tensor: String, found: tpuc_tensor::DType, expected: tpuc_tensor::DType },
    #[error("layer '{layer}': {source}")]
    Op { layer: String, source: NetworkError },
    #[error("tensor '{0}' has no statistics: no sample produced it")]
    NeverSeen(String),
    #[error("no statistics were gathered for method {0}")]
    NotGathered(&'static str),
    #[error("{option} is {found}, expected {expected}")]
    Option { option: &'static str, found: String, expected: &'static str },
    #[error("layer '{layer}': weight '{weight}' {reason}")]
    Weight { layer: String, weight: String, reason: String },
    #[error(transparent)]
    Journal(#[from] crate::search::journal::JournalError),
    #[error("post-processing: {0}")]
    PostProcess(crate::post_process::PostProcessError),
    #[error("{0}")]
    Cost(String),
    #[error("worker threads could not be started: {0}")]
    Threads(String),
}
