//! How similar two sets of tensors are (`npz_tool compare`, the checks of `model_deploy`).

use std::fmt::Write as _;
use tpuc_tensor::Tensor;

/// What a comparison of two tensors found, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    /// Within a relative tolerance of 10^-order.
    Close { order: u32 },
    Similar,
    NotSimilar,
    /// The shapes hold different numbers of elements.
    NotMatch,
}

impl Verdict {
    pub fn passed(self) -> bool {
        matches!(self, Verdict::Equal | Verdict::Close { .. } | Verdict::Similar)
    }

    /// The documented word (one of them is misspelt there, and scripts look for it).
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Equal => "EQUAL",
            Verdict::Close { .. } => "CLOSE",
            Verdict::Similar => "SIMILAR",
            Verdict::NotSimilar => "NOT_SIMLIAR",
            Verdict::NotMatch => "NOT_MATCH",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Comparison {
    pub name: String,
    pub shape: Vec<usize>,
    pub verdict: Verdict,
    pub cosine: f64,
    pub euclidean: f64,
    /// Signal to quantization noise ratio in dB; infinite for equal tensors.
    pub sqnr: f64,
}

/// Compares element by element. NaN counts as 0 and infinities as 10000, so that one bad element shows in the
/// similarity instead of hiding it.
pub fn compare(name: &str, target: &Tensor, reference: &Tensor, tolerance: (f64, f64)) -> Comparison {
    let mut result = Comparison { name: name.to_owned(), shape: target.shape().to_vec(), verdict: Verdict::NotMatch, cosine: 0.0, euclidean: 0.0, sqnr: f64::NEG_INFINITY };
    if target.len() != reference.len() {
        return result;
    }
    let (a, b) = (target.to_f32(), reference.to_f32());
    if a == b {
        return Comparison { verdict: Verdict::Equal, cosine: 1.0, euclidean: 1.0, sqnr: f64::INFINITY, ..result };
    }
    let clean = |v: f32| match v {
        v if v.is_nan() => 0.0,
        v if v.is_infinite() => f64::from(v.signum()) * 10000.0,
        v => f64::from(v),
    };
    let pairs = || a.iter().zip(&b).map(|(&x, &y)| (clean(x), clean(y)));
    let (mut dot, mut aa, mut bb, mut difference, mut mean) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut sum, mut noise_sum, mut noise_squares) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        dot += x * y;
        aa += x * x;
        bb += y * y;
        difference += (x - y) * (x - y);
        mean += (x + y) * (x + y) / 4.0;
        sum += x;
        noise_sum += x - y;
        noise_squares += (x - y) * (x - y);
    }
    result.cosine = if aa == 0.0 || bb == 0.0 { 0.0 } else { dot / (aa.sqrt() * bb.sqrt()) };
    result.euclidean = 1.0 - difference.sqrt() / (mean.sqrt() + 1e-7);
    let count = a.len() as f64;
    let variance = |squares: f64, sum: f64| (squares / count - (sum / count) * (sum / count)).max(0.0);
    let (signal, noise) = (variance(aa, sum), variance(noise_squares, noise_sum));
    result.sqnr = if signal == 0.0 || noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() };
    let close = |order: u32| {
        let relative = 10f64.powi(-(order as i32));
        a.iter().zip(&b).all(|(&x, &y)| x == y || (f64::from(x) - f64::from(y)).abs() <= 1e-8 + relative * f64::from(y).abs())
    };
    result.verdict = match [5, 4, 3].into_iter().find(|&order| close(order)) {
        Some(order) => Verdict::Close { order },
        None if result.cosine > tolerance.0 && result.euclidean > tolerance.1 => Verdict::Similar,
        None => Verdict::NotSimilar,
    };
    result
}

/// The comparisons of all tensors of two files, with what the documents print of them.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub list: Vec<Comparison>,
}

impl Summary {
    fn count(&self, test: impl Fn(&Comparison) -> bool) -> usize {
        self.list.iter().filter(|c| test(c)).count()
    }

    pub fn passed(&self) -> bool {
        self.list.iter().all(|c| c.verdict.passed())
    }

    /// Smallest cosine, euclidean similarity and SQNR.
    pub fn minimum(&self) -> (f64, f64, f64) {
        self.list.iter().fold((1.0, 1.0, f64::INFINITY), |m, c| (m.0.min(c.cosine), m.1.min(c.euclidean), m.2.min(c.sqnr)))
    }

    pub fn text(&self, target: &str, reference: &str, verbose: u8) -> String {
        let mut out = String::from("\n\n");
        for c in &self.list {
            let mark = if c.verdict.passed() { "PASSED" } else { "FAILED" };
            writeln!(out, "[{:<32}] {:>12} [{mark}]", c.name, c.verdict.word()).ok();
            if verbose == 0 {
                continue;
            }
            writeln!(out, "    {:?} float32", c.shape).ok();
            match c.verdict {
                Verdict::Close { order } => writeln!(out, "    close order            = {order}").ok(),
                Verdict::Similar | Verdict::NotSimilar => writeln!(
                    out,
                    "    cosine_similarity      = {:.6}\n    euclidean_similarity   = {:.6}\n    sqnr_similarity        = {:.6}",
                    c.cosine, c.euclidean, c.sqnr
                )
                .ok(),
                Verdict::Equal | Verdict::NotMatch => None,
            };
        }
        let passed = self.count(|c| c.verdict.passed());
        let (equal, close) = (self.count(|c| c.verdict == Verdict::Equal), self.count(|c| matches!(c.verdict, Verdict::Close { .. })));
        let not_match = self.count(|c| c.verdict == Verdict::NotMatch);
        let failed = self.list.len() - passed;
        let (cosine, euclidean, sqnr) = self.minimum();
        writeln!(out, "{} compared\n{passed} passed\n  {equal} equal, {close} close, {} similar", self.list.len(), passed - equal - close).ok();
        writeln!(out, "{failed} failed\n  {not_match} not equal, {} not similar", failed - not_match).ok();
        writeln!(out, "min_similarity = ({cosine}, {euclidean}, {sqnr})\nTarget    {target}\nReference {reference}").ok();
        write!(out, "npz compare {}.", if self.passed() { "PASSED" } else { "FAILED" }).ok();
        out
    }

    pub fn csv(&self) -> String {
        let mut out = String::from("name, op, quant, pass, sim_cos, sim_euc, sqnr\n");
        for c in &self.list {
            writeln!(out, "{}, , , {}, {}, {}, {}", c.name, c.verdict.passed(), c.cosine, c.euclidean, c.sqnr).ok();
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tensor(data: &[f32]) -> Tensor {
        Tensor::f32(&[data.len()], data.to_vec()).unwrap()
    }

    #[test]
    fn verdicts() {
        let verdict = |a: &[f32], b: &[f32]| compare("t", &tensor(a), &tensor(b), (0.99, 0.9)).verdict;
        assert_eq!(verdict(&[1.0, 2.0], &[1.0, 2.0]), Verdict::Equal);
        assert_eq!(verdict(&[1.0, 2.0], &[1.0005, 2.0]), Verdict::Close { order: 3 });
        assert_eq!(verdict(&[1.0, 2.0], &[1.02, 2.0]), Verdict::Similar);
        assert_eq!(verdict(&[1.0, 2.0], &[-1.0, 2.0]), Verdict::NotSimilar);
        assert_eq!(verdict(&[1.0, 2.0], &[1.0]), Verdict::NotMatch);
        assert_eq!(verdict(&[f32::NAN, 2.0], &[5.0, 2.0]), Verdict::NotSimilar);
    }

    #[test]
    fn similarities() {
        let c = compare("t", &tensor(&[1.0, 0.0]), &tensor(&[0.0, 1.0]), (0.9, 0.9));
        assert_eq!(c.cosine, 0.0);
        assert!((c.euclidean - (1.0 - 2f64.sqrt() / (0.5f64.sqrt() + 1e-7))).abs() < 1e-9);
    }
}
