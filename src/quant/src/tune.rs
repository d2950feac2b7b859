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
use crate::candidates::{Reference, Rules, Search, as_written};
use crate::error::QuantError;
use crate::network::{Network, NetworkError, PreparedOp};
use crate::simd;
use crate::source::{Progress, SampleSource};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tpuc_lowering::table::Row;
use tpuc_ops::{Op, Program, ValueId};
use tpuc_tensor::{DType, Data, Tensor};

#[derive(Debug, Clone, PartialEq)]
pub struct TuneOptions {
    /// How many samples, from the first (fewer if there are fewer). 0: no tuning.
    pub tune_num: usize,
    pub rules: Rules,
    /// Inputs that were computed from quantized activations all the way, instead of float ones.
    pub quantized_inputs: bool,
    /// Worker threads; the result does not depend on it.
    pub threads: usize,
}

impl Default for TuneOptions {
    fn default() -> TuneOptions {
        TuneOptions { tune_num: 5, rules: Rules::default(), quantized_inputs: false, threads: crate::default_threads() }
    }
}

/// Tunes the thresholds of a network from its first samples. `absmax` are the absolute maxima of the same rows.
pub fn tune(
    network: &impl Network,
    source: &(impl SampleSource + ?Sized),
    absmax: &[f64],
    thresholds: &mut [Row],
    options: &TuneOptions,
    progress: Progress,
) -> Result<(), QuantError> {
    if options.rules.steps == 0 {
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
        let live = (0..samples).into_par_iter().map(|sample| inputs_of(source, program, sample)).collect::<Result<Vec<_>, _>>()?;
        let what = (0..samples).map(|sample| source.describe(sample)).collect();
        let quantized = if options.quantized_inputs { live.clone() } else { Vec::new() };
        Tuner { network, program, options, rows: rows(program, absmax, thresholds), live, quantized, what, idle: Mutex::default() }.run(thresholds, progress)
    })
}

/// What the tuner knows of a tensor that has a row in the table.
struct Tunable {
    /// Index into the table.
    index: usize,
    /// The untuned threshold as it is written in the table.
    untuned: f64,
    current: f64,
    absmax: f64,
    tuned: bool,
}

fn rows(program: &Program, absmax: &[f64], thresholds: &[Row]) -> HashMap<ValueId, Tunable> {
    let names = program.names();
    let row = |(index, (row, &absmax)): (usize, (&Row, &f64))| {
        let &id = names.get(row.name.as_str())?;
        let is_float = program.tensor_type(id)?.elem.storage() == DType::F32;
        let untuned = as_written(row.threshold);
        is_float.then_some((id, Tunable { index, untuned, current: untuned, absmax, tuned: false }))
    };
    thresholds.iter().zip(absmax).enumerate().filter_map(row).collect()
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
    /// The same computed from quantized activations, by sample; empty if nobody wants them.
    quantized: Vec<Live>,
    /// By sample: its name in errors.
    what: Vec<String>,
    /// Memory that no trial uses just now.
    idle: Mutex<Vec<Scratch>>,
}

impl<N: Network> Tuner<'_, N> {
    fn run(mut self, thresholds: &mut [Row], progress: Progress) -> Result<(), QuantError> {
        for (node, dead) in dead_after(self.program).iter().enumerate() {
            progress(node as f64 / self.program.nodes.len() as f64, "tuning");
            self.run_float(node)?;
            self.tune_inputs(node, thresholds)?;
            self.run_quantized(node)?;
            for id in dead {
                self.live.iter_mut().chain(&mut self.quantized).for_each(|live| live[id.index()] = None);
            }
        }
        progress(1.0, "tuning");
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        store(&mut self.live, &self.program.nodes[node].results, results);
        Ok(())
    }

    /// Computes the results of a node from quantized activations, with the thresholds of now.
    fn run_quantized(&mut self, node: usize) -> Result<(), QuantError> {
        if self.quantized.is_empty() {
            return Ok(());
        }
        let op = self.network.prepare(node).map_err(self.at(node))?;
        let thresholds: Vec<Option<f64>> = self.program.nodes[node].operands.iter().map(|id| self.rows.get(id).map(|row| row.current)).collect();
        let run = |(sample, live): (usize, &Live)| {
            let fail = |source| QuantError::Run { sample, what: self.what[sample].clone(), source };
            let mut scratch = Scratch::default();
            scratch.run(&*op, &self.operands(node, live), &thresholds).map_err(fail)?;
            Ok(scratch.results)
        };
        let results = self.quantized.par_iter().enumerate().map(run).collect::<Result<Vec<_>, QuantError>>()?;
        store(&mut self.quantized, &self.program.nodes[node].results, results);
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
            let found = match Search::new(self.options.rules, row.untuned, row.absmax) {
                Some(search) => self.best(node, &inputs, search)?,
                None => row.untuned,
            };
            let Some(row) = self.rows.get_mut(&id) else { continue };
            row.tuned = true;
            // A second look at a tensor may raise its threshold, never lower it.
            if found > row.current {
                row.current = found;
                thresholds[row.index].threshold = found;
            }
        }
        Ok(())
    }

    /// By sample: a node's results, where quantizing these is the same as quantizing the operands; `None` for other nodes.
    fn picked(&self, node: usize, is_input: &[bool], op: &dyn PreparedOp) -> Result<Option<Vec<Vec<Arc<Tensor>>>>, QuantError> {
        let results = &self.program.nodes[node].results;
        let activations = self.program.nodes[node].operands.iter().zip(is_input).filter(|(id, _)| self.program.value(**id).ty.tensor().is_some());
        if !picks_elements(&self.program.nodes[node].op) || activations.clone().count() != 1 || !activations.clone().all(|(_, is_input)| *is_input) {
            return Ok(None);
        }
        if self.quantized.is_empty() {
            return Ok(Some(self.live.iter().map(|live| results.iter().filter_map(|id| live[id.index()].clone()).collect()).collect()));
        }
        let run = |(sample, live): (usize, &Live)| {
            let mut results = Vec::new();
            let fail = |source| QuantError::Run { sample, what: self.what[sample].clone(), source };
            op.run(&self.operands(node, live), &mut results).map_err(fail)?;
            Ok(results.into_iter().map(Arc::new).collect())
        };
        self.quantized.par_iter().enumerate().map(run).collect::<Result<Vec<_>, QuantError>>().map(Some)
    }

    /// The threshold with which a node's results come nearest to the float ones over the samples, all of `inputs` quantized
    /// with it.
    fn best(&self, node: usize, inputs: &[ValueId], mut search: Search) -> Result<f64, QuantError> {
        let op = self.network.prepare(node).map_err(self.at(node))?;
        let float_results = |live| self.program.nodes[node].results.iter().filter_map(move |id| activation(live, *id)).collect();
        let references: Vec<Reference> = self.live.iter().map(|live| Reference::new(float_results(live))).collect();
        let from = if self.quantized.is_empty() { &self.live } else { &self.quantized };
        let is_input: Vec<bool> = self.program.nodes[node].operands.iter().map(|id| inputs.contains(id)).collect();
        let picked = self.picked(node, &is_input, &*op)?;
        let near = if picked.is_none() { self.network.prepare_near(node).map_err(self.at(node))? } else { None };
        let distance = |op: &dyn PreparedOp, candidate: f64, sample: usize| {
            let mut scratch = self.idle().pop().unwrap_or_default();
            let fail = |source| QuantError::Run { sample, what: self.what[sample].clone(), source };
            let results = if let Some(picked) = &picked {
                scratch.quantize(&picked[sample], candidate).map_err(fail)?
            } else {
                let thresholds: Vec<Option<f64>> = is_input.iter().map(|is_input| is_input.then_some(candidate)).collect();
                scratch.run(op, &self.operands(node, &from[sample]), &thresholds).map_err(fail)?
            };
            let distance = references[sample].distance(results.iter().filter_map(Tensor::as_f32));
            self.idle().push(scratch);
            Ok(distance)
        };
        loop {
            let candidates: Vec<f64> = search.grid().iter().collect();
            let exact = |candidate: f64, sample: usize| distance(&*op, candidate, sample);
            let means = match &near {
                Some(near) => least_means_of_near(&candidates, self.live.len(), &|candidate, sample| distance(&**near, candidate, sample), &exact)?,
                None => least_means(&candidates, self.live.len(), 0.0, &exact)?,
            };
            if !search.take(&means) {
                return Ok(search.best());
            }
        }
    }
}

/// The mean distance of each candidate over the samples; of those that are certainly not the smallest, some larger number than that.
/// Sums only grow with further samples: a candidate is given up once those so far make more than another's mean, by `margin` of that.
fn least_means(candidates: &[f64], samples: usize, margin: f64, distance: &(impl Fn(f64, usize) -> Result<f64, QuantError> + Sync)) -> Result<Vec<f64>, QuantError> {
    let sums = candidates.par_iter().map(|&candidate| distance(candidate, 0)).collect::<Result<Vec<f64>, QuantError>>()?;
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| sums[a].total_cmp(&sums[b]));
    // Positive floats are ordered as their bits are.
    let least = AtomicU64::new(f64::INFINITY.to_bits());
    let total = |candidate: usize| {
        let mut sum = sums[candidate];
        for sample in 1..samples {
            // The first one is what the others are held against, even if it is no number.
            if candidate > 0 && sum / samples as f64 > f64::from_bits(least.load(Ordering::Relaxed)) * (1.0 + margin) {
                break;
            }
            sum += distance(candidates[candidate], sample)?;
        }
        let mean = sum / samples as f64;
        if mean >= 0.0 {
            least.fetch_min(mean.to_bits(), Ordering::Relaxed);
        }
        Ok((candidate, mean))
    };
    // Those that seem best come first.
    let found = order.into_iter().par_bridge().map(total).collect::<Result<Vec<(usize, f64)>, QuantError>>()?;
    let mut means = vec![f64::INFINITY; candidates.len()];
    found.into_iter().for_each(|(candidate, mean)| means[candidate] = mean);
    Ok(means)
}

/// Distances that were measured nearly are trusted as far as this part of them. Results that are off by 2^-14 of their products, at
/// random, change a distance by about a millionth of it.
const NEAR: f64 = 1.0 / 1024.0;

/// As [`least_means`]: near distances tell which candidates may have the smallest mean, exact ones which of them has.
fn least_means_of_near<D>(candidates: &[f64], samples: usize, near: &D, exact: &(impl Fn(f64, usize) -> Result<f64, QuantError> + Sync)) -> Result<Vec<f64>, QuantError>
where
    D: Fn(f64, usize) -> Result<f64, QuantError> + Sync,
{
    let mut means = least_means(candidates, samples, NEAR, near)?;
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let may_win: Vec<usize> = (0..candidates.len()).filter(|&c| means[c].is_nan() || means[c] <= least * (1.0 + NEAR)).collect();
    let few: Vec<f64> = may_win.iter().map(|&c| candidates[c]).collect();
    means.fill(f64::INFINITY);
    for (candidate, mean) in may_win.into_iter().zip(least_means(&few, samples, 0.0, exact)?) {
        means[candidate] = mean;
    }
    Ok(means)
}

/// Whether an op only picks elements of its operands, by their order at most. Rounding to 8 bits never changes an order, so
/// that it may come behind such an op as well as before it.
fn picks_elements(op: &Op) -> bool {
    match op {
        Op::TopMaxPool(pool) => pool.relu_limit <= 0.0,
        Op::TopRelu(relu) => relu.relu_limit <= 0.0,
        Op::TopPermute(_) | Op::TopReshape(_) | Op::TopSlice(_) => true,
        _ => false,
    }
}

/// Keeps a node's results of every sample.
fn store(live: &mut [Live], ids: &[ValueId], results: Vec<Vec<Tensor>>) {
    for (live, results) in live.iter_mut().zip(results) {
        for (id, result) in ids.iter().zip(results) {
            live[id.index()] = Some(Arc::new(result));
        }
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
    /// Runs an op with the operands that have a threshold fake-quantized by it.
    fn run(&mut self, op: &dyn PreparedOp, operands: &[Option<&Tensor>], thresholds: &[Option<f64>]) -> Result<&[Tensor], NetworkError> {
        self.quantized.resize(operands.len(), None);
        for ((quantized, operand), threshold) in self.quantized.iter_mut().zip(operands).zip(thresholds) {
            let Some((threshold, (tensor, x))) = threshold.zip(operand.and_then(|t| Some((t, t.as_f32()?)))) else { continue };
            *quantized = Some(fake_quantized(tensor, x, threshold, quantized.take())?);
        }
        let pick = |((quantized, operand), threshold): ((_, &Option<_>), &Option<f64>)| if threshold.is_some() { Option::as_ref(quantized) } else { *operand };
        let operands: Vec<Option<&Tensor>> = self.quantized.iter().zip(operands).zip(thresholds).map(pick).collect();
        op.run(&operands, &mut self.results)?;
        Ok(&self.results)
    }

    /// Fake-quantized versions of tensors; of floats only.
    fn quantize(&mut self, tensors: &[Arc<Tensor>], threshold: f64) -> Result<&[Tensor], NetworkError> {
        let mut reused = std::mem::take(&mut self.results).into_iter();
        for (tensor, x) in tensors.iter().filter_map(|t| Some((t, t.as_f32()?))) {
            self.results.push(fake_quantized(tensor, x, threshold, reused.next())?);
        }
        Ok(&self.results)
    }
}

/// The elements `x` of a tensor, rounded to 8 bits and back; in the memory of `reused`.
fn fake_quantized(tensor: &Tensor, x: &[f32], threshold: f64, reused: Option<Tensor>) -> Result<Tensor, NetworkError> {
    let mut values = match reused.map(Tensor::into_data) {
        Some(Data::F32(values)) => values,
        _ => Vec::new(),
    };
    values.resize(x.len(), 0.0);
    simd::fake_quantize(x, (127.0 / threshold) as f32, &mut values);
    Ok(Tensor::f32(tensor.shape(), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{CalibrationOptions, gather};
    use crate::method::Method;
    use crate::statistics::Statistics;
    use crate::source::no_progress;
    use crate::testing::{TwoOps, samples};

    fn tuned(low: f64, options: &TuneOptions) -> (Vec<Row>, Statistics) {
        let (network, samples) = (TwoOps::new(300), samples(6, 300));
        let statistics = gather(&network, &samples[..], &CalibrationOptions { methods: Method::Max.into(), ..CalibrationOptions::default() }, &no_progress).unwrap();
        let mut thresholds = statistics.thresholds(Method::Max).unwrap();
        thresholds.iter_mut().for_each(|t| t.threshold *= low);
        tune(&network, &samples[..], &statistics.absmax(), &mut thresholds, options, &no_progress).unwrap();
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
        let near = TuneOptions { rules: Rules { min_difference: 100.0, ..Rules::default() }, ..TuneOptions::default() };
        let none = TuneOptions { tune_num: 0, ..TuneOptions::default() };
        for options in [near, none] {
            let (thresholds, statistics) = tuned(0.25, &options);
            thresholds.iter().zip(&statistics.tensors).for_each(|(t, s)| assert_eq!(t.threshold, 0.25 * f64::from(s.absmax())));
        }
    }

    #[test]
    fn quantized_inputs_tune_as_well() {
        let (thresholds, statistics) = tuned(0.25, &TuneOptions { quantized_inputs: true, ..TuneOptions::default() });
        assert!(thresholds[1].threshold > 0.3 * f64::from(statistics.tensors[1].absmax()));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads| tuned(0.3, &TuneOptions { threads, ..TuneOptions::default() }).0;
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn candidates_that_are_given_up_would_not_have_won() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..300 {
            // Few values, so that means are often equal.
            let (count, samples) = (1 + random(25) as usize, 1 + random(6) as usize);
            let table: Vec<f64> = (0..count * samples).map(|_| if round % 10 == 0 && random(40) == 0 { f64::NAN } else { random(5) as f64 / 3.0 }).collect();
            let candidates: Vec<f64> = (0..count).map(|c| c as f64).collect();
            let runs = std::sync::atomic::AtomicUsize::new(0);
            let found = least_means(&candidates, samples, 0.0, &|c, sample| {
                runs.fetch_add(1, Ordering::Relaxed);
                Ok(table[c as usize * samples + sample])
            }).unwrap();
            let all: Vec<f64> = table.chunks(samples).map(|of_one| of_one.iter().sum::<f64>() / samples as f64).collect();
            let winner = |means: &[f64]| means.iter().enumerate().fold((0, means[0]), |best, (i, &mean)| if mean < best.1 { (i, mean) } else { best }).0;
            assert_eq!(winner(&found), winner(&all), "{table:?}");
            assert!(runs.into_inner() <= table.len());
            let exact = |c: f64, sample: usize| Ok(table[c as usize * samples + sample]);
            let near = |c: f64, sample: usize| exact(c, sample).map(|d| d * (1.0 + (c - 12.0) * 1e-6));
            assert_eq!(winner(&least_means_of_near(&candidates, samples, &near, &exact).unwrap()), winner(&all), "near: {table:?}");
        }
    }

    #[test]
    fn values_die_after_their_last_reader() {
        let dead = dead_after(&TwoOps::new(4).program);
        let names = |node: usize| dead[node].iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!((names(0), names(1), names(2)), (vec![0], vec![], vec![1, 2, 3]));
    }
}
