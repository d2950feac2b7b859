//! The tuner: raises thresholds where the float op and its 8-bit version then differ less.
//!
//! In: the network, the first samples, thresholds and absolute maxima. Out: the same thresholds, some of them larger.
//! Op by op in execution order, thresholds of the op's inputs are tried from the untuned one up to the absolute maximum: the
//! float activations are quantized and dequantized with the candidate, the op runs on them, and the candidate whose outputs
//! are nearest to the float ones wins (`spec/calibration.md` section 5). Weights stay float: the reference means to
//! quantize them as well, but its call has no effect, and its thresholds are those of float weights.
//!
//! The float activations are computed along the way and dropped after their last use, so memory holds what is alive at
//! one op, not whole networks.

use crate::calibrate::load;
use crate::candidates::{Candidates, Reference, as_written};
use crate::error::QuantError;
use crate::network::{Network, NetworkError, PreparedOp};
use crate::simd;
use crate::source::{Progress, SampleSource};
use crate::statistics::Statistics;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use tpuc_lowering::table::Row;
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::{DType, Data, Tensor};

#[derive(Debug, Clone, PartialEq)]
pub struct TuneOptions {
    /// How many samples, from the first (fewer if there are fewer). 0: no tuning.
    pub tune_num: usize,
    /// Steps from the untuned threshold to the absolute maximum.
    pub steps: usize,
    /// A tensor whose threshold is not further than this from its absolute maximum stays.
    pub min_difference: f64,
    /// Worker threads; the result does not depend on it.
    pub threads: usize,
}

impl Default for TuneOptions {
    fn default() -> TuneOptions {
        TuneOptions { tune_num: 5, steps: 21, min_difference: 0.01, threads: crate::default_threads() }
    }
}

/// Tunes the thresholds of a network from its first samples. `statistics` are those that the thresholds came from.
pub fn tune(
    network: &impl Network,
    source: &(impl SampleSource + ?Sized),
    statistics: &Statistics,
    thresholds: &mut [Row],
    options: &TuneOptions,
    progress: Progress,
) -> Result<(), QuantError> {
    if options.steps == 0 {
        return Err(QuantError::Option { option: "tune_steps", found: "0".into(), expected: "1 or more" });
    }
    let samples = options.tune_num.min(source.count());
    if samples == 0 {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(1)).build();
    let pool = pool.map_err(|e| QuantError::Threads(e.to_string()))?;
    pool.install(|| {
        let program = network.program();
        let live = (0..samples).into_par_iter().map(|sample| inputs_of(source, program, sample)).collect::<Result<_, _>>()?;
        let what = (0..samples).map(|sample| source.describe(sample)).collect();
        Tuner { network, program, options, rows: rows(program, statistics, thresholds), live, what }.run(thresholds, progress)
    })
}

/// What the tuner knows of a tensor that has a row in the table.
struct Tunable {
    /// Index into the table.
    index: usize,
    /// The untuned threshold as it is written in the table.
    untuned: f64,
    absmax: f64,
    tuned: bool,
}

fn rows(program: &Program, statistics: &Statistics, thresholds: &[Row]) -> HashMap<ValueId, Tunable> {
    let absmax: HashMap<&str, f32> = statistics.tensors.iter().map(|t| (t.name.as_str(), t.absmax())).collect();
    let names = program.names();
    let row = |(index, t): (usize, &Row)| {
        let (&id, &absmax) = (names.get(t.name.as_str())?, absmax.get(t.name.as_str())?);
        let is_float = program.tensor_type(id)?.elem.storage() == DType::F32;
        is_float.then(|| (id, Tunable { index, untuned: as_written(t.threshold), absmax: f64::from(absmax), tuned: false }))
    };
    thresholds.iter().enumerate().filter_map(row).collect()
}

/// Float activations of one sample that are still needed, by value.
type Live = Vec<Option<Arc<Tensor>>>;

fn inputs_of(source: &(impl SampleSource + ?Sized), program: &Program, sample: usize) -> Result<Live, QuantError> {
    let mut live = vec![None; program.values.len()];
    for (&id, tensor) in program.inputs.iter().zip(load(source, program, sample)?) {
        live[id.index()] = Some(Arc::new(tensor));
    }
    Ok(live)
}

/// By node: the values that no later node reads.
fn dead_after(program: &Program) -> Vec<Vec<ValueId>> {
    let mut dead = vec![Vec::new(); program.nodes.len()];
    for (value, users) in program.users().iter().enumerate() {
        let id = ValueId(value as u32);
        if let Some(node) = users.last().copied().or(program.producer(id)) {
            dead[node].push(id);
        }
    }
    dead
}

struct Tuner<'a, N> {
    network: &'a N,
    program: &'a Program,
    options: &'a TuneOptions,
    rows: HashMap<ValueId, Tunable>,
    /// By sample.
    live: Vec<Live>,
    /// By sample: its name in errors.
    what: Vec<String>,
}

impl<N: Network> Tuner<'_, N> {
    fn run(mut self, thresholds: &mut [Row], progress: Progress) -> Result<(), QuantError> {
        for (node, dead) in dead_after(self.program).iter().enumerate() {
            progress(node as f64 / self.program.nodes.len() as f64, "tuning");
            self.run_float(node)?;
            self.tune_inputs(node, thresholds)?;
            for id in dead {
                self.live.iter_mut().for_each(|live| live[id.index()] = None);
            }
        }
        progress(1.0, "tuning");
        Ok(())
    }

    /// The activations of one sample among a node's operands.
    fn operands<'l>(&self, node: usize, live: &'l Live) -> Vec<Option<&'l Tensor>> {
        self.program.nodes[node].operands.iter().map(|id| live[id.index()].as_deref()).collect()
    }

    fn at(&self, node: usize) -> impl Fn(NetworkError) -> QuantError {
        let layer = self.program.node_name(node).to_owned();
        move |source| QuantError::Op { layer: layer.clone(), source }
    }

    /// Computes the float results of a node for every sample.
    fn run_float(&mut self, node: usize) -> Result<(), QuantError> {
        let op = self.network.prepare(node).map_err(self.at(node))?;
        let run = |(sample, live): (usize, &Live)| {
            let mut results = Vec::new();
            let fail = |source| QuantError::Run { sample, what: self.what[sample].clone(), source };
            op.run(&self.operands(node, live), &mut results).map_err(fail)?;
            Ok(results)
        };
        let results = self.live.par_iter().enumerate().map(run).collect::<Result<Vec<_>, QuantError>>()?;
        for (live, results) in self.live.iter_mut().zip(results) {
            for (id, result) in self.program.nodes[node].results.iter().zip(results) {
                live[id.index()] = Some(Arc::new(result));
            }
        }
        Ok(())
    }

    /// Tunes the inputs of a node that were not tuned before; where all were, the first one again.
    fn tune_inputs(&mut self, node: usize, thresholds: &mut [Row]) -> Result<(), QuantError> {
        let mut inputs: Vec<ValueId> = Vec::new();
        for id in &self.program.nodes[node].operands {
            if self.rows.contains_key(id) && !inputs.contains(id) {
                inputs.push(*id);
            }
        }
        let untuned: Vec<ValueId> = inputs.iter().copied().filter(|id| !self.rows[id].tuned).collect();
        let chosen = if untuned.is_empty() { inputs.iter().take(1).copied().collect() } else { untuned };
        for id in chosen {
            let row = &self.rows[&id];
            if let Some(candidates) = Candidates::new(row.untuned, row.absmax, self.options.steps, self.options.min_difference) {
                let best = self.best(node, &inputs, candidates)?;
                let threshold = &mut thresholds[row.index].threshold;
                // A second look at a tensor may raise its threshold, never lower it.
                if best > as_written(*threshold) {
                    *threshold = best;
                }
            }
            if let Some(row) = self.rows.get_mut(&id) {
                row.tuned = true;
            }
        }
        Ok(())
    }

    /// The candidate with which a node's results come nearest to the float ones over the samples, all of `inputs` quantized
    /// with it.
    fn best(&self, node: usize, inputs: &[ValueId], candidates: Candidates) -> Result<f64, QuantError> {
        let op = self.network.prepare(node).map_err(self.at(node))?;
        let float_results = |live| self.program.nodes[node].results.iter().filter_map(move |id| activation(live, *id)).collect();
        let references: Vec<Reference> = self.live.iter().map(|live| Reference::new(float_results(live))).collect();
        let samples = self.live.len();
        let distance = |scratch: &mut Scratch, task: usize| {
            let (candidate, sample) = (candidates.get(task / samples), task % samples);
            let fail = |source| QuantError::Run { sample, what: self.what[sample].clone(), source };
            let operands = self.operands(node, &self.live[sample]);
            let is_input: Vec<bool> = self.program.nodes[node].operands.iter().map(|id| inputs.contains(id)).collect();
            let results = scratch.run(&*op, &operands, &is_input, candidate).map_err(fail)?;
            Ok(references[sample].distance(results.iter().filter_map(Tensor::as_f32)))
        };
        let tasks = (0..candidates.count() * samples).into_par_iter();
        let distances = tasks.map_init(Scratch::default, distance).collect::<Result<Vec<f64>, QuantError>>()?;
        Ok(candidates.best(&distances, samples))
    }
}

/// The activation of a live value, of floats only.
fn activation(live: &Live, id: ValueId) -> Option<&[f32]> {
    live[id.index()].as_deref().and_then(Tensor::as_f32)
}

/// Memory that trials use again and again.
#[derive(Default)]
struct Scratch {
    /// By operand: its fake-quantized version.
    quantized: Vec<Option<Tensor>>,
    results: Vec<Tensor>,
}

impl Scratch {
    /// Runs an op with the operands marked in `is_input` fake-quantized by a threshold.
    fn run(&mut self, op: &dyn PreparedOp, operands: &[Option<&Tensor>], is_input: &[bool], threshold: f64) -> Result<&[Tensor], NetworkError> {
        self.quantized.resize(operands.len(), None);
        let scale = (127.0 / threshold) as f32;
        for ((quantized, operand), _) in self.quantized.iter_mut().zip(operands).zip(is_input).filter(|(_, is_input)| **is_input) {
            let Some((tensor, x)) = operand.and_then(|t| Some((t, t.as_f32()?))) else { continue };
            let mut values = match quantized.take().map(Tensor::into_data) {
                Some(Data::F32(values)) => values,
                _ => Vec::new(),
            };
            values.resize(x.len(), 0.0);
            simd::fake_quantize(x, scale, &mut values);
            *quantized = Some(Tensor::f32(tensor.shape(), values)?);
        }
        let pick = |((quantized, operand), is_input): ((_, &Option<_>), &bool)| if *is_input { Option::as_ref(quantized) } else { *operand };
        let operands: Vec<Option<&Tensor>> = self.quantized.iter().zip(operands).zip(is_input).map(pick).collect();
        op.run(&operands, &mut self.results)?;
        Ok(&self.results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{CalibrationOptions, gather};
    use crate::method::Method;
    use crate::source::no_progress;
    use crate::testing::{TwoOps, samples};

    fn tuned(low: f64, options: &TuneOptions) -> (Vec<Row>, Statistics) {
        let (network, samples) = (TwoOps::new(300), samples(6, 300));
        let statistics = gather(&network, &samples[..], &CalibrationOptions { methods: Method::Max.into(), ..CalibrationOptions::default() }, &no_progress).unwrap();
        let mut thresholds = statistics.thresholds(Method::Max).unwrap();
        thresholds.iter_mut().for_each(|t| t.threshold *= low);
        tune(&network, &samples[..], &statistics, &mut thresholds, options, &no_progress).unwrap();
        (thresholds, statistics)
    }

    #[test]
    fn clipped_inputs_are_raised_and_outputs_stay() {
        let (thresholds, statistics) = tuned(0.25, &TuneOptions::default());
        let absmax: Vec<f64> = statistics.tensors.iter().map(|t| f64::from(t.absmax())).collect();
        assert!(thresholds[0].threshold > 0.5 * absmax[0] && thresholds[0].threshold <= absmax[0]);
        assert!(thresholds[1].threshold > 0.5 * absmax[1] && thresholds[1].threshold <= absmax[1]);
        assert_eq!(thresholds[2].threshold, 0.25 * absmax[2]);
    }

    #[test]
    fn thresholds_near_the_maximum_and_no_samples_change_nothing() {
        let near = TuneOptions { min_difference: 100.0, ..TuneOptions::default() };
        let none = TuneOptions { tune_num: 0, ..TuneOptions::default() };
        for options in [near, none] {
            let (thresholds, statistics) = tuned(0.25, &options);
            thresholds.iter().zip(&statistics.tensors).for_each(|(t, s)| assert_eq!(t.threshold, 0.25 * f64::from(s.absmax())));
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads| tuned(0.3, &TuneOptions { threads, ..TuneOptions::default() }).0;
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn values_die_after_their_last_reader() {
        let dead = dead_after(&TwoOps::new(4).program);
        let names = |node: usize| dead[node].iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!((names(0), names(1), names(2)), (vec![0], vec![], vec![1, 2, 3]));
    }
}
