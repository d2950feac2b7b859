//! `import-quantize-table`: the modes of a table become attributes of the ops.

use crate::ImportQuantizeTableOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::QuantizeTable;

pub fn run(module: &PassModule, options: &ImportQuantizeTableOptions) -> Result<(), String> {
    if options.file.is_empty() {
        return Err("option file is missing: the quantize table".into());
    }
    let table = QuantizeTable::read(Path::new(&options.file)).map_err(|e| format!("{}: {e}", options.file))?;
    let mut program = module.program().map_err(crate::text)?;
    let (modes, unknown) = table.modes(&program, options.ignore_unknown_layers).map_err(|e| format!("{}: {e}", options.file))?;
    if !unknown.is_empty() && !options.quiet {
        eprintln!("warning: {}: {} of {} layers are not in the network and are skipped", options.file, unknown.len(), table.rows.len());
    }
    for (node, mode) in modes.into_iter().enumerate() {
        if let Some(mode) = mode {
            let layer = program.node_name(node).to_owned();
            if !program.nodes[node].op.set_quantize_mode(Some(mode.name().to_owned())) {
                return Err(format!("{}: layer '{layer}' ({}) has no mode", options.file, program.nodes[node].op.name()));
            }
        }
    }
    module.set_program(&program).map_err(crate::text)
}
