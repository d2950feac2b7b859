//! The vendor's own bmodels of the kit, against the outputs that the vendor's tools stored.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tpuc_runtime::{Bmrt, BmrtOptions, NamedTensor, Runner, Simulator, SimulatorOptions, dequantize_all};
use tpuc_tensor::npz;

/// Where a [`Bmrt`] of these tests re-enters this executable.
#[test]
fn child_entry() {
    tpuc_runtime::child_main_if_requested();
}

fn kit(case: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")).join(case)
}

struct Case {
    bmodel: PathBuf,
    inputs: Vec<NamedTensor>,
    expected: Vec<NamedTensor>,
}

/// A case of the kit; `None`, with a message, where the kit is absent.
fn case(folder: &str, name: &str) -> Option<Case> {
    let file = |suffix: &str| kit(folder).join(format!("{name}{suffix}"));
    let bmodel = file("_bm1684x_int8.bmodel");
    if !bmodel.exists() {
        println!("skipped: no kit beside the checkout");
        return None;
    }
    let inputs = npz::read_npz(&file("_in_f32.npz")).unwrap();
    let expected = npz::read_npz(&file("_bm1684x_int8_sym_model_outputs.npz")).unwrap();
    Some(Case { bmodel, inputs, expected })
}

/// Runs the case twice (the second run must not see the first) and compares bit by bit.
fn check(runner: &mut dyn Runner, case: &Case) {
    for round in 0..2 {
        let start = Instant::now();
        let outputs = runner.run(&case.inputs).unwrap();
        println!("{}: run {round} in {:.3} s", case.bmodel.display(), start.elapsed().as_secs_f64());
        let outputs = dequantize_all(runner.outputs(), outputs);
        assert_eq!(outputs.len(), case.expected.len());
        for (name, expected) in &case.expected {
            let (_, found) = outputs.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no output '{name}'"));
            assert_eq!(found.shape(), expected.shape(), "{name}");
            let bits = |t: &tpuc_tensor::Tensor| t.to_f32().into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let different = bits(found).iter().zip(bits(expected)).filter(|(a, b)| **a != *b).count();
            assert_eq!(different, 0, "{name}: {different} of {} elements differ", expected.len());
        }
    }
}

fn options() -> Option<BmrtOptions> {
    if std::env::var_os(tpuc_runtime::LIBRARY_DIR_VARIABLE).is_none() {
        println!("skipped: {} is not set", tpuc_runtime::LIBRARY_DIR_VARIABLE);
        return None;
    }
    let child = (std::env::current_exe().unwrap(), ["--exact", "child_entry", "--nocapture"].map(String::from).to_vec());
    Some(BmrtOptions { child: Some(child), ..BmrtOptions::default() })
}

#[test]
fn bmrt_runs_the_kit() {
    let Some(options) = options() else { return };
    for (folder, name) in [("cnn_res", "cnn_res"), ("mbv2_tiny", "mbv2_tiny"), ("efficientnet_lite0", "efflite0")] {
        let Some(case) = case(folder, name) else { return };
        check(&mut Bmrt::open(&case.bmodel, &options).unwrap(), &case);
    }
}

#[test]
fn bmrt_errors_are_values() {
    let missing = BmrtOptions { library_dir: Some("/nonexistent".into()), ..BmrtOptions::default() };
    let Some(case) = case("cnn_res", "cnn_res") else { return };
    let error = Bmrt::open(&case.bmodel, &missing).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "vendor runtime in '/nonexistent': libbmrt.so is not there");
    let Some(options) = options() else { return };
    let wrong_net = BmrtOptions { net: Some("nothing".into()), ..options.clone() };
    let error = Bmrt::open(&case.bmodel, &wrong_net).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "cannot run the model: the file has no net 'nothing'; it has: cnn_res");
    // A child that dies is an error with its last words.
    let dying = BmrtOptions { child: Some(("/bin/sh".into(), ["-c", "echo assertion failed; kill -ABRT $$"].map(String::from).to_vec())), ..options.clone() };
    let error = Bmrt::open(&case.bmodel, &dying).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("SIGABRT") && error.ends_with("it said last: assertion failed"), "{error}");
    let silent = BmrtOptions { child: Some(("/bin/sleep".into(), vec!["60".into()])), timeout: Some(Duration::from_millis(200)), ..options.clone() };
    let error = Bmrt::open(&case.bmodel, &silent).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "vendor runtime: no answer in time");
    // A model that the vendor's code cannot digest.
    let mut model = tpuc_bmodel::read_owned(std::fs::read(&case.bmodel).unwrap()).unwrap();
    model.nets[0].stages[0].subnets.clear();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.bmodel");
    std::fs::write(&path, tpuc_bmodel::write(&model).unwrap()).unwrap();
    let error = Bmrt::open(&path, &options).and_then(|mut r| r.run(&case.inputs)).unwrap_err().to_string();
    println!("{error}");
    assert!(error.starts_with("vendor runtime: "), "{error}");
}

/// The runtime takes a file of ours in the place of the vendor's: same content, our bytes.
#[test]
fn bmrt_runs_rewritten_files() {
    let (Some(options), Some(case)) = (options(), case("cnn_res", "cnn_res")) else { return };
    let model = tpuc_bmodel::read_owned(std::fs::read(&case.bmodel).unwrap()).unwrap();
    let stage = &model.nets[0].stages[0];
    // Only what the writer of a compiler gives: no profile, no statistics, no marks.
    let plain = |tensors: &[tpuc_bmodel::Tensor]| tensors.iter().map(|t| tpuc_bmodel::Tensor { hidden: 0, index: 0, size: 0, ..t.clone() }).collect::<Vec<_>>();
    let coeff = stage.coeff.as_ref().map(|c| tpuc_bmodel::Coeff::new(c.address, c.data.clone()));
    let ours = tpuc_bmodel::Stage::single_subnet(plain(&stage.inputs), plain(&stage.outputs), stage.ctx_addr, stage.ctx_size, coeff, stage.groups.clone());
    let net = tpuc_bmodel::Net { name: "ours".into(), stages: vec![ours], addr_mode: 0, cascade: None };
    let ours = tpuc_bmodel::Model { nets: vec![net], ..tpuc_bmodel::Model::new("BM1684X", "now") };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.bmodel");
    std::fs::write(&path, tpuc_bmodel::write(&ours).unwrap()).unwrap();
    check(&mut Bmrt::open(&path, &options).unwrap(), &case);
}

/// The vendor's compiled networks run in our simulator bit for bit.
#[test]
fn the_simulator_runs_the_kit() {
    for (folder, name) in [("cnn_res", "cnn_res"), ("mbv2_tiny", "mbv2_tiny"), ("efficientnet_lite0", "efflite0")] {
        let Some(case) = case(folder, name) else { return };
        let model = tpuc_bmodel::read_owned(std::fs::read(&case.bmodel).unwrap()).unwrap();
        check(&mut Simulator::new(&model, &SimulatorOptions::default()).unwrap(), &case);
    }
}
