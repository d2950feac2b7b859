//! What the searches of mixed precision share: options, log, state file, tables and the summary. The searches themselves are
//! `tpuc_quant::search`.

mod arguments;
pub mod fast;
mod page;
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
use tpuc_kernels::buffer::bytes;
use tpuc_lowering::table::{CalibrationTable, Header, Row};
use tpuc_passes::mixed::by_cost::CostError;
use tpuc_passes::mixed::{Comparison, Subject};
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::{Outcome, Trials};
use tpuc_quant::{QuantError, memory, post_process};
use tpuc_tensor::text::nearest;

/// Options that every search has.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Means {
    /// Memory that the process may take, such as 800M or 4G; half of what is free by default
    #[arg(long)]
    pub memory: Option<String>,
    /// Go on where an interrupted search of the same network, samples and options ended
    #[arg(long)]
    pub resume: bool,
    /// What is made of the outputs before they are compared: a Python file with a function PostProcess(data), a shared library
    /// (.so) with the function of tpuc_post_process.h, or a built-in: yolov3, yolov5, yolox, nanodet
    #[arg(long)]
    pub post_process: Option<String>,
    /// Seconds after which a user's post-process is taken to hang
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub post_process_timeout: u64,
}

impl From<QuantError> for Failure {
    fn from(error: QuantError) -> Failure {
        failure(error)
    }
}

impl From<CostError> for Failure {
    fn from(error: CostError) -> Failure {
        match error {
            CostError::Budget(_) => Failure::usage(format!("--{error}")),
            CostError::NoEstimate(_) => Failure::work(format!("--{error}")),
            CostError::Search(error) => failure(error),
        }
    }
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
    pub comparison: Comparison,
    pub means: Means,
    pub quiet: bool,
    /// Whether thresholds are chosen as well: then they are written.
    pub new_table: bool,
    /// A page of what was found.
    pub report: Option<PathBuf>,
    /// What the page tells: the goal, and whether layers' losses are the outputs' or their own.
    pub expected_cos: f64,
    pub losses_of_outputs: bool,
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
        let memory = memory::budget(means.memory.as_deref().unwrap_or_default()).map_err(|e| Failure::usage(format!("--memory: {e}")))?;
        means.post_process.iter().try_for_each(|p| post_process::check(p).map_err(|e| Failure::usage(format!("--post_process: {e}"))))?;
        cli::check_input(mlir)?;
        let timeout = Duration::from_secs(means.post_process_timeout);
        let post_process = means.post_process.clone().map(|named| (named, timeout));
        let comparison = Comparison { chip, float, layers, inference_num, post_process, memory, threads, fixed: None };
        let job = Job { log, mlir: mlir.into(), quantize_table: quantize_table.into(), comparison, means: means.clone(), quiet, new_table: true, report: None, expected_cos: 1.0, losses_of_outputs: true };
        [quantize_table, &job.state_file(), Path::new(log), Path::new(NEW_TABLE)].into_iter().try_for_each(cli::check_output)?;
        Ok(job)
    }

    /// With a page of what is found, if one is asked for.
    pub fn with_report(mut self, report: Option<&Path>, expected_cos: f64) -> Result<Job, Failure> {
        report.map_or(Ok(()), cli::check_output)?;
        (self.report, self.expected_cos) = (report.map(Path::to_path_buf), expected_cos);
        Ok(self)
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
        let names = network.program.names();
        if let Some((layer, _)) = self.comparison.layers.0.iter().find(|l| !names.contains_key(l.0.as_str())) {
            let meant = nearest(layer, names.keys().copied()).map(|n| format!("; the nearest is '{n}'")).unwrap_or_default();
            return Err(Failure::usage(format!("--global_compare_layers: layer '{layer}' is not in {}{meant}", self.mlir.display())));
        }
        Ok(network)
    }

    /// Says before the work that there is less memory than it takes, where a limit was asked for.
    pub fn warn_of_memory(&self, command: &str, network: &Network, tuning: usize) {
        let short = self.comparison.short_of_memory(&network.program, &network.weights, tuning);
        if let Some(short) = short.filter(|_| self.means.memory.is_some()) {
            eprintln!("{command}: warning: --memory: {short}");
        }
    }

    /// The scores that are known. `options` is all that decides what is searched and how.
    fn journal(&self, network: &Network, loader: &Loader, options: &str) -> Result<Journal, Failure> {
        let mut hash = Sha256::new();
        if let Some(file) = &self.means.post_process {
            hash.update(std::fs::read(file).unwrap_or_default());
        }
        let Comparison { chip, float, layers, inference_num, post_process, .. } = &self.comparison;
        hash.update(format!("{:?} {options} {} {float} {layers:?} {inference_num} {post_process:?}", env!("CARGO_PKG_VERSION"), chip.name));
        hash.update(format!("{:?}", network.program));
        for (name, tensor) in network.weights.iter() {
            hash.update(name.as_bytes());
            match tensor.as_f32() {
                Some(floats) => hash.update(bytes(floats)),
                None => hash.update(bytes(&tensor.to_f32())),
            }
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
        let comparison = Comparison { inference_num: (self.comparison.inference_num / loader.per_group()).max(1), ..self.comparison.clone() };
        let mlir = self.mlir.display().to_string();
        let subject = Subject { program: &network.program, weights: &network.weights, mlir: &mlir };
        let say = |message: &str| log.info(message);
        let (outcome, journal) = comparison.search(subject, loader, journal, &say, |trials| {
            let outcome = search(trials)?;
            self.write(trials, &outcome, header)?;
            Ok::<_, Failure>((outcome, std::mem::take(&mut trials.journal)))
        })?;
        self.say_result(&log, &outcome, start.elapsed().as_secs_f64());
        log.finish()?;
        journal.finish();
        Ok(outcome)
    }

    /// The quantize table, and the thresholds that belong to it.
    fn write(&self, trials: &Trials, outcome: &Outcome, header: Header) -> Result<(), Failure> {
        let table = self.comparison.table(trials.program(), outcome, trials.evaluator.samples());
        tpuc_tensor::file::write(&self.quantize_table, table.to_text().as_bytes())?;
        if let Some(path) = &self.report {
            let layer = |node: usize| (trials.name(node).to_owned(), trials.kind(node));
            let subject = page::Subject { mlir: &self.mlir, search: self.log, of_outputs: self.losses_of_outputs, expected_cos: self.expected_cos, layer: &layer, mode: self.comparison.float.name() };
            page::page(&subject, outcome).write(path)?;
        }
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
        if message.contains(" sensitive layer, loss is ") || ["job success", "fall back", "pareto"].iter().any(|shown| message.starts_with(shown)) {
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
