//! `run_qtable`.

use super::arguments::Searched;
use super::failure;
use crate::cli::{self, Failure};
use crate::progress::Shown;
use std::fmt::Write as _;
use std::path::PathBuf;
use tpuc_quant::search::{LayerLoss, Outcome, Tried, check_cos};
use tpuc_quant::search::walk::{WalkOptions, run_qtable};

const LOG: &str = "MixPrecSearcher";

/// Write a quantize table of layers that are far from the float network in INT8
#[derive(clap::Parser)]
#[command(name = "run_qtable", after_help = concat!(include_str!("../../help/run_qtable.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    searched: Searched,
    /// Layers that are less similar than this become float, and those that read them
    #[arg(long, default_value_t = 0.99, allow_hyphen_values = true)]
    min_layer_cos: f64,
    /// The similarities of all layers that were looked at
    #[arg(long, default_value = "full_loss_table.txt")]
    loss_table: PathBuf,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    let searched = &arguments.searched;
    check_cos("min_layer_cos", arguments.min_layer_cos).map_err(|e| Failure::usage(format!("--{e}")))?;
    let mut job = searched.job(LOG, None)?;
    (job.new_table, job.losses_of_outputs) = (false, false);
    cli::check_output(&arguments.loss_table)?;
    let request = searched.request()?;

    let (network, table) = searched.read(&job)?;
    job.warn_of_memory("run_qtable", &network, 0);
    let shown = Shown::start(searched.quiet);
    let session = tpuc_passes::calibrate::open(&network.program, &network.weights, request).map_err(Failure::Work)?;
    let walk = WalkOptions { expected_cos: searched.expected_cos, min_layer_cos: arguments.min_layer_cos };
    let identity = format!("run_qtable {:?} {walk:?}", table.rows());
    job.run(&network, session.loader(), &identity, table.header.clone(), |trials| {
        let walked = run_qtable(trials, table.rows(), &walk).map_err(failure)?;
        let mut text = format!("# genetated time: {}\n# sample number: {}\n# chip: {}  mix_mode: {}\n###\n", tpuc_passes::timestamp(), trials.evaluator.samples(), job.comparison.chip.name, job.comparison.float);
        let threshold = |layer: usize| table.get(trials.name(layer)).map_or(0.0, |row| row.threshold);
        let loss = |&(layer, cos): &(usize, f64)| LayerLoss { layer, tried: vec![Tried { method: "table", threshold: threshold(layer), loss: 1.0 - cos }], best: 0 };
        let outcome = Outcome { losses: walked.layers.iter().map(loss).collect(), ..walked.outcome };
        let mut layers = walked.layers;
        layers.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (number, (layer, cos)) in layers.iter().enumerate() {
            let line = format!("No.{number:<4}: Layer: {:<50}\t\t\tCos: {cos:.6}", trials.name(*layer));
            let _ = writeln!(text, "{line}");
            trials.say(line);
        }
        tpuc_tensor::file::write(&arguments.loss_table, text.as_bytes())?;
        Ok(outcome)
    })?;
    drop(shown);
    Ok(())
}
