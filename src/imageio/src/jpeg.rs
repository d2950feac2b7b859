//! JPEG data -> pixels through libjpeg-turbo's TurboJPEG C API: accurate integer DCT and smooth chroma upsampling, the
//! library's defaults, which is also what OpenCV decodes with.
//!
//! The only unsafe code of this crate is here. Invariants: a handle is made, used and destroyed by one
//! [`Decompressor`], which is neither `Send` nor `Sync`; the output buffer holds `width * height * channels` bytes
//! where width and height are passed to the library, which never writes a larger picture than it was told.

use std::ffi::CStr;
use turbojpeg::raw;

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub width: usize,
    pub height: usize,
    /// Four ink channels (CMYK or YCCK) instead of gray, YCbCr or RGB.
    pub is_cmyk: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Gray,
    Bgr,
    Bgra,
    Cmyk,
}

impl Layout {
    pub fn channels(self) -> usize {
        match self {
            Layout::Gray => 1,
            Layout::Bgr => 3,
            Layout::Bgra | Layout::Cmyk => 4,
        }
    }
}

pub struct Decompressor {
    handle: raw::tjhandle,
}

impl Decompressor {
    pub fn new() -> Result<Decompressor, String> {
        // SAFETY: no arguments; a null result is checked.
        let handle = unsafe { raw::tjInitDecompress() };
        if handle.is_null() {
            return Err("libturbojpeg cannot be started".into());
        }
        Ok(Decompressor { handle })
    }

    /// Reads the header up to the first scan.
    pub fn header(&mut self, bytes: &[u8]) -> Result<Header, String> {
        let (mut width, mut height, mut subsampling, mut colorspace) = (0, 0, 0, -1);
        // SAFETY: the pointers are to live locals and to `bytes`, whose length is passed.
        let status = unsafe {
            raw::tjDecompressHeader3(
                self.handle,
                bytes.as_ptr(),
                bytes.len() as _,
                &mut width,
                &mut height,
                &mut subsampling,
                &mut colorspace,
            )
        };
        // An unusual chroma subsampling is reported as a failure although such data decode well; the sizes are set then.
        if status != 0 && (width <= 0 || height <= 0) {
            return Err(self.message());
        }
        let (width, height) = (
            usize::try_from(width).unwrap_or(0),
            usize::try_from(height).unwrap_or(0),
        );
        if width == 0 || height == 0 {
            return Err("the header states no size".into());
        }
        let is_cmyk =
            colorspace == raw::TJCS_TJCS_CMYK as i32 || colorspace == raw::TJCS_TJCS_YCCK as i32;
        Ok(Header {
            width,
            height,
            is_cmyk,
        })
    }

    /// Decodes the whole picture into `height` rows of `width * channels` bytes.
    ///
    /// Damaged data that the library can still make a picture of (missing end, superfluous bytes) are no error: real photo
    /// collections have them.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        width: usize,
        height: usize,
        layout: Layout,
    ) -> Result<Vec<u8>, String> {
        let (c_width, c_height) = match (i32::try_from(width), i32::try_from(height)) {
            (Ok(w), Ok(h)) if w > 0 && h > 0 && w <= i32::MAX / 4 => (w, h),
            _ => return Err("the picture is too large".into()),
        };
        let len = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(layout.channels()))
            .ok_or("the picture is too large")?;
        let mut pixels = vec![0u8; len];
        let format = match layout {
            Layout::Gray => raw::TJPF_TJPF_GRAY,
            Layout::Bgr => raw::TJPF_TJPF_BGR,
            Layout::Bgra => raw::TJPF_TJPF_BGRA,
            Layout::Cmyk => raw::TJPF_TJPF_CMYK,
        };
        // SAFETY: `pixels` holds c_height rows of c_width pixels of this format at the pitch that is passed.
        let status = unsafe {
            raw::tjDecompress2(
                self.handle,
                bytes.as_ptr(),
                bytes.len() as _,
                pixels.as_mut_ptr(),
                c_width,
                c_width * layout.channels() as i32,
                c_height,
                format as _,
                // A file with thousands of empty progressive scans would otherwise keep us busy for hours.
                raw::TJFLAG_LIMITSCANS as _,
            )
        };
        // SAFETY: the handle is live.
        if status != 0
            && unsafe { raw::tjGetErrorCode(self.handle) } != raw::TJERR_TJERR_WARNING as i32
        {
            return Err(self.message());
        }
        Ok(pixels)
    }

    fn message(&mut self) -> String {
        // SAFETY: the library returns a NUL-terminated string owned by the live handle.
        unsafe { CStr::from_ptr(raw::tjGetErrorStr2(self.handle)) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: made by tjInitDecompress and not used afterwards.
        unsafe {
            raw::tjDestroy(self.handle);
        }
    }
}
