//! `top-merge-conv`: a 1x1 convolution without activation and the convolution behind it are one linear map.

use crate::MergeConvOptions;
use crate::edit::Editor;
use rayon::prelude::*;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &MergeConvOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopConv(second) if second.group == 1 => merge(editor, node, &second),
        _ => Ok(false),
    })
}

fn is_pointwise(op: &top::Conv) -> bool {
    let all = |list: &[i64], value: i64| list.iter().all(|&v| v == value);
    !op.do_relu && op.group == 1 && op.kernel_shape.len() == 2 && all(&op.kernel_shape, 1) && all(&op.strides, 1) && all(&op.pads, 0)
}

fn merge(editor: &mut Editor, node: usize, second: &top::Conv) -> Result<bool, String> {
    let Some(producer) = editor.sole_producer(editor.operand(node, 0)) else { return Ok(false) };
    let Op::TopConv(first) = editor.op(producer).clone() else { return Ok(false) };
    if !is_pointwise(&first) || second.kernel_shape.len() != 2 {
        return Ok(false);
    }
    let values = |editor: &Editor, node: usize, index: usize| editor.weight(editor.operand(node, index));
    let absent = |editor: &Editor, node: usize| editor.program.value(editor.operand(node, 2)).ty.is_none();
    let (Some(w1), Some(w2)) = (values(editor, producer, 1), values(editor, node, 1)) else { return Ok(false) };
    let (b1, b2) = (values(editor, producer, 2), values(editor, node, 2));
    if (b1.is_none() && !absent(editor, producer)) || (b2.is_none() && !absent(editor, node)) {
        return Ok(false);
    }
    // At the border the second one pads with zeros, not with the first one's bias.
    if second.pads.iter().any(|&p| p != 0) && b1.as_ref().is_some_and(|b| b.iter().any(|&v| v != 0.0)) {
        return Ok(false);
    }
    let (s1, s2) = (editor.shape(editor.operand(producer, 1)).to_vec(), editor.shape(editor.operand(node, 1)).to_vec());
    let (middle, input, output) = (s1[0] as usize, s1[1] as usize, s2[0] as usize);
    let area = (s2[2] * s2[3]) as usize;
    let mut weights = vec![0f32; output * input * area];
    let mut carried = vec![0f32; output];
    weights.par_chunks_mut(input * area).zip(carried.par_iter_mut()).enumerate().for_each(|(o, (filter, carried))| {
        // One run over the inputs a tap, so that the sums run along memory.
        let mut taps = vec![0f32; input * area];
        let factors = &w2[o * middle * area..(o + 1) * middle * area];
        for (tap, sums) in taps.chunks_exact_mut(input).enumerate() {
            add_scaled(sums, &w1, &factors[tap..], area);
        }
        if let Some(b1) = &b1 {
            *carried = factors.iter().enumerate().fold(0.0, |sum, (at, factor)| sum + factor * b1[at / area]);
        }
        for (i, weight) in filter.iter_mut().enumerate() {
            *weight = taps[(i % area) * input + i / area];
        }
    });
    let bias = match b2 {
        Some(b2) => carried.iter().zip(&b2).map(|(c, b)| c + b).collect(),
        None => carried,
    };
    let layer = editor.program.node_name(node).to_owned();
    let filter = editor.add_weight(&format!("{layer}_filter"), &[output as i64, input as i64, s2[2], s2[3]], weights)?;
    let bias = editor.add_weight(&format!("{layer}_bias"), &[output as i64], bias)?;
    let source = editor.operand(producer, 0);
    editor.program.nodes[node].operands = vec![source, filter, bias];
    Ok(true)
}

/// `sums += row * factor` of one row after the other, product and sum each rounded: the reference's order and roundings.
/// Row `r` is `rows[r * sums.len()..]`, its factor `factors[r * step]`.
fn add_scaled(sums: &mut [f32], rows: &[f32], factors: &[f32], step: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { add_scaled_avx2(sums, rows, factors, step) };
        return;
    }
    add_scaled_plain(sums, rows, factors, step);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn add_scaled_avx2(sums: &mut [f32], rows: &[f32], factors: &[f32], step: usize) {
    add_scaled_plain(sums, rows, factors, step);
}

/// Four rows at a time, so that a sum is loaded and stored once for four.
#[inline(always)]
fn add_scaled_plain(sums: &mut [f32], rows: &[f32], factors: &[f32], step: usize) {
    let length = sums.len();
    let mut factors = factors.iter().step_by(step);
    let mut fours = rows.chunks_exact(4 * length);
    for four in &mut fours {
        let (front, back) = four.split_at(2 * length);
        let ((a, b), (c, d)) = (front.split_at(length), back.split_at(length));
        let [fa, fb, fc, fd] = std::array::from_fn(|_| factors.next().copied().unwrap_or(0.0));
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum = (((*sum + a * fa) + b * fb) + c * fc) + d * fd;
        }
    }
    for (row, factor) in fours.remainder().chunks_exact(length).zip(factors) {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v * factor);
    }
}
