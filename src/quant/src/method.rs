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
}

impl Method {
    pub const ALL: [Method; 2] = [Method::Kl, Method::Max];

    /// The word of `--cali_method` and of calibration tables.
    pub fn name(self) -> &'static str {
        match self {
            Method::Kl => "kl",
            Method::Max => "max",
        }
    }

    /// Whether the tuner follows a plain calibration with this method. (A search tunes every method.)
    pub fn is_tuned(self) -> bool {
        match self {
            Method::Kl => true,
            Method::Max => false,
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
#[error("unknown calibration method '{found}', expected one of: {}", Method::ALL.map(Method::name).join(", "))]
pub struct UnknownMethod {
    pub found: String,
}

impl FromStr for Method {
    type Err = UnknownMethod;

    /// The method of a word, with or without the prefix `use_`, in any case.
    fn from_str(word: &str) -> Result<Method, UnknownMethod> {
        let lower = word.to_ascii_lowercase();
        let bare = lower.strip_prefix("use_").unwrap_or(&lower);
        Method::ALL.into_iter().find(|m| m.name() == bare).ok_or_else(|| UnknownMethod { found: word.to_owned() })
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
        assert_eq!("mean".parse::<Method>().unwrap_err().to_string(), "unknown calibration method 'mean', expected one of: kl, max");
    }
}
