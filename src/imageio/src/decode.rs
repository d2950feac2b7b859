//! Picture files -> [`Image`], the bytes that OpenCV 4.8's `imread` gives.
//!
//! What that means beyond plain decoding: the kind of data is told by its first bytes, not by the file name; 16-bit samples
//! keep their high byte; palettes and low bit depths are expanded; EXIF orientation is applied (not for
//! [`ColorMode::Bgra`], which is OpenCV's "unchanged" mode); transparency is dropped, not blended.

use crate::exif_orientation;
use crate::image::{Image, ImageError};
use crate::jpeg::{Decompressor, Layout};
use crate::png_info::{self, PngInfo};
use ::image::{DynamicImage, ImageFormat, ImageReader};
use std::io::Cursor;
use std::path::Path;

/// The channels that the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMode {
    /// One channel. JPEG: the luma plane; PNG: libpng's conversion; BMP: 0.299 R + 0.587 G + 0.114 B.
    Gray,
    /// Blue, green, red.
    Bgr,
    /// Blue, green, red, alpha; opaque where the file has no alpha channel.
    Bgra,
}

impl ColorMode {
    pub fn channels(self) -> usize {
        match self {
            ColorMode::Gray => 1,
            ColorMode::Bgr => 3,
            ColorMode::Bgra => 4,
        }
    }
}

/// The largest picture that is decoded. A small file can claim any size; this is what bounds the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels a side.
    pub max_side: u64,
    /// Pixels in all.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 65535 a side (JPEG's own limit) and 2^27 pixels (134 megapixels, 402 MB decoded).
    fn default() -> Limits {
        Limits { max_side: 65535, max_pixels: 1 << 27 }
    }
}

/// Decodes a file with the default limits.
pub fn decode_file(path: &Path, mode: ColorMode) -> Result<Image, ImageError> {
    let bytes = tpuc_tensor::file::read(path)?;
    decode_bytes(&bytes, path, mode, Limits::default())
}

/// Decodes data in memory; `path` is what errors call it.
pub fn decode_bytes(bytes: &[u8], path: &Path, mode: ColorMode, limits: Limits) -> Result<Image, ImageError> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => decode_jpeg(bytes, path, mode, limits),
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes, path, mode, limits),
        [b'B', b'M', ..] => decode_bmp(bytes, path, mode, limits),
        _ => Err(ImageError::UnknownFormat { path: path.to_path_buf(), found: describe(bytes) }),
    }
}

/// A guess at what foreign data are, for the error message.
fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "the file is empty".into(),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "found WebP data".into(),
        [b'G', b'I', b'F', b'8', ..] => "found GIF data".into(),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "found TIFF data".into(),
        [b'P', b'K', 3, 4, ..] => "found a zip or npz archive".into(),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "found npy data".into(),
        _ => {
            let start: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
            format!("the data start with {}", start.join(" "))
        }
    }
}

fn check_size(path: &Path, width: u64, height: u64, limits: Limits) -> Result<(), ImageError> {
    let Limits { max_side, max_pixels } = limits;
    if width > max_side || height > max_side || width.saturating_mul(height) > max_pixels {
        return Err(ImageError::TooLarge { path: path.to_path_buf(), width, height, max_side, max_pixels });
    }
    Ok(())
}

fn decode_jpeg(bytes: &[u8], path: &Path, mode: ColorMode, limits: Limits) -> Result<Image, ImageError> {
    let fail = |reason: String| ImageError::Decode { path: path.to_path_buf(), format: "JPEG", reason };
    let mut decompressor = Decompressor::new().map_err(fail)?;
    let header = decompressor.header(bytes).map_err(fail)?;
    let (width, height) = (header.width, header.height);
    check_size(path, width as u64, height as u64, limits)?;
    let layout = match mode {
        _ if header.is_cmyk => Layout::Cmyk,
        ColorMode::Gray => Layout::Gray,
        ColorMode::Bgr => Layout::Bgr,
        ColorMode::Bgra => Layout::Bgra,
    };
    let pixels = decompressor.decode(bytes, width, height, layout).map_err(fail)?;
    let pixels = match layout {
        Layout::Cmyk => from_cmyk(&pixels, mode),
        Layout::Gray | Layout::Bgr | Layout::Bgra => pixels,
    };
    let image = Image::new(width, height, mode.channels(), pixels).ok_or_else(|| fail("no pixels".into()))?;
    Ok(match (mode, exif_orientation::find_in_jpeg(bytes)) {
        (ColorMode::Gray | ColorMode::Bgr, Some(tiff)) => exif_orientation::apply(image, exif_orientation::parse(tiff)),
        _ => image,
    })
}

/// Inks -> light without colour management. JPEG files store CMYK inverted (255 is no ink), as Adobe's programs do.
fn from_cmyk(pixels: &[u8], mode: ColorMode) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / 4 * mode.channels());
    for cmyk in pixels.chunks_exact(4) {
        let k = i32::from(cmyk[3]);
        let light = |ink: u8| (k - (((255 - i32::from(ink)) * k) >> 8)) as u8;
        let (r, g, b) = (light(cmyk[0]), light(cmyk[1]), light(cmyk[2]));
        match mode {
            ColorMode::Gray => out.push(luma_14bit(r, g, b)),
            ColorMode::Bgr => out.extend([b, g, r]),
            ColorMode::Bgra => out.extend([b, g, r, 255]),
        }
    }
    out
}

/// 0.299 R + 0.587 G + 0.114 B with 14-bit weights, rounded.
fn luma_14bit(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 4899 + u32::from(g) * 9617 + u32::from(b) * 1868 + (1 << 13)) >> 14) as u8
}

fn decode_png(bytes: &[u8], path: &Path, mode: ColorMode, limits: Limits) -> Result<Image, ImageError> {
    let info = png_info::scan(bytes);
    let to_gray = PngGray::new(&info);
    let image = decode_with_image_crate(bytes, path, ImageFormat::Png, "PNG", limits, mode, |r, g, b| to_gray.convert(r, g, b))?;
    Ok(match (mode, info.exif) {
        (ColorMode::Gray | ColorMode::Bgr, Some(tiff)) => exif_orientation::apply(image, exif_orientation::parse(tiff)),
        _ => image,
    })
}

fn decode_bmp(bytes: &[u8], path: &Path, mode: ColorMode, limits: Limits) -> Result<Image, ImageError> {
    let mut image = decode_with_image_crate(bytes, path, ImageFormat::Bmp, "BMP", limits, mode, luma_14bit)?;
    // Bits a pixel, in the long form of the header. 16-bit pixels have 5 bits a channel, which OpenCV shifts up with zeros
    // below them, where the decoder repeats the upper bits.
    if mode != ColorMode::Gray && bytes.get(14..18).is_some_and(|size| size[0] >= 40) && bytes.get(28..30) == Some(&[16, 0]) {
        let green_is_6_bits = bytes.get(58..62) == Some(&[0xE0, 0x07, 0, 0]) && bytes.get(30) == Some(&3);
        let channels = image.channels();
        for pixel in image.data_mut().chunks_exact_mut(channels) {
            pixel[0] &= 0xF8;
            pixel[1] &= if green_is_6_bits { 0xFC } else { 0xF8 };
            pixel[2] &= 0xF8;
        }
    }
    Ok(image)
}

/// libpng's conversion of colour to gray with the weights 0.299 and 0.587 in 15 bits. Where the file states a gamma that is
/// far from 1, libpng weighs linear light, through 8-bit tables.
struct PngGray {
    tables: Option<Box<([u8; 256], [u8; 256])>>,
}

impl PngGray {
    fn new(info: &PngInfo<'_>) -> PngGray {
        let significant = |gamma: u32| !(95_000..=105_000).contains(&gamma);
        let tables = info.gamma.filter(|&gamma| significant(gamma)).map(|gamma| {
            let file = f64::from(gamma) * 1e-5;
            // Exponents are kept in units of 1e-5, so the reciprocal is rounded to that.
            let reciprocal = (1e10 / f64::from(gamma) + 0.5).floor() * 1e-5;
            let table = |exponent: f64| {
                std::array::from_fn(|v| match v {
                    0 | 255 => v as u8,
                    _ => (255.0 * (v as f64 / 255.0).powf(exponent) + 0.5).floor() as u8,
                })
            };
            Box::new((table(reciprocal), table(file)))
        });
        PngGray { tables }
    }

    fn convert(&self, r: u8, g: u8, b: u8) -> u8 {
        if r == g && g == b {
            return r;
        }
        let weigh = |r: u8, g: u8, b: u8, rounding: u32| {
            ((u32::from(r) * 9798 + u32::from(g) * 19235 + u32::from(b) * 3735 + rounding) >> 15) as u8
        };
        match &self.tables {
            None => weigh(r, g, b, 0),
            Some(tables) => {
                let (to_linear, from_linear) = (&tables.0, &tables.1);
                let linear = weigh(to_linear[usize::from(r)], to_linear[usize::from(g)], to_linear[usize::from(b)], 16384);
                from_linear[usize::from(linear)]
            }
        }
    }
}

fn decode_with_image_crate(
    bytes: &[u8],
    path: &Path,
    format: ImageFormat,
    name: &'static str,
    limits: Limits,
    mode: ColorMode,
    to_gray: impl Fn(u8, u8, u8) -> u8,
) -> Result<Image, ImageError> {
    let fail = |reason: String| ImageError::Decode { path: path.to_path_buf(), format: name, reason };
    let (width, height) =
        ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().map_err(|e| fail(e.to_string()))?;
    check_size(path, width.into(), height.into(), limits)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The sizes are checked; 16 bytes a pixel is twice what any of these formats needs.
    let mut memory = ::image::Limits::no_limits();
    memory.max_alloc = Some(u64::from(width) * u64::from(height) * 16 + (1 << 20));
    reader.limits(memory);
    let decoded = reader.decode().map_err(|e| fail(e.to_string()))?;
    let high = |v: u16| (v >> 8) as u8;
    // (gray, alpha) or (red, green, blue, alpha) samples -> the wanted channels.
    let gray_pixels = |samples: &mut dyn Iterator<Item = (u8, u8)>| -> Vec<u8> {
        let mut out = Vec::with_capacity(width as usize * height as usize * mode.channels());
        match mode {
            ColorMode::Gray => out.extend(samples.map(|(v, _)| v)),
            ColorMode::Bgr => samples.for_each(|(v, _)| out.extend([v, v, v])),
            ColorMode::Bgra => samples.for_each(|(v, a)| out.extend([v, v, v, a])),
        }
        out
    };
    let color_pixels = |samples: &mut dyn Iterator<Item = [u8; 4]>| -> Vec<u8> {
        let mut out = Vec::with_capacity(width as usize * height as usize * mode.channels());
        match mode {
            ColorMode::Gray => out.extend(samples.map(|[r, g, b, _]| to_gray(r, g, b))),
            ColorMode::Bgr => samples.for_each(|[r, g, b, _]| out.extend([b, g, r])),
            ColorMode::Bgra => samples.for_each(|[r, g, b, a]| out.extend([b, g, r, a])),
        }
        out
    };
    let data = match &decoded {
        DynamicImage::ImageLuma8(p) => gray_pixels(&mut p.as_raw().iter().map(|&v| (v, 255))),
        DynamicImage::ImageLumaA8(p) => gray_pixels(&mut p.as_raw().chunks_exact(2).map(|v| (v[0], v[1]))),
        DynamicImage::ImageLuma16(p) => gray_pixels(&mut p.as_raw().iter().map(|&v| (high(v), 255))),
        DynamicImage::ImageLumaA16(p) => gray_pixels(&mut p.as_raw().chunks_exact(2).map(|v| (high(v[0]), high(v[1])))),
        DynamicImage::ImageRgb8(p) => color_pixels(&mut p.as_raw().chunks_exact(3).map(|v| [v[0], v[1], v[2], 255])),
        DynamicImage::ImageRgba8(p) => color_pixels(&mut p.as_raw().chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]])),
        DynamicImage::ImageRgb16(p) => {
            color_pixels(&mut p.as_raw().chunks_exact(3).map(|v| [high(v[0]), high(v[1]), high(v[2]), 255]))
        }
        DynamicImage::ImageRgba16(p) => {
            color_pixels(&mut p.as_raw().chunks_exact(4).map(|v| [high(v[0]), high(v[1]), high(v[2]), high(v[3])]))
        }
        other => return Err(fail(format!("unexpected sample type {:?}", other.color()))),
    };
    Image::new(width as usize, height as usize, mode.channels(), data).ok_or_else(|| fail("no pixels".into()))
}
