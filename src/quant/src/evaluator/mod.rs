//! Similarity of a network's outputs when its layers run in these modes with these thresholds.
//!
//! In: a Top network, a chip, samples. An [`Evaluator`] lowers a [`Setting`] to a [`Network`], layer by layer, and scores it
//! against the float network. It gives exactly what lowering and running the whole network gives, but does only what is new:
//! a layer is lowered and its weights are packed once per form; networks share equal nodes ([`graph`]); tensors that
//! [`Evaluator::keep`] names stay in memory for every sample, as far as the budget reaches, and whatever depends on nothing else
//! is not computed again. Samples and candidates run in parallel; results do not depend on the number of threads.

mod graph;
mod run;
mod runners;
mod setting;

pub use graph::{Network, Node};
pub use setting::Setting;

use crate::error::QuantError;
use crate::model::Target;
use crate::post_process::PostProcess;
use crate::similarity::{ComparedLayers, Similarity};
use crate::source::SampleSource;
use graph::Graphs;
use rayon::prelude::*;
use run::{Kept, Schedule};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tpuc_interp::{Activation, Memory, Options};
use tpuc_ops::Program;
use tpuc_tensor::Tensor;
use tpuc_tensor::text::nearest;

/// How networks are compared, and with what means.
pub struct EvaluatorOptions<'a> {
    pub similarity: Similarity,
    /// Layers that are compared instead of the outputs.
    pub layers: ComparedLayers,
    /// What is done to both networks' outputs before they are compared.
    pub post_process: Option<&'a dyn PostProcess>,
    /// How many samples compare, from the first one.
    pub samples: usize,
    /// Bytes for samples and kept tensors.
    pub memory: usize,
    pub threads: usize,
    /// Version 1.15's casts from integers to half floats, whose results are not rounded.
    pub unrounded_casts: bool,
}

impl Default for EvaluatorOptions<'_> {
    fn default() -> Self {
        EvaluatorOptions {
            similarity: Similarity::Cosine,
            layers: ComparedLayers::default(),
            post_process: None,
            samples: 30,
            memory: 1 << 30,
            threads: crate::default_threads(),
            unrounded_casts: false,
        }
    }
}

/// So many samples at most run together in a thread.
const TOGETHER: usize = 8;

/// A named tensor of a network's outputs, in f32.
pub type Named = (String, Tensor);

/// Scores networks.
pub struct Evaluator<'a> {
    target: Target<'a>,
    source: &'a dyn SampleSource,
    options: EvaluatorOptions<'a>,
    pool: rayon::ThreadPool,
    graphs: Graphs,
    /// Compared layers by number of the Top node, with weights; none: the outputs.
    compared: Vec<(usize, f64)>,
    output_names: Vec<String>,
    float: Network,
    /// By sample: what the float network gives, after post-processing.
    reference: Vec<Vec<Named>>,
    inputs: Vec<Option<Arc<Vec<Tensor>>>>,
    kept: Vec<Kept>,
    /// So many samples keep tensors.
    keeping: usize,
    idle: Mutex<Vec<Memory>>,
    samples: usize,
}

impl<'a> Evaluator<'a> {
    /// Runs the float network for all samples. `samples` of the options are capped to what the source has.
    pub fn new(target: Target<'a>, source: &'a dyn SampleSource, options: EvaluatorOptions<'a>) -> Result<Evaluator<'a>, QuantError> {
        let samples = options.samples.min(source.count());
        if samples == 0 {
            return Err(QuantError::NoSamples);
        }
        let names: Vec<&str> = (0..target.program.nodes.len()).map(|n| target.program.node_name(n)).collect();
        let find = |(name, weight): &(String, f64)| {
            let unknown = || QuantError::UnknownLayer { layer: name.clone(), nearest: nearest(name, names.iter().copied()).map(str::to_owned) };
            Ok((names.iter().position(|n| n == name).ok_or_else(unknown)?, *weight))
        };
        let compared = options.layers.0.iter().map(find).collect::<Result<Vec<_>, QuantError>>()?;
        let output_names = match compared.is_empty() {
            true => target.program.outputs.iter().map(|&o| target.program.value(o).name.clone()).collect(),
            false => options.layers.0.iter().map(|l| l.0.clone()).collect(),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(1)).build().map_err(|e| QuantError::Threads(e.to_string()))?;
        let mut graphs = Graphs::new(Options { threads: 1, ..Options::default() }, options.unrounded_casts);
        let (program, weights) = target.float_program()?;
        let float = graphs.own(target.program, &program, &weights)?;
        let mut evaluator = Evaluator {
            target,
            source,
            pool,
            graphs,
            compared,
            output_names,
            float,
            reference: Vec::new(),
            inputs: vec![None; samples],
            kept: (0..samples).map(|_| Kept::new()).collect(),
            keeping: 0,
            idle: Mutex::new(Vec::new()),
            samples,
            options,
        };
        evaluator.load_inputs()?;
        evaluator.reference = evaluator.outputs_of(&evaluator.float.clone())?;
        Ok(evaluator)
    }

    pub fn program(&self) -> &'a Program {
        self.target.program
    }

    pub fn target(&self) -> Target<'a> {
        self.target
    }

    /// How many samples compare.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The float network that others are compared with.
    pub fn float(&self) -> &Network {
        &self.float
    }

    /// The compared layers (numbers of Top nodes); none: the outputs.
    pub fn compared(&self) -> impl Iterator<Item = usize> + '_ {
        self.compared.iter().map(|c| c.0)
    }

    /// Lowers a setting.
    pub fn network(&mut self, setting: &Setting) -> Result<Network, QuantError> {
        self.network_with(setting, &HashMap::new())
    }

    /// Lowers a setting; `given` says, for some nodes of the Top program, what stands for their results.
    pub fn network_with(&mut self, setting: &Setting, given: &HashMap<usize, Arc<Node>>) -> Result<Network, QuantError> {
        match self.graphs.network(self.target, setting, given) {
            // The whole network's lowering names all layers that fail, not just the first.
            Err(QuantError::Lower(first)) => {
                let all = self.target.mixed_program(&setting.rows, |node| setting.modes[node]);
                Err(all.err().unwrap_or(QuantError::Lower(first)))
            }
            other => other,
        }
    }

    /// The mean similarity of each network to the float one.
    pub fn scores(&self, networks: &[&Network]) -> Result<Vec<f64>, QuantError> {
        self.scores_on(networks, self.samples)
    }

    /// The same over the first samples only.
    pub fn scores_on(&self, networks: &[&Network], samples: usize) -> Result<Vec<f64>, QuantError> {
        self.scores_by(self.options.similarity, networks, samples)
    }

    /// The same by another measure.
    pub fn scores_by(&self, measure: Similarity, networks: &[&Network], samples: usize) -> Result<Vec<f64>, QuantError> {
        let samples = samples.clamp(1, self.samples);
        let targets: Vec<Vec<Arc<Node>>> = networks.iter().map(|n| self.targets(n)).collect::<Result<_, _>>()?;
        let of_sample = |sample: usize, activations: &[Activation]| {
            let own = self.named(activations)?;
            let own = self.processed(own)?;
            Ok(self.similarity(measure, &self.reference[sample], &own))
        };
        let found = self.each_of(0..samples, &targets, of_sample)?;
        Ok(found.iter().map(|scores| scores.iter().fold(0.0, |sum, s| sum + s) / samples as f64).collect())
    }

    /// The mean similarity of one layer in a network to that in the float network; `None` where either has it not.
    pub fn layer_similarity(&self, network: &Network, layer: usize) -> Result<Option<f64>, QuantError> {
        let (Some(own), Some(float)) = (&network.layers[layer], &self.float.layers[layer]) else { return Ok(None) };
        let targets = vec![vec![Arc::clone(float), Arc::clone(own)]];
        let of_sample = |_, activations: &[Activation]| Ok(Similarity::Cosine.of(&floats(&activations[0])?, &floats(&activations[1])?));
        let found = self.each(&targets, of_sample)?;
        Ok(found.first().map(|scores| scores.iter().fold(0.0, |sum, s| sum + s) / self.samples as f64))
    }

    /// The outputs of a network for every sample, after post-processing.
    fn outputs_of(&self, network: &Network) -> Result<Vec<Vec<Named>>, QuantError> {
        let targets = [self.targets(network)?];
        let found = self.each(&targets, |_, activations| self.processed(self.named(activations)?))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Keeps the tensors of these nodes for as many samples as the budget allows, and no others.
    pub fn keep(&mut self, nodes: &[Arc<Node>]) -> Result<(), QuantError> {
        self.keep_of(nodes, self.samples)
    }

    /// The same for the first samples only.
    pub fn keep_of(&mut self, nodes: &[Arc<Node>], samples: usize) -> Result<(), QuantError> {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|n| n.id);
        nodes.dedup_by_key(|n| n.id);
        let inputs: usize = self.inputs.iter().flatten().flat_map(|i| i.iter()).map(|t| t.len() * 4).sum();
        let each: usize = nodes.iter().map(|n| n.bytes()).sum::<usize>().max(1);
        let keeping = (self.options.memory.saturating_sub(inputs) / each).min(samples.min(self.samples));
        let all = [nodes.clone()];
        let found = self.each_of(0..keeping, &all, |_, activations| Ok(activations.to_vec()))?;
        let kept = found.into_iter().flatten().map(|activations| nodes.iter().map(|n| n.id).zip(activations).collect::<Kept>());
        let old = std::mem::replace(&mut self.kept, kept.collect());
        self.kept.resize_with(self.samples, Kept::new);
        self.keeping = keeping;
        let mut memory = self.memory()?;
        old.into_iter().flatten().for_each(|(_, activation)| memory.recycle(activation));
        self.give_back(memory);
        Ok(())
    }

    /// What a network computes before a layer and reads from there on.
    pub fn live_before(&self, network: &Network, layer: usize) -> Vec<Arc<Node>> {
        let before: std::collections::HashSet<u64> = network.layers[..layer].iter().flatten().map(|n| n.id).collect();
        let after = network.layers[layer..].iter().flatten().chain(&network.outputs);
        let mut seen = std::collections::HashSet::new();
        let mut live = Vec::new();
        let mut stack: Vec<&Arc<Node>> = after.collect();
        while let Some(node) = stack.pop() {
            if !seen.insert(node.id) {
                continue;
            }
            if before.contains(&node.id) {
                live.push(Arc::clone(node));
            } else {
                stack.extend(node.operands());
            }
        }
        live
    }

    fn targets(&self, network: &Network) -> Result<Vec<Arc<Node>>, QuantError> {
        if self.compared.is_empty() {
            return Ok(network.outputs.clone());
        }
        let layer = |&(layer, _): &(usize, f64)| {
            let gone = || QuantError::UnknownLayer { layer: self.target.program.node_name(layer).to_owned(), nearest: None };
            network.layers[layer].clone().ok_or_else(gone)
        };
        self.compared.iter().map(layer).collect()
    }

    fn named(&self, activations: &[Activation]) -> Result<Vec<Named>, QuantError> {
        let named = |(name, activation): (&String, &Activation)| {
            let wrong = |e: tpuc_tensor::tensor::ShapeMismatch| QuantError::Op { layer: name.clone(), source: e.into() };
            Ok((name.clone(), activation.view().to_f32().map_err(wrong)?))
        };
        self.output_names.iter().zip(activations).map(named).collect()
    }

    fn processed(&self, outputs: Vec<Named>) -> Result<Vec<Named>, QuantError> {
        match self.options.post_process {
            None => Ok(outputs),
            Some(process) => process.apply(outputs).map_err(QuantError::PostProcess),
        }
    }

    fn similarity(&self, measure: Similarity, float: &[Named], own: &[Named]) -> f64 {
        if let Some(cosine) = self.options.post_process.and_then(|p| p.cosine(float, own)) {
            return 0.5 + 0.5 * cosine;
        }
        // What post-processing returns need not be what was compared: then all count alike.
        let weight = |i: usize| if self.options.post_process.is_none() { self.compared.get(i).map_or(1.0, |c| c.1) } else { 1.0 };
        let mut sum = 0.0;
        let mut total = 0.0;
        for (i, ((_, a), (_, b))) in float.iter().zip(own).enumerate() {
            let similarity = match (a.as_f32(), b.as_f32()) {
                (Some(a), Some(b)) if a.len() == b.len() => measure.of(a, b),
                // Detections that one network makes and the other does not have no cosine: nothing is alike.
                _ => 0.5,
            };
            sum += weight(i) * similarity;
            total += weight(i);
        }
        if total > 0.0 { sum / total } else { 0.5 }
    }

    /// `of_sample` on the targets of every network for every sample: by network the results in the order of samples.
    fn each<T: Send>(&self, targets: &[Vec<Arc<Node>>], of_sample: impl Fn(usize, &[Activation]) -> Result<T, QuantError> + Sync) -> Result<Vec<Vec<T>>, QuantError> {
        self.each_of(0..self.samples, targets, of_sample)
    }

    fn each_of<T: Send>(&self, samples: std::ops::Range<usize>, targets: &[Vec<Arc<Node>>], of_sample: impl Fn(usize, &[Activation]) -> Result<T, QuantError> + Sync) -> Result<Vec<Vec<T>>, QuantError> {
        // With more threads than samples, candidates are spread over them as well.
        let parts = self.options.threads.div_ceil(samples.len().max(1)).clamp(1, targets.len().max(1));
        let size = targets.len().div_ceil(parts).max(1);
        let schedules: Vec<(&[Vec<Arc<Node>>], [Schedule; 2])> = targets
            .chunks(size)
            .map(|part| {
                let all: Vec<Arc<Node>> = part.iter().flatten().cloned().collect();
                let first = self.kept.first();
                let kept = Schedule::new(&all, |id| self.keeping > 0 && first.is_some_and(|k| k.contains_key(&id)));
                (part, [kept, Schedule::new(&all, |_| false)])
            })
            .collect();
        // Samples that run together: as many as the threads leave, and only such as keep the same.
        let groups = self.groups(samples.clone());
        let tasks: Vec<(std::ops::Range<usize>, usize)> = groups.iter().flat_map(|group| (0..schedules.len()).map(move |part| (group.clone(), part))).collect();
        let one = |(group, part): &(std::ops::Range<usize>, usize)| -> Result<Vec<Vec<T>>, QuantError> {
            let (targets, both) = &schedules[*part];
            let schedule = &both[usize::from(group.start >= self.keeping)];
            let mut memory = self.memory()?;
            let load = |sample| if schedule.needs_inputs { self.load(sample) } else { Ok(Arc::new(Vec::new())) };
            let inputs = group.clone().map(load).collect::<Result<Vec<_>, _>>()?;
            let given: Vec<(&[Tensor], &Kept)> = group.clone().zip(&inputs).map(|(sample, inputs)| (&inputs[..], &self.kept[sample])).collect();
            let fail = |source: QuantError| QuantError::Run { sample: group.start, what: self.source.describe(group.start), source: source.into() };
            let found = schedule.run(&given, &mut memory).map_err(fail)?;
            let mut results = Vec::with_capacity(found.len());
            for (sample, found) in group.clone().zip(found) {
                let mut rest = &found[..];
                let mut of_networks = Vec::with_capacity(targets.len());
                for own in *targets {
                    let (mine, others) = rest.split_at(own.len());
                    of_networks.push(of_sample(sample, mine)?);
                    rest = others;
                }
                found.into_iter().for_each(|a| memory.recycle(a));
                results.push(of_networks);
            }
            self.give_back(memory);
            Ok(results)
        };
        let found: Vec<Vec<Vec<T>>> = self.pool.install(|| tasks.par_iter().map(one).collect::<Result<_, QuantError>>())?;
        let mut by_network: Vec<Vec<T>> = targets.iter().map(|_| Vec::with_capacity(samples.len())).collect();
        for ((_, part), group) in tasks.iter().zip(found) {
            for results in group {
                by_network[part * size..].iter_mut().zip(results).for_each(|(list, result)| list.push(result));
            }
        }
        Ok(by_network)
    }

    /// Samples in groups of equal size, a whole number of groups for every thread; none has samples that keep tensors beside others.
    fn groups(&self, samples: std::ops::Range<usize>) -> Vec<std::ops::Range<usize>> {
        let threads = self.options.threads.max(1);
        let rounds = samples.len().div_ceil(threads * TOGETHER).max(1);
        let size = samples.len().div_ceil(threads * rounds).max(1);
        let middle = self.keeping.clamp(samples.start, samples.end);
        let split = |range: std::ops::Range<usize>| range.clone().step_by(size).map(move |start| start..(start + size).min(range.end));
        split(samples.start..middle).chain(split(middle..samples.end)).collect()
    }

    /// Keeps the samples in memory, if that takes no more than a quarter of it.
    fn load_inputs(&mut self) -> Result<(), QuantError> {
        let each: usize = self.target.program.inputs.iter().filter_map(|&i| self.target.program.tensor_type(i)).map(|t| t.count().max(0) as usize * 4).sum();
        if each.saturating_mul(self.samples) <= self.options.memory / 4 {
            let loaded = self.pool.install(|| (0..self.samples).into_par_iter().map(|sample| self.load(sample)).collect::<Result<Vec<_>, QuantError>>())?;
            self.inputs = loaded.into_iter().map(Some).collect();
        }
        Ok(())
    }

    fn load(&self, sample: usize) -> Result<Arc<Vec<Tensor>>, QuantError> {
        match &self.inputs[sample] {
            Some(inputs) => Ok(Arc::clone(inputs)),
            None => Ok(Arc::new(crate::calibrate::load(self.source, self.target.program, sample)?)),
        }
    }

    fn memory(&self) -> Result<Memory, QuantError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(match idle {
            Some(memory) => memory,
            None => Memory::new()?,
        })
    }

    fn give_back(&self, memory: Memory) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

fn floats(activation: &Activation) -> Result<Vec<f32>, QuantError> {
    let wrong = |e: tpuc_tensor::tensor::ShapeMismatch| QuantError::Op { layer: String::new(), source: e.into() };
    Ok(activation.view().to_f32().map_err(wrong)?.to_f32())
}
