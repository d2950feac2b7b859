//! The comparisons of a deployment: the lowered network with the float one, the bmodel with the lowered network.

use super::arguments::{Arguments, Plan};
use super::explain;
use crate::cli::{self, Failure};
use crate::compare::{Summary, compare};
use crate::network::Network;
use crate::report::{Bar, Report};
use crate::run::PlanRunner;
use serde_json::Value;
use std::collections::HashMap;
use tpuc_runtime::{NamedTensor, Runner, Simulator, SimulatorOptions, dequantize_all};
use tpuc_tensor::{Tensor, npz};

/// A run of the lowered network: every tensor, and how it compares with the float network.
pub struct Quantized {
    pub all: Vec<NamedTensor>,
    /// Names of the outputs.
    outputs: Vec<String>,
    pub json: Value,
}

/// Runs the lowered network and compares it with the float tensors.
pub fn quantized(arguments: &Arguments, plan: &Plan, top: &Network, tpu: &Network, given: &[NamedTensor], page: Option<&mut Report>) -> Result<Quantized, Failure> {
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
    let excepted = |name: &str| excepts.iter().any(|e| e == name);
    cli::warn_of_unknown(arguments.talk, "--excepts", &excepts, all.iter().map(|(n, _)| n.as_str()).chain(reference.keys().map(String::as_str)));
    complete(arguments, top, &reference, &source, &float_outputs, &excepted)?;
    let mut list = Vec::new();
    for (name, tensor) in &all {
        // An output may have another name than in the Top network, for the casts and reshapes behind it.
        let position = outputs.iter().position(|o| o == name);
        let is_output = position.is_some();
        let float_name = position.and_then(|p| float_outputs.get(p)).unwrap_or(name);
        let Some(float) = reference.get(float_name) else { continue };
        if excepted(name) || excepted(float_name) || !(is_output || arguments.compare_all || page.is_some()) {
            continue;
        }
        if is_output && float.len() != tensor.len() {
            return Err(Failure::work(format!("{source}: '{float_name}' has shape {:?}, the network's has shape {:?}", float.shape(), tensor.shape())));
        }
        list.push((is_output, compare(name, tensor, float, plan.tolerance)));
    }
    if let Some(page) = page {
        let bars: Vec<_> = list.iter().map(|(_, c)| Bar { layer: c.name.clone(), value: c.cosine }).collect();
        let low = bars.iter().fold(0.99f64, |m, b| m.min(b.value)).max(0.0);
        page.section("Similarity", &format!("Cosine between each tensor in {} and in float, on the test input.", plan.mode));
        page.bars(&bars, low, 1.0, 6);
    }
    let summary = Summary { list: list.into_iter().filter(|(is_output, _)| *is_output || arguments.compare_all).map(|(_, c)| c).collect() };
    let passed = summary.passed();
    let target = format!("{} network", plan.mode);
    let result = finish(arguments, summary, &target, &source, "--tolerance", &arguments.tolerance);
    let json = match result {
        Err(Failure::Work(text)) if !passed => {
            let float = match &arguments.test_reference {
                None => reference,
                Some(_) => PlanRunner::new(top)?.run_all(given)?.into_iter().collect(),
            };
            let lines = explain::lines(plan, top, &all, &float);
            lines.iter().for_each(|line| arguments.talk.say(line));
            return Err(Failure::Work(format!("{text}; {}", lines.first().map_or("", String::as_str))));
        }
        result => result?,
    };
    Ok(Quantized { all, outputs, json })
}

/// The reference must have the network's outputs; layers that it lacks are not compared, which is said.
fn complete(arguments: &Arguments, top: &Network, reference: &HashMap<String, Tensor>, source: &str, outputs: &[String], excepted: &dyn Fn(&str) -> bool) -> Result<(), Failure> {
    let missing: Vec<&str> = outputs.iter().map(String::as_str).filter(|o| !reference.contains_key(*o) && !excepted(o)).collect();
    if !missing.is_empty() {
        return Err(Failure::work(format!("{source}: lacks {} of the network's {} outputs ({})", missing.len(), outputs.len(), missing.join(", "))));
    }
    let layers = top.program.nodes.iter().flat_map(|n| &n.results).map(|&r| top.program.value(r).name.as_str());
    let lacking: Vec<&str> = layers.filter(|name| !reference.contains_key(*name) && !excepted(name)).collect();
    if arguments.compare_all && !lacking.is_empty() && !arguments.talk.quiet {
        let shown = lacking.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        eprintln!("warning: {source}: has no tensor of {} of {} layers ({shown}{}): they are not compared", lacking.len(), top.program.nodes.len(), if lacking.len() > 3 { ", ..." } else { "" });
    }
    Ok(())
}

/// Runs the bmodel in the simulator and compares it with the interpreter's outputs, which it should equal.
pub fn bmodel(arguments: &Arguments, plan: &Plan, bytes: &[u8], given: &[NamedTensor], quantized: &Quantized) -> Result<(Vec<NamedTensor>, Value), Failure> {
    let model = tpuc_bmodel::read(bytes)?;
    let mut simulator = Simulator::new(&model, &SimulatorOptions::default())?;
    let outputs = simulator.run(given)?;
    let outputs = dequantize_all(simulator.outputs(), outputs);
    let mut list = Vec::new();
    for (position, (name, tensor)) in outputs.iter().enumerate() {
        let find = |name: &String| quantized.all.iter().find(|(n, _)| n == name).map(|(_, t)| t);
        // An output that stays quantized has the name that it has in front of its cast.
        let expected = find(name).or_else(|| quantized.outputs.get(position).and_then(find));
        let expected = expected.ok_or_else(|| Failure::work(format!("the bmodel has an output '{name}' that the network has not")))?;
        list.push(compare(name, tensor, expected, plan.correctness));
    }
    let json = finish(arguments, Summary { list }, "bmodel in the simulator", &format!("the {} network", plan.mode), "--correctness", &arguments.correctness)?;
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
