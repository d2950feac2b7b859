//! The tuned tables of several methods that a search chooses from.
//!
//! [`tuned`] are those of `search_qtable`: a calibration by each method, all from one pass over the samples. [`tuned_by_range`]
//! are those of `run_sensitive_layer`, which has histograms of another kind: over the range of all samples, known beforehand.

use super::layers::Table;
use crate::error::QuantError;
use crate::histogram::Histogram;
use crate::kl;
use crate::measure::Bits;
use crate::method::Method;
use crate::network::{ElementOrder, Network};
use crate::search_threshold::COMPETITORS;
use crate::session::Session;
use crate::simd;
use crate::source::{Progress, SampleSource};
use crate::statistics::Statistics;
use rayon::prelude::*;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use tpuc_lowering::table::Row;

/// A method's tables before and after tuning.
#[derive(Debug, Clone)]
pub struct Tuned {
    pub table: Table,
    pub untuned: Vec<Row>,
}

/// The methods of `run_sensitive_layer`, in its order.
pub const SENSITIVE: [&str; 3] = ["MAX", "Percentile9999", "KL"];

/// The names of methods in a list: `KL,MSE`, in any case, with or without `use_`.
pub fn methods(list: &str) -> Result<Vec<&'static str>, QuantError> {
    let known = || QuantError::Option { option: "quantize_method_list", found: list.to_owned(), expected: "one or more of KL, MSE, MAX, Percentile9999" };
    let mut names = Vec::new();
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let method = Method::from_str(word).map_err(|_| known())?;
        let name = COMPETITORS.iter().find(|c| c.1 == method).map(|c| c.0).ok_or_else(known)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { Err(known()) } else { Ok(names) }
}

fn method(name: &str) -> Method {
    COMPETITORS.iter().find(|c| c.0 == name).map_or(Method::Kl, |c| c.1)
}

/// A calibration by each of the named methods. KL is tuned; the tuner raises thresholds up to where a method's own range ends, and
/// the thresholds of the others are at that end.
pub fn tuned(session: &Session, names: &[&'static str], progress: Progress) -> Result<(Vec<Tuned>, Statistics), QuantError> {
    let statistics = session.gather(names.iter().map(|n| method(n)).collect(), &|done, what| progress(done * 0.5, what))?;
    let mut tables = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let untuned = statistics.thresholds(method(name))?;
        let rows = match method(name) {
            Method::Kl => tune(session, &untuned, &statistics.absmax(), &|done, what| progress(0.5 + 0.5 * (i as f64 + done) / names.len() as f64, what))?,
            _ => untuned.clone(),
        };
        tables.push(Tuned { table: Table { method: name, rows }, untuned });
    }
    Ok((tables, statistics))
}

fn tune(session: &Session, untuned: &[Row], absmax: &[f64], progress: Progress) -> Result<Vec<Row>, QuantError> {
    let mut rows = untuned.to_vec();
    if session.request().tune_num > 0 {
        session.tune(&mut rows, absmax, progress)?;
    }
    Ok(rows)
}

/// The tables of MAX, Percentile9999 and KL. Only KL has room for tuning: the others are at the end of their range.
pub fn tuned_by_range(session: &Session, progress: Progress) -> Result<(Vec<Tuned>, Statistics), QuantError> {
    let gathered = [Method::Max, Method::Percentile9999].into_iter().collect();
    let statistics = session.gather(gathered, &|done, what| progress(done * 0.4, what))?;
    let (max, percentile) = (statistics.thresholds(Method::Max)?, statistics.magnitude_percentiles()?);
    let untuned = divergence_within(session, &max, &|done, what| progress(0.4 + done * 0.3, what))?;
    let rows = tune(session, &untuned, &statistics.absmax(), &|done, what| progress(0.7 + done * 0.3, what))?;
    let plain = |method, rows: Vec<Row>| Tuned { untuned: rows.clone(), table: Table { method, rows } };
    let kl = Tuned { table: Table { method: SENSITIVE[2], rows }, untuned };
    Ok((vec![plain(SENSITIVE[0], max), plain(SENSITIVE[1], percentile), kl], statistics))
}

/// KL thresholds from histograms over `0..=maximum` of all samples. Counts add up in any order.
fn divergence_within(session: &Session, max: &[Row], progress: Progress) -> Result<Vec<Row>, QuantError> {
    let (network, loader, bins) = (session.network()?, session.loader(), session.request().histogram_bins);
    let program = network.program();
    let numbers: HashMap<&str, usize> = max.iter().enumerate().map(|(i, row)| (row.name.as_str(), i)).collect();
    let histograms: Vec<Mutex<Histogram>> = max.iter().map(|_| Mutex::new(Histogram::new(bins))).collect();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let one = |sample: usize| -> Result<(), QuantError> {
        let inputs = crate::calibrate::load(loader, program, sample)?;
        let observe = &mut |id: tpuc_ops::ValueId, activation: &[f32]| {
            if let Some(&number) = numbers.get(program.value(id).name.as_str()) {
                let absmax = simd::extent(activation).absmax;
                histograms[number].lock().unwrap_or_else(PoisonError::into_inner).add(activation, absmax, max[number].threshold as f32);
            }
            true
        };
        network.run(&inputs, ElementOrder::Any, observe).map_err(|source| QuantError::Run { sample, what: loader.describe(sample), source })?;
        let done = done.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        progress(done as f64 / loader.groups() as f64, "histograms");
        Ok(())
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(session.threads()?).build().map_err(|e| QuantError::Threads(e.to_string()))?;
    pool.install(|| (0..loader.groups()).into_par_iter().try_for_each(one))?;
    let row = |(row, histogram): (&Row, &Mutex<Histogram>)| {
        let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kl::threshold(histogram.counts(), histogram.width(), kl::groups(Bits::Eight));
        Row { threshold: found.map_or(row.threshold, |t| f64::from(t).min(row.threshold)), ..row.clone() }
    };
    Ok(max.iter().zip(&histograms).map(row).collect())
}
