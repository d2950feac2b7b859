//! `npz_tool compare` and `cali_test`: how similar the tensors of two files are.

use super::edit::Place;
use super::show::largest;
use super::{Arrays, missing, read};
use crate::cli::{self, Failure, Talk};
use crate::compare::{Comparison, Rule, Summary, compare, compare_by, line};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tpuc_tensor::{Tensor, npz};

#[derive(clap::Args)]
pub struct CompareArguments {
    /// The file to judge
    target: PathBuf,
    /// What it should be
    reference: PathBuf,
    /// Least cosine and euclidean similarity
    #[arg(long, default_value = "0.99,0.99", allow_hyphen_values = true)]
    tolerance: String,
    /// Names that are not compared, comma separated
    #[arg(long, alias = "except", default_value = "-", allow_hyphen_values = true)]
    excepts: String,
    /// The only tensor to compare
    #[arg(short, long, default_value = "")]
    key: String,
    /// -v shows the similarities, -vv the largest values of tensors that fail, -vvv their different elements, -vvvv all elements
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Write the result as a CSV file
    #[arg(short, long)]
    save: Option<PathBuf>,
    /// The file of --save has only the names of tensors that fail
    #[arg(long = "only_key")]
    only_key: bool,
    /// Each slice along this axis must be similar for itself, such as 1 for channels
    #[arg(long = "per_axis_compare", default_value_t = -1, allow_hyphen_values = true)]
    per_axis_compare: i64,
    /// 0: int8 tensors may differ as float tensors may; otherwise they must be equal
    #[arg(long = "int8_tensor_close", default_value_t = 1)]
    int8_tensor_close: i64,
    /// Also print how much of each int8 tensor is saturated or small
    #[arg(long = "stats_int8_tensor")]
    stats_int8_tensor: bool,
    /// For each tensor of the target find the most similar one of the reference with its shape, whatever its name
    #[arg(long = "fuzzy_match", alias = "fazzy_match")]
    fuzzy_match: bool,
    /// With -vvv and -vvvv: no limit to the number of elements
    #[arg(long = "full-array", alias = "full_array")]
    full_array: bool,
    /// Accepted; every common tensor is compared always
    #[arg(short = 'a', long = "forall", alias = "all")]
    all: bool,
}

pub fn run(arguments: &CompareArguments, talk: Talk) -> Result<(), Failure> {
    let axis = usize::try_from(arguments.per_axis_compare).ok();
    let rule = Rule { tolerance: cli::tolerance("--tolerance", &arguments.tolerance)?, exact_int8: arguments.int8_tensor_close != 0, axis };
    arguments.save.iter().try_for_each(|p| cli::check_output(p))?;
    let (targets, references) = (read(&arguments.target)?, read(&arguments.reference)?);
    let (target, reference) = (arguments.target.display().to_string(), arguments.reference.display().to_string());
    let summary = if arguments.fuzzy_match { fuzzy(&targets, &references, &rule, talk) } else { by_name(arguments, &targets, &references, &rule, talk)? };
    if !talk.is_silent() {
        println!("\n");
        for c in &summary.list {
            print!("{}", line(c, arguments.verbose));
            print!("{}", details(arguments, c, &targets, &references));
        }
        println!("{}", summary.totals(&target, &reference));
    }
    if let Some(path) = &arguments.save {
        let failed = || summary.list.iter().filter(|c| !c.verdict.passed()).map(|c| format!("{}\n", c.name)).collect::<String>();
        let text = if arguments.only_key { failed() } else { summary.csv() };
        tpuc_tensor::file::write(path, text.as_bytes())?;
        talk.say(format_args!("Results saved as {}", path.display()));
    }
    talk.result("npz_tool compare", summary.passed(), summary.json(&target, &reference));
    if summary.passed() { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Compares the tensors that two files have in common. Two files without a common tensor are an error, not a success.
fn by_name(arguments: &CompareArguments, targets: &Arrays, references: &Arrays, rule: &Rule, talk: Talk) -> Result<Summary, Failure> {
    let by_name: HashMap<&str, &Tensor> = targets.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let excepts = cli::list(&arguments.excepts);
    cli::warn_of_unknown(talk, "--excepts", &excepts, references.iter().map(|(n, _)| n.as_str()));
    let wanted = |name: &String| if arguments.key.is_empty() { !excepts.contains(name) } else { *name == arguments.key };
    let pairs = references.iter().filter(|(name, _)| wanted(name)).filter_map(|(name, r)| by_name.get(name.as_str()).map(|t| (name, *t, r)));
    let list: Vec<_> = pairs.map(|(name, t, r)| compare_by(name, t, r, rule)).collect();
    if list.is_empty() && !arguments.key.is_empty() {
        let file = if by_name.contains_key(arguments.key.as_str()) { (&arguments.reference, references) } else { (&arguments.target, targets) };
        return Err(missing(file.0, &arguments.key, file.1));
    }
    if list.is_empty() {
        return Err(Failure::work(format!("{} and {} have no tensor in common", arguments.target.display(), arguments.reference.display())));
    }
    Ok(Summary { list })
}

/// Each tensor of the target beside the most similar one of its shape.
fn fuzzy(targets: &Arrays, references: &Arrays, rule: &Rule, talk: Talk) -> Summary {
    let mut list = Vec::new();
    for (name, target) in targets {
        let same_shape = references.iter().filter(|(_, r)| r.shape() == target.shape());
        let compared = same_shape.map(|(other, r)| (other, compare_by(name, target, r, rule)));
        let best = compared.max_by(|(_, a), (_, b)| a.cosine.total_cmp(&b.cosine));
        match best {
            Some((other, best)) => {
                talk.say(format_args!("{name} is most similar to {other}: cosine {:.6}, euclidean {:.6}", best.cosine, best.euclidean));
                list.push(best);
            }
            None => talk.say(format_args!("{name}: no tensor of shape {:?}", target.shape())),
        }
    }
    Summary { list }
}

/// How many elements are printed without --full-array.
const ELEMENTS: usize = 1000;
const TOP: usize = 10;

/// What -vv and more, and --stats_int8_tensor, add to a line.
fn details(arguments: &CompareArguments, c: &Comparison, targets: &Arrays, references: &Arrays) -> String {
    let find = |arrays: &Arrays| arrays.iter().find(|(n, _)| *n == c.name).map(|(_, t)| t.to_f32());
    let mut out = String::new();
    if let Some(values) = find(targets).filter(|_| arguments.stats_int8_tensor && c.dtype == tpuc_tensor::DType::I8) {
        out.push_str(&int8_statistics(&values));
    }
    let (Some(a), Some(b)) = (find(targets), find(references)) else { return out };
    if c.verdict.passed() || arguments.verbose < 2 || a.len() != b.len() {
        return out;
    }
    out.push_str("top-k:\n idx-t  target  idx-r  ref\n");
    for (i, j) in largest(&a, TOP).into_iter().zip(largest(&b, TOP)) {
        writeln!(out, "  {i} {} {j} {}", a[i], b[j]).ok();
    }
    let limit = if arguments.full_array { usize::MAX } else { ELEMENTS };
    let mut elements = |title: &str, list: Vec<usize>| {
        writeln!(out, "{title}:\n idx  target  ref").ok();
        list.iter().take(limit).for_each(|&i| writeln!(out, "  {i} {} {}", a[i], b[i]).unwrap_or(()));
        if list.len() > limit {
            writeln!(out, "  ... {} more (--full-array)", list.len() - limit).ok();
        }
    };
    if arguments.verbose > 2 {
        elements("all-diffs", (0..a.len()).filter(|&i| (a[i] - b[i]).abs() > 1e-3 + 1e-3 * b[i].abs()).collect());
    }
    if arguments.verbose > 3 {
        elements("all-elements", (0..a.len()).collect());
    }
    out
}

fn int8_statistics(values: &[f32]) -> String {
    let share = |label: &str, test: &dyn Fn(f32) -> bool| {
        let count = values.iter().filter(|&&v| test(v)).count();
        format!("    {label:<13} = {:.4}  [{count}/{}]\n", count as f64 / values.len().max(1) as f64, values.len())
    };
    [share("pos(x=127)", &|v| v == 127.0), share("neg(x=-128)", &|v| v == -128.0), share("zeros(x=0)", &|v| v == 0.0), share("low(abs(x)<=8)", &|v| v.abs() <= 8.0)].concat()
}

/// Quantizes the tensors of a table's rows to INT8 and back, and compares what is left with what was there.
pub fn cali_test(file: &Path, table: &Path, place: &Place, talk: Talk) -> Result<(), Failure> {
    cli::check_input(table)?;
    place.output.iter().try_for_each(|p| cli::check_output(p))?;
    let table = tpuc_lowering::CalibrationTable::read(table).map_err(|e| cli::named(table, e))?;
    let arrays = read(file)?;
    let rule = (0.95, 0.85);
    let (mut list, mut requantized) = (Vec::new(), Vec::new());
    for row in table.rows() {
        let Some((name, tensor)) = arrays.iter().find(|(n, _)| *n == row.name) else { continue };
        let Some(values) = tensor.as_f32().filter(|_| row.threshold > 0.0) else { continue };
        let scale = row.threshold / 127.0;
        let quantized = values.iter().map(|&v| ((f64::from(v) / scale).round_ties_even().clamp(-128.0, 127.0) * scale) as f32).collect();
        let back = Tensor::f32(tensor.shape(), quantized).map_err(Failure::work)?;
        list.push(compare(name, &back, tensor, rule));
        requantized.push((name.as_str(), back));
    }
    if list.is_empty() {
        return Err(Failure::work(format!("{}: has none of the table's tensors", file.display())));
    }
    if let Some(output) = &place.output {
        npz::write_npz(output, requantized.iter().map(|(n, t)| (*n, t)))?;
    }
    let summary = Summary { list };
    let name = file.display().to_string();
    talk.say(summary.text(&format!("{name} in INT8"), &name, 1));
    talk.result("npz_tool cali_test", summary.passed(), summary.json(&name, &name));
    if summary.passed() { Ok(()) } else { Err(Failure::Said(1)) }
}
