//! The EXIF orientation tag (TIFF tag 0x0112): finding it and turning the picture upright.

use crate::image::Image;

/// The orientation (1 to 8) that a TIFF-structured EXIF block states; 1 when it states none or is damaged, because a damaged
/// block says nothing about the pixels.
pub fn parse(tiff: &[u8]) -> u32 {
    let fields = match exif::Reader::new()
        .continue_on_error(true)
        .read_raw(tiff.to_vec())
    {
        Ok(fields) => fields,
        Err(exif::Error::PartialResult(partial)) => partial.into_inner().0,
        Err(_) => return 1,
    };
    fields
        .get_field(exif::Tag::Orientation, exif::In::PRIMARY)
        .and_then(|field| field.value.get_uint(0))
        .filter(|orientation| (1..=8).contains(orientation))
        .unwrap_or(1)
}

/// The EXIF block (without its `Exif\0\0` mark) of JPEG data: the first APP1 segment before the scan, if that is EXIF.
pub fn find_in_jpeg(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        // Any number of 0xFF fill bytes may stand before a marker.
        while *bytes.get(at)? == 0xFF && *bytes.get(at + 1)? == 0xFF {
            at += 1;
        }
        if *bytes.get(at)? != 0xFF {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        if marker == 0xDA || marker == 0xD9 {
            return None;
        }
        if marker == 0x01 || (0xD0..=0xD7).contains(&marker) {
            at += 2;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([
            *bytes.get(at + 2)?,
            *bytes.get(at + 3)?,
        ]));
        let segment = bytes.get(at + 4..at + 2 + length.max(2))?;
        if marker == 0xE1 {
            return segment.strip_prefix(b"Exif\0\0");
        }
        at += 2 + length.max(2);
    }
}

/// The picture turned upright.
pub fn apply(image: Image, orientation: u32) -> Image {
    let (w, h, c) = (image.width(), image.height(), image.channels());
    // Where the output pixel (x, y) comes from: start + x * step_x + y * step_y, in pixels of the stored picture.
    let (iw, ih) = (w as isize, h as isize);
    let (start, step_x, step_y, transposed) = match orientation {
        2 => (iw - 1, -1, iw, false),
        3 => (iw * ih - 1, -1, -iw, false),
        4 => ((ih - 1) * iw, 1, -iw, false),
        5 => (0, iw, 1, true),
        6 => ((ih - 1) * iw, -iw, 1, true),
        7 => (iw * ih - 1, -iw, -1, true),
        8 => (iw - 1, iw, -1, true),
        _ => return image,
    };
    let (out_w, out_h) = if transposed { (h, w) } else { (w, h) };
    let source = image.data();
    let mut out = Vec::with_capacity(source.len());
    for y in 0..out_h as isize {
        for x in 0..out_w as isize {
            let at = (start + x * step_x + y * step_y) as usize * c;
            out.extend_from_slice(&source[at..at + c]);
        }
    }
    Image::new(out_w, out_h, c, out).unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_orientations_of_a_2x3_picture() {
        // Stored rows: 1 2 / 3 4 / 5 6
        let expected: [(u32, usize, [u8; 6]); 8] = [
            (1, 2, [1, 2, 3, 4, 5, 6]),
            (2, 2, [2, 1, 4, 3, 6, 5]),
            (3, 2, [6, 5, 4, 3, 2, 1]),
            (4, 2, [5, 6, 3, 4, 1, 2]),
            (5, 3, [1, 3, 5, 2, 4, 6]),
            (6, 3, [5, 3, 1, 6, 4, 2]),
            (7, 3, [6, 4, 2, 5, 3, 1]),
            (8, 3, [2, 4, 6, 1, 3, 5]),
        ];
        for (orientation, width, data) in expected {
            let image = Image::new(2, 3, 1, vec![1, 2, 3, 4, 5, 6]).expect("sizes agree");
            let turned = apply(image, orientation);
            assert_eq!(
                (turned.width(), turned.data()),
                (width, &data[..]),
                "orientation {orientation}"
            );
        }
    }

    #[test]
    fn damaged_blocks_mean_upright() {
        assert_eq!(parse(b""), 1);
        assert_eq!(parse(b"II*\0\xff\xff\xff\xff"), 1);
        assert_eq!(find_in_jpeg(b"\xff\xd8\xff\xe1\xff"), None);
        assert_eq!(find_in_jpeg(b"\xff\xd8\xff\xe1\x00\x00Exif"), None);
    }
}
