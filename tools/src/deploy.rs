//! `model_deploy`: a Top network becomes a bmodel, checked against the float network on the way.

use crate::adjusted;
use crate::cli::{self, Failure, Later, Talk};
use crate::compare::{Summary, compare};
use crate::inputs;
use crate::network::{Network, extension, tensors};
use crate::report::{Bar, Report};
use crate::run::PlanRunner;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tpuc_codegen::Compiled;
use tpuc_dialects::{Module, pass};
use tpuc_lowering::{Chip, Mode};
use tpuc_ops::Attr;
use tpuc_runtime::{NamedTensor, Runner, Simulator, SimulatorOptions, dequantize_all};
use tpuc_tensor::{Tensor, npz};

/// Lower a Top network for a chip and write it as a bmodel.
#[derive(clap::Parser)]
#[command(name = "model_deploy", after_help = concat!(include_str!("../help/model_deploy.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The Top MLIR file
    #[arg(long)]
    mlir: PathBuf,
    /// The bmodel to write
    #[arg(long)]
    model: Option<PathBuf>,
    /// Quantization: INT8 (the documents' default, F32, is not there yet)
    #[arg(long, default_value = "F32")]
    quantize: String,
    /// The chip: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x or cv180x (bmodels are written for bm1684x only yet)
    #[arg(long, alias = "processor")]
    chip: String,
    /// Thresholds, as run_calibration writes them
    #[arg(long)]
    calibration_table: Option<PathBuf>,
    /// A picture, npy or npz file to check the results on, one an input, comma separated
    #[arg(long, num_args = 1..)]
    test_input: Vec<String>,
    /// The float tensors of that input, as model_transform writes them (--test_result); left out: the float network is run
    #[arg(long)]
    test_reference: Option<PathBuf>,
    /// Least cosine and euclidean similarity between the quantized and the float tensors
    #[arg(long, default_value = "0.8,0.5", allow_hyphen_values = true)]
    tolerance: String,
    /// Least cosine and euclidean similarity between the bmodel and the quantized network
    #[arg(long, default_value = "0.99,0.99", allow_hyphen_values = true)]
    correctness: String,
    /// Tensors that are not compared, comma separated
    #[arg(long, default_value = "-", allow_hyphen_values = true)]
    excepts: String,
    /// Compare every tensor, not only the outputs
    #[arg(long)]
    compare_all: bool,
    /// Do not run the bmodel
    #[arg(long)]
    skip_validation: bool,
    /// Stop after lowering
    #[arg(long)]
    not_gen_bmodel: bool,
    /// Keep the lowered network and the tensors of the checks
    #[arg(long)]
    debug: bool,
    /// Also write a page with the similarity and the cycles of every layer
    #[arg(long)]
    report: Option<PathBuf>,
    /// Accepted: results of earlier runs are not kept, the checks are always made
    #[arg(long)]
    cache_skip: bool,
    /// Accepted: every layer is loaded, computed and stored on its own anyway
    #[arg(long)]
    disable_layer_group: bool,
    #[arg(long, hide = true, default_value_t = 1)]
    num_device: i64,
    #[arg(long, hide = true, default_value_t = 1)]
    num_core: i64,
    #[arg(long, hide = true, default_value = "auto")]
    addr_mode: String,
    #[command(flatten)]
    talk: Talk,
}

/// Documented options that ask for something else than what this version does.
const LATER: &[Later] = &[
    Later("--asymmetric", &[]),
    Later("--quantize_table", &[""]),
    Later("--quant_input", &[]),
    Later("--quant_output", &[]),
    Later("--quant_input_list", &[""]),
    Later("--quant_output_list", &[""]),
    Later("--quant_output_bf16", &[]),
    Later("--quant_input_int8", &[]),
    Later("--quant_output_int8", &[]),
    Later("--q_group_size", &[]),
    Later("--q_symmetric", &[]),
    Later("--matmul_perchannel", &[]),
    Later("--gelu_mode", &["normal"]),
    Later("--high_precision", &[]),
    Later("--ignore_f16_overflow", &[]),
    Later("--fuse_preprocess", &[]),
    Later("--customization_format", &[""]),
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
struct Plan {
    chip: &'static Chip,
    table: PathBuf,
    tolerance: (f64, f64),
    correctness: (f64, f64),
    /// Where the files beside the bmodel go.
    folder: PathBuf,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let mut arguments = cli::parse::<Arguments>(cli::without_later(arguments, LATER)?)?;
    arguments.test_input = cli::files(&arguments.test_input);
    let (arguments, talk) = (&arguments, arguments.talk);
    let plan = check_arguments(arguments)?;
    let context = tpuc_dialects::context();
    let mut module = Module::read(&context, &adjusted::belonging(&arguments.mlir, &plan.table)?)?;
    let top = Network::of(&module)?;
    if top.state() != "TOP_F32" {
        return Err(Failure::work(format!("{}: is in the state '{}', expected TOP_F32 (the output of model_transform)", arguments.mlir.display(), top.state())));
    }
    let given = if arguments.test_input.is_empty() { None } else { Some(inputs::load(&top.inputs()?, &arguments.test_input)?) };
    let prefix = format!("{}_{}_{}", top.program.name, plan.chip.name, Mode::Int8.file_suffix());
    lower(&mut module, &plan, &format!("{prefix}_tpu_weights.npz"))?;
    let tpu = Network::of(&module)?;
    talk.say(format_args!("lowered: {} layers for {}, INT8", tpu.program.nodes.len(), plan.chip.name));
    if given.is_none() {
        talk.say("no --test_input: the results are not checked");
    }

    let mut page = arguments.report.as_ref().map(|_| Report::new(&format!("{} on {}", top.program.name, plan.chip.name)));
    let quantized = given.as_ref().map(|given| check_quantized(arguments, &plan, &top, &tpu, given, page.as_mut())).transpose()?;
    let mut done = Done { files: Vec::new(), line: "lowered only: no bmodel".into(), fields: json!({ "quantized_check": quantized.as_ref().map(|q| &q.json), "bmodel_check": null, "model": null }) };
    let batch = tpuc_tensor::file::Batch::begin();
    let keep = |name: &str| plan.folder.join(format!("{prefix}_{name}"));
    if arguments.debug || arguments.not_gen_bmodel {
        done.files.push(keep("tpu.mlir"));
        module.write(&keep("tpu.mlir"))?;
        done.files.push(keep("tpu_weights.npz"));
    }
    if let Some(quantized) = quantized.as_ref().filter(|_| arguments.debug) {
        done.write(keep("tpu_outputs.npz"), &quantized.all)?;
    }
    if let Some(model) = arguments.model.as_ref().filter(|_| !arguments.not_gen_bmodel) {
        let compiled = tpuc_codegen::compile(&tpu.program, &tpu.weights)?;
        if arguments.debug {
            annotate(&mut module, &tpu, &compiled)?;
            module.write(&keep("final.mlir"))?;
            done.files.push(keep("final.mlir"));
        }
        let bytes = tpuc_bmodel::write(&compiled.model(&tpu.program, &tpuc_passes::timestamp()))?;
        if let (Some(given), Some(quantized), false) = (&given, &quantized, arguments.skip_validation) {
            let (outputs, check) = check_bmodel(arguments, &plan, &bytes, given, &quantized.all)?;
            done.fields["bmodel_check"] = check;
            if arguments.debug {
                done.write(keep("model_outputs.npz"), &outputs)?;
            }
        }
        let cycles = cycles(&compiled, &tpu, page.as_mut())?;
        tpuc_tensor::file::write(model, &bytes)?;
        done.files.push(model.clone());
        let per_second = 1e9 / cycles.max(1) as f64;
        done.fields["model"] = json!({ "file": model, "bytes": bytes.len(), "cycles": cycles, "frames_per_second": per_second });
        done.line = format!("{}: {} bytes, {cycles} cycles, {per_second:.1} frames per second at 1 GHz (estimated)", model.display(), bytes.len());
    }
    if let (Some(path), Some(page)) = (&arguments.report, page) {
        page.write(path)?;
        done.files.push(path.clone());
    }
    batch.commit()?;
    talk.say(&done.line);
    talk.result("model_deploy", true, done.json(&top, &tpu, &plan));
    Ok(())
}

/// What has been written and found out.
struct Done {
    files: Vec<PathBuf>,
    /// The last line for people.
    line: String,
    fields: Value,
}

impl Done {
    fn write(&mut self, path: PathBuf, tensors: &[NamedTensor]) -> Result<(), Failure> {
        npz::write_npz(&path, tensors.iter().map(|(n, t)| (n.as_str(), t)))?;
        self.files.push(path);
        Ok(())
    }

    fn json(self, top: &Network, tpu: &Network, plan: &Plan) -> Value {
        let mut fields = self.fields;
        fields["name"] = json!(top.program.name);
        fields["chip"] = json!(plan.chip.name);
        fields["quantize"] = json!("INT8");
        fields["layers"] = json!(tpu.program.nodes.len());
        fields["inputs"] = json!(tensors(&tpu.program, &tpu.program.inputs));
        fields["outputs"] = json!(tensors(&tpu.program, &tpu.program.outputs));
        fields["files"] = json!(self.files);
        fields
    }
}

/// Where code generation put everything, as attributes: the regions on the module, its address on each tensor's op.
fn annotate(module: &mut Module, tpu: &Network, compiled: &Compiled) -> Result<(), Failure> {
    let regions = [
        ("module.coeff_addr", compiled.coeff_address()),
        ("module.coeff_size", compiled.coeff.len() as u64),
        ("module.neuron_addr", compiled.ctx_address),
        ("module.neuron_size", compiled.ctx_size),
    ];
    let addresses = tpu.program.nodes.iter().flat_map(|n| &n.results).filter_map(|&r| Some((tpu.program.value(r).name.as_str(), compiled.address(r)?)));
    module.annotate(&regions.map(|(name, value)| (name, Attr::I64(value as i64))), &addresses.map(|(n, a)| (n, Attr::I64(a as i64))).collect(), "address");
    Ok(())
}

/// Everything that can be found wrong before the work.
fn check_arguments(arguments: &Arguments) -> Result<Plan, Failure> {
    let quantize = arguments.quantize.to_ascii_uppercase();
    if quantize != "INT8" {
        let known = QUANTIZATIONS.contains(&quantize.as_str());
        return Err(if known { cli::not_yet(&format!("--quantize {quantize}")) } else { Failure::usage(format!("--quantize: unknown quantization '{}', expected INT8", arguments.quantize)) });
    }
    let chip = cli::chip(&arguments.chip)?;
    if arguments.num_device != 1 || arguments.num_core != 1 {
        return Err(Failure::usage("--num_core, --num_device: networks run on one of each"));
    }
    if arguments.addr_mode != "auto" && arguments.addr_mode != chip.addr_mode {
        return Err(cli::not_yet(&format!("--addr_mode {}", arguments.addr_mode)));
    }
    let (tolerance, correctness) = (cli::tolerance(&arguments.tolerance)?, cli::tolerance(&arguments.correctness)?);
    let table = arguments.calibration_table.clone().ok_or_else(|| Failure::usage("--quantize INT8 needs --calibration_table FILE (run_calibration writes it)"))?;
    match &arguments.model {
        None if !arguments.not_gen_bmodel => return Err(Failure::usage("--model is missing: the bmodel to write")),
        Some(model) if extension(model) != chip.model_extension() => {
            return Err(Failure::usage(format!("--model: '{}' should end in .{} for {}", model.display(), chip.model_extension(), chip.name)));
        }
        _ => {}
    }
    if arguments.test_reference.is_some() && arguments.test_input.is_empty() {
        return Err(Failure::usage("--test_reference needs --test_input"));
    }
    let files = [&arguments.mlir, &table].into_iter().chain(&arguments.test_reference);
    files.into_iter().try_for_each(|f| cli::check_input(f))?;
    arguments.test_input.iter().try_for_each(|f| cli::check_input(f.as_ref()))?;
    let rows = tpuc_lowering::CalibrationTable::read(&table).map_err(|e| cli::named(&table, e))?.rows().len();
    if rows == 0 {
        return Err(cli::named(&table, "has no thresholds (rows 'op_name threshold min max')"));
    }
    arguments.model.iter().chain(&arguments.report).try_for_each(|f| cli::check_output(f))?;
    let folder = arguments.model.as_ref().and_then(|m| m.parent()).map(Path::to_path_buf).unwrap_or_default();
    if arguments.not_gen_bmodel {
        cli::check_output(&folder.join("x_tpu.mlir"))?;
    }
    Ok(Plan { chip, table, tolerance, correctness, folder })
}

fn lower(module: &mut Module, plan: &Plan, weights: &str) -> Result<(), Failure> {
    tpuc_passes::register_all();
    let pipeline = format!(
        "builtin.module(processor-assign{{chip={} mode={}}},import-calibration-table{{file={}}},processor-top-optimize,convert-top-to-tpu{{weightFileName={}}})",
        plan.chip.name,
        Mode::Int8.name(),
        pass::quote(&plan.table.display().to_string()),
        pass::quote(weights)
    );
    Ok(pass::run_pipeline(module, &pipeline)?)
}

/// A run of the lowered network: every tensor, and how it compares with the float network.
struct Quantized {
    all: Vec<NamedTensor>,
    json: Value,
}

/// Runs the lowered network and compares it with the float tensors.
fn check_quantized(arguments: &Arguments, plan: &Plan, top: &Network, tpu: &Network, given: &[NamedTensor], page: Option<&mut Report>) -> Result<Quantized, Failure> {
    let mut runner = PlanRunner::new(tpu)?;
    let all = runner.run_all(given)?;
    let (source, reference) = match &arguments.test_reference {
        Some(path) => (path.display().to_string(), npz::read_npz(path)?),
        None => ("the float network".to_owned(), PlanRunner::new(top)?.run_all(given)?),
    };
    let reference: HashMap<String, Tensor> = reference.into_iter().collect();
    let outputs = runner.output_names();
    let float_outputs: Vec<String> = top.program.outputs.iter().map(|&o| top.program.value(o).name.clone()).collect();
    let excepts = cli::list(&arguments.excepts);
    cli::warn_of_unknown(arguments.talk, "--excepts", &excepts, all.iter().map(|(n, _)| n.as_str()).chain(reference.keys().map(String::as_str)));
    let mut list = Vec::new();
    for (name, tensor) in &all {
        // An output may have another name than in the Top network, for the casts and reshapes behind it.
        let position = outputs.iter().position(|o| o == name);
        let is_output = position.is_some();
        let float_name = position.and_then(|p| float_outputs.get(p)).unwrap_or(name);
        let Some(float) = reference.get(float_name) else { continue };
        if excepts.iter().any(|e| e == name || e == float_name) || !(is_output || arguments.compare_all || page.is_some()) {
            continue;
        }
        list.push((is_output, compare(name, tensor, float, plan.tolerance)));
    }
    if list.iter().all(|(is_output, _)| !is_output) && excepts.iter().all(|e| e == "-") {
        return Err(Failure::work(format!("{source}: has none of the network's outputs ({})", float_outputs.join(", "))));
    }
    if let Some(page) = page {
        let bars: Vec<_> = list.iter().map(|(_, c)| Bar { layer: c.name.clone(), value: c.cosine }).collect();
        let low = bars.iter().fold(0.99f64, |m, b| m.min(b.value)).max(0.0);
        page.section("Similarity", "Cosine between each tensor in INT8 and in float, on the test input.");
        page.bars(&bars, low, 1.0, 6);
    }
    let list = list.into_iter().filter(|(is_output, _)| *is_output || arguments.compare_all).map(|(_, c)| c).collect();
    let json = finish(arguments, Summary { list }, "INT8 network", &source, "--tolerance", &arguments.tolerance)?;
    Ok(Quantized { all, json })
}

/// Runs the bmodel in the simulator and compares it with the interpreter's outputs, which it should equal.
fn check_bmodel(arguments: &Arguments, plan: &Plan, bytes: &[u8], given: &[NamedTensor], all: &[NamedTensor]) -> Result<(Vec<NamedTensor>, Value), Failure> {
    let model = tpuc_bmodel::read(bytes)?;
    let mut simulator = Simulator::new(&model, &SimulatorOptions::default())?;
    let outputs = simulator.run(given)?;
    let outputs = dequantize_all(simulator.outputs(), outputs);
    let mut list = Vec::new();
    for (name, tensor) in &outputs {
        let (_, expected) = all.iter().find(|(n, _)| n == name).ok_or_else(|| Failure::work(format!("the bmodel has an output '{name}' that the network has not")))?;
        list.push(compare(name, tensor, expected, plan.correctness));
    }
    let json = finish(arguments, Summary { list }, "bmodel in the simulator", "the INT8 network", "--correctness", &arguments.correctness)?;
    Ok((outputs, json))
}

/// Prints a comparison; fails if it failed.
fn finish(arguments: &Arguments, summary: Summary, target: &str, reference: &str, option: &str, limit: &str) -> Result<Value, Failure> {
    arguments.talk.say(summary.text(target, reference, 1).trim_start());
    if summary.passed() {
        return Ok(summary.json(target, reference));
    }
    let failed = summary.list.iter().filter(|c| !c.verdict.passed()).count();
    Err(Failure::work(format!("{failed} of {} tensors of the {target} are less similar to {reference} than {option} {limit}", summary.list.len())))
}

/// Estimated cycles of one run; each layer's go into the page.
fn cycles(compiled: &Compiled, tpu: &Network, page: Option<&mut Report>) -> Result<u64, Failure> {
    let timeline = compiled.timeline()?;
    if let Some(page) = page {
        let layers = timeline.layer_costs(&tpu.program);
        let bars: Vec<_> = layers.iter().map(|l| Bar { layer: l.layer.clone(), value: l.cycles as f64 }).collect();
        let most = bars.iter().fold(1.0f64, |m, b| m.max(b.value));
        let text = format!("{} cycles in all; the computing engine is busy for {}, the transfers for {}.", timeline.cycles, timeline.tiu_cycles, timeline.dma_cycles);
        page.section("Cycles per layer (estimated)", &text);
        page.bars(&bars, 0.0, most, 0);
    }
    Ok(timeline.cycles)
}
