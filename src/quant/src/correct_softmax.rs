//! Softmax correction: attention weights are scaled so that their largest ones use all of the 8 bits.
//!
//! For a softmax that only a matrix product reads (as its left operand): `m` is the mean of the rows' maxima, per head, over
//! samples and rows. A Mul by `1/m` comes behind the softmax, a Mul by `m` behind the product; the first one's threshold is 1, so that
//! what exceeds it saturates. In float the network stays the same.

use crate::calibrate::load;
use crate::error::QuantError;
use crate::float_layers::Graph;
use crate::insert::{Copy, unique};
use crate::network::{ElementOrder, Network};
use crate::source::{Progress, SampleSource};
use rayon::prelude::*;
use std::collections::HashMap;
use tpuc_lowering::table::Row;
use tpuc_ops::{Op, Program, TensorType, ValueId, top};
use tpuc_tensor::{Tensor, WeightStore};

/// The thresholds of corrected softmaxes.
const THRESHOLD: f64 = 1.0;

/// A softmax with the product behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    pub softmax: usize,
    pub product: usize,
    /// The dimension of the heads.
    pub head: usize,
}

/// The softmaxes that can be corrected. The last dimension is the one that sums up to 1; of three dimensions the first are the
/// heads, of four the second. The product keeps the dimension of the heads where it is, and is no output.
pub fn attentions(program: &Program) -> Vec<Attention> {
    let graph = Graph::new(program);
    let shape = |node: usize| program.nodes[node].results.first().and_then(|&r| program.tensor_type(r)).map_or(&[][..], |t| &t.shape);
    let fits = |softmax: usize| {
        let Op::TopSoftmax(op) = &program.nodes[softmax].op else { return None };
        let product = graph.only_after(softmax)?;
        let Op::TopMatMul(matmul) = &program.nodes[product].op else { return None };
        let (from, to) = (shape(softmax), shape(product));
        let head = match from.len() {
            3 => 0,
            4 => 1,
            _ => return None,
        };
        let along_last = i64::from(op.axis) == -1 || i64::from(op.axis) == from.len() as i64 - 1;
        let plain = !op.log && along_last && !matmul.left_transpose && !matmul.output_transpose && !matmul.hdim_is_batch && !matmul.do_relu;
        let reads = graph.before(product).len() == 2 && graph.before(product)[0] == softmax;
        let keeps = to.len() == from.len() && to[head] == from[head];
        let bias = program.nodes[product].operands.get(2).is_some_and(|&b| !program.value(b).ty.is_none());
        (plain && reads && keeps && !bias && !graph.is_output(softmax) && !graph.is_output(product)).then_some(Attention { softmax, product, head })
    };
    (0..graph.len()).filter_map(fits).collect()
}

/// A network with corrected softmaxes.
#[derive(Debug, Clone)]
pub struct CorrectedSoftmax {
    pub program: Program,
    pub weights: WeightStore,
    /// The softmaxes' layer names.
    pub corrected: Vec<String>,
}

/// Finds the scales and inserts the multiplications.
pub fn correct_softmax(network: &impl Network, weights: &WeightStore, source: &(impl SampleSource + ?Sized), threads: usize, progress: Progress) -> Result<CorrectedSoftmax, QuantError> {
    let program = network.program();
    let attentions = attentions(program);
    let mut out = CorrectedSoftmax { program: program.clone(), weights: weights.clone(), corrected: Vec::new() };
    if attentions.is_empty() {
        return Ok(out);
    }
    let scales = scales(network, &attentions, source, threads, progress)?;
    out.program = inserted(program, &attentions, &scales, &mut out.weights)?;
    out.corrected = attentions.iter().map(|a| program.node_name(a.softmax).to_owned()).collect();
    Ok(out)
}

/// Per attention and head: the mean of the rows' maxima.
fn scales(network: &impl Network, attentions: &[Attention], source: &(impl SampleSource + ?Sized), threads: usize, progress: Progress) -> Result<Vec<Vec<f64>>, QuantError> {
    let program = network.program();
    let count = source.count();
    if count == 0 {
        return Err(QuantError::NoSamples);
    }
    let of_value: HashMap<ValueId, usize> = attentions.iter().enumerate().map(|(i, a)| (program.nodes[a.softmax].results[0], i)).collect();
    let one = |sample: usize| -> Result<Vec<Vec<f64>>, QuantError> {
        let inputs = load(source, program, sample)?;
        let mut means = vec![Vec::new(); attentions.len()];
        let mut seen = |id: ValueId, values: &[f32]| {
            if let Some(&index) = of_value.get(&id) {
                let dims = program.tensor_type(id).map(TensorType::dims).unwrap_or_default();
                means[index] = head_means(values, &dims, attentions[index].head);
            }
            true
        };
        let run = network.run(&inputs, ElementOrder::RowMajor, &mut seen);
        run.map_err(|source_error| QuantError::Run { sample, what: source.describe(sample), source: source_error })?;
        Ok(means)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build().map_err(|e| QuantError::Threads(e.to_string()))?;
    let mut sums: Vec<Vec<f64>> = vec![Vec::new(); attentions.len()];
    for start in (0..count).step_by(threads.max(1)) {
        let end = count.min(start + threads.max(1));
        let group: Vec<Result<Vec<Vec<f64>>, QuantError>> = pool.install(|| (start..end).into_par_iter().map(one).collect());
        for means in group {
            for (sum, mean) in sums.iter_mut().zip(means?) {
                sum.resize(mean.len(), 0.0);
                sum.iter_mut().zip(mean).for_each(|(s, m)| *s += m);
            }
        }
        progress(end as f64 / count as f64, "correcting softmax");
    }
    sums.iter_mut().flatten().for_each(|s| *s /= count as f64);
    Ok(sums)
}

/// Per index of the dimension `head`: the mean of the maxima along the last dimension.
fn head_means(values: &[f32], dims: &[usize], head: usize) -> Vec<f64> {
    let heads = dims[head];
    let row = dims.last().copied().unwrap_or(1).max(1);
    // Rows between one index of the head and the next.
    let stride: usize = dims[head + 1..dims.len() - 1].iter().product();
    let mut sums = vec![0f64; heads];
    for (index, row) in values.chunks(row).enumerate() {
        sums[index / stride.max(1) % heads] += f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    }
    let rows_a_head = values.len() / row / heads.max(1);
    sums.iter().map(|s| s / rows_a_head.max(1) as f64).collect()
}

fn inserted(program: &Program, attentions: &[Attention], scales: &[Vec<f64>], weights: &mut WeightStore) -> Result<Program, QuantError> {
    let by_softmax: HashMap<usize, usize> = attentions.iter().enumerate().map(|(i, a)| (a.softmax, i)).collect();
    let by_product: HashMap<usize, usize> = attentions.iter().enumerate().map(|(i, a)| (a.product, i)).collect();
    // By value of the new program: what its readers read instead.
    let replaced = std::cell::RefCell::new(HashMap::<ValueId, ValueId>::new());
    let mut failed = None;
    let result = Copy::run(
        program,
        |_, _, operands| operands.iter_mut().for_each(|o| *o = replaced.borrow().get(o).copied().unwrap_or(*o)),
        |copy, node| {
            let (index, is_first) = match (by_softmax.get(&node), by_product.get(&node)) {
                (Some(&index), _) => (index, true),
                (None, Some(&index)) => (index, false),
                (None, None) => return,
            };
            let attention = attentions[index];
            let softmax = program.node_name(attention.softmax);
            let factors: Vec<f32> = scales[index].iter().map(|&m| if is_first { (1.0 / m) as f32 } else { m as f32 }).collect();
            if let Some(&found) = factors.iter().find(|f| !f.is_finite() || **f <= 0.0) {
                failed.get_or_insert(QuantError::Weight { layer: softmax.to_owned(), weight: "scale of a head".into(), reason: format!("is {found}: the rows of this softmax have no maximum above 0") });
                return;
            }
            let old = program.nodes[node].results[0];
            let ty = program.tensor_type(old).cloned().unwrap_or_else(|| TensorType::f32(&[]));
            let mut shape = vec![1i64; ty.shape.len()];
            shape[attention.head] = factors.len() as i64;
            let weight = unique(&copy.program, format!("{softmax}_Smc_{}Weight", if is_first { "Inv_" } else { "" }));
            let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
            if let Ok(tensor) = Tensor::f32(&dims, factors) {
                weights.insert(weight.clone(), tensor);
            }
            let factor = copy.program.add_weight(weight, TensorType::f32(&shape));
            let input = copy.value(old);
            let name = unique(&copy.program, format!("{}_Smc_{}Mul", program.node_name(node), if is_first { "Inv_" } else { "" }));
            let scaled = copy.program.push(top::Mul::default(), &[input, factor], name, ty);
            replaced.borrow_mut().insert(input, scaled);
        },
    );
    failed.map_or(Ok(result), Err)
}

/// Sets the rows of corrected softmaxes (a Mul that reads a softmax and nothing else that is computed) to the range [0, 1], and their
/// absolute maxima with them, so that no tuner raises them.
pub fn fix_thresholds(program: &Program, rows: &mut [Row], absmax: &mut [f64]) {
    let graph = Graph::new(program);
    let corrected = |node: usize| graph.op(node) == "Mul" && graph.only_before(node).is_some_and(|n| graph.op(n) == "Softmax");
    let names: Vec<&str> = (0..graph.len()).filter(|&n| corrected(n)).map(|n| program.node_name(n)).collect();
    for (row, absmax) in rows.iter_mut().zip(absmax).filter(|(row, _)| names.contains(&row.name.as_str())) {
        (row.threshold, row.min, row.max, *absmax) = (THRESHOLD, 0.0, THRESHOLD, THRESHOLD);
    }
}
