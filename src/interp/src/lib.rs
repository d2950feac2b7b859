//! Runs a [`Program`](tpuc_ops::Program): Top networks in f32, Tpu networks in the integers of the chip.
//!
//! A [`Plan`] is built once: a flat list of steps with prepared kernels, and buffers shared by liveness. Any number of
//! [`Executor`]s run over one plan, each with its own buffers, so that samples run in parallel threads while the prepared weights
//! exist once. An [`Observer`] sees every tensor while it is alive. A single node runs alone as a [`PreparedNode`], with other
//! weights or attributes if need be; a part of a network runs with [`Executor::run_part`]. Who wants
//! to schedule by himself chains [`Runner`]s.

mod add;
mod affine;
mod attention;
mod binary;
mod cast;
mod choice;
mod conv;
mod deconv;
mod error;
mod executor;
mod integer;
mod kernel;
mod matmul;
mod movement;
mod node;
mod norm;
mod observer;
mod pad;
mod plan;
mod pool;
mod preprocess;
mod reduce;
mod relu;
mod requant;
mod reshape;
mod resize;
mod runner;
mod softmax;
mod structure;
mod unary;
mod view;

pub use tpuc_ops::Family;
pub use error::InterpError;
pub use executor::Executor;
pub use node::PreparedNode;
pub use integer::eight_bit_table;
pub use observer::{Ignore, Observer, Want};
pub use plan::Plan;
pub use runner::{Activation, Memory, Runner};
pub use tpuc_kernels::Layout;
pub use view::{Scaling, Slice, TensorView};

/// The order in which float convolutions add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatOrder {
    /// Whatever is fastest. Results differ from the reference's in the last bits.
    Fast,
    /// The fastest one for convolutions of many products ([`LARGE`]), the reference's for others.
    FastWhereLarge,
    /// The reference's: a matrix product over unfolded windows. Where the reference's tensors were made with the same
    /// instructions, they are equal to the bit, and so are thresholds found from them. Somewhat slower where dense kernels
    /// larger than 1 take most of the time.
    #[default]
    Reference,
}

/// So many products take longer than everything else that a layer needs.
pub const LARGE: usize = 1 << 26;

/// How a plan is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads that one run uses. 1 where several executors run at once; all cores for a single image.
    pub threads: usize,
    pub order: FloatOrder,
    /// Whose integer arithmetic. [`Plan::new`] takes that of the program's chip.
    pub family: Family,
}

impl Default for Options {
    fn default() -> Options {
        Options { threads: 1, order: FloatOrder::Reference, family: Family::Bm1684x }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod integer_tests;
#[cfg(test)]
mod tests;
