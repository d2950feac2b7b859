//! Networks whose weights a calibration has changed: where the new network is written, and how other commands find it.
//!
//! The user's network stays as it is. The new one stands beside the calibration table (`net.mlir` becomes `net_we.mlir`, with weights
//! `net_we_top_f32_all_weight.npz`), and the table says so in two lines: `# mlir:` names the new network, `# adjusted from:` the old
//! one. Thresholds of the new network do not fit the old one, so who is given the old one and the table takes the new one.

use crate::cli::Failure;
use crate::network::Network;
use std::path::{Path, PathBuf};
use tpuc_dialects::Module;
use tpuc_lowering::CalibrationTable;
use tpuc_ops::Attr;

/// `net.mlir` with the mark `we` beside `table`: `net_we.mlir`.
pub fn path(mlir: &Path, table: &Path, mark: &str) -> PathBuf {
    let stem = mlir.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    table.with_file_name(format!("{stem}_{mark}.mlir"))
}

/// Writes a network with its weights; returns the weights' file.
pub fn write(network: &Network, path: &Path) -> Result<PathBuf, Failure> {
    let context = tpuc_dialects::context();
    let module = Module::from_program(&context, &network.program, network.weights.clone())?;
    module.write(path)?;
    match network.program.attrs.get("module.weight_file") {
        Some(Attr::Str(file)) => Ok(path.with_file_name(file)),
        _ => Err(Failure::work(format!("{}: the network names no weight file", path.display()))),
    }
}

/// The network that a table belongs to, when `mlir` is given with it: `mlir`, or the one that was made of it. Says which in one
/// line where it is another one.
pub fn belonging(mlir: &Path, table: &Path) -> Result<PathBuf, Failure> {
    let header = match CalibrationTable::read(table) {
        Ok(found) => found.header,
        // What is wrong with the table says the one who uses it.
        Err(_) => return Ok(mlir.to_path_buf()),
    };
    let adjusted = Path::new(&header.mlir).file_name().map(|name| table.with_file_name(name));
    match (header.adjusted_from, adjusted) {
        (Some(original), Some(adjusted)) if original == file_name(mlir) && file_name(&adjusted) != original => {
            if !adjusted.is_file() {
                let text = "its weights were changed in the calibration, and the table fits them only";
                return Err(Failure::work(format!("{}: belongs to '{}', which is not beside it; {text}", table.display(), file_name(&adjusted))));
            }
            eprintln!("note: {} belongs to {}, made of {}: this is what is used", table.display(), adjusted.display(), mlir.display());
            Ok(adjusted)
        }
        _ => Ok(mlir.to_path_buf()),
    }
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
