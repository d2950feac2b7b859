//! Calibration tables of the reference's own networks, row by row, from the same pictures.
//!
//! The networks, tables and pictures are in a folder beside the workspace; without it these tests say so and pass.

mod evaluator;
mod executor;
mod reader;
mod searches;

use executor::PlainNetwork;
use std::path::{Path, PathBuf};
use tpuc_imageio::{Loader, NetInput, PixelFormat, Preprocess, Samples};
use tpuc_lowering::Chip;
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_ops::Op;
use tpuc_quant::model::Target;
use tpuc_quant::search_threshold::{SearchOptions, search};
use tpuc_quant::similarity::Similarity;
use tpuc_quant::{CalibrationOptions, Method, Request, Session, Statistics, TuneOptions, gather, no_progress, tune};
use tpuc_tensor::WeightStore;

const SAMPLES: usize = 12;

fn case_folder(case: &str) -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")).join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the reference's networks are not here ({case})");
    None
}

struct Case {
    folder: PathBuf,
    name: String,
    network: PlainNetwork,
    inputs: Vec<NetInput>,
    loader: Loader,
}

impl Case {
    fn open(name: &str) -> Option<Case> {
        let folder = case_folder(name)?;
        let program = reader::read(&std::fs::read_to_string(folder.join(format!("{name}.mlir"))).unwrap());
        let weights = WeightStore::load(&folder.join(format!("{name}_top_f32_all_weight.npz"))).unwrap();
        let samples = Samples::from_dataset(&folder.join("ds"), SAMPLES).unwrap();
        let input = &program.nodes[0];
        let Op::TopInput(attributes) = &input.op else { panic!("the first op is the input") };
        let shape = program.tensor_type(input.results[0]).unwrap().dims();
        let resize = attributes.resize_dims.as_ref().unwrap();
        let single = |list: &Option<Vec<f64>>| list.as_ref().unwrap().iter().map(|&v| v as f32).collect();
        let mut preprocess = Preprocess::new([shape[2], shape[3]]);
        preprocess.resize_dims = [resize[0] as usize, resize[1] as usize];
        (preprocess.mean, preprocess.scale) = (single(&attributes.mean), single(&attributes.scale));
        preprocess.pixel_format = PixelFormat::Rgb;
        preprocess.keep_aspect_ratio = attributes.keep_aspect_ratio == Some(true);
        preprocess.pad_value = u8::try_from(attributes.pad_value.unwrap_or(0)).unwrap();
        let inputs = vec![NetInput { name: program.node_name(0).into(), shape, preprocess: Some(preprocess) }];
        let loader = Loader::new(samples, inputs.clone()).unwrap();
        Some(Case { folder, name: name.into(), network: PlainNetwork { program, weights }, inputs, loader })
    }

    fn gather(&self, threads: usize) -> Statistics {
        let options = CalibrationOptions { methods: Method::ALL.into_iter().collect(), input_num: SAMPLES, threads, ..CalibrationOptions::default() };
        gather(&self.network, &self.loader, &options, &no_progress).unwrap()
    }

    fn tuned(&self, statistics: &Statistics, threads: usize) -> Vec<Row> {
        let mut thresholds = statistics.thresholds(Method::Kl).unwrap();
        let options = TuneOptions { threads, ..TuneOptions::default() };
        tune(&self.network, &self.loader, &statistics.absmax(), &mut thresholds, &options, &no_progress).unwrap();
        thresholds
    }

    /// Compares with a table of the reference; returns how many rows are equal in every digit and panics if one is not
    /// within a relative 1e-5.
    fn compare(&self, rows: &[Row], table: &str) -> usize {
        let reference = CalibrationTable::read(&self.folder.join(format!("{}_cali_{table}", self.name))).unwrap();
        let names = |rows: &[Row]| rows.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(rows), names(reference.rows()));
        let mut equal = 0;
        for (ours, theirs) in rows.iter().zip(reference.rows()) {
            // A zero's sign depends on how the network was run.
            let columns = |row: &Row| [row.threshold, row.min, row.max].map(|v| v + 0.0);
            let written = |row: &Row| columns(row).map(|v| format!("{v:.7}"));
            if written(ours) == written(theirs) {
                equal += 1;
                continue;
            }
            let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-5 * b.abs().max(1e-2);
            let all_near = columns(ours).into_iter().zip(columns(theirs)).all(near);
            assert!(all_near, "{} {table}: {ours:?}, reference {theirs:?}", self.name);
        }
        println!("{} {table}: {equal} of {} rows equal in all digits", self.name, rows.len());
        equal
    }
}

fn reference_tables(name: &str) {
    let Some(case) = Case::open(name) else { return };
    let statistics = case.gather(2);
    case.compare(&statistics.thresholds(Method::Kl).unwrap(), "kl_notune");
    for method in [Method::Max, Method::Mse, Method::Percentile9999] {
        case.compare(&statistics.thresholds(method).unwrap(), method.name());
    }
    case.compare(&case.tuned(&statistics, 2), "kl");
}

#[test]
fn residual_network() {
    reference_tables("cnn_res");
}

#[test]
fn small_mobilenet() {
    reference_tables("mbv2_tiny");
}

/// Version 1.15's search over the same pictures: its scores, and the winner.
#[test]
fn search_for_the_best_method() {
    let Some(case) = Case::open("cnn_res") else { return };
    let (program, weights) = (&case.network.program, &case.network.weights);
    let request = Request { dataset: case.folder.join("ds"), input_num: SAMPLES, threads: 2, ..Request::default() };
    let session = Session::open(program, weights, case.inputs.clone(), request).unwrap();
    let chip = Chip::find("bm1684x").unwrap();
    let expected = [
        (Similarity::Cosine, 12, [0.9995873299794501, 0.9993393656677632, 0.9992841085249142, 0.9988912768340148]),
        (Similarity::Snr, 5, [0.9983144238809545, 0.9974967662287256, 0.9961683470350952, 0.9924385096097205]),
    ];
    for (similarity, inference_num, scores) in expected {
        let options = SearchOptions { similarity, inference_num, ..SearchOptions::default() };
        let found = search(&session, Target { program, weights, chip }, &options, &no_progress).unwrap();
        assert_eq!((found.best, found.compared), (0, inference_num));
        for (competitor, score) in found.competitors.iter().zip(scores) {
            assert!((competitor.score - score).abs() < 1e-7, "{} {similarity}: {} instead of {score}", competitor.name, competitor.score);
        }
    }
    let unknown = SearchOptions { layers: "pw3_Cnov".parse().unwrap(), inference_num: 1, ..SearchOptions::default() };
    let error = search(&session, Target { program, weights, chip }, &unknown, &no_progress).unwrap_err();
    assert_eq!(error.to_string(), "layer 'pw3_Cnov' is not in the network; the nearest is 'pw3_Conv'");
}

/// Bits of a table.
fn bits(rows: &[Row]) -> Vec<(String, [u64; 3])> {
    rows.iter().map(|r| (r.name.clone(), [r.threshold, r.min, r.max].map(f64::to_bits))).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    let Some(case) = Case::open("cnn_res") else { return };
    let (one, three) = (case.gather(1), case.gather(3));
    for method in Method::ALL {
        assert_eq!(bits(&one.thresholds(method).unwrap()), bits(&three.thresholds(method).unwrap()));
    }
    assert_eq!(bits(&case.tuned(&one, 1)), bits(&case.tuned(&three, 3)));
}
