//! Quantize tables: which layer runs in which mode (`spec/formats.md` section 2).
//!
//! A row is a layer and a mode; lines that start with `#` are comments and lines of one word mean nothing, whatever
//! version wrote them. Where a layer is named twice the later row counts.

use crate::chip::{Chip, Mode};
use crate::table::UnknownLayer;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use tpuc_ops::Program;
use tpuc_tensor::file::{self, FileError};
use tpuc_tensor::text::nearest;

/// A layer's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantizeRow {
    pub name: String,
    pub mode: Mode,
    /// Line in the file; 0 for rows that were not read.
    pub line: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum QuantizeTableError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("line {line}: expected 'op_name quantize_mode', found '{found}'")]
    Columns { line: usize, found: String },
    #[error("line {line}: layer '{name}': {source}")]
    Mode { line: usize, name: String, source: crate::UnknownMode },
    #[error("{}", crate::table::listed(.0))]
    UnknownLayers(Vec<UnknownLayer>),
}

/// A quantize table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuantizeTable {
    /// Comment lines on top, without the `# `; empty ones of a table that was read are not kept.
    pub comments: Vec<String>,
    pub rows: Vec<QuantizeRow>,
}

impl QuantizeTable {
    /// The header of the documented tables: when, over how many samples (where some were used), for which chip, the mode of
    /// the listed layers and their number.
    pub fn documented(time: &str, samples: Option<usize>, chip: &Chip, mode: Mode, layers: impl IntoIterator<Item = String>) -> QuantizeTable {
        let rows: Vec<QuantizeRow> = layers.into_iter().map(|name| QuantizeRow { name, mode, line: 0 }).collect();
        // The misspelt word is what readers of these files look for.
        let mut comments = vec![format!("genetated time: {time}")];
        comments.extend(samples.map(|n| format!("sample number: {n}")));
        comments.push(format!("chip: {}  mix_mode: {}", chip.name, mode.name()));
        comments.push(format!("number of {} layer: {}", mode.name(), rows.len()));
        QuantizeTable { comments, rows }
    }

    pub fn read(path: &Path) -> Result<QuantizeTable, QuantizeTableError> {
        Self::parse(&file::read_to_string(path)?)
    }

    pub fn parse(text: &str) -> Result<QuantizeTable, QuantizeTableError> {
        let mut table = QuantizeTable::default();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if let Some(comment) = line.strip_prefix('#') {
                let comment = comment.trim();
                if table.rows.is_empty() && !comment.is_empty() && comment.trim_matches('#') == comment && !comment.starts_with("op_name") {
                    table.comments.push(comment.to_owned());
                }
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] | [_] => {}
                [name, mode] => {
                    let mode = mode.parse().map_err(|source| QuantizeTableError::Mode { line: number, name: name.into(), source })?;
                    table.rows.push(QuantizeRow { name: name.into(), mode, line: number });
                }
                _ => return Err(QuantizeTableError::Columns { line: number, found: line.into() }),
            }
        }
        Ok(table)
    }

    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for comment in &self.comments {
            let _ = writeln!(text, "# {comment}");
        }
        text.push_str("###\n# op_name   quantize_mode\n");
        for row in &self.rows {
            let _ = writeln!(text, "{} {}", row.name, row.mode);
        }
        text
    }

    /// The mode of each node of a program, `None` where the table does not name it. Layers that the program has not are an
    /// error with the nearest name, or are returned beside the modes if `ignore_unknown`.
    pub fn modes(&self, program: &Program, ignore_unknown: bool) -> Result<(Vec<Option<Mode>>, Vec<UnknownLayer>), QuantizeTableError> {
        let names: HashMap<&str, usize> = program.nodes.iter().enumerate().flat_map(|(i, n)| n.results.iter().map(move |&r| (program.value(r).name.as_str(), i))).collect();
        let mut modes = vec![None; program.nodes.len()];
        let mut unknown = Vec::new();
        for row in &self.rows {
            match names.get(row.name.as_str()) {
                Some(&node) => modes[node] = Some(row.mode),
                None => {
                    // Looking up the nearest of all names is slow; a table of another model has none that was meant.
                    let nearest = if unknown.len() < 10 { nearest(&row.name, names.keys().copied()).map(str::to_owned) } else { None };
                    unknown.push(UnknownLayer { line: row.line, name: row.name.clone(), nearest });
                }
            }
        }
        if unknown.is_empty() || ignore_unknown { Ok((modes, unknown)) } else { Err(QuantizeTableError::UnknownLayers(unknown)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top};

    #[test]
    fn both_headers_are_read() {
        let old = "# genetated time: 2026-11-21 02:46:01\n# sample number: 6\n# chip: bm1684  mix_mode: F32\n# number of F32 layer: 2\n###\n# op_name   quantize_mode\nfc_Gemm F32\nc8_Conv f32\n";
        let table = QuantizeTable::parse(old).unwrap();
        assert_eq!(table.rows.iter().map(|r| (r.name.as_str(), r.mode, r.line)).collect::<Vec<_>>(), [("fc_Gemm", Mode::F32, 7), ("c8_Conv", Mode::F32, 8)]);
        assert_eq!(table.to_text(), old.replace("f32", "F32"));
        let new = "# generated time: x\n# # part_quant_mode: None\n###\n# op_name   quantize_mode\n# pattern layers\na F16\n\nlonely\n# shape layers\na F32\n";
        assert_eq!(QuantizeTable::parse(new).unwrap().rows.len(), 2);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| QuantizeTable::parse(text).unwrap_err().to_string();
        assert_eq!(message("a FP16\n"), "line 1: layer 'a': unknown mode 'FP16', expected one of INT8, F16, BF16, F32, W8F16, W8BF16, W4F16, W4BF16");
        assert_eq!(message("# x\na F16 3\n"), "line 2: expected 'op_name quantize_mode', found 'a F16 3'");
        let mut program = Program::new("net");
        let ty = TensorType::f32(&[1, 2]);
        let x = program.add_input("x", ty.clone());
        program.push(top::Relu::default(), &[x], "conv1_Relu", ty);
        let table = QuantizeTable::parse("conv1_Rely F16\nconv1_Relu F32\n").unwrap();
        assert_eq!(table.modes(&program, false).unwrap_err().to_string(), "line 1: layer 'conv1_Rely' is not in the model; the nearest is 'conv1_Relu'");
        let (modes, unknown) = table.modes(&program, true).unwrap();
        assert_eq!((modes, unknown.len()), (vec![Some(Mode::F32)], 1));
    }
}
