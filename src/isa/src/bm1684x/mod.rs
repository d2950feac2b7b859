//! The BM1684X: one core, 64 lanes of 256 KiB, two in-order engines.
//!
//! The *TIU* computes on local memory, the *DMA* engine moves tensors between local, external and on-chip memory.
//! A command carries its own number in its engine's queue (`cmd_id`, from 1) and the number of commands of the other
//! queue that must be complete before it starts (`cmd_id_dep`).

pub mod access;
pub mod assemble;
pub mod check;
pub mod cost;
pub mod decode;
pub mod encode;
pub mod execute;
pub mod fields;
pub mod inst;
pub mod kind;
pub mod print;
pub mod memory;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vendor_tests;

pub use check::{Violation, check_dma, check_tiu};
pub use assemble::{AssembleError, Inst, Streams, TooManyCommands, assemble};
pub use decode::{DecodeError, decode_dma, decode_tiu};
pub use encode::{EncodeError, encode_dma, encode_tiu, try_encode_dma, try_encode_tiu};
pub use inst::*;

use crate::ChipDesc;

/// The sizes and memory map of the BM1684X.
pub const CHIP: ChipDesc = ChipDesc {
    name: "BM1684X",
    lanes: 64,
    lane_bytes: 256 << 10,
    banks: 16,
    bank_bytes: 16 << 10,
    eu_bytes: 64,
    clock_hz: 1_000_000_000,
    dma_local_base: 0x800_0000,
    static_base: 0x900_0000,
    static_bytes: 16 << 10,
    l2_base: 0x1000_0000,
    l2_bytes: 0x1F_B000,
    global_base: 0x1_0000_0000,
};

/// The lane that a TIU address lies in.
pub const fn lane_of(addr: u32) -> u32 {
    addr / CHIP.lane_bytes
}

/// The byte inside its lane that a TIU address means.
pub const fn offset_of(addr: u32) -> u32 {
    addr % CHIP.lane_bytes
}

/// The TIU address of byte `offset` of lane `lane`.
pub const fn local_address(lane: u32, offset: u32) -> u32 {
    lane * CHIP.lane_bytes + offset
}
