//! `strip-io-quant`: the casts at the network's borders are left to the caller.

use crate::StripIoQuantOptions;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::strip::{Strip, Which, strip_io_quant};
use tpuc_ops::Attr;

pub fn run(module: &PassModule, options: &StripIoQuantOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    if program.attrs.get("module.state") != Some(&Attr::Str("TPU_LOWERED".into())) {
        return Err("the module is not in the state TPU_LOWERED: run convert-top-to-tpu before".into());
    }
    let inputs = Which::parse(options.quant_input, &options.quant_input_list).map_err(|e| format!("option quant_input_list: {e}"))?;
    let outputs = Which::parse(options.quant_output, &options.quant_output_list).map_err(|e| format!("option quant_output_list: {e}"))?;
    let stripped = strip_io_quant(&program, &Strip { inputs, outputs }).map_err(crate::text)?;
    module.set_program(&stripped).map_err(crate::text)
}
