//! One order for the commands of two queues.
//!
//! TIU and DMA each run their commands in order; a command also waits until a given number of the other queue's commands
//! have completed. Executed one at a time, any order that respects this gives the same result, provided that the stream
//! has no races; which order is taken can be chosen, so that two runs can be compared.

/// The queue that a command stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Tiu,
    Dma,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Tiu => "TIU",
            Engine::Dma => "DMA",
        }
    }
}

/// Which queue goes first when both can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Run the DMA ahead as far as it may: what a fast memory would do.
    #[default]
    DmaFirst,
    /// Run the TIU ahead as far as it may.
    TiuFirst,
}

/// Neither queue can go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("deadlock: TIU command {tiu} waits for {tiu_waits} DMA commands, DMA command {dma} waits for {dma_waits} TIU commands")]
pub struct Deadlock {
    /// Zero-based index of the waiting command, or the number of commands where its queue is done.
    pub tiu: usize,
    pub tiu_waits: usize,
    pub dma: usize,
    pub dma_waits: usize,
}

/// The commands of one group in a running order: engine and zero-based index in its queue.
///
/// `tiu[i]` is the number of DMA commands that must have completed before TIU command `i` starts, `dma[i]` the other way
/// round.
pub fn schedule(tiu: &[usize], dma: &[usize], order: Order) -> Result<Vec<(Engine, usize)>, Deadlock> {
    let mut steps = Vec::with_capacity(tiu.len() + dma.len());
    let (mut t, mut d) = (0, 0);
    while t < tiu.len() || d < dma.len() {
        let tiu_ready = tiu.get(t).is_some_and(|&waits| waits <= d);
        let dma_ready = dma.get(d).is_some_and(|&waits| waits <= t);
        let engine = match (order, tiu_ready, dma_ready) {
            (Order::DmaFirst, _, true) | (Order::TiuFirst, false, true) => Engine::Dma,
            (_, true, _) => Engine::Tiu,
            (_, false, false) => {
                let waits = |queue: &[usize], at: usize| queue.get(at).copied().unwrap_or(0);
                return Err(Deadlock { tiu: t, tiu_waits: waits(tiu, t), dma: d, dma_waits: waits(dma, d) });
            }
        };
        match engine {
            Engine::Tiu => {
                steps.push((engine, t));
                t += 1;
            }
            Engine::Dma => {
                steps.push((engine, d));
                d += 1;
            }
        }
    }
    Ok(steps)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Engine::{Dma, Tiu};
    use super::*;

    #[test]
    fn both_orders_respect_the_dependencies() {
        // Load, load | compute after 1, compute after 2 | store after 2.
        let (tiu, dma) = ([1, 2], [0, 0, 2]);
        assert_eq!(schedule(&tiu, &dma, Order::DmaFirst), Ok(vec![(Dma, 0), (Dma, 1), (Tiu, 0), (Tiu, 1), (Dma, 2)]));
        assert_eq!(schedule(&tiu, &dma, Order::TiuFirst), Ok(vec![(Dma, 0), (Tiu, 0), (Dma, 1), (Tiu, 1), (Dma, 2)]));
        assert_eq!(schedule(&[], &[], Order::DmaFirst), Ok(vec![]));
    }

    #[test]
    fn deadlocks_are_errors() {
        let error = schedule(&[0, 1], &[2], Order::DmaFirst).unwrap_err();
        assert_eq!(error, Deadlock { tiu: 1, tiu_waits: 1, dma: 0, dma_waits: 2 });
        assert!(schedule(&[5], &[], Order::TiuFirst).is_err());
    }
}
