//! Programs through code generation: the simulator against the interpreter, and the vendor's simulator (where
//! TPUC_BMRT_DIR says where its libraries are) against ours.
#![allow(clippy::unwrap_used)]

mod active;
mod deconv;
mod floats;
mod attention;
mod kit;
mod movement;
mod network;
mod preprocess;
