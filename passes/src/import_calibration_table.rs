//! `import-calibration-table`: thresholds of a table become ranges in the result types.

use crate::ImportCalibrationTableOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{CalibrationTable, Ranges};

pub fn run(module: &PassModule, options: &ImportCalibrationTableOptions) -> Result<(), String> {
    if options.file.is_empty() {
        return Err("option file is missing: the calibration table".into());
    }
    if options.asymmetric {
        return Err("asymmetric ranges are not supported yet".into());
    }
    let table = CalibrationTable::read(Path::new(&options.file)).map_err(crate::text)?;
    let program = module.program().map_err(crate::text)?;
    let chip = crate::processor_assign::chip_or_default(&program)?;
    let mut ranges = Ranges::from_table(&program, &table, chip).map_err(|e| format!("{}: {e}", options.file))?;
    ranges.propagate(&program, chip);
    module.set_program(&ranges.annotate(&program)).map_err(crate::text)
}
