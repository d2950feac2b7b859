//! `npz_tool`: compare npz files, look into them, edit them.

use crate::cli::{self, Failure};
use crate::compare::{Summary, compare};
use std::path::{Path, PathBuf};
use tpuc_tensor::{Tensor, npz};

/// Compare and edit npz files.
#[derive(clap::Parser)]
#[command(name = "npz_tool", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compare the tensors that two files have in common
    Compare(CompareArguments),
    /// Print the names, shapes and element types of a file, or one tensor's values
    Dump { file: PathBuf, name: Option<String> },
    /// Print the shape of a tensor
    #[command(name = "get_shape")]
    GetShape { file: PathBuf, name: String },
    /// Copy some tensors (comma separated) to another file
    Extract { file: PathBuf, output: PathBuf, names: String },
    /// Copy all but some tensors to another file
    Remove { file: PathBuf, output: PathBuf, names: String },
    /// Put the tensors of several files into one; the last argument is the output
    Merge {
        #[arg(num_args = 2.., required = true)]
        files: Vec<PathBuf>,
    },
    /// Rename a tensor
    Rename { file: PathBuf, from: String, to: String, output: PathBuf },
    /// Write a tensor as a npy file
    #[command(name = "to_npy")]
    ToNpy { file: PathBuf, name: String, output: PathBuf },
    /// Write a tensor's elements as raw little-endian bytes
    #[command(name = "to_bin")]
    ToBin { file: PathBuf, name: String, output: PathBuf },
    /// Print minimum, maximum, mean and deviation of every tensor
    Statistic { file: PathBuf },
    /// Report NaN and infinite elements; fails if there are any
    #[command(name = "check_nan_inf")]
    CheckNanInf { file: PathBuf },
}

#[derive(clap::Args)]
struct CompareArguments {
    target: PathBuf,
    reference: PathBuf,
    /// Least cosine and euclidean similarity
    #[arg(long, default_value = "0.99,0.99", allow_hyphen_values = true)]
    tolerance: String,
    /// Names that are not compared, comma separated
    #[arg(long = "excepts", alias = "except", default_value = "-", allow_hyphen_values = true)]
    excepts: String,
    /// Show the similarities (-v); compare more (-vv)
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Write the result as a CSV file
    #[arg(long)]
    save: Option<PathBuf>,
    /// Accepted; every common tensor is compared always
    #[arg(short, long = "full-array", alias = "all")]
    all: bool,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    match cli::parse::<Arguments>(arguments)?.command {
        Command::Compare(arguments) => compare_files(&arguments),
        Command::Dump { file, name } => dump(&file, name.as_deref()),
        Command::GetShape { file, name } => {
            println!("{:?}", one(&file, &name)?.shape());
            Ok(())
        }
        Command::Extract { file, output, names } => select(&file, &output, &names, true),
        Command::Remove { file, output, names } => select(&file, &output, &names, false),
        Command::Merge { files } => merge(&files),
        Command::Rename { file, from, to, output } => rename(&file, &from, &to, &output),
        Command::ToNpy { file, name, output } => Ok(npz::write_npy(&output, &one(&file, &name)?)?),
        Command::ToBin { file, name, output } => Ok(tpuc_tensor::file::write(&output, &one(&file, &name)?.to_le_bytes())?),
        Command::Statistic { file } => statistic(&file),
        Command::CheckNanInf { file } => check_nan_inf(&file),
    }
}

type Arrays = Vec<(String, Tensor)>;

fn write(path: &Path, arrays: &Arrays) -> Result<(), Failure> {
    Ok(npz::write_npz(path, arrays.iter().map(|(n, t)| (n.as_str(), t)))?)
}

fn missing(file: &Path, name: &str, arrays: &Arrays) -> Failure {
    let nearest = tpuc_tensor::text::nearest(name, arrays.iter().map(|(n, _)| n.as_str()));
    let hint = nearest.map(|n| format!("; the nearest name is '{n}'")).unwrap_or_default();
    Failure::work(format!("{}: no tensor '{name}'{hint}", file.display()))
}

fn one(file: &Path, name: &str) -> Result<Tensor, Failure> {
    let arrays = npz::read_npz(file)?;
    match arrays.iter().position(|(n, _)| n == name) {
        Some(at) => Ok(arrays.into_iter().nth(at).map(|(_, t)| t).expect("position is in range")),
        None => Err(missing(file, name, &arrays)),
    }
}

fn compare_files(arguments: &CompareArguments) -> Result<(), Failure> {
    let tolerance = cli::tolerance(&arguments.tolerance)?;
    let summary = compare_npz(&arguments.target, &arguments.reference, tolerance, &cli::list(&arguments.excepts))?;
    println!("{}", summary.text(&arguments.target.display().to_string(), &arguments.reference.display().to_string(), arguments.verbose));
    if let Some(path) = &arguments.save {
        tpuc_tensor::file::write(path, summary.csv().as_bytes())?;
    }
    if summary.passed() { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Compares the tensors that two files have in common. Two files without a common tensor are an error, not a success.
pub fn compare_npz(target: &Path, reference: &Path, tolerance: (f64, f64), excepts: &[String]) -> Result<Summary, Failure> {
    let targets: std::collections::HashMap<String, Tensor> = npz::read_npz(target)?.into_iter().collect();
    let references = npz::read_npz(reference)?;
    let wanted = references.iter().filter(|(name, _)| !excepts.contains(name));
    let list: Vec<_> = wanted.filter_map(|(name, r)| targets.get(name).map(|t| compare(name, t, r, tolerance))).collect();
    if list.is_empty() {
        return Err(Failure::work(format!("{} and {} have no tensor in common", target.display(), reference.display())));
    }
    Ok(Summary { list })
}

fn dump(file: &Path, name: Option<&str>) -> Result<(), Failure> {
    match name {
        None => npz::read_npz(file)?.iter().for_each(|(n, t)| println!("{n}  {:?}  {}", t.shape(), t.dtype())),
        Some(name) => {
            let tensor = one(file, name)?;
            println!("{name}  {:?}  {}", tensor.shape(), tensor.dtype());
            tensor.to_f32().chunks(8).for_each(|row| println!("{}", row.iter().map(|v| format!("{v:>14}")).collect::<String>()));
        }
    }
    Ok(())
}

fn select(file: &Path, output: &Path, names: &str, keep: bool) -> Result<(), Failure> {
    let arrays = npz::read_npz(file)?;
    let names = cli::list(names);
    if let Some(name) = names.iter().find(|n| arrays.iter().all(|(a, _)| a != *n)) {
        return Err(missing(file, name, &arrays));
    }
    write(output, &arrays.into_iter().filter(|(n, _)| names.contains(n) == keep).collect())
}

fn merge(files: &[PathBuf]) -> Result<(), Failure> {
    let Some((output, inputs)) = files.split_last() else { return Err(Failure::usage("merge: needs input files and an output")) };
    let mut all: Arrays = Vec::new();
    for file in inputs {
        for (name, tensor) in npz::read_npz(file)? {
            all.retain(|(n, _)| *n != name);
            all.push((name, tensor));
        }
    }
    write(output, &all)
}

fn rename(file: &Path, from: &str, to: &str, output: &Path) -> Result<(), Failure> {
    let mut arrays = npz::read_npz(file)?;
    if arrays.iter().any(|(n, _)| n == to) {
        return Err(Failure::work(format!("{}: there is a tensor '{to}' already", file.display())));
    }
    match arrays.iter().position(|(n, _)| n == from) {
        Some(at) => arrays[at].0 = to.to_owned(),
        None => return Err(missing(file, from, &arrays)),
    }
    write(output, &arrays)
}

fn statistic(file: &Path) -> Result<(), Failure> {
    for (name, tensor) in npz::read_npz(file)? {
        let values = tensor.to_f32();
        let count = values.len().max(1) as f64;
        let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let deviation = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
        println!("{name}  {:?}  min {low:.7}  max {high:.7}  mean {mean:.7}  std {deviation:.7}", tensor.shape());
    }
    Ok(())
}

fn check_nan_inf(file: &Path) -> Result<(), Failure> {
    let mut found = false;
    for (name, tensor) in npz::read_npz(file)? {
        let bad = tensor.to_f32().iter().filter(|v| !v.is_finite()).count();
        if bad > 0 {
            println!("{name}: {bad} of {} elements are NaN or infinite", tensor.len());
            found = true;
        }
    }
    if found { Err(Failure::Said(1)) } else { Ok(()) }
}
