//! What a trial is: in which mode every layer runs, and with which thresholds.

use sha2::{Digest, Sha256};
use tpuc_lowering::Mode;
use tpuc_lowering::table::Row;
use tpuc_ops::Program;

/// Modes and thresholds of a whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Rows of a calibration table.
    pub rows: Vec<Row>,
    /// By node of the Top program.
    pub modes: Vec<Mode>,
}

impl Setting {
    /// All layers in one mode.
    pub fn all(program: &Program, rows: Vec<Row>, mode: Mode) -> Setting {
        Setting { rows, modes: vec![mode; program.nodes.len()] }
    }

    /// The same with some nodes in another mode.
    pub fn with(&self, nodes: impl IntoIterator<Item = usize>, mode: Mode) -> Setting {
        let mut changed = self.clone();
        nodes.into_iter().for_each(|node| changed.modes[node] = mode);
        changed
    }

    /// Sets the threshold of a layer; layers without a row stay as they are.
    pub fn set_threshold(&mut self, layer: &str, threshold: f64) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == layer) {
            row.threshold = threshold;
        }
    }

    /// The same with another threshold of a layer.
    pub fn with_threshold(&self, layer: &str, threshold: f64) -> Setting {
        let mut changed = self.clone();
        changed.set_threshold(layer, threshold);
        changed
    }

    /// The nodes that are not INT8.
    pub fn floats(&self) -> impl Iterator<Item = usize> + '_ {
        self.modes.iter().enumerate().filter(|(_, mode)| **mode != Mode::Int8).map(|(node, _)| node)
    }

    /// The same for equal settings only, in every run of the program.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for row in &self.rows {
            hash.update(row.name.as_bytes());
            [row.threshold, row.min, row.max].iter().for_each(|v| hash.update(v.to_bits().to_le_bytes()));
        }
        self.modes.iter().for_each(|mode| hash.update(mode.name().as_bytes()));
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
