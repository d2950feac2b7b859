//! Calibration tables: reading both header styles, writing the newer one (`spec/formats.md` section 1).
//!
//! A row is a layer with its threshold and the smallest and largest value seen. A `#` line may open another block
//! (`#int4_th`, `#asym_op`...); any other `#` line is a comment.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use tpuc_tensor::file::{self, FileError};
use tpuc_tensor::text::nearest;

/// A layer's calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub threshold: f64,
    pub min: f64,
    pub max: f64,
}

impl Row {
    /// With the digits that a table has: seven behind the point. Multipliers of a network that is lowered with others may round to
    /// their neighbours.
    pub fn as_written(&self) -> Row {
        let written = |value: f64| format!("{value:.DIGITS$}").parse().unwrap_or(value);
        Row { name: self.name.clone(), threshold: written(self.threshold), min: written(self.min), max: written(self.max) }
    }
}

/// Digits behind the point.
const DIGITS: usize = 7;

/// The comment lines on top. All are optional when a table is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Of the program that wrote the table.
    pub version: String,
    /// The file that was calibrated.
    pub mlir: String,
    /// `YYYY-MM-DD HH:MM:SS.ffffff`
    pub time: String,
    /// As printed: `mse`, or `['kl']` after tuning. Tables of version 1.15 have no such line.
    pub method: Option<String>,
    pub histogram_number: Option<u64>,
    pub sample_number: Option<u64>,
    pub tune_number: Option<u64>,
    /// A table for 8-bit floats.
    pub is_fp8: bool,
    /// The file that the calibrated network was made of by changing its weights.
    pub adjusted_from: Option<String>,
}

/// Something odd that does not stop the reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("line {line}: layer '{name}' has infinite values and is left without a threshold")]
    Infinite { line: usize, name: String },
    #[error("line {line}: layer '{name}' is there already; the later row counts")]
    Duplicate { line: usize, name: String },
}

/// A layer of a table that the model does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: layer '{name}' is not in the model{}", nearest.as_ref().map(|n| format!("; the nearest is '{n}'")).unwrap_or_default())]
pub struct UnknownLayer {
    pub line: usize,
    pub name: String,
    pub nearest: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("line {line}: expected 'op_name threshold min max', found '{found}'")]
    Columns { line: usize, found: String },
    #[error("line {line}: layer '{name}': '{found}' is not a {column}")]
    Number { line: usize, name: String, column: &'static str, found: String },
    #[error("{}", listed(.0))]
    UnknownLayers(Vec<UnknownLayer>),
    /// Most layers are unknown.
    #[error("seems to be the table of another model: {known} of its {rows} layers are in this one; {first}")]
    AnotherModel { known: usize, rows: usize, first: UnknownLayer },
}

/// So many unknown layers are listed and looked up: a table of another model has no layer that was meant.
const LISTED: usize = 10;

pub(crate) fn listed(layers: &[UnknownLayer]) -> String {
    let mut text = layers.iter().take(LISTED).map(UnknownLayer::to_string).collect::<Vec<_>>().join("; ");
    if layers.len() > LISTED {
        let _ = write!(text, "; and {} more", layers.len() - LISTED);
    }
    text
}

/// A calibration table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CalibrationTable {
    pub header: Header,
    pub warnings: Vec<Warning>,
    /// Layers that run asymmetrically (`#asym_op`).
    pub asymmetric_ops: Vec<String>,
    /// Layers that run in 4 bits (`#int4_op`).
    pub int4_ops: Vec<String>,
    /// The 4-bit thresholds (`#int4_th`).
    pub int4_rows: Vec<Row>,
    /// Scales of weights: name and one scale a channel (`#weight_scale`).
    pub weight_scales: Vec<(String, Vec<f64>)>,
    rows: Vec<Row>,
    /// Line of each row; 0 for rows that were not read.
    lines: Vec<usize>,
    index: HashMap<String, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Rows,
    WeightScale,
    Int4Rows,
    AsymmetricOps,
    Int4Ops,
}

impl Block {
    /// The block that a comment opens, if it opens one.
    fn opened_by(comment: &str) -> Option<Block> {
        let opens = |word: &str| comment.contains(word);
        if opens("#weight_scale") {
            Some(Block::WeightScale)
        } else if opens("#int4_th") {
            Some(Block::Int4Rows)
        } else if opens("#tpu-mlir-fp8") || opens("mqbench-fp8") {
            Some(Block::Rows)
        } else if opens("asym_op") {
            Some(Block::AsymmetricOps)
        } else if opens("int4_op") {
            Some(Block::Int4Ops)
        } else {
            None
        }
    }
}

impl CalibrationTable {
    pub fn new(header: Header, rows: impl IntoIterator<Item = Row>) -> CalibrationTable {
        let mut table = CalibrationTable { header, ..Default::default() };
        rows.into_iter().for_each(|row| table.push(row, 0));
        table
    }

    /// Rows in the table's order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a layer.
    pub fn get(&self, name: &str) -> Option<&Row> {
        self.index.get(name).map(|&at| &self.rows[at])
    }

    /// Replaces the row of a layer, or appends one.
    pub fn set(&mut self, row: Row) {
        self.push(row, 0);
    }

    fn push(&mut self, row: Row, line: usize) {
        if let Some(&at) = self.index.get(&row.name) {
            self.rows[at] = row;
            return;
        }
        self.index.insert(row.name.clone(), self.rows.len());
        self.rows.push(row);
        self.lines.push(line);
    }

    /// Reads a table.
    pub fn read(path: &Path) -> Result<CalibrationTable, TableError> {
        let text = file::read_to_string(path)?;
        CalibrationTable::parse(&text).map_err(|e| TableError::File(FileError::new(path, e)))
    }

    /// Reads the text of a table. Rows with infinities are left out with a warning.
    pub fn parse(text: &str) -> Result<CalibrationTable, TableError> {
        let mut table = CalibrationTable::default();
        let mut block = Block::Rows;
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() {
                continue;
            }
            if line.starts_with('#') {
                // What a header line says opens no block, whatever name or text it holds.
                if !table.header.read_line(line) {
                    block = Block::opened_by(line).unwrap_or(block);
                }
                continue;
            }
            match block {
                Block::Rows => {
                    if let Some(row) = table.parse_row(number, line)? {
                        if table.index.contains_key(&row.name) {
                            table.warnings.push(Warning::Duplicate { line: number, name: row.name.clone() });
                        }
                        table.push(row, number);
                    }
                }
                Block::Int4Rows => {
                    let row = table.parse_row(number, line)?;
                    table.int4_rows.extend(row);
                }
                Block::AsymmetricOps => table.asymmetric_ops.push(line.to_owned()),
                Block::Int4Ops => table.int4_ops.push(line.to_owned()),
                Block::WeightScale => table.weight_scales.push(parse_scales(number, line)?),
            }
        }
        Ok(table)
    }

    /// One row; `None` (and a warning) where it has infinities.
    fn parse_row(&mut self, line: usize, text: &str) -> Result<Option<Row>, TableError> {
        let columns = || TableError::Columns { line, found: text.chars().take(200).collect() };
        let mut fields = text.split_whitespace();
        let mut field = || fields.next().ok_or_else(columns);
        let (name, threshold, min, max) = (field()?, field()?, field()?, field()?);
        if fields.next().is_some() {
            return Err(columns());
        }
        let number = |column: &'static str, found: &str| {
            let error = || TableError::Number { line, name: name.to_owned(), column, found: found.to_owned() };
            found.parse::<f64>().ok().filter(|v| !v.is_nan()).ok_or_else(error)
        };
        let row = Row { name: name.to_owned(), threshold: number("threshold", threshold)?, min: number("minimum", min)?, max: number("maximum", max)? };
        if row.threshold < 0.0 {
            return Err(TableError::Number { line, name: row.name, column: "threshold", found: threshold.to_owned() });
        }
        if [row.threshold, row.min, row.max].iter().any(|v| v.is_infinite()) {
            self.warnings.push(Warning::Infinite { line, name: row.name });
            return Ok(None);
        }
        Ok(Some(row))
    }

    /// An error that has every layer which is not in the model, the first ones with the nearest name; or, where that is more than
    /// half of the table, how many are there.
    pub fn check_layers<'a>(&self, layers: impl IntoIterator<Item = &'a str>) -> Result<(), TableError> {
        let mut known: Vec<&str> = layers.into_iter().collect();
        known.sort_unstable();
        let unknown = self.rows.iter().zip(&self.lines).filter(|(row, _)| known.binary_search(&row.name.as_str()).is_err());
        let meant = |index: usize, name: &str| (index < LISTED && name.len() < 1000).then(|| nearest(name, known.iter().copied())).flatten();
        let unknown: Vec<UnknownLayer> = unknown
            .enumerate()
            .map(|(index, (row, &line))| UnknownLayer { line, name: row.name.clone(), nearest: meant(index, &row.name).map(str::to_owned) })
            .collect();
        let known = self.rows.len() - unknown.len();
        match unknown.first() {
            None => Ok(()),
            Some(first) if known < unknown.len() && unknown.len() > 2 => Err(TableError::AnotherModel { known, rows: self.rows.len(), first: first.clone() }),
            Some(_) => Err(TableError::UnknownLayers(unknown)),
        }
    }

    /// The text of the table, as version 1.30.2 writes it, its spelling included.
    pub fn to_text(&self) -> String {
        let header = &self.header;
        let number = |n: Option<u64>| n.unwrap_or(0);
        let mut text = format!("# mlir version: {} cali version 1.0\n# mlir: {}\n# genetated time: {}\n", header.version, header.mlir, header.time);
        if let Some(original) = &header.adjusted_from {
            let _ = writeln!(text, "# adjusted from: {original}");
        }
        if let Some(method) = &header.method {
            let _ = writeln!(text, "# quantization threshold calculation method: {method}");
        }
        if header.is_fp8 {
            text.push_str("#tpu-mlir-fp8 caliration table\n");
        } else {
            let _ = writeln!(text, "# histogram number: {}", number(header.histogram_number));
        }
        let _ = writeln!(text, "# sample number: {}\n###", number(header.sample_number));
        let _ = writeln!(text, "# tune number: {}\n###", number(header.tune_number));
        text.push_str("# op_name    threshold    min    max\n");
        write_rows(&mut text, &self.rows);
        if !self.int4_rows.is_empty() {
            text.push_str("\n#int4_th\n");
            write_rows(&mut text, &self.int4_rows);
        }
        if !self.asymmetric_ops.is_empty() {
            text.push_str("\n#asym_op\n");
            self.asymmetric_ops.iter().for_each(|name| text.push_str(&format!("{name}\n")));
        }
        text
    }

    /// Writes the table, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        file::write(path, self.to_text().as_bytes())
    }
}

impl Header {
    /// Takes what a comment line says; false if it is no line of a header.
    fn read_line(&mut self, line: &str) -> bool {
        self.is_fp8 |= line.contains("#tpu-mlir-fp8");
        let Some((key, value)) = line.trim_start_matches('#').trim_start().split_once(':') else { return false };
        let (value, number) = (value.trim(), value.trim().parse().ok());
        match key {
            "mlir version" => value.trim_end_matches("cali version 1.0").trim_end().clone_into(&mut self.version),
            "mlir" => value.clone_into(&mut self.mlir),
            "adjusted from" => self.adjusted_from = Some(value.to_owned()),
            "genetated time" | "generated time" => value.clone_into(&mut self.time),
            "quantization threshold calculation method" => self.method = Some(value.to_owned()),
            "histogram number" => self.histogram_number = number,
            "sample number" => self.sample_number = number,
            "tune number" => self.tune_number = number,
            _ => return false,
        }
        true
    }
}

fn write_rows(text: &mut String, rows: &[Row]) {
    for Row { name, threshold, min, max } in rows {
        let _ = writeln!(text, "{name} {threshold:.DIGITS$} {min:.DIGITS$} {max:.DIGITS$}");
    }
}

/// `name n s1 .. sn`
fn parse_scales(line: usize, text: &str) -> Result<(String, Vec<f64>), TableError> {
    let mut fields = text.split_whitespace();
    let name = fields.next().unwrap_or_default().to_owned();
    let error = |found: &str| TableError::Number { line, name: name.clone(), column: "list of scales", found: found.chars().take(200).collect() };
    let count: usize = fields.next().and_then(|f| f.parse().ok()).ok_or_else(|| error(text))?;
    let scales = fields.map(|f| f.parse().map_err(|_| error(f))).collect::<Result<Vec<f64>, _>>()?;
    if scales.len() != count {
        return Err(error(text));
    }
    Ok((name, scales))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_table_or_an_error(text in "([a#_: 0-9.e\\-\n]|inf|nan|#int4_th\n|#asym_op\n|#weight_scale\n|\\PC){0,60}") {
            if let Ok(table) = CalibrationTable::parse(&text) {
                prop_assert!(CalibrationTable::parse(&table.to_text()).is_ok());
            }
        }

        #[test]
        fn written_rows_are_read_again(rows in prop::collection::vec(("[a-z/._]{1,8}", 0f32..1e4, -1e4f32..1e4, -1e4f32..1e4), 0..20)) {
            let rows = rows.into_iter().map(|(name, th, min, max)| Row { name, threshold: f64::from(th), min: f64::from(min), max: f64::from(max) });
            let table = CalibrationTable::new(Header::default(), rows);
            let again = CalibrationTable::parse(&table.to_text()).unwrap();
            prop_assert_eq!(again.rows().len(), table.rows().len());
            for (a, b) in again.rows().iter().zip(table.rows()) {
                prop_assert_eq!(&a.name, &b.name);
                prop_assert!((a.threshold - b.threshold).abs() <= 5.1e-8 && (a.min - b.min).abs() <= 5.1e-8 && (a.max - b.max).abs() <= 5.1e-8);
            }
        }
    }

    #[test]
    fn tables_of_another_model_say_how_many_layers_match() {
        let text = |unknown: usize| (0..30).map(|i| format!("{}{i} 1 0 1\n", if i < unknown { "other" } else { "conv" })).collect::<String>();
        let layers: Vec<String> = (0..40).map(|i| format!("conv{i}")).collect();
        let message = |unknown| CalibrationTable::parse(&text(unknown)).unwrap().check_layers(layers.iter().map(String::as_str)).unwrap_err().to_string();
        assert!(message(20).starts_with("seems to be the table of another model: 10 of its 30 layers are in this one; line 1: layer 'other0' is not in the model"));
        assert!(message(15).starts_with("line 1: layer 'other0' is not in the model") && message(15).ends_with("; and 5 more"), "{}", message(15));
    }

    const NEWER: &str = "# mlir version: v1.30.2-20260831 cali version 1.0
# mlir: net.mlir
# genetated time: 2026-11-21 02:31:47.078080
# quantization threshold calculation method: ['kl']
# histogram number: 2048
# sample number: 12
###
# tune number: 5
###
# op_name    threshold    min    max
input 2.6355782 -2.1148427 2.6355782
r1_Relu 8.1360035 -0.0000000 8.1360035
";

    #[test]
    fn newer_tables_round_trip() {
        let table = CalibrationTable::parse(NEWER).unwrap();
        assert_eq!(table.to_text(), NEWER);
        assert_eq!(table.header.version, "v1.30.2-20260831");
        assert_eq!(table.get("r1_Relu").unwrap().threshold, 8.1360035);
        assert_eq!(table.warnings, []);
    }

    #[test]
    fn older_headers_are_read() {
        let table = CalibrationTable::parse("# mlir version: v1.15-20250205\r\n# sample number: 12\r\n# tune number: 5\r\n###\r\na 1.0 0.0 1.0\r\n").unwrap();
        assert_eq!((table.header.version.as_str(), table.header.sample_number, table.header.method), ("v1.15-20250205", Some(12), None));
        assert_eq!(table.rows.len(), 1);
    }

    #[test]
    fn rows_are_as_a_table_has_them() {
        let row = Row { name: "a".into(), threshold: 1.0 / 3.0, min: -2e-8, max: 2.0 };
        let table = CalibrationTable::parse(&CalibrationTable::new(Header::default(), [row.clone()]).to_text()).unwrap();
        assert_eq!(table.rows(), [row.as_written()]);
        assert_eq!(row.as_written().threshold, 0.3333333);
    }

    #[test]
    fn further_blocks() {
        let text = "a 1.0 -1.0 1.0\n\n#int4_th\na 0.5 -0.5 0.5\n#weight_scale\na_weight 2 0.1 0.2\n\n#asym_op\na\n\n# symmetric_op\n# b\n";
        let table = CalibrationTable::parse(text).unwrap();
        assert_eq!(table.rows().len(), 1);
        assert_eq!(table.int4_rows[0].threshold, 0.5);
        assert_eq!(table.weight_scales, [("a_weight".to_owned(), vec![0.1, 0.2])]);
        assert_eq!(table.asymmetric_ops, ["a"]);
    }

    #[test]
    fn tables_for_floats_round_trip() {
        let text = NEWER.replace("# histogram number: 2048", "#tpu-mlir-fp8 caliration table");
        let table = CalibrationTable::parse(&text).unwrap();
        assert!(table.header.is_fp8);
        assert_eq!(table.to_text(), text);
    }

    #[test]
    fn infinite_rows_are_skipped_with_a_warning() {
        let table = CalibrationTable::parse("input 6.0 inf -inf\na 1 0 1\na 2 0 2\n").unwrap();
        assert!(table.get("input").is_none());
        assert_eq!(table.get("a").unwrap().threshold, 2.0);
        let warnings: Vec<String> = table.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["line 1: layer 'input' has infinite values and is left without a threshold", "line 3: layer 'a' is there already; the later row counts"]);
    }

    #[test]
    fn header_lines_open_no_block() {
        let table = CalibrationTable::parse("# mlir: net#int4_op\na 1 -1 1\n").unwrap();
        assert_eq!((table.rows().len(), table.header.mlir.as_str()), (1, "net#int4_op"));
        assert_eq!(CalibrationTable::parse(&table.to_text()).unwrap().rows().len(), 1);
    }

    #[test]
    fn mistakes_have_line_numbers() {
        let message = |text: &str| CalibrationTable::parse(text).unwrap_err().to_string();
        assert_eq!(message("# x\na 1.0 2.0\n"), "line 2: expected 'op_name threshold min max', found 'a 1.0 2.0'");
        assert_eq!(message("a b 1.0 0.0 2.0\n"), "line 1: expected 'op_name threshold min max', found 'a b 1.0 0.0 2.0'");
        assert_eq!(message("a 1.0 x 2.0\n"), "line 1: layer 'a': 'x' is not a minimum");
        assert_eq!(message("a -1.0 0 2.0\n"), "line 1: layer 'a': '-1.0' is not a threshold");
        assert_eq!(message("a nan 0 2.0\n"), "line 1: layer 'a': 'nan' is not a threshold");
        assert_eq!(message("#weight_scale\na 3 0.1\n"), "line 2: layer 'a': 'a 3 0.1' is not a list of scales");
    }
}
