//! LayerNormalization, InstanceNormalization, GroupNormalization.

use super::node::OnnxNode;
use super::{Importer, fold};
use tpuc_ops::{ValueId, top};
use tpuc_tensor::Tensor;

impl Importer<'_> {
    pub(super) fn layer_norm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input).to_vec();
        let axis = fold::normalize(node.int("axis", -1), shape.len() as i64)?;
        // Weights have the input's rank.
        let target: Vec<i64> = shape.iter().enumerate().map(|(d, &s)| if d < axis { 1 } else { s }).collect();
        let weight = self.affine(node, 1, 1.0, &target)?;
        let bias = self.affine(node, 2, 0.0, &target)?;
        let op = top::LayerNorm { axis: axis as i32, eps: epsilon(node), normalized_shape: shape[axis..].to_vec(), ..Default::default() };
        self.push(op, &[input, weight, bias], &node.layer)
    }

    pub(super) fn instance_norm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let target = self.channel_shape(input)?;
        let weight = self.affine(node, 1, 1.0, &target)?;
        let bias = self.affine(node, 2, 0.0, &target)?;
        self.push(top::InstanceNorm { eps: epsilon(node), ..Default::default() }, &[input, weight, bias], &node.layer)
    }

    /// Until opset 21 scale and bias are per group, from then on per channel: told apart by their size.
    pub(super) fn group_norm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let target = self.channel_shape(input)?;
        let (channels, groups) = (target[1], node.int("num_groups", 0));
        if groups < 1 || channels % groups != 0 {
            return Err(format!("{channels} channels are not divisible into {groups} groups"));
        }
        let mut values = Vec::new();
        for (index, neutral) in [(1, 1.0), (2, 0.0)] {
            let Some(name) = node.input(index) else {
                values.push(self.program.none());
                continue;
            };
            let data = self.constant(name).ok_or_else(|| format!("input '{name}' is not a constant"))?.to_f32();
            let data: Vec<f32> = match data.len() as i64 {
                n if n == channels => data,
                n if n == groups => data.iter().flat_map(|&v| std::iter::repeat_n(v, (channels / groups) as usize)).collect(),
                n => return Err(format!("input '{name}' has {n} elements, expected {channels} or {groups}")),
            };
            values.push(self.affine_values(name, data, neutral, &target)?);
        }
        let op = top::GroupNorm { num_groups: groups, eps: epsilon(node), ..Default::default() };
        self.push(op, &[input, values[0], values[1]], &node.layer)
    }

    fn channel_shape(&self, input: ValueId) -> Result<Vec<i64>, String> {
        match self.shape(input) {
            [_, channels, spatial @ ..] => Ok([vec![1, *channels], vec![1; spatial.len()]].concat()),
            shape => Err(format!("input {shape:?} has no channels")),
        }
    }

    /// A weight of this shape; absent where it changes nothing.
    fn affine(&mut self, node: &OnnxNode, index: usize, neutral: f32, shape: &[i64]) -> Result<ValueId, String> {
        let Some(name) = node.input(index) else { return Ok(self.program.none()) };
        let data = self.constant(name).ok_or_else(|| format!("input '{name}' is not a constant"))?.to_f32();
        self.affine_values(name, data, neutral, shape)
    }

    fn affine_values(&mut self, name: &str, data: Vec<f32>, neutral: f32, shape: &[i64]) -> Result<ValueId, String> {
        let count: i64 = shape.iter().product();
        let data = if data.len() == 1 && count != 1 { vec![data[0]; count as usize] } else { data };
        if data.iter().all(|&v| v == neutral) {
            return Ok(self.program.none());
        }
        if data.len() as i64 != count {
            return Err(format!("input '{name}' has {} elements, expected {count}", data.len()));
        }
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        self.weight(name, &Tensor::f32(&dims, data).map_err(|e| e.to_string())?)
    }
}

fn epsilon(node: &OnnxNode) -> f64 {
    // The standard's default is a decimal number, not its nearest f32.
    node.float("epsilon").map_or(1e-5, f64::from)
}
