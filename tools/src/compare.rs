//! How similar two sets of tensors are (`npz_tool compare`, the checks of `model_deploy`).

use crate::cli;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tpuc_tensor::{DType, Tensor};

/// What a comparison of two tensors found, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    /// Within a relative tolerance of 10^-order.
    Close { order: u32 },
    Similar,
    NotSimilar,
    /// Integers of 8 bits that should be equal and are not.
    NotEqual,
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
            Verdict::NotEqual => "NOT_EQUAL",
            Verdict::NotMatch => "NOT_MATCH",
        }
    }
}

/// What counts as similar.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Least cosine and euclidean similarity.
    pub tolerance: (f64, f64),
    /// Tensors of 8-bit integers must be equal.
    pub exact_int8: bool,
    /// Each slice along this axis must be similar for itself.
    pub axis: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Comparison {
    pub name: String,
    pub shape: Vec<usize>,
    /// Of the target.
    pub dtype: DType,
    pub verdict: Verdict,
    pub cosine: f64,
    pub euclidean: f64,
    /// Signal to quantization noise ratio in dB; infinite for equal tensors.
    pub sqnr: f64,
    /// The least similar slice, where slices are compared.
    pub slice: Option<usize>,
}

impl Comparison {
    /// Its similarities say something: the tensors are neither equal nor close, and have the same number of elements.
    fn has_similarity(&self) -> bool {
        matches!(self.verdict, Verdict::Similar | Verdict::NotSimilar)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "shape": self.shape, "verdict": self.verdict.word(), "passed": self.verdict.passed(),
            "cosine": cli::number(self.cosine), "euclidean": cli::number(self.euclidean), "sqnr": cli::number(self.sqnr),
        })
    }
}

/// Compares two float tensors.
pub fn compare(name: &str, target: &Tensor, reference: &Tensor, tolerance: (f64, f64)) -> Comparison {
    compare_by(name, target, reference, &Rule { tolerance, exact_int8: false, axis: None })
}

/// Compares element by element. 16-bit unsigned integers are the bits of bfloat16 numbers, as in all files of this family; where
/// one side is int8 the other becomes int8 too.
pub fn compare_by(name: &str, target: &Tensor, reference: &Tensor, rule: &Rule) -> Comparison {
    let (shape, dtype) = (target.shape().to_vec(), target.dtype());
    let result = Comparison { name: name.to_owned(), shape, dtype, verdict: Verdict::NotMatch, cosine: 0.0, euclidean: 0.0, sqnr: f64::NEG_INFINITY, slice: None };
    if target.len() != reference.len() {
        return result;
    }
    let is_int8 = [target, reference].iter().any(|t| t.dtype() == DType::I8);
    let (a, b) = (values(target, is_int8), values(reference, is_int8));
    if a == b {
        return Comparison { verdict: Verdict::Equal, cosine: 1.0, euclidean: 1.0, sqnr: f64::INFINITY, ..result };
    }
    if is_int8 && rule.exact_int8 {
        return Comparison { verdict: Verdict::NotEqual, ..similarities(&a, &b, rule.tolerance, result) };
    }
    let slices = match rule.axis {
        Some(axis) if axis < target.shape().len() => target.shape()[..=axis].iter().product::<usize>(),
        _ => 1,
    };
    let length = (a.len() / slices.max(1)).max(1);
    let each = a.chunks(length).zip(b.chunks(length)).enumerate().map(|(i, (a, b))| {
        let slice = (slices > 1).then_some(i);
        Comparison { slice, ..similarities(a, b, rule.tolerance, result.clone()) }
    });
    // The worst slice speaks for the tensor: a failed one with the least cosine, or else the least similar.
    let rank = |c: &Comparison| (c.verdict.passed(), !c.has_similarity(), c.cosine);
    let order = |a: &Comparison, b: &Comparison| {
        let (a, b) = (rank(a), rank(b));
        (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))
    };
    each.min_by(order).unwrap_or(result)
}

/// The elements as float32; cut to int8 where the other side is that.
fn values(tensor: &Tensor, int8: bool) -> Vec<f32> {
    let mut values = match tensor.as_u16() {
        Some(bits) => bits.iter().map(|&b| f32::from_bits(u32::from(b) << 16)).collect(),
        None => tensor.to_f32(),
    };
    if int8 && tensor.dtype() != DType::I8 {
        values.iter_mut().for_each(|v| *v = f32::from(*v as i8));
    }
    values
}

/// The similarities of two runs of elements and the verdict on them. NaN counts as 0 and infinities as 10000, so that one bad
/// element shows in the similarity instead of hiding it.
fn similarities(a: &[f32], b: &[f32], tolerance: (f64, f64), mut result: Comparison) -> Comparison {
    let clean = |v: f32| match v {
        v if v.is_nan() => 0.0,
        v if v.is_infinite() => f64::from(v.signum()) * 10000.0,
        v => f64::from(v),
    };
    let (mut dot, mut aa, mut bb, mut difference, mut mean) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut sum, mut noise_sum) = (0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (clean(x), clean(y));
        dot += x * y;
        aa += x * x;
        bb += y * y;
        difference += (x - y) * (x - y);
        mean += (x + y) * (x + y) / 4.0;
        sum += x;
        noise_sum += x - y;
    }
    result.cosine = if aa == 0.0 || bb == 0.0 { 0.0 } else { dot / (aa.sqrt() * bb.sqrt()) };
    result.euclidean = 1.0 - difference.sqrt() / (mean.sqrt() + 1e-7);
    let count = a.len() as f64;
    let variance = |squares: f64, sum: f64| (squares / count - (sum / count) * (sum / count)).max(0.0);
    let (signal, noise) = (variance(aa, sum), variance(difference, noise_sum));
    result.sqnr = if signal == 0.0 || noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() };
    let close = |order: u32| {
        let relative = 10f64.powi(-(order as i32));
        let is_close = |x: f32, y: f32| x == y || (x.is_nan() && y.is_nan()) || (f64::from(x) - f64::from(y)).abs() <= 1e-8 + relative * f64::from(y).abs();
        a.iter().zip(b).all(|(&x, &y)| is_close(x, y))
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

    /// Smallest cosine, euclidean similarity and SQNR of those that are neither equal nor close.
    pub fn minimum(&self) -> (f64, f64, f64) {
        let list = self.list.iter().filter(|c| c.has_similarity());
        list.fold((1.0, 1.0, f64::INFINITY), |m, c| (m.0.min(c.cosine), m.1.min(c.euclidean), m.2.min(c.sqnr)))
    }

    pub fn text(&self, target: &str, reference: &str, verbose: u8) -> String {
        let mut out = String::from("\n\n");
        for c in &self.list {
            out.push_str(&line(c, verbose));
        }
        out.push_str(&self.totals(target, reference));
        out
    }

    /// What stands under the list of tensors.
    pub fn totals(&self, target: &str, reference: &str) -> String {
        let mut out = String::new();
        let (compared, passed) = (self.list.len(), self.count(|c| c.verdict.passed()));
        let (equal, close) = (self.count(|c| c.verdict == Verdict::Equal), self.count(|c| matches!(c.verdict, Verdict::Close { .. })));
        let (not_equal, not_similar) = (self.count(|c| c.verdict == Verdict::NotEqual), self.count(|c| c.verdict == Verdict::NotSimilar));
        let not_match = compared - passed - not_equal - not_similar;
        let (cosine, euclidean, sqnr) = self.minimum();
        writeln!(out, "{compared} compared\n{passed} passed\n  {equal} equal, {close} close, {} similar", passed - equal - close).ok();
        let shapes = if not_match > 0 { format!(", {not_match} of another shape") } else { String::new() };
        writeln!(out, "{} failed\n  {not_equal} not equal, {not_similar} not similar{shapes}", compared - passed).ok();
        writeln!(out, "min_similarity = ({cosine:?}, {euclidean:?}, {sqnr:?})\nTarget    {target}\nReference {reference}").ok();
        write!(out, "npz compare {}.", if self.passed() { "PASSED" } else { "FAILED" }).ok();
        out
    }

    /// The comparison as a table; a similarity is 1 where the tensors are equal or close.
    pub fn csv(&self) -> String {
        let mut out = String::from("name, op, quant, pass, sim_cos, sim_euc, sqnr\n");
        for c in &self.list {
            let passed = if c.verdict.passed() { "True" } else { "False" };
            let (cosine, euclidean, sqnr) = if c.has_similarity() { (c.cosine, c.euclidean, c.sqnr) } else { (1.0, 1.0, f64::INFINITY) };
            writeln!(out, "{}, -, -, {passed}, {cosine:?}, {euclidean:?}, {sqnr:?}", c.name).ok();
        }
        out
    }

    /// The comparison for programs.
    pub fn json(&self, target: &str, reference: &str) -> Value {
        let (cosine, euclidean, sqnr) = self.minimum();
        let passed = self.count(|c| c.verdict.passed());
        json!({
            "target": target, "reference": reference, "compared": self.list.len(), "passed": passed, "failed": self.list.len() - passed,
            "min_cosine": cli::number(cosine), "min_euclidean": cli::number(euclidean), "min_sqnr": cli::number(sqnr),
            "tensors": self.list.iter().map(Comparison::json).collect::<Vec<_>>(),
        })
    }
}

/// What is printed of one comparison.
pub fn line(c: &Comparison, verbose: u8) -> String {
    let mark = if c.verdict.passed() { "PASSED" } else { "FAILED" };
    let mut out = format!("[{:<32}] {:>12} [{mark}]\n", cli::one_line(&c.name), c.verdict.word());
    if verbose == 0 {
        return out;
    }
    writeln!(out, "    {} {} ", tuple(&c.shape), numpy_name(c.dtype)).ok();
    if let Some(slice) = c.slice {
        writeln!(out, "    slice {slice} :").ok();
    }
    if let Verdict::Close { order } = c.verdict {
        writeln!(out, "    close order            = {order}").ok();
    }
    if c.has_similarity() {
        let lines = [("cosine_similarity ", c.cosine), ("euclidean_similarity", c.euclidean), ("sqnr_similarity", c.sqnr)];
        lines.iter().for_each(|(name, value)| writeln!(out, "    {name:<22} = {value:.6}").unwrap_or(()));
    }
    out
}

/// NumPy's name of an element type.
pub fn numpy_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "float64",
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::I64 => "int64",
        DType::U64 => "uint64",
        DType::I32 => "int32",
        DType::U32 => "uint32",
        DType::I16 => "int16",
        DType::U16 => "uint16",
        DType::I8 => "int8",
        DType::U8 => "uint8",
        DType::Bool => "bool",
    }
}

/// A shape as Python writes it: `(1, 3)`, `(4,)`.
pub fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        more => format!("({})", more.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
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
        assert_eq!(verdict(&[f32::NAN, 2.0], &[f32::NAN, 2.0]), Verdict::Close { order: 5 });
    }

    #[test]
    fn rules() {
        let rule = Rule { tolerance: (0.99, 0.9), exact_int8: true, axis: None };
        let int8 = Tensor::i8(&[2], vec![100, 50]).unwrap();
        assert_eq!(compare_by("t", &int8, &tensor(&[100.0, 51.0]), &rule).verdict, Verdict::NotEqual);
        assert_eq!(compare_by("t", &int8, &tensor(&[100.9, 50.2]), &rule).verdict, Verdict::Equal);
        assert_eq!(compare_by("t", &int8, &tensor(&[100.0, 51.0]), &Rule { exact_int8: false, ..rule }).verdict, Verdict::Similar);
        let bf16 = Tensor::u16(&[2], vec![0x3f80, 0x4000]).unwrap();
        assert_eq!(compare_by("t", &bf16, &tensor(&[1.0, 2.0]), &rule).verdict, Verdict::Equal);
        // The whole is similar, its second channel is not.
        let two = |v: [f32; 4]| Tensor::f32(&[1, 2, 2], v.to_vec()).unwrap();
        let (a, b) = (two([100.0, 100.0, 1.0, 1.0]), two([100.0, 100.0, 1.0, -1.0]));
        assert_eq!(compare_by("t", &a, &b, &rule).verdict, Verdict::Similar);
        let worst = compare_by("t", &a, &b, &Rule { axis: Some(1), ..rule });
        assert_eq!((worst.verdict, worst.slice, worst.cosine), (Verdict::NotSimilar, Some(1), 0.0));
    }

    #[test]
    fn similarities() {
        let c = compare("t", &tensor(&[1.0, 0.0]), &tensor(&[0.0, 1.0]), (0.9, 0.9));
        assert_eq!(c.cosine, 0.0);
        assert!((c.euclidean - (1.0 - 2f64.sqrt() / (0.5f64.sqrt() + 1e-7))).abs() < 1e-9);
    }
}
