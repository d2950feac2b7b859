//! What `run_calibration` changes in the network: `--sq`, `--smc` and `--we` before the thresholds are found, `--bc` after.

use super::arguments::Arguments;
use crate::adjusted;
use crate::cli::{self, Failure};
use crate::log::Log;
use crate::network::Network;
use crate::progress::Shown;
use std::path::PathBuf;
use tpuc_lowering::{CalibrationTable, Chip, QuantizeTable};
use tpuc_passes::new_weights;
use tpuc_quant::Request;
use tpuc_quant::correct_bias::{BiasOptions, Corrected};

/// A network under calibration, and where it is.
pub struct Adjusted {
    pub network: Network,
    /// As the user gave it.
    original: PathBuf,
    /// Files that this run has written: a network and its weights.
    written: Vec<[PathBuf; 2]>,
}

/// What can be said before any file is read.
pub fn check(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.bc {
        bias_options(arguments)?;
        Log::new("Bias_Correction", true)?;
    }
    if arguments.sq {
        Log::new("SmoothQuant", true)?;
    }
    if arguments.smc {
        Log::new("Softmax_Correction", true)?;
    }
    if arguments.we {
        Log::new("Weight_Equalization", true)?;
    } else if arguments.we_skip_limited {
        return Err(Failure::usage("--we_skip_limited belongs to --we"));
    }
    let marks = [arguments.sq.then_some("sq"), arguments.smc.then_some("smc"), arguments.we.then_some("we"), arguments.bc.then_some("bc")];
    marks.into_iter().flatten().try_for_each(|mark| cli::check_output(&adjusted::path(&arguments.mlir, &arguments.calibration_table, mark)))
}

fn bias_options(arguments: &Arguments) -> Result<BiasOptions, Failure> {
    let available = || Chip::ALL.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
    let chip = Chip::find(&arguments.chip).map_err(|_| Failure::usage(format!("--bc needs the INT8 network, which this version does not make for --chip {}; it does for: {}", arguments.chip, available())))?;
    let similarity = |option: &str, value: f64| if value.is_finite() && value <= 1.0 { Ok(value) } else { Err(Failure::usage(format!("{option}: {value} is no similarity: at most 1"))) };
    if arguments.bc_inference_num < 0 {
        return Err(Failure::usage(format!("--bc_inference_num: {} is negative", arguments.bc_inference_num)));
    }
    Ok(BiasOptions {
        chip,
        compare: arguments.global_compare_layers.parse().map_err(|e| Failure::usage(format!("--global_compare_layers: {e}")))?,
        expected_cos: similarity("--expected_cos", arguments.expected_cos)?,
        min_layer_cos: similarity("--min_layer_cos", arguments.min_layer_cos)?,
        ..BiasOptions::default()
    })
}

impl Adjusted {
    /// Changes weights as asked for. From then on `arguments.mlir` is the new network.
    pub fn start(arguments: &mut Arguments, network: Network, request: &Request) -> Result<Adjusted, Failure> {
        let mut adjusted = Adjusted { network, original: arguments.mlir.clone(), written: Vec::new() };
        if arguments.sq {
            adjusted.smooth(arguments, request)?;
        }
        if arguments.smc {
            adjusted.correct_softmax(arguments, request)?;
        }
        if arguments.we {
            adjusted.equalize(arguments)?;
        }
        Ok(adjusted)
    }

    fn smooth(&mut self, arguments: &mut Arguments, request: &Request) -> Result<(), Failure> {
        let mut log = Log::new("SmoothQuant", arguments.quiet)?;
        let session = self.session(request.clone())?;
        let shown = Shown::start(arguments.quiet);
        let found = tpuc_passes::smooth_quant::smooth(&self.network.program, &self.network.weights, session.loader(), request.threads);
        drop(shown);
        let found = found.map_err(Failure::Work)?;
        for (index, layer) in found.layers.iter().enumerate() {
            log.info(&format!("smooth op {index} {}: {}, loss {:e} -> {:e}", layer.layer, layer.readers.join(", "), layer.loss[0], layer.loss[1]));
        }
        log.write()?;
        if found.layers.is_empty() {
            eprintln!("run_calibration: warning: --sq: no normalization is read by matrix products with constant weights only; no weights changed");
            return Ok(());
        }
        (self.network.program, self.network.weights) = (found.program, found.weights);
        self.replaced(arguments, "sq")
    }

    fn correct_softmax(&mut self, arguments: &mut Arguments, request: &Request) -> Result<(), Failure> {
        let mut log = Log::new("Softmax_Correction", arguments.quiet)?;
        let session = self.session(request.clone())?;
        let shown = Shown::start(arguments.quiet);
        let found = tpuc_passes::correct_softmax::correct(&self.network.program, &self.network.weights, session.loader(), request.threads);
        drop(shown);
        let found = found.map_err(Failure::Work)?;
        found.corrected.iter().enumerate().for_each(|(index, layer)| log.info(&format!("correct softmax op {index} {layer}")));
        log.write()?;
        if found.corrected.is_empty() {
            eprintln!("run_calibration: warning: --smc: no softmax is the left operand of a matrix product alone; nothing changed");
            return Ok(());
        }
        (self.network.program, self.network.weights) = (found.program, found.weights);
        self.replaced(arguments, "smc")
    }

    fn session(&self, request: Request) -> Result<tpuc_quant::Session, Failure> {
        tpuc_passes::calibrate::open(&self.network.program, &self.network.weights, request).map_err(Failure::Work)
    }

    fn equalize(&mut self, arguments: &mut Arguments) -> Result<(), Failure> {
        let mut log = Log::new("Weight_Equalization", arguments.quiet)?;
        let equalized = tpuc_quant::equalize::equalize(&self.network.program, &self.network.weights, arguments.we_skip_limited).map_err(Failure::work)?;
        equalized.log().iter().for_each(|line| log.info(line));
        log.write()?;
        match equalized.limit_warning() {
            Some(warning) => eprintln!("run_calibration: warning: {warning} (--we_skip_limited leaves them alone)"),
            None if equalized.pairs.is_empty() => eprintln!("run_calibration: warning: --we: no convolution is followed by another one alone; no weights changed"),
            None => {}
        }
        if equalized.pairs.is_empty() {
            return Ok(());
        }
        self.network.weights = equalized.weights;
        self.replaced(arguments, "we")
    }

    /// The network got new weights: it is written under a new name, which `arguments` takes over.
    fn replaced(&mut self, arguments: &mut Arguments, mark: &str) -> Result<(), Failure> {
        new_weights::rename(&mut self.network.program, mark, "").map_err(Failure::Work)?;
        let path = adjusted::path(&arguments.mlir, &arguments.calibration_table, mark);
        let weights = adjusted::write(&self.network, &path)?;
        self.written.push([path.clone(), weights]);
        arguments.mlir = path;
        Ok(())
    }

    /// The name of the user's network, if this one is another.
    pub fn original(&self) -> Option<String> {
        (!self.written.is_empty()).then(|| adjusted::file_name(&self.original))
    }

    /// After the thresholds were found and written: corrects biases where that is asked for. True if thresholds must be found again.
    pub fn correct(&mut self, arguments: &mut Arguments, request: &Request) -> Result<bool, Failure> {
        if !std::mem::replace(&mut arguments.bc, false) {
            return Ok(false);
        }
        let corrected = self.corrected(arguments, request)?;
        let changed = corrected.changed();
        if changed {
            (self.network.program, self.network.weights) = (corrected.program, corrected.weights);
            self.replaced(arguments, "bc")?;
        }
        Ok(changed)
    }

    fn corrected(&self, arguments: &Arguments, request: &Request) -> Result<Corrected, Failure> {
        let mut log = Log::new("Bias_Correction", arguments.quiet)?;
        let mut options = BiasOptions { threads: request.threads, ..bias_options(arguments)? };
        if let Some(path) = arguments.quantize_table.as_ref().filter(|p| p.exists()) {
            options.float_layers = Some(QuantizeTable::read(path).map_err(|e| Failure::work(format!("{}: {e}", path.display())))?);
        }
        let table = CalibrationTable::read(&arguments.calibration_table).map_err(|e| Failure::work(format!("{}: {e}", arguments.calibration_table.display())))?;
        let samples = Request { input_num: arguments.bc_inference_num as usize, ..request.clone() };
        let session = self.session(samples)?;
        let shown = Shown::start(arguments.quiet);
        let corrected = tpuc_passes::correct_bias::correct(&self.network.program, &self.network.weights, &table, session.loader(), &options);
        drop(shown);
        let corrected = corrected.map_err(Failure::Work)?;
        corrected.log(&arguments.mlir.display().to_string(), options.expected_cos).iter().for_each(|line| log.info(line));
        log.write()?;
        if let (Some(before), Some(together)) = (corrected.int8_cos, corrected.together_cos.filter(|t| corrected.int8_cos.is_some_and(|b| *t < b))) {
            eprintln!("run_calibration: warning: all corrections together make the outputs less similar to the float ones: {together:.6} instead of {before:.6}");
        }
        Ok(corrected)
    }

    /// Says where the new network is, and takes away what it replaced.
    pub fn finish(mut self, arguments: &Arguments) -> Result<(), Failure> {
        let Some([network, weights]) = self.written.pop() else { return Ok(()) };
        for file in self.written.into_iter().flatten() {
            std::fs::remove_file(&file).map_err(|e| Failure::work(format!("{}: {}", file.display(), tpuc_tensor::file::io_reason(&e))))?;
        }
        if !arguments.quiet {
            println!("{}, {}: the network that the table belongs to; {} is unchanged", network.display(), weights.display(), self.original.display());
        }
        Ok(())
    }
}
