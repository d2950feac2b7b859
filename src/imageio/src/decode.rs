//! Picture files -> [`Image`], the bytes that OpenCV 4.8's `imread` gives.
//!
//! What that means beyond plain decoding: the kind of data is told by its first bytes, not by the file name; 16-bit samples
//! keep their high byte; palettes and low bit depths are expanded; EXIF orientation is applied (not for
//! [`ColorMode::Bgra`], which is OpenCV's "unchanged" mode); transparency is dropped, not blended.

use crate::exif_orientation;
use crate::image::{Image, ImageError};
use crate::jpeg::{Decompressor, Layout};
use crate::png_info::{self, PngInfo};
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
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
        Limits {
            max_side: 65535,
            max_pixels: 1 << 27,
        }
    }
}

/// Decodes a file with the default limits.
pub fn decode_file(path: &Path, mode: ColorMode) -> Result<Image, ImageError> {
    let bytes = tpuc_tensor::file::read(path)?;
    decode_bytes(&bytes, path, mode, Limits::default())
}

/// Decodes data in memory; `path` is what errors call it.
pub fn decode_bytes(
    bytes: &[u8],
    path: &Path,
    mode: ColorMode,
    limits: Limits,
) -> Result<Image, ImageError> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => decode_jpeg(bytes, path, mode, limits),
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes, path, mode, limits),
        [b'B', b'M', ..] => decode_bmp(bytes, path, mode, limits),
        _ => Err(ImageError::UnknownFormat {
            path: path.to_path_buf(),
            found: describe(bytes),
        }),
    }
}

/// A guess at what foreign data are, for the error message.
fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "the file is empty".into(),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "found WebP data".into(),
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
    let Limits {
        max_side,
        max_pixels,
    } = limits;
    if width > max_side || height > max_side || width.saturating_mul(height) > max_pixels {
        return Err(ImageError::TooLarge {
            path: path.to_path_buf(),
            width,
            height,
            max_side,
            max_pixels,
        });
    }
    Ok(())
}

fn decode_jpeg(
    bytes: &[u8],
    path: &Path,
    mode: ColorMode,
    limits: Limits,
) -> Result<Image, ImageError> {
    let fail = |reason: String| ImageError::Decode {
        path: path.to_path_buf(),
        format: "JPEG",
        reason,
    };
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
    let pixels = decompressor
        .decode(bytes, width, height, layout)
        .map_err(fail)?;
    let pixels = match layout {
        Layout::Cmyk => from_cmyk(&pixels, mode),
        Layout::Gray | Layout::Bgr | Layout::Bgra => pixels,
    };
    let image = Image::new(width, height, mode.channels(), pixels)
        .ok_or_else(|| fail("no pixels".into()))?;
    Ok(match (mode, exif_orientation::find_in_jpeg(bytes)) {
        (ColorMode::Gray | ColorMode::Bgr, Some(tiff)) => {
            exif_orientation::apply(image, exif_orientation::parse(tiff))
        }
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

fn decode_png(
    bytes: &[u8],
    path: &Path,
    mode: ColorMode,
    limits: Limits,
) -> Result<Image, ImageError> {
    let mut info = png_info::scan(bytes);
    let (decoded, icc_profile) =
        decode_with_image_crate(bytes, path, ImageFormat::Png, "PNG", limits)?;
    if icc_profile.is_some_and(|profile| png_info::is_srgb_profile(&profile)) {
        info.gamma = Some(png_info::SRGB_GAMMA);
    }
    let to_gray = PngGray::new(&info);
    let image = convert(
        &decoded,
        mode,
        |rgb| to_gray.convert8(rgb),
        |rgb| to_gray.convert16(rgb),
    )
    .ok_or_else(|| unexpected_samples(path, "PNG", &decoded))?;
    Ok(match (mode, info.exif) {
        (ColorMode::Gray | ColorMode::Bgr, Some(tiff)) => {
            exif_orientation::apply(image, exif_orientation::parse(tiff))
        }
        _ => image,
    })
}

fn decode_bmp(
    bytes: &[u8],
    path: &Path,
    mode: ColorMode,
    limits: Limits,
) -> Result<Image, ImageError> {
    let (decoded, _) = decode_with_image_crate(bytes, path, ImageFormat::Bmp, "BMP", limits)?;
    // 16-bit pixels have 5 or 6 bits a channel, which OpenCV shifts up with zeros below them, where the decoder repeats the
    // upper bits.
    let mask = bmp_sample_mask(bytes);
    let to_gray = |[r, g, b]: [u8; 3]| luma_14bit(r & mask[2], g & mask[1], b & mask[0]);
    let mut image = convert(&decoded, mode, to_gray, |rgb| {
        to_gray(rgb.map(|v| (v >> 8) as u8))
    })
    .ok_or_else(|| unexpected_samples(path, "BMP", &decoded))?;
    if image.channels() > 1 && mask != [0xFF; 3] {
        let channels = image.channels();
        for pixel in image.data_mut().chunks_exact_mut(channels) {
            pixel.iter_mut().zip(mask).for_each(|(v, mask)| *v &= mask);
        }
    }
    Ok(image)
}

/// The bits of the blue, green and red samples that a BMP file stores.
fn bmp_sample_mask(bytes: &[u8]) -> [u8; 3] {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
            .unwrap_or(0)
    };
    let (header, bits_and_planes, compression, green_mask) =
        (word(14), word(26), word(30), word(58));
    if header < 40 || bits_and_planes >> 16 != 16 {
        return [0xFF; 3];
    }
    // Compression 3 means that masks follow the header.
    if compression == 3 && green_mask == 0x07E0 {
        [0xF8, 0xFC, 0xF8]
    } else {
        [0xF8; 3]
    }
}

/// libpng's conversion of colour to gray with the weights 0.299 and 0.587 in 15 bits. Where the file states a gamma that is
/// far from 1, libpng weighs linear light, through tables of 8 bits, or of 11 bits for 16-bit samples.
struct PngGray {
    /// (to linear, from linear)
    tables8: Option<Box<([u8; 256], [u8; 256])>>,
    tables11: Option<Box<[[u16; 2048]; 2]>>,
}

impl PngGray {
    fn new(info: &PngInfo<'_>) -> PngGray {
        let significant = |gamma: u32| !(95_000..=105_000).contains(&gamma);
        let Some(gamma) = info.gamma.filter(|&gamma| significant(gamma)) else {
            return PngGray {
                tables8: None,
                tables11: None,
            };
        };
        let file = f64::from(gamma) * 1e-5;
        // Exponents are kept in units of 1e-5, so the reciprocal is rounded to that.
        let reciprocal = (1e10 / f64::from(gamma) + 0.5).floor() * 1e-5;
        let table8 = |exponent: f64| {
            std::array::from_fn(|v| (255.0 * (v as f64 / 255.0).powf(exponent) + 0.5) as u8)
        };
        let table11 = |exponent: f64| {
            std::array::from_fn(|v| (65535.0 * (v as f64 / 2047.0).powf(exponent) + 0.5) as u16)
        };
        PngGray {
            tables8: Some(Box::new((table8(reciprocal), table8(file)))),
            tables11: Some(Box::new([table11(reciprocal), table11(file)])),
        }
    }

    fn weigh(rgb: [u32; 3], rounding: u64) -> u64 {
        let [r, g, b] = rgb.map(u64::from);
        (r * 9797 + g * 19234 + b * 3737 + rounding) >> 15
    }

    fn convert8(&self, rgb: [u8; 3]) -> u8 {
        if rgb[0] == rgb[1] && rgb[1] == rgb[2] {
            return rgb[0];
        }
        match self.tables8.as_deref() {
            // Truncation is the library's old habit here, and only here.
            None => Self::weigh(rgb.map(u32::from), 0) as u8,
            Some((to_linear, from_linear)) => {
                let linear = rgb.map(|v| u32::from(to_linear[usize::from(v)]));
                from_linear[Self::weigh(linear, 1 << 14) as usize]
            }
        }
    }

    fn convert16(&self, rgb: [u16; 3]) -> u8 {
        if rgb[0] == rgb[1] && rgb[1] == rgb[2] {
            return (rgb[0] >> 8) as u8;
        }
        match self.tables11.as_deref() {
            None => (Self::weigh(rgb.map(u32::from), 1 << 14) >> 8) as u8,
            Some([to_linear, from_linear]) => {
                let linear = rgb.map(|v| u32::from(to_linear[usize::from(v >> 5)]));
                (from_linear[(Self::weigh(linear, 1 << 14) >> 5) as usize] >> 8) as u8
            }
        }
    }
}

fn unexpected_samples(path: &Path, format: &'static str, decoded: &DynamicImage) -> ImageError {
    ImageError::Decode {
        path: path.to_path_buf(),
        format,
        reason: format!("unexpected sample type {:?}", decoded.color()),
    }
}

/// The picture as the file stores it, and its ICC profile.
fn decode_with_image_crate(
    bytes: &[u8],
    path: &Path,
    format: ImageFormat,
    name: &'static str,
    limits: Limits,
) -> Result<(DynamicImage, Option<Vec<u8>>), ImageError> {
    let fail = |e: ::image::ImageError| ImageError::Decode {
        path: path.to_path_buf(),
        format: name,
        reason: e.to_string(),
    };
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(fail)?;
    check_size(path, width.into(), height.into(), limits)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The sizes are checked; 16 bytes a pixel is twice what any of these formats needs.
    let mut memory = ::image::Limits::no_limits();
    memory.max_alloc = Some(u64::from(width) * u64::from(height) * 16 + (1 << 20));
    reader.limits(memory);
    let mut decoder = reader.into_decoder().map_err(fail)?;
    let icc_profile = decoder.icc_profile().unwrap_or(None);
    Ok((
        DynamicImage::from_decoder(decoder).map_err(fail)?,
        icc_profile,
    ))
}

/// Decoded samples -> the wanted channels; `None` for sample types that PNG and BMP do not have.
fn convert(
    decoded: &DynamicImage,
    mode: ColorMode,
    gray8: impl Fn([u8; 3]) -> u8,
    gray16: impl Fn([u16; 3]) -> u8,
) -> Option<Image> {
    fn high(v: u16) -> u8 {
        (v >> 8) as u8
    }
    let capacity = decoded.width() as usize * decoded.height() as usize * mode.channels();
    let mut out = Vec::with_capacity(capacity);
    let mut push_gray = |value: u8, alpha: u8| match mode {
        ColorMode::Gray => out.push(value),
        ColorMode::Bgr => out.extend([value; 3]),
        ColorMode::Bgra => out.extend([value, value, value, alpha]),
    };
    match decoded {
        DynamicImage::ImageLuma8(p) => p.as_raw().iter().for_each(|&v| push_gray(v, 255)),
        DynamicImage::ImageLumaA8(p) => p.pixels().for_each(|p| push_gray(p.0[0], p.0[1])),
        DynamicImage::ImageLuma16(p) => p.as_raw().iter().for_each(|&v| push_gray(high(v), 255)),
        DynamicImage::ImageLumaA16(p) => p
            .pixels()
            .for_each(|p| push_gray(high(p.0[0]), high(p.0[1]))),
        _ => {
            let mut push8 = |[r, g, b]: [u8; 3], alpha: u8| match mode {
                ColorMode::Gray => out.push(gray8([r, g, b])),
                ColorMode::Bgr => out.extend([b, g, r]),
                ColorMode::Bgra => out.extend([b, g, r, alpha]),
            };
            match decoded {
                DynamicImage::ImageRgb8(p) => p.pixels().for_each(|p| push8(p.0, 255)),
                DynamicImage::ImageRgba8(p) => p
                    .pixels()
                    .for_each(|p| push8([p.0[0], p.0[1], p.0[2]], p.0[3])),
                DynamicImage::ImageRgb16(p) if mode == ColorMode::Gray => {
                    out.extend(p.pixels().map(|p| gray16(p.0)))
                }
                DynamicImage::ImageRgb16(p) => p.pixels().for_each(|p| push8(p.0.map(high), 255)),
                DynamicImage::ImageRgba16(p) if mode == ColorMode::Gray => {
                    out.extend(p.pixels().map(|p| gray16([p.0[0], p.0[1], p.0[2]])));
                }
                DynamicImage::ImageRgba16(p) => {
                    p.pixels().for_each(|p| {
                        push8([high(p.0[0]), high(p.0[1]), high(p.0[2])], high(p.0[3]))
                    });
                }
                _ => return None,
            }
        }
    }
    Image::new(
        decoded.width() as usize,
        decoded.height() as usize,
        mode.channels(),
        out,
    )
}
