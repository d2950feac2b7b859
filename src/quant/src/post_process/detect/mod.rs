//! Built-in post-processes for detection networks: what `--post_process yolov5` does.
//!
//! Outputs are decoded to boxes with scores and classes, boxes that overlap are suppressed, and two networks are as similar as what they
//! found: the cosine of [`boxes::Agreement`], in which a pair of boxes of the same class counts by its overlap and both scores. So a network
//! that finds the same objects is similar, however the numbers of its empty cells may differ. Coordinates are pixels of
//! the network's input.

pub mod boxes;
mod decode;
mod grid;
pub mod options;

use super::{PostProcess, PostProcessError};
use crate::evaluator::Named;
use boxes::{Agreement, Detection, suppressed};
pub use options::{DetectOptions, FAMILIES, Family};
use tpuc_tensor::Tensor;

/// A decoder for networks of one input size.
pub struct Detector {
    options: DetectOptions,
    /// Width and height of the input.
    picture: [usize; 2],
}

/// Values of a row of the result: number of the picture, corners, score, class.
const COLUMNS: usize = 7;

impl Detector {
    /// `input` is the shape of the network's input, `[N, C, H, W]`, or `[N, H, W, C]` where C is 1, 3 or 4.
    pub fn new(options: DetectOptions, input: &[usize]) -> Result<Detector, PostProcessError> {
        let picture = match *input {
            [_, h, w, 1 | 3 | 4] if h > 4 && w > 4 => [w, h],
            [_, _, h, w] => [w, h],
            _ => return Err(format!("the network's input has the shape {input:?}, expected a picture [N, C, H, W]").into()),
        };
        Ok(Detector { options, picture })
    }

    /// What is found on each picture of a batch, best first.
    pub fn detections(&self, outputs: &[Named]) -> Result<Vec<Vec<Detection>>, PostProcessError> {
        let candidates = decode::candidates(outputs, &self.options, self.picture)?;
        Ok(candidates.into_iter().map(|c| suppressed(c, self.options.overlap)).collect())
    }
}

impl PostProcess for Detector {
    /// One tensor `[detections, 7]`: number of the picture, x1, y1, x2, y2, score, class.
    fn apply(&self, outputs: Vec<Named>) -> Result<Vec<Named>, PostProcessError> {
        let found = self.detections(&outputs)?;
        let row = |(image, d): (usize, &Detection)| [image as f32, d.corners[0], d.corners[1], d.corners[2], d.corners[3], d.score, d.class as f32];
        let rows: Vec<f32> = found.iter().enumerate().flat_map(|(i, list)| list.iter().map(move |d| (i, d))).flat_map(row).collect();
        let tensor = Tensor::f32(&[rows.len() / COLUMNS, COLUMNS], rows).map_err(|e| e.to_string())?;
        Ok(vec![("detections".into(), tensor)])
    }

    fn cosine(&self, float: &[Named], own: &[Named]) -> Option<f64> {
        let [float, own] = [float, own].map(pictures);
        let mut agreement = Agreement::default();
        let none = Vec::new();
        for image in 0..float.len().max(own.len()) {
            agreement.add(float.get(image).unwrap_or(&none), own.get(image).unwrap_or(&none));
        }
        Some(agreement.cosine())
    }
}

/// The rows of a result by picture.
fn pictures(result: &[Named]) -> Vec<Vec<Detection>> {
    let mut pictures: Vec<Vec<Detection>> = Vec::new();
    for row in result.iter().filter_map(|r| r.1.as_f32()).flat_map(|data| data.as_chunks::<COLUMNS>().0) {
        let &[image, x1, y1, x2, y2, score, class] = row;
        let image = image as usize;
        pictures.resize_with(pictures.len().max(image + 1), Vec::new);
        pictures[image].push(Detection { corners: [x1, y1, x2, y2], score, class: class as usize });
    }
    pictures
}

#[cfg(test)]
mod tests;
