//! `search_threshold`: of several calibration methods the one whose INT8 network is nearest to the float one.
//!
//! In: a session with samples, and the chip. All methods come of one statistics pass; KL thresholds are tuned, the others
//! compete as they are. Then every sample runs through the float network and all INT8 networks, and the best mean similarity of the
//! outputs wins (`spec/calibration.md` section 18, the rules of version 1.15).

use crate::error::QuantError;
use crate::method::{Method, Methods};
use crate::model::Target;
use crate::plan_network::PlanNetwork;
use crate::session::Session;
use crate::similarity::{ComparedLayers, Similarity};
use crate::source::{Progress, SampleSource};
use crate::statistics::Statistics;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tpuc_lowering::QuantizeTable;
use tpuc_lowering::table::Row;
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::text::nearest;

/// The methods that compete, in order: the earlier one wins a tie. The names are those of files and logs.
pub const COMPETITORS: [(&str, Method); 4] = [("KL", Method::Kl), ("MAX", Method::Max), ("Percentile9999", Method::Percentile9999), ("MSE", Method::Mse)];

/// How the networks are compared.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    pub similarity: Similarity,
    pub layers: ComparedLayers,
    /// How many samples compare.
    pub inference_num: usize,
    /// Layers that are not INT8.
    pub float_layers: Option<QuantizeTable>,
}

/// A method in the competition.
#[derive(Debug, Clone)]
pub struct Competitor {
    pub name: &'static str,
    pub method: Method,
    /// The thresholds that compete.
    pub rows: Vec<Row>,
    /// The same before they were tuned, where they were.
    pub untuned: Option<Vec<Row>>,
    pub score: f64,
}

/// How the search ended.
#[derive(Debug, Clone)]
pub struct Found {
    pub competitors: Vec<Competitor>,
    /// Index of the one that won.
    pub best: usize,
    pub statistics: Statistics,
    /// How many samples compared.
    pub compared: usize,
}

/// Shares of the progress.
const GATHERED: f64 = 0.5;
const TUNED: f64 = 0.65;

/// Runs the search. `target` is the session's network.
pub fn search(session: &Session, target: Target, options: &SearchOptions, progress: Progress) -> Result<Found, QuantError> {
    find_layers(session.program(), &options.layers)?;
    let methods = COMPETITORS.iter().map(|c| c.1).collect::<Methods>();
    let statistics = session.gather(methods, &|done, what| progress(done * GATHERED, what))?;
    let mut competitors = Vec::new();
    for (name, method) in COMPETITORS {
        competitors.push(Competitor { name, method, rows: rows(&statistics, method)?, untuned: None, score: 0.0 });
    }
    if session.request().tune_num > 0 {
        let kl = &mut competitors[0];
        kl.untuned = Some(kl.rows.clone());
        session.tune(&mut kl.rows, &statistics.absmax(), &|done, what| progress(GATHERED + done * (TUNED - GATHERED), what))?;
    }
    let compared = scores(session, target, options, &mut competitors, &|done, what| progress(TUNED + done * (1.0 - TUNED), what))?;
    let better = |best: usize, i: usize| if competitors[i].score > competitors[best].score { i } else { best };
    let best = (0..competitors.len()).fold(0, better);
    Ok(Found { competitors, best, statistics, compared })
}

/// The thresholds with which a method competes. The percentile is that of the magnitudes.
fn rows(statistics: &Statistics, method: Method) -> Result<Vec<Row>, QuantError> {
    match method {
        Method::Percentile9999 => statistics.magnitude_percentiles(),
        _ => statistics.thresholds(method),
    }
}

/// Scores all competitors; returns over how many samples.
fn scores(session: &Session, target: Target, options: &SearchOptions, competitors: &mut [Competitor], progress: Progress) -> Result<usize, QuantError> {
    let float = Compared::new(target.float()?, &options.layers)?;
    let int8 = |c: &Competitor| Compared::new(target.int8(&c.rows, options.float_layers.as_ref())?, &options.layers);
    let models = competitors.iter().map(int8).collect::<Result<Vec<_>, QuantError>>()?;
    let loader = session.loader();
    let samples = (options.inference_num / loader.per_group()).clamp(1, loader.groups());
    let done = AtomicUsize::new(0);
    let one = |sample: usize| {
        let inputs = crate::calibrate::load(loader, session.program(), sample)?;
        let fail = |source| QuantError::Run { sample, what: loader.describe(sample), source };
        let reference = float.run(&inputs).map_err(fail)?;
        let similarity = |model: &Compared| Ok(model.similarity(options.similarity, &reference, &model.run(&inputs).map_err(fail)?));
        let found = models.iter().map(similarity).collect::<Result<Vec<f64>, QuantError>>()?;
        progress((done.fetch_add(1, Ordering::SeqCst) + 1) as f64 / samples as f64, "comparing");
        Ok(found)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(session.request().threads.max(1)).build().map_err(|e| QuantError::Threads(e.to_string()))?;
    let found = pool.install(|| (0..samples).into_par_iter().map(one).collect::<Result<Vec<_>, QuantError>>())?;
    for (i, competitor) in competitors.iter_mut().enumerate() {
        competitor.score = found.iter().fold(0.0, |sum, scores| sum + scores[i]) / samples as f64;
    }
    Ok(samples)
}

/// The values of named layers.
fn find_layers(program: &Program, layers: &ComparedLayers) -> Result<Vec<ValueId>, QuantError> {
    let names = program.names();
    let find = |(name, _): &(String, f64)| {
        let unknown = || QuantError::UnknownLayer { layer: name.clone(), nearest: nearest(name, names.keys().copied()).map(str::to_owned) };
        names.get(name.as_str()).copied().ok_or_else(unknown)
    };
    layers.0.iter().map(find).collect()
}

/// A network and the tensors of it that are compared.
struct Compared {
    network: PlanNetwork,
    values: Vec<ValueId>,
    weights: Vec<f64>,
}

impl Compared {
    fn new(network: PlanNetwork, layers: &ComparedLayers) -> Result<Compared, QuantError> {
        let program: &Program = crate::network::Network::program(&network);
        let (values, weights) = if layers.0.is_empty() {
            (program.outputs.clone(), vec![1.0; program.outputs.len()])
        } else {
            (find_layers(program, layers)?, layers.0.iter().map(|l| l.1).collect())
        };
        Ok(Compared { network, values, weights })
    }

    fn run(&self, inputs: &[tpuc_tensor::Tensor]) -> Result<Vec<Vec<f32>>, crate::network::NetworkError> {
        self.network.tensors(inputs, &self.values)
    }

    fn similarity(&self, similarity: Similarity, float: &[Vec<f32>], own: &[Vec<f32>]) -> f64 {
        let weighted = float.iter().zip(own).zip(&self.weights).map(|((a, b), weight)| weight * similarity.of(a, b));
        weighted.sum::<f64>() / self.weights.iter().sum::<f64>()
    }
}
