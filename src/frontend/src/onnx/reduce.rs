//! ReduceMean and its family, ArgMax, ArgMin.

use super::node::OnnxNode;
use super::{Importer, fold};
use tpuc_ops::{ValueId, top};

impl Importer<'_> {
    pub(super) fn reduce(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let rank = self.shape(input).len();
        let listed = self.integers(node, 1, "axes")?.unwrap_or_default();
        if listed.is_empty() && node.int("noop_with_empty_axes", 0) != 0 {
            return Ok(input);
        }
        let mut axes = listed.iter().map(|&a| fold::normalize(a, rank as i64).map(|a| a as i64)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() {
            axes = (0..rank as i64).collect();
        }
        let keepdims = node.int("keepdims", 1) != 0;
        let is_scalar = !keepdims && axes.len() == rank;
        self.push(top::Reduce { axes, keepdims, is_scalar, mode: node.op().into(), ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn arg(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let axis = fold::normalize(node.int("axis", 0), self.shape(input).len() as i64)? as i64;
        let op = top::Arg {
            axis,
            keepdims: node.int("keepdims", 1) != 0,
            mode: node.op().into(),
            select_last_index: node.int("select_last_index", 0) != 0,
            ..Default::default()
        };
        self.push(op, &[input], &node.layer)
    }
}
