//! What the user says about a network's inputs, and what an import gives.

use tpuc_ops::{Program, top};
use tpuc_tensor::WeightStore;

/// How a picture becomes an input tensor. Values as the user gave them; defaults are those of the documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessing {
    /// Height and width that a picture is resized to before cropping; `None`: the network's own.
    pub resize_dims: Option<[i64; 2]>,
    pub keep_aspect_ratio: bool,
    pub keep_ratio_mode: String,
    pub mean: Vec<f64>,
    pub scale: Vec<f64>,
    pub pixel_format: String,
    pub channel_format: String,
    pub pad_value: i64,
    pub pad_type: String,
    pub yuv_type: String,
    /// The inputs that pictures become, counted from 1; empty: all of them.
    pub inputs: Vec<usize>,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Preprocessing {
            resize_dims: None,
            keep_aspect_ratio: false,
            keep_ratio_mode: "letterbox".into(),
            mean: vec![0.0; 3],
            scale: vec![1.0; 3],
            pixel_format: "bgr".into(),
            channel_format: "nchw".into(),
            pad_value: 0,
            pad_type: "center".into(),
            yuv_type: String::new(),
            inputs: Vec::new(),
        }
    }
}

impl Preprocessing {
    /// The attributes of `top.Input` for input `index` (from 0) of this shape. Only four-dimensional inputs whose channel count is
    /// that of a picture (1, 3 or 4) carry preprocessing, and none with the channel format `none`.
    pub fn input_op(&self, index: usize, shape: &[i64]) -> top::Input {
        if self.channel_format == "none" || !(self.inputs.is_empty() || self.inputs.contains(&(index + 1))) {
            return top::Input::default();
        }
        let nhwc = self.channel_format == "nhwc";
        let plain = top::Input { do_preprocess: true, ..Default::default() };
        let &[_, a, b, c] = shape else { return plain };
        let (channels, height, width) = if nhwc { (c, a, b) } else { (a, b, c) };
        if !matches!(channels, 1 | 3 | 4) {
            return plain;
        }
        let [resize_h, resize_w] = self.resize_dims.unwrap_or([height, width]);
        let rounded = |list: &[f64]| list.iter().map(|&v| f64::from(v as f32)).collect::<Vec<_>>();
        top::Input {
            do_preprocess: true,
            pixel_format: Some(self.pixel_format.clone()),
            channel_format: Some(self.channel_format.clone()),
            resize_dims: Some(vec![resize_h.max(height), resize_w.max(width)]),
            keep_aspect_ratio: Some(self.keep_aspect_ratio),
            keep_ratio_mode: Some(self.keep_ratio_mode.clone()),
            pad_value: Some(self.pad_value),
            pad_type: Some(self.pad_type.clone()),
            mean: Some(rounded(&self.mean)),
            scale: Some(rounded(&self.scale)),
            yuv_type: Some(self.yuv_type.clone()),
            ..Default::default()
        }
    }
}

/// What the user says about an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    pub model_name: String,
    /// Shapes of the inputs in order; needed where the file leaves dimensions open.
    pub input_shapes: Option<Vec<Vec<i64>>>,
    /// Tensors that become the network's outputs; empty: those of the file.
    pub output_names: Vec<String>,
    pub preprocessing: Preprocessing,
}

/// A network as Top ops, not yet canonicalized.
#[derive(Debug, Clone)]
pub struct Imported {
    pub program: Program,
    pub weights: WeightStore,
    /// Names of the tensors of the file that became outputs, in order (the program's output names are layer names).
    pub output_tensors: Vec<String>,
}
