//! Heads of attentions, their sum and its requantization.

use crate::network::{Network, Random, elem};
use tpuc_ops::{Elem, ValueId, tpu};
use tpuc_tensor::{DType, Data, Tensor};

#[derive(Clone, Copy, Debug)]
struct Sizes {
    images: i64,
    rows: i64,
    /// Rows of a second input that keys and values come from.
    keys: Option<i64>,
    columns: i64,
    dim: i64,
    out: i64,
    mask: bool,
}

impl Sizes {
    fn random(random: &mut Random) -> Sizes {
        let keys = (random.below(2) == 1).then(|| random.pick(&[1, 5, 64, 130]));
        let (rows, columns) = (random.pick(&[1, 7, 64, 65, 130]), random.pick(&[3, 16, 70]));
        Sizes { images: random.pick(&[1, 2]), rows, keys, columns, dim: random.pick(&[1, 8, 33]), out: random.pick(&[5, 16, 70]), mask: random.below(2) == 1 }
    }
}

/// Two heads of one attention in the type, added up.
fn network(random: &mut Random, sizes: Sizes, dtype: DType) -> Network {
    let mut net = Network::new(&format!("attention {dtype} {sizes:?}"));
    let integers = dtype == DType::I8;
    let kind = elem(dtype, 0.02);
    let x = net.input(random, &[sizes.images, sizes.rows, sizes.columns], kind, 1.0);
    let y = sizes.keys.map(|keys| net.input(random, &[sizes.images, keys, sizes.columns], kind, 1.0));
    let mask = (sizes.mask && !integers).then(|| net.input(random, &[sizes.images, 1, 1, sizes.keys.unwrap_or(sizes.rows)], kind, 4.0));
    let none = net.program.none();
    let sums = if integers { Elem::Plain(DType::I32) } else { kind };
    let heads = [0, 1].map(|head| {
        let mut constant = |shape: [i64; 3]| weight(&mut net, random, &shape, dtype);
        let mut operands = vec![x, y.unwrap_or(none), none];
        for _ in 0..3 {
            operands.extend([constant([1, sizes.columns, sizes.dim]), constant([1, 1, sizes.dim])]);
        }
        operands.extend([constant([1, sizes.dim, sizes.out]), constant([1, 1, sizes.out])]);
        if head == 1 {
            // Biases may be absent.
            operands[4] = none;
            operands[10] = none;
        }
        operands.push(mask.unwrap_or(none));
        if integers {
            let table: Vec<f32> = (0..256).map(|d| (-0.04 * f64::from(d)).exp() as f32).collect();
            let table = Tensor::f32(&[1, 1, 1, 256], table).unwrap();
            operands.push(net.weight(table, Elem::F32));
        }
        let mut op = tpu::Attention { head: 1, dim: sizes.dim, scale: 1.0 / 255.0, ..Default::default() };
        if integers {
            op.quant_param = vec![11, 12, 0, 13, 12, 0, 9, 12, 0, 3, 8, 0, 5, 9, 0, 0];
        } else {
            op.scale = 0.5;
        }
        net.push(op, &operands, sums)
    });
    let sum = net.push(tpu::Add::default(), &heads, sums);
    let last: ValueId = if integers {
        let requant = tpu::RequantInt { multiplier: 3, rshift: 9, quant_mode: tpu::RequantMode::MultiplierShift, round_mode: tpu::RoundMode::HalfAwayFromZero };
        net.push(requant, &[sum], kind)
    } else {
        sum
    };
    net.program.outputs = vec![last];
    net
}

/// Weights of matrices in the type; a bias of integers has 32 bits.
fn weight(net: &mut Network, random: &mut Random, shape: &[i64; 3], dtype: DType) -> ValueId {
    let dims = shape.map(|d| d as usize);
    let count: usize = dims.iter().product();
    if dtype == DType::I8 && shape[1] == 1 {
        let values = (0..count).map(|_| (random.float() * 2000.0) as i32).collect();
        return net.weight(Tensor::new(&dims, Data::I32(values)).unwrap(), Elem::Plain(DType::I32));
    }
    let values = random.floats(count, if dtype == DType::I8 { 1.0 } else { 0.5 });
    let kind = if dtype == DType::I8 { Elem::Plain(DType::I8) } else { elem(dtype, 1.0) };
    net.weight(crate::network::tensor(shape, dtype, values), kind)
}

/// A probability may be one step of 1/255 off, by the chip's division and its order of summing (docs/numerics.md), and with it a
/// weighted value, and the result by what its weight makes of that.
#[test]
fn integer_heads() {
    let mut random = Random::new(71);
    let (mut different, mut all) = (0, 0);
    for round in 0..16 {
        let sizes = Sizes { mask: false, ..Sizes::random(&mut random) };
        // A matrix of one row would be taken for a bias above.
        let net = network(&mut random, Sizes { columns: sizes.columns, dim: sizes.dim.max(2), ..sizes }, DType::I8);
        let (found, wanted) = (net.simulated(round < 6), net.interpreted());
        let (found, wanted) = (found[0].to_f32(), wanted[0].to_f32());
        assert!(found.iter().any(|v| *v != found[0]), "{}", net.program.name);
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 2.0), "{}", net.program.name);
        different += found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        all += found.len();
    }
    println!("{different} of {all} results differ");
    assert!(different * 1000 <= all, "{different} of {all}");
}

#[test]
fn half_float_heads() {
    let mut random = Random::new(72);
    for (dtype, tolerance) in [(DType::F16, 4e-3), (DType::BF16, 3e-2)] {
        let mut worst = 0f32;
        for round in 0..12 {
            let sizes = Sizes::random(&mut random);
            worst = worst.max(network(&mut random, sizes, dtype).check_close(tolerance, round < 5));
        }
        println!("{dtype}: {worst}");
    }
}

#[test]
fn what_is_not_generated_is_said() {
    let mut random = Random::new(73);
    let sizes = Sizes { images: 1, rows: 3, keys: None, columns: 4, dim: 2, out: 4, mask: false };
    let mut net = network(&mut random, sizes, DType::I8);
    for node in &mut net.program.nodes {
        if let tpuc_ops::Op::TpuRequantInt(op) = &mut node.op {
            op.round_mode = tpu::RoundMode::HalfUp;
        }
    }
    let error = tpuc_codegen::compile(&net.program, &net.weights).unwrap_err().to_string();
    assert_eq!(error, "no code generation yet for: tpu.RequantInt (layer 'op4': a multiplier and shift to symmetric INT8, halves away from zero, is generated)");
}
