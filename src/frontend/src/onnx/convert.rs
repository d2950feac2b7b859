//! Nodes of an ONNX graph as Top ops.

use super::node::OnnxNode;
use super::{Importer, Slot, fold};
use tpuc_ops::{ValueId, top};
use std::sync::Arc;
use tpuc_tensor::Tensor;

/// ONNX ops that become Top ops here. (Others than these and the elementwise ones are only allowed among constants.)
pub const SUPPORTED: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Concat",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Dropout",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "Less",
    "LessOrEqual",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Not",
    "Pad",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Resize",
    "Shape",
    "Size",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
    "Xor",
];

impl<'a> Importer<'a> {
    pub(super) fn convert(&mut self, node: &OnnxNode<'a>) -> Result<Slot, String> {
        let value = match node.op() {
            "And" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Xor" => self.compare(node)?,
            "ArgMax" | "ArgMin" => self.arg(node)?,
            "AveragePool" => self.average_pool(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Cast" => self.cast(node)?,
            "Concat" => self.concat(node)?,
            "Conv" => self.conv(node)?,
            "ConvTranspose" => self.conv_transpose(node)?,
            "DepthToSpace" | "SpaceToDepth" => self.depth2space(node)?,
            // At inference both hand their input on.
            "Dropout" | "Identity" => self.value(node.need(0)?)?,
            "Expand" => self.expand(node)?,
            "Flatten" => self.flatten(node)?,
            "Gather" => self.gather(node)?,
            "Gemm" => self.gemm(node)?,
            "GlobalAveragePool" => self.global_average_pool(node)?,
            "GlobalMaxPool" => self.global_max_pool(node)?,
            "GroupNormalization" => self.group_norm(node)?,
            "InstanceNormalization" => self.instance_norm(node)?,
            "LayerNormalization" => self.layer_norm(node)?,
            "LogSoftmax" | "Softmax" => self.softmax(node)?,
            "MatMul" => self.matmul(node)?,
            "MaxPool" => self.max_pool(node)?,
            "Not" => self.not(node)?,
            "Pad" => self.pad(node)?,
            "ReduceL1" | "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" => self.reduce(node)?,
            "Reshape" => self.reshape(node)?,
            "Resize" | "Upsample" => self.resize(node)?,
            "Shape" | "Size" => return self.shape_of(node).map(Slot::Constant),
            "Slice" => self.slice(node)?,
            "Squeeze" => self.squeeze(node)?,
            "Tile" => self.tile(node)?,
            "Transpose" => self.transpose(node)?,
            "Unsqueeze" => self.unsqueeze(node)?,
            "Where" => self.select(node)?,
            _ => self.elementwise(node)?,
        };
        Ok(Slot::Value(value))
    }

    fn conv(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let filter = self.value(node.need(1)?)?;
        let bias = match node.input(2) {
            Some(name) => self.value(name)?,
            None => self.program.none(),
        };
        let filter_shape = self.shape(filter).to_vec();
        if filter_shape.len() < 3 {
            return Err(format!("filter {filter_shape:?} has no spatial dimensions"));
        }
        let kernel = filter_shape[2..].to_vec();
        if let Some(declared) = node.ints("kernel_shape").filter(|k| *k != kernel) {
            return Err(format!("kernel_shape {declared:?} differs from that of the filter {filter_shape:?}"));
        }
        let spatial = kernel.len();
        let strides = window_list(node, "strides", spatial, 1)?;
        let dilations = window_list(node, "dilations", spatial, 1)?;
        let pads = pads(node, self.shape(input), &kernel, &strides, &dilations)?;
        let op = top::Conv { kernel_shape: kernel, strides, pads, group: node.int("group", 1), dilations: Some(dilations), ..Default::default() };
        self.push(op, &[input, filter, bias], &node.layer)
    }

    fn batch_norm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let mut weights = Vec::new();
        // ONNX: scale, bias, mean, variance. Top: mean, variance, gamma, beta.
        for index in [3, 4, 1, 2] {
            let name = node.need(index)?;
            self.constant(name).ok_or_else(|| format!("input '{name}' is not a constant"))?;
            weights.push(self.value(name)?);
        }
        let op = top::BatchNorm { epsilon: f64::from(node.float("epsilon").unwrap_or(1e-5)), ..Default::default() };
        self.push(op, &[input, weights[0], weights[1], weights[2], weights[3]], &node.layer)
    }


    fn softmax(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input).to_vec();
        let axis = node.int("axis", if self.opset >= 13 { -1 } else { 1 });
        let axis = fold::normalize(axis, shape.len() as i64)?;
        let op = |axis: usize| top::Softmax { axis: axis as i32, log: node.op() == "LogSoftmax", ..Default::default() };
        // Before opset 13 everything from the axis on is one dimension.
        if self.opset < 13 && shape[axis + 1..].iter().any(|&d| d != 1) {
            let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
            let reshape = |shape: Vec<i64>| top::Reshape { shape: Some(shape), ..Default::default() };
            let rows = self.push(reshape(flat), &[input], &format!("{}_rows", node.layer))?;
            let result = self.push(op(1), &[rows], &format!("{}_softmax", node.layer))?;
            return self.push(reshape(shape), &[result], &node.layer);
        }
        self.push(op(axis), &[input], &node.layer)
    }

    /// The shape (or a part of it), or the number of elements, of a tensor.
    fn shape_of(&mut self, node: &OnnxNode) -> Result<Arc<Tensor>, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input).to_vec();
        let rank = shape.len() as i64;
        let at = |v: i64| if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank) as usize;
        let part = shape.get(at(node.int("start", 0))..at(node.int("end", rank))).unwrap_or(&[]);
        let tensor = if node.op() == "Size" { Tensor::i64(&[], vec![shape.iter().product()]) } else { Tensor::i64(&[part.len()], part.to_vec()) };
        tensor.map(Arc::new).map_err(|e| e.to_string())
    }

}

/// `strides` or `dilations`, one per spatial dimension.
pub(super) fn window_list(node: &OnnxNode, name: &str, spatial: usize, default: i64) -> Result<Vec<i64>, String> {
    let list = node.ints(name).filter(|l| !l.is_empty()).map_or_else(|| vec![default; spatial], <[i64]>::to_vec);
    if list.len() != spatial || list.iter().any(|&v| !(1..=1 << 16).contains(&v)) {
        return Err(format!("{name} {list:?} does not fit {spatial} spatial dimensions"));
    }
    Ok(list)
}

/// Explicit pads (all leading, then all trailing), or those that `auto_pad` asks for.
pub(super) fn pads(node: &OnnxNode, input: &[i64], kernel: &[i64], strides: &[i64], dilations: &[i64]) -> Result<Vec<i64>, String> {
    let spatial = kernel.len();
    if input.len() != spatial + 2 {
        return Err(format!("input {input:?} does not have {spatial} spatial dimensions"));
    }
    let mode = node.text("auto_pad").unwrap_or_default();
    match mode.as_str() {
        "" | "NOTSET" => {
            let pads = node.ints("pads").filter(|l| !l.is_empty()).map_or_else(|| vec![0; 2 * spatial], <[i64]>::to_vec);
            if pads.len() != 2 * spatial || pads.iter().any(|&v| !(0..=1 << 16).contains(&v)) {
                return Err(format!("pads {pads:?} do not fit {spatial} spatial dimensions"));
            }
            Ok(pads)
        }
        "VALID" => Ok(vec![0; 2 * spatial]),
        "SAME_UPPER" | "SAME_LOWER" => {
            let mut pads = vec![0; 2 * spatial];
            for d in 0..spatial {
                let size = input[d + 2];
                let out = (size + strides[d] - 1) / strides[d];
                let total = ((out - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 - size).max(0);
                let (small, large) = (total / 2, total - total / 2);
                (pads[d], pads[d + spatial]) = if mode == "SAME_UPPER" { (small, large) } else { (large, small) };
            }
            Ok(pads)
        }
        other => Err(format!("auto_pad '{other}' is unknown")),
    }
}
