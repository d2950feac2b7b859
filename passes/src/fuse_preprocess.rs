//! `fuse-preprocess`: pictures arrive as frames of bytes, their preprocessing is a part of the network.

use crate::FusePreprocessOptions;
use crate::processor_assign::assigned;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::Mode;

pub fn run(module: &PassModule, options: &FusePreprocessOptions) -> Result<(), String> {
    if options.align {
        return Err("option align: frames with gaps between rows are not supported yet".into());
    }
    let program = module.program().map_err(crate::text)?;
    let (_, own) = assigned(&program)?;
    let mode: Mode = match options.mode.as_str() {
        "" => own,
        word => word.parse().map_err(|e| format!("option mode: {e}"))?,
    };
    let format = match options.customization_format.as_str() {
        "" => None,
        word => Some(word.parse().map_err(|e| format!("option customization_format: {e}"))?),
    };
    let fused = tpuc_lowering::fuse_preprocess(&program, mode, format).map_err(crate::text)?;
    module.set_program(&fused).map_err(crate::text)
}
