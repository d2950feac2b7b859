//! Whole pipelines against what the reference made of the kit's networks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tpuc_dialects::pass::run_pipeline;
use tpuc_dialects::{Module, context};
use tpuc_frontend::{ImportOptions, import};
use tpuc_ops::{Attr, Op, Program};
use tpuc_tensor::npz;

fn shared(path: &str) -> Option<PathBuf> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: shared/{path} is not here");
    None
}

/// Ops with names and shapes, without the names of weights (simplifiers number them as they please).
fn outline(program: &Program) -> Vec<String> {
    let node = |n: usize| {
        let node = &program.nodes[n];
        let shapes: Vec<_> = node.operands.iter().chain(&node.results).map(|&v| program.tensor_type(v).map(|t| t.shape.clone())).collect();
        let mut attributes = node.op.to_attrs();
        attributes.retain(|(name, _)| !(matches!(node.op, Op::TopInput(_)) || *name == "flatten_start_dim"));
        format!("{} {} {shapes:?} {attributes:?}", program.node_name(n), node.op.name())
    };
    (0..program.nodes.len()).map(node).collect()
}

const NETS: [(&str, &str, &str); 3] = [
    ("cnn_res", "kit/cnn_res/cnn_res.onnx", "kit/cnn_res/cnn_res.mlir"),
    ("mbv2_tiny", "kit/mbv2_tiny/mbv2_tiny.onnx", "kit/mbv2_tiny/mbv2_tiny.mlir"),
    ("efflite0", "models/efficientnet_lite0.onnx", "kit/efficientnet_lite0/efflite0.mlir"),
];

#[test]
fn top_modules_equal_the_references() {
    tpuc_passes::register_all();
    for (name, onnx, mlir) in NETS {
        let (Some(onnx), Some(mlir)) = (shared(onnx), shared(mlir)) else { continue };
        let context = context();
        let imported = import(&onnx, &ImportOptions { model_name: name.into(), ..Default::default() }).unwrap();
        let mut module = Module::from_program(&context, &imported.program, imported.weights).unwrap();
        run_pipeline(&mut module, tpuc_passes::TOP_PIPELINE).unwrap();
        module.verify().unwrap();
        let program = module.program().unwrap();
        let reference = Module::read(&context, &mlir).unwrap().program().unwrap();
        for (ours, theirs) in outline(&program).iter().zip(&outline(&reference)) {
            assert_eq!(ours, theirs, "{name}");
        }
        assert_eq!(program.nodes.len(), reference.nodes.len(), "{name}");
        assert_eq!(program.attrs.get("module.FLOPs"), reference.attrs.get("module.FLOPs"), "{name}");
        compare_weights(name, &program, &module, &reference, &mlir);
    }
}

/// Weights by the op that reads them.
fn compare_weights(name: &str, ours: &Program, module: &Module, reference: &Program, mlir: &Path) {
    let Some(Attr::Str(file)) = reference.attrs.get("module.weight_file") else { panic!("{name}: no weight file") };
    let file = mlir.with_file_name(file);
    if !file.exists() {
        println!("{name}: the reference's weights are not here");
        return;
    }
    let theirs: HashMap<String, _> = npz::read_npz(&file).unwrap().into_iter().collect();
    let weights = module.weights().unwrap();
    let (mut equal, mut different) = (0, Vec::new());
    for (a, b) in ours.nodes.iter().zip(&reference.nodes) {
        for (&x, &y) in a.operands.iter().zip(&b.operands) {
            let (x, y) = (ours.value(x), reference.value(y));
            if x.source != tpuc_ops::Source::Weight {
                continue;
            }
            let (u, v) = (weights.get(&x.name).unwrap().to_f32(), theirs[&y.name].to_f32());
            let worst = u.iter().zip(&v).map(|(p, q)| (p - q).abs() / q.abs().max(1e-6)).fold(0f32, f32::max);
            assert_eq!(u.len(), v.len());
            if u == v {
                equal += 1;
            } else {
                different.push((x.name.clone(), y.name.clone(), worst));
            }
        }
    }
    println!("{name}: {equal} weights equal bit for bit, others: {different:?}");
    assert!(different.iter().all(|d| d.2 < 1e-5), "{name}: {different:?}");
}
