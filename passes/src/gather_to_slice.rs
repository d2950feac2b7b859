//! `top-gather-to-slice`: constant indices at equal distances are a Slice; a single index that takes its dimension away is a Slice
//! and a Squeeze.

use crate::GatherToSliceOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, Source, ValueId, top};

pub fn run(module: &PassModule, _options: &GatherToSliceOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopGather(op) if editor.is_used(editor.result(node)) => rewrite(editor, node, &op),
        _ => Ok(false),
    })
}

/// Indices that count up evenly: the first, the distance, the one behind the last.
struct Run {
    first: i64,
    step: i64,
    end: i64,
}

fn run_of(indices: &[f32]) -> Option<Run> {
    let whole: Vec<i64> = indices.iter().map(|&v| (v.fract() == 0.0 && v.abs() < 16_777_216.0).then_some(v as i64)).collect::<Option<_>>()?;
    let (&first, &last) = (whole.first()?, whole.last()?);
    let step = whole.get(1).map_or(1, |second| second - first);
    let even = whole.windows(2).all(|w| w[1] - w[0] == step);
    // From negative indices to others the count would run over the end.
    if !even || step < 1 || (first < 0) != (last < 0) {
        return None;
    }
    let end = if last + step == 0 || (first < 0 && last + step > 0) { i64::MAX } else { last + step };
    Some(Run { first, step, end })
}

fn rewrite(editor: &mut Editor, gather: usize, op: &top::Gather) -> Result<bool, String> {
    let (input, indices, result) = (editor.operand(gather, 0), editor.operand(gather, 1), editor.result(gather));
    let (shape, index_shape) = (editor.shape(input).to_vec(), editor.shape(indices).to_vec());
    let is_weight = |v: ValueId| editor.program.value(v).source == Source::Weight;
    if is_weight(input) || index_shape.len() != 1 {
        return Ok(false);
    }
    let Some(run) = editor.weight(indices).and_then(|list| run_of(&list)) else { return Ok(false) };
    let rank = shape.len() as i64;
    let axis = if op.axis < 0 { i64::from(op.axis) + rank } else { i64::from(op.axis) };
    let single = index_shape[0] == 1;
    let mut slice = top::Slice { offset: vec![0; shape.len()], steps: vec![1; shape.len()], ends: vec![i64::MAX; shape.len()], ..Default::default() };
    let d = axis as usize;
    (slice.offset[d], slice.steps[d], slice.ends[d]) = (run.first, run.step, run.end);
    if single {
        slice.hasparamConvert_axes = vec![axis];
    }
    // An index that does not exist stays for the op's own error.
    let fits = slice.resolve(&shape).is_ok_and(|ranges| ranges[d].count as i64 == index_shape[0]);
    if !fits {
        return Ok(false);
    }
    if index_shape[0] == shape[d] && run.step == 1 && op.keepdims && !editor.is_output(result) {
        editor.replace(result, input);
        return Ok(true);
    }
    let name = editor.program.value(result).name.clone();
    let none = editor.program.none();
    let operands = [input, none, none, none];
    let sliced = editor.insert(gather, slice, &operands, &if single { format!("{name}_slice") } else { name.clone() })?;
    let new = if op.keepdims { sliced } else { editor.insert(gather + 1, top::Squeeze { axes: vec![axis], ..Default::default() }, &[sliced], &name)? };
    editor.replace(result, new);
    Ok(true)
}
