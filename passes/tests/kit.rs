//! Whole pipelines against what the reference made of the kit's networks.

#[path = "kit/new_weights.rs"]
mod new_weights;

#[path = "kit/searches.rs"]
mod searches;

#[path = "kit/smoothed.rs"]
mod smoothed;

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

/// Re-entered by the child process that runs the vendor's library.
#[test]
fn child_entry() {
    tpuc_runtime::child_main_if_requested();
}

/// Where the kit has a network's files, and how its samples are prepared.
struct Case {
    name: &'static str,
    onnx: &'static str,
    folder: &'static str,
    resize: Option<[i64; 2]>,
    mean: [f64; 3],
    scale: [f64; 3],
    /// Dataset and how many of its samples.
    samples: (&'static str, usize),
}

const CASES: [Case; 3] = [
    Case {
        name: "cnn_res",
        onnx: "kit/cnn_res/cnn_res.onnx",
        folder: "kit/cnn_res",
        resize: None,
        mean: [123.675, 116.28, 103.53],
        scale: [0.0171, 0.0175, 0.0174],
        samples: ("kit/cnn_res/ds", 12),
    },
    Case {
        name: "mbv2_tiny",
        onnx: "kit/mbv2_tiny/mbv2_tiny.onnx",
        folder: "kit/mbv2_tiny",
        resize: Some([72, 72]),
        mean: [123.675, 116.28, 103.53],
        scale: [0.0171, 0.0175, 0.0174],
        samples: ("kit/mbv2_tiny/ds", 12),
    },
    Case {
        name: "efflite0",
        onnx: "models/efficientnet_lite0.onnx",
        folder: "kit/efficientnet_lite0",
        resize: Some([256, 256]),
        mean: [127.0; 3],
        scale: [0.0078125; 3],
        samples: ("photos/calibration200", 100),
    },
];

/// The Top module of a case, made by our own front end and passes.
fn top_module<'c>(context: &'c melior::Context, case: &Case) -> Option<Module<'c>> {
    tpuc_passes::register_all();
    let onnx = shared(case.onnx)?;
    let preprocessing = tpuc_frontend::Preprocessing { resize_dims: case.resize, mean: case.mean.to_vec(), scale: case.scale.to_vec(), pixel_format: "rgb".into(), ..Default::default() };
    let imported = import(&onnx, &ImportOptions { model_name: case.name.into(), preprocessing, ..Default::default() }).unwrap();
    let mut module = Module::from_program(context, &imported.program, imported.weights).unwrap();
    run_pipeline(&mut module, tpuc_passes::TOP_PIPELINE).unwrap();
    Some(module)
}

fn input_of(case: &Case) -> Vec<(String, tpuc_tensor::Tensor)> {
    npz::read_npz(&shared(&format!("{}/{}_in_f32.npz", case.folder, case.name)).unwrap()).unwrap()
}

fn all_tensors(module: &Module, input: &tpuc_tensor::Tensor) -> std::collections::BTreeMap<String, tpuc_tensor::Tensor> {
    let plan = tpuc_interp::Plan::new(module.program().unwrap(), &module.weights().unwrap(), Default::default()).unwrap();
    std::sync::Arc::new(plan).executor().unwrap().run_all(&[input]).unwrap()
}

#[test]
fn float_tensors_equal_the_references() {
    for case in &CASES {
        let context = context();
        let Some(module) = top_module(&context, case) else { continue };
        let ours = all_tensors(&module, &input_of(case)[0].1);
        let theirs = npz::read_npz(&shared(&format!("{}/{}_top_outputs.npz", case.folder, case.name)).unwrap()).unwrap();
        let mut worst = 0f32;
        for (name, theirs) in &theirs {
            let (a, b) = (ours[name].to_f32(), theirs.to_f32());
            let peak = b.iter().fold(0f32, |m, v| m.max(v.abs()));
            let difference = a.iter().zip(&b).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
            worst = worst.max(difference / peak.max(f32::MIN_POSITIVE));
        }
        println!("{}: {} Top tensors, largest difference relative to a tensor's peak {worst:.1e}", case.name, theirs.len());
        assert!(worst < 1e-4, "{}: {worst}", case.name);
    }
}

/// Thresholds from the same samples: equal in all digits where the activations are; elsewhere within 1e-5.
#[test]
fn tables_equal_the_references() {
    for case in &CASES {
        for method in ["kl", "max", "mse", "percentile9999", "aciq_gauss", "aciq_laplace", "torch"] {
            let context = context();
            let Some(module) = top_module(&context, case) else { continue };
            let Some(dataset) = shared(case.samples.0) else { continue };
            let Some(table) = table_of(case, method) else { continue };
            let method_of = |word: &str| if word == "torch" { tpuc_quant::Method::TorchObserver } else { word.parse().unwrap() };
            let request = tpuc_quant::Request { dataset, method: method_of(method), input_num: case.samples.1, threads: 2, ..Default::default() };
            let session = tpuc_passes::calibrate::open(&module.program().unwrap(), &module.weights().unwrap(), request).unwrap();
            let ours = tpuc_passes::calibrate::calibrate(&session, case.name).unwrap().table;
            compare_tables(&format!("{} {method}", case.name), &ours, &table);
        }
    }
}

/// The kit's other networks: module, float tensors (to the bit) and tables of every method.
#[test]
fn further_networks_equal_the_references() {
    tpuc_passes::register_all();
    let mut rows = 0;
    for name in ["acts", "acts_more", "consts", "maxmin", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"] {
        let file = |suffix: &str| shared(&format!("kit/{name}/{name}{suffix}"));
        let (Some(onnx), Some(mlir), Some(dataset)) = (file(".onnx"), file(".mlir"), shared(&format!("kit/{name}/ds"))) else { continue };
        let context = context();
        let mut options = ImportOptions { model_name: name.into(), ..Default::default() };
        if name == "yolo_head" {
            options.preprocessing = tpuc_frontend::Preprocessing {
                mean: vec![0.0; 3], scale: vec![0.0039216; 3], pixel_format: "rgb".into(), keep_aspect_ratio: true, pad_value: 128, ..Default::default()
            };
        }
        let imported = import(&onnx, &options).unwrap();
        let mut module = Module::from_program(&context, &imported.program, imported.weights).unwrap();
        run_pipeline(&mut module, tpuc_passes::TOP_PIPELINE).unwrap();
        module.verify().unwrap();
        let (program, weights) = (module.program().unwrap(), module.weights().unwrap());
        let reference = Module::read(&context, &mlir).unwrap().program().unwrap();
        assert_eq!(outline(&program), outline(&reference), "{name}");
        assert_eq!(program.attrs.get("module.FLOPs"), reference.attrs.get("module.FLOPs"), "{name}");

        let inputs = npz::read_npz(&file("_in_f32.npz").unwrap()).unwrap();
        let plan = std::sync::Arc::new(tpuc_interp::Plan::new(program.clone(), &weights, Default::default()).unwrap());
        let given = plan.inputs_named(|n| inputs.iter().find(|(name, _)| name == n).map(|(_, t)| t)).unwrap();
        let ours = plan.executor().unwrap().run_all(&given).unwrap();
        let theirs = npz::read_npz(&file("_top_outputs.npz").unwrap()).unwrap();
        let different: Vec<&String> = theirs.iter().filter(|(n, t)| ours[n].to_f32() != t.to_f32()).map(|(n, _)| n).collect();
        assert!(different.is_empty(), "{name}: {different:?}");

        for method in ["kl", "kl_notune", "max", "mse", "percentile9999", "aciq_gauss", "aciq_laplace", "torch"] {
            let table = file(&format!("_cali_{method}")).unwrap();
            let mut request = tpuc_quant::Request { dataset: dataset.clone(), input_num: 12, threads: 2, ..Default::default() };
            match method {
                "kl_notune" => request.tune_num = 0,
                "torch" => request.method = tpuc_quant::Method::TorchObserver,
                word => request.method = word.parse().unwrap(),
            }
            let session = tpuc_passes::calibrate::open(&program, &weights, request).unwrap();
            rows += compare_tables(&format!("{name} {method}"), &tpuc_passes::calibrate::calibrate(&session, name).unwrap().table, &table);
        }
        println!("{name}: {} layers, {} float tensors equal to the bit", program.nodes.len(), theirs.len());
    }
    println!("{rows} rows of tables equal in all digits");
}

/// A table of the kit, or one of `golden/`, which the reference (1.30.2) made in the same way.
fn table_of(case: &Case, method: &str) -> Option<PathBuf> {
    let name = format!("{}_cali_{method}", case.name);
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(&name);
    if golden.exists() { Some(golden) } else { shared(&format!("{}/{name}", case.folder)) }
}

/// Rows of a table of the reference: name, threshold, minimum and maximum. Its torch observer writes `inf -inf`, and only its
/// thresholds count.
fn rows_of(table: &Path) -> Vec<(String, Vec<f64>)> {
    let text = std::fs::read_to_string(table).unwrap();
    let row = |line: &str| {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap().to_owned();
        (name, fields.map(|f| f.parse::<f64>().unwrap()).filter(|v| v.is_finite()).collect())
    };
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(row).collect()
}

/// How many rows are equal in all digits; the others must be within 1e-5.
fn compare_tables(what: &str, ours: &tpuc_lowering::CalibrationTable, theirs: &Path) -> usize {
    compare_tables_but(&[], what, ours, theirs)
}

/// As [`compare_tables`], with rows that may differ.
fn compare_tables_but(free: &[&str], what: &str, ours: &tpuc_lowering::CalibrationTable, theirs: &Path) -> usize {
    let theirs = rows_of(theirs);
    assert_eq!(ours.rows().iter().map(|r| &r.name).collect::<Vec<_>>(), theirs.iter().map(|r| &r.0).collect::<Vec<_>>(), "{what}");
    let digits = |v: f64| format!("{v:.7}").replace("-0.0000000", "0.0000000");
    let mut equal = 0;
    let mut worst = (0f64, "");
    for (a, (name, numbers)) in ours.rows().iter().zip(&theirs) {
        let pairs: Vec<(f64, f64)> = [a.threshold, a.min, a.max].into_iter().zip(numbers.iter().copied()).collect();
        if pairs.iter().all(|(x, y)| digits(*x) == digits(*y)) {
            equal += 1;
            continue;
        }
        for (x, y) in pairs.into_iter().filter(|_| !free.contains(&name.as_str())) {
            let difference = (x - y).abs() / numbers[0];
            assert!(difference <= 1e-5, "{what} {name}: {x} instead of {y}");
            if difference > worst.0 {
                worst = (difference, name);
            }
        }
    }
    println!("{what}: {equal} of {} rows equal in all digits, the others within {:.1e} {}", theirs.len(), worst.0, worst.1);
    equal
}

/// Lowered with the stored table, every tensor equals the reference's exactly; the bmodel computes the same in our
/// simulator and in the vendor's.
#[test]
fn int8_tensors_and_bmodels_are_exact() {
    use tpuc_runtime::{Bmrt, BmrtOptions, Runner, Simulator, SimulatorOptions};
    let folder = tempfile::tempdir().unwrap();
    for case in &CASES {
        let context = context();
        let Some(mut module) = top_module(&context, case) else { continue };
        let table = shared(&format!("{}/{}_cali_kl", case.folder, case.name)).unwrap();
        let path = folder.path().join(format!("{}.bmodel", case.name));
        let quote = |p: &Path| tpuc_dialects::pass::quote(&p.display().to_string());
        let pipeline = format!(
            "builtin.module(processor-assign{{chip=bm1684x mode=INT8}},import-calibration-table{{file={}}},processor-top-optimize,convert-top-to-tpu,codegen{{model_file={}}})",
            quote(&table),
            quote(&path)
        );
        run_pipeline(&mut module, &pipeline).unwrap();
        let input = input_of(case);
        let ours = all_tensors(&module, &input[0].1);
        let theirs = npz::read_npz(&shared(&format!("{}/{}_bm1684x_int8_sym_tpu_outputs.npz", case.folder, case.name)).unwrap()).unwrap();
        for (name, theirs) in &theirs {
            let different = ours[name].to_f32().iter().zip(theirs.to_f32()).filter(|(a, b)| **a != *b).count();
            assert_eq!(different, 0, "{}: {name} differs in {different} of {} elements", case.name, theirs.len());
        }
        let output = &ours[&module.program().unwrap().value(module.program().unwrap().outputs[0]).name];
        let model = tpuc_bmodel::read_owned(std::fs::read(&path).unwrap()).unwrap();
        let simulated = Simulator::new(&model, &SimulatorOptions::default()).unwrap().run(&input).unwrap();
        assert_eq!(simulated[0].1.to_f32(), output.to_f32(), "{}: simulator", case.name);
        print!("{}: {} INT8 tensors exact, simulator exact", case.name, theirs.len());
        if std::env::var_os(tpuc_runtime::LIBRARY_DIR_VARIABLE).is_some() {
            let child = (std::env::current_exe().unwrap(), ["--exact", "child_entry", "--nocapture"].map(String::from).to_vec());
            let options = BmrtOptions { child: Some(child), ..BmrtOptions::default() };
            let outputs = Bmrt::open(&path, &options).unwrap().run(&input).unwrap();
            assert_eq!(outputs[0].1.to_f32(), output.to_f32(), "{}: the vendor's simulator", case.name);
            print!(", vendor's simulator exact");
        }
        println!();
    }
}


/// Tensors of the half-float networks: sums in another order may round to the neighbouring half float, nothing more.
#[test]
fn half_float_tensors_equal_the_references() {
    for case in CASES.iter().filter(|c| c.name != "efflite0") {
        for mode in ["F16", "BF16"] {
            let context = context();
            let Some(mut module) = top_module(&context, case) else { continue };
            run_pipeline(&mut module, &format!("builtin.module(processor-assign{{chip=bm1684x mode={mode}}},processor-top-optimize,convert-top-to-tpu)")).unwrap();
            let ours = all_tensors(&module, &input_of(case)[0].1);
            let theirs = npz::read_npz(&shared(&format!("{}/{}_bm1684x_{}_tpu_outputs.npz", case.folder, case.name, mode.to_lowercase())).unwrap()).unwrap();
            let (mut elements, mut different, mut worst) = (0, 0, 0f32);
            for (name, theirs) in &theirs {
                let bits = if mode == "F16" { 11 } else { 8 };
                for (a, b) in ours[name].to_f32().iter().zip(theirs.to_f32()) {
                    elements += 1;
                    if *a != b {
                        different += 1;
                        let ulp = (b.abs().max(2f32.powi(-14)).log2().floor() - (bits - 1) as f32).exp2();
                        worst = worst.max((a - b).abs() / ulp);
                    }
                }
            }
            println!("{} {mode}: {} tensors, {different} of {elements} elements differ, by {worst} ulp at most", case.name, theirs.len());
            assert!(different * 1000 <= elements, "{} {mode}", case.name);
        }
    }
}

/// Photographs through the bmodel of EfficientNet-Lite0: interpreter, our simulator and the vendor's give the same
/// probabilities. The vendor's takes seconds each: two photographs unless `TPUC_PHOTOGRAPHS_VENDOR` asks for more.
#[test]
fn photographs_through_the_bmodel_are_exact() {
    use tpuc_runtime::{Bmrt, BmrtOptions, Runner, Simulator, SimulatorOptions};
    let case = &CASES[2];
    let context = context();
    let (Some(mut module), Some(photos)) = (top_module(&context, case), shared("photos/imagenet20")) else { return };
    let inputs = tpuc_passes::net_inputs(&module.program().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.bmodel");
    let quote = |p: &Path| tpuc_dialects::pass::quote(&p.display().to_string());
    let pipeline = format!(
        "builtin.module(processor-assign{{chip=bm1684x mode=INT8}},import-calibration-table{{file={}}},processor-top-optimize,convert-top-to-tpu,codegen{{model_file={}}})",
        quote(&shared("kit/efficientnet_lite0/efflite0_cali_kl").unwrap()),
        quote(&path)
    );
    run_pipeline(&mut module, &pipeline).unwrap();
    let model = tpuc_bmodel::read_owned(std::fs::read(&path).unwrap()).unwrap();
    let mut simulator = Simulator::new(&model, &SimulatorOptions::default()).unwrap();
    let plan = std::sync::Arc::new(tpuc_interp::Plan::new(module.program().unwrap(), &module.weights().unwrap(), Default::default()).unwrap());
    let mut executor = plan.executor().unwrap();
    let vendor = std::env::var_os(tpuc_runtime::LIBRARY_DIR_VARIABLE).map(|_| {
        let child = (std::env::current_exe().unwrap(), ["--exact", "child_entry", "--nocapture"].map(String::from).to_vec());
        Bmrt::open(&path, &BmrtOptions { child: Some(child), ..BmrtOptions::default() }).unwrap()
    });
    let mut vendor = vendor;
    let asked = std::env::var("TPUC_PHOTOGRAPHS_VENDOR").ok().and_then(|s| s.parse().ok()).unwrap_or(2usize);
    let mut files: Vec<PathBuf> = std::fs::read_dir(photos).unwrap().map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "jpg")).collect();
    files.sort();
    let mut by_vendor = 0;
    for (index, file) in files.iter().enumerate() {
        let preprocess = inputs[0].preprocess.as_ref().unwrap();
        let tensor = tpuc_tensor::Tensor::f32(&preprocess.shape(), preprocess.run(file).unwrap()).unwrap();
        let ours = executor.outputs(&[&tensor]).unwrap().remove(0).to_f32();
        let given = vec![(inputs[0].name.clone(), tensor)];
        assert_eq!(simulator.run(&given).unwrap()[0].1.to_f32(), ours, "{}: simulator", file.display());
        if let Some(vendor) = vendor.as_mut().filter(|_| index < asked) {
            assert_eq!(vendor.run(&given).unwrap()[0].1.to_f32(), ours, "{}: the vendor's simulator", file.display());
            by_vendor += 1;
        }
    }
    println!("{} photographs: simulator exact, {by_vendor} of them exact in the vendor's simulator", files.len());
}
