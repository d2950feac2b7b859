//! Command streams of the vendor's bmodels, for tests: just enough of the container to find them.

use std::path::{Path, PathBuf};

/// A command group of a file of the kit.
pub struct Group {
    pub file: String,
    pub tiu_count: usize,
    pub dma_count: usize,
    pub tiu: Vec<u8>,
    pub dma: Vec<u8>,
}

struct Flat<'a>(&'a [u8]);

impl Flat<'_> {
    fn u32(&self, at: usize) -> usize {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("4 bytes")) as usize
    }
    fn u64(&self, at: usize) -> usize {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("8 bytes")) as usize
    }
    fn slot(&self, table: usize, slot: usize) -> Option<usize> {
        let back = i32::from_le_bytes(self.0[table..table + 4].try_into().expect("4 bytes"));
        let vtable = (table as i64 - i64::from(back)) as usize;
        let half = |at: usize| usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]));
        (4 + 2 * slot < half(vtable)).then(|| half(vtable + 4 + 2 * slot)).filter(|&at| at != 0).map(|at| table + at)
    }
    fn tables(&self, table: usize, slot: usize) -> Vec<usize> {
        let Some(at) = self.slot(table, slot) else { return Vec::new() };
        let vector = at + self.u32(at);
        (0..self.u32(vector)).map(|i| vector + 4 + 4 * i).map(|at| at + self.u32(at)).collect()
    }
}

/// The groups of a file under the kit, none (and a line that says so) where the kit is absent.
pub fn groups(file: &str) -> Vec<Group> {
    groups_of(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")).join(file), file)
}

/// The groups of any bmodel.
pub fn groups_of(path: &Path, file: &str) -> Vec<Group> {
    let Ok(bytes) = std::fs::read(path) else {
        println!("skipped: no {file} in the kit");
        return Vec::new();
    };
    let binary = 64 + Flat(&bytes).u32(8);
    let flat = Flat(&bytes[64..]);
    let mut groups = Vec::new();
    for net in flat.tables(flat.u32(0), 4) {
        for stage in flat.tables(net, 3) {
            for group in flat.tables(stage, 8) {
                let count = |slot| flat.slot(group, slot).map_or(0, |at| flat.u32(at));
                let blob = |slot| {
                    let at = flat.slot(group, slot).expect("a blob");
                    bytes[binary + flat.u64(at)..][..flat.u64(at + 8)].to_vec()
                };
                groups.push(Group {
                    file: file.to_string(),
                    tiu_count: count(0),
                    dma_count: count(1),
                    tiu: blob(2),
                    dma: blob(3),
                });
            }
        }
    }
    groups
}

/// The bmodels that every test must agree with, and more that the vendor's compiler made.
pub const FILES: &[&str] = &[
    "cnn_res/cnn_res_bm1684x_int8.bmodel",
    "mbv2_tiny/mbv2_tiny_bm1684x_int8.bmodel",
    "efficientnet_lite0/efflite0_bm1684x_int8.bmodel",
    "consts/consts_bm1684x_int8.bmodel",
    "shape_mix/shape_mix_bm1684x_int8.bmodel",
    "shape_mix/shape_mix_bm1684x_f32.bmodel",
    "shape_mix/shape_mix_bm1684x_bf16.bmodel",
    "shape_lite/shape_lite_bm1684x_int8.bmodel",
    "mlp_mm/mlp_mm_bm1684x_int8.bmodel",
    "transformer/transformer_bm1684x_int8.bmodel",
    "acts/acts_bm1684x_int8.bmodel",
    "acts_more/acts_more_bm1684x_int8.bmodel",
    "yolo_head/yolo_head_bm1684x_int8.bmodel",
    "yolo_head/mixed_bm1684x/m.bmodel",
    "pools/pools_bm1684x_int8.bmodel",
];

/// All groups of all files.
pub fn all() -> Vec<Group> {
    FILES.iter().flat_map(|file| groups(file)).collect()
}
