//! The memories of a simulated BM1684X: local memory of 64 lanes, external memory, on-chip memory, static memory.

use super::CHIP;

/// Bytes of a lane.
pub const LANE: usize = CHIP.lane_bytes as usize;
const LANES: usize = CHIP.lanes as usize;

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
    pub l2: Vec<u8>,
    pub statics: Vec<u8>,
}

/// The most external memory that a file can ask for.
const MAX_GLOBAL: u64 = 8 << 30;

impl Memory {
    /// External memory reaches up to `end`.
    pub fn new(end: u64) -> Result<Memory> {
        let bytes = end.saturating_sub(CHIP.global_base);
        if bytes > MAX_GLOBAL {
            return Err(ExecuteError::Operand(format!("{bytes} bytes of external memory are more than the chip has")));
        }
        Ok(Memory { local: vec![0; LANE * LANES], global: vec![0; bytes as usize], l2: Vec::new(), statics: vec![0; CHIP.static_bytes as usize] })
    }

    /// The bytes of one lane.
    pub fn lane(&self, lane: usize) -> &[u8] {
        &self.local[lane * LANE..(lane + 1) * LANE]
    }

    fn span(address: u64, bytes: u64, base: u64, length: usize) -> Option<usize> {
        let at = address.checked_sub(base)?;
        (at.checked_add(bytes)? <= length as u64).then_some(at as usize)
    }

    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<()> {
        let bytes = out.len() as u64;
        let source = if let Some(at) = Memory::span(address, bytes, CHIP.global_base, self.global.len()) {
            &self.global[at..at + out.len()]
        } else if let Some(at) = Memory::span(address, bytes, CHIP.dma_local_base, self.local.len()) {
            &self.local[at..at + out.len()]
        } else if let Some(at) = Memory::span(address, bytes, CHIP.l2_base, self.l2.len()) {
            &self.l2[at..at + out.len()]
        } else {
            return Err(ExecuteError::Address { what: "a read", address, bytes });
        };
        out.copy_from_slice(source);
        Ok(())
    }

    pub fn write(&mut self, address: u64, data: &[u8]) -> Result<()> {
        let bytes = data.len() as u64;
        if address >= CHIP.l2_base && address < CHIP.l2_base + CHIP.l2_bytes && self.l2.is_empty() {
            self.l2 = vec![0; CHIP.l2_bytes as usize];
        }
        let dest = if let Some(at) = Memory::span(address, bytes, CHIP.global_base, self.global.len()) {
            &mut self.global[at..at + data.len()]
        } else if let Some(at) = Memory::span(address, bytes, CHIP.dma_local_base, self.local.len()) {
            &mut self.local[at..at + data.len()]
        } else if let Some(at) = Memory::span(address, bytes, CHIP.l2_base, self.l2.len()) {
            &mut self.l2[at..at + data.len()]
        } else {
            return Err(ExecuteError::Address { what: "a write", address, bytes });
        };
        dest.copy_from_slice(data);
        Ok(())
    }
}
