use super::*;

/// A head `[1, 3 * 7, 2, 2]` for an input of 64x64, in which all is unlikely but one anchor of one cell.
fn head(anchor: usize, cell: [usize; 2], values: [f32; 7]) -> Named {
    let mut data = vec![-9.0; 3 * 7 * 4];
    for (v, value) in values.into_iter().enumerate() {
        data[((anchor * 7 + v) * 2 + cell[0]) * 2 + cell[1]] = value;
    }
    ("head".into(), Tensor::f32(&[1, 21, 2, 2], data).unwrap())
}

fn found(word: &str, outputs: &[Named]) -> Result<Vec<Detection>, String> {
    let options = DetectOptions::parse(word).unwrap()?;
    let detector = Detector::new(options, &[1, 3, 64, 64]).unwrap();
    detector.detections(outputs).map(|mut d| d.swap_remove(0)).map_err(|e| e.to_string())
}

const ANCHORS: &str = "anchors=8x8;20x10;32x32";

#[test]
fn yolov3_decodes() {
    // Centre (0.5 + 1) * 32 = 48, (0.5 + 0) * 32 = 16; size 20 * e^0, 10 * e^ln(1.6).
    let output = head(1, [0, 1], [0.0, 0.0, 0.0, 1.6f32.ln(), 9.0, -9.0, 9.0]);
    let found = found(&format!("yolov3:{ANCHORS}"), &[output]).unwrap();
    let [one] = found[..] else { panic!("{found:?}") };
    assert!(one.corners.iter().zip([38.0, 8.0, 58.0, 24.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{one:?}");
    assert!(one.class == 1 && (one.score - 0.999_753).abs() < 1e-5);
}

#[test]
fn yolov5_decodes_heads_and_boxes_alike() {
    // Centre (2 * 0.5 - 0.5 + cell) * 32; size (2 * 0.5)^2 * anchor.
    let output = head(2, [1, 0], [0.0, 0.0, 0.0, 0.0, 9.0, 9.0, -9.0]);
    let from_head = found(&format!("yolov5:{ANCHORS}"), &[output]).unwrap();
    assert_eq!(from_head[0].corners, [0.0, 32.0, 32.0, 64.0]);
    let p = 1.0 / (1.0 + (-9.0f32).exp());
    let boxes = ("boxes".into(), Tensor::f32(&[1, 2, 7], vec![16.0, 48.0, 32.0, 32.0, p, p, 0.0, 5.0, 5.0, 4.0, 4.0, 0.1, 1.0, 0.0]).unwrap());
    assert_eq!(found("yolov5", &[boxes]).unwrap(), from_head);
}

#[test]
fn yolox_decodes() {
    // Strides 8, 16 and 32 on 64x64: 64 + 16 + 4 cells. The cell [1, 1] of the last one.
    let mut data = vec![0.0f32; 84 * 7];
    data[83 * 7..].copy_from_slice(&[0.25, -0.25, 0.0, 0.5f32.ln(), 0.9, 0.1, 0.8]);
    let output = ("out".into(), Tensor::f32(&[1, 84, 7], data).unwrap());
    let found = found("yolox", &[output]).unwrap();
    let [one] = found[..] else { panic!("{found:?}") };
    assert!(one.corners.iter().zip([24.0, 16.0, 56.0, 32.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{one:?}");
    assert!(one.class == 1 && (one.score - 0.72).abs() < 1e-6);
}

#[test]
fn nanodet_decodes_two_tensors_and_one() {
    // The cell [0, 1] of stride 32 has its centre at (48, 16). All probability in bin 0.5 (bins 0 and 1 alike) on the left, bin 1 elsewhere.
    let distance = |bins: &[usize]| (0..8).map(|b| if bins.contains(&b) { 20.0 } else { -20.0 }).collect::<Vec<f32>>();
    let sides: Vec<f32> = [&[0, 1][..], &[0], &[0], &[1]].iter().flat_map(|b| distance(b)).collect();
    let mut distances = vec![0.0f32; 4 * 32];
    distances[32..64].copy_from_slice(&sides);
    let mut scores = vec![0.0f32; 4 * 2];
    scores[3] = 0.6;
    let expected = |one: &Detection| one.class == 1 && one.score == 0.6 && one.corners.iter().zip([32.0, 16.0, 48.0, 48.0]).all(|(a, b)| (a - b).abs() < 1e-3);
    let apart = [("scores".into(), Tensor::f32(&[1, 4, 2], scores).unwrap()), ("distances".into(), Tensor::f32(&[1, 4, 32], distances.clone()).unwrap())];
    let two = found("nanodet", &apart).unwrap();
    assert!(two.len() == 1 && expected(&two[0]), "{two:?}");
    let mut joined = vec![0.0f32; 84 * 34];
    joined[81 * 34..82 * 34].copy_from_slice(&[&[0.0, 0.6][..], &sides].concat());
    let one = found("nanodet", &[("out".into(), Tensor::f32(&[1, 84, 34], joined).unwrap())]).unwrap();
    assert!(one.len() == 1 && expected(&one[0]), "{one:?}");
}

#[test]
fn outputs_that_do_not_fit_are_named() {
    let output: Named = ("scores".into(), Tensor::f32(&[1, 10], vec![0.0; 10]).unwrap());
    for (word, expected) in [("yolov3", "[N, 3*(5+classes), H, W]"), ("yolov5", "'scores' [1, 10]"), ("yolox", "cells of strides 8, 16, 32"), ("nanodet", "32 or 44")] {
        let error = found(word, std::slice::from_ref(&output)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(found("yolov5", &[head(0, [0, 0], [0.0; 7])]).unwrap_err().contains("have to be given"));
    assert!(found("yolov5:anchors=1x1", &[head(0, [0, 0], [0.0; 7])]).unwrap_err().contains("1 are given"));
    assert!(Detector::new(DetectOptions::parse("yolox").unwrap().unwrap(), &[1, 80]).is_err());
}

#[test]
fn similarity_follows_the_boxes() {
    let detector = Detector::new(DetectOptions::parse(&format!("yolov3:{ANCHORS}")).unwrap().unwrap(), &[1, 3, 64, 64]).unwrap();
    let result = |x: f32| detector.apply(vec![head(1, [0, 1], [x, 0.0, 0.0, 0.0, 9.0, -9.0, 9.0])]).unwrap();
    let (here, near, nothing) = (result(0.0), result(0.5), detector.apply(vec![head(0, [0, 0], [-9.0; 7])]).unwrap());
    assert_eq!(nothing[0].1.shape(), [0, 7]);
    assert_eq!(detector.cosine(&here, &here), Some(1.0));
    let moved = detector.cosine(&here, &near).unwrap();
    assert!(moved > 0.5 && moved < 0.9, "{moved}");
    assert_eq!((detector.cosine(&here, &nothing), detector.cosine(&nothing, &nothing)), (Some(0.0), Some(1.0)));
}
