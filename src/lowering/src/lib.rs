//! What an op becomes on a chip, without MLIR.
//!
//! In go a Top [`Program`](tpuc_ops::Program), its weights and the ranges of its values (a calibration table, or the
//! `!quant.calibrated` types that annotate it); out comes the Tpu program with its integer weights. The steps:
//!
//! 1. [`table`]: read or write a calibration table.
//! 2. [`top_optimize`]: rewrites that a chip asks for while the program is still float.
//! 3. [`ranges`]: thresholds to ranges, ranges carried along the graph, ranges written into the types.
//! 4. [`lower_program`]: every op lowered by [`lower_op`], casts between them.
//!
//! [`lower_op`] is a pure function of one op, so that a search can lower again only what it changed and gets exactly
//! what the pass would have made. A [`Chip`] is a description; chips of a [`Family`] share
//! their rules, a module with one file an op.

mod ahead;
mod bm1684;
mod bm1684x;
pub mod chip;
mod cv18xx;
mod error;
mod float;
mod fuse_attention;
mod fuse_preprocess;
mod integer;
mod lowered;
mod lut;
mod optimize;
mod parts;
mod preprocess;
mod program;
pub mod qtable;
mod quantize;
pub mod ranges;
mod structure;
pub mod strip;
pub mod table;
mod weight_only;

pub use ahead::{Ahead, Prepared};
pub use chip::{Chip, Family, Mode, UnknownChip, UnknownMode};
pub use error::{LowerError, UnsupportedOp};
pub use fuse_preprocess::{FuseError, fuse_preprocess};
pub use lowered::{is_asymmetric, Lowered, NewNode, NewWeight, OpContext, Operand, OperandRef, WeightGroups};
pub use optimize::top_optimize;
pub use program::{lower_mixed, lower_watched, lower_op, lower_program, same_elem, weight_file_name};
pub use qtable::{QuantizeRow, QuantizeTable};
pub use quantize::{asymmetric_elem, cast_suffix, quantized_elem};
pub use ranges::{Range, Ranges};
pub use table::CalibrationTable;
