//! What single ops ask of their attributes and operands beyond shapes that fit.

use crate::types::ValueType;
use crate::{Op, attention, choice, deconv, elementwise, norm, preprocess, top, top_binary, top_const, top_unary, tpu, tpu_binary, tpu_choice, tpu_elementwise, tpu_structure, tpu_unary};

fn shape(operands: &[ValueType], index: usize) -> Option<&[i64]> {
    operands.get(index).and_then(ValueType::tensor).map(|t| t.shape.as_slice())
}

fn expect(what: &str, found: i64, expected: i64, of: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} has {found} elements, expected {expected} ({of})")) }
}

/// Everything that shape inference does not see.
pub(crate) fn verify(op: &Op, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    match op {
        Op::TopMatMul(_) | Op::TpuMatMul(_) => match (operands.get(2).and_then(ValueType::tensor), results.first().and_then(ValueType::tensor)) {
            (Some(bias), Some(result)) => expect("bias", bias.count(), result.shape.last().copied().unwrap_or(1), "columns"),
            _ => Ok(()),
        },
        Op::TpuA16MatMul(_) => match operands.get(4).and_then(ValueType::tensor) {
            Some(bias) => expect("bias", bias.count(), crate::matmul::last(results, 0), "columns"),
            None => Ok(()),
        },
        Op::TpuAdd(tpu::Add { coeff: Some(coeff), .. }) if coeff.len() != operands.len() => {
            Err(format!("coeff has {} entries, expected {} (inputs)", coeff.len(), operands.len()))
        }
        Op::TopClip(op) if op.min.is_nan() || op.max.is_nan() || op.min > op.max => Err(format!("[{}, {}] is not a range", op.min, op.max)),
        Op::TopSoftmax(top::Softmax { axis, .. }) | Op::TpuSoftmax(tpu::Softmax { axis, .. }) => {
            let rank = shape(operands, 0).map_or(0, |s| s.len() as i64);
            let axis = i64::from(*axis);
            if (-rank..rank).contains(&axis) { Ok(()) } else { Err(format!("axis is {axis}, expected {} to {} (rank {rank})", -rank, rank - 1)) }
        }
        Op::TopBatchNorm(_) => {
            let channels = shape(operands, 0).and_then(|s| s.get(1).copied()).ok_or("input needs at least two dimensions")?;
            for (index, what) in ["mean", "variance", "gamma", "beta"].into_iter().enumerate() {
                if let Some(ty) = operands.get(index + 1).and_then(ValueType::tensor) {
                    expect(what, ty.count(), channels, "channels")?;
                }
            }
            Ok(())
        }
        Op::TopScale(_) => {
            let channels = shape(operands, 0).and_then(|s| s.get(1).copied()).ok_or("input needs at least two dimensions")?;
            for (index, what) in ["scale", "bias"].into_iter().enumerate() {
                if let Some(ty) = operands.get(index + 1).and_then(ValueType::tensor) {
                    expect(what, ty.count(), channels, "channels")?;
                }
            }
            Ok(())
        }
        Op::TopLayerNorm(op) => norm::verify_layer(op, operands),
        Op::TopInstanceNorm(op) => norm::verify_instance(op, operands),
        Op::TopGroupNorm(op) => norm::verify_group(op, operands),
        Op::TopDeconv(op) => deconv::verify(op, operands),
        Op::TopCompareConst(op) => choice::check_mode(&op.mode),
        Op::TopAdd(_) | Op::TopPRelu(_) | top_unary!() | top_binary!() | top_const!() => elementwise::verify_parameters(op, operands, results),
        tpu_unary!() | tpu_binary!() | tpu_choice!() => tpu_elementwise::verify(op, operands, results),
        tpu_structure!() => tpu_structure::verify(op, operands, results),
        Op::TpuScaleLut(op) => preprocess::verify_table(op, operands),
        Op::TpuSwapChannel(op) => preprocess::verify_swap(op, operands),
        Op::TpuAttention(op) => attention::verify_head(op, operands),
        Op::TopAttention(op) => attention::verify_whole(op, operands),
        _ => Ok(()),
    }
}
