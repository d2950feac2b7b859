//! Settings that are tried: scored once, remembered, told to a log.

use super::journal::Journal;
use super::python;
use crate::error::QuantError;
use crate::evaluator::{Evaluator, Network, Setting};
use crate::similarity::Similarity;
use tpuc_lowering::Mode;
use tpuc_ops::Program;
use tpuc_tensor::DType;

/// An evaluator with memory and a log.
pub struct Trials<'a> {
    pub evaluator: Evaluator<'a>,
    pub journal: Journal,
    /// Gets the messages of the log, without what stands in front of every line.
    pub log: &'a dyn Fn(&str),
    /// Gets the part that is done and what is being done.
    pub progress: &'a dyn Fn(f64, &str),
    /// The network's file as logs call it.
    pub mlir: String,
    /// The float mode of layers that are not INT8.
    pub float: Mode,
}

impl<'a> Trials<'a> {
    pub fn program(&self) -> &'a Program {
        self.evaluator.program()
    }

    /// Layer name of a node.
    pub fn name(&self, node: usize) -> &'a str {
        self.program().node_name(node)
    }

    /// The op's word in logs: `top.Conv`.
    pub fn kind(&self, node: usize) -> &'static str {
        self.program().nodes[node].op.name()
    }

    pub fn say(&self, message: impl AsRef<str>) {
        (self.log)(message.as_ref());
    }

    /// Tells the log that a lowered network runs.
    pub fn say_int8(&self) {
        self.say(format!("run int8 mode: {}", self.mlir));
    }

    /// The scores of settings; those that are known are not computed again.
    pub fn scores(&mut self, settings: &[Setting]) -> Result<Vec<f64>, QuantError> {
        let samples = self.evaluator.samples();
        self.scores_on(settings, samples)
    }

    /// The same on the first samples only.
    pub fn scores_on(&mut self, settings: &[Setting], samples: usize) -> Result<Vec<f64>, QuantError> {
        self.scores_by(Similarity::Cosine, settings, samples)
    }

    /// The same by another measure.
    pub fn scores_by(&mut self, measure: Similarity, settings: &[Setting], samples: usize) -> Result<Vec<f64>, QuantError> {
        let keys: Vec<String> = settings.iter().map(|s| key(measure, s, samples)).collect();
        let mut found: Vec<Option<f64>> = keys.iter().map(|key| self.journal.get(key)).collect();
        let missing: Vec<usize> = (0..settings.len()).filter(|&i| found[i].is_none()).collect();
        let mut missing = &missing[..];
        while let Some(&first) = missing.first() {
            let mut networks = vec![self.evaluator.network(&settings[first])?];
            while networks.len() < missing.len() && self.evaluator.has_room() {
                networks.push(self.evaluator.network(&settings[missing[networks.len()]])?);
            }
            let scores = self.evaluator.scores_by(measure, &networks.iter().collect::<Vec<_>>(), samples)?;
            let (scored, rest) = missing.split_at(networks.len());
            for (&i, score) in scored.iter().zip(scores) {
                self.journal.put(&keys[i], score)?;
                found[i] = Some(score);
            }
            missing = rest;
        }
        Ok(found.into_iter().flatten().collect())
    }

    pub fn score(&mut self, setting: &Setting) -> Result<f64, QuantError> {
        Ok(self.scores(std::slice::from_ref(setting))?.into_iter().next().unwrap_or(0.0))
    }

    /// Takes note of a score that was found on the way.
    pub fn know(&mut self, setting: &Setting, score: f64) -> Result<(), QuantError> {
        let key = key(Similarity::Cosine, setting, self.evaluator.samples());
        Ok(self.journal.put(&key, score)?)
    }

    /// Whether all of these are known already.
    pub fn are_known(&self, settings: &[Setting]) -> bool {
        self.are_known_by(Similarity::Cosine, settings, self.evaluator.samples())
    }

    /// The same for another measure and some samples.
    pub fn are_known_by(&self, measure: Similarity, settings: &[Setting], samples: usize) -> bool {
        settings.iter().all(|s| self.journal.get(&key(measure, s, samples)).is_some())
    }

    /// Whether the lowered network knows the layer by its name. One that a chip lowers to ops of other names (a softmax that is
    /// reshaped, say) is never found to be mixed: the documents' searches leave it as it is.
    pub fn is_known_by_name(&self, network: &Network, layer: usize) -> bool {
        network.layers[layer].as_ref().is_some_and(|n| n.name == self.name(layer))
    }

    /// The layers of a network, and those of them that are computed in 8 bits.
    pub fn int8_layers(&self, network: &Network) -> (usize, Vec<usize>) {
        let is_int8 = |node: &usize| network.layers[*node].as_ref().is_some_and(|n| matches!(n.ty.elem.storage(), DType::I8 | DType::U8));
        let all = (0..network.layers.len()).filter(|&n| self.is_known_by_name(network, n));
        (all.clone().count(), all.filter(is_int8).collect())
    }

    /// The layers that are computed in integers of any size.
    pub fn integer_layers(&self, network: &Network) -> Vec<usize> {
        let is_integer = |node: &usize| network.layers[*node].as_ref().is_some_and(|n| !matches!(n.ty.elem.storage(), DType::F32 | DType::F16 | DType::BF16));
        (0..network.layers.len()).filter(is_integer).collect()
    }

    /// The compared layers as the log names them.
    pub fn compared(&self) -> String {
        let names: Vec<&str> = self.evaluator.compared().map(|n| self.name(n)).collect();
        if names.is_empty() { "None".into() } else { python::list(names) }
    }
}

/// What a journal calls a score.
fn key(measure: Similarity, setting: &Setting, samples: usize) -> String {
    match measure {
        Similarity::Cosine => format!("{}/{samples}", setting.fingerprint()),
        Similarity::Snr => format!("{}/{samples}/{measure}", setting.fingerprint()),
    }
}
