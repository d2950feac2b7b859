//! Bytes of pictures in front of a network: colours from YUV 4:2:0, tables by channel.

use crate::KernelError;

/// Where the chroma of a frame lies, behind its luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// A plane of U, a plane of V.
    Planar,
    /// Pairs of U and V (NV12).
    Uv,
    /// Pairs of V and U (NV21).
    Vu,
}

/// Luma, and the share of V in red, of V and U in green, of U in blue: BT.601, luma from 16 to 235.
const COEFFICIENTS: [f64; 5] = [1.16438, 1.59603, -0.81297, -0.39176, 2.01723];

/// A frame of `h * w` bytes of luma and half as many of chroma as three planes of `[h, w]` bytes: red, green, blue, or the other
/// way round. `h` and `w` are even; halves are rounded away from zero, results saturated.
pub fn yuv_to_planes(frame: &[u8], [h, w]: [usize; 2], chroma: Chroma, bgr: bool, planes: &mut [u8]) -> Result<(), KernelError> {
    let size = h * w;
    if h % 2 != 0 || w % 2 != 0 || frame.len() != size + size / 2 || planes.len() != 3 * size {
        return Err(KernelError::Geometry(format!("a frame of {} bytes and planes of {} for {h} x {w} pixels", frame.len(), planes.len())));
    }
    let (luma, rest) = frame.split_at(size);
    let square = |y: usize, x: usize| (y / 2) * (w / 2) + x / 2;
    let (u_at, v_at): (usize, usize) = match chroma {
        Chroma::Planar => (0, size / 4),
        Chroma::Uv => (0, 1),
        Chroma::Vu => (1, 0),
    };
    let stride = if chroma == Chroma::Planar { 1 } else { 2 };
    let [scale, rv, gv, gu, bu] = COEFFICIENTS;
    for y in 0..h {
        for x in 0..w {
            let (pixel, at) = (y * w + x, square(y, x) * stride);
            let l = (f64::from(luma[pixel]) - 16.0) * scale;
            let (u, v) = (f64::from(rest[u_at + at]) - 128.0, f64::from(rest[v_at + at]) - 128.0);
            let colours = [l + rv * v, l + gv * v + gu * u, l + bu * u];
            for (c, value) in colours.into_iter().enumerate() {
                let plane = if bgr { 2 - c } else { c };
                planes[plane * size + pixel] = value.round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    Ok(())
}

/// The entries of a channel's table: `round(x * scale + bias)` for every byte x, halves up, within the type.
pub fn scale_table(scale: f64, bias: f64, signed: bool) -> [i16; 256] {
    let (low, high) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
    std::array::from_fn(|x| (x as f64 * scale + bias + 0.5).floor().clamp(low, high) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_and_pure_colours() {
        // Two by two pixels: luma 235 is white, 16 black.
        let mut planes = [0; 12];
        yuv_to_planes(&[235, 16, 126, 126, 128, 128], [2, 2], Chroma::Planar, false, &mut planes).unwrap();
        assert_eq!(planes, [255, 0, 128, 128, 255, 0, 128, 128, 255, 0, 128, 128]);
        // Red of BT.601: Y 81, U 90, V 240.
        for (frame, chroma) in [([81, 81, 81, 81, 90, 240], Chroma::Planar), ([81, 81, 81, 81, 90, 240], Chroma::Uv), ([81, 81, 81, 81, 240, 90], Chroma::Vu)] {
            yuv_to_planes(&frame, [2, 2], chroma, true, &mut planes).unwrap();
            assert_eq!(planes, [0, 0, 0, 0, 0, 0, 0, 0, 254, 254, 254, 254], "{chroma:?}");
        }
        assert!(yuv_to_planes(&[0; 5], [2, 2], Chroma::Uv, false, &mut planes).is_err());
    }

    #[test]
    fn tables_saturate() {
        let table = scale_table(0.5, -50.0, true);
        assert_eq!([table[0], table[1], table[3], table[255]], [-50, -49, -48, 78]);
        assert_eq!(scale_table(2.0, -10.0, false)[..2], [0, 0]);
        assert_eq!(scale_table(2.0, -10.0, false)[200], 255);
    }
}
