//! The `.bmodel` container: what the vendor's runtime loads.
//!
//! A file is a 64-byte header, a flatbuffer that describes nets, and a binary section with weights and instruction words.
//! [`read`] turns bytes into a [`Model`] and trusts nothing in them; [`write`] turns a `Model` into bytes, the same
//! bytes every time. [`describe`](describe::describe) is the text of `model_tool --info`.

mod error;
mod flat;
mod model;
mod read;
mod schema;

pub use error::BmodelError;
pub use model::*;
pub use read::{read, read_owned};
