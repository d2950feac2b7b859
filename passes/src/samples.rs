//! Which samples a pass runs.

use std::path::PathBuf;
use tpuc_imageio::samples::{Loader, Samples};
use tpuc_ops::Program;

/// Where samples are and how many are used (0: all).
#[derive(Debug, Clone, Default)]
pub struct SampleChoice {
    /// Folder, or empty.
    pub dataset: PathBuf,
    /// List, or empty; wins over the folder.
    pub data_list: PathBuf,
    pub input_num: usize,
}

impl SampleChoice {
    /// From the options of a pass.
    pub fn new(dataset: &str, data_list: &str, input_num: i64) -> Result<SampleChoice, String> {
        let input_num = usize::try_from(input_num).map_err(|_| format!("option input-num: {input_num} is negative"))?;
        Ok(SampleChoice { dataset: PathBuf::from(dataset), data_list: PathBuf::from(data_list), input_num })
    }

    /// The samples, ready to be loaded as a program's inputs.
    pub fn loader(&self, program: &Program) -> Result<Loader, String> {
        let samples = match (self.data_list.as_os_str().is_empty(), self.dataset.as_os_str().is_empty()) {
            (false, _) => Samples::from_data_list(&self.data_list, self.input_num),
            (true, false) => Samples::from_dataset(&self.dataset, self.input_num),
            (true, true) => return Err("no samples: give a dataset or a data_list".into()),
        };
        let loader = Loader::new(samples.map_err(crate::text)?, crate::net_inputs(program)?).map_err(crate::text)?;
        if loader.groups() == 0 {
            return Err("the samples do not fill a single batch".into());
        }
        Ok(loader)
    }
}

/// Worker threads by an option: 0 is one a processor.
pub fn threads(option: i64) -> Result<usize, String> {
    match usize::try_from(option) {
        Ok(0) => Ok(tpuc_quant::default_threads()),
        Ok(n) => Ok(n),
        Err(_) => Err(format!("option threads: {option} is negative")),
    }
}
