//! `top-equalize-weights`: cross-layer weight equalization. The arithmetic is [`tpuc_quant::equalize`].

use crate::{EqualizeWeightsOptions, new_weights};
use tpuc_dialects::pass::PassModule;
use tpuc_quant::equalize::equalize;

pub fn run(module: &PassModule, options: &EqualizeWeightsOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let equalized = equalize(&program, &weights, options.skip_limited).map_err(crate::text)?;
    if let Some(warning) = equalized.limit_warning() {
        eprintln!("top-equalize-weights: warning: {warning}");
    }
    if equalized.pairs.is_empty() {
        return Ok(());
    }
    new_weights::replace(module, program, equalized.weights, "we", &options.weight_file)
}
