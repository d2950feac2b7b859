//! `processor-top-optimize`: rewrites of Top that the module's chip asks for.

use crate::ProcessorTopOptimizeOptions;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::Attr;

pub fn run(module: &PassModule, _options: &ProcessorTopOptimizeOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let (optimized, weights) = tpuc_lowering::top_optimize(&program, &weights, crate::processor_assign::chip_or_default(&program)?).map_err(crate::text)?;
    if optimized == program {
        return Ok(());
    }
    module.set_program(&optimized).map_err(crate::text)?;
    if let Some(Attr::Str(file)) = optimized.attrs.get("module.weight_file") {
        module.set_weights(file, weights);
    }
    Ok(())
}
