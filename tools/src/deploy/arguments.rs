//! The command line of `model_deploy`, and everything that can be found wrong before the work.

use crate::cli::{self, Failure, Later, Talk};
use crate::network::extension;
use std::path::{Path, PathBuf};
use tpuc_lowering::strip::Which;
use tpuc_lowering::{CalibrationTable, Chip, LowerError, Mode, QuantizeTable};
use tpuc_ops::preprocess::FrameFormat;

/// Lower a Top network for a chip and write it as a bmodel.
#[derive(clap::Parser)]
#[command(name = "model_deploy", after_help = concat!(include_str!("../../help/model_deploy.txt"), include_str!("../../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    #[arg(long)]
    pub mlir: PathBuf,
    /// The bmodel to write
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// How layers compute that no table names: INT8, F32, F16, BF16, or W8F16, W8BF16, W4F16, W4BF16
    #[arg(long, default_value = "F32")]
    pub quantize: String,
    /// The chip: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x or cv180x (bmodels are written for bm1684x only yet)
    #[arg(long, alias = "processor")]
    pub chip: String,
    /// Thresholds, as run_calibration writes them; INT8 needs them
    #[arg(long)]
    pub calibration_table: Option<PathBuf>,
    /// Layers with a mode of their own, as the searches and fp_forward write them
    #[arg(long, alias = "qtable")]
    pub quantize_table: Option<PathBuf>,
    /// Skip layers of the quantize table that the network does not have, instead of ending
    #[arg(long, alias = "ignore-unknown-layers")]
    pub ignore_unknown_layers: bool,
    /// INT8 with zero points, so that ranges need not be the same on both sides of zero (bm1684x, bm1688, cv186x, bm1690)
    #[arg(long)]
    pub asymmetric: bool,
    /// Inputs arrive quantized: no cast in front
    #[arg(long)]
    pub quant_input: bool,
    /// Outputs stay quantized: no cast behind
    #[arg(long)]
    pub quant_output: bool,
    /// As --quant_input, for these inputs only: positions from 1 on, comma separated
    #[arg(long, default_value = "", hide_default_value = true)]
    pub quant_input_list: String,
    /// As --quant_output, for these outputs only: positions from 1 on, comma separated
    #[arg(long, default_value = "", hide_default_value = true)]
    pub quant_output_list: String,
    /// Weights that share a scale, in the modes W8F16, W8BF16, W4F16 and W4BF16; 0: 64
    #[arg(long, default_value_t = 0)]
    pub q_group_size: u32,
    /// In these modes: integers lie evenly around zero
    #[arg(long)]
    pub q_symmetric: bool,
    /// Preprocessing becomes a part of the network, whose inputs are then frames of bytes
    #[arg(long)]
    pub fuse_preprocess: bool,
    /// With --fuse_preprocess, how pixels arrive: RGB_PLANAR, RGB_PACKED, BGR_PLANAR, BGR_PACKED, GRAYSCALE, YUV420_PLANAR, YUV_NV21, YUV_NV12 or RGBA_PLANAR; left out: as the network has them
    #[arg(long, default_value = "", hide_default_value = true)]
    pub customization_format: String,
    /// A picture, npy or npz file to check the results on, one an input, comma separated
    #[arg(long, num_args = 1..)]
    pub test_input: Vec<String>,
    /// The float tensors of that input, as model_transform writes them (--test_result); left out: the float network is run
    #[arg(long)]
    pub test_reference: Option<PathBuf>,
    /// Least cosine and euclidean similarity between the quantized and the float tensors
    #[arg(long, default_value = "0.8,0.5", allow_hyphen_values = true)]
    pub tolerance: String,
    /// Least cosine and euclidean similarity between the bmodel and the quantized network
    #[arg(long, default_value = "0.99,0.90", allow_hyphen_values = true)]
    pub correctness: String,
    /// Tensors that are not compared, comma separated
    #[arg(long, default_value = "-", allow_hyphen_values = true)]
    pub excepts: String,
    /// Compare every tensor, not only the outputs
    #[arg(long)]
    pub compare_all: bool,
    /// Do not run the bmodel
    #[arg(long)]
    pub skip_validation: bool,
    /// Stop after lowering
    #[arg(long)]
    pub not_gen_bmodel: bool,
    /// Keep the lowered network and the tensors of the checks
    #[arg(long)]
    pub debug: bool,
    /// Also write a page with the similarity and the cycles of every layer
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Accepted: results of earlier runs are not kept, the checks are always made
    #[arg(long)]
    pub cache_skip: bool,
    /// Accepted: every layer is loaded, computed and stored on its own anyway
    #[arg(long)]
    pub disable_layer_group: bool,
    #[arg(long, hide = true, default_value_t = 1)]
    pub num_device: i64,
    #[arg(long, hide = true, default_value_t = 1)]
    pub num_core: i64,
    #[arg(long, hide = true, default_value = "auto")]
    pub addr_mode: String,
    #[command(flatten)]
    pub talk: Talk,
}

/// Documented options that ask for something else than what this version does.
pub const LATER: &[Later] = &[
    Later("--quant_output_bf16", &[]),
    Later("--quant_input_int8", &[]),
    Later("--quant_output_int8", &[]),
    Later("--matmul_perchannel", &[]),
    Later("--gelu_mode", &["normal"]),
    Later("--high_precision", &[]),
    Later("--ignore_f16_overflow", &[]),
    Later("--aligned_input", &[]),
    Later("--dynamic", &[]),
    Later("--io_alone", &[]),
    Later("--same_addr", &[""]),
    Later("--save_io_alone_config", &[""]),
    Later("--use_io_alone_config", &[""]),
    Later("--iomem_set", &[""]),
    Later("--opt", &["2"]),
    Later("--group_by_cores", &["auto", "false"]),
    Later("--layer_group_config", &[""]),
    Later("--shape_secs_search_strategy", &["0"]),
    Later("--disable_structure_detect_opt", &[]),
    Later("--disable_topo_sort", &[]),
    Later("--disable_affine", &[]),
    Later("--disable_gdma_check", &[]),
    Later("--enable_lghash", &[]),
    Later("--lghash_dir", &[""]),
    Later("--lg_debugger", &["0"]),
    Later("--use_rewriter_config", &[]),
    Later("--do_winograd", &[]),
    Later("--op_divide", &[]),
    Later("--merge_weight", &[]),
    Later("--weight_deduplicate", &[]),
    Later("--includeWeight", &[]),
    Later("--compress_mode", &["none"]),
    Later("--opt_post_processor", &[]),
    Later("--model_version", &["latest"]),
    Later("--rvti", &[]),
    Later("--time_fixed_subnet", &[]),
    Later("--subnet_params", &[]),
    Later("--global_op_types", &[""]),
    Later("--trunc_final", &[]),
    Later("--enable_maskrcnn", &[]),
    Later("--gen_test_input", &[]),
    Later("--gen_test_seed", &[]),
    Later("--fazzy_match", &[]),
    Later("--cuda", &[]),
    Later("--ip", &[""]),
    Later("--pwd", &[""]),
    Later("--patterns_count", &[]),
    Later("--future_update_rank", &["0"]),
    Later("--future_update_list", &[""]),
    Later("--embed_debug_info", &[]),
    Later("--debug_cmd", &[""]),
    Later("--log_level", &["0"]),
];

const QUANTIZATIONS: &[&str] = &["INT8", "F32", "F16", "BF16", "INT4", "W8F16", "W8BF16", "W4F16", "W4BF16", "F8E4M3", "F8E5M2", "QDQ", "W4INT8", "INT8F16DYN", "INT8BF16DYN", "INT4F16DYN", "INT4BF16DYN", "F8E4M3F16DYN", "F8E4M3BF16DYN", "F4F16DYN", "F4BF16DYN", "MXF4F16DYN", "MXF4BF16DYN"];

/// What is known before the work starts.
pub struct Plan {
    pub chip: &'static Chip,
    /// The mode of layers that no table names.
    pub mode: Mode,
    /// Integers have zero points.
    pub asymmetric: bool,
    pub table: Option<PathBuf>,
    pub quantize_table: Option<QuantizeTable>,
    /// Whether frames come in, and of which format if one is asked for.
    pub frames: Option<Option<FrameFormat>>,
    pub tolerance: (f64, f64),
    pub correctness: (f64, f64),
    /// Where the files beside the bmodel go.
    pub folder: PathBuf,
}

impl Plan {
    /// `<name>_<chip>_<mode>`, with which the names of intermediate files begin.
    pub fn prefix(&self, name: &str) -> String {
        format!("{name}_{}_{}", self.chip.name, self.mode.file_suffix(self.asymmetric))
    }

    /// The file name of the lowered network's weights.
    pub fn weights(&self, name: &str) -> String {
        let mixed = if self.quantize_table.is_some() { "_qtable" } else { "" };
        format!("{}_tpu{mixed}_weights.npz", self.prefix(name))
    }
}

/// Everything that can be found wrong before the work.
pub fn check(arguments: &Arguments) -> Result<Plan, Failure> {
    let chip = cli::chip(&arguments.chip)?;
    let mode = mode(&arguments.quantize, chip)?;
    if arguments.asymmetric && mode != Mode::Int8 {
        return Err(Failure::usage(format!("--asymmetric is for --quantize INT8, {mode} has no zero points")));
    }
    if arguments.asymmetric && !chip.has_zero_points() {
        return Err(Failure::usage(format!("--asymmetric: {}", LowerError::ZeroPoints { chip: chip.name })));
    }
    if arguments.num_device != 1 || arguments.num_core != 1 {
        return Err(Failure::usage(format!("--num_core, --num_device: programs for one core of one device are made, asked for {} and {}", arguments.num_core, arguments.num_device)));
    }
    if arguments.addr_mode != "auto" && arguments.addr_mode != chip.addr_mode {
        return Err(cli::not_yet(&format!("--addr_mode {}", arguments.addr_mode)));
    }
    let (tolerance, correctness) = (cli::tolerance("--tolerance", &arguments.tolerance)?, cli::tolerance("--correctness", &arguments.correctness)?);
    for (option, list) in [("--quant_input_list", &arguments.quant_input_list), ("--quant_output_list", &arguments.quant_output_list)] {
        Which::parse(false, list).map_err(|e| Failure::usage(format!("{option}: {e}")))?;
    }
    if mode == Mode::Int8 && arguments.calibration_table.is_none() {
        return Err(Failure::usage("--quantize INT8 needs --calibration_table FILE (run_calibration writes it)"));
    }
    let frames = frames(arguments)?;
    let ending = chip.model_extension();
    match &arguments.model {
        None if !arguments.not_gen_bmodel => return Err(Failure::usage("--model is missing: the bmodel to write")),
        Some(model) if extension(model) != ending => return Err(Failure::usage(format!("--model: '{}' should end in .{ending} for {}", model.display(), chip.name))),
        _ => {}
    }
    if arguments.test_reference.is_some() && arguments.test_input.is_empty() {
        return Err(Failure::usage("--test_reference needs --test_input"));
    }
    let files = [&arguments.mlir].into_iter().chain(&arguments.calibration_table).chain(&arguments.quantize_table).chain(&arguments.test_reference);
    files.into_iter().try_for_each(|f| cli::check_input(f))?;
    arguments.test_input.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    if let Some(table) = &arguments.calibration_table
        && CalibrationTable::read(table).map_err(|e| cli::named(table, e))?.rows().is_empty()
    {
        return Err(cli::named(table, "has no thresholds (rows 'op_name threshold min max')"));
    }
    let quantize_table = arguments.quantize_table.as_ref().map(|file| quantize_table(file, mode, arguments.calibration_table.is_some())).transpose()?;
    arguments.model.iter().chain(&arguments.report).try_for_each(|f| cli::check_output(f))?;
    let folder = arguments.model.as_ref().and_then(|m| m.parent()).map(Path::to_path_buf).unwrap_or_default();
    if arguments.not_gen_bmodel {
        cli::check_output(&folder.join("x_tpu.mlir"))?;
    }
    Ok(Plan { chip, mode, asymmetric: arguments.asymmetric, table: arguments.calibration_table.clone(), quantize_table, frames, tolerance, correctness, folder })
}

fn frames(arguments: &Arguments) -> Result<Option<Option<FrameFormat>>, Failure> {
    let format = match arguments.customization_format.as_str() {
        "" => None,
        word => Some(word.parse().map_err(|e| Failure::usage(format!("--customization_format: {e}")))?),
    };
    match (arguments.fuse_preprocess, format) {
        (false, Some(_)) => Err(Failure::usage("--customization_format needs --fuse_preprocess")),
        (fuse, format) => Ok(fuse.then_some(format)),
    }
}

/// The mode of `--quantize` that the chip has rules for.
fn mode(word: &str, chip: &Chip) -> Result<Mode, Failure> {
    let names = chip.modes.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
    let wrong = match word.parse::<Mode>() {
        Ok(mode) if chip.modes.contains(&mode) => return Ok(mode),
        Ok(mode) => format!("--quantize: {} cannot do {mode}; it does {names}", chip.name),
        Err(_) if QUANTIZATIONS.contains(&word.to_ascii_uppercase().as_str()) => format!("--quantize {} is not supported yet; {} does {names}", word.to_ascii_uppercase(), chip.name),
        Err(_) => format!("--quantize: unknown quantization '{word}', {} does {names}", chip.name),
    };
    Err(Failure::usage(wrong))
}

/// A quantize table. Modes that the chip does not have mean its own float type (`Chip::layer_mode`).
fn quantize_table(file: &Path, mode: Mode, calibrated: bool) -> Result<QuantizeTable, Failure> {
    let table = QuantizeTable::read(file).map_err(|e| cli::named(file, e))?;
    for row in &table.rows {
        let what = || format!("{}: line {}: layer '{}'", file.display(), row.line, row.name);
        if row.mode == Mode::Int8 && mode != Mode::Int8 && !calibrated {
            return Err(Failure::usage(format!("{}: INT8 needs --calibration_table FILE", what())));
        }
    }
    Ok(table)
}
