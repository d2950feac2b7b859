//! What thresholds cost, for people: a table in the terminal and a page.

use crate::report::{LayerHistogram, Line, Report};
use std::path::Path;
use tpuc_lowering::table::Row;
use tpuc_passes::calibrate::Calibrated;
use tpuc_quant::loss::Loss;
use tpuc_quant::statistics::{Statistics, TensorStatistics};
use tpuc_quant::{Method, Methods, Request};

/// So many tensors that lose most are named.
const WORST: usize = 10;

/// Longer names are cut in the terminal.
const NAME_WIDTH: usize = 56;

/// A tensor's row and what it loses.
struct Lossy<'a> {
    row: &'a Row,
    absmax: f32,
    loss: Loss,
}

fn losses<'a>(rows: &'a [Row], statistics: &'a Statistics) -> Vec<Lossy<'a>> {
    let of = |(row, tensor): (&'a Row, &TensorStatistics)| Some(Lossy { row, absmax: tensor.absmax(), loss: Loss::new(tensor.histogram.as_ref()?, row.threshold)? });
    rows.iter().zip(&statistics.tensors).filter_map(of).collect()
}

/// The tensors that lose most as text; none where no histograms were gathered.
pub fn worst(calibrated: &Calibrated) -> Option<String> {
    let mut list = losses(calibrated.table.rows(), calibrated.outcome.statistics.as_ref()?);
    list.sort_by(|a, b| a.loss.snr.total_cmp(&b.loss.snr));
    list.truncate(WORST);
    let name = |row: &Row| match row.name.chars().count() {
        n if n > NAME_WIDTH => format!("..{}", row.name.chars().skip(n - NAME_WIDTH + 2).collect::<String>()),
        _ => row.name.clone(),
    };
    let width = list.iter().map(|l| name(l.row).chars().count()).max()?;
    let mut text = format!("Tensors that lose most:\n  {:width$}  {:>12}  {:>12}  {:>9}  {:>9}  {:>7}\n", "tensor", "threshold", "largest", "saturated", "vanished", "SNR dB");
    for l in &list {
        let (saturated, vanished) = (l.loss.saturated * 100.0, l.loss.vanished * 100.0);
        text += &format!("  {:width$}  {:>12.6}  {:>12.6}  {saturated:>8.3}%  {vanished:>8.3}%  {:>7.1}\n", name(l.row), l.row.threshold, l.absmax, l.loss.snr);
    }
    Some(text)
}

/// The methods whose statistics a page shows.
pub fn methods_of_page(request: &Request) -> Methods {
    Method::ALL.into_iter().filter(|m| !(request.debug.int4 && *m == Method::TorchObserver)).collect()
}

/// Bars of a drawn histogram.
const BARS: usize = 110;

/// The page: every tensor with the thresholds of all methods.
pub fn page(mlir: &Path, request: &Request, calibrated: &Calibrated) -> Report {
    let mut report = Report::new(&format!("Calibration of {}", mlir.display()));
    let method = request.method();
    let text = format!(
        "{} samples, table by {method}{}. Values beyond a threshold saturate in INT8, values below half a step (1/254 of it) vanish. \
         The signal-to-noise ratio is estimated from the histogram. A click on a heading sorts.",
        calibrated.outcome.used,
        if calibrated.outcome.is_tuned { ", tuned" } else { "" }
    );
    report.section("Thresholds", &text);
    let Some(statistics) = &calibrated.outcome.statistics else { return report };
    let by_method: Vec<(String, Vec<Row>)> = methods_of_page(request)
        .iter()
        .filter_map(|m| Some((m.name().to_owned(), statistics.thresholds(m).ok()?)))
        .collect();
    let chosen = ("table".to_owned(), calibrated.table.rows().to_vec());
    let columns: Vec<&(String, Vec<Row>)> = std::iter::once(&chosen).chain(&by_method).collect();
    report.sortable_table(&heads(&columns), &cells(&columns, statistics));
    report.section("Histograms", "Magnitudes of every tensor; counts are drawn logarithmically. Lines are thresholds: the thick one is the table's.");
    report.histograms(&histograms(&columns, statistics));
    report
}

fn heads(columns: &[&(String, Vec<Row>)]) -> Vec<String> {
    let fixed = ["tensor", "min", "max", "saturated %", "vanished %", "SNR dB"].map(str::to_owned);
    let (name, rest) = fixed.split_at(1);
    let thresholds = columns.iter().map(|(method, _)| method.clone());
    name.iter().cloned().chain(thresholds).chain(rest.iter().cloned()).chain(columns[1..].iter().map(|(method, _)| format!("{method} dB"))).collect()
}

fn cells(columns: &[&(String, Vec<Row>)], statistics: &Statistics) -> Vec<Vec<String>> {
    let loss = |tensor: &TensorStatistics, row: &Row| Loss::new(tensor.histogram.as_ref()?, row.threshold);
    let text = |value: Option<f64>, digits: usize| value.filter(|v| v.is_finite()).map(|v| format!("{v:.digits$}")).unwrap_or_default();
    let line = |(index, tensor): (usize, &TensorStatistics)| {
        let (min, max) = tensor.range();
        let own = loss(tensor, &columns[0].1[index]);
        let mut cells = vec![tensor.name.clone()];
        cells.extend(columns.iter().map(|(_, rows)| format!("{:.7}", rows[index].threshold)));
        cells.extend([format!("{min:.7}"), format!("{max:.7}"), text(own.map(|l| l.saturated * 100.0), 4), text(own.map(|l| l.vanished * 100.0), 4), text(own.map(|l| l.snr), 2)]);
        cells.extend(columns[1..].iter().map(|(_, rows)| text(loss(tensor, &rows[index]).map(|l| l.snr), 2)));
        cells
    };
    statistics.tensors.iter().enumerate().map(line).collect()
}

fn histograms(columns: &[&(String, Vec<Row>)], statistics: &Statistics) -> Vec<LayerHistogram> {
    let one = |(index, tensor): (usize, &TensorStatistics)| {
        let histogram = tensor.histogram.as_ref().filter(|h| !h.is_empty())?;
        let counts = histogram.counts();
        let bars = counts.chunks(counts.len().div_ceil(BARS)).map(|c| c.iter().sum::<u64>() as f64).collect();
        let lines = columns.iter().map(|(name, rows)| Line { name: name.clone(), threshold: rows[index].threshold }).collect();
        Some(LayerHistogram { layer: tensor.name.clone(), counts: bars, range: histogram.width() * counts.len() as f64, lines })
    };
    statistics.tensors.iter().enumerate().filter_map(one).collect()
}
