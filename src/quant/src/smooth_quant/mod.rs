//! SmoothQuant: what makes activations hard to quantize moves into weights (Xiao et al., "SmoothQuant: Accurate and Efficient
//! Post-Training Quantization for Large Language Models").
//!
//! Where a normalization's result goes into matrix products only, its channel `c` is divided by `s` and row `c` of the products'
//! weights is multiplied by `s`. The factors are those of a family (`act^a / weight^(1-a)` for 21 `a`, and the outlier suppression of
//! OS+ in 20 steps) that bring the 8-bit products nearest to the float ones. The float network stays the same.

mod find;
mod search;

pub use find::{Kind, Smooth};

use crate::error::QuantError;
use crate::insert::{Copy, unique};
use crate::network::Network;
use crate::source::{Progress, SampleSource};
use std::collections::HashMap;
use tpuc_ops::{Program, TensorType, ValueId, top};
use tpuc_tensor::{Tensor, WeightStore};

/// A layer whose channels were scaled, and the products that take it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothed {
    pub layer: String,
    pub readers: Vec<String>,
    /// Mean squared error of the 8-bit products before (with factors of 1) and after, summed over readers and samples.
    pub loss: [f64; 2],
}

/// The new weights.
#[derive(Debug, Clone)]
pub struct SmoothQuant {
    pub weights: WeightStore,
    pub layers: Vec<Smoothed>,
}

/// Puts a Mul by ones behind every normalization that goes into matrix products and additions alike, for the products alone: so
/// that there is something to scale. Returns the new program and weights, and how many were inserted.
pub fn insert_scales(program: &Program, weights: &WeightStore) -> (Program, WeightStore, usize) {
    let wanted = find::mixed_normalizations(program);
    if wanted.is_empty() {
        return (program.clone(), weights.clone(), 0);
    }
    let (mut weights, products) = (weights.clone(), find::products(program));
    // By value of the new program: what products read instead.
    let scaled = std::cell::RefCell::new(HashMap::<ValueId, ValueId>::new());
    let new = Copy::run(
        program,
        |_, node, operands| {
            if products[node] {
                operands.iter_mut().take(1).for_each(|o| *o = scaled.borrow().get(o).copied().unwrap_or(*o));
            }
        },
        |copy, node| {
            if !wanted.contains(&node) {
                return;
            }
            let old = program.nodes[node].results[0];
            let layer = program.node_name(node);
            let Some(ty) = program.tensor_type(old).cloned() else { return };
            let channels = ty.shape.last().copied().unwrap_or(1);
            let name = unique(&copy.program, format!("{layer}_scaled_weight"));
            if let Ok(ones) = Tensor::f32(&[channels as usize], vec![1.0; channels as usize]) {
                weights.insert(name.clone(), ones);
            }
            let factor = copy.program.add_weight(name, TensorType::f32(&[channels]));
            let input = copy.value(old);
            let mul = unique(&copy.program, format!("Mul_after_{layer}"));
            let result = copy.program.push(top::Mul::default(), &[input, factor], mul, ty);
            scaled.borrow_mut().insert(input, result);
        },
    );
    (new, weights, wanted.len())
}

/// Finds the factors of every layer that can be smoothed, and the weights with them. `network` runs the program with these weights.
pub fn smooth_quant(network: &impl Network, weights: &WeightStore, source: &(impl SampleSource + ?Sized), threads: usize, progress: Progress) -> Result<SmoothQuant, QuantError> {
    let program = network.program();
    let smooths = find::smooths(program);
    let mut out = SmoothQuant { weights: weights.clone(), layers: Vec::new() };
    if smooths.is_empty() {
        return Ok(out);
    }
    let found = search::search(network, weights, source, &smooths, threads, progress)?;
    for (smooth, best) in smooths.iter().zip(found) {
        let name = |node: usize| program.node_name(node).to_owned();
        let Some(factors) = best.factors else { continue };
        for &id in &smooth.scaled {
            change(&mut out.weights, program, id, |index, shape, v| v / factors[index % shape.last().copied().unwrap_or(1)])?;
        }
        for &reader in &smooth.readers {
            change(&mut out.weights, program, program.nodes[reader].operands[1], |index, shape, v| v * factors[index / shape.last().copied().unwrap_or(1)])?;
        }
        out.layers.push(Smoothed { layer: name(smooth.node), readers: smooth.readers.iter().map(|&r| name(r)).collect(), loss: best.loss });
    }
    Ok(out)
}

/// Replaces a weight element by element: `change` gets index, shape and value.
fn change(weights: &mut WeightStore, program: &Program, id: ValueId, change: impl Fn(usize, &[usize], f32) -> f32) -> Result<(), QuantError> {
    let (name, shape, data) = matrix(weights, program, id)?;
    let data = data.into_iter().enumerate().map(|(i, v)| change(i, &shape, v)).collect();
    if let Ok(tensor) = Tensor::f32(&shape, data) {
        weights.insert(name, tensor);
    }
    Ok(())
}

/// A weight's name, shape and elements.
fn matrix(weights: &WeightStore, program: &Program, id: ValueId) -> Result<(String, Vec<usize>, Vec<f32>), QuantError> {
    let name = program.value(id).name.clone();
    let shape = program.tensor_type(id).map(TensorType::dims).unwrap_or_default();
    let fail = |reason: String| QuantError::Weight { layer: name.clone(), weight: name.clone(), reason };
    let data = weights.get(&name).ok_or_else(|| fail("is missing".into()))?.to_f32();
    if data.len() != shape.iter().product::<usize>() {
        return Err(fail(format!("has {} elements, its type is {shape:?}", data.len())));
    }
    Ok((name, shape, data))
}
