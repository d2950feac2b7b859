//! `model_deploy`: a Top network becomes a bmodel, checked against the float network on the way.

mod arguments;
mod check;
mod explain;

pub use arguments::Arguments;

use crate::adjusted;
use crate::cli::{self, Failure};
use crate::inputs;
use crate::network::{Network, tensors};
use crate::report::{Bar, Report};
use arguments::{LATER, Plan};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tpuc_codegen::Compiled;
use tpuc_dialects::{Module, pass};
use tpuc_kernels::quantize::all_finite;
use tpuc_lowering::Mode;
use tpuc_ops::preprocess::FrameFormat;
use tpuc_ops::{Attr, Program};
use tpuc_runtime::NamedTensor;
use tpuc_tensor::npz;

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let mut arguments = cli::parse::<Arguments>(cli::without_later(arguments, LATER)?)?;
    arguments.test_input = cli::files(&arguments.test_input);
    let (arguments, talk) = (&arguments, arguments.talk);
    let plan = arguments::check(arguments)?;
    let context = tpuc_dialects::context();
    let mlir = plan.table.as_ref().map_or_else(|| Ok(arguments.mlir.clone()), |table| adjusted::belonging(&arguments.mlir, table))?;
    let mut module = Module::read(&context, &mlir)?;
    let top = Network::of(&module)?;
    if top.state() != "TOP_F32" {
        return Err(Failure::work(format!("{}: is in the state '{}', expected TOP_F32 (the output of model_transform)", mlir.display(), top.state())));
    }
    let trained = top.program.clone();
    let top = match plan.frames {
        Some(format) => with_frames(&mlir, top, plan.mode, format)?,
        None => top,
    };
    let given = if arguments.test_input.is_empty() { None } else { Some(inputs::load(&top.inputs()?, &arguments.test_input)?) };
    for (name, tensor) in given.iter().flatten() {
        if !tensor.as_f32().map_or_else(|| all_finite(&tensor.to_f32()), all_finite) {
            return Err(Failure::work(format!("--test_input: tensor '{name}' has an element that is infinite or not a number: nothing can be compared")));
        }
    }
    lower(&mut module, arguments, &plan, &trained)?;
    let tpu = Network::of(&module)?;
    let mixed = plan.quantize_table.as_ref().map(|t| format!(", {} layers by {}", t.rows.len(), name(&arguments.quantize_table))).unwrap_or_default();
    talk.say(format_args!("lowered: {} layers for {}, {}{mixed}", tpu.program.nodes.len(), plan.chip.name, plan.mode));
    if given.is_none() {
        talk.say("no --test_input: the results are not checked");
    }

    let mut page = arguments.report.as_ref().map(|_| Report::new(&format!("{} on {}", top.program.name, plan.chip.name)));
    let quantized = given.as_ref().map(|given| check::quantized(arguments, &plan, &top, &tpu, given, page.as_mut())).transpose()?;
    let (module, tpu) = strip(module, arguments, tpu)?;
    let mut done = Done { files: Vec::new(), line: "lowered only: no bmodel".into(), fields: json!({ "quantized_check": quantized.as_ref().map(|q| &q.json), "bmodel_check": null, "model": null }) };
    let batch = tpuc_tensor::file::Batch::begin();
    let prefix = plan.prefix(&top.program.name);
    let keep = |name: &str| plan.folder.join(format!("{prefix}_{name}"));
    let keep_lowered = |done: &mut Done| -> Result<(), Failure> {
        done.files.push(keep("tpu.mlir"));
        done.files.push(plan.folder.join(plan.weights(&top.program.name)));
        Ok(module.write(&keep("tpu.mlir"))?)
    };
    if arguments.debug || arguments.not_gen_bmodel {
        keep_lowered(&mut done)?;
    }
    if let Some(quantized) = quantized.as_ref().filter(|_| arguments.debug) {
        done.write(keep("tpu_outputs.npz"), &quantized.all)?;
    }
    if let Some(model) = arguments.model.as_ref().filter(|_| !arguments.not_gen_bmodel) {
        let compiled = match generate(&plan, &tpu) {
            Ok(compiled) => compiled,
            Err(reason) => {
                keep_lowered(&mut done)?;
                batch.commit()?;
                let checked = if quantized.is_some() { "checked, " } else { "" };
                return Err(Failure::work(format!("{}: no bmodel: {reason}; the lowered network ({checked}{} layers) is in {}", model.display(), tpu.program.nodes.len(), keep("tpu.mlir").display())));
            }
        };
        if arguments.debug {
            let mut module = module;
            annotate(&mut module, &tpu, &compiled)?;
            module.write(&keep("final.mlir"))?;
            done.files.push(keep("final.mlir"));
        }
        let bytes = tpuc_bmodel::write(&compiled.model(&tpu.program, &tpuc_passes::timestamp()))?;
        if let (Some(given), Some(quantized), false) = (&given, &quantized, arguments.skip_validation) {
            let (outputs, check) = check::bmodel(arguments, &plan, &bytes, given, quantized)?;
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

fn name(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|p| p.display().to_string()).unwrap_or_default()
}

/// The float network with its preprocessing inside: what the lowered one is compared with.
fn with_frames(mlir: &Path, top: Network, mode: Mode, format: Option<FrameFormat>) -> Result<Network, Failure> {
    let program = tpuc_lowering::fuse_preprocess(&top.program, mode, format).map_err(|e| cli::named(mlir, e))?;
    Ok(Network { program, ..top })
}

/// Thresholds, the chip's rewrites, modes and lowering, as passes over the module.
fn lower(module: &mut Module, arguments: &Arguments, plan: &Plan, top: &Program) -> Result<(), Failure> {
    tpuc_passes::register_all();
    let mut passes = vec![format!("processor-assign{{chip={} mode={}}}", plan.chip.name, plan.mode)];
    if let Some(table) = &plan.table {
        passes.push(format!("import-calibration-table{{file={} asymmetric={}}}", quoted(table), plan.asymmetric));
    }
    passes.push("processor-top-optimize".into());
    if let (Some(table), Some(file)) = (&plan.quantize_table, &arguments.quantize_table) {
        // Names are looked for in the network that the user knows; the chip's rewrites may have joined some of its layers.
        let (_, unknown) = table.modes(top, arguments.ignore_unknown_layers).map_err(|e| cli::named(file, e))?;
        if !unknown.is_empty() && !arguments.talk.quiet {
            eprintln!("warning: {}: {} of {} layers are not in the network and are skipped", file.display(), unknown.len(), table.rows.len());
        }
        passes.push(format!("import-quantize-table{{file={} ignore-unknown-layers=true quiet=true}}", quoted(file)));
    }
    if let Some(format) = plan.frames {
        passes.push(format!("fuse-preprocess{{mode={} customization_format={}}}", plan.mode, format.map_or("", FrameFormat::name)));
    }
    passes.push(format!("convert-top-to-tpu{{weightFileName={} asymmetric={} q_group_size={} q_symmetric={}}}", pass::quote(&plan.weights(&top.name)), plan.asymmetric, arguments.q_group_size, arguments.q_symmetric));
    Ok(pass::run_pipeline(module, &format!("builtin.module({})", passes.join(",")))?)
}

fn quoted(path: &Path) -> String {
    pass::quote(&path.display().to_string())
}

/// The network without the casts at its borders that the caller wants to do himself.
fn strip<'c>(mut module: Module<'c>, arguments: &Arguments, tpu: Network) -> Result<(Module<'c>, Network), Failure> {
    let lists = [&arguments.quant_input_list, &arguments.quant_output_list];
    if !arguments.quant_input && !arguments.quant_output && lists.iter().all(|l| l.is_empty()) {
        return Ok((module, tpu));
    }
    let [inputs, outputs] = lists.map(|l| pass::quote(l));
    let options = format!("quant_input={} quant_output={} quant_input_list={inputs} quant_output_list={outputs}", arguments.quant_input, arguments.quant_output);
    pass::run_pipeline(&mut module, &format!("builtin.module(strip-io-quant{{{options}}})"))?;
    let tpu = Network::of(&module)?;
    Ok((module, tpu))
}

/// The network's commands, or why there are none.
fn generate(plan: &Plan, tpu: &Network) -> Result<Compiled, String> {
    if !tpuc_codegen::CHIPS.contains(&plan.chip.name) {
        return Err(format!("code generation for {} is not there yet (it is for {})", plan.chip.name, tpuc_codegen::CHIPS.join(", ")));
    }
    tpuc_codegen::compile(&tpu.program, &tpu.weights).map_err(|e| format!("code generation for {}, {}: {e}", plan.chip.name, plan.mode))
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
        fields["quantize"] = json!(plan.mode.name());
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
