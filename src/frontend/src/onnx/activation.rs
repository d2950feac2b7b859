//! Functions that exporters write as several operators. A pattern is looked for when its last operator comes, in the ops made
//! so far; those that nobody else reads are dropped when the import is done.

use super::Importer;
use tpuc_ops::{Op, Source, ValueId, top};

type Found = Option<(Op, ValueId)>;

/// Constants in exported files are rounded now and then.
fn is(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= 1e-4 * expected.abs()
}

impl Importer<'_> {
    fn op_of(&self, value: ValueId) -> Option<(&Op, &[ValueId])> {
        let node = &self.program.nodes[self.program.producer(value)?];
        Some((&node.op, &node.operands))
    }

    /// The operand that is not a constant of this value, of an op with two.
    fn beside_constant(&self, operands: &[ValueId], expected: f64) -> Option<ValueId> {
        let [first, second] = *operands else { return None };
        let is_constant = |value: ValueId| {
            let value = self.program.value(value);
            let data = self.weights.get(&value.name).filter(|_| value.source == Source::Weight);
            data.is_some_and(|t| t.len() == 1 && is(f64::from(t.to_f32()[0]), expected))
        };
        if is_constant(second) { Some(first) } else if is_constant(first) { Some(second) } else { None }
    }

    /// x of `x + constant`.
    fn added(&self, value: ValueId, constant: f64) -> Option<ValueId> {
        match self.op_of(value)? {
            (Op::TopAdd(_), operands) => self.beside_constant(operands, constant),
            (Op::TopAddConst(op), operands) if is(op.const_val, constant) => Some(operands[0]),
            _ => None,
        }
    }

    /// x of `x * constant`.
    fn multiplied(&self, value: ValueId, constant: f64) -> Option<ValueId> {
        match self.op_of(value)? {
            (Op::TopMul(_), operands) => self.beside_constant(operands, constant),
            (Op::TopMulConst(op), operands) if is(op.const_val, constant) => Some(operands[0]),
            _ => None,
        }
    }

    /// x of `clip(x + 3, 0, 6)`.
    fn shifted_relu6(&self, value: ValueId) -> Option<ValueId> {
        match self.op_of(value)? {
            (Op::TopClip(op), operands) if op.min == 0.0 && op.max == 6.0 => self.added(operands[0], 3.0),
            _ => None,
        }
    }

    fn is_cube(&self, x: ValueId, value: ValueId) -> bool {
        let is_square = |value| matches!(self.op_of(value), Some((Op::TopMul(_), operands)) if operands == [x, x]);
        match self.op_of(value) {
            Some((Op::TopPow(op), operands)) => op.exponent == 3.0 && operands[0] == x,
            Some((Op::TopMul(_), &[first, second])) => (first == x && is_square(second)) || (second == x && is_square(first)),
            _ => false,
        }
    }

    /// x of `1 + erf(x / sqrt(2))`, or of the approximation `1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))`.
    fn gelu_gate(&self, value: ValueId) -> Option<(&'static str, ValueId)> {
        match self.op_of(self.added(value, 1.0)?)? {
            (Op::TopErf(_), operands) => Some(("normal", self.multiplied(operands[0], std::f64::consts::FRAC_1_SQRT_2)?)),
            (Op::TopTanh(_), operands) => {
                let sum = self.multiplied(operands[0], (2.0 / std::f64::consts::PI).sqrt())?;
                let (Op::TopAdd(_), &[first, second]) = self.op_of(sum)? else { return None };
                let cube_of = |x: ValueId, term: ValueId| {
                    let power = self.multiplied(term, 0.044715)?;
                    self.is_cube(x, power).then_some(x)
                };
                Some(("tanh", cube_of(first, second).or_else(|| cube_of(second, first))?))
            }
            _ => None,
        }
    }
}

/// A product that is a function of one tensor.
pub fn of_product(importer: &Importer, operands: [ValueId; 2]) -> Found {
    gelu(importer, operands).or_else(|| hard_swish(importer, operands))
}

/// x/2 (1 + erf(x / sqrt(2))) with the factors in any order.
fn gelu(importer: &Importer, operands: [ValueId; 2]) -> Found {
    let [first, second] = operands;
    let make = |mode: &str, x: ValueId| Some((top::GELU { approx_mode: mode.into(), ..Default::default() }.into(), x));
    // (x * gate) * 0.5
    if let Some(product) = importer.beside_constant(&operands, 0.5) {
        let (Op::TopMul(_), &[a, b]) = importer.op_of(product)? else { return None };
        let of = |x: ValueId, gate: ValueId| importer.gelu_gate(gate).filter(|(_, inner)| *inner == x);
        let (mode, x) = of(a, b).or_else(|| of(b, a))?;
        return make(mode, x);
    }
    // (x * 0.5) * gate
    let of = |half: ValueId, gate: ValueId| {
        let (mode, x) = importer.gelu_gate(gate)?;
        (importer.multiplied(half, 0.5)? == x).then_some((mode, x))
    };
    let (mode, x) = of(first, second).or_else(|| of(second, first))?;
    make(mode, x)
}

/// x * hard_sigmoid(x; 1/6, 1/2)
fn hard_swish(importer: &Importer, operands: [ValueId; 2]) -> Found {
    let of = |x: ValueId, gate: ValueId| match importer.op_of(gate)? {
        (Op::TopHardSigmoid(op), operands) if is(op.alpha, 1.0 / 6.0) && op.beta == 0.5 && operands[0] == x => Some(x),
        _ => None,
    };
    let x = of(operands[0], operands[1]).or_else(|| of(operands[1], operands[0]))?;
    Some((top::HardSwish::default().into(), x))
}

/// A quotient by 6 that is a function of one tensor: clip(x + 3, 0, 6) / 6, or x times it.
pub fn of_quotient(importer: &Importer, dividend: ValueId, divisor: f32) -> Found {
    if divisor != 6.0 {
        return None;
    }
    if let Some(x) = importer.shifted_relu6(dividend) {
        return Some((top::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5, ..Default::default() }.into(), x));
    }
    let (Op::TopMul(_), &[a, b]) = importer.op_of(dividend)? else { return None };
    let of = |x: ValueId, gate: ValueId| (importer.shifted_relu6(gate)? == x).then_some(x);
    let x = of(a, b).or_else(|| of(b, a))?;
    Some((top::HardSwish::default().into(), x))
}
