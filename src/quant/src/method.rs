//! How a threshold is chosen from the statistics of a tensor.

use std::fmt;
use std::str::FromStr;

/// A calibration method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Smallest Kullback-Leibler divergence between the activation's histogram and its 8-bit version.
    Kl,
    /// The absolute maximum.
    Max,
    /// Smallest mean squared error of quantization (OCTAV), mean over the samples.
    Mse,
    /// A percentile from 99.99 upwards.
    Percentile9999,
    /// Analytical clipping of a normal distribution, mean over the samples.
    AciqGauss,
    /// Analytical clipping of a Laplace distribution, mean over the samples.
    AciqLaplace,
    /// What a quantization observer of PyTorch finds.
    TorchObserver,
}

impl Method {
    pub const ALL: [Method; 7] =
        [Method::Kl, Method::Max, Method::Mse, Method::Percentile9999, Method::AciqGauss, Method::AciqLaplace, Method::TorchObserver];

    /// The word of `--cali_method` and of calibration tables.
    pub fn name(self) -> &'static str {
        match self {
            Method::Kl => "kl",
            Method::Max => "max",
            Method::Mse => "mse",
            Method::Percentile9999 => "percentile9999",
            Method::AciqGauss => "aciq_gauss",
            Method::AciqLaplace => "aciq_laplace",
            Method::TorchObserver => "torch_observer_for_cali",
        }
    }

    /// Whether the tuner follows a plain calibration with this method. (Searches have their own rule.)
    pub fn is_tuned(self) -> bool {
        match self {
            Method::Kl | Method::AciqGauss | Method::AciqLaplace => true,
            Method::Max | Method::Mse | Method::Percentile9999 | Method::TorchObserver => false,
        }
    }

    /// Whether some tensors take their absolute maximum instead: inputs, and the last ones of the network.
    pub fn spares_ends(self) -> bool {
        match self {
            Method::Mse | Method::AciqGauss | Method::AciqLaplace => true,
            Method::Kl | Method::Max | Method::Percentile9999 | Method::TorchObserver => false,
        }
    }

    /// Whether the sums behind it depend on the order of a tensor's elements.
    pub fn needs_row_major(self) -> bool {
        match self {
            Method::Mse | Method::AciqLaplace => true,
            Method::Kl | Method::Max | Method::Percentile9999 | Method::AciqGauss | Method::TorchObserver => false,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown calibration method '{found}'{}; expected one of: {}", nearest.map(|m| format!(", did you mean '{m}'?")).unwrap_or_default(), Method::ALL.map(Method::name).join(", "))]
pub struct UnknownMethod {
    pub found: String,
    pub nearest: Option<Method>,
}

/// A method's word without the prefix that the documents give it.
pub fn bare_word(word: &str) -> String {
    let lower = word.trim().to_ascii_lowercase();
    lower.strip_prefix("use_").map(str::to_owned).unwrap_or(lower)
}

impl FromStr for Method {
    type Err = UnknownMethod;

    /// The method of a word, with or without the prefix `use_`, in any case.
    fn from_str(word: &str) -> Result<Method, UnknownMethod> {
        let bare = bare_word(word);
        let by_name = |name: &str| Method::ALL.into_iter().find(|m| m.name() == name);
        by_name(&bare).ok_or_else(|| {
            let nearest = tpuc_tensor::text::nearest(&bare, Method::ALL.iter().map(|m| m.name())).and_then(by_name);
            UnknownMethod { found: word.to_owned(), nearest }
        })
    }
}

/// A set of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u8);

impl Methods {
    pub const fn none() -> Methods {
        Methods(0)
    }

    pub const fn with(self, method: Method) -> Methods {
        Methods(self.0 | 1 << method as u8)
    }

    pub const fn contains(self, method: Method) -> bool {
        self.0 & 1 << method as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`Method::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |m| self.contains(*m))
    }
}

impl From<Method> for Methods {
    fn from(method: Method) -> Methods {
        Methods::none().with(method)
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Methods {
        methods.into_iter().fold(Methods::none(), Methods::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!("kl".parse(), Ok(Method::Kl));
        assert_eq!("use_KL".parse(), Ok(Method::Kl));
        assert_eq!("MAX".parse(), Ok(Method::Max));
        for method in Method::ALL {
            assert_eq!(format!("use_{}", method.name()).parse(), Ok(method));
        }
        assert_eq!(
            "aciq_gaus".parse::<Method>().unwrap_err().to_string(),
            "unknown calibration method 'aciq_gaus', did you mean 'aciq_gauss'?; expected one of: kl, max, mse, percentile9999, aciq_gauss, aciq_laplace, torch_observer_for_cali"
        );
    }

    #[test]
    fn sets() {
        let set: Methods = [Method::Mse, Method::Kl].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Method::Kl, Method::Mse]);
        assert!(set.contains(Method::Mse) && !set.contains(Method::Max) && Methods::none().is_empty());
    }
}
