//! Pictures in front of a network: which pixel formats `fuse-preprocess` takes, what their frames look like, and how the
//! ops that it puts there check their operands.

use crate::types::ValueType;
use crate::{Operands, top, tpu};
use std::str::FromStr;

/// How the pixels of a frame lie: `customization_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFormat {
    RgbPlanar,
    RgbPacked,
    BgrPlanar,
    BgrPacked,
    Grayscale,
    Yuv420Planar,
    YuvNv21,
    YuvNv12,
    RgbaPlanar,
}

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format '{found}'{}; expected one of {}", nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default(), FrameFormat::ALL.map(FrameFormat::name).join(", "))]
pub struct UnknownFormat {
    pub found: String,
    pub nearest: Option<&'static str>,
}

impl FrameFormat {
    pub const ALL: [FrameFormat; 9] = [
        FrameFormat::RgbPlanar,
        FrameFormat::RgbPacked,
        FrameFormat::BgrPlanar,
        FrameFormat::BgrPacked,
        FrameFormat::Grayscale,
        FrameFormat::Yuv420Planar,
        FrameFormat::YuvNv21,
        FrameFormat::YuvNv12,
        FrameFormat::RgbaPlanar,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            FrameFormat::RgbPlanar => "RGB_PLANAR",
            FrameFormat::RgbPacked => "RGB_PACKED",
            FrameFormat::BgrPlanar => "BGR_PLANAR",
            FrameFormat::BgrPacked => "BGR_PACKED",
            FrameFormat::Grayscale => "GRAYSCALE",
            FrameFormat::Yuv420Planar => "YUV420_PLANAR",
            FrameFormat::YuvNv21 => "YUV_NV21",
            FrameFormat::YuvNv12 => "YUV_NV12",
            FrameFormat::RgbaPlanar => "RGBA_PLANAR",
        }
    }

    /// The `pixel_format` of such frames; of YUV, that of pictures that become one.
    pub const fn pixel_format(self) -> &'static str {
        match self {
            FrameFormat::RgbPlanar | FrameFormat::RgbPacked => "rgb",
            FrameFormat::Grayscale => "gray",
            FrameFormat::RgbaPlanar => "rgba",
            FrameFormat::BgrPlanar | FrameFormat::BgrPacked | FrameFormat::Yuv420Planar | FrameFormat::YuvNv21 | FrameFormat::YuvNv12 => "bgr",
        }
    }

    pub const fn is_packed(self) -> bool {
        matches!(self, FrameFormat::RgbPacked | FrameFormat::BgrPacked)
    }

    /// `src_format` of a Yuv2rgbFormula, where the frames are of YUV.
    pub const fn yuv_layout(self) -> Option<u32> {
        match self {
            FrameFormat::Yuv420Planar => Some(0),
            FrameFormat::YuvNv12 => Some(2),
            FrameFormat::YuvNv21 => Some(3),
            _ => None,
        }
    }

    /// The format in which a network's own pixels come (`pixel_format`, `channel_format`).
    pub fn of_network(pixel_format: &str, channel_format: &str) -> Option<FrameFormat> {
        Some(match (pixel_format, channel_format) {
            ("rgb", "nhwc") => FrameFormat::RgbPacked,
            ("bgr", "nhwc") => FrameFormat::BgrPacked,
            ("rgb", _) => FrameFormat::RgbPlanar,
            ("bgr", _) => FrameFormat::BgrPlanar,
            ("gray", _) => FrameFormat::Grayscale,
            ("rgba", _) => FrameFormat::RgbaPlanar,
            _ => return None,
        })
    }

    /// The shape of `batch` frames of `[height, width]` pixels. An error where YUV 4:2:0 has no squares of four of them.
    pub fn shape(self, batch: i64, [h, w]: [i64; 2]) -> Result<Vec<i64>, String> {
        Ok(match self {
            FrameFormat::RgbPlanar | FrameFormat::BgrPlanar => vec![batch, 3, h, w],
            FrameFormat::RgbPacked | FrameFormat::BgrPacked => vec![batch, h, w, 3],
            FrameFormat::Grayscale => vec![batch, 1, h, w],
            FrameFormat::RgbaPlanar => vec![batch, 4, h, w],
            FrameFormat::Yuv420Planar | FrameFormat::YuvNv21 | FrameFormat::YuvNv12 => match (h % 2, w % 2, h.checked_add(h / 2)) {
                (0, 0, Some(rows)) => vec![batch, 1, rows, w],
                _ => return Err(format!("{} needs an even height and width, found {h} x {w}", self.name())),
            },
        })
    }

    /// For each channel of a network in `channel_order` the channel of such a frame (of YUV: of what it is converted to, which has
    /// the network's order). An error where the frame lacks channels or has others.
    pub fn channels(self, channel_order: &str) -> Result<Vec<i64>, String> {
        let frame = if self.yuv_layout().is_some() && matches!(channel_order, "rgb" | "bgr") { channel_order } else { self.pixel_format() };
        let letters = |order: &str| if order == "gray" { "y".to_owned() } else { order.to_owned() };
        let (frame, wanted) = (letters(frame), letters(channel_order));
        let find = |c: char| frame.find(c).map(|at| at as i64);
        let found: Option<Vec<i64>> = wanted.chars().map(find).collect();
        found.ok_or_else(|| format!("{} has {} channels ({}), the network takes {} ({channel_order})", self.name(), frame.len(), self.pixel_format(), wanted.len()))
    }
}

impl FromStr for FrameFormat {
    type Err = UnknownFormat;

    /// A name in letters of either case.
    fn from_str(word: &str) -> Result<FrameFormat, UnknownFormat> {
        let upper = word.to_ascii_uppercase();
        let found = FrameFormat::ALL.into_iter().find(|f| f.name() == upper);
        found.ok_or_else(|| UnknownFormat { found: word.to_owned(), nearest: tpuc_tensor::text::nearest(&upper, FrameFormat::ALL.map(FrameFormat::name)) })
    }
}

/// What a Preprocess does with the frames that it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    pub format: FrameFormat,
    /// By channel of the result: the channel of the frame.
    pub channels: Vec<i64>,
    /// `[height, width]` of the frames.
    pub size: [i64; 2],
    /// Where the result starts in them.
    pub crop: [i64; 2],
}

impl Frames {
    /// From the attributes and the result's shape `[N, C, H, W]`.
    pub fn of(op: &top::Preprocess, result: &[i64]) -> Result<Frames, String> {
        let format: FrameFormat = op.customization_format.parse().map_err(|e: UnknownFormat| e.to_string())?;
        let channels = format.channels(&op.channel_order)?;
        let (&[_, c, h, w], &[height, width]) = (result, op.resize_dims.as_slice()) else {
            return Err(format!("expected a result of four dimensions and resize_dims of two, found {result:?} and {:?}", op.resize_dims));
        };
        if c != channels.len() as i64 {
            return Err(format!("the result has {c} channels, channel_order '{}' has {}", op.channel_order, channels.len()));
        }
        if h > height || w > width || h < 1 || w < 1 {
            return Err(format!("cannot crop {h} x {w} from frames of {height} x {width}"));
        }
        for (what, list) in [("mean", &op.mean), ("scale", &op.scale)] {
            if list.len() < channels.len() {
                return Err(format!("{what} has {} entries, expected {c} (channels)", list.len()));
            }
        }
        // The reference halves before it subtracts.
        Ok(Frames { format, channels, size: [height, width], crop: [height / 2 - h / 2, width / 2 - w / 2] })
    }
}

pub(crate) fn verify(op: &top::Preprocess, operands: &[ValueType], results: &[ValueType]) -> Result<(), String> {
    let shapes = Operands { list: operands };
    let result = results.first().and_then(ValueType::tensor).map(|t| t.shape.clone()).unwrap_or_default();
    let frames = Frames::of(op, &result)?;
    let (found, expected) = (shapes.shape(0)?, frames.format.shape(result.first().copied().unwrap_or(1), frames.size)?);
    if found == expected { Ok(()) } else { Err(format!("frames of {} have shape {found:?}, expected {expected:?}", frames.format.name())) }
}

pub(crate) fn verify_table(op: &tpu::ScaleLut, operands: &[ValueType]) -> Result<(), String> {
    let shapes = Operands { list: operands };
    let input = shapes.shape(0)?;
    let &[_, channels, _, _] = input else { return Err(format!("expected an input of four dimensions, found {input:?}")) };
    let entries = operands.get(1).and_then(ValueType::tensor).map_or(0, |t| t.count());
    if entries != channels.saturating_mul(256) {
        return Err(format!("table has {entries} elements, expected 256 for each of {channels} channels"));
    }
    for (what, list) in [("scale", &op.scale), ("bias", &op.bias)] {
        if list.len() as i64 != channels {
            return Err(format!("{what} has {} entries, expected {channels} (channels)", list.len()));
        }
    }
    Ok(())
}

pub(crate) fn verify_swap(op: &tpu::SwapChannel, operands: &[ValueType]) -> Result<(), String> {
    let shapes = Operands { list: operands };
    let input = shapes.shape(0)?;
    let channels = input.get(1).copied().ok_or_else(|| format!("expected an input of at least two dimensions, found {input:?}"))?;
    let mut sorted = op.channel_order.clone();
    sorted.sort_unstable();
    let is_order = sorted.len() as i64 == channels && sorted.iter().enumerate().all(|(i, &c)| c == i as i64);
    if is_order { Ok(()) } else { Err(format!("channel_order {:?} is no order of {channels} channels", op.channel_order)) }
}

/// Three planes of `H x W` from a frame of `H * 3 / 2` rows.
pub(crate) fn infer_yuv(op: &tpu::Yuv2rgbFormula, operands: &Operands) -> Result<Vec<i64>, String> {
    if !matches!(op.src_format, 0 | 2 | 3) || !matches!(op.dst_format, 4 | 5) {
        return Err(format!("src_format is {} and dst_format {}, expected 0, 2 or 3 and 4 or 5", op.src_format, op.dst_format));
    }
    match operands.shape(0)? {
        &[n, 1, rows, w] if rows % 3 == 0 && w % 2 == 0 => Ok(vec![n, 3, rows / 3 * 2, w]),
        found => Err(format!("frames of YUV 4:2:0 have shape [N, 1, H * 3 / 2, W] with even H and W, found {found:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_shapes_and_channels() {
        assert!(FrameFormat::ALL.iter().all(|&f| f.name().to_lowercase().parse() == Ok(f)));
        let error = "RGB_PLANR".parse::<FrameFormat>().unwrap_err().to_string();
        assert!(error.starts_with("unknown format 'RGB_PLANR'; did you mean 'RGB_PLANAR'?; expected one of RGB_PLANAR, "), "{error}");
        assert_eq!(FrameFormat::YuvNv12.shape(1, [64, 48]), Ok(vec![1, 1, 96, 48]));
        assert_eq!(FrameFormat::YuvNv12.shape(1, [63, 48]).unwrap_err(), "YUV_NV12 needs an even height and width, found 63 x 48");
        assert_eq!(FrameFormat::RgbPacked.shape(2, [6, 8]), Ok(vec![2, 6, 8, 3]));
        assert_eq!(FrameFormat::BgrPlanar.channels("rgb"), Ok(vec![2, 1, 0]));
        assert_eq!(FrameFormat::RgbaPlanar.channels("rgb"), Ok(vec![0, 1, 2]));
        assert_eq!(FrameFormat::RgbaPlanar.channels("bgra"), Ok(vec![2, 1, 0, 3]));
        assert_eq!(FrameFormat::YuvNv21.channels("bgr"), Ok(vec![0, 1, 2]));
        assert_eq!(FrameFormat::Grayscale.channels("rgb").unwrap_err(), "GRAYSCALE has 1 channels (gray), the network takes 3 (rgb)");
    }
}
