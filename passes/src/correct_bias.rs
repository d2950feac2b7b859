//! `top-correct-bias`: takes back by biases what quantization shifts the results of convolutions by.
//!
//! The work is [`tpuc_quant::correct_bias`]'s; [`correct`] finds the samples, for the command line too.

use crate::{CorrectBiasOptions, new_weights, progress};
use std::path::{Path, PathBuf};
use tpuc_dialects::pass::PassModule;
use tpuc_imageio::samples::{Loader, Samples};
use tpuc_lowering::{CalibrationTable, Chip, QuantizeTable};
use tpuc_ops::Program;
use tpuc_quant::correct_bias::{BiasOptions, Corrected, correct_bias};
use tpuc_tensor::WeightStore;

/// Where samples are and how many are used (0: all).
#[derive(Debug, Clone, Default)]
pub struct SampleChoice {
    /// Folder, or empty.
    pub dataset: PathBuf,
    /// List, or empty; wins over the folder.
    pub data_list: PathBuf,
    pub input_num: usize,
}

impl SampleChoice {
    /// The samples, ready to be loaded as a program's inputs.
    pub fn loader(&self, program: &Program) -> Result<Loader, String> {
        let samples = match (self.data_list.as_os_str().is_empty(), self.dataset.as_os_str().is_empty()) {
            (false, _) => Samples::from_data_list(&self.data_list, self.input_num),
            (true, false) => Samples::from_dataset(&self.dataset, self.input_num),
            (true, true) => return Err("no samples: give a dataset or a data_list".into()),
        };
        let loader = Loader::new(samples.map_err(crate::text)?, crate::net_inputs(program)?).map_err(crate::text)?;
        if loader.groups() == 0 {
            return Err("the samples do not fill a single batch".into());
        }
        Ok(loader)
    }
}

/// Corrects the biases of a Top program that was calibrated with `table`.
pub fn correct(program: &Program, weights: &WeightStore, table: &CalibrationTable, samples: &Loader, options: &BiasOptions) -> Result<Corrected, String> {
    correct_bias(program, weights, table, samples, options, &progress::tell).map_err(crate::text)
}

pub fn run(module: &PassModule, options: &CorrectBiasOptions) -> Result<(), String> {
    if options.table.is_empty() {
        return Err("option table is missing: the calibration table".into());
    }
    let count = |name: &str, value: i64| usize::try_from(value).map_err(|_| format!("option {name}: {value} is negative"));
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let table = CalibrationTable::read(Path::new(&options.table)).map_err(|e| format!("{}: {e}", options.table))?;
    let samples = SampleChoice { dataset: PathBuf::from(&options.dataset), data_list: PathBuf::from(&options.data_list), input_num: count("input-num", options.input_num)? };
    let mut bias = BiasOptions {
        chip: Chip::find(&options.chip).map_err(|e| format!("option chip: {e}"))?,
        expected_cos: options.expected_cos,
        min_layer_cos: options.min_layer_cos,
        ..BiasOptions::default()
    };
    if !options.qtable.is_empty() {
        bias.float_layers = Some(QuantizeTable::read(Path::new(&options.qtable)).map_err(|e| format!("{}: {e}", options.qtable))?);
    }
    if options.threads != 0 {
        bias.threads = count("threads", options.threads)?;
    }
    let corrected = correct(&program, &weights, &table, &samples.loader(&program)?, &bias)?;
    if !corrected.changed() {
        return Ok(());
    }
    new_weights::replace(module, corrected.program, corrected.weights, "bc", &options.weight_file)
}
