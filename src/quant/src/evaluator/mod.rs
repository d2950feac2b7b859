//! Similarity of a network's outputs when its layers run in these modes with these thresholds.
//!
//! In: a Top network, a chip, samples. An [`Evaluator`] lowers a [`Setting`] to a [`Network`], layer by layer, and scores it
//! against the float network. It gives exactly what lowering and running the whole network gives, but does only what is new:
//! a layer is lowered and its weights are packed once per form; networks share equal nodes ([`graph`]); tensors that
//! [`Evaluator::keep`] names stay in memory for every sample, and whatever depends on nothing else is not computed again. Samples
//! and candidates run in parallel; results do not depend on the number of threads.
//!
//! All that takes memory does so within a budget for the whole process: where it is short, fewer samples run at once, fewer keep
//! tensors, and what was lowered or computed before is forgotten and done again. No result depends on it.

mod graph;
mod run;
mod runners;
mod setting;

pub use graph::{Network, Node};
pub use setting::Setting;

use crate::error::QuantError;
use crate::memory::{Budget, LOWERING};
use crate::model::Target;
use crate::post_process::PostProcess;
use crate::similarity::{ComparedLayers, Similarity};
use crate::source::SampleSource;
use graph::Graphs;
use rayon::prelude::*;
use run::{Compare, Found, Kept, Schedule, TOGETHER, Wanted};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tpuc_interp::{Activation, Family, FloatOrder, Memory, Options};
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
    /// Bytes that the process may have in memory.
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

/// How layers run, each in one thread. Large convolutions, which take most of the time, add up in whatever order is fastest; what
/// this changes in half floats is lost among the many outputs of networks that have such. The others keep to the reference's order.
fn runners(chip: &tpuc_lowering::Chip) -> Options {
    Options { threads: 1, order: FloatOrder::FastWhereLarge, family: Family::of_chip(chip.name) }
}

/// A named tensor of a network's outputs, in f32.
pub type Named = (String, Tensor);

/// What is wanted of networks that run together.
struct Part<'t> {
    wanted: &'t [Wanted],
    /// For samples that keep tensors, and for others.
    kept: Schedule,
    plain: Schedule,
}

impl Part<'_> {
    /// About the bytes of a group of so many of these samples, of which the first `keeping` keep tensors.
    fn bytes(&self, count: usize, samples: &Range<usize>, keeping: usize) -> usize {
        let (kept, plain) = (self.kept.bytes(count), self.plain.bytes(count));
        match (samples.start < keeping, samples.end > keeping) {
            (true, true) => kept.max(plain),
            (true, false) => kept,
            (false, _) => plain,
        }
    }
}

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
    /// By sample: what the float network gives, after post-processing, once it was needed.
    reference: Vec<OnceLock<Vec<Named>>>,
    inputs: Vec<Option<Arc<Vec<Tensor>>>>,
    kept: Vec<Kept>,
    /// So many samples keep tensors.
    keeping: usize,
    idle: Mutex<Vec<Memory>>,
    samples: usize,
    budget: Budget,
    /// Bytes that one sample took at most.
    need: AtomicUsize,
}

impl<'a> Evaluator<'a> {
    /// Prepares the float network. `samples` of the options are capped to what the source has.
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
        let mut graphs = Graphs::new(runners(target.chip), options.unrounded_casts);
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
            reference: (0..samples).map(|_| OnceLock::new()).collect(),
            inputs: vec![None; samples],
            kept: (0..samples).map(|_| Kept::new()).collect(),
            keeping: 0,
            idle: Mutex::new(Vec::new()),
            samples,
            budget: Budget::new(options.memory),
            need: AtomicUsize::new(0),
            options,
        };
        evaluator.load_inputs()?;
        let targets = evaluator.targets(&evaluator.float)?;
        evaluator.note_need(&Wanted::targets(targets));
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
        self.make_room();
        let network = match self.graphs.network(self.target, setting, given) {
            // The whole network's lowering names all layers that fail, not just the first.
            Err(QuantError::Lower(first)) => {
                let all = self.target.mixed_program(&setting.rows, |node| setting.modes[node]);
                return Err(all.err().unwrap_or(QuantError::Lower(first)));
            }
            other => other?,
        };
        self.make_room();
        Ok(network)
    }

    /// Whether there is memory to run a sample. A caller who lowers several networks should run some before it lowers more
    /// where there is not.
    pub fn has_room(&self) -> bool {
        let need = self.need.load(Ordering::Relaxed) + self.reserve();
        self.budget.left(need) >= need
    }

    /// Bytes that stay free for the next network's lowering while tensors are kept.
    fn reserve(&self) -> usize {
        let largest = self.target.weights.iter().map(|(_, tensor)| tensor.len()).max().unwrap_or(0);
        (self.budget.bytes() / 16).max(largest * LOWERING)
    }

    /// Takes note of what a run of one sample takes from its inputs on.
    fn note_need(&self, wanted: &Wanted) {
        self.need.fetch_max(Schedule::new([wanted], |_| false).bytes(1), Ordering::Relaxed);
    }

    /// Forgets what is only remembered, until a sample can run.
    fn make_room(&mut self) {
        if !self.has_room() {
            self.forget_idle();
            self.graphs.forget_others();
        }
        if !self.has_room() {
            self.kept.iter_mut().for_each(Kept::clear);
            self.keeping = 0;
        }
    }

    /// Does other work that needs memory: all that can be computed again is forgotten before.
    pub fn aside<T>(&mut self, work: impl FnOnce() -> Result<T, QuantError>) -> Result<T, QuantError> {
        self.forget_idle();
        self.kept.iter_mut().for_each(Kept::clear);
        (self.keeping, self.float) = (0, Network { layers: Vec::new(), outputs: Vec::new() });
        self.graphs = Graphs::new(runners(self.target.chip), self.options.unrounded_casts);
        let done = work()?;
        let (program, weights) = self.target.float_program()?;
        self.float = self.graphs.own(self.target.program, &program, &weights)?;
        Ok(done)
    }

    fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        self.refer(samples)?;
        let wanted: Vec<Wanted> = networks.iter().map(|n| Ok(Wanted::targets(self.targets(n)?))).collect::<Result<_, QuantError>>()?;
        wanted.first().into_iter().for_each(|one| self.note_need(one));
        let found = self.each_of(0..samples, &wanted, &no_pairs, |sample, found| self.score(measure, sample, &found.targets))?;
        Ok(found.iter().map(|scores| mean(scores.iter().copied())).collect())
    }

    /// The score of a network together with the similarities of some of its layers, for which nothing runs twice.
    pub fn score_and_layers(&self, network: &Network, layers: &[usize]) -> Result<(f64, Vec<Option<f64>>), QuantError> {
        let known = self.reference.iter().all(|r| r.get().is_some());
        // The float network's outputs in front, unless they are known.
        let float = if known { Vec::new() } else { self.targets(&self.float)? };
        let count = float.len();
        let targets = float.into_iter().chain(self.targets(network)?).collect();
        let of_sample = |sample: usize, found: &Found| {
            let (float, own) = found.targets.split_at(count);
            if !known {
                let outputs = self.processed(self.named(float)?)?;
                self.reference[sample].get_or_init(|| outputs);
            }
            self.score(self.options.similarity, sample, own)
        };
        self.with_layers(network, layers, targets, of_sample).map(|(scores, layers)| (mean(scores.into_iter()), layers))
    }

    /// The mean similarity of layers in a network to those in the float network; `None` where either has it not.
    pub fn layer_similarities(&self, network: &Network, layers: &[usize]) -> Result<Vec<Option<f64>>, QuantError> {
        self.with_layers(network, layers, Vec::new(), |_, _| Ok(())).map(|found| found.1)
    }

    /// `of_sample` on targets for every sample, and the similarities of layers.
    fn with_layers<T: Send>(&self, network: &Network, layers: &[usize], targets: Vec<Arc<Node>>, of_sample: impl Fn(usize, &Found) -> Result<T, QuantError> + Sync) -> Result<(Vec<T>, Vec<Option<f64>>), QuantError> {
        let pair = |&layer: &usize| Some([self.float.layers[layer].clone()?, network.layers[layer].clone()?]);
        let pairs: Vec<Option<[Arc<Node>; 2]>> = layers.iter().map(pair).collect();
        let wanted = [Wanted { targets, pairs: pairs.iter().flatten().cloned().collect() }];
        self.note_need(&wanted[0]);
        let name = |pair: usize| wanted[0].pairs.get(pair).map(|[_, own]| own.name.clone()).unwrap_or_default();
        let compare = |pair: usize, a: &Activation, b: &Activation| Similarity::Cosine.of_views(&a.view(), &b.view()).map_err(|e| QuantError::Op { layer: name(pair), source: e.into() });
        let found = self.each_of(0..self.samples, &wanted, &compare, |sample, found| Ok((of_sample(sample, found)?, found.pairs.clone())))?;
        let (of_samples, similarities): (Vec<T>, Vec<Vec<f64>>) = found.into_iter().flatten().unzip();
        let mut means = (0..wanted[0].pairs.len()).map(|pair| mean(similarities.iter().map(|found| found[pair])));
        Ok((of_samples, pairs.iter().map(|pair| pair.as_ref().and_then(|_| means.next())).collect()))
    }

    /// Runs the float network for those of the first samples that it did not run for.
    fn refer(&self, samples: usize) -> Result<(), QuantError> {
        let missing = self.reference[..samples].iter().position(|r| r.get().is_none());
        let Some(first) = missing else { return Ok(()) };
        let wanted = [Wanted::targets(self.targets(&self.float)?)];
        let found = self.each_of(first..samples, &wanted, &no_pairs, |_, found| self.processed(self.named(&found.targets)?))?;
        for (reference, outputs) in self.reference[first..].iter().zip(found.into_iter().flatten()) {
            reference.get_or_init(|| outputs);
        }
        Ok(())
    }

    /// The similarity of a network's outputs for a sample to the float network's, which are known.
    fn score(&self, measure: Similarity, sample: usize, activations: &[Activation]) -> Result<f64, QuantError> {
        let own = self.processed(self.named(activations)?)?;
        Ok(self.similarity(measure, self.reference[sample].get().map_or(&[], Vec::as_slice), &own))
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
        let samples = samples.min(self.samples);
        let wanted = [Wanted::targets(nodes)];
        let targets = &wanted[0].targets;
        let need = self.need.load(Ordering::Relaxed) + self.reserve();
        // All at once where there is memory for old and new tensors; else some samples after the other, as many as can.
        let together = match need.saturating_add(self.new_bytes(targets, 0..samples)) {
            wanted if self.budget.left(wanted) >= wanted => samples,
            _ => self.options.threads.max(1),
        };
        let (mut kept, mut start) = (Vec::with_capacity(samples), 0);
        while start < samples {
            let range = start..(start + together).min(samples);
            let new = self.new_bytes(targets, range.clone());
            if together < samples && self.budget.left(new + need) < new + need {
                break;
            }
            let found = self.each_of(range.clone(), &wanted, &no_pairs, |_, found| Ok(found.targets.clone()))?;
            kept.extend(found.into_iter().flatten().map(|activations| targets.iter().map(|n| n.id).zip(activations).collect::<Kept>()));
            self.recycle(range.clone())?;
            start = range.end;
        }
        self.recycle(start..self.samples)?;
        self.keeping = kept.len();
        kept.resize_with(self.samples, Kept::new);
        self.kept = kept;
        Ok(())
    }

    /// Bytes of tensors that samples do not keep yet.
    fn new_bytes(&self, nodes: &[Arc<Node>], samples: Range<usize>) -> usize {
        samples.flat_map(|sample| nodes.iter().filter(move |n| !self.is_kept(sample, n.id))).map(|n| n.bytes()).fold(0, usize::saturating_add)
    }

    /// Whether a sample keeps a tensor.
    fn is_kept(&self, sample: usize, node: u64) -> bool {
        sample < self.keeping && self.kept[sample].contains_key(&node)
    }

    /// Forgets what samples keep.
    fn recycle(&mut self, samples: Range<usize>) -> Result<(), QuantError> {
        let mut memory = self.memory()?;
        for kept in &mut self.kept[samples] {
            std::mem::take(kept).into_values().for_each(|activation| memory.recycle(activation));
        }
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

    /// `of_sample` on what is wanted of every network for every sample: by network the results in the order of samples.
    fn each_of<T: Send>(&self, samples: Range<usize>, wanted: &[Wanted], compare: Compare, of_sample: impl Fn(usize, &Found) -> Result<T, QuantError> + Sync) -> Result<Vec<Vec<T>>, QuantError> {
        // With more threads than samples, candidates are spread over them as well.
        let parts = self.options.threads.div_ceil(samples.len().max(1)).clamp(1, wanted.len().max(1));
        let mut size = wanted.len().div_ceil(parts).max(1);
        let mut schedules = self.schedules(wanted, size, &samples);
        let bytes = |schedules: &[Part], count: usize| schedules.iter().map(|part| part.bytes(count, &samples, self.keeping)).max().unwrap_or(0);
        while size > 1 && self.budget.left(bytes(&schedules, 1)) < bytes(&schedules, 1) {
            size = size.div_ceil(2);
            schedules = self.schedules(wanted, size, &samples);
        }
        // Samples that run together: as many as the threads leave, and only such as keep the same.
        let gains = schedules.iter().any(|part| part.kept.gains_together() || part.plain.gains_together());
        let (workers, together) = self.at_once(samples.len(), gains, |count| bytes(&schedules, count));
        let groups = self.groups(samples.clone(), together);
        let tasks: Vec<(Range<usize>, usize)> = groups.iter().flat_map(|group| (0..schedules.len()).map(move |part| (group.clone(), part))).collect();
        let one = |(group, part): &(Range<usize>, usize)| -> Result<Vec<Vec<T>>, QuantError> {
            let Part { wanted, kept, plain } = &schedules[*part];
            let schedule = if group.start < self.keeping { kept } else { plain };
            let mut memory = self.memory()?;
            let load = |sample| if schedule.needs_inputs { self.load(sample) } else { Ok(Arc::new(Vec::new())) };
            let inputs = group.clone().map(load).collect::<Result<Vec<_>, _>>()?;
            let given: Vec<(&[Tensor], &Kept)> = group.clone().zip(&inputs).map(|(sample, inputs)| (&inputs[..], &self.kept[sample])).collect();
            let fail = |source: QuantError| QuantError::Run { sample: group.start, what: self.source.describe(group.start), source: source.into() };
            let found = schedule.run(&given, compare, &mut memory).map_err(fail)?;
            let mut results = Vec::with_capacity(found.len());
            for (sample, found) in group.clone().zip(found) {
                let (mut targets, mut pairs) = (found.targets.into_iter(), found.pairs.into_iter());
                let mut of_networks = Vec::with_capacity(wanted.len());
                for wanted in *wanted {
                    let own = Found { targets: targets.by_ref().take(wanted.targets.len()).collect(), pairs: pairs.by_ref().take(wanted.pairs.len()).collect() };
                    of_networks.push(of_sample(sample, &own)?);
                    own.targets.into_iter().for_each(|a| memory.recycle(a));
                }
                results.push(of_networks);
            }
            self.give_back(memory);
            Ok(results)
        };
        let run = |tasks: &[_]| self.pool.install(|| tasks.par_iter().with_max_len(1).map(one).collect::<Result<Vec<Vec<Vec<T>>>, QuantError>>());
        let found = match workers < self.options.threads {
            false => run(&tasks)?,
            true => tasks.chunks(workers).map(run).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        };
        let mut by_network: Vec<Vec<T>> = wanted.iter().map(|_| Vec::with_capacity(samples.len())).collect();
        for ((_, part), group) in tasks.iter().zip(found) {
            for results in group {
                by_network[part * size..].iter_mut().zip(results).for_each(|(list, result)| list.push(result));
            }
        }
        Ok(by_network)
    }

    /// The networks in parts of a size.
    fn schedules<'t>(&self, wanted: &'t [Wanted], size: usize, samples: &Range<usize>) -> Vec<Part<'t>> {
        let part = |wanted: &'t [Wanted]| Part { wanted, kept: Schedule::new(wanted, |id| self.is_kept(samples.start, id)), plain: Schedule::new(wanted, |_| false) };
        wanted.chunks(size).map(part).collect()
    }

    /// How many groups may run at once, and how many samples a group may have: one where that gains little, so that no thread waits long for the
    /// others in the end. `bytes` says what a group of so many takes.
    fn at_once(&self, samples: usize, gains: bool, bytes: impl Fn(usize) -> usize) -> (usize, usize) {
        let threads = self.options.threads.max(1);
        let most = if gains { samples.div_ceil(threads).clamp(1, TOGETHER) } else { 1 };
        let wanted = bytes(most).saturating_mul(threads);
        let mut left = self.budget.left(wanted);
        if left >= wanted {
            return (threads, most);
        }
        self.forget_idle();
        left = self.budget.left(wanted);
        let workers = (left / bytes(1).max(1)).clamp(1, threads);
        // What samples give back stays with the allocator for a while.
        let together = (1..=most).rev().find(|&count| bytes(count).saturating_mul(2 * workers) <= left);
        (workers, together.unwrap_or(1))
    }

    /// Samples in groups of equal size, a whole number of groups for every thread; none has samples that keep tensors beside others.
    fn groups(&self, samples: Range<usize>, together: usize) -> Vec<Range<usize>> {
        let threads = self.options.threads.max(1);
        let rounds = samples.len().div_ceil(threads * together).max(1);
        let size = samples.len().div_ceil(threads * rounds).max(1);
        let middle = self.keeping.clamp(samples.start, samples.end);
        let split = |range: Range<usize>| range.clone().step_by(size).map(move |start| start..(start + size).min(range.end));
        split(samples.start..middle).chain(split(middle..samples.end)).collect()
    }

    /// Keeps the samples in memory, if that takes no more than a quarter of what is left.
    fn load_inputs(&mut self) -> Result<(), QuantError> {
        let each: usize = self.target.program.inputs.iter().filter_map(|&i| self.target.program.tensor_type(i)).map(|t| t.count().max(0) as usize * 4).sum();
        let all = each.saturating_mul(self.samples);
        if all <= self.budget.left(all.saturating_mul(4)) / 4 {
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
            None => Memory::with_idle(self.budget.bytes() / (8 * self.options.threads.max(1)))?,
        })
    }

    fn give_back(&self, memory: Memory) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

/// Of runs that compare nothing on the way.
fn no_pairs(_: usize, _: &Activation, _: &Activation) -> Result<f64, QuantError> {
    Ok(0.0)
}

/// Adds up in order.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.fold(0.0, |sum, v| sum + v) / count as f64
}
