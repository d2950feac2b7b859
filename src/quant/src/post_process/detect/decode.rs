//! From the outputs of detection networks to candidates: one decoder a family.
//!
//! * YOLOv3: centre = (sigmoid(t) + cell) * stride, size = exp(t) * anchor (Redmon and Farhadi, "YOLOv3", 2018)
//! * YOLOv5: centre = (2 sigmoid(t) - 0.5 + cell) * stride, size = (2 sigmoid(t))^2 * anchor (ultralytics/yolov5, `Detect`)
//! * YOLOX: centre = (t + cell) * stride, size = exp(t) * stride (Ge et al., "YOLOX", 2021)
//! * NanoDet: distances of the four sides from the centre of a cell, each the mean of a distribution over bins (Li et al.,
//!   "Generalized Focal Loss", 2020)
//!
//! The score of the YOLOs is objectness times class probability, that of NanoDet the class probability.

use super::boxes::Detection;
use super::grid::Grid;
use super::options::{DetectOptions, Family};
use crate::evaluator::Named;

/// Anchors of YOLOv3 and YOLOv5 for strides 8, 16 and 32, and those of YOLOv3-tiny for strides 16 and 32.
const THREE_HEADS: [[f32; 2]; 9] = [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0], [30.0, 61.0], [62.0, 45.0], [59.0, 119.0], [116.0, 90.0], [156.0, 198.0], [373.0, 326.0]];
const TWO_HEADS: [[f32; 2]; 6] = [[23.0, 27.0], [37.0, 58.0], [81.0, 82.0], [81.0, 82.0], [135.0, 169.0], [344.0, 319.0]];

/// Anchors of one cell.
const ANCHORS: usize = 3;

/// Before the class scores: the box and how sure it is that there is one.
const BOX_VALUES: usize = 5;

/// Bins for the distance of a side that NanoDet's variants have.
const BINS: [usize; 2] = [8, 11];

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The candidates of every picture of a batch. `picture` is `[width, height]` of the network's input.
pub fn candidates(outputs: &[Named], options: &DetectOptions, picture: [usize; 2]) -> Result<Vec<Vec<Detection>>, String> {
    match options.family {
        Family::YoloV3 | Family::YoloV5 => match outputs.iter().find_map(|o| decoded(o, options, picture)) {
            Some(found) => Ok(found),
            None => anchored(outputs, options, picture),
        },
        Family::YoloX => yolox(outputs, options, picture),
        Family::NanoDet => nanodet(outputs, options, picture),
    }
}

fn shapes(outputs: &[Named]) -> String {
    outputs.iter().map(|(name, tensor)| format!("'{name}' {:?}", tensor.shape())).collect::<Vec<_>>().join(", ")
}

fn size(picture: [usize; 2]) -> [f32; 2] {
    [picture[0] as f32, picture[1] as f32]
}

/// `[N, boxes, 5 + classes]`, which the network has decoded itself: centre and size in pixels, probabilities.
fn decoded(output: &Named, options: &DetectOptions, picture: [usize; 2]) -> Option<Vec<Vec<Detection>>> {
    let &[images, boxes, values] = output.1.shape() else { return None };
    if values <= BOX_VALUES || boxes == 0 {
        return None;
    }
    let of_box = |row: &[f32]| {
        let (class, best) = best_of(&row[BOX_VALUES..]);
        let score = row[4] * best;
        (score > options.confidence).then(|| Detection::centred([row[0], row[1]], [row[2], row[3]], size(picture), score, class)).flatten()
    };
    let of_image = |image: &[f32]| image.chunks_exact(values).filter_map(of_box).collect();
    let data = output.1.as_f32()?;
    Some((0..images).map(|i| of_image(&data[i * boxes * values..(i + 1) * boxes * values])).collect())
}

fn best_of(scores: &[f32]) -> (usize, f32) {
    scores.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (i, &s)| if s > best.1 { (i, s) } else { best })
}

/// Adds the candidates of a grid: `decode` gives centre, size, objectness and class score of an anchor in a cell, the last from
/// the best of the network's class values.
fn add(found: &mut Vec<Vec<Detection>>, grid: &Grid, options: &DetectOptions, picture: [usize; 2], decode: impl Fn(usize, usize, [usize; 2]) -> ([f32; 2], [f32; 2], f32, fn(f32) -> f32)) {
    found.resize_with(found.len().max(grid.images), Vec::new);
    for (image, list) in found.iter_mut().enumerate().take(grid.images) {
        for anchor in 0..grid.anchors {
            for cell in grid.cells() {
                let (centre, extent, objectness, probability) = decode(image, anchor, cell);
                if objectness > options.confidence {
                    let (class, value) = grid.best(image, anchor, cell, BOX_VALUES..grid.values);
                    let score = objectness * probability(value);
                    if score > options.confidence {
                        list.extend(Detection::centred(centre, extent, size(picture), score, class));
                    }
                }
            }
        }
    }
}

/// YOLOv3 and YOLOv5 before their decoding: one output a stride.
fn anchored(outputs: &[Named], options: &DetectOptions, picture: [usize; 2]) -> Result<Vec<Vec<Detection>>, String> {
    let grid = |output| Grid::of(output, ANCHORS, picture).filter(|g| g.values > BOX_VALUES);
    let mut grids: Vec<Grid> = outputs.iter().map(grid).collect::<Option<_>>().filter(|g: &Vec<Grid>| !g.is_empty()).ok_or_else(|| {
        let [w, h] = picture;
        format!("outputs {} are no heads of an input of {h}x{w}: expected [N, 3*(5+classes), H, W] (or with the channels last, or the anchors apart) a stride, or one of [N, boxes, 5+classes]", shapes(outputs))
    })?;
    grids.sort_by_key(|g| g.stride);
    let anchors: &[[f32; 2]] = match (options.anchors.as_slice(), grids.len(), options.family) {
        ([], 2, Family::YoloV3) => &TWO_HEADS,
        ([], 3, _) => &THREE_HEADS,
        (given, heads, _) if given.len() == heads * ANCHORS => given,
        (given, heads, _) => return Err(format!("{heads} heads need {} anchors, {}", heads * ANCHORS, if given.is_empty() { "which have to be given: anchors=10x13;16x30;...".to_owned() } else { format!("{} are given", given.len()) })),
    };
    let mut found = Vec::new();
    for (grid, anchors) in grids.iter().zip(anchors.chunks(ANCHORS)) {
        let stride = grid.stride as f32;
        add(&mut found, grid, options, picture, |image, anchor, cell| {
            let value = |v| grid.at(image, anchor, cell, v);
            let (place, [w, h]) = ([cell[1] as f32, cell[0] as f32], anchors[anchor]);
            let (centre, extent) = match options.family {
                Family::YoloV5 => {
                    let side = |v| (2.0 * sigmoid(value(v))).powi(2);
                    ([0, 1].map(|i| (2.0 * sigmoid(value(i)) - 0.5 + place[i]) * stride), [side(2) * w, side(3) * h])
                }
                Family::YoloV3 | Family::YoloX | Family::NanoDet => ([0, 1].map(|i| (sigmoid(value(i)) + place[i]) * stride), [value(2).exp() * w, value(3).exp() * h]),
            };
            (centre, extent, sigmoid(value(4)), sigmoid)
        });
    }
    Ok(found)
}

/// YOLOX: the cells of strides 8, 16, 32 (64) one after the other, or a head a stride. Probabilities are done in the network.
fn yolox(outputs: &[Named], options: &DetectOptions, picture: [usize; 2]) -> Result<Vec<Vec<Detection>>, String> {
    let heads = || outputs.iter().map(|o| Grid::of(o, 1, picture)).collect::<Option<Vec<Grid>>>();
    let joined = outputs.iter().find_map(|o| Grid::joined(o, &[8, 16, 32], picture).or_else(|| Grid::joined(o, &[8, 16, 32, 64], picture)));
    let grids = joined.or_else(heads).filter(|g| !g.is_empty() && g.iter().all(|g| g.values > BOX_VALUES)).ok_or_else(|| {
        let [w, h] = picture;
        format!("outputs {} are no heads of an input of {h}x{w}: expected one of [N, cells of strides 8, 16, 32, 5+classes], or [N, 5+classes, H, W] a stride", shapes(outputs))
    })?;
    let mut found = Vec::new();
    for grid in &grids {
        let stride = grid.stride as f32;
        add(&mut found, grid, options, picture, |image, anchor, cell| {
            let value = |v| grid.at(image, anchor, cell, v);
            let centre = [(value(0) + cell[1] as f32) * stride, (value(1) + cell[0] as f32) * stride];
            (centre, [value(2).exp() * stride, value(3).exp() * stride], value(4), |p| p)
        });
    }
    Ok(found)
}

/// NanoDet: class scores and distances a stride, or both in one tensor with the cells one after the other.
fn nanodet(outputs: &[Named], options: &DetectOptions, picture: [usize; 2]) -> Result<Vec<Vec<Detection>>, String> {
    let together = |o| [&[8, 16, 32][..], &[8, 16, 32, 64]].into_iter().find_map(|strides| Grid::joined(o, strides, picture)).filter(|grids| grids[0].values > 4 * BINS[0]);
    let mut found: Vec<Vec<Detection>> = Vec::new();
    if let Some(grids) = outputs.iter().find_map(together) {
        for grid in &grids {
            let classes = grid.values - 4 * BINS[0];
            add_distances(&mut found, [grid, grid], [0, classes], BINS[0], classes, options, picture);
        }
        return Ok(found);
    }
    let wrong = || {
        let [w, h] = picture;
        format!("outputs {} are no heads of an input of {h}x{w}: expected class scores [N, cells, classes] and distances [N, cells, 32 or 44] a stride, or one of [N, cells of all strides, classes+32]", shapes(outputs))
    };
    let grids: Vec<Grid> = outputs.iter().map(|o| Grid::flat(o, picture).or_else(|| Grid::of(o, 1, picture))).collect::<Option<_>>().ok_or_else(wrong)?;
    let bins = |values: usize| BINS.into_iter().find(|b| 4 * b == values);
    for (i, scores) in grids.iter().enumerate() {
        // Of two tensors of a stride that could both be distances, the second is.
        let partner = grids.iter().enumerate().find(|(j, d)| d.stride == scores.stride && *j != i && bins(d.values).is_some() && (bins(scores.values).is_none() || *j > i));
        if let Some((_, distances)) = partner {
            add_distances(&mut found, [scores, distances], [0, 0], distances.values / 4, scores.values, options, picture);
        }
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

/// Candidates whose class scores and distances begin at the given values of two grids of the same stride.
fn add_distances(found: &mut Vec<Vec<Detection>>, [scores, distances]: [&Grid; 2], first: [usize; 2], bins: usize, classes: usize, options: &DetectOptions, picture: [usize; 2]) {
    let images = scores.images.min(distances.images);
    found.resize_with(found.len().max(images), Vec::new);
    let stride = scores.stride as f32;
    for (image, list) in found.iter_mut().enumerate().take(images) {
        for cell in scores.cells() {
            let (class, score) = scores.best(image, 0, cell, first[0]..first[0] + classes);
            if score > options.confidence {
                let side = |side: usize| expectation((0..bins).map(|b| distances.at(image, 0, cell, first[1] + side * bins + b))) * stride;
                let (x, y) = ((cell[1] as f32 + 0.5) * stride, (cell[0] as f32 + 0.5) * stride);
                list.extend(Detection::new([x - side(0), y - side(1), x + side(2), y + side(3)], size(picture), score, class));
            }
        }
    }
}

/// The mean bin of a distribution given by logits.
fn expectation(logits: impl Iterator<Item = f32> + Clone) -> f32 {
    let most = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let (sum, weighted) = logits.map(|l| (l - most).exp()).enumerate().fold((0.0, 0.0), |(s, w), (i, e)| (s + e, w + i as f32 * e));
    weighted / sum
}
