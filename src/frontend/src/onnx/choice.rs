//! Comparisons, Not, Where. Conditions are floats: 1 where they hold, else 0.

use super::Importer;
use super::node::OnnxNode;
use tpuc_ops::{ValueId, top};

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

    /// The value of a constant of one element.
    fn number(&self, name: &str) -> Option<f32> {
        self.constant(name).filter(|t| t.len() == 1 && t.shape().len() < 2).and_then(|t| t.to_f32().first().copied())
    }
}
