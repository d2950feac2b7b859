//! `top-fuse-same`: equal ops on equal operands compute the same; the first of them is enough.

use crate::FuseSameOptions;
use crate::edit::Editor;
use std::collections::HashMap;
use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Op, ValueId};

pub fn run(module: &PassModule, _options: &FuseSameOptions) -> Result<(), String> {
    Editor::run(module, |editor, node| Ok(node == 0 && fuse(editor)))
}

/// One round over all ops. An output keeps its op, because it has its name.
fn fuse(editor: &mut Editor) -> bool {
    let mut known: HashMap<(&'static str, Vec<ValueId>), Vec<usize>> = HashMap::new();
    let mut changed = false;
    for node in 0..editor.program.nodes.len() {
        let found = &editor.program.nodes[node];
        if matches!(found.op, Op::TopInput(_)) || found.results.len() != 1 {
            continue;
        }
        let same = known.entry((found.op.name(), found.operands.clone())).or_default();
        let result = editor.result(node);
        match same.iter().copied().find(|&first| editor.program.nodes[first].op == editor.program.nodes[node].op) {
            Some(first) if !editor.is_output(result) && editor.is_used(result) => {
                let replacement = editor.result(first);
                editor.bypass(node, replacement);
                changed = true;
            }
            Some(_) => {}
            None => same.push(node),
        }
    }
    changed
}
