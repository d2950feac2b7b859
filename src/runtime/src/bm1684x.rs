//! The BM1684X as a [`Processor`]: the instruction set's executor behind the simulator.

use crate::simulator::{Decoded, Machine, Processor};
use crate::static_memory::static_memory;
use tpuc_isa::bm1684x::{self, Dma, Header, Tiu, decode_dma, decode_tiu, execute};

/// Runs bmodels of the BM1684X in this process.
pub type Simulator = Machine<Bm1684x>;

/// A simulated BM1684X.
pub struct Bm1684x {
    machine: execute::Machine,
}

fn decoded<C>((header, command): (Header, C)) -> Decoded<C> {
    // Without the enable bit an engine does not look at the ids.
    let waits = if header.cmd_id_en == 0 { 0 } else { header.cmd_id_dep as usize };
    Decoded { command, length: header.length, waits }
}

impl Processor for Bm1684x {
    const CHIP: &'static str = bm1684x::CHIP.name;
    type Tiu = Tiu;
    type Dma = Dma;

    fn new(memory_end: u64) -> Result<Bm1684x, String> {
        let mut machine = execute::Machine::new(memory_end).map_err(|e| e.to_string())?;
        let statics = static_memory();
        let bytes = statics.len().min(machine.memory.statics.len());
        machine.memory.statics[..bytes].copy_from_slice(&statics[..bytes]);
        Ok(Bm1684x { machine })
    }

    fn decode_tiu(stream: &[u8]) -> Result<Decoded<Tiu>, String> {
        decode_tiu(stream).map(decoded).map_err(|e| e.to_string())
    }

    fn decode_dma(stream: &[u8]) -> Result<Decoded<Dma>, String> {
        decode_dma(stream).map(decoded).map_err(|e| e.to_string())
    }

    fn write_global(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        self.machine.memory.write(address, bytes).map_err(|e| e.to_string())
    }

    fn read_global(&self, address: u64, size: usize) -> Result<Vec<u8>, String> {
        let mut out = vec![0; size];
        self.machine.memory.read(address, &mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }

    fn execute_tiu(&mut self, command: &Tiu) -> Result<(), String> {
        self.machine.execute_tiu(command).map_err(|e| e.to_string())
    }

    fn execute_dma(&mut self, command: &Dma) -> Result<(), String> {
        self.machine.execute_dma(command).map_err(|e| e.to_string())
    }
}
