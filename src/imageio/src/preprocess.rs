//! A picture -> the float32 tensor of a network input: decode, resize (stretch, letterbox or short side), centre crop,
//! channel order, `(x - mean) * scale`.
//!
//! All steps before the last are on bytes, so the last one is a table of 256 floats a channel.

use crate::decode::{self, ColorMode};
use crate::image::{Image, ImageError};
use crate::resize;
use crate::resize_pillow;
use crate::yuv::{self, Chroma};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

/// Which channels the network wants, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    Rgb,
    Bgr,
    Gray,
    Rgba,
    Bgra,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelFormat {
    Nchw,
    Nhwc,
}

/// How the aspect ratio is kept, if it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepRatioMode {
    /// The whole picture fits, the rest is padding.
    Letterbox,
    /// The picture covers everything, what sticks out is cut off evenly on both sides.
    ShortSideScale,
}

/// Where a letterboxed picture lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadType {
    Center,
    /// In the upper left corner.
    Normal,
}

/// A word that an option does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {option} '{found}'; expected one of: {expected}")]
pub struct UnknownWord {
    pub option: &'static str,
    pub found: String,
    pub expected: String,
}

macro_rules! words {
    ($type:ident, $option:literal, $($word:literal => $variant:ident),+) => {
        impl $type {
            /// The word of the command line and of the `top.Input` attribute.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
        }
        impl FromStr for $type {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<$type, UnknownWord> {
                match word.to_ascii_lowercase().as_str() {
                    $($word => Ok($type::$variant),)+
                    _ => Err(UnknownWord { option: $option, found: word.into(), expected: [$($word),+].join(", ") }),
                }
            }
        }
    };
}

/// Whose bilinear resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resizer {
    #[default]
    OpenCv,
    Pillow,
}

words!(PixelFormat, "pixel_format", "rgb" => Rgb, "bgr" => Bgr, "gray" => Gray, "rgba" => Rgba, "bgra" => Bgra);
words!(ChannelFormat, "channel_format", "nchw" => Nchw, "nhwc" => Nhwc);
words!(KeepRatioMode, "keep_ratio_mode", "letterbox" => Letterbox, "short_side_scale" => ShortSideScale);
words!(PadType, "pad_type", "center" => Center, "normal" => Normal);

impl PixelFormat {
    pub fn channels(self) -> usize {
        self.order().len()
    }

    pub fn color_mode(self) -> ColorMode {
        match self {
            PixelFormat::Rgb | PixelFormat::Bgr => ColorMode::Bgr,
            PixelFormat::Gray => ColorMode::Gray,
            PixelFormat::Rgba | PixelFormat::Bgra => ColorMode::Bgra,
        }
    }

    /// For each channel of the network the channel of the decoded picture.
    fn order(self) -> &'static [usize] {
        match self {
            PixelFormat::Rgb => &[2, 1, 0],
            PixelFormat::Bgr => &[0, 1, 2],
            PixelFormat::Gray => &[0],
            PixelFormat::Rgba => &[2, 1, 0, 3],
            PixelFormat::Bgra => &[0, 1, 2, 3],
        }
    }
}

/// The preprocessing attributes of a network input (`top.Input`).
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocess {
    /// `[height, width]` that the picture is resized to.
    pub resize_dims: [usize; 2],
    /// `[height, width]` of the network input; cropped from the centre of the resized picture.
    pub net_dims: [usize; 2],
    pub keep_aspect_ratio: bool,
    pub keep_ratio_mode: KeepRatioMode,
    pub pad_value: u8,
    pub pad_type: PadType,
    /// One value a channel, in the network's channel order; more are allowed and ignored.
    pub mean: Vec<f32>,
    /// One value a channel, as `mean`.
    pub scale: Vec<f32>,
    pub pixel_format: PixelFormat,
    pub channel_format: ChannelFormat,
    pub resizer: Resizer,
    /// The picture becomes a frame of YUV 4:2:0 `[1, 1, H * 3 / 2, W]` of bytes: pixels are not scaled, `pixel_format` and
    /// `channel_format` say nothing.
    pub yuv: Option<Chroma>,
}

/// Preprocessing attributes that make no sense, or a picture that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("{option} has {found} values, but pixel_format {pixel_format} needs {expected}")]
    ChannelValues {
        option: &'static str,
        found: usize,
        expected: usize,
        pixel_format: &'static str,
    },
    #[error(
        "resize_dims {resize_dims:?} are smaller than the network input {net_dims:?} (height, width)"
    )]
    ResizeTooSmall {
        resize_dims: [usize; 2],
        net_dims: [usize; 2],
    },
    #[error(
        "{option} {dims:?} (height, width): each must be from 1 to {}",
        MAX_SIDE
    )]
    BadDims {
        option: &'static str,
        dims: [usize; 2],
    },
    #[error("a picture of {found} channels, but pixel_format {pixel_format} needs {expected}")]
    PictureChannels {
        found: usize,
        expected: usize,
        pixel_format: &'static str,
    },
    #[error("frames of YUV 4:2:0 need colours and even sides, found {dims:?} (height, width)")]
    Yuv { dims: [usize; 2] },
    #[error("the output has {found} elements, but the input needs {expected}")]
    OutputSize { found: usize, expected: usize },
}

/// Resized sides are limited as decoded ones are.
const MAX_SIDE: usize = 65535;

/// Where the resized picture lies in the network input.
struct Placement {
    /// `[height, width]` of the whole resized picture.
    size: [usize; 2],
    /// The rows and columns of it that are visible.
    visible: [Range<usize>; 2],
    /// Row and column of the network input at which the visible part starts.
    at: [usize; 2],
}

impl Preprocess {
    /// The attributes of an input that states none: stretched to the network's size, BGR, mean 0, scale 1.
    pub fn new(net_dims: [usize; 2]) -> Preprocess {
        Preprocess {
            resize_dims: net_dims,
            net_dims,
            keep_aspect_ratio: false,
            keep_ratio_mode: KeepRatioMode::Letterbox,
            pad_value: 0,
            pad_type: PadType::Center,
            mean: vec![0.0; 3],
            scale: vec![1.0; 3],
            pixel_format: PixelFormat::Bgr,
            channel_format: ChannelFormat::Nchw,
            resizer: Resizer::OpenCv,
            yuv: None,
        }
    }

    /// The shape of one preprocessed picture: `[1, C, H, W]`, or `[1, H, W, C]` for nhwc.
    pub fn shape(&self) -> [usize; 4] {
        let [h, w] = self.net_dims;
        let c = self.pixel_format.channels();
        if self.yuv.is_some() {
            return [1, 1, h + h / 2, w];
        }
        match self.channel_format {
            ChannelFormat::Nchw => [1, c, h, w],
            ChannelFormat::Nhwc => [1, h, w, c],
        }
    }

    /// Whether the attributes fit together; [`Preprocess::run`] checks it as well.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let (expected, pixel_format) = (self.pixel_format.channels(), self.pixel_format.as_str());
        for (option, values) in [("mean", &self.mean), ("scale", &self.scale)] {
            if values.len() < expected {
                return Err(PreprocessError::ChannelValues {
                    option,
                    found: values.len(),
                    expected,
                    pixel_format,
                });
            }
        }
        for (option, dims) in [
            ("resize_dims", self.resize_dims),
            ("network input", self.net_dims),
        ] {
            if dims.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
                return Err(PreprocessError::BadDims { option, dims });
            }
        }
        if self.yuv.is_some() && (self.net_dims.iter().any(|side| side % 2 != 0) || self.pixel_format.channels() != 3) {
            return Err(PreprocessError::Yuv { dims: self.net_dims });
        }
        let (resize_dims, net_dims) = (self.resize_dims, self.net_dims);
        if resize_dims[0] < net_dims[0] || resize_dims[1] < net_dims[1] {
            return Err(PreprocessError::ResizeTooSmall {
                resize_dims,
                net_dims,
            });
        }
        Ok(())
    }

    /// Reads a picture file; the result has the elements of [`Preprocess::shape`].
    pub fn run(&self, path: &Path) -> Result<Vec<f32>, PreprocessError> {
        self.validate()?;
        self.run_image(&decode::decode_file(path, self.pixel_format.color_mode())?)
    }

    /// A picture that is decoded already, in the mode of [`PixelFormat::color_mode`].
    pub fn run_image(&self, image: &Image) -> Result<Vec<f32>, PreprocessError> {
        self.validate()?;
        let mut out = vec![0.0; self.shape().iter().product()];
        self.run_into(image, &mut out)?;
        Ok(out)
    }

    /// As [`Preprocess::run_image`], into one picture's part of a batch.
    pub fn run_into(&self, image: &Image, out: &mut [f32]) -> Result<(), PreprocessError> {
        self.validate()?;
        if let Some(chroma) = self.yuv {
            return self.run_into_yuv(image, chroma, out);
        }
        let order = self.pixel_format.order();
        let channels = order.len();
        if image.channels() != channels {
            let pixel_format = self.pixel_format.as_str();
            return Err(PreprocessError::PictureChannels {
                found: image.channels(),
                expected: channels,
                pixel_format,
            });
        }
        let [net_h, net_w] = self.net_dims;
        let expected = channels * net_h * net_w;
        if out.len() != expected {
            return Err(PreprocessError::OutputSize {
                found: out.len(),
                expected,
            });
        }
        let tables: Vec<[f32; 256]> = std::iter::zip(&self.mean, &self.scale)
            .map(|(mean, scale)| std::array::from_fn(|v| (v as f32 - mean) * scale))
            .take(channels)
            .collect();

        let Placement {
            size,
            visible: [rows, columns],
            at: [top, left],
        } = self.place(image);
        if rows.len() != net_h || columns.len() != net_w {
            self.fill_padding(&tables, out);
        }
        if rows.is_empty() || columns.is_empty() {
            return Ok(());
        }
        let (visible_h, visible_w) = (rows.len(), columns.len());
        let window = match self.resizer {
            Resizer::OpenCv => resize::window,
            Resizer::Pillow => resize_pillow::window,
        };
        let resized = window(image, size[1], size[0], columns, rows);
        for y in 0..visible_h {
            let pixels = resized.row(y);
            let start = (top + y) * net_w + left;
            match self.channel_format {
                ChannelFormat::Nchw => {
                    for (c, (&source, table)) in order.iter().zip(&tables).enumerate() {
                        let row = &mut out[c * net_h * net_w + start..][..visible_w];
                        for (out, pixel) in row.iter_mut().zip(pixels.chunks_exact(channels)) {
                            *out = table[usize::from(pixel[source])];
                        }
                    }
                }
                ChannelFormat::Nhwc => {
                    let row = &mut out[start * channels..][..visible_w * channels];
                    for (out, pixel) in row
                        .chunks_exact_mut(channels)
                        .zip(pixels.chunks_exact(channels))
                    {
                        for ((out, &source), table) in out.iter_mut().zip(order).zip(&tables) {
                            *out = table[usize::from(pixel[source])];
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn run_into_yuv(&self, image: &Image, chroma: Chroma, out: &mut [f32]) -> Result<(), PreprocessError> {
        let expected = self.shape().iter().product();
        if out.len() != expected {
            return Err(PreprocessError::OutputSize { found: out.len(), expected });
        }
        let colours = Preprocess {
            yuv: None,
            pixel_format: PixelFormat::Rgb,
            channel_format: ChannelFormat::Nchw,
            mean: vec![0.0; 3],
            scale: vec![1.0; 3],
            ..self.clone()
        };
        yuv::frame(&colours.run_image(image)?, self.net_dims, chroma, out);
        Ok(())
    }

    fn fill_padding(&self, tables: &[[f32; 256]], out: &mut [f32]) {
        let pad = usize::from(self.pad_value);
        match self.channel_format {
            ChannelFormat::Nchw => {
                let plane = out.len() / tables.len();
                for (plane, table) in out.chunks_exact_mut(plane).zip(tables) {
                    plane.fill(table[pad]);
                }
            }
            ChannelFormat::Nhwc => {
                for pixel in out.chunks_exact_mut(tables.len()) {
                    for (out, table) in pixel.iter_mut().zip(tables) {
                        *out = table[pad];
                    }
                }
            }
        }
    }

    /// Sizes and offsets, in the reference's float64 arithmetic with truncation (`spec/calibration.md` section 2).
    fn place(&self, image: &Image) -> Placement {
        let source = [image.height(), image.width()];
        let canvas = self.resize_dims;
        let ratios = [
            canvas[1] as f64 / source[1] as f64,
            canvas[0] as f64 / source[0] as f64,
        ];
        let scaled = |ratio: f64| source.map(|side| (side as f64 * ratio) as usize);
        let size = match (self.keep_aspect_ratio, self.keep_ratio_mode) {
            (false, _) => canvas,
            // A very long picture would otherwise vanish.
            (true, KeepRatioMode::Letterbox) => {
                scaled(ratios[0].min(ratios[1])).map(|side| side.max(1))
            }
            (true, KeepRatioMode::ShortSideScale) => {
                let size = scaled(ratios[0].max(ratios[1]));
                // Truncation may lose the pixel that the float product just misses.
                [size[0].max(canvas[0]), size[1].max(canvas[1])]
            }
        };
        let mut placement = Placement {
            size,
            visible: [0..0, 0..0],
            at: [0, 0],
        };
        for axis in 0..2 {
            // The canvas and the crop are both centred, each with its own rounding.
            let in_canvas = if size[axis] > canvas[axis] {
                -(((size[axis] - canvas[axis]) / 2) as isize)
            } else if self.pad_type == PadType::Center {
                ((canvas[axis] - size[axis]) / 2) as isize
            } else {
                0
            };
            let crop = (canvas[axis] / 2 - self.net_dims[axis] / 2) as isize;
            let start = in_canvas - crop;
            let end = start + size[axis] as isize;
            let first = start.max(0);
            let last = end.min(self.net_dims[axis] as isize).max(first);
            placement.at[axis] = first as usize;
            placement.visible[axis] = (first - start) as usize..(last - start) as usize;
        }
        placement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_make_no_sense() {
        let good = Preprocess::new([4, 6]);
        assert!(good.validate().is_ok());
        let message = |p: Preprocess| p.validate().expect_err("an error").to_string();
        assert_eq!(
            message(Preprocess {
                mean: vec![1.0],
                ..good.clone()
            }),
            "mean has 1 values, but pixel_format bgr needs 3"
        );
        assert_eq!(
            message(Preprocess {
                resize_dims: [8, 5],
                ..good.clone()
            }),
            "resize_dims [8, 5] are smaller than the network input [4, 6] (height, width)"
        );
        assert!(
            message(Preprocess {
                net_dims: [0, 6],
                ..good.clone()
            })
            .starts_with("network input [0, 6]")
        );
        assert!(
            message(Preprocess {
                resize_dims: [1 << 40, 6],
                ..good.clone()
            })
            .starts_with("resize_dims [1099511627776")
        );
        let gray = Image::filled(3, 3, 1, 0).expect("a size");
        let error = good.run_image(&gray).expect_err("gray for bgr").to_string();
        assert_eq!(
            error,
            "a picture of 1 channels, but pixel_format bgr needs 3"
        );
        let error = "yuv"
            .parse::<PixelFormat>()
            .expect_err("an unknown word")
            .to_string();
        assert_eq!(
            error,
            "unknown pixel_format 'yuv'; expected one of: rgb, bgr, gray, rgba, bgra"
        );
    }

    #[test]
    fn a_very_long_picture_is_letterboxed() {
        let preprocess = Preprocess {
            keep_aspect_ratio: true,
            pad_value: 9,
            ..Preprocess::new([4, 4])
        };
        let image = Image::filled(1000, 1, 3, 200).expect("a size");
        let out = preprocess.run_image(&image).expect("a tensor");
        assert_eq!(
            out[..16],
            [
                9., 9., 9., 9., 200., 200., 200., 200., 9., 9., 9., 9., 9., 9., 9., 9.
            ]
        );
    }

    #[test]
    fn short_side_of_an_extreme_picture_is_bounded() {
        // The resized picture would be 65535 times as wide as the network input; only the visible part is computed.
        let preprocess = Preprocess {
            keep_aspect_ratio: true,
            keep_ratio_mode: KeepRatioMode::ShortSideScale,
            ..Preprocess::new([512, 512])
        };
        let image = Image::filled(65535, 1, 3, 77).expect("a size");
        let out = preprocess.run_image(&image).expect("a tensor");
        assert!(out.iter().all(|&v| v == 77.0));
    }
}
