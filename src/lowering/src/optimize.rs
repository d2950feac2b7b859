//! Rewrites that a chip asks for while the program is still float (`processor-top-optimize`).

use crate::chip::{Chip, Family};
use crate::error::LowerError;
use crate::fuse_attention;
use crate::lowered::find_weight;
use std::collections::HashMap;
use tpuc_ops::{Node, Op, Program, Source, TensorType, ValueId, top};
use tpuc_tensor::{Tensor, WeightStore};

/// Attentions become one op where the chip has it ([`fuse_attention`]).
/// A transposition in front of the right operand of a MatMul becomes an attribute of it where the chip can read it so.
/// Scale and BatchNorm with constant parameters become depthwise convolutions with 1x1 kernels where the chip computes those
/// with a multiplier per channel; around one of two dimensions stand reshapes. Layer names, results and everything else
/// stay; unused weights go.
pub fn top_optimize(program: &Program, weights: &WeightStore, chip: &Chip) -> Result<(Program, WeightStore), LowerError> {
    let mut out = Copy { top: program, program: Program::new(program.name.clone()), moved: vec![None; program.values.len()] };
    out.program.attrs = program.attrs.clone();
    for &input in &program.inputs {
        let ty = program.tensor_type(input).cloned().unwrap_or_else(|| TensorType::f32(&[]));
        out.moved[input.index()] = Some(out.program.add_input(program.value(input).name.clone(), ty));
    }
    let mut store = weights.clone();
    let transposed = match chip.family {
        Family::Bm1684x => transposed_right(program),
        Family::Bm1684 | Family::Cv18xx => HashMap::new(),
    };
    let attentions = fuse_attention::attentions(program, chip);
    let inside = fuse_attention::useless(program, &attentions);
    for (index, node) in program.nodes.iter().enumerate() {
        if inside.contains(&index) || transposed.iter().any(|(product, &permute)| permute == index && !inside.contains(product)) {
            continue;
        }
        if let Some(attention) = attentions.get(&index) {
            let operands: Vec<ValueId> = attention.operands.iter().map(|&o| if let Some(o) = o { out.value(o) } else { out.program.none() }).collect();
            out.push_as(node, attention.op.clone().into(), &operands);
            continue;
        }
        if let (Some(&permute), Op::TopMatMul(op)) = (transposed.get(&index), &node.op) {
            let mut operands: Vec<ValueId> = node.operands.iter().map(|&o| if Some(o) == node.operands.get(1).copied() { program.nodes[permute].operands[0] } else { o }).collect();
            operands.iter_mut().for_each(|o| *o = out.value(*o));
            out.push_as(node, top::MatMul { right_transpose: !op.right_transpose, ..op.clone() }.into(), &operands);
            continue;
        }
        let affine = match chip.family {
            Family::Bm1684x | Family::Cv18xx => Affine::of(program, weights, node, program.node_name(index))?,
            Family::Bm1684 => None,
        };
        match affine {
            Some(affine) => out.push_conv(node, program.node_name(index), affine, &mut store),
            None => out.push(node),
        }
    }
    out.program.outputs = program.outputs.iter().map(|&o| out.value(o)).collect();
    let used: std::collections::HashSet<&str> = out.program.values.iter().filter(|v| v.source == Source::Weight).map(|v| v.name.as_str()).collect();
    let unused: Vec<String> = store.iter().map(|(name, _)| name.to_owned()).filter(|n| !used.contains(n.as_str())).collect();
    for name in unused {
        store.remove(&name);
    }
    Ok((out.program, store))
}

/// MatMuls whose right operand only they read, with its last two dimensions exchanged, by the node that exchanges them: the
/// chip reads it either way.
fn transposed_right(program: &Program) -> HashMap<usize, usize> {
    let mut readers = vec![0; program.values.len()];
    for value in program.nodes.iter().flat_map(|n| &n.operands).chain(&program.outputs) {
        readers[value.index()] += 1;
    }
    let permute_of = |node: &Node| {
        let right = *node.operands.get(1).filter(|_| matches!(node.op, Op::TopMatMul(_)))?;
        let producer = program.producer(right)?;
        let Op::TopPermute(permute) = &program.nodes[producer].op else { return None };
        let rank = permute.order.len() as i64;
        let exchanged = rank >= 2 && (0..rank).all(|d| permute.order[d as usize] == if d < rank - 2 { d } else { 2 * rank - 3 - d });
        (exchanged && readers[right.index()] == 1).then_some(producer)
    };
    program.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, permute_of(node)?))).collect()
}

/// `y = x * scale + bias` per channel.
struct Affine {
    /// The weight that has the scale as it is.
    name: Option<String>,
    scale: Vec<f32>,
    bias: Vec<f32>,
    do_relu: bool,
    relu_limit: f64,
}

impl Affine {
    /// What a Scale or BatchNorm computes; `None` for other ops, for shapes that no convolution takes, and where a
    /// parameter is not a weight.
    fn of(program: &Program, weights: &WeightStore, node: &Node, layer: &str) -> Result<Option<Affine>, LowerError> {
        let shape = node.operands.first().and_then(|&x| program.tensor_type(x)).map_or(&[][..], |t| &t.shape);
        if !matches!(shape.len(), 2..=4) {
            return Ok(None);
        }
        let channels = shape[1].max(0) as usize;
        let parameter = |index: usize, absent: f32| -> Result<Option<Vec<f32>>, LowerError> {
            let Some(&id) = node.operands.get(index) else { return Ok(None) };
            let value = program.value(id);
            match value.source {
                Source::None => Ok(Some(vec![absent; channels])),
                Source::Weight => Ok(per_channel(find_weight(weights, layer, &value.name, &value.ty)?.to_f32(), channels)),
                Source::Argument(_) | Source::Op { .. } => Ok(None),
            }
        };
        let affine = match &node.op {
            Op::TopScale(op) => {
                let (Some(scale), Some(bias)) = (parameter(1, 1.0)?, parameter(2, 0.0)?) else { return Ok(None) };
                let weight = node.operands.get(1).map(|&id| program.value(id)).filter(|v| v.source == Source::Weight && readers(program, &v.name) == 1);
                let name = weight.filter(|v| v.ty.tensor().is_some_and(|t| t.count() == channels as i64)).map(|v| v.name.clone());
                Affine { name, scale, bias, do_relu: op.do_relu, relu_limit: op.relu_limit }
            }
            // Scale in f64, bias in f32: the reference's bits.
            Op::TopBatchNorm(op) => {
                let (Some(mean), Some(variance)) = (parameter(1, 0.0)?, parameter(2, 1.0)?) else { return Ok(None) };
                let (Some(gamma), Some(beta)) = (parameter(3, 1.0)?, parameter(4, 0.0)?) else { return Ok(None) };
                let scale: Vec<f32> = gamma.iter().zip(&variance).map(|(g, v)| (f64::from(*g) / (f64::from(*v) + op.epsilon).sqrt()) as f32).collect();
                let bias = (0..channels).map(|c| beta[c] - mean[c] * scale[c]).collect();
                Affine { name: None, scale, bias, do_relu: op.do_relu, relu_limit: op.relu_limit }
            }
            _ => return Ok(None),
        };
        Ok(Some(affine))
    }
}

/// How often weights of a name are read.
fn readers(program: &Program, name: &str) -> usize {
    program.nodes.iter().flat_map(|n| &n.operands).filter(|&&o| program.value(o).source == Source::Weight && program.value(o).name == name).count()
}

/// One value per channel, from as many or from one.
fn per_channel(values: Vec<f32>, channels: usize) -> Option<Vec<f32>> {
    match values.len() {
        1 => Some(vec![values[0]; channels]),
        n => (n == channels).then_some(values),
    }
}

/// Copies a program op by op, with only the values that are used.
struct Copy<'a> {
    top: &'a Program,
    program: Program,
    moved: Vec<Option<ValueId>>,
}

impl Copy<'_> {
    fn value(&mut self, id: ValueId) -> ValueId {
        if let Some(moved) = self.moved[id.index()] {
            return moved;
        }
        let value = self.top.value(id);
        let moved = match (value.source, value.ty.tensor()) {
            (Source::Weight, Some(ty)) => self.program.add_weight(value.name.clone(), ty.clone()),
            _ => self.program.none(),
        };
        self.moved[id.index()] = Some(moved);
        moved
    }

    fn push(&mut self, node: &Node) {
        let operands: Vec<ValueId> = node.operands.iter().map(|&o| self.value(o)).collect();
        self.push_as(node, node.op.clone(), &operands);
    }

    /// An op with the results of a node.
    fn push_as(&mut self, node: &Node, op: Op, operands: &[ValueId]) {
        let result = |&r: &ValueId| (self.top.value(r).name.clone(), self.top.value(r).ty.clone());
        let ids = self.program.push_results(op, operands, node.results.iter().map(result).collect());
        node.results.iter().zip(ids).for_each(|(old, new)| self.moved[old.index()] = Some(new));
    }

    fn push_conv(&mut self, node: &Node, layer: &str, affine: Affine, store: &mut WeightStore) {
        let channels = affine.scale.len() as i64;
        let operand_type = node.operands.first().and_then(|&x| self.top.tensor_type(x)).cloned();
        // A convolution has spatial dimensions.
        let flat = operand_type.as_ref().filter(|t| t.shape.len() == 2);
        let spatial = operand_type.as_ref().filter(|_| flat.is_none()).map_or(2, |t| t.shape.len().saturating_sub(2));
        let mut filter_shape = vec![channels, 1];
        filter_shape.resize(2 + spatial, 1);
        let conv = top::Conv {
            kernel_shape: vec![1; spatial],
            strides: vec![1; spatial],
            pads: vec![0; 2 * spatial],
            group: channels,
            do_relu: affine.do_relu,
            relu_limit: affine.relu_limit,
            ..Default::default()
        };
        // The scale is taken over under its own name.
        let mut weight = |own: Option<String>, suffix: &str, shape: &[i64], data: Vec<f32>, program: &mut Program| {
            let mut name = own.clone().unwrap_or_else(|| format!("{layer}_{suffix}"));
            while own.is_none() && store.contains(&name) {
                name.push_str("_conv");
            }
            let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
            let tensor = Tensor::f32(&dims, data).expect("one element a channel");
            store.insert(name.clone(), tensor);
            program.add_weight(name, TensorType::f32(shape))
        };
        let filter = weight(affine.name, "filter", &filter_shape, affine.scale, &mut self.program);
        let bias = weight(None, "to_bias", &[channels], affine.bias, &mut self.program);
        let input = self.value(node.operands[0]);
        let (Some(flat), Some(result)) = (flat, self.top.tensor_type(node.results[0])) else {
            self.push_as(node, conv.into(), &[input, filter, bias]);
            return;
        };
        let wide = |ty: &TensorType| TensorType { shape: [&ty.shape[..], &[1, 1]].concat(), ..ty.clone() };
        let reshape = |ty: &TensorType| top::Reshape { shape: Some(ty.shape.clone()), ..Default::default() };
        let (from, to) = (wide(flat), wide(result));
        let tall = self.program.push(reshape(&from), &[input], format!("{layer}_reshape"), from.clone());
        let scaled = self.program.push(conv, &[tall, filter, bias], format!("{layer}_scale"), to);
        self.push_as(node, reshape(result).into(), &[scaled]);
    }
}
