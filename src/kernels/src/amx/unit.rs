//! The instructions: whether the processor has them, and the product of two tiles of rows with two tiles of columns.
//!
//! A tile is 16 rows of 64 bytes. The left one holds 64 bytes of depth of 16 pixels, the right one the same depth of 16 outputs,
//! four bytes of depth of every output beside each other; the sums are 16 by 16 words of four bytes.

use std::sync::OnceLock;

/// Bytes of a tile, and of one of its rows.
pub(super) const TILE: usize = 1024;
pub(super) const LINE: usize = 64;

/// Rows, or columns, of a tile of sums.
pub(super) const SIDE: usize = 16;

/// Sums of two by two tiles: those of the first rows, then those of the second.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Sums(pub [[[u32; SIDE * SIDE]; 2]; 2]);

impl Sums {
    pub const ZERO: Sums = Sums([[[0; SIDE * SIDE]; 2]; 2]);
}

/// What is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Signed or unsigned bytes by signed bytes.
    S8,
    U8,
    Bf16,
    /// Each the sum of two bf16.
    F16,
}

impl Kind {
    /// Bytes of one element of depth.
    pub fn element(self) -> usize {
        match self {
            Kind::S8 | Kind::U8 => 1,
            Kind::Bf16 | Kind::F16 => 2,
        }
    }

    /// Elements of depth in a line.
    pub fn depth(self) -> usize {
        LINE / self.element()
    }

    /// How many tiles stand for one.
    pub fn parts(self) -> usize {
        match self {
            Kind::S8 | Kind::U8 | Kind::Bf16 => 1,
            Kind::F16 => 2,
        }
    }
}

/// Two tiles of rows by two of columns, over all the depth.
pub(super) struct Block<'a> {
    /// Where the first byte of depth of the first row of either tile is in `rows`.
    pub at: [usize; 2],
    pub rows: &'a [u8],
    /// Bytes between rows, and from a row to its second part.
    pub step: usize,
    pub second: usize,
    /// By line of depth: bytes from the first one.
    pub offsets: &'a [usize],
    /// By line of depth: two tiles of columns, then their second parts.
    pub columns: &'a [u8],
}

impl Block<'_> {
    /// Whether all that is read lies within the slices.
    fn is_within(&self, kind: Kind) -> bool {
        let reach = self.at[0].max(self.at[1]) + (SIDE - 1) * self.step + self.offsets.iter().max().copied().unwrap_or(0) + LINE + (kind.parts() - 1) * self.second;
        reach <= self.rows.len() && self.offsets.len() * 2 * kind.parts() * TILE <= self.columns.len()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, Kind, LINE, Sums};
    use std::arch::asm;

    /// Palette 1, all eight tiles of 16 rows of 64 bytes.
    #[repr(C, align(64))]
    struct Shape([u8; 64]);

    static SHAPE: Shape = {
        let mut bytes = [0u8; 64];
        bytes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = LINE as u8;
            bytes[48 + tile] = 16;
            tile += 1;
        }
        Shape(bytes)
    };

    /// # Safety
    /// The processor has tiles and the process may use them.
    pub unsafe fn begin() {
        // SAFETY: the caller's promise; a valid description.
        unsafe { asm!("ldtilecfg [{0}]", in(reg) &raw const SHAPE, options(nostack)) }
    }

    /// # Safety
    /// As [`begin`].
    pub unsafe fn end() {
        // SAFETY: the caller's promise.
        unsafe { asm!("tilerelease", options(nostack)) }
    }

    /// Adds a block's products to the sums: the lines between are run once for every line of depth. They find its places in both tiles of
    /// rows in `upper` and `lower`, and those in the columns, from which the next line is `$bytes` away, in `columns`.
    macro_rules! products {
        ($block:expr, $sums:expr, $bytes:literal, [$($line:expr),* $(,)?], $($operand:tt)*) => {{
            let block = $block;
            // SAFETY: the caller's promise: tiles are set up, and all that is read is within the slices.
            unsafe {
                asm!(
                    "tileloadd tmm0, [{sums} + {line}*1]",
                    "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
                    "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
                    "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
                    "2:",
                    "mov {upper}, qword ptr [{offsets}]",
                    "lea {lower}, [{other} + {upper}]",
                    "lea {upper}, [{first} + {upper}]",
                    $($line,)*
                    "add {offsets}, 8",
                    concat!("add {columns}, ", $bytes),
                    "dec {count}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}*1], tmm0",
                    "tilestored [{sums} + {line}*1 + 1024], tmm1",
                    "tilestored [{sums} + {line}*1 + 2048], tmm2",
                    "tilestored [{sums} + {line}*1 + 3072], tmm3",
                    upper = out(reg) _, lower = out(reg) _,
                    offsets = inout(reg) block.offsets.as_ptr() => _,
                    columns = inout(reg) block.columns.as_ptr() => _,
                    count = inout(reg) block.offsets.len() => _,
                    first = in(reg) block.rows.as_ptr().add(block.at[0]),
                    other = in(reg) block.rows.as_ptr().add(block.at[1]),
                    step = in(reg) block.step,
                    line = in(reg) LINE,
                    sums = in(reg) $sums,
                    $($operand)*
                    options(nostack)
                );
            }
        }};
    }

    /// One part on both sides: four products a line of depth.
    macro_rules! single {
        ($dot:literal, $block:expr, $sums:expr) => {
            products!($block, $sums, 2048, [
                "tileloadd tmm4, [{upper} + {step}*1]",
                "tileloadd tmm6, [{columns} + {line}*1]",
                "tileloadd tmm7, [{columns} + {line}*1 + 1024]",
                "tileloadd tmm5, [{lower} + {step}*1]",
                concat!($dot, " tmm0, tmm4, tmm6"),
                concat!($dot, " tmm1, tmm4, tmm7"),
                concat!($dot, " tmm2, tmm5, tmm6"),
                concat!($dot, " tmm3, tmm5, tmm7"),
            ],)
        };
    }

    /// Two parts on both sides: the products with one second part, then those of the first parts. Those of the second parts are left
    /// out.
    macro_rules! double {
        ($block:expr, $sums:expr) => {
            products!($block, $sums, 4096, [
                "tileloadd tmm4, [{upper} + {step}*1]",
                "tileloadd tmm6, [{columns} + {line}*1 + 2048]",
                "tileloadd tmm7, [{columns} + {line}*1 + 3072]",
                "tileloadd tmm5, [{lower} + {step}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "tileloadd tmm6, [{columns} + {line}*1]",
                "tileloadd tmm7, [{columns} + {line}*1 + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {upper}, {second}",
                "tileloadd tmm4, [{upper} + {step}*1]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {lower}, {second}",
                "tileloadd tmm5, [{lower} + {step}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
            ], second = in(reg) $block.second,)
        };
    }

    /// # Safety
    /// Between [`begin`] and [`end`] on this thread; what the block reads is within its slices, and it has depth.
    pub unsafe fn product(kind: Kind, block: &Block, sums: &mut Sums) {
        let sums = sums.0.as_mut_ptr();
        match kind {
            Kind::S8 => single!("tdpbssd", block, sums),
            Kind::U8 => single!("tdpbusd", block, sums),
            Kind::Bf16 => single!("tdpbf16ps", block, sums),
            Kind::F16 => double!(block, sums),
        }
    }

    /// Whether the processor has the instructions and the kernel lets this process use them.
    pub fn ask() -> bool {
        const EXTENDED_FEATURES: u32 = 7;
        const BF16_TILE_INT8: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        const REQUEST_PERMISSION: i64 = 0x1023;
        const TILE_DATA: i64 = 18;
        let has_leaf = std::arch::x86_64::__cpuid(0).eax >= EXTENDED_FEATURES;
        if !cfg!(target_os = "linux") || !has_leaf || std::arch::x86_64::__cpuid_count(EXTENDED_FEATURES, 0).edx & BF16_TILE_INT8 != BF16_TILE_INT8 {
            return false;
        }
        // SAFETY: asks the kernel for the use of a processor state; it refuses where there is none.
        unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
    }
}

/// Whether tiles can be used. `ONEDNN_MAX_CPU_ISA` with a name that does not end in `AMX` turns them off, as it does in oneDNN.
pub(crate) fn is_available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let allowed = std::env::var("ONEDNN_MAX_CPU_ISA").map_or(true, |isa| isa.is_empty() || ["ALL", "DEFAULT"].contains(&isa.as_str()) || isa.ends_with("AMX"));
        #[cfg(target_arch = "x86_64")]
        {
            allowed && x86::ask()
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false && allowed
        }
    })
}

/// Brings memory that is read soon nearer.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE) {
        // SAFETY: a hint, at an address within a slice.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(line.as_ptr().cast()) }
    }
}

/// Tiles that are set up on this thread, until it is dropped.
pub(super) struct Tiles(std::marker::PhantomData<*const ()>);

impl Tiles {
    /// `None` where the processor has none.
    pub fn begin() -> Option<Tiles> {
        if !is_available() {
            return None;
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: they are available.
        unsafe {
            x86::begin();
        }
        Some(Tiles(std::marker::PhantomData))
    }

    /// Adds a block's products to sums.
    ///
    /// # Panics
    /// Where the block reaches beyond its slices.
    #[inline]
    pub fn product(&self, kind: Kind, block: &Block, sums: &mut Sums) {
        assert!(block.is_within(kind), "a block of tiles reaches beyond its memory");
        if block.offsets.is_empty() {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: tiles are set up (`self`), the block is within its slices and has depth.
        unsafe {
            x86::product(kind, block, sums);
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: they are available.
        unsafe {
            x86::end();
        }
    }
}
