//! `top-correct-softmax`: multiplications around attention, so that its weights use all of the 8 bits. The work is
//! [`tpuc_quant::correct_softmax`]'s; [`correct`] runs the network for it, for the command line too.

use crate::samples::{self, SampleChoice};
use crate::{CorrectSoftmaxOptions, new_weights, progress};
use tpuc_dialects::pass::PassModule;
use tpuc_imageio::samples::Loader;
use tpuc_interp::{Options, Plan};
use tpuc_ops::Program;
use tpuc_quant::PlanNetwork;
use tpuc_quant::correct_softmax::{CorrectedSoftmax, correct_softmax};
use tpuc_tensor::WeightStore;

/// Corrects the softmaxes of a Top program. Without an attention it stays as it is.
pub fn correct(program: &Program, weights: &WeightStore, samples: &Loader, threads: usize) -> Result<CorrectedSoftmax, String> {
    let plan = Plan::new(program.clone(), weights, Options::default()).map_err(crate::text)?;
    correct_softmax(&PlanNetwork::new(plan), weights, samples, threads, &progress::tell).map_err(crate::text)
}

pub fn run(module: &PassModule, options: &CorrectSoftmaxOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let loader = SampleChoice::new(&options.dataset, &options.data_list, options.input_num)?.loader(&program)?;
    let corrected = correct(&program, &weights, &loader, samples::threads(options.threads)?)?;
    if corrected.corrected.is_empty() {
        return Ok(());
    }
    new_weights::replace(module, corrected.program, corrected.weights, "smc", &options.weight_file)
}
