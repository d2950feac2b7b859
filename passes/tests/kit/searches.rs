//! Losses, rankings and the walk of the searches on EfficientNet-Lite0 beside those of version 1.15 (its tables, 10 photographs).

use super::{CASES, shared, top_module};
use std::collections::HashMap;
use std::path::PathBuf;
use tpuc_dialects::context;
use tpuc_imageio::{Loader, Samples};
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{Chip, Mode};
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions};
use tpuc_quant::model::Target;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::qtable::{QtableOptions, search_qtable};
use tpuc_quant::search::walk::{WalkOptions, run_qtable};
use tpuc_quant::search::{Outcome, Table, Trials, ranked, sensitive};
use tpuc_quant::QuantError;

const EXPECTED_COS: f64 = 0.9999;
const COMPARED: usize = 10;

fn file(name: &str) -> PathBuf {
    shared(&format!("kit/efficientnet_lite0/search115/{name}")).unwrap()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn table(name: &str) -> Vec<Row> {
    CalibrationTable::read(&file(name)).unwrap().rows().to_vec()
}

/// Runs a search with the thresholds of 1.15; what it found, and what `of` makes of it.
fn searched<T, R>(unrounded_casts: bool, search: impl FnOnce(&mut Trials) -> Result<T, QuantError>, of: impl FnOnce(&Trials, T) -> R) -> Option<R> {
    let (case, context) = (CASES.iter().find(|c| c.name == "efflite0")?, context());
    let (module, photos) = (top_module(&context, case)?, shared("photos/calibration200")?);
    shared("kit/efficientnet_lite0/search115")?;
    let (program, weights) = (module.program().unwrap(), module.weights().unwrap());
    let loader = Loader::new(Samples::from_dataset(&photos, COMPARED).unwrap(), tpuc_passes::net_inputs(&program).unwrap()).unwrap();
    let target = Target { program: &program, weights: &weights, chip: Chip::find("bm1684x").unwrap() };
    let options = EvaluatorOptions { samples: COMPARED, threads: 2, unrounded_casts, ..EvaluatorOptions::default() };
    let evaluator = Evaluator::new(target, &loader, options).unwrap();
    let mut trials = Trials { evaluator, journal: Journal::in_memory(), log: &|_| {}, progress: &|_, _| {}, mlir: String::new(), float: Mode::F16 };
    let found = search(&mut trials).unwrap();
    Some(of(&trials, found))
}

/// The ranking of a log: layers with their losses, and the similarity that it ends with.
fn logged(log: &str) -> (Vec<(String, f64)>, f64) {
    let ranking = |line: &str| {
        let (name, rest) = line.split_once("the layer ")?.1.split_once(" is ")?;
        Some((name.to_owned(), rest.split_once("loss is ")?.1.split_once(',')?.0.parse().ok()?))
    };
    let text = text(log);
    let mixed = text.lines().find_map(|l| l.split_once("mix model outputs_cos:").filter(|_| !l.contains("float layer"))?.1.parse().ok());
    (text.lines().filter_map(ranking).collect(), mixed.unwrap())
}

/// Losses within a limit, and layers at other places only where the losses of 1.15 are that near each other.
fn compare(what: &str, trials: &Trials, outcome: &Outcome, log: &str, within: f64) {
    let (theirs, mixed) = logged(log);
    let known: HashMap<&str, f64> = theirs.iter().map(|(n, l)| (n.as_str(), *l)).collect();
    let ours: Vec<(&str, f64)> = ranked(&outcome.losses).iter().map(|l| (trials.name(l.layer), l.best().loss)).collect();
    assert_eq!(ours.len(), theirs.len());
    let worst = ours.iter().map(|(name, loss)| (loss - known[name]).abs()).fold(0.0, f64::max);
    let moved: Vec<f64> = ours.iter().zip(&theirs).filter(|(a, b)| a.0 != b.0).map(|(a, b)| (known[a.0] - b.1).abs()).collect();
    println!("{what}: losses within {worst:.1e}, {} of {} layers at other places, mixed {:.6} ({mixed:.6})", moved.len(), ours.len(), outcome.mixed.unwrap());
    assert!(worst < within && moved.iter().all(|apart| *apart <= 2.0 * worst), "{what}: {worst}, {moved:?}");
    assert!(outcome.mixed.unwrap() >= mixed, "{what}: {:?} instead of {mixed}", outcome.mixed);
}

fn qtable(unrounded_casts: bool, within: f64) {
    let options = QtableOptions { expected_cos: EXPECTED_COS, max_float_layers: 5, transformer: false, screening: false, fixed: None };
    let tables = || ["KL", "MSE"].map(|method| Table { method, rows: table(&format!("sq_cali_{method}_tune")) });
    searched(unrounded_casts, |trials| search_qtable(trials, &tables(), &options), |trials, found| {
        compare("search_qtable", trials, &found, "Search_Qtable", within);
        assert_eq!(found.layers.len(), 7);
    });
}

#[test]
fn search_qtable_with_rounded_casts() {
    qtable(false, 1e-4);
}

#[test]
fn search_qtable_with_the_casts_of_115() {
    qtable(true, 1e-5);
}

/// 1.15 leaves no KL table of this search behind: the thresholds that it tried are in its log.
#[test]
fn sensitive_layers() {
    let kl = || -> Vec<Row> {
        let log = text("SensitiveLayerSearcher");
        let tried = |line: &str| {
            let (name, rest) = line.split_once("adjust layer ")?.1.split_once(" th, with method KL, and threshlod ")?;
            Some((name.to_owned(), rest.trim().parse::<f64>().ok()?))
        };
        let known: HashMap<String, f64> = log.lines().filter_map(tried).collect();
        table("cali").into_iter().map(|row| Row { threshold: known.get(&row.name).copied().unwrap_or(row.threshold), ..row }).collect()
    };
    let tables = || Ok(vec![Table { method: "MAX", rows: table("cali_MAX_tune") }, Table { method: "Percentile9999", rows: table("cali_Percentile9999_tune") }, Table { method: "KL", rows: kl() }]);
    searched(true, |trials| sensitive::search(trials, &table("cali"), EXPECTED_COS, 5, tables), |trials, found| {
        compare("run_sensitive_layer", trials, &found, "SensitiveLayerSearcher", 1e-5);
        assert_eq!(found.layers.len(), 5);
    });
}

#[test]
fn walk_through_the_layers() {
    let options = WalkOptions { expected_cos: EXPECTED_COS, min_layer_cos: 0.999 };
    searched(false, |trials| run_qtable(trials, &table("cali"), &options), |trials, found| {
        let row = |line: &str| {
            let (name, cos) = line.split_once("Layer: ")?.1.split_once("Cos:")?;
            Some((name.trim().to_owned(), cos.trim().parse().ok()?))
        };
        let theirs: HashMap<String, f64> = text("full_loss_table.txt").lines().filter_map(row).collect();
        assert_eq!(found.layers.len(), theirs.len());
        let worst = found.layers.iter().map(|(layer, cos)| (cos - theirs[trials.name(*layer)]).abs()).fold(0.0, f64::max);
        println!("run_qtable: {} similarities within {worst:.1e}", theirs.len());
        assert!(worst < 1e-4);
        let quantize_table = text("rq_qt");
        let mut names: Vec<&str> = quantize_table.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_whitespace().next()).collect();
        let mut ours: Vec<&str> = found.outcome.layers.iter().map(|&l| trials.name(l)).collect();
        (names.sort_unstable(), ours.sort_unstable());
        assert_eq!(ours, names);
    });
}
