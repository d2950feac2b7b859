//! Ops that only move elements, of every type and of random shapes: exact everywhere.

use crate::network::{Network, Random, elem};
use tpuc_ops::{ValueId, tpu};
use tpuc_tensor::{DType, Data, Tensor};

const TYPES: [DType; 5] = [DType::I8, DType::U8, DType::F16, DType::BF16, DType::F32];

fn shape(random: &mut Random, rank: usize) -> Vec<i64> {
    let sizes = [&[1, 1, 2, 3, 5, 7, 16][..], &[1, 4, 33, 64, 65, 70, 85, 130]];
    let wide = random.below(rank as u64) as usize;
    (0..rank).map(|d| random.pick(sizes[usize::from(d == wide)])).collect()
}

fn shuffled(random: &mut Random, rank: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..rank as i64).collect();
    for i in (1..rank).rev() {
        order.swap(i, random.below(i as u64 + 1) as usize);
    }
    order
}

fn slice(random: &mut Random, shape: &[i64]) -> tpu::Slice {
    let mut op = tpu::Slice::default();
    for &size in shape {
        let step = random.pick(&[1, 1, 1, 2, 3, if size < 12 { -1 } else { 5 }]);
        let (first, last) = (random.below(size as u64) as i64, size);
        let (offset, end) = if step > 0 { (first, last) } else { (first, -size - 1) };
        op.offset.push(offset);
        op.ends.push(end);
        op.steps.push(step);
    }
    op
}

/// One of each op on an input of its own.
fn ops(network: &mut Network, random: &mut Random, dtype: DType) {
    let elem = elem(dtype, 0.5);
    let rank = 2 + random.below(4) as usize;
    let dims = shape(random, rank);
    let x = network.input(random, &dims, elem, 1.0);
    let order = shuffled(random, rank);
    network.push(tpu::Permute { order }, &[x], elem);
    let op = slice(random, &dims);
    network.push(op, &[x], elem);
    let tile = (0..rank).map(|_| random.pick(&[1, 1, 2, 3])).collect();
    network.push(tpu::Tile { tile }, &[x], elem);
    if let Some(axis) = dims.iter().position(|&d| d < 20) {
        network.push(tpu::Reverse { axis: axis as i64 }, &[x], elem);
    }
    let axis = random.below(rank as u64) as usize;
    concat(network, random, x, axis, elem);
    let count = 1 + random.below(5) as usize;
    let indices: Vec<i32> = (0..count).map(|_| random.below(dims[axis] as u64) as i32).collect();
    let indices = network.weight(Tensor::new(&[count], Data::I32(indices)).unwrap(), tpuc_ops::Elem::Plain(DType::I32));
    network.push(tpu::Gather { axis: axis as i32, ..Default::default() }, &[x, indices], elem);
}

fn concat(network: &mut Network, random: &mut Random, x: ValueId, axis: usize, elem: tpuc_ops::Elem) {
    let mut dims = network.shape(x);
    dims[axis] = 1 + random.below(70) as i64;
    let other = network.input(random, &dims, elem, 1.0);
    network.push(tpu::Concat { axis: axis as i32, ..Default::default() }, &[x, other, x], elem);
}

fn images(network: &mut Network, random: &mut Random, dtype: DType) {
    let elem = elem(dtype, 0.25);
    let (bh, bw) = (random.pick(&[1i64, 2, 3]), random.pick(&[2i64, 2, 4]));
    let dims = [random.pick(&[1i64, 2]), bh * bw * random.pick(&[1i64, 3, 16, 40]), bh * random.pick(&[1i64, 5, 20]), bw * random.pick(&[1i64, 7, 26])];
    let x = network.input(random, &dims, elem, 1.0);
    let mut flag = || random.below(2) == 0;
    let (crd, is_inversed, swap_cr) = (flag(), flag(), flag());
    network.push(tpu::Depth2Space { block_h: bh, block_w: bw, is_CRD: crd, is_inversed, swap_cr, in_is_NCHW: true, out_is_NCHW: true }, &[x], elem);
    network.push(tpu::Upsample { scale_h: bh, scale_w: bw, do_relu: false, relu_limit: -1.0 }, &[x], elem);
    if dtype == DType::F32 {
        network.push(tpu::Upsample { scale_h: 1, scale_w: 2, do_relu: true, relu_limit: 0.5 }, &[x], elem);
    }
}

#[test]
fn moved_elements_are_exact() {
    for seed in 0..60u64 {
        let mut random = Random::new(seed);
        let mut network = Network::new(&format!("movement{seed}"));
        let dtype = TYPES[(seed % 5) as usize];
        ops(&mut network, &mut random, dtype);
        images(&mut network, &mut random, dtype);
        network.check_exact(seed < 10);
    }
}

/// Sizes beyond a lane, an extent, a tile.
#[test]
fn large_ones_are_exact() {
    let mut random = Random::new(1);
    let mut network = Network::new("large");
    let (i8, f16) = (elem(DType::I8, 1.0), elem(DType::F16, 1.0));
    let head = network.input(&mut random, &[1, 3, 85, 40, 40], i8, 1.0);
    network.push(tpu::Permute { order: vec![0, 1, 3, 4, 2] }, &[head], i8);
    let long = network.input(&mut random, &[2, 70_001], f16, 1.0);
    network.push(tpu::Permute { order: vec![1, 0] }, &[long], f16);
    network.push(tpu::Concat { axis: 1, ..Default::default() }, &[long, long], f16);
    network.push(tpu::Slice { offset: vec![0, 1], ends: vec![2, 70_000], steps: vec![1, 2], ..Default::default() }, &[long], f16);
    network.push(tpu::Tile { tile: vec![3, 1] }, &[long], f16);
    let picture = network.input(&mut random, &[1, 3, 320, 320], i8, 1.0);
    network.push(tpu::Slice { offset: vec![0, 0, 1, 0], ends: vec![1, 3, 320, 320], steps: vec![1, 1, 2, 2], ..Default::default() }, &[picture], i8);
    network.push(tpu::Upsample { scale_h: 2, scale_w: 2, do_relu: false, relu_limit: -1.0 }, &[picture], i8);
    network.push(tpu::Depth2Space { block_h: 2, block_w: 2, is_CRD: false, is_inversed: true, in_is_NCHW: true, out_is_NCHW: true, swap_cr: false }, &[picture], i8);
    network.check_exact(true);
}
