//! Convolution: weights and requantization per output channel.

use crate::ahead::Quantized;
use crate::error::LowerError;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::parts::{ConvWeights, conv2d};
use crate::quantize::{by_rows, integer_sums, integer_times, max_abs, weight};
use tpuc_ops::{top, tpu};
use tpuc_tensor::{DType, Data};
use tpuc_tensor::round::fit_any;

/// Weight scales and input scales are not allowed below this: their inverse would overflow the bias.
const SMALLEST_SCALE: f32 = 1e-5;

/// `y = saturate((sum(w x) + bias) * multiplier >> rshift)`.
///
/// With the scales s of input, weight (per output channel) and output: `w = round(W / s_w)`,
/// `bias = round(B / (s_w s_in) - z_in sum(w))`, `multiplier / 2^rshift = s_w s_in / s_out`. Padding counts as zero point z_in.
pub(super) fn int8(context: &OpContext, op: &top::Conv) -> Result<Lowered, LowerError> {
    if op.kernel_shape.len() > 2 {
        return Err(context.unsupported(format!("has {} spatial dimensions, at most 2 are supported", op.kernel_shape.len())));
    }
    let parts = ConvWeights::of(context)?;
    let ConvWeights { filter, filter_shape, bias, channels } = &parts;
    let channels = *channels;
    let (input, output) = (context.operand_elem(0)?, context.result_elem()?);

    let input_scale = input_scale(input.scale().unwrap_or(1.0), filter, bias.as_deref());
    let output_scale = output.scale().unwrap_or(1.0);
    let Quantized { data, largest } = context.prepared.take().unwrap_or_else(|| quantized(&parts));
    let (scale, suffix) = (scale(&parts), if data.dtype() == DType::U8 { "u8" } else { "i8" });
    let row = filter.len() / channels;
    let scales: Vec<f64> = parts.checked(context, largest)?.into_iter().map(scale).collect();
    let fitted = scales.iter().map(|scale| fit_any((scale * input_scale / output_scale) as f32, 32));
    let requant: (Vec<i64>, Vec<i64>) = fitted.map(|f| (i64::from(f.multiplier), i64::from(f.shift))).unzip();
    let zero_point = input.zero_point();
    let with_bias = bias.is_some() || zero_point != 0;
    let sums = (zero_point != 0).then(|| integer_sums(&data, row));
    let quantized_bias = (0..channels).map(|channel| {
        let bias = bias.as_ref().map_or(0.0, |b| f64::from(b[channel]) / (scales[channel] * input_scale));
        let folded = sums.as_ref().map_or(0, |s| s[channel]) * zero_point;
        (bias - folded as f64).round() as i32
    });
    let bias_data = with_bias.then(|| Data::I32(quantized_bias.collect()));

    let mut lowered = Lowered::default();
    let filter = lowered.weight(weight(format!("{}_filter_{suffix}", context.name), filter_shape, data));
    let bias = bias_data.map(|data| {
        let shape: Vec<i64> = (0..context.result.shape.len()).map(|d| if d == 1 { channels as i64 } else { 1 }).collect();
        lowered.weight(weight(format!("{}_bias_int32", context.name), &shape, data))
    });
    let conv = tpu::Conv2D {
        with_bias,
        multiplier: Some(requant.0),
        rshift: Some(requant.1),
        quant_mode: tpu::RequantMode::MultiplierShift,
        ..conv2d(op)
    };
    let operands = vec![OperandRef::Operand { index: 0, elem: input }, filter, bias.unwrap_or(OperandRef::None)];
    lowered.push(conv, operands, context.name, context.result_type(output));
    Ok(lowered.finish())
}

/// Whether the filter needs a sign. One with a bias has it always.
fn is_signed(parts: &ConvWeights) -> bool {
    parts.bias.is_some() || parts.filter.iter().any(|&w| w < 0.0)
}

/// The scale of an output channel's weights whose largest magnitude is given.
fn scale(parts: &ConvWeights) -> impl Fn(f32) -> f64 + Sync {
    let signed = is_signed(parts);
    let exact = integer_times(&parts.filter, signed);
    let end: f32 = if signed { 127.0 } else { 255.0 };
    move |most| match exact {
        Some(times) => 1.0 / f64::from(times),
        None => f64::from((most / end).max(SMALLEST_SCALE)),
    }
}

/// The filter in 8 bits, and the largest magnitude of each output channel.
pub(super) fn quantized(parts: &ConvWeights) -> Quantized {
    let row = parts.filter.len() / parts.channels;
    if is_signed(parts) {
        let (data, largest) = by_rows(&parts.filter, row, scale(parts));
        Quantized { data: Data::I8(data), largest }
    } else {
        let (data, largest) = by_rows(&parts.filter, row, scale(parts));
        Quantized { data: Data::U8(data), largest }
    }
}

/// The scale of the input, or one that keeps the bias in range where the input is all zero in calibration.
fn input_scale(scale: f64, filter: &[f32], bias: Option<&[f32]>) -> f64 {
    if scale > f64::from(SMALLEST_SCALE) {
        return scale;
    }
    let bias = bias.map_or(0.0, max_abs);
    let stand_in = f64::from(if bias <= SMALLEST_SCALE { max_abs(filter) } else { bias }) / 127.0;
    if stand_in > 0.0 { stand_in } else { scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::{Chip, Mode};
    use crate::lower_op;
    use crate::lowered::Operand;
    use proptest::prelude::*;
    use std::sync::Arc;
    use tpuc_ops::{Elem, Op, TensorType, ValueType};
    use tpuc_tensor::Tensor;

    fn calibrated(shape: &[i64], min: f64, max: f64) -> TensorType {
        TensorType::new(shape, Elem::Calibrated { expressed: DType::F32, min, max })
    }

    fn lower(filter: Vec<f32>, channels: i64, bias: Option<Vec<f32>>, input: f64, output: f64) -> Lowered {
        let depth = filter.len() as i64 / channels;
        let op = Op::from(top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() });
        let weight = |name: &str, shape: &[i64], data: Vec<f32>| Operand {
            name: name.into(),
            ty: TensorType::f32(shape).into(),
            weight: Some(Arc::new(Tensor::f32(&[data.len()], data).unwrap())),
            computed: Elem::F32,
            is_input: false,
        };
        let bias = bias.map_or(Operand { name: "none".into(), ty: ValueType::None, weight: None, computed: Elem::F32, is_input: false }, |b| weight("b", &[channels], b));
        let operands = vec![
            Operand { name: "x".into(), ty: calibrated(&[1, depth, 4, 4], -input, input).into(), weight: None, computed: Elem::F32, is_input: false },
            weight("w", &[channels, depth, 1, 1], filter),
            bias,
        ];
        let result = calibrated(&[1, channels, 4, 4], -output, output);
        lower_op(&OpContext { op: &op, name: "c", operands, result, chip: &Chip::BM1684X, mode: Mode::Int8, groups: Default::default(), asymmetric: false, prepared: Default::default() }).unwrap()
    }

    fn conv(lowered: &Lowered) -> &tpu::Conv2D {
        match &lowered.nodes[0].op {
            Op::TpuConv2D(op) => op,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn integer_filters_keep_their_scale() {
        let lowered = lower(vec![1.0, -2.0, 0.5, 3.0], 2, None, 127.0, 127.0);
        assert_eq!(lowered.weights[0].data.as_i8().unwrap(), [2, -4, 1, 6]);
        assert_eq!(conv(&lowered).multiplier, Some(vec![1, 1]));
        assert_eq!(conv(&lowered).rshift, Some(vec![1, 1]));
        assert_eq!(lowered.nodes[0].operands[2], OperandRef::None);
    }

    #[test]
    fn filters_without_sign_and_bias_use_all_of_u8() {
        let lowered = lower(vec![0.1, 0.3], 1, None, 1.0, 1.0);
        assert_eq!((lowered.weights[0].name.as_str(), lowered.weights[0].data.as_u8().unwrap()), ("c_filter_u8", &[85, 255][..]));
    }

    #[test]
    fn an_input_without_range_borrows_one_from_the_bias() {
        let lowered = lower(vec![0.7, -0.2], 1, Some(vec![2.54]), 1e-5, 2.54);
        // The bias alone is the sum: bias * multiplier / 2^rshift must be 2.54 / s_out = 127.
        let sum = f64::from(lowered.weights[1].data.as_i32().unwrap()[0]);
        let conv = conv(&lowered);
        let (m, r) = (conv.multiplier.as_ref().unwrap()[0], conv.rshift.as_ref().unwrap()[0]);
        assert!((sum * m as f64 / (r as f64).exp2() - 127.0).abs() < 0.5);
    }

    proptest! {
        #[test]
        fn weights_are_in_range_and_reach_the_ends(
            filter in prop::collection::vec(-8f32..8.0, 12..=12),
            bias in prop::option::of(prop::collection::vec(-4f32..4.0, 3)),
            input in 1e-3f64..100.0,
            output in 1e-3f64..100.0,
        ) {
            prop_assume!(integer_times(&filter, true).is_none() && filter.chunks(4).all(|c| max_abs(c) > 1e-2));
            let lowered = lower(filter.clone(), 3, bias.clone(), input, output);
            prop_assert_eq!(lowered.nodes[0].ty.elem, Elem::symmetric(DType::I8, output / 127.0));
            let quantized = lowered.weights[0].data.to_i64().unwrap();
            let conv = conv(&lowered);
            for channel in 0..3 {
                let of = &quantized[channel * 4..][..4];
                let largest = max_abs(&filter[channel * 4..][..4]);
                let ends = if lowered.weights[0].name.ends_with("i8") { 127 } else { 255 };
                prop_assert_eq!(of.iter().map(|q| q.abs()).max(), Some(ends));
                // Requantization stands for s_w s_in / s_out within the precision of f32, or half the smallest step.
                let want = f64::from(largest) / ends as f64 * input / output;
                let got = conv.multiplier.as_ref().unwrap()[channel] as f64 / (conv.rshift.as_ref().unwrap()[channel] as f64).exp2();
                prop_assert!((got - want).abs() <= want * 3e-7 + (-31f64).exp2(), "{got} {want}");
                for (q, w) in of.iter().zip(&filter[channel * 4..]) {
                    prop_assert!((*q as f64 * f64::from(largest) / ends as f64 - f64::from(*w)).abs() <= f64::from(largest) / ends as f64 * 0.501);
                }
            }
        }
    }
}
