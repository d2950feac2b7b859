//! What a failed comparison says beyond "failed": the first layer whose similarity drops, what goes in, its threshold, and
//! what to try.

use super::arguments::Plan;
use crate::compare::{Comparison, compare};
use crate::network::Network;
use std::collections::HashMap;
use tpuc_lowering::{CalibrationTable, Mode};
use tpuc_runtime::NamedTensor;
use tpuc_tensor::Tensor;

/// Lines for people; `all` are the tensors of the lowered network, `float` those of the float network.
pub fn lines(plan: &Plan, top: &Network, all: &[NamedTensor], float: &HashMap<String, Tensor>) -> Vec<String> {
    let lowered: HashMap<&str, &Tensor> = all.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let program = &top.program;
    let similarity = |name: &str| Some(compare(name, lowered.get(name)?, float.get(name)?, plan.tolerance));
    let inputs = |node: usize| program.nodes[node].operands.iter().filter_map(|&o| similarity(&program.value(o).name)).collect::<Vec<_>>();
    let failing: Vec<(usize, Comparison)> = (0..program.nodes.len()).filter_map(|n| Some((n, similarity(program.node_name(n))?))).filter(|(_, c)| !c.verdict.passed()).collect();
    // A layer that fails although all that goes into it is good; failing that, the first that fails.
    let culprit = failing.iter().find(|(node, _)| inputs(*node).iter().all(|c| c.verdict.passed())).or(failing.first());
    let Some((node, found)) = culprit else {
        return vec!["every layer inside the network is similar enough: the loss adds up over many layers".into()];
    };
    let name = program.node_name(*node);
    let mut lines = vec![format!("first layer below the tolerance: '{name}' ({}): {}", program.nodes[*node].op.name(), both(found))];
    for input in inputs(*node) {
        lines.push(format!("  its input '{}': {}", input.name, both(&input)));
    }
    let cut = float.get(name).and_then(|tensor| threshold(plan, name, tensor));
    lines.extend(cut.iter().map(|c| format!("  {c}")));
    lines.push(format!("  to try: {}", advice(plan, name, cut.is_some())));
    lines
}

fn both(c: &Comparison) -> String {
    if c.verdict.passed() && c.sqnr.is_infinite() { "equal".into() } else { format!("cosine {:.6}, euclidean {:.6}", c.cosine, c.euclidean) }
}

/// The layer's threshold beside its values in float.
fn threshold(plan: &Plan, name: &str, tensor: &Tensor) -> Option<String> {
    let table = CalibrationTable::read(plan.table.as_ref()?).ok()?;
    let row = table.rows().iter().find(|r| r.name == name)?;
    let values = tensor.to_f32();
    let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let beyond = values.iter().filter(|v| f64::from(v.abs()) > row.threshold).count();
    let share = 100.0 * beyond as f64 / values.len().max(1) as f64;
    Some(format!("its threshold: {}; in float its values reach from {low} to {high}, {share:.2} % of them beyond the threshold", row.threshold))
}

fn advice(plan: &Plan, name: &str, calibrated: bool) -> String {
    if plan.mode != Mode::Int8 {
        let wider = if plan.chip.modes.contains(&Mode::F32) { "--quantize F32, or a quantize table with this layer in F32" } else { "a wider float type" };
        return wider.to_owned();
    }
    let float = plan.chip.float_mode("auto").map_or("F16", Mode::name);
    let threshold = if calibrated { "another threshold (run_calibration --cali_method use_max or use_mse, --search search_threshold), or " } else { "" };
    format!("{threshold}this layer in float ('{name} {float}' in a table for --quantize_table; run_calibration --search search_qtable finds such layers)")
}
