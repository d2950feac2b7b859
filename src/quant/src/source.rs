//! Where calibration samples come from.

use crate::error::SourceError;
use tpuc_imageio::Loader;
use tpuc_tensor::Tensor;

/// Samples by number; one sample is one run of the network. They are loaded from several threads at once.
pub trait SampleSource: Sync {
    /// How many samples there are.
    fn count(&self) -> usize;
    /// The tensors of the network's inputs, in their order.
    fn load(&self, sample: usize) -> Result<Vec<Tensor>, SourceError>;
    /// What an error message calls a sample: its files.
    fn describe(&self, sample: usize) -> String;
}

impl SampleSource for Loader {
    fn count(&self) -> usize {
        self.groups()
    }

    fn load(&self, sample: usize) -> Result<Vec<Tensor>, SourceError> {
        Loader::load(self, sample).map_err(Into::into)
    }

    fn describe(&self, sample: usize) -> String {
        let files = self.entries_of(sample).iter().flatten();
        files.map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

impl<S: SampleSource + ?Sized> SampleSource for &S {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn load(&self, sample: usize) -> Result<Vec<Tensor>, SourceError> {
        (**self).load(sample)
    }

    fn describe(&self, sample: usize) -> String {
        (**self).describe(sample)
    }
}

/// Samples in memory.
impl SampleSource for [Vec<Tensor>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn load(&self, sample: usize) -> Result<Vec<Tensor>, SourceError> {
        self.get(sample).cloned().ok_or_else(|| format!("there are {} samples", self.len()).into())
    }

    fn describe(&self, _: usize) -> String {
        "in memory".into()
    }
}

/// Called with the fraction that is done (0 to 1) and what is being done.
pub type Progress<'a> = &'a (dyn Fn(f64, &str) + Sync);

/// Reports nothing.
pub fn no_progress(_: f64, _: &str) {}
