//! The networks that quantization is judged by: what a Top network becomes on a chip in INT8 and in the chip's float type.

use std::collections::HashMap;
use tpuc_lowering::{CalibrationTable, Chip, LowerError, Mode, Ranges, lower_mixed, lower_program, top_optimize};
use tpuc_ops::Program;
use tpuc_tensor::{DType, WeightStore};

/// The float mode of a chip: that of the ops which it cannot do in integers.
pub fn float_mode(chip: &Chip) -> Mode {
    match chip.fallback {
        DType::F16 => Mode::F16,
        DType::BF16 => Mode::BF16,
        _ => Mode::F32,
    }
}

/// The network in the chip's float type. A chip without rules for that type gets the Top network itself, in f32.
pub fn float(top: &Program, weights: &WeightStore, chip: &Chip) -> Result<(Program, WeightStore), LowerError> {
    let mode = float_mode(chip);
    if !chip.modes.contains(&mode) {
        return Ok((top.clone(), weights.clone()));
    }
    let (top, weights) = top_optimize(top, weights)?;
    lower_program(&top, &weights, chip, mode)
}

/// A Top network with the ranges of a calibration table, ready to be lowered.
pub struct Calibrated {
    program: Program,
    /// Modes of layers that do not run in 8 bits, by name.
    modes: HashMap<String, Mode>,
}

impl Calibrated {
    /// Errors: rows of layers that the network has not.
    pub fn new(top: &Program, table: &CalibrationTable, modes: HashMap<String, Mode>) -> Result<Calibrated, tpuc_lowering::table::TableError> {
        let mut ranges = Ranges::from_table(top, table)?;
        ranges.propagate(top);
        Ok(Calibrated { program: ranges.annotate(top), modes })
    }

    /// The INT8 network with these weights.
    pub fn int8(&self, weights: &WeightStore, chip: &Chip) -> Result<(Program, WeightStore), LowerError> {
        let (program, weights) = top_optimize(&self.program, weights)?;
        lower_mixed(&program, &weights, chip, Mode::Int8, |node| self.modes.get(program.node_name(node)).copied().unwrap_or(Mode::Int8))
    }
}
