//! Reductions, norms and resizes of floats: the vendor's simulator equals ours bit for bit, the interpreter within a tolerance.

use crate::network::{Network, Random, elem, tensor};
use tpuc_ops::{ValueId, tpu};
use tpuc_tensor::DType;

const TYPES: [(DType, f32); 3] = [(DType::F32, 3e-6), (DType::F16, 1.5e-3), (DType::BF16, 1.2e-2)];

fn parameter(network: &mut Network, random: &mut Random, shape: &[i64], dtype: DType) -> ValueId {
    let count: i64 = shape.iter().product();
    let values = random.floats(count as usize, 1.0);
    network.weight(tensor(shape, dtype, values), elem(dtype, 1.0))
}

#[test]
fn reductions_are_close() {
    for (dtype, tolerance) in TYPES {
        let mut random = Random::new(5);
        let mut network = Network::new(&format!("reduce {dtype}"));
        let ty = elem(dtype, 1.0);
        let modes = ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"];
        for (dims, axes, keepdims) in [(vec![2, 70, 5, 7], vec![2, 3], true), (vec![3, 66, 13], vec![1], false), (vec![9, 31], vec![-1], true), (vec![1, 2, 9000], vec![2], false)] {
            let x = network.input(&mut random, &dims, ty, 1.0);
            for mode in modes {
                network.push(tpu::Reduce { axes: axes.clone(), keepdims, mode: mode.into(), is_scalar: None, multiplier: None, rshift: None }, &[x], ty);
            }
        }
        let x = network.input(&mut random, &[2, 3, 4, 5], ty, 1.0);
        network.push(tpu::Reduce { axes: vec![1], keepdims: false, mode: "ReduceProd".into(), is_scalar: None, multiplier: None, rshift: None }, &[x], ty);
        println!("{dtype}: at most {} of the peak", network.check_close(tolerance, true));
    }
}

#[test]
fn norms_are_close() {
    for (dtype, tolerance) in TYPES {
        let mut random = Random::new(6);
        let mut network = Network::new(&format!("norm {dtype}"));
        let ty = elem(dtype, 1.0);
        let x = network.input(&mut random, &[2, 67, 48], ty, 3.0);
        let (w, b) = (parameter(&mut network, &mut random, &[48], dtype), parameter(&mut network, &mut random, &[48], dtype));
        let layer = tpu::LayerNorm { normalized_shape: vec![48], axis: 2, eps: 1e-5 };
        network.push(layer.clone(), &[x, w, b], ty);
        network.push(layer, &[x], ty);
        let long = network.input(&mut random, &[3, 9000], ty, 3.0);
        let w = parameter(&mut network, &mut random, &[9000], dtype);
        network.push(tpu::LayerNorm { normalized_shape: vec![9000], axis: 1, eps: 1e-5 }, &[long, w], ty);
        let picture = network.input(&mut random, &[2, 12, 9, 11], ty, 3.0);
        let (w, b) = (parameter(&mut network, &mut random, &[1, 12, 1, 1], dtype), parameter(&mut network, &mut random, &[1, 12, 1, 1], dtype));
        network.push(tpu::GroupNorm { num_groups: 4, eps: 1e-5 }, &[picture, w, b], ty);
        network.push(tpu::InstanceNorm { eps: 1e-3 }, &[picture, w, b], ty);
        let wide = network.input(&mut random, &[1, 4, 60, 70], ty, 3.0);
        let w = parameter(&mut network, &mut random, &[1, 4, 1, 1], dtype);
        network.push(tpu::GroupNorm { num_groups: 2, eps: 1e-5 }, &[wide, w], ty);
        println!("{dtype}: at most {} of the peak", network.check_close(tolerance, true));
    }
}

#[test]
fn resizes_are_close() {
    for (dtype, tolerance) in TYPES {
        let mut random = Random::new(7);
        let mut network = Network::new(&format!("resize {dtype}"));
        let ty = elem(dtype, 1.0);
        let x = network.input(&mut random, &[2, 35, 6, 9], ty, 1.0);
        use tpu::{ResizeCoordMode as C, ResizeMode as M};
        for (mode, coord_mode) in [(M::linear, C::half_pixel), (M::linear, C::align_corners), (M::linear, C::asymmetric), (M::linear, C::pytorch_half_pixel), (M::nearest, C::half_pixel), (M::nearest, C::asymmetric)] {
            for (scale_h, scale_w) in [(2.0, 2.0), (1.5, 3.0), (0.5, 1.0)] {
                network.push(tpu::Interp { scale_h, scale_w, mode, coord_mode, ppl_flag: false }, &[x], ty);
            }
        }
        let large = network.input(&mut random, &[1, 3, 100, 120], ty, 1.0);
        network.push(tpu::Interp { scale_h: 2.0, scale_w: 2.0, mode: M::linear, coord_mode: C::half_pixel, ppl_flag: false }, &[large], ty);
        println!("{dtype}: at most {} of the peak", network.check_close(tolerance, true));
    }
}
