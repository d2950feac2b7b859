//! The keys of `--debug_cmd`: `key;key=value;...`, keys in any case.
//!
//! They override methods and tuning rules, and switch on what has no option of its own.

use crate::candidates::Rules;
use crate::method::{self, Method};
use crate::torch::ObserverType;
use std::path::PathBuf;
use tpuc_tensor::text::nearest;

/// What a debug command asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DebugCommand {
    /// Overrides `--cali_method`.
    pub method: Option<Method>,
    pub observer: ObserverType,
    /// Also thresholds of 4 bits.
    pub int4: bool,
    /// A table for 8-bit floats: absolute maxima.
    pub fp8: bool,
    pub rules: Rules,
    /// Tune on inputs that were computed from quantized activations.
    pub quantized_inputs: bool,
    /// Tune this table instead of calibrating.
    pub input_table: Option<PathBuf>,
    /// Resize pictures as Pillow does.
    pub use_pil_resize: bool,
    /// Say what the tuner changed.
    pub print_debug_info: bool,
    /// Write the names of the chosen samples.
    pub dump_list: bool,
    /// Known keys that change nothing here.
    pub without_effect: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DebugCommandError {
    #[error("unknown key '{found}'{}; the keys are: {}", nearest.map(|n| format!(", did you mean '{n}'?")).unwrap_or_default(), known().join(", "))]
    UnknownKey { found: String, nearest: Option<&'static str> },
    #[error("{key}={found}: expected {expected}")]
    Value { key: &'static str, found: String, expected: &'static str },
    #[error("'{first}' and '{second}' are two methods, expected one")]
    TwoMethods { first: Method, second: Method },
    #[error("{first} cannot be combined with {second}")]
    Together { first: &'static str, second: &'static str },
    #[error("{0}")]
    Observer(#[from] crate::torch::UnknownObserver),
}

/// Keys with a meaning here, methods aside.
const KEYS: [&str; 11] = [
    "int4", "fp8", "tune_steps", "min_tuned_diff", "find_lower_th", "not_use_fp32_tensor_as_ref", "input_calibration_table", "print_debug_info",
    "use_pil_resize", "observer_type", "dump_list",
];

/// Keys of the reference that draw, print or sample in ways which do not exist here.
const WITHOUT_EFFECT: [&str; 5] = ["debug_log", "visual_tensor", "dump_tensor_diff_by_html", "max_sampling", "cluster_one_by_one"];

fn known() -> Vec<&'static str> {
    let methods = Method::ALL.iter().map(|m| m.name());
    KEYS.into_iter().chain(WITHOUT_EFFECT).chain(methods).collect()
}

impl DebugCommand {
    pub fn parse(text: &str) -> Result<DebugCommand, DebugCommandError> {
        let mut command = DebugCommand::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').map_or((part, None), |(k, v)| (k, Some(v.trim())));
            command.take(&key.trim().to_ascii_lowercase(), value.unwrap_or_default())?;
        }
        command.check()?;
        Ok(command)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), DebugCommandError> {
        match key {
            "int4" => self.int4 = true,
            "fp8" => self.fp8 = true,
            "tune_steps" => self.rules.steps = number("tune_steps", value, "a whole number from 1 to 100000", |n| (1..=100_000).contains(n))?,
            "min_tuned_diff" => self.rules.min_difference = number("min_tuned_diff", value, "a number", |n: &f64| n.is_finite())?,
            "find_lower_th" => self.rules.from_below = true,
            "not_use_fp32_tensor_as_ref" => self.quantized_inputs = true,
            "input_calibration_table" if value.is_empty() => {
                return Err(DebugCommandError::Value { key: "input_calibration_table", found: String::new(), expected: "the name of a calibration table" });
            }
            "input_calibration_table" => self.input_table = Some(PathBuf::from(value)),
            "print_debug_info" => self.print_debug_info = true,
            "use_pil_resize" => self.use_pil_resize = true,
            "observer_type" => self.observer = value.parse()?,
            "dump_list" => self.dump_list = true,
            _ if WITHOUT_EFFECT.contains(&key) => self.without_effect.push(key.to_owned()),
            _ => self.take_method(key)?,
        }
        Ok(())
    }

    fn take_method(&mut self, key: &str) -> Result<(), DebugCommandError> {
        let bare = method::bare_word(key);
        let Some(found) = Method::ALL.into_iter().find(|m| m.name() == bare) else {
            return Err(DebugCommandError::UnknownKey { found: key.to_owned(), nearest: nearest(&bare, known()) });
        };
        match self.method.replace(found) {
            Some(first) if first != found => Err(DebugCommandError::TwoMethods { first, second: found }),
            _ => Ok(()),
        }
    }

    fn check(&mut self) -> Result<(), DebugCommandError> {
        let together = |first, second| Err(DebugCommandError::Together { first, second });
        match (self.int4, self.fp8, self.method) {
            (true, true, _) => together("int4", "fp8"),
            (true, _, Some(Method::TorchObserver)) => together("int4", "use_torch_observer_for_cali"),
            (_, true, Some(m)) if m != Method::Max => together("fp8", m.name()),
            (_, true, _) => {
                self.method = Some(Method::Max);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn number<T: std::str::FromStr>(key: &'static str, text: &str, expected: &'static str, fits: impl Fn(&T) -> bool) -> Result<T, DebugCommandError> {
    text.parse().ok().filter(fits).ok_or_else(|| DebugCommandError::Value { key, found: text.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let command = DebugCommand::parse("Tune_Steps=7; min_tuned_diff=0.5;use_MSE;observer_type=MovingAverageMinMaxObserver;input_calibration_table=a=b;debug_log;").unwrap();
        assert_eq!((command.rules.steps, command.rules.min_difference, command.method), (7, 0.5, Some(Method::Mse)));
        assert_eq!((command.observer, command.input_table), (ObserverType::MovingAverageMinMax, Some(PathBuf::from("a=b"))));
        assert_eq!(command.without_effect, ["debug_log"]);
        assert_eq!(DebugCommand::parse("use_torch_observer_for_cali").unwrap().method, Some(Method::TorchObserver));
        assert_eq!(DebugCommand::parse("fp8").unwrap().method, Some(Method::Max));
        assert_eq!(DebugCommand::parse("").unwrap(), DebugCommand::default());
    }

    #[test]
    fn mistakes() {
        let message = |text: &str| DebugCommand::parse(text).unwrap_err().to_string();
        assert!(message("tune_step=3").starts_with("unknown key 'tune_step', did you mean 'tune_steps'?; the keys are: int4,"));
        assert!(message("percentile999").contains("did you mean 'percentile9999'?"));
        assert_eq!(message("tune_steps=0"), "tune_steps=0: expected a whole number from 1 to 100000");
        assert_eq!(message("tune_steps"), "tune_steps=: expected a whole number from 1 to 100000");
        assert_eq!(message("min_tuned_diff=x"), "min_tuned_diff=x: expected a number");
        assert_eq!(message("mse;kl"), "'mse' and 'kl' are two methods, expected one");
        assert_eq!(message("int4;use_torch_observer_for_cali"), "int4 cannot be combined with use_torch_observer_for_cali");
        assert_eq!(message("fp8;kl"), "fp8 cannot be combined with kl");
        assert_eq!(message("observer_type=Mean"), "unknown observer 'Mean', expected one of: HistogramObserver, MovingAverageMinMaxObserver");
    }
}
