//! The reference's networks lowered by us in four modes: which become bmodels, and what the others lack.

#[path = "../../../lowering/tests/kit/reader.rs"]
#[allow(dead_code)]
mod reader;

use crate::network::Network;
use std::path::{Path, PathBuf};
use tpuc_lowering::{CalibrationTable, Chip, Mode, Ranges, lower_program, top_optimize};
use tpuc_ops::Attr;
use tpuc_tensor::WeightStore;

const NETS: [&str; 12] = ["acts", "acts_more", "cnn_res", "consts", "maxmin", "mbv2_tiny", "mlp_mm", "pools", "shape_lite", "shape_mix", "transformer", "yolo_head"];
const MODES: [Mode; 4] = [Mode::Int8, Mode::F16, Mode::BF16, Mode::F32];

fn kit(net: &str) -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")).join(net);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the reference's networks are not here ({net})");
    None
}

/// A network of the kit lowered for BM1684X, with its stored input.
fn lowered(folder: &Path, net: &str, mode: Mode, asymmetric: bool) -> Network {
    let text = std::fs::read_to_string(folder.join(format!("{net}.mlir"))).unwrap();
    let mut top = reader::Module::read(&text).program();
    let weights = WeightStore::load(&folder.join(format!("{net}_top_f32_all_weight.npz"))).unwrap();
    top.attrs.insert("module.asymmetric".into(), Attr::Bool(asymmetric));
    if mode == Mode::Int8 {
        let table = CalibrationTable::read(&folder.join(format!("{net}_cali_kl"))).unwrap();
        let mut ranges = Ranges::from_table(&top, &table, &Chip::BM1684X).unwrap();
        ranges.propagate(&top, &Chip::BM1684X);
        top = ranges.annotate(&top);
    }
    let (top, weights) = top_optimize(&top, &weights, &Chip::BM1684X).unwrap();
    let (program, weights) = lower_program(&top, &weights, &Chip::BM1684X, mode).unwrap();
    let stored = WeightStore::load(&folder.join(format!("{net}_in_f32.npz"))).unwrap();
    let names: Vec<String> = program.nodes.iter().filter(|n| matches!(n.op, tpuc_ops::Op::TopInput(_))).map(|n| program.value(n.results[0]).name.clone()).collect();
    let arguments: Vec<String> = program.inputs.iter().map(|&v| program.value(v).name.clone()).collect();
    let inputs = arguments.into_iter().zip(&names).map(|(argument, name)| (argument, (**stored.get(name).unwrap()).clone())).collect();
    Network { program, weights, inputs }
}

/// Networks and modes without a bmodel, and the op that has no kernel.
const LACKING: &[(&str, &str, &str)] = &[];

/// The part of the largest magnitude that results may be off the interpreter's (docs/numerics.md). Of INT8 a probability or a
/// result of an op in floats may be a step away, and layers behind it (the transformer) some steps.
fn tolerance(net: &str, mode: Mode) -> f32 {
    match mode {
        // Attentions have no form in f32.
        Mode::F32 if net == "transformer" => 4e-3,
        Mode::F32 => 5e-5,
        Mode::F16 => 4e-3,
        Mode::BF16 => 3e-2,
        Mode::Int8 if net == "transformer" => 8.0 / 127.0,
        _ => 4.0 / 127.0,
    }
}

/// The vendor's simulator runs INT8, and every mode where TPUC_KIT_VENDOR is set.
#[test]
fn kit_networks_become_bmodels() {
    let every_mode = std::env::var_os("TPUC_KIT_VENDOR").is_some();
    for net in NETS {
        let Some(folder) = kit(net) else { return };
        for (mode, asymmetric) in MODES.map(|m| (m, false)).into_iter().chain([(Mode::Int8, true)]) {
            let network = lowered(&folder, net, mode, asymmetric);
            let lacking = LACKING.iter().find(|(n, m, _)| *n == net && *m == mode.to_string());
            match (tpuc_codegen::compile(&network.program, &network.weights), lacking) {
                (Err(error), Some((_, _, op))) => assert!(error.to_string().contains(op), "{net} {mode}: {error}"),
                (Err(error), None) => panic!("{net} {mode}: {error}"),
                (Ok(_), Some((_, _, op))) => panic!("{net} {mode} is said to lack {op}"),
                (Ok(_), None) => {
                    let (found, wanted) = (network.simulated(every_mode || mode == Mode::Int8), network.interpreted());
                    let off = found.iter().zip(&wanted).fold(0f32, |m, (f, w)| m.max(distance(&f.to_f32(), &w.to_f32())));
                    println!("{net} {}: at most {off} of the peak", mode.file_suffix(asymmetric));
                    assert!(off <= tolerance(net, mode), "{net} {mode}: off by {off} of the peak");
                }
            }
        }
    }
}

/// The largest difference, as a part of the largest magnitude.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}
