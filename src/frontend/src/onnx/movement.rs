//! Ops that move elements: Transpose, Reshape, Slice, Split, Concat, Gather, Tile, Pad and the like.

use super::node::OnnxNode;
use super::{Importer, Slot, fold};
use tpuc_ops::{TensorType, ValueId, top};

impl Importer<'_> {
    pub(super) fn transpose(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let rank = self.shape(input).len() as i64;
        let order = match node.ints("perm") {
            Some(list) => list.iter().map(|&a| fold::normalize(a, rank).map(|a| a as i64)).collect::<Result<_, _>>()?,
            None => (0..rank).rev().collect(),
        };
        self.push(top::Permute { order, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn flatten(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input);
        let axis = match node.int("axis", 1) {
            axis if axis == shape.len() as i64 => shape.len(),
            axis => fold::normalize(axis, shape.len() as i64)?,
        };
        let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
        self.push(top::Reshape { shape: Some(flat), flatten_start_dim: axis as i64, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn reshape(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.integers(node, 1, "shape")?.ok_or("its target shape is missing")?;
        if node.int("allowzero", 0) != 0 && shape.contains(&0) {
            return Err("a target shape with empty dimensions is not supported".into());
        }
        // A number without dimensions is a tensor of one element.
        let shape = if shape.is_empty() { vec![1] } else { shape };
        self.push(top::Reshape { shape: Some(shape), ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn squeeze(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let axes = self.integers(node, 1, "axes")?.unwrap_or_default();
        let shape = self.shape(input);
        let is_scalar = shape.iter().all(|&s| s == 1) && (axes.is_empty() || axes.len() == shape.len());
        self.push(top::Squeeze { axes, is_scalar, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn unsqueeze(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let axes = self.integers(node, 1, "axes")?.ok_or("its axes are missing")?;
        self.push(top::Unsqueeze { axes, ..Default::default() }, &[input], &node.layer)
    }

    /// One entry a dimension: what is not named is taken whole.
    pub(super) fn slice(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input).to_vec();
        let given = |list: Option<Vec<i64>>, index: usize| list.map(|l| if node.input(index).is_some() { l.into_iter().map(through_float).collect() } else { l });
        let starts: Vec<i64> = given(self.integers(node, 1, "starts")?, 1).ok_or("its starts are missing")?;
        let ends: Vec<i64> = given(self.integers(node, 2, "ends")?, 2).ok_or("its ends are missing")?;
        let axes = self.integers(node, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.integers(node, 4, "steps")?.unwrap_or_else(|| vec![1; axes.len()]);
        if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] {
            return Err("its starts, ends, axes and steps differ in length".into());
        }
        let mut entries: Vec<usize> = (0..axes.len()).collect();
        entries.sort_by_key(|&i| axes[i]);
        let mut op = top::Slice { offset: vec![0; shape.len()], steps: vec![1; shape.len()], ends: shape.clone(), ..Default::default() };
        let mut named = vec![false; shape.len()];
        for &i in &entries {
            let d = fold::normalize(axes[i], shape.len() as i64)?;
            if d >= shape.len() || std::mem::replace(&mut named[d], true) {
                return Err(format!("its axes {axes:?} do not fit {} dimensions", shape.len()));
            }
            (op.offset[d], op.ends[d], op.steps[d]) = (starts[i], ends[i], steps[i]);
        }
        op.hasparamConvert_axes = entries.iter().map(|&i| axes[i]).collect();
        let ranges = op.resolve(&shape)?;
        let whole = |d: usize| ranges[d].count as i64 == shape[d];
        let backwards: Vec<usize> = (0..shape.len()).filter(|&d| whole(d) && ranges[d].step < 0 && shape[d] > 1).collect();
        if (0..shape.len()).all(whole) {
            match backwards[..] {
                [] => return Ok(input),
                [axis] => return self.push(top::Reverse { axis: axis as i64, ..Default::default() }, &[input], &node.layer),
                _ => {}
            }
        }
        let none = self.program.none();
        self.push(op, &[input, none, none, none], &node.layer)
    }

    /// A layer a result, named after it.
    pub(super) fn split(&mut self, node: &OnnxNode) -> Result<Vec<Slot>, String> {
        let input = self.value(node.need(0)?)?;
        let outputs = &node.proto.output;
        let axis = fold::normalize(node.int("axis", 0), self.shape(input).len() as i64)?;
        let size = self.shape(input).get(axis).copied().ok_or("its input has no dimensions")?;
        let mut split_size = self.integers(node, 1, "split")?;
        let num = outputs.len() as i64;
        if split_size.is_none() && size % num != 0 {
            // As many as fit of the rounded-up size, and the rest.
            let part = (size + num - 1) / num;
            split_size = Some((0..num).map(|i| part.min(size - i * part)).collect());
        }
        let op = top::Split { axis: axis as i32, num, split_size, ..Default::default() };
        let operands = [self.program.value(input).ty.clone()];
        let op = tpuc_ops::Op::from(op);
        let shapes = op.infer_shapes(&operands).map_err(|e| e.to_string())?;
        let mut results = Vec::new();
        for (name, shape) in outputs.iter().zip(&shapes) {
            results.push((self.layer_name(&format!("{name}_{}", node.op())), TensorType::f32(shape)));
        }
        Ok(self.program.push_results(op, &[input], results).into_iter().map(Slot::Value).collect())
    }

    pub(super) fn concat(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let names: Vec<&str> = (0..node.proto.input.len()).filter_map(|i| node.input(i)).collect();
        let mut operands = Vec::new();
        for name in names {
            // Exporters join empty constants.
            if self.constant(name).is_some_and(|t| t.is_empty()) {
                continue;
            }
            operands.push(self.value(name)?);
        }
        let (Some(&first), count) = (operands.first(), operands.len()) else { return Err("it has no inputs".into()) };
        if count == 1 {
            return Ok(first);
        }
        let axis = fold::normalize(node.int("axis", 1), self.shape(first).len() as i64)?;
        self.push(top::Concat { axis: axis as i32, ..Default::default() }, &operands, &node.layer)
    }

    pub(super) fn gather(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let axis = fold::normalize(node.int("axis", 0), self.shape(input).len() as i64)?;
        let name = node.need(1)?;
        let keepdims = self.constant(name).is_none_or(|t| !t.shape().is_empty());
        let indices = self.value(name)?;
        self.push(top::Gather { axis: axis as i32, keepdims, ..Default::default() }, &[input, indices], &node.layer)
    }

    pub(super) fn tile(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let tile = self.integers(node, 1, "repeats")?.ok_or("its repeats are missing")?;
        if tile.iter().all(|&t| t == 1) {
            return Ok(input);
        }
        self.push(top::Tile { tile: Some(tile), ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn expand(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.integers(node, 1, "shape")?.ok_or("its shape is missing")?;
        let op = tpuc_ops::Op::from(top::Expand { shape, ..Default::default() });
        let operands = [self.program.value(input).ty.clone()];
        if op.infer_shapes(&operands).map_err(|e| e.to_string())?[0] == self.shape(input) {
            return Ok(input);
        }
        self.push(op, &[input], &node.layer)
    }

    pub(super) fn depth2space(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let block = node.int("blocksize", 0);
        let op = top::Depth2Space {
            block_h: block,
            block_w: block,
            is_CRD: node.text("mode").is_some_and(|m| m != "DCR"),
            is_inversed: node.op() == "SpaceToDepth",
            ..Default::default()
        };
        self.push(op, &[input], &node.layer)
    }

    pub(super) fn pad(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let rank = self.shape(input).len();
        let mut paddings = self.integers(node, 1, if self.opset < 2 { "paddings" } else { "pads" })?.ok_or("its pads are missing")?;
        if node.input(3).is_some() {
            // Counts of selected axes.
            let axes = self.integers(node, 3, "axes")?.unwrap_or_default();
            if paddings.len() != 2 * axes.len() {
                return Err(format!("its pads have {} entries, expected {}", paddings.len(), 2 * axes.len()));
            }
            let mut all = vec![0; 2 * rank];
            for (i, &axis) in axes.iter().enumerate() {
                let d = fold::normalize(axis, rank as i64)?;
                (all[d], all[d + rank]) = (paddings[i], paddings[i + axes.len()]);
            }
            paddings = all;
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
}

/// The reference reads lists as f32, and "to the end" as a little less than 2^31: kept, so that modules are the same.
fn through_float(value: i64) -> i64 {
    let float = value as f32;
    if float >= i64::MAX as f32 { 2_147_482_624 } else { float as i64 }
}
