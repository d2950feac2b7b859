//! `run_sensitive_layer`: the loss of every layer with the thresholds of MAX, Percentile9999 and KL; the worst ones become float,
//! or a better set of as many ([`refine`]), or a smaller one where these are less similar than INT8 alone.

use super::layers::{Table, losses, say_layers, say_ranking, selected, written};
use super::qtable::{good_enough, initial};
use super::refine::{Choice, not_below, refine};
use super::trials::Trials;
use super::{Outcome, python};
use crate::error::QuantError;
use tpuc_lowering::table::Row;

/// Searches all layers that a calibration table names. `rows` are that table's, with which the search begins; `tables` gives the
/// tuned tables of the three methods and is asked only if INT8 is not good enough.
pub fn search(trials: &mut Trials, rows: &[Row], expected_cos: f64, max_float_layers: usize, tables: impl FnOnce() -> Result<Vec<Table>, QuantError>) -> Result<Outcome, QuantError> {
    let program = trials.program();
    trials.say(format!("run float mode: {}", trials.mlir));
    let mut setting = initial(program, written(rows), None)?;
    trials.say_int8();
    let int8 = trials.score(&setting)?;
    if int8 > expected_cos {
        return Ok(good_enough(trials, setting, int8, expected_cos));
    }
    trials.say(format!("all_int8_cos={}", python::float(int8)));
    let tables = trials.evaluator.aside(tables)?;
    let network = trials.evaluator.network(&setting)?;
    let candidates: Vec<usize> = (0..program.nodes.len()).filter(|&n| trials.is_known_by_name(&network, n) && setting.rows.iter().any(|r| r.name == trials.name(n))).collect();
    trials.say("layer name check pass !");
    trials.say(format!("Global metrics layer is : {}", trials.compared()));
    let plain = Choice { layers: Vec::new(), setting: setting.clone(), score: int8 };
    let losses = losses(trials, &mut setting, &candidates, &tables)?;
    say_ranking(trials, &losses);
    let layers = selected(program, &losses, max_float_layers);
    say_layers(trials, &layers);
    trials.say_int8();
    let score = trials.score(&setting.with(layers.iter().copied(), trials.float))?;
    let ranking = (layers.len(), score);
    let choice = refine(trials, Choice { layers, setting, score }, &losses)?;
    let choice = not_below(trials, plain, choice, &losses)?;
    let curve = vec![ranking, (choice.layers.len(), choice.score)];
    Ok(Outcome { curve, layers: choice.layers, rows: choice.setting.rows, int8, mixed: Some(choice.score), losses, front: None })
}
