//! Work of lowering that needs nothing but a layer's constants, done by other threads while layers are lowered one after the other.
//!
//! Lowering goes through a network from its beginning: the element type of a value is known when its producer is lowered. Integers of
//! weights don't wait for that, and take most of the time; so threads that have nothing else to do make them from the end of the
//! network on, until they meet lowering, which makes the others itself. The results are the same: both call the same functions.

use crate::chip::{Chip, Mode};
use crate::lowered::OpContext;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tpuc_ops::Program;
use tpuc_tensor::{Data, WeightStore};

/// A weight in 8 bits.
#[derive(Debug)]
pub(crate) struct Quantized {
    pub data: Data,
    /// The largest magnitudes that scales come from; not finite where a weight is not.
    pub largest: Vec<f32>,
}

/// What has been made ahead for an op. A copy has nothing: its op makes it again.
#[derive(Debug, Default)]
pub struct Prepared(Mutex<Option<Quantized>>);

impl Clone for Prepared {
    fn clone(&self) -> Prepared {
        Prepared::default()
    }
}

impl Prepared {
    pub(crate) fn take(&self) -> Option<Quantized> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A node's weight: made by whoever takes it first.
#[derive(Default)]
struct Cell {
    taken: AtomicBool,
    made: OnceLock<Prepared>,
}

/// The work of a program. `of_node` is the mode that each node is asked for.
pub struct Ahead<'a> {
    program: &'a Program,
    weights: &'a WeightStore,
    chip: &'a Chip,
    of_node: &'a (dyn Fn(usize) -> Mode + Sync),
    cells: Vec<Cell>,
    stopped: AtomicBool,
}

impl<'a> Ahead<'a> {
    pub fn new(program: &'a Program, weights: &'a WeightStore, chip: &'a Chip, of_node: &'a (dyn Fn(usize) -> Mode + Sync)) -> Ahead<'a> {
        let cells = program.nodes.iter().map(|_| Cell::default()).collect();
        Ahead { program, weights, chip, of_node, cells, stopped: AtomicBool::new(false) }
    }

    /// Works until all is made or lowering is over; `between` runs before each node and at the end. For any number of threads.
    pub fn work(&self, between: impl Fn()) {
        for (node, cell) in self.cells.iter().enumerate().rev() {
            between();
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            if !cell.taken.swap(true, Ordering::Relaxed) {
                // Who waits for it must get an answer, even if this thread panics.
                let mut answer = Answer(cell, Prepared::default());
                answer.1 = self.prepare(node);
            }
        }
        between();
    }

    fn prepare(&self, node: usize) -> Prepared {
        // What is wrong with a node is told when it is lowered.
        let context = OpContext::of(self.program, self.weights, node, self.chip, self.chip.layer_mode((self.of_node)(node))).ok();
        Prepared(Mutex::new(context.and_then(|context| self.chip.prepare(&context))))
    }

    /// What was made for a node; if another thread is at it, when it is ready. Nobody begins with it any more.
    pub(crate) fn take(&self, node: usize) -> Prepared {
        let cell = &self.cells[node];
        match cell.taken.swap(true, Ordering::Relaxed) {
            true => Prepared(Mutex::new(cell.made.wait().take())),
            false => Prepared::default(),
        }
    }

    /// When the result goes, nobody begins with anything any more.
    pub(crate) fn stop_at_end(&self) -> Stop<'_> {
        Stop(&self.stopped)
    }
}

pub(crate) struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Gives its answer when it goes.
struct Answer<'a>(&'a Cell, Prepared);

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let _ = self.0.made.set(std::mem::take(&mut self.1));
    }
}
