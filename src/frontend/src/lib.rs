//! Trained networks become Top programs. ONNX files are read here; what comes out is a flat [`Program`] of Top ops with
//! every static shape known, and the weights by name. Rewriting it (folding batch norms, fusing activations) is the work
//! of the passes.

pub mod input;
pub mod onnx;

pub use input::{ImportOptions, Imported, Preprocessing};

use std::path::{Path, PathBuf};

/// A network could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    File(#[from] tpuc_tensor::file::FileError),
    #[error("{}: not a valid ONNX file: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{}: cannot read models of type '{extension}'; supported: .onnx", path.display())]
    UnknownFormat { path: PathBuf, extension: String },
    /// Every unsupported op of the model with the first layer that uses it.
    #[error("unsupported ops: {}", describe_unsupported(ops))]
    Unsupported { ops: Vec<UnsupportedOp> },
    #[error("layer '{layer}' ({op}): {reason}")]
    Layer { layer: String, op: String, reason: String },
    #[error("{reason}")]
    Option { reason: String },
}

/// An op that the front end does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedOp {
    pub op: String,
    pub layer: String,
    pub count: usize,
}

fn describe_unsupported(ops: &[UnsupportedOp]) -> String {
    let each = |o: &UnsupportedOp| match o.count {
        1 => format!("{} (layer '{}')", o.op, o.layer),
        n => format!("{} ({n} layers, first '{}')", o.op, o.layer),
    };
    ops.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// Imports a network by the extension of its file.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "onnx" => onnx::import(path, options),
        _ => Err(ImportError::UnknownFormat { path: path.to_path_buf(), extension }),
    }
}
