//! `export-calibration-table`: the thresholds that result types carry, as a table.

use crate::ExportCalibrationTableOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::table::{CalibrationTable, Header, Row};
use tpuc_ops::{Elem, Program};

pub fn run(module: &PassModule, options: &ExportCalibrationTableOptions) -> Result<(), String> {
    if options.file.is_empty() {
        return Err("option file is missing: the calibration table to write".into());
    }
    let program = module.program().map_err(crate::text)?;
    let rows = rows(&program);
    if rows.is_empty() {
        return Err("no layer of the module has a threshold".into());
    }
    let header = Header { version: crate::version(), mlir: program.name.clone(), time: format!("{}.000000", crate::timestamp()), ..Default::default() };
    CalibrationTable::new(header, rows).write(Path::new(&options.file)).map_err(crate::text)
}

/// A row for every tensor whose type has a range.
pub fn rows(program: &Program) -> Vec<Row> {
    let results = program.nodes.iter().flat_map(|n| n.results.iter());
    results
        .filter_map(|&id| match program.tensor_type(id)?.elem {
            Elem::Calibrated { min, max, .. } => Some(Row { name: program.value(id).name.clone(), threshold: min.abs().max(max.abs()), min, max }),
            Elem::Plain(_) | Elem::Uniform { .. } => None,
        })
        .collect()
}
