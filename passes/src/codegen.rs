//! `codegen`: the lowered module as a bmodel.

use crate::CodegenOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;

pub fn run(module: &PassModule, options: &CodegenOptions) -> Result<(), String> {
    if options.model_file.is_empty() {
        return Err("option model_file is missing: the bmodel to write".into());
    }
    let program = module.program().map_err(crate::text)?;
    let mut weights = module.weights().map_err(crate::text)?;
    program.type_half_weights(&mut weights);
    let compiled = tpuc_codegen::compile(&program, &weights).map_err(crate::text)?;
    // Legal instructions and ordered accesses are proven before anything is written.
    compiled.timeline().map_err(crate::text)?;
    let bytes = tpuc_bmodel::write(&compiled.model(&program, &crate::timestamp())).map_err(crate::text)?;
    tpuc_tensor::file::write(Path::new(&options.model_file), &bytes).map_err(crate::text)
}
