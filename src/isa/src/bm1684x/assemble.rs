//! A program of both engines in program order -> the two command streams of a group.

use super::access;
use super::encode::{encode_dma, encode_tiu};
use super::inst::*;
use crate::hazards::{Command, Engine, assign_dependencies};

/// An instruction of either engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inst {
    Tiu(Tiu),
    Dma(Dma),
}

impl Inst {
    pub const fn engine(&self) -> Engine {
        match self {
            Inst::Tiu(_) => Engine::Tiu,
            Inst::Dma(_) => Engine::Dma,
        }
    }
}

/// The command streams of a group, with their end commands, padded as the runtime wants them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streams {
    pub tiu: Vec<u8>,
    pub dma: Vec<u8>,
    /// Commands with the end command.
    pub tiu_count: u32,
    pub dma_count: u32,
}

/// Ids have 20 bits.
pub const MAX_COMMANDS: usize = (1 << 20) - 1;

/// Streams are padded with zeros to a multiple of this.
const STREAM_ALIGN: usize = 128;

/// A group has more commands than ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a group has {commands} {engine} commands, ids end at {MAX_COMMANDS}: split the program into groups")]
pub struct TooManyCommands {
    pub engine: &'static str,
    pub commands: usize,
}

/// Computes ids and waits of a program whose meaning is its order, encodes it, and ends both streams.
///
/// The program must not contain end commands.
pub fn assemble(program: &[Inst]) -> Result<Streams, TooManyCommands> {
    for engine in [Engine::Tiu, Engine::Dma] {
        let commands = program.iter().filter(|inst| inst.engine() == engine).count() + 1;
        if commands > MAX_COMMANDS {
            return Err(TooManyCommands { engine: engine.name(), commands });
        }
    }
    let footprint = |inst: &Inst| match inst {
        Inst::Tiu(tiu) => access::tiu(tiu),
        Inst::Dma(dma) => access::dma(dma),
    };
    let mut commands: Vec<Command> =
        program.iter().map(|inst| Command::new(inst.engine(), footprint(inst))).collect();
    assign_dependencies(&mut commands);

    let mut streams = Streams { tiu_count: 1, dma_count: 1, ..Streams::default() };
    for (inst, command) in program.iter().zip(&commands) {
        match inst {
            Inst::Tiu(tiu) => {
                streams.tiu.extend(encode_tiu(tiu, command.cmd_id, command.cmd_id_dep));
                streams.tiu_count += 1;
            }
            Inst::Dma(dma) => {
                streams.dma.extend(encode_dma(dma, command.cmd_id, command.cmd_id_dep));
                streams.dma_count += 1;
            }
        }
    }
    streams.tiu.extend(encode_tiu(&Tiu::Sys(Sys::END), streams.tiu_count, 0));
    streams.dma.extend(encode_dma(&Dma::Sys(DmaSys::END), streams.dma_count, 0));
    for stream in [&mut streams.tiu, &mut streams.dma] {
        stream.resize(stream.len().next_multiple_of(STREAM_ALIGN), 0);
    }
    Ok(streams)
}
