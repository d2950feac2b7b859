//! MatMul, Gemm, ConvTranspose.

use super::Importer;
use super::convert::{pads, window_list};
use super::fold;
use super::node::OnnxNode;
use tpuc_ops::{ValueId, top};
use tpuc_tensor::Tensor;

impl Importer<'_> {
    pub(super) fn matmul(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let (left, right) = (self.value(node.need(0)?)?, self.value(node.need(1)?)?);
        let (rank, right_rank) = (self.shape(left).len(), self.shape(right).len());
        let none = self.program.none();
        if rank > 1 && right_rank > 1 {
            return self.push(top::MatMul::default(), &[left, right, none], &node.layer);
        }
        // A vector on the left is a row, one on the right a column; its dimension is not in the result.
        let row = [vec![1], self.shape(left).to_vec()].concat();
        let column = [self.shape(right).to_vec(), vec![1]].concat();
        let left = if rank > 1 { left } else { self.reshaped(left, row, &format!("{}_left", node.layer))? };
        let right = if right_rank > 1 { right } else { self.reshaped(right, column, &format!("{}_right", node.layer))? };
        let product = self.push(top::MatMul::default(), &[left, right, none], &format!("{}_matmul", node.layer))?;
        let mut shape = self.shape(product).to_vec();
        if right_rank == 1 {
            shape.pop();
        }
        if rank == 1 {
            shape.remove(shape.len() - 1 - usize::from(right_rank > 1));
        }
        let shape = if shape.is_empty() { vec![1] } else { shape };
        self.reshaped(product, shape, &node.layer)
    }

    fn reshaped(&mut self, value: ValueId, shape: Vec<i64>, layer: &str) -> Result<ValueId, String> {
        self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[value], layer)
    }

    /// `alpha * A B + beta * C`; factors and transpositions go into the weights where there are weights.
    pub(super) fn gemm(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let mut left = self.value(node.need(0)?)?;
        if node.int("transA", 0) != 0 {
            left = self.push(top::Permute { order: vec![1, 0], ..Default::default() }, &[left], &format!("{}_left", node.layer))?;
        }
        let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
        let transposed = node.int("transB", 0) != 0;
        let name = node.need(1)?;
        let right = match self.constant(name) {
            None if alpha != 1.0 => return Err(format!("alpha {alpha} of a product of two activations is not supported")),
            None => self.value(name)?,
            Some(tensor) if !transposed && alpha == 1.0 => self.weight(name, &tensor)?,
            Some(tensor) => {
                let tensor = if transposed { fold::transpose(&tensor, None)? } else { (*tensor).clone() };
                self.weight(&format!("{name}_fix"), &scaled(&tensor, alpha)?)?
            }
        };
        let op = top::MatMul { right_transpose: transposed && self.constant(name).is_none(), ..Default::default() };
        let columns = self.shape(right).get(usize::from(!op.right_transpose)).copied().unwrap_or(0);
        let none = self.program.none();
        let Some(name) = node.input(2).filter(|_| beta != 0.0) else { return self.push(op, &[left, right, none], &node.layer) };
        // A row of constants is a bias; everything else is added.
        let row = self.constant(name).filter(|t| (t.len() == 1 || t.len() as i64 == columns) && t.shape().iter().rev().skip(1).all(|&d| d == 1));
        if let Some(tensor) = row {
            let mut values = tensor.to_f32();
            if values.len() == 1 {
                values = vec![values[0]; columns as usize];
            }
            let fixed = if beta == 1.0 { name.to_owned() } else { format!("{name}_fix") };
            let tensor = Tensor::f32(&[columns as usize], values).map_err(|e| e.to_string())?;
            let bias = self.weight(&fixed, &scaled(&tensor, beta)?)?;
            return self.push(op, &[left, right, bias], &node.layer);
        }
        let product = self.push(op, &[left, right, none], &format!("{}_matmul", node.layer))?;
        let addend = self.value(name)?;
        let coeff = (beta != 1.0).then(|| vec![1.0, f64::from(beta)]);
        self.push(top::Add { coeff, ..Default::default() }, &[product, addend], &node.layer)
    }

    pub(super) fn conv_transpose(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let name = node.need(1)?;
        let filter = self.constant(name).ok_or_else(|| format!("its filter '{name}' is not a constant"))?;
        let (&[channels, _, ref kernel @ ..], group) = (filter.shape(), node.int("group", 1)) else {
            return Err(format!("filter {:?} has no spatial dimensions", filter.shape()));
        };
        let (spatial, kernel) = (kernel.len(), kernel.iter().map(|&d| d as i64).collect::<Vec<_>>());
        if spatial == 0 || group < 1 || channels as i64 % group != 0 {
            return Err(format!("filter {:?} does not fit {group} groups", filter.shape()));
        }
        if let Some(declared) = node.ints("kernel_shape").filter(|k| *k != kernel) {
            return Err(format!("kernel_shape {declared:?} differs from that of the filter {:?}", filter.shape()));
        }
        let filter = self.weight(name, &output_major(&filter, group as usize)?)?;
        let bias = match node.input(2) {
            Some(name) => self.value(name)?,
            None => self.program.none(),
        };
        let strides = window_list(node, "strides", spatial, 1)?;
        let dilations = window_list(node, "dilations", spatial, 1)?;
        let (pads, output_padding) = self.deconv_pads(node, input, &kernel, &strides, &dilations)?;
        let op = top::Deconv {
            kernel_shape: kernel,
            strides,
            pads,
            group,
            dilations: Some(dilations),
            output_padding: Some(output_padding),
            ..Default::default()
        };
        self.push(op, &[input, filter, bias], &node.layer)
    }

    /// What is cut from the full result at both ends, and what is added at the end.
    fn deconv_pads(&self, node: &OnnxNode, input: ValueId, kernel: &[i64], strides: &[i64], dilations: &[i64]) -> Result<(Vec<i64>, Vec<i64>), String> {
        let spatial = kernel.len();
        let shape = self.shape(input);
        let output_padding = match node.ints("output_padding").filter(|l| !l.is_empty()) {
            Some(list) if list.len() == spatial && list.iter().all(|p| (0..1 << 16).contains(p)) => list.to_vec(),
            Some(list) => return Err(format!("output_padding {list:?} does not fit {spatial} spatial dimensions")),
            None => vec![0; spatial],
        };
        let mode = node.text("auto_pad").unwrap_or_default();
        let wanted: Vec<i64> = match node.ints("output_shape").filter(|l| !l.is_empty()) {
            Some(list) if list.len() >= spatial => list[list.len() - spatial..].to_vec(),
            Some(list) => return Err(format!("output_shape {list:?} does not fit {spatial} spatial dimensions")),
            None if mode.starts_with("SAME") && shape.len() == spatial + 2 => (0..spatial).map(|d| shape[d + 2] * strides[d]).collect(),
            None => return Ok((pads(node, shape, kernel, strides, dilations)?, output_padding)),
        };
        if shape.len() != spatial + 2 {
            return Err(format!("input {shape:?} does not have {spatial} spatial dimensions"));
        }
        let (mut pads, mut extra) = (vec![0; 2 * spatial], output_padding.clone());
        for d in 0..spatial {
            let full = (shape[d + 2] - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 + output_padding[d];
            let total = full.checked_sub(wanted[d]).filter(|t| t.abs() < 1 << 24).ok_or("output_shape is out of range")?;
            // What is missing is added at the end.
            extra[d] += (-total).max(0);
            let (small, large) = (total.max(0) / 2, total.max(0) - total.max(0) / 2);
            (pads[d], pads[d + spatial]) = if mode == "SAME_UPPER" { (small, large) } else { (large, small) };
        }
        Ok((pads, extra))
    }
}

/// The filter of a transposed convolution, `[inputs, outputs of a group, taps]`, with one output channel after the other:
/// `[outputs, inputs of a group, taps]`, under the shape `[outputs of a group, inputs, taps]`.
fn output_major(filter: &Tensor, group: usize) -> Result<Tensor, String> {
    let (inputs, outputs, taps) = (filter.shape()[0] / group, filter.shape()[1], &filter.shape()[2..]);
    let shaped = |tensor: &Tensor, shape: &[usize]| tensor.clone().reshaped(shape).map_err(|e| e.to_string());
    let by_group = shaped(filter, &[&[group, inputs, outputs], taps].concat())?;
    let order: Vec<i64> = [vec![0, 2, 1], (3..3 + taps.len() as i64).collect()].concat();
    shaped(&fold::transpose(&by_group, Some(&order))?, &[&[outputs, group * inputs], taps].concat())
}

fn scaled(tensor: &Tensor, factor: f32) -> Result<Tensor, String> {
    let data = tensor.to_f32().into_iter().map(|v| if factor == 1.0 { v } else { v * factor }).collect();
    Tensor::f32(tensor.shape(), data).map_err(|e| e.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_groups_have_one_output_channel_after_the_other() {
        // [inputs 4, outputs of a group 2, taps 3]; 100 input + 10 output + tap.
        let values = (0..4).flat_map(|i| (0..2).flat_map(move |o| (0..3).map(move |t| (100 * i + 10 * o + t) as f32))).collect();
        let filter = output_major(&Tensor::f32(&[4, 2, 3], values).unwrap(), 2).unwrap();
        assert_eq!(filter.shape(), [2, 4, 3]);
        let want = [0., 1., 2., 100., 101., 102., 10., 11., 12., 110., 111., 112., 200., 201., 202., 300., 301., 302., 210., 211., 212., 310., 311., 312.];
        assert_eq!(filter.as_f32().unwrap(), want);
    }
}
