//! What looks into files: names, values, statistics, differences.

use super::{one, position, read};
use crate::cli::{self, Failure, Talk};
use crate::compare::{numpy_name, tuple};
use crate::npz_tool::slice::slice;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tpuc_tensor::Tensor;

#[derive(clap::Args)]
pub struct DumpArguments {
    file: PathBuf,
    /// A tensor, to see its values
    name: Option<String>,
    /// A part of it, such as 0,:,2:5
    #[arg(allow_hyphen_values = true)]
    slice: Option<String>,
    /// Print every value, not only the first and last ones
    #[arg(long = "full-array", alias = "full_array")]
    full: bool,
    /// Also print the largest values and where they are
    #[arg(short = 'k', long, default_value_t = 0)]
    top: usize,
    /// Print the list of tensors
    #[arg(long)]
    list: bool,
}

pub fn dump(arguments: &DumpArguments, talk: Talk) -> Result<(), Failure> {
    let Some(name) = arguments.name.as_deref().filter(|_| !arguments.list) else {
        let arrays = read(&arguments.file)?;
        arrays.iter().for_each(|(n, t)| talk.say(format_args!("{}\t{}\t{}", cli::one_line(n), tuple(t.shape()), numpy_name(t.dtype()))));
        let list: Vec<_> = arrays.iter().map(|(n, t)| json!({ "name": n, "shape": t.shape(), "dtype": numpy_name(t.dtype()) })).collect();
        talk.result("npz_tool dump", true, json!({ "file": arguments.file, "tensors": list }));
        return Ok(());
    };
    let mut tensor = one(&arguments.file, name)?;
    if let Some(text) = &arguments.slice {
        tensor = slice(&tensor, text).map_err(|e| Failure::work(format!("{}: '{name}': {e}", arguments.file.display())))?;
    }
    let values = tensor.to_f32();
    if !talk.is_silent() {
        println!("{}", grid(&tensor, arguments.full));
        println!("shape {}\ndtype {}", tuple(tensor.shape()), numpy_name(tensor.dtype()));
        println!("{}", Statistic::of(&values));
        if arguments.top > 0 {
            println!("Show Top-K {}", arguments.top);
            largest(&values, arguments.top).iter().for_each(|&i| println!("({i}, {})", values[i]));
        }
    }
    let mut fields = Statistic::of(&values).json();
    fields["file"] = json!(arguments.file);
    fields["name"] = json!(name);
    fields["shape"] = json!(tensor.shape());
    fields["dtype"] = json!(numpy_name(tensor.dtype()));
    fields["values"] = values.iter().map(|&v| cli::number(f64::from(v))).collect();
    talk.result("npz_tool dump", true, fields);
    Ok(())
}

/// Indices of the `count` largest values, largest first.
pub fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(count);
    order
}

/// More elements than this are shortened to the first and last three of each dimension.
const SHORTEN: usize = 1000;
const EDGE: usize = 3;

/// Nested brackets, one line a row.
fn grid(tensor: &Tensor, full: bool) -> String {
    fn level(out: &mut String, text: &dyn Fn(usize) -> String, shape: &[usize], at: usize, depth: usize, short: bool) {
        let Some((&size, rest)) = shape.split_first() else { return out.push_str(&text(at)) };
        let inner: usize = rest.iter().product();
        out.push('[');
        let mut i = 0;
        while i < size {
            if i > 0 {
                out.push_str(&if rest.is_empty() { " ".to_owned() } else { format!("\n{}", " ".repeat(depth + 1)) });
            }
            if short && i == EDGE && size > 2 * EDGE {
                out.push_str("...");
                i = size - EDGE;
                continue;
            }
            level(out, text, rest, at + i * inner, depth + 1, short);
            i += 1;
        }
        out.push(']');
    }
    let mut out = String::new();
    let short = !full && tensor.len() > SHORTEN;
    let (integers, values) = (tensor.to_i64(), tensor.to_f32());
    let text = |i: usize| integers.as_ref().map_or_else(|| format!("{:.6}", values[i]), |v| v[i].to_string());
    level(&mut out, &text, tensor.shape(), 0, 0, short);
    out
}

pub fn get_shape(file: &Path, name: &str, talk: Talk) -> Result<(), Failure> {
    let tensor = one(file, name)?;
    talk.say(format_args!("[{}]", tensor.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(",")));
    talk.result("npz_tool get_shape", true, json!({ "file": file, "name": name, "shape": tensor.shape() }));
    Ok(())
}

/// Minimum, maximum, mean and standard deviation.
struct Statistic {
    min: f64,
    max: f64,
    mean: f64,
    deviation: f64,
}

impl Statistic {
    fn of(values: &[f32]) -> Statistic {
        let count = values.len().max(1) as f64;
        let (min, max) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v.into()), h.max(v.into())));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let deviation = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
        Statistic { min, max, mean, deviation }
    }

    fn json(&self) -> serde_json::Value {
        json!({ "min": cli::number(self.min), "max": cli::number(self.max), "mean": cli::number(self.mean), "std": cli::number(self.deviation) })
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "min {:.7}  max {:.7}  mean {:.7}  std {:.7}", self.min, self.max, self.mean, self.deviation)
    }
}

pub fn statistic(file: &Path, talk: Talk) -> Result<(), Failure> {
    let mut list = Vec::new();
    for (name, tensor) in read(file)? {
        let statistic = Statistic::of(&tensor.to_f32());
        talk.say(format_args!("{}  {}  {statistic}", cli::one_line(&name), tuple(tensor.shape())));
        let mut fields = statistic.json();
        fields["name"] = json!(name);
        list.push(fields);
    }
    talk.result("npz_tool statistic", true, json!({ "file": file, "tensors": list }));
    Ok(())
}

/// The statistic of each slice along an axis: of each channel, with axis 1.
pub fn statistic_of(file: &Path, name: &str, axis: usize, talk: Talk) -> Result<(), Failure> {
    let tensor = one(file, name)?;
    let shape = tensor.shape();
    let Some(&count) = shape.get(axis) else {
        return Err(Failure::work(format!("{}: '{name}' has {} dimensions, there is no axis {axis}", file.display(), shape.len())));
    };
    let inner: usize = shape[axis + 1..].iter().product();
    let values = tensor.to_f32();
    talk.say(format_args!("data shape: {}", tuple(shape)));
    let mut list = Vec::new();
    for channel in 0..count {
        let slice: Vec<f32> = values.chunks(inner.max(1)).skip(channel).step_by(count).flatten().copied().collect();
        let statistic = Statistic::of(&slice);
        talk.say(format_args!("idx:{channel}  {statistic}  range {:.7}", statistic.max - statistic.min));
        list.push(statistic.json());
    }
    talk.result("npz_tool statistic", true, json!({ "file": file, "name": name, "axis": axis, "slices": list }));
    Ok(())
}

pub fn check_nan_inf(file: &Path, talk: Talk) -> Result<(), Failure> {
    let mut list = Vec::new();
    for (name, tensor) in read(file)? {
        let values = tensor.to_f32();
        let (nan, infinite) = (values.iter().filter(|v| v.is_nan()).count(), values.iter().filter(|v| v.is_infinite()).count());
        for (count, word) in [(nan, "NaN"), (infinite, "Inf")] {
            if count > 0 {
                talk.say(format_args!("{word} in {}:{} ({count} elements)", cli::one_line(&name), tuple(tensor.shape())));
            }
        }
        if nan + infinite > 0 {
            list.push(json!({ "name": name, "nan": nan, "inf": infinite }));
        }
    }
    let found = !list.is_empty();
    talk.result("npz_tool check_nan_inf", !found, json!({ "file": file, "tensors": list }));
    if found { Err(Failure::Said(1)) } else { Ok(()) }
}

pub fn print_diff(target: &Path, reference: &Path, name: &str, count: Option<usize>, talk: Talk) -> Result<(), Failure> {
    let (mut targets, mut references) = (read(target)?, read(reference)?);
    let (a, b) = (position(target, name, &targets)?, position(reference, name, &references)?);
    let (a, b) = (targets.swap_remove(a).1, references.swap_remove(b).1);
    if a.len() != b.len() {
        return Err(Failure::work(format!("'{name}' has shape {:?} in {} and {:?} in {}", a.shape(), target.display(), b.shape(), reference.display())));
    }
    let (a, b) = (a.to_f32(), b.to_f32());
    let different: Vec<usize> = (0..a.len()).filter(|&i| a[i].to_bits() != b[i].to_bits() && a[i] != b[i]).collect();
    let shown = &different[..count.unwrap_or(usize::MAX).min(different.len())];
    let mut text = String::from("index     adata         bdata");
    shown.iter().for_each(|&i| write!(text, "\n{i}: {}, {}", a[i], b[i]).unwrap_or(()));
    talk.say(if different.is_empty() { "No difference!" } else { &text });
    let list: Vec<_> = shown.iter().map(|&i| json!([i, cli::number(a[i].into()), cli::number(b[i].into())])).collect();
    talk.result("npz_tool print_diff", true, json!({ "name": name, "different": different.len(), "elements": list }));
    Ok(())
}
