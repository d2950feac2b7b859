//! Transposed convolution: shapes, verification.

use crate::conv::check_geometry;
use crate::types::ValueType;
use crate::{Operands, top};

pub(crate) fn infer(op: &top::Deconv, operands: &Operands) -> Result<Vec<i64>, String> {
    let (input, filter) = (operands.shape(0)?, operands.shape(1)?);
    let spatial = check(op, input, filter)?;
    let channels = filter[0].checked_mul(op.group).ok_or("group is too large")?;
    let mut shape = vec![input[0], channels];
    for d in 0..spatial {
        let dilation = op.dilations.as_ref().map_or(1, |v| v[d]);
        let extra = op.output_padding.as_ref().map_or(0, |v| v[d]);
        let size = (input[d + 2] - 1)
            .checked_mul(op.strides[d])
            .zip((op.kernel_shape[d] - 1).checked_mul(dilation))
            .and_then(|(spread, reach)| spread.checked_add(reach)?.checked_add(1)?.checked_add(extra)?.checked_sub(op.pads[d])?.checked_sub(op.pads[d + spatial]));
        match size {
            Some(size) if size > 0 => shape.push(size),
            _ => return Err(format!("dimension {d} of the result has no elements: input {}, kernel {}, pads {:?}", input[d + 2], op.kernel_shape[d], op.pads)),
        }
    }
    Ok(shape)
}

/// The number of spatial dimensions.
fn check(op: &top::Deconv, input: &[i64], filter: &[i64]) -> Result<usize, String> {
    let spatial = op.kernel_shape.len();
    if !(1..=3).contains(&spatial) {
        return Err(format!("kernel_shape has {spatial} dimensions, expected 1 to 3"));
    }
    check_geometry(&op.kernel_shape, &op.strides, &op.pads, op.dilations.as_deref())?;
    if input.len() != spatial + 2 || filter.len() != spatial + 2 {
        return Err(format!("a kernel of {spatial} dimensions needs input and filter of {} dimensions, found {input:?} and {filter:?}", spatial + 2));
    }
    if filter[2..] != op.kernel_shape {
        return Err(format!("filter {filter:?} does not have the kernel_shape {:?}", op.kernel_shape));
    }
    if op.group < 1 || filter[1] != input[1] || input[1] % op.group != 0 {
        return Err(format!("filter {filter:?} does not fit {} input channels in {} groups", input[1], op.group));
    }
    match &op.output_padding {
        Some(list) if list.len() != spatial || list.iter().any(|&p| p < 0) => Err(format!("output_padding is {list:?}, expected {spatial} counts")),
        _ => Ok(spatial),
    }
}

pub(crate) fn verify(op: &top::Deconv, operands: &[ValueType]) -> Result<(), String> {
    let filter = Operands { list: operands }.shape(1)?[0];
    match operands.get(2).and_then(ValueType::tensor) {
        Some(bias) if Some(bias.count()) != filter.checked_mul(op.group) => {
            Err(format!("bias has {} elements, expected {} (output channels)", bias.count(), filter.saturating_mul(op.group)))
        }
        _ => Ok(()),
    }
}
