//! Order between the two engines: which commands conflict, which ids make them wait, and proof that nothing is missing.
//!
//! Each engine runs its queue in order; across the queues only `cmd_id_dep` orders anything. Two commands conflict where
//! one writes what the other reads or writes. [`assign_dependencies`] computes the ids for a program whose meaning is its
//! program order; [`verify`] proves of any two streams that no conflicting pair is left unordered. Both work on what
//! commands read and write ([`Footprint`]), which the chip's `access` module says.

use std::collections::HashSet;
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
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.space {
            Space::Local if self.first_lane + 1 == self.end_lane => {
                write!(f, "lane {} bytes {:#x}..{:#x}", self.first_lane, self.start, self.end)
            }
            Space::Local => {
                write!(f, "lanes {}..{} bytes {:#x}..{:#x}", self.first_lane, self.end_lane, self.start, self.end)
            }
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
/// `cmd_id_dep` never falls along a queue, as a queue runs in order. A command is compared only with the commands of the
/// other queue that touch the same 4 KiB and have not been waited for.
pub fn assign_dependencies(commands: &mut [Command]) {
    // A memory that only one engine touches needs no tracking: a queue is ordered in itself.
    let mut touched = [HashSet::new(), HashSet::new()];
    for command in commands.iter() {
        let regions = command.footprint.reads.iter().chain(&command.footprint.writes);
        touched[command.engine.index()].extend(regions.map(|region| region.space));
    }
    let shared: HashSet<Space> = touched[0].intersection(&touched[1]).copied().collect();

    let mut done = [AccessIndex::default(), AccessIndex::default()];
    let mut count = [0u32; 2];
    let mut waited = [0u32; 2];
    for command in commands {
        let own = command.engine.index();
        // Only commands behind those that the queue has waited for already can ask for more.
        let mut dep = waited[own] as usize;
        for (action, region) in accesses(&command.footprint) {
            dep = dep.max(done[1 - own].newest_conflict(action, region, dep));
        }
        count[own] += 1;
        waited[own] = dep as u32;
        command.cmd_id = count[own];
        command.cmd_id_dep = waited[own];
        for (action, region) in accesses(&command.footprint).filter(|(_, region)| shared.contains(&region.space)) {
            done[own].add(Entry { command: count[own] as usize, action, region: *region });
        }
    }
}

/// All accesses of a command.
fn accesses(footprint: &Footprint) -> impl Iterator<Item = (Action, &Region)> {
    let reads = footprint.reads.iter().map(|region| (Action::Reads, region));
    reads.chain(footprint.writes.iter().map(|region| (Action::Writes, region)))
}

/// An access of a command of one queue.
#[derive(Clone, Copy)]
struct Entry {
    /// Its place in the queue.
    command: usize,
    action: Action,
    region: Region,
}

/// Bytes of local memory per bucket of an [`AccessIndex`]; a power of two.
const BUCKET: u64 = 4096;

/// The accesses of commands of one queue, found by memory; added in the order of the queue.
#[derive(Default)]
struct AccessIndex {
    /// Local memory: a list for each bucket, with the accesses that touch few buckets.
    local: Vec<Vec<Entry>>,
    /// Local memory: accesses that touch many, so that the index stays as small as the program.
    wide: Vec<Entry>,
    other: Vec<Entry>,
}

/// Accesses of more buckets than this are wide.
const MAX_BUCKETS: usize = 4;

impl AccessIndex {
    fn buckets(region: &Region) -> std::ops::Range<usize> {
        // Anything beyond the largest local memory there is (512 KiB) shares the last bucket.
        const LAST: u64 = (512 << 10) / BUCKET;
        let first = (region.start / BUCKET).min(LAST) as usize;
        let last = ((region.end.max(1) - 1) / BUCKET).min(LAST) as usize;
        first..last + 1
    }

    fn add(&mut self, entry: Entry) {
        if entry.region.space != Space::Local {
            self.other.push(entry);
            return;
        }
        let buckets = Self::buckets(&entry.region);
        if buckets.len() > MAX_BUCKETS {
            self.wide.push(entry);
            return;
        }
        for bucket in buckets {
            if self.local.len() <= bucket {
                self.local.resize_with(bucket + 1, Vec::new);
            }
            self.local[bucket].push(entry);
        }
    }

    /// The lists that may hold accesses to the region.
    fn lists(&self, region: &Region) -> impl Iterator<Item = &Vec<Entry>> {
        let is_local = region.space == Space::Local;
        let buckets = if is_local { Self::buckets(region) } else { 0..0 };
        let local = buckets.filter_map(|bucket| self.local.get(bucket));
        local.chain([if is_local { &self.wide } else { &self.other }])
    }

    /// The newest command behind number `floor` that conflicts with an access, `floor` for none.
    fn newest_conflict(&self, action: Action, region: &Region, floor: usize) -> usize {
        let mut newest = floor;
        for list in self.lists(region) {
            let behind = list.iter().rev().take_while(|entry| entry.command > newest);
            let mut conflicts = behind.filter(|entry| entry.conflicts(action, region));
            newest = conflicts.next().map_or(newest, |entry| entry.command);
        }
        newest
    }

    /// Accesses of commands from number `first` on that conflict with an access; a command may come twice.
    fn conflicts(&self, action: Action, region: &Region, first: usize) -> impl Iterator<Item = &Entry> {
        self.lists(region).flat_map(move |list| {
            let from = list.partition_point(|entry| entry.command < first);
            list[from..].iter().filter(move |entry| entry.conflicts(action, region))
        })
    }
}

impl Entry {
    fn conflicts(&self, action: Action, region: &Region) -> bool {
        (action == Action::Writes || self.action == Action::Writes) && self.region.overlaps(region)
    }
}

/// What is wrong with the order of two streams. Positions count from 0 in their queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hazard {
    #[error(
        "TIU command {tiu} ({tiu_action} {tiu_region}) and DMA command {dma} ({dma_action} {dma_region}) are not ordered"
    )]
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
    let mut index = AccessIndex::default();
    let mut added = 0;
    for (i, command) in tiu.iter().enumerate() {
        while added < dma.len() && dma_waits[added] <= i {
            for (action, region) in accesses(&dma[added].footprint) {
                index.add(Entry { command: added, action, region: *region });
            }
            added += 1;
        }
        let mut reported = HashSet::new();
        for (tiu_action, region) in accesses(&command.footprint) {
            for entry in index.conflicts(tiu_action, region, tiu_waits[i]) {
                if !reported.insert(entry.command) {
                    continue;
                }
                hazards.push(Hazard::Unordered {
                    tiu: i,
                    tiu_action,
                    tiu_region: *region,
                    dma: entry.command,
                    dma_action: entry.action,
                    dma_region: entry.region,
                });
                if hazards.len() >= MAX_HAZARDS {
                    return hazards;
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
