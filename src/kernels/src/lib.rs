//! CPU kernels on slices: float ones on oneDNN or in plain loops, integer ones exact to the bit. Nothing here knows graphs.
//!
//! Activations of convolutions and pools are *channels last* ([`Layout`]): `[N, spatial.., C]` in memory for a shape
//! `[N, C, spatial..]`. oneDNN is fastest there, and unlike its blocked layouts it has no padding, so elementwise loops and
//! statistics may run over the memory as it is.
//!
//! A kernel is *prepared* once (weights brought into oneDNN's order) and then runs any number of times, on several threads at
//! once, each with its own [`Workspace`]. [`threads`] says how many threads one run uses.

mod amx;
pub mod attention;
pub mod binary;
pub mod buffer;
pub mod cast;
pub mod conv;
pub mod cpu;
pub mod deconv;
pub mod elementwise;
mod erf;
mod formula;
mod half_float;
pub mod layout;
mod math;
pub mod matmul;
pub mod integer;
pub mod join;
pub mod norm;
mod onednn;
pub mod pad;
mod pointwise;
pub mod pool;
pub mod preprocess;
pub mod quantize;
pub mod reduce;
pub mod requant;
pub mod resize;
pub mod softmax;
pub mod table16;
pub mod strided;
pub mod threads;
mod tile;
pub mod unary;
mod unfold;

pub use buffer::{Buffer, Element};
pub use layout::Layout;
pub use onednn::{Activation, Workspace};

/// A kernel cannot be prepared or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    #[error("oneDNN failed {what}: status {status}")]
    OneDnn { what: &'static str, status: i32 },
    #[error("oneDNN is version {major}.{minor}, expected 2.6 or a later 2.x")]
    OneDnnVersion { major: i32, minor: i32 },
    #[error("a tensor of {found} dimensions is not supported")]
    Rank { found: usize },
    #[error("{what}: expected {expected}, found {found}")]
    Length { what: &'static str, expected: usize, found: usize },
    #[error("{bytes} bytes of memory could not be had")]
    Memory { bytes: usize },
    #[error("{0}")]
    Geometry(String),
}

/// An error unless a slice has the expected number of elements.
pub(crate) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Length { what, expected, found }) }
}

/// 8-bit integers to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ints<'a> {
    I8(&'a [i8]),
    U8(&'a [u8]),
}

/// 8-bit integers to be written.
#[derive(Debug, PartialEq)]
pub enum IntsMut<'a> {
    I8(&'a mut [i8]),
    U8(&'a mut [u8]),
}

impl Ints<'_> {
    pub fn len(&self) -> usize {
        match self {
            Ints::I8(v) => v.len(),
            Ints::U8(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Ints::I8(v) => buffer::bytes(v),
            Ints::U8(v) => v,
        }
    }
}

impl IntsMut<'_> {
    pub fn len(&self) -> usize {
        match self {
            IntsMut::I8(v) => v.len(),
            IntsMut::U8(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An 8-bit integer type.
pub trait Int8: Element {
    const MIN: i32;
    const MAX: i32;
    fn wide(self) -> i32;
    /// Of a value within `MIN..=MAX`.
    fn narrow(v: i32) -> Self;
}

impl Int8 for i8 {
    const MIN: i32 = -128;
    const MAX: i32 = 127;
    #[inline(always)]
    fn wide(self) -> i32 {
        i32::from(self)
    }
    #[inline(always)]
    fn narrow(v: i32) -> i8 {
        v as i8
    }
}

impl Int8 for u8 {
    const MIN: i32 = 0;
    const MAX: i32 = 255;
    #[inline(always)]
    fn wide(self) -> i32 {
        i32::from(self)
    }
    #[inline(always)]
    fn narrow(v: i32) -> u8 {
        v as u8
    }
}
