//! The coefficient region: weights in the layout in which one DMA brings them into the lanes.

use std::collections::HashMap;

/// Blobs start at multiples of this, so that DMA runs at full rate.
const ALIGNMENT: usize = 512;

/// The growing coefficient blob. Equal blobs are stored once.
#[derive(Default)]
pub struct Coeff {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u64>,
}

impl Coeff {
    /// Appends a blob and returns its offset.
    pub fn add(&mut self, blob: Vec<u8>) -> u64 {
        if let Some(&at) = self.known.get(&blob) {
            return at;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&blob);
        self.known.insert(blob, at);
        at
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A blob that is laid out lane by lane: every lane has the same number of bytes.
pub struct Lanes {
    pub lane_bytes: usize,
    pub bytes: Vec<u8>,
}

impl Lanes {
    pub fn new(lanes: usize, lane_bytes: usize) -> Lanes {
        Lanes { lane_bytes, bytes: vec![0; lanes * lane_bytes] }
    }

    pub fn put(&mut self, lane: usize, offset: usize, bytes: &[u8]) {
        let at = lane * self.lane_bytes + offset;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
