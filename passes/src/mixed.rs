//! What the searches of mixed precision share: how networks are compared, and how the module gets what was found.
//!
//! The searches are `tpuc_quant::search`'s. The passes `search-qtable`, `sensitive-layers` and `qtable-by-similarity` run them on a
//! module, the command-line programs on a file, with a log and a state file.

pub mod by_cost;

use crate::progress;
use std::time::Duration;
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{Chip, Mode, QuantizeTable, Ranges};
use tpuc_ops::Program;
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions};
use tpuc_quant::model::Target;
use tpuc_quant::post_process;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::{Outcome, Trials};
use tpuc_quant::similarity::ComparedLayers;
use tpuc_quant::source::SampleSource;
use tpuc_quant::{QuantError, memory};
use tpuc_tensor::WeightStore;

/// How the networks of a search are made and compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub chip: &'static Chip,
    /// The mode of layers that are not INT8.
    pub float: Mode,
    /// Tensors that are compared instead of the outputs.
    pub layers: ComparedLayers,
    /// How many samples compare.
    pub inference_num: usize,
    /// What is done to outputs before they are compared, and how long one call may take.
    pub post_process: Option<(String, Duration)>,
    /// Bytes that the process may have in memory.
    pub memory: usize,
    pub threads: usize,
    /// Layers whose modes are given and stay.
    pub fixed: Option<QuantizeTable>,
}

/// The network that is searched.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub program: &'a Program,
    pub weights: &'a WeightStore,
    /// What logs call it.
    pub mlir: &'a str,
}

impl Comparison {
    /// Runs a search on an evaluator of its own.
    pub fn search<T, E: From<QuantError>>(&self, subject: Subject, samples: &dyn SampleSource, journal: Journal, log: &dyn Fn(&str), search: impl FnOnce(&mut Trials) -> Result<T, E>) -> Result<T, E> {
        let target = Target { program: subject.program, weights: subject.weights, chip: self.chip };
        let input = subject.program.inputs.first().and_then(|&i| subject.program.tensor_type(i)).map(|t| t.dims()).unwrap_or_default();
        let open = |(named, timeout): &(String, Duration)| post_process::open(named, &input, *timeout).map_err(QuantError::PostProcess);
        let process = self.post_process.as_ref().map(open).transpose()?;
        let options = EvaluatorOptions {
            layers: self.layers.clone(),
            post_process: process.as_deref(),
            samples: self.inference_num,
            memory: self.memory,
            threads: self.threads,
            ..EvaluatorOptions::default()
        };
        let evaluator = Evaluator::new(target, samples, options)?;
        let mut trials = Trials { evaluator, journal, log, progress: &progress::tell, mlir: subject.mlir.to_owned(), float: self.float };
        search(&mut trials)
    }

    /// What is to say before a search that needs more memory than it may take; `tuning` samples tune thresholds.
    pub fn short_of_memory(&self, program: &Program, weights: &WeightStore, tuning: usize) -> Option<String> {
        let needed = memory::needed(program, weights, tuning);
        let least = || (memory::resident() + needed) / 16 * 17;
        if least() > self.memory / 3 {
            // What is freed should not count any longer than it must.
            memory::collect();
        }
        let least = least();
        (least > self.memory).then(|| format!("{} MiB are too few, about {} MiB are needed and will be taken", self.memory >> 20, (least >> 20) + 1))
    }

    /// The program with the modes and the thresholds of a result: lowered for the chip, it is the network that was scored.
    pub fn annotated(&self, program: &Program, outcome: &Outcome) -> Result<Program, String> {
        let table = CalibrationTable::new(Default::default(), outcome.rows.iter().map(Row::as_written));
        let mut ranges = Ranges::from_table(program, &table, self.chip).map_err(crate::text)?;
        ranges.propagate(program, self.chip);
        let mut annotated = ranges.annotate(program);
        for &layer in &outcome.layers {
            let mode = self.mode(program.node_name(layer));
            annotated.nodes[layer].op.set_quantize_mode(Some(mode.name().to_owned()));
        }
        Ok(annotated)
    }

    /// The mode of a layer that is not INT8.
    fn mode(&self, layer: &str) -> Mode {
        let fixed = self.fixed.iter().flat_map(|t| &t.rows).find(|row| row.name == layer);
        fixed.map_or(self.float, |row| row.mode)
    }

    /// The quantize table of a result, as the documents show it.
    pub fn table(&self, program: &Program, outcome: &Outcome, samples: usize) -> QuantizeTable {
        let names = outcome.layers.iter().map(|&l| program.node_name(l).to_owned());
        let mut table = QuantizeTable::documented(&crate::timestamp(), Some(samples), self.chip, self.float, names);
        table.rows.iter_mut().for_each(|row| row.mode = self.mode(&row.name));
        if outcome.mixed.is_none() {
            table.comments.push(format!("INT8 is good enough: outputs_cos {:.6}", outcome.int8));
        } else if outcome.layers.is_empty() {
            table.comments.push(format!("no float layers: outputs_cos {:.6} in INT8", outcome.int8));
        }
        table
    }
}

/// Options of a pass that say how networks are compared, as text.
pub(crate) struct Words<'a> {
    pub chip: &'a str,
    pub fp_type: &'a str,
    pub layers: &'a str,
    pub inference_num: i64,
    pub post_process: &'a str,
    pub post_process_timeout: i64,
    pub memory: &'a str,
    pub threads: i64,
}

impl Words<'_> {
    pub(crate) fn comparison(&self, program: &Program) -> Result<Comparison, String> {
        let chip = match self.chip {
            "" => crate::processor_assign::chip_or_default(program)?,
            name => Chip::find(name).map_err(crate::text)?,
        };
        Ok(Comparison {
            chip,
            float: chip.float_mode(self.fp_type).map_err(|e| format!("option fp-type: {e}"))?,
            layers: self.layers.parse().map_err(|e| format!("option global-compare-layers: {e}"))?,
            inference_num: count("inference-num", self.inference_num, 1)?,
            post_process: (!self.post_process.is_empty()).then(|| Ok::<_, String>((self.post_process.to_owned(), Duration::from_secs(count("post-process-timeout", self.post_process_timeout, 1)? as u64)))).transpose()?,
            memory: memory::budget(self.memory).map_err(|e| format!("option memory: {e}"))?,
            threads: crate::samples::threads(self.threads)?,
            fixed: None,
        })
    }
}

/// The [`Comparison`] that a pass's options ask for; they go by the same names in every search.
macro_rules! comparison {
    ($options:expr, $program:expr, $samples:expr) => {
        $crate::mixed::Words {
            chip: &$options.chip,
            fp_type: &$options.fp_type,
            layers: &$options.global_compare_layers,
            inference_num: $samples,
            post_process: &$options.post_process,
            post_process_timeout: $options.post_process_timeout,
            memory: &$options.memory,
            threads: $options.threads,
        }
        .comparison($program)
    };
}
pub(crate) use comparison;

/// The calibration that the options of a pass ask for.
macro_rules! request {
    ($options:expr, $comparison:expr) => {
        tpuc_quant::Request {
            dataset: (&$options.dataset).into(),
            data_list: (&$options.data_list).into(),
            tune_list: (&$options.tune_list).into(),
            debug: tpuc_quant::DebugCommand::parse(&$options.debug_cmd).map_err(|e| format!("option debug-cmd: {e}"))?,
            input_num: $crate::mixed::count("input-num", $options.input_num, 0)?,
            tune_num: $crate::mixed::count("tune-num", $options.tune_num, 0)?,
            histogram_bins: $crate::mixed::count("histogram-bin-num", $options.histogram_bin_num, 2)?,
            threads: $comparison.threads,
            memory: $comparison.memory,
            ..Default::default()
        }
    };
}
pub(crate) use request;

/// Says before the work that there is less memory than it takes, where a limit was asked for.
pub(crate) fn warn_of_memory(pass: &str, option: &str, comparison: &Comparison, subject: Subject, tuning: i64) {
    let short = comparison.short_of_memory(subject.program, subject.weights, tuning.max(0) as usize);
    if let Some(short) = short.filter(|_| !option.is_empty()) {
        eprintln!("{pass}: warning: option memory: {short}");
    }
}

/// A number that an option gives, at least `least`.
pub(crate) fn count(option: &str, value: i64, least: usize) -> Result<usize, String> {
    usize::try_from(value).ok().filter(|&v| v >= least).ok_or_else(|| format!("option {option}: {value} should be at least {least}"))
}

/// The modes that ops have already.
pub(crate) fn modes(program: &Program) -> Result<Vec<Option<Mode>>, String> {
    let of = |node: usize| program.nodes[node].op.quantize_mode().map(|word| word.parse().map_err(|e| format!("layer '{}': {e}", program.node_name(node)))).transpose();
    (0..program.nodes.len()).map(of).collect()
}

/// An error if an op has a mode already: this search starts from INT8.
pub(crate) fn check_no_modes(program: &Program) -> Result<(), String> {
    match program.nodes.iter().position(|n| n.op.quantize_mode().is_some()) {
        Some(node) => Err(format!("layer '{}' has the mode {} already; this search decides all of them", program.node_name(node), program.nodes[node].op.quantize_mode().unwrap_or_default())),
        None => Ok(()),
    }
}

/// The rows with which a search begins: a table's, or those of the types.
pub(crate) fn rows(program: &Program, file: &str) -> Result<Vec<Row>, String> {
    if file.is_empty() {
        let rows = crate::export_calibration_table::rows(program);
        return if rows.is_empty() { Err("no thresholds: run top-calibrate before, or give the option calibration-table".into()) } else { Ok(rows) };
    }
    let table = CalibrationTable::read(std::path::Path::new(file)).map_err(crate::text)?;
    table.check_layers(program.names().keys().copied()).map_err(|e| format!("{file}: {e}"))?;
    Ok(table.rows().to_vec())
}

/// What a pass says of its result.
pub(crate) fn say(pass: &str, program: &Program, outcome: &Outcome, quiet: bool) {
    if quiet {
        return;
    }
    match outcome.mixed {
        None => eprintln!("{pass}: outputs_cos {:.6} in INT8, good enough", outcome.int8),
        Some(mixed) => eprintln!("{pass}: {} of {} layers in float, outputs_cos {mixed:.6} (INT8 {:.6})", outcome.layers.len(), program.nodes.len(), outcome.int8),
    }
}
