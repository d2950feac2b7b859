//! Modules of the reference become programs and modules again.

use std::path::PathBuf;
use tpuc_dialects::{Module, context};

fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: shared/{path} is not here");
    None
}

#[test]
fn the_references_modules_round_trip() {
    for path in [
        "kit/cnn_res/cnn_res.mlir",
        "kit/cnn_res/cnn_res_bm1684x_int8_sym_tpu.mlir",
        "kit/mbv2_tiny/mbv2_tiny.mlir",
        "kit/mbv2_tiny/mbv2_tiny_bm1684x_int8_sym_tpu.mlir",
        "kit/efficientnet_lite0/efflite0.mlir",
        "kit/efficientnet_lite0/efflite0_bm1684x_int8_sym_tpu.mlir",
    ] {
        let Some(file) = shared(path) else { continue };
        let context = context();
        let module = Module::read(&context, &file).unwrap();
        module.verify().unwrap();
        let program = module.program().unwrap();
        program.check().unwrap();
        let again = Module::from_program(&context, &program, Default::default()).unwrap();
        again.verify().unwrap();
        assert_eq!(again.program().unwrap(), program, "{path}");
        let text = again.text();
        let parsed = Module::parse(&context, text.as_bytes(), "again").unwrap();
        assert_eq!(parsed.program().unwrap(), program, "{path}");
        // Signless and signed integers are one to us; all else is the reference's text.
        let original = std::fs::read_to_string(&file).unwrap().replace("xsi8>", "xi8>");
        let differing = original.lines().zip(text.lines()).filter(|(a, b)| a.trim_end() != b.trim_end()).collect::<Vec<_>>();
        assert!(differing.is_empty(), "{path}: {} lines differ, first {:?}", differing.len(), differing[0]);
    }
}

#[test]
fn mistakes_are_one_line() {
    let context = context();
    let message = |text: &str| Module::parse(&context, text.as_bytes(), "net.mlir").err().unwrap().to_string();
    assert_eq!(message("module {"), "net.mlir:1:7: expected operation name in quotes");
    assert_eq!(
        message("%0 = \"top.Lstm\"() : () -> none\n%1 = \"top.Lstm\"() : () -> none\n%2 = \"tpu.Fly\"() : () -> none"),
        "net.mlir: unsupported ops: top.Lstm (line 1), tpu.Fly (line 3)"
    );
    assert!(message(&"(".repeat(100_000)).contains("nested too deeply"));
    assert_eq!(message("a\u{0}b"), "net.mlir: not MLIR: a zero byte at 1");
    let wrong = "func.func @main(%a: tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> {\n  %0 = \"top.Relu\"(%a) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x9xf32>\n  return %0 : tensor<1x3x8x9xf32>\n}";
    assert_eq!(message(wrong), "net.mlir:2:8: 'top.Relu' op result shape is [1, 3, 8, 9], expected [1, 3, 8, 8]");
}
