//! Smooth quantization and softmax correction of the kit's transformer against the networks that the reference (1.30.2) wrote.

use super::{compare_tables_but, shared};
use std::collections::HashMap;
use std::path::Path;
use tpuc_dialects::pass::{quote, run_pipeline};
use tpuc_dialects::{Module, context};
use tpuc_tensor::WeightStore;

/// Weights of a golden file, a line each.
fn golden(text: &'static str) -> HashMap<&'static str, Vec<f32>> {
    let line = |line: &'static str| {
        let mut words = line.split(' ');
        (words.next().unwrap(), words.map(|w| w.parse().unwrap()).collect())
    };
    text.lines().map(line).collect()
}

/// Ours over the reference's, element by element.
fn ratios(weights: &WeightStore, name: &str, theirs: &[f32]) -> Vec<f64> {
    let ours = weights.get(name).unwrap_or_else(|| panic!("no weight {name}")).to_f32();
    assert_eq!(ours.len(), theirs.len(), "{name}");
    ours.iter().zip(theirs).filter(|(_, b)| **b != 0.0).map(|(a, b)| f64::from(*a) / f64::from(*b)).collect()
}

/// Runs a pass over the transformer with its twelve samples; the module, what calibration then finds, and where the table of the
/// reference is.
fn adjusted(pass: &str, table: &str, softmax_corrected: bool, check: impl Fn(&WeightStore)) {
    tpuc_passes::register_all();
    let (Some(mlir), Some(dataset)) = (shared("kit/transformer/transformer.mlir"), shared("kit/transformer/ds")) else { return };
    let run = |threads: usize| {
        let context = context();
        let mut module = Module::read(&context, &mlir).unwrap();
        run_pipeline(&mut module, &format!("builtin.module({pass}{{dataset={} input-num=12 threads={threads}}})", quote(&dataset.display().to_string()))).unwrap();
        module.verify().unwrap();
        (module.program().unwrap(), module.weights().unwrap())
    };
    let (program, weights) = run(2);
    check(&weights);
    let (_, again) = run(1);
    assert!(weights.iter().all(|(name, tensor)| again.get(name) == Some(tensor)), "{pass}: threads change weights");
    let request = tpuc_quant::Request { dataset, input_num: 12, threads: 2, softmax_corrected, ..Default::default() };
    let session = tpuc_passes::calibrate::open(&program, &weights, request).unwrap();
    let ours = tpuc_passes::calibrate::calibrate(&session, pass).unwrap().table;
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(table);
    compare_tables_but(&["b0_ln2_LayerNormalization"], pass, &ours, &golden);
}

/// Candidates that differ by a common factor have losses that differ by rounding alone: such a factor is free, and no other.
#[test]
fn smoothed_weights_equal_the_references() {
    let theirs = golden(include_str!("../golden/smoothed.txt"));
    adjusted("top-smooth-quant", "transformer_cali_sq", false, |weights| {
        for (name, theirs) in &theirs {
            let ratios = ratios(weights, name, theirs);
            let (least, most) = ratios.iter().fold((f64::MAX, f64::MIN), |(a, b), &r| (a.min(r), b.max(r)));
            let free = ["b0_ln2_g", "b0_ln2_bt"].contains(name);
            assert!(most / least - 1.0 < 1e-6 && (free || (most - 1.0).abs() < 1e-6), "{name}: {least} to {most} times the reference's");
        }
    });
}

#[test]
fn corrected_softmaxes_equal_the_references() {
    let theirs = golden(include_str!("../golden/softmax_scales.txt"));
    adjusted("top-correct-softmax", "transformer_cali_smc", true, |weights| {
        for (name, theirs) in &theirs {
            assert!(ratios(weights, name, theirs).iter().all(|r| (r - 1.0).abs() < 1e-6), "{name}");
        }
    });
}
