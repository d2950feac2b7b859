//! What the searches of mixed precision share: options, log, state file, tables and the summary. The searches themselves are
//! `tpuc_quant::search`.

mod arguments;
pub mod qtable;
pub mod sensitive;
pub mod walk;

use crate::cli::{self, Failure};
use crate::network::Network;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tpuc_imageio::Loader;
use tpuc_lowering::table::{CalibrationTable, Header, Row};
use tpuc_lowering::{Chip, Mode, QuantizeTable};
use tpuc_quant::QuantError;
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions};
use tpuc_quant::model::Target;
use tpuc_quant::post_process::PostProcess;
use tpuc_quant::post_process::python::PythonProcess;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::{Outcome, Trials};
use tpuc_quant::similarity::ComparedLayers;

/// Options that every search has.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Means {
    /// Memory for samples and tensors that are kept, such as 800M or 4G; half of what is free by default
    #[arg(long)]
    pub memory: Option<String>,
    /// Go on where an interrupted search of the same network, samples and options ended
    #[arg(long)]
    pub resume: bool,
    /// A Python file with a function PostProcess(data): what it makes of the outputs (a dictionary of numpy arrays) is compared
    #[arg(long)]
    pub post_process: Option<PathBuf>,
    /// Seconds after which PostProcess is taken to hang
    #[arg(long, default_value_t = 120)]
    pub post_process_timeout: u64,
}

/// What a search failed of. The traceback of a user's program is shown as it is.
pub fn failure(error: QuantError) -> Failure {
    let QuantError::PostProcess(error) = &error else { return Failure::work(error) };
    let text = error.to_string();
    if text.contains("Traceback") {
        eprintln!("{text}");
    }
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
    Failure::work(format!("--post_process: {last}"))
}

/// The table of the thresholds that a search chose, in the folder where the command runs.
pub const NEW_TABLE: &str = "new_cali_table.txt";

/// What a search is about, checked before the work.
pub struct Job {
    /// The log's file.
    pub log: &'static str,
    pub mlir: PathBuf,
    pub quantize_table: PathBuf,
    pub chip: &'static Chip,
    pub float: Mode,
    pub layers: ComparedLayers,
    pub inference_num: usize,
    pub threads: usize,
    pub means: Means,
    pub quiet: bool,
    /// Whether thresholds are chosen as well: then they are written.
    pub new_table: bool,
    memory: usize,
}

/// The options of a job as the command line gives them.
pub struct Options<'a> {
    pub chip: &'a str,
    pub fp_type: &'a str,
    pub layers: &'a str,
}

impl Job {
    /// Checks options and whether the outputs can be written.
    #[expect(clippy::too_many_arguments)]
    pub fn new(log: &'static str, mlir: &Path, quantize_table: &Path, options: &Options, inference_num: usize, threads: usize, means: &Means, quiet: bool) -> Result<Job, Failure> {
        let chip = cli::chip(options.chip)?;
        let float = chip.float_mode(options.fp_type).map_err(|e| Failure::usage(format!("--fp_type: {e}")))?;
        let layers = options.layers.parse().map_err(|e| Failure::usage(format!("--global_compare_layers: {e}")))?;
        let memory = match &means.memory {
            Some(text) => bytes(text).ok_or_else(|| Failure::usage(format!("--memory: '{text}' should be a number of bytes, such as 800M or 4G")))?,
            None => free_memory() / 2,
        };
        cli::check_input(mlir)?;
        means.post_process.iter().try_for_each(|p| cli::check_input(p))?;
        let job = Job { log, mlir: mlir.into(), quantize_table: quantize_table.into(), chip, float, layers, inference_num, threads, means: means.clone(), quiet, new_table: true, memory };
        [quantize_table, &job.state_file(), Path::new(log), Path::new(NEW_TABLE)].into_iter().try_for_each(cli::check_output)?;
        Ok(job)
    }

    fn state_file(&self) -> PathBuf {
        let mut name = self.quantize_table.as_os_str().to_owned();
        name.push(".state");
        PathBuf::from(name)
    }

    pub fn read_network(&self) -> Result<Network, Failure> {
        let network = Network::read(&self.mlir)?;
        if network.state() != "TOP_F32" {
            return Err(Failure::work(format!("{}: a search needs a network in the state TOP_F32, this one is '{}'", self.mlir.display(), network.state())));
        }
        Ok(network)
    }

    /// The scores that are known. `options` is all that decides what is searched and how.
    fn journal(&self, network: &Network, loader: &Loader, options: &str) -> Result<Journal, Failure> {
        let mut hash = Sha256::new();
        if let Some(file) = &self.means.post_process {
            hash.update(std::fs::read(file).unwrap_or_default());
        }
        hash.update(format!("{:?} {options} {} {} {:?} {}", env!("CARGO_PKG_VERSION"), self.chip.name, self.float, self.layers, self.inference_num));
        hash.update(format!("{:?}", network.program));
        for (name, tensor) in network.weights.iter() {
            hash.update(name.as_bytes());
            tensor.to_f32().iter().for_each(|v| hash.update(v.to_bits().to_le_bytes()));
        }
        for file in loader.samples().entries().iter().flatten() {
            let found = std::fs::metadata(file).ok();
            hash.update(format!("{} {:?}", file.display(), found.map(|f| (f.len(), f.modified().ok()))));
        }
        let identity: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let path = self.state_file();
        let journal = if self.means.resume { Journal::resume(&path, &identity) } else { Journal::create(&path, &identity) };
        journal.map_err(|e| match e {
            tpuc_quant::search::journal::JournalError::OtherSearch { .. } => Failure::usage(format!("--resume: {e}")),
            other => Failure::work(other),
        })
    }

    /// Runs a search: evaluator, log and state file are made, `search` uses them, and what it finds is written.
    pub fn run(&self, network: &Network, loader: &Loader, options: &str, header: Header, search: impl FnOnce(&mut Trials) -> Result<Outcome, Failure>) -> Result<Outcome, Failure> {
        let start = Instant::now();
        let log = LiveLog::create(self.log, self.quiet)?;
        let journal = self.journal(network, loader, options)?;
        if journal.resumed > 0 && !self.quiet {
            println!("{} of the networks to try are scored already", journal.resumed);
        }
        let target = Target { program: &network.program, weights: &network.weights, chip: self.chip };
        let samples = (self.inference_num / loader.per_group()).max(1);
        let timeout = Duration::from_secs(self.means.post_process_timeout);
        let start_process = |file: &PathBuf| PythonProcess::start(file, timeout).map_err(|e| failure(QuantError::PostProcess(e)));
        let process = self.means.post_process.as_ref().map(start_process).transpose()?;
        let post_process = process.as_ref().map(|p| p as &dyn PostProcess);
        let options = EvaluatorOptions { layers: self.layers.clone(), post_process, samples, memory: self.memory, threads: self.threads, ..EvaluatorOptions::default() };
        let evaluator = Evaluator::new(target, loader, options).map_err(failure)?;
        let say = |message: &str| log.info(message);
        let mut trials = Trials { evaluator, journal, log: &say, progress: &tpuc_passes::tell_progress, mlir: self.mlir.display().to_string(), float: self.float };
        let outcome = search(&mut trials)?;
        self.write(&trials, &outcome, header)?;
        let Trials { journal, .. } = trials;
        self.say_result(&log, &outcome, start.elapsed().as_secs_f64());
        log.finish()?;
        journal.finish();
        Ok(outcome)
    }

    /// The quantize table, and the thresholds that belong to it.
    fn write(&self, trials: &Trials, outcome: &Outcome, header: Header) -> Result<(), Failure> {
        let names = outcome.layers.iter().map(|&l| trials.name(l).to_owned());
        let mut table = QuantizeTable::documented(&tpuc_passes::timestamp(), Some(trials.evaluator.samples()), self.chip, self.float, names);
        if outcome.mixed.is_none() {
            table.comments.push(format!("INT8 is good enough: outputs_cos {:.6}", outcome.int8));
        }
        tpuc_tensor::file::write(&self.quantize_table, table.to_text().as_bytes())?;
        if self.new_table {
            CalibrationTable::new(header, outcome.rows.clone()).write(Path::new(NEW_TABLE))?;
        }
        Ok(())
    }

    fn say_result(&self, log: &LiveLog, outcome: &Outcome, seconds: f64) {
        log.file_only(">>>run result:");
        if outcome.mixed.is_some() {
            log.print("run result:");
        }
        let cosine = |similarity: f64| 2.0 * similarity - 1.0;
        log.both(&format!("int8 outputs_cos:{:.6} old", outcome.int8));
        if let Some(mixed) = outcome.mixed {
            log.both(&format!("mix model outputs_cos:{mixed:.6}"));
            log.both(&format!("as plain cosine (outputs_cos is 0.5 + 0.5 cosine): int8 {:.6}, mix {:.6}", cosine(outcome.int8), cosine(mixed)));
        } else {
            log.both(&format!("as plain cosine (outputs_cos is 0.5 + 0.5 cosine): int8 {:.6}", cosine(outcome.int8)));
        }
        log.both(&format!("Output mix quantization table to {}", self.quantize_table.display()));
        log.both(&format!("total time:{seconds}"));
    }
}

/// A log that grows as the work goes on.
pub struct LiveLog {
    path: &'static str,
    file: RefCell<File>,
    failed: RefCell<Option<std::io::Error>>,
    quiet: bool,
}

impl LiveLog {
    pub fn create(path: &'static str, quiet: bool) -> Result<LiveLog, Failure> {
        let fail = |e: std::io::Error| Failure::work(format!("{path}: cannot write: {}", tpuc_tensor::file::io_reason(&e)));
        Ok(LiveLog { path, file: RefCell::new(File::create(path).map_err(fail)?), failed: RefCell::new(None), quiet })
    }

    pub fn file_only(&self, message: &str) {
        let done = self.file.borrow_mut().write_all(format!("INFO:root:{message}\n").as_bytes());
        if let Err(error) = done {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    pub fn print(&self, message: &str) {
        if !self.quiet {
            println!("{message}");
        }
    }

    pub fn both(&self, message: &str) {
        self.file_only(message);
        self.print(message);
    }

    /// A message of the search; what the documents show on the screen is printed too.
    pub fn info(&self, message: &str) {
        self.file_only(message);
        if message.contains(" sensitive layer, loss is ") || message.starts_with("job success") {
            self.print(message);
        }
    }

    /// An error if a line could not be written.
    pub fn finish(&self) -> Result<(), Failure> {
        match self.failed.borrow_mut().take() {
            Some(error) => Err(Failure::work(format!("{}: cannot write: {}", self.path, tpuc_tensor::file::io_reason(&error)))),
            None => Ok(()),
        }
    }
}

/// A calibration table beside others of a search: the rows under a method's name.
pub fn write_table(path: &Path, header: &Header, rows: &[Row]) -> Result<(), Failure> {
    Ok(CalibrationTable::new(header.clone(), rows.to_vec()).write(path)?)
}

/// A file named after another one.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `800M`, `4G`, `2.5g`, `123456`.
fn bytes(text: &str) -> Option<usize> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, factor) = match lower.chars().last()? {
        'k' => (&lower[..lower.len() - 1], 1u64 << 10),
        'm' => (&lower[..lower.len() - 1], 1 << 20),
        'g' => (&lower[..lower.len() - 1], 1 << 30),
        't' => (&lower[..lower.len() - 1], 1 << 40),
        _ => (lower, 1),
    };
    let value = number.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0)? * factor as f64;
    (value < 9e15).then_some(value as usize)
}

/// Bytes that new programs could use; 2 GiB where the system does not say.
fn free_memory() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    kilobytes.map_or(2 << 30, |k| k << 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_of_memory() {
        let cases = [("800M", Some(800 << 20)), ("4G", Some(4 << 30)), ("2.5g", Some(5 << 29)), ("123", Some(123)), ("64 KiB", Some(64 << 10)), ("x", None), ("", None), ("-1", None), ("1e30G", None)];
        for (text, expected) in cases {
            assert_eq!(super::bytes(text), expected, "{text}");
        }
    }
}
