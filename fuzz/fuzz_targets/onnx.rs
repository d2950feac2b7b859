//! ONNX files of any bytes. The importer takes files (a network may have its weights beside it), so each input becomes one.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use tpuc_frontend::{ImportOptions, import};

static FILE: LazyLock<PathBuf> = LazyLock::new(|| std::env::temp_dir().join(format!("tpuc-fuzz-{}.onnx", std::process::id())));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::fs::write(&*FILE, data).expect("the temporary folder is writable");
    let _ = import(&FILE, &ImportOptions { model_name: "fuzz".into(), ..Default::default() });
});
