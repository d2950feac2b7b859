//! `top-fuse-tile`: an Expand is a Tile; a Tile in front of an op that broadcasts by itself is not needed.

use crate::FuseTileOptions;
use crate::edit::Editor;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, top};

pub fn run(module: &PassModule, _options: &FuseTileOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| match editor.op(node).clone() {
        Op::TopExpand(_) if editor.is_used(editor.result(node)) => expand(editor, node),
        op if broadcasts(&op) => Ok(drop_tiles(editor, node, &op)),
        _ => Ok(false),
    })
}

/// Ops whose operands stretch on every chip.
fn broadcasts(op: &Op) -> bool {
    matches!(op.name(), "top.Add" | "top.Sub" | "top.Mul")
}

fn expand(editor: &mut Editor, node: usize) -> Result<bool, String> {
    let (input, result) = (editor.operand(node, 0), editor.result(node));
    let (from, to) = (editor.shape(input).to_vec(), editor.shape(result).to_vec());
    let aligned = [vec![1; to.len() - from.len()], from.clone()].concat();
    let tile = top::Tile { tile: Some(to.iter().zip(&aligned).map(|(t, f)| t / f).collect()), ..Default::default() };
    let name = editor.program.value(result).name.clone();
    let (input, at) = match aligned == from {
        true => (input, node),
        false => (editor.insert(node, top::Reshape { shape: Some(aligned), ..Default::default() }, &[input], &format!("{name}_reshape"))?, node + 1),
    };
    editor.program.nodes[at].op = tile.into();
    editor.program.nodes[at].operands = vec![input];
    Ok(true)
}

/// Each operand that is a Tile of dimensions of size 1, as long as another operand has the result's size there.
fn drop_tiles(editor: &mut Editor, node: usize, op: &Op) -> bool {
    let mut changed = false;
    for index in 0..editor.program.nodes[node].operands.len() {
        let operand = editor.operand(node, index);
        let Some(tile) = editor.producer(operand).filter(|&p| matches!(editor.op(p), Op::TopTile(_))) else { continue };
        let source = editor.operand(tile, 0);
        let stretches = editor.shape(source).iter().zip(editor.shape(operand)).all(|(&from, &to)| from == to || from == 1);
        let mut operands = editor.program.operand_types(node);
        operands[index] = editor.program.value(source).ty.clone();
        let same = op.infer_shapes(&operands).is_ok_and(|shapes| shapes[0] == editor.shape(editor.result(node)));
        if stretches && same {
            editor.program.nodes[node].operands[index] = source;
            changed = true;
        }
    }
    changed
}
