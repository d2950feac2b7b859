//! Tensors in local memory, and the sizes they take there.

use tpuc_tensor::DType;

pub const LANES: u64 = 64;
/// Bytes of local memory in each lane.
pub const LANE_BYTES: u64 = 256 << 10;
/// A local address is a lane, shifted by this, and an offset in it.
const LANE_SHIFT: u32 = LANE_BYTES.trailing_zeros();
/// Aligned tensors start at, and their channel blocks are, multiples of this many bytes.
pub const EU_BYTES: u64 = 64;

/// How the elements of a channel block follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Rows without gaps, channel blocks at multiples of an EU row.
    Aligned,
    /// No gaps at all.
    Compact,
    /// Strides in elements of N, channel block, H, W; 0 repeats.
    Free([u32; 4]),
}

/// A tensor `[n, c, h, w]` in local memory, at `offset` of every lane from lane 0 on (parts of tensors start in the lane that
/// their offset says).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    pub offset: u64,
    pub shape: [u64; 4],
    pub dtype: DType,
    pub layout: Layout,
}

impl Local {
    pub fn aligned(offset: u64, shape: [u64; 4], dtype: DType) -> Local {
        Local { offset, shape, dtype, layout: Layout::Aligned }
    }

    pub fn with_layout(self, layout: Layout) -> Local {
        Local { layout, ..self }
    }

    pub fn with_shape(self, shape: [u64; 4]) -> Local {
        Local { shape, ..self }
    }

    /// A part of this aligned tensor of one image, from position `[0, c, h, w]` on.
    pub fn part(self, [_, channel, row, column]: [u64; 4], shape: [u64; 4]) -> Local {
        let [_, _, height, width] = self.shape;
        let size = self.dtype.size() as u64;
        let block = aligned_bytes(1, height * width, self.dtype);
        let offset = self.offset + ((channel % LANES) << LANE_SHIFT) + channel / LANES * block + (row * width + column) * size;
        let stride = (block / size) as u32;
        Local { offset, shape, layout: Layout::Free([stride, stride, width as u32, 1]), ..self }
    }
}

/// Bytes a lane of an aligned tensor with `c` channels of `plane` elements, for one N.
pub fn aligned_bytes(c: u64, plane: u64, dtype: DType) -> u64 {
    c.div_ceil(LANES) * (plane * dtype.size() as u64).next_multiple_of(EU_BYTES)
}

/// Hands out offsets in a half of local memory (or all of it).
#[derive(Debug, Clone)]
pub struct Arena {
    next: u64,
    end: u64,
}

impl Arena {
    pub fn new(start: u64, end: u64) -> Arena {
        Arena { next: start.next_multiple_of(EU_BYTES), end }
    }

    /// The offset of `bytes` further bytes, or `None` if they do not fit.
    pub fn take(&mut self, bytes: u64) -> Option<u64> {
        let at = self.next;
        let end = at.checked_add(bytes)?;
        if end > self.end {
            return None;
        }
        self.next = end.next_multiple_of(EU_BYTES);
        Some(at)
    }

    /// An aligned tensor of one N.
    pub fn tensor(&mut self, shape: [u64; 4], dtype: DType) -> Result<Local, String> {
        let bytes = shape[0] * aligned_bytes(shape[1], shape[2] * shape[3], dtype);
        let offset = self.take(bytes).ok_or_else(|| format!("a tile of {bytes} bytes a lane does not fit local memory"))?;
        Ok(Local::aligned(offset, shape, dtype))
    }
}

/// One of the two halves of local memory; tiles alternate between them.
pub fn half(turn: usize) -> Arena {
    let middle = LANE_BYTES / 2;
    if turn % 2 == 0 { Arena::new(0, middle) } else { Arena::new(middle, LANE_BYTES) }
}
