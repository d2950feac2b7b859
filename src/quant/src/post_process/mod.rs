//! What is done to a network's outputs before they are compared: decoding of boxes, for example.

pub mod python;

use crate::evaluator::Named;

/// Why outputs could not be processed: for the user, who wrote the program that did it.
pub type PostProcessError = Box<dyn std::error::Error + Send + Sync>;

/// Turns outputs into what is compared. It is called from several threads.
pub trait PostProcess: Sync {
    fn apply(&self, outputs: Vec<Named>) -> Result<Vec<Named>, PostProcessError>;
}
