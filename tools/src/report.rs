//! `report.html`: pictures where people would look rather than read. One file with everything in it: no scripts from
//! elsewhere, no fonts, no images beside it.

use std::fmt::Write as _;
use std::path::Path;
use tpuc_tensor::file::FileError;

/// One bar of a chart: a layer and its value.
#[derive(Debug, Clone)]
pub struct Bar {
    pub layer: String,
    pub value: f64,
}

/// A threshold in a histogram: by which method.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub threshold: f64,
}

/// Where the absolute values of a layer lie and where calibration cuts them.
#[derive(Debug, Clone)]
pub struct LayerHistogram {
    pub layer: String,
    /// Counts of equally wide bins from 0 to `range`.
    pub counts: Vec<f64>,
    pub range: f64,
    /// The first one is what counts; the others are there for comparison.
    pub lines: Vec<Line>,
}

/// Colours of a histogram's lines, the first one for what counts.
const COLOURS: [&str; 8] = ["#c2410c", "#15803d", "#7c3aed", "#0e7490", "#be185d", "#a16207", "#4b5563", "#1d4ed8"];

/// Sorts a table by the column whose heading is clicked: numbers as numbers, the other way round at the second click.
const SORT: &str = "<script>document.querySelectorAll('table.sort').forEach(t=>t.querySelectorAll('th').forEach((h,i)=>h.onclick=()=>{\
const b=t.tBodies[0],v=r=>r.cells[i].textContent,d=h.dataset.d=h.dataset.d=='1'?-1:1;\
[...b.rows].slice(1).sort((x,y)=>{const p=v(x),q=v(y),m=parseFloat(p),n=parseFloat(q);\
return d*(isNaN(m)||isNaN(n)?(isNaN(m)-isNaN(n)||p.localeCompare(q)):m-n)}).forEach(r=>b.append(r))}))</script>";

/// Values in order, drawn as a line.
#[derive(Debug, Clone)]
pub struct Curve {
    pub name: &'static str,
    pub values: Vec<f32>,
}

/// A row of a table: its cells.
pub type Row = Vec<String>;

/// The parts of a report, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Report {
    title: String,
    sections: Vec<Section>,
}

/// A heading and what stands under it.
#[derive(Debug, Clone)]
struct Section {
    id: String,
    html: String,
}

/// What a file starts with that this module wrote.
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" content=\"tpuc\">";
const SECTION: &str = "\n<section id=\"";
const SECTION_END: &str = "</section>";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2330}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}p{max-width:46rem}table{border-collapse:collapse}\
td,th{padding:.2rem .7rem;border-bottom:1px solid #dde2ea;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.chart{overflow-x:auto}table.sort th{cursor:pointer}svg text{font:11px system-ui,sans-serif;fill:#3b4556}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.8rem}\
figure{margin:0;border:1px solid #dde2ea;border-radius:4px;padding:.4rem}figcaption{font-size:11px;overflow-wrap:anywhere}";

impl Report {
    pub fn new(title: &str) -> Report {
        Report { title: title.to_owned(), sections: Vec::new() }
    }

    pub fn section(&mut self, heading: &str, text: &str) {
        let words = heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        let id = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        self.sections.push(Section { id, html: format!("<h2>{}</h2><p>{}</p>", escape(heading), escape(text)) });
    }

    /// The text of the section begun last.
    fn body(&mut self) -> &mut String {
        if self.sections.is_empty() {
            self.sections.push(Section { id: "start".into(), html: String::new() });
        }
        let last = self.sections.len() - 1;
        &mut self.sections[last].html
    }

    /// Writes the page. Commands that work on one network may name the same file: sections that an earlier one wrote there
    /// stay, unless this report has one of the same heading.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let earlier = if path.exists() { tpuc_tensor::file::read_to_string(path)? } else { String::new() };
        let mut sections = sections_of(&earlier);
        sections.retain(|old| self.sections.iter().all(|new| new.id != old.id));
        sections.extend(self.sections.iter().cloned());
        tpuc_tensor::file::write(path, page(&self.title, &sections).as_bytes())
    }

    /// A table that a click on a heading sorts.
    pub fn sortable_table(&mut self, heads: &[String], rows: &[Row]) {
        self.body().push_str("<div class=chart>");
        self.table_of_class(" class=sort", &heads.iter().map(String::as_str).collect::<Vec<_>>(), rows);
        self.body().push_str("</div>");
        self.body().push_str(SORT);
    }

    /// Writes the page, and nothing of what was there.
    pub fn replace(&self, path: &Path) -> Result<(), FileError> {
        tpuc_tensor::file::write(path, page(&self.title, &self.sections).as_bytes())
    }

    /// Curves over each other on one scale; neighbouring values are `step` elements apart.
    pub fn curves(&mut self, curves: &[Curve], step: usize) {
        let (width, height, left) = (1000.0, 260.0, 70.0);
        let finite = || curves.iter().flat_map(|c| &c.values).copied().filter(|v| v.is_finite());
        let (low, high) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), low.max(0.0) + 1.0) };
        let y = |v: f32| height - f64::from((v - low) / (high - low)) * height + 8.0;
        let count = curves.iter().map(|c| c.values.len()).max().unwrap_or(0);
        write!(self.body(), "<div class=chart><svg width=\"{}\" height=\"{}\" role=\"img\">", left + width + 10.0, height + 34.0).ok();
        [low, high].iter().for_each(|&v| write!(self.body(), "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{v:.5}</text>", left - 6.0, y(v) + 4.0).unwrap_or(()));
        for (curve, colour) in curves.iter().zip(["#3f74b5", "#c2410c"]) {
            let points = curve.values.iter().enumerate().filter(|(_, v)| v.is_finite());
            let points: String = points.map(|(i, &v)| format!("{:.1},{:.1} ", left + i as f64 / count.max(2) as f64 * width, y(v))).collect();
            write!(self.body(), "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1\" opacity=\".8\"><title>{}</title></polyline>", curve.name).ok();
        }
        let legend = curves.iter().zip(["blue", "orange"]).map(|(c, colour)| format!("{} {colour}", c.name)).collect::<Vec<_>>().join(", ");
        write!(self.body(), "<text x=\"{left}\" y=\"{}\">0</text><text x=\"{}\" y=\"{0}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{0}\">{legend}</text></svg></div>", height + 26.0, left + width, count * step, left + 40.0).ok();
    }

    /// Points of whole numbers and values; a ring around `chosen`, a line at `goal`.
    pub fn points(&mut self, points: &[(f64, f64)], chosen: Option<(f64, f64)>, goal: f64, axes: [&str; 2]) {
        let (width, height, left) = (620.0, 240.0, 80.0);
        let values = || points.iter().map(|p| p.1).chain([goal]).filter(|v| v.is_finite());
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let high = if high > low { high } else { low + 1e-6 };
        let (least, most) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), p| (least.min(p.0), most.max(p.0)));
        let (least, most) = if least < most { (least, most) } else { (least.min(0.0), most.max(1.0)) };
        let x = |count: f64| left + (count - least) / (most - least) * width;
        let y = |value: f64| 10.0 + (high - value) / (high - low) * height;
        write!(self.body(), "<div class=chart><svg width=\"{}\" height=\"{}\" role=\"img\">", left + width + 40.0, height + 46.0).ok();
        [low, high].iter().for_each(|&v| write!(self.body(), "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{v:.6}</text>", left - 8.0, y(v) + 4.0).unwrap_or(()));
        write!(self.body(), "<line x1=\"{left}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#c2410c\" stroke-dasharray=\"5 4\"><title>{goal}</title></line>", left + width, y(goal)).ok();
        let line: String = points.iter().map(|&(n, v)| format!("{:.1},{:.1} ", x(n), y(v))).collect();
        write!(self.body(), "<polyline points=\"{line}\" fill=\"none\" stroke=\"#9db8d9\"/>").ok();
        for &(count, value) in points {
            write!(self.body(), "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"#3f74b5\"><title>{count}: {value:.6}</title></circle>", x(count), y(value)).ok();
        }
        if let Some((count, value)) = chosen {
            write!(self.body(), "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"7\" fill=\"none\" stroke=\"#c2410c\" stroke-width=\"1.5\"/>", x(count), y(value)).ok();
        }
        let bottom = height + 30.0;
        write!(self.body(), "<text x=\"{left}\" y=\"{bottom}\">{least}</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">{most}</text><text x=\"{}\" y=\"{bottom}\">{}</text><text x=\"4\" y=\"{}\">{}</text></svg></div>", left + width, left + width / 2.0 - 30.0, escape(axes[0]), height / 2.0, escape(axes[1])).ok();
    }

    /// A table; cells that are numbers stand to the right.
    pub fn table(&mut self, heads: &[&str], rows: &[Row]) {
        self.table_of_class("", heads, rows);
    }

    fn table_of_class(&mut self, class: &str, heads: &[&str], rows: &[Row]) {
        write!(self.body(), "<table{class}><tr>").ok();
        heads.iter().for_each(|h| write!(self.body(), "<th>{}</th>", escape(h)).unwrap_or(()));
        self.body().push_str("</tr>");
        for row in rows {
            self.body().push_str("<tr>");
            for cell in row {
                let class = if cell.trim_end_matches('%').parse::<f64>().is_ok() { " class=n" } else { "" };
                write!(self.body(), "<td{class}>{}</td>", escape(cell)).ok();
            }
            self.body().push_str("</tr>");
        }
        self.body().push_str("</table>");
    }

    /// Horizontal bars in the order given, each with its number; `low`..`high` is the drawn range.
    pub fn bars(&mut self, bars: &[Bar], low: f64, high: f64, digits: usize) {
        let (row, label, width) = (15.0, 330.0, 620.0);
        let height = row * bars.len() as f64 + 6.0;
        write!(self.body(), "<div class=chart><svg width=\"{}\" height=\"{height}\" role=\"img\">", label + width + 90.0).ok();
        for (i, bar) in bars.iter().enumerate() {
            let y = i as f64 * row;
            let share = if high > low { ((bar.value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
            let short: String = bar.layer.chars().rev().take(50).collect::<Vec<_>>().into_iter().rev().collect();
            write!(
                self.body(),
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{label}\" y=\"{}\" width=\"{:.2}\" height=\"{}\" fill=\"#3f74b5\"><title>{}: {:.digits$}</title></rect><text x=\"{:.2}\" y=\"{}\">{:.digits$}</text>",
                label - 8.0, y + 12.0, escape(&short), y + 2.0, share * width, row - 4.0, escape(&bar.layer), bar.value, label + share * width + 6.0, y + 12.0, bar.value
            )
            .ok();
        }
        self.body().push_str("</svg></div>");
    }

    /// Small histograms (logarithmic counts) with thresholds as lines; beyond them values saturate.
    pub fn histograms(&mut self, list: &[LayerHistogram]) {
        if let Some(first) = list.first() {
            let name = |(line, colour): (&Line, &&str)| format!("<span style=\"color:{colour}\">&#9632; {}</span> ", escape(&line.name));
            let legend: String = first.lines.iter().zip(COLOURS.iter().cycle()).map(name).collect();
            write!(self.body(), "<p>{legend}</p>").ok();
        }
        self.body().push_str("<div class=grid>");
        for h in list {
            let (width, height) = (220.0, 70.0);
            let top = h.counts.iter().fold(1.0f64, |m, &c| m.max((c + 1.0).ln()));
            let step = width / h.counts.len().max(1) as f64;
            let mut path = format!("M0 {height}");
            for (i, &count) in h.counts.iter().enumerate() {
                let y = height - (count + 1.0).ln() / top * (height - 4.0);
                write!(path, "L{:.1} {y:.1}L{:.1} {y:.1}", i as f64 * step, (i + 1) as f64 * step).ok();
            }
            write!(self.body(), "<figure><svg viewBox=\"0 0 {width} {height}\" width=\"100%\" role=\"img\"><path d=\"{path}L{width} {height}Z\" fill=\"#9db8d9\"/>").ok();
            // The line that counts is drawn last, above the others.
            for (i, line) in h.lines.iter().enumerate().rev() {
                let colour = COLOURS[i % COLOURS.len()];
                let x = if h.range > 0.0 { (line.threshold / h.range * width).min(width) } else { 0.0 };
                let thickness = if i == 0 { 1.5 } else { 0.7 };
                write!(
                    self.body(),
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height}\" stroke=\"{colour}\" stroke-width=\"{thickness}\"><title>{}: {:.5}</title></line>",
                    escape(&line.name), line.threshold
                )
                .ok();
            }
            let threshold = h.lines.first().map_or(0.0, |l| l.threshold);
            write!(self.body(), "</svg><figcaption>{}<br>threshold {threshold:.5} of {:.5}</figcaption></figure>", escape(&h.layer), h.range).ok();
        }
        self.body().push_str("</div>");
    }
}

fn page(title: &str, sections: &[Section]) -> String {
    let title = escape(title);
    let mut html = format!("{HEAD}<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>");
    sections.iter().for_each(|s| write!(html, "{SECTION}{}\">{}{SECTION_END}", s.id, s.html).unwrap_or(()));
    html.push_str("\n</body></html>\n");
    html
}

/// The sections of a page that this module wrote; none of any other text.
fn sections_of(html: &str) -> Vec<Section> {
    if !html.starts_with(HEAD) {
        return Vec::new();
    }
    let section = |part: &str| {
        let (id, rest) = part.split_once("\">")?;
        let (html, _) = rest.split_once(SECTION_END)?;
        Some(Section { id: id.to_owned(), html: html.to_owned() })
    };
    html.split(SECTION).skip(1).filter_map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_self_contained_and_escaped() {
        let mut report = Report::new("a<b");
        report.section("Similarity", "per layer");
        report.bars(&[Bar { layer: "conv<1>".into(), value: 0.99 }], 0.9, 1.0, 4);
        report.histograms(&[LayerHistogram { layer: "x".into(), counts: vec![1.0, 0.0], range: 2.0, lines: vec![Line { name: "kl".into(), threshold: 1.0 }] }]);
        report.table(&["photo", "cos"], &[vec!["a.jpg".into(), "0.5".into()]]);
        let html = page(&report.title, &report.sections);
        assert!(html.contains("conv&lt;1&gt;") && html.contains("x1=\"110.0\"") && html.contains("<td class=n>0.5</td>"));
        assert!(!html.contains("http"));
        report.sortable_table(&["a".into()], &[vec!["1".into()]]);
        assert!(page(&report.title, &report.sections).contains("<table class=sort><tr><th>a</th></tr>"));
    }

    #[test]
    fn a_second_report_adds_to_the_first() {
        let sections = |names: &[&str]| names.iter().map(|n| Section { id: (*n).into(), html: format!("<p>{n}</p>") }).collect::<Vec<_>>();
        let found = sections_of(&page("t", &sections(&["a", "b"])));
        assert_eq!(found.iter().map(|s| (s.id.as_str(), s.html.as_str())).collect::<Vec<_>>(), [("a", "<p>a</p>"), ("b", "<p>b</p>")]);
        assert!(sections_of("<section id=\"a\">somebody else's</section>").is_empty());
    }
}
