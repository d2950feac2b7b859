//! Tile sizes of convolutions and pools: which output channels, rows and input channels are in local memory at once.

use crate::local::{LANE_BYTES, LANES, aligned_bytes};
use tpuc_tensor::DType;

/// The sliding window along height.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub input: u64,
    pub kernel: u64,
    pub stride: u64,
    pub dilation: u64,
    pub pad_before: u64,
    pub output: u64,
}

/// The input rows of a range of output rows, and the padding that is left at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub start: u64,
    pub count: u64,
    pub pad_before: u64,
    pub pad_after: u64,
}

impl Rows {
    /// Rows of a kernel including the gaps of dilation.
    pub fn reach(&self) -> u64 {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The input rows that output rows `first..first + count` read. An error if they read nothing but padding.
    pub fn slice(&self, first: u64, count: u64) -> Result<Slice, String> {
        let low = (first * self.stride) as i64 - self.pad_before as i64;
        let high = ((first + count - 1) * self.stride + self.reach()) as i64 - self.pad_before as i64;
        let (start, end) = (low.clamp(0, self.input as i64), high.clamp(0, self.input as i64));
        if end <= start {
            return Err("some windows lie in the padding alone, which the chip cannot compute".into());
        }
        Ok(Slice { start: start as u64, count: (end - start) as u64, pad_before: (start - low) as u64, pad_after: (high - end) as u64 })
    }

    /// The most input rows that any `count` output rows read.
    pub fn most_input(&self, count: u64) -> u64 {
        ((count - 1) * self.stride + self.reach()).min(self.input)
    }
}

/// A convolution's shape for one group and one image.
#[derive(Debug, Clone, Copy)]
pub struct ConvShape {
    pub input_channels: u64,
    pub output_channels: u64,
    pub input_width: u64,
    pub output_width: u64,
    pub kernel_area: u64,
    pub rows: Rows,
    pub images: u64,
    /// Of the input and the weights.
    pub dtype: DType,
    pub result: DType,
}

/// Input channels whose weights lie together in a lane: what the chip sums at once.
pub fn cube(dtype: DType) -> u64 {
    match dtype.size() {
        1 => 64,
        2 => 32,
        _ => 1,
    }
}

/// Sizes of one step: how much is in local memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTile {
    pub output_channels: u64,
    pub input_channels: u64,
    pub output_rows: u64,
    /// Two sets of buffers, so that loading and computing overlap.
    pub double: bool,
}

/// Bytes a lane of requantization records (64 each) and biases of a run of output channels.
pub fn parameter_bytes(output_channels: u64) -> u64 {
    let blocks = output_channels.div_ceil(LANES);
    blocks * 64 + (blocks * 4).next_multiple_of(64)
}

impl ConvShape {
    /// Bytes a lane of the weights of one step.
    pub fn weight_bytes(&self, output_channels: u64, input_channels: u64) -> u64 {
        self.kernel_area * self.tap_bytes(output_channels, input_channels)
    }

    /// Those of one tap, where every tap's are by themselves.
    pub fn tap_bytes(&self, output_channels: u64, input_channels: u64) -> u64 {
        let cube = cube(self.dtype);
        (output_channels.div_ceil(LANES) * input_channels.next_multiple_of(cube) * self.dtype.size() as u64).next_multiple_of(64)
    }

    pub fn coefficient_bytes(&self, tile: &ConvTile) -> u64 {
        parameter_bytes(tile.output_channels) + self.weight_bytes(tile.output_channels, tile.input_channels)
    }

    /// Bytes a lane of input, accumulator and result of one step.
    pub fn data_bytes(&self, tile: &ConvTile) -> u64 {
        let plane = tile.output_rows * self.output_width;
        aligned_bytes(tile.input_channels, self.rows.most_input(tile.output_rows) * self.input_width, self.dtype)
            + aligned_bytes(tile.output_channels, plane, DType::I32)
            + aligned_bytes(tile.output_channels, plane, self.result)
    }

    fn fits(&self, tile: &ConvTile) -> bool {
        let sets = if tile.double { 2 } else { 1 };
        // Every buffer may lose up to an EU row to alignment.
        sets * (self.coefficient_bytes(tile) + self.data_bytes(tile) + 5 * 64) <= LANE_BYTES
    }

    /// Bytes that a tiling moves, plus a charge for every step (a DMA command costs as much as some kilobytes).
    fn traffic(&self, tile: &ConvTile) -> u64 {
        let oc_steps = self.output_channels.div_ceil(tile.output_channels);
        let ic_steps = self.input_channels.div_ceil(tile.input_channels);
        let row_steps = self.rows.output.div_ceil(tile.output_rows);
        let rows_read = row_steps * self.rows.most_input(tile.output_rows);
        let input = self.images * oc_steps * self.input_channels * rows_read * self.input_width;
        let weights = self.output_channels.next_multiple_of(64) * self.input_channels.next_multiple_of(64) * self.kernel_area;
        let weights = if ic_steps > 1 { weights * row_steps * self.images } else { weights };
        let steps = self.images * oc_steps * ic_steps * row_steps;
        let latency = if tile.double { 4 << 10 } else { 16 << 10 };
        (input + weights) * self.dtype.size() as u64 + steps * latency
    }

    /// The tiling that moves the least.
    pub fn best_tile(&self) -> Result<ConvTile, String> {
        let options = |total: u64| {
            let mut list = vec![total];
            let blocks = total.div_ceil(LANES);
            list.extend((1..blocks).rev().map(|b| b * LANES));
            list
        };
        let mut best: Option<(u64, ConvTile)> = None;
        for double in [true, false] {
            for &output_channels in &options(self.output_channels) {
                for &input_channels in &options(self.input_channels) {
                    let with_rows = |output_rows| ConvTile { output_channels, input_channels, output_rows, double };
                    let Some(output_rows) = largest(self.rows.output, |rows| self.fits(&with_rows(rows))) else { continue };
                    // Even steps balance the work; the count of steps stays the same.
                    let steps = self.rows.output.div_ceil(output_rows);
                    let tile = with_rows(self.rows.output.div_ceil(steps));
                    let cost = self.traffic(&tile);
                    if best.is_none_or(|(known, _)| cost < known) {
                        best = Some((cost, tile));
                    }
                    // Fewer input channels at once only add passes.
                    break;
                }
            }
        }
        best.map(|(_, tile)| tile).ok_or_else(|| format!("a single output row of {} elements does not fit local memory", self.output_width))
    }
}

/// The largest count in `1..=most` that fits, given that smaller ones fit when larger ones do.
pub fn largest(most: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if most == 0 || !fits(1) {
        return None;
    }
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_know_their_padding() {
        let rows = Rows { input: 8, kernel: 3, stride: 2, dilation: 1, pad_before: 1, output: 4 };
        assert_eq!(rows.slice(0, 2).unwrap(), Slice { start: 0, count: 4, pad_before: 1, pad_after: 0 });
        assert_eq!(rows.slice(2, 2).unwrap(), Slice { start: 3, count: 5, pad_before: 0, pad_after: 0 });
        let far = Rows { pad_before: 9, ..rows };
        assert!(far.slice(0, 1).is_err());
    }

    #[test]
    fn tiles_fit_local_memory() {
        let shape = |ic, oc, size: u64, kernel: u64| ConvShape {
            input_channels: ic,
            output_channels: oc,
            input_width: size,
            output_width: size,
            kernel_area: kernel * kernel,
            rows: Rows { input: size, kernel, stride: 1, dilation: 1, pad_before: kernel / 2, output: size },
            images: 1,
            dtype: DType::I8,
            result: DType::I8,
        };
        for (ic, oc, size, kernel) in [(16, 96, 112, 1), (3, 32, 224, 3), (2048, 2048, 7, 3), (512, 512, 56, 3), (64, 64, 1000, 7)] {
            let shape = shape(ic, oc, size, kernel);
            let tile = shape.best_tile().unwrap();
            assert!(shape.fits(&tile), "{tile:?}");
        }
        assert!(shape(64, 64, 200_000, 1).best_tile().is_err());
    }
}
