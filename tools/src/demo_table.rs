//! `demo_table`: a float classifier and its bmodel side by side on labelled photographs. One process loads both once.

use crate::classify;
use crate::cli::{self, Failure, Talk};
use crate::compare::compare;
use crate::network::Network;
use crate::report::Report;
use crate::run::{Engine, Model, PlanRunner};
use serde_json::json;
use std::path::{Path, PathBuf};
use tpuc_tensor::Tensor;

/// Compare a float classifier with its bmodel on photographs named SOMETHING_LABEL.jpg.
#[derive(clap::Parser)]
#[command(name = "demo_table", after_help = concat!(include_str!("../help/demo_table.txt"), include_str!("../help/common.txt")), version, rename_all = "snake_case", args_override_self = true)]
pub struct Arguments {
    /// The float network: a Top MLIR file, which also says how pictures become the input
    #[arg(long)]
    mlir: PathBuf,
    /// The network on the chip
    #[arg(long)]
    model: PathBuf,
    /// Folder of photographs whose names end in _LABEL, LABEL being the number of the class
    #[arg(long)]
    photos: PathBuf,
    /// Names of the classes in order: a JSON list, or a text file with one name a line
    #[arg(long)]
    labels: PathBuf,
    /// Also put the table into this page
    #[arg(long)]
    report: Option<PathBuf>,
    /// What executes the bmodel
    #[arg(long, value_enum, default_value_t)]
    runner: Engine,
    #[command(flatten)]
    talk: Talk,
}

/// What came out for one photograph.
struct Row {
    photo: String,
    label: usize,
    float: usize,
    chip: usize,
    cosine: f64,
}

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = cli::parse::<Arguments>(arguments)?;
    [&arguments.mlir, &arguments.model, &arguments.labels].into_iter().try_for_each(|f| cli::check_input(f))?;
    arguments.report.iter().try_for_each(|f| cli::check_output(f))?;
    let names = classify::labels(&arguments.labels)?;
    let photos = labelled(&arguments.photos, names.len())?;
    let network = Network::read(&arguments.mlir)?;
    let [input] = network.inputs()?.try_into().map_err(|_| Failure::work(format!("{}: a classifier has one input", arguments.mlir.display())))?;
    let preprocess = input.preprocess.ok_or_else(|| Failure::work(format!("{}: does not say how pictures become its input", arguments.mlir.display())))?;
    let mut float = PlanRunner::new(&network)?;
    let mut chip = Model::open(&arguments.model, arguments.runner)?;

    let mut rows = Vec::with_capacity(photos.len());
    for (photo, label) in photos {
        let values = preprocess.run(&photo).map_err(|e| Failure::work(format!("{}: {e}", photo.display())))?;
        let given = [(input.name.clone(), Tensor::f32(&preprocess.shape(), values).map_err(Failure::work)?)];
        let expected = scores(float.run(&given)?, names.len(), &arguments.mlir)?;
        let found = scores(chip.run(&given)?, names.len(), &arguments.model)?;
        let cosine = compare("scores", &found, &expected, (0.0, 0.0)).cosine;
        let name = photo.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        rows.push(Row { photo: name, label, float: best(&expected), chip: best(&found), cosine });
    }
    show(&arguments, &rows, &names)
}

/// The photographs of a folder in the order of their names, and their labels. Other files are left alone.
fn labelled(folder: &Path, classes: usize) -> Result<Vec<(PathBuf, usize)>, Failure> {
    let wrong = |e: std::io::Error| Failure::work(format!("{}: {e}", folder.display()));
    let mut photos = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(label) = stem.rsplit_once('_').and_then(|(_, number)| number.parse::<usize>().ok()) else { continue };
        if label >= classes {
            return Err(Failure::work(format!("{}: label {label}, but there are {classes} classes", path.display())));
        }
        photos.push((path, label));
    }
    if photos.is_empty() {
        return Err(Failure::work(format!("{}: no photographs named SOMETHING_LABEL.jpg", folder.display())));
    }
    photos.sort();
    Ok(photos)
}

/// The only output, one score a class.
fn scores(outputs: Vec<(String, Tensor)>, classes: usize, model: &Path) -> Result<Tensor, Failure> {
    let [(name, tensor)] = <[_; 1]>::try_from(outputs).map_err(|o| Failure::work(format!("{}: has {} outputs, a classifier has one", model.display(), o.len())))?;
    if tensor.shape().iter().product::<usize>() != classes {
        return Err(Failure::work(format!("{}: output '{name}' has shape {:?} for {classes} classes", model.display(), tensor.shape())));
    }
    Ok(tensor)
}

/// The class with the highest score, the first of equals.
fn best(scores: &Tensor) -> usize {
    let values = scores.to_f32();
    values.iter().enumerate().fold(0, |best, (i, v)| if *v > values[best] { i } else { best })
}

/// Prints the table and the accuracies, and puts them into the page.
fn show(arguments: &Arguments, rows: &[Row], names: &[String]) -> Result<(), Failure> {
    let heads = ["photo", "label", "float top-1", "INT8 top-1", "cosine"];
    let named = |class: usize, label: usize| format!("{}{}", names[class], if class == label { "" } else { " (wrong)" });
    let cells: Vec<Vec<String>> =
        rows.iter().map(|r| vec![r.photo.clone(), names[r.label].clone(), named(r.float, r.label), named(r.chip, r.label), format!("{:.6}", r.cosine)]).collect();
    let width = |i: usize| cells.iter().map(|c| c[i].chars().count()).chain([heads[i].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| cells.iter().zip(&widths).map(|(c, &w)| format!("{c:<w$}")).collect::<Vec<_>>().join("  ").trim_end().to_owned();
    let talk = arguments.talk;
    talk.say(line(&heads.map(str::to_owned)));
    cells.iter().for_each(|row| talk.say(line(row)));

    let percent = |right: usize| format!("{right} of {} ({:.1} %)", rows.len(), 100.0 * right as f64 / rows.len() as f64);
    let (float, chip) = (rows.iter().filter(|r| r.float == r.label).count(), rows.iter().filter(|r| r.chip == r.label).count());
    let mean = rows.iter().map(|r| r.cosine).sum::<f64>() / rows.len() as f64;
    let summary = format!("top-1: float {}, INT8 {}; mean cosine {mean:.6}", percent(float), percent(chip));
    talk.say(&summary);
    if let Some(path) = &arguments.report {
        let mut page = Report::new(&format!("{}", arguments.model.display()));
        page.section("Photographs", &summary);
        page.table(&heads, &cells);
        page.write(path)?;
    }
    let list: Vec<_> = rows.iter().map(|r| json!({ "photo": r.photo, "label": r.label, "float": r.float, "int8": r.chip, "cosine": cli::number(r.cosine) })).collect();
    talk.result("demo_table", true, json!({ "model": arguments.model, "float_right": float, "int8_right": chip, "mean_cosine": cli::number(mean), "photos": list }));
    Ok(())
}
