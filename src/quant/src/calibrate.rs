//! The statistics pass: every sample runs through the float network once, for all methods.
//!
//! Samples run on several threads; the statistics are the same bits for any number of threads ([`crate::collector`]).
//! Memory holds one sample's live activations a thread, and a histogram a tensor.

use crate::collector::{Collector, Halt};
use crate::error::QuantError;
use crate::measure::Wanted;
use crate::method::{Method, Methods};
use crate::network::{ElementOrder, Network};
use crate::places::{calibrated_values, places};
use crate::source::{Progress, SampleSource};
use crate::statistics::{Gathering, Statistics, TensorStatistics};
use crate::torch::ObserverType;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::PoisonError;
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::{DType, Tensor};

#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationOptions {
    /// The methods that thresholds will be asked for.
    pub methods: Methods,
    /// Thresholds of 4 bits as well.
    pub int4: bool,
    /// The kurtosis of every tensor as well.
    pub kurtosis: bool,
    /// What [`Method::TorchObserver`] stands for.
    pub observer: ObserverType,
    /// Bins that histograms start with.
    pub histogram_bins: usize,
    /// How many samples, from the first; 0 or too many: all.
    pub input_num: usize,
    /// Worker threads; the result does not depend on it.
    pub threads: usize,
}

impl Default for CalibrationOptions {
    fn default() -> CalibrationOptions {
        CalibrationOptions { methods: Method::Kl.into(), int4: false, kurtosis: false, observer: ObserverType::default(), histogram_bins: 2048, input_num: 0, threads: crate::default_threads() }
    }
}

/// Histograms of fewer bins tell nothing about 128 magnitudes, of more are slower than they are worth.
const HISTOGRAM_BINS: std::ops::RangeInclusive<usize> = 2..=crate::histogram::MAX_BINS;

/// Runs the samples and gathers the statistics of every tensor.
///
/// Errors name the sample and the tensor. Where several samples are wrong, the first one is reported.
pub fn gather(network: &impl Network, source: &(impl SampleSource + ?Sized), options: &CalibrationOptions, progress: Progress) -> Result<Statistics, QuantError> {
    if !HISTOGRAM_BINS.contains(&options.histogram_bins) {
        return Err(QuantError::Option { option: "histogram_bin_num", found: options.histogram_bins.to_string(), expected: "2 to 8000000" });
    }
    let samples = match options.input_num {
        0 => source.count(),
        n => n.min(source.count()),
    };
    if samples == 0 {
        return Err(QuantError::NoSamples);
    }
    let program = network.program();
    let values = calibrated_values(program);
    let mut index_of = vec![None; program.values.len()];
    values.iter().enumerate().for_each(|(index, id)| index_of[id.index()] = Some(index));
    let wanted = Wanted { methods: options.methods, int4: options.int4, kurtosis: options.kurtosis };
    let gathering = Gathering { wanted, histogram_bins: options.histogram_bins, observer: options.observer, samples, ops: program.nodes.len() };
    let places = places(program, &values);
    let tensors = values.iter().zip(&places).map(|(&id, &place)| TensorStatistics::new(&program.value(id).name, place, &gathering)).collect();
    let order = if options.kurtosis || options.methods.iter().any(Method::needs_row_major) { ElementOrder::RowMajor } else { ElementOrder::Any };
    let pass = Pass { network, source, collector: Collector::new(tensors, wanted), values: &values, index_of, order };

    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let first_error = Mutex::new(None::<(usize, QuantError)>);
    let work = || {
        loop {
            let sample = next.fetch_add(1, Ordering::SeqCst);
            if sample >= samples || pass.collector.stopped(sample) {
                return;
            }
            match pass.run(sample) {
                Ok(()) => {
                    let done = done.fetch_add(1, Ordering::SeqCst) + 1;
                    progress(done as f64 / samples as f64, "calibrating");
                }
                Err(None) => return,
                Err(Some(error)) => {
                    let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(earlier, _)| sample < *earlier) {
                        *first = Some((sample, error));
                    }
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.clamp(1, samples) {
            scope.spawn(work);
        }
        work();
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(Statistics { tensors: pass.collector.into_statistics(), places, samples }),
    }
}

/// What the threads share.
struct Pass<'a, N, S: ?Sized> {
    network: &'a N,
    source: &'a S,
    collector: Collector,
    values: &'a [ValueId],
    /// By value: the index of its statistics.
    index_of: Vec<Option<usize>>,
    order: ElementOrder,
}

impl<N: Network, S: SampleSource + ?Sized> Pass<'_, N, S> {
    /// One sample. `Err(None)`: an earlier one failed.
    fn run(&self, number: usize) -> Result<(), Option<QuantError>> {
        let mut sample = self.collector.start(number);
        let inputs = load(self.source, self.network.program(), number).map_err(Some)?;
        let mut halt = None;
        let run = self.network.run(&inputs, self.order, &mut |id, activation| {
            let Some(index) = self.index_of.get(id.index()).copied().flatten() else { return true };
            halt = sample.observe(index, activation).err();
            halt.is_none()
        });
        let fail = |source| QuantError::Run { sample: number, what: self.source.describe(number), source };
        run.map_err(|error| Some(fail(error)))?;
        match halt {
            None => sample.finish().map_err(|_| None),
            Some(Halt::Stopped) => Err(None),
            Some(Halt::NotFinite(index)) => {
                let tensor = self.network.program().value(self.values[index]).name.clone();
                Err(Some(QuantError::NotFinite { sample: number, what: self.source.describe(number), tensor }))
            }
        }
    }
}

/// A sample's input tensors, as many as the network has inputs.
pub(crate) fn load(source: &(impl SampleSource + ?Sized), program: &Program, sample: usize) -> Result<Vec<Tensor>, QuantError> {
    let inputs = source.load(sample).map_err(|source_error| QuantError::Sample { sample, what: source.describe(sample), source: source_error })?;
    if inputs.len() != program.inputs.len() {
        return Err(QuantError::InputCount { sample, what: source.describe(sample), found: inputs.len(), expected: program.inputs.len() });
    }
    inputs.into_iter().zip(&program.inputs).map(|(tensor, &id)| fitted(program, id, tensor).map_err(|(found, expected)| {
        let tensor = program.value(id).name.clone();
        QuantError::ElementType { sample, what: source.describe(sample), tensor, found, expected }
    })).collect()
}

/// A tensor with the elements that an input wants: numbers become floats, and whole numbers integers. The error is the element
/// types found and expected.
fn fitted(program: &Program, id: ValueId, tensor: Tensor) -> Result<Tensor, (DType, DType)> {
    let (found, expected) = (tensor.dtype(), program.tensor_type(id).map_or(DType::F32, |t| t.elem.storage()));
    let converted = match expected {
        _ if found == expected => return Ok(tensor),
        DType::F32 => Tensor::f32(tensor.shape(), tensor.to_f32()).ok(),
        DType::I32 => {
            let whole = |v: &f32| v.fract() == 0.0 && v.abs() <= 2f32.powi(24);
            let integers = tensor.to_i64().or_else(|| tensor.as_f32().filter(|x| x.iter().all(whole)).map(|x| x.iter().map(|&v| v as i64).collect()));
            let narrow = |list: Vec<i64>| list.into_iter().map(|v| i32::try_from(v).ok()).collect::<Option<Vec<i32>>>();
            integers.and_then(narrow).and_then(|list| Tensor::i32(tensor.shape(), list).ok())
        }
        _ => None,
    };
    converted.ok_or((found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::no_progress;
    use crate::testing::{TwoOps, samples};

    fn options(threads: usize) -> CalibrationOptions {
        CalibrationOptions { methods: Method::ALL.into_iter().collect(), threads, ..CalibrationOptions::default() }
    }

    #[test]
    fn every_op_has_a_row_in_op_order() {
        let statistics = gather(&TwoOps::new(64), &samples(3, 64)[..], &options(1), &no_progress).unwrap();
        let rows = statistics.thresholds(Method::Max).unwrap();
        assert_eq!(rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["input", "relu", "sum"]);
        assert_eq!((rows[1].min, rows[1].max, rows[2].max), (0.0, rows[0].max, 2.0 * rows[0].max));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (network, samples) = (TwoOps::new(500), samples(30, 500));
        let run = |threads| format!("{:?}", gather(&network, &samples[..], &options(threads), &no_progress).unwrap());
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
    }

    #[test]
    fn the_first_bad_sample_is_named() {
        let mut samples = samples(20, 64);
        for (sample, value) in [(5, f32::NAN), (6, f32::INFINITY), (17, f32::NAN)] {
            let mut data = vec![1.0; 64];
            data[9] = value;
            samples[sample] = vec![Tensor::f32(&[1, 64], data).unwrap()];
        }
        for threads in [1, 4] {
            let error = gather(&TwoOps::new(64), &samples[..], &options(threads), &no_progress).unwrap_err();
            assert_eq!(
                error.to_string(),
                "sample 5 (in memory): tensor 'input' has an element that is infinite or not a number; a threshold needs finite activations"
            );
        }
    }

    #[test]
    fn bad_options_and_samples_are_errors() {
        let network = TwoOps::new(4);
        let none: &[Vec<Tensor>] = &[];
        assert!(matches!(gather(&network, none, &options(1), &no_progress), Err(QuantError::NoSamples)));
        let two_inputs = vec![[samples(1, 4).remove(0), samples(1, 4).remove(0)].concat()];
        let error = gather(&network, &two_inputs[..], &options(1), &no_progress).unwrap_err();
        assert_eq!(error.to_string(), "sample 0 (in memory) has 2 tensors, the network has 1 inputs");
        let bins = CalibrationOptions { histogram_bins: 1, ..options(1) };
        let error = gather(&network, &samples(1, 4)[..], &bins, &no_progress).unwrap_err();
        assert_eq!(error.to_string(), "histogram_bin_num is 1, expected 2 to 8000000");
    }

    #[test]
    fn numbers_of_other_types_are_converted() {
        let program = TwoOps::new(2).program;
        let id = program.inputs[0];
        let whole = Tensor::i64(&[1, 2], vec![-3, 70_000]).unwrap();
        assert_eq!(fitted(&program, id, whole.clone()).unwrap().to_f32(), [-3.0, 70_000.0]);
        let mut integers = Program::new("integers");
        let id = integers.add_input("ids", tpuc_ops::TensorType::new(&[1, 2], tpuc_ops::Elem::Plain(DType::I32)));
        assert_eq!(fitted(&integers, id, whole).unwrap().as_i32(), Some(&[-3, 70_000][..]));
        assert_eq!(fitted(&integers, id, Tensor::f32(&[1, 2], vec![0.0, 7.0]).unwrap()).unwrap().as_i32(), Some(&[0, 7][..]));
        assert_eq!(fitted(&integers, id, Tensor::f32(&[1, 2], vec![0.0, 0.5]).unwrap()).unwrap_err(), (DType::F32, DType::I32));
    }

    #[test]
    fn input_num_takes_the_first_samples_and_progress_ends_at_one() {
        let last = Mutex::new(0.0);
        let options = CalibrationOptions { input_num: 2, ..options(1) };
        let statistics = gather(&TwoOps::new(8), &samples(9, 8)[..], &options, &|done, _| *last.lock().unwrap() = done).unwrap();
        assert_eq!((statistics.samples, statistics.tensors[0].samples, *last.lock().unwrap()), (2, 2, 1.0));
    }
}
