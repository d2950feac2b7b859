//! Every pass of the compiler, one file a pass, declared with its options in `Passes.td`.
//!
//! A pass gets the module, looks at it as a flat [`tpuc_ops::Program`], and replaces the module's content by a rewritten
//! one. `tpuc-opt` runs passes by name; the command-line programs run the same pipelines in their own process.

mod arithmetic_to_scale;
pub mod calibrate;
mod codegen;
mod const_arithmetic;
mod convert_top_to_tpu;
pub mod correct_bias;
pub mod correct_softmax;
mod edit;
mod equalize_weights;
mod export_calibration_table;
mod export_quantize_table;
mod fold_batch_norm;
mod fold_constants;
mod fp_forward;
mod fuse_activation;
mod fuse_bias;
mod fuse_concat;
mod fuse_depth2_space;
mod fuse_group_norm;
mod fuse_pad;
mod fuse_permute;
mod fuse_preprocess;
mod fuse_relu;
mod fuse_same;
mod fuse_slice;
mod fuse_tile;
mod gather_to_slice;
mod import_calibration_table;
mod import_quantize_table;
mod inputs;
mod interp_to_upsample;
mod merge_const;
mod merge_conv;
mod merge_scale;
pub mod mixed;
mod move_relu;
pub mod new_weights;
mod processor_assign;
mod processor_top_optimize;
mod progress;
mod qtable_by_similarity;
mod reduce_to_pool;
mod shape_infer;
pub mod samples;
mod search_qtable;
mod sensitive_layers;
mod simplify_reshape;
pub mod smooth_quant;
mod split_to_slice;
mod strip_io_quant;

pub use inputs::{net_inputs, preprocess};
pub use progress::{set_progress, tell as tell_progress};

use std::sync::Once;
use tpuc_dialects::pass::{OptionSpec, PassSpec, register};

include!(concat!(env!("OUT_DIR"), "/passes.rs"));

/// The pipeline that an imported network goes through: `model_transform` runs it.
pub const TOP_PIPELINE: &str = "builtin.module(top-fold-constants,top-split-to-slice,top-gather-to-slice,top-simplify-reshape,top-fuse-permute,top-fuse-depth2space,top-fuse-group-norm,\
     top-fuse-slice,top-fuse-concat,top-fuse-same,top-reduce-to-pool,top-interp-to-upsample,top-fuse-tile,top-fuse-pad,top-fold-batchnorm,top-fuse-bias,top-const-arithmetic,top-arithmetic-to-scale,top-merge-scale,top-merge-const,top-fuse-activation,top-move-relu,top-fuse-relu,top-merge-conv,shape-infer)";

/// Makes the passes known by name. Any number of calls.
pub fn register_all() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| PASSES.iter().for_each(register));
}

fn parse_option<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("option {name}: '{value}' is not a valid value"))
}

/// An error of any room as the text of a diagnostic.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What files say they were written by.
pub fn version() -> String {
    format!("tpuc {}", env!("CARGO_PKG_VERSION"))
}

/// The time (UTC) as `YYYY-MM-DD HH:MM:SS`; `SOURCE_DATE_EPOCH` fixes it for reproducible files.
pub fn timestamp() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|s| s.parse::<u64>().ok());
    let seconds = fixed.unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let (days, rest) = ((seconds / 86400) as i64, seconds % 86400);
    // Civil date from days since 1970-01-01, by 400-year eras that begin in March.
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}
