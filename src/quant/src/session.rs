//! A calibration from beginning to end: samples chosen, statistics gathered in one pass, thresholds tuned.
//!
//! In: a Top program, its weights, how pictures become its inputs, and a [`Request`]. Out: an [`Outcome`], the rows of a
//! table and what led to them. A search opens a [`Session`] as well and asks for the steps one by one.

use crate::asymmetric;
use crate::correct_softmax;
use crate::calibrate::{CalibrationOptions, gather};
use crate::debug_cmd::DebugCommand;
use crate::error::QuantError;
use crate::memory::{Budget, live_bytes};
use crate::method::{Method, Methods};
use crate::plan_network::PlanNetwork;
use crate::source::Progress;
use crate::statistics::Statistics;
use crate::tune::{TuneOptions, tune};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tpuc_imageio::preprocess::Resizer;
use tpuc_imageio::{Loader, NetInput, SampleKind, Samples};
use tpuc_interp::{Options, Plan};
use tpuc_lowering::table::{CalibrationTable, Row};
use tpuc_ops::Program;
use tpuc_tensor::WeightStore;

/// What to calibrate with.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Folder of samples, or empty.
    pub dataset: PathBuf,
    /// List of samples, or empty; wins over the folder.
    pub data_list: PathBuf,
    /// List of the samples that tune, or empty: the first ones of the others.
    pub tune_list: PathBuf,
    pub method: Method,
    /// Overrides the method and says how to tune.
    pub debug: DebugCommand,
    /// Methods whose statistics are gathered as well.
    pub also: Methods,
    /// The kurtosis of every tensor is gathered as well.
    pub kurtosis: bool,
    /// Softmaxes that were corrected get the range [0, 1].
    pub softmax_corrected: bool,
    /// SiLU and GELU before products get asymmetric ranges.
    pub part_asymmetric: bool,
    /// 0: all.
    pub input_num: usize,
    /// 0: no tuning.
    pub tune_num: usize,
    pub histogram_bins: usize,
    pub threads: usize,
    /// Bytes that the process may have in memory: where they are few, fewer samples run at once.
    pub memory: usize,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            dataset: PathBuf::new(),
            data_list: PathBuf::new(),
            tune_list: PathBuf::new(),
            method: Method::Kl,
            debug: DebugCommand::default(),
            also: Methods::none(),
            kurtosis: false,
            softmax_corrected: false,
            part_asymmetric: false,
            input_num: 0,
            tune_num: 5,
            histogram_bins: 2048,
            threads: crate::default_threads(),
            memory: usize::MAX,
        }
    }
}

impl Request {
    /// The method that counts.
    pub fn method(&self) -> Method {
        self.debug.method.unwrap_or(self.method)
    }

    /// The same for requests with the same result.
    pub fn identity(&self) -> String {
        format!("{:?}", Request { threads: 0, memory: 0, ..self.clone() })
    }
}

/// What a calibration found.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub rows: Vec<Row>,
    /// The 4-bit section, where it was asked for.
    pub int4_rows: Vec<Row>,
    /// Layers that run asymmetrically, where that was asked for.
    pub asymmetric: Vec<String>,
    /// The rows before they were tuned.
    pub untuned: Vec<Row>,
    pub is_tuned: bool,
    /// None where a table was tuned without calibration.
    pub statistics: Option<Statistics>,
    /// How many samples were used.
    pub used: usize,
}

/// The share of the progress that ends with the statistics, where tuning follows.
const GATHERED: f64 = 0.7;

/// A network with its samples.
pub struct Session {
    program: Arc<Program>,
    weights: WeightStore,
    /// Ready to run, once somebody wanted that.
    network: Mutex<Option<Arc<PlanNetwork>>>,
    loader: Loader,
    tune_loader: Option<Loader>,
    request: Request,
}

impl Session {
    /// Chooses the samples. `inputs` are the program's, in order.
    pub fn open(program: &Program, weights: &WeightStore, mut inputs: Vec<NetInput>, request: Request) -> Result<Session, QuantError> {
        if request.debug.use_pil_resize {
            inputs.iter_mut().filter_map(|i| i.preprocess.as_mut()).for_each(|p| p.resizer = Resizer::Pillow);
        }
        let samples = match (request.data_list.as_os_str().is_empty(), request.dataset.as_os_str().is_empty()) {
            (false, _) => Samples::from_data_list(&request.data_list, request.input_num)?,
            (true, false) => Samples::from_dataset(&request.dataset, request.input_num)?,
            (true, true) => return Err(QuantError::NoDataset),
        };
        let tune_samples = match request.tune_list.as_os_str().is_empty() {
            true => None,
            false => Some(Samples::from_data_list(&request.tune_list, request.tune_num)?),
        };
        let loader = Loader::new(samples, inputs.clone())?;
        let tune_loader = tune_samples.map(|samples| Loader::new(samples, inputs)).transpose()?;
        if let Some(empty) = [Some(&loader), tune_loader.as_ref()].into_iter().flatten().find(|l| l.groups() == 0) {
            return Err(QuantError::NoBatch { samples: empty.samples().len(), batch: empty.per_group() });
        }
        Ok(Session { program: Arc::new(program.clone()), weights: weights.clone(), network: Mutex::default(), loader, tune_loader, request })
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The network in float, ready to run.
    pub fn network(&self) -> Result<Arc<PlanNetwork>, QuantError> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*network {
            return Ok(Arc::clone(ready));
        }
        let plan = Plan::new((*self.program).clone(), &self.weights, Options { threads: 1, ..Options::default() })?;
        Ok(Arc::clone(network.insert(Arc::new(PlanNetwork::new(plan)))))
    }

    /// Forgets the network that is ready to run; who asks for it again gets a new one.
    pub fn release(&self) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many samples may run through the whole network at once.
    pub fn threads(&self) -> Result<usize, QuantError> {
        let (network, threads) = (self.network()?, self.request.threads.max(1));
        let each = network.activation_bytes().max(1);
        let there = network.idle_bytes();
        let left = Budget::new(self.request.memory).left(each.saturating_mul(threads).saturating_sub(there));
        Ok((left.saturating_add(there) / each).clamp(1, threads))
    }

    /// The calibration samples.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The samples that tune, where they are others.
    pub fn tune_loader(&self) -> Option<&Loader> {
        self.tune_loader.as_ref()
    }

    /// The statistics of all samples for some methods.
    pub fn gather(&self, methods: Methods, progress: Progress) -> Result<Statistics, QuantError> {
        let request = &self.request;
        let options = CalibrationOptions {
            methods,
            int4: request.debug.int4,
            kurtosis: request.kurtosis,
            observer: request.debug.observer,
            histogram_bins: request.histogram_bins,
            input_num: 0,
            threads: self.threads()?,
        };
        gather(&*self.network()?, &self.loader, &options, progress)
    }

    /// Tunes the rows of a table, of tensors with the given absolute maxima.
    pub fn tune(&self, rows: &mut [Row], absmax: &[f64], progress: Progress) -> Result<(), QuantError> {
        let source = self.tune_loader.as_ref().unwrap_or(&self.loader);
        // Pictures are counted one by one, arrays by batches.
        let tune_num = match source.samples().kind() {
            SampleKind::Image | SampleKind::Yuv => self.request.tune_num.div_ceil(source.per_group()),
            SampleKind::Npy | SampleKind::Npz => self.request.tune_num,
        };
        let debug = &self.request.debug;
        let network = self.network()?;
        network.forget_idle();
        // Samples stay in memory from op to op, whatever runs at once.
        let (live, threads) = (live_bytes(&self.program).max(1), self.request.threads.max(1));
        let left = Budget::new(self.request.memory).left(live.saturating_mul(tune_num + threads)) / live;
        let threads = left.saturating_sub(tune_num).clamp(1, threads);
        let options = TuneOptions { tune_num, rules: debug.rules, quantized_inputs: debug.quantized_inputs, threads };
        tune(&*network, source, absmax, rows, &options, progress)
    }

    /// Calibrates and tunes as the request says.
    pub fn calibrate(&self, progress: Progress) -> Result<Outcome, QuantError> {
        if let Some(table) = &self.request.debug.input_table {
            return self.tune_table(&CalibrationTable::read(table)?, progress);
        }
        let (method, debug) = (self.request.method(), &self.request.debug);
        let is_tuned = method.is_tuned() && self.request.tune_num > 0 && !debug.int4 && !debug.fp8;
        let share = if is_tuned { GATHERED } else { 1.0 };
        let methods = self.request.also.with(method);
        let methods = if self.request.part_asymmetric { methods.with(Method::Percentile9999) } else { methods };
        let statistics = self.gather(methods, &|done, what| progress(done * share, what))?;
        let (mut rows, mut absmax) = (statistics.thresholds(method)?, statistics.absmax());
        let asymmetric = if self.request.part_asymmetric { asymmetric::asymmetric_layers(&self.program) } else { Vec::new() };
        if self.request.part_asymmetric {
            asymmetric::apply(&self.program, &statistics, &mut rows, &mut absmax)?;
        }
        if self.request.softmax_corrected {
            correct_softmax::fix_thresholds(&self.program, &mut rows, &mut absmax);
        }
        if debug.fp8 {
            rows.iter_mut().for_each(|row| (row.min, row.max) = (-row.threshold, row.threshold));
        }
        let int4_rows = if debug.int4 { statistics.int4_thresholds(method)? } else { Vec::new() };
        let untuned = rows.clone();
        if is_tuned {
            self.tune(&mut rows, &absmax, &|done, what| progress(share + done * (1.0 - share), what))?;
        }
        Ok(Outcome { rows, int4_rows, asymmetric, untuned, is_tuned, used: statistics.samples, statistics: Some(statistics) })
    }

    /// Tunes a table that is there already; its minima and maxima say how far.
    fn tune_table(&self, table: &CalibrationTable, progress: Progress) -> Result<Outcome, QuantError> {
        table.check_layers(self.program.names().keys().copied())?;
        let untuned = table.rows().to_vec();
        let mut rows = untuned.clone();
        let absmax: Vec<f64> = rows.iter().map(|row| row.min.abs().max(row.max.abs())).collect();
        self.tune(&mut rows, &absmax, progress)?;
        Ok(Outcome { rows, int4_rows: Vec::new(), asymmetric: Vec::new(), untuned, is_tuned: true, statistics: None, used: self.loader.groups() })
    }
}
