//! Powers, through logarithm and exponential in f32: the chips have no other.

use super::unary::plain;
use super::{elem, float_type, float_weight, operand, result_elem};
use crate::chip::Mode;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use tpuc_ops::tpu::ActiveMode;
use tpuc_ops::{Op, TensorType, top, tpu};
use tpuc_tensor::DType;

/// `x^n = exp(n ln x)`; of an even n `exp(n ln |x|)`, of an odd one `x exp((n - 1) ln |x|)`. In the mode BF16 the magnitude and the
/// last product are bf16.
pub(super) fn pow(context: &OpContext, op: &top::Pow) -> Result<Lowered, LowerError> {
    let narrow = if context.mode == Mode::BF16 { DType::BF16 } else { DType::F32 };
    let mut chain = Chain { context, lowered: Lowered::default() };
    if op.exponent.fract() != 0.0 {
        let log = chain.active(ActiveMode::LN, chain.input(DType::F32), "_log", DType::F32);
        let product = chain.mul_const(op.exponent, log, "_mul_const");
        chain.active(ActiveMode::EXP, product, "", DType::F32);
        return Ok(chain.lowered.finish());
    }
    let is_odd = op.exponent % 2.0 != 0.0;
    let abs = chain.active(ActiveMode::ABSVAL, chain.input(narrow), "_abs", narrow);
    let abs = chain.cast(abs, "_abs", "_log", narrow, DType::F32);
    let log = chain.active(ActiveMode::LN, abs, "_log", DType::F32);
    let product = chain.mul_const(if is_odd { op.exponent - 1.0 } else { op.exponent }, log, "_mul_const");
    let power = chain.active(ActiveMode::EXP, product, if is_odd { "_exp" } else { "" }, DType::F32);
    if is_odd {
        let power = chain.cast(power, "_exp", "", DType::F32, narrow);
        chain.push(tpu::Mul::default(), vec![chain.input(narrow), power], "", narrow);
    }
    Ok(chain.lowered.finish())
}

/// `b^x = exp(x ln b)`
pub(super) fn pow2(context: &OpContext, op: &top::Pow2) -> Result<Lowered, LowerError> {
    // Where b is negative the power is no number.
    if op.const_val.is_nan() || op.const_val <= 0.0 {
        return Err(context.unsupported(format!("is a power of {}, expected a positive base", op.const_val)));
    }
    let mut chain = Chain { context, lowered: Lowered::default() };
    let product = chain.mul_const(op.const_val.ln(), chain.input(DType::F32), "_mul");
    chain.active(ActiveMode::EXP, product, "", DType::F32);
    Ok(chain.lowered.finish())
}

/// `x^y = exp(y ln x)`; the logarithm of a constant base is a weight.
pub(super) fn pow3(context: &OpContext) -> Result<Lowered, LowerError> {
    let mut chain = Chain { context, lowered: Lowered::default() };
    let log = match context.weight(0).transpose()? {
        Some(base) => {
            let log: Vec<f32> = base.iter().map(|b| b.ln()).collect();
            let weight = float_weight(&format!("{}_log_folder", context.name), &context.tensor(0)?.shape, &log, DType::F32);
            chain.lowered.weight(weight)
        }
        None => {
            let shape = context.tensor(0)?.shape.clone();
            let ty = TensorType::new(&shape, result_elem(context, DType::F32));
            chain.lowered.push(plain(ActiveMode::LN), vec![OperandRef::Operand { index: 0, elem: elem(DType::F32) }], format!("{}_log", context.name), ty)
        }
    };
    let exponent = operand(context, &mut chain.lowered, 1, DType::F32)?;
    let product = chain.push(tpu::Mul::default(), vec![exponent, log], "_mul", DType::F32);
    chain.active(ActiveMode::EXP, product, "", DType::F32);
    Ok(chain.lowered.finish())
}

/// Ops one behind another, named by the layer and a suffix.
struct Chain<'a> {
    context: &'a OpContext<'a>,
    lowered: Lowered,
}

impl Chain<'_> {
    fn input(&self, dtype: DType) -> OperandRef {
        OperandRef::Operand { index: 0, elem: elem(dtype) }
    }

    fn push(&mut self, op: impl Into<Op>, operands: Vec<OperandRef>, suffix: &str, dtype: DType) -> OperandRef {
        let ty = float_type(self.context, dtype);
        self.lowered.push(op, operands, format!("{}{suffix}", self.context.name), ty)
    }

    fn active(&mut self, mode: ActiveMode, x: OperandRef, suffix: &str, dtype: DType) -> OperandRef {
        self.push(plain(mode), vec![x], suffix, dtype)
    }

    fn mul_const(&mut self, const_val: f64, x: OperandRef, suffix: &str) -> OperandRef {
        self.push(tpu::MulConst { const_val, ..Default::default() }, vec![x], suffix, DType::F32)
    }

    /// The value in another type, named as casts between layers are.
    fn cast(&mut self, x: OperandRef, from_suffix: &str, to_suffix: &str, from: DType, to: DType) -> OperandRef {
        if from == to {
            return x;
        }
        let name = self.context.name;
        self.push(tpu::Cast::default(), vec![x], &format!("{from_suffix}{name}{to_suffix}_{}", to.name()), to)
    }
}
