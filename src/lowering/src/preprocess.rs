//! What a Preprocess becomes: pixels in planes, cropped, scaled by a table a channel (INT8) or by a depthwise convolution of one
//! pixel (floats), channels in the network's order.

use crate::chip::Mode;
use crate::error::LowerError;
use crate::float::float_weight;
use crate::lowered::{Lowered, OpContext, OperandRef};
use crate::quantize::{cast_suffix, weight};
use std::collections::HashSet;
use tpuc_kernels::preprocess::scale_table;
use tpuc_ops::preprocess::Frames;
use tpuc_ops::{Elem, Op, Program, Source, TensorType, ValueId, top, tpu};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

/// The op's own mode decides, not that of its layer: a network has one form of its input.
pub(crate) fn lower(context: &OpContext, op: &top::Preprocess) -> Result<Lowered, LowerError> {
    let frames = Frames::of(op, &context.result.shape).map_err(|r| context.unsupported(r))?;
    let mode: Mode = op.quant_mode.parse().map_err(|e| context.unsupported(format!("quant_mode: {e}")))?;
    let input = context.tensor(0)?;
    if input.elem.storage() != DType::U8 {
        return Err(context.unsupported(format!("takes bytes, found {}", input.elem.storage())));
    }
    let mut steps = Steps { context, frames: &frames, lowered: Lowered::default(), at: OperandRef::Operand { index: 0, elem: input.elem }, ty: input.clone() };
    steps.planes(op);
    steps.crop();
    // The order of the frame's channels here; the network's behind it.
    let mut order = frames.channels.clone();
    order.sort_unstable();
    let of_network = |c: i64| frames.channels.iter().position(|&f| f == c).unwrap_or(0);
    let by_frame = |list: &[f64]| order.iter().map(|&c| list[of_network(c)]).collect::<Vec<f64>>();
    let (mean, scale) = (by_frame(&op.mean), by_frame(&op.scale));
    match mode {
        Mode::Int8 => steps.table(&mean, &scale)?,
        mode => steps.convolution(&mean, &scale, context.chip.layer_mode(mode))?,
    }
    if order != frames.channels {
        steps.push(tpu::SwapChannel { channel_order: frames.channels.clone() }, vec![], "swap_channel", steps.ty.clone());
    }
    Ok(steps.lowered.finish())
}

/// The ops so far, and what the last gives.
struct Steps<'a> {
    context: &'a OpContext<'a>,
    frames: &'a Frames,
    lowered: Lowered,
    at: OperandRef,
    ty: TensorType,
}

impl Steps<'_> {
    /// An op of what there is, named `<layer>_<end>`.
    fn push(&mut self, op: impl Into<Op>, more: Vec<OperandRef>, end: &str, ty: TensorType) {
        let name = format!("{}_{end}", self.context.name);
        self.push_named(op, more, name, ty);
    }

    fn push_named(&mut self, op: impl Into<Op>, more: Vec<OperandRef>, name: String, ty: TensorType) {
        let op = op.into();
        let mut operands = vec![self.at.clone()];
        operands.extend(more);
        operands.resize(op.spec().operands.len(), OperandRef::None);
        self.at = self.lowered.push(op, operands, name, ty.clone());
        self.ty = ty;
    }

    /// Planes `[N, C, H, W]` of colours.
    fn planes(&mut self, op: &top::Preprocess) {
        let ([h, w], batch) = (self.frames.size, self.ty.shape[0]);
        let ty = TensorType::new(&[batch, 3, h, w], self.ty.elem);
        if let Some(src_format) = self.frames.format.yuv_layout() {
            let dst_format = if op.channel_order == "bgr" { 5 } else { 4 };
            let (image_format, formula_mode, round_mode) = (tpu::ImageOutFormat::UINT8, tpu::Yuv2rgbFormulaMode::_601_limited, tpu::RoundMode::HalfAwayFromZero);
            self.push(tpu::Yuv2rgbFormula { src_format, dst_format, image_format, formula_mode, round_mode }, vec![], "yuv2rgb", ty);
        } else if self.frames.format.is_packed() {
            self.push(tpu::Permute { order: vec![0, 3, 1, 2] }, vec![], "transpose", ty);
        }
    }

    /// The centre, and of the channels those that the network wants.
    fn crop(&mut self) {
        let wanted = self.context.result.shape.clone();
        if self.ty.shape == wanted {
            return;
        }
        let ([top, left], channels) = (self.frames.crop, self.frames.channels.len() as i64);
        let end = if channels < self.ty.shape[1] { channels } else { self.ty.shape[1] };
        let slice = tpu::Slice { offset: vec![0, 0, top, left], steps: vec![1; 4], ends: vec![self.ty.shape[0], end, top + wanted[2], left + wanted[3]], axes: vec![], hasparamConvert_axes: vec![2, 3] };
        self.push(slice, vec![], "slice", TensorType::new(&wanted, self.ty.elem));
    }

    /// `round((x - mean) * scale / result's scale)` by table.
    fn table(&mut self, mean: &[f64], scale: &[f64]) -> Result<(), LowerError> {
        let elem = self.context.result_elem()?;
        let step = elem.scale().unwrap_or(1.0);
        let zero_point = if let Elem::Uniform { zero_point, .. } = elem { zero_point as f64 } else { 0.0 };
        let signed = elem.storage().is_signed();
        let op = tpu::ScaleLut { scale: scale.iter().map(|s| s / step).collect(), bias: mean.iter().zip(scale).map(|(m, s)| -m * s / step + zero_point).collect(), sign: signed };
        let entries = op.scale.iter().zip(&op.bias).flat_map(|(&s, &b)| scale_table(s, b, signed));
        let data = match signed {
            true => Data::I8(entries.map(|v| v as i8).collect()),
            false => Data::U8(entries.map(|v| v as u8).collect()),
        };
        let name = format!("{0}_scale_lut_{0}_table", self.context.name);
        let table = self.lowered.weight(weight(name, &[1, mean.len() as i64, 16, 16], data));
        self.push(op, vec![table], "scale_lut", self.context.result_type(elem));
        Ok(())
    }

    /// `x * scale - mean * scale` in floats.
    fn convolution(&mut self, mean: &[f64], scale: &[f64], mode: Mode) -> Result<(), LowerError> {
        let dtype = match mode {
            Mode::F16 => DType::F16,
            Mode::BF16 => DType::BF16,
            Mode::F32 => DType::F32,
            other => return Err(self.context.unsupported(format!("quant_mode {} has no preprocessing", other.name()))),
        };
        let (layer, channels) = (self.context.name, mean.len() as i64);
        let ty = TensorType::new(&self.ty.shape, Elem::Plain(dtype));
        let name = format!("{}{layer}_{}", self.context.operands[0].name, cast_suffix(&ty.elem));
        self.push_named(tpu::Cast::default(), vec![], name, ty.clone());
        let floats: Vec<f32> = scale.iter().map(|&s| s as f32).collect();
        let mut filter = float_weight("", &[channels, 1, 1, 1], &floats, dtype);
        filter.name = format!("{layer}_dwconv_weight");
        let bias = mean.iter().zip(scale).map(|(m, s)| (-m * s) as f32).collect();
        let (filter, bias) = (self.lowered.weight(filter), self.lowered.weight(weight(format!("{layer}_dwconv_bias"), &[channels], Data::F32(bias))));
        let conv = tpu::Conv2D { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], group: channels, with_bias: true, quant_mode: tpu::RequantMode::MultiplierShift, ..Default::default() };
        self.push(conv, vec![filter, bias], "dwconv", ty);
        Ok(())
    }
}

/// Convolutions that read swapped channels read them as they are, with their filters swapped instead.
pub(crate) fn fold_swaps(program: &mut Program, weights: &mut WeightStore) {
    let users = program.users();
    for swap in 0..program.nodes.len() {
        let Op::TpuSwapChannel(op) = &program.nodes[swap].op else { continue };
        let order = op.channel_order.clone();
        let (&[source], &[result]) = (program.nodes[swap].operands.as_slice(), program.nodes[swap].results.as_slice()) else { continue };
        for &user in &users[result.index()] {
            fold_swap(program, weights, user, result, source, &order);
        }
    }
    if program.nodes.iter().any(|n| matches!(n.op, Op::TpuSwapChannel(_))) {
        *program = program.without_dead();
        let used: HashSet<&str> = program.values.iter().filter(|v| v.source == Source::Weight).map(|v| v.name.as_str()).collect();
        let unused: Vec<String> = weights.iter().map(|(name, _)| name.to_owned()).filter(|name| !used.contains(name.as_str())).collect();
        unused.iter().for_each(|name| drop(weights.remove(name)));
    }
}

fn fold_swap(program: &mut Program, weights: &mut WeightStore, user: usize, swapped: ValueId, source: ValueId, order: &[i64]) {
    let node = &program.nodes[user];
    let Op::TpuConv2D(tpu::Conv2D { group: 1, .. }) = node.op else { return };
    let (true, Some(&filter)) = (node.operands.first() == Some(&swapped), node.operands.get(1)) else { return };
    let (name, ty) = (program.value(filter).name.clone(), program.tensor_type(filter).cloned());
    let (Some(ty), Some(tensor)) = (ty, weights.get(&name)) else { return };
    if ty.shape.get(1) != Some(&(order.len() as i64)) || ty.count() != tensor.len() as i64 {
        return;
    }
    let window: usize = ty.shape[2..].iter().map(|&d| d as usize).product();
    let Some(data) = swapped_rows(tensor.data(), order, window) else { return };
    let name = format!("{}_{name}_swap_channel", program.node_name(user));
    let Ok(tensor) = Tensor::new(tensor.shape(), data) else { return };
    weights.insert(name.clone(), tensor);
    let filter = program.add_weight(name, ty);
    program.nodes[user].operands[0] = source;
    program.nodes[user].operands[1] = filter;
}

/// A filter `[O, I, window]` whose input channel c comes to `order[c]`; `None` for types that filters do not have.
fn swapped_rows(data: &Data, order: &[i64], window: usize) -> Option<Data> {
    fn swap<T: Copy>(filter: &[T], order: &[i64], window: usize) -> Vec<T> {
        let mut out = filter.to_vec();
        let row = order.len() * window;
        for (from, to) in filter.chunks_exact(row).zip(out.chunks_exact_mut(row)) {
            for (from, &channel) in from.chunks_exact(window).zip(order) {
                to[channel as usize * window..][..window].copy_from_slice(from);
            }
        }
        out
    }
    Some(match data {
        Data::F32(f) => Data::F32(swap(f, order, window)),
        Data::F16(f) => Data::F16(swap(f, order, window)),
        Data::BF16(f) => Data::BF16(swap(f, order, window)),
        Data::I8(f) => Data::I8(swap(f, order, window)),
        Data::U8(f) => Data::U8(swap(f, order, window)),
        _ => return None,
    })
}
