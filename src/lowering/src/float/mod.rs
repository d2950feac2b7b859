//! What an op becomes where it computes in floats: f32, f16 or bf16. The chips share these rules and differ only in which
//! op runs in which type.
//!
//! Operands and result have the type; sums are in f32 and rounded once. Biases of convolutions stay f32.

mod add;
mod binary;
mod conv;
mod matmul;
mod movement;
mod pool;
mod pow;
mod softmax;
mod structure;
mod unary;

use crate::error::LowerError;
use crate::lowered::{Lowered, NewWeight, OpContext, OperandRef};
use crate::quantize::weight;
use half::vec::HalfFloatVecExt;
use tpuc_ops::{Elem, Op, TensorType, top_binary, top_const, top_unary};
use tpuc_tensor::{DType, Data};

/// Lowers an op to float arithmetic in `dtype` (F32, F16 or BF16).
pub(crate) fn lower(context: &OpContext, dtype: DType) -> Result<Lowered, LowerError> {
    match context.op {
        Op::TopInput(op) => movement::input(context, op),
        Op::TopConv(op) => conv::float(context, op, dtype),
        Op::TopMatMul(op) => matmul::float(context, op, dtype),
        Op::TopAdd(op) => add::float(context, op, dtype),
        Op::TopAvgPool(op) => pool::average(context, op, dtype),
        Op::TopMaxPool(op) => pool::max(context, op, dtype),
        Op::TopRelu(op) => movement::relu(context, op, dtype),
        Op::TopPad(_) | Op::TopReshape(_) | Op::TopPermute(_) | Op::TopSlice(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) | Op::TopTile(_)
        | Op::TopDepth2Space(_) | Op::TopReverse(_) | Op::TopUpsample(_) => structure::movement(context, dtype),
        Op::TopExpand(_) => structure::expand(context, dtype),
        Op::TopConcat(op) => structure::concat(context, op, dtype),
        Op::TopGather(op) => structure::gather(context, op, dtype),
        Op::TopInterp(_) | Op::TopReduce(_) | Op::TopLayerNorm(_) | Op::TopInstanceNorm(_) | Op::TopGroupNorm(_) => structure::arithmetic(context, dtype),
        Op::TopArg(_) => structure::arg(context, dtype),
        Op::TopDeconv(op) => structure::deconv(context, op, dtype),
        Op::TopSoftmax(op) => softmax::float(context, op, dtype),
        Op::TopScale(op) => binary::scale(context, op, dtype),
        Op::TopBatchNorm(_) => Err(context.unsupported("top_optimize turns it into a convolution; its scale and bias must be weights")),
        Op::TopNone(_) | Op::TopWeight(_) => Err(context.unsupported("a constant is not computed")),
        Op::TopPow(op) => pow::pow(context, op),
        Op::TopPow2(op) => pow::pow2(context, op),
        Op::TopPow3(_) => pow::pow3(context),
        top_unary!() | top_const!() | Op::TopClip(_) | Op::TopCompareConst(_) => unary::float(context, dtype),
        top_binary!() | Op::TopPRelu(_) | Op::TopCompare(_) => binary::float(context, dtype),
        Op::TopWhere(op) => binary::select(context, op, dtype),
        _ => Err(context.unsupported("has no float form yet")),
    }
}

/// A sum in `dtype`, for ops that become one.
pub(crate) fn add(context: &OpContext, op: &tpuc_ops::top::Add, dtype: DType) -> Result<Lowered, LowerError> {
    add::float(context, op, dtype)
}

/// The element type of a float type.
pub(crate) fn elem(dtype: DType) -> Elem {
    Elem::Plain(dtype)
}

/// The element type of a result that is computed in a float type. A range stays with it, for those who quantize it.
pub(crate) fn result_elem(context: &OpContext, dtype: DType) -> Elem {
    match context.result.elem {
        Elem::Calibrated { min, max, .. } => Elem::Calibrated { expressed: dtype, min, max },
        Elem::Plain(_) | Elem::Uniform { .. } => Elem::Plain(dtype),
    }
}

/// The type of such a result.
pub(crate) fn float_type(context: &OpContext, dtype: DType) -> TensorType {
    context.result_type(result_elem(context, dtype))
}

/// A float weight under its own name in f32, else `<name>_f16` or `<name>_bf16`, each value rounded to the nearest.
pub(crate) fn float_weight(name: &str, shape: &[i64], values: &[f32], dtype: DType) -> NewWeight {
    match dtype {
        DType::F16 => weight(format!("{name}_f16"), shape, Data::F16(Vec::from_f32_slice(values))),
        DType::BF16 => weight(format!("{name}_bf16"), shape, Data::BF16(Vec::from_f32_slice(values))),
        _ => weight(name.to_owned(), shape, Data::F32(values.to_vec())),
    }
}

/// An operand in a float type: the weight in it, or the value with a cast where it is computed in another.
pub(crate) fn operand(context: &OpContext, lowered: &mut Lowered, index: usize, dtype: DType) -> Result<OperandRef, LowerError> {
    if context.is_absent(index) {
        return Ok(OperandRef::None);
    }
    match context.weight(index).transpose()? {
        None => Ok(OperandRef::Operand { index, elem: elem(dtype) }),
        Some(values) => {
            let shape = &context.tensor(index)?.shape;
            Ok(lowered.weight(float_weight(&context.operands[index].name, shape, &values, dtype)))
        }
    }
}
