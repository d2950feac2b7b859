//! Cross-layer weight equalization: channels of two convolutions in a row get the same range of weights, so that one scale per
//! tensor between them serves all channels. In go a Top program and its weights, out come new weights for the same program.
//!
//! Channel `c` of the first convolution is divided by `s`, what the second one reads of it is multiplied by `s`:
//! `s = r1 / sqrt(r1 * r2)` with `r` the largest magnitude of the channel's weights (Nagel et al., "Data-Free Quantization
//! Through Weight Equalization and Bias Correction", section 4.1). A ReLU between them commutes with a positive factor; one with an
//! upper limit does not, and the network computes something else then ([`Pair::limited`]).

use crate::error::QuantError;
use std::collections::HashMap;
use tpuc_ops::{Op, Program, Source, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

/// Ranges below this count as zero.
const SMALLEST_RANGE: f32 = 1e-6;
/// A pair is done when a further step would change the weights by less than this (sum of two Frobenius norms).
const CONVERGED: f64 = 1e-4;
/// One step makes the ranges equal up to rounding. More steps than this only move the last bits of very large weights.
const MAX_STEPS: usize = 20;

/// So many pairs are named in a warning.
const NAMED_PAIRS: usize = 6;

/// Two convolutions in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Node of the first one.
    pub first: usize,
    /// Node of the second one.
    pub second: usize,
    /// Between them is a ReLU with an upper limit.
    pub limited: bool,
}

/// What happened to a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct EqualizedPair {
    /// Layer names.
    pub first: String,
    pub second: String,
    /// Groups of the second convolution.
    pub groups: usize,
    pub limited: bool,
    /// By how much each step would change the weights; the last one was not taken any more.
    pub losses: Vec<f64>,
}

/// The new weights and the pairs in the order in which they were equalized.
#[derive(Debug, Clone)]
pub struct Equalized {
    pub weights: WeightStore,
    pub pairs: Vec<EqualizedPair>,
    /// Pairs left alone because of a limited ReLU: their layer names.
    pub skipped: Vec<(String, String)>,
}

impl Equalized {
    /// One line that names the pairs with a limited ReLU, if there are any.
    pub fn limit_warning(&self) -> Option<String> {
        let limited: Vec<_> = self.pairs.iter().filter(|p| p.limited).map(|p| format!("{} --- {}", p.first, p.second)).collect();
        let text = "a ReLU with an upper limit stands between these convolutions; equalizing them changes what the network computes";
        let more = limited.len().saturating_sub(NAMED_PAIRS);
        let more = if more > 0 { format!(" and {more} more pairs") } else { String::new() };
        (!limited.is_empty()).then(|| format!("{text}: {}{more}", limited[..limited.len().min(NAMED_PAIRS)].join(", ")))
    }

    /// The reference's log lines.
    pub fn log(&self) -> Vec<String> {
        let step = |pair: &EqualizedPair, (number, loss): (usize, &f64)| {
            let EqualizedPair { first, second, groups, .. } = pair;
            [format!("Cross Layer WE: {first} --- {second} Groups: {groups} Iter: {}", number + 1), format!(">>>loss:{}", python_float(*loss))]
        };
        self.pairs.iter().flat_map(|pair| pair.losses.iter().enumerate().flat_map(move |l| step(pair, l))).collect()
    }
}

/// A number as Python prints it: small ones as `2.9e-07`.
fn python_float(value: f64) -> String {
    if value == 0.0 || value.abs() >= 1e-4 {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once("e-") {
        Some((mantissa, exponent)) => format!("{mantissa}e-{exponent:0>2}"),
        None => text,
    }
}

/// The pairs of a program, in execution order of the first: nobody but the second convolution reads the result of the first
/// (or of the one ReLU, PReLU or leaky ReLU behind it), both have constant weights, and nobody else has those.
pub fn pairs(program: &Program) -> Vec<Pair> {
    let users = program.users();
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for id in program.nodes.iter().flat_map(|n| &n.operands) {
        let value = program.value(*id);
        if value.source == Source::Weight {
            *readers.entry(value.name.as_str()).or_default() += 1;
        }
    }
    let own = |id: ValueId| {
        let value = program.value(id);
        value.source == Source::Weight && readers.get(value.name.as_str()) == Some(&1)
    };
    // A convolution whose filter, and bias if it has one, are its own.
    let adjustable = |node: usize| {
        let operands = &program.nodes[node].operands;
        let bias = operands.get(2).is_none_or(|&b| program.value(b).source == Source::None || own(b));
        matches!(program.nodes[node].op, Op::TopConv(_)) && operands.get(1).is_some_and(|&f| own(f)) && bias
    };
    let sole_user = |node: usize| {
        let &[result] = &program.nodes[node].results[..] else { return None };
        match users[result.index()][..] {
            [user] if !program.outputs.contains(&result) && program.nodes[user].operands.first() == Some(&result) => Some(user),
            _ => None,
        }
    };
    let mut found = Vec::new();
    for first in (0..program.nodes.len()).filter(|&n| adjustable(n)) {
        let Some(mut next) = sole_user(first) else { continue };
        let mut limited = has_limit(&program.nodes[first].op);
        if matches!(program.nodes[next].op.name(), "top.Relu" | "top.PRelu" | "top.LeakyRelu") {
            limited |= has_limit(&program.nodes[next].op);
            match sole_user(next) {
                Some(behind) => next = behind,
                None => continue,
            }
        }
        if adjustable(next) {
            found.push(Pair { first, second: next, limited });
        }
    }
    found
}

fn has_limit(op: &Op) -> bool {
    match op {
        Op::TopConv(conv) => conv.do_relu && conv.relu_limit > 0.0,
        Op::TopRelu(relu) => relu.relu_limit > 0.0,
        _ => false,
    }
}

/// Equalizes the pairs one after the other. With `skip_limited` those with a limited ReLU between them stay as they are.
///
/// Errors: a weight that is missing or has another number of elements than its type says.
pub fn equalize(program: &Program, weights: &WeightStore, skip_limited: bool) -> Result<Equalized, QuantError> {
    let mut out = Equalized { weights: weights.clone(), pairs: Vec::new(), skipped: Vec::new() };
    for pair in pairs(program) {
        let (first, second) = (program.node_name(pair.first).to_owned(), program.node_name(pair.second).to_owned());
        if pair.limited && skip_limited {
            out.skipped.push((first, second));
            continue;
        }
        let (first_filter, second_filter) = (program.nodes[pair.first].operands[1], program.nodes[pair.second].operands[1]);
        let bias = program.nodes[pair.first].operands.get(2).copied().filter(|&b| program.value(b).source == Source::Weight);
        let mut w1 = Filter::read(program, &out.weights, &first, first_filter)?;
        let mut w2 = Filter::read(program, &out.weights, &second, second_filter)?;
        let mut b1 = bias.map(|b| Filter::read(program, &out.weights, &first, b)).transpose()?;
        let divides = |d: usize, n: usize| d != 0 && n.is_multiple_of(d);
        if !divides(w2.columns, w1.rows) || !divides(w1.rows / w2.columns, w2.rows) || b1.as_ref().is_some_and(|b| b.data.len() != w1.rows) {
            let reason = format!("of shape {:?} does not fit convolution '{second}' of shape {:?}", w1.shape, w2.shape);
            return Err(QuantError::Weight { layer: first, weight: w1.name, reason });
        }
        let losses = equalize_pair(&mut w1, b1.as_mut().map(|b| &mut b.data[..]), &mut w2);
        out.pairs.push(EqualizedPair { first, second, groups: w1.rows / w2.columns, limited: pair.limited, losses });
        for filter in [w1, w2].into_iter().chain(b1) {
            let Ok(tensor) = Tensor::f32(&filter.shape, filter.data) else { continue };
            out.weights.insert(filter.name, tensor);
        }
    }
    Ok(out)
}

/// A weight `[rows, columns, ...]` under its name.
struct Filter {
    name: String,
    shape: Vec<usize>,
    rows: usize,
    columns: usize,
    /// Elements of one row and column.
    area: usize,
    data: Vec<f32>,
}

impl Filter {
    fn read(program: &Program, weights: &WeightStore, layer: &str, id: ValueId) -> Result<Filter, QuantError> {
        let name = program.value(id).name.clone();
        let shape = program.tensor_type(id).map(tpuc_ops::TensorType::dims).unwrap_or_default();
        let fail = |reason: &str| QuantError::Weight { layer: layer.to_owned(), weight: name.clone(), reason: reason.into() };
        let data = weights.get(&name).ok_or_else(|| fail("is missing"))?.to_f32();
        if data.len() != shape.iter().product::<usize>() || shape.is_empty() {
            return Err(fail(&format!("has {} elements, its type is {shape:?}", data.len())));
        }
        let (rows, columns) = (shape[0], shape.get(1).copied().unwrap_or(1));
        let area = shape.iter().skip(2).product();
        Ok(Filter { name, shape, rows, columns, area, data })
    }

    fn block(&self, row: usize, column: usize) -> &[f32] {
        let start = (row * self.columns + column) * self.area;
        &self.data[start..start + self.area]
    }

    fn scale_block(&mut self, row: usize, column: usize, factor: impl Fn(f32) -> f32) {
        let start = (row * self.columns + column) * self.area;
        self.data[start..start + self.area].iter_mut().for_each(|v| *v = factor(*v));
    }
}

/// Steps until a further one would change nothing; returns what each would change. `b1` is the first one's bias `[rows]`.
fn equalize_pair(w1: &mut Filter, mut b1: Option<&mut [f32]>, w2: &mut Filter) -> Vec<f64> {
    let mut losses = Vec::new();
    for _ in 0..MAX_STEPS {
        let scales: Vec<f32> = (0..w1.rows).map(|channel| scale(range_of_row(w1, channel), range_of_input(w1, w2, channel))).collect();
        let loss = step_size(w1, w2, &scales);
        losses.push(loss);
        // An infinite weight makes no step smaller than the limit, nor any sense.
        if loss < CONVERGED || !loss.is_finite() {
            break;
        }
        for (channel, &s) in scales.iter().enumerate() {
            for column in 0..w1.columns {
                w1.scale_block(channel, column, |v| v / s);
            }
            for row in readers(w1, w2, channel) {
                w2.scale_block(row, channel % w2.columns, |v| v * s);
            }
            if let Some(bias) = b1.as_deref_mut() {
                bias[channel] /= s;
            }
        }
    }
    losses
}

/// The rows of the second filter that read a channel: those of its group.
fn readers(w1: &Filter, w2: &Filter, channel: usize) -> std::ops::Range<usize> {
    let rows = w2.rows / (w1.rows / w2.columns);
    let group = channel / w2.columns;
    group * rows..(group + 1) * rows
}

fn magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m: f32, v| if v.abs() > m || v.is_nan() { v.abs() } else { m })
}

fn range_of_row(w1: &Filter, channel: usize) -> f32 {
    let row = w1.columns * w1.area;
    magnitude(&w1.data[channel * row..(channel + 1) * row])
}

fn range_of_input(w1: &Filter, w2: &Filter, channel: usize) -> f32 {
    readers(w1, w2, channel).map(|row| magnitude(w2.block(row, channel % w2.columns))).fold(0.0, |m: f32, v| if v > m || v.is_nan() { v } else { m })
}

/// The factor of a channel; 1 where a range is zero or no number.
fn scale(first: f32, second: f32) -> f32 {
    let floor = |range: f32| if range < SMALLEST_RANGE { 0.0 } else { range };
    let (first, second) = (floor(first), floor(second));
    let s = first / (first * second).sqrt();
    if s.is_finite() && s > 0.0 { s } else { 1.0 }
}

/// By how much a step changes both filters: the sum of the Frobenius norms.
fn step_size(w1: &Filter, w2: &Filter, scales: &[f32]) -> f64 {
    let mut squares = [0f64; 2];
    for (channel, &s) in scales.iter().enumerate() {
        let row = w1.columns * w1.area;
        let change = |&v: &f32| f64::from(v - v / s).powi(2);
        squares[0] += w1.data[channel * row..(channel + 1) * row].iter().map(change).sum::<f64>();
        for row in readers(w1, w2, channel) {
            squares[1] += w2.block(row, channel % w2.columns).iter().map(|&v| f64::from(v - v * s).powi(2)).sum::<f64>();
        }
    }
    squares[0].sqrt() + squares[1].sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_ops::{TensorType, top};

    /// A chain of convolutions over 1x1 pictures; each is (channels, channels a group of the filter, limit of its ReLU).
    fn chain(input: i64, layers: &[(i64, i64, f64)]) -> (Program, WeightStore) {
        let (mut program, mut weights) = (Program::new("chain"), WeightStore::new());
        let ty = |c: i64| TensorType::f32(&[1, c, 1, 1]);
        let argument = program.add_input("x", ty(input));
        let mut value = program.push(top::Input::default(), &[argument], "x", ty(input));
        let mut channels = input;
        for (index, &(output, columns, limit)) in layers.iter().enumerate() {
            let name = format!("c{index}");
            let filter = program.add_weight(format!("{name}_w"), TensorType::f32(&[output, columns, 1, 1]));
            let bias = program.add_weight(format!("{name}_b"), TensorType::f32(&[output]));
            let noise = |i: usize| (((i * 7919 + index * 131) % 997) as f32 / 500.0 - 1.0) * (1 + i % 5) as f32;
            let data = |n: i64| (0..n as usize).map(noise).collect::<Vec<_>>();
            weights.insert(format!("{name}_w"), Tensor::f32(&[output as usize, columns as usize, 1, 1], data(output * columns)).unwrap());
            weights.insert(format!("{name}_b"), Tensor::f32(&[output as usize], data(output)).unwrap());
            let group = channels / columns;
            let conv = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], group, do_relu: true, relu_limit: limit, ..Default::default() };
            value = program.push(conv, &[value, filter, bias], name, ty(output));
            channels = output;
        }
        program.outputs = vec![value];
        (program, weights)
    }

    fn run(program: &Program, weights: &WeightStore) -> Vec<f32> {
        let plan = std::sync::Arc::new(tpuc_interp::Plan::new(program.clone(), weights, tpuc_interp::Options { threads: 1, ..Default::default() }).unwrap());
        let dims = program.tensor_type(program.inputs[0]).unwrap().dims();
        let x = Tensor::f32(&dims, (0..dims[1]).map(|i| (i as f32 * 1.7).sin()).collect()).unwrap();
        plan.executor().unwrap().outputs(&[&x]).unwrap()[0].to_f32()
    }

    #[test]
    fn ranges_become_equal_and_the_function_stays() {
        // A grouped convolution in the middle: 6 channels in 3 groups.
        let (program, weights) = chain(4, &[(6, 4, -1.0), (9, 2, -1.0), (5, 9, -1.0)]);
        let equalized = equalize(&program, &weights, false).unwrap();
        assert_eq!(equalized.pairs.iter().map(|p| (p.first.as_str(), p.second.as_str(), p.groups)).collect::<Vec<_>>(), [("c0", "c1", 3), ("c1", "c2", 1)]);
        assert!(equalized.pairs.iter().all(|p| p.losses.len() == 2 && p.losses[0] > 0.1 && p.losses[1] < 1e-4), "{:?}", equalized.pairs);
        let (before, after) = (run(&program, &weights), run(&program, &equalized.weights));
        assert!(before.iter().any(|v| *v > 0.1));
        before.iter().zip(&after).for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}"));
        let read = |name: &str| equalized.weights.get(name).unwrap().to_f32();
        let (w1, w2) = (read("c1_w"), read("c2_w"));
        for channel in 0..9 {
            let r1 = magnitude(&w1[channel * 2..][..2]);
            let r2 = magnitude(&(0..5).map(|row| w2[row * 9 + channel]).collect::<Vec<_>>());
            assert!((r1 / r2 - 1.0).abs() < 1e-5, "{channel}: {r1} {r2}");
        }
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let (program, weights) = chain(3, &[(8, 3, 6.0), (4, 8, -1.0)]);
        let once = equalize(&program, &weights, false).unwrap();
        let twice = equalize(&program, &once.weights, false).unwrap();
        assert_eq!(twice.pairs[0].losses.len(), 1);
        once.weights.iter().for_each(|(name, tensor)| assert_eq!(twice.weights.get(name), Some(tensor)));
        // The store that was given is as it was.
        assert_ne!(weights.get("c0_w"), once.weights.get("c0_w"));
    }

    #[test]
    fn limits_are_marked_and_can_be_skipped() {
        let (program, weights) = chain(3, &[(8, 3, 6.0), (4, 8, -1.0), (4, 4, -1.0)]);
        let all = equalize(&program, &weights, false).unwrap();
        assert_eq!(all.pairs.iter().map(|p| p.limited).collect::<Vec<_>>(), [true, false]);
        let some = equalize(&program, &weights, true).unwrap();
        assert_eq!((some.pairs.len(), some.skipped.as_slice()), (1, &[("c0".to_owned(), "c1".to_owned())][..]));
        assert_eq!(some.weights.get("c0_w"), weights.get("c0_w"));
    }

    #[test]
    fn what_somebody_else_reads_stays() {
        let (mut program, _) = chain(3, &[(3, 3, -1.0), (3, 3, -1.0), (3, 3, -1.0)]);
        assert_eq!(pairs(&program).len(), 2);
        // The first one's result is an output.
        let first = program.nodes[1].results[0];
        program.outputs.push(first);
        assert_eq!(pairs(&program).iter().map(|p| p.first).collect::<Vec<_>>(), [2]);
        // The last two share a filter.
        program.nodes[3].operands[1] = program.nodes[2].operands[1];
        assert!(pairs(&program).is_empty());
    }

    #[test]
    fn the_log_is_that_of_the_reference() {
        let (program, weights) = chain(3, &[(8, 3, 6.0), (4, 8, -1.0)]);
        let log = equalize(&program, &weights, false).unwrap().log();
        assert_eq!((log[0].as_str(), log[2].as_str(), log.len()), ("Cross Layer WE: c0 --- c1 Groups: 1 Iter: 1", "Cross Layer WE: c0 --- c1 Groups: 1 Iter: 2", 4));
        assert_eq!((python_float(2.5e-7), python_float(1e-12), python_float(0.5), python_float(0.0)), ("2.5e-07".into(), "1e-12".into(), "0.5".into(), "0.0".into()));
    }

    #[test]
    fn ranges_of_zero_and_nonsense_have_the_factor_one() {
        assert_eq!((scale(0.0, 1.0), scale(1.0, 0.0), scale(9e-7, 1.0), scale(f32::NAN, 1.0), scale(f32::INFINITY, 1.0), scale(1e38, 1e38)), (1.0, 1.0, 1.0, 1.0, 1.0, 1.0));
        assert_eq!(scale(4.0, 1.0), 2.0);
    }
}
