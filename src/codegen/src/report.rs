//! How long each layer takes, by the cost model.

/// Estimated cycles of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCost {
    pub layer: String,
    /// Cycles in which the layer's commands keep at least one engine busy.
    pub cycles: u64,
}
