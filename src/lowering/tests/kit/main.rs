//! The reference's own files: what we lower must be what it lowered, to the last bit.

#![allow(clippy::unwrap_used)]

mod asymmetric;
mod attention;
mod chips;
mod elementwise;
mod onnx;
mod preprocess;
mod property;
mod reader;

use reader::Module;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tpuc_lowering::{CalibrationTable, Chip, Mode, OpContext, Ranges, lower_op, lower_program, top_optimize};
use tpuc_ops::{Attr, Elem, Op, Program, Source, TensorType, ValueType};
use tpuc_tensor::{Data, Tensor, WeightStore};

fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: shared/{path} is not here");
    None
}

fn module(path: &str) -> Option<Module> {
    Some(Module::read(&std::fs::read_to_string(shared(path)?).unwrap()))
}

/// A Top program with the ranges of a table.
fn calibrated(program: &Program, table: &Path, chip: &Chip) -> Program {
    let table = CalibrationTable::read(table).unwrap();
    let mut ranges = Ranges::from_table(program, &table, chip).unwrap();
    ranges.propagate(program, chip);
    assert_eq!(ranges.missing(program), [""; 0]);
    ranges.annotate(program)
}

fn lower(top: &Program, weights: &WeightStore, chip: &'static Chip) -> (Program, WeightStore) {
    let (top, weights) = top_optimize(top, weights, chip).unwrap();
    lower_program(&top, &weights, chip, Mode::Int8).unwrap()
}

fn attributes(op: &Op) -> BTreeMap<String, Attr> {
    op.to_attrs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Names and types of a list of values.
fn values(program: &Program, ids: &[tpuc_ops::ValueId]) -> Vec<(String, ValueType, bool)> {
    ids.iter().map(|&id| program.value(id)).map(|v| (cast_of_attention(&v.name), v.ty.clone(), v.source == Source::Weight)).collect()
}

/// In INT8 the reference names the cast in front of an attention after the projection that it has become a part of; we
/// (and the reference in floats) after its first head.
fn cast_of_attention(name: &str) -> String {
    name.replace("_proj_a_Add_head_0_si8", "_q_a_Add_si8")
}

/// Checks ops, attributes, names, operands, types and module attributes; `but` names layers whose multipliers are left out.
fn assert_same(ours: &Program, reference: &Module, but: &[&str]) {
    let program = reference.program();
    let raw: Vec<_> = reference.ops.iter().filter(|o| !matches!(o.op.as_str(), "top.None" | "top.Weight")).collect();
    let sequence = |p: &Program| (0..p.nodes.len()).map(|n| (p.nodes[n].op.name(), cast_of_attention(p.node_name(n)))).collect::<Vec<_>>();
    assert_eq!(sequence(ours), sequence(&program));
    for (index, (node, theirs)) in ours.nodes.iter().zip(&program.nodes).enumerate() {
        let layer = ours.node_name(index);
        let (mut got, mut want) = (attributes(&node.op), raw[index].attributes.iter().cloned().collect::<BTreeMap<_, _>>());
        if but.contains(&layer) {
            for name in ["multiplier", "rshift"] {
                got.remove(name);
                want.remove(name);
            }
        }
        if layer == "a_relu6_Clip" && got.get("relu_limit") == Some(&Attr::F64(6.0)) {
            // The reference forgets the limit of 6 in INT8, where the range reaches 9.3; we keep it.
            want.insert("relu_limit".into(), Attr::F64(6.0));
        }
        assert_eq!(got, want, "{layer}");
        assert_eq!(values(ours, &node.results), values(&program, &theirs.results), "{layer}");
        assert_eq!(values(ours, &node.operands), values(&program, &theirs.operands), "{layer}");
    }
    assert_eq!(values(ours, &ours.outputs), values(&program, &program.outputs));
    assert_eq!(ours.attrs, program.attrs);
}

/// Element by element; the reference stores half floats by their bits.
fn assert_weight(ours: &Tensor, reference: &Tensor, what: &str) {
    let same = match (ours.data(), reference.data()) {
        (Data::F16(a), Data::U16(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().copied()),
        (Data::BF16(a), Data::U16(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().copied()),
        (a, b) => a == b,
    };
    assert!(same, "{what}: {} {}", ours.dtype(), reference.dtype());
}

#[test]
fn networks_lower_to_half_floats_as_the_reference_lowers_them() {
    for (mode, suffix) in [(Mode::F16, "f16"), (Mode::BF16, "bf16")] {
        for name in ["cnn_res", "mbv2_tiny", "acts", "acts_more", "consts", "maxmin", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"] {
            let file = |suffix: &str| format!("kit/{name}/{name}{suffix}");
            let Some(top) = module(&file(".mlir")) else { return };
            let weights = WeightStore::load(&shared(&file("_top_f32_all_weight.npz")).unwrap()).unwrap();
            let (program, weights) = top_optimize(&top.program(), &weights, &Chip::BM1684X).unwrap();
            let (ours, our_weights) = lower_program(&program, &weights, &Chip::BM1684X, mode).unwrap();
            assert_same(&ours, &module(&file(&format!("_bm1684x_{suffix}_tpu.mlir"))).unwrap(), &[]);
            let reference = WeightStore::load(&shared(&file(&format!("_bm1684x_{suffix}_tpu_weights.npz"))).unwrap()).unwrap();
            assert_eq!(our_weights.len(), reference.len());
            for (weight, tensor) in reference.iter() {
                assert_weight(our_weights.get(weight).unwrap(), tensor, &format!("{name} {weight}"));
            }
            println!("{name} {mode}: {} ops, {} weights equal", ours.nodes.len(), reference.len());
        }
    }
}

#[test]
fn networks_lower_as_the_reference_lowers_them() {
    for name in ["cnn_res", "mbv2_tiny", "acts", "acts_more", "consts", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"] {
        let file = |suffix: &str| format!("kit/{name}/{name}{suffix}");
        let Some(top) = module(&file(".mlir")) else { return };
        let weights = WeightStore::load(&shared(&file("_top_f32_all_weight.npz")).unwrap()).unwrap();
        let (ours, our_weights) = lower(&calibrated(&top.program(), &shared(&file("_cali_kl")).unwrap(), &Chip::BM1684X), &weights, &Chip::BM1684X);
        assert_same(&ours, &module(&file("_bm1684x_int8_sym_tpu.mlir")).unwrap(), &[]);

        let reference = WeightStore::load(&shared(&file("_bm1684x_int8_sym_tpu_weights.npz")).unwrap()).unwrap();
        assert_eq!(our_weights.len(), reference.len());
        let mut elements = 0;
        for (weight, tensor) in reference.iter() {
            assert_weight(our_weights.get(weight).unwrap(), tensor, &format!("{name} {weight}"));
            elements += tensor.len();
        }
        println!("{name}: {} ops, {} weights ({elements} elements) equal", ours.nodes.len(), reference.len());
    }
}

/// The reference compares integers of different scales here (cosines down to 0.73); we bring them to the result's first. All else
/// is equal.
#[test]
fn extrema_compare_values_of_one_scale() {
    let Some(top) = module("kit/maxmin/maxmin.mlir") else { return };
    let weights = WeightStore::load(&shared("kit/maxmin/maxmin_top_f32_all_weight.npz").unwrap()).unwrap();
    let (mut ours, _) = lower(&calibrated(&top.program(), &shared("kit/maxmin/maxmin_cali_kl").unwrap(), &Chip::BM1684X), &weights, &Chip::BM1684X);
    let mut rescaled = HashMap::new();
    for index in 0..ours.nodes.len() {
        let node = &ours.nodes[index];
        let elem = |value| ours.tensor_type(value).unwrap().elem;
        match &node.op {
            Op::TpuMulShift(op) => {
                let (from, to) = (elem(node.operands[0]), elem(node.results[0]));
                let (found, wanted) = (f64::from(op.multiplier) / f64::from(op.rshift).exp2(), from.scale().unwrap() / to.scale().unwrap());
                assert!((found / wanted - 1.0).abs() < 0.01, "{} {found} {wanted}", ours.node_name(index));
                assert!(ours.node_name(index).contains("_to_"));
                rescaled.insert(node.results[0], node.operands[0]);
            }
            Op::TpuMax(_) | Op::TpuMin(_) => assert!(node.operands.iter().all(|&o| elem(o) == elem(node.results[0]))),
            _ => {}
        }
    }
    assert_eq!(rescaled.len(), 6);
    ours.nodes.retain(|n| !matches!(n.op, Op::TpuMulShift(_)));
    for operand in ours.nodes.iter_mut().flat_map(|n| &mut n.operands) {
        *operand = rescaled.get(operand).copied().unwrap_or(*operand);
    }
    assert_same(&ours, &module("kit/maxmin/maxmin_bm1684x_int8_sym_tpu.mlir").unwrap(), &[]);
}

/// The kit has no weights of this network: they come from the ONNX file. Two convolutions were merged by the reference in
/// float arithmetic that we do not imitate here, so their multipliers are not compared.
#[test]
fn efficientnet_lite0_lowers_as_the_reference_lowers_it() {
    const MERGED: [&str; 2] = ["/_blocks.1/_expand_conv/Conv_output_0_Conv_merge", "/_conv_head/Conv_output_0_Conv_merge"];
    let Some(top) = module("kit/efficientnet_lite0/efflite0.mlir") else { return };
    let program = top.program();
    let mut initializers = onnx::initializers(&std::fs::read(shared("models/efficientnet_lite0.onnx").unwrap()).unwrap());
    let fc = initializers.remove("_fc.weight").unwrap();
    initializers.insert("_fc.weight_fix".into(), (0..1280 * 1000).map(|i| fc[i % 1000 * 1280 + i / 1000]).collect());
    let mut weights = WeightStore::new();
    let mut merged = 0;
    for value in program.values.iter().filter(|v| v.source == Source::Weight) {
        let shape = value.ty.tensor().unwrap().dims();
        let data = match initializers.get(&value.name) {
            Some(data) => data.clone(),
            None => {
                assert!(MERGED.iter().any(|m| value.name.starts_with(m)), "{}", value.name);
                merged += 1;
                vec![0.1; shape.iter().product()]
            }
        };
        weights.insert(&value.name, Tensor::f32(&shape, data).unwrap());
    }
    assert_eq!(merged, 4);
    let users = program.users();
    let layer = |weight: &str| program.values.iter().position(|v| v.name == weight).map(|v| program.node_name(users[v][0]).to_owned()).unwrap();
    let but: Vec<String> = MERGED.iter().map(|m| layer(&format!("{m}_filter_weight"))).collect();

    let (ours, _) = lower(&calibrated(&program, &shared("kit/efficientnet_lite0/efflite0_cali_kl").unwrap(), &Chip::BM1684X), &weights, &Chip::BM1684X);
    assert_same(&ours, &module("kit/efficientnet_lite0/efflite0_bm1684x_int8_sym_tpu.mlir").unwrap(), &but.iter().map(String::as_str).collect::<Vec<_>>());
    let channels: usize = ours.nodes.iter().zip(0..).filter(|(_, i)| !but.iter().any(|b| b == ours.node_name(*i))).map(|(n, _)| match &n.op {
        Op::TpuConv2D(op) => op.multiplier.as_ref().map_or(0, Vec::len),
        _ => 0,
    }).sum();
    println!("efflite0: {} ops equal, multipliers and shifts of {channels} channels", ours.nodes.len());
}

/// Single ops of the kit's other networks, whose other ops we do not know yet: operand and result types are taken from the
/// reference's Tpu file, the op and its weights from the Top file.
#[test]
fn single_ops_of_further_networks() {
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    for name in ["acts", "acts_more", "consts", "maxmin", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"] {
        let file = |suffix: &str| format!("kit/{name}/{name}{suffix}");
        let Some(top) = module(&file(".mlir")) else { return };
        let tpu = module(&file("_bm1684x_int8_sym_tpu.mlir")).unwrap();
        let weights = WeightStore::load(&shared(&file("_top_f32_all_weight.npz")).unwrap()).unwrap();
        let lowered_weights = WeightStore::load(&shared(&file("_bm1684x_int8_sym_tpu_weights.npz")).unwrap()).unwrap();
        let top_values: HashMap<&str, _> = top.ops.iter().map(|o| (o.result.as_str(), o)).collect();
        let tpu_values: HashMap<&str, _> = tpu.ops.iter().map(|o| (o.result.as_str(), o)).collect();
        let top_names: HashMap<&str, _> = top.ops.iter().map(|o| (o.name.as_str(), o)).collect();
        for expected in tpu.ops.iter().filter(|o| matches!(o.op.as_str(), "tpu.Conv2D" | "tpu.MatMul" | "tpu.Add" | "tpu.Pool2D" | "tpu.Relu" | "tpu.Reshape")) {
            let Some(source) = top_names.get(expected.name.as_str()) else { continue };
            let (ValueType::Tensor(result), Ok(op)) = (&expected.ty, Op::from_attrs(&source.op, &source.attributes)) else { continue };
            // A program of this op alone. Top and Tpu operands correspond in number but for trailing absent ones.
            let mut program = Program::new("one");
            let operands: Vec<_> = source.operands.iter().zip(&expected.operands).map(|(operand, lowered)| {
                let (operand, lowered) = (top_values[operand.as_str()], tpu_values[lowered.as_str()]);
                match (&operand.ty, &lowered.ty) {
                    (ValueType::Tensor(ty), _) if operand.op == "top.Weight" => program.add_weight(&operand.name, ty.clone()),
                    (ValueType::Tensor(_), ValueType::Tensor(ty)) => program.add_input(&operand.name, ty.clone()),
                    _ => program.none(),
                }
            }).collect();
            let out = program.push(op, &operands, &source.name, result.clone());
            program.outputs = vec![out];
            if !result.elem.scale().is_some_and(|s| s > 0.0) {
                continue;
            }
            let (program, weights) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
            let context = OpContext::of(&program, &weights, 0, &Chip::BM1684X, Mode::Int8).unwrap();
            let lowered = lower_op(&context).unwrap_or_else(|e| panic!("{name}: {e}"));
            let node = lowered.nodes.last().unwrap();
            let (mut got, mut want) = (attributes(&node.op), expected.attributes.iter().cloned().collect::<BTreeMap<_, _>>());
            if expected.name == "a_relu6_Clip" {
                // The reference forgets the limit of 6 where the range reaches 9.3; we keep it.
                assert_eq!((got.remove("relu_limit"), want.remove("relu_limit")), (Some(Attr::F64(6.0)), Some(Attr::F64(-1.0))));
            }
            if expected.op == "tpu.MatMul" && name == "mlp_mm" && expected.name == "qk_MatMul" {
                // A transposition in front became an attribute in a step that we do not have here.
                assert_eq!((got.remove("right_transpose"), want.remove("right_transpose")), (Some(Attr::Bool(false)), Some(Attr::Bool(true))));
            }
            assert_eq!(got, want, "{name} {}", expected.name);
            assert_eq!(node.ty, *result);
            for weight in &lowered.weights {
                assert_eq!(lowered_weights.get(&weight.name).map(|t| t.as_ref()), Some(&weight.data), "{name} {}", weight.name);
            }
            *compared.entry(node.op.name()).or_default() += 1;
        }
    }
    println!("single ops equal: {compared:?}");
    for (op, least) in [("tpu.Conv2D", 27), ("tpu.MatMul", 12), ("tpu.Add", 8), ("tpu.Pool2D", 15), ("tpu.Relu", 3), ("tpu.Reshape", 1)] {
        assert!(compared.get(op).is_some_and(|&n| n >= least), "{op}: {compared:?}");
    }
}

#[test]
fn tables_of_the_kit_round_trip() {
    let Some(kit) = shared("kit") else { return };
    let (mut exact, mut read) = (0, 0);
    for case in std::fs::read_dir(kit).unwrap().flatten() {
        let Ok(files) = std::fs::read_dir(case.path()) else { continue };
        for file in files.flatten().map(|f| f.path()).filter(|f| f.file_name().is_some_and(|n| n.to_string_lossy().contains("_cali_"))) {
            let text = std::fs::read_to_string(&file).unwrap();
            let table = CalibrationTable::parse(&text).unwrap();
            read += 1;
            if table.warnings.is_empty() {
                assert_eq!(table.to_text(), text, "{}", file.display());
                exact += 1;
            } else {
                assert!(text.contains("inf -inf"), "{}", file.display());
            }
        }
    }
    println!("{read} tables read, {exact} written again with every byte equal");
    assert!(exact > 80);
}

#[test]
fn all_unsupported_ops_and_all_missing_thresholds_are_named() {
    use tpuc_ops::top;
    let mut program = Program::new("net");
    let ty = TensorType::f32(&[1, 3, 4, 4]);
    let x = program.add_input("x", ty.clone());
    let input = program.push(top::Input::default(), &[x], "in", ty.clone());
    let power = program.push(top::Pow2 { const_val: -2.0, quantize_mode: None }, &[input], "power", ty.clone());
    let soft = program.push(top::MaxPool { kernel_shape: vec![1; 3], strides: vec![1; 3], pads: vec![0; 6], ..Default::default() }, &[power], "pool", ty.clone());
    program.outputs = vec![soft];
    let message = |p: &Program| lower_program(p, &WeightStore::new(), &Chip::BM1684X, Mode::Int8).unwrap_err().to_string();
    assert_eq!(
        message(&program),
        "bm1684x INT8: 2 ops are unsupported: 'power' (top.Pow2: is a power of -2, expected a positive base), \
         'pool' (top.MaxPool: has 3 spatial dimensions, expected 1 or 2)"
    );
    let pads = |p: &mut Program, from, name: &str| p.push(top::Relu::default(), &[from], name, TensorType::f32(&[1, 3, 4, 4]));
    let mut program = Program::new("net");
    let x = program.add_input("x", ty.clone());
    let input = program.push(top::Input::default(), &[x], "in", ty.clone());
    let a = pads(&mut program, input, "a");
    let b = pads(&mut program, a, "b");
    program.outputs = vec![b];
    assert_eq!(message(&program), "no threshold for 2 layers: 'in', 'a'; calibrate, or give a calibration table that has them");
    // Floats need no thresholds.
    lower_program(&program, &WeightStore::new(), &Chip::BM1684X, Mode::F16).unwrap();
}

/// A value that two ops and the network's results want: one cast a type, right behind it.
#[test]
fn casts_are_shared() {
    use tpuc_ops::top;
    let mut program = Program::new("net");
    let elem = Elem::Calibrated { expressed: tpuc_tensor::DType::F32, min: -1.0, max: 1.0 };
    let ty = TensorType::new(&[1, 3, 4, 4], elem);
    let x = program.add_input("x", TensorType::f32(&[1, 3, 4, 4]));
    let input = program.push(top::Input::default(), &[x], "in", ty.clone());
    let a = program.push(top::Relu::default(), &[input], "a", ty.clone());
    let b = program.push(top::Add::default(), &[input, a], "b", ty.clone());
    program.outputs = vec![a, b, a];
    let (lowered, _) = lower_program(&program, &WeightStore::new(), &Chip::BM1684X, Mode::Int8).unwrap();
    let nodes: Vec<_> = (0..lowered.nodes.len()).map(|n| (lowered.nodes[n].op.name(), lowered.node_name(n))).collect();
    assert_eq!(nodes, [("top.Input", "in"), ("tpu.Cast", "ina_si8"), ("tpu.Relu", "a"), ("tpu.Cast", "a_f32"), ("tpu.Add", "b"), ("tpu.Cast", "b_f32")]);
    assert_eq!(lowered.outputs[0], lowered.outputs[2]);
}

/// Normalization constants as the reference computed them, to the last bit.
#[test]
fn batch_norm_becomes_a_depthwise_convolution() {
    use tpuc_ops::top;
    let Some(file) = shared("kit/consts/consts.onnx") else { return };
    let initializers = onnx::initializers(&std::fs::read(file).unwrap());
    let reference = WeightStore::load(&shared("kit/consts/consts_top_f32_all_weight.npz").unwrap()).unwrap();
    let ty = TensorType::f32(&[1, 8, 16, 16]);
    let mut program = Program::new("net");
    let mut weights = WeightStore::new();
    let mut operands = vec![program.add_input("x", ty.clone())];
    for name in ["bn_m", "bn_v", "bn_s", "bn_b"] {
        weights.insert(name, Tensor::f32(&[8], initializers[name].clone()).unwrap());
        operands.push(program.add_weight(name, TensorType::f32(&[8])));
    }
    let out = program.push(top::BatchNorm { epsilon: f64::from(1e-5f32), do_relu: true, ..Default::default() }, &operands, "bn", ty);
    program.outputs = vec![out];
    let (optimized, weights) = top_optimize(&program, &weights, &Chip::BM1684X).unwrap();
    optimized.check().unwrap();
    let Op::TopConv(conv) = &optimized.nodes[0].op else { panic!("{:?}", optimized.nodes[0]) };
    assert_eq!((conv.group, conv.do_relu, optimized.node_name(0)), (8, true, "bn"));
    assert_eq!(weights.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["bn_filter", "bn_to_bias"]);
    for (ours, theirs) in [("bn_filter", "bn_BatchNormalization_scale"), ("bn_to_bias", "bn_BatchNormalization_bias")] {
        assert_eq!(weights.get(ours).unwrap().as_f32(), reference.get(theirs).unwrap().as_f32(), "{ours}");
    }
}

/// Ops whose ranges are carried as the reference carries them, with what they read.
const LOWERED: &[&str] = &[
    "top.None", "top.Weight", "top.Input", "top.Conv", "top.MatMul", "top.Add", "top.AvgPool", "top.MaxPool", "top.Relu", "top.Pad", "top.Reshape", "top.Softmax", "top.Scale", "top.BatchNorm", "top.Clip", "top.Upsample",
    "top.Interp", "top.Abs", "top.AddConst", "top.Cos", "top.Div", "top.Elu", "top.Erf", "top.Exp", "top.Floor", "top.GELU", "top.HardSigmoid", "top.HardSwish",
    "top.LeakyRelu", "top.Log", "top.Max", "top.MaxConst", "top.Min", "top.MinConst", "top.Mul", "top.MulConst", "top.Permute", "top.Pow", "top.Reciprocal",
    "top.Sigmoid", "top.Sin", "top.Softplus", "top.Softsign", "top.Sqrt", "top.Sub", "top.SubConst", "top.Tanh",
];

/// The part of a network that is made of those, with the ranges of its table, against the types in the reference's Tpu file.
#[test]
fn ranges_of_further_networks() {
    let mut compared = 0;
    for name in ["acts", "acts_more", "consts", "maxmin", "mlp_mm", "pools"] {
        let file = |suffix: &str| format!("kit/{name}/{name}{suffix}");
        let Some(mut top) = module(&file(".mlir")) else { return };
        let tpu = module(&file("_bm1684x_int8_sym_tpu.mlir")).unwrap();
        let mut known: std::collections::HashSet<String> = (0..top.arguments.len()).map(|i| format!("%arg{i}")).collect();
        top.ops.retain(|o| {
            let keep = LOWERED.contains(&o.op.as_str()) && o.operands.iter().all(|v| known.contains(v));
            keep && known.insert(o.result.clone())
        });
        top.returns.retain(|v| known.contains(v));
        let program = top.program();
        let table = CalibrationTable::read(&shared(&file("_cali_kl")).unwrap()).unwrap();
        let names = program.names();
        let rows = table.rows().iter().filter(|r| names.contains_key(r.name.as_str())).cloned();
        let mut ranges = Ranges::from_table(&program, &CalibrationTable::new(table.header.clone(), rows), &Chip::BM1684X).unwrap();
        ranges.propagate(&program, &Chip::BM1684X);
        let annotated = ranges.annotate(&program);
        for op in &tpu.ops {
            let (Some(&id), ValueType::Tensor(theirs)) = (names.get(op.name.as_str()), &op.ty) else { continue };
            let ours = annotated.tensor_type(id).unwrap().elem;
            match theirs.elem {
                Elem::Uniform { .. } => assert_eq!(tpuc_lowering::quantized_elem(&ours), Some(theirs.elem), "{name} {}", op.name),
                // In which float it is computed is no matter of ranges.
                Elem::Calibrated { min, max, .. } => assert_eq!(ours, Elem::Calibrated { expressed: ours.storage(), min, max }, "{name} {}", op.name),
                elem => assert_eq!(ours, elem, "{name} {}", op.name),
            }
            compared += 1;
        }
    }
    println!("types of {compared} values equal");
    // More as more ops are known.
    assert!(compared >= 88, "{compared}");
}
