//! `top-fold-batchnorm`: gamma (x - mean) / sqrt(variance + epsilon) + beta is a per-channel factor and offset. They go into
//! the weights of a convolution or of a matrix product that nobody else reads; elsewhere they become a Scale.
//!
//! Arithmetic and its order in f32 are those of the usual ONNX simplifiers, so that folded weights agree with theirs bit
//! for bit.

use crate::FoldBatchNormOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, Program, top};

pub fn run(module: &PassModule, _options: &FoldBatchNormOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopBatchNorm(op) => fold(editor, node, &op),
        _ => Ok(false),
    })
}

/// Factor and offset (before the factor: the mean) of every channel.
struct Affine {
    factor: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

fn affine(editor: &Editor, node: usize, op: &top::BatchNorm) -> Option<Affine> {
    let mean = editor.weight(editor.operand(node, 1))?;
    let variance = editor.weight(editor.operand(node, 2))?;
    let optional = |index: usize, default: f32| {
        let value = editor.operand(node, index);
        if editor.program.value(value).ty.is_none() { Some(vec![default; mean.len()]) } else { editor.weight(value) }
    };
    let (gamma, beta) = (optional(3, 1.0)?, optional(4, 0.0)?);
    let epsilon = op.epsilon as f32;
    let factor = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    Some(Affine { factor, mean, variance, gamma, beta })
}

fn fold(editor: &mut Editor, node: usize, op: &top::BatchNorm) -> Result<bool, String> {
    let layer = editor.program.node_name(node).to_owned();
    let Some(affine) = affine(editor, node, op) else {
        return Err(format!("layer '{layer}': the statistics of a batch norm must be weights"));
    };
    let input = editor.operand(node, 0);
    if let Some(producer) = editor.sole_producer(input) {
        if fold_into_conv(editor, node, producer, &affine, op)? || fold_into_matmul(editor, node, producer, &affine, op)? {
            return Ok(true);
        }
    }
    let channels = affine.factor.len() as i64;
    if editor.shape(input).get(1) != Some(&channels) {
        return Err(format!("layer '{layer}': {channels} channels of statistics do not fit its input"));
    }
    let shape = [1, channels];
    // Another rounding than in a convolution: here the reference divides in f64.
    let root = |v: f32| (f64::from(v) + op.epsilon).sqrt();
    let factor: Vec<f32> = affine.gamma.iter().zip(&affine.variance).map(|(&g, &v)| (1.0 / root(v) * f64::from(g)) as f32).collect();
    let offset = factor.iter().zip(&affine.mean).zip(&affine.beta).map(|((f, m), b)| -m * f + b).collect();
    let scale = editor.add_weight(&format!("{layer}_scale"), &shape, factor)?;
    let bias = editor.add_weight(&format!("{layer}_bias"), &shape, offset)?;
    editor.program.nodes[node].op = Op::TopScale(top::Scale { do_relu: op.do_relu, relu_limit: op.relu_limit, ..Default::default() });
    editor.program.nodes[node].operands = vec![input, scale, bias];
    Ok(true)
}

fn fold_into_conv(editor: &mut Editor, node: usize, conv: usize, affine: &Affine, norm: &top::BatchNorm) -> Result<bool, String> {
    let Op::TopConv(mut op) = editor.op(conv).clone() else { return Ok(false) };
    let (filter, bias) = (editor.operand(conv, 1), editor.operand(conv, 2));
    let Some(mut weights) = editor.weight(filter).filter(|_| !op.do_relu) else { return Ok(false) };
    let shape = editor.shape(filter).to_vec();
    let channels = affine.factor.len();
    if shape[0] as usize != channels {
        return Ok(false);
    }
    let old_bias = match editor.program.value(bias).ty.is_none() {
        true => vec![0.0; channels],
        false => match editor.weight(bias) {
            Some(b) => b,
            None => return Ok(false),
        },
    };
    let per_channel = weights.len() / channels.max(1);
    for (filter, factor) in weights.chunks_mut(per_channel).zip(&affine.factor) {
        filter.iter_mut().for_each(|w| *w *= factor);
    }
    let new_bias = (0..channels).map(|c| (old_bias[c] - affine.mean[c]) * affine.factor[c] + affine.beta[c]).collect();
    let name = |program: &Program, part: &str| format!("{}_{part}", program.node_name(conv));
    let (filter_name, bias_name) = (name(&editor.program, "filter"), name(&editor.program, "bias"));
    let filter = editor.add_weight(&filter_name, &shape, weights)?;
    let bias = editor.add_weight(&bias_name, &[channels as i64], new_bias)?;
    (op.do_relu, op.relu_limit) = (norm.do_relu, norm.relu_limit);
    editor.program.nodes[conv].op = Op::TopConv(op);
    editor.program.nodes[conv].operands[1] = filter;
    editor.program.nodes[conv].operands[2] = bias;
    // The convolution keeps its name: to ONNX simplifiers, and so to tables made elsewhere, it is still that layer.
    let replacement = editor.result(conv);
    editor.bypass(node, replacement);
    Ok(true)
}

/// Columns of a constant matrix are what channels are behind a product of two dimensions. The product goes by the batch
/// norm's name.
fn fold_into_matmul(editor: &mut Editor, node: usize, matmul: usize, affine: &Affine, norm: &top::BatchNorm) -> Result<bool, String> {
    let Op::TopMatMul(mut op) = editor.op(matmul).clone() else { return Ok(false) };
    let (right, bias, columns) = (editor.operand(matmul, 1), editor.operand(matmul, 2), affine.factor.len());
    let shape = editor.shape(right).to_vec();
    let plain = !op.do_relu && !op.right_transpose && !op.output_transpose && !op.hdim_is_batch;
    if !plain || editor.shape(editor.result(matmul)).len() != 2 || shape.len() != 2 || shape[1] as usize != columns {
        return Ok(false);
    }
    let Some(mut weights) = editor.weight(right) else { return Ok(false) };
    let old_bias = match editor.program.value(bias).ty.is_none() {
        true => vec![0.0; columns],
        false => match editor.weight(bias) {
            Some(b) if b.len() == columns => b,
            _ => return Ok(false),
        },
    };
    for row in weights.chunks_mut(columns.max(1)) {
        row.iter_mut().zip(&affine.factor).for_each(|(w, factor)| *w *= factor);
    }
    let new_bias = (0..columns).map(|c| (old_bias[c] - affine.mean[c]) * affine.factor[c] + affine.beta[c]).collect();
    let layer = editor.program.node_name(node).to_owned();
    let right = editor.add_weight(&format!("{layer}_filter"), &shape, weights)?;
    let bias = editor.add_weight(&format!("{layer}_bias"), &[columns as i64], new_bias)?;
    (op.do_relu, op.relu_limit) = (norm.do_relu, norm.relu_limit);
    editor.program.nodes[matmul].op = Op::TopMatMul(op);
    editor.program.nodes[matmul].operands[1] = right;
    editor.program.nodes[matmul].operands[2] = bias;
    let replacement = editor.result(matmul);
    editor.fuse_into(node, replacement);
    Ok(true)
}
