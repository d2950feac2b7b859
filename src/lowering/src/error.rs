//! Why a program cannot be lowered.

use crate::chip::Mode;
use tpuc_ops::OpError;

/// An op that has no form on the chip in this mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedOp {
    pub layer: String,
    /// `top.Clip`
    pub op: &'static str,
    /// What about it is not supported.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LowerError {
    #[error("{chip} {mode}: {} unsupported: {}", count(ops.len(), "op is", "ops are"), tpuc_tensor::text::grouped(ops.iter().map(|o| (o.layer.as_str(), o.op, o.reason.as_str())), |layer, op, reason| format!("'{layer}' ({op}: {reason})")))]
    Unsupported { chip: &'static str, mode: Mode, ops: Vec<UnsupportedOp> },
    #[error("no threshold for {}: {}; calibrate, or give a calibration table that has them", count(layers.len(), "layer", "layers"), quoted(layers))]
    MissingThresholds { layers: Vec<String> },
    #[error("chip {chip} has no mode {mode}; it has {}", modes.iter().map(|m| m.name()).collect::<Vec<_>>().join(", "))]
    Mode { chip: &'static str, mode: Mode, modes: &'static [Mode] },
    #[error("chip {chip} has no zero points: asymmetric quantization is for {}", crate::Chip::ALL.iter().filter(|c| c.has_zero_points()).map(|c| c.name).collect::<Vec<_>>().join(", "))]
    ZeroPoints { chip: &'static str },
    #[error("layer '{layer}': weight '{weight}' is not in the weight file")]
    MissingWeight { layer: String, weight: String },
    #[error("layer '{layer}': weight '{weight}' has {found} elements, expected {expected}")]
    WeightSize { layer: String, weight: String, expected: i64, found: usize },
    #[error("layer '{layer}': weight '{weight}' holds {value} at element {index}; weights must be finite")]
    NotFinite { layer: String, weight: String, index: usize, value: f32 },
    #[error(transparent)]
    Op(#[from] OpError),
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ")
}
