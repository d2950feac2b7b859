//! `--search search_threshold`: files, log and words of the search; the search itself is `tpuc_quant::search_threshold`.

use super::adjust::Adjusted;
use super::arguments::Arguments;
use super::float_layers;
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tpuc_lowering::table::{CalibrationTable, Header, Row};
use tpuc_lowering::{Chip, QuantizeTable};
use tpuc_quant::Session;
use tpuc_quant::model::Target;
use tpuc_quant::search_threshold::{COMPETITORS, Found, SearchOptions, search};

/// The log, in the folder where the command runs.
const LOG: &str = "Search_Threshold";

/// The options of the search, checked before the work.
pub struct Search {
    options: SearchOptions,
    chip: &'static Chip,
}

impl Search {
    pub fn new(arguments: &Arguments) -> Result<Search, Failure> {
        let similarity = arguments.benchmark_method.parse().map_err(|e| Failure::usage(format!("--benchmark_method: {e}")))?;
        let layers = arguments.global_compare_layers.parse().map_err(|e| Failure::usage(format!("--global_compare_layers: {e}")))?;
        let chip = Chip::find(&arguments.chip).map_err(|_| cli::not_yet(&format!("--search search_threshold for --chip {}", arguments.chip)))?;
        // 1.30 writes a table there, 1.15 reads none: one that exists is meant.
        let table = arguments.quantize_table.as_ref().filter(|p| p.exists());
        let read = |path: &PathBuf| QuantizeTable::read(path).map_err(|e| Failure::work(format!("{}: {e}", path.display())));
        let float_layers = table.map(read).transpose()?;
        let files = COMPETITORS.iter().map(|(name, _)| beside(&arguments.calibration_table, &format!("_{name}.1")));
        files.chain([PathBuf::from(LOG)]).try_for_each(|path| cli::check_output(&path))?;
        Ok(Search { options: SearchOptions { similarity, layers, inference_num: arguments.inference_num()?, float_layers }, chip })
    }

    /// Searches, and writes the tables and the log.
    pub fn run(&self, arguments: &Arguments, adjusted: &Adjusted, session: &Session) -> Result<(), Failure> {
        let network = &adjusted.network;
        let target = Target { program: &network.program, weights: &network.weights, chip: self.chip };
        let shown = Shown::start(arguments.quiet);
        let found = search(session, target, &self.options, &tpuc_passes::tell_progress);
        drop(shown);
        let found = found.map_err(Failure::work)?;
        for warning in found.statistics.warnings() {
            eprintln!("run_calibration: warning: {warning}");
        }
        let mlir = arguments.mlir.display().to_string();
        for competitor in &found.competitors {
            let table = |rows: &[Row]| table_of(session, adjusted, &mlir, &found, competitor.name, rows);
            let name = |suffix: &str| beside(&arguments.calibration_table, &format!("_{}{suffix}", competitor.name));
            table(competitor.untuned.as_ref().unwrap_or(&competitor.rows)).write(&name(".1"))?;
            if competitor.untuned.is_some() {
                table(&competitor.rows).write(&name("_tune"))?;
            }
        }
        let best = &found.competitors[found.best];
        table_of(session, adjusted, &mlir, &found, best.name, &best.rows).write(&arguments.calibration_table)?;
        if arguments.kurtosis_analysis {
            float_layers::write_kurtosis(arguments, network, &found.statistics)?;
        }
        let log = self.log(&mlir, &found);
        tpuc_tensor::file::write(Path::new(LOG), log.iter().map(|line| format!("INFO:root:{line}\n")).collect::<String>().as_bytes())?;
        if !arguments.quiet {
            println!("real input_num = {}, compared on {}", found.statistics.samples, found.compared);
            log.iter().rev().take(3).rev().for_each(|line| println!("{line}"));
            println!("{}: {} thresholds by {}", arguments.calibration_table.display(), best.rows.len(), best.name);
        }
        Ok(())
    }

    /// The messages of the log.
    fn log(&self, mlir: &str, found: &Found) -> Vec<String> {
        let names: Vec<String> = found.competitors.iter().map(|c| format!("'{}'", c.name)).collect();
        let mut lines = vec![format!("Quantization threshold calculation method: [{}]", names.join(", ")), format!("run float mode: {mlir}")];
        lines.extend(found.competitors.iter().map(|_| format!("run int8 mode: {mlir}")));
        let mut scores = String::new();
        for (i, competitor) in found.competitors.iter().enumerate() {
            let _ = write!(scores, "{}'{}': {}", if i > 0 { ", " } else { "" }, competitor.name, competitor.score);
        }
        lines.push(format!("{} similarity scores: {{{scores}}}", self.options.similarity));
        let best = &found.competitors[found.best];
        lines.push(format!("optimal_method_name: {}, optimal_value: {}", best.name, best.score));
        lines.push("success".into());
        lines
    }
}

fn table_of(session: &Session, adjusted: &Adjusted, mlir: &str, found: &Found, method: &str, rows: &[Row]) -> CalibrationTable {
    let header = tpuc_passes::calibrate::header(session.request(), mlir, found.statistics.samples);
    CalibrationTable::new(Header { method: Some(method.to_owned()), adjusted_from: adjusted.original(), ..header }, rows.to_vec())
}

/// A file named after another one.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
