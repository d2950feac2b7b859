//! Threads inside one kernel. oneDNN runs on OpenMP; the loops of our own use the same team, so that there are never more
//! threads than asked for.
//!
//! How many is a setting of the calling thread: several threads may each run kernels with a team of one.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Mutex;

unsafe extern "C" {
    fn omp_set_num_threads(threads: c_int);
    fn omp_get_max_threads() -> c_int;
    fn omp_get_thread_num() -> c_int;
    fn omp_get_num_threads() -> c_int;
    fn GOMP_parallel(body: unsafe extern "C" fn(*mut c_void), data: *mut c_void, threads: c_uint, flags: c_uint);
}

/// Sets the team of kernels that this thread prepares or runs from now on. A prepared kernel keeps the team that it was
/// prepared with.
pub fn set_threads(threads: usize) {
    // SAFETY: sets a variable of this thread.
    unsafe { omp_set_num_threads(threads.clamp(1, 1024) as c_int) }
}

/// The team of kernels that this thread prepares or runs.
pub fn threads() -> usize {
    // SAFETY: reads a variable of this thread.
    unsafe { omp_get_max_threads().max(1) as usize }
}

/// Another team for this thread until the guard is dropped.
pub struct Team {
    before: usize,
}

impl Team {
    pub fn of(threads: usize) -> Team {
        let before = self::threads();
        set_threads(threads);
        Team { before }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        set_threads(self.before);
    }
}

struct Job<'a> {
    body: &'a (dyn Fn(usize, usize) + Sync),
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

unsafe extern "C" fn enter(data: *mut c_void) {
    // SAFETY: `data` is the `Job` that `parallel` keeps alive until every thread has left.
    let job = unsafe { &*data.cast::<Job>() };
    // SAFETY: reads of the runtime's variables.
    let (index, count) = unsafe { (omp_get_thread_num() as usize, omp_get_num_threads() as usize) };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (job.body)(index, count)));
    if let Err(panic) = result {
        *job.panic.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(panic);
    }
}

/// Runs `body(index, count)` on every thread of the team.
pub fn parallel(body: &(dyn Fn(usize, usize) + Sync)) {
    if threads() == 1 {
        return body(0, 1);
    }
    let job = Job { body, panic: Mutex::new(None) };
    // SAFETY: `GOMP_parallel` returns after all threads have run `enter`, so `job` outlives them; the body is `Sync`.
    unsafe { GOMP_parallel(enter, std::ptr::from_ref(&job).cast_mut().cast(), 0, 0) };
    if let Some(panic) = job.panic.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        std::panic::resume_unwind(panic);
    }
}

/// The part of `0..count` that thread `index` of `threads` takes, in whole multiples of `grain`.
pub fn share(count: usize, grain: usize, index: usize, threads: usize) -> std::ops::Range<usize> {
    let grains = count.div_ceil(grain.max(1));
    let at = |i: usize| (grains * i / threads.max(1) * grain).min(count);
    at(index)..at(index + 1)
}

/// Least number of elements that a further thread is worth.
const WORTH: usize = 16 * 1024;

/// Splits `out` into one part per thread (in multiples of `grain` elements) and runs `body(start, part)` on each.
pub fn for_parts<T: Send>(out: &mut [T], grain: usize, body: impl Fn(usize, &mut [T]) + Sync) {
    if threads() == 1 || out.len() < 2 * WORTH {
        return body(0, out);
    }
    let count = threads().min(out.len() / WORTH);
    let mut parts = Vec::with_capacity(count);
    let (mut rest, mut start) = (out, 0);
    for index in 0..count {
        let length = share(start + rest.len(), grain, index, count).len();
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(length);
        parts.push(Mutex::new(Some((start, part))));
        start += length;
        rest = tail;
    }
    parallel(&|index, threads| {
        for part in parts.iter().skip(index).step_by(threads) {
            if let Some((start, part)) = part.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
                body(start, part);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for threads in 1..4 {
            let _team = Team::of(threads);
            let mut out = vec![0usize; 100_003];
            for_parts(&mut out, 7, |start, part| part.iter_mut().enumerate().for_each(|(i, v)| *v += start + i + 1));
            assert!(out.iter().enumerate().all(|(i, &v)| v == i + 1));
        }
    }

    #[test]
    fn panics_come_back() {
        let _team = Team::of(2);
        assert!(std::panic::catch_unwind(|| parallel(&|index, _| assert!(index > 5))).is_err());
    }
}
