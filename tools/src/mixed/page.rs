//! The page of a search: what every layer loses, what was tried, and how the similarity grows with float layers.

use crate::report::{Bar, Report};
use std::path::Path;
use tpuc_quant::search::optimize::{Front, Step};
use tpuc_quant::search::{LayerLoss, Outcome};

/// What a page is about.
pub struct Subject<'a> {
    pub mlir: &'a Path,
    /// The search as people call it.
    pub search: &'a str,
    /// Whose loss the layers' numbers are: the outputs' where a layer alone is INT8, or the layer's own.
    pub of_outputs: bool,
    pub expected_cos: f64,
    /// Layer name and op of a node.
    pub layer: &'a dyn Fn(usize) -> (String, &'static str),
    /// The float mode of the chosen layers.
    pub mode: &'a str,
}

/// The page of an outcome.
pub fn page(subject: &Subject, outcome: &Outcome) -> Report {
    let mut report = Report::new(&format!("{} of {}", subject.search, subject.mlir.display()));
    result(&mut report, subject, outcome);
    if !outcome.losses.is_empty() {
        losses(&mut report, subject, &outcome.losses);
        tried(&mut report, subject, &outcome.losses);
    }
    curve(&mut report, subject, outcome);
    if let Some(front) = &outcome.front {
        pareto(&mut report, subject, outcome, front);
    }
    report
}

fn result(report: &mut Report, subject: &Subject, outcome: &Outcome) {
    let heading = format!("{}: result", subject.search);
    report.section(&heading, "Similarity is 0.5 + 0.5 cosine of the network's outputs (or of the compared layers, or of what post-processing makes of them) to the float network's, the mean over the samples.");
    let row = |name: &str, value: f64| vec![name.to_owned(), format!("{value:.6}"), format!("{:.6}", 2.0 * value - 1.0)];
    let mut rows = vec![row("expected", subject.expected_cos), row("INT8", outcome.int8)];
    rows.extend(outcome.mixed.map(|mixed| row(&format!("{} layers in {}", outcome.layers.len(), subject.mode), mixed)));
    report.table(&["network", "similarity", "cosine"], &rows);
    if outcome.layers.is_empty() {
        return;
    }
    report.section(&format!("{}: float layers", subject.search), "As in the quantize table.");
    let one = |&layer: &usize| {
        let (name, kind) = (subject.layer)(layer);
        vec![name, kind.to_owned()]
    };
    report.table(&["layer", "op"], &outcome.layers.iter().map(one).collect::<Vec<_>>());
}

fn losses(report: &mut Report, subject: &Subject, losses: &[LayerLoss]) {
    let text = match subject.of_outputs {
        true => "What the outputs lose when this layer alone is INT8 (1 - similarity), with the best of the thresholds that were tried. In the order of the graph.",
        false => "1 - similarity of the layer itself in INT8 to the float network's layer. In the order of the graph.",
    };
    report.section(&format!("{}: loss per layer", subject.search), text);
    let bars: Vec<Bar> = losses.iter().map(|l| Bar { layer: (subject.layer)(l.layer).0, value: l.best().loss }).collect();
    let most = bars.iter().fold(0.0f64, |most, bar| most.max(bar.value));
    report.bars(&bars, 0.0, most, 6);
}

fn tried(report: &mut Report, subject: &Subject, losses: &[LayerLoss]) {
    let methods: Vec<&str> = losses.iter().max_by_key(|l| l.tried.len()).map(|l| l.tried.iter().map(|t| t.method).collect()).unwrap_or_default();
    report.section(&format!("{}: what was tried", subject.search), "The threshold of every method for a layer and the loss with it; the best is chosen. A click on a heading sorts.");
    let fixed = ["place", "layer", "op", "chosen"].map(str::to_owned);
    let heads: Vec<String> = fixed.into_iter().chain(methods.iter().flat_map(|m| [format!("threshold {m}"), format!("loss {m}")])).collect();
    let row = |(place, l): (usize, &LayerLoss)| {
        let (name, kind) = (subject.layer)(l.layer);
        let mut cells = vec![place.to_string(), name, kind.to_owned(), l.best().method.to_owned()];
        for method in &methods {
            let tried = l.tried.iter().find(|t| t.method == *method);
            cells.extend(tried.map_or([String::new(), String::new()], |t| [format!("{:.7}", t.threshold), format!("{:.9}", t.loss)]));
        }
        cells
    };
    report.sortable_table(&heads, &losses.iter().enumerate().map(row).collect::<Vec<_>>());
}

fn curve(report: &mut Report, subject: &Subject, outcome: &Outcome) {
    let mut points = vec![(0.0, outcome.int8)];
    points.extend(outcome.curve.iter().map(|&(count, score)| (count as f64, score)));
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    points.dedup();
    report.section(&format!("{}: similarity and float layers", subject.search), "Networks that were scored, by the number of their float layers. The line is what was asked for; the ring is what was chosen.");
    let chosen = outcome.mixed.map(|mixed| (outcome.layers.len() as f64, mixed));
    report.points(&points, chosen, subject.expected_cos, ["float layers", "similarity"]);
}

/// What sets cost and bring: the plot, and a table of the same.
fn pareto(report: &mut Report, subject: &Subject, outcome: &Outcome, front: &Front) {
    report.section(&format!("{}: similarity and cost", subject.search), "Sets of float layers of which none that was tried is both cheaper and better. The line is --expected_cos; the ring is what was chosen.");
    let points: Vec<(f64, f64)> = front.steps.iter().map(|s| (s.cost, s.score)).collect();
    let chosen = front.steps.iter().find(|s| Some(s.score) == outcome.mixed).map(|s| (s.cost, s.score));
    report.points(&points, chosen, subject.expected_cos, [front.unit, "similarity"]);
    let names = |layers: &[usize]| layers.iter().map(|&l| (subject.layer)(l).0).collect::<Vec<_>>().join(", ");
    let row = |s: &Step| vec![s.layers.len().to_string(), s.cost.to_string(), format!("{:.6}", s.score), format!("{:.6}", 2.0 * s.score - 1.0), names(&s.layers)];
    report.table(&["float layers", front.unit, "similarity", "cosine", "layers"], &front.steps.iter().map(row).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_quant::search::Tried;

    #[test]
    fn a_page_has_losses_trials_and_the_curve() {
        let tried = |method, threshold, loss| Tried { method, threshold, loss };
        let losses = vec![LayerLoss { layer: 0, tried: vec![tried("KL", 1.5, 0.25), tried("MSE", 1.25, 0.125)], best: 1 }, LayerLoss { layer: 1, tried: vec![tried("KL", 2.0, 0.5)], best: 0 }];
        let front = Front { unit: "cycles", steps: vec![Step { layers: Vec::new(), cost: 900.0, score: 0.875 }, Step { layers: vec![1], cost: 950.0, score: 0.9375 }] };
        let outcome = Outcome { layers: vec![1], rows: Vec::new(), int8: 0.875, mixed: Some(0.9375), losses, curve: vec![(1, 0.9375), (4, 0.96875)], front: Some(front) };
        let layer = |node: usize| (format!("conv<{node}>"), "top.Conv");
        let subject = Subject { mlir: Path::new("net.mlir"), search: "search_qtable", of_outputs: true, expected_cos: 0.99, layer: &layer, mode: "F16" };
        let path = std::env::temp_dir().join(format!("tpuc-page-{}.html", std::process::id()));
        page(&subject, &outcome).replace(&path).unwrap();
        let html = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for words in ["1 layers in F16", "conv&lt;1&gt;: 0.500000", "<td class=n>1.2500000</td><td class=n>0.125000000</td>", "<th>threshold MSE</th>", "4: 0.968750", "conv&lt;0&gt;", "<title>950: 0.937500</title>", "<th>cycles</th>"] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        assert!(!html.contains("http"));
    }
}
