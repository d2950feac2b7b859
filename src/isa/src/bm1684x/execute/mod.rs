//! What every instruction does, bit for bit. [`Machine`] is a chip that executes one command after the other; order and
//! dependencies are its caller's affair.

mod arith;
mod conv;
mod conv_float;
mod dma;
mod lanes;
mod matmul;
mod matmul_float;
mod pool;
mod requant;
mod round;
mod special;
mod table;
mod view;

use super::memory::{ExecuteError, Memory, Result};
use super::{Dma, Tiu};

/// A simulated chip.
pub struct Machine {
    pub memory: Memory,
}

impl Machine {
    /// A chip whose external memory reaches up to `end`.
    pub fn new(end: u64) -> Result<Machine> {
        Ok(Machine { memory: Memory::new(end)? })
    }

    pub fn execute_tiu(&mut self, inst: &Tiu) -> Result<()> {
        match inst {
            Tiu::Conv(i) => conv::run(&mut self.memory, i),
            Tiu::PorD(i) => pool::run(&mut self.memory, i),
            Tiu::Ar(i) => arith::run(&mut self.memory, i),
            Tiu::Rq(i) => requant::run(&mut self.memory, i),
            Tiu::Dq(i) => requant::run_dequant(&mut self.memory, i),
            Tiu::Mm2(i) => matmul::run(&mut self.memory, i),
            Tiu::Sg(i) => table::run(&mut self.memory, i),
            Tiu::TransBc(i) => lanes::run(&mut self.memory, i),
            Tiu::Sys(_) => Ok(()),
            Tiu::Mm(i) => matmul::run_mm(&mut self.memory, i),
            Tiu::Sgl(_) => unsupported("sgl"),
            Tiu::Lar(_) => unsupported("lar"),
            Tiu::Sfu(i) => special::run_sfu(&mut self.memory, i),
            Tiu::Lin(i) => special::run_lin(&mut self.memory, i),
            Tiu::Cmp(i) => unsupported(i.function.name()),
            Tiu::Vc(i) => unsupported(i.function.name()),
        }
    }

    pub fn execute_dma(&mut self, inst: &Dma) -> Result<()> {
        dma::run(&mut self.memory, inst)
    }
}

fn unsupported<T>(what: &str) -> Result<T> {
    Err(ExecuteError::Unsupported(format!("instruction {what}")))
}
