//! Convolution: shapes, verification.

use crate::types::ValueType;
use crate::{Operands, top, tpu};

/// The geometry that Top and Tpu convolutions share.
pub(crate) struct Window<'a> {
    kernel: &'a [i64],
    strides: &'a [i64],
    pads: &'a [i64],
    dilations: Option<&'a [i64]>,
    group: i64,
}

impl<'a> Window<'a> {
    pub fn of_top(op: &'a top::Conv) -> Self {
        Window { kernel: &op.kernel_shape, strides: &op.strides, pads: &op.pads, dilations: op.dilations.as_deref(), group: op.group }
    }

    pub fn of_tpu(op: &'a tpu::Conv2D) -> Self {
        Window { kernel: &op.kernel_shape, strides: &op.strides, pads: &op.pads, dilations: op.dilations.as_deref(), group: op.group }
    }
}

/// Output size of a window that slides over `size` elements: `(size + pads - ((kernel-1)*dilation+1)) / stride + 1`.
pub(crate) fn slide(size: i64, kernel: i64, stride: i64, pads: (i64, i64), dilation: i64, ceil: bool) -> Result<i64, String> {
    let reach = (kernel - 1).checked_mul(dilation).and_then(|r| r.checked_add(1)).ok_or("kernel is too large")?;
    let pads = pads.0.checked_add(pads.1).ok_or("padding is too large")?;
    let span = size.checked_add(pads).and_then(|s| s.checked_sub(reach)).ok_or("padding is too large")?;
    if span < 0 {
        return Err(format!("a kernel of {reach} does not fit into {size} elements with {pads} of padding"));
    }
    Ok(span / stride + i64::from(ceil && span % stride != 0) + 1)
}

pub(crate) fn infer(window: &Window, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    let filter = operands.shape(1)?;
    let spatial = window.kernel.len();
    check_geometry(window.kernel, window.strides, window.pads, window.dilations)?;
    if input.len() != spatial + 2 || filter.len() != spatial + 2 {
        return Err(format!("a kernel of {spatial} dimensions needs input and filter of {} dimensions, found {input:?} and {filter:?}", spatial + 2));
    }
    let mut shape = vec![input[0], filter[0]];
    for d in 0..spatial {
        let dilation = window.dilations.map_or(1, |v| v[d]);
        shape.push(slide(input[d + 2], window.kernel[d], window.strides[d], (window.pads[d], window.pads[d + spatial]), dilation, false)?);
    }
    Ok(shape)
}

/// Lengths and signs of the geometry, channels against groups, bias against output channels.
pub(crate) fn verify(window: &Window, operands: &[ValueType]) -> Result<(), String> {
    let spatial = window.kernel.len();
    if !(1..=3).contains(&spatial) {
        return Err(format!("kernel_shape has {spatial} dimensions, expected 1 to 3"));
    }
    check_geometry(window.kernel, window.strides, window.pads, window.dilations)?;
    let operands_ = Operands { list: operands };
    let (input, filter) = (operands_.shape(0)?, operands_.shape(1)?);
    if input.len() != spatial + 2 || filter.len() != spatial + 2 {
        return Err(format!("a kernel of {spatial} dimensions needs input and filter of {} dimensions, found {input:?} and {filter:?}", spatial + 2));
    }
    if filter[2..] != *window.kernel {
        return Err(format!("filter {filter:?} does not have the kernel_shape {:?}", window.kernel));
    }
    if window.group < 1 || filter[1].checked_mul(window.group) != Some(input[1]) || filter[0] % window.group != 0 {
        return Err(format!("filter {filter:?} does not fit {} input channels in {} groups", input[1], window.group));
    }
    if let Some(bias) = operands.get(2).and_then(ValueType::tensor) {
        if bias.count() != filter[0] {
            return Err(format!("bias has {} elements, expected {} (output channels)", bias.count(), filter[0]));
        }
    }
    Ok(())
}

/// No window is larger, moves further or is padded more.
const MOST: i64 = 1 << 24;

/// Positive kernel, strides and dilations, non-negative pads, matching lengths.
pub(crate) fn check_geometry(kernel: &[i64], strides: &[i64], pads: &[i64], dilations: Option<&[i64]>) -> Result<(), String> {
    let spatial = kernel.len();
    let check = |name: &str, list: &[i64], length: usize, least: i64| {
        if list.len() != length {
            return Err(format!("{name} has {} entries, expected {length}", list.len()));
        }
        match list.iter().find(|&&v| v < least || v > MOST) {
            Some(v) if *v < least => Err(format!("{name} holds {v}, expected at least {least}")),
            Some(v) => Err(format!("{name} holds {v}, expected at most {MOST}")),
            None => Ok(()),
        }
    };
    check("kernel_shape", kernel, spatial, 1)?;
    check("strides", strides, spatial, 1)?;
    check("pads", pads, 2 * spatial, 0)?;
    dilations.map_or(Ok(()), |d| check("dilations", d, spatial, 1))
}

/// A quantized convolution has one multiplier and shift per output channel, or one for all; no multiplier where it only
/// shifts.
pub(crate) fn verify_requant(op: &tpu::Conv2D, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let quantized = results.first().and_then(ValueType::tensor).is_some_and(|t| t.elem.scale().is_some());
    if !quantized {
        return Ok(());
    }
    let channels = operands.get(1).and_then(ValueType::tensor).map_or(0, |t| t.shape[0]);
    for (name, list) in [("multiplier", &op.multiplier), ("rshift", &op.rshift)] {
        match list {
            None if name == "multiplier" && op.quant_mode == tpu::RequantMode::OnlyShift => {}
            None => return Err(format!("a quantized result needs attribute '{name}'")),
            Some(v) if v.len() as i64 != channels && v.len() != 1 => {
                return Err(format!("{name} has {} entries, expected {channels} (output channels)", v.len()));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
