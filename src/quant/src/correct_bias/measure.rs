//! Runs of the float and the INT8 network side by side, sample by sample, and of what changes with one bias.
//!
//! Samples run in parallel, their results are added in order: the sums do not depend on the number of threads. Memory holds
//! one sample's activations a thread.

use super::Candidate;
use crate::calibrate::load;
use crate::error::QuantError;
use crate::similarity::Similarity;
use crate::source::{Progress, SampleSource};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tpuc_interp::{Executor, Plan, PreparedNode, Scaling, TensorView};
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

/// Both networks and the samples.
pub struct Bench<'a, S: ?Sized> {
    pub float: Arc<Plan>,
    pub int8: Arc<Plan>,
    /// What is compared: value in the float and in the INT8 network, weight.
    pub compared: Vec<(ValueId, ValueId, f64)>,
    pub source: &'a S,
    pub threads: usize,
}

/// A layer over all samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layer {
    /// Similarity of the INT8 result to the float one.
    pub cos: f64,
    /// By channel: mean of the float result less that of the INT8 result.
    pub shift: Vec<f64>,
}

/// All layers and the outputs.
pub struct Layers {
    pub layers: Vec<Layer>,
    pub outputs_cos: f64,
}

/// A convolution with a new bias, ready to run.
pub struct Trial {
    /// Its node in the INT8 program.
    node: usize,
    result: ValueId,
    prepared: PreparedNode,
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrialResult {
    pub layer_cos: f64,
    pub outputs_cos: f64,
}

/// The tensors of one run by value: in f32, or in the storage types.
type Tensors = HashMap<ValueId, Tensor>;

impl<S: SampleSource + ?Sized> Bench<'_, S> {
    /// Similarities and shifts of the candidates.
    pub fn layers(&self, candidates: &[Candidate], progress: Progress) -> Result<Layers, QuantError> {
        let mut sums: Vec<Layer> = candidates.iter().map(|c| Layer { cos: 0.0, shift: vec![0.0; c.channels] }).collect();
        let mut outputs_cos = 0.0;
        let one = |sample: usize, executors: &mut Executors| {
            let (float, int8) = self.both(sample, executors, candidates)?;
            let layer = |c: &Candidate| {
                let (a, b) = (&float[&c.float], &self.dequantized(&int8, c.int8));
                let (a_means, b_means) = (channel_means(a), channel_means(b));
                Layer { cos: Similarity::Cosine.of(&a.to_f32(), &b.to_f32()), shift: a_means.iter().zip(&b_means).map(|(a, b)| a - b).collect() }
            };
            Ok((candidates.iter().map(layer).collect::<Vec<_>>(), self.outputs_cos(&float, &int8)))
        };
        let count = self.in_order(one, progress, |(layers, cos): (Vec<Layer>, f64)| {
            outputs_cos += cos;
            for (sum, layer) in sums.iter_mut().zip(layers) {
                sum.cos += layer.cos;
                sum.shift.iter_mut().zip(layer.shift).for_each(|(s, v)| *s += v);
            }
        })?;
        let n = count as f64;
        for sum in &mut sums {
            sum.cos /= n;
            sum.shift.iter_mut().for_each(|s| *s /= n);
        }
        Ok(Layers { layers: sums, outputs_cos: outputs_cos / n })
    }

    /// The convolution as a changed INT8 program has it: the same node with other data.
    pub fn trial(&self, candidate: &Candidate, program: &Program, weights: &WeightStore) -> Result<Trial, QuantError> {
        let mine = self.int8.program();
        let name = &mine.value(candidate.int8).name;
        let missing = || QuantError::UnknownLayer { layer: name.clone(), nearest: None };
        let node = mine.producer(candidate.int8).ok_or_else(missing)?;
        let theirs = program.names().get(name.as_str()).and_then(|&id| program.producer(id)).filter(|_| program.nodes.len() == mine.nodes.len()).ok_or_else(missing)?;
        let constants: Vec<_> = program.nodes[theirs].operands.iter().map(|&id| weights.get(&program.value(id).name).cloned()).collect();
        let prepared = PreparedNode::new(name, &program.nodes[theirs].op, &program.operand_types(theirs), &program.result_types(theirs), &constants, self.int8.options())?;
        Ok(Trial { node, result: candidate.int8, prepared })
    }

    /// Runs the network once for every trial: from its convolution on, on what the unchanged network computes before it.
    /// `which` are the candidates of the trials.
    pub fn trials(&self, candidates: &[Candidate], which: &[usize], trials: &[Trial], progress: Progress) -> Result<Vec<TrialResult>, QuantError> {
        let mut sums = vec![TrialResult::default(); trials.len()];
        if trials.is_empty() {
            return Ok(sums);
        }
        let live: Vec<Vec<ValueId>> = trials.iter().map(|t| self.int8.live_into(t.node + 1)).collect();
        let one = |sample: usize, executors: &mut Executors| {
            let (float, int8) = self.both(sample, executors, candidates)?;
            let mut results = Vec::with_capacity(trials.len());
            for ((trial, &candidate), live) in trials.iter().zip(which).zip(&live) {
                let changed = self.run(trial, live, &int8, executors)?;
                let layer = self.dequantized(&changed, trial.result);
                let layer_cos = Similarity::Cosine.of(&float[&candidates[candidate].float].to_f32(), &layer.to_f32());
                // What lies before the convolution is unchanged.
                let view = |id: ValueId| if changed.contains_key(&id) { &changed } else { &int8 };
                let outputs_cos = self.weighted(&float, |id| self.dequantized(view(id), id));
                results.push(TrialResult { layer_cos, outputs_cos });
            }
            Ok(results)
        };
        let count = self.in_order(one, progress, |results: Vec<TrialResult>| {
            for (sum, result) in sums.iter_mut().zip(results) {
                sum.layer_cos += result.layer_cos;
                sum.outputs_cos += result.outputs_cos;
            }
        })?;
        let n = count as f64;
        Ok(sums.into_iter().map(|s| TrialResult { layer_cos: s.layer_cos / n, outputs_cos: s.outputs_cos / n }).collect())
    }

    /// The convolution alone, then all behind it. Returns its result and the compared tensors that were computed anew.
    fn run(&self, trial: &Trial, live: &[ValueId], int8: &Tensors, executors: &mut Executors) -> Result<Tensors, QuantError> {
        let program = self.int8.program();
        let operands: Vec<Option<&Tensor>> = program.nodes[trial.node].operands.iter().map(|id| int8.get(id)).collect();
        let mut results = Vec::new();
        trial.prepared.run(&operands, &mut results)?;
        let mut changed = Tensors::new();
        changed.extend(results.pop().map(|result| (trial.result, result)));
        let mut after = Tensors::new();
        let given = live.iter().filter_map(|&id| Some((id, TensorView::of(changed.get(&id).or_else(|| int8.get(&id))?, None)?))).collect::<Vec<_>>();
        let wanted: Vec<ValueId> = self.compared.iter().map(|c| c.1).collect();
        executors.int8.run_part(trial.node + 1..program.nodes.len(), &given, &mut Keep { wanted: Some(&wanted), tensors: &mut after })?;
        changed.extend(after);
        Ok(changed)
    }

    /// One sample through both networks: the compared tensors and the candidates' in float, everything in INT8.
    fn both(&self, sample: usize, executors: &mut Executors, candidates: &[Candidate]) -> Result<(Tensors, Tensors), QuantError> {
        let inputs = load(self.source, self.float.program(), sample)?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let fail = |source: tpuc_interp::InterpError| QuantError::Run { sample, what: self.source.describe(sample), source: source.into() };
        let wanted: Vec<ValueId> = self.compared.iter().map(|c| c.0).chain(candidates.iter().map(|c| c.float)).collect();
        let (mut float, mut int8) = (Tensors::new(), Tensors::new());
        executors.float.run(&inputs, &mut Keep { wanted: Some(&wanted), tensors: &mut float }).map_err(fail)?;
        executors.int8.run(&inputs, &mut Keep { wanted: None, tensors: &mut int8 }).map_err(fail)?;
        // An input that is read late is live where a trial begins.
        for (&id, &tensor) in self.int8.program().inputs.iter().zip(&inputs) {
            let as_run = if self.int8.program().tensor_type(id).is_some_and(|t| t.elem.storage().is_float()) { Tensor::f32(tensor.shape(), tensor.to_f32()).ok() } else { None };
            int8.insert(id, as_run.unwrap_or_else(|| tensor.clone()));
        }
        Ok((float, int8))
    }

    fn outputs_cos(&self, float: &Tensors, int8: &Tensors) -> f64 {
        self.weighted(float, |id| self.dequantized(int8, id))
    }

    fn weighted(&self, float: &Tensors, int8: impl Fn(ValueId) -> Tensor) -> f64 {
        let total: f64 = self.compared.iter().map(|c| c.2).sum();
        let cos = |&(a, b, weight): &(ValueId, ValueId, f64)| weight * Similarity::Cosine.of(&float[&a].to_f32(), &int8(b).to_f32());
        self.compared.iter().map(cos).sum::<f64>() / total
    }

    /// A tensor of the INT8 network in f32.
    fn dequantized(&self, tensors: &Tensors, id: ValueId) -> Tensor {
        let scale = self.int8.program().tensor_type(id).and_then(|t| Scaling::of(&t.elem));
        let found = tensors.get(&id).and_then(|t| TensorView::of(t, scale)?.to_f32().ok());
        found.unwrap_or_else(|| Tensor::f32(&[0], Vec::new()).expect("no elements"))
    }

    /// Runs `one` for every sample on several threads and hands the results to `add` in the order of the samples.
    fn in_order<T: Send>(&self, one: impl Fn(usize, &mut Executors) -> Result<T, QuantError> + Sync, progress: Progress, mut add: impl FnMut(T)) -> Result<usize, QuantError> {
        let count = self.source.count();
        if count == 0 {
            return Err(QuantError::NoSamples);
        }
        let threads = self.threads.clamp(1, count);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| QuantError::Threads(e.to_string()))?;
        let mut executors = (0..threads).map(|_| Ok(Executors { float: self.float.executor()?, int8: self.int8.executor()? })).collect::<Result<Vec<_>, QuantError>>()?;
        let done = AtomicUsize::new(0);
        for start in (0..count).step_by(threads) {
            let run = |(offset, executors): (usize, &mut Executors)| {
                let result = one(start + offset, executors);
                progress((done.fetch_add(1, Ordering::SeqCst) + 1) as f64 / count as f64, "correcting biases");
                result
            };
            let group = &mut executors[..threads.min(count - start)];
            let results: Vec<Result<T, QuantError>> = pool.install(|| group.par_iter_mut().enumerate().map(run).collect());
            for result in results {
                add(result?);
            }
        }
        Ok(count)
    }
}

struct Executors {
    float: Executor,
    int8: Executor,
}

/// Keeps tensors in their storage types, some or all.
struct Keep<'a> {
    wanted: Option<&'a [ValueId]>,
    tensors: &'a mut Tensors,
}

impl tpuc_interp::Observer for Keep<'_> {
    fn wants(&self, value: ValueId) -> tpuc_interp::Want {
        if self.wanted.is_none_or(|w| w.contains(&value)) { tpuc_interp::Want::RowMajor } else { tpuc_interp::Want::Nothing }
    }

    fn tensor(&mut self, value: ValueId, view: TensorView<'_>) -> std::ops::ControlFlow<()> {
        if let Ok(tensor) = view.to_tensor() {
            self.tensors.insert(value, tensor);
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// The mean of each channel of `[N, C, ...]`.
fn channel_means(tensor: &Tensor) -> Vec<f64> {
    let &[batch, channels, ref rest @ ..] = tensor.shape() else { return Vec::new() };
    let area: usize = rest.iter().product();
    let values = tensor.to_f32();
    let mut sums = vec![0f64; channels];
    for (index, plane) in values.chunks(area.max(1)).enumerate() {
        sums[index % channels] += plane.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    sums.iter().map(|s| s / (batch * area) as f64).collect()
}
