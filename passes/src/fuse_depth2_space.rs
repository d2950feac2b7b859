//! `top-fuse-depth2space`: what exporters write as Reshape, Permute, Reshape, or as Concat of every second pixel, is a Depth2Space.

use crate::FuseDepth2SpaceOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, ValueId, top};

pub fn run(module: &PassModule, _options: &FuseDepth2SpaceOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopReshape(_) => Ok(from_permute(editor, node)),
        Op::TopConcat(op) => Ok(from_concat(editor, node, &op)),
        _ => Ok(false),
    })
}

/// [N, C, H, W] taken apart into six dimensions, permuted, and put together again.
fn from_permute(editor: &mut Editor, last: usize) -> bool {
    let Some(permute) = editor.sole_producer(editor.operand(last, 0)) else { return false };
    let Op::TopPermute(op) = editor.op(permute).clone() else { return false };
    let Some(first) = editor.sole_producer(editor.operand(permute, 0)) else { return false };
    if !matches!(editor.op(first), Op::TopReshape(_)) {
        return false;
    }
    let input = editor.operand(first, 0);
    let (from, to) = (editor.shape(input).to_vec(), editor.shape(editor.result(last)).to_vec());
    let (parts, Ok(order)) = (editor.shape(editor.result(first)).to_vec(), op.resolve(editor.shape(editor.result(first)).len())) else { return false };
    let Some(new) = recognize(&from, &parts, &order, &to) else { return false };
    editor.program.nodes[last].op = new.into();
    editor.program.nodes[last].operands = vec![input];
    true
}

fn recognize(from: &[i64], parts: &[i64], order: &[usize], to: &[i64]) -> Option<top::Depth2Space> {
    let (&[n, c, h, w], &[_, d1, d2, d3, d4, d5], &[m, oc, oh, ow]) = (from, parts, to) else { return None };
    if parts[0] != n || m != n {
        return None;
    }
    let op = |block_h, block_w, is_crd, is_inversed| top::Depth2Space { block_h, block_w, is_CRD: is_crd, is_inversed, ..Default::default() };
    match *order {
        // channels, block row, block column, height, width
        [0, 1, 4, 2, 5, 3] if [d1 * d2 * d3, d4, d5] == [c, h, w] && [oc, oh, ow] == [d1, h * d2, w * d3] => Some(op(d2, d3, true, false)),
        // block row, block column, channels, height, width
        [0, 3, 4, 1, 5, 2] if [d1 * d2 * d3, d4, d5] == [c, h, w] && [oc, oh, ow] == [d3, h * d1, w * d2] => Some(op(d1, d2, false, false)),
        // channels, height, block row, width, block column
        [0, 1, 3, 5, 2, 4] if [d1, d2 * d3, d4 * d5] == [c, h, w] && [oc, oh, ow] == [c * d3 * d5, d2, d4] => Some(op(d3, d5, true, true)),
        [0, 3, 5, 1, 2, 4] if [d1, d2 * d3, d4 * d5] == [c, h, w] && [oc, oh, ow] == [c * d3 * d5, d2, d4] => Some(op(d3, d5, false, true)),
        _ => None,
    }
}

/// Slices of one picture by a step in height and width, one for every position in the block, joined as channels.
fn from_concat(editor: &mut Editor, node: usize, op: &top::Concat) -> bool {
    let shape = editor.shape(editor.result(node)).to_vec();
    if op.do_relu || shape.len() != 4 || !matches!(op.axis, 1 | -3) {
        return false;
    }
    let operands = editor.program.nodes[node].operands.clone();
    let mut positions = Vec::new();
    let mut source = None;
    for &operand in &operands {
        let Some((input, block, position)) = position(editor, operand) else { return false };
        if *source.get_or_insert((input, block)) != (input, block) {
            return false;
        }
        positions.push(position);
    }
    let Some((input, [bh, bw])) = source else { return false };
    if operands.len() as i64 != bh * bw || operands.len() < 2 {
        return false;
    }
    let rows: Vec<[i64; 2]> = (0..bh * bw).map(|i| [i / bw, i % bw]).collect();
    let columns: Vec<[i64; 2]> = (0..bh * bw).map(|i| [i % bh, i / bh]).collect();
    let swap_cr = positions != rows;
    if swap_cr && positions != columns {
        return false;
    }
    editor.program.nodes[node].op = top::Depth2Space { block_h: bh, block_w: bw, is_CRD: false, is_inversed: true, swap_cr, ..Default::default() }.into();
    editor.program.nodes[node].operands = vec![input];
    true
}

/// The picture, the block and the position in it that a slice takes.
fn position(editor: &Editor, value: ValueId) -> Option<(ValueId, [i64; 2], [i64; 2])> {
    let slice = editor.sole_producer(value)?;
    let Op::TopSlice(op) = editor.op(slice) else { return None };
    let input = editor.operand(slice, 0);
    let &[n, c, h, w] = editor.shape(input) else { return None };
    let ranges = op.resolve(&[n, c, h, w]).ok()?;
    let whole = |d: usize, size: i64| ranges[d].start == 0 && ranges[d].step == 1 && ranges[d].count as i64 == size;
    // The block in one dimension, if the range takes one position of every block.
    let block = |d: usize, size: i64| {
        let (range, count) = (ranges[d], ranges[d].count as i64);
        let block = size / count;
        let fits = block * count == size && (range.start as i64) < block && (count == 1 || range.step == block);
        fits.then_some((block, range.start as i64))
    };
    let ((bh, row), (bw, column)) = (block(2, h)?, block(3, w)?);
    (whole(0, n) && whole(1, c)).then_some((input, [bh, bw], [row, column]))
}
