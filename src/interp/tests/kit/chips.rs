//! The kit's networks on the chips of other families: every node alone, on the reference's operands, and whole networks.

use crate::{all_tensors, floats, isolated, kit, load, program};
use std::collections::BTreeMap;
use tpuc_interp::{InterpError, Options, Plan};
use tpuc_ops::{Program, Source, ValueId};
use tpuc_tensor::{DType, Tensor, WeightStore};

const CASES: [&str; 12] = ["cnn_res", "mbv2_tiny", "yolo_head", "transformer", "pools", "mlp_mm", "consts", "shape_mix", "shape_lite", "acts", "acts_more", "maxmin"];

/// Where the reference is wrong, or rounds by tables of its own: `docs/numerics.md` says why.
const KNOWN: &[&str] = &[];

#[test]
fn nodes_of_other_chips_agree() {
    let (mut counts, mut left, mut wrong) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new(), Vec::new());
    for chip in ["bm1684_int8_sym", "cv183x_int8_sym", "cv183x_bf16"] {
        for case in CASES {
            let Some(folder) = kit(case) else { return };
            let stem = format!("{case}_{chip}_tpu");
            let file = |suffix: &str| folder.join(format!("{stem}{suffix}"));
            if !file(".mlir").is_file() || !file("_outputs.npz").is_file() {
                continue;
            }
            let text = std::fs::read_to_string(file(".mlir")).unwrap();
            let (weights, outputs) = (load(&folder, &format!("{stem}_weights.npz")), load(&folder, &format!("{stem}_outputs.npz")));
            for node in isolated(&text) {
                let key = format!("{} {}", chip, node.nodes[0].op.name());
                match check(&node, &with_halves(&node, &weights), &outputs) {
                    Some(None) => *counts.entry(key).or_default() += 1,
                    Some(Some(problem)) if !KNOWN.contains(&node.nodes[0].op.name()) => wrong.push(format!("{stem} {problem}")),
                    Some(Some(_)) => {}
                    None => *left.entry(key).or_default() += 1,
                }
            }
        }
    }
    println!("equal: {counts:#?}\nleft: {left:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.values().sum::<usize>() > 150, "{counts:?}");
}

/// The weights that a node reads.
fn with_halves(program: &Program, weights: &WeightStore) -> WeightStore {
    let mut own = program.used_weights(weights);
    program.type_half_weights(&mut own);
    own
}

/// `None` if the node does not run here, else what is wrong with its result.
fn check(program: &Program, weights: &WeightStore, outputs: &WeightStore) -> Option<Option<String>> {
    let stored = |id: ValueId| -> Option<Tensor> {
        let (value, ty) = (program.value(id), program.tensor_type(id)?);
        let tensor = outputs.get(&value.name)?;
        let quantized = |scale: f64| floats(tensor).iter().map(move |v| (f64::from(*v) / scale).round() + ty.elem.zero_point() as f64);
        match (ty.elem.storage(), ty.elem.scale()) {
            (DType::I8, Some(scale)) => Tensor::i8(&ty.dims(), quantized(scale).map(|v| v as i8).collect()).ok(),
            (DType::U8, Some(scale)) => Tensor::u8(&ty.dims(), quantized(scale).map(|v| v as u8).collect()).ok(),
            (DType::F32 | DType::BF16 | DType::F16, _) => Tensor::f32(&ty.dims(), floats(tensor).to_vec()).ok(),
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
    let plan = match Plan::new(program.clone(), weights, Options::default()) {
        Ok(plan) => plan,
        Err(InterpError::Unsupported { .. }) => return None,
        Err(error) => return Some(Some(error.to_string())),
    };
    let mut results = Vec::new();
    let references: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
    if let Err(error) = plan.prepare_node(0).unwrap().run(&references, &mut results) {
        return Some(Some(format!("{}: {error}", program.node_name(0))));
    }
    let (found, wanted) = (results[0].to_f32(), expected.to_f32());
    let largest = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
    let storage = program.tensor_type(node.results[0]).unwrap().elem.storage();
    let most = match storage {
        DType::F32 => 1e-5 * largest,
        _ => 0.0,
    };
    let off: Vec<usize> = (0..wanted.len()).filter(|&i| (found[i] - wanted[i]).abs() > most || found[i].is_nan()).collect();
    // Sums in another order fall on the other side of a rounding of bf16 here and there.
    if off.len() <= if storage == DType::BF16 { wanted.len() / 500 } else { 0 } {
        return Some(None);
    }
    let first: Vec<_> = off.iter().take(4).map(|&i| (found[i], wanted[i])).collect();
    Some(Some(format!("{} {}: {} of {} differ: {first:?}", program.node_name(0), node.op.name(), off.len(), wanted.len())))
}

/// Networks whose every op is here, from the input to the end.
#[test]
fn integer_tensors_of_other_chips_are_exact() {
    for (case, chip) in [("cnn_res", "bm1684"), ("mbv2_tiny", "bm1684"), ("mbv2_tiny", "cv183x")] {
        let Some(folder) = kit(case) else { return };
        let stem = format!("{case}_{chip}_int8_sym_tpu");
        let (expected, weights, inputs) = (load(&folder, &format!("{stem}_outputs.npz")), load(&folder, &format!("{stem}_weights.npz")), load(&folder, &format!("{case}_in_f32.npz")));
        let found = all_tensors(program(&folder, &format!("{stem}.mlir")), &weights, &inputs, Options::default());
        for (name, wanted) in expected.iter() {
            let different = floats(&found[name]).iter().zip(floats(wanted)).filter(|(a, b)| a != b).count();
            // The float end of a network has no order of sums that is given.
            let float = name.ends_with("Softmax");
            assert!(if float { different <= wanted.len() } else { different == 0 }, "{case} {chip} {name}: {different} of {}", wanted.len());
        }
        println!("{case} {chip}: {} tensors exact", expected.len());
    }
}
