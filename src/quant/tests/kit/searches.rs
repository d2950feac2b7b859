//! Losses and rankings of the searches beside those of version 1.15, from fresh runs of it over the same networks and pictures
//! (12 samples calibrate, 10 compare): `losses_of_115.txt`, worst layer first.

use crate::{Case, SAMPLES};
use std::cell::RefCell;
use std::collections::HashMap;
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{Chip, Mode};
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions, Setting};
use tpuc_quant::model::Target;
use tpuc_quant::search::journal::Journal;
use tpuc_quant::search::optimize::{Costs, Goal, optimize};
use tpuc_quant::search::qtable::{QtableOptions, search_qtable};
use tpuc_quant::memory::resident;
use tpuc_quant::search::refine::{Choice, not_below};
use tpuc_quant::search::tables::{methods, tuned, tuned_by_range};
use tpuc_quant::search::walk::{WalkOptions, run_qtable};
use tpuc_quant::search::{Outcome, Table, Trials, ranked, selected, sensitive};
use tpuc_quant::{Request, Session, no_progress};

const EXPECTED_COS: f64 = 0.99999;
const MAX_FLOAT_LAYERS: usize = 2;

/// A run of 1.15.
struct Run {
    net: &'static str,
    chip: &'static str,
    float: &'static str,
    search: &'static str,
    int8: f64,
    mixed: f64,
    losses: Vec<(&'static str, f64)>,
}

fn runs() -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for line in include_str!("losses_of_115.txt").lines() {
        let words: Vec<&'static str> = line.split(' ').collect();
        match words[..] {
            ["=", net, chip, float, search, int8, mixed] => runs.push(Run { net, chip, float, search, int8: int8.parse().unwrap(), mixed: mixed.parse().unwrap(), losses: Vec::new() }),
            [layer, loss] => runs.last_mut().unwrap().losses.push((layer, loss.parse().unwrap())),
            _ => panic!("{line}"),
        }
    }
    runs
}

/// The tables of a network that the searches choose from: KL and MSE, and those of run_sensitive_layer.
struct Tables {
    start: Vec<Row>,
    qtable: Vec<Table>,
    sensitive: Vec<Table>,
}

fn tables(case: &Case) -> Tables {
    let (program, weights) = (&case.network.program, &case.network.weights);
    let request = Request { dataset: case.folder.join("ds"), input_num: SAMPLES, threads: 2, ..Request::default() };
    let session = Session::open(program, weights, case.inputs.clone(), request).unwrap();
    let of = |tuned: Vec<tpuc_quant::search::tables::Tuned>| tuned.into_iter().map(|t| t.table).collect();
    Tables {
        start: CalibrationTable::read(&case.folder.join(format!("{}_cali_kl", case.name))).unwrap().rows().to_vec(),
        qtable: of(tuned(&session, &methods("KL,MSE").unwrap(), &no_progress).unwrap().0),
        sensitive: of(tuned_by_range(&session, &no_progress).unwrap().0),
    }
}

fn search<'a>(case: &'a Case, tables: &Tables, run: &Run, unrounded_casts: bool) -> (Trials<'a>, Outcome) {
    let chip = Chip::find(run.chip).unwrap();
    let target = Target { program: &case.network.program, weights: &case.network.weights, chip };
    let options = EvaluatorOptions { samples: 10, threads: 2, unrounded_casts, ..EvaluatorOptions::default() };
    let evaluator = Evaluator::new(target, &case.loader, options).unwrap();
    let float = chip.float_mode(run.float).unwrap();
    let mut trials = Trials { evaluator, journal: Journal::in_memory(), log: &|_| {}, progress: &|_, _| {}, mlir: String::new(), float };
    let options = QtableOptions { expected_cos: EXPECTED_COS, max_float_layers: MAX_FLOAT_LAYERS, transformer: false, screening: false, fixed: None };
    let outcome = match run.search {
        "search_qtable" => search_qtable(&mut trials, &tables.qtable, &options),
        _ => sensitive::search(&mut trials, &tables.start, EXPECTED_COS, MAX_FLOAT_LAYERS, || Ok(tables.sensitive.clone())),
    };
    (trials, outcome.unwrap())
}

/// The largest difference of a loss, how many layers are at another place, and how far apart the losses of such are in 1.15.
fn compare(run: &Run, trials: &Trials, outcome: &Outcome) -> (f64, usize, f64) {
    let theirs: HashMap<&str, f64> = run.losses.iter().copied().collect();
    let ours: Vec<(&str, f64)> = ranked(&outcome.losses).iter().map(|l| (trials.name(l.layer), l.best().loss)).collect();
    assert_eq!(ours.len(), run.losses.len(), "{} {}: layers", run.net, run.chip);
    let worst = ours.iter().map(|(name, loss)| (loss - theirs[name]).abs()).fold(0.0, f64::max);
    let moved: Vec<f64> = ours.iter().zip(&run.losses).filter(|(a, b)| a.0 != b.0).map(|(a, b)| (theirs[a.0] - b.1).abs()).collect();
    (worst, moved.len(), moved.iter().copied().fold(0.0, f64::max))
}

/// With the casts of 1.15 losses are equal and layers rank as there, but for losses that are equal but for noise. With ours, which
/// round as the chip does, they are near. The set that is written is as large as the one of the ranking, and not worse
/// than that or 1.15's.
fn losses_are_those_of_115(net: &str) {
    let Some(case) = Case::open(net) else { return };
    let tables = tables(&case);
    for run in runs().iter().filter(|r| r.net == net) {
        let what = format!("{net} {} {} {}", run.chip, run.float, run.search);
        for (unrounded, within) in [(true, 1e-6), (false, 1e-4)] {
            let (mut trials, outcome) = search(&case, &tables, run, unrounded);
            assert!((outcome.int8 - run.int8).abs() < if unrounded { 1e-6 } else { 1e-5 }, "{what}: INT8 {} instead of {}", outcome.int8, run.int8);
            let (worst, moved, apart) = compare(run, &trials, &outcome);
            let (count, mixed) = (outcome.layers.len(), outcome.mixed.unwrap());
            println!("{what}, casts {}: losses within {worst:.1e}, {moved} layers at other places, mixed {mixed:.6} ({:.6})", if unrounded { "of 1.15" } else { "rounded" }, run.mixed);
            assert!(worst < within, "{what}: {worst}");
            assert!(apart <= 2.0 * worst, "{what}: {moved} layers at other places, up to {apart}");
            // It prints six digits.
            assert!(mixed > run.mixed - 1e-6, "{what}: {mixed}, in 1.15 {}", run.mixed);
            let plain = selected(trials.program(), &outcome.losses, count);
            let mut setting = Setting::all(trials.program(), outcome.rows.clone(), Mode::Int8);
            outcome.losses.iter().for_each(|l| setting.set_threshold(trials.name(l.layer), l.best().threshold));
            let of_ranking = trials.score(&setting.with(plain.iter().copied(), trials.float)).unwrap();
            assert!(plain.len() == count && mixed >= of_ranking, "{what}: {mixed}, the ranking's {of_ranking}");
        }
    }
}

#[test]
fn residual_network() {
    losses_are_those_of_115("cnn_res");
}

#[test]
fn small_mobilenet() {
    losses_are_those_of_115("mbv2_tiny");
}

#[test]
fn two_heads() {
    losses_are_those_of_115("yolo_head");
}

/// A goal that the ranking reaches with some layers is reached with no more; within a budget the result is at least the ranking's.
#[test]
fn optimized_sets_are_smaller_or_better() {
    let Some(case) = Case::open("mbv2_tiny") else { return };
    let tables = tables(&case);
    let run = &runs()[0];
    let (mut trials, found) = search(&case, &tables, &Run { net: "mbv2_tiny", losses: Vec::new(), ..*run }, false);
    let count = |setting: &Setting| Ok(setting.floats().count() as f64);
    let costs = Costs::layers(trials.program().nodes.len(), &count);
    let plain = selected(trials.program(), &found.losses, 6);
    let setting = Setting::all(trials.program(), found.rows.clone(), Mode::Int8);
    let score = trials.score(&setting.with(plain.iter().copied(), trials.float)).unwrap();
    let start = Choice { layers: plain.clone(), setting: setting.clone(), score };
    let expected = score - 1e-7;
    for goal in [Goal::Similarity(expected), Goal::Budget(plain.len() as f64)] {
        let (best, front) = optimize(&mut trials, start.clone(), &found.losses, &costs, goal).unwrap();
        let again = trials.evaluator.network(&best.setting.with(best.layers.iter().copied(), trials.float)).unwrap();
        assert_eq!(trials.evaluator.scores(&[&again]).unwrap()[0].to_bits(), best.score.to_bits());
        assert!(best.layers.len() <= plain.len(), "{goal:?}");
        match goal {
            Goal::Similarity(expected) => assert!(best.score > expected),
            Goal::Budget(_) => assert!(best.score >= score),
        }
        assert!(front.steps.windows(2).all(|pair| pair[0].cost < pair[1].cost && pair[0].score < pair[1].score));
        println!("{goal:?}: {} layers, {:.7}; the ranking's {}, {score:.7}", best.layers.len(), best.score, plain.len());
    }
}

/// A search chooses the same with the same scores, whatever memory it has.
#[test]
fn memory_does_not_change_a_bit() {
    let Some(case) = Case::open("cnn_res") else { return };
    let tables = tables(&case);
    let target = Target { program: &case.network.program, weights: &case.network.weights, chip: Chip::find("bm1684x").unwrap() };
    let found: Vec<Outcome> = [(2, 1 << 40), (3, resident() + (2 << 20)), (1, 0)]
        .into_iter()
        .map(|(threads, memory)| {
            let evaluator = Evaluator::new(target, &case.loader, EvaluatorOptions { samples: 5, threads, memory, ..EvaluatorOptions::default() }).unwrap();
            let mut trials = Trials { evaluator, journal: Journal::in_memory(), log: &|_| {}, progress: &|_, _| {}, mlir: String::new(), float: Mode::F16 };
            let options = QtableOptions { expected_cos: EXPECTED_COS, max_float_layers: MAX_FLOAT_LAYERS, transformer: false, screening: false, fixed: None };
            search_qtable(&mut trials, &tables.qtable, &options).unwrap()
        })
        .collect();
    let all = |outcome: &Outcome| format!("{outcome:?}");
    assert!(found.iter().all(|o| all(o) == all(&found[0])));
}

/// A set that is less similar than INT8 alone gives way to it, or to a smaller set that is better.
#[test]
fn sets_are_not_below_int8() {
    let Some(case) = Case::open("cnn_res") else { return };
    let tables = tables(&case);
    let (mut trials, found) = search(&case, &tables, &runs()[0], false);
    let int8 = Setting::all(trials.program(), found.rows.clone(), Mode::Int8);
    let plain = Choice { layers: Vec::new(), score: trials.score(&int8).unwrap(), setting: int8 };
    // Thresholds that cut most of a tensor off: no float layer behind it makes up for that.
    let mut bad = plain.setting.clone();
    bad.rows.iter_mut().for_each(|row| row.threshold /= 16.0);
    let layers = found.layers.clone();
    let score = trials.score(&bad.with(layers.iter().copied(), trials.float)).unwrap();
    assert!(score < plain.score);
    let given_up = not_below(&mut trials, plain.clone(), Choice { layers: layers.clone(), setting: bad, score }, &found.losses).unwrap();
    assert_eq!((given_up.layers, given_up.setting, given_up.score), (Vec::new(), plain.setting.clone(), plain.score));
    // A good set stays; a smaller one is taken where that is good enough.
    let good = Choice { layers: layers.clone(), setting: plain.setting.clone(), score: found.mixed.unwrap() };
    assert_eq!(not_below(&mut trials, plain.clone(), good.clone(), &found.losses).unwrap().layers, layers);
    let fewer = not_below(&mut trials, plain.clone(), Choice { score: 0.0, ..good }, &found.losses).unwrap();
    assert!(fewer.layers.len() < layers.len() && fewer.score >= plain.score);
}

/// Whatever the walk finds by its own rule, what it hands over is not worse than INT8, and scores what is said of it.
#[test]
fn walks_never_end_below_int8() {
    let Some(case) = Case::open("cnn_res") else { return };
    let target = Target { program: &case.network.program, weights: &case.network.weights, chip: Chip::find("bm1684x").unwrap() };
    let rows = CalibrationTable::read(&case.folder.join("cnn_res_cali_percentile9999")).unwrap().rows().to_vec();
    let log = RefCell::new(String::new());
    for min_layer_cos in [0.999, 0.9999, 0.99999] {
        let evaluator = Evaluator::new(target, &case.loader, EvaluatorOptions { samples: 3, threads: 2, ..EvaluatorOptions::default() }).unwrap();
        let say = |line: &str| log.borrow_mut().push_str(line);
        let mut trials = Trials { evaluator, journal: Journal::in_memory(), log: &say, progress: &|_, _| {}, mlir: String::new(), float: Mode::F16 };
        let found = run_qtable(&mut trials, &rows, &WalkOptions { expected_cos: 0.9999999, min_layer_cos }).unwrap().outcome;
        let setting = Setting::all(trials.program(), found.rows.clone(), Mode::Int8).with(found.layers.iter().copied(), Mode::F16);
        let again = trials.evaluator.network(&setting).unwrap();
        assert_eq!(found.mixed.map(f64::to_bits), Some(trials.evaluator.scores(&[&again]).unwrap()[0].to_bits()));
        assert!(found.mixed >= Some(found.int8), "{min_layer_cos}: {:?} below {}", found.mixed, found.int8);
    }
    assert!(log.borrow().contains("fall back: the 6 layers of the walk"), "{}", log.borrow());
}
