//! `run_sensitive_layer`: the loss of every layer with the thresholds of MAX, Percentile9999 and KL; the worst ones become float.

use super::layers::{Table, losses, say_layers, say_ranking, selected, written};
use super::qtable::{good_enough, initial};
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
    let tables = tables()?;
    let network = trials.evaluator.network(&setting)?;
    let candidates: Vec<usize> = (0..program.nodes.len()).filter(|&n| network.layers[n].is_some() && setting.rows.iter().any(|r| r.name == trials.name(n))).collect();
    trials.say("layer name check pass !");
    trials.say(format!("Global metrics layer is : {}", trials.compared()));
    let losses = losses(trials, &mut setting, &candidates, &tables)?;
    say_ranking(trials, &losses);
    let layers = selected(program, &losses, max_float_layers);
    say_layers(trials, &layers);
    trials.say_int8();
    let mixed = trials.score(&setting.with(layers.iter().copied(), trials.float))?;
    Ok(Outcome { curve: vec![(layers.len(), mixed)], layers, rows: setting.rows, int8, mixed: Some(mixed), losses })
}
