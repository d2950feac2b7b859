//! A smaller, faster or better set of float layers than the ranking's: greedy with interactions, and backward elimination.
//!
//! Layers are added one at a time, each time the one of the next few of the ranking that does most for the network as it is by
//! then, for what it costs. Then layers are taken out again whose absence the rest makes up for. It ends at a similarity
//! ([`Goal::Similarity`]) or at a cost ([`Goal::Budget`]). The ranking's own set takes part, so that the result is never worse.

use super::layers::{LayerLoss, ranked};
use super::python;
use super::refine::{Choice, scores, thresholds};
use super::trials::Trials;
use crate::error::QuantError;
use crate::evaluator::Setting;

/// What is asked of a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The cheapest set that is more similar than this.
    Similarity(f64),
    /// The most similar set that costs no more than this.
    Budget(f64),
}

impl Goal {
    fn is_met(self, cost: f64, score: f64) -> bool {
        match self {
            Goal::Similarity(expected) => score > expected,
            Goal::Budget(most) => cost <= most,
        }
    }

    /// Whether one result is better than another.
    fn prefers(self, a: &Step, b: &Step) -> bool {
        match (self.is_met(a.cost, a.score), self.is_met(b.cost, b.score)) {
            (true, false) => true,
            (false, true) => false,
            (false, false) if matches!(self, Goal::Budget(_)) => a.cost < b.cost,
            (false, false) => a.score > b.score,
            (true, true) => match self {
                Goal::Similarity(_) => (a.cost, -a.score) < (b.cost, -b.score),
                Goal::Budget(_) => (-a.score, a.cost) < (-b.score, b.cost),
            },
        }
    }

    /// The first of the best.
    fn best(self, steps: &[Step]) -> Option<&Step> {
        steps.iter().reduce(|best, step| if self.prefers(step, best) { step } else { best })
    }
}

/// What float layers cost.
pub struct Costs<'a> {
    /// What the numbers are: `layers`, `cycles`.
    pub unit: &'static str,
    /// By node, about what it costs more in float than in INT8; above 0.
    pub of_layer: Vec<f64>,
    /// What a network costs.
    pub of_network: &'a dyn Fn(&Setting) -> Result<f64, QuantError>,
}

impl<'a> Costs<'a> {
    /// Every float layer costs 1.
    pub fn layers(nodes: usize, count: &'a dyn Fn(&Setting) -> Result<f64, QuantError>) -> Costs<'a> {
        Costs { unit: "layers", of_layer: vec![1.0; nodes], of_network: count }
    }
}

/// A set that was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub layers: Vec<usize>,
    pub cost: f64,
    pub score: f64,
}

/// So many of the next layers of the ranking are tried at a time.
const WIDTH: usize = 8;
/// So many additions in a row may fail to help before it ends.
const PATIENCE: usize = 3;

/// The sets on the way of which none is both cheaper and better, by rising cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    /// What costs are: `layers`, `cycles`.
    pub unit: &'static str,
    pub steps: Vec<Step>,
}

/// Looks for a set. `start` is the ranking's: its modes, its layers aside, and its thresholds are those of the networks that are
/// tried. In the end the thresholds of what was found are tried once more, and what becomes superfluous by that is taken out.
pub fn optimize(trials: &mut Trials, start: Choice, losses: &[LayerLoss], costs: &Costs, goal: Goal) -> Result<(Choice, Front), QuantError> {
    let order: Vec<usize> = ranked(losses).iter().map(|l| l.layer).collect();
    let mut search = Search { trials, base: start.setting.clone(), costs, goal, steps: Vec::new() };
    search.reach(start.layers.clone(), start.score)?;
    let none = search.score(&[])?;
    search.reach(Vec::new(), none)?;
    for (layers, score) in [(Vec::new(), none), (start.layers.clone(), start.score)] {
        let grown = search.grow(layers, score, &order)?;
        search.shrink(grown)?;
    }
    search.shrink(start.layers.clone())?;
    let mut steps = search.steps;
    let best = goal.best(&steps).map_or(start.clone(), |b| Choice { layers: b.layers.clone(), setting: start.setting.clone(), score: b.score });
    let mut choice = thresholds(trials, best.clone(), losses)?;
    if choice.score > best.score {
        let mut search = Search { trials, base: choice.setting.clone(), costs, goal, steps: Vec::new() };
        search.reach(choice.layers.clone(), choice.score)?;
        search.shrink(choice.layers.clone())?;
        if let Some(best) = goal.best(&search.steps) {
            (choice.layers, choice.score) = (best.layers.clone(), best.score);
        }
        steps.extend(search.steps);
    }
    Ok((choice, Front { unit: costs.unit, steps: pareto(steps) }))
}

struct Search<'t, 'a, 'c> {
    trials: &'t mut Trials<'a>,
    base: Setting,
    costs: &'c Costs<'c>,
    goal: Goal,
    steps: Vec<Step>,
}

impl Search<'_, '_, '_> {
    fn setting(&self, layers: &[usize]) -> Setting {
        self.base.with(layers.iter().copied(), self.trials.float)
    }

    fn score(&mut self, layers: &[usize]) -> Result<f64, QuantError> {
        let setting = self.setting(layers);
        self.trials.score(&setting)
    }

    /// The scores of sets that differ from this one by a layer.
    fn neighbours(&mut self, layers: &[usize], score: f64, sets: &[Vec<usize>]) -> Result<Vec<f64>, QuantError> {
        let settings: Vec<Setting> = sets.iter().map(|s| self.setting(s)).collect();
        scores(self.trials, &Choice { layers: layers.to_vec(), setting: self.base.clone(), score }, &settings)
    }

    /// Remembers a set; its cost.
    fn reach(&mut self, layers: Vec<usize>, score: f64) -> Result<f64, QuantError> {
        let cost = (self.costs.of_network)(&self.setting(&layers))?;
        self.trials.say(format!("optimize: float layer number: {}, {} {cost}, mix model outputs_cos: {}", layers.len(), self.costs.unit, python::float(score)));
        self.steps.push(Step { layers, cost, score });
        Ok(cost)
    }

    fn cost(&self, layers: &[usize]) -> Result<f64, QuantError> {
        (self.costs.of_network)(&self.setting(layers))
    }

    /// Adds layers until the goal is met, or the budget spent.
    fn grow(&mut self, mut layers: Vec<usize>, mut score: f64, order: &[usize]) -> Result<Vec<usize>, QuantError> {
        let mut left: Vec<usize> = order.iter().copied().filter(|l| !layers.contains(l)).collect();
        let (mut best, mut failed) = ((layers.clone(), score), 0);
        while !left.is_empty() && failed < PATIENCE && !matches!(self.goal, Goal::Similarity(expected) if score > expected) {
            let next: Vec<usize> = left.iter().copied().take(WIDTH).collect();
            let sets: Vec<Vec<usize>> = next.iter().map(|&l| [&layers[..], &[l]].concat()).collect();
            let scores = self.neighbours(&layers, score, &sets)?;
            // What loses, loses least where it costs most.
            let worth = |i: usize| {
                let (gain, cost) = (scores[i] - score, self.costs.of_layer[next[i]]);
                if gain > 0.0 { gain / cost } else { gain * cost }
            };
            let Some(chosen) = (0..next.len()).reduce(|a, b| if worth(b) > worth(a) { b } else { a }) else { break };
            left.retain(|&l| l != next[chosen]);
            let tried = sets[chosen].clone();
            let cost = self.reach(tried.clone(), scores[chosen])?;
            if matches!(self.goal, Goal::Budget(most) if cost > most) {
                // Cheaper ones may still fit.
                failed += 1;
                continue;
            }
            (layers, score) = (tried, scores[chosen]);
            if score > best.1 {
                (best, failed) = ((layers.clone(), score), 0);
            } else {
                failed += 1;
            }
        }
        Ok(best.0)
    }

    /// Takes layers out: those that lose least for what they cost until the set fits the budget, then the dearest as long as the
    /// goal stays met or the similarity rises.
    fn shrink(&mut self, mut layers: Vec<usize>) -> Result<(), QuantError> {
        let mut score = self.score(&layers)?;
        let mut too_dear = matches!(self.goal, Goal::Budget(most) if self.cost(&layers)? > most);
        while !layers.is_empty() {
            let without = |out: usize| layers.iter().copied().filter(|&l| l != out).collect::<Vec<usize>>();
            let sets: Vec<Vec<usize>> = layers.iter().map(|&l| without(l)).collect();
            let scores = self.neighbours(&layers, score, &sets)?;
            let cost = |i: usize| self.costs.of_layer[layers[i]];
            let may_go = |i: &usize| too_dear || scores[*i] >= score || matches!(self.goal, Goal::Similarity(expected) if scores[*i] > expected);
            // By what goes first: the gain for the cost where the set is too dear, else the cost and what is left.
            let worth = |i: usize| if too_dear { ((scores[i] - score) / cost(i), scores[i]) } else { (cost(i), scores[i]) };
            let Some(out) = (0..layers.len()).filter(may_go).reduce(|a, b| if worth(b) > worth(a) { b } else { a }) else { break };
            (layers, score) = (sets[out].clone(), scores[out]);
            let cost = self.reach(layers.clone(), score)?;
            too_dear = matches!(self.goal, Goal::Budget(most) if cost > most);
        }
        Ok(())
    }
}

/// The sets of which none is both cheaper and better, by rising cost.
fn pareto(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut front: Vec<Step> = Vec::new();
    for step in steps {
        if front.last().is_none_or(|last| step.score > last.score) {
            front.push(step);
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(cost: f64, score: f64) -> Step {
        Step { layers: Vec::new(), cost, score }
    }

    #[test]
    fn a_front_has_no_set_that_another_beats() {
        let front = pareto(vec![step(3.0, 0.9), step(1.0, 0.5), step(2.0, 0.95), step(1.0, 0.6), step(4.0, 0.95)]);
        assert_eq!(front, [step(1.0, 0.6), step(2.0, 0.95)]);
    }

    #[test]
    fn what_meets_the_goal_comes_first() {
        let similar = Goal::Similarity(0.9);
        assert!(similar.prefers(&step(5.0, 0.95), &step(1.0, 0.9)));
        assert!(similar.prefers(&step(4.0, 0.91), &step(5.0, 0.99)));
        assert!(similar.prefers(&step(9.0, 0.8), &step(1.0, 0.7)));
        let cheap = Goal::Budget(4.0);
        assert!(cheap.prefers(&step(4.0, 0.5), &step(5.0, 0.9)));
        assert!(cheap.prefers(&step(4.0, 0.9), &step(1.0, 0.8)));
        assert!(cheap.prefers(&step(5.0, 0.1), &step(6.0, 0.9)));
    }
}
