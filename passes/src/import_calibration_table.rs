//! `import-calibration-table`: thresholds of a table become ranges in the result types, or minima and maxima do where integers are to have
//! zero points.

use crate::ImportCalibrationTableOptions;
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{CalibrationTable, LowerError, Ranges};
use tpuc_ops::Attr;

pub fn run(module: &PassModule, options: &ImportCalibrationTableOptions) -> Result<(), String> {
    if options.file.is_empty() {
        return Err("option file is missing: the calibration table".into());
    }
    let table = CalibrationTable::read(Path::new(&options.file)).map_err(crate::text)?;
    let mut program = module.program().map_err(crate::text)?;
    let chip = crate::processor_assign::chip_or_default(&program)?;
    if options.asymmetric && !chip.has_zero_points() {
        return Err(crate::text(LowerError::ZeroPoints { chip: chip.name }));
    }
    if options.asymmetric {
        program.attrs.insert("module.asymmetric".into(), Attr::Bool(true));
    }
    let mut ranges = Ranges::from_table(&program, &table, chip).map_err(|e| format!("{}: {e}", options.file))?;
    ranges.propagate(&program, chip);
    module.set_program(&ranges.annotate(&program)).map_err(crate::text)
}
