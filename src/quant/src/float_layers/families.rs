//! Which layers stay float in known families of networks: what follows an addition into a normalization, activations with
//! long tails, and what experience adds for each family.

use super::blocks::BLOCKS;
use super::graph::Graph;
use super::{openclip, rtdetr, yolo};

/// What a family wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub pattern: Vec<usize>,
    /// `pattern` is only the first stage, in f32; this is the second.
    pub in_two_stages: bool,
    pub second_stage: Vec<usize>,
    pub f32: Vec<usize>,
    pub symmetric: Vec<usize>,
    pub log: Vec<String>,
}

/// Nodes in the order in which they were picked, each once.
#[derive(Default)]
pub struct Picked(pub Vec<usize>);

impl Picked {
    pub fn add(&mut self, node: usize) {
        if !self.0.contains(&node) {
            self.0.push(node);
        }
    }

    fn drop(&mut self, node: usize) {
        self.0.retain(|&n| n != node);
    }
}

/// Recognizes a family by the first known block that the network has.
pub fn find(graph: &Graph) -> Option<Found> {
    let types: Vec<&str> = (0..graph.len()).map(|n| graph.op(n)).collect();
    let counted = BLOCKS.families.iter().map(|b| (b, b.count(&types))).find(|(_, count)| *count > 0);
    let (name, count) = match counted {
        Some((block, count)) => (block.name, count),
        None => return openclip::find(graph, &types),
    };
    let mut found = match name {
        "yolo_block" | "yolo_block_12" => yolo::find(graph, &types)?,
        "rtdetrv2_block" => rtdetr::find(graph, &types),
        "vf_attention_block" => {
            let block = BLOCKS.families.iter().find(|b| b.name == name)?;
            let symmetric = block.places(&types).into_iter().flat_map(|at| at..at + block.ops.len()).collect();
            Found { symmetric, ..Found::default() }
        }
        _ => Found { pattern: attention(graph, name, count, &types), ..Found::default() },
    };
    found.log.insert(0, format!("family {name}, blocks: {count}"));
    Some(found)
}

/// The rule for all families with attention.
pub fn base(graph: &Graph, node: usize, picked: &mut Picked) {
    match graph.op(node) {
        "LayerNorm" => {
            if let Some(add) = graph.only_before(node).filter(|&n| graph.op(n) == "Add") {
                picked.add(add);
            }
        }
        "SiLU" | "GELU" => picked.add(node),
        _ => {}
    }
}

fn attention(graph: &Graph, family: &str, count: usize, types: &[&str]) -> Vec<usize> {
    let first_norm = types.iter().position(|t| *t == "LayerNorm").unwrap_or(types.len());
    let mut picked = Picked::default();
    for node in 0..graph.len() {
        base(graph, node, &mut picked);
        match family {
            "vit_block" => vit(graph, node, node < first_norm && count >= 20, &mut picked),
            "eva_block" => eva(graph, node, &mut picked),
            "_eva_block" | "eva02_block_v1" | "clip_m2_encoder_block" => all_of(graph, node, &["Add"], &mut picked),
            "_swin_1_block" => all_of(graph, node, &["Add", "Depth2Space"], &mut picked),
            "eva02_block" | "eva02_smc_block" => eva02(graph, node, &mut picked),
            "swin_block" | "_swin_block" | "swin_1_block" => swin(graph, node, &mut picked),
            "bert_block" | "bert_block_1" => bert(graph, node, &mut picked),
            "insert_mul_bert_block" | "insert_mul_bert_block_1" | "insert_mul_bert_block_2" | "bert_block_large_pt" => large_bert(graph, node, &mut picked),
            "detr_block" | "detr_rc_50_block" => detr(graph, node, &mut picked),
            _ => {}
        }
    }
    picked.0
}

fn all_of(graph: &Graph, node: usize, types: &[&str], picked: &mut Picked) {
    if types.contains(&graph.op(node)) {
        picked.add(node);
    }
}

/// An addition that does not only lead into a normalization.
fn leads_elsewhere(graph: &Graph, node: usize) -> bool {
    graph.only_after(node).is_none_or(|next| graph.op(next) != "LayerNorm")
}

fn vit(graph: &Graph, node: usize, in_deep_stem: bool, picked: &mut Picked) {
    if graph.op(node) == "GELU" {
        picked.drop(node);
    }
    if in_deep_stem && !graph.is_input(node) && (graph.op(node) != "Add" || leads_elsewhere(graph, node)) {
        picked.add(node);
    }
}

fn eva(graph: &Graph, node: usize, picked: &mut Picked) {
    all_of(graph, node, &["Add"], picked);
    let Some(mul) = (graph.op(node) == "SiLU").then(|| graph.only_after(node)).flatten().filter(|&n| graph.op(n) == "Mul") else { return };
    if let Some(&product) = graph.after(mul).first().filter(|&&n| graph.op(n) == "MatMul") {
        picked.add(product);
    }
}

fn eva02(graph: &Graph, node: usize, picked: &mut Picked) {
    let behind_softmax = || graph.before(node).iter().any(|&n| graph.op(n) == "Softmax");
    let wanted = match graph.op(node) {
        "SiLU" => {
            picked.drop(node);
            false
        }
        "MatMul" => graph.before(node).len() == 2 && behind_softmax(),
        "Mul" => graph.before(node).len() == 1 && behind_softmax(),
        "Add" => graph.after(node).iter().all(|&n| graph.op(n) != "LayerNorm"),
        _ => false,
    };
    if wanted {
        picked.add(node);
    }
}

fn swin(graph: &Graph, node: usize, picked: &mut Picked) {
    if graph.op(node) == "LayerNorm" {
        let reshape = graph.only_before(node).filter(|&n| graph.op(n) == "Reshape");
        if let Some(permute) = reshape.and_then(|n| graph.only_before(n)).filter(|&n| graph.op(n) == "Permute") {
            picked.add(permute);
        }
    }
    all_of(graph, node, &["Add"], picked);
}

fn bert(graph: &Graph, node: usize, picked: &mut Picked) {
    if graph.op(node) == "GELU" {
        if let Some(&product) = graph.after(node).first().filter(|&&n| graph.op(n) == "MatMul") {
            picked.add(product);
        }
    }
}

fn large_bert(graph: &Graph, node: usize, picked: &mut Picked) {
    match graph.op(node) {
        "GELU" => picked.drop(node),
        "Add" if leads_elsewhere(graph, node) => picked.add(node),
        "Mul" if graph.only_before(node).is_some_and(|n| graph.op(n) == "LayerNorm") => picked.add(node),
        _ => {}
    }
}

/// Everything but convolutions and the products behind a normalization.
fn detr(graph: &Graph, node: usize, picked: &mut Picked) {
    let stays = match graph.op(node) {
        "Conv" | "Scale" | "Reshape" => true,
        "MatMul" => graph.only_before(node).is_some_and(|n| ["LayerNorm", "Reshape"].contains(&graph.op(n))),
        _ => false,
    };
    if !stays {
        picked.add(node);
    }
}
