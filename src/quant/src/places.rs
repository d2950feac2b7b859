//! Where a tensor stands in its network: some methods spare the ends.
//!
//! Inputs keep their absolute maximum. So do, from the end backwards, the last tensors whose percentile of the magnitudes
//! is that maximum, up to the first Conv or MatMul (`spec/calibration.md` section 4).

use crate::statistics::TensorStatistics;
use tpuc_ops::{Node, Op, Program, ValueId};

/// So many tensors from the end may be spared.
const NEAR_END: usize = 5;

/// A tensor's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The number of the op that computes it.
    pub op: usize,
    /// The op reads no other op's result.
    pub is_input: bool,
    /// One of the last five tensors.
    pub is_near_end: bool,
    /// The op multiplies matrices: beyond it nothing more is spared.
    pub ends_sparing: bool,
}

/// The tensors that get a row in a calibration table, in op order: results of ops that have a type. Of several results
/// those that nobody reads are left out, unless none is read.
pub fn calibrated_values(program: &Program) -> Vec<ValueId> {
    let users = program.users();
    let is_read = |id: ValueId| !users[id.index()].is_empty() || program.outputs.contains(&id);
    let of_node = |results: &[ValueId]| {
        let any_read = results.iter().any(|&id| is_read(id));
        let kept = |id: &ValueId| program.tensor_type(*id).is_some() && (results.len() == 1 || !any_read || is_read(*id));
        results.iter().copied().filter(kept).collect::<Vec<_>>()
    };
    program.nodes.iter().flat_map(|node| of_node(&node.results)).collect()
}

/// The places of such tensors.
pub fn places(program: &Program, values: &[ValueId]) -> Vec<Place> {
    let place = |(index, &id): (usize, &ValueId)| {
        let op = program.producer(id).unwrap_or_default();
        let node = program.nodes.get(op);
        let reads = |node: &Node| node.operands.iter().any(|&v| program.producer(v).is_some());
        Place {
            op,
            is_input: !node.is_some_and(reads),
            is_near_end: index + NEAR_END >= values.len(),
            ends_sparing: node.is_some_and(|n| matches!(n.op, Op::TopConv(_) | Op::TopMatMul(_))),
        }
    };
    values.iter().enumerate().map(place).collect()
}

/// Which tensors keep their absolute maximum.
pub fn spared(tensors: &[TensorStatistics], places: &[Place]) -> Vec<bool> {
    let mut spared: Vec<bool> = places.iter().map(|p| p.is_input).collect();
    for (index, (tensor, place)) in tensors.iter().zip(places).enumerate().rev().take(NEAR_END) {
        if !tensor.percentile_is_absmax() {
            break;
        }
        spared[index] = true;
        if place.ends_sparing {
            break;
        }
    }
    spared
}
