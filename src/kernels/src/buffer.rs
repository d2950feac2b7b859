//! Element types that kernels compute with, and memory that is reused between element types.

use half::{bf16, f16};

/// A plain number: any bit pattern is a value, there is no padding.
///
/// # Safety
/// Implementers are `Copy`, have no padding bytes, no invalid bit patterns and an alignment of at most 64.
pub unsafe trait Element: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + 'static {}

// SAFETY: primitive numbers and the `repr(transparent)` halves.
unsafe impl Element for f32 {}
unsafe impl Element for f64 {}
unsafe impl Element for i8 {}
unsafe impl Element for u8 {}
unsafe impl Element for i16 {}
unsafe impl Element for u16 {}
unsafe impl Element for i32 {}
unsafe impl Element for u32 {}
unsafe impl Element for i64 {}
unsafe impl Element for u64 {}
unsafe impl Element for f16 {}
unsafe impl Element for bf16 {}

/// The bytes of a slice of numbers.
pub fn bytes<T: Element>(slice: &[T]) -> &[u8] {
    // SAFETY: `Element` has no padding; the length is that of the slice in bytes.
    unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), size_of_val(slice)) }
}

/// The bytes of a slice of numbers, to be written.
pub fn bytes_mut<T: Element>(slice: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and every bit pattern is a value.
    unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast(), size_of_val(slice)) }
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Memory aligned to a cache line, seen as any element type.
#[derive(Default, Clone)]
pub struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    pub fn with_bytes(bytes: usize) -> Buffer {
        Buffer { lines: vec![Line([0; 64]); bytes.div_ceil(64)] }
    }

    /// As [`Buffer::with_bytes`], with an error where there is not so much memory.
    pub fn try_with_bytes(bytes: usize) -> Result<Buffer, crate::KernelError> {
        let mut lines = Vec::new();
        lines.try_reserve_exact(bytes.div_ceil(64)).map_err(|_| crate::KernelError::Memory { bytes })?;
        lines.resize(bytes.div_ceil(64), Line([0; 64]));
        Ok(Buffer { lines })
    }

    /// Grows to at least this many bytes; what it held stays.
    pub fn reserve_bytes(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(64);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; 64]));
        }
    }

    pub fn byte_count(&self) -> usize {
        self.lines.len() * 64
    }

    /// The first `count` elements; fewer if it holds fewer.
    pub fn slice<T: Element>(&self, count: usize) -> &[T] {
        let count = count.min(self.byte_count() / size_of::<T>());
        // SAFETY: aligned to 64, within the allocation, and every bit pattern is a `T`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), count) }
    }

    /// The first `count` elements, to be written; fewer if it holds fewer.
    pub fn slice_mut<T: Element>(&mut self, count: usize) -> &mut [T] {
        let count = count.min(self.byte_count() / size_of::<T>());
        // SAFETY: as above, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), count) }
    }

    /// Grows if need be, and gives the first `count` elements to be written.
    pub fn grown<T: Element>(&mut self, count: usize) -> &mut [T] {
        self.reserve_bytes(count * size_of::<T>());
        self.slice_mut(count)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.byte_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_memory_many_types() {
        let mut buffer = Buffer::with_bytes(65);
        assert_eq!(buffer.byte_count(), 128);
        buffer.slice_mut::<f32>(2).copy_from_slice(&[1.0, -2.0]);
        assert_eq!(buffer.slice::<u32>(2), [0x3f80_0000, 0xc000_0000]);
        assert_eq!(buffer.slice::<f32>(1000).len(), 32);
        assert_eq!(buffer.grown::<i64>(100).len(), 100);
        assert_eq!(buffer.slice::<f32>(2), [1.0, -2.0]);
        assert_eq!(bytes(&[1u16, 2]), [1, 0, 2, 0]);
    }
}
