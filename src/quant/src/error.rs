//! What can go wrong while calibrating.

/// A sample that could not be read, from whatever supplies samples.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum QuantError {
    #[error("there are no calibration samples")]
    NoSamples,
    #[error("{samples} samples were asked for, the data has {available}")]
    TooManySamples { samples: usize, available: usize },
    #[error("sample {sample} ({what}) could not be read: {source}")]
    Sample { sample: usize, what: String, source: SourceError },
    #[error("sample {sample} ({what}): tensor '{tensor}' has an element that is infinite or not a number; a threshold needs finite activations")]
    NotFinite { sample: usize, what: String, tensor: String },
    #[error("sample {sample} ({what}): {reason}")]
    Run { sample: usize, what: String, reason: String },
    #[error("{0}")]
    Plan(String),
    #[error("tensor '{0}' has no statistics: no sample produced it")]
    NeverSeen(String),
    #[error("the statistics were gathered without method {method}; gathered: {gathered}")]
    NotGathered { method: &'static str, gathered: String },
    #[error("{option} is {found}, expected {expected}")]
    Option { option: &'static str, found: String, expected: &'static str },
}
