//! Convolutions: per-channel INT8 or floats, plain, grouped and depthwise, in one or two dimensions.
//!
//! One step holds some output channels, some output rows and (rarely less than all) input channels. The accumulator is
//! i32; bias is added, then the requantization records of the channels turn it into i8 or u8. Floats are summed in f32,
//! beginning with the bias, and rounded once.

mod dense;
mod depthwise;

use crate::Context;
use crate::coeff::Lanes;
use crate::emit::{Ddr, Window};
use crate::local::{LANES, Local};
use crate::tile::Rows;
use tpuc_ops::{Program, TensorType, tpu};
use tpuc_tensor::DType;

/// What the instructions' fields hold: strides and paddings up to this, dilations up to one more.
pub const MOST_STEP: u64 = 15;

/// What the whole layer's steps share. A one-dimensional convolution is one over rows of a single column.
struct Layer {
    /// `[N, C, H, W]`
    input: [u64; 4],
    output: [u64; 4],
    input_dtype: DType,
    output_dtype: DType,
    /// The integers of zero: what padding holds, and what results are shifted by.
    input_zero: i16,
    output_zero: i16,
    input_at: u64,
    output_at: u64,
    groups: u64,
    kernel: [u64; 2],
    strides: [u64; 2],
    /// Top, left, bottom, right.
    pads: [u64; 4],
    dilations: [u64; 2],
    /// A transposed convolution: its strides are those of the input's elements among the results.
    transposed: bool,
    do_relu: bool,
    relu_limit: f64,
    /// In the input's type (integers: of either sign), as bytes.
    weights: Vec<u8>,
    weight_signed: bool,
    /// i32 or f32, by output channel.
    bias: Option<Vec<[u8; 4]>>,
    /// Multipliers and right shifts of integers, for all channels or one each; without them the result is of sums.
    requant: Option<(Vec<i64>, Vec<i64>)>,
}

impl Layer {
    /// Of sums where the result's type is i32.
    fn new(context: &Context, node: usize, op: &tpu::Conv2D, transposed: bool) -> Result<Layer, String> {
        let (input, filter, bias, output) = (context.operand(node, 0), context.operand(node, 1), context.operand(node, 2), context.result(node));
        if op.inserts.as_ref().is_some_and(|v| v.iter().any(|&i| i != 0)) || op.kernel_zp != 0 {
            return Err("zero insertion and kernel zero points are not generated".into());
        }
        let input_dtype = context.ty(input)?.elem.storage();
        let float = crate::is_float_type(input_dtype);
        let filter = context.weight(filter)?;
        let fits = if float { filter.dtype() == input_dtype } else { matches!(filter.dtype(), DType::I8 | DType::U8) };
        if !fits {
            return Err(format!("the filter is of type {}, expected {}", filter.dtype(), if float { input_dtype.to_string() } else { "si8 or ui8".into() }));
        }
        let (weights, weight_signed) = (filter.to_le_bytes(), filter.dtype().is_signed());
        let bias = match context.program.value(bias).ty.is_none() {
            true => None,
            false => Some(words_of(context.weight(bias)?, if float { DType::F32 } else { DType::I32 })?),
        };
        let (input_type, output_type) = (context.ty(input)?, context.ty(output)?);
        let (input_shape, output_shape) = (four(input_type)?, four(output_type)?);
        let (kernel, pads) = (pair(&op.kernel_shape, "kernel_shape")?, op.pads.as_slice());
        let pads = match *pads {
            [top, left, bottom, right] => [top, left, bottom, right],
            [before, after] => [before, 0, after, 0],
            _ => return Err(format!("pads {pads:?} do not fit the kernel {:?}", op.kernel_shape)),
        };
        let strides = pair(&op.strides, "strides")?;
        let dilations = op.dilations.as_ref().map_or(Ok([1, 1]), |d| pair(d, "dilations"))?;
        let reach_w = (kernel[1] - 1) * dilations[1] + 1;
        let need = |list: &Option<Vec<i64>>, name: &str| list.clone().ok_or_else(|| format!("attribute '{name}' is missing"));
        let sums = output_type.elem.storage() == DType::I32;
        let stride = |d: usize| effective_stride(strides[d], output_shape[d + 2], d == 0 || reach_w == input_shape[3] + (pads[1] + pads[3]) as u64);
        Ok(Layer {
            input: input_shape,
            output: output_shape,
            input_dtype,
            output_dtype: output_type.elem.storage(),
            input_zero: crate::zero_point(input_type),
            output_zero: crate::zero_point(output_type),
            input_at: context.placement.offset(input)?,
            output_at: context.placement.offset(output)?,
            groups: op.group as u64,
            kernel,
            strides: if transposed { strides } else { [0, 1].map(stride) },
            transposed,
            pads: pads.map(|p| p as u64),
            dilations,
            do_relu: op.do_relu,
            relu_limit: op.relu_limit,
            weights,
            weight_signed,
            bias,
            requant: if float || sums { None } else { Some((need(&op.multiplier, "multiplier")?, need(&op.rshift, "rshift")?)) },
        })
    }

    fn area(&self) -> u64 {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether an instruction can hold the window.
    fn fits_fields(&self) -> bool {
        let small = |list: &[u64], most: u64| list.iter().all(|&v| v <= most);
        !self.transposed && small(&self.strides, MOST_STEP) && small(&self.pads, MOST_STEP) && small(&self.dilations, MOST_STEP + 1)
    }

    fn rows(&self) -> Rows {
        Rows {
            input: self.input[2],
            kernel: self.kernel[0],
            stride: self.strides[0],
            dilation: self.dilations[0],
            pad_before: self.pads[0],
            output: self.output[2],
        }
    }

    fn window(&self, pad_before: u64, pad_after: u64) -> Window {
        Window { kernel: self.kernel, strides: self.strides, pads: [pad_before, self.pads[1], pad_after, self.pads[3]], dilations: self.dilations }
    }

    /// Records for the requantization of one channel: multiplier, shift (negative: right), zero point.
    fn record(&self, channel: usize) -> [u8; 12] {
        let pick = |list: &[i64]| if list.len() == 1 { list[0] } else { list[channel] };
        let mut bytes = [0; 12];
        if let Some((multiplier, rshift)) = &self.requant {
            bytes[..4].copy_from_slice(&(pick(multiplier) as i32).to_le_bytes());
            bytes[4..8].copy_from_slice(&(-(pick(rshift) as i32)).to_le_bytes());
            bytes[8..].copy_from_slice(&i32::from(self.output_zero).to_le_bytes());
        }
        bytes
    }

    /// Requantization records and biases of output channels `first..first + count`, at the start of a lane blob.
    fn put_parameters(&self, blob: &mut Lanes, first: usize, count: usize) {
        let blocks = count.div_ceil(LANES as usize);
        for channel in 0..count {
            let (block, lane) = (channel / LANES as usize, channel % LANES as usize);
            blob.put(lane, block * 64, &self.record(first + channel));
            let bias = self.bias.as_ref().map_or([0; 4], |b| b[first + channel]);
            blob.put(lane, blocks * 64 + block * 4, &bias);
        }
    }

    /// Input rows from `row` on, from channel `channel` on.
    fn source(&self, image: u64, channel: u64, row: u64) -> Ddr {
        part_of(self.input, self.input_at, [image, channel, row, 0], self.input_dtype)
    }

    /// The type of sums.
    fn sum_dtype(&self) -> DType {
        if self.is_integer() { DType::I32 } else { DType::F32 }
    }

    fn is_integer(&self) -> bool {
        !crate::is_float_type(self.input_dtype)
    }

    /// Requantization or rounding, and Relu of sums; then the result is stored, from `channel` and `row` on.
    fn finish(&self, context: &mut Context, sums: Local, parameters: u64, result: Local, image: u64, channel: u64, row: u64) {
        let mut result = result;
        if self.requant.is_some() {
            context.emit.requant_channels(sums, parameters, result);
            if self.do_relu && self.output_dtype.is_signed() {
                context.emit.max_constant(result, result, self.output_zero as i8);
            }
        } else if self.is_integer() {
            result = sums;
            if self.do_relu {
                context.emit.max_constant(result, result, 0);
            }
        } else {
            if self.do_relu {
                context.emit.relu_float(sums, self.relu_limit);
            }
            if self.output_dtype == DType::F32 {
                result = sums;
            } else {
                context.emit.cast_exact(sums, result);
            }
        }
        context.emit.store(result, part_of(self.output, self.output_at, [image, channel, row, 0], self.output_dtype));
    }
}

/// A transposed convolution is summed tap by tap: each is a 1x1 convolution of the input's elements, which DMA brings to where
/// their results are.
pub fn generate_transposed(context: &mut Context, node: usize, op: &tpu::Deconv) -> Result<(), String> {
    let op = op.clone();
    let form = tpu::Conv2D {
        kernel_shape: op.kernel_shape,
        strides: op.strides,
        pads: op.pads,
        group: op.group,
        dilations: op.dilations,
        do_relu: op.do_relu,
        relu_limit: op.relu_limit,
        ..Default::default()
    };
    let layer = Layer::new(context, node, &form, true)?;
    dense::generate(context, &layer)
}

/// Sums of 8-bit integers, or floats.
pub fn refuse_transposed(program: &Program, node: usize, op: &tpu::Deconv) -> Option<String> {
    let node = &program.nodes[node];
    let (x, y) = (program.tensor_type(node.operands[0])?, program.tensor_type(node.results[0])?);
    let sums = crate::is_quantized(x) && y.elem.storage() == DType::I32;
    if !sums && !(crate::is_float(x) && crate::is_float(y)) {
        return Some("integer sums or floats are generated".into());
    }
    // The bytes between neighbours that a transfer can leave.
    let most = crate::emit::MOST_PITCH as i64 / x.elem.storage().size() as i64;
    match (op.kernel_shape.len(), op.strides.iter().max()) {
        (1 | 2, Some(&stride)) if stride <= most => None,
        (1 | 2, _) => Some(format!("strides {:?} beyond {most}", op.strides)),
        (spatial, _) => Some(format!("{spatial} spatial dimensions")),
    }
}

/// The elements of a weight of four bytes each.
fn words_of(tensor: &tpuc_tensor::Tensor, dtype: DType) -> Result<Vec<[u8; 4]>, String> {
    if tensor.dtype() != dtype {
        return Err(format!("the bias is of type {}, expected {dtype}", tensor.dtype()));
    }
    Ok(tensor.to_le_bytes().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]).collect())
}

pub fn generate(context: &mut Context, node: usize, op: &tpu::Conv2D) -> Result<(), String> {
    let layer = Layer::new(context, node, op, false)?;
    let channels = (layer.input[1], layer.output[1]);
    if layer.groups > 1 && layer.groups == channels.0 && channels.0 == channels.1 && layer.fits_fields() {
        return depthwise::generate(context, &layer);
    }
    dense::generate(context, &layer)
}

/// A window that is not moved has no stride: where the input holds nothing behind it (`exact`; rows are always cut to what is
/// read), since the chip takes the stride for the number of outputs too.
pub fn effective_stride(stride: u64, outputs: u64, exact: bool) -> u64 {
    if outputs == 1 && exact { 1 } else { stride }
}

/// A shape as `[N, C, H, W]`; a missing W is 1.
fn four(ty: &TensorType) -> Result<[u64; 4], String> {
    let dims: Vec<u64> = ty.shape.iter().map(|&d| d as u64).collect();
    match *dims.as_slice() {
        [n, c, h, w] => Ok([n, c, h, w]),
        [n, c, h] => Ok([n, c, h, 1]),
        _ => Err(format!("a tensor of shape {:?} has not one or two spatial dimensions", ty.shape)),
    }
}

/// A list by spatial dimension; a missing second entry is 1.
fn pair(list: &[i64], name: &str) -> Result<[u64; 2], String> {
    match *list {
        [h, w] => Ok([h as u64, w as u64]),
        [h] => Ok([h as u64, 1]),
        _ => Err(format!("{name} {list:?} is not one- or two-dimensional")),
    }
}

/// A tensor `shape` in the ctx region, from a position on.
pub fn part_of([_, channels, height, width]: [u64; 4], at: u64, [n, c, h, w]: [u64; 4], dtype: DType) -> Ddr {
    Ddr::context(at + (((n * channels + c) * height + h) * width + w) * dtype.size() as u64, [channels * height * width, height * width, width, 1])
}

/// Rows from `row` on, from channel `channel` on, of an image of a tensor in the ctx region.
pub fn rows_of(ty: &TensorType, at: u64, image: u64, channel: u64, row: u64) -> Ddr {
    let [_, c, h, w] = [0, 1, 2, 3].map(|d| ty.shape[d] as u64);
    let size = ty.elem.storage().size() as u64;
    Ddr::context(at + (((image * c + channel) * h + row) * w) * size, [c * h * w, h * w, w, 1])
}

/// `(first, count)` of steps of at most `step`.
pub fn steps(total: u64, step: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..total.div_ceil(step)).map(move |i| (i * step, step.min(total - i * step)))
}
