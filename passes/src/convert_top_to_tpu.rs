//! `convert-top-to-tpu`: every op lowered for the module's chip and mode.

use crate::ConvertTopToTpuOptions;
use crate::processor_assign::assigned;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::Attr;

pub fn run(module: &PassModule, options: &ConvertTopToTpuOptions) -> Result<(), String> {
    for (name, asked) in [
        ("qtable", !options.qtable.is_empty()),
        ("asymmetric", options.asymmetric),
        ("doWinograd", options.do_winograd),
        ("q_group_size", options.q_group_size != 0),
        ("q_symmetric", options.q_symmetric),
        ("matmul_perchannel", options.matmul_perchannel),
        ("gelu_mode", options.gelu_mode != "normal"),
    ] {
        if asked {
            return Err(format!("option {name} is not supported yet"));
        }
    }
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let (chip, mode) = assigned(&program)?;
    let (mut lowered, weights) = tpuc_lowering::lower_program(&program, &weights, chip, mode).map_err(crate::text)?;
    if !options.weight_file_name.is_empty() {
        lowered.attrs.insert("module.weight_file".into(), Attr::Str(options.weight_file_name.clone()));
    }
    module.set_program(&lowered).map_err(crate::text)?;
    if let Some(Attr::Str(file)) = lowered.attrs.get("module.weight_file") {
        module.set_weights(file, weights);
    }
    Ok(())
}
