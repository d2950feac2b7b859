//! A set of float layers by what it costs: the options `--optimize` and `--budget` of `search_qtable`.

use tpuc_lowering::table::Row;
use tpuc_lowering::{Mode, QuantizeTable};
use tpuc_quant::QuantError;
use tpuc_quant::evaluator::Setting;
use tpuc_quant::model::Target;
use tpuc_quant::search::optimize::{Costs, Front, Goal, optimize};
use tpuc_quant::search::qtable::initial;
use tpuc_quant::search::refine::Choice;
use tpuc_quant::search::{Outcome, Trials};

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// What was asked for cannot be.
    #[error("budget: {0}")]
    Budget(String),
    #[error("budget: no estimate of cycles: {0}")]
    NoEstimate(QuantError),
    #[error(transparent)]
    Search(#[from] QuantError),
}

/// A limit on what float layers cost: `900000` cycles of the whole network, `8layers`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    Layers(usize),
    Cycles(u64),
}

impl std::str::FromStr for Budget {
    type Err = CostError;

    fn from_str(text: &str) -> Result<Budget, CostError> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse::<u64>().map_err(|_| ());
        match (number, text[digits.len()..].trim()) {
            (Ok(number), "" | "cycles") => Ok(Budget::Cycles(number)),
            (Ok(number), "layer" | "layers") => Ok(Budget::Layers(usize::try_from(number).unwrap_or(usize::MAX))),
            _ => Err(CostError::Budget(format!("'{text}': expected a number of estimated cycles (900000) or of layers (8layers)"))),
        }
    }
}

/// What is looked for after the ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    pub budget: Option<Budget>,
    pub expected_cos: f64,
}

impl Wanted {
    /// Checks that the budget is one of this chip's.
    pub fn check(&self, chip: &str) -> Result<(), CostError> {
        match self.budget {
            Some(Budget::Cycles(_)) if !tpuc_codegen::CHIPS.contains(&chip) => {
                Err(CostError::Budget(format!("cycles are estimated for {} only, not for {chip}; give a number of layers (8layers)", tpuc_codegen::CHIPS.join(", "))))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the network without float layers fits the budget.
    pub fn check_int8(&self, trials: &Trials, rows: &[Row], fixed: Option<&QuantizeTable>) -> Result<(), CostError> {
        let Some(Budget::Cycles(most)) = self.budget else { return Ok(()) };
        let base = initial(trials.program(), rows.to_vec(), fixed)?;
        let least = network_cycles(trials.evaluator.target(), &base).map_err(CostError::NoEstimate)?.0;
        match least > most as f64 {
            true => Err(CostError::Budget(format!("{most} cycles, but without any float layer the network takes {least}"))),
            false => Ok(()),
        }
    }
}

/// Looks for a better set than the one that was found. The Pareto table goes to the log and the screen.
pub fn better(trials: &mut Trials, found: Outcome, fixed: Option<&QuantizeTable>, wanted: Wanted) -> Result<Outcome, CostError> {
    let Some(score) = found.mixed else { return Ok(found) };
    let program = trials.program();
    let base = initial(program, found.rows.clone(), fixed)?;
    let fixed: Vec<usize> = base.floats().collect();
    let layers = found.layers.iter().copied().filter(|l| !fixed.contains(l)).collect();
    let target = trials.evaluator.target();
    let count = |setting: &Setting| Ok((setting.floats().count() - fixed.len()) as f64);
    let cycles = |setting: &Setting| network_cycles(target, setting).map(|(all, _)| all);
    let by_cycles = match (wanted.budget, layer_cycles(target, &base, trials.float)) {
        (Some(Budget::Layers(_)), _) => None,
        (_, Ok(costs)) => Some(costs),
        (Some(Budget::Cycles(_)), Err(error)) => return Err(CostError::NoEstimate(error)),
        (None, Err(error)) => {
            trials.say(format!("pareto: no estimate of cycles, layers are counted: {error}"));
            None
        }
    };
    let costs = match by_cycles {
        Some(of_layer) => Costs { unit: "cycles", of_layer, of_network: &cycles },
        None => Costs::layers(program.nodes.len(), &count),
    };
    let goal = match wanted.budget {
        Some(Budget::Layers(most)) => Goal::Budget(most as f64),
        Some(Budget::Cycles(most)) => Goal::Budget(most as f64),
        None => Goal::Similarity(wanted.expected_cos),
    };
    let (choice, front) = optimize(trials, Choice { layers, setting: base, score }, &found.losses, &costs, goal)?;
    say_front(trials, &front);
    let curve = found.curve.iter().copied().chain(front.steps.iter().map(|s| (s.layers.len(), s.score))).collect();
    let layers = fixed.into_iter().chain(choice.layers).collect();
    Ok(Outcome { layers, rows: choice.setting.rows, mixed: Some(choice.score), curve, front: Some(front), ..found })
}

fn say_front(trials: &Trials, front: &Front) {
    trials.say(format!("pareto: float layers, {}, outputs_cos", front.unit));
    for step in &front.steps {
        trials.say(format!("pareto: {:>4} {:>12} {:.6}", step.layers.len(), step.cost, step.score));
    }
}

/// What every layer costs more in float than in INT8, alone: from the network in the one and in the other.
fn layer_cycles(target: Target, base: &Setting, float: Mode) -> Result<Vec<f64>, QuantError> {
    let program = target.program;
    let (_, int8) = network_cycles(target, base)?;
    let (_, floats) = network_cycles(target, &base.with(0..program.nodes.len(), float))?;
    Ok(int8.iter().zip(&floats).map(|(a, b)| (b - a).max(1.0)).collect())
}

/// Estimated cycles of a network, and of its layers by node of the Top program.
fn network_cycles(target: Target, setting: &Setting) -> Result<(f64, Vec<f64>), QuantError> {
    let (program, weights) = target.mixed_program(&setting.rows, |node| setting.modes[node])?;
    let fail = |e: tpuc_codegen::CodegenError| QuantError::Cost(e.to_string());
    let compiled = tpuc_codegen::compile(&program, &weights).map_err(fail)?;
    let timeline = compiled.timeline().map_err(fail)?;
    let mut by_node = vec![0.0; target.program.nodes.len()];
    let names: std::collections::HashMap<&str, usize> = (0..target.program.nodes.len()).map(|n| (target.program.node_name(n), n)).collect();
    for cost in timeline.layer_costs(&program) {
        if let Some(&node) = names.get(cost.layer.as_str()) {
            by_node[node] += cost.cycles as f64;
        }
    }
    Ok((timeline.cycles as f64, by_node))
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn budgets() {
        let cases = [("900000", Some(Budget::Cycles(900_000))), ("9 cycles", Some(Budget::Cycles(9))), ("8layers", Some(Budget::Layers(8))), ("1 layer", Some(Budget::Layers(1))), ("", None), ("x", None), ("-3", None), ("8 leyers", None)];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Budget>().ok(), expected, "{text}");
        }
    }
}
