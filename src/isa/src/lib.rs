//! Instruction sets of the Sophgo TPUs: what an instruction is, its bits, its text, its legality, its cost.
//!
//! A chip is a module ([`bm1684x`]). Its heart is a semantic record for each instruction (`inst`), with a table of bit
//! fields (`fields`) between the records and the words. Codegen builds records and encodes them; the simulator, the
//! disassembler, the checker and the cost model read records, whether they come from codegen or from a file.
//! [`hazards`] works on what instructions read and write, so it is the same for every chip.

pub mod bm1684x;
pub mod hazards;

/// The sizes of a chip that tiling, allocation and checks depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChipDesc {
    /// The chip's name in a bmodel.
    pub name: &'static str,
    /// Number of lanes (NPUs): each has its own local memory and works on its own channels.
    pub lanes: u32,
    /// Bytes of local memory in a lane.
    pub lane_bytes: u32,
    /// Banks that a lane's memory is made of; two streams of one instruction in one bank slow each other down.
    pub banks: u32,
    /// Bytes of a bank.
    pub bank_bytes: u32,
    /// Bytes that a lane's execution units take at once; the start of an aligned tensor is a multiple of it.
    pub eu_bytes: u32,
    /// Clock of the engines in Hz, to turn cycles into seconds.
    pub clock_hz: u64,
    /// Where the DMA engine sees lane 0's first byte.
    pub dma_local_base: u64,
    /// Bytes of the read-only memory that the TIU can broadcast from, and where the TIU sees it.
    pub static_base: u32,
    pub static_bytes: u32,
    /// On-chip memory that all lanes and the DMA engine share.
    pub l2_base: u64,
    pub l2_bytes: u64,
    /// First address of the external memory.
    pub global_base: u64,
}

impl ChipDesc {
    /// Execution units of a lane for elements of `bytes` bytes: the elements of one row.
    pub const fn eu_elements(&self, bytes: u32) -> u32 {
        self.eu_bytes / bytes
    }

    /// Bytes of the local memory of all lanes.
    pub const fn local_bytes(&self) -> u64 {
        self.lanes as u64 * self.lane_bytes as u64
    }
}
