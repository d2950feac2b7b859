//! `model_transform`: a trained network becomes a Top module.

use crate::cli::{self, Failure, Later, Talk};
use crate::compare::{Summary, compare};
use crate::inputs;
use crate::network::{Network, attribute, canonical, extension, runnable, tensors};
use crate::run::PlanRunner;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tpuc_dialects::Module;
use tpuc_frontend::{ImportOptions, Imported, Preprocessing};
use tpuc_imageio::samples::NetInput;
use tpuc_imageio::preprocess::{ChannelFormat, KeepRatioMode, PadType, PixelFormat};
use tpuc_ops::{Op, Program};
use tpuc_runtime::NamedTensor;
use tpuc_tensor::npz;

/// Import a network, canonicalize it, and write it as Top MLIR with its weights beside it.
#[derive(clap::Parser)]
#[command(name = "model_transform", after_help = concat!(include_str!("../help/model_transform.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
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
    /// Element types of the inputs in order, comma separated: float32
    #[arg(long)]
    input_types: Option<String>,
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
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pad_value: u8,
    /// Where the padding is: center or normal
    #[arg(long, default_value = "center")]
    pad_type: String,
    /// What the network was trained with: bgr (as is assumed), rgb, gray, rgba or bgra
    #[arg(long)]
    pixel_format: Option<String>,
    /// The inputs that pictures become, counted from 1, comma separated: 1,3; left out: all
    #[arg(long, default_value = "")]
    preprocess_list: String,
    /// Order of the dimensions of the input: nchw or nhwc; none: no pictures
    #[arg(long, default_value = "nchw")]
    channel_format: String,
    /// A picture, npy or npz file to run the network on, one an input, comma separated
    #[arg(long, num_args = 1..)]
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
    /// Also write the network as imported, <mlir>_origin.mlir, and its tensors, <model_name>_ref_outputs.npz
    #[arg(long)]
    debug: bool,
    /// Accepted: results of earlier runs are not kept, the check is always made
    #[arg(long)]
    cache_skip: bool,
    #[command(flatten)]
    talk: Talk,
}

const DEFAULT_MEAN: &str = "0.0,0.0,0.0";
const DEFAULT_SCALE: &str = "1.0,1.0,1.0";

/// Documented options that ask for something else than what this version does.
const LATER: &[Later] = &[
    Later("--model_data", &[""]),
    Later("--model_extern", &[]),
    Later("--add_postprocess", &[""]),
    Later("--pruning", &[""]),
    Later("--onnx_sim", &[""]),
    Later("--do_onnx_sim", &["true", "1"]),
    Later("--dump_final_opt", &[]),
    Later("--dynamic", &[]),
    Later("--dynamic_shape_input_names", &[]),
    Later("--shape_influencing_input_names", &[]),
    Later("--path_custom_op", &[]),
    Later("--path_yaml", &[]),
    Later("--op_custom_shape", &[]),
    Later("--yuv_type", &[""]),
    Later("--patterns_count", &[]),
    Later("--enable_maskrcnn", &[]),
    Later("--replace_topk_indices", &["false", "0"]),
    Later("--use_rewriter_config", &[]),
    Later("--struct_optimize", &["0"]),
    Later("--debug_cmd", &[""]),
    Later("--log_level", &["0"]),
];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let mut arguments = cli::parse::<Arguments>(cli::without_later(arguments, LATER)?)?;
    arguments.test_input = cli::files(&arguments.test_input);
    let tolerance = cli::tolerance("--tolerance", &arguments.tolerance)?;
    let options = import_options(&arguments)?;
    check_files(&arguments)?;
    if arguments.cache_skip && !arguments.test_input.is_empty() {
        arguments.talk.say("--cache_skip: results of earlier runs are not kept, the check is made");
    }

    let imported = tpuc_frontend::import(&arguments.model_def, &options)?;
    let context = tpuc_dialects::context();
    let module = canonical(&context, &imported)?;
    let network = Network::of(&module)?;
    check_pixel_format(&arguments, &network)?;
    let mut files = Files::default();
    let batch = tpuc_tensor::file::Batch::begin();
    // The files of the module are written, beside their places, while the test runs.
    let tested = std::thread::scope(|scope| {
        let test = scope.spawn(|| (!arguments.test_input.is_empty()).then(|| test(&arguments, &imported, &network, tolerance)).transpose());
        write_module(&arguments, &imported, &module, &network, &mut files)?;
        test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    if let Some(tested) = &tested {
        files.write(beside(&arguments.mlir, &format!("{}_in_f32.npz", arguments.model_name)), &tested.given)?;
        if let Some(result) = arguments.test_result.as_ref().filter(|_| !arguments.not_inference) {
            files.write(result.clone(), &tested.all)?;
        }
        if arguments.debug && !arguments.not_inference {
            files.write(beside(&arguments.mlir, &format!("{}_ref_outputs.npz", arguments.model_name)), &tested.imported)?;
        }
    }
    batch.commit()?;
    arguments.talk.say(format_args!("{}: {} layers -> {}", arguments.model_def.display(), network.program.nodes.len(), arguments.mlir.display()));
    arguments.talk.result("model_transform", true, result(&arguments, &network, tested.as_ref(), &files));
    Ok(())
}

/// The module and its weights, and with --debug the module as imported.
fn write_module(arguments: &Arguments, imported: &Imported, module: &Module, network: &Network, files: &mut Files) -> Result<(), Failure> {
    if arguments.debug {
        let origin = tpuc_dialects::context();
        let text = Module::from_program(&origin, &imported.program, imported.weights.clone())?.text();
        let path = arguments.mlir.with_extension("");
        let path = path.with_file_name(format!("{}_origin.mlir", path.file_name().unwrap_or_default().display()));
        tpuc_tensor::file::write(&path, text.as_bytes())?;
        files.0.push(path);
    }
    module.write(&arguments.mlir)?;
    files.0.push(arguments.mlir.clone());
    files.0.push(beside(&arguments.mlir, attribute(&network.program, "module.weight_file")));
    Ok(())
}

/// A pixel format that is asked for must have the channels of an input; others (masks) may have fewer.
fn check_pixel_format(arguments: &Arguments, network: &Network) -> Result<(), Failure> {
    let Some(format) = &arguments.pixel_format else { return Ok(()) };
    let inputs = network.inputs()?;
    let fits = |input: &NetInput| input.preprocess.as_ref().is_none_or(|p| p.shape()[1..] == input.shape[1..]);
    match inputs.first().filter(|_| !inputs.iter().any(fits)) {
        Some(input) => Err(Failure::usage(format!("--pixel_format {format} does not fit input '{}' of shape {:?}", input.name, input.shape))),
        None => Ok(()),
    }
}

/// What the command tells programs.
fn result(arguments: &Arguments, network: &Network, tested: Option<&Tested>, files: &Files) -> Value {
    let program = &network.program;
    let names = (arguments.mlir.display().to_string(), arguments.model_def.display().to_string());
    json!({
        "model_name": arguments.model_name, "mlir": arguments.mlir, "layers": program.nodes.len(),
        "inputs": tensors(program, &program.inputs), "outputs": tensors(program, &program.outputs),
        "check": tested.and_then(|t| t.summary.as_ref()).map(|s| s.json(&names.0, &names.1)),
        "files": files.0,
    })
}

/// A file in the folder of another.
fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}

/// What has been written, in order.
#[derive(Default)]
struct Files(Vec<PathBuf>);

impl Files {
    fn write(&mut self, path: PathBuf, tensors: &[NamedTensor]) -> Result<(), Failure> {
        npz::write_npz(&path, tensors.iter().map(|(n, t)| (n.as_str(), t)))?;
        self.0.push(path);
        Ok(())
    }
}

/// The test input and what came of it.
struct Tested {
    given: Vec<NamedTensor>,
    /// Every tensor of the canonicalized and of the imported network.
    all: Vec<NamedTensor>,
    imported: Vec<NamedTensor>,
    summary: Option<Summary>,
}

/// Everything that can be found wrong before the work.
fn check_files(arguments: &Arguments) -> Result<(), Failure> {
    cli::check_input(&arguments.model_def)?;
    arguments.test_input.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    if arguments.test_result.is_some() && arguments.test_input.is_empty() {
        return Err(Failure::usage("--test_result needs --test_input"));
    }
    if arguments.model_name.is_empty() || arguments.model_name.contains('/') {
        return Err(Failure::usage(format!("--model_name: '{}' should be a name that files can begin with", arguments.model_name)));
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
fn test(arguments: &Arguments, imported: &Imported, network: &Network, tolerance: (f64, f64)) -> Result<Tested, Failure> {
    let given = inputs::load(&network.inputs()?, &arguments.test_input)?;
    if arguments.not_inference {
        return Ok(Tested { given, all: Vec::new(), imported: Vec::new(), summary: None });
    }
    // Side by side with half of the threads each: preparing a network is work for one.
    let threads = tpuc_quant::default_threads().div_ceil(2);
    let run = |network: &Network| PlanRunner::with_threads(network, threads)?.run_all(&given);
    let (all, origin) = rayon::join(|| run(network), || run(&runnable(imported)?));
    let (all, origin) = (all?, origin?);
    let excepts = cli::list(&arguments.excepts);
    cli::warn_of_unknown(arguments.talk, "--excepts", &excepts, all.iter().chain(&origin).map(|(n, _)| n.as_str()));
    let reference: HashMap<&str, _> = origin.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let moved = folded_names(&imported.program, &network.program, &all.iter().map(|(name, _)| name.as_str()).collect());
    let common = all.iter().filter(|(name, _)| !excepts.contains(name));
    let reference_of = |name: &str| reference.get(moved.get(name).copied().unwrap_or(name));
    let list = common.filter_map(|(name, t)| reference_of(name).map(|r| compare(name, t, r, tolerance))).collect();
    let summary = Summary { list };
    let text = summary.text(&arguments.mlir.display().to_string(), &arguments.model_def.display().to_string(), u8::from(!summary.passed()));
    arguments.talk.say(text.trim_start());
    if !summary.passed() {
        return Err(Failure::work(format!("the canonicalized network differs from the imported one by more than --tolerance {}", arguments.tolerance)));
    }
    Ok(Tested { given, all, imported: origin, summary: Some(summary) })
}

/// A convolution that a batch norm was folded into keeps its name and has the batch norm's values: by name, where those are
/// in the imported program. `kept` are the names of the canonicalized one.
fn folded_names<'p>(imported: &'p Program, canonicalized: &Program, kept: &HashSet<&str>) -> HashMap<&'p str, &'p str> {
    let is_affine = |op: &Op| matches!(op, Op::TopBatchNorm(_) | Op::TopScale(_));
    let first = |program: &'p Program, node: &'p tpuc_ops::Node| node.operands.first().map(|&v| program.value(v).name.as_str());
    // Where it is still computed, nothing was folded: it only goes by the name of a Relu behind it.
    let computed = |name: &str| canonicalized.nodes.iter().any(|n| is_affine(&n.op) && n.operands.first().is_some_and(|&v| canonicalized.value(v).name == name));
    let mut moved = HashMap::new();
    for node in imported.nodes.iter().filter(|n| is_affine(&n.op)) {
        if let (Some(from), Some(&result)) = (first(imported, node), node.results.first()) {
            let to = imported.value(result).name.as_str();
            if kept.contains(from) && !kept.contains(to) && !computed(from) {
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
    let given_format = arguments.pixel_format.as_deref().unwrap_or("bgr");
    if matches!(given_format, "gbrg" | "grbg" | "bggr" | "rggb") {
        return Err(cli::not_yet(&format!("--pixel_format {given_format}")));
    }
    let pixel_format: PixelFormat = word("--pixel_format", given_format)?;
    if arguments.channel_format != "none" {
        word::<ChannelFormat>("--channel_format", &arguments.channel_format)?;
    }
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
        Err(Failure::usage(format!("{option}: {} values, but pixel format {given_format} has {needed} channels", values.len())))
    };
    let resize_dims = arguments.resize_dims.as_deref().map(|text| cli::height_width("--resize_dims", text)).transpose()?;
    let input_shapes = arguments.input_shapes.as_deref().map(shapes).transpose()?;
    arguments.input_types.as_deref().map(|t| check_input_types(t, input_shapes.as_ref().map(Vec::len))).transpose()?;
    Ok(ImportOptions {
        model_name: arguments.model_name.clone(),
        input_shapes,
        output_names: arguments.output_names.as_deref().map(cli::list).unwrap_or_default(),
        preprocessing: Preprocessing {
            resize_dims: resize_dims.map(|[h, w]| [h as i64, w as i64]),
            keep_aspect_ratio: arguments.keep_aspect_ratio,
            keep_ratio_mode: arguments.keep_ratio_mode.to_ascii_lowercase(),
            mean: channel_values("--mean", &arguments.mean)?,
            scale: channel_values("--scale", &arguments.scale)?,
            pixel_format: given_format.to_ascii_lowercase(),
            channel_format: arguments.channel_format.to_ascii_lowercase(),
            pad_value: i64::from(arguments.pad_value),
            pad_type: arguments.pad_type.to_ascii_lowercase(),
            yuv_type: String::new(),
            inputs: preprocess_list(&arguments.preprocess_list)?,
        },
    })
}

/// `1,3`
fn preprocess_list(text: &str) -> Result<Vec<usize>, Failure> {
    let number = |s: String| s.parse().map_err(|_| Failure::usage(format!("--preprocess_list: '{text}' should be numbers of inputs such as 1,3")));
    cli::list(text).into_iter().map(number).collect()
}

/// `float32,float32`: inputs are float32, whatever the file says.
fn check_input_types(text: &str, shapes: Option<usize>) -> Result<(), Failure> {
    let types = cli::list(text);
    if let Some(other) = types.iter().find(|t| !matches!(t.to_ascii_lowercase().as_str(), "float32" | "float" | "f32")) {
        return Err(cli::not_yet(&format!("--input_types {other}")));
    }
    match shapes {
        Some(count) if count != types.len() => Err(Failure::usage(format!("--input_types gives {} types, --input_shapes {count} shapes", types.len()))),
        _ => Ok(()),
    }
}

/// `[[1,3,224,224],[1,10]]`, or `[1,3,224,224]` for one input.
fn shapes(text: &str) -> Result<Vec<Vec<i64>>, Failure> {
    let wrong = || Failure::usage(format!("--input_shapes: '{text}' should be a list of shapes such as [[1,3,224,224]]"));
    let one = || serde_json::from_str::<Vec<i64>>(text).map(|shape| vec![shape]);
    let list: Vec<Vec<i64>> = serde_json::from_str(text).or_else(|_| one()).map_err(|_| wrong())?;
    if list.is_empty() || list.iter().flatten().any(|&d| d < 1) {
        return Err(wrong());
    }
    Ok(list)
}
