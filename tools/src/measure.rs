//! `measure`: figures about one model for benchmarks: the time of a run without loading, and estimated cycles.

use crate::cli::{self, Failure, Talk};
use crate::inputs;
use crate::model_tool::{self, Place};
use crate::network::extension;
use crate::run::{Engine, Model};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tpuc_imageio::samples::NetInput;
use tpuc_isa::bm1684x::cost;
use tpuc_isa::bm1684x::{decode_dma, decode_tiu};

/// Time runs of a model on one input, without loading it; estimate the cycles of a bmodel.
#[derive(clap::Parser)]
#[command(name = "measure", after_help = concat!(include_str!("../help/measure.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The model: .onnx, .mlir (Top or Tpu) or .bmodel
    #[arg(long)]
    model: PathBuf,
    /// Time runs on this: a npz file; for onnx and mlir also a picture or npy file, one an input, comma separated
    #[arg(long)]
    input: Option<String>,
    /// How many runs; one more warms up
    #[arg(long, default_value_t = 20)]
    repeat: usize,
    /// What executes a bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
    #[command(flatten)]
    talk: Talk,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    cli::check_input(&arguments.model)?;
    if arguments.repeat == 0 {
        return Err(Failure::usage("--repeat: expected at least 1"));
    }
    if arguments.input.is_none() && extension(&arguments.model) != "bmodel" {
        return Err(Failure::usage("--input is missing: what to time the runs on (only a bmodel has something to say without it)"));
    }
    let mut fields = json!({ "model": arguments.model, "cycles": null, "median_ms": null, "best_ms": null });
    if extension(&arguments.model) == "bmodel" {
        let cycles = cycles(&arguments.model)?;
        arguments.talk.say(format_args!("cycles {cycles}"));
        fields["cycles"] = json!(cycles);
    }
    if let Some(input) = &arguments.input {
        let files = cli::files(std::slice::from_ref(input));
        files.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
        let mut times = times(&arguments, &files)?;
        times.sort_by(f64::total_cmp);
        let (median, best) = (times[times.len() / 2], times[0]);
        arguments.talk.say(format_args!("median {median:.3} ms of {}, best {best:.3} ms", times.len()));
        fields["median_ms"] = json!(median);
        fields["best_ms"] = json!(best);
    }
    arguments.talk.result("measure", true, fields);
    Ok(())
}

/// Estimated cycles of one run of every net of a bmodel, its groups one after the other.
fn cycles(path: &Path) -> Result<u64, Failure> {
    let model = model_tool::read(path)?;
    let named = |e: String| Failure::work(format!("{}: {e}", path.display()));
    model_tool::check_chip(&model).map_err(named)?;
    let mut sum = 0;
    for Place { name, group } in model_tool::groups(&model) {
        let at = |e: String| named(format!("{name}: {e}"));
        let tiu = model_tool::decode("TIU", &group.tiu, group.tiu_count, decode_tiu).map_err(at)?;
        let dma = model_tool::decode("DMA", &group.dma, group.dma_count, decode_dma).map_err(at)?;
        sum += cost::estimate(&tiu, &dma).cycles;
    }
    Ok(sum)
}

/// Milliseconds of each run.
fn times(arguments: &Arguments, files: &[String]) -> Result<Vec<f64>, Failure> {
    let mut model = Model::open(&arguments.model, arguments.runner)?;
    let given = match &model {
        Model::Plan(plan) => inputs::load(plan.net_inputs(), files)?,
        Model::Device(_) => {
            let wanted: Vec<_> = model.inputs().iter().map(|i| NetInput { name: i.name.clone(), shape: i.shape.clone(), preprocess: None }).collect();
            inputs::load(&wanted, files)?
        }
    };
    model.run(&given)?;
    let once = |_| {
        let start = Instant::now();
        model.run(&given)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    (0..arguments.repeat).map(once).collect()
}
