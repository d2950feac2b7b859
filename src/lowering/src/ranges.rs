//! The range of every value: from thresholds, then carried along the graph (`spec/lowering.md` section 2).
//!
//! In go a Top program and a calibration table; out comes a range per value, and with [`Ranges::annotate`] the same
//! program with `!quant.calibrated` types. A range that reaches below zero means a signed integer.

mod arithmetic;

use crate::chip::{Chip, Family};
use crate::fuse_attention;
use crate::lowered::is_asymmetric;
use crate::table::{CalibrationTable, Row, TableError};
use std::collections::HashSet;
use tpuc_ops::{Elem, Node, Op, Program, TensorType, ValueId, ValueType, top_binary, top_const, top_unary, tpu_binary, tpu_choice, tpu_structure, tpu_unary};

/// Smallest and largest value that a tensor is meant to represent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub min: f64,
    pub max: f64,
}

impl Range {
    pub const fn new(min: f64, max: f64) -> Range {
        Range { min, max }
    }

    /// The range that a type carries.
    pub fn of_elem(elem: &Elem) -> Option<Range> {
        match *elem {
            Elem::Calibrated { min, max, .. } => Some(Range { min, max }),
            Elem::Plain(_) | Elem::Uniform { .. } => None,
        }
    }

    pub fn is_signed(&self) -> bool {
        self.min < 0.0
    }

    /// What the largest integer stands for.
    pub fn threshold(&self) -> f64 {
        if self.is_signed() { self.max.abs().max(self.min.abs()) } else { self.max }
    }

    /// The same maximum with room for negative values: a tenth of it, in f32. Only the sign matters.
    fn made_signed(&self) -> Range {
        Range { min: f64::from((-self.max * 0.1) as f32), max: self.max }
    }
}

/// A range per value of a program; `None` where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    of: Vec<Option<Range>>,
    /// Results of choices whose range had to be widened for a constant.
    widened: Vec<ValueId>,
}

/// How an op takes part in propagation. The order of the steps matters; see [`Ranges::propagate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The result's range is the input's, before all else.
    View,
    /// The result is signed if and only if the input is.
    KeepsSign,
    /// The input takes the result's range if nobody else reads it.
    Backward,
    /// As [`Rule::Backward`], but the input keeps its own lower end.
    BackwardMax,
    /// The result takes the input's range.
    Forward,
    /// The result's range is a multiple of the input's.
    ForwardProduct,
    /// The result may be negative though calibration saw nothing below zero: of a constant's difference, ...
    AllowsNegative,
    /// ... of differences and products of tensors.
    AllowsNegativePair,
    /// Inputs that nobody else reads and the result have one range.
    Join,
    /// Products that are summed have the range of the sum.
    SumOfProducts,
    /// Comparison and choice.
    Choice,
}

/// Carries ranges over one op; whether that changed any.
type Step = fn(&mut Ranges, &Graph, &Node) -> bool;

/// The rules of every op. An op that is not listed keeps what its own threshold says.
fn rules(op: &Op, chip: &Chip) -> &'static [Rule] {
    match op {
        Op::TopReshape(_) => &[Rule::View, Rule::Forward],
        // BM1684 has means only within one scale.
        Op::TopAvgPool(_) if chip.family == Family::Bm1684 => &[Rule::KeepsSign, Rule::Forward],
        Op::TopAvgPool(_) => &[Rule::KeepsSign],
        Op::TopMaxPool(_) => &[Rule::KeepsSign, Rule::Backward, Rule::Forward],
        Op::TopRelu(_) => &[Rule::Backward, Rule::Forward],
        Op::TopPad(_) => &[Rule::Forward],
        Op::TopPermute(_) => &[Rule::View, Rule::Forward],
        Op::TopReverse(_) | Op::TopSlice(_) | Op::TopSqueeze(_) | Op::TopTile(_) | Op::TopUnsqueeze(_) | Op::TopUpsample(_) => &[Rule::Forward],
        Op::TopDepth2Space(_) => &[Rule::Backward],
        Op::TopConcat(_) | Op::TopMax(_) | Op::TopMin(_) => &[Rule::Join],
        Op::TopCompare(_) | Op::TopWhere(_) => &[Rule::Choice],
        Op::TopAbs(_) => &[Rule::KeepsSign, Rule::Backward, Rule::Forward],
        Op::TopLeakyRelu(_) if chip.family == Family::Cv18xx => &[Rule::Backward, Rule::Forward],
        Op::TopPRelu(_) if chip.family == Family::Cv18xx => &[],
        Op::TopLeakyRelu(_) | Op::TopPRelu(_) => &[Rule::BackwardMax, Rule::Forward],
        Op::TopMaxConst(_) | Op::TopMinConst(_) => &[Rule::Forward],
        Op::TopMulConst(_) => &[Rule::ForwardProduct],
        Op::TopSubConst(_) => &[Rule::AllowsNegative],
        Op::TopSub(_) | Op::TopMul(_) if chip.family != Family::Cv18xx => &[Rule::AllowsNegativePair],
        Op::TopAdd(_) if chip.family == Family::Bm1684x => &[Rule::SumOfProducts],
        Op::TopArg(_) | Op::TopCompareConst(_) | Op::TopDeconv(_) | Op::TopExpand(_) | Op::TopGather(_)
        | Op::TopAttention(_) | Op::TopGroupNorm(_) | Op::TopInstanceNorm(_) | Op::TopInterp(_) | Op::TopLayerNorm(_) | Op::TopReduce(_) | Op::TopSplit(_) => &[],
        top_unary!() | top_binary!() | top_const!() => &[],
        Op::TopPreprocess(_) | Op::TpuScaleLut(_) | Op::TpuSwapChannel(_) | Op::TpuYuv2rgbFormula(_) => &[],
        Op::TopAdd(_) | Op::TopBatchNorm(_) | Op::TopClip(_) | Op::TopConv(_) | Op::TopInput(_) | Op::TopMatMul(_) | Op::TopNone(_) | Op::TopScale(_)
        | Op::TopSoftmax(_) | Op::TopWeight(_) => &[],
        Op::TpuA16MatMul(_) | Op::TpuAdd(_) | Op::TpuCast(_) | Op::TpuConv2D(_) | Op::TpuMatMul(_) | Op::TpuPool2D(_) | Op::TpuRelu(_) | Op::TpuReshape(_)
        | Op::TpuSoftmax(_) => &[],
        tpu_unary!() | tpu_binary!() | tpu_choice!() | tpu_structure!() | Op::TpuAttention(_) => &[],
    }
}

/// Whether an op ends in a Relu, and so has no negative values. A Sub is not asked.
fn does_relu(op: &Op) -> bool {
    match op {
        Op::TopAdd(op) => op.do_relu,
        Op::TopAvgPool(op) => op.do_relu,
        Op::TopBatchNorm(op) => op.do_relu,
        Op::TopConv(op) => op.do_relu,
        Op::TopMatMul(op) => op.do_relu,
        Op::TopMaxPool(op) => op.do_relu,
        Op::TopScale(op) => op.do_relu,
        Op::TopMul(op) => op.do_relu,
        Op::TopDiv(op) => op.do_relu,
        Op::TopReciprocal(op) => op.do_relu,
        Op::TopAddConst(op) => op.do_relu,
        Op::TopSubConst(op) => op.do_relu,
        Op::TopMulConst(op) => op.do_relu,
        Op::TopPRelu(_) | top_unary!() | top_binary!() | top_const!() => false,
        Op::TopRelu(_) => true,
        Op::TopConcat(op) => op.do_relu,
        Op::TopDeconv(op) => op.do_relu,
        Op::TopUpsample(op) => op.do_relu,
        Op::TopArg(_) | Op::TopAttention(_) | Op::TopCompare(_) | Op::TopCompareConst(_) | Op::TopDepth2Space(_) | Op::TopExpand(_) | Op::TopGather(_) | Op::TopGroupNorm(_)
        | Op::TopInstanceNorm(_) | Op::TopInterp(_) | Op::TopLayerNorm(_) | Op::TopPermute(_) | Op::TopReduce(_) | Op::TopReverse(_) | Op::TopSlice(_)
        | Op::TopSplit(_) | Op::TopSqueeze(_) | Op::TopTile(_) | Op::TopUnsqueeze(_) | Op::TopWhere(_) => false,
        Op::TopPreprocess(_) | Op::TpuScaleLut(_) | Op::TpuSwapChannel(_) | Op::TpuYuv2rgbFormula(_) => false,
        Op::TopClip(_) | Op::TopInput(_) | Op::TopNone(_) | Op::TopPad(_) | Op::TopReshape(_) | Op::TopSoftmax(_) | Op::TopWeight(_) => false,
        Op::TpuA16MatMul(_) | Op::TpuAdd(_) | Op::TpuCast(_) | Op::TpuConv2D(_) | Op::TpuMatMul(_) | Op::TpuPool2D(_) | Op::TpuRelu(_) | Op::TpuReshape(_)
        | Op::TpuSoftmax(_) => false,
        tpu_unary!() | tpu_binary!() | tpu_choice!() | tpu_structure!() | Op::TpuAttention(_) => false,
    }
}

/// The range of a result by its row: `[-threshold, threshold]` where negative values were seen, else `[0, threshold]`.
/// A softmax has `[0, 1]` whatever was seen. CV18xx knows only signed integers.
///
/// With zero points it is `[min, max]` but for products and differences, which keep room for either sign (as in the reference), and
/// magnitudes, which are not negative.
fn range_of_row(program: &Program, node: &Node, row: &Row, chip: &Chip, asymmetric: bool) -> Option<Range> {
    let op = &node.op;
    let is_share = match op {
        Op::TopSoftmax(op) => !op.log,
        Op::TopSigmoid(op) => !op.log && op.scale == 1.0 && op.bias == 0.0,
        _ => false,
    };
    let threshold = if is_share { 1.0 } else { row.threshold };
    if chip.family == Family::Cv18xx {
        return (threshold > 0.0).then(|| Range::new(-threshold, threshold));
    }
    if is_share {
        return Some(Range::new(0.0, threshold));
    }
    match op {
        Op::TopAbs(_) if asymmetric => return (row.threshold > 0.0).then(|| Range::new(0.0, row.threshold)),
        Op::TopSub(_) | Op::TopMul(_) => {}
        _ if asymmetric => {
            let lowest = if does_relu(op) { row.min.max(0.0) } else { row.min };
            return (lowest < row.max || row.max != 0.0).then(|| Range::new(lowest, row.max));
        }
        _ => {}
    }
    let is_positive_product = matches!(op, Op::TopMul(_)) && (is_square(node) || node.operands.iter().all(|&o| is_never_negative(program, o)));
    let lowest = match op {
        Op::TopAbs(_) => -row.threshold,
        // A difference is signed, whatever was seen.
        Op::TopSub(_) => if row.min < 0.0 { -row.threshold } else { -1e-5 },
        _ if row.min < 0.0 && !does_relu(op) && !is_positive_product => -row.threshold,
        _ => 0.0,
    };
    (row.threshold > 0.0).then(|| Range::new(lowest, row.threshold))
}

/// Whether a product is that of a value with itself.
fn is_square(node: &Node) -> bool {
    node.operands.len() == 2 && node.operands[0] == node.operands[1]
}

fn is_never_negative(program: &Program, value: ValueId) -> bool {
    let producer = program.producer(value).map(|p| &program.nodes[p].op);
    matches!(producer, Some(Op::TopSigmoid(_) | Op::TopRelu(_)))
}

impl Ranges {
    /// The ranges that a table gives, for integers with zero points where the module asks for them
    /// ([`is_asymmetric`](crate::is_asymmetric)). An error if it has layers that the program does not have.
    pub fn from_table(program: &Program, table: &CalibrationTable, chip: &Chip) -> Result<Ranges, TableError> {
        let names = program.names();
        table.check_layers(names.keys().copied())?;
        let mut ranges = Ranges { of: vec![None; program.values.len()], widened: Vec::new() };
        for node in &program.nodes {
            for &result in &node.results {
                let row = table.get(&program.value(result).name);
                ranges.of[result.index()] = row.and_then(|row| range_of_row(program, node, row, chip, is_asymmetric(program)));
            }
        }
        Ok(ranges)
    }

    /// The ranges in the types of a program.
    pub fn from_types(program: &Program) -> Ranges {
        let range = |ty: &ValueType| ty.tensor().and_then(|t| Range::of_elem(&t.elem));
        Ranges { of: program.values.iter().map(|v| range(&v.ty)).collect(), widened: Vec::new() }
    }

    pub fn get(&self, value: ValueId) -> Option<Range> {
        self.of.get(value.index()).copied().flatten()
    }

    pub fn set(&mut self, value: ValueId, range: Range) {
        if let Some(slot) = self.of.get_mut(value.index()) {
            *slot = Some(range);
        }
    }

    /// Layers (results of ops) without a range, in the program's order.
    pub fn missing(&self, program: &Program) -> Vec<String> {
        let results = program.nodes.iter().flat_map(|n| &n.results);
        results.filter(|&&r| self.get(r).is_none()).map(|&r| program.value(r).name.clone()).collect()
    }

    /// Carries ranges along the graph as the chip asks for, each step to its fixed point before the next.
    pub fn propagate(&mut self, program: &Program, chip: &Chip) {
        let graph = Graph::new(program, chip);
        self.repeat(&graph, Rule::View, Ranges::forward);
        self.repeat(&graph, Rule::KeepsSign, Ranges::keep_sign);
        self.repeat(&graph, Rule::AllowsNegative, Ranges::allow_negative);
        self.repeat(&graph, Rule::AllowsNegativePair, Ranges::allow_negative);
        self.repeat(&graph, Rule::Join, Ranges::join);
        self.step(&graph, &[(Rule::Backward, Ranges::backward), (Rule::BackwardMax, Ranges::backward_max)]);
        self.repeat(&graph, Rule::SumOfProducts, Ranges::sum_of_products);
        self.repeat(&graph, Rule::Choice, Ranges::choice);
        self.step(&graph, &[(Rule::Forward, Ranges::forward), (Rule::ForwardProduct, Ranges::forward_product)]);
        self.repeat(&graph, Rule::KeepsSign, Ranges::keep_sign);
        self.repeat(&graph, Rule::AllowsNegative, Ranges::allow_negative);
        self.repeat(&graph, Rule::Choice, Ranges::choice);
    }

    fn repeat(&mut self, graph: &Graph, rule: Rule, apply: Step) {
        self.step(graph, &[(rule, apply)]);
    }

    /// Applies the steps of some rules to all their ops until nothing changes. A range moves one op a round at worst, so as
    /// many rounds as there are ops suffice.
    fn step(&mut self, graph: &Graph, steps: &[(Rule, Step)]) {
        // In the order of the program, each op by its own rule.
        let of = |node: &Node| steps.iter().filter(|s| graph.rules(&node.op).contains(&s.0)).map(|s| s.1).collect::<Vec<Step>>();
        let kept = |index: usize, node: &Node| graph.fused.contains(&index) && node.results.iter().all(|&r| self.get(r).is_some());
        let nodes = graph.program.nodes.iter().enumerate().filter(|&(index, node)| !kept(index, node));
        let list: Vec<(&Node, Step)> = nodes.flat_map(|(_, n)| of(n).into_iter().map(move |s| (n, s))).collect();
        for _ in 0..=list.len() {
            let changed = list.iter().filter(|(node, apply)| apply(self, graph, node)).count();
            if changed == 0 {
                return;
            }
        }
    }

    /// Writes a range; whether that changed it.
    fn update(&mut self, value: ValueId, range: Range) -> bool {
        let slot = &mut self.of[value.index()];
        let changed = *slot != Some(range);
        *slot = Some(range);
        changed
    }

    fn forward(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Some(input), Some(output)) = (node.operands.first(), node.results.first()) else { return false };
        let Some(range) = self.get(*input) else { return false };
        let changed = self.update(*output, range);
        if changed {
            self.forward_views(graph, *output);
        }
        changed
    }

    /// Reshapes of a value follow it at once.
    fn forward_views(&mut self, graph: &Graph, value: ValueId) {
        let Some(range) = self.get(value) else { return };
        for &user in &graph.users[value.index()] {
            let node = &graph.program.nodes[user];
            let follows = graph.rules(&node.op).contains(&Rule::View) && node.operands.first() == Some(&value);
            if let (true, Some(&output)) = (follows, node.results.first()) {
                self.update(output, range);
            }
        }
    }

    fn keep_sign(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Some(&input), Some(&output)) = (node.operands.first(), node.results.first()) else { return false };
        let (Some(from), Some(to)) = (self.get(input), self.get(output)) else { return false };
        let range = match (from.is_signed(), to.is_signed()) {
            (true, false) => to.made_signed(),
            (false, true) => Range::new(0.0, to.max),
            (true, true) | (false, false) => return false,
        };
        // A threshold of zero cannot be made signed.
        if range.is_signed() != from.is_signed() {
            return false;
        }
        self.update(output, range);
        self.forward_views(graph, output);
        for &user in &graph.users[output.index()] {
            let node = &graph.program.nodes[user];
            if let (true, Some(&result)) = (graph.rules(&node.op).contains(&Rule::KeepsSign), node.results.first()) {
                self.update(result, range);
            }
        }
        true
    }

    fn backward(&mut self, graph: &Graph, node: &Node) -> bool {
        let (Some(&input), Some(&output)) = (node.operands.first(), node.results.first()) else { return false };
        let Some(range) = self.get(output) else { return false };
        if graph.uses[input.index()] != 1 || !self.update(input, range) {
            return false;
        }
        // A reshape in front changes with its result.
        self.backward_through(graph, input, range, |op| graph.rules(op).contains(&Rule::View));
        true
    }

    /// The program with its ranges in the types of the results of ops. Types that are quantized already stay.
    pub fn annotate(&self, program: &Program) -> Program {
        let mut annotated = program.clone();
        for node in &program.nodes {
            for &result in &node.results {
                let (Some(range), ValueType::Tensor(ty)) = (self.get(result), &program.value(result).ty) else { continue };
                let expressed = match ty.elem {
                    Elem::Plain(dtype) | Elem::Calibrated { expressed: dtype, .. } => dtype,
                    Elem::Uniform { .. } => continue,
                };
                let elem = Elem::Calibrated { expressed, min: range.min, max: range.max };
                annotated.values[result.index()].ty = TensorType::new(&ty.shape, elem).into();
            }
        }
        annotated
    }
}

/// Who reads what.
struct Graph<'a> {
    program: &'a Program,
    chip: &'a Chip,
    /// Nodes that read a value.
    users: Vec<Vec<usize>>,
    /// How often a value is read; being an output of the network counts.
    uses: Vec<usize>,
    /// Products with constants inside of what the chip computes as one op, which asks for their own thresholds.
    fused: HashSet<usize>,
    asymmetric: bool,
}

impl<'a> Graph<'a> {
    fn new(program: &'a Program, chip: &'a Chip) -> Graph<'a> {
        let mut uses = vec![0; program.values.len()];
        for value in program.nodes.iter().flat_map(|n| &n.operands).chain(&program.outputs) {
            uses[value.index()] += 1;
        }
        Graph { program, chip, users: program.users(), uses, fused: fuse_attention::scales(program, chip), asymmetric: is_asymmetric(program) }
    }

    fn rules(&self, op: &Op) -> &'static [Rule] {
        match op {
            // With zero points a magnitude has integers of its own.
            Op::TopAbs(_) if self.asymmetric => &[],
            op => rules(op, self.chip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_ops::top;

    fn table(rows: &[(&str, f64, f64, f64)]) -> CalibrationTable {
        let text: String = rows.iter().map(|(n, th, min, max)| format!("{n} {th} {min} {max}\n")).collect();
        CalibrationTable::parse(&text).unwrap()
    }

    fn chain(ops: Vec<(Op, &str)>) -> Program {
        let mut program = Program::new("net");
        let ty = TensorType::f32(&[1, 2, 4, 4]);
        let mut last = program.add_input("x", ty.clone());
        for (op, name) in ops {
            last = program.push(op, &[last], name, ty.clone());
        }
        program.outputs = vec![last];
        program
    }

    fn ranges(program: &Program, rows: &[(&str, f64, f64, f64)]) -> Vec<(f64, f64)> {
        let mut ranges = Ranges::from_table(program, &table(rows), &Chip::BM1684X).unwrap();
        ranges.propagate(program, &Chip::BM1684X);
        program.nodes.iter().map(|n| ranges.get(n.results[0]).map_or((0.0, 0.0), |r| (r.min, r.max))).collect()
    }

    fn max_pool() -> Op {
        top::MaxPool { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() }.into()
    }

    #[test]
    fn rows_become_ranges() {
        let program = chain(vec![
            (top::Input::default().into(), "in"),
            (top::Conv { do_relu: true, ..Default::default() }.into(), "conv"),
            (top::Softmax::default().into(), "prob"),
        ]);
        let got = ranges(&program, &[("in", 2.5, -1.0, 2.5), ("conv", 6.0, -0.5, 6.0), ("prob", 0.4, 0.0, 0.4)]);
        assert_eq!(got, [(-2.5, 2.5), (0.0, 6.0), (0.0, 1.0)]);
    }

    #[test]
    fn what_only_a_relu_reads_takes_its_range() {
        let program = chain(vec![(top::Conv::default().into(), "conv"), (top::Relu::default().into(), "relu"), (top::Reshape::default().into(), "view")]);
        let got = ranges(&program, &[("conv", 9.0, -9.0, 8.0), ("relu", 8.0, 0.0, 8.0), ("view", 7.0, 0.0, 7.0)]);
        assert_eq!(got, [(0.0, 8.0), (0.0, 8.0), (0.0, 8.0)]);
    }

    #[test]
    fn a_value_with_more_readers_gives_its_range() {
        let mut program = chain(vec![(top::Conv::default().into(), "conv"), (max_pool(), "pool")]);
        program.outputs.push(program.nodes[0].results[0]);
        assert_eq!(ranges(&program, &[("conv", 9.0, -9.0, 8.0), ("pool", 8.0, 2.0, 8.0)]), [(-9.0, 9.0), (-9.0, 9.0)]);
    }

    #[test]
    fn a_mean_keeps_its_threshold_and_takes_the_sign() {
        let pool = top::AvgPool { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() };
        let program = chain(vec![(top::Conv::default().into(), "conv"), (pool.into(), "pool")]);
        let got = ranges(&program, &[("conv", 9.0, -9.0, 8.0), ("pool", 2.0, 0.5, 2.0)]);
        assert_eq!(got, [(-9.0, 9.0), (f64::from(-0.2f32), 2.0)]);
    }

    #[test]
    fn layers_without_rows_are_listed() {
        let program = chain(vec![(top::Conv::default().into(), "conv"), (top::Reshape::default().into(), "view"), (top::Conv::default().into(), "last")]);
        let mut ranges = Ranges::from_table(&program, &table(&[("conv", 9.0, -9.0, 8.0)]), &Chip::BM1684X).unwrap();
        ranges.propagate(&program, &Chip::BM1684X);
        assert_eq!(ranges.missing(&program), ["last"]);
    }

    #[test]
    fn unknown_layers_are_an_error_with_the_nearest_name() {
        let program = chain(vec![(top::Conv::default().into(), "conv1_Conv")]);
        let error = Ranges::from_table(&program, &table(&[("conv1_Cnov", 1.0, 0.0, 1.0)]), &Chip::BM1684X).unwrap_err();
        assert_eq!(error.to_string(), "line 1: layer 'conv1_Cnov' is not in the model; the nearest is 'conv1_Conv'");
    }
}
