//! Networks as a chip would compute them, in this process: what the searches score.

use crate::error::QuantError;
use crate::plan_network::PlanNetwork;
use std::collections::HashMap;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{Chip, LowerError, Mode, QuantizeTable, Ranges, lower_mixed, lower_program, top_optimize};
use tpuc_ops::Program;
use tpuc_tensor::WeightStore;

/// A Top network and the chip that it is meant for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub program: &'a Program,
    pub weights: &'a WeightStore,
    pub chip: &'static Chip,
}

impl Target<'_> {
    /// The network in INT8 with the thresholds of some rows, as a table would have them; layers that a quantize table names run in its modes.
    pub fn int8(&self, rows: &[Row], float_layers: Option<&QuantizeTable>) -> Result<PlanNetwork, QuantError> {
        let (program, weights) = self.int8_program(rows, float_layers)?;
        plan(program, &weights)
    }

    /// The same as a program with its weights.
    pub fn int8_program(&self, rows: &[Row], float_layers: Option<&QuantizeTable>) -> Result<(Program, WeightStore), QuantError> {
        let modes = match float_layers {
            Some(table) => table.modes(self.program, true)?.0,
            None => vec![None; self.program.nodes.len()],
        };
        self.mixed_program(rows, |node| modes[node].unwrap_or(Mode::Int8))
    }

    /// The network with the thresholds of some rows and a mode for each node.
    pub fn mixed_program(&self, rows: &[Row], mode: impl Fn(usize) -> Mode) -> Result<(Program, WeightStore), QuantError> {
        let table = CalibrationTable::new(Default::default(), rows.iter().map(Row::as_written));
        let mut ranges = Ranges::from_table(self.program, &table, self.chip)?;
        ranges.propagate(self.program, self.chip);
        let (program, weights) = top_optimize(&ranges.annotate(self.program), self.weights, self.chip)?;
        let modes: HashMap<&str, Mode> = (0..self.program.nodes.len()).map(|n| (self.program.node_name(n), mode(n))).collect();
        let of_node = |node: usize| modes.get(program.node_name(node)).copied().unwrap_or(Mode::Int8);
        Ok(lower_mixed(&program, &weights, self.chip, Mode::Int8, of_node)?)
    }

    /// The network in the chip's float type; in f32 where the chip has no rules for one of the ops in that type.
    pub fn float(&self) -> Result<PlanNetwork, QuantError> {
        let (program, weights) = self.float_program()?;
        plan(program, &weights)
    }

    /// The same as a program with its weights.
    pub fn float_program(&self) -> Result<(Program, WeightStore), QuantError> {
        let (program, weights) = top_optimize(self.program, self.weights, self.chip)?;
        match lower_program(&program, &weights, self.chip, self.chip.fallback_mode()) {
            Ok(lowered) => Ok(lowered),
            Err(LowerError::Unsupported { .. } | LowerError::Mode { .. }) => Ok((self.program.clone(), self.weights.clone())),
            Err(other) => Err(other.into()),
        }
    }
}

fn plan(program: Program, weights: &WeightStore) -> Result<PlanNetwork, QuantError> {
    Ok(PlanNetwork::new(Plan::new(program, weights, Options { threads: 1, ..Options::default() })?))
}
