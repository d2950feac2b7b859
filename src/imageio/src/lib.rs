//! Pictures as network inputs: decoding, resizing, preprocessing, and which files are calibration samples.
//!
//! Everything up to the normalization is 8-bit integer work and gives the bytes that OpenCV 4.8 gives, so that
//! activations and thresholds can be compared with tools that load their pictures through OpenCV.
//!
//! * [`decode`]: a JPEG, PNG or BMP file -> [`Image`]
//! * [`resize`]: bilinear resizing of an [`Image`]
//! * [`preprocess`]: a picture -> the float32 tensor of a network input
//! * [`samples`]: a directory or a list file -> the samples in calibration order, and loading them
//! * [`annotate`]: text on a picture, and saving it

pub mod annotate;
pub mod decode;
mod exif_orientation;
pub mod image;
mod jpeg;
mod png_info;
pub mod preprocess;
pub mod python_random;
pub mod resize;
pub mod resize_pillow;
pub mod samples;
pub mod yuv;

pub use crate::image::{Image, ImageError};
pub use decode::{ColorMode, Limits};
pub use preprocess::{
    ChannelFormat, KeepRatioMode, PadType, PixelFormat, Preprocess, PreprocessError, Resizer,
};
pub use samples::{Loader, NetInput, SampleError, SampleKind, Samples};
