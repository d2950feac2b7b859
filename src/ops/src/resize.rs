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
    if !(3..=4).contains(&input.len()) {
        return Err(format!("an input of three or four dimensions is resized, found {input:?}"));
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

/// The input position that every position of a result of `target` elements takes in mode nearest. Halves go down where pixels are
/// areas, up where corners are aligned; asymmetric positions are cut. In f32: one multiplication by a ratio, as the reference has it.
pub fn nearest(coord_mode: &str, size: i64, target: i64) -> Vec<i64> {
    let aligned = coord_mode == "align_corners";
    let ratio = match aligned {
        true if target > 1 => (size - 1) as f32 / (target - 1) as f32,
        true => 0.0,
        false => size as f32 / target as f32,
    };
    let one = |i: i64| {
        let at = match coord_mode {
            "align_corners" => (i as f32 * ratio + 0.5).floor(),
            "asymmetric" => (i as f32 * ratio).floor(),
            "pytorch_half_pixel" if target == 1 => 0.0,
            _ => ((i as f32 + 0.5) * ratio - 1.0).ceil(),
        };
        (at as i64).clamp(0, (size - 1).max(0))
    };
    (0..target).map(one).collect()
}
