//! `shape-infer`: result shapes from operand shapes; the network's operation count.

use crate::ShapeInferOptions;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::Attr;

pub fn run(module: &PassModule, _options: &ShapeInferOptions) -> Result<(), String> {
    module.infer_shapes()?;
    let mut program = module.program().map_err(crate::text)?;
    program.attrs.insert("module.FLOPs".into(), Attr::I64(module.flops()));
    // Rewriting the module makes the function's type that of its results again.
    module.set_program(&program).map_err(crate::text)
}
