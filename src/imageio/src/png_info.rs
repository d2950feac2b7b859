//! The ancillary PNG chunks that change what a reader makes of the pixels: `gAMA`, `sRGB` and `eXIf`.

/// What stands before (gamma) or anywhere beside (EXIF) the pixel data.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PngInfo<'a> {
    /// The file's gamma exponent times 100000, as in the `gAMA` chunk; 45455 for sRGB.
    pub gamma: Option<u32>,
    /// A TIFF-structured EXIF block.
    pub exif: Option<&'a [u8]>,
}

/// Walks the chunks; damage ends the walk silently, since the decoder reports it better.
pub fn scan(bytes: &[u8]) -> PngInfo<'_> {
    let mut info = PngInfo::default();
    let mut at = 8;
    let mut before_pixels = true;
    let mut srgb = false;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(body) = at.checked_add(8 + length).and_then(|end| bytes.get(at + 8..end)) else { break };
        match &head[4..8] {
            b"IDAT" => before_pixels = false,
            b"IEND" => break,
            b"sRGB" if before_pixels => {
                srgb = true;
                info.gamma = Some(45455);
            }
            b"gAMA" if before_pixels && !srgb => {
                info.gamma = body.try_into().ok().map(u32::from_be_bytes).filter(|&gamma| gamma > 0);
            }
            b"eXIf" => info.exif = Some(body),
            _ => {}
        }
        at += 12 + length;
    }
    info
}
