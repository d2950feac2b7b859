//! The ancillary PNG chunks that change what a reader makes of the pixels: `gAMA`, `sRGB` and `eXIf`.

/// The exponent of sRGB, times 100000.
pub const SRGB_GAMMA: u32 = 45455;

/// Whether an ICC profile is the one of Hewlett-Packard and Microsoft for sRGB, which many programs embed and libpng knows by its
/// checksum. Other profiles do not change what libpng does with the pixels.
pub fn is_srgb_profile(profile: &[u8]) -> bool {
    profile.len() == 3144 && crc32fast::hash(profile) == 0x182e_a552
}

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
        let Some(body) = at
            .checked_add(8 + length)
            .and_then(|end| bytes.get(at + 8..end))
        else {
            break;
        };
        match &head[4..8] {
            b"IDAT" => before_pixels = false,
            b"IEND" => break,
            b"sRGB" if before_pixels => {
                srgb = true;
                info.gamma = Some(SRGB_GAMMA);
            }
            b"gAMA" if before_pixels && !srgb => {
                info.gamma = body
                    .try_into()
                    .ok()
                    .map(u32::from_be_bytes)
                    .filter(|&gamma| gamma > 0);
            }
            b"eXIf" => info.exif = Some(body),
            _ => {}
        }
        at += 12 + length;
    }
    info
}
