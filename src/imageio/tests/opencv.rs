//! Our bytes against OpenCV 4.8.0's and the reference's, stored as CRC-32 in `golden/*.txt` by `golden/make.py`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tpuc_imageio::decode::{self, ColorMode, Limits, decode_bytes, decode_file};
use tpuc_imageio::resize::{resize, window};
use tpuc_imageio::{Image, ImageError, Loader, NetInput, PixelFormat, Preprocess, Resizer, Samples};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The shared folder, or `None` with a message where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if !path.exists() {
        println!("skipped: no {name} in the shared folder");
        return None;
    }
    Some(path)
}

/// Bytes that look random: the same formula as `pattern` in `golden/make.py`.
fn pattern(n: usize) -> Vec<u8> {
    (0..n as u32)
        .map(|i| {
            let h = i.wrapping_mul(2654435761);
            ((h ^ (h >> 15)).wrapping_mul(2246822519) >> 24) as u8
        })
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect())
}

fn parse<T: FromStr<Err: Display>>(word: &str) -> T {
    word.parse()
        .unwrap_or_else(|e| panic!("golden file: '{word}': {e}"))
}

fn crc(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

fn crc_of_floats(values: &[f32]) -> String {
    crc(&values
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect::<Vec<u8>>())
}

fn summary(image: &Image) -> [String; 3] {
    [
        image.width().to_string(),
        image.height().to_string(),
        crc(image.data()),
    ]
}

#[test]
fn small_files_decode_to_opencv_bytes() {
    let mut wrong = Vec::new();
    for words in lines(include_str!("golden/files.txt")) {
        let mode = if words[1] == "gray" {
            ColorMode::Gray
        } else {
            ColorMode::Bgr
        };
        match decode_file(&here("data").join(words[0]), mode) {
            Ok(image) if summary(&image) == words[2..] => {}
            Ok(image) => wrong.push(format!("{words:?}: {:?}", summary(&image))),
            Err(e) => wrong.push(format!("{words:?}: {e}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn resized_patterns_have_opencv_bytes() {
    let mut wrong = Vec::new();
    for words in lines(include_str!("golden/resize.txt")) {
        let [channels, w, h, out_w, out_h] = std::array::from_fn(|i| parse(words[i]));
        let image = Image::new(w, h, channels, pattern(w * h * channels)).expect("sizes agree");
        let resized = resize(&image, out_w, out_h);
        if crc(resized.data()) != words[5] {
            wrong.push(words.join(" "));
        }
        // A window is that part of the whole.
        let (x, y) = (out_w / 3, out_h / 2);
        let part = window(&image, out_w, out_h, x..out_w, y..out_h);
        for row in 0..part.height() {
            assert_eq!(
                part.row(row),
                &resized.row(y + row)[x * channels..],
                "{words:?} row {row}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn preprocessed_files_equal_the_reference() {
    let mut wrong = Vec::new();
    for words in lines(include_str!("golden/preprocess.txt")) {
        let [net_h, net_w, resize_h, resize_w] = std::array::from_fn(|i| parse(words[1 + i]));
        let preprocess = Preprocess {
            resize_dims: [resize_h, resize_w],
            net_dims: [net_h, net_w],
            keep_aspect_ratio: parse(words[5]),
            keep_ratio_mode: parse(words[6]),
            pad_type: parse(words[7]),
            pad_value: parse(words[8]),
            mean: vec![123.675, 116.28, 103.53, 1.5],
            scale: vec![0.0171, 0.0175, 0.0174, 0.00392],
            pixel_format: parse(words[9]),
            channel_format: parse(words[10]),
            resizer: Resizer::OpenCv,
            yuv: None,
        };
        let out = preprocess
            .run(&here("data").join(words[0]))
            .expect("a readable picture");
        if crc_of_floats(&out) != words[11] {
            wrong.push(words.join(" "));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn photographs_decode_and_resize_to_opencv_bytes() {
    let Some(photos) = shared("photos") else {
        return;
    };
    let mut wrong = Vec::new();
    for words in lines(include_str!("golden/photos.txt")) {
        let path = photos.join(words[0]);
        let color = decode_file(&path, ColorMode::Bgr).expect("a photograph");
        let gray = decode_file(&path, ColorMode::Gray).expect("a photograph");
        if summary(&color) != words[1..4] || summary(&gray) != words[4..7] {
            wrong.push(format!("{}: decoded bytes differ", words[0]));
        }
        if crc(resize(&color, 256, 256).data()) != words[7] {
            wrong.push(format!("{}: resized bytes differ", words[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The preprocessed input that the kit stores for a network.
fn kit_input(path: &Path) -> Vec<f32> {
    let arrays = tpuc_tensor::npz::read_npz(path).expect("an npz file");
    arrays[0].1.as_f32().expect("float32").to_vec()
}

fn equal(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn kit_inputs_are_bit_equal() {
    let Some(kit) = shared("kit") else { return };
    let Some(photos) = shared("photos/imagenet20") else {
        return;
    };
    let rgb = |net_dims, mean: &[f32], scale: &[f32]| Preprocess {
        mean: mean.to_vec(),
        scale: scale.to_vec(),
        pixel_format: PixelFormat::Rgb,
        ..Preprocess::new(net_dims)
    };
    let imagenet = rgb(
        [64, 64],
        &[123.675, 116.28, 103.53],
        &[0.0171, 0.0175, 0.0174],
    );
    let cropped = Preprocess {
        resize_dims: [72, 72],
        ..imagenet.clone()
    };
    let unit = rgb([64, 64], &[0.0; 3], &[0.0039216; 3]);
    let letterbox = Preprocess {
        keep_aspect_ratio: true,
        pad_value: 128,
        ..unit
    };
    let lite = Preprocess {
        resize_dims: [256, 256],
        ..rgb([224, 224], &[127.0; 3], &[0.0078125; 3])
    };
    let mut first: Vec<PathBuf> = std::fs::read_dir(photos)
        .expect("photographs")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "jpg"))
        .collect();
    first.sort();
    for (name, preprocess, picture) in [
        ("cnn_res/cnn_res", imagenet, kit.join("cnn_res/ds/00.png")),
        (
            "mbv2_tiny/mbv2_tiny",
            cropped,
            kit.join("mbv2_tiny/ds/00.png"),
        ),
        (
            "yolo_head/yolo_head",
            letterbox,
            kit.join("yolo_head/ds/00.png"),
        ),
        ("efficientnet_lite0/efflite0", lite, first[0].clone()),
    ] {
        let found = preprocess.run(&picture).expect("a picture");
        assert!(
            equal(&found, &kit_input(&kit.join(format!("{name}_in_f32.npz")))),
            "{name}"
        );
    }
}

#[test]
fn calibration_choice_equals_the_reference() {
    let Some(photos) = shared("photos/calibration200") else {
        return;
    };
    let samples = Samples::from_dataset(&photos, 5).expect("photographs");
    let names: Vec<String> = samples
        .entries()
        .iter()
        .map(|e| {
            e[0].file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "n02444819_2511_otter.jpg",
            "n03134739_1193_croquet_ball.jpg",
            "n02274259_15066_butterfly.jpg",
            "n03908714_1335_pencil_sharpener.jpg",
            "n07583066_2944_guacamole.jpg",
        ]
    );
    assert_eq!(
        Samples::from_dataset(&photos, 300)
            .expect("photographs")
            .len(),
        200
    );
}

#[test]
fn kit_arrays_load_as_samples() {
    let Some(kit) = shared("kit") else { return };
    let samples = Samples::from_dataset(&kit.join("mlp_mm/ds"), 0).expect("npz samples");
    let file = samples.entries()[0][0].clone();
    let arrays = tpuc_tensor::npz::read_npz(&file).expect("an npz file");
    let inputs: Vec<NetInput> = arrays
        .iter()
        .rev()
        .map(|(name, tensor)| NetInput {
            name: name.clone(),
            shape: tensor.shape().to_vec(),
            preprocess: None,
        })
        .collect();
    let loader = Loader::new(samples, inputs).expect("samples");
    let loaded = loader.load_all(0..loader.groups()).expect("all samples");
    assert_eq!(loaded.len(), 12);
    assert!(
        loaded[0]
            .iter()
            .eq(arrays.iter().rev().map(|(_, tensor)| tensor))
    );
}

#[test]
fn hostile_data_are_errors() {
    let path = Path::new("p");
    let limits = Limits::default();
    for name in [
        "s420.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "rgb16.png",
        "palette4.png",
        "rgb565.bmp",
        "palette4.bmp",
    ] {
        let bytes = std::fs::read(here("data").join(name)).expect("a test picture");
        // Cut and damaged files may give an error or a picture, but nothing else.
        for cut in 0..bytes.len() {
            let _ = decode_bytes(&bytes[..cut], path, ColorMode::Bgr, limits);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xA5;
            let _ = decode_bytes(
                &damaged,
                path,
                ColorMode::Gray,
                Limits {
                    max_side: 4096,
                    max_pixels: 1 << 16,
                },
            );
        }
    }
    // A header that claims 2^31 - 1 pixels a side.
    let mut bytes = std::fs::read(here("data").join("rgb8.png")).expect("a test picture");
    bytes[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    assert!(decode_bytes(&bytes, path, ColorMode::Bgr, limits).is_err());
    let bytes = std::fs::read(here("data").join("s420.jpg")).expect("a test picture");
    let error = decode_bytes(
        &bytes,
        path,
        ColorMode::Bgr,
        Limits {
            max_side: 30,
            max_pixels: 100,
        },
    )
    .expect_err("too large");
    assert!(
        matches!(
            error,
            ImageError::TooLarge {
                width: 37,
                height: 29,
                ..
            }
        ),
        "{error}"
    );
    let error = decode_bytes(b"GIF89a", path, ColorMode::Bgr, limits).expect_err("a GIF");
    assert_eq!(
        error.to_string(),
        "p: not a picture that can be read: found GIF data; expected JPEG, PNG or BMP data"
    );
    let error = decode::decode_file(Path::new("no/such.jpg"), ColorMode::Bgr).expect_err("no file");
    assert_eq!(error.to_string(), "no/such.jpg: no such file or directory");
}
