//! Makes a chosen set of float layers better without making it larger.
//!
//! Layers are ranked by what each loses alone, and thresholds are chosen in the same way; in the mixed network losses add up or
//! cancel out. So, from the set that the ranking gives, a bounded number of neighbours is tried in the network as it will be:
//! layers of the set exchanged for ones that rank just below it, then the other thresholds that were tried for layers that stay
//! INT8. Only what raises the similarity is kept, so the result is never worse than the ranking's.

use super::layers::{LayerLoss, partners, ranked, selected};
use super::python;
use super::trials::Trials;
use crate::candidates::as_written;
use crate::error::QuantError;
use crate::evaluator::Setting;

/// A set of float layers with the thresholds of the others.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Float layers, in the order of the table.
    pub layers: Vec<usize>,
    /// Modes without these layers, and thresholds.
    pub setting: Setting,
    pub score: f64,
}

/// How many neighbours are tried: exchanges of the last layers of the set for the next of the ranking (each so many), and layers
/// whose thresholds are tried once more.
const EXCHANGED: usize = 4;
const THRESHOLDS: usize = 12;

/// Scores neighbours of a choice. Most of what they compute they share with it: its tensors are kept.
pub(super) fn scores(trials: &mut Trials, choice: &Choice, neighbours: &[Setting]) -> Result<Vec<f64>, QuantError> {
    if !trials.are_known(neighbours) {
        let network = trials.evaluator.network(&choice.setting.with(choice.layers.iter().copied(), trials.float))?;
        trials.evaluator.keep(&network.nodes())?;
    }
    trials.scores(neighbours)
}

/// Tries neighbours of a choice. `losses` are those that it was made of.
pub fn refine(trials: &mut Trials, choice: Choice, losses: &[LayerLoss]) -> Result<Choice, QuantError> {
    let exchanged = exchange(trials, choice.clone(), losses)?;
    if exchanged.layers == choice.layers {
        return thresholds(trials, choice, losses);
    }
    // What thresholds bring to the ranking's set may be more than the exchange.
    let (exchanged, plain) = (thresholds(trials, exchanged, losses)?, thresholds(trials, choice, losses)?);
    Ok(if plain.score > exchanged.score { plain } else { exchanged })
}

/// The choice, unless INT8 alone (`int8`) is more similar: then the best of the ranking's smaller sets, or INT8 where that is better
/// than all of them.
pub fn not_below(trials: &mut Trials, int8: Choice, choice: Choice, losses: &[LayerLoss]) -> Result<Choice, QuantError> {
    if choice.score >= int8.score {
        return Ok(choice);
    }
    let sets: Vec<Vec<usize>> = (0..choice.layers.len()).map(|count| selected(trials.program(), losses, count)).collect();
    let settings: Vec<Setting> = sets.iter().map(|set| choice.setting.with(set.iter().copied(), trials.float)).collect();
    let best = match highest(scores(trials, &choice, &settings)?, int8.score) {
        Some((best, score)) => Choice { layers: sets[best].clone(), setting: choice.setting, score },
        None => int8.clone(),
    };
    trials.say(format!(
        "fall back: {} float layers give outputs_cos {}, less than INT8 ({}); {} are taken, which give {}",
        choice.layers.len(), python::float(choice.score), python::float(int8.score), best.layers.len(), python::float(best.score)
    ));
    Ok(best)
}

/// Exchanges one layer at a time, as long as that helps and at most twice.
fn exchange(trials: &mut Trials, mut choice: Choice, losses: &[LayerLoss]) -> Result<Choice, QuantError> {
    let program = trials.program();
    let single = |l: &usize| partners(program, *l).is_empty();
    for _ in 0..2 {
        let order: Vec<usize> = ranked(losses).iter().map(|l| l.layer).filter(single).collect();
        let out: Vec<usize> = order.iter().rev().copied().filter(|l| choice.layers.contains(l)).take(EXCHANGED).collect();
        let new: Vec<usize> = order.iter().copied().filter(|l| !choice.layers.contains(l)).take(EXCHANGED).collect();
        let pairs: Vec<(usize, usize)> = out.iter().flat_map(|&old| new.iter().map(move |&new| (old, new))).collect();
        let changed = |&(old, new): &(usize, usize)| choice.layers.iter().map(|&l| if l == old { new } else { l }).collect();
        let sets: Vec<Vec<usize>> = pairs.iter().map(changed).collect();
        let settings: Vec<Setting> = sets.iter().map(|set| choice.setting.with(set.iter().copied(), trials.float)).collect();
        let Some((best, score)) = highest(scores(trials, &choice, &settings)?, choice.score) else { break };
        let (old, new) = pairs[best];
        trials.say(format!("exchange layer {} for {}, mix model outputs_cos: {}", trials.name(old), trials.name(new), python::float(score)));
        choice.layers.clone_from(&sets[best]);
        choice.score = score;
    }
    Ok(choice)
}

/// Tries the other thresholds of layers that stay INT8, those first whose methods hardly differ when they are alone.
pub(super) fn thresholds(trials: &mut Trials, mut choice: Choice, losses: &[LayerLoss]) -> Result<Choice, QuantError> {
    let differing = |loss: &&LayerLoss| loss.tried.iter().any(|t| as_written(t.threshold) != as_written(loss.best().threshold));
    let mut order: Vec<&LayerLoss> = losses.iter().filter(differing).filter(|l| !choice.layers.contains(&l.layer)).collect();
    order.sort_by(|a, b| b.best().loss.total_cmp(&a.best().loss));
    for loss in order.into_iter().take(THRESHOLDS) {
        let name = trials.name(loss.layer);
        let others: Vec<_> = loss.tried.iter().filter(|t| as_written(t.threshold) != as_written(loss.best().threshold)).collect();
        let changed: Vec<Setting> = others.iter().map(|t| choice.setting.with_threshold(name, as_written(t.threshold))).collect();
        let settings: Vec<Setting> = changed.iter().map(|s| s.with(choice.layers.iter().copied(), trials.float)).collect();
        if let Some((best, score)) = highest(scores(trials, &choice, &settings)?, choice.score) {
            let Some(tried) = others.get(best) else { continue };
            trials.say(format!("adjust layer {name} th, with method {}, and threshlod {}, mix model outputs_cos: {}", tried.method, python::float(tried.threshold), python::float(score)));
            choice.setting = changed[best].clone();
            choice.score = score;
        }
    }
    Ok(choice)
}

/// The first highest score, if it is above `than`.
fn highest(scores: Vec<f64>, than: f64) -> Option<(usize, f64)> {
    scores.into_iter().enumerate().fold(None, |best: Option<(usize, f64)>, (i, s)| if s > best.map_or(than, |b| b.1) { Some((i, s)) } else { best })
}
