//! Networks that preprocess their frames: every format, mode and family against the formula.

use crate::attributes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tpuc_interp::{Options, Plan};
use tpuc_lowering::{Chip, Mode, fuse_preprocess, lower_program};
use tpuc_ops::preprocess::FrameFormat;
use tpuc_ops::{Attr, Elem, Op, Program, TensorType, top};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

const MEAN: [f64; 4] = [100.0, 50.5, 20.25, 7.0];
const SCALE: [f64; 4] = [0.5, 0.25, 0.125, 1.0];
/// With `MEAN` and `SCALE` and this threshold every result is a quarter of a step.
const THRESHOLD: f64 = 63.5;

/// A picture input of 6 by 8 from frames of 8 by 12, a convolution that tells the channels apart, and (`watched`) a Relu beside it.
fn network(pixel_format: &str, watched: bool, quantized: bool) -> (Program, WeightStore) {
    let channels = if pixel_format == "gray" { 1 } else { pixel_format.len() };
    let (mut program, mut weights) = (Program::new("net"), WeightStore::new());
    let range = |high: f64| if quantized { Elem::Calibrated { expressed: DType::F32, min: -high, max: high } } else { Elem::F32 };
    let shape = [1, channels as i64, 6, 8];
    let x = program.add_input("x", TensorType::f32(&shape));
    let input = top::Input {
        do_preprocess: true,
        pixel_format: Some(pixel_format.into()),
        channel_format: Some("nchw".into()),
        resize_dims: Some(vec![8, 12]),
        mean: Some(MEAN[..channels.max(3)].to_vec()),
        scale: Some(SCALE[..channels.max(3)].to_vec()),
        ..Default::default()
    };
    let x = program.push(input, &[x], "x", TensorType::new(&shape, range(THRESHOLD)));
    let filter: Vec<f32> = (0..2 * channels).map(|i| [1.0, -0.5, 0.25, 2.0, -1.0, 0.75, 0.5, -2.0][i]).collect();
    weights.insert("w", Tensor::f32(&[2, channels, 1, 1], filter).unwrap());
    let w = program.add_weight("w", TensorType::f32(&[2, channels as i64, 1, 1]));
    let none = program.none();
    let conv = top::Conv { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() };
    let y = program.push(conv, &[x, w, none], "y", TensorType::new(&[1, 2, 6, 8], range(200.0)));
    program.outputs = vec![y];
    if watched {
        let z = program.push(top::Relu::default(), &[x], "z", TensorType::new(&shape, range(THRESHOLD)));
        program.outputs.push(z);
    }
    (program, weights)
}

fn random_frame(shape: &[i64]) -> Tensor {
    let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
    let count = dims.iter().product();
    Tensor::new(&dims, Data::U8((0..count).map(|i: usize| ((i * 7919 + i * i * 31 + 13) % 256) as u8).collect())).unwrap()
}

fn run(program: &Program, weights: &WeightStore, frame: &Tensor) -> BTreeMap<String, Vec<f32>> {
    let plan = Arc::new(Plan::new(program.clone(), weights, Options::default()).unwrap());
    let all = plan.executor().unwrap().run_all(&[frame]).unwrap();
    all.into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect()
}

/// Colours by name of a pixel of a frame of 8 by 12, by the definition of the formats.
fn colour(format: FrameFormat, frame: &[f32], letter: char, y: usize, x: usize) -> f32 {
    let (h, w) = (8, 12);
    let at = y * w + x;
    let letters = match format {
        FrameFormat::RgbPlanar | FrameFormat::RgbPacked => "rgb",
        FrameFormat::BgrPlanar | FrameFormat::BgrPacked => "bgr",
        FrameFormat::Grayscale => "g",
        FrameFormat::RgbaPlanar => "rgba",
        FrameFormat::Yuv420Planar | FrameFormat::YuvNv12 | FrameFormat::YuvNv21 => "",
    };
    if let Some(c) = letters.find(letter) {
        return if format.is_packed() { frame[at * 3 + c] } else { frame[c * h * w + at] };
    }
    let square = (y / 2) * (w / 2) + x / 2;
    let chroma = &frame[h * w..];
    let [u, v] = match format {
        FrameFormat::Yuv420Planar => [chroma[square], chroma[h * w / 4 + square]],
        FrameFormat::YuvNv12 => [chroma[2 * square], chroma[2 * square + 1]],
        _ => [chroma[2 * square + 1], chroma[2 * square]],
    };
    let [l, u, v] = [frame[at] - 16.0, u - 128.0, v - 128.0].map(f64::from);
    let value = match letter {
        'r' => 1.16438 * l + 1.59603 * v,
        'g' => 1.16438 * l - 0.81297 * v - 0.39176 * u,
        _ => 1.16438 * l + 2.01723 * u,
    };
    (value + 0.5).floor().clamp(0.0, 255.0) as f32
}

/// `(x - mean) * scale` of the network's pixels: `[C, 6, 8]` from the centre of the frame.
fn expected(format: FrameFormat, frame: &Tensor, pixel_format: &str) -> Vec<f32> {
    let frame = frame.to_f32();
    let letters = if pixel_format == "gray" { "g" } else { pixel_format };
    let mut out = Vec::new();
    for (c, letter) in letters.chars().enumerate() {
        for (y, x) in (0..6).flat_map(|y| (0..8).map(move |x| (y, x))) {
            out.push((colour(format, &frame, letter, y + 1, x + 2) - MEAN[c] as f32) * SCALE[c] as f32);
        }
    }
    out
}

fn formats() -> Vec<(FrameFormat, &'static str)> {
    let fits = |f: FrameFormat, p: &str| f.channels(p).is_ok();
    FrameFormat::ALL.into_iter().flat_map(|f| ["rgb", "bgr", "gray", "rgba", "bgra"].into_iter().filter(move |p| fits(f, p)).map(move |p| (f, p))).collect()
}

/// The result of the last step before the network, in the network's order.
fn arriving(all: &BTreeMap<String, Vec<f32>>, order: &[i64], what: &str) -> Vec<f32> {
    let plane = 48;
    let found = &all[what];
    order.iter().flat_map(|&c| found[c as usize * plane..][..plane].to_vec()).collect()
}

#[test]
fn every_format_in_floats() {
    assert_eq!(formats().len(), 4 * 2 + 1 + 4 + 3 * 2);
    for (format, pixel_format) in formats() {
        for (chip, mode) in [(&Chip::BM1684X, Mode::F32), (&Chip::BM1684X, Mode::F16), (&Chip::BM1684, Mode::F32), (&Chip::CV183X, Mode::BF16)] {
            let (top, weights) = network(pixel_format, false, false);
            let fused = fuse_preprocess(&top, mode, Some(format)).unwrap();
            let frame = random_frame(&fused.tensor_type(fused.inputs[0]).unwrap().shape);
            let wanted = expected(format, &frame, pixel_format);
            let float = run(&fused, &weights, &frame);
            assert_eq!(float["x_preprocess"], wanted, "{format:?} {pixel_format}");
            let (program, weights) = lower_program(&fused, &weights, chip, mode).unwrap();
            assert!(program.nodes.iter().all(|n| !matches!(n.op, Op::TpuSwapChannel(_))), "{format:?} {pixel_format}");
            let all = run(&program, &weights, &frame);
            // All numbers have few bits: f16 holds them exactly, bf16 rounds.
            let close = |a: f32, b: f32| if mode == Mode::BF16 { (a - b).abs() <= b.abs() / 128.0 } else { a == b };
            let order = format.channels(pixel_format).unwrap();
            let found = arriving(&all, &order, "x_preprocess_dwconv");
            assert!(found.iter().zip(&wanted).all(|(&a, &b)| close(a, b)), "{format:?} {pixel_format} {mode:?}: {found:?} {wanted:?}");
            let rounded = |v: f32| if mode == Mode::F16 { half::f16::from_f32(v).to_f32() } else { v };
            if mode != Mode::BF16 {
                assert_eq!(all["y"], float["y"].iter().map(|&v| rounded(v)).collect::<Vec<_>>(), "{format:?} {pixel_format} {mode:?}");
            }
        }
    }
}

#[test]
fn every_format_in_integers() {
    for (format, pixel_format) in formats() {
        for chip in [&Chip::BM1684X, &Chip::BM1684, &Chip::CV183X] {
            let (top, weights) = network(pixel_format, false, true);
            let fused = fuse_preprocess(&top, Mode::Int8, Some(format)).unwrap();
            let frame = random_frame(&fused.tensor_type(fused.inputs[0]).unwrap().shape);
            let (program, tpu_weights) = lower_program(&fused, &weights, chip, Mode::Int8).unwrap();
            let steps: Vec<f32> = expected(format, &frame, pixel_format).iter().map(|v| (v * 2.0).round().clamp(-128.0, 127.0) / 2.0).collect();
            let all = run(&program, &tpu_weights, &frame);
            assert_eq!(arriving(&all, &format.channels(pixel_format).unwrap(), "x_preprocess_scale_lut"), steps, "{format:?} {pixel_format}");
            // The same network with the swap kept, because a Relu reads it too.
            let (watched, weights) = network(pixel_format, true, true);
            let (program, tpu_weights) = lower_program(&fuse_preprocess(&watched, Mode::Int8, Some(format)).unwrap(), &weights, chip, Mode::Int8).unwrap();
            let other = run(&program, &tpu_weights, &frame);
            assert_eq!(other["y"], all["y"], "{format:?} {pixel_format}");
            assert_eq!(other["z"], steps.iter().map(|v| v.max(0.0)).collect::<Vec<_>>(), "{format:?} {pixel_format}");
        }
    }
}

#[test]
fn ops_are_those_of_the_reference() {
    let (top, weights) = network("rgb", false, true);
    let (program, weights) = lower_program(&fuse_preprocess(&top, Mode::Int8, Some(FrameFormat::BgrPacked)).unwrap(), &weights, &Chip::BM1684X, Mode::Int8).unwrap();
    let found: Vec<(&str, &str)> = program.nodes.iter().enumerate().map(|(i, n)| (n.op.name(), program.node_name(i))).collect();
    assert_eq!(
        found[..5],
        [("top.Input", "x_raw"), ("tpu.Permute", "x_preprocess_transpose"), ("tpu.Slice", "x_preprocess_slice"), ("tpu.ScaleLut", "x_preprocess_scale_lut"), ("tpu.Conv2D", "y")]
    );
    assert!(weights.get("x_preprocess_scale_lut_x_preprocess_table").is_some() && weights.get("y_y_filter_i8_swap_channel").is_some());
    let lut = attributes(&program.nodes[3].op);
    assert_eq!(lut["scale"], Attr::F64Array(vec![0.25, 0.5, 1.0]));
    assert_eq!(lut["bias"], Attr::F64Array(vec![-5.0625, -25.25, -100.0]));
}

#[test]
fn what_does_not_fit_is_said() {
    let error = |pixel_format: &str, format| fuse_preprocess(&network(pixel_format, false, false).0, Mode::F32, Some(format)).unwrap_err().to_string();
    assert_eq!(error("rgb", FrameFormat::Grayscale), "input 'x': GRAYSCALE has 1 channels (gray), the network takes 3 (rgb)");
    assert_eq!(error("gray", FrameFormat::YuvNv21), "input 'x': YUV_NV21 has 3 channels (bgr), the network takes 1 (gray)");
    let (mut top, _) = network("rgb", false, false);
    let Op::TopInput(input) = &mut top.nodes[0].op else { panic!("an input") };
    input.resize_dims = Some(vec![8, 4]);
    assert_eq!(fuse_preprocess(&top, Mode::F32, None).unwrap_err().to_string(), "input 'x': cannot crop 6 x 8 from frames of 8 x 4");
    let Op::TopInput(input) = &mut top.nodes[0].op else { panic!("an input") };
    input.pixel_format = None;
    assert!(fuse_preprocess(&top, Mode::F32, None).unwrap_err().to_string().starts_with("no input is a picture with its preprocessing (x);"));
}
