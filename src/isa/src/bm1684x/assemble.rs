//! A program of both engines in program order -> the two command streams of a group.

use super::access;
use super::encode::{EncodeError, encode_dma, encode_tiu, try_encode_dma, try_encode_tiu};
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

/// Why a program has no streams.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    TooManyCommands(#[from] TooManyCommands),
    /// `command` counts from 0 in its engine's queue.
    #[error("{engine} command {command}: {source}")]
    DoesNotFit { engine: &'static str, command: u32, source: EncodeError },
}

/// Computes ids and waits of a program whose meaning is its order, encodes it, and ends both streams.
///
/// The program must not contain end commands. Nothing is cut: a value that its field can't hold is an error. Whether the
/// instructions are legal is [`super::check`]'s to say.
pub fn assemble(program: &[Inst]) -> Result<Streams, AssembleError> {
    for engine in [Engine::Tiu, Engine::Dma] {
        let commands = program.iter().filter(|inst| inst.engine() == engine).count() + 1;
        if commands > MAX_COMMANDS {
            return Err(TooManyCommands { engine: engine.name(), commands }.into());
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
        let (cmd_id, dep) = (command.cmd_id, command.cmd_id_dep);
        match inst {
            Inst::Tiu(tiu) => {
                streams.tiu.extend(try_encode_tiu(tiu, cmd_id, dep).map_err(|e| does_not_fit(command, e))?);
                streams.tiu_count += 1;
            }
            Inst::Dma(dma) => {
                streams.dma.extend(try_encode_dma(dma, cmd_id, dep).map_err(|e| does_not_fit(command, e))?);
                streams.dma_count += 1;
            }
        }
    }
    // Their ids fit: they are the counts that were checked above.
    streams.tiu.extend(encode_tiu(&Tiu::Sys(Sys::END), streams.tiu_count, 0));
    streams.dma.extend(encode_dma(&Dma::Sys(DmaSys::END), streams.dma_count, 0));
    for stream in [&mut streams.tiu, &mut streams.dma] {
        stream.resize(stream.len().next_multiple_of(STREAM_ALIGN), 0);
    }
    Ok(streams)
}

fn does_not_fit(command: &Command, source: EncodeError) -> AssembleError {
    AssembleError::DoesNotFit { engine: command.engine.name(), command: command.cmd_id.saturating_sub(1), source }
}
