//! Memory that a search may use: as an option says it, what the system has free, and what is left of it.

use std::sync::OnceLock;
use tpuc_ops::{Program, Source, ValueId};
use tpuc_tensor::WeightStore;

/// Bytes of `800M`, `4G`, `2.5g`, `64 KiB`, `123456`; `None` where the text is no size.
pub fn bytes(text: &str) -> Option<usize> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, factor) = match lower.chars().last()? {
        'k' => (&lower[..lower.len() - 1], 1u64 << 10),
        'm' => (&lower[..lower.len() - 1], 1 << 20),
        'g' => (&lower[..lower.len() - 1], 1 << 30),
        't' => (&lower[..lower.len() - 1], 1 << 40),
        _ => (lower, 1),
    };
    let value = number.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0)? * factor as f64;
    (value < 9e15).then_some(value as usize)
}

/// Bytes that new programs could use; 2 GiB where the system does not say.
pub fn free() -> usize {
    kilobytes("/proc/meminfo", "MemAvailable:").map_or(2 << 30, |k| k << 10)
}

/// What an option asks for, half of what is free where it is empty. The error says what would be right.
pub fn budget(option: &str) -> Result<usize, String> {
    match option.trim() {
        "" => Ok(free() / 2),
        text => bytes(text).ok_or_else(|| format!("'{text}' should be a number of bytes, such as 800M or 4G")),
    }
}

/// Bytes that this process has in memory; 0 where the system does not say.
pub fn resident() -> usize {
    kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0) << 10
}

/// The number behind a word at the beginning of a line.
fn kilobytes(file: &str, word: &str) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

static COLLECT: OnceLock<fn()> = OnceLock::new();

/// Says how the process's allocator gives memory back that is free. Only the first call counts.
pub fn set_collect(collect: fn()) {
    let _ = COLLECT.set(collect);
}

/// Has the allocator give back what is free.
pub fn collect() {
    if let Some(collect) = COLLECT.get() {
        collect();
    }
}

/// What a process may have in memory, all in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    bytes: usize,
}

impl Budget {
    /// A twelfth is left for what nobody counts: generated code, lists, what the allocator has not put together yet.
    pub fn new(bytes: usize) -> Budget {
        Budget { bytes: bytes - bytes / 12 }
    }

    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// Bytes that may still be taken. Where they are fewer than wanted, the allocator gives back what is free before.
    pub fn left(self, wanted: usize) -> usize {
        let left = self.bytes.saturating_sub(resident());
        if left >= wanted {
            return left;
        }
        collect();
        self.bytes.saturating_sub(resident())
    }
}

/// About the bytes that a search needs at least beside what the process has already: one network in float and one in INT8, and one
/// sample's activations; or for the calibration before it, which tunes with so many samples at once.
pub fn needed(program: &Program, weights: &WeightStore, tuning: usize) -> usize {
    let elements: usize = weights.iter().map(|(_, tensor)| tensor.len()).sum();
    let live = live_bytes(program);
    let largest = weights.iter().map(|(_, tensor)| tensor.len()).max().unwrap_or(0);
    // Filters as they are packed, and as they were lowered: f32 and half floats, twice 8 bits.
    let search = elements * 8 + 2 * live + largest * LOWERING;
    // The tuner has the filter at hand in two forms, and a third while it makes the second.
    let calibration = elements * 5 + (tuning + 3) * live + largest * 12;
    search.max(calibration) + UNCOUNTED
}

/// Bytes that an element of a filter takes for a while when it is lowered and packed.
pub(crate) const LOWERING: usize = 10;

/// Code that is read from files and generated, threads.
const UNCOUNTED: usize = 32 << 20;

/// Bytes of the f32 activations of a sample that are alive at once, at most: operands and results of a node, and what later nodes
/// read.
pub(crate) fn live_bytes(program: &Program) -> usize {
    let users = program.users();
    let size = |id: ValueId| program.tensor_type(id).map_or(0, |ty| ty.count().max(0) as usize * 4);
    let (mut now, mut most) = (program.inputs.iter().map(|&id| size(id)).sum::<usize>(), 0);
    for (index, node) in program.nodes.iter().enumerate() {
        now += node.results.iter().map(|&id| size(id)).sum::<usize>();
        most = most.max(now);
        let mut ended: Vec<ValueId> = node.operands.iter().chain(&node.results).copied().collect();
        ended.sort_unstable_by_key(|id| id.index());
        ended.dedup();
        ended.retain(|id| program.value(*id).source != Source::Weight && users[id.index()].iter().all(|&user| user <= index));
        now -= ended.into_iter().map(size).sum::<usize>().min(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_not_left() {
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        let (now, budget) = (resident(), Budget::new(1 << 40));
        assert!(now > held.len(), "{now}");
        assert!(budget.left(0) <= budget.bytes() - held.len());
        assert_eq!(Budget::new(1000).left(1), 0);
    }

    #[test]
    fn sizes_of_memory() {
        let cases = [("800M", Some(800 << 20)), ("4G", Some(4 << 30)), ("2.5g", Some(5 << 29)), ("123", Some(123)), ("64 KiB", Some(64 << 10)), ("x", None), ("", None), ("-1", None), ("1e30G", None)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
