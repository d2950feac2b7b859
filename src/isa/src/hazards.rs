//! Order between the two engines: which commands conflict, which ids make them wait, and proof that nothing is missing.
//!
//! Each engine runs its queue in order; across the queues only `cmd_id_dep` orders anything. Two commands conflict where
//! one writes what the other reads or writes. [`assign_dependencies`] computes the ids for a program whose meaning is its
//! program order; [`verify`] proves of any two streams that no conflicting pair is left unordered. Both work on what
//! commands read and write ([`Footprint`]), which the chip's `access` module says.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// One of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    Tiu,
    Dma,
}

impl Engine {
    const fn index(self) -> usize {
        match self {
            Engine::Tiu => 0,
            Engine::Dma => 1,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Engine::Tiu => "TIU",
            Engine::Dma => "DMA",
        }
    }
}

/// A memory of the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// The lanes' own memories.
    Local,
    /// External memory.
    Global,
    /// On-chip memory shared by the lanes.
    L2,
    /// The TIU's read-only tables.
    Static,
}

/// Bytes `start..end` of each of the lanes `first_lane..end_lane`; other memories than the local one have one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    pub space: Space,
    pub first_lane: u32,
    pub end_lane: u32,
    pub start: u64,
    pub end: u64,
}

impl Region {
    /// Bytes of local memory: the same of each lane of `lanes`.
    pub const fn local(lanes: std::ops::Range<u32>, bytes: std::ops::Range<u64>) -> Region {
        Region {
            space: Space::Local,
            first_lane: lanes.start,
            end_lane: lanes.end,
            start: bytes.start,
            end: bytes.end,
        }
    }

    /// Bytes of a memory without lanes.
    pub const fn flat(space: Space, bytes: std::ops::Range<u64>) -> Region {
        Region { space, first_lane: 0, end_lane: 1, start: bytes.start, end: bytes.end }
    }

    pub const fn is_empty(&self) -> bool {
        self.start >= self.end || self.first_lane >= self.end_lane
    }

    /// Whether a byte lies in both.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.space == other.space
            && self.start.max(other.start) < self.end.min(other.end)
            && self.first_lane.max(other.first_lane) < self.end_lane.min(other.end_lane)
    }

    /// A bit for each lane; lanes from 64 on share the last bit.
    fn lane_mask(&self) -> u64 {
        let below = |lane: u32| if lane >= 64 { u64::MAX } else { (1 << lane) - 1 };
        if self.first_lane >= 64 { 1 << 63 } else { below(self.end_lane) & !below(self.first_lane) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space {
            Space::Local if self.first_lane + 1 == self.end_lane => {
                write!(f, "lane {} bytes {:#x}..{:#x}", self.first_lane, self.start, self.end)
            }
            Space::Local => write!(
                f,
                "lanes {}..{} bytes {:#x}..{:#x}",
                self.first_lane, self.end_lane, self.start, self.end
            ),
            Space::Global => write!(f, "global {:#x}..{:#x}", self.start, self.end),
            Space::L2 => write!(f, "L2 {:#x}..{:#x}", self.start, self.end),
            Space::Static => write!(f, "static {:#x}..{:#x}", self.start, self.end),
        }
    }
}

/// What a command reads and writes; never less than it really does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint {
    pub reads: Vec<Region>,
    pub writes: Vec<Region>,
}

/// A command in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub engine: Engine,
    pub footprint: Footprint,
    /// Number in the engine's queue, from 1.
    pub cmd_id: u32,
    /// Number of commands of the other queue that must be complete before this one starts.
    pub cmd_id_dep: u32,
}

impl Command {
    /// A command without ids, for [`assign_dependencies`].
    pub fn new(engine: Engine, footprint: Footprint) -> Command {
        Command { engine, footprint, cmd_id: 0, cmd_id_dep: 0 }
    }
}

/// Numbers the commands of each engine from 1 and makes each wait for the conflicting commands of the other engine that
/// come before it in the list: read after write, write after read, write after write.
///
/// `cmd_id_dep` never falls along a queue, as a queue runs in order. The time is about
/// `O(commands * log(distinct intervals))`.
pub fn assign_dependencies(commands: &mut [Command]) {
    // A memory that only one engine touches needs no tracking: a queue is ordered in itself.
    let mut touched = [HashSet::new(), HashSet::new()];
    for command in commands.iter() {
        let regions = command.footprint.reads.iter().chain(&command.footprint.writes);
        touched[command.engine.index()].extend(regions.map(|region| region.space));
    }
    let shared: HashSet<Space> = touched[0].intersection(&touched[1]).copied().collect();

    let mut reads = [Tracker::default(), Tracker::default()];
    let mut writes = [Tracker::default(), Tracker::default()];
    let mut count = [0u32; 2];
    let mut waited = [0u32; 2];
    for command in commands {
        let own = command.engine.index();
        let other = 1 - own;
        let mut dep = waited[own];
        let tracked = |region: &&Region| shared.contains(&region.space) && !region.is_empty();
        for region in command.footprint.reads.iter().filter(tracked) {
            dep = dep.max(writes[other].newest(region));
        }
        for region in command.footprint.writes.iter().filter(tracked) {
            dep = dep.max(writes[other].newest(region)).max(reads[other].newest(region));
        }
        count[own] += 1;
        waited[own] = dep;
        command.cmd_id = count[own];
        command.cmd_id_dep = dep;
        for region in command.footprint.reads.iter().filter(tracked) {
            reads[own].record(region, count[own]);
        }
        for region in command.footprint.writes.iter().filter(tracked) {
            writes[own].record(region, count[own]);
        }
    }
}

/// For every byte of every lane, the newest command that touched it.
#[derive(Default)]
struct Tracker {
    /// By space and first byte: the end of the interval, and who touched which lanes of it.
    intervals: BTreeMap<(Space, u64), Interval>,
}

#[derive(Clone)]
struct Interval {
    end: u64,
    /// Lane masks without a common bit.
    touched: Vec<(u64, u32)>,
}

impl Tracker {
    /// The number of the newest command that touched a byte of the region; 0 for none.
    fn newest(&self, region: &Region) -> u32 {
        let mask = region.lane_mask();
        let first = self
            .intervals
            .range(..=(region.space, region.start))
            .next_back()
            .filter(|((space, _), interval)| *space == region.space && interval.end > region.start);
        let rest = self.intervals.range((region.space, region.start)..(region.space, region.end));
        first
            .into_iter()
            .chain(rest)
            .flat_map(|(_, interval)| &interval.touched)
            .filter(|(lanes, _)| lanes & mask != 0)
            .map(|&(_, id)| id)
            .max()
            .unwrap_or(0)
    }

    /// Cuts the interval that contains `at` in two there.
    fn split(&mut self, space: Space, at: u64) {
        let Some((_, interval)) = self.intervals.range_mut(..(space, at)).next_back().filter(|((s, _), _)| *s == space)
        else {
            return;
        };
        if interval.end > at {
            let mut right = interval.clone();
            interval.end = at;
            right.end = right.end.max(at);
            self.intervals.insert((space, at), right);
        }
    }

    /// Notes that command `id`, newer than all before, touched the region.
    fn record(&mut self, region: &Region, id: u32) {
        let (space, mask) = (region.space, region.lane_mask());
        self.split(space, region.start);
        self.split(space, region.end);
        let inside: Vec<((Space, u64), Interval)> = {
            let keys: Vec<_> =
                self.intervals.range((space, region.start)..(space, region.end)).map(|(key, _)| *key).collect();
            keys.into_iter().filter_map(|key| self.intervals.remove(&key).map(|interval| (key, interval))).collect()
        };
        // Pieces that only this command is known to have touched are joined, so that the map stays small.
        let mut start = region.start;
        let fresh = vec![(mask, id)];
        for ((_, at), mut interval) in inside {
            interval.touched.retain_mut(|(lanes, _)| {
                *lanes &= !mask;
                *lanes != 0
            });
            if interval.touched.is_empty() {
                continue;
            }
            if start < at {
                self.intervals.insert((space, start), Interval { end: at, touched: fresh.clone() });
            }
            start = interval.end;
            interval.touched.push((mask, id));
            self.intervals.insert((space, at), interval);
        }
        if start < region.end {
            self.intervals.insert((space, start), Interval { end: region.end, touched: fresh });
        }
    }
}

/// What is wrong with the order of two streams. Positions count from 0 in their queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hazard {
    #[error("TIU command {tiu} ({tiu_action} {tiu_region}) and DMA command {dma} ({dma_action} {dma_region}) are not ordered")]
    Unordered {
        tiu: usize,
        tiu_action: Action,
        tiu_region: Region,
        dma: usize,
        dma_action: Action,
        dma_region: Region,
    },
    #[error("{} command {command} waits for {waits} commands of the other queue, which has {available}", engine.name())]
    WaitsBeyondEnd { engine: Engine, command: usize, waits: u32, available: usize },
    #[error("TIU command {tiu} and DMA command {dma} wait for each other")]
    Deadlock { tiu: usize, dma: usize },
    #[error("{} command {command} has id {found}, its place in the queue is {expected}", engine.name())]
    WrongId { engine: Engine, command: usize, expected: u32, found: u32 },
}

/// What a command does to a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Reads,
    Writes,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Reads => "reads",
            Action::Writes => "writes",
        })
    }
}

/// No more hazards than this are reported for a pair of streams.
pub const MAX_HAZARDS: usize = 1000;

/// Bytes of local memory per bucket of the index of [`verify`]; a power of two.
const BUCKET: u64 = 4096;

/// Proves that no two conflicting accesses of different engines are unordered; returns the counter-examples, at most
/// [`MAX_HAZARDS`].
///
/// A command starts when the one before it in its queue is complete and `cmd_id_dep` commands of the other queue are.
/// The end commands belong to the streams; ids of 0 are not compared (the vendor's end command has one or not).
pub fn verify(tiu: &[Command], dma: &[Command]) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    ids(Engine::Tiu, tiu, dma.len(), &mut hazards);
    ids(Engine::Dma, dma, tiu.len(), &mut hazards);

    // complete_before[i]: commands of the other queue that are complete when command i starts, by the waits up to i.
    let tiu_waits = complete_before(tiu);
    let dma_waits = complete_before(dma);
    // A wait for each other: DMA command `wait - 1` must be complete before this one, and itself waits for this one.
    for (i, &wait) in tiu_waits.iter().enumerate() {
        if let Some(last) = wait.checked_sub(1)
            && dma_waits.get(last).is_some_and(|&back| back > i)
        {
            hazards.push(Hazard::Deadlock { tiu: i, dma: last });
            break;
        }
    }

    // Unordered with TIU command i are the DMA commands behind those complete before it and before the first that waits
    // for it. Both ends grow with i, so a window of DMA commands slides along.
    let mut index = Window::default();
    let (mut added, mut dropped) = (0, 0);
    'tiu: for (i, command) in tiu.iter().enumerate() {
        while added < dma.len() && dma_waits[added] <= i {
            index.add(added, &dma[added].footprint);
            added += 1;
        }
        while dropped < tiu_waits[i].min(added) {
            dropped += 1;
        }
        let mut reported = HashSet::new();
        let sides = [(Action::Reads, &command.footprint.reads), (Action::Writes, &command.footprint.writes)];
        for (tiu_action, regions) in sides {
            for region in regions {
                for entry in index.overlapping(region, dropped) {
                    let conflict = tiu_action == Action::Writes || entry.action == Action::Writes;
                    if conflict && reported.insert(entry.command) {
                        hazards.push(Hazard::Unordered {
                            tiu: i,
                            tiu_action,
                            tiu_region: *region,
                            dma: entry.command,
                            dma_action: entry.action,
                            dma_region: entry.region,
                        });
                        if hazards.len() >= MAX_HAZARDS {
                            break 'tiu;
                        }
                    }
                }
            }
        }
    }
    hazards.truncate(MAX_HAZARDS);
    hazards
}

fn ids(engine: Engine, own: &[Command], available: usize, hazards: &mut Vec<Hazard>) {
    for (command, at) in own.iter().zip(0..) {
        let expected = u32::try_from(at + 1).unwrap_or(u32::MAX);
        if command.cmd_id != 0 && command.cmd_id != expected {
            hazards.push(Hazard::WrongId { engine, command: at, expected, found: command.cmd_id });
        }
        if command.cmd_id_dep as usize > available {
            hazards.push(Hazard::WaitsBeyondEnd { engine, command: at, waits: command.cmd_id_dep, available });
        }
        if hazards.len() >= MAX_HAZARDS {
            break;
        }
    }
}

fn complete_before(commands: &[Command]) -> Vec<usize> {
    let mut most = 0;
    commands
        .iter()
        .map(|command| {
            most = most.max(command.cmd_id_dep as usize);
            most
        })
        .collect()
}

/// An access of a DMA command.
#[derive(Clone, Copy)]
struct Entry {
    command: usize,
    action: Action,
    region: Region,
}

/// The accesses of a run of DMA commands, found by memory.
#[derive(Default)]
struct Window {
    local: Vec<Vec<Entry>>,
    other: Vec<Entry>,
}

impl Window {
    fn buckets(region: &Region) -> std::ops::Range<usize> {
        // Anything beyond the largest local memory there is (512 KiB) shares the last bucket.
        const LAST: u64 = (512 << 10) / BUCKET;
        let first = (region.start / BUCKET).min(LAST) as usize;
        let last = ((region.end.max(1) - 1) / BUCKET).min(LAST) as usize;
        first..last + 1
    }

    fn add(&mut self, command: usize, footprint: &Footprint) {
        let sides = [(Action::Reads, &footprint.reads), (Action::Writes, &footprint.writes)];
        for (action, region) in sides.into_iter().flat_map(|(action, regions)| regions.iter().map(move |r| (action, r))) {
            let entry = Entry { command, action, region: *region };
            if region.space != Space::Local {
                self.other.push(entry);
                continue;
            }
            for bucket in Self::buckets(region) {
                if self.local.len() <= bucket {
                    self.local.resize_with(bucket + 1, Vec::new);
                }
                self.local[bucket].push(entry);
            }
        }
    }

    /// Accesses of commands from number `first` on that overlap the region; those before are forgotten.
    fn overlapping(&mut self, region: &Region, first: usize) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut search = |entries: &mut Vec<Entry>| {
            // Entries are in the order of their commands.
            let old = entries.partition_point(|entry| entry.command < first);
            entries.drain(..old);
            found.extend(entries.iter().filter(|entry| entry.region.overlaps(region)));
        };
        if region.space == Space::Local {
            for bucket in Self::buckets(region) {
                if let Some(entries) = self.local.get_mut(bucket) {
                    search(entries);
                }
            }
        } else {
            search(&mut self.other);
        }
        found
    }
}
