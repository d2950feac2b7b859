//! `npz_tool visualize_diff`: a page a tensor with two curves, the values of both files and their difference.

use super::{position, read};
use crate::cli::{self, Failure, Talk};
use crate::compare::compare;
use crate::report::{Curve, Report};
use serde_json::json;
use std::path::PathBuf;

/// The folder of the pages, below the working one.
const FOLDER: &str = "tensor_diff_fp32_vs_int8";

#[derive(clap::Args)]
pub struct DiffArguments {
    /// The file to judge
    target: PathBuf,
    /// What it should be
    reference: PathBuf,
    /// Names that are left out, comma separated
    #[arg(long, default_value = "")]
    excepts: String,
    /// The only names that are drawn, comma separated
    #[arg(long, default_value = "")]
    includes: String,
    /// Draw at most so many elements of a tensor
    #[arg(long = "max_sampling", default_value_t = 10000, value_parser = clap::value_parser!(u64).range(1..))]
    max_sampling: u64,
    /// The folder for the pages
    #[arg(short, long, default_value = FOLDER)]
    output: PathBuf,
    /// Accepted; the pages have everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub fn run(arguments: &DiffArguments, talk: Talk) -> Result<(), Failure> {
    let (targets, references) = (read(&arguments.target)?, read(&arguments.reference)?);
    let (includes, excepts) = (cli::list(&arguments.includes), cli::list(&arguments.excepts));
    includes.iter().try_for_each(|n| position(&arguments.target, n, &targets).map(drop))?;
    let wanted = |name: &String| if includes.is_empty() { !excepts.contains(name) } else { includes.contains(name) };
    let pairs: Vec<_> = targets.iter().filter(|(n, _)| wanted(n)).filter_map(|(n, t)| references.iter().find(|(r, _)| r == n).map(|(_, r)| (n, t, r))).collect();
    if pairs.is_empty() {
        return Err(Failure::work(format!("{} and {} have no tensor in common", arguments.target.display(), arguments.reference.display())));
    }
    cli::check_output(&arguments.output.join("x.html"))?;
    let mut pages = Vec::new();
    for (index, (name, target, reference)) in pairs.into_iter().enumerate() {
        let (a, b) = (target.to_f32(), reference.to_f32());
        let count = a.len().min(b.len());
        // A tensor of another shape is drawn as far as both have elements.
        let cosine = compare(name, target, reference, (0.0, 0.0)).cosine;
        let step = (count / arguments.max_sampling as usize).max(1);
        let sampled = |value: &dyn Fn(usize) -> f32| (0..count).step_by(step).map(value).collect::<Vec<f32>>();
        let mut page = Report::new(name);
        page.section("Reference and target", &format!("Elements in memory order, every {step}. of {count}. {} is the reference, {} the target.", arguments.reference.display(), arguments.target.display()));
        page.curves(&[Curve { name: "ref", values: sampled(&|i| b[i]) }, Curve { name: "target", values: sampled(&|i| a[i]) }], step);
        page.section("Difference", &format!("Reference minus target; cosine similarity {cosine:.6}."));
        page.curves(&[Curve { name: "diff", values: sampled(&|i| b[i] - a[i]) }], step);
        let safe: String = name.chars().map(|c| if c.is_control() || c == '/' { '_' } else { c }).collect();
        let file = arguments.output.join(format!("{index:04}_{}.html", cut(&safe)));
        // Pages of an earlier run are replaced, not added to.
        page.replace(&file)?;
        talk.say(format_args!("{}: cosine {cosine:.6}", file.display()));
        pages.push(json!({ "name": name, "page": file, "cosine": cli::number(cosine) }));
    }
    talk.result("npz_tool visualize_diff", true, json!({ "pages": pages }));
    Ok(())
}

/// File names have at most 255 bytes.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(200);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
