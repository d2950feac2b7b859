//! Pictures of any bytes (JPEG, PNG, BMP), in every colour mode; small limits keep each run short.
#![no_main]

use std::path::Path;
use tpuc_imageio::decode::{ColorMode, Limits, decode_bytes};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_side: 4096, max_pixels: 1 << 20 };
    for mode in [ColorMode::Gray, ColorMode::Bgr, ColorMode::Bgra] {
        let _ = decode_bytes(data, Path::new("fuzz"), mode, limits);
    }
});
