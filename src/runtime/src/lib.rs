//! Running compiled models.
//!
//! [`Runner`] is what the tools see: named tensors in, named tensors out. [`Machine`] executes a bmodel inside this process,
//! given a [`Processor`]; [`Bmrt`] hands the file to the vendor's runtime, which serves the vendor's emulator and real boards
//! alike, in a child process. A program that uses `Bmrt` calls [`child_main_if_requested`] first thing in its `main`.

mod bm1684x;
mod bmrt;
mod child;
mod error;
mod image;
mod io;
mod protocol;
mod schedule;
mod simulator;
mod static_memory;

pub use bm1684x::{Bm1684x, Simulator};
pub use bmrt::{Bmrt, BmrtOptions, LIBRARY_DIR_VARIABLE};
pub use child::child_main_if_requested;
pub use error::RunError;
pub use schedule::{Deadlock, Engine, Order, schedule};
pub use simulator::{Decoded, Machine, Processor, SimulatorOptions};
pub use static_memory::static_memory;
pub use io::{NamedTensor, Runner, TensorInfo, dequantize, dequantize_all, quantize};
