//! `model_transform`: a trained network becomes a Top module.

use crate::cli::{self, Failure};
use crate::compare::{Summary, compare};
use crate::inputs;
use crate::network::{Network, canonical, extension};
use crate::run::PlanRunner;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tpuc_frontend::{ImportOptions, Imported, Preprocessing};
use tpuc_imageio::preprocess::{ChannelFormat, KeepRatioMode, PadType, PixelFormat};
use tpuc_ops::{Op, Program};
use tpuc_runtime::NamedTensor;
use tpuc_tensor::npz;

/// Import a network, canonicalize it, and write it as Top MLIR with its weights beside it.
#[derive(clap::Parser)]
#[command(name = "model_transform", version, rename_all = "snake_case", args_override_self = true)]
struct Arguments {
    /// Name of the network; files are named after it
    #[arg(long)]
    model_name: String,
    /// The model: .onnx
    #[arg(long)]
    model_def: PathBuf,
    /// The MLIR file to write
    #[arg(long)]
    mlir: PathBuf,
    /// Shapes of the inputs in order, such as [[1,3,224,224]]
    #[arg(long)]
    input_shapes: Option<String>,
    /// Names of tensors that become the outputs, comma separated
    #[arg(long)]
    output_names: Option<String>,
    /// Height and width that pictures are resized to before the centre crop
    #[arg(long)]
    resize_dims: Option<String>,
    /// Keep the proportions of pictures
    #[arg(long)]
    keep_aspect_ratio: bool,
    /// How proportions are kept: letterbox or short_side_scale
    #[arg(long, default_value = "letterbox")]
    keep_ratio_mode: String,
    /// Mean of each channel
    #[arg(long, default_value = DEFAULT_MEAN, allow_hyphen_values = true)]
    mean: String,
    /// Scale of each channel: input = (pixel - mean) * scale
    #[arg(long, default_value = DEFAULT_SCALE, allow_hyphen_values = true)]
    scale: String,
    /// Value of the pixels around a letterboxed picture, 0 to 255
    #[arg(long, default_value_t = 0)]
    pad_value: u8,
    /// Where the padding is: center or normal
    #[arg(long, default_value = "center")]
    pad_type: String,
    /// bgr, rgb, gray, rgba or bgra
    #[arg(long, default_value = "bgr")]
    pixel_format: String,
    /// Order of the dimensions of the input: nchw or nhwc
    #[arg(long, default_value = "nchw")]
    channel_format: String,
    /// A picture, npy or npz file to run the network on, one an input, comma separated
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    test_input: Vec<String>,
    /// The npz file to write with every tensor of that run
    #[arg(long)]
    test_result: Option<PathBuf>,
    /// Least cosine and euclidean similarity between the network as imported and as canonicalized
    #[arg(long, default_value = "0.99,0.99", allow_hyphen_values = true)]
    tolerance: String,
    /// Tensors that are not compared, comma separated
    #[arg(long, default_value = "-", allow_hyphen_values = true)]
    excepts: String,
    /// Do not run the network on the test input
    #[arg(long)]
    not_inference: bool,
    /// Also write the network as imported: <name>_origin.mlir
    #[arg(long)]
    debug: bool,
    /// Print errors only
    #[arg(long)]
    quiet: bool,
    /// Accepted; graphs are simplified by passes of our own
    #[arg(long, hide = true)]
    onnx_sim: Option<String>,
}

const DEFAULT_MEAN: &str = "0.0,0.0,0.0";
const DEFAULT_SCALE: &str = "1.0,1.0,1.0";

const LATER: &[&str] = &[
    "--model_data", "--model_extern", "--preprocess_list", "--add_postprocess", "--dynamic", "--dynamic_shape_input_names", "--shape_influencing_input_names", "--input_types", "--path_custom_op",
    "--path_yaml", "--yuv_type", "--patterns_count", "--replace_topk_indices", "--cache_skip",
];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    let tolerance = cli::tolerance(&arguments.tolerance)?;
    let options = import_options(&arguments)?;
    check_files(&arguments)?;

    let imported = tpuc_frontend::import(&arguments.model_def, &options)?;
    let context = tpuc_dialects::context();
    let folder = arguments.mlir.parent().unwrap_or(Path::new("")).to_path_buf();
    let module = canonical(&context, &imported)?;
    let network = Network::of(&module)?;
    let mut tested = None;
    if !arguments.test_input.is_empty() {
        let given = inputs::load(&network.inputs()?, &arguments.test_input)?;
        let all = if arguments.not_inference { Vec::new() } else { check(&arguments, &imported, &network, &given, tolerance)? };
        tested = Some((given, all));
    }
    if arguments.debug {
        let origin = tpuc_dialects::context();
        let text = tpuc_dialects::Module::from_program(&origin, &imported.program, imported.weights.clone())?.text();
        tpuc_tensor::file::write(&folder.join(format!("{}_origin.mlir", arguments.model_name)), text.as_bytes())?;
    }
    module.write(&arguments.mlir)?;
    if let Some((given, all)) = tested {
        write(&folder.join(format!("{}_in_f32.npz", arguments.model_name)), &given)?;
        if let Some(result) = arguments.test_result.as_ref().filter(|_| !arguments.not_inference) {
            write(result, &all)?;
        }
    }
    if !arguments.quiet {
        println!("{}: {} layers -> {}", arguments.model_def.display(), network.program.nodes.len(), arguments.mlir.display());
    }
    Ok(())
}

fn write(path: &Path, tensors: &[NamedTensor]) -> Result<(), Failure> {
    Ok(npz::write_npz(path, tensors.iter().map(|(n, t)| (n.as_str(), t)))?)
}

/// Everything that can be found wrong before the work.
fn check_files(arguments: &Arguments) -> Result<(), Failure> {
    cli::check_input(&arguments.model_def)?;
    arguments.test_input.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    if arguments.test_result.is_some() && arguments.test_input.is_empty() {
        return Err(Failure::usage("--test_result needs --test_input"));
    }
    if extension(&arguments.mlir) != "mlir" {
        return Err(Failure::usage(format!("--mlir: '{}' should end in .mlir", arguments.mlir.display())));
    }
    if let Some(result) = &arguments.test_result {
        if extension(result) != "npz" {
            return Err(Failure::usage(format!("--test_result: '{}' should end in .npz", result.display())));
        }
        cli::check_output(result)?;
    }
    cli::check_output(&arguments.mlir)
}

/// Runs the canonicalized network, and the imported one beside it: what they have in common must agree.
fn check(arguments: &Arguments, imported: &Imported, network: &Network, given: &[NamedTensor], tolerance: (f64, f64)) -> Result<Vec<NamedTensor>, Failure> {
    let all = PlanRunner::new(network)?.run_all(given)?;
    let origin = Network { program: imported.program.clone(), weights: imported.weights.clone() };
    let origin = PlanRunner::new(&origin)?.run_all(given)?;
    let excepts = cli::list(&arguments.excepts);
    let reference: HashMap<&str, _> = origin.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let moved = folded_names(&imported.program, &all.iter().map(|(name, _)| name.as_str()).collect());
    let common = all.iter().filter(|(name, _)| !excepts.contains(name));
    let reference_of = |name: &str| reference.get(moved.get(name).copied().unwrap_or(name));
    let list = common.filter_map(|(name, t)| reference_of(name).map(|r| compare(name, t, r, tolerance))).collect();
    let summary = Summary { list };
    if !summary.passed() {
        eprintln!("{}", summary.text("canonicalized", "imported", 1));
        return Err(Failure::work(format!("the canonicalized network differs from the imported one by more than --tolerance {}", arguments.tolerance)));
    }
    if !arguments.quiet {
        println!("{}", summary.text(&arguments.mlir.display().to_string(), &arguments.model_def.display().to_string(), 0).trim_start());
    }
    Ok(all)
}

/// A convolution that a batch norm was folded into keeps its name and has the batch norm's values: by name, where those are
/// in the imported program. `kept` are the names of the canonicalized one.
fn folded_names<'p>(imported: &'p Program, kept: &HashSet<&str>) -> HashMap<&'p str, &'p str> {
    let mut moved = HashMap::new();
    for node in imported.nodes.iter().filter(|n| matches!(n.op, Op::TopBatchNorm(_) | Op::TopScale(_))) {
        if let (Some(&operand), Some(&result)) = (node.operands.first(), node.results.first()) {
            let (from, to) = (imported.value(operand).name.as_str(), imported.value(result).name.as_str());
            if kept.contains(from) && !kept.contains(to) {
                moved.insert(from, to);
            }
        }
    }
    moved
}

fn import_options(arguments: &Arguments) -> Result<ImportOptions, Failure> {
    fn word<T: FromStr>(option: &str, text: &str) -> Result<T, Failure>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|e: T::Err| Failure::usage(format!("{option}: {e}")))
    }
    let pixel_format: PixelFormat = word("--pixel_format", &arguments.pixel_format)?;
    word::<ChannelFormat>("--channel_format", &arguments.channel_format)?;
    word::<KeepRatioMode>("--keep_ratio_mode", &arguments.keep_ratio_mode)?;
    word::<PadType>("--pad_type", &arguments.pad_type)?;
    let channel_values = |option: &str, text: &str| {
        let values = cli::numbers(option, text)?;
        let needed = pixel_format.channels();
        // The defaults are three equal values whatever the number of channels.
        if text == DEFAULT_MEAN || text == DEFAULT_SCALE {
            return Ok(vec![values[0]; needed.max(3)]);
        }
        if values.len() == needed {
            return Ok(values);
        }
        Err(Failure::usage(format!("{option}: {} values, but pixel format {} has {needed} channels", values.len(), arguments.pixel_format)))
    };
    let resize_dims = arguments.resize_dims.as_deref().map(|text| cli::height_width("--resize_dims", text)).transpose()?;
    Ok(ImportOptions {
        model_name: arguments.model_name.clone(),
        input_shapes: arguments.input_shapes.as_deref().map(shapes).transpose()?,
        output_names: arguments.output_names.as_deref().map(cli::list).unwrap_or_default(),
        preprocessing: Preprocessing {
            resize_dims: resize_dims.map(|[h, w]| [h as i64, w as i64]),
            keep_aspect_ratio: arguments.keep_aspect_ratio,
            keep_ratio_mode: arguments.keep_ratio_mode.clone(),
            mean: channel_values("--mean", &arguments.mean)?,
            scale: channel_values("--scale", &arguments.scale)?,
            pixel_format: arguments.pixel_format.clone(),
            channel_format: arguments.channel_format.clone(),
            pad_value: i64::from(arguments.pad_value),
            pad_type: arguments.pad_type.clone(),
            yuv_type: String::new(),
        },
    })
}

/// `[[1,3,224,224],[1,10]]`
fn shapes(text: &str) -> Result<Vec<Vec<i64>>, Failure> {
    let wrong = || Failure::usage(format!("--input_shapes: '{text}' should be a list of shapes such as [[1,3,224,224]]"));
    let list: Vec<Vec<i64>> = serde_json::from_str(text).map_err(|_| wrong())?;
    if list.is_empty() || list.iter().flatten().any(|&d| d < 1) {
        return Err(wrong());
    }
    Ok(list)
}
