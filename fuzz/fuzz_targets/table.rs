//! Calibration tables of any text; what was read is written and read again.
#![no_main]

use tpuc_lowering::table::CalibrationTable;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(table) = CalibrationTable::parse(text) {
        let again = CalibrationTable::parse(&table.to_text()).expect("what was written can be read");
        assert_eq!(again.rows().len(), table.rows().len());
    }
});
