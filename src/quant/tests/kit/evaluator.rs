//! The evaluator against whole networks, lowered and run from scratch.

use crate::{Case, SAMPLES};
use tpuc_interp::{FloatOrder, Options, Plan};
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_lowering::{Chip, Mode};
use tpuc_ops::{Program, TensorType, ValueId, top};
use tpuc_quant::PlanNetwork;
use tpuc_quant::evaluator::{Evaluator, EvaluatorOptions, Setting};
use tpuc_quant::model::Target;
use tpuc_quant::similarity::Similarity;
use tpuc_quant::source::SampleSource;
use tpuc_tensor::{Tensor, WeightStore};

/// A small generator: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

fn rows(case: &Case) -> Vec<Row> {
    CalibrationTable::read(&case.folder.join(format!("{}_cali_kl", case.name))).unwrap().rows().to_vec()
}

/// The score without the evaluator.
fn from_scratch(target: Target, samples: &[Vec<Tensor>], float: &[Vec<Vec<f32>>], setting: &Setting, options: Options) -> f64 {
    let network = target.mixed_program(&setting.rows, |node| setting.modes[node]).unwrap();
    let own = outputs(network, samples, options);
    let score = |(float, own): (&Vec<Vec<f32>>, &Vec<Vec<f32>>)| float.iter().zip(own).map(|(a, b)| Similarity::Cosine.of(a, b)).sum::<f64>() / float.len() as f64;
    float.iter().zip(&own).map(score).fold(0.0, |sum, s| sum + s) / samples.len() as f64
}

/// What a network gives for every sample.
fn outputs((program, weights): (Program, WeightStore), samples: &[Vec<Tensor>], options: Options) -> Vec<Vec<Vec<f32>>> {
    let outputs: Vec<ValueId> = program.outputs.clone();
    let network = PlanNetwork::new(Plan::new(program, &weights, options).unwrap());
    samples.iter().map(|inputs| network.tensors(inputs, &outputs).unwrap()).collect()
}

/// What trials are made of.
struct Trials<'a> {
    name: &'a str,
    target: Target<'a>,
    samples: Vec<Vec<Tensor>>,
    rows: Vec<Row>,
    modes: &'a [Mode],
    /// How the networks run that are not the evaluator's.
    options: Options,
}

impl Trials<'_> {
    /// Single layers, many layers, thresholds; kept tensors at random places, with more memory than is needed, hardly any and none.
    fn run(&self, count: usize) {
        let Trials { name, target, samples, rows, modes, options } = self;
        let float = outputs(target.float_program().unwrap(), samples, *options);
        let source = &samples[..];
        let mut random = Random(name.len() as u64);
        let mut evaluators: Vec<Evaluator> = [(1, 1 << 40), (3, tpuc_quant::memory::resident() + (4 << 20)), (5, 0)]
            .into_iter()
            .map(|(threads, memory)| Evaluator::new(*target, &source, EvaluatorOptions { samples: 3, memory, threads, ..EvaluatorOptions::default() }).unwrap())
            .collect();
        let nodes = target.program.nodes.len();
        let mut setting = Setting::all(target.program, rows.clone(), Mode::Int8);
        for trial in 0..count {
            match random.below(4) {
                0 => setting = Setting::all(target.program, rows.clone(), if random.below(2) == 0 { Mode::Int8 } else { modes[0] }),
                1 => {
                    let row = random.below(setting.rows.len());
                    setting.rows[row].threshold *= 0.5 + random.below(100) as f64 / 100.0;
                }
                _ => {}
            }
            let before = setting.clone();
            for _ in 0..1 + random.below(3) {
                setting.modes[random.below(nodes)] = if random.below(2) == 0 { Mode::Int8 } else { modes[random.below(modes.len())] };
            }
            let expected = from_scratch(*target, samples, &float, &setting, *options);
            let layer = random.below(nodes);
            for evaluator in &mut evaluators {
                if trial % 3 == 0 {
                    let base = evaluator.network(&before).unwrap();
                    let live = evaluator.live_before(&base, layer);
                    evaluator.keep(&live).unwrap();
                }
                let (own, base) = (evaluator.network(&setting).unwrap(), evaluator.network(&before).unwrap());
                let scores = evaluator.scores(&[&base, &own]).unwrap();
                assert_eq!(scores[1].to_bits(), expected.to_bits(), "{name}, trial {trial}: {scores:?} instead of {expected}");
            }
        }
    }
}

/// 100 random trials of a network of the kit.
fn random_trials(name: &str, modes: &[Mode]) {
    let Some(case) = Case::open(name) else { return };
    let target = Target { program: &case.network.program, weights: &case.network.weights, chip: Chip::find("bm1684x").unwrap() };
    let samples = (0..3.min(SAMPLES)).map(|s| SampleSource::load(&case.loader, s).unwrap()).collect();
    Trials { name, target, samples, rows: rows(&case), modes, options: Options::default() }.run(100);
}

/// Two convolutions that are large enough to run in whatever order is fastest, with a small one before and what a search exchanges around
/// them.
fn large_convolutions() -> (Program, WeightStore) {
    let (mut program, mut weights) = (Program::new("large"), WeightStore::new());
    let mut random = Random(5);
    let ty = |c: i64| TensorType::f32(&[1, c, 48, 48]);
    let argument = program.add_input("x", ty(3));
    let mut value = program.push(top::Input::default(), &[argument], "x", ty(3));
    let mut channels = 3;
    for (name, output) in [("small", 64), ("first", 64), ("second", 64)] {
        let count = (output * channels * 9) as usize;
        let data = (0..count).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * (3.0 / (channels * 9) as f32).sqrt()).collect();
        let filter = program.add_weight(format!("{name}_w"), TensorType::f32(&[output, channels, 3, 3]));
        weights.insert(format!("{name}_w"), Tensor::f32(&[output as usize, channels as usize, 3, 3], data).unwrap());
        let conv = top::Conv { kernel_shape: vec![3, 3], strides: vec![1, 1], pads: vec![1; 4], group: 1, ..Default::default() };
        let none = program.none();
        let before = value;
        value = program.push(conv, &[value, filter, none], name, ty(output));
        value = program.push(top::LeakyRelu { alpha: 0.1, ..Default::default() }, &[value], format!("{name}_leaky"), ty(output));
        if channels == output {
            value = program.push(top::Add::default(), &[before, value], format!("{name}_add"), ty(output));
        }
        channels = output;
    }
    program.outputs = vec![value];
    (program, weights)
}

#[test]
fn large_convolutions_are_exact_too() {
    let (program, weights) = large_convolutions();
    let target = Target { program: &program, weights: &weights, chip: Chip::find("bm1684x").unwrap() };
    let mut random = Random(9);
    let sample = |_| vec![Tensor::f32(&[1, 3, 48, 48], (0..3 * 48 * 48).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()).unwrap()];
    let samples: Vec<Vec<Tensor>> = (0..3).map(sample).collect();
    let row = |node: usize| {
        let threshold = if node == 0 { 1.0 } else { 4.0 };
        Row { name: program.node_name(node).to_owned(), threshold, min: -threshold, max: threshold }
    };
    let rows = (0..program.nodes.len()).map(row).collect();
    let options = Options { order: FloatOrder::FastWhereLarge, ..Options::default() };
    Trials { name: "large", target, samples, rows, modes: &[Mode::F16, Mode::F32, Mode::BF16], options }.run(40);
}

/// Scores and similarities of layers found in one run, in several, and without the evaluator.
#[test]
fn one_run_finds_scores_and_layers() {
    let Some(case) = Case::open("mbv2_tiny") else { return };
    let target = Target { program: &case.network.program, weights: &case.network.weights, chip: Chip::find("bm1684x").unwrap() };
    let samples: Vec<Vec<Tensor>> = (0..3.min(SAMPLES)).map(|s| SampleSource::load(&case.loader, s).unwrap()).collect();
    let source = &samples[..];
    let layers: Vec<usize> = (0..target.program.nodes.len()).collect();
    let setting = Setting::all(target.program, rows(&case), Mode::Int8).with([9, 10], Mode::F16);

    let float = target.float().unwrap();
    let (program, weights) = target.mixed_program(&setting.rows, |node| setting.modes[node]).unwrap();
    let own = PlanNetwork::new(Plan::new(program, &weights, Options::default()).unwrap());
    let from_scratch = |layer: usize| {
        let name = target.program.node_name(layer);
        let of = |network: &dyn tpuc_quant::Network| network.program().names().get(name).copied();
        let (a, b) = (of(&float)?, of(&own)?);
        let similarity = |inputs: &Vec<Tensor>| Similarity::Cosine.of(&float.tensors(inputs, &[a]).unwrap()[0], &own.tensors(inputs, &[b]).unwrap()[0]);
        Some(samples.iter().map(similarity).sum::<f64>() / samples.len() as f64)
    };
    let mut expected: Option<(f64, Vec<Option<f64>>)> = None;
    for (threads, memory) in [(1, 1 << 40), (2, tpuc_quant::memory::resident() + (4 << 20)), (5, 0)] {
        let options = || EvaluatorOptions { samples: 3, memory, threads, ..EvaluatorOptions::default() };
        let mut evaluator = Evaluator::new(target, &source, options()).unwrap();
        let network = evaluator.network(&setting).unwrap();
        let (score, similarities) = evaluator.score_and_layers(&network, &layers).unwrap();
        let mut other = Evaluator::new(target, &source, options()).unwrap();
        let network = other.network(&setting).unwrap();
        assert_eq!(other.scores(&[&network]).unwrap(), [score]);
        for &layer in &layers {
            let mut live = other.live_before(&network, layer);
            live.extend(other.live_before(other.float(), layer));
            other.keep(&live).unwrap();
            assert_eq!(other.layer_similarities(&network, &[layer]).unwrap(), [similarities[layer]], "layer {layer} alone");
        }
        match &expected {
            Some(expected) => assert_eq!(*expected, (score, similarities)),
            None => {
                for (layer, similarity) in similarities.iter().enumerate() {
                    let scratch = from_scratch(layer);
                    assert_eq!(similarity.is_some(), scratch.is_some(), "layer {layer}");
                    // The order of the elements is another, and with it the last bits of the sums.
                    assert!((similarity.unwrap_or(0.0) - scratch.unwrap_or(0.0)).abs() < 1e-12, "layer {layer}: {similarity:?} instead of {scratch:?}");
                }
                assert!(similarities.iter().flatten().any(|&s| s < 0.9999));
                expected = Some((score, similarities));
            }
        }
    }
}

#[test]
fn two_hundred_random_trials_are_exact() {
    random_trials("cnn_res", &[Mode::F16, Mode::F32, Mode::BF16]);
    random_trials("mbv2_tiny", &[Mode::F16, Mode::F32]);
}
