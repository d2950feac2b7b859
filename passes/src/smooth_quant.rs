//! `top-smooth-quant`: channels of normalizations are scaled against the products that read them. The work is
//! [`tpuc_quant::smooth_quant`]'s; [`smooth`] puts its two steps together, for the command line too.

use crate::samples::{self, SampleChoice};
use crate::{SmoothQuantOptions, new_weights, progress};
use tpuc_dialects::pass::PassModule;
use tpuc_imageio::samples::Loader;
use tpuc_interp::{Options, Plan};
use tpuc_ops::Program;
use tpuc_quant::PlanNetwork;
use tpuc_quant::smooth_quant::{Smoothed, insert_scales, smooth_quant};
use tpuc_tensor::WeightStore;

/// A smoothed network.
pub struct Smooth {
    pub program: Program,
    pub weights: WeightStore,
    /// How many normalizations got a Mul.
    pub inserted: usize,
    pub layers: Vec<Smoothed>,
}

/// Smooths a Top program. Without a layer that can be smoothed it stays as it is.
pub fn smooth(program: &Program, weights: &WeightStore, samples: &Loader, threads: usize) -> Result<Smooth, String> {
    let (program, weights, inserted) = insert_scales(program, weights);
    let plan = Plan::new(program.clone(), &weights, Options::default()).map_err(crate::text)?;
    let found = smooth_quant(&PlanNetwork::new(plan), &weights, samples, threads, &progress::tell).map_err(crate::text)?;
    Ok(Smooth { program, weights: found.weights, inserted, layers: found.layers })
}

pub fn run(module: &PassModule, options: &SmoothQuantOptions) -> Result<(), String> {
    let program = module.program().map_err(crate::text)?;
    let weights = module.weights().map_err(crate::text)?;
    let loader = SampleChoice::new(&options.dataset, &options.data_list, options.input_num)?.loader(&program)?;
    let smooth = smooth(&program, &weights, &loader, samples::threads(options.threads)?)?;
    if smooth.layers.is_empty() {
        return Ok(());
    }
    new_weights::replace(module, smooth.program, smooth.weights, "sq", &options.weight_file)
}
