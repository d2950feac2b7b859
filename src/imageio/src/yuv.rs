//! Frames of YUV 4:2:0 from colours: BT.601, luma from 16 to 235, chroma of the upper left of four pixels.

/// Where the chroma lies behind the luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// A plane of U, a plane of V.
    Planar,
    /// Pairs of U and V (NV12).
    Uv,
    /// Pairs of V and U (NV21).
    Vu,
}

/// Rounded towards zero, as the reference's own frames of photographs are.
fn byte(value: f64) -> f32 {
    value.trunc().clamp(0.0, 255.0) as f32
}

/// The frame of `h * w` luma and half as many chroma bytes from three planes (red, green, blue) of pixels from 0 to 255. `h` and `w` are
/// even.
pub fn frame(planes: &[f32], [h, w]: [usize; 2], chroma: Chroma, out: &mut [f32]) {
    let size = h * w;
    let (luma, rest) = out.split_at_mut(size);
    let (u_at, v_at, stride) = match chroma {
        Chroma::Planar => (0, size / 4, 1),
        Chroma::Uv => (0, 1, 2),
        Chroma::Vu => (1, 0, 2),
    };
    for (pixel, luma) in luma.iter_mut().enumerate() {
        let [r, g, b] = [0, 1, 2].map(|c| f64::from(planes[c * size + pixel]));
        *luma = byte(0.2569 * r + 0.5044 * g + 0.0979 * b + 16.0);
        let (y, x) = (pixel / w, pixel % w);
        if y % 2 == 0 && x % 2 == 0 {
            let at = ((y / 2) * (w / 2) + x / 2) * stride;
            rest[u_at + at] = byte(-0.1483 * r - 0.2911 * g + 0.4394 * b + 128.0);
            rest[v_at + at] = byte(0.4394 * r - 0.3679 * g - 0.0715 * b + 128.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_luma_and_chroma() {
        // White, black, red, blue: chroma is that of white.
        let planes = [255., 0., 255., 0., 255., 0., 0., 0., 255., 0., 0., 255.];
        let mut out = [0.0; 6];
        frame(&planes, [2, 2], Chroma::Planar, &mut out);
        assert_eq!(out, [235., 16., 81., 40., 128., 128.]);
        // A red square.
        let red = [255., 255., 255., 255., 0., 0., 0., 0., 0., 0., 0., 0.];
        frame(&red, [2, 2], Chroma::Uv, &mut out);
        assert_eq!(out[4..], [90., 240.]);
        frame(&red, [2, 2], Chroma::Vu, &mut out);
        assert_eq!(out[4..], [240., 90.]);
    }
}
