//! The memories of a simulated BM1684X: local memory of 64 lanes, external memory, on-chip memory, static memory.

use super::CHIP;
use std::alloc;

/// Bytes of a lane.
pub const LANE: usize = CHIP.lane_bytes as usize;
/// Number of lanes.
pub const LANES: usize = CHIP.lanes as usize;

/// An access outside of the memory that there is, or one that no engine can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    #[error("{what} reaches byte {end} of a lane, which has {LANE}")]
    Local { what: &'static str, end: u64 },
    #[error("{what} at {address:#x} ({bytes} bytes) is outside of every memory")]
    Address { what: &'static str, address: u64, bytes: u64 },
    #[error("{0} is not simulated")]
    Unsupported(String),
    #[error("{0}")]
    Operand(String),
}

pub type Result<T> = std::result::Result<T, ExecuteError>;

/// What the two engines work on.
pub struct Memory {
    /// Lane after lane.
    pub local: Vec<u8>,
    /// External memory from `CHIP.global_base` on.
    pub global: Vec<u8>,
    /// Empty until something is written there.
    pub l2: Vec<u8>,
    pub statics: Vec<u8>,
}

/// The most external memory that a file can ask for.
const MAX_GLOBAL: u64 = 8 << 30;

/// Zeroed memory whose pages the system provides when they are touched; `None` where there is not that much.
fn zeroed(bytes: usize) -> Option<Vec<u8>> {
    if bytes == 0 {
        return Some(Vec::new());
    }
    let layout = alloc::Layout::array::<u8>(bytes).ok()?;
    // SAFETY: the layout is not empty; a vector of that length and capacity, of the same alignment, owns the allocation.
    unsafe {
        let start = alloc::alloc_zeroed(layout);
        (!start.is_null()).then(|| Vec::from_raw_parts(start, bytes, bytes))
    }
}

/// A place in one of the memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Global(usize),
    Local(usize),
    L2(usize),
}

impl Memory {
    /// External memory reaches up to `end`.
    pub fn new(end: u64) -> Result<Memory> {
        let bytes = end.saturating_sub(CHIP.global_base);
        let too_much = || ExecuteError::Operand(format!("{bytes} bytes of external memory are more than there is"));
        if bytes > MAX_GLOBAL {
            return Err(too_much());
        }
        let local = zeroed(LANE * LANES).ok_or_else(too_much)?;
        let global = zeroed(bytes as usize).ok_or_else(too_much)?;
        Ok(Memory { local, global, l2: Vec::new(), statics: vec![0; CHIP.static_bytes as usize] })
    }

    /// The bytes of one lane.
    pub fn lane(&self, lane: usize) -> &[u8] {
        &self.local[lane * LANE..(lane + 1) * LANE]
    }

    /// The bytes of one lane, to write.
    pub fn lane_mut(&mut self, lane: usize) -> &mut [u8] {
        &mut self.local[lane * LANE..(lane + 1) * LANE]
    }

    /// Where `bytes` bytes at an address of the DMA's memory map lie.
    pub fn place(&self, what: &'static str, address: u64, bytes: u64) -> Result<Place> {
        let span = |base: u64, length: u64| {
            let at = address.checked_sub(base)?;
            (at.checked_add(bytes)? <= length).then_some(at as usize)
        };
        if let Some(at) = span(CHIP.global_base, self.global.len() as u64) {
            return Ok(Place::Global(at));
        }
        if let Some(at) = span(CHIP.dma_local_base, self.local.len() as u64) {
            return Ok(Place::Local(at));
        }
        match span(CHIP.l2_base, CHIP.l2_bytes) {
            Some(at) => Ok(Place::L2(at)),
            None => Err(ExecuteError::Address { what, address, bytes }),
        }
    }

    /// The on-chip memory, from its first use on.
    pub fn l2_mut(&mut self) -> &mut [u8] {
        if self.l2.is_empty() {
            self.l2 = vec![0; CHIP.l2_bytes as usize];
        }
        &mut self.l2
    }

    /// Copies bytes out of the memory map.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<()> {
        let length = out.len();
        match self.place("a read", address, length as u64)? {
            Place::Global(at) => out.copy_from_slice(&self.global[at..at + length]),
            Place::Local(at) => out.copy_from_slice(&self.local[at..at + length]),
            Place::L2(_) if self.l2.is_empty() => out.fill(0),
            Place::L2(at) => out.copy_from_slice(&self.l2[at..at + length]),
        }
        Ok(())
    }

    /// Copies bytes into the memory map.
    pub fn write(&mut self, address: u64, data: &[u8]) -> Result<()> {
        let dest = match self.place("a write", address, data.len() as u64)? {
            Place::Global(at) => &mut self.global[at..at + data.len()],
            Place::Local(at) => &mut self.local[at..at + data.len()],
            Place::L2(at) => &mut self.l2_mut()[at..at + data.len()],
        };
        dest.copy_from_slice(data);
        Ok(())
    }
}
