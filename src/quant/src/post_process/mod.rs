//! What is done to a network's outputs before they are compared: decoding of boxes, for example.

pub mod detect;
pub mod library;
mod process;
pub mod python;

use crate::evaluator::Named;
use detect::{DetectOptions, Detector};
use std::path::Path;
use std::time::Duration;

/// Why outputs could not be processed: for the user, who wrote the program that did it.
pub type PostProcessError = Box<dyn std::error::Error + Send + Sync>;

/// Turns outputs into what is compared. It is called from several threads.
pub trait PostProcess: Sync {
    fn apply(&self, outputs: Vec<Named>) -> Result<Vec<Named>, PostProcessError>;

    /// How alike two results are, -1 to 1, where the cosine of their tensors is no measure of that.
    fn cosine(&self, float: &[Named], own: &[Named]) -> Option<f64> {
        let _ = (float, own);
        None
    }
}

/// The post-process that an option names: a built-in (`yolov5`, with options behind a colon), a shared
/// library, or a Python file. `input` is the shape of
/// the network's first input, `timeout` how long one call of a user's program may take.
pub fn open(named: &str, input: &[usize], timeout: Duration) -> Result<Box<dyn PostProcess>, PostProcessError> {
    match DetectOptions::parse(named) {
        Some(options) => Ok(Box::new(Detector::new(options?, input)?)),
        None if library::is_one(Path::new(named)) => Ok(Box::new(library::start(Path::new(named), timeout)?)),
        None => Ok(Box::new(python::start(Path::new(named), timeout)?)),
    }
}

/// Checks what can be checked without starting anything: the options of a built-in, or that the file is there.
pub fn check(named: &str) -> Result<(), PostProcessError> {
    match DetectOptions::parse(named) {
        Some(options) => Ok(options.map(|_| ())?),
        None if Path::new(named).is_file() => Ok(()),
        None => Err(format!("{named}: no such file, and no built-in: {}", detect::FAMILIES.map(|f| f.0).join(", ")).into()),
    }
}
