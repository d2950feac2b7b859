//! Comparisons, Not, Where, Cast. Conditions are floats: 1 where they hold, else 0; so are integers.

use super::Importer;
use super::node::OnnxNode;
use tpuc_ops::{Op, ValueId, top};
use tpuc_tensor::DType;

impl Importer<'_> {
    pub(super) fn compare(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let (left, right) = (node.need(0)?, node.need(1)?);
        let mode = node.op().to_owned();
        for (constant, other, inversed) in [(left, right, true), (right, left, false)] {
            if let Some(value) = self.number(constant) {
                let input = self.value(other)?;
                let op = top::CompareConst { mode, const_val: f64::from(value), inversed, ..Default::default() };
                return self.push(op, &[input], &node.layer);
            }
        }
        let operands = [self.value(left)?, self.value(right)?];
        self.push(top::Compare { mode, ..Default::default() }, &operands, &node.layer)
    }

    pub(super) fn not(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        self.push(top::CompareConst { mode: "Not".into(), const_val: 0.0, inversed: false, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn select(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let condition = self.value(node.need(0)?)?;
        let (yes, no) = (self.number(node.need(1)?), self.number(node.need(2)?));
        let branch = |importer: &mut Self, index: usize, number: Option<f32>| match number {
            Some(_) => Ok(importer.program.none()),
            None => importer.value(node.need(index)?),
        };
        let operands = [condition, branch(self, 1, yes)?, branch(self, 2, no)?];
        let op = top::Where {
            x_is_const: yes.is_some(),
            y_is_const: no.is_some(),
            x_const_val: f64::from(yes.unwrap_or(0.0)),
            y_const_val: f64::from(no.unwrap_or(0.0)),
            ..Default::default()
        };
        self.push(op, &operands, &node.layer)
    }

    /// All activations are floats. What is whole already is also what it is cast to; rounding to integers is refused.
    pub(super) fn cast(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let to = super::tensor::dtype(node.int("to", 1) as i32).ok_or("its element type is not supported")?;
        let floats = matches!(to, DType::F32 | DType::F64 | DType::F16 | DType::BF16);
        if floats || self.is_whole(input) {
            return Ok(input);
        }
        Err(format!("an activation cast to {to} is not supported"))
    }

    /// Whether a value is an index or a condition, or such elements moved.
    fn is_whole(&self, value: ValueId) -> bool {
        let mut value = value;
        loop {
            let Some(node) = self.program.producer(value).map(|n| &self.program.nodes[n]) else { return false };
            match node.op {
                Op::TopArg(_) | Op::TopCompare(_) | Op::TopCompareConst(_) => return true,
                Op::TopReshape(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) | Op::TopPermute(_) | Op::TopSlice(_) => value = node.operands[0],
                _ => return false,
            }
        }
    }

    /// The value of a constant of one element.
    fn number(&self, name: &str) -> Option<f32> {
        self.constant(name).filter(|t| t.len() == 1 && t.shape().len() < 2).and_then(|t| t.to_f32().first().copied())
    }
}
