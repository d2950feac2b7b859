//! `--part_asymmetric`: activations of SiLU and GELU that only convolutions and matrix products read get the range of their
//! percentiles, negative values as far as there are any, instead of a symmetric one.

use crate::error::QuantError;
use crate::float_layers::Graph;
use crate::method::Method;
use crate::statistics::Statistics;
use tpuc_lowering::table::Row;
use tpuc_ops::Program;

/// The layers that run asymmetrically, as a calibration table lists them: each activation, then its readers.
pub fn asymmetric_layers(program: &Program) -> Vec<String> {
    let graph = Graph::new(program);
    let nodes = activations(&graph).into_iter().flat_map(|n| std::iter::once(n).chain(graph.after(n).iter().copied()));
    nodes.map(|n| program.node_name(n).to_owned()).collect()
}

fn activations(graph: &Graph) -> Vec<usize> {
    let is = |node: usize, types: [&str; 2]| types.contains(&graph.op(node));
    let only_products = |n: &usize| !graph.after(*n).is_empty() && graph.after(*n).iter().all(|&r| is(r, ["Conv", "MatMul"]));
    (0..graph.len()).filter(|&n| is(n, ["SiLU", "GELU"])).filter(only_products).collect()
}

/// Gives the rows of those activations the percentiles, and lowers their absolute maxima to these, so that no tuner raises
/// them. Percentiles must have been gathered.
pub fn apply(program: &Program, statistics: &Statistics, rows: &mut [Row], absmax: &mut [f64]) -> Result<(), QuantError> {
    let graph = Graph::new(program);
    let names: Vec<&str> = activations(&graph).into_iter().map(|n| program.node_name(n)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let percentiles = statistics.thresholds(Method::Percentile9999)?;
    for ((row, percentile), absmax) in rows.iter_mut().zip(percentiles).zip(absmax) {
        if names.contains(&row.name.as_str()) {
            *absmax = percentile.threshold;
            *row = percentile;
        }
    }
    Ok(())
}
