//! `run_calibration`: thresholds of every tensor from samples, as a calibration table.

mod adjust;
pub mod arguments;
mod float_layers;
mod losses;
mod search;

use crate::cli::{self, Failure};
use crate::inputs;
use crate::mixed::{fast, qtable};
use crate::network::Network;
use crate::progress::Shown;
use adjust::Adjusted;
use arguments::{Arguments, LATER, Task};
use float_layers::FloatTables;
use search::Search;
use std::path::Path;
use tpuc_imageio::Loader;
use tpuc_lowering::table::Row;
use tpuc_passes::calibrate::{Calibrated, calibrate, open};
use tpuc_quant::{Request, Session};

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let mut arguments = cli::parse::<Arguments>(arguments)?;
    let task = arguments.task()?;
    let mut request = arguments.request()?;
    arguments.inference_num()?;
    if matches!(task, Task::SearchQtable | Task::FastSearch) {
        if arguments.we || arguments.bc || arguments.smc {
            return Err(Failure::usage("--we, --bc and --smc change the network: first a calibration with them, then the search on the network that it writes"));
        }
        return if task == Task::FastSearch { fast::run(&arguments, request) } else { qtable::run(&arguments, request) };
    }
    adjust::check(&arguments)?;
    let float_tables = FloatTables::new(&arguments)?;
    cli::check_input(&arguments.mlir)?;
    cli::check_output(&arguments.calibration_table)?;
    arguments.report.iter().try_for_each(|p| cli::check_output(p))?;
    let search = match task {
        Task::Calibrate => None,
        Task::SearchQtable | Task::FastSearch | Task::SearchThreshold => Some(Search::new(&arguments)?),
    };

    let network = Network::read(&arguments.mlir)?;
    if network.state() != "TOP_F32" {
        return Err(Failure::work(format!("{}: calibration needs a network in the state TOP_F32, this one is '{}'", arguments.mlir.display(), network.state())));
    }
    if arguments.report.is_some() {
        request.also = losses::methods_of_page(&request);
    }
    let float_tables = float_tables.of(&arguments, &network);
    let mut adjusted = Adjusted::start(&mut arguments, network, &request)?;
    let mut is_first = true;
    loop {
        let session = open(&adjusted.network.program, &adjusted.network.weights, request.clone()).map_err(Failure::Work)?;
        if std::mem::replace(&mut is_first, false) {
            before(&arguments, &session)?;
            float_tables.write(arguments.quiet)?;
        }
        match &search {
            None => plain(&arguments, &adjusted, &session)?,
            Some(search) => search.run(&arguments, &adjusted, &session)?,
        }
        if !adjusted.correct(&mut arguments, session.request())? {
            break;
        }
    }
    adjusted.finish(&arguments)
}

/// What there is to say and to write before the work.
fn before(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let request = session.request();
    let found = session.loader().samples().len();
    if request.input_num > found {
        eprintln!("run_calibration: warning: --input_num asks for {} samples, there are {found}: all of them are used", request.input_num);
    }
    if let Some((path, array, input)) = session.loader().array_of_another_name() {
        eprintln!("run_calibration: warning: {}: {}", path.display(), inputs::taken(&array, input));
    }
    for key in &request.debug.without_effect {
        eprintln!("run_calibration: warning: --debug_cmd {key} has no effect here");
    }
    if request.debug.dump_list {
        write_list("selected_image_list.txt", session.loader())?;
        session.tune_loader().map_or(Ok(()), |loader| write_list("selected_tune_image_list.txt", loader))?;
    }
    if !arguments.quiet {
        println!("input_num = {}, ref = {}", request.input_num, session.loader().groups());
    }
    Ok(())
}

/// The samples, one a line.
fn write_list(file: &str, loader: &Loader) -> Result<(), Failure> {
    let line = |files: &Vec<std::path::PathBuf>| files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(",") + "\n";
    let text: String = loader.samples().entries().iter().map(line).collect();
    Ok(tpuc_tensor::file::write(Path::new(file), text.as_bytes())?)
}

fn plain(arguments: &Arguments, adjusted: &Adjusted, session: &Session) -> Result<(), Failure> {
    let request = session.request();
    let shown = Shown::start(arguments.quiet);
    let calibrated = calibrate(session, &arguments.mlir.display().to_string());
    drop(shown);
    let mut calibrated = calibrated.map_err(Failure::Work)?;
    calibrated.warnings.iter().for_each(|w| eprintln!("run_calibration: warning: {w}"));
    calibrated.table.header.adjusted_from = adjusted.original();
    calibrated.table.write(&arguments.calibration_table)?;
    if let Some(statistics) = calibrated.outcome.statistics.as_ref().filter(|_| arguments.kurtosis_analysis) {
        float_layers::write_kurtosis(arguments, &adjusted.network, statistics)?;
    }
    if let Some(path) = &arguments.report {
        losses::page(&arguments.mlir, request, &calibrated).write(path)?;
    }
    if !arguments.quiet {
        told(arguments, request, &calibrated);
    }
    Ok(())
}

fn told(arguments: &Arguments, request: &Request, calibrated: &Calibrated) {
    println!("real input_num = {}", calibrated.outcome.used);
    if request.debug.print_debug_info {
        print!("{}", tuned(&calibrated.outcome.untuned, calibrated.table.rows()));
    }
    if let Some(text) = losses::worst(calibrated) {
        print!("{text}");
    }
    println!("{}: {} thresholds by {}", arguments.calibration_table.display(), calibrated.table.rows().len(), request.method());
}

/// What the tuner changed.
fn tuned(before: &[Row], after: &[Row]) -> String {
    let changed: Vec<String> = before
        .iter()
        .zip(after)
        .filter(|(a, b)| a.threshold != b.threshold)
        .map(|(a, b)| format!("  {}: {:.7} -> {:.7}\n", b.name, a.threshold, b.threshold))
        .collect();
    format!("Tuning raised {} of {} thresholds\n{}", changed.len(), after.len(), changed.concat())
}
