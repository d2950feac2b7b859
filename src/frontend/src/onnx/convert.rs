//! Nodes of an ONNX graph as Top ops.

use super::node::OnnxNode;
use super::{Importer, Slot, fold};
use tpuc_ops::{ValueId, top};
use tpuc_tensor::Tensor;

/// ONNX ops that become Top ops here. (Others than these and the elementwise ones are only allowed among constants.)
pub const SUPPORTED: &[&str] = &[
    "AveragePool", "BatchNormalization", "Conv", "Dropout", "Flatten", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "Identity", "MatMul", "MaxPool", "Pad", "ReduceMean", "Reshape", "Shape", "Softmax", "Squeeze", "Unsqueeze",
];

impl<'a> Importer<'a> {
    pub(super) fn convert(&mut self, node: &OnnxNode<'a>) -> Result<Slot, String> {
        let value = match node.op() {
            "AveragePool" => self.average_pool(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Conv" => self.conv(node)?,
            // At inference both hand their input on.
            "Dropout" | "Identity" => self.value(node.need(0)?)?,
            "Flatten" => self.flatten(node)?,
            "Gemm" => self.gemm(node)?,
            "GlobalAveragePool" => self.global_average_pool(node)?,
            "GlobalMaxPool" => self.global_max_pool(node)?,
            "MatMul" => self.matmul(node)?,
            "MaxPool" => self.max_pool(node)?,
            "Pad" => self.pad(node)?,
            "ReduceMean" => self.reduce_mean(node)?,
            "Reshape" => self.reshape(node)?,
            "Shape" => {
                let input = self.value(node.need(0)?)?;
                let shape = self.shape(input).to_vec();
                return Tensor::i64(&[shape.len()], shape).map(|t| Slot::Constant(t.into())).map_err(|e| e.to_string());
            }
            "Softmax" => self.softmax(node)?,
            "Squeeze" | "Unsqueeze" => self.squeeze(node)?,
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

    fn max_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        if node.ints("dilations").is_some_and(|d| d.iter().any(|&v| v != 1)) {
            return Err("dilated pooling is not supported".into());
        }
        let (kernel_shape, strides, pads) = self.pool_window(node, input)?.0;
        self.push(top::MaxPool { kernel_shape, strides, pads, ..Default::default() }, &[input], &node.layer)
    }

    fn average_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let ((kernel_shape, strides, pads), widened) = self.pool_window(node, input)?;
        let count_include_pad = node.int("count_include_pad", 0) != 0;
        if widened && count_include_pad {
            return Err("ceil_mode with count_include_pad is not supported where windows leave the padded input".into());
        }
        let op = top::AvgPool { kernel_shape, strides, pads, count_include_pad, ..Default::default() };
        self.push(op, &[input], &node.layer)
    }

    /// Kernel, strides and pads. `ceil_mode` becomes padding at the end, so that later stages need not know it; the flag
    /// says whether it did.
    #[allow(clippy::type_complexity)]
    fn pool_window(&self, node: &OnnxNode, input: ValueId) -> Result<((Vec<i64>, Vec<i64>, Vec<i64>), bool), String> {
        let kernel = node.ints("kernel_shape").ok_or("kernel_shape is missing")?.to_vec();
        let spatial = kernel.len();
        let shape = self.shape(input);
        if shape.len() != spatial + 2 {
            return Err(format!("a kernel of {spatial} dimensions does not fit an input of shape {shape:?}"));
        }
        let strides = window_list(node, "strides", spatial, 1)?;
        let mut pads = pads(node, shape, &kernel, &strides, &vec![1; spatial])?;
        let mut widened = false;
        if node.int("ceil_mode", 0) != 0 {
            for d in 0..spatial {
                let size = shape[d + 2];
                let span = size + pads[d] + pads[d + spatial] - kernel[d];
                let mut steps = (span + strides[d] - 1).div_euclid(strides[d]);
                // A window that would start behind the input and its leading pad does not count.
                if steps * strides[d] >= size + pads[d] {
                    steps -= 1;
                }
                let reach = steps * strides[d] + kernel[d] - size - pads[d];
                if reach > pads[d + spatial] {
                    pads[d + spatial] = reach;
                    widened = true;
                }
            }
        }
        Ok(((kernel, strides, pads), widened))
    }

    fn global_average_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        self.average_over(input, &node.layer)
    }

    /// The mean over all spatial dimensions.
    fn average_over(&mut self, input: ValueId, layer: &str) -> Result<ValueId, String> {
        let kernel_shape = self.spatial(input)?;
        let spatial = kernel_shape.len();
        let op = top::AvgPool { kernel_shape, strides: vec![1; spatial], pads: vec![0; 2 * spatial], count_include_pad: true, ..Default::default() };
        self.push(op, &[input], layer)
    }

    fn global_max_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let kernel_shape = self.spatial(input)?;
        let spatial = kernel_shape.len();
        let op = top::MaxPool { kernel_shape, strides: vec![1; spatial], pads: vec![0; 2 * spatial], ..Default::default() };
        self.push(op, &[input], &node.layer)
    }

    fn spatial(&self, input: ValueId) -> Result<Vec<i64>, String> {
        let shape = self.shape(input);
        if shape.len() < 3 { Err(format!("input {shape:?} has no spatial dimensions")) } else { Ok(shape[2..].to_vec()) }
    }

    fn reduce_mean(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let rank = self.shape(input).len() as i64;
        let axes = match (node.input(1), node.ints("axes")) {
            (Some(name), _) => self.constant(name).and_then(|t| t.to_i64()).ok_or("its axes are not constant")?,
            (None, Some(list)) => list.to_vec(),
            (None, None) => (0..rank).collect(),
        };
        let mut axes = axes.iter().map(|&a| fold::normalize(a, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        if rank != 4 || axes != [2, 3] {
            return Err(format!("only the mean over height and width is supported, found axes {axes:?} of {rank} dimensions"));
        }
        if node.int("keepdims", 1) != 0 {
            return self.average_over(input, &node.layer);
        }
        let pooled = self.average_over(input, &format!("{}_pool", node.layer))?;
        let shape = self.shape(pooled)[..2].to_vec();
        self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[pooled], &node.layer)
    }

    fn flatten(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input);
        let axis = match node.int("axis", 1) {
            axis if axis == shape.len() as i64 => shape.len(),
            axis => fold::normalize(axis, shape.len() as i64)?,
        };
        let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
        // Only a flattening that keeps the leading dimensions one by one is one in Top's sense.
        let flatten_start_dim = if axis == 1 { 1 } else { -1 };
        self.push(top::Reshape { shape: Some(flat), flatten_start_dim, ..Default::default() }, &[input], &node.layer)
    }

    fn reshape(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = match node.input(1) {
            Some(name) => self.constant(name).and_then(|t| t.to_i64()).ok_or_else(|| format!("its target shape '{name}' is not a constant"))?,
            None => node.ints("shape").ok_or("its target shape is missing")?.to_vec(),
        };
        if node.int("allowzero", 0) != 0 && shape.contains(&0) {
            return Err("a target shape with empty dimensions is not supported".into());
        }
        self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[input], &node.layer)
    }

    fn squeeze(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let axes = match (node.input(1), node.ints("axes")) {
            (Some(name), _) => Some(self.constant(name).and_then(|t| t.to_i64()).ok_or("its axes are not constant")?),
            (None, list) => list.map(<[i64]>::to_vec),
        };
        let mut shape = self.shape(input).to_vec();
        if node.op() == "Unsqueeze" {
            let axes = axes.ok_or("its axes are missing")?;
            let rank = (shape.len() + axes.len()) as i64;
            let mut axes = axes.iter().map(|&a| fold::normalize(a, rank)).collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            for axis in axes {
                if axis > shape.len() {
                    return Err("its axes repeat".into());
                }
                shape.insert(axis, 1);
            }
        } else {
            let rank = shape.len() as i64;
            let axes = match axes {
                Some(list) => list.iter().map(|&a| fold::normalize(a, rank)).collect::<Result<Vec<_>, _>>()?,
                None => (0..shape.len()).filter(|&d| shape[d] == 1).collect(),
            };
            if let Some(&axis) = axes.iter().find(|&&a| shape[a] != 1) {
                return Err(format!("axis {axis} of {shape:?} is not 1"));
            }
            shape = shape.iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, &s)| s).collect();
        }
        self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[input], &node.layer)
    }

    fn pad(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let paddings = match node.input(1) {
            Some(name) => self.constant(name).and_then(|t| t.to_i64()).ok_or_else(|| format!("its pads '{name}' are not a constant"))?,
            None => node.ints("pads").ok_or("its pads are missing")?.to_vec(),
        };
        if node.input(3).is_some() {
            return Err("pads of selected axes are not supported".into());
        }
        if paddings.iter().all(|&p| p == 0) {
            return Ok(input);
        }
        let val = match node.input(2) {
            Some(name) => self.constant(name).ok_or_else(|| format!("its value '{name}' is not a constant"))?.to_f32().first().copied().unwrap_or(0.0),
            None => node.float("value").unwrap_or(0.0),
        };
        let mode = node.text("mode").unwrap_or_else(|| "constant".into());
        self.push(top::Pad { paddings, val: f64::from(val), mode, ..Default::default() }, &[input], &node.layer)
    }

    fn softmax(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let rank = self.shape(input).len() as i64;
        let axis = node.int("axis", if self.opset >= 13 { -1 } else { 1 });
        let axis = fold::normalize(axis, rank)?;
        // Before opset 13 everything from the axis on is one dimension.
        if self.opset < 13 && self.shape(input)[axis + 1..].iter().any(|&d| d != 1) {
            return Err("softmax over several dimensions (opset below 13) is not supported".into());
        }
        self.push(top::Softmax { axis: axis as i32, ..Default::default() }, &[input], &node.layer)
    }

    fn matmul(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let operands = [self.value(node.need(0)?)?, self.value(node.need(1)?)?, self.program.none()];
        self.push(top::MatMul::default(), &operands, &node.layer)
    }

    /// `alpha * A B + beta * C`; factors and transpositions go into the weights.
    fn gemm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        if node.int("transA", 0) != 0 {
            return Err("transA is not supported".into());
        }
        let input = self.value(node.need(0)?)?;
        let name = node.need(1)?;
        let right = self.constant(name).ok_or_else(|| format!("its matrix '{name}' is not a constant"))?;
        let right = scaled(&right, node.float("alpha").unwrap_or(1.0))?;
        let right = if node.int("transB", 0) != 0 { self.weight(&format!("{name}_fix"), &fold::transpose(&right, None)?)? } else { self.weight(name, &right)? };
        let bias = match node.input(2) {
            None => self.program.none(),
            Some(name) => {
                let bias = self.constant(name).ok_or_else(|| format!("its bias '{name}' is not a constant"))?;
                let bias = scaled(&bias, node.float("beta").unwrap_or(1.0))?;
                let columns = self.shape(right).last().copied().unwrap_or(0) as usize;
                let bias = match bias.len() {
                    1 => Tensor::f32(&[columns], vec![bias.to_f32()[0]; columns]),
                    n if n == columns => bias.reshaped(&[columns]),
                    n => return Err(format!("its bias '{name}' has {n} elements, expected {columns}")),
                };
                self.weight(name, &bias.map_err(|e| e.to_string())?)?
            }
        };
        self.push(top::MatMul::default(), &[input, right, bias], &node.layer)
    }
}

fn scaled(tensor: &Tensor, factor: f32) -> Result<Tensor, String> {
    let data = tensor.to_f32().into_iter().map(|v| if factor == 1.0 { v } else { v * factor }).collect();
    Tensor::f32(tensor.shape(), data).map_err(|e| e.to_string())
}

/// `strides` or `dilations`, one per spatial dimension.
fn window_list(node: &OnnxNode, name: &str, spatial: usize, default: i64) -> Result<Vec<i64>, String> {
    let list = node.ints(name).filter(|l| !l.is_empty()).map_or_else(|| vec![default; spatial], <[i64]>::to_vec);
    if list.len() != spatial || list.iter().any(|&v| !(1..=1 << 16).contains(&v)) {
        return Err(format!("{name} {list:?} does not fit {spatial} spatial dimensions"));
    }
    Ok(list)
}

/// Explicit pads (all leading, then all trailing), or those that `auto_pad` asks for.
fn pads(node: &OnnxNode, input: &[i64], kernel: &[i64], strides: &[i64], dilations: &[i64]) -> Result<Vec<i64>, String> {
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
