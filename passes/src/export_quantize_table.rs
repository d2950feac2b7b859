//! `export-quantize-table`: the modes that ops carry, as a table.

use crate::ExportQuantizeTableOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{Mode, QuantizeRow, QuantizeTable};

pub fn run(module: &PassModule, options: &ExportQuantizeTableOptions) -> Result<(), String> {
    if options.file.is_empty() {
        return Err("option file is missing: the quantize table to write".into());
    }
    let program = module.program().map_err(crate::text)?;
    let mut rows = Vec::new();
    for node in 0..program.nodes.len() {
        if let Some(word) = program.nodes[node].op.quantize_mode() {
            let name = program.node_name(node).to_owned();
            let mode: Mode = word.parse().map_err(|e| format!("layer '{name}': {e}"))?;
            rows.push(QuantizeRow { name, mode, line: 0 });
        }
    }
    let table = QuantizeTable { comments: vec![format!("generated time: {}", crate::timestamp()), format!("total layers: {}", rows.len())], rows };
    tpuc_tensor::file::write(Path::new(&options.file), table.to_text().as_bytes()).map_err(crate::text)
}
