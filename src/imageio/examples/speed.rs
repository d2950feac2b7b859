//! Milliseconds a picture for decoding, resizing and normalizing on one thread: `speed HEIGHT WIDTH FILE...`

use std::path::Path;
use std::time::{Duration, Instant};
use tpuc_imageio::{ColorMode, PixelFormat, Preprocess, decode, resize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [height, width, files @ ..] = &arguments[..] else {
        return Err("usage: speed HEIGHT WIDTH FILE...".into());
    };
    let (height, width) = (height.parse()?, width.parse()?);
    let preprocess = Preprocess {
        pixel_format: PixelFormat::Rgb,
        ..Preprocess::new([height, width])
    };
    let mut out = vec![0.0; 3 * height * width];
    let [mut decoding, mut resizing, mut normalizing] = [Duration::MAX; 3];
    // The best of five rounds: the machine may be busy with something else.
    for _ in 0..5 {
        let [mut d, mut r, mut n] = [Duration::ZERO; 3];
        for file in files {
            let start = Instant::now();
            let image = decode::decode_file(Path::new(file), ColorMode::Bgr)?;
            let decoded = Instant::now();
            let small = resize::resize(&image, width, height);
            let resized = Instant::now();
            preprocess.run_into(&small, &mut out)?;
            d += decoded - start;
            r += resized - decoded;
            n += resized.elapsed();
        }
        decoding = decoding.min(d);
        resizing = resizing.min(r);
        normalizing = normalizing.min(n);
    }
    let per_file = |d: Duration| d.as_secs_f64() * 1e3 / files.len().max(1) as f64;
    println!(
        "decode {:.3} ms, resize {:.3} ms, normalize {:.3} ms",
        per_file(decoding),
        per_file(resizing),
        per_file(normalizing)
    );
    Ok(())
}
