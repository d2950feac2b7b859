//! Tables of the layers that should stay float: `<model>_shape_ops` in the folder where the command runs, and
//! `shape_pattern_qtable` beside the calibration table; `kurtosis_analysis` beside it too.

use super::arguments::Arguments;
use crate::cli::{self, Failure};
use crate::network::Network;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tpuc_lowering::{Chip, Mode};
use tpuc_lowering::qtable::{QuantizeRow, QuantizeTable};
use tpuc_quant::Statistics;
use tpuc_quant::float_layers::{FloatLayers, PartQuantize, float_layers, shape_layers};
use tpuc_tensor::text::nearest;

/// What is asked for, checked before the work.
pub struct FloatTables {
    part: Option<PartQuantize>,
    /// Of shape layers and of the others.
    modes: [Mode; 2],
    in_two_stages: Mode,
}

/// Tables that are ready to be written, once it is clear that the calibration can begin.
pub struct Prepared {
    texts: [(PathBuf, String); 2],
    rows: usize,
    log: Vec<String>,
}

impl Prepared {
    pub fn write(&self, quiet: bool) -> Result<(), Failure> {
        for (path, text) in &self.texts {
            tpuc_tensor::file::write(path, text.as_bytes())?;
        }
        if self.rows > 0 && !quiet {
            self.log.iter().for_each(|line| println!("{line}"));
            println!("{}: {} layers that should stay float (for --quantize_table of model_deploy)", self.texts[1].0.display(), self.rows);
        }
        Ok(())
    }
}

impl FloatTables {
    pub fn new(arguments: &Arguments) -> Result<FloatTables, Failure> {
        let mode = match Chip::find(&arguments.chip) {
            Ok(chip) => chip.float_mode(&arguments.fp_type).map_err(|e| Failure::usage(format!("--fp_type: {e}")))?,
            // Chips that can be calibrated for and no more: half floats, of the sort that their relatives have.
            Err(_) if arguments.fp_type.eq_ignore_ascii_case("auto") => if arguments.chip.starts_with("cv18") { Mode::BF16 } else { Mode::F16 },
            Err(_) => arguments.fp_type.parse::<Mode>().ok().filter(|m| m.float().is_some()).ok_or_else(|| Failure::usage(format!("--fp_type: unknown type '{}', expected auto, F32, F16 or BF16", arguments.fp_type)))?,
        };
        // Boxes of the first stage need more digits than the chip's usual type has.
        let in_two_stages = if arguments.fp_type.eq_ignore_ascii_case("auto") && Chip::find(&arguments.chip).is_ok_and(|c| c.float_modes().contains(&Mode::F32)) { Mode::F32 } else { mode };
        Ok(FloatTables { part: part(arguments)?, modes: [mode; 2], in_two_stages })
    }

    /// The tables of a network as the user gave it.
    pub fn of(&self, arguments: &Arguments, network: &Network) -> Prepared {
        let shape = shape_layers(&network.program);
        let name = PathBuf::from(format!("{}_shape_ops", network.program.name.replace(['/', '\\'], "_")));
        let layers = float_layers(&network.program, self.part.as_ref());
        if let Some(PartQuantize::Custom(types)) = &self.part {
            warn_of_unknown(types, network);
        }
        let path = beside(&arguments.calibration_table, "shape_pattern_qtable");
        let texts = [(name, self.shape_table(arguments, &shape).to_text()), (path, self.text(arguments, &layers))];
        Prepared { texts, rows: layers.shape.len() + layers.pattern.len() + layers.f32.len(), log: layers.log }
    }

    fn shape_table(&self, arguments: &Arguments, layers: &[String]) -> QuantizeTable {
        let mode = self.modes[0];
        let rows: Vec<QuantizeRow> = layers.iter().map(|name| QuantizeRow { name: name.clone(), mode, line: 0 }).collect();
        let comments = vec![
            format!("genetated time: {}.000000", tpuc_passes::timestamp()),
            format!("chip: {}  mix_mode: {mode}", arguments.chip),
            format!("number of {mode} layer: {}", rows.len()),
        ];
        QuantizeTable { comments, rows }
    }

    /// The table in sections, as version 1.30.2 writes it.
    fn text(&self, arguments: &Arguments, layers: &FloatLayers) -> String {
        let custom = match &self.part {
            Some(PartQuantize::Custom(types)) => format!(", custom_operator: {}", types.join(",")),
            _ => String::new(),
        };
        let (shape, pattern, f32) = (layers.shape.len(), layers.pattern.len(), layers.f32.len());
        let mut text = format!("# generated time: {}.000000\n# sample number: {}\n# chip: {}\n", tpuc_passes::timestamp(), arguments.input_num(), arguments.chip);
        let _ = write!(text, "# total layers: {} (unique list blow)\n# number of shape layers: {shape}\n", shape + pattern + f32);
        let _ = write!(text, "# number of pattern layers: {pattern}\n# number of custom layers: {f32}\n");
        let _ = writeln!(text, "# # part_quant_mode: {}{custom}\n###", self.part.as_ref().map_or("None", PartQuantize::name));
        if !layers.log.is_empty() {
            layers.log.iter().for_each(|line| text.push_str(&format!("# {line}\n")));
            text.push_str("###\n");
        }
        text.push_str("# op_name   quantize_mode\n");
        let shape_mode = if layers.shape_in_f32 { self.in_two_stages } else { self.modes[0] };
        for (title, names, mode) in [("pattern", &layers.pattern, self.modes[1]), ("shape", &layers.shape, shape_mode), ("custom", &layers.f32, Mode::F32)] {
            let _ = writeln!(text, "# {title} layers");
            names.iter().for_each(|name| text.push_str(&format!("{name} {mode}\n")));
        }
        text
    }
}

fn part(arguments: &Arguments) -> Result<Option<PartQuantize>, Failure> {
    let Some(word) = &arguments.part_quantize else {
        return if arguments.custom_operator.is_empty() { Ok(None) } else { Err(Failure::usage("--custom_operator belongs to --part_quantize custom_mode")) };
    };
    let part: PartQuantize = word.parse().map_err(|e| Failure::usage(format!("--part_quantize: {e}")))?;
    let types: Vec<String> = cli::list(&arguments.custom_operator).iter().map(|t| t.strip_prefix("top.").unwrap_or(t).to_owned()).collect();
    match part {
        PartQuantize::Custom(_) if types.is_empty() => Err(Failure::usage("--part_quantize custom_mode needs --custom_operator: the op types that stay in integers, such as Conv,MatMul")),
        PartQuantize::Custom(_) => Ok(Some(PartQuantize::Custom(types))),
        _ if !types.is_empty() => Err(Failure::usage("--custom_operator belongs to --part_quantize custom_mode")),
        part => Ok(Some(part)),
    }
}

/// Types that no op of the network has.
fn warn_of_unknown(types: &[String], network: &Network) {
    let known: Vec<&str> = network.program.nodes.iter().map(|n| n.op.name().trim_start_matches("top.")).collect();
    for ty in types.iter().filter(|t| !known.contains(&t.as_str())) {
        let hint = nearest(ty, known.iter().copied()).map(|n| format!("; the nearest is '{n}'")).unwrap_or_default();
        eprintln!("run_calibration: warning: --custom_operator: the network has no op of type '{ty}'{hint}");
    }
}

/// Writes the kurtosis of every tensor, the largest first. Normalizations and softmax are left out, as in the reference.
pub fn write_kurtosis(arguments: &Arguments, network: &Network, statistics: &Statistics) -> Result<(), Failure> {
    let names = network.program.names();
    let op = |name: &str| names.get(name).and_then(|&id| network.program.producer(id)).map_or("", |n| network.program.nodes[n].op.name());
    let mut rows: Vec<(&str, f64, &str)> = statistics.tensors.iter().filter_map(|t| Some((t.name.as_str(), t.kurtosis()?, op(&t.name)))).collect();
    rows.retain(|(_, _, op)| !["top.LayerNorm", "top.Softmax"].contains(op));
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut text = String::from("# op_name   kurtosis   op_type\n");
    for (name, kurtosis, op) in rows {
        let _ = writeln!(text, "{name}  {kurtosis:.7}  {op}");
    }
    let path = beside(&arguments.calibration_table, "kurtosis_analysis");
    tpuc_tensor::file::write(&path, text.as_bytes())?;
    if !arguments.quiet {
        println!("{}: kurtosis of every tensor", path.display());
    }
    Ok(())
}

fn beside(table: &Path, name: &str) -> PathBuf {
    table.with_file_name(name)
}
