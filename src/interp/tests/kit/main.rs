//! The reference's own networks, tensor by tensor: Top in f32, Tpu in the integers of the BM1684X.
//!
//! They are in a folder beside the workspace; without it these tests say so and pass.

mod chips;
mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tpuc_interp::{FloatOrder, Observer, Options, Plan, TensorView, Want};
use tpuc_ops::{Op, Program, Source, ValueId, top_binary, top_const, top_unary};
use tpuc_tensor::{DType, Tensor, WeightStore};

fn kit(case: &str) -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")).join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the reference's networks are not here ({case})");
    None
}

fn program(folder: &Path, file: &str) -> Program {
    reader::read(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

fn load(folder: &Path, file: &str) -> WeightStore {
    WeightStore::load(&folder.join(file)).unwrap()
}

/// Every result of every node, however it was computed.
fn all_tensors(program: Program, weights: &WeightStore, inputs: &WeightStore, options: Options) -> BTreeMap<String, Tensor> {
    let plan = Arc::new(Plan::new(program, weights, options).unwrap());
    let inputs = plan.inputs_named(|name| inputs.get(name).map(|t| &**t)).unwrap();
    plan.executor().unwrap().run_all(&inputs).unwrap()
}

fn floats(tensor: &Tensor) -> &[f32] {
    tensor.as_f32().unwrap()
}

/// The largest difference, relative to the largest magnitude of the tensor.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / largest.max(f32::MIN_POSITIVE)
}

#[test]
fn float_tensors_agree() {
    for case in ["cnn_res", "mbv2_tiny"] {
        let Some(folder) = kit(case) else { return };
        let expected = load(&folder, &format!("{case}_top_outputs.npz"));
        let weights = load(&folder, &format!("{case}_top_f32_all_weight.npz"));
        let inputs = load(&folder, &format!("{case}_in_f32.npz"));
        for (order, threads) in [(FloatOrder::Fast, 1), (FloatOrder::Reference, 1), (FloatOrder::Fast, 2)] {
            let found = all_tensors(program(&folder, &format!("{case}.mlir")), &weights, &inputs, Options { threads, order, ..Options::default() });
            assert_eq!(found.len(), expected.len(), "{case}");
            let mut equal = 0;
            for (name, wanted) in expected.iter() {
                let distance = distance(floats(&found[name]), floats(wanted));
                assert!(distance < 1e-4, "{case} {name}: {distance}");
                let is_equal = floats(&found[name]) == floats(wanted);
                equal += usize::from(is_equal);
                if order == FloatOrder::Reference && !is_equal {
                    println!("{case} {name} differs by {distance}");
                }
            }
            println!("{case} {order:?}: {equal} of {} tensors equal to the bit", expected.len());
        }
    }
}

#[test]
fn integer_tensors_are_exact() {
    for case in ["cnn_res", "mbv2_tiny"] {
        let Some(folder) = kit(case) else { return };
        let stem = format!("{case}_bm1684x_int8_sym_tpu");
        let expected = load(&folder, &format!("{stem}_outputs.npz"));
        let weights = load(&folder, &format!("{stem}_weights.npz"));
        let inputs = load(&folder, &format!("{case}_in_f32.npz"));
        for threads in [1, 2] {
            let found = all_tensors(program(&folder, &format!("{stem}.mlir")), &weights, &inputs, Options { threads, ..Options::default() });
            for (name, wanted) in expected.iter() {
                let different = floats(&found[name]).iter().zip(floats(wanted)).filter(|(a, b)| a != b).count();
                assert_eq!((different, found[name].len()), (0, wanted.len()), "{case} {name}");
            }
            println!("{case}: {} tensors exact", expected.len());
        }
    }
}

/// Tensors of networks of elementwise ops: integers exact, half floats with at most one unit in the last place in one element
/// of a thousand (`spec/lowering.md` section 6).
#[test]
fn tensors_of_elementwise_networks_agree() {
    for case in ["acts", "acts_more", "consts", "maxmin", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"] {
        let Some(folder) = kit(case) else { return };
        for mode in ["int8_sym", "f16", "bf16"] {
            let stem = format!("{case}_bm1684x_{mode}_tpu");
            let expected = load(&folder, &format!("{stem}_outputs.npz"));
            let program = program(&folder, &format!("{stem}.mlir"));
            let mut weights = load(&folder, &format!("{stem}_weights.npz"));
            program.type_half_weights(&mut weights);
            let inputs = load(&folder, &format!("{case}_in_f32.npz"));
            let options = Options { order: FloatOrder::Reference, ..Options::default() };
            let types: BTreeMap<String, tpuc_ops::Elem> = program.values.iter().filter_map(|v| Some((v.name.clone(), v.ty.tensor()?.elem))).collect();
            let found = all_tensors(program, &weights, &inputs, options);
            let mut equal = 0;
            for (name, wanted) in expected.iter() {
                let (found, wanted) = (floats(&found[name]), floats(wanted));
                let different = found.iter().zip(wanted).filter(|(a, b)| a != b).count();
                equal += usize::from(different == 0);
                let ulp = match types[name].storage() {
                    DType::F16 => 2f32.powi(-10),
                    DType::BF16 => 2f32.powi(-7),
                    _ => 0.0,
                };
                let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= ulp * b.abs());
                assert!(near && different <= found.len().div_ceil(1000), "{stem} {name}: {different} of {} differ, by {}", found.len(), distance(found, wanted));
            }
            println!("{stem}: {equal} of {} tensors exact", expected.len());
            assert!(equal + 1 >= expected.len(), "{stem}");
        }
    }
}

/// Every node of the other networks that this crate has an op for, alone, on the reference's operands.
#[test]
fn nodes_of_other_networks_agree() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in ["yolo_head", "pools", "mlp_mm", "consts", "shape_mix", "shape_lite", "acts", "acts_more", "maxmin"] {
        let Some(folder) = kit(case) else { return };
        for (file, weights, outputs) in [
            (format!("{case}.mlir"), format!("{case}_top_f32_all_weight.npz"), format!("{case}_top_outputs.npz")),
            (format!("{case}_bm1684x_int8_sym_tpu.mlir"), format!("{case}_bm1684x_int8_sym_tpu_weights.npz"), format!("{case}_bm1684x_int8_sym_tpu_outputs.npz")),
        ] {
            if !folder.join(&outputs).is_file() || !folder.join(&weights).is_file() {
                continue;
            }
            let text = std::fs::read_to_string(folder.join(&file)).unwrap();
            let (weights, outputs) = (load(&folder, &weights), load(&folder, &outputs));
            for node in isolated(&text) {
                let Some(name) = check_node(&node, &weights, &outputs, &format!("{case} {file}")) else { continue };
                *counts.entry(name).or_default() += 1;
            }
        }
    }
    println!("{counts:?}");
    assert!(counts.values().sum::<usize>() > 100, "{counts:?}");
}

/// One program per op of a text that can be read alone: its weights, and its other operands as arguments.
fn isolated(text: &str) -> Vec<Program> {
    let ops: Vec<&str> = text.lines().map(str::trim).filter(|l| l.starts_with('%')).collect();
    let result = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let by_result: BTreeMap<String, &str> = ops.iter().map(|l| (result(l), *l)).collect();
    let module = text.lines().find(|l| l.starts_with("module ")).unwrap_or_default();
    let locations: Vec<&str> = text.lines().filter(|l| l.starts_with("#loc")).collect();
    let ty = |line: &str| line.rsplit_once("-> ").map_or("", |(_, t)| t.rsplit_once(" loc(").map_or(t, |(t, _)| t)).to_owned();
    let location = |line: &str| {
        let label = line.rsplit_once("loc(").map_or("", |(_, l)| l.trim_end_matches(')'));
        locations.iter().find_map(|l| l.strip_prefix(&format!("{label} = loc(\""))).map_or(String::new(), |n| n.trim_end_matches("\")").to_owned())
    };
    let mut programs = Vec::new();
    for line in &ops {
        let Some(operands) = line.split_once('(').and_then(|(_, r)| r.split_once(')')).map(|(o, _)| o) else { continue };
        let (mut arguments, mut body, mut names) = (Vec::new(), String::new(), Vec::new());
        let mut call = (*line).to_owned();
        for operand in operands.split(", ").filter(|o| o.starts_with('%')) {
            match by_result.get(operand) {
                Some(source) if source.contains("\"top.Weight\"") || source.contains("\"top.None\"") => {
                    if !body.contains(source) {
                        body += &format!("{source}\n");
                    }
                }
                Some(source) => {
                    let argument = format!("%arg{}", arguments.len());
                    call = call.replacen(&format!("{operand},"), &format!("{argument},"), 1).replacen(&format!("{operand})"), &format!("{argument})"), 1);
                    arguments.push(format!("{argument}: {}", ty(source)));
                    names.push(location(source));
                }
                None => {}
            }
        }
        if line.contains("\"top.Weight\"") || line.contains("\"top.None\"") || line.contains("\"top.Input\"") || arguments.is_empty() {
            continue;
        }
        let text = format!("{module}\nfunc.func @main({}) -> (\n{body}{call}\nreturn {} : x\n{}", arguments.join(", "), result(line), locations.join("\n"));
        if let Ok(mut program) = reader::read(&text) {
            // Arguments are named like the tensors that they stand for.
            for (id, name) in program.inputs.clone().into_iter().zip(names) {
                program.values[id.index()].name = name;
            }
            programs.push(program);
        }
    }
    programs
}

/// Runs the only node of a program on stored operands and compares it with the stored result. The op's name if it ran.
fn check_node(program: &Program, weights: &WeightStore, outputs: &WeightStore, what: &str) -> Option<&'static str> {
    let stored = |id: ValueId| {
        let (value, ty) = (program.value(id), program.tensor_type(id)?);
        let tensor = outputs.get(&value.name)?;
        let quantize = |scale: f64| floats(tensor).iter().map(|v| (f64::from(*v) / scale).round() as i64).collect::<Vec<_>>();
        match (ty.elem.storage(), ty.elem.scale()) {
            (tpuc_tensor::DType::I8, Some(scale)) => Tensor::i8(&ty.dims(), quantize(scale).iter().map(|&v| v as i8).collect()).ok(),
            (tpuc_tensor::DType::U8, Some(scale)) => Tensor::u8(&ty.dims(), quantize(scale).iter().map(|&v| v as u8).collect()).ok(),
            (tpuc_tensor::DType::F32, _) => Tensor::f32(&ty.dims(), floats(tensor).to_vec()).ok(),
            _ => None,
        }
    };
    let node = &program.nodes[0];
    let operands: Vec<Option<Tensor>> = node.operands.iter().map(|&id| stored(id)).collect();
    let present = node.operands.iter().zip(&operands).all(|(&id, t)| t.is_some() || !matches!(program.value(id).source, Source::Argument(_)));
    let expected = stored(node.results[0])?;
    if !present {
        return None;
    }
    let plan = match Plan::new(program.clone(), weights, Options { order: FloatOrder::Reference, ..Options::default() }) {
        Ok(plan) => plan,
        // Not all types that the reference mixes in are here.
        Err(tpuc_interp::InterpError::Unsupported { .. }) => return None,
        Err(error) => panic!("{what}: {error}"),
    };
    let mut results = Vec::new();
    let references: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
    plan.prepare_node(0).unwrap().run(&references, &mut results).unwrap();
    let layer = program.node_name(0);
    match results[0].as_f32() {
        Some(found) => {
            let distance = distance(found, floats(&expected));
            let most = if is_elementwise(&node.op) { 0.0 } else { 1e-5 };
            assert!(distance <= most, "{what} {layer}: {distance}");
        }
        None => {
            let different = results[0].to_f32().iter().zip(expected.to_f32()).filter(|(a, b)| **a != *b).count();
            assert_eq!(different, 0, "{what} {layer} {}: of {} elements", node.op.name(), expected.len());
        }
    }
    Some(node.op.name())
}

/// Ops whose float form is the reference's in every bit.
fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::TopScale(_) | Op::TopPRelu(_) | Op::TopClip(_) | Op::TopRelu(_) | Op::TopAdd(_) | top_unary!() | top_binary!() | top_const!())
}

/// Keeps what every node computed, in whatever order it stands.
struct Keep(BTreeMap<ValueId, Tensor>);

impl Observer for Keep {
    fn wants(&self, _: ValueId) -> Want {
        Want::AnyOrder
    }

    fn tensor(&mut self, value: ValueId, view: TensorView<'_>) -> std::ops::ControlFlow<()> {
        self.0.insert(value, view.to_tensor().unwrap());
        std::ops::ControlFlow::Continue(())
    }
}

#[test]
fn parts_and_single_nodes_compute_what_the_whole_does() {
    let Some(folder) = kit("cnn_res") else { return };
    for (file, weights) in [("cnn_res.mlir", "cnn_res_top_f32_all_weight.npz"), ("cnn_res_bm1684x_int8_sym_tpu.mlir", "cnn_res_bm1684x_int8_sym_tpu_weights.npz")] {
        let plan = Arc::new(Plan::new(program(&folder, file), &load(&folder, weights), Options::default()).unwrap());
        let stored = load(&folder, "cnn_res_in_f32.npz");
        let inputs = plan.inputs_named(|name| stored.get(name).map(|t| &**t)).unwrap();
        let mut executor = plan.executor().unwrap();
        let mut all = Keep(BTreeMap::new());
        let outputs = executor.run(&inputs, &mut all).unwrap();
        assert_eq!(outputs[0], all.0[&plan.program().outputs[0]]);
        for (&id, &input) in plan.program().inputs.iter().zip(&inputs) {
            all.0.insert(id, input.clone());
        }
        let mut other = plan.executor().unwrap();
        for start in 0..plan.program().nodes.len() {
            let live = plan.live_into(start);
            let views: Vec<(ValueId, TensorView<'_>)> = live.iter().map(|id| (*id, TensorView::of(&all.0[id], None).unwrap())).collect();
            let mut part = Keep(BTreeMap::new());
            assert!(other.run_part(start..plan.program().nodes.len(), &views, &mut part).unwrap());
            assert!(part.0.iter().all(|(id, t)| all.0[id] == *t), "{file} from {start}");
            if let Some((missing, rest)) = views.split_first() {
                let error = other.run_part(start..plan.program().nodes.len(), rest, &mut Keep(BTreeMap::new())).unwrap_err();
                assert!(error.to_string().contains(&plan.program().value(missing.0).name), "{error}");
            }

            let node = &plan.program().nodes[start];
            let operands: Vec<Option<&Tensor>> = node.operands.iter().map(|id| all.0.get(id)).collect();
            let mut results = Vec::new();
            plan.prepare_node(start).unwrap().run(&operands, &mut results).unwrap();
            // Float convolutions on other memory alignments may differ in the last bit.
            assert!(distance(&results[0].to_f32(), &all.0[&node.results[0]].to_f32()) < 1e-6, "{file} node {start}");
        }
    }
}

#[test]
fn other_weights_in_a_single_node() {
    let Some(folder) = kit("cnn_res") else { return };
    let plan = Plan::new(program(&folder, "cnn_res.mlir"), &load(&folder, "cnn_res_top_f32_all_weight.npz"), Options::default()).unwrap();
    let index = plan.program().nodes.iter().position(|n| matches!(n.op, Op::TopConv(_))).unwrap();
    let node = &plan.program().nodes[index];
    let shape = |i: usize| plan.program().tensor_type(node.operands[i]).unwrap().dims();
    let zeros = Tensor::f32(&shape(1), vec![0.0; shape(1).iter().product()]).unwrap();
    let prepared = plan.prepare_node_with(index, &[None, Some(Arc::new(zeros))]).unwrap();
    let x = Tensor::f32(&shape(0), vec![1.0; shape(0).iter().product()]).unwrap();
    let mut results = Vec::new();
    prepared.run(&[Some(&x)], &mut results).unwrap();
    let bias = floats(plan.weight(node.operands[2]).unwrap());
    let area = results[0].len() / bias.len();
    assert!(floats(&results[0]).iter().enumerate().all(|(i, &y)| y == bias[i / area].max(0.0)));
}

#[test]
fn executors_of_one_plan_run_side_by_side() {
    let Some(folder) = kit("mbv2_tiny") else { return };
    let stem = "mbv2_tiny_bm1684x_int8_sym_tpu";
    let plan = Arc::new(Plan::new(program(&folder, &format!("{stem}.mlir")), &load(&folder, &format!("{stem}_weights.npz")), Options::default()).unwrap());
    let stored = load(&folder, "mbv2_tiny_in_f32.npz");
    let input = plan.inputs_named(|name| stored.get(name).map(|t| &**t)).unwrap()[0];
    let scaled = |k: usize| Tensor::f32(input.shape(), floats(input).iter().map(|v| v * k as f32 / 4.0).collect()).unwrap();
    let expected: Vec<Tensor> = (0..8).map(|k| plan.executor().unwrap().outputs(&[&scaled(k)]).unwrap().remove(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (plan, expected, scaled) = (&plan, &expected, &scaled);
            scope.spawn(move || {
                let mut executor = plan.executor().unwrap();
                for k in (thread..8).chain(0..thread) {
                    assert_eq!(executor.outputs(&[&scaled(k)]).unwrap()[0], expected[k]);
                }
            });
        }
    });
}

/// Latency of one picture through EfficientNet-Lite0 in f32 and in 8 bits, with made-up weights. A benchmark: run it with
/// `cargo test --release -p tpuc-interp latency -- --ignored --nocapture`.
#[test]
#[ignore = "a benchmark"]
fn latency() {
    let Some(folder) = kit("efficientnet_lite0") else { return };
    for file in ["efflite0.mlir", "efflite0_bm1684x_int8_sym_tpu.mlir"] {
        let program = program(&folder, file);
        let mut weights = WeightStore::new();
        for value in program.values.iter().filter(|v| v.source == Source::Weight) {
            let ty = value.ty.tensor().unwrap();
            let pattern = (0..ty.count()).map(|i| (i * 7919 % 251) - 125);
            let tensor = match ty.elem.storage() {
                tpuc_tensor::DType::I8 => Tensor::i8(&ty.dims(), pattern.map(|v| v as i8).collect()),
                tpuc_tensor::DType::I32 => Tensor::i32(&ty.dims(), pattern.map(|v| v as i32).collect()),
                _ => Tensor::f32(&ty.dims(), pattern.map(|v| v as f32 / 1000.0).collect()),
            };
            weights.insert(value.name.clone(), tensor.unwrap());
        }
        let shape = program.tensor_type(program.inputs[0]).unwrap().dims();
        let picture = Tensor::f32(&shape, (0..shape.iter().product::<usize>()).map(|i| (i % 255) as f32 / 127.0 - 1.0).collect()).unwrap();
        for (threads, order) in [(1, FloatOrder::Fast), (2, FloatOrder::Fast), (1, FloatOrder::Reference)] {
            let start = std::time::Instant::now();
            let plan = Arc::new(Plan::new(program.clone(), &weights, Options { threads, order, ..Options::default() }).unwrap());
            let prepared = start.elapsed();
            let mut executor = plan.executor().unwrap();
            let mut times: Vec<std::time::Duration> = (0..40)
                .map(|_| {
                    let start = std::time::Instant::now();
                    executor.outputs(&[&picture]).unwrap();
                    start.elapsed()
                })
                .collect();
            times.sort();
            println!("{file} {threads} threads {order:?}: best {:?}, median {:?}; prepared in {prepared:?}, {} kB of activations", times[0], times[20], plan.activation_bytes() / 1000);
        }
    }
}
