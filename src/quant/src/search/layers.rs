//! The loss that every layer causes alone: all other candidates float, this one INT8, with the thresholds of several methods.

use super::python;
use super::trials::Trials;
use crate::candidates::as_written;
use crate::error::QuantError;
use crate::evaluator::Setting;
use tpuc_lowering::Mode;
use tpuc_lowering::table::Row;
use tpuc_ops::{Op, Program};

/// Thresholds of all layers by one method.
#[derive(Debug, Clone)]
pub struct Table {
    /// The method as logs and files name it.
    pub method: &'static str,
    pub rows: Vec<Row>,
}

/// A threshold that was tried for a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    pub method: &'static str,
    pub threshold: f64,
    /// 1 - similarity.
    pub loss: f64,
}

/// What a layer loses.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerLoss {
    /// Number of the node.
    pub layer: usize,
    pub tried: Vec<Tried>,
    /// Index of the threshold that was chosen.
    pub best: usize,
}

impl LayerLoss {
    pub fn best(&self) -> &Tried {
        &self.tried[self.best]
    }
}

/// Thresholds as a table on disk holds them: a network is lowered from that.
pub fn written(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(Row::as_written).collect()
}

/// The losses of the candidates in the network's order. `setting` has all other layers as they stay and the thresholds to
/// begin with; those that win are set in it.
pub fn losses(trials: &mut Trials, setting: &mut Setting, candidates: &[usize], tables: &[Table]) -> Result<Vec<LayerLoss>, QuantError> {
    let float = trials.float;
    let mut losses = Vec::with_capacity(candidates.len());
    for (done, &layer) in candidates.iter().enumerate() {
        let name = trials.name(layer);
        (trials.progress)(done as f64 / candidates.len() as f64, name);
        trials.say(format!("start to handle layer: {name}, type: {}", trials.kind(layer)));
        let base = setting.with(candidates.iter().copied(), float);
        let thresholds = tables.iter().map(|table| (table.method, table.rows.iter().find(|r| r.name == name).map(|r| r.threshold)));
        // A tensor without a threshold of its own has just the one way to be lowered.
        let own = setting.rows.iter().find(|r| r.name == name).map_or(0.0, |r| r.threshold);
        let thresholds: Vec<(&'static str, f64)> = thresholds.map(|(method, threshold)| (method, threshold.unwrap_or(own))).collect();
        let changed = |&(_, threshold): &(&str, f64)| {
            let mut trial = base.with([layer], Mode::Int8);
            trial.set_threshold(name, as_written(threshold));
            trial
        };
        let settings: Vec<Setting> = thresholds.iter().map(changed).collect();
        if !trials.are_known(&settings) {
            let network = trials.evaluator.network(&base)?;
            let live = trials.evaluator.live_before(&network, layer);
            trials.evaluator.keep(&live)?;
        }
        let scores = trials.scores(&settings)?;
        let mut tried = Vec::with_capacity(scores.len());
        for (&(method, threshold), score) in thresholds.iter().zip(scores) {
            trials.say(format!("adjust layer {name} th, with method {method}, and threshlod {}", python::float(threshold)));
            trials.say_int8();
            trials.say(format!("outputs_cos_los = {}", python::float(1.0 - score)));
            tried.push(Tried { method, threshold, loss: 1.0 - score });
        }
        let better = |best: usize, i: usize| if tried[i].loss < tried[best].loss { i } else { best };
        let best = (0..tried.len()).fold(0, better);
        let chosen = &tried[best];
        let (threshold, loss) = (python::float(chosen.threshold), python::float(chosen.loss));
        trials.say(format!("layer {name}, layer type is {}, best_th = {threshold}, best_method = {}, best_cos_loss = {loss}", trials.kind(layer), chosen.method));
        setting.set_threshold(name, as_written(chosen.threshold));
        losses.push(LayerLoss { layer, tried, best });
    }
    Ok(losses)
}

/// Layers by falling loss; equal ones in the network's order.
pub fn ranked(losses: &[LayerLoss]) -> Vec<&LayerLoss> {
    let mut ranked: Vec<&LayerLoss> = losses.iter().collect();
    ranked.sort_by(|a, b| b.best().loss.total_cmp(&a.best().loss));
    ranked
}

/// Tells the log the ranking.
pub fn say_ranking(trials: &Trials, losses: &[LayerLoss]) {
    for (number, loss) in ranked(losses).into_iter().enumerate() {
        let (name, kind) = (trials.name(loss.layer), trials.kind(loss.layer));
        trials.say(format!("the layer {name} is {number} sensitive layer, loss is {}, type is {kind}", python::float(loss.best().loss)));
    }
}

/// The `count` worst layers. A Conv takes a Scale behind it along and a Scale the Conv before it, so that there may be one
/// more.
pub fn selected(program: &Program, losses: &[LayerLoss], count: usize) -> Vec<usize> {
    let mut list: Vec<usize> = Vec::new();
    for loss in ranked(losses) {
        if list.len() >= count {
            break;
        }
        if list.contains(&loss.layer) {
            continue;
        }
        list.push(loss.layer);
        for other in partners(program, loss.layer) {
            if !list.contains(&other) {
                list.push(other);
            }
        }
    }
    list
}

/// Scales behind a Conv, Convs before a Scale.
pub(super) fn partners(program: &Program, layer: usize) -> Vec<usize> {
    let node = &program.nodes[layer];
    let is_scale = |n: &usize| matches!(program.nodes[*n].op, Op::TopScale(_));
    let is_conv = |n: &usize| matches!(program.nodes[*n].op, Op::TopConv(_));
    match node.op {
        Op::TopConv(_) => (layer + 1..program.nodes.len()).filter(|n| program.nodes[*n].operands.iter().any(|o| node.results.contains(o))).filter(is_scale).collect(),
        Op::TopScale(_) => node.operands.iter().filter_map(|&o| program.producer(o)).filter(is_conv).collect(),
        _ => Vec::new(),
    }
}

/// Tells the log which layers are tried in float.
pub fn say_layers(trials: &Trials, layers: &[usize]) {
    trials.say(format!("set_fp_layer_list = {}", python::list(layers.iter().map(|&l| trials.name(l)))));
}
