//! Upsample, Interp: shapes.

use crate::{Operands, top};

/// Modes and coordinate modes of Interp.
pub const INTERP_MODES: [&str; 2] = ["nearest", "linear"];
pub const COORD_MODES: [&str; 4] = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];

pub(crate) fn upsample(op: &top::Upsample, operands: &Operands) -> Result<Vec<i64>, String> {
    let mut shape = operands.shape(0)?.to_vec();
    if shape.len() != 4 {
        return Err(format!("expected an input of four dimensions, found {shape:?}"));
    }
    for (size, scale) in shape[2..].iter_mut().zip([op.scale_h, op.scale_w]) {
        *size = size.checked_mul(scale).filter(|_| scale > 0).ok_or_else(|| format!("scale is {}x{}, expected positive factors", op.scale_h, op.scale_w))?;
    }
    Ok(shape)
}

/// Sizes are known from the scales alone; with a target shape, which is data, both scales are those that gave its sizes.
pub(crate) fn interp(op: &top::Interp, operands: &Operands) -> Result<Vec<i64>, String> {
    let input = operands.shape(0)?;
    if !INTERP_MODES.contains(&op.mode.as_str()) {
        return Err(format!("unknown mode '{}', expected {}", op.mode, INTERP_MODES.join(" or ")));
    }
    if !COORD_MODES.contains(&op.coord_mode.as_str()) {
        return Err(format!("unknown coord_mode '{}', expected one of {}", op.coord_mode, COORD_MODES.join(", ")));
    }
    if input.len() < 3 {
        return Err(format!("input {input:?} has no spatial dimensions"));
    }
    let mut shape = input.to_vec();
    let scales = if input.len() == 3 { &[op.scale_w][..] } else { &[op.scale_h, op.scale_w] };
    let first = shape.len() - scales.len();
    for (size, &scale) in shape[first..].iter_mut().zip(scales) {
        let scaled = (*size as f64 * scale).floor();
        if !(1.0..1e9).contains(&scaled) {
            return Err(format!("scale {scale} makes {size} elements {scaled}"));
        }
        *size = scaled as i64;
    }
    Ok(shape)
}
