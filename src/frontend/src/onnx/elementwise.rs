//! Elementwise operators: functions of one tensor, arithmetic with broadcasting.
//!
//! A constant of one value (or of many that are equal) becomes an attribute (`AddConst`, `MulConst`...) where it does not
//! widen the result. Sums and products with constants are left to the passes, which know more forms.

use super::node::OnnxNode;
use super::{Importer, activation};
use tpuc_ops::{Op, ValueId, top};

/// What this file converts.
pub const SUPPORTED: &[&str] = &[
    "Abs", "Add", "Ceil", "Clip", "Cos", "Cosh", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min",
    "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tan",
    "Tanh",
];

impl<'a> Importer<'a> {
    pub(super) fn elementwise(&mut self, node: &OnnxNode<'a>) -> Result<ValueId, String> {
        if let Some(op) = function(node)? {
            let input = self.value(node.need(0)?)?;
            // The reference's name of this one layer has no type.
            let layer = if node.op() == "Ceil" { node.output() } else { &node.layer };
            return self.push(op, &[input], layer);
        }
        match node.op() {
            "Add" => self.sum_or_product(node, top::Add::default().into()),
            "Mul" => self.sum_or_product(node, top::Mul::default().into()),
            "Sub" => self.sub(node),
            "Div" => self.div(node),
            "Max" => self.chain(node, &top::Max::default().into()),
            "Min" => self.chain(node, &top::Min::default().into()),
            "Sum" => self.chain(node, &top::Add::default().into()),
            "Pow" => self.pow(node),
            "PRelu" => self.prelu(node),
            "Clip" => self.clip(node),
            other => Err(format!("no conversion for {other}")),
        }
    }

    /// The value of a constant whose elements are all equal, unless it would widen a result of this shape.
    fn scalar(&self, name: &str, shape: &[i64]) -> Option<f32> {
        let tensor = self.constant(name)?;
        let values = tensor.to_f32();
        let first = *values.first()?;
        let narrow = tensor.shape().len() <= shape.len() && tensor.shape().iter().rev().zip(shape.iter().rev()).all(|(&c, &s)| c == 1 || c as i64 == s);
        (narrow && values.iter().all(|&v| v == first)).then_some(first)
    }

    /// Two operands, a constant one last.
    fn sum_or_product(&mut self, node: &OnnxNode, op: Op) -> Result<ValueId, String> {
        let (mut first, mut second) = (node.need(0)?, node.need(1)?);
        if self.constant(first).is_some() {
            (first, second) = (second, first);
        }
        let operands = self.aligned(&[first, second])?;
        if let (Op::TopMul(_), &[first, second]) = (&op, &operands[..]) {
            if let Some((op, input)) = activation::of_product(self, [first, second]) {
                return self.push_fused(op, input, node);
            }
        }
        self.push(op, &operands, &node.layer)
    }

    fn sub(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let (left, right) = (self.value_or_constant(node.need(0)?)?, self.value_or_constant(node.need(1)?)?);
        match (left, right) {
            (None, Some(right)) => {
                if let Some(value) = self.scalar(node.need(0)?, &self.shape(right).to_vec()) {
                    let op = top::SubConst { const_val: f64::from(value), is_reverse: true, ..Default::default() };
                    return self.push(op, &[right], &node.layer);
                }
            }
            (Some(left), None) => {
                if let Some(value) = self.scalar(node.need(1)?, &self.shape(left).to_vec()) {
                    let op = top::AddConst { const_val: -f64::from(value), ..Default::default() };
                    return self.push(op, &[left], &node.layer);
                }
            }
            _ => {}
        }
        let operands = self.aligned(&[node.need(0)?, node.need(1)?])?;
        self.push(top::Sub::default(), &operands, &node.layer)
    }

    fn div(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let (left, right) = (self.value_or_constant(node.need(0)?)?, self.value_or_constant(node.need(1)?)?);
        match (left, right) {
            (None, Some(right)) => {
                if let Some(value) = self.scalar(node.need(0)?, &self.shape(right).to_vec()) {
                    let op = top::Reciprocal { const_val: f64::from(value), ..Default::default() };
                    return self.push(op, &[right], &node.layer);
                }
            }
            (Some(left), None) => {
                if let Some(value) = self.scalar(node.need(1)?, &self.shape(left).to_vec()) {
                    if let Some((op, input)) = activation::of_quotient(self, left, value) {
                        return self.push_fused(op, input, node);
                    }
                    let op = top::MulConst { const_val: 1.0 / f64::from(value), ..Default::default() };
                    return self.push(op, &[left], &node.layer);
                }
            }
            _ => {}
        }
        let operands = self.aligned(&[node.need(0)?, node.need(1)?])?;
        self.push(top::Div::default(), &operands, &node.layer)
    }

    /// Operands that broadcast, constants with as many dimensions as the result has: so the reference has them, and so passes and
    /// chips need not align them.
    fn aligned(&mut self, names: &[&str]) -> Result<Vec<ValueId>, String> {
        let mut rank = 0;
        for name in names {
            rank = rank.max(match self.constant(name) {
                Some(tensor) => tensor.shape().len(),
                None => {
                    let value = self.value(name)?;
                    self.shape(value).len()
                }
            });
        }
        let align = |name: &&str| match self.constant(name) {
            Some(tensor) if tensor.len() != 1 && tensor.shape().len() < rank => {
                let shape = [vec![1; rank - tensor.shape().len()], tensor.shape().to_vec()].concat();
                let tensor = (*tensor).clone().reshaped(&shape).map_err(|e| e.to_string())?;
                self.weight(name, &tensor)
            }
            _ => self.value(name),
        };
        names.iter().map(align).collect()
    }

    /// An operand that is computed; `None` for a constant.
    fn value_or_constant(&mut self, name: &str) -> Result<Option<ValueId>, String> {
        if self.constant(name).is_some() { Ok(None) } else { self.value(name).map(Some) }
    }

    /// An operator with any number of operands as ops of two.
    fn chain(&mut self, node: &OnnxNode, op: &Op) -> Result<ValueId, String> {
        let count = node.proto.input.len();
        let names = (0..count).map(|i| node.need(i)).collect::<Result<Vec<_>, _>>()?;
        let values = self.aligned(&names)?;
        let mut result = *values.first().ok_or("it has no inputs")?;
        for (index, &value) in values.iter().enumerate().skip(1) {
            let mut operands = [result, value];
            if self.is_weight(operands[0]) {
                operands.reverse();
            }
            let layer = if index + 1 == count { node.layer.clone() } else { format!("{}_{index}_{}", node.output(), node.op()) };
            result = self.push(op.clone(), &operands, &layer)?;
        }
        Ok(result)
    }

    fn pow(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let (base, exponent) = (node.need(0)?, node.need(1)?);
        if let Some(input) = self.value_or_constant(base)? {
            match self.scalar(exponent, &self.shape(input).to_vec()) {
                Some(1.0) => return Ok(input),
                Some(2.0) => return self.push(top::Mul::default(), &[input, input], &node.layer),
                Some(value) => return self.push(top::Pow { exponent: f64::from(value), ..Default::default() }, &[input], &node.layer),
                None => {}
            }
        }
        if let Some(input) = self.value_or_constant(exponent)? {
            if let Some(value) = self.scalar(base, &self.shape(input).to_vec()) {
                return self.push(top::Pow2 { const_val: f64::from(value), ..Default::default() }, &[input], &node.layer);
            }
        }
        let operands = [self.value(base)?, self.value(exponent)?];
        self.push(top::Pow3::default(), &operands, &node.layer)
    }

    fn prelu(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let slope = node.need(1)?;
        if let Some(alpha) = self.scalar(slope, &self.shape(input).to_vec()) {
            return self.push(top::LeakyRelu { alpha: f64::from(alpha), ..Default::default() }, &[input], &node.layer);
        }
        let slope = self.aligned(&[node.need(0)?, slope])?[1];
        self.push(top::PRelu::default(), &[input, slope], &node.layer)
    }

    fn clip(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let limit = |index: usize, name: &str, open: f32| -> Result<f64, String> {
            let value = match node.input(index) {
                Some(tensor) => {
                    let tensor = self.constant(tensor).ok_or_else(|| format!("its {name} '{tensor}' is not a constant"))?;
                    tensor.to_f32().first().copied().ok_or_else(|| format!("its {name} is empty"))?
                }
                None => node.float(name).unwrap_or(open),
            };
            Ok(f64::from(value))
        };
        let (min, max) = (limit(1, "min", f32::MIN)?, limit(2, "max", f32::MAX)?);
        self.push(top::Clip { min, max, ..Default::default() }, &[input], &node.layer)
    }

    /// An op that stands for several nodes, of which this is the last: the layer is called after the op.
    fn push_fused(&mut self, op: Op, input: ValueId, node: &OnnxNode) -> Result<ValueId, String> {
        let kind = op.name().trim_start_matches("top.");
        let layer = format!("{}_{kind}", node.output());
        self.push(op, &[input], &layer)
    }
}

/// The op of a function of one tensor.
fn function(node: &OnnxNode) -> Result<Option<Op>, String> {
    let number = |name: &str, default: f64| node.float(name).map_or(default, f64::from);
    Ok(Some(match node.op() {
        "Abs" => top::Abs::default().into(),
        "Ceil" => top::Ceil::default().into(),
        "Cos" => top::Cos::default().into(),
        "Cosh" => top::Cosh::default().into(),
        "Elu" => top::Elu { alpha: number("alpha", 1.0), ..Default::default() }.into(),
        "Erf" => top::Erf::default().into(),
        "Exp" => top::Exp::default().into(),
        "Floor" => top::Floor::default().into(),
        "Gelu" => {
            let approx_mode = match node.text("approximate").as_deref() {
                None | Some("none" | "") => "normal",
                Some("tanh") => "tanh",
                Some(other) => return Err(format!("approximate '{other}' is unknown, expected none or tanh")),
            };
            top::GELU { approx_mode: approx_mode.into(), ..Default::default() }.into()
        }
        "HardSigmoid" => top::HardSigmoid { alpha: number("alpha", f64::from(0.2f32)), beta: number("beta", 0.5), ..Default::default() }.into(),
        "HardSwish" => top::HardSwish::default().into(),
        "LeakyRelu" => top::LeakyRelu { alpha: number("alpha", f64::from(0.01f32)), ..Default::default() }.into(),
        "Log" => top::Log::default().into(),
        "Mish" => top::Mish::default().into(),
        "Neg" => top::MulConst { const_val: -1.0, ..Default::default() }.into(),
        "Reciprocal" => top::Reciprocal::default().into(),
        "Relu" => top::Relu::default().into(),
        "Round" => top::Round::default().into(),
        "Sigmoid" => top::Sigmoid::default().into(),
        "Sign" => top::Sign::default().into(),
        "Sin" => top::Sin::default().into(),
        "Sinh" => top::Sinh::default().into(),
        "Softplus" => top::Softplus::default().into(),
        "Softsign" => top::Softsign::default().into(),
        "Sqrt" => top::Sqrt::default().into(),
        "Tan" => top::Tan::default().into(),
        "Tanh" => top::Tanh::default().into(),
        _ => return Ok(None),
    }))
}
