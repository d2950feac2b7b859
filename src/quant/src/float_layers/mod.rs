//! Layers that should stay float whatever calibration finds, by what the network looks like: ops that compute shapes
//! ([`shape_ops`]), places where known families of networks lose their accuracy ([`families`]), and all ops of types that the
//! user leaves out ([`PartQuantize`]).
//!
//! In goes a Top program; out come layer names with the sort of float they want. `spec/calibration.md` sections 16 and 17.

mod blocks;
mod families;
mod graph;
mod openclip;
mod rtdetr;
mod shape_ops;
mod yolo;

pub use graph::Graph;

use std::collections::HashSet;
use std::str::FromStr;
use tpuc_ops::Program;

/// `--part_quantize`: only ops of these types are quantized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartQuantize {
    /// No mode given: convolutions and matrix products, where the network is of no known family.
    Products,
    N,
    H,
    /// The types of `--custom_operator`, without `top.`.
    Custom(Vec<String>),
}

impl PartQuantize {
    /// As in the header of a quantize table.
    pub fn name(&self) -> &'static str {
        match self {
            PartQuantize::Products => "Conv and MatMul",
            PartQuantize::N => "N_mode",
            PartQuantize::H => "H_mode",
            PartQuantize::Custom(_) => "custom_mode",
        }
    }

    fn quantizes(&self, op: &str) -> bool {
        match self {
            PartQuantize::Products => ["Conv", "MatMul"].contains(&op),
            PartQuantize::N => ["Relu", "MaxPool", "Conv", "MatMul", "PRelu", "AvgPool", "Add", "Sigmoid", "Deconv"].contains(&op),
            PartQuantize::H => ["Conv", "MatMul", "AvgPool", "Deconv", "MaxPool"].contains(&op),
            PartQuantize::Custom(types) => types.iter().any(|t| t == op),
        }
    }
}

/// A word that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode '{found}', expected N_mode, H_mode or custom_mode")]
pub struct UnknownPart {
    pub found: String,
}

impl FromStr for PartQuantize {
    type Err = UnknownPart;

    fn from_str(word: &str) -> Result<PartQuantize, UnknownPart> {
        match word {
            "" => Ok(PartQuantize::Products),
            "N_mode" => Ok(PartQuantize::N),
            "H_mode" => Ok(PartQuantize::H),
            "custom_mode" => Ok(PartQuantize::Custom(Vec::new())),
            found => Err(UnknownPart { found: found.to_owned() }),
        }
    }
}

/// The layers that stay float, each in one list only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FloatLayers {
    /// They compute shapes and indices.
    pub shape: Vec<String>,
    /// The shape layers want f32 even where the chip's float type is another one.
    pub shape_in_f32: bool,
    /// In the chip's float type.
    pub pattern: Vec<String>,
    /// In f32.
    pub f32: Vec<String>,
    /// Their ranges are symmetric even where the others' are not.
    pub symmetric: Vec<String>,
    /// What was recognized: lines for the header of the table.
    pub log: Vec<String>,
}

/// The float layers of a network.
pub fn float_layers(program: &Program, part: Option<&PartQuantize>) -> FloatLayers {
    let graph = Graph::new(program);
    let shape = shape_ops::shape_ops(&graph);
    let found = families::find(&graph);
    let mut pattern: Vec<usize> = Vec::new();
    if let Some(part) = part.filter(|p| **p != PartQuantize::Products || found.is_none()) {
        pattern.extend((0..graph.len()).filter(|&n| !part.quantizes(graph.op(n))));
    }
    let found = found.unwrap_or_default();
    pattern.extend(&found.pattern);
    let names = |nodes: Vec<usize>| -> Vec<String> { nodes.into_iter().map(|n| program.node_name(n).to_owned()).collect() };
    let mut taken: HashSet<usize> = HashSet::new();
    let mut once = |nodes: &[usize]| -> Vec<usize> { nodes.iter().copied().filter(|&n| taken.insert(n)).collect() };
    // Where two lists have a layer the user's word counts more than the shape's, and that more than the family's.
    let f32 = once(&found.f32);
    let mut shape = once(&shape);
    if found.in_two_stages {
        shape.extend(once(&pattern));
        pattern = found.second_stage.clone();
    }
    let pattern = once(&pattern);
    FloatLayers { shape: names(shape), shape_in_f32: found.in_two_stages, pattern: names(pattern), f32: names(f32), symmetric: names(found.symmetric), log: found.log }
}

/// The layers that compute shapes, in execution order: the `<model>_shape_ops` table.
pub fn shape_layers(program: &Program) -> Vec<String> {
    shape_ops::shape_ops(&Graph::new(program)).into_iter().map(|n| program.node_name(n).to_owned()).collect()
}
