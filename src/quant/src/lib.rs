//! Post-training quantization on plans, without MLIR: thresholds from calibration samples, and their tuning.
//!
//! * [`session::Session`]: a calibration from the choice of samples to the rows of a table
//! * [`calibrate::gather`]: network and samples -> the statistics of every tensor, for all methods in one pass
//! * [`statistics::Statistics::thresholds`]: the rows of a calibration table by one [`Method`]
//! * [`correct_bias::correct_bias`]: new biases that take back what quantization shifts
//! * [`evaluator::Evaluator`]: how near the outputs of a network stay, layer by layer in any mode; the searches stand on it
//! * [`equalize::equalize`]: new weights whose channels have like ranges
//! * [`fp_forward::layers`]: the layers around given ones, which shall run in float
//! * [`search`]: the layers that should stay in float
//! * [`search_threshold::search`]: the best of several methods by the INT8 network that comes of it
//! * [`tune::tune`]: raises thresholds where that brings the 8-bit ops nearer to the float ones
//!
//! A method is a module ([`kl`], [`max`], [`octav`], [`tails`], [`aciq`], [`torch`]) that turns what [`statistics`] remember of a tensor into a threshold. What a network
//! must be able to do is [`network::Network`]; samples come from a [`source::SampleSource`], for example
//! `tpuc_imageio::Loader`. Results do not depend on the number of threads.

pub mod aciq;
pub mod asymmetric;
pub mod calibrate;
pub mod candidates;
pub mod collector;
pub mod correct_bias;
pub mod correct_softmax;
pub mod debug_cmd;
pub mod equalize;
pub mod error;
pub mod float_layers;
pub mod evaluator;
pub mod fp_forward;
pub mod histogram;
mod insert;
pub mod kl;
pub mod kurtosis;
pub mod loss;
pub mod max;
pub mod measure;
pub mod memory;
pub mod method;
pub mod model;
pub mod network;
pub mod octav;
pub mod pairwise;
pub mod places;
pub mod post_process;
mod plan_network;
pub mod search;
pub mod search_threshold;
pub mod session;
pub mod simd;
pub mod similarity;
pub mod smooth_quant;
pub mod source;
pub mod statistics;
pub mod tails;
pub mod torch;
pub mod tune;

pub use candidates::Rules;
pub use calibrate::{CalibrationOptions, gather};
pub use debug_cmd::DebugCommand;
pub use error::QuantError;
pub use method::{Method, Methods};
pub use network::{ElementOrder, Network, PreparedOp};
pub use plan_network::PlanNetwork;
pub use session::{Outcome, Request, Session};
pub use source::{Progress, SampleSource, no_progress};
pub use statistics::{Statistics, Warning};
pub use tune::{TuneOptions, tune};

/// A thread for every processor.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod reference_methods;
#[cfg(test)]
mod reference_numbers;
#[cfg(test)]
mod testing;
