//! Text on a picture (class names and scores), and saving pictures.

use crate::image::{Image, ImageError};
use ::image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use font8x8::legacy::BASIC_LEGACY;
use std::path::Path;

/// Pixels of a glyph cell before magnification.
const CELL: usize = 8;
/// JPEG quality of saved pictures, high enough for text.
const JPEG_QUALITY: i32 = 95;

/// Writes lines in white on a darkened box in the upper left corner; letters grow with the picture. What is
/// beyond the picture's right or lower edge is cut; characters outside ASCII become `?`.
pub fn draw_lines(image: &mut Image, lines: &[String]) {
    let longest = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    if longest == 0 {
        return;
    }
    // A line of text takes about 1/20 of the height, but the longest line should fit.
    let by_height = image.height() / (20 * CELL);
    let by_width = image.width() / ((longest + 1) * CELL);
    let zoom = by_height.min(by_width).max(1);
    let margin = zoom * CELL / 2;
    let line_height = zoom * (CELL + 2);
    let box_w = (longest * CELL * zoom + 2 * margin).min(image.width());
    let box_h = (lines.len() * line_height + 2 * margin).min(image.height());
    let (width, channels) = (image.width(), image.channels());
    let data = image.data_mut();
    for y in 0..box_h {
        for pixel in data[y * width * channels..][..box_w * channels].chunks_exact_mut(channels) {
            // Alpha stays as it is.
            pixel.iter_mut().take(3).for_each(|v| *v /= 4);
        }
    }
    for (row, line) in lines.iter().enumerate() {
        for (column, character) in line.chars().enumerate() {
            let glyph = BASIC_LEGACY
                .get(character as usize)
                .unwrap_or(&BASIC_LEGACY['?' as usize]);
            let (left, top) = (margin + column * CELL * zoom, margin + row * line_height);
            for y in (top..top + CELL * zoom).take_while(|&y| y < box_h) {
                for x in (left..left + CELL * zoom).take_while(|&x| x < box_w) {
                    // Bit 0 is the leftmost pixel of a glyph row.
                    if glyph[(y - top) / zoom] >> ((x - left) / zoom) & 1 == 1 {
                        data[(y * width + x) * channels..][..channels.min(3)].fill(255);
                    }
                }
            }
        }
    }
}

/// Draws a box with corners `[x1, y1, x2, y2]` in pixels, in a colour of its class, and a text at its upper left corner. What is beyond
/// the picture is cut.
pub fn draw_box(image: &mut Image, corners: [f32; 4], text: &str, class: usize) {
    let colour = colour(class);
    let [x1, y1, x2, y2] = corners.map(|c| if c.is_finite() { c.max(0.0) as usize } else { 0 });
    let (width, height) = (image.width(), image.height());
    let (x2, y2) = (
        x2.min(width.saturating_sub(1)),
        y2.min(height.saturating_sub(1)),
    );
    let thick = (width.min(height) / 300).max(1);
    for y in y1..=y2 {
        for x in x1..=x2 {
            if x < x1 + thick || x + thick > x2 || y < y1 + thick || y + thick > y2 {
                paint(image, x, y, colour);
            }
        }
    }
    let zoom = (height / (50 * CELL)).max(1);
    for (column, character) in text.chars().enumerate() {
        let glyph = BASIC_LEGACY
            .get(character as usize)
            .unwrap_or(&BASIC_LEGACY['?' as usize]);
        let left = x1 + column * CELL * zoom;
        for y in 0..CELL * zoom {
            for x in 0..CELL * zoom {
                let is_ink = glyph[y / zoom] >> (x / zoom) & 1 == 1;
                paint(
                    image,
                    left + x,
                    y1 + y,
                    if is_ink { [255; 3] } else { colour.map(|c| c / 2) },
                );
            }
        }
    }
}

/// Colours that differ between neighbouring classes.
fn colour(class: usize) -> [u8; 3] {
    let step = |factor: usize| (60 + (class.wrapping_mul(factor).wrapping_add(factor)) % 160) as u8;
    [step(97), step(53), step(151)]
}

fn paint(image: &mut Image, x: usize, y: usize, colour: [u8; 3]) {
    if x >= image.width() || y >= image.height() {
        return;
    }
    let (width, channels) = (image.width(), image.channels());
    let pixel = &mut image.data_mut()[(y * width + x) * channels..][..channels.min(3)];
    pixel.iter_mut().zip(colour).for_each(|(v, c)| *v = c);
}

/// Saves as PNG or JPEG, as the file name's extension says. The file appears whole or not at all.
pub fn save(image: &Image, path: &Path) -> Result<(), ImageError> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    let bytes = match extension.as_deref() {
        Some("png") => encode_png(image),
        Some("jpg" | "jpeg" | "jfif") => encode_jpeg(image),
        _ => {
            return Err(ImageError::UnknownExtension {
                path: path.to_path_buf(),
            });
        }
    }
    .map_err(|reason| ImageError::Encode {
        path: path.to_path_buf(),
        reason,
    })?;
    Ok(tpuc_tensor::file::write(path, &bytes)?)
}

fn encode_png(image: &Image) -> Result<Vec<u8>, String> {
    let mut rgb = image.data().to_vec();
    let color = match image.channels() {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    if image.channels() > 1 {
        rgb.chunks_exact_mut(image.channels())
            .for_each(|pixel| pixel.swap(0, 2));
    }
    let side = |v: usize| u32::try_from(v).map_err(|_| "the picture is too large".to_string());
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&rgb, side(image.width())?, side(image.height())?, color)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn encode_jpeg(image: &Image) -> Result<Vec<u8>, String> {
    let format = match image.channels() {
        1 => turbojpeg::PixelFormat::GRAY,
        3 => turbojpeg::PixelFormat::BGR,
        _ => turbojpeg::PixelFormat::BGRX,
    };
    let picture = turbojpeg::Image {
        pixels: image.data(),
        width: image.width(),
        pitch: image.width() * image.channels(),
        height: image.height(),
        format,
    };
    let subsampling = if image.channels() == 1 {
        turbojpeg::Subsamp::Gray
    } else {
        turbojpeg::Subsamp::None
    };
    let bytes =
        turbojpeg::compress(picture, JPEG_QUALITY, subsampling).map_err(|e| e.to_string())?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{ColorMode, decode_file};

    #[test]
    fn text_is_drawn_and_cut_at_the_edges() {
        let mut image = Image::filled(40, 24, 3, 200).expect("a size");
        draw_lines(
            &mut image,
            &[
                "Hi".into(),
                "a longer line than fits".into(),
                "third\u{20ac}".into(),
            ],
        );
        // The darkened box, and the left stroke of the H.
        assert_eq!(image.data()[..3], [50, 50, 50]);
        let row = image.row(4);
        assert_eq!(
            row[4 * 3..7 * 3]
                .iter()
                .map(|v| u32::from(*v == 255))
                .sum::<u32>(),
            6
        );
        // Text on nothing, nothing on a picture, and a picture of one pixel.
        let before = image.clone();
        draw_lines(&mut image, &[]);
        assert_eq!(image, before);
        draw_lines(
            &mut Image::filled(1, 1, 1, 0).expect("a size"),
            &["x".into()],
        );
    }

    #[test]
    fn boxes_are_drawn_and_cut_at_the_edges() {
        let mut image = Image::filled(40, 30, 3, 200).expect("a size");
        draw_box(&mut image, [10.0, 5.0, 80.0, 25.0], "", 2);
        let at = |image: &Image, x: usize, y: usize| image.row(y)[x * 3..x * 3 + 3].to_vec();
        assert_eq!(at(&image, 10, 20), colour(2));
        assert_eq!(at(&image, 20, 25), colour(2));
        assert_eq!(at(&image, 20, 15), [200; 3]);
        assert_eq!(at(&image, 9, 20), [200; 3]);
        draw_box(&mut image, [f32::NAN, 28.0, 39.0, 29.0], "dog:99.9%", 2);
        assert_ne!(colour(2), colour(3));
    }

    #[test]
    fn saved_pictures_can_be_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        for (channels, mode) in [
            (1, ColorMode::Gray),
            (3, ColorMode::Bgr),
            (4, ColorMode::Bgra),
        ] {
            let data = (0..6 * 5 * channels).map(|i| (i * 7 % 256) as u8).collect();
            let image = Image::new(6, 5, channels, data).expect("sizes agree");
            let path = directory.path().join("p.png");
            save(&image, &path).expect("png");
            assert_eq!(decode_file(&path, mode).expect("png"), image);
            let flat = Image::filled(20, 10, channels, 255).expect("a size");
            let path = directory.path().join("p.jpg");
            save(&flat, &path).expect("jpeg");
            assert_eq!(decode_file(&path, mode).expect("jpeg"), flat);
        }
        let error = save(
            &Image::filled(1, 1, 1, 0).expect("a size"),
            &directory.path().join("p.gif"),
        )
        .expect_err("gif");
        assert!(
            error.to_string().contains("expected a name ending in"),
            "{error}"
        );
    }
}
