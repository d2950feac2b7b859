//! A decoded picture and the errors of this crate's picture work.

use std::path::PathBuf;
use tpuc_tensor::file::FileError;

/// An 8-bit picture, rows from top to bottom without padding, channels interleaved.
///
/// `channels` is 1 (gray), 3 (blue, green, red) or 4 (blue, green, red, alpha).
/// `data.len() == width * height * channels` always holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    data: Vec<u8>,
}

impl Image {
    /// A picture from its bytes; `None` if the sizes disagree, a side is 0, or `channels` is not 1, 3 or 4.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Option<Image> {
        let len = width.checked_mul(height)?.checked_mul(channels)?;
        (matches!(channels, 1 | 3 | 4) && len > 0 && len == data.len()).then_some(Image {
            width,
            height,
            channels,
            data,
        })
    }

    /// A picture of one value; the sizes must be what [`Image::new`] takes.
    pub fn filled(width: usize, height: usize, channels: usize, value: u8) -> Option<Image> {
        let len = width.checked_mul(height)?.checked_mul(channels)?;
        Image::new(width, height, channels, vec![value; len])
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The bytes of row `y`, which must be below `height`.
    pub fn row(&self, y: usize) -> &[u8] {
        let stride = self.width * self.channels;
        &self.data[y * stride..(y + 1) * stride]
    }
}

/// A picture could not be decoded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}: not a picture that can be read: {found}; expected JPEG, PNG or BMP data", path.display())]
    UnknownFormat { path: PathBuf, found: String },
    #[error("{}: bad {format} data: {reason}", path.display())]
    Decode {
        path: PathBuf,
        format: &'static str,
        reason: String,
    },
    #[error("{}: {width}x{height} pixels are more than the limit of {max_side} a side and {max_pixels} in all", path.display())]
    TooLarge {
        path: PathBuf,
        width: u64,
        height: u64,
        max_side: u64,
        max_pixels: u64,
    },
    #[error("{}: cannot write a picture to a file of this kind; expected a name ending in .png, .jpg or .jpeg", path.display())]
    UnknownExtension { path: PathBuf },
    #[error("{}: cannot encode: {reason}", path.display())]
    Encode { path: PathBuf, reason: String },
}
