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
        for m in 0..middle {
            for tap in 0..area {
                let factor = w2[(o * middle + m) * area + tap];
                add_scaled(&mut taps[tap * input..(tap + 1) * input], &w1[m * input..(m + 1) * input], factor);
                if let Some(b1) = &b1 {
                    *carried += factor * b1[m];
                }
            }
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

/// `sums += values * factor`, product and sum each rounded: the reference's order and roundings.
fn add_scaled(sums: &mut [f32], values: &[f32], factor: f32) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { add_scaled_avx2(sums, values, factor) };
        return;
    }
    sums.iter_mut().zip(values).for_each(|(s, v)| *s += v * factor);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn add_scaled_avx2(sums: &mut [f32], values: &[f32], factor: f32) {
    sums.iter_mut().zip(values).for_each(|(s, v)| *s += v * factor);
}
