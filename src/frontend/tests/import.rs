//! Real ONNX files, where the shared folder is present.

use std::path::PathBuf;
use tpuc_frontend::{ImportError, ImportOptions, import};

fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: shared/{path} is not here");
    None
}

#[test]
fn networks_of_the_kit_import() {
    for (path, nodes, output) in [
        ("kit/cnn_res/cnn_res.onnx", 22, vec![1, 10]),
        ("kit/mbv2_tiny/mbv2_tiny.onnx", 1 + 22 + 22 + 15 + 3 + 3, vec![1, 20]),
        ("models/efficientnet_lite0.onnx", 1 + 49 + 33 + 9 + 17 + 3, vec![1, 1000]),
    ] {
        let Some(file) = shared(path) else { continue };
        let imported = import(&file, &ImportOptions { model_name: "net".into(), ..Default::default() }).unwrap();
        imported.program.check().unwrap();
        let out = imported.program.outputs[0];
        assert_eq!(imported.program.tensor_type(out).unwrap().shape, output, "{path}");
        assert!(imported.program.nodes.len() <= nodes, "{path}");
    }
}

#[test]
fn unsupported_ops_are_all_named() {
    let Some(file) = shared("models/nanodet_416.onnx") else { return };
    match import(&file, &ImportOptions { model_name: "net".into(), ..Default::default() }) {
        Err(ImportError::Unsupported { ops }) => {
            let names: Vec<_> = ops.iter().map(|o| o.op.as_str()).collect();
            for op in ["Transpose", "Concat", "Resize", "Split"] {
                assert!(names.contains(&op), "{op} is missing in {names:?}");
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_options_say_what_is_right() {
    let Some(file) = shared("kit/cnn_res/cnn_res.onnx") else { return };
    let message = |options: ImportOptions| import(&file, &options).unwrap_err().to_string();
    assert_eq!(
        message(ImportOptions { output_names: vec!["gao".into()], ..Default::default() }),
        "the model has no tensor 'gao' to take as an output; the nearest name is 'gap'"
    );
    assert_eq!(
        message(ImportOptions { input_shapes: Some(vec![vec![1, 4, 64, 64]]), ..Default::default() }),
        "--input_shapes gives [1, 4, 64, 64] for input 'input', the model has [1, 3, 64, 64]"
    );
    assert_eq!(
        message(ImportOptions { input_shapes: Some(vec![vec![1], vec![2]]), ..Default::default() }),
        "--input_shapes gives 2 shapes, the model has 1 inputs (input)"
    );
}

#[test]
fn truncated_files_are_errors() {
    let Some(file) = shared("kit/cnn_res/cnn_res.onnx") else { return };
    let bytes = std::fs::read(file).unwrap();
    let dir = std::env::temp_dir().join(format!("tpuc-frontend-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("cut.onnx");
    for length in [0, 1, 100, 5000, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(import(&path, &ImportOptions::default()).is_err(), "{length}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
