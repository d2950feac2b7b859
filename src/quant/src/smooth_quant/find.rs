//! Which layers can be smoothed.

use crate::float_layers::Graph;
use std::collections::HashMap;
use tpuc_ops::{Op, Program, Source, ValueId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A layer norm with weights.
    Normalization,
    /// A multiplication by a weight per channel.
    Scale,
    /// The product that makes the values of an attention; the product behind the attention takes the factors back.
    Values,
}

/// A layer whose channels can be scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smooth {
    pub node: usize,
    pub kind: Kind,
    /// Weights whose last dimension are its channels.
    pub scaled: Vec<ValueId>,
    /// Products `x W` with a constant W `[K, N]`: K are the channels.
    pub readers: Vec<usize>,
}

struct Finder<'a> {
    program: &'a Program,
    graph: Graph<'a>,
    /// How many ops read a weight, by its name.
    readers: HashMap<&'a str, usize>,
}

/// The layers of a program, in execution order.
pub fn smooths(program: &Program) -> Vec<Smooth> {
    let finder = Finder::new(program);
    (0..program.nodes.len()).filter_map(|node| finder.smooth(node)).collect()
}

/// By node: whether it is a matrix product with a constant `[K, N]`.
pub fn products(program: &Program) -> Vec<bool> {
    let finder = Finder::new(program);
    (0..program.nodes.len()).map(|node| finder.product(node)).collect()
}

/// Layer norms whose result is read by such products and by additions, both directly.
pub fn mixed_normalizations(program: &Program) -> Vec<usize> {
    let finder = Finder::new(program);
    let mixed = |&node: &usize| {
        let after = finder.graph.after(node);
        let adds = after.iter().filter(|&&n| finder.graph.op(n) == "Add").count();
        let products = after.iter().filter(|&&n| finder.product(n)).count();
        finder.graph.op(node) == "LayerNorm" && adds > 0 && products > 0 && adds + products == after.len()
    };
    (0..program.nodes.len()).filter(mixed).collect()
}

impl<'a> Finder<'a> {
    fn new(program: &'a Program) -> Finder<'a> {
        let mut readers: HashMap<&str, usize> = HashMap::new();
        for id in program.nodes.iter().flat_map(|n| &n.operands) {
            if program.value(*id).source == Source::Weight {
                *readers.entry(program.value(*id).name.as_str()).or_default() += 1;
            }
        }
        Finder { program, graph: Graph::new(program), readers }
    }

    fn shape(&self, id: ValueId) -> &[i64] {
        self.program.tensor_type(id).map_or(&[], |t| &t.shape)
    }

    fn result(&self, node: usize) -> &[i64] {
        self.program.nodes[node].results.first().map_or(&[], |&r| self.shape(r))
    }

    fn operand(&self, node: usize, index: usize) -> Option<ValueId> {
        self.program.nodes[node].operands.get(index).copied()
    }

    /// A weight that nobody else reads.
    fn own(&self, id: ValueId) -> bool {
        let value = self.program.value(id);
        value.source == Source::Weight && self.readers.get(value.name.as_str()) == Some(&1)
    }

    fn absent(&self, id: Option<ValueId>) -> bool {
        id.is_none_or(|id| self.program.value(id).ty.is_none())
    }

    fn product(&self, node: usize) -> bool {
        let Op::TopMatMul(op) = &self.program.nodes[node].op else { return false };
        let plain = !op.left_transpose && !op.right_transpose && !op.output_transpose && !op.hdim_is_batch;
        plain && self.operand(node, 1).is_some_and(|w| self.own(w) && self.shape(w).len() == 2) && self.graph.before(node).len() == 1
    }

    fn smooth(&self, node: usize) -> Option<Smooth> {
        let channels = *self.result(node).last()?;
        let (kind, scaled, readers) = match &self.program.nodes[node].op {
            Op::TopLayerNorm(_) => (Kind::Normalization, self.affine(node, channels)?, self.readers_through_views(node)?),
            Op::TopMul(op) if !op.do_relu || op.relu_limit <= 0.0 => {
                let weight = self.operand(node, 1).filter(|&w| self.program.nodes[node].operands.len() == 2 && self.own(w) && self.per_channel(w, channels))?;
                (Kind::Scale, vec![weight], self.readers_through_views(node)?)
            }
            Op::TopMatMul(op) if self.product(node) && !(op.do_relu && op.relu_limit > 0.0) => {
                let bias = self.operand(node, 2);
                if !self.absent(bias) && !bias.is_some_and(|b| self.own(b) && self.per_channel(b, channels)) {
                    return None;
                }
                let scaled = self.operand(node, 1).into_iter().chain(bias.filter(|_| !self.absent(bias))).collect();
                (Kind::Values, scaled, vec![self.behind_attention(node)?])
            }
            _ => return None,
        };
        let takes_back = |&r: &usize| self.product(r) && self.operand(r, 1).is_some_and(|w| self.shape(w)[0] == channels);
        (!readers.is_empty() && readers.iter().all(takes_back)).then_some(Smooth { node, kind, scaled, readers })
    }

    fn per_channel(&self, id: ValueId, channels: i64) -> bool {
        self.shape(id).last() == Some(&channels) && self.shape(id).iter().product::<i64>() == channels
    }

    /// Weight and bias of a layer norm over the last dimension.
    fn affine(&self, node: usize, channels: i64) -> Option<Vec<ValueId>> {
        let (weight, bias) = (self.operand(node, 1)?, self.operand(node, 2));
        let fits = |id: ValueId| self.own(id) && self.per_channel(id, channels);
        let bias_fits = self.absent(bias) || bias.is_some_and(fits);
        (fits(weight) && bias_fits).then(|| std::iter::once(weight).chain(bias.filter(|_| !self.absent(bias))).collect())
    }

    /// Who reads a result, beyond ops that leave the channels where they are. `None` where it leaves the network.
    fn readers_through_views(&self, node: usize) -> Option<Vec<usize>> {
        let (mut found, mut passed, mut waiting) = (Vec::new(), vec![node], Vec::new());
        let mut stack = vec![node];
        while let Some(at) = stack.pop() {
            if self.graph.is_output(at) {
                return None;
            }
            for &reader in self.graph.after(at) {
                if self.graph.op(reader) == "Concat" && self.keeps_channels(reader) {
                    waiting.push(reader);
                } else if self.is_view(reader) {
                    if !passed.contains(&reader) {
                        passed.push(reader);
                        stack.push(reader);
                    }
                } else if !found.contains(&reader) {
                    found.push(reader);
                }
            }
            // A concatenation of nothing but this layer's channels.
            if stack.is_empty() {
                if let Some(index) = waiting.iter().position(|&c| self.graph.before(c).len() == self.program.nodes[c].operands.len() && self.graph.before(c).iter().all(|b| passed.contains(b))) {
                    let concat = waiting.swap_remove(index);
                    waiting.retain(|&c| c != concat);
                    passed.push(concat);
                    stack.push(concat);
                }
            }
        }
        found.extend(waiting);
        found.sort_unstable();
        Some(found)
    }

    fn keeps_channels(&self, node: usize) -> bool {
        self.operand(node, 0).is_some_and(|x| self.shape(x).last() == self.result(node).last())
    }

    fn is_view(&self, node: usize) -> bool {
        match &self.program.nodes[node].op {
            Op::TopPermute(op) => op.order.last() == Some(&(op.order.len() as i64 - 1)),
            Op::TopReduce(op) => op.mode != "ReduceProd" && self.keeps_channels(node),
            _ => ["Slice", "Squeeze", "Reshape"].contains(&self.graph.op(node)) && self.keeps_channels(node),
        }
    }

    /// From the product that makes the values: views, the product with the attention's weights, the same views backwards, and
    /// the product that is looked for.
    fn behind_attention(&self, values: usize) -> Option<usize> {
        let (forth, attention) = self.views_until_product(values)?;
        if self.graph.before(attention).len() != 2 || self.program.producer(self.operand(attention, 1)?) != Some(*forth.last().unwrap_or(&values)) {
            return None;
        }
        let (back, reader) = self.views_until_product(attention)?;
        if forth.is_empty() || forth.len() != back.len() || self.result(values) != self.result(*back.last()?) {
            return None;
        }
        let mirrored = forth.iter().zip(back.iter().rev()).all(|(&a, &b)| {
            let input = self.operand(b, 0).map(|x| self.shape(x));
            self.graph.op(a) == self.graph.op(b) && input == Some(self.result(a))
        });
        mirrored.then_some(reader)
    }

    fn views_until_product(&self, node: usize) -> Option<(Vec<usize>, usize)> {
        let (mut views, mut at) = (Vec::new(), node);
        loop {
            if self.graph.is_output(at) {
                return None;
            }
            at = self.graph.only_after(at)?;
            match self.graph.op(at) {
                "MatMul" => return Some((views, at)),
                "Reshape" | "Permute" => views.push(at),
                _ => return None,
            }
        }
    }
}
