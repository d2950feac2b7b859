//! Bias correction: what quantization shifts the mean of a channel by is added to the convolution's bias.
//!
//! In go a Top network, its calibration table and samples; out come new weights. For every convolution with a bias, in
//! execution order, whose 8-bit result is less similar to the float one than `min_layer_cos`:
//! `bias += mean(float) - mean(int8)` per channel, over samples and positions (Nagel et al., "Data-Free Quantization", section 4.2).
//! The network then runs with this one new bias, from that layer on. The bias is kept unless the outputs are less similar
//! than the best ones so far, or the layer is less similar than the best layer so far (whichever layer that was: the reference's rule).
//!
//! As in the reference what a layer reads is always what the uncorrected network computes, so that no candidate depends on an
//! earlier one, and one run over the samples judges all of them ([`measure`]).

mod measure;

use crate::error::QuantError;
use crate::model::Target;
use crate::similarity::ComparedLayers;
use crate::source::{Progress, SampleSource};
use measure::Bench;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use tpuc_interp::{Options as PlanOptions, Plan};
use tpuc_lowering::{CalibrationTable, Chip, QuantizeTable};
use tpuc_ops::{Op, Program, Source, TensorType, ValueId};
use tpuc_tensor::{Tensor, WeightStore};

#[derive(Debug, Clone)]
pub struct BiasOptions {
    pub chip: &'static Chip,
    /// Outputs that are more similar than this need no correction.
    pub expected_cos: f64,
    /// Layers that are at least this similar keep their bias.
    pub min_layer_cos: f64,
    /// Layers whose tensors are compared instead of the outputs, with their weights.
    pub compare: ComparedLayers,
    /// Layers that do not run in 8 bits.
    pub float_layers: Option<QuantizeTable>,
    pub threads: usize,
}

impl Default for BiasOptions {
    fn default() -> BiasOptions {
        let threads = crate::default_threads();
        BiasOptions { chip: &Chip::BM1684X, expected_cos: 0.99, min_layer_cos: 0.99, compare: ComparedLayers::default(), float_layers: None, threads }
    }
}

/// A bias that was tried. Similarities are 0.5 + 0.5 cos, averaged over the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    pub layer: String,
    /// Of the layer's result, before and after.
    pub old_layer_cos: f64,
    pub new_layer_cos: f64,
    /// Of the network's outputs with this correction alone.
    pub outputs_cos: f64,
    pub applied: bool,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Corrected {
    pub program: Program,
    pub weights: WeightStore,
    /// Similarity of the INT8 outputs before; `None` where no convolution has a bias and nothing was run.
    pub int8_cos: Option<f64>,
    pub corrections: Vec<Correction>,
    /// The best similarity that a single correction reached, or that there was before.
    pub best_cos: f64,
    /// Similarity of the outputs with all corrections that were applied, if any was.
    pub together_cos: Option<f64>,
}

impl Corrected {
    pub fn changed(&self) -> bool {
        self.corrections.iter().any(|c| c.applied)
    }

    /// The lines of the log; `mlir` is what it calls the network. The spelling is the reference's.
    pub fn log(&self, mlir: &str, expected_cos: f64) -> Vec<String> {
        let Some(before) = self.int8_cos else {
            return vec!["There is no Conv op with bias in this model(maybe NLP model). You do not have to use bias correction.".into()];
        };
        let mut lines = vec!["run_bias_correction start".into(), format!("run float mode: {mlir}"), format!("run int8 mode: {mlir}")];
        if before > expected_cos {
            lines.push(format!("job success, current int8 cos:{before:.6} is higher than expected_cos:{expected_cos:.6},no need for mix precsion"));
            return lines;
        }
        lines.extend([">>>run result:".into(), format!("int8 outputs_cos:{before:.6} old"), "bias correction statistic:".into()]);
        for c in &self.corrections {
            let Correction { layer, old_layer_cos, new_layer_cos, outputs_cos, applied } = c;
            let what = if *applied { "applied" } else { "revoked" };
            lines.push(format!("  op:{layer}, old layer cos:{old_layer_cos:.6}, new layer cos:{new_layer_cos:.6}, new output cos:{outputs_cos:.6}, {what}"));
        }
        lines.push(format!("best mix model outputs_cos:{:.6}", self.best_cos));
        lines.extend(self.together_cos.map(|cos| format!("all corrections together outputs_cos:{cos:.6}")));
        lines
    }
}

/// A convolution whose bias may change.
struct Candidate {
    /// Node of the Top program, and the value of its bias.
    top: usize,
    bias: ValueId,
    /// Its result in the float and in the INT8 program.
    float: ValueId,
    int8: ValueId,
    channels: usize,
}

/// Corrects the biases of a network that was calibrated with `table`.
pub fn correct_bias(
    top: &Program, weights: &WeightStore, table: &CalibrationTable, source: &(impl SampleSource + ?Sized), options: &BiasOptions, progress: Progress,
) -> Result<Corrected, QuantError> {
    let mut out = Corrected { program: top.clone(), weights: weights.clone(), int8_cos: None, corrections: Vec::new(), best_cos: 0.0, together_cos: None };
    let convolutions = convolutions(top, weights);
    if convolutions.is_empty() {
        return Ok(out);
    }
    let (float, float_weights) = Target { program: top, weights, chip: options.chip }.float_program()?;
    let lowered = |program: &Program, weights: &WeightStore| Target { program, weights, chip: options.chip }.int8_program(table.rows(), options.float_layers.as_ref());
    let (int8, int8_weights) = lowered(top, weights)?;
    let compared = compared(top, &float, &int8, &options.compare.0)?;
    let candidates = candidates(top, &float, &int8, convolutions, &options.compare.0);
    let plan = |program: Program, weights: &WeightStore| Plan::new(program, weights, PlanOptions::default()).map(Arc::new);
    let bench = Bench { float: plan(float, &float_weights)?, int8: plan(int8, &int8_weights)?, compared, source, threads: options.threads };

    let before = bench.layers(&candidates, &share(progress, 0.0..0.3))?;
    out.int8_cos = Some(before.outputs_cos);
    out.best_cos = before.outputs_cos;
    if before.outputs_cos > options.expected_cos {
        return Ok(out);
    }
    let weak: Vec<usize> = (0..candidates.len()).filter(|&c| before.layers[c].cos < options.min_layer_cos).collect();
    let mut trials = Vec::with_capacity(weak.len());
    for &c in &weak {
        let bias = corrected(weights, top, candidates[c].bias, &before.layers[c].shift);
        let (changed, weights) = with_bias(top, weights, &candidates[c], bias);
        let (program, weights) = lowered(&changed, &weights)?;
        trials.push(bench.trial(&candidates[c], &program, &weights)?);
    }
    let results = bench.trials(&candidates, &weak, &trials, &share(progress, 0.3..0.9))?;
    drop(trials);

    let mut best_layer: Option<f64> = None;
    for (&c, result) in weak.iter().zip(&results) {
        let applied = result.outputs_cos >= out.best_cos && best_layer.is_none_or(|best| result.layer_cos >= best);
        out.corrections.push(Correction {
            layer: top.node_name(candidates[c].top).to_owned(),
            old_layer_cos: before.layers[c].cos,
            new_layer_cos: result.layer_cos,
            outputs_cos: result.outputs_cos,
            applied,
        });
        if applied {
            let bias = corrected(weights, top, candidates[c].bias, &before.layers[c].shift);
            (out.program, out.weights) = with_bias(&out.program, &out.weights, &candidates[c], bias);
        }
        out.best_cos = out.best_cos.max(result.outputs_cos);
        best_layer = Some(best_layer.map_or(result.layer_cos, |best| best.max(result.layer_cos)));
        if out.best_cos > options.expected_cos {
            break;
        }
    }
    if out.changed() {
        let (program, weights) = lowered(&out.program, &out.weights)?;
        let bench = Bench { int8: plan(program, &weights)?, ..bench };
        out.together_cos = Some(bench.layers(&[], &share(progress, 0.9..1.0))?.outputs_cos);
    }
    Ok(out)
}

fn share(progress: Progress<'_>, part: Range<f64>) -> impl Fn(f64, &str) + Sync + '_ {
    move |done, what| progress(part.start + done * (part.end - part.start), what)
}

/// The convolutions with a bias of finite numbers, one a channel: node and bias.
fn convolutions(top: &Program, weights: &WeightStore) -> Vec<(usize, ValueId)> {
    let bias = |node: usize| {
        let found = matches!(top.nodes[node].op, Op::TopConv(_)).then(|| top.nodes[node].operands.get(2)).flatten().copied()?;
        let value = top.value(found);
        let channels = top.tensor_type(*top.nodes[node].results.first()?)?.shape.get(1).copied()?;
        let tensor = weights.get(&value.name).filter(|_| value.source == Source::Weight)?;
        (tensor.len() as i64 == channels).then_some((node, found))
    };
    (0..top.nodes.len()).filter_map(bias).collect()
}

/// The convolutions that both programs have under their names, whose result somebody reads, and that lead to a compared layer.
fn candidates(top: &Program, float: &Program, int8: &Program, convolutions: Vec<(usize, ValueId)>, compare: &[(String, f64)]) -> Vec<Candidate> {
    let (float_names, int8_names, int8_users) = (float.names(), int8.names(), int8.users());
    let upstream = upstream(top, compare);
    let candidate = |(node, bias): (usize, ValueId)| {
        let name = top.node_name(node);
        let (float_value, int8_value) = (*float_names.get(name)?, *int8_names.get(name)?);
        let channels = top.tensor_type(bias)?.count() as usize;
        let fits = |program: &Program, id: ValueId| program.tensor_type(id).is_some_and(|t| t.shape.get(1) == Some(&(channels as i64)));
        let read = !int8_users[int8_value.index()].is_empty() && (compare.is_empty() || upstream.contains(&node));
        (read && fits(float, float_value) && fits(int8, int8_value)).then_some(Candidate { top: node, bias, float: float_value, int8: int8_value, channels })
    };
    let mut found: Vec<Candidate> = convolutions.into_iter().filter_map(candidate).collect();
    found.sort_by_key(|c| int8.producer(c.int8));
    found
}

/// The nodes that the compared layers depend on, without themselves.
fn upstream(top: &Program, compare: &[(String, f64)]) -> HashSet<usize> {
    let names = top.names();
    let mut stack: Vec<usize> = compare.iter().filter_map(|(name, _)| top.producer(*names.get(name.as_str())?)).collect();
    let mut found = HashSet::new();
    while let Some(node) = stack.pop() {
        for producer in top.nodes[node].operands.iter().filter_map(|&o| top.producer(o)) {
            if found.insert(producer) {
                stack.push(producer);
            }
        }
    }
    found
}

/// The values that are compared: in the float and in the INT8 program, with their weights.
fn compared(top: &Program, float: &Program, int8: &Program, compare: &[(String, f64)]) -> Result<Vec<(ValueId, ValueId, f64)>, QuantError> {
    if compare.is_empty() {
        return Ok(float.outputs.iter().zip(&int8.outputs).map(|(&a, &b)| (a, b, 1.0)).collect());
    }
    let (float_names, int8_names) = (float.names(), int8.names());
    let find = |(name, weight): &(String, f64)| match (float_names.get(name.as_str()), int8_names.get(name.as_str())) {
        (Some(&a), Some(&b)) => Ok((a, b, *weight)),
        _ => {
            let nearest = tpuc_tensor::text::nearest(name, (0..top.nodes.len()).map(|n| top.node_name(n))).map(str::to_owned);
            Err(QuantError::UnknownLayer { layer: name.clone(), nearest })
        }
    };
    compare.iter().map(find).collect()
}

/// A bias with its correction, in f32.
fn corrected(weights: &WeightStore, top: &Program, bias: ValueId, shift: &[f64]) -> Vec<f32> {
    let old = weights.get(&top.value(bias).name).map(|t| t.to_f32()).unwrap_or_default();
    old.iter().zip(shift).map(|(&b, &s)| b + s as f32).collect()
}

/// The network with another bias. A bias that several ops read is left to the others; the convolution gets its own.
fn with_bias(program: &Program, weights: &WeightStore, candidate: &Candidate, bias: Vec<f32>) -> (Program, WeightStore) {
    let (mut program, mut weights) = (program.clone(), weights.clone());
    let mut name = program.value(candidate.bias).name.clone();
    let readers = program.nodes.iter().flat_map(|n| &n.operands).filter(|o| program.value(**o).source == Source::Weight && program.value(**o).name == name).count();
    if readers > 1 {
        name = format!("{}_bias", program.node_name(candidate.top));
        while weights.contains(&name) {
            name.push_str("_bc");
        }
        let own = program.add_weight(name.clone(), TensorType::f32(&[bias.len() as i64]));
        program.nodes[candidate.top].operands[2] = own;
    }
    let shape = weights.get(&name).map_or_else(|| vec![bias.len()], |t| t.shape().to_vec());
    if let Ok(tensor) = Tensor::f32(&shape, bias) {
        weights.insert(name, tensor);
    }
    (program, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::no_progress;
    use tpuc_ops::top;

    /// Two 1x1 convolutions in a row over 1x2x2x2, with one bias of zeros for both.
    fn network() -> (Program, WeightStore, CalibrationTable) {
        let (mut program, mut weights) = (Program::new("two"), WeightStore::new());
        let ty = TensorType::f32(&[1, 2, 2, 2]);
        let argument = program.add_input("x", ty.clone());
        let mut value = program.push(top::Input::default(), &[argument], "x", ty.clone());
        let bias = program.add_weight("b", TensorType::f32(&[2]));
        weights.insert("b", Tensor::f32(&[2], vec![0.0; 2]).unwrap());
        for (name, data) in [("c1", vec![1.0, 0.5, -1.0, 2.0]), ("c2", vec![1.0, 1.0, 0.0, 1.0])] {
            let filter = program.add_weight(format!("{name}_w"), TensorType::f32(&[2, 2, 1, 1]));
            weights.insert(format!("{name}_w"), Tensor::f32(&[2, 2, 1, 1], data).unwrap());
            let conv = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], group: 1, ..Default::default() };
            value = program.push(conv, &[value, filter, bias], name, ty.clone());
        }
        program.outputs = vec![value];
        // Coarse steps of the input: a value of 0.45 becomes 0.79.
        let table = CalibrationTable::parse("x 100 -1 100\nc1 25 -25 25\nc2 40 -40 40\n").unwrap();
        (program, weights, table)
    }

    fn samples() -> Vec<Vec<Tensor>> {
        let data = |k: usize| (0..8).map(|i| if i % 4 == k { 10.0 } else { 0.45 }).collect();
        (0..3).map(|k| vec![Tensor::f32(&[1, 2, 2, 2], data(k)).unwrap()]).collect()
    }

    fn strict() -> BiasOptions {
        BiasOptions { expected_cos: 1.0, min_layer_cos: 1.0, ..BiasOptions::default() }
    }

    #[test]
    fn a_shared_bias_is_copied_before_it_changes() {
        let (program, weights, table) = network();
        let found = correct_bias(&program, &weights, &table, &samples()[..], &strict(), &no_progress).unwrap();
        let applied: Vec<_> = found.corrections.iter().filter(|c| c.applied).map(|c| c.layer.as_str()).collect();
        assert_eq!(found.corrections.len(), 2);
        assert!(applied.contains(&"c1"), "{:?}", found.corrections);
        assert_eq!(found.weights.get("b"), weights.get("b"));
        assert_eq!(found.program.value(found.program.nodes[1].operands[2]).name, "c1_bias");
        let bias = found.weights.get("c1_bias").unwrap().to_f32();
        // Three of four values are 0.34 too large, the fourth is 0.24: by 0.31 on average, times the sum of the filter.
        assert!((bias[0] + 1.5 * 0.312).abs() < 0.1 && (bias[1] + 0.312).abs() < 0.1, "{bias:?}");
        assert!(found.together_cos.unwrap() > found.int8_cos.unwrap());
    }

    #[test]
    fn only_layers_before_the_compared_ones_are_corrected() {
        let (program, weights, table) = network();
        let compare = |name: &str| BiasOptions { compare: ComparedLayers(vec![(name.into(), 1.0)]), ..strict() };
        let found = correct_bias(&program, &weights, &table, &samples()[..], &compare("c2"), &no_progress).unwrap();
        assert_eq!(found.corrections.iter().map(|c| c.layer.as_str()).collect::<Vec<_>>(), ["c1"]);
        let error = correct_bias(&program, &weights, &table, &samples()[..], &compare("c3"), &no_progress).unwrap_err();
        assert_eq!(error.to_string(), "layer 'c3' is not in the network; the nearest is 'c1'");
    }

    #[test]
    fn similar_outputs_and_layers_are_left_alone() {
        let (program, weights, table) = network();
        let lax = BiasOptions { expected_cos: 0.5, ..strict() };
        let found = correct_bias(&program, &weights, &table, &samples()[..], &lax, &no_progress).unwrap();
        assert!(found.corrections.is_empty() && !found.changed() && found.log("net.mlir", 0.5)[3].starts_with("job success, current int8 cos:0.9"));
        let lax = BiasOptions { min_layer_cos: 0.5, ..strict() };
        let found = correct_bias(&program, &weights, &table, &samples()[..], &lax, &no_progress).unwrap();
        assert!(found.corrections.is_empty() && found.int8_cos.is_some());
        let none: &[Vec<Tensor>] = &[];
        assert!(matches!(correct_bias(&program, &weights, &table, none, &strict(), &no_progress), Err(QuantError::NoSamples)));
    }
}
