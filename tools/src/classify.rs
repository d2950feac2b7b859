//! `classify`: what a classifier sees in a photograph, printed and drawn on the picture.

use crate::cli::{self, Failure, Talk};
use crate::inputs;
use crate::network::{Network, extension};
use crate::run::{Engine, Model};
use serde_json::json;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use tpuc_imageio::decode::{ColorMode, decode_file};
use tpuc_imageio::{Preprocess, annotate};
use tpuc_runtime::TensorInfo;
use tpuc_tensor::Tensor;

/// Print and draw the most probable classes of a photograph, by any classifier: .onnx, .mlir or .bmodel.
#[derive(clap::Parser)]
#[command(name = "classify", after_help = concat!(include_str!("../help/classify.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The classifier
    #[arg(long, alias = "model_def")]
    model: PathBuf,
    /// The photograph
    #[arg(long)]
    input: PathBuf,
    /// Where to write the picture with the classes on it
    #[arg(long)]
    output: Option<PathBuf>,
    /// Names of the classes in order: a JSON list, or a text file with one name a line
    #[arg(long, alias = "category_file")]
    labels: Option<PathBuf>,
    /// How many classes
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// The Top or Tpu MLIR file that a bmodel was made from: says how pictures become its input
    #[arg(long)]
    mlir: Option<PathBuf>,
    /// Mean of each channel, for models that do not say how pictures become their input
    #[arg(long, allow_hyphen_values = true)]
    mean: Option<String>,
    /// Scale of each channel
    #[arg(long, allow_hyphen_values = true)]
    scale: Option<String>,
    /// bgr, rgb or gray
    #[arg(long)]
    pixel_format: Option<String>,
    /// Height and width that the picture is resized to before the centre crop
    #[arg(long)]
    resize_dims: Option<String>,
    /// What executes a bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
    #[command(flatten)]
    talk: Talk,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let is_mobilenet = arguments.first().is_some_and(|name| name == "classify_mobilenet_v2");
    let arguments = cli::parse::<Arguments>(arguments)?;
    if arguments.top == 0 {
        return Err(Failure::usage("--top: 0 classes, expected at least 1"));
    }
    let files = [&arguments.model, &arguments.input].into_iter().chain(&arguments.labels).chain(&arguments.mlir);
    files.into_iter().try_for_each(|f| cli::check_input(f))?;
    if let Some(output) = &arguments.output {
        if !matches!(extension(output).as_str(), "jpg" | "jpeg" | "png") {
            return Err(Failure::usage(format!("--output: '{}' should end in .jpg or .png", output.display())));
        }
        cli::check_output(output)?;
    }
    let labels = arguments.labels.as_deref().map(labels).transpose()?;
    let mut model = Model::open(&arguments.model, arguments.runner)?;
    let [info] = model.inputs() else {
        return Err(Failure::work(format!("{}: has {} inputs, a classifier has one", arguments.model.display(), model.inputs().len())));
    };
    let (name, shape) = (info.name.clone(), info.shape.clone());
    let preprocess = preprocess(&arguments, &model, info, is_mobilenet)?;
    let values = preprocess.run(&arguments.input).map_err(|e| cli::named(&arguments.input, e))?;
    let wrong = || Failure::usage(format!("{}: its input has shape {shape:?}, pictures become {:?} (--pixel_format {})", arguments.model.display(), preprocess.shape(), preprocess.pixel_format.as_str()));
    let tensor = inputs::filled(&shape, &preprocess.shape(), values).ok_or_else(wrong)?;
    let outputs = model.run(&[(name, tensor)])?;
    let classes = top(&outputs, arguments.top, labels.as_deref(), shape.first().copied().unwrap_or(1))?;
    let lines: Vec<String> = classes.iter().map(|c| format!("{:>6.2}%  {}", c.probability * 100.0, c.label)).collect();
    let talk = arguments.talk;
    talk.say(format_args!("Top-{}", lines.len()));
    lines.iter().for_each(|line| talk.say(line));
    if let Some(output) = &arguments.output {
        let mut picture = decode_file(&arguments.input, ColorMode::Bgr).map_err(|e| cli::named(&arguments.input, e))?;
        annotate::draw_lines(&mut picture, &lines);
        annotate::save(&picture, output)?;
        talk.say(format_args!("Saving {}", output.display()));
    }
    let list: Vec<_> = classes.iter().map(|c| json!({ "class": c.class, "label": c.label, "probability": cli::number(c.probability.into()), "score": cli::number(c.score.into()) })).collect();
    talk.result("classify", true, json!({ "model": arguments.model, "input": arguments.input, "output": arguments.output, "classes": list }));
    Ok(())
}

/// A class and what the network says about it.
struct Class {
    class: usize,
    label: String,
    score: f32,
    probability: f32,
}

/// The most probable classes of the first picture of a batch.
fn top(outputs: &[(String, Tensor)], count: usize, labels: Option<&[String]>, batch: usize) -> Result<Vec<Class>, Failure> {
    let [(name, tensor)] = outputs else {
        return Err(Failure::work(format!("the model has {} outputs, a classifier has one", outputs.len())));
    };
    let all = tensor.to_f32();
    let scores = &all[..all.len() / batch.max(1)];
    if let Some(labels) = labels.filter(|l| l.len() != scores.len()) {
        return Err(Failure::work(format!("{} labels for the {} scores of output '{name}'", labels.len(), scores.len())));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Equal scores in the order of the classes; NaN last.
    let key = |i: usize| if scores[i].is_nan() { f32::NEG_INFINITY } else { scores[i] };
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    let probabilities = probabilities(scores);
    let label = |i: usize| labels.map_or_else(|| format!("class {i}"), |l| l[i].clone());
    Ok(order.into_iter().take(count).map(|i| Class { class: i, label: label(i), score: scores[i], probability: probabilities[i] }).collect())
}

/// Scores that are no probabilities yet go through a softmax.
fn probabilities(scores: &[f32]) -> Vec<f32> {
    let sum: f32 = scores.iter().sum();
    if scores.iter().all(|v| (0.0..=1.0).contains(v)) && (sum - 1.0).abs() < 0.1 {
        return scores.to_vec();
    }
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = scores.iter().map(|v| (v - most).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.into_iter().map(|v| v / sum).collect()
}

/// `["tench", ...]`, `{"0": "tench", ...}`, or a line a class.
pub fn labels(path: &Path) -> Result<Vec<String>, Failure> {
    let text = tpuc_tensor::file::read_to_string(path)?;
    if extension(path) != "json" {
        return Ok(text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect());
    }
    let wrong = |e: &dyn Display| Failure::work(format!("{}: expected a JSON list of names: {e}", path.display()));
    match serde_json::from_str(&text).map_err(|e| wrong(&e))? {
        serde_json::Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| wrong(&format!("{v} is no name")))).collect(),
        other => Err(wrong(&format!("found {}", if other.is_object() { "an object" } else { "something else" }))),
    }
}

/// The preprocessing that the options ask for, each as the user wrote it.
#[derive(Default)]
struct Given {
    mean: Option<String>,
    scale: Option<String>,
    pixel_format: Option<String>,
    resize_dims: Option<String>,
}

impl Given {
    fn of(arguments: &Arguments) -> Given {
        let Arguments { mean, scale, pixel_format, resize_dims, .. } = arguments;
        Given { mean: mean.clone(), scale: scale.clone(), pixel_format: pixel_format.clone(), resize_dims: resize_dims.clone() }
    }

    fn is_empty(&self) -> bool {
        [&self.mean, &self.scale, &self.pixel_format, &self.resize_dims].into_iter().all(Option::is_none)
    }

    /// What the network of the documents' `classify_mobilenet_v2` is trained with.
    fn mobilenet() -> Given {
        let some = |text: &str| Some(text.to_owned());
        Given { mean: some("123.675,116.28,103.53"), scale: some("0.0171,0.0175,0.0174"), pixel_format: some("rgb"), resize_dims: some("256,256") }
    }

    fn apply(&self, preprocess: &mut Preprocess) -> Result<(), Failure> {
        let floats = |option: &str, text: &str| Ok::<_, Failure>(cli::numbers(option, text)?.into_iter().map(|v| v as f32).collect::<Vec<_>>());
        if let Some(text) = &self.pixel_format {
            preprocess.pixel_format = text.parse().map_err(|e| Failure::usage(format!("--pixel_format: {e}")))?;
        }
        if let Some(text) = &self.mean {
            preprocess.mean = floats("--mean", text)?;
        }
        if let Some(text) = &self.scale {
            preprocess.scale = floats("--scale", text)?;
        }
        if let Some(text) = &self.resize_dims {
            preprocess.resize_dims = cli::height_width("--resize_dims", text)?;
        }
        preprocess.validate().map_err(|e| Failure::usage(e.to_string()))
    }
}

/// How a picture becomes the input: by the model's own `top.Input`, that of `--mlir`, or the options, which win.
fn preprocess(arguments: &Arguments, model: &Model, info: &TensorInfo, is_mobilenet: bool) -> Result<Preprocess, Failure> {
    let own = match (&arguments.mlir, model) {
        (Some(mlir), _) => Network::read(mlir)?.inputs()?.into_iter().next(),
        (None, Model::Plan(plan)) if extension(&arguments.model) == "mlir" => plan.net_inputs().first().cloned(),
        _ => None,
    };
    inputs::refuse_frames(&arguments.model, info, own.as_ref().map(|i| i.name.as_str()))?;
    let own = own.and_then(|i| i.preprocess);
    let mut given = Given::of(arguments);
    let mut result = match own {
        Some(own) => own,
        None => {
            if given.is_empty() && is_mobilenet {
                given = Given::mobilenet();
            } else if given.is_empty() {
                let what = if extension(&arguments.model) == "bmodel" { "give --mlir NET.mlir, or" } else { "give" };
                return Err(Failure::usage(format!("{} does not say how pictures become its input: {what} --mean, --scale, --pixel_format and --resize_dims", arguments.model.display())));
            }
            match info.shape.as_slice() {
                &[_, 1 | 3 | 4, h, w] => Preprocess::new([h, w]),
                other => return Err(Failure::work(format!("{}: its input has shape {other:?}, expected [N, C, H, W] of a picture", arguments.model.display()))),
            }
        }
    };
    given.apply(&mut result)?;
    Ok(result)
}
