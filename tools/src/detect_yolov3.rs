//! `detect_yolov3`: what a YOLOv3 finds in photographs, printed and drawn on them.

use crate::cli::{self, Failure, Talk};
use crate::inputs;
use crate::network::{Network, extension};
use crate::run::{Engine, Model};
use serde_json::json;
use std::path::{Path, PathBuf};
use tpuc_imageio::decode::{ColorMode, decode_file};
use tpuc_imageio::preprocess::{KeepRatioMode, PadType, PixelFormat};
use tpuc_imageio::{Preprocess, annotate};
use tpuc_quant::post_process::detect::boxes::Detection;
use tpuc_quant::post_process::detect::{DetectOptions, Detector, Family};

/// The classes of COCO in their order.
const COCO: &str = include_str!("../data/coco80.txt");

/// Print and draw what a YOLOv3 or YOLOv3-tiny finds in a photograph: .onnx, .mlir or .bmodel.
#[derive(clap::Parser)]
#[command(name = "detect_yolov3", after_help = concat!(include_str!("../help/detect_yolov3.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The network
    #[arg(long, alias = "model_def")]
    model: PathBuf,
    /// The photograph, or a folder of photographs
    #[arg(long)]
    input: PathBuf,
    /// Where to write the photograph with the boxes on it; a folder for a folder
    #[arg(long)]
    output: PathBuf,
    /// Height and width of the network's input, which it has itself: only checked
    #[arg(long)]
    net_input_dims: Option<String>,
    /// Boxes with lower scores are not shown
    #[arg(long, default_value_t = 0.56)]
    score_thres: f32,
    /// Least score of a box that can suppress others
    #[arg(long, default_value_t = 0.001)]
    conf_thres: f32,
    /// Of boxes of a class that overlap by more than this only the best is shown
    #[arg(long, default_value_t = 0.5)]
    iou_thres: f32,
    /// Names of the classes in order: a JSON list, or a text file with one name a line; those of COCO without it
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Anchors as for --post_process: 10x14;23x27;..., three a head from the smallest stride on
    #[arg(long)]
    anchors: Option<String>,
    /// What executes a bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
    #[command(flatten)]
    talk: Talk,
}

/// Documented options that this version does not have.
pub const LATER: &[&str] = &["--fuse_preprocess", "--fuse_postprocess"];

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    cli::refuse_later(&arguments, LATER)?;
    let arguments = cli::parse::<Arguments>(arguments)?;
    let options = options(&arguments)?;
    [&arguments.model].into_iter().chain(&arguments.labels).try_for_each(|f| cli::check_input(f))?;
    let pairs = pictures(&arguments)?;
    pairs.iter().try_for_each(|(_, output)| cli::check_output(output))?;
    let labels = match &arguments.labels {
        Some(file) => crate::classify::labels(file)?,
        None => COCO.lines().map(str::to_owned).collect(),
    };
    let mut model = Model::open(&arguments.model, arguments.runner)?;
    let [info] = model.inputs() else {
        return Err(Failure::work(format!("{}: has {} inputs, expected one picture; networks that end in their own box selection cannot be drawn", arguments.model.display(), model.inputs().len())));
    };
    let (name, shape) = (info.name.clone(), info.shape.clone());
    inputs::refuse_frames(&arguments.model, info, (extension(&arguments.model) == "mlir").then_some(name.as_str()))?;
    let detector = Detector::new(options, &shape).map_err(Failure::work)?;
    let preprocess = preprocess(&arguments, &shape)?;
    let mut results = Vec::new();
    for (picture, output) in &pairs {
        let values = preprocess.run(picture).map_err(|e| cli::named(picture, e))?;
        let wrong = || Failure::work(format!("{}: its input has shape {shape:?}, pictures become {:?}", arguments.model.display(), preprocess.shape()));
        let tensor = inputs::filled(&shape, &preprocess.shape(), values).ok_or_else(wrong)?;
        let outputs = model.run(&[(name.clone(), tensor)])?;
        let found = detector.detections(&outputs).map_err(|e| Failure::work(format!("{}: {e}", arguments.model.display())))?;
        results.push(shown(&arguments, &preprocess, found.into_iter().next().unwrap_or_default(), &labels, picture, output)?);
    }
    arguments.talk.result("detect_yolov3", true, json!({ "model": arguments.model, "pictures": results }));
    Ok(())
}

fn options(arguments: &Arguments) -> Result<DetectOptions, Failure> {
    for (option, value) in [("score_thres", arguments.score_thres), ("conf_thres", arguments.conf_thres), ("iou_thres", arguments.iou_thres)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Failure::usage(format!("--{option} is {value}, expected a number from 0 to 1")));
        }
    }
    let word = arguments.anchors.as_ref().map_or("yolov3".to_owned(), |a| format!("yolov3:anchors={a}"));
    let options = DetectOptions::parse(&word).unwrap_or(Err("no YOLOv3".into())).map_err(|e| Failure::usage(format!("--anchors: {e}")))?;
    let confidence = arguments.score_thres.max(arguments.conf_thres);
    Ok(DetectOptions { family: Family::YoloV3, confidence, overlap: arguments.iou_thres, ..options })
}

/// The pictures, each with the file to write.
fn pictures(arguments: &Arguments) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let is_picture = |path: &Path| matches!(extension(path).as_str(), "jpg" | "jpeg" | "png" | "bmp");
    if !arguments.input.is_dir() {
        cli::check_input(&arguments.input)?;
        if !matches!(extension(&arguments.output).as_str(), "jpg" | "jpeg" | "png") {
            return Err(Failure::usage(format!("--output: '{}' should end in .jpg or .png", arguments.output.display())));
        }
        return Ok(vec![(arguments.input.clone(), arguments.output.clone())]);
    }
    let fail = |e: std::io::Error| Failure::work(format!("{}: {}", arguments.input.display(), tpuc_tensor::file::io_reason(&e)));
    let entries = std::fs::read_dir(&arguments.input).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|e| e.path()).filter(|p| p.is_file() && is_picture(p)).collect();
    files.sort();
    if files.is_empty() {
        return Err(Failure::work(format!("{}: has no pictures (jpg, png, bmp)", arguments.input.display())));
    }
    let output = |file: &PathBuf| arguments.output.join(Path::new(file.file_name().unwrap_or_default()).with_extension(if extension(file) == "png" { "png" } else { "jpg" }));
    Ok(files.iter().map(|file| (file.clone(), output(file))).collect())
}

/// How a picture becomes the input: as an MLIR file says; otherwise letterboxed on grey, RGB from 0 to 1, which YOLOv3 is trained with.
fn preprocess(arguments: &Arguments, shape: &[usize]) -> Result<Preprocess, Failure> {
    let own = match extension(&arguments.model).as_str() {
        "mlir" => Network::read(&arguments.model)?.inputs()?.into_iter().next().and_then(|i| i.preprocess),
        _ => None,
    };
    let dims = match *shape {
        [_, 3, h, w] => [h, w],
        _ => return Err(Failure::work(format!("{}: its input has shape {shape:?}, expected [N, 3, H, W]", arguments.model.display()))),
    };
    if let Some(text) = &arguments.net_input_dims {
        let asked = cli::height_width("--net_input_dims", text)?;
        if asked != dims {
            return Err(Failure::usage(format!("--net_input_dims: {asked:?}, but the network's input is {dims:?}")));
        }
    }
    Ok(own.unwrap_or(Preprocess {
        keep_aspect_ratio: true,
        keep_ratio_mode: KeepRatioMode::Letterbox,
        pad_value: 128,
        pad_type: PadType::Center,
        mean: vec![0.0; 3],
        scale: vec![1.0 / 255.0; 3],
        pixel_format: PixelFormat::Rgb,
        ..Preprocess::new(dims)
    }))
}

/// Prints and draws what was found in a picture, class by class; the same for programs.
fn shown(arguments: &Arguments, preprocess: &Preprocess, mut found: Vec<Detection>, labels: &[String], picture: &Path, output: &Path) -> Result<serde_json::Value, Failure> {
    found.sort_by(|a, b| a.class.cmp(&b.class).then(b.score.total_cmp(&a.score)));
    let mut image = decode_file(picture, ColorMode::Bgr).map_err(|e| cli::named(picture, e))?;
    let size = [image.width(), image.height()];
    let mut list = Vec::new();
    for detection in &found {
        let label = labels.get(detection.class).cloned().unwrap_or_else(|| format!("class {}", detection.class));
        let text = format!("{label}:{:.1}%", detection.score * 100.0);
        let corners = on_picture(detection.corners, preprocess, size);
        arguments.talk.say(&text);
        annotate::draw_box(&mut image, corners, &text, detection.class);
        list.push(json!({ "class": detection.class, "label": label, "score": cli::number(detection.score.into()), "box": corners }));
    }
    annotate::save(&image, output)?;
    Ok(json!({ "input": picture, "output": output, "found": list }))
}

/// Corners in pixels of the network's input as pixels of a picture of `[width, height]`.
fn on_picture(corners: [f32; 4], preprocess: &Preprocess, size: [usize; 2]) -> [f32; 4] {
    let [height, width] = preprocess.resize_dims.map(|d| d as f32);
    let [w, h] = size.map(|d| d as f32);
    let (scale, offset) = match (preprocess.keep_aspect_ratio, preprocess.keep_ratio_mode) {
        (true, KeepRatioMode::Letterbox) => {
            let scale = (width / w).min(height / h);
            let free = |all: f32, used: f32| if preprocess.pad_type == PadType::Center { ((all - (used * scale).trunc()) / 2.0).floor() } else { 0.0 };
            ([scale; 2], [free(width, w), free(height, h)])
        }
        (true, KeepRatioMode::ShortSideScale) => {
            let scale = (width / w).max(height / h);
            ([scale; 2], [(width - w * scale) / 2.0, (height - h * scale) / 2.0])
        }
        (false, _) => ([width / w, height / h], [0.0; 2]),
    };
    // The crop from the resized picture to the input lies in its middle.
    let crop = [(width - preprocess.shape()[3] as f32) / 2.0, (height - preprocess.shape()[2] as f32) / 2.0].map(|c| c.max(0.0));
    std::array::from_fn(|i| {
        let axis = i % 2;
        ((corners[i] + crop[axis] - offset[axis]) / scale[axis]).clamp(0.0, size[axis] as f32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_return_to_the_picture() {
        // A picture of 200x100 on 100x100: half its size, 25 rows of padding above.
        let letterbox = Preprocess { keep_aspect_ratio: true, ..Preprocess::new([100, 100]) };
        assert_eq!(on_picture([10.0, 30.0, 60.0, 70.0], &letterbox, [200, 100]), [20.0, 10.0, 120.0, 90.0]);
        let stretched = Preprocess::new([100, 100]);
        assert_eq!(on_picture([10.0, 30.0, 60.0, 70.0], &stretched, [200, 100]), [20.0, 30.0, 120.0, 70.0]);
        assert_eq!(on_picture([-5.0, 0.0, 300.0, 100.0], &stretched, [200, 100]), [0.0, 0.0, 200.0, 100.0]);
    }

    #[test]
    fn names_of_coco() {
        let names: Vec<&str> = COCO.lines().collect();
        assert_eq!((names.len(), names[0], names[2], names[5]), (80, "person", "car", "bus"));
    }
}
