//! The searches for layers that should stay in float.
//!
//! * [`qtable::search_qtable`]: losses of all layers, each with the thresholds of several methods; the worst become float
//! * [`sensitive::search`]: the same over given tables of three methods (`run_sensitive_layer`)
//! * [`fast::search`]: rounds on one sample, five layers a round (`--search fast_search`)
//! * [`optimize::optimize`]: after a ranking, a set by what it costs (`--optimize`, `--budget`)
//! * [`walk::run_qtable`]: from the inputs on, layers whose own similarity is low become float
//!
//! They stand on a [`Trials`]: an evaluator whose scores are remembered, a log and a list of what was tried.

pub mod fast;
pub mod journal;
mod layers;
pub mod optimize;
pub mod python;
pub mod qtable;
pub mod refine;
pub mod sensitive;
pub mod tables;
mod trials;
pub mod walk;

pub use layers::{LayerLoss, Table, Tried, losses, ranked, selected, written};
pub use trials::Trials;

use crate::error::QuantError;

/// What a search found: which layers shall be float, and how good that is.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Numbers of nodes, in the order of the table.
    pub layers: Vec<usize>,
    /// The calibration rows that belong to it.
    pub rows: Vec<tpuc_lowering::table::Row>,
    /// Similarity of the INT8 network; of the mixed one, unless INT8 was good enough.
    pub int8: f64,
    pub mixed: Option<f64>,
    /// Losses of the searched layers, in the network's order.
    pub losses: Vec<LayerLoss>,
    /// Numbers of float layers that were tried, with their similarity.
    pub curve: Vec<(usize, f64)>,
    /// What sets cost and bring, where costs were asked for.
    pub front: Option<optimize::Front>,
}

/// Checks an option that is a similarity of the documents' scale.
pub fn check_cos(option: &'static str, value: f64) -> Result<(), QuantError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(QuantError::Option { option, found: value.to_string(), expected: "a number from 0 to 1" }),
    }
}
