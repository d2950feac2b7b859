//! `top-correct-bias`: takes back by biases what quantization shifts the results of convolutions by.
//!
//! The work is [`tpuc_quant::correct_bias`]'s; [`correct`] finds the samples, for the command line too.

use crate::samples::{self, SampleChoice};
use crate::{CorrectBiasOptions, new_weights, progress};
use std::path::Path;
use tpuc_dialects::pass::PassModule;
use tpuc_imageio::samples::Loader;
use tpuc_lowering::{CalibrationTable, Chip, QuantizeTable};
use tpuc_ops::Program;
use tpuc_quant::correct_bias::{BiasOptions, Corrected, correct_bias};
use tpuc_tensor::WeightStore;

/// Corrects the biases of a Top program that was calibrated with `table`.
pub fn correct(program: &Program, weights: &WeightStore, table: &CalibrationTable, samples: &Loader, options: &BiasOptions) -> Result<Corrected, String> {
    correct_bias(program, weights, table, samples, options, &progress::tell).map_err(crate::text)
}

pub fn run(module: &PassModule, options: &CorrectBiasOptions) -> Result<(), String> {
    if options.table.is_empty() {
        return Err("option table is missing: the calibration table".into());
    }
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let table = CalibrationTable::read(Path::new(&options.table)).map_err(|e| format!("{}: {e}", options.table))?;
    let choice = SampleChoice::new(&options.dataset, &options.data_list, options.input_num)?;
    let mut bias = BiasOptions {
        chip: Chip::find(&options.chip).map_err(|e| format!("option chip: {e}"))?,
        expected_cos: options.expected_cos,
        min_layer_cos: options.min_layer_cos,
        threads: samples::threads(options.threads)?,
        ..BiasOptions::default()
    };
    if !options.qtable.is_empty() {
        bias.float_layers = Some(QuantizeTable::read(Path::new(&options.qtable)).map_err(|e| format!("{}: {e}", options.qtable))?);
    }
    let corrected = correct(&program, &weights, &table, &choice.loader(&program)?, &bias)?;
    if !corrected.changed() {
        return Ok(());
    }
    new_weights::replace(module, corrected.program, corrected.weights, "bc", &options.weight_file)
}
