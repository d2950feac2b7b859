//! The `.bmodel` container: what the vendor's runtime loads.
//!
//! A file is a 64-byte header, a flatbuffer that describes nets, and a binary section with weights and instruction words.
//! [`read`] turns bytes into a [`Model`] and trusts nothing in them; [`write`] turns a `Model` into bytes, the same
//! bytes every time. [`describe`] is the text of `model_tool --info`.

mod describe;
mod edit;
mod error;
mod flat;
mod model;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

pub use describe::{describe, describe_in_full};
pub use edit::{combine, combine_same_coeff, extract, set_weight_at, strip_kernel_module, weight_at};
pub use error::BmodelError;
pub use model::*;
pub use read::{binary_section, read, read_owned};
pub use write::write;
