//! `search_qtable`: the rules of version 1.15 (`spec/calibration.md` section 18).
//!
//! 1. The INT8 network is scored; where that is good enough nothing else is done.
//! 2. Every candidate's loss, with the thresholds of the methods ([`losses`]).
//! 3. The worst `max_float_layers` become float. Where that is not enough, an eighth of the candidates, and if that suffices the
//!    fewest that do.
//! 4. Of as many layers a better set is looked for among the neighbours of this one ([`refine`]); the documents end with 3. Where that is less similar
//!    than INT8 alone, a smaller set that is not is taken, which may be no layer at all.
//!
//! Beyond the documents' rules, and on request only: the screening by op types of version 1.30.2.

use super::layers::{LayerLoss, Table, losses, say_layers, say_ranking, selected, written};
use super::refine::{Choice, not_below, refine};
use super::trials::Trials;
use super::{Outcome, python};
use crate::error::QuantError;
use crate::evaluator::Setting;
use tpuc_lowering::{Mode, QuantizeTable};
use tpuc_ops::Program;

/// Which layers are looked at, and when to stop.
#[derive(Debug, Clone)]
pub struct QtableOptions {
    pub expected_cos: f64,
    pub max_float_layers: usize,
    /// Leaves ops out that merely move data in transformers, and LayerNorm.
    pub transformer: bool,
    /// Only ops of types that lose by themselves are searched (version 1.30.2).
    pub screening: bool,
    /// Layers whose mode is given and stays.
    pub fixed: Option<QuantizeTable>,
}

/// What is left out of a transformer's search.
const MOVEMENT: [&str; 7] = ["top.Reshape", "top.LayerNorm", "top.Unsqueeze", "top.Gather", "top.Slice", "top.MulConst", "top.Concat"];

/// One op type alone in INT8 must not stay below this.
const TYPE_COS: f64 = 0.999;

/// Where layers are fixed by a table: the setting with which a search begins.
pub fn initial(program: &Program, rows: Vec<tpuc_lowering::table::Row>, fixed: Option<&QuantizeTable>) -> Result<Setting, QuantError> {
    let mut setting = Setting::all(program, rows, Mode::Int8);
    if let Some(table) = fixed {
        let modes = table.modes(program, true)?.0;
        setting.modes.iter_mut().zip(modes).for_each(|(mode, fixed)| *mode = fixed.unwrap_or(*mode));
    }
    Ok(setting)
}

/// The result of a search that ends before it begins: INT8 is good enough.
pub fn good_enough(trials: &Trials, setting: Setting, int8: f64, expected_cos: f64) -> Outcome {
    trials.say(format!("job success, current int8 cos:{} is higher than expected_cos:{},no need for mix precsion", python::float(int8), python::float(expected_cos)));
    let layers = setting.floats().collect();
    Outcome { layers, rows: setting.rows, int8, mixed: None, losses: Vec::new(), curve: Vec::new(), front: None }
}

/// The table with whose thresholds a search begins: that of MSE, or else the first.
pub fn start(tables: &[Table]) -> Option<&Table> {
    tables.iter().find(|t| t.method == "MSE").or(tables.first())
}

/// Searches. The tables are tuned ones; [`start`] says with which it begins.
pub fn search_qtable(trials: &mut Trials, tables: &[Table], options: &QtableOptions) -> Result<Outcome, QuantError> {
    let program = trials.program();
    let start = start(tables).map(|t| written(&t.rows)).unwrap_or_default();
    trials.say(format!("quantize_method_list={}", python::list(tables.iter().map(|t| t.method))));
    trials.say(format!("run float mode: {}", trials.mlir));
    let mut setting = initial(program, start, options.fixed.as_ref())?;
    trials.say_int8();
    let int8 = trials.score(&setting)?;
    if int8 > options.expected_cos {
        return Ok(good_enough(trials, setting, int8, options.expected_cos));
    }
    trials.say(format!("all_int8_cos={}", python::float(int8)));
    let network = trials.evaluator.network(&setting)?;
    let (all, quantized) = trials.int8_layers(&network);
    trials.say_int8();
    trials.say("layer name check pass !");
    trials.say(format!("all layer number: {all}"));
    trials.say(format!("all layer number no float: {}", quantized.len()));
    let mut candidates = quantized.clone();
    if options.transformer {
        candidates.retain(|&layer| !MOVEMENT.contains(&trials.kind(layer)));
    }
    if options.screening {
        let kinds = sensitive_types(trials, &setting, &candidates, options.expected_cos)?;
        candidates.retain(|&layer| kinds.contains(&trials.kind(layer)));
    }
    trials.say(format!("transformer model: {}, all search layer number: {}", if options.transformer { "True" } else { "False" }, candidates.len()));
    trials.say(format!("Global metrics layer is : {}", trials.compared()));

    let plain = Choice { layers: Vec::new(), setting: setting.clone(), score: int8 };
    let losses = losses(trials, &mut setting, &candidates, tables)?;
    say_ranking(trials, &losses);
    let (layers, score, mut curve) = choose(trials, &setting, &losses, quantized.len() / 8, options)?;
    let fixed: Vec<usize> = setting.floats().collect();
    let choice = refine(trials, Choice { layers, setting, score }, &losses)?;
    let choice = not_below(trials, plain, choice, &losses)?;
    curve.push((choice.layers.len(), choice.score));
    let layers = fixed.into_iter().chain(choice.layers).collect();
    Ok(Outcome { layers, rows: choice.setting.rows, int8, mixed: Some(choice.score), losses, curve, front: None })
}

/// Op types that lose more than they should when they alone are INT8; the worst one if none does.
pub(super) fn sensitive_types(trials: &mut Trials, setting: &Setting, candidates: &[usize], expected_cos: f64) -> Result<Vec<&'static str>, QuantError> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for &layer in candidates {
        if !kinds.contains(&trials.kind(layer)) {
            kinds.push(trials.kind(layer));
        }
    }
    let mut found = Vec::new();
    let mut worst: Option<(f64, &'static str)> = None;
    for &kind in &kinds {
        let others: Vec<usize> = candidates.iter().copied().filter(|&l| trials.kind(l) != kind).collect();
        let trial = setting.with(others, trials.float);
        trials.say_int8();
        let score = trials.scores_on(&[trial], 1)?.into_iter().next().unwrap_or(0.0);
        trials.say(format!("op_type : {kind}, similarity : {}", python::float(score)));
        if score < TYPE_COS.max(expected_cos) {
            found.push(kind);
        }
        if worst.is_none_or(|(least, _)| score < least) {
            worst = Some((score, kind));
        }
    }
    if found.is_empty() {
        found.extend(worst.map(|w| w.1));
    }
    trials.say(format!("sensitive_op_type : {}, please pay attention to these types of operations", python::list(&found)));
    Ok(found)
}

/// How many of the worst layers become float: the list, its similarity, and what was tried.
type Chosen = (Vec<usize>, f64, Vec<(usize, f64)>);

fn choose(trials: &mut Trials, setting: &Setting, losses: &[LayerLoss], most: usize, options: &QtableOptions) -> Result<Chosen, QuantError> {
    let mut curve = Vec::new();
    let mut attempt = |trials: &mut Trials, count: usize| -> Result<(Vec<usize>, f64), QuantError> {
        let layers = selected(trials.program(), losses, count);
        say_layers(trials, &layers);
        trials.say_int8();
        let score = trials.score(&setting.with(layers.iter().copied(), trials.float))?;
        trials.say(format!("float layer number: {count}, mix model outputs_cos: {}", python::float(score)));
        curve.push((layers.len(), score));
        Ok((layers, score))
    };
    let mut best = attempt(trials, options.max_float_layers)?;
    if best.1 < options.expected_cos && most > options.max_float_layers {
        best = attempt(trials, most)?;
        if best.1 > options.expected_cos {
            let (mut low, mut high) = (options.max_float_layers, most);
            while low <= high {
                let count = (low + high) / 2;
                let tried = attempt(trials, count)?;
                if tried.1 > options.expected_cos {
                    best = tried;
                    let Some(below) = count.checked_sub(1) else { break };
                    high = below;
                } else {
                    low = count + 1;
                }
            }
        }
    }
    Ok((best.0, best.1, curve))
}
