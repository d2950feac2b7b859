//! The vendor's functional model of the chip, loaded into the test process, side by side with our executor.
//!
//! `Pair` keeps both memories equal, runs one instruction on both, and compares. The library's folder is in the
//! environment variable `TPUC_BMRT_DIR`; without it there is nothing to compare with.

use std::ffi::{c_int, c_longlong, c_void};
use tpuc_isa::bm1684x::execute::Machine;
use tpuc_isa::bm1684x::{CHIP, DType, Dma, DmaRows, Layout, Precision, Shape, Tiu, encode_dma, encode_tiu, lane_of, offset_of};

/// Bytes at the start of every lane that generated cases use and that is compared after every case.
pub const WINDOW: usize = 48 << 10;
const LANES: usize = CHIP.lanes as usize;
const LANE: usize = CHIP.lane_bytes as usize;
/// External memory that cases use.
pub const GLOBAL: usize = 8 << 20;

/// A small generator (xorshift64*): the same cases in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    /// From `low` to `high`, both possible.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + ((self.bits() >> 16) % (high - low + 1) as u64) as i64
    }
    pub fn below(&mut self, n: u32) -> u32 {
        self.range(0, i64::from(n) - 1) as u32
    }
    pub fn chance(&mut self, one_in: u32) -> bool {
        self.below(one_in) == 0
    }
    pub fn bool(&mut self) -> bool {
        self.chance(2)
    }
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }
}

type Init = unsafe extern "C" fn(c_int, c_longlong) -> c_int;
type LocalMemory = unsafe extern "C" fn(c_int) -> *const *mut u8;
type GlobalMemory = unsafe extern "C" fn(c_int) -> *mut u8;
type Execute = unsafe extern "C" fn(c_int, *const c_void, c_int) -> c_int;

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn close(file: c_int) -> c_int;
    fn ualarm(microseconds: u32, interval: u32) -> u32;
    fn setpriority(which: c_int, who: u32, priority: c_int) -> c_int;
}

pub struct Pair {
    library: libloading::Library,
    local: *mut u8,
    global: *mut u8,
    execute: Execute,
    pub machine: Machine,
    pub random: Random,
    /// Cases that agreed.
    pub agreed: usize,
    since_full: usize,
}

/// What values a tensor is filled with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// All bit patterns of integers; floats around one with some zeros and halves.
    Plain,
    /// Floats of all magnitudes, infinities and NaN among them.
    Wild,
    /// Floats of all normal magnitudes, infinities among them.
    Extreme,
    /// Floats so small that products and differences are below the normal numbers, and normal ones.
    Tiny,
    /// Integers and floats in this range; floats are whole or half.
    Within(i64, i64),
}

/// Runs `body` with subnormal numbers as IEEE has them: loading the vendor's library turns them into zeros for the whole
/// thread, which must not hide from a comparison what our simulator does by itself.
fn ordinary<T>(body: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        let (mut kept, ieee) = (0u32, 0x1f80u32);
        // SAFETY: the control register is stored, set to what every Rust thread starts with, and set back afterwards.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut kept, options(nostack)) };
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &ieee, options(nostack)) };
        let result = body();
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &kept, options(nostack)) };
        result
    }
    #[cfg(not(target_arch = "x86_64"))]
    body()
}

impl Pair {
    /// `None`, with a message, where the library is not there.
    pub fn open() -> Option<Pair> {
        let Some(folder) = std::env::var_os("TPUC_BMRT_DIR") else {
            println!("skipped: TPUC_BMRT_DIR is not set");
            return None;
        };
        let path = std::path::Path::new(&folder).join("libcmodel.so");
        // SAFETY: the vendor's library; its constructors only set up its own state.
        let library = match unsafe { libloading::Library::new(&path) } {
            Ok(library) => library,
            Err(error) => {
                println!("skipped: {error}");
                return None;
            }
        };
        // SAFETY: the signatures are those of the library (shared/isa/facts.md, chapter g); the pointers it returns stay
        // valid as long as it is loaded.
        unsafe {
            let init = *library.get::<Init>(b"cmodel_init").expect("cmodel_init");
            assert_eq!(init(0, 1 << 28), 0);
            // The model's idle threads poll; they must not take the processors from the test.
            for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                if let (true, Some(id)) = (name.starts_with("TPU"), task.file_name().to_str().and_then(|id| id.parse().ok())) {
                    setpriority(0, id, 19);
                }
            }
            let local = *(library.get::<LocalMemory>(b"get_local_mem").expect("get_local_mem")(0));
            let global = library.get::<GlobalMemory>(b"get_global_memaddr").expect("get_global_memaddr")(0);
            let execute = *library.get::<Execute>(b"execute_command").expect("execute_command");
            let machine = Machine::new(CHIP.global_base + GLOBAL as u64).expect("memory");
            let mut pair = Pair { library, local, global, execute, machine, random: Random::new(1), agreed: 0, since_full: 0 };
            pair.scramble_all();
            Some(pair)
        }
    }

    /// A function of the library, for questions about single numbers.
    ///
    /// # Safety
    /// `T` must be its signature.
    #[allow(dead_code)]
    pub unsafe fn function<T: Copy>(&self, name: &[u8]) -> T {
        unsafe { *self.library.get::<T>(name).expect("symbol") }
    }

    fn theirs(&self) -> &[u8] {
        // SAFETY: the library's local memory: all lanes, contiguous.
        unsafe { std::slice::from_raw_parts(self.local, LANE * LANES) }
    }

    fn scramble_all(&mut self) {
        for word in self.machine.memory.local.chunks_exact_mut(8) {
            word.copy_from_slice(&self.random.bits().to_le_bytes());
        }
        for word in self.machine.memory.global.chunks_exact_mut(8) {
            word.copy_from_slice(&self.random.bits().to_le_bytes());
        }
        self.sync_all();
    }

    /// Copies all of our memory to theirs.
    pub fn sync_all(&mut self) {
        // SAFETY: both are as long as that.
        unsafe {
            std::ptr::copy_nonoverlapping(self.machine.memory.local.as_ptr(), self.local, LANE * LANES);
            std::ptr::copy_nonoverlapping(self.machine.memory.global.as_ptr(), self.global, GLOBAL);
        }
    }

    fn sync_window(&mut self) {
        for lane in 0..LANES {
            // SAFETY: inside of both local memories.
            unsafe { std::ptr::copy_nonoverlapping(self.machine.memory.local.as_ptr().add(lane * LANE), self.local.add(lane * LANE), WINDOW) };
        }
    }

    /// One value as bits.
    pub fn value(&mut self, dtype: DType, values: Values) -> u32 {
        let r = &mut self.random;
        if !dtype.precision.is_float() {
            return match values {
                Values::Within(low, high) => r.range(low, high) as u32,
                _ if dtype.precision == Precision::Int32 && r.bool() => r.range(-(1 << 20), 1 << 20) as u32,
                _ if r.chance(16) => r.pick(&[0, 1, u32::MAX, 0x80, 0x7f, 0x8000, 0x7fff, 0x8000_0000, 0x7fff_ffff]),
                _ => (r.bits() >> 20) as u32,
            };
        }
        let value = match values {
            Values::Within(low, high) => r.range(2 * low, 2 * high) as f32 / 2.0,
            Values::Wild => match r.below(24) {
                0 => f32::INFINITY,
                1 => f32::NEG_INFINITY,
                2 => f32::NAN,
                3 => f32::from_bits(r.bits() as u32 & 0x807f_ffff),
                4..9 => r.range(-40000, 40000) as f32 / 2.0,
                _ => f32::from_bits(r.bits() as u32),
            },
            Values::Tiny => match r.below(8) {
                0 => f32::from_bits(r.bits() as u32 & 0x807f_ffff),
                1 => 0.0,
                2 => -0.0,
                3..6 => (r.unit() - 0.5) * 2f32.powi(r.range(-126, -60) as i32),
                _ => (r.unit() - 0.5) * 2f32.powi(r.range(-3, 9) as i32),
            },
            Values::Extreme => match r.below(12) {
                0 => f32::INFINITY,
                1 => f32::NEG_INFINITY,
                2..8 => (r.unit() - 0.5) * 2f32.powi(r.range(-12, 17) as i32),
                _ => 2f32.powi(r.range(-100, 127) as i32) * (if r.bool() { 1.5 } else { -1.25 }),
            },
            Values::Plain => match r.below(16) {
                0 => 0.0,
                1 => r.range(-300, 300) as f32 / 2.0,
                _ => (r.unit() - 0.5) * (2.0f32).powi(r.range(-3, 9) as i32),
            },
        };
        match dtype.precision {
            Precision::F16 => u32::from(half::f16::from_f32(value).to_bits()),
            Precision::Bf16 => u32::from(half::bf16::from_f32(value).to_bits()),
            _ => value.to_bits(),
        }
    }

    /// Fills a local tensor.
    pub fn fill(&mut self, addr: u32, shape: Shape, dtype: DType, layout: Layout, values: Values) {
        let lane = lane_of(addr);
        let strides = layout.strides(shape, dtype.precision, lane);
        let size = dtype.bytes() as usize;
        for n in 0..shape.n {
            for c in 0..shape.c {
                for h in 0..shape.h {
                    for w in 0..shape.w {
                        let block = (lane + c) / CHIP.lanes;
                        let element = n * strides.n + block * strides.c + h * strides.h + w * strides.w;
                        let at = ((lane + c) % CHIP.lanes) as usize * LANE + offset_of(addr) as usize + element as usize * size;
                        let bits = self.value(dtype, values);
                        self.machine.memory.local[at..at + size].copy_from_slice(&bits.to_le_bytes()[..size]);
                    }
                }
            }
        }
    }

    /// Runs on both; the difference as a text.
    pub fn try_tiu(&mut self, inst: &Tiu) -> Result<(), String> {
        self.sync_window();
        Pair::command(self.execute, &encode_tiu(inst, 1, 0), 0);
        let ours = ordinary(|| self.machine.execute_tiu(inst)).map_err(|e| e.to_string());
        self.compare(false, ours)
    }

    /// External memory is the same in both, but for what the last command changed in both.
    pub fn try_dma(&mut self, inst: &Dma) -> Result<(), String> {
        self.sync_window();
        Pair::command(self.execute, &encode_dma(inst, 1, 0), 1);
        let ours = self.machine.execute_dma(inst).map_err(|e| e.to_string());
        self.compare(true, ours)
    }

    /// Whether the model runs the command at all: it ends the process where an operand's type is not what it expects, so
    /// a child process tries.
    pub fn accepts_tiu(&self, inst: &Tiu) -> bool {
        self.accepts(&encode_tiu(inst, 1, 0), 0)
    }

    #[allow(dead_code)]
    pub fn accepts_dma(&self, inst: &Dma) -> bool {
        self.accepts(&encode_dma(inst, 1, 0), 1)
    }

    fn accepts(&self, words: &[u8], engine: c_int) -> bool {
        const ALARM: c_int = 14;
        // A child that starts while a thread of the model holds its lock waits for ever; then another one tries.
        for _ in 0..50 {
            // SAFETY: the child only runs the command and ends; it shares nothing that it writes with this process.
            let status = unsafe {
                let child = fork();
                if child == 0 {
                    ualarm(100_000, 0);
                    close(1);
                    close(2);
                    Pair::command(self.execute, words, engine);
                    _exit(0);
                }
                let mut status = 0;
                waitpid(child, &mut status, 0);
                status
            };
            if status & 0x7f != ALARM {
                return status == 0;
            }
        }
        false
    }

    fn command(execute: Execute, words: &[u8], engine: c_int) {
        let mut aligned = [0u64; 16];
        for (to, from) in aligned.iter_mut().zip(words.chunks_exact(8)) {
            *to = u64::from_le_bytes(from.try_into().expect("8 bytes"));
        }
        // SAFETY: the words of one complete command.
        unsafe { execute(0, aligned.as_ptr().cast(), engine) };
    }

    fn compare(&mut self, global: bool, ours: Result<(), String>) -> Result<(), String> {
        self.since_full += 1;
        let full = self.since_full >= 64;
        let mut result = ours;
        if result.is_ok() {
            let extent = if full { LANE } else { WINDOW };
            result = self.compare_local(extent);
            if result.is_ok() && global {
                result = self.compare_global();
            }
        }
        if full {
            self.since_full = 0;
        }
        match &result {
            Ok(()) => self.agreed += 1,
            Err(_) => {
                // Go on from their state.
                let (local, global) = (self.theirs().to_vec(), {
                    // SAFETY: their external memory is longer than that.
                    unsafe { std::slice::from_raw_parts(self.global, GLOBAL) }.to_vec()
                });
                self.machine.memory.local.copy_from_slice(&local);
                self.machine.memory.global.copy_from_slice(&global);
            }
        }
        result
    }

    fn compare_local(&self, extent: usize) -> Result<(), String> {
        let mut text = String::new();
        let mut different = 0;
        for lane in 0..LANES {
            let (ours, theirs) = (&self.machine.memory.local[lane * LANE..][..extent], &self.theirs()[lane * LANE..][..extent]);
            if ours == theirs {
                continue;
            }
            for (at, (a, b)) in ours.chunks_exact(4).zip(theirs.chunks_exact(4)).enumerate() {
                if a != b {
                    different += 1;
                    if different <= 6 {
                        let word = |v: &[u8]| u32::from_le_bytes([v[0], v[1], v[2], v[3]]);
                        text += &format!("\n  lane {lane} byte {:#x}: ours {:08x} ({}), theirs {:08x} ({})", 4 * at, word(a), f32::from_bits(word(a)), word(b), f32::from_bits(word(b)));
                    }
                }
            }
        }
        if different == 0 { Ok(()) } else { Err(format!("{different} words of local memory differ{text}")) }
    }

    fn compare_global(&self) -> Result<(), String> {
        // SAFETY: their external memory is longer than that.
        let theirs = unsafe { std::slice::from_raw_parts(self.global, GLOBAL) };
        match self.machine.memory.global.iter().zip(theirs).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(at) => Err(format!("external memory differs from byte {at:#x}: ours {:?}, theirs {:?}", &self.machine.memory.global[at..at + 16], &theirs[at..at + 16])),
        }
    }
}

impl Pair {
    /// A word of the model's local memory.
    #[allow(dead_code)]
    pub fn their_word(&self, at: usize) -> [u8; 4] {
        let bytes = &self.theirs()[at..at + 4];
        [bytes[0], bytes[1], bytes[2], bytes[3]]
    }
}

impl Pair {
    /// Writes an index of a gather or scatter.
    pub fn put_index(&mut self, index: &DmaRows, c: u32, h: u32, value: u32) {
        let size = 4;
        let at = match index.addr.checked_sub(CHIP.global_base) {
            Some(at) => at + u64::from(c * index.c_stride + h * index.h_stride) * size,
            None => {
                let start = (index.addr - CHIP.dma_local_base) as u32;
                let lane = lane_of(start) + c;
                let byte = u64::from(offset_of(start)) + u64::from(lane / CHIP.lanes * index.c_stride + h * index.h_stride) * size;
                u64::from(lane % CHIP.lanes) * u64::from(CHIP.lane_bytes) + byte
            }
        } as usize;
        let (ours, theirs) = match index.addr >= CHIP.global_base {
            true => (&mut self.machine.memory.global, self.global),
            false => (&mut self.machine.memory.local, self.local),
        };
        ours[at..at + 4].copy_from_slice(&value.to_le_bytes());
        // SAFETY: inside of their memory, which is as large as ours.
        unsafe { std::ptr::copy_nonoverlapping(ours.as_ptr().add(at), theirs.add(at), 4) };
    }
}
