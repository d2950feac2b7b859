//! `tpuc-opt`: MLIR's driver with our dialects and passes.

use crate::cli::Failure;

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    tpuc_passes::register_all();
    match tpuc_dialects::driver::opt_main(&arguments) {
        0 => Ok(()),
        // The driver has said why.
        _ => Err(Failure::Said(1)),
    }
}
