//! What `fuse-preprocess` puts in front of a network: frames in planes, cropped, looked up by channel, channels swapped.

use crate::network::{Network, Random, elem};
use tpuc_ops::tpu;
use tpuc_tensor::{DType, Data, Tensor};

/// A frame `[N, H, W, C]` to planes `[N, C, h, w]`, each byte by the table of its channel.
fn frame(random: &mut Random, [n, h, w, c]: [i64; 4], crop: [i64; 2], result: DType) -> Network {
    let mut network = Network::new("frame");
    let (bytes, out) = (elem(DType::U8, 1.0), elem(result, 0.25));
    let x = network.input(random, &[n, h, w, c], bytes, 1.0);
    let planes = network.push(tpu::Permute { order: vec![0, 3, 1, 2] }, &[x], bytes);
    let slice = tpu::Slice { offset: vec![0, 0, crop[0], crop[1]], ends: vec![n, c, h - crop[0], w - crop[1]], steps: vec![1; 4], ..Default::default() };
    let middle = network.push(slice, &[planes], bytes);
    let count = 256 * c as usize;
    let values: Vec<u8> = (0..count).map(|_| random.below(256) as u8).collect();
    let data = if result == DType::I8 { Data::I8(values.iter().map(|&v| v as i8).collect()) } else { Data::U8(values) };
    let table = network.weight(Tensor::new(&[1, c as usize, 16, 16], data).unwrap(), tpuc_ops::Elem::Plain(result));
    let op = tpu::ScaleLut { scale: vec![1.0; c as usize], bias: vec![0.0; c as usize], sign: result == DType::I8 };
    let y = network.push(op, &[middle, table], out);
    network.push(tpu::SwapChannel { channel_order: (0..c).rev().collect() }, &[y], out);
    network.push(tpu::SwapChannel { channel_order: (0..c).map(|i| (i + 1) % c).collect() }, &[planes], bytes);
    network
}

#[test]
fn frames_are_exact() {
    let mut random = Random::new(3);
    for (shape, crop, result) in [
        ([1, 12, 20, 3], [0, 2], DType::I8),
        ([2, 33, 17, 3], [4, 1], DType::U8),
        ([1, 96, 128, 4], [8, 0], DType::I8),
        ([1, 9, 7, 1], [0, 0], DType::U8),
        // More than a step of a lookup.
        ([1, 1200, 1400, 1], [20, 14], DType::I8),
    ] {
        frame(&mut random, shape, crop, result).check_exact(true);
    }
}

#[test]
fn channels_of_floats_are_swapped() {
    let mut random = Random::new(4);
    for dtype in [DType::F16, DType::BF16, DType::F32] {
        let (mut network, elem) = (Network::new("swap"), elem(dtype, 1.0));
        let x = network.input(&mut random, &[2, 3, 19, 31], elem, 1.0);
        network.push(tpu::SwapChannel { channel_order: vec![2, 1, 0] }, &[x], elem);
        network.check_exact(true);
    }
}
