//! How near the outputs of a quantized network are to the float ones, as the searches measure it.
//!
//! Both measures are better the larger they are and at most 1 (`spec/calibration.md` section 10).

use crate::simd::{self, LANES};
use std::fmt;
use std::str::FromStr;
use tpuc_interp::TensorView;
use tpuc_tensor::tensor::ShapeMismatch;

/// What `--benchmark_method` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Similarity {
    /// `0.5 + 0.5 * cosine`; a cosine that is not a number counts as 0.
    #[default]
    Cosine,
    /// `1 - noise power / signal power`.
    Snr,
}

/// Keeps the noise of a silent output finite.
const SILENCE: f64 = 1e-7;

impl Similarity {
    pub const ALL: [Similarity; 2] = [Similarity::Cosine, Similarity::Snr];

    pub fn name(self) -> &'static str {
        match self {
            Similarity::Cosine => "cos",
            Similarity::Snr => "snr",
        }
    }

    /// The similarity of two tensors of the same length.
    pub fn of(self, float: &[f32], other: &[f32]) -> f64 {
        let mut sums = Sums::default();
        sums.add(float, other);
        self.of_sums(&sums)
    }

    /// The similarity of two tensors of as many elements: what [`Similarity::of`] gives of these in memory order where both have the same
    /// shape and layout, in row-major order otherwise.
    pub fn of_views(self, float: &TensorView, other: &TensorView) -> Result<f64, ShapeMismatch> {
        if float.elements.len() != other.elements.len() {
            return Err(ShapeMismatch { shape: float.shape.to_vec(), found: other.elements.len() });
        }
        if !float.is_ordered_as(other) {
            let (float, other) = (float.to_f32()?, other.to_f32()?);
            return Ok(self.of(float.as_f32().unwrap_or_default(), other.as_f32().unwrap_or_default()));
        }
        let mut buffers = [[0.0; PIECE]; 2];
        let [first, second] = &mut buffers;
        let mut sums = Sums::default();
        let count = float.elements.len();
        for start in (0..count).step_by(PIECE) {
            let range = start..(start + PIECE).min(count);
            sums.add(float.floats(range.clone(), first)?, other.floats(range, second)?);
        }
        Ok(self.of_sums(&sums))
    }

    fn of_sums(self, sums: &Sums) -> f64 {
        let [product, power, other_power, noise] = sums.0.map(|lanes| lanes.iter().sum::<f64>());
        match self {
            Similarity::Cosine => match product / (power.sqrt() * other_power.sqrt()) {
                cosine if cosine.is_nan() => 0.5,
                cosine => 0.5 + 0.5 * cosine,
            },
            Similarity::Snr => 1.0 - noise / (power + SILENCE),
        }
    }
}

/// Elements that are converted to f32 at a time: both tensors' stay in the nearest cache. A multiple of [`LANES`].
const PIECE: usize = 2048;

/// Sums over the elements of two tensors, each in as many parts as the widest vector has elements: of products, of squares of one and
/// the other, of squared differences.
#[derive(Default)]
struct Sums([[f64; LANES]; 4]);

impl Sums {
    /// Adds up more elements. But for the last ones they are a multiple of [`LANES`].
    fn add(&mut self, float: &[f32], other: &[f32]) {
        simd::add_products(float, other, &mut self.0);
    }
}

impl fmt::Display for Similarity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no measure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown measure '{found}', expected cos or snr")]
pub struct UnknownSimilarity {
    pub found: String,
}

impl FromStr for Similarity {
    type Err = UnknownSimilarity;

    fn from_str(word: &str) -> Result<Similarity, UnknownSimilarity> {
        Similarity::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(word)).ok_or_else(|| UnknownSimilarity { found: word.to_owned() })
    }
}

/// Tensors that are compared, with their weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComparedLayers(pub Vec<(String, f64)>);

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComparedLayersError {
    #[error("'{found}' should be layer or layer:weight, with a weight of 0 to 1")]
    Entry { found: String },
    #[error("'{found}' has an empty name; expected layer1,layer2 or layer1:0.3,layer2:0.7")]
    NoName { found: String },
    #[error("either all layers have a weight or none")]
    SomeWeights,
    #[error("the weights add up to {sum}, expected 1")]
    Sum { sum: f64 },
}

impl FromStr for ComparedLayers {
    type Err = ComparedLayersError;

    /// `layer1,layer2` or `layer1:0.3,layer2:0.7`. No text at all: the outputs of the network.
    fn from_str(text: &str) -> Result<ComparedLayers, ComparedLayersError> {
        if text.trim().is_empty() {
            return Ok(ComparedLayers::default());
        }
        let entries: Vec<&str> = text.split(',').map(str::trim).collect();
        if entries.iter().any(|entry| entry.is_empty() || entry.starts_with(':')) {
            return Err(ComparedLayersError::NoName { found: text.to_owned() });
        }
        let weighted = |entry: &&str| {
            let error = || ComparedLayersError::Entry { found: (*entry).to_owned() };
            let (name, weight) = entry.rsplit_once(':').ok_or_else(error)?;
            let weight = weight.trim().parse::<f64>().ok().filter(|w| (0.0..=1.0).contains(w)).ok_or_else(error)?;
            Ok((name.trim().to_owned(), weight))
        };
        match entries.iter().filter(|e| e.contains(':')).count() {
            0 => Ok(ComparedLayers(entries.iter().map(|e| ((*e).to_owned(), 1.0)).collect())),
            n if n == entries.len() => {
                let layers = entries.iter().map(weighted).collect::<Result<Vec<_>, _>>()?;
                let sum: f64 = layers.iter().map(|l| l.1).sum();
                if (sum - 1.0).abs() > 1e-9 { Err(ComparedLayersError::Sum { sum }) } else { Ok(ComparedLayers(layers)) }
            }
            _ => Err(ComparedLayersError::SomeWeights),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpuc_interp::{Layout, Scaling, Slice};

    #[test]
    fn measures() {
        assert_eq!(Similarity::Cosine.of(&[1.0, 0.0], &[2.0, 0.0]), 1.0);
        assert_eq!(Similarity::Cosine.of(&[1.0, 0.0], &[0.0, 2.0]), 0.5);
        assert_eq!(Similarity::Cosine.of(&[0.0], &[1.0]), 0.5);
        assert!((Similarity::Snr.of(&[2.0, 0.0], &[2.0, 1.0]) - 0.75).abs() < 1e-7);
        assert_eq!("SNR".parse(), Ok(Similarity::Snr));
        assert!("sqnr".parse::<Similarity>().is_err());
    }

    #[test]
    fn parts_of_tensors_are_the_tensor() {
        let shape = [1, 3, 37, 41];
        let count: usize = shape.iter().product();
        let ints: Vec<i8> = (0..count).map(|i| (i * 37 % 251) as u8 as i8).collect();
        let floats: Vec<f32> = (0..count).map(|i| (i * 91 % 503) as f32 * 0.37 - 90.0).collect();
        let scale = Some(Scaling { scale: 0.02, zero_point: 3 });
        let view = |layout| TensorView { shape: &shape, layout, elements: Slice::I8(&ints), scale };
        let float = |layout| TensorView { shape: &shape, layout, elements: Slice::F32(&floats), scale: None };
        for measure in Similarity::ALL {
            let of = |a: TensorView, b: TensorView| measure.of_views(&a, &b).unwrap();
            let whole = |a: TensorView, b: TensorView| measure.of(&a.to_f32().unwrap().to_f32(), &b.to_f32().unwrap().to_f32());
            let (rows, last) = (Layout::RowMajor, Layout::ChannelsLast);
            assert_eq!(of(float(rows), view(rows)), whole(float(rows), view(rows)));
            assert_eq!(of(float(rows), view(last)), whole(float(rows), view(last)));
            assert_eq!(of(float(last), view(last)), whole(float(rows), view(rows)), "the same elements in the same order");
            // In any order the sums are nearly the same.
            assert!((whole(float(last), view(last)) - of(float(last), view(last))).abs() < 1e-12);
        }
        let small = TensorView { shape: &[1, 3], layout: Layout::RowMajor, elements: Slice::F32(&floats[..3]), scale: None };
        assert!(Similarity::Cosine.of_views(&small, &view(Layout::RowMajor)).is_err());
        let flat = TensorView { shape: &[1, count], ..view(Layout::RowMajor) };
        assert_eq!(Similarity::Cosine.of_views(&float(Layout::ChannelsLast), &flat), Similarity::Cosine.of_views(&float(Layout::ChannelsLast), &view(Layout::RowMajor)));
    }

    #[test]
    fn layers() {
        let parse = |text: &str| text.parse::<ComparedLayers>();
        assert_eq!(parse(""), Ok(ComparedLayers::default()));
        assert_eq!(parse("a, b"), Ok(ComparedLayers(vec![("a".into(), 1.0), ("b".into(), 1.0)])));
        assert_eq!(parse("a:0.3,b:0.7"), Ok(ComparedLayers(vec![("a".into(), 0.3), ("b".into(), 0.7)])));
        assert_eq!(parse("a:0.3,b"), Err(ComparedLayersError::SomeWeights));
        assert_eq!(parse("a:0.3,b:0.3").unwrap_err().to_string(), "the weights add up to 0.6, expected 1");
        assert_eq!(parse("a:x").unwrap_err().to_string(), "'a:x' should be layer or layer:weight, with a weight of 0 to 1");
        for text in [",", "a,", ",b", "a,,b", ":1"] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("'{text}' has an empty name; expected layer1,layer2 or layer1:0.3,layer2:0.7"));
        }
    }
}
