//! Functions of 8-bit integers by table: what all chips do with activations.

use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::weight;
use tpuc_kernels::unary::Function;
use tpuc_ops::{Elem, Op, top, tpu};
use tpuc_tensor::{DType, Data};

/// The function of an op that a table can hold.
pub(crate) fn function(op: &Op) -> Option<Function> {
    Some(match op {
        Op::TopAbs(_) => Function::Abs,
        Op::TopCeil(_) => Function::Ceil,
        Op::TopCos(_) => Function::Cos,
        Op::TopCosh(_) => Function::Cosh,
        Op::TopElu(op) => Function::Elu { alpha: op.alpha },
        Op::TopErf(_) => Function::Erf,
        Op::TopExp(_) => Function::Exp,
        Op::TopFloor(_) => Function::Floor,
        Op::TopGELU(op) => match op.approx_mode.as_str() {
            "tanh" => Function::GeluTanh,
            "sigm" => Function::GeluSigmoid,
            _ => Function::Gelu,
        },
        Op::TopHardSigmoid(op) => Function::HardSigmoid { alpha: op.alpha, beta: op.beta },
        Op::TopHardSwish(_) => Function::HardSwish,
        Op::TopLog(_) => Function::Ln,
        Op::TopMish(_) => Function::Mish,
        Op::TopPow(op) => Function::Pow { exponent: op.exponent },
        Op::TopPow2(op) => Function::PowOf { base: op.const_val },
        Op::TopReciprocal(op) => Function::Reciprocal { numerator: op.const_val },
        Op::TopRound(_) => Function::Round,
        Op::TopRsqrt(_) => Function::Rsqrt,
        Op::TopSigmoid(top::Sigmoid { log: true, scale, bias, .. }) => Function::LogSigmoid { scale: *scale, bias: *bias },
        Op::TopSigmoid(op) => Function::Sigmoid { scale: op.scale, bias: op.bias },
        Op::TopSign(_) => Function::Sign,
        Op::TopSiLU(_) => Function::Silu,
        Op::TopSin(_) => Function::Sin,
        Op::TopSinh(_) => Function::Sinh,
        Op::TopSoftplus(_) => Function::Softplus,
        Op::TopSoftsign(_) => Function::Softsign,
        Op::TopSqrt(_) => Function::Sqrt,
        Op::TopSwish(op) => Function::Swish { beta: op.beta },
        Op::TopTan(_) => Function::Tan,
        Op::TopTanh(_) => Function::Tanh,
        _ => return None,
    })
}

/// `table[byte] = saturate(round_half_away(f((q - z_in) s_in) / s_out + z_out))` with q the integer of the byte: 0 to 127, then -128 to -1
/// where the input is signed, else 0 to 255. What is not finite (1 / 0, the root of what is negative) becomes the lowest
/// integer, as in the reference: calibration never saw it.
pub(crate) fn table(f: impl Fn(f64) -> f64, input: &Elem, output: &Elem) -> Data {
    let (from, to) = (input.scale().unwrap_or(1.0), output.scale().unwrap_or(1.0));
    let signed = input.storage() == DType::I8;
    let (zero_in, zero_out) = (input.zero_point() as f64, output.zero_point() as f64);
    let integer = |byte: u8| if signed { f64::from(byte as i8) } else { f64::from(byte) } - zero_in;
    let values = (0..=255).map(|byte| f(integer(byte) * from)).map(|v| if v.is_finite() { v } else { f64::NEG_INFINITY });
    match output.storage() {
        DType::I8 => Data::I8(values.map(|v| (v / to + zero_out).round() as i8).collect()),
        _ => Data::U8(values.map(|v| (v / to + zero_out).round() as u8).collect()),
    }
}

/// An op of one 8-bit tensor as a table named `<layer>_table`.
pub(crate) fn int8(context: &OpContext, f: impl Fn(f64) -> f64) -> Result<Lowered, LowerError> {
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);
    let mut lowered = Lowered::default();
    let table = lowered.weight(weight(format!("{}_table", context.name), &[1, 1, 1, 256], table(f, &input, &output)));
    let operand = OperandRef::Operand { index: 0, elem: input };
    lowered.push(tpu::Lut::default(), vec![operand, table], context.name, context.result_type(output));
    Ok(lowered.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_index_and_values_saturate() {
        let (signed, unsigned) = (Elem::symmetric(DType::I8, 0.5), Elem::symmetric(DType::U8, 0.25));
        let Data::U8(doubled) = table(|x| 2.0 * x, &signed, &unsigned) else { panic!("u8") };
        assert_eq!((doubled[0], doubled[1], doubled[63], doubled[64], doubled[127], doubled[128], doubled[255]), (0, 4, 252, 255, 255, 0, 0));
        let Data::I8(root) = table(f64::sqrt, &signed, &signed) else { panic!("i8") };
        assert_eq!((root[0], root[2], root[8], root[127], root[255]), (0, 2, 4, 16, -128));
        let Data::I8(reciprocal) = table(|x| 1.0 / x, &unsigned, &signed) else { panic!("i8") };
        assert_eq!((reciprocal[0], reciprocal[1], reciprocal[4], reciprocal[255]), (-128, 8, 2, 0));
    }
}
