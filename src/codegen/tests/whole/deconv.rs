//! Transposed convolutions: integer sums and their requantization exact, floats close.

use crate::network::{Network, Random, elem, tensor};
use tpuc_ops::{Elem, TensorType, ValueId, tpu};
use tpuc_tensor::{DType, Data, Tensor};

struct Shape {
    input: [i64; 4],
    outputs: i64,
    kernel: [i64; 2],
    strides: [i64; 2],
    pads: [i64; 4],
    dilations: [i64; 2],
    group: i64,
}

const SHAPES: [Shape; 5] = [
    Shape { input: [1, 35, 6, 7], outputs: 70, kernel: [4, 4], strides: [2, 2], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 },
    Shape { input: [2, 66, 5, 3], outputs: 3, kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 },
    Shape { input: [1, 8, 9, 4], outputs: 8, kernel: [3, 5], strides: [3, 1], pads: [0, 2, 1, 1], dilations: [1, 2], group: 4 },
    Shape { input: [1, 12, 4, 4], outputs: 12, kernel: [4, 4], strides: [2, 2], pads: [1, 1, 1, 1], dilations: [1, 1], group: 12 },
    Shape { input: [1, 3, 4, 4], outputs: 5, kernel: [2, 3], strides: [4, 5], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 },
];

fn op(shape: &Shape, do_relu: bool) -> tpu::Deconv {
    tpu::Deconv {
        kernel_shape: shape.kernel.to_vec(),
        strides: shape.strides.to_vec(),
        pads: shape.pads.to_vec(),
        group: shape.group,
        dilations: Some(shape.dilations.to_vec()),
        do_relu,
        with_bias: true,
        ..Default::default()
    }
}

fn filter(network: &mut Network, random: &mut Random, shape: &Shape, dtype: DType, elem: Elem) -> ValueId {
    let dims = [shape.outputs / shape.group, shape.input[1], shape.kernel[0], shape.kernel[1]];
    let values = random.floats(dims.iter().product::<i64>() as usize, 1.0);
    network.weight(tensor(&dims, dtype, values), elem)
}

#[test]
fn integers_are_exact() {
    let mut random = Random::new(8);
    let mut network = Network::new("deconv i8");
    for (i, shape) in SHAPES.iter().enumerate() {
        let (input, output) = (elem(if i == 1 { DType::U8 } else { DType::I8 }, 0.1), elem(if i == 2 { DType::U8 } else { DType::I8 }, 0.1));
        let x = network.input(&mut random, &shape.input, input, 1.0);
        let filter = filter(&mut network, &mut random, shape, DType::I8, Elem::Plain(DType::I8));
        let channels = shape.outputs as usize;
        let bias: Vec<i32> = (0..channels).map(|_| random.below(4000) as i32 - 2000).collect();
        let bias = network.weight(Tensor::new(&[1, channels, 1, 1], Data::I32(bias)).unwrap(), Elem::Plain(DType::I32));
        let sums = network.push(op(shape, false), &[x, filter, bias], Elem::Plain(DType::I32));
        network.program.outputs.pop();
        let rows: Vec<i32> = (0..channels).flat_map(|_| [1 << 30 | random.below(1 << 29) as i32, -(36 + random.below(3) as i32), 0]).collect();
        let quant = network.weight(Tensor::new(&[1, channels, 1, 3], Data::I32(rows)).unwrap(), Elem::Plain(DType::I32));
        network.push(tpu::RequantIntAxis { quant_mode: tpu::RequantMode::MultiplierShift, ..Default::default() }, &[sums, quant], output);
    }
    network.check_exact(true);
}

#[test]
fn floats_are_close() {
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 1.5e-3), (DType::BF16, 1e-2)] {
        let mut random = Random::new(9);
        let mut network = Network::new(&format!("deconv {dtype}"));
        let ty = elem(dtype, 1.0);
        for (i, shape) in SHAPES.iter().enumerate() {
            let x = network.input(&mut random, &shape.input, ty, 1.0);
            let filter = filter(&mut network, &mut random, shape, dtype, ty);
            let values = random.floats(shape.outputs as usize, 1.0);
            let name = network.weight(tensor(&[1, shape.outputs, 1, 1], DType::F32, values), TensorType::f32(&[1]).elem);
            network.push(op(shape, i == 1), &[x, filter, name], ty);
        }
        println!("{dtype}: at most {} of the peak", network.check_close(tolerance, true));
    }
}
