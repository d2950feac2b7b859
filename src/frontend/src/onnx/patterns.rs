//! Groups of ONNX nodes that are one operation, rewritten before the import: the bias of a convolution written as an addition, and
//! layer normalization written out. The new node takes the last one's output, and so is named after it, as ONNX simplifiers do.

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use super::tensor;
use std::collections::{HashMap, HashSet};
use tpuc_tensor::Tensor;

/// Rewrites what matches; nodes stay in order. `outputs` are tensors that the user asks for besides those of the graph.
pub fn fuse(graph: &mut GraphProto, outputs: &[String]) {
    let index = Index::new(graph, outputs);
    let mut replaced: HashMap<usize, NodeProto> = HashMap::new();
    let mut gone: HashSet<usize> = HashSet::new();
    let mut biases = Vec::new();
    for last in 0..graph.node.len() {
        let found = index.bias(graph, last).or_else(|| index.layer_norm(graph, last));
        if let Some(Match { node, parts, bias }) = found {
            if parts.iter().all(|p| !gone.contains(p) && !replaced.contains_key(p)) {
                gone.extend(parts.iter().copied().filter(|&p| p != last));
                replaced.insert(last, node);
                biases.extend(bias);
            }
        }
    }
    if replaced.is_empty() {
        return;
    }
    graph.initializer.extend(biases);
    let nodes = std::mem::take(&mut graph.node);
    graph.node = nodes.into_iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(i, n)| replaced.remove(&i).unwrap_or(n)).collect();
}

/// Nodes that are one.
struct Match {
    node: NodeProto,
    parts: Vec<usize>,
    /// An initializer that the new node needs.
    bias: Option<TensorProto>,
}

/// A constant: its shape, and its elements where there are few.
struct Constant {
    shape: Vec<i64>,
    elements: Option<Tensor>,
}

/// The most elements of a constant that is looked into: biases and parameters, not filters.
const FEW: i64 = 1 << 16;

/// Who computes and who reads a tensor.
struct Index {
    producer: HashMap<String, usize>,
    /// How often a tensor is read; being an output counts.
    reads: HashMap<String, usize>,
    constants: HashMap<String, Constant>,
}

impl Index {
    fn new(graph: &GraphProto, outputs: &[String]) -> Index {
        let mut index = Index { producer: HashMap::new(), reads: HashMap::new(), constants: HashMap::new() };
        for (i, node) in graph.node.iter().enumerate() {
            node.output.iter().for_each(|o| {
                index.producer.insert(o.clone(), i);
            });
            node.input.iter().for_each(|name| *index.reads.entry(name.clone()).or_default() += 1);
            if let (Some(value), Some(name), "Constant") = (node.attribute.iter().find_map(|a| a.t.as_ref()), node.output.first(), node.op_type.as_str()) {
                index.constant(name, value);
            }
        }
        graph.output.iter().map(|o| &o.name).chain(outputs).for_each(|name| *index.reads.entry(name.clone()).or_default() += 1);
        graph.initializer.iter().for_each(|t| index.constant(&t.name, t));
        index
    }

    fn constant(&mut self, name: &str, proto: &TensorProto) {
        let few = proto.dims.iter().try_fold(1i64, |a, &d| a.checked_mul(d)).is_some_and(|count| count <= FEW);
        let elements = if few { tensor::read(proto).ok() } else { None };
        self.constants.insert(name.to_owned(), Constant { shape: proto.dims.clone(), elements });
    }

    fn elements(&self, name: &str) -> Option<&Tensor> {
        self.constants.get(name)?.elements.as_ref()
    }

    /// The node of this type that computes a tensor which only one node reads.
    fn only(&self, graph: &GraphProto, name: &str, op: &str) -> Option<usize> {
        let at = *self.producer.get(name)?;
        (graph.node[at].op_type == op && self.reads.get(name) == Some(&1)).then_some(at)
    }

    /// Conv without a bias plus a constant per channel, or one for all.
    fn bias(&self, graph: &GraphProto, last: usize) -> Option<Match> {
        let add = &graph.node[last];
        let [value, constant] = add.input.as_slice() else { return None };
        let bias = self.elements(constant).filter(|_| add.op_type == "Add")?;
        let conv = self.only(graph, value, "Conv")?;
        let node = &graph.node[conv];
        let [channels, _, ref spatial @ ..] = self.constants.get(node.input.get(1)?)?.shape[..] else { return None };
        let (shape, rank) = (bias.shape(), spatial.len() + 2);
        let per_channel = shape.len() + 1 >= rank && shape.iter().rev().take(spatial.len()).all(|&d| d == 1) && bias.len() as i64 == channels;
        if node.input.len() != 2 || shape.len() > rank || !(1..=FEW).contains(&channels) || !(per_channel || bias.len() == 1) {
            return None;
        }
        let values = bias.to_f32();
        let float_data = if values.len() == 1 { vec![values[0]; channels as usize] } else { values };
        let name = format!("{}_bias", add.output.first()?);
        let mut new = NodeProto { output: add.output.clone(), ..node.clone() };
        new.input.push(name.clone());
        let bias = TensorProto { name, dims: vec![channels], data_type: 1, float_data, ..Default::default() };
        Some(Match { node: new, parts: vec![conv, last], bias: Some(bias) })
    }

    /// `(x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias` over the last dimensions; weight and bias may be missing.
    fn layer_norm(&self, graph: &GraphProto, last: usize) -> Option<Match> {
        let node = |i: usize| &graph.node[i];
        let input = |i: usize, at: usize| node(i).input.get(at).map(String::as_str);
        let is_constant = |name: &str| self.constants.contains_key(name);
        let (mut parts, mut affine) = (vec![last], Vec::new());
        let mut div = last;
        if node(last).op_type == "Add" {
            let (value, bias) = (input(last, 0)?, input(last, 1)?);
            let mul = self.only(graph, value, "Mul").filter(|_| is_constant(bias))?;
            let (value, weight) = (input(mul, 0)?, input(mul, 1)?);
            div = self.only(graph, value, "Div").filter(|_| is_constant(weight))?;
            affine = vec![weight.to_owned(), bias.to_owned()];
            parts.extend([mul, div]);
        } else if node(last).op_type != "Div" || self.continues(graph, last) {
            return None;
        }
        let (deviation, root) = (input(div, 0)?, input(div, 1)?);
        let sqrt = self.only(graph, root, "Sqrt")?;
        let sum = self.only(graph, input(sqrt, 0)?, "Add")?;
        let eps = self.elements(input(sum, 1)?).filter(|t| t.len() == 1)?.to_f32();
        let variance = self.only(graph, input(sum, 0)?, "ReduceMean")?;
        let square = self.only(graph, input(variance, 0)?, "Pow")?;
        let two = self.elements(input(square, 1)?)?.to_f32();
        let sub = *self.producer.get(deviation)?;
        let mean = self.only(graph, input(sub, 1)?, "ReduceMean")?;
        let x = input(sub, 0)?;
        let fits = input(square, 0) == Some(deviation) && node(sub).op_type == "Sub" && self.reads.get(deviation) == Some(&2) && input(mean, 0) == Some(x) && two == [2.0];
        let axes = self.axes(node(mean))?;
        // Counted from the end, as exporters write them: then they are the last ones whatever the rank.
        let are_last = axes.last() == Some(&-1) && axes.windows(2).all(|w| w[1] == w[0] + 1);
        let keeps = |i: usize| node(i).attribute.iter().find(|a| a.name == "keepdims").is_none_or(|a| a.i != 0);
        if !fits || !are_last || self.axes(node(variance))? != axes || !keeps(mean) || !keeps(variance) {
            return None;
        }
        parts.extend([sqrt, sum, variance, square, sub, mean]);
        let mut new = NodeProto { op_type: "LayerNormalization".into(), input: vec![x.to_owned()], output: node(last).output.clone(), ..Default::default() };
        new.input.extend(affine);
        new.attribute.push(AttributeProto { name: "axis".into(), i: axes[0], ..Default::default() });
        new.attribute.push(AttributeProto { name: "epsilon".into(), f: *eps.first()?, ..Default::default() });
        Some(Match { node: new, parts, bias: None })
    }

    /// Whether a Div is the beginning of weight and bias, which are then part of the match.
    fn continues(&self, graph: &GraphProto, div: usize) -> bool {
        let reader = |name: &str, op: &str| {
            graph.node.iter().enumerate().find(|(_, n)| n.op_type == op && n.input.first().is_some_and(|i| i == name) && n.input.get(1).is_some_and(|c| self.constants.contains_key(c)))
        };
        let sole = |i: usize| graph.node[i].output.first().filter(|o| self.reads.get(*o) == Some(&1));
        sole(div).and_then(|o| reader(o, "Mul")).and_then(|(mul, _)| sole(mul)).is_some_and(|o| reader(o, "Add").is_some())
    }

    fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        match node.input.get(1) {
            Some(name) => self.elements(name)?.to_i64(),
            None => node.attribute.iter().find(|a| a.name == "axes").map(|a| a.ints.clone()),
        }
    }
}
