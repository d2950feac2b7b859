//! `--search fast_search` of version 1.30.2: rounds of one sample.
//!
//! 1. Op types that lose by themselves ([`sensitive_types`]); their layers are searched.
//! 2. A round: every searched layer alone in INT8, the other searched ones and those found float, on the first sample. Layers are
//!    ranked by cosine loss plus rank by noise; the five worst are found.
//! 3. The network with all that are found float is scored on all samples. Rounds end when it is good enough, when it hardly gets better,
//!    when a fifth of the layers is found, or after as many rounds as there are samples.
//!
//! The reference goes on where the network is good enough already, and writes the last list even if a shorter one is better: here the
//! first list that is good enough is the result, or else the best one, which is INT8 alone where all are worse.

use super::qtable::{good_enough, initial, sensitive_types};
use super::trials::Trials;
use super::{LayerLoss, Outcome, Tried, python};
use crate::error::QuantError;
use crate::evaluator::Setting;
use crate::search::layers::{say_layers, written};
use crate::similarity::Similarity;
use tpuc_lowering::table::Row;
use tpuc_lowering::{Mode, QuantizeTable};

/// When the search ends.
#[derive(Debug, Clone)]
pub struct FastOptions {
    pub expected_cos: f64,
    /// Layers whose mode is given and stays.
    pub fixed: Option<QuantizeTable>,
}

/// Layers that become float in a round.
const EACH_ROUND: usize = 5;

/// A round that brings less than this, and less than half of what the first brought, is the last.
const LEAST_GAIN: f64 = 0.001;

/// Searches with the thresholds of some rows.
pub fn search(trials: &mut Trials, rows: &[Row], options: &FastOptions) -> Result<Outcome, QuantError> {
    let program = trials.program();
    trials.say(format!("run float mode: {}", trials.mlir));
    let setting = initial(program, written(rows), options.fixed.as_ref())?;
    trials.say_int8();
    let int8 = trials.score(&setting)?;
    if int8 > options.expected_cos {
        return Ok(good_enough(trials, setting, int8, options.expected_cos));
    }
    trials.say(format!("all_int8_cos={}", python::float(int8)));
    let network = trials.evaluator.network(&setting)?;
    let all: Vec<usize> = (0..network.layers.len()).filter(|&n| network.layers[n].is_some()).collect();
    let kinds = sensitive_types(trials, &setting, &all, options.expected_cos)?;
    let quantized = trials.integer_layers(&network);
    let mut left: Vec<usize> = all.iter().copied().filter(|l| kinds.contains(&trials.kind(*l)) && quantized.contains(l) && setting.modes[*l] == Mode::Int8).collect();
    trials.say(format!("all search layer number: {}", left.len()));

    let fixed: Vec<usize> = setting.floats().collect();
    let (mut found, mut losses): (Vec<usize>, Vec<LayerLoss>) = (Vec::new(), Vec::new());
    let mut curve = Vec::new();
    let mut best: (Vec<usize>, f64) = (Vec::new(), int8);
    let (mut before, mut half) = (int8, 0.0);
    for round in 1..=trials.evaluator.samples() {
        if left.is_empty() {
            break;
        }
        let ranked = round_of(trials, &setting, &left, &found, &mut losses)?;
        let worst = &ranked[ranked.len().saturating_sub(EACH_ROUND)..];
        left.retain(|l| !worst.contains(l));
        found.extend(worst);
        say_layers(trials, &found);
        trials.say_int8();
        let score = trials.score(&setting.with(found.iter().copied(), trials.float))?;
        trials.say(format!("float layer number: {}, mix model outputs_cos: {}", found.len(), python::float(score)));
        (trials.progress)(found.len() as f64 / (all.len() as f64 / 5.0).max(1.0), "rounds");
        curve.push((found.len(), score));
        if score > best.1 {
            best = (found.clone(), score);
        }
        let gain = score - before;
        if score > options.expected_cos || (gain < half && gain < LEAST_GAIN) || found.len() * 5 > all.len() {
            break;
        }
        if round == 1 {
            half = gain.abs() / 2.0;
        }
        before = score;
    }
    losses.sort_by_key(|l| l.layer);
    let (layers, score) = best;
    Ok(Outcome { layers: fixed.into_iter().chain(layers).collect(), rows: setting.rows, int8, mixed: Some(score), losses, curve, front: None })
}

/// The searched layers from the least to the most sensitive. The losses of layers that are new are added.
fn round_of(trials: &mut Trials, setting: &Setting, left: &[usize], found: &[usize], losses: &mut Vec<LayerLoss>) -> Result<Vec<usize>, QuantError> {
    let mut measured = Vec::with_capacity(left.len());
    let base = setting.with(found.iter().chain(left).copied(), trials.float);
    for &layer in left {
        let name = trials.name(layer);
        trials.say(format!("start to handle layer: {name}, type: {}", trials.kind(layer)));
        let trial = [base.with([layer], Mode::Int8)];
        if !trials.are_known_by(Similarity::Snr, &trial, 1) {
            let network = trials.evaluator.network(&base)?;
            let live = trials.evaluator.live_before(&network, layer);
            trials.evaluator.keep_of(&live, 1)?;
        }
        trials.say_int8();
        let loss = |trials: &mut Trials, measure| Ok::<_, QuantError>(1.0 - trials.scores_by(measure, &trial, 1)?.into_iter().next().unwrap_or(0.0));
        let (cosine, noise) = (loss(trials, Similarity::Cosine)?, loss(trials, Similarity::Snr)?);
        trials.say(format!("layer {name}, outputs_cos:{}, outputs_snr:{}", python::float(cosine), python::float(noise)));
        measured.push((layer, cosine, noise));
        if !losses.iter().any(|l| l.layer == layer) {
            let threshold = setting.rows.iter().find(|r| r.name == name).map_or(0.0, |r| r.threshold);
            losses.push(LayerLoss { layer, tried: vec![Tried { method: "table", threshold, loss: cosine }], best: 0 });
        }
    }
    Ok(by_both_ranks(&measured))
}

/// Layers by the sum of their places by cosine loss and by noise; the loss decides between equals.
fn by_both_ranks(measured: &[(usize, f64, f64)]) -> Vec<usize> {
    let places = |key: fn(&(usize, f64, f64)) -> f64| {
        let mut order: Vec<usize> = (0..measured.len()).collect();
        order.sort_by(|&a, &b| key(&measured[a]).total_cmp(&key(&measured[b])));
        let mut place = vec![0; measured.len()];
        order.into_iter().enumerate().for_each(|(p, i)| place[i] = p);
        place
    };
    let (cosine, noise) = (places(|m| m.1), places(|m| m.2));
    let mut order: Vec<usize> = (0..measured.len()).collect();
    order.sort_by(|&a, &b| (cosine[a] + noise[a]).cmp(&(cosine[b] + noise[b])).then(measured[a].1.total_cmp(&measured[b].1)));
    order.into_iter().map(|i| measured[i].0).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn places_by_both_measures_add_up() {
        // By cosine 7, 8, 9; by noise 9, 7, 8: sums 1, 3, 2.
        assert_eq!(super::by_both_ranks(&[(7, 0.1, 0.2), (8, 0.2, 0.3), (9, 0.3, 0.1)]), [7, 9, 8]);
        // Equal sums: the loss decides.
        assert_eq!(super::by_both_ranks(&[(1, 0.2, 0.1), (2, 0.1, 0.2)]), [2, 1]);
    }
}
