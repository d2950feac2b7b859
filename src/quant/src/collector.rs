//! Statistics that come out the same however many threads run the samples.
//!
//! Growing a histogram depends on the order of the samples. So every tensor has a turnstile: sample `k` passes it after
//! sample `k - 1`. Samples are started in order, hence the smallest one under way never waits, and all get through.

use crate::measure::{Meter, Wanted};
use crate::statistics::TensorStatistics;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Why a sample cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The activation of this tensor (by index) has an element that is infinite or not a number.
    NotFinite(usize),
    /// An earlier sample failed.
    Stopped,
}

struct Turnstile {
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    /// The sample whose turn it is.
    next: usize,
    statistics: TensorStatistics,
}

/// Collects the statistics of all tensors from samples that run at the same time.
pub struct Collector {
    wanted: Wanted,
    turnstiles: Vec<Turnstile>,
    /// The smallest failed sample.
    failed: AtomicUsize,
}

impl Collector {
    pub fn new(tensors: Vec<TensorStatistics>, wanted: Wanted) -> Collector {
        let turnstile = |statistics| Turnstile { state: Mutex::new(State { next: 0, statistics }), turn: Condvar::new() };
        Collector { wanted, turnstiles: tensors.into_iter().map(turnstile).collect(), failed: AtomicUsize::new(usize::MAX) }
    }

    /// Starts a sample. Samples must be started in order, without gaps, each by one thread.
    pub fn start(&self, sample: usize) -> Sample<'_> {
        Sample { collector: self, number: sample, meter: Meter::new(self.wanted), seen: vec![false; self.turnstiles.len()], finished: false }
    }

    /// Whether an earlier sample than this failed.
    pub fn stopped(&self, sample: usize) -> bool {
        self.failed.load(Ordering::SeqCst) < sample
    }

    pub fn into_statistics(self) -> Vec<TensorStatistics> {
        let inner = |t: Turnstile| t.state.into_inner().unwrap_or_else(PoisonError::into_inner).statistics;
        self.turnstiles.into_iter().map(inner).collect()
    }

    fn wait_for_turn(&self, tensor: usize, sample: usize) -> Result<MutexGuard<'_, State>, Halt> {
        let turnstile = &self.turnstiles[tensor];
        let mut state = turnstile.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.next != sample {
            if self.stopped(sample) {
                return Err(Halt::Stopped);
            }
            state = turnstile.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state)
    }

    fn pass(&self, tensor: usize, mut state: MutexGuard<'_, State>) {
        state.next += 1;
        drop(state);
        self.turnstiles[tensor].turn.notify_all();
    }

    fn fail(&self, sample: usize) {
        self.failed.fetch_min(sample, Ordering::SeqCst);
        for turnstile in &self.turnstiles {
            // With the lock held nobody is between looking at `failed` and waiting.
            let _state = turnstile.state.lock().unwrap_or_else(PoisonError::into_inner);
            turnstile.turn.notify_all();
        }
    }
}

/// A sample under way. Dropped before [`Sample::finish`], it counts as failed, and later samples stop.
pub struct Sample<'a> {
    collector: &'a Collector,
    number: usize,
    meter: Meter,
    seen: Vec<bool>,
    finished: bool,
}

impl Sample<'_> {
    /// Adds the activation of a tensor (an index into the collector's tensors), once the earlier samples have added theirs.
    /// A tensor is counted once per sample; further calls change nothing.
    pub fn observe(&mut self, tensor: usize, activation: &[f32]) -> Result<(), Halt> {
        if std::mem::replace(&mut self.seen[tensor], true) {
            return Ok(());
        }
        let measured = self.meter.measure(activation);
        if !measured.extent.absmax.is_finite() {
            return Err(Halt::NotFinite(tensor));
        }
        let mut state = self.collector.wait_for_turn(tensor, self.number)?;
        state.statistics.add(activation, &measured);
        self.collector.pass(tensor, state);
        Ok(())
    }

    /// Ends the sample; tensors that it did not have are left to the next one.
    pub fn finish(mut self) -> Result<(), Halt> {
        for tensor in 0..self.seen.len() {
            if !self.seen[tensor] {
                let state = self.collector.wait_for_turn(tensor, self.number)?;
                self.collector.pass(tensor, state);
            }
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for Sample<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.collector.fail(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;
    use crate::places::Place;
    use crate::statistics::Gathering;
    use crate::torch::ObserverType;

    fn collector(tensors: usize) -> Collector {
        let wanted = Wanted { methods: Method::Kl.into(), int4: false, kurtosis: false };
        let gathering = Gathering { wanted, histogram_bins: 2048, observer: ObserverType::default(), samples: 20, ops: tensors };
        Collector::new((0..tensors).map(|i| TensorStatistics::new(format!("t{i}"), Place::default(), &gathering)).collect(), wanted)
    }

    fn activation(sample: usize, tensor: usize) -> Vec<f32> {
        let noise = |i: usize| ((i * 7919 + sample * 104_729 + tensor * 31) % 1009) as f32 / 1009.0 - 0.3;
        (0..500).map(|i| noise(i) * (1.0 + (sample * 37 % 11) as f32)).collect()
    }

    fn run(threads: usize) -> Vec<TensorStatistics> {
        let collector = collector(3);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let k = next.fetch_add(1, Ordering::SeqCst);
                        if k >= 20 {
                            return;
                        }
                        let mut sample = collector.start(k);
                        (0..3).for_each(|t| sample.observe(t, &activation(k, t)).unwrap());
                        sample.finish().unwrap();
                    }
                });
            }
        });
        collector.into_statistics()
    }

    #[test]
    fn threads_do_not_change_the_statistics() {
        let (one, four) = (run(1), run(4));
        for (a, b) in one.iter().zip(&four) {
            let (x, y) = (a.histogram.as_ref().unwrap(), b.histogram.as_ref().unwrap());
            assert_eq!((a.min, a.max, x.counts(), x.width().to_bits()), (b.min, b.max, y.counts(), y.width().to_bits()));
            assert_eq!(a.samples, 20);
        }
    }

    #[test]
    fn a_failed_sample_stops_the_later_ones_only() {
        let collector = collector(1);
        let mut second = collector.start(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || second.observe(0, &[1.0]));
            assert_eq!(collector.start(0).observe(0, &[f32::NAN]), Err(Halt::NotFinite(0)));
            assert_eq!(waiting.join().unwrap(), Err(Halt::Stopped));
        });
        assert!(collector.stopped(1) && !collector.stopped(0));
    }

    #[test]
    fn tensors_that_a_sample_lacks_hold_nobody_up() {
        let collector = collector(2);
        let mut first = collector.start(0);
        first.observe(1, &[2.0]).unwrap();
        first.finish().unwrap();
        let mut second = collector.start(1);
        second.observe(0, &[1.0]).unwrap();
        second.observe(1, &[3.0]).unwrap();
        second.finish().unwrap();
        let statistics = collector.into_statistics();
        assert_eq!((statistics[0].samples, statistics[1].samples, statistics[1].max), (1, 2, 3.0));
    }
}
