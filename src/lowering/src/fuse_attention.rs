//! Attentions of several heads in a Top program: the product, its scale, the softmax and the projections around them, which a
//! chip may compute as one op ([`top::Attention`]).
//!
//! Matched is `softmax(q k^T * scale + mask) v`, its rows brought together and projected, where q, k and v are projections of
//! three-dimensional tensors that reshapes and transpositions split into heads.

use crate::chip::Chip;
use std::collections::{HashMap, HashSet};
use tpuc_ops::{Attr, Elem, Node, Op, Program, Source, ValueId, top};

/// An attention that was found.
pub(crate) struct Attention {
    pub op: top::Attention,
    /// `None`: absent.
    pub operands: Vec<Option<ValueId>>,
    /// Nodes whose results it may make useless.
    pub inside: Vec<usize>,
}

/// The attentions that the chip computes as one op, by the node that projects their result.
pub(crate) fn attentions(program: &Program, chip: &Chip) -> HashMap<usize, Attention> {
    if !chip.fuses_attention || program.attrs.get("module.high_precision") == Some(&Attr::Bool(true)) {
        return HashMap::new();
    }
    let mut uses = vec![0; program.values.len()];
    for value in program.nodes.iter().flat_map(|n| &n.operands).chain(&program.outputs) {
        uses[value.index()] += 1;
    }
    let finder = Finder { program, uses };
    (0..program.nodes.len()).filter_map(|node| Some((node, finder.attention(node)?))).collect()
}

/// Nodes that fusing leaves without a reader.
pub(crate) fn useless(program: &Program, found: &HashMap<usize, Attention>) -> HashSet<usize> {
    let users = program.users();
    let mut inside: Vec<usize> = found.values().flat_map(|a| a.inside.iter().copied()).collect();
    inside.sort_unstable_by(|a, b| b.cmp(a));
    inside.dedup();
    let mut gone = HashSet::new();
    for node in inside {
        let read = |&result: &ValueId| {
            let reads = |user: &usize| match found.get(user) {
                Some(attention) => attention.operands.contains(&Some(result)),
                None => !gone.contains(user),
            };
            program.outputs.contains(&result) || users[result.index()].iter().any(reads)
        };
        if !program.nodes[node].results.iter().any(read) {
            gone.insert(node);
        }
    }
    gone
}

/// The products with a constant that become part of an attention.
pub(crate) fn scales(program: &Program, chip: &Chip) -> HashSet<usize> {
    let mut inside = useless(program, &attentions(program, chip));
    inside.retain(|&node| matches!(program.nodes[node].op, Op::TopMulConst(_)));
    inside
}

/// What the dimensions of a tensor inside an attention count.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Axis {
    Image,
    Row,
    Head,
    Column,
}

type Sized = (Axis, i64);

/// What each dimension of a tensor is made of, from outermost to innermost; axes of size 1 are left out.
type Arrangement = Vec<Vec<Sized>>;

/// The arrangement of a tensor whose axes stand in this order in memory; `None` where a dimension cuts an axis.
fn arranged(axes: &[Sized], shape: &[i64]) -> Option<Arrangement> {
    let mut rest = axes.iter().copied().filter(|a| a.1 != 1);
    let mut list = Vec::with_capacity(shape.len());
    for &dim in shape {
        let (mut parts, mut size) = (Vec::new(), 1i64);
        while size < dim {
            let part = rest.next()?;
            size = size.checked_mul(part.1)?;
            parts.push(part);
        }
        if size != dim {
            return None;
        }
        list.push(parts);
    }
    rest.next().is_none().then_some(list)
}

/// A projection of a tensor by a constant matrix.
struct Projection<'a> {
    node: usize,
    op: &'a top::MatMul,
    input: ValueId,
    weight: ValueId,
    bias: Option<ValueId>,
    /// Columns of the weight.
    width: i64,
}

/// The sizes of an attention.
#[derive(Clone, Copy)]
struct Sizes {
    images: i64,
    heads: i64,
    /// Columns of a head.
    columns: i64,
}

struct Finder<'a> {
    program: &'a Program,
    uses: Vec<usize>,
}

/// The chip's op takes no more elements of an image, and no more weights of a head.
const MOST_ELEMENTS: i64 = 2048 * 320 * 4;
const MOST_WEIGHTS: i64 = 1024 * 128 * 4;

impl<'a> Finder<'a> {
    fn shape(&self, value: ValueId) -> &'a [i64] {
        self.program.tensor_type(value).map_or(&[], |t| &t.shape)
    }

    fn producer(&self, value: ValueId) -> Option<(usize, &'a Node)> {
        let node = self.program.producer(value)?;
        Some((node, &self.program.nodes[node]))
    }

    fn once(&self, value: ValueId) -> bool {
        self.uses[value.index()] == 1
    }

    /// A product without a transposition or Relu of its own.
    fn product(&self, node: &'a Node) -> Option<&'a top::MatMul> {
        match &node.op {
            Op::TopMatMul(op) => (!op.left_transpose && !op.output_transpose && !op.hdim_is_batch && !op.do_relu && op.keep_dims).then_some(op),
            _ => None,
        }
    }

    fn projection(&self, value: ValueId) -> Option<Projection<'a>> {
        let (index, node) = self.producer(value)?;
        let op = self.product(node).filter(|op| !op.right_transpose)?;
        let (&input, &weight) = (node.operands.first()?, node.operands.get(1)?);
        let source = |id: ValueId| self.program.value(id).source;
        let bias = match node.operands.get(2) {
            Some(&id) if source(id) == Source::Weight => Some(id),
            Some(&id) if source(id) != Source::None => return None,
            _ => None,
        };
        let &[_, width] = self.shape(weight) else { return None };
        (source(weight) == Source::Weight && self.shape(input).len() == 3 && width > 0).then_some(Projection { node: index, op, input, weight, bias, width })
    }

    /// The reshapes and transpositions, each read once, that a value comes through, nearest first, and where they begin.
    fn views(&self, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
        let (mut at, mut views) = (value, Vec::new());
        while let Some((index, node)) = self.producer(at).filter(|(_, n)| matches!(n.op, Op::TopReshape(_) | Op::TopPermute(_))) {
            if !self.once(at) {
                return None;
            }
            views.push(index);
            at = *node.operands.first()?;
        }
        // Heads are split and exchanged with rows.
        let has = |kind: fn(&Op) -> bool| views.iter().any(|&v| kind(&self.program.nodes[v].op));
        (has(|op| matches!(op, Op::TopReshape(_))) && has(|op| matches!(op, Op::TopPermute(_)))).then_some((at, views))
    }

    /// The arrangement behind views, from that of the value where they begin.
    fn through(&self, mut arrangement: Arrangement, views: &[usize]) -> Option<Arrangement> {
        for &view in views.iter().rev() {
            let node = &self.program.nodes[view];
            arrangement = match &node.op {
                Op::TopPermute(op) => op.order.iter().map(|&d| arrangement.get(usize::try_from(d).ok()?).cloned()).collect::<Option<_>>()?,
                _ => arranged(&arrangement.concat(), self.shape(*node.results.first()?))?,
            };
        }
        Some(arrangement)
    }

    /// The projection behind an operand of one of the products, if that holds the heads one after the other: each a matrix of
    /// `rows x columns`, or with `transposed` of `columns x rows`.
    fn heads(&self, value: ValueId, sizes: Sizes, transposed: bool, inside: &mut Vec<usize>) -> Option<Projection<'a>> {
        let (begin, views) = self.views(value)?;
        let projection = self.projection(begin)?;
        let &[images, rows, width] = self.shape(begin) else { return None };
        if images != sizes.images || Some(width) != sizes.heads.checked_mul(sizes.columns) || projection.width != width {
            return None;
        }
        let (image, row, head, column) = ((Axis::Image, images), (Axis::Row, rows), (Axis::Head, sizes.heads), (Axis::Column, sizes.columns));
        let (matrix, size) = if transposed { ([column, row], [sizes.columns, rows]) } else { ([row, column], [rows, sizes.columns]) };
        let shape = self.shape(value);
        let found = self.through(arranged(&[image, row, head, column], &[images, rows, width])?, &views)?;
        let wanted = arranged(&[image, head, matrix[0], matrix[1]], shape)?;
        if found != wanted || shape.len() < 3 || shape[shape.len() - 2..] != size {
            return None;
        }
        inside.extend(views);
        inside.push(projection.node);
        Some(projection)
    }

    /// The product of probabilities and values behind the projection of the result, and its heads' sizes.
    fn joined(&self, projected: &Projection<'a>, inside: &mut Vec<usize>) -> Option<(&'a Node, Sizes)> {
        let (begin, views) = self.views(projected.input)?;
        let (index, node) = self.producer(begin)?;
        self.product(node)?;
        let (&[images, rows, width], shape) = (self.shape(projected.input), self.shape(begin)) else { return None };
        let heads = match *shape {
            [stacked, _, _] if images > 0 && stacked % images == 0 => stacked / images,
            [_, heads, _, _] => heads,
            _ => return None,
        };
        if heads < 1 || width % heads != 0 {
            return None;
        }
        let sizes = Sizes { images, heads, columns: width / heads };
        let (image, row, head, column) = ((Axis::Image, images), (Axis::Row, rows), (Axis::Head, heads), (Axis::Column, sizes.columns));
        let found = self.through(arranged(&[image, head, row, column], shape)?, &views)?;
        let wanted = arranged(&[image, row, head, column], &[images, rows, width])?;
        if found != wanted || shape[shape.len() - 2..] != [rows, sizes.columns] {
            return None;
        }
        inside.extend(views);
        inside.push(index);
        Some((node, sizes))
    }

    /// The mask of a sum: one number for every key of an image.
    fn mask(&self, node: &Node, images: i64) -> Option<ValueId> {
        let Op::TopAdd(op) = &node.op else { return None };
        let &[scores, mask] = node.operands.as_slice() else { return None };
        let plain = !op.do_relu && op.coeff.as_ref().is_none_or(|c| c.iter().all(|&v| v == 1.0));
        let (of, shape) = (self.shape(scores), self.shape(mask));
        let keys = *of.last()?;
        // From the back: keys, rows, heads (or images and heads in one), images.
        let from_back = |d: usize| shape.len().checked_sub(d).map_or(1, |i| shape[i]);
        let lines = from_back(1) == keys && from_back(2) == 1 && shape.len() <= of.len();
        let per_image = if of.len() == 4 { from_back(3) == 1 && from_back(4) == images } else { images == 1 && from_back(3) == 1 };
        (plain && lines && per_image).then_some(mask)
    }

    fn attention(&self, root: usize) -> Option<Attention> {
        let node = &self.program.nodes[root];
        let &result = node.results.first()?;
        let out = self.projection(result).filter(|_| self.once(result))?;
        let mut inside = Vec::new();
        let (values_product, sizes) = self.joined(&out, &mut inside)?;
        let Op::TopMatMul(values_op) = &values_product.op else { return None };

        let (softmax_index, softmax_node) = self.producer(*values_product.operands.first()?)?;
        let Op::TopSoftmax(softmax) = &softmax_node.op else { return None };
        let scores = *softmax_node.operands.first()?;
        let last = self.shape(scores).len() as i32 - 1;
        if softmax.log || softmax.beta != 1.0 || ![-1, last].contains(&softmax.axis) || !self.once(softmax_node.results[0]) {
            return None;
        }
        inside.push(softmax_index);
        let (mut scaled, mut mask) = (scores, None);
        if let Some((index, sum)) = self.producer(scores).filter(|(_, n)| matches!(n.op, Op::TopAdd(_))) {
            mask = Some(self.mask(sum, sizes.images)?);
            scaled = sum.operands[0];
            inside.push(index);
        }
        let (scale_index, scale_node) = self.producer(scaled)?;
        let Op::TopMulConst(scale) = &scale_node.op else { return None };
        if scale.do_relu || !self.once(scaled) {
            return None;
        }
        let raw = *scale_node.operands.first()?;
        let (scores_index, scores_product) = self.producer(raw)?;
        let scores_op = self.product(scores_product)?;
        inside.extend([scale_index, scores_index]);

        let queries = self.heads(*scores_product.operands.first()?, sizes, false, &mut inside)?;
        let keys = self.heads(*scores_product.operands.get(1)?, sizes, !scores_op.right_transpose, &mut inside)?;
        let values = self.heads(*values_product.operands.get(1)?, sizes, values_op.right_transpose, &mut inside)?;
        if !self.fits(sizes, [&queries, &keys, &values]) {
            return None;
        }
        let outputs = [queries.node, keys.node, values.node].map(|n| self.program.nodes[n].results[0]);
        let scale_param = self.scales(result, [outputs[0], outputs[1], outputs[2], raw, scaled, softmax_node.results[0], values_product.results[0]])?;
        let op = top::Attention { scale_param, scale: scale.const_val, head: sizes.heads, quantize_mode: out.op.quantize_mode.clone(), ..Default::default() };
        let mut operands: Vec<Option<ValueId>> = [&queries, &keys, &values].iter().map(|p| Some(p.input)).collect();
        operands.extend([&queries, &keys, &values, &out].iter().flat_map(|p| [Some(p.weight), p.bias]));
        operands.push(mask);
        Some(Attention { op, operands, inside })
    }

    /// Whether the chip's op takes it: sizes, and that values do not come from elsewhere than queries and keys that are alike.
    fn fits(&self, sizes: Sizes, [queries, keys, values]: [&Projection; 3]) -> bool {
        let rows = |p: &Projection| self.shape(p.input).get(1).copied();
        let elements = self.shape(queries.input)[1..].iter().fold(1i64, |a, &d| a.saturating_mul(d));
        let weights = |p: &Projection| self.shape(p.weight).iter().fold(1i64, |a, &d| a.saturating_mul(d));
        let most = weights(queries).saturating_mul(2).saturating_add(weights(keys)).saturating_add(weights(values)) / sizes.heads;
        let apart = queries.input == keys.input && queries.input != values.input;
        !apart && rows(keys) == rows(values) && elements <= MOST_ELEMENTS && most <= MOST_WEIGHTS
    }

    /// The scales of 8-bit integers inside: all signed, but for probabilities. Without thresholds: one that stands for none.
    /// `None` where the result has a threshold and something inside has none: its layer is to be named then.
    fn scales(&self, result: ValueId, inside: [ValueId; 7]) -> Option<Vec<f64>> {
        let threshold = |value: ValueId| match self.program.tensor_type(value)?.elem {
            Elem::Calibrated { min, max, .. } => Some(min.abs().max(max.abs())).filter(|t| *t > 0.0 && t.is_finite()),
            Elem::Plain(_) | Elem::Uniform { .. } => None,
        };
        if threshold(result).is_none() {
            return Some(vec![1.0]);
        }
        inside.iter().enumerate().map(|(i, &value)| Some(threshold(value)? / if i == 5 { 255.0 } else { 127.0 })).collect()
    }
}
