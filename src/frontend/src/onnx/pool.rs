//! AveragePool, MaxPool, the global ones.

use super::Importer;
use super::convert::{pads, window_list};
use super::node::OnnxNode;
use tpuc_ops::{ValueId, top};

/// A pooling window, and what `ceil_mode` adds behind the padding that the model asks for.
struct Window {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    pads: Vec<i64>,
    extra: Vec<i64>,
}

impl Window {
    /// The padding with what windows reach beyond it, so that later stages need not know of `ceil_mode`.
    fn widened(&self) -> Vec<i64> {
        let spatial = self.kernel.len();
        self.pads.iter().enumerate().map(|(i, &p)| if i < spatial { p } else { p + self.extra[i - spatial] }).collect()
    }
}

impl Importer<'_> {
    pub(super) fn max_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        if node.ints("dilations").is_some_and(|d| d.iter().any(|&v| v != 1)) {
            return Err("dilated pooling is not supported".into());
        }
        let window = self.window(node, input)?;
        let pads = window.widened();
        self.push(top::MaxPool { kernel_shape: window.kernel, strides: window.strides, pads, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn average_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let mut input = self.value(node.need(0)?)?;
        let window = self.window(node, input)?;
        if window.kernel.iter().chain(&window.strides).all(|&v| v == 1) && window.pads.iter().all(|&p| p == 0) {
            return Ok(input);
        }
        let mut count_include_pad = node.int("count_include_pad", 0) != 0;
        let mut pads = window.widened();
        if count_include_pad && window.extra.iter().any(|&e| e > 0) {
            // The padding counts, what windows reach beyond it does not: zeros in front, and a mean of what is there.
            let (before, after) = window.pads.split_at(window.kernel.len());
            let paddings = [&[0, 0], before, &[0, 0], after].concat();
            input = self.push(top::Pad { paddings, ..Default::default() }, &[input], &format!("{}_pad", node.layer))?;
            pads = [vec![0; window.kernel.len()], window.extra].concat();
            count_include_pad = false;
        }
        let op = top::AvgPool { kernel_shape: window.kernel, strides: window.strides, pads, count_include_pad, ..Default::default() };
        self.push(op, &[input], &node.layer)
    }

    fn window(&self, node: &OnnxNode, input: ValueId) -> Result<Window, String> {
        let kernel = node.ints("kernel_shape").ok_or("kernel_shape is missing")?.to_vec();
        let spatial = kernel.len();
        let shape = self.shape(input);
        if shape.len() != spatial + 2 || kernel.iter().any(|&k| !(1..=1 << 16).contains(&k)) {
            return Err(format!("a kernel of {kernel:?} does not fit an input of shape {shape:?}"));
        }
        let strides = window_list(node, "strides", spatial, 1)?;
        let pads = pads(node, shape, &kernel, &strides, &vec![1; spatial])?;
        let mut extra = vec![0; spatial];
        if node.int("ceil_mode", 0) != 0 {
            for d in 0..spatial {
                let size = shape[d + 2];
                let span = size + pads[d] + pads[d + spatial] - kernel[d];
                let mut steps = (span + strides[d] - 1).div_euclid(strides[d]);
                // A window that would start behind the input and its leading pad does not count.
                if steps * strides[d] >= size + pads[d] {
                    steps -= 1;
                }
                extra[d] = (steps * strides[d] - span).max(0);
            }
        }
        Ok(Window { kernel, strides, pads, extra })
    }

    pub(super) fn global_average_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let (kernel_shape, strides, pads) = self.everything(input)?;
        self.push(top::AvgPool { kernel_shape, strides, pads, count_include_pad: true, ..Default::default() }, &[input], &node.layer)
    }

    pub(super) fn global_max_pool(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let (kernel_shape, strides, pads) = self.everything(input)?;
        self.push(top::MaxPool { kernel_shape, strides, pads, count_include_pad: true, ..Default::default() }, &[input], &node.layer)
    }

    /// Kernel, strides and pads of one window over all spatial dimensions.
    fn everything(&self, input: ValueId) -> Result<(Vec<i64>, Vec<i64>, Vec<i64>), String> {
        match self.shape(input) {
            [_, _, spatial @ ..] if !spatial.is_empty() => Ok((spatial.to_vec(), vec![1; spatial.len()], vec![0; 2 * spatial.len()])),
            shape => Err(format!("input {shape:?} has no spatial dimensions")),
        }
    }
}
