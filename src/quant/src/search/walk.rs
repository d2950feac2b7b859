//! `run_qtable`: from the inputs on, layers that are far from the float network become float together with those that read them
//! (`spec/calibration.md` section 13, version 1.15).
//!
//! The similarity of a layer is that of its INT8 form on what the mixed network gives it at that point. Where a network is tried,
//! layers before the one that changes that are float already count as exact: they are taken from the float network. That is the rule
//! by which the walk decides; the score that is printed and written in the end is that of the mixed network as it is. Where that is
//! below INT8's, the walk's best beginning is taken instead ([`Walk::fall_back`]): no written set is worse than INT8.

use super::qtable::{good_enough, initial};
use super::trials::Trials;
use super::{Outcome, python};
use crate::error::QuantError;
use crate::evaluator::{Network, Node, Setting};
use crate::search::layers::written;
use std::collections::HashMap;
use std::sync::Arc;
use tpuc_lowering::table::Row;
use tpuc_ops::{Op, Program};

/// When the walk ends, and what it looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct WalkOptions {
    pub expected_cos: f64,
    pub min_layer_cos: f64,
}

/// What the walk found.
pub struct Walked {
    pub outcome: Outcome,
    /// Layers with their similarity, in the network's order.
    pub layers: Vec<(usize, f64)>,
}

/// Walks. `rows` are the calibration table's.
pub fn run_qtable(trials: &mut Trials, rows: &[Row], options: &WalkOptions) -> Result<Walked, QuantError> {
    let program = trials.program();
    trials.say(format!("run float mode: {}", trials.mlir));
    let int8_setting = initial(program, written(rows), None)?;
    trials.say_int8();
    let network = trials.evaluator.network(&int8_setting)?;
    let known: Vec<bool> = (0..program.nodes.len()).map(|layer| trials.is_known_by_name(&network, layer)).collect();
    let upstream = upstream_of_compared(trials, program);
    let mut walk = Walk::new(program, known, upstream, int8_setting);
    let int8 = walk.score_int8(trials, &network)?;
    drop(network);
    if int8 > options.expected_cos {
        return Ok(Walked { outcome: good_enough(trials, walk.int8, int8, options.expected_cos), layers: Vec::new() });
    }
    walk.mixed = int8;
    let most = program.nodes.len() / 4;
    for layer in 0..program.nodes.len() {
        (trials.progress)(layer as f64 / program.nodes.len() as f64, trials.name(layer));
        if !walk.looks_at(layer) {
            continue;
        }
        let similarity = walk.similarity(trials, layer)?;
        walk.layers.push((layer, similarity));
        if similarity < options.min_layer_cos && walk.make_float(trials, layer, int8)? && (walk.mixed > options.expected_cos || walk.floats.len() > most) {
            break;
        }
    }
    walk.mixed = trials.score(&walk.setting)?;
    if walk.mixed < int8 {
        walk.fall_back(trials, int8)?;
    }
    let outcome = Outcome { layers: walk.floats, rows: walk.setting.rows, int8, mixed: Some(walk.mixed), losses: Vec::new(), curve: walk.curve, front: None };
    Ok(Walked { outcome, layers: walk.layers })
}

struct Walk<'a> {
    program: &'a Program,
    /// By node, the nodes that read it.
    readers: Vec<Vec<usize>>,
    /// By node, whether the lowered network knows it by its name.
    known: Vec<bool>,
    /// By node, whether what is compared depends on it.
    upstream: Vec<bool>,
    floats: Vec<usize>,
    /// All layers INT8; the mixed network.
    int8: Setting,
    setting: Setting,
    /// Results of the INT8 network that tried networks have replaced: those of layers behind one that became float.
    given: HashMap<usize, Arc<Node>>,
    mixed: f64,
    curve: Vec<(usize, f64)>,
    layers: Vec<(usize, f64)>,
    /// How many float layers there were after every network that was kept.
    kept: Vec<usize>,
    /// Similarities by the numbers of the float and the INT8 node.
    similarities: HashMap<[u64; 2], f64>,
    /// So many layers are looked at in one run: more and more while none becomes float.
    ahead: usize,
}

impl<'a> Walk<'a> {
    fn new(program: &'a Program, known: Vec<bool>, upstream: Vec<bool>, int8: Setting) -> Walk<'a> {
        Walk {
            program,
            readers: readers(program),
            known,
            upstream,
            floats: Vec::new(),
            int8: int8.clone(),
            setting: int8,
            given: HashMap::new(),
            mixed: 0.0,
            curve: Vec::new(),
            layers: Vec::new(),
            kept: Vec::new(),
            similarities: HashMap::new(),
            ahead: 1,
        }
    }

    /// Whether the similarity of a layer counts.
    fn looks_at(&self, layer: usize) -> bool {
        let node = &self.program.nodes[layer];
        let is_output = node.results.iter().any(|r| self.program.outputs.contains(r));
        let has_int8_reader = is_output || self.readers[layer].iter().any(|r| !self.floats.contains(r));
        let is_input = matches!(node.op, Op::TopInput(_));
        !is_input && !self.floats.contains(&layer) && has_int8_reader && self.known[layer] && self.upstream[layer]
    }

    /// The score of the INT8 network. Most walks look at most of its layers: they are compared in the same run.
    fn score_int8(&mut self, trials: &mut Trials, network: &Network) -> Result<f64, QuantError> {
        if trials.are_known(std::slice::from_ref(&self.int8)) {
            return trials.score(&self.int8);
        }
        let layers: Vec<usize> = (0..self.program.nodes.len()).filter(|&layer| self.looks_at(layer)).collect();
        let (score, found) = trials.evaluator.score_and_layers(network, &layers)?;
        self.remember(trials, network, &layers, &found)?;
        trials.know(&self.int8, score)?;
        Ok(score)
    }

    /// The rule counts float layers before the one that changes as exact, so that the network as it is may end below INT8: then
    /// the best beginning of the walk is taken, which is INT8 alone where none is better.
    fn fall_back(&mut self, trials: &mut Trials, int8: f64) -> Result<(), QuantError> {
        let settings: Vec<Setting> = self.kept.iter().map(|&count| self.int8.with(self.floats[..count].iter().copied(), trials.float)).collect();
        let mut best = (0, int8);
        for (&count, score) in self.kept.iter().zip(trials.scores(&settings)?) {
            if score > best.1 {
                best = (count, score);
            }
        }
        trials.say(format!(
            "fall back: the {} layers of the walk give outputs_cos {}, less than INT8 ({}); its first {} are taken, which give {}",
            self.floats.len(), python::float(self.mixed), python::float(int8), best.0, python::float(best.1)
        ));
        self.floats.truncate(best.0);
        self.setting = self.int8.with(self.floats.iter().copied(), trials.float);
        self.mixed = best.1;
        Ok(())
    }

    /// How near the layer is to the float network's.
    fn similarity(&mut self, trials: &mut Trials, layer: usize) -> Result<f64, QuantError> {
        if let Some(known) = trials.journal.get(&self.key(layer)) {
            return Ok(known);
        }
        let network = trials.evaluator.network_with(&self.int8, &self.given)?;
        let is_new = |&layer: &usize| self.looks_at(layer) && self.numbers(trials, &network, layer).is_none_or(|of| !self.similarities.contains_key(&of));
        let layers: Vec<usize> = (layer..self.program.nodes.len()).filter(is_new).take(self.ahead).collect();
        if layers.first() == Some(&layer) {
            self.keep(trials, &network, layer)?;
            let found = trials.evaluator.layer_similarities(&network, &layers)?;
            self.remember(trials, &network, &layers, &found)?;
            self.ahead *= 2;
        } else {
            let of = self.numbers(trials, &network, layer).and_then(|of| self.similarities.get(&of).copied());
            trials.journal.put(&self.key(layer), of.unwrap_or(1.0))?;
        }
        Ok(trials.journal.get(&self.key(layer)).unwrap_or(1.0))
    }

    /// Takes note of similarities that were found.
    fn remember(&mut self, trials: &mut Trials, network: &Network, layers: &[usize], found: &[Option<f64>]) -> Result<(), QuantError> {
        for (&layer, &found) in layers.iter().zip(found) {
            let found = found.unwrap_or(1.0);
            trials.journal.put(&self.key(layer), found)?;
            if let Some(of) = self.numbers(trials, network, layer) {
                self.similarities.insert(of, found);
            }
        }
        Ok(())
    }

    /// What a journal calls a layer's similarity in the network as it is now.
    fn key(&self, layer: usize) -> String {
        format!("{}/layer{layer}", self.setting.fingerprint())
    }

    /// The numbers of the nodes that are compared.
    fn numbers(&self, trials: &Trials, network: &Network, layer: usize) -> Option<[u64; 2]> {
        Some([trials.evaluator.float().layers[layer].as_ref()?.id, network.layers[layer].as_ref()?.id])
    }

    /// Keeps what is needed from a layer on.
    fn keep(&self, trials: &mut Trials, network: &Network, layer: usize) -> Result<(), QuantError> {
        let mut live = trials.evaluator.live_before(network, layer);
        live.extend(trials.evaluator.live_before(trials.evaluator.float(), layer));
        trials.evaluator.keep(&live)
    }

    /// Makes a layer and its readers float; takes it back where the outputs are then worse than INT8's. True if it stays.
    fn make_float(&mut self, trials: &mut Trials, layer: usize, int8: f64) -> Result<bool, QuantError> {
        let (floats, setting) = (self.floats.clone(), self.setting.clone());
        for added in std::iter::once(&layer).chain(&self.readers[layer]) {
            if self.known[*added] && !self.floats.contains(added) {
                self.floats.push(*added);
            }
        }
        self.setting = self.setting.with(self.floats.iter().copied(), trials.float);
        let network = self.tried(trials, layer)?;
        let key = format!("{}/from{layer}", self.setting.fingerprint());
        let score = match trials.journal.get(&key) {
            Some(known) => known,
            None => {
                let score = trials.evaluator.scores(&[&network])?[0];
                trials.journal.put(&key, score)?;
                score
            }
        };
        trials.say(format!("float layer number: {}, mix model outputs_cos: {}", self.floats.len(), python::float(score)));
        self.curve.push((self.floats.len(), score));
        if score < int8 {
            (self.floats, self.setting) = (floats, setting);
            return Ok(false);
        }
        for &reader in &self.readers[layer] {
            self.given.extend(network.layers[reader].clone().map(|node| (reader, node)));
        }
        (self.mixed, self.ahead) = (score, 1);
        self.kept.push(self.floats.len());
        Ok(true)
    }

    /// The network that is tried at a layer: float layers before it as in the float network, the others as the walk left them.
    fn tried(&self, trials: &mut Trials, layer: usize) -> Result<Network, QuantError> {
        let walked = trials.evaluator.network_with(&self.int8, &self.given)?;
        let is_float = |n: &usize| self.floats.contains(n);
        let float = trials.evaluator.float();
        let of = |n: usize| if is_float(&n) { float.layers[n].clone() } else { walked.layers[n].clone() };
        let given = (0..layer).filter_map(|n| Some((n, of(n)?))).collect();
        trials.evaluator.network_with(&self.setting, &given)
    }
}

fn readers(program: &Program) -> Vec<Vec<usize>> {
    let users = program.users();
    let of_node = |results: &Vec<tpuc_ops::ValueId>| {
        let mut all: Vec<usize> = results.iter().flat_map(|r| users[r.index()].iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    program.nodes.iter().map(|n| of_node(&n.results)).collect()
}

/// By node: whether the compared layers depend on it; all do where the outputs are compared.
fn upstream_of_compared(trials: &Trials, program: &Program) -> Vec<bool> {
    let mut stack: Vec<usize> = trials.evaluator.compared().collect();
    if stack.is_empty() {
        return vec![true; program.nodes.len()];
    }
    let mut found = vec![false; program.nodes.len()];
    let own = stack.clone();
    while let Some(node) = stack.pop() {
        for before in program.nodes[node].operands.iter().filter_map(|&o| program.producer(o)) {
            if !std::mem::replace(&mut found[before], true) {
                stack.push(before);
            }
        }
    }
    own.into_iter().for_each(|n| found[n] = true);
    found
}
