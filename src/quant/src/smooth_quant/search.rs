//! The factors that bring 8-bit products nearest to the float ones: two runs over the samples, the first for the ranges of the
//! channels, the second for the losses of all candidates at once. Memory holds one sample's activations a thread.

use super::{Smooth, matrix};
use crate::calibrate::load;
use crate::error::QuantError;
use crate::network::{ElementOrder, Network};
use crate::source::{Progress, SampleSource};
use rayon::prelude::*;
use std::collections::HashMap;
use tpuc_interp::{Options, PreparedNode};
use tpuc_ops::{Op, Program, TensorType, ValueId, ValueType, top};
use tpuc_tensor::{Tensor, WeightStore};

/// Steps of the exponent from 0 to 1.
const EXPONENTS: usize = 21;
/// Steps of the range that outliers are cut down to.
const RANGES: usize = 20;
/// Steps of 8 bits from zero to the largest magnitude.
const STEPS: f32 = 127.0;

/// What was found for a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// One a channel; `None` where no candidate has a loss that is a number.
    pub factors: Option<Vec<f32>>,
    pub loss: [f64; 2],
}

/// A candidate with its weights ready to be multiplied.
struct Candidate {
    factors: Vec<f32>,
    /// The largest magnitude of the scaled activation.
    peak: f32,
}

pub fn search<S: SampleSource + ?Sized>(
    network: &impl Network, weights: &WeightStore, source: &S, smooths: &[Smooth], threads: usize, progress: Progress,
) -> Result<Vec<Best>, QuantError> {
    let program = network.program();
    let runner = Runner { network, source, smooths, threads: threads.max(1) };
    let mut activations: Vec<Vec<f32>> = smooths.iter().map(|s| vec![0.0; channels(program, s)]).collect();
    let peaks = |index: usize, x: &[f32]| peaks(x, channels(program, &smooths[index]));
    runner.each(&peaks, &|done| progress(done * 0.1, "smoothing"), |index, found: Vec<f32>| {
        activations[index].iter_mut().zip(found).for_each(|(a, b)| *a = a.max(b));
    })?;
    let products = smooths.iter().map(|s| Products::new(program, weights, s)).collect::<Result<Vec<_>, _>>()?;
    let candidates: Vec<Vec<Candidate>> = products.iter().zip(&activations).map(|(p, a)| candidates(a, &p.row_peaks())).collect();
    let mut losses: Vec<Vec<f64>> = candidates.iter().map(|c| vec![0.0; c.len()]).collect();
    let failed = std::sync::Mutex::new(None);
    let loss = |index: usize, x: &[f32]| {
        products[index].losses(x, &candidates[index]).unwrap_or_else(|e| {
            failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(e);
            Vec::new()
        })
    };
    runner.each(&loss, &|done| progress(0.1 + done * 0.9, "smoothing"), |index, found: Vec<f64>| {
        losses[index].iter_mut().zip(found).for_each(|(sum, l)| *sum += l);
    })?;
    if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    Ok(candidates.into_iter().zip(losses).map(|(candidates, losses)| best(candidates, &losses)).collect())
}

/// The candidate with the smallest loss, the first one of equals. The last candidate has factors of 1 and only says what there was.
fn best(mut candidates: Vec<Candidate>, losses: &[f64]) -> Best {
    let Some((&before, tried)) = losses.split_last() else { return Best { factors: None, loss: [0.0; 2] } };
    let mut found: Option<(usize, f64)> = None;
    for (index, &loss) in tried.iter().enumerate() {
        if loss.is_finite() && found.is_none_or(|(_, least)| loss < least) {
            found = Some((index, loss));
        }
    }
    match found {
        Some((index, loss)) => Best { factors: Some(candidates.swap_remove(index).factors), loss: [before, loss] },
        None => Best { factors: None, loss: [before, before] },
    }
}

fn channels(program: &Program, smooth: &Smooth) -> usize {
    let result = program.nodes[smooth.node].results[0];
    program.tensor_type(result).and_then(|t| t.shape.last().copied()).unwrap_or(1).max(1) as usize
}

/// The largest magnitude of each channel (the last dimension).
fn peaks(x: &[f32], channels: usize) -> Vec<f32> {
    let mut peaks = vec![0f32; channels];
    for row in x.chunks(channels) {
        peaks.iter_mut().zip(row).for_each(|(p, v)| *p = p.max(v.abs()));
    }
    peaks
}

/// The factors to try, by the peaks of the activation's channels and of the weights' rows.
fn candidates(activation: &[f32], weight: &[f32]) -> Vec<Candidate> {
    let usable = |s: f32| if s.is_finite() { s } else { 1.0 };
    let peak = activation.iter().copied().fold(0f32, f32::max);
    let exponents = (0..EXPONENTS).map(|step| {
        let a = step as f64 * 0.05;
        activation.iter().zip(weight).map(|(&x, &w)| usable(x.powf(a as f32) / w.powf((1.0 - a) as f32))).collect::<Vec<f32>>()
    });
    let ranges = (0..RANGES).map(|step| {
        let range = peak * (1 + step) as f32 / RANGES as f32;
        activation.iter().map(|&x| usable((x / range).max(1.0))).collect()
    });
    let with_peak = |factors: Vec<f32>| {
        let peak = activation.iter().zip(&factors).map(|(x, s)| x / s).fold(0f32, |m, v| if v > m || v.is_nan() { v } else { m });
        Candidate { factors, peak }
    };
    exponents.chain(ranges).chain([vec![1.0; activation.len()]]).map(with_peak).collect()
}

/// The products of one layer.
struct Products {
    channels: usize,
    /// Weights `[channels, N]` and the prepared product of activations with another matrix of that shape.
    weights: Vec<(Vec<f32>, usize, PreparedNode)>,
    /// Rows of the activation `[M, channels]`.
    rows: usize,
}

impl Products {
    fn new(program: &Program, weights: &WeightStore, smooth: &Smooth) -> Result<Products, QuantError> {
        let channels = channels(program, smooth);
        let elements = program.tensor_type(program.nodes[smooth.node].results[0]).map_or(0, TensorType::count) as usize;
        let rows = elements / channels;
        let one = |&reader: &usize| {
            let (_, shape, data) = matrix(weights, program, program.nodes[reader].operands[1])?;
            let columns = shape.last().copied().unwrap_or(1);
            let ty = |a: usize, b: usize| ValueType::from(TensorType::f32(&[a as i64, b as i64]));
            let op = Op::from(top::MatMul::default());
            let operands = [ty(rows, channels), ty(channels, columns), ValueType::None];
            let prepared = PreparedNode::new(program.node_name(reader), &op, &operands, &[ty(rows, columns)], &[None, None, None], Options::default())?;
            Ok((data, columns, prepared))
        };
        Ok(Products { channels, weights: smooth.readers.iter().map(one).collect::<Result<_, QuantError>>()?, rows })
    }

    /// The largest magnitude of each row over all products.
    fn row_peaks(&self) -> Vec<f32> {
        let mut peaks = vec![0f32; self.channels];
        for (data, columns, _) in &self.weights {
            for (peak, row) in peaks.iter_mut().zip(data.chunks((*columns).max(1))) {
                *peak = row.iter().fold(*peak, |m, v| m.max(v.abs()));
            }
        }
        peaks
    }

    /// The loss of every candidate: mean squared differences of the products, summed over them.
    fn losses(&self, x: &[f32], candidates: &[Candidate]) -> Result<Vec<f64>, QuantError> {
        let float = self.weights.iter().map(|(w, columns, p)| self.product(p, x.to_vec(), w.clone(), *columns)).collect::<Result<Vec<_>, _>>()?;
        let one = |candidate: &Candidate| {
            let quantized = quantized_activation(x, candidate);
            let mut loss = 0.0;
            for ((w, columns, prepared), float) in self.weights.iter().zip(&float) {
                let result = self.product(prepared, quantized.clone(), quantized_weight(w, *columns, &candidate.factors), *columns)?;
                let squares: f64 = result.iter().zip(float).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                loss += squares / result.len().max(1) as f64;
            }
            Ok(loss)
        };
        candidates.iter().map(one).collect()
    }

    fn product(&self, prepared: &PreparedNode, x: Vec<f32>, w: Vec<f32>, columns: usize) -> Result<Vec<f32>, QuantError> {
        let fail = |e: tpuc_tensor::tensor::ShapeMismatch| QuantError::Weight { layer: String::new(), weight: "of a product".into(), reason: e.to_string() };
        let (x, w) = (Tensor::f32(&[self.rows, self.channels], x).map_err(fail)?, Tensor::f32(&[self.channels, columns], w).map_err(fail)?);
        let mut results = Vec::new();
        prepared.run(&[Some(&x), Some(&w), None], &mut results)?;
        Ok(results.pop().map(|t| t.to_f32()).unwrap_or_default())
    }
}

/// To the nearest of 255 steps of `scale` and back.
fn quantized(value: f32, scale: f32) -> f32 {
    (value / scale).round_ties_even().clamp(-STEPS, STEPS) * scale
}

fn quantized_activation(x: &[f32], candidate: &Candidate) -> Vec<f32> {
    let scale = candidate.peak / STEPS;
    let channels = candidate.factors.len().max(1);
    x.chunks(channels).flat_map(|row| row.iter().zip(&candidate.factors).map(|(v, s)| quantized(v / s, scale))).collect()
}

/// Each row with a scale of its own, as the reference judges weights.
fn quantized_weight(w: &[f32], columns: usize, factors: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(w.len());
    for (row, &s) in w.chunks(columns.max(1)).zip(factors) {
        let scale = row.iter().fold(0f32, |m, v| m.max((v * s).abs())) / STEPS;
        // A row of zeros stays one.
        out.extend(row.iter().map(|v| if scale == 0.0 { 0.0 } else { quantized(v * s, scale) }));
    }
    out
}

/// Runs the network and looks at the results of the layers.
struct Runner<'a, N, S: ?Sized> {
    network: &'a N,
    source: &'a S,
    smooths: &'a [Smooth],
    threads: usize,
}

impl<N: Network, S: SampleSource + ?Sized> Runner<'_, N, S> {
    /// Calls `look` for every layer of every sample on several threads and hands what it returns to `add` in the order of the samples.
    fn each<T: Send>(&self, look: &(impl Fn(usize, &[f32]) -> T + Sync), progress: &(impl Fn(f64) + Sync), mut add: impl FnMut(usize, T)) -> Result<(), QuantError> {
        let (program, count) = (self.network.program(), self.source.count());
        if count == 0 {
            return Err(QuantError::NoSamples);
        }
        let of_value: HashMap<ValueId, usize> = self.smooths.iter().enumerate().map(|(i, s)| (program.nodes[s.node].results[0], i)).collect();
        let one = |sample: usize| -> Result<Vec<(usize, T)>, QuantError> {
            let inputs = load(self.source, program, sample)?;
            let mut found = Vec::new();
            let mut seen = |id: ValueId, values: &[f32]| {
                found.extend(of_value.get(&id).map(|&index| (index, look(index, values))));
                true
            };
            let run = self.network.run(&inputs, ElementOrder::RowMajor, &mut seen);
            run.map_err(|source| QuantError::Run { sample, what: self.source.describe(sample), source })?;
            Ok(found)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().map_err(|e| QuantError::Threads(e.to_string()))?;
        for start in (0..count).step_by(self.threads) {
            let end = count.min(start + self.threads);
            let group: Vec<_> = pool.install(|| (start..end).into_par_iter().map(one).collect());
            for found in group {
                found?.into_iter().for_each(|(index, value)| add(index, value));
            }
            progress(end as f64 / count as f64);
        }
        Ok(())
    }
}
