//! The kit's networks on the other chips, layer by layer: op, attributes, types and weights as the reference lowered them.

use crate::reader::{Module, RawOp};
use crate::{calibrated, module, shared};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tpuc_lowering::{Chip, Mode, QuantizeTable, lower_mixed, lower_program, top_optimize};
use tpuc_interp::{Options, Plan};
use tpuc_ops::{Attr, Elem, Program, Source, ValueType};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

/// Networks of the kit that are lowered whole.
const NETWORKS: &[(&str, &[Chip])] = &[
    ("cnn_res", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("mbv2_tiny", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("acts", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("consts", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("maxmin", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("acts_more", &[Chip::BM1688]),
    ("mlp_mm", &[Chip::BM1688, Chip::BM1684, Chip::CV183X]),
    ("yolo_head", &[Chip::BM1684, Chip::CV183X]),
    ("pools", &[Chip::BM1684, Chip::CV183X]),
    ("shape_lite", &[Chip::BM1684, Chip::CV183X]),
    ("transformer", &[Chip::BM1684, Chip::CV183X]),
    ("pools", &[Chip::BM1688]),
    ("shape_lite", &[Chip::BM1688]),
    ("shape_mix", &[Chip::BM1688, Chip::BM1684]),
    ("transformer", &[Chip::BM1688]),
    ("yolo_head", &[Chip::BM1688]),
];

/// Layers where the reference is wrong and we are not (`docs/numerics.md`): it compares integers of different scales, and
/// forgets the limit of a Relu whose range reaches further.
const BETTER: &[&str] = &["maxu_Max", "minu_Min", "maxs_Max", "mins_Min", "a_relu6_Clip"];

/// Networks that are written otherwise by design (`docs/numerics.md`: what moves, concatenates or transposes has other ops with the
/// same numbers): only their tensors are compared.
const REWRITTEN: &[(&str, Chip)] = &[
    ("yolo_head", Chip::CV183X),
    ("pools", Chip::CV183X),
    ("shape_lite", Chip::CV183X),
    ("shape_lite", Chip::BM1684),
    ("transformer", Chip::CV183X),
    ("transformer", Chip::BM1684),
];

/// In the float type of the chip.
const FLOAT: &[(&str, &[Chip])] = &[
    ("cnn_res", &[Chip::CV183X]),
    ("mbv2_tiny", &[Chip::CV183X]),
    ("acts", &[Chip::CV183X]),
    ("consts", &[Chip::CV183X]),
    ("mlp_mm", &[Chip::CV183X]),
    ("yolo_head", &[Chip::CV183X]),
    ("shape_lite", &[Chip::CV183X]),
    ("transformer", &[Chip::CV183X]),
    ("pools", &[Chip::CV183X]),
    ("maxmin", &[Chip::CV183X]),
];

#[test]
fn chips_lower_as_the_reference_lowers_for_them() {
    let Some(kit) = shared("kit") else { return };
    let only = std::env::var("KIT_CASE").ok();
    let mut failures = Vec::new();
    for (&(name, chips), integer) in NETWORKS.iter().map(|n| (n, true)).chain(FLOAT.iter().map(|n| (n, false))) {
        for chip in chips {
            let mode = if integer { Mode::Int8 } else { chip.fallback_mode() };
            if only.as_ref().is_some_and(|only| *only != format!("{name}/{}", chip.name)) {
                continue;
            }
            match compare(&Case { name, chip, mode, asymmetric: false, table: None, root: &kit }) {
                Some(Ok(layers)) => println!("{name} {} {mode}: {layers} layers equal", chip.name),
                Some(Err(list)) => failures.push(format!("{name} {} {mode}: {}", chip.name, list.join("\n    "))),
                None => return,
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// BM1684 in f32: the float network, op by op.
#[test]
fn f32_is_the_float_network() {
    for name in ["cnn_res", "mbv2_tiny", "acts", "acts_more", "consts", "maxmin"] {
        let file = |suffix: &str| format!("kit/{name}/{name}{suffix}");
        let load = |suffix: &str| shared(&file(suffix)).map(|f| WeightStore::load(&f).unwrap());
        let (Some(top), Some(weights)) = (module(&file(".mlir")), load("_top_f32_all_weight.npz")) else { return };
        let (top, weights) = top_optimize(&top.program(), &weights, &Chip::BM1684).unwrap();
        let (ours, weights) = lower_program(&top, &weights, &Chip::BM1684, Mode::F32).unwrap();
        let problems = wrong_tensors(&ours, &weights, &load("_in_f32.npz").unwrap(), &load("_top_outputs.npz").unwrap(), |_| None);
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

/// Layers of a quantize table in floats, the others in integers.
#[test]
fn mixed_networks_lower_as_the_reference_lowers_them() {
    let Some(kit) = shared("kit") else { return };
    for chip in [&Chip::BM1684X, &Chip::BM1684, &Chip::CV183X] {
        match compare(&Case { name: "yolo_head", chip, mode: Mode::Int8, asymmetric: false, table: Some("mixed"), root: &kit }) {
            Some(Ok(layers)) => println!("yolo_head {} mixed: {layers} layers equal", chip.name),
            Some(Err(list)) => panic!("yolo_head {} mixed: {}", chip.name, list.join("\n    ")),
            None => return,
        }
    }
}

/// Networks that somebody made with the reference, in folders as the kit's: `TPUC_KIT_EXTRA` names the folder above them.
#[test]
fn further_networks_lower_as_the_reference_lowers_them() {
    let Some(folder) = std::env::var_os("TPUC_KIT_EXTRA").map(PathBuf::from) else { return };
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let made = |chip: &Chip, mode: Mode, asymmetric: bool| path.join(format!("{name}_{}_{}_tpu_outputs.npz", chip.name, mode.file_suffix(asymmetric))).exists();
        let all = Chip::ALL.iter().flat_map(|c| c.modes.iter().flat_map(move |&m| [(c, m, false), (c, m, true)]));
        for (chip, mode, asymmetric) in all.filter(|&(c, m, a)| (m == Mode::Int8 || !a) && made(c, m, a)) {
            match compare(&Case { name: &name, chip, mode, asymmetric, table: None, root: &folder }) {
                Some(Ok(layers)) => println!("{name} {} {}: {layers} layers equal", chip.name, mode.file_suffix(asymmetric)),
                Some(Err(list)) => failures.push(format!("{name} {} {}: {}", chip.name, mode.file_suffix(asymmetric), list.join("\n    "))),
                None => failures.push(format!("{name} {} {}: files are missing", chip.name, mode.file_suffix(asymmetric))),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A network of the kit as it is lowered for a chip.
struct Case<'a> {
    /// The folder with the network's.
    root: &'a Path,
    name: &'a str,
    chip: &'static Chip,
    mode: Mode,
    /// With zero points.
    asymmetric: bool,
    /// The folder `<table>_<chip>` of the network has a quantize table and what the reference made with it.
    table: Option<&'a str>,
}

/// Attentions have no form in f32: what the chip computed of the transformer in that mode has their f16, and so has ours.
#[test]
fn attentions_of_an_f32_network_are_in_f16() {
    let file = |suffix: &str| format!("kit/transformer/transformer{suffix}");
    let load = |suffix: &str| shared(&file(suffix)).map(|f| WeightStore::load(&f).unwrap());
    let (Some(top), Some(weights)) = (module(&file(".mlir")), load("_top_f32_all_weight.npz")) else { return };
    let (top, weights) = top_optimize(&top.program(), &weights, &Chip::BM1684X).unwrap();
    let (ours, weights) = lower_program(&top, &weights, &Chip::BM1684X, Mode::F32).unwrap();
    let halves = ours.nodes.iter().filter(|n| ours.tensor_type(n.results[0]).unwrap().elem == Elem::Plain(DType::F16)).count();
    // Two of four heads with three sums, and a cast in front.
    assert_eq!(halves, 2 * (4 + 3 + 1));
    let plan = Arc::new(Plan::new(ours, &weights, Options::default()).unwrap());
    let inputs = load("_in_f32.npz").unwrap();
    let inputs = plan.inputs_named(|name| inputs.get(name).map(|t| &**t)).unwrap();
    let found = plan.executor().unwrap().run_all(&inputs).unwrap()["cls_Gemm"].to_f32();
    let far = |other: &WeightStore| {
        let other = other.get("cls_Gemm").unwrap().to_f32();
        found.iter().zip(&other).fold(0f32, |m, (a, b)| m.max((a - b).abs()))
    };
    let (chip, float) = (far(&load("_bm1684x_f32_model_outputs.npz").unwrap()), far(&load("_top_outputs.npz").unwrap()));
    println!("off the chip's {chip}, off the float network {float}");
    assert!(chip < 1e-3 && float < 1e-3, "{chip} {float}");
}

/// How many layers are equal, or what differs; `None` without the kit.
fn compare(&Case { root, name, chip, mode, asymmetric, table }: &Case) -> Option<Result<usize, Vec<String>>> {
    let file = |suffix: &str| {
        let path = root.join(name).join(format!("{name}{suffix}"));
        if path.exists() {
            return Some(path);
        }
        println!("skipped: {} is not here", path.display());
        None
    };
    let mut top = Module::read(&std::fs::read_to_string(file(".mlir")?).unwrap()).program();
    if asymmetric {
        top.attrs.insert("module.asymmetric".into(), Attr::Bool(true));
    }
    let weights = WeightStore::load(&file("_top_f32_all_weight.npz")?).unwrap();
    let top = if mode == Mode::Int8 { calibrated(&top, &file("_cali_kl")?, chip) } else { top };
    let (top, weights) = top_optimize(&top, &weights, chip).unwrap();
    let folder = table.map(|table| root.join(name).join(format!("{table}_{}", chip.name)));
    let modes = match &folder {
        None => vec![None; top.nodes.len()],
        Some(folder) => QuantizeTable::read(&folder.join(format!("qtable_{}", chip.name))).unwrap().modes(&top, false).unwrap().0,
    };
    let (ours, our_weights) = match lower_mixed(&top, &weights, chip, mode, |node| modes[node].unwrap_or(mode)) {
        Ok(lowered) => lowered,
        Err(error) => return Some(Err(vec![error.to_string()])),
    };
    // The kit has the files of BM1684X once for all chips that compute alike.
    let made = |chip: &str, suffix: &str| {
        let stem = format!("{name}_{chip}_{}_{suffix}", mode.file_suffix(asymmetric));
        Some(folder.clone().unwrap_or_else(|| root.join(name)).join(stem)).filter(|p| p.exists())
    };
    let found = |suffix: &str| made(chip.name, suffix).or_else(|| made("bm1684x", suffix));
    let reference = Module::read(&std::fs::read_to_string(made(chip.name, "tpu.mlir")?).unwrap());
    let theirs = found(if table.is_some() { "tpu_qtable_weights.npz" } else { "tpu_weights.npz" })?;
    let mut problems = differences(&ours, &our_weights, &reference, &WeightStore::load(&theirs).unwrap());
    let outputs = found("tpu_outputs.npz")?;
    let inputs = WeightStore::load(&file("_in_f32.npz")?).unwrap();
    if REWRITTEN.contains(&(name, *chip)) {
        problems.clear();
    }
    let types: HashMap<&str, DType> = reference.ops.iter().filter_map(|o| Some((o.name.as_str(), o.ty.tensor()?.elem.storage()))).collect();
    problems.extend(wrong_tensors(&ours, &our_weights, &inputs, &WeightStore::load(&outputs).unwrap(), |name| types.get(name).copied()));
    Some(if problems.is_empty() { Ok(ours.nodes.len()) } else { Err(problems) })
}

/// Runs a lowered network and compares every tensor that the reference has too. Integers must be equal. Floats: sums in f32 have no
/// order that is given, which half floats show as a step of the last place here and there.
fn wrong_tensors(program: &Program, weights: &WeightStore, inputs: &WeightStore, expected: &WeightStore, type_of: impl Fn(&str) -> Option<DType>) -> Vec<String> {
    let run = || -> Result<BTreeMap<String, Tensor>, tpuc_interp::InterpError> {
        let plan = Arc::new(Plan::new(program.clone(), weights, Options::default())?);
        let inputs = plan.inputs_named(|name| inputs.get(name).map(|t| &**t))?;
        plan.executor()?.run_all(&inputs)
    };
    let tensors = match run() {
        Ok(tensors) => tensors,
        Err(error) => return vec![error.to_string()],
    };
    let mut problems = Vec::new();
    for node in 0..program.nodes.len() {
        let (value, name) = (program.nodes[node].results[0], program.node_name(node));
        let (Some(found), Some(wanted)) = (tensors.get(name), expected.get(name)) else { continue };
        // Where a value is quantized sooner or later than in the reference, its integers are compared behind that.
        if type_of(name).is_some_and(|t| t != program.tensor_type(value).unwrap().elem.storage()) {
            continue;
        }
        let (found, wanted) = (found.to_f32(), wanted.to_f32());
        let peak = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
        let (most, exceptions) = match program.tensor_type(value).unwrap().elem.storage() {
            DType::I8 | DType::U8 => (0.0, 0),
            DType::F32 => (1e-5 * peak, 0),
            _ => (0.0, (wanted.len() / 1000).max(1)),
        };
        let off = found.iter().zip(&wanted).filter(|(a, b)| (*a - *b).abs() > most).count();
        if off > exceptions && !BETTER.iter().any(|b| name.starts_with(b)) {
            problems.push(format!("tensor '{name}': {off} of {} differ", wanted.len()));
        }
    }
    problems
}

/// A range beside a float type is no matter of lowering: the tests of ranges have it.
fn plain(ty: &ValueType) -> ValueType {
    match ty {
        ValueType::Tensor(t) => match t.elem {
            Elem::Calibrated { expressed, .. } => tpuc_ops::TensorType::new(&t.shape, Elem::Plain(expressed)).into(),
            // What a scale stands in for says nothing about the integers.
            Elem::Uniform { storage, scale, zero_point, .. } => {
                tpuc_ops::TensorType::new(&t.shape, Elem::Uniform { storage, expressed: DType::F32, scale, zero_point }).into()
            }
            Elem::Plain(_) => ty.clone(),
        },
        ValueType::None => ty.clone(),
    }
}

fn differences(ours: &Program, our_weights: &WeightStore, reference: &Module, weights: &WeightStore) -> Vec<String> {
    let mut problems = Vec::new();
    let names: HashMap<&str, usize> = (0..ours.nodes.len()).map(|n| (ours.node_name(n), n)).collect();
    let by_value: HashMap<&str, &RawOp> = reference.ops.iter().map(|o| (o.result.as_str(), o)).collect();
    let computed = || reference.ops.iter().filter(|o| !matches!(o.op.as_str(), "top.None" | "top.Weight"));
    let better = |name: &str| BETTER.iter().any(|b| name.starts_with(b) || name.ends_with(&format!("_to_{b}")));
    let count = |names: &mut dyn Iterator<Item = &str>| names.filter(|n| !better(n)).count();
    let (expected, found) = (count(&mut computed().map(|o| o.name.as_str())), count(&mut names.keys().copied()));
    if expected != found {
        problems.push(format!("{found} ops, expected {expected}"));
    }
    for theirs in computed().filter(|o| !better(&o.name)) {
        let Some(&index) = names.get(theirs.name.as_str()) else {
            problems.push(format!("{} '{}' is missing", theirs.op, theirs.name));
            continue;
        };
        let node = &ours.nodes[index];
        let mut differ = |what: &str, ours: String, theirs_: String| {
            if ours != theirs_ {
                problems.push(format!("'{}' {what}: {ours}, expected {theirs_}", theirs.name));
            }
        };
        // The reference has the quantization of inputs on the host; ours is a cast like others.
        let on_host = theirs.op == "tpu.GenericCpu" && node.op.name() == "tpu.Cast";
        differ("op", if on_host { theirs.op.clone() } else { node.op.name().to_owned() }, theirs.op.clone());
        if !on_host {
            // What a table or a weight holds already is said once.
            let tells = |name: &str| match theirs.op.as_str() {
                "tpu.LutBF16" => ["lut_mode", "min_range", "max_range"].contains(&name),
                "tpu.Add" => name != "const_val",
                _ => true,
            };
            let (mine, own) = (node.op.to_attrs(), &theirs.attributes);
            differ("attributes", attributes(mine.iter().map(|(n, a)| (*n, a)).filter(|(n, _)| tells(n))), attributes(own.iter().map(|(n, a)| (n.as_str(), a)).filter(|(n, _)| tells(n))));
        }
        differ("type", format!("{:?}", plain(&ours.value(node.results[0]).ty)), format!("{:?}", plain(&theirs.ty)));
        let our_operands: Vec<String> = node.operands.iter().map(|&o| ours.value(o)).map(|v| if v.source == Source::None { String::new() } else { v.name.clone() }).collect();
        let their_operands: Vec<String> = theirs.operands.iter().map(|o| by_value.get(o.as_str()).map_or(o.trim_start_matches('%').to_owned(), |o| o.name.clone())).collect();
        let trimmed = |list: &[String]| list.iter().rposition(|n| !n.is_empty()).map_or(String::new(), |last| list[..=last].join(", "));
        differ("operands", trimmed(&our_operands), trimmed(&their_operands));
        for (&operand, name) in node.operands.iter().zip(&their_operands) {
            let (Some(mine), Some(wanted)) = (our_weights.get(&ours.value(operand).name), weights.get(name)) else { continue };
            differ(&format!("weight {name}"), shortened(mine, wanted), shortened(wanted, mine));
        }
    }
    problems
}

fn attributes<'a>(list: impl Iterator<Item = (&'a str, &'a Attr)>) -> String {
    let mut list: Vec<String> = list.map(|(name, value)| format!("{name} = {value:?}")).collect();
    list.sort();
    list.join(", ")
}

/// Elements of a tensor where another differs, or all the same text.
fn shortened(tensor: &Tensor, other: &Tensor) -> String {
    let bits = |t: &Tensor| -> Vec<f64> {
        match t.data() {
            Data::F16(v) => v.iter().map(|v| f64::from(v.to_bits())).collect(),
            Data::BF16(v) => v.iter().map(|v| f64::from(v.to_bits())).collect(),
            _ => t.to_f32().into_iter().map(f64::from).collect(),
        }
    };
    let (mine, theirs) = (bits(tensor), bits(other));
    if mine == theirs {
        return format!("{} elements", mine.len());
    }
    let at: Vec<usize> = (0..mine.len().min(theirs.len())).filter(|&i| mine[i] != theirs[i]).collect();
    format!("{} elements, {} differ: {:?}", mine.len(), at.len(), at.iter().take(6).map(|&i| (i, mine[i])).collect::<Vec<_>>())
}
