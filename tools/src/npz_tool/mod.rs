//! `npz_tool`: compare npz files, look into them, edit them.

mod compare;
mod diff_pages;
mod edit;
mod show;
mod slice;

use crate::cli::{self, Failure, Talk};
use std::path::{Path, PathBuf};
use tpuc_tensor::{Tensor, npz};

/// Compare npz files, look into them, edit them. A npy file counts as a npz file with one tensor.
#[derive(clap::Parser)]
#[command(name = "npz_tool", after_help = concat!(include_str!("../../help/npz_tool.txt"), include_str!("../../help/common.txt")), version, disable_help_subcommand = true, rename_all = "snake_case")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    talk: Talk,
}

#[derive(clap::Subcommand)]
#[command(rename_all = "snake_case")]
enum Command {
    /// Compare the tensors that two files have in common
    #[command(args_override_self = true)]
    Compare(compare::CompareArguments),
    /// Print where the elements of a tensor differ between two files
    #[command(name = "print_diff")]
    PrintDiff {
        target: PathBuf,
        reference: PathBuf,
        /// The tensor
        name: String,
        /// At most so many elements
        count: Option<usize>,
    },
    /// Draw a tensor of two files and their difference: a page a tensor in the folder tensor_diff_fp32_vs_int8
    #[command(name = "visualize_diff", args_override_self = true)]
    VisualizeDiff(diff_pages::DiffArguments),
    /// Print the names, shapes and element types of a file, or one tensor's values
    Dump(show::DumpArguments),
    /// Copy some tensors to another file
    Extract {
        file: PathBuf,
        output: PathBuf,
        /// Names, comma separated
        names: String,
    },
    /// Take tensors out of a file
    Remove {
        file: PathBuf,
        /// Names, comma separated
        names: String,
        #[command(flatten)]
        place: edit::Place,
    },
    /// Put the tensors of a file into another
    Insert { file: PathBuf, output: PathBuf },
    /// Put the tensors of several files into one; the last argument is the output
    Merge {
        #[arg(num_args = 2.., required = true)]
        files: Vec<PathBuf>,
    },
    /// Rename a tensor of a file
    Rename {
        file: PathBuf,
        from: String,
        to: String,
        #[command(flatten)]
        place: edit::Place,
    },
    /// Give a tensor of a file another shape
    Reshape {
        file: PathBuf,
        name: String,
        /// Such as 4,5,1; one dimension may be -1
        #[arg(allow_hyphen_values = true)]
        shape: String,
        #[command(flatten)]
        place: edit::Place,
    },
    /// Permute the dimensions of one tensor, or of every tensor, of a file
    Permute {
        file: PathBuf,
        /// The tensor (left out: every tensor) and the order, such as 0,2,3,1
        #[arg(num_args = 1..=2, required = true, value_names = ["NAME", "ORDER"])]
        what: Vec<String>,
        #[command(flatten)]
        place: edit::Place,
    },
    /// Write bfloat16 tensors (stored as uint16) as float32
    #[command(name = "bf16_to_fp32")]
    Bf16ToFp32 { file: PathBuf, output: PathBuf },
    /// Write float16 tensors (stored as uint16) as float32
    #[command(name = "fp16_to_fp32")]
    Fp16ToFp32 { file: PathBuf, output: PathBuf },
    /// Write float32 tensors as bfloat16 (stored as uint16)
    #[command(name = "fp32_to_bf16")]
    Fp32ToBf16 { file: PathBuf, output: PathBuf },
    /// Write float32 tensors as float16 (stored as uint16)
    #[command(name = "fp32_to_fp16")]
    Fp32ToFp16 { file: PathBuf, output: PathBuf },
    /// Print the shape of a tensor
    #[command(name = "get_shape")]
    GetShape { file: PathBuf, name: String },
    /// Write a tensor's elements as raw little-endian bytes
    #[command(name = "to_bin")]
    ToBin {
        file: PathBuf,
        name: String,
        output: PathBuf,
        /// Convert before: int8, uint16 (bf16) or float32
        dtype: Option<String>,
    },
    /// Write the elements of all tensors, one after the other, as raw little-endian bytes
    #[command(name = "to_dat")]
    ToDat { file: PathBuf, output: PathBuf },
    /// Write a tensor as a npy file: <NAME>.npy, or OUTPUT
    #[command(name = "to_npy")]
    ToNpy { file: PathBuf, name: String, output: Option<PathBuf> },
    /// What INT8 with the thresholds of a calibration table would leave of the tensors of a file
    #[command(name = "cali_test")]
    CaliTest {
        /// Float tensors, as model_transform writes them (--test_result)
        file: PathBuf,
        #[arg(long = "calibration_table")]
        calibration_table: PathBuf,
        #[command(flatten)]
        place: edit::Place,
    },
    /// Print minimum, maximum, mean and deviation: of every tensor, or of each slice of one along an axis
    Statistic {
        file: PathBuf,
        /// The tensor
        name: Option<String>,
        /// The axis of its slices
        #[arg(default_value_t = 1)]
        axis: usize,
    },
    /// Report NaN and infinite elements; the exit code is 1 if there are any
    #[command(name = "check_nan_inf")]
    CheckNanInf { file: PathBuf },
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, &["--op_info", "--dequant_full_npz", "--dequant", "--order", "--excepts_file"])?;
    let Arguments { command, talk } = cli::parse::<Arguments>(arguments)?;
    match command {
        Command::Compare(arguments) => compare::run(&arguments, talk),
        Command::PrintDiff { target, reference, name, count } => show::print_diff(&target, &reference, &name, count, talk),
        Command::VisualizeDiff(arguments) => diff_pages::run(&arguments, talk),
        Command::Dump(arguments) => show::dump(&arguments, talk),
        Command::GetShape { file, name } => show::get_shape(&file, &name, talk),
        Command::Statistic { file, name: None, .. } => show::statistic(&file, talk),
        Command::Statistic { file, name: Some(name), axis } => show::statistic_of(&file, &name, axis, talk),
        Command::CheckNanInf { file } => show::check_nan_inf(&file, talk),
        Command::CaliTest { file, calibration_table, place } => compare::cali_test(&file, &calibration_table, &place, talk),
        other => edit::run(other, talk),
    }
}

/// Tensors by name, in file order.
type Arrays = Vec<(String, Tensor)>;

/// The tensors of a npz file, or the one of a npy file under the file's name.
fn read(file: &Path) -> Result<Arrays, Failure> {
    cli::check_input(file)?;
    let bytes = tpuc_tensor::file::read(file)?;
    let named = |e: String| Failure::work(format!("{}: {e}", file.display()));
    if bytes.starts_with(npz::MAGIC) {
        let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        return Ok(vec![(name, npz::parse_npy(&bytes).map_err(named)?)]);
    }
    npz::parse_npz(&bytes).map_err(named)
}

fn missing(file: &Path, name: &str, arrays: &Arrays) -> Failure {
    let nearest = tpuc_tensor::text::nearest(name, arrays.iter().map(|(n, _)| n.as_str()));
    let hint = nearest.map(|n| format!("; the nearest name is '{n}'")).unwrap_or_default();
    Failure::work(format!("{}: no tensor '{name}'{hint}", file.display()))
}

fn position(file: &Path, name: &str, arrays: &Arrays) -> Result<usize, Failure> {
    arrays.iter().position(|(n, _)| n == name).ok_or_else(|| missing(file, name, arrays))
}

fn one(file: &Path, name: &str) -> Result<Tensor, Failure> {
    let mut arrays = read(file)?;
    let at = position(file, name, &arrays)?;
    Ok(arrays.swap_remove(at).1)
}

/// `0,2,-1` as integers.
fn integers(what: &str, text: &str) -> Result<Vec<i64>, Failure> {
    let number = |s: String| s.parse::<i64>().map_err(|_| Failure::usage(format!("{what}: '{text}' should be integers such as 0,2,1")));
    cli::list(text).into_iter().map(number).collect()
}
