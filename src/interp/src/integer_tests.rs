//! Elementwise integer ops on random numbers against their definitions in exact fractions, element by element.

use crate::tests::{Random, alone};
use crate::InterpError;
use tpuc_ops::{Elem, Op, TensorType, tpu};
use tpuc_tensor::{DType, Tensor};

/// The nearest integer to `n / 2^shift`, halves upwards.
fn half_up(n: i128, shift: i64) -> i128 {
    if shift <= 0 { n << -shift } else { (2 * n + (1i128 << shift)).div_euclid(1i128 << (shift + 1)) }
}

struct Case {
    shape: Vec<i64>,
    ty: TensorType,
    values: Vec<i128>,
}

/// 8-bit numbers of either sign with a shape.
fn case(random: &mut Random, shape: &[i64]) -> Case {
    let signed = random.next(0, 1) == 0;
    let (dtype, low, high) = if signed { (DType::I8, -128, 127) } else { (DType::U8, 0, 255) };
    let count = shape.iter().product::<i64>();
    let values = (0..count).map(|_| i128::from(random.next(low, high))).collect();
    Case { shape: shape.to_vec(), ty: TensorType::new(shape, Elem::symmetric(dtype, 0.1)), values }
}

fn tensor(case: &Case) -> Tensor {
    let dims: Vec<usize> = case.shape.iter().map(|&d| d as usize).collect();
    match case.ty.elem.storage() {
        DType::I8 => Tensor::i8(&dims, case.values.iter().map(|&v| v as i8).collect()).unwrap(),
        _ => Tensor::u8(&dims, case.values.iter().map(|&v| v as u8).collect()).unwrap(),
    }
}

/// The element that stands at an index of the result.
fn at(case: &Case, result: &[i64], mut index: i64) -> i128 {
    let (mut offset, mut stride) = (0, 1);
    for d in (0..result.len()).rev() {
        let position = index % result[d];
        index /= result[d];
        let own = d as i64 - (result.len() - case.shape.len()) as i64;
        if own >= 0 {
            let size = case.shape[own as usize];
            offset += if size == 1 { 0 } else { position * stride };
            stride *= size;
        }
    }
    case.values[offset as usize]
}

/// Runs an op and compares every element with what `want` gives, saturated.
fn check(op: impl Into<Op>, cases: &[&Case], result: &Case, absent: usize, want: impl Fn(&[i128]) -> i128) {
    let op = op.into();
    let mut operands: Vec<_> = cases.iter().map(|c| (c.ty.clone(), None)).collect();
    let tensors: Vec<Tensor> = cases.iter().map(|c| tensor(c)).collect();
    let inputs: Vec<Option<&Tensor>> = tensors.iter().map(Some).collect();
    let found = match absent {
        0 => alone(op.clone(), &operands, result.ty.clone(), &inputs).unwrap(),
        _ => {
            let types: Vec<tpuc_ops::ValueType> = operands.drain(..).map(|o| o.0.into()).chain((0..absent).map(|_| tpuc_ops::ValueType::None)).collect();
            let constants = vec![None; types.len()];
            let node = crate::PreparedNode::new("node", &op, &types, &[result.ty.clone().into()], &constants, crate::Options::default()).unwrap();
            let mut results = Vec::new();
            node.run(&inputs, &mut results).unwrap();
            results.remove(0)
        }
    };
    let (low, high) = if result.ty.elem.storage() == DType::I8 { (-128, 127) } else { (0, 255) };
    for (index, value) in found.to_i64().unwrap().into_iter().enumerate() {
        let x: Vec<i128> = cases.iter().map(|c| at(c, &result.shape, index as i64)).collect();
        assert_eq!(i128::from(value), want(&x).clamp(low, high), "{op:?} of {x:?}");
    }
}

#[test]
fn arithmetic_with_constants() {
    let mut random = Random(7);
    for _ in 0..60 {
        let (x, y) = (case(&mut random, &[2, 3, 40]), case(&mut random, &[2, 3, 40]));
        let (m, r, c) = (random.next(-126, 126) as i32, random.next(0, 12) as i32, random.next(-5000, 5000));
        let (m_, r_, c_) = (i128::from(m), i64::from(r), i128::from(c));
        let relu = random.next(0, 1) == 1;
        let floor = move |v: i128| if relu { v.max(0) } else { v };
        let const_val = c as f64;
        check(tpu::AddConst { const_val, multiplier: m, rshift: r, do_relu: relu, ..Default::default() }, &[&x], &y, 0, |x| floor(half_up(x[0] * m_ + c_, r_)));
        check(tpu::SubConst { const_val, multiplier: m, rshift: r, do_relu: relu, ..Default::default() }, &[&x], &y, 0, |x| floor(half_up(x[0] * m_ - c_, r_)));
        check(tpu::SubConst { const_val, is_reverse: true, multiplier: m, rshift: r, ..Default::default() }, &[&x], &y, 0, |x| half_up(c_ - x[0] * m_, r_));
        check(tpu::MaxConst { const_val, multiplier: m, rshift: r, ..Default::default() }, &[&x], &y, 0, |x| half_up((x[0] * m_).max(c_), r_));
        check(tpu::MinConst { const_val, multiplier: m, rshift: r, ..Default::default() }, &[&x], &y, 0, |x| half_up((x[0] * m_).min(c_), r_));
        let shift = tpu::MulShift { multiplier: m, rshift: -r, const_val: None, do_relu: Some(relu), relu_limit: None, is_scalar: None };
        check(shift.clone(), &[&x], &y, 0, |x| floor(half_up(x[0] * m_, -r_)));
        check(tpu::MulShift { rshift: r, ..shift }, &[&x], &y, 0, |x| floor(half_up(x[0] * m_, r_)));
        let leaky = tpu::LeakyRelu { multiplier: Some(m), rshift: Some(r), ..Default::default() };
        check(leaky, &[&x], &y, 0, |x| if x[0] < 0 { half_up(x[0] * m_, r_) } else { x[0] });
        let near = c % 300;
        let compare = |mode: &str, inversed| tpu::CompareConst { mode: mode.into(), const_val: near as f64, inversed, is_scalar: None };
        check(compare("Greater", false), &[&x], &y, 0, |x| i128::from(x[0] > i128::from(near)));
        check(compare("LessOrEqual", true), &[&x], &y, 0, |x| i128::from(i128::from(near) <= x[0]));
        check(compare("Not", false), &[&x], &y, 0, |x| i128::from(x[0] == 0));
        let abs = tpu::Active { mode: tpu::ActiveMode::ABSVAL, coeffs: None, scale: None, bias: None, log: None, is_scalar: None };
        check(abs, &[&x], &y, 0, |x| x[0].abs());
    }
}

#[test]
fn arithmetic_of_tensors_that_broadcast() {
    let mut random = Random(11);
    let shapes: [(&[i64], &[i64]); 5] = [(&[2, 3, 4, 5], &[2, 3, 4, 5]), (&[2, 3, 4, 5], &[1, 3, 1, 1]), (&[3, 1], &[2, 1, 5]), (&[1], &[2, 7]), (&[2, 3, 4], &[4])];
    for _ in 0..20 {
        for (a, b) in shapes {
            let rank = a.len().max(b.len());
            let wide = |s: &[i64]| [vec![1; rank - s.len()], s.to_vec()].concat();
            let out: Vec<i64> = wide(a).iter().zip(wide(b)).map(|(x, y)| *x.max(&y)).collect();
            let (a, b, y) = (case(&mut random, a), case(&mut random, b), case(&mut random, &out));
            let (m, r) = (random.next(-126, 126) as i32, random.next(0, 16) as i32);
            let (m_, r_) = (i128::from(m), i64::from(r));
            let relu = random.next(0, 1) == 1;
            let floor = move |v: i128| if relu { v.max(0) } else { v };
            let both = [&a, &b];
            check(tpu::Mul { multiplier: m, rshift: r, do_relu: relu, ..Default::default() }, &both, &y, 0, |x| floor(half_up(x[0] * x[1] * m_, r_)));
            check(tpu::Max::default(), &both, &y, 0, |x| x[0].max(x[1]));
            check(tpu::Min { do_relu: relu, ..Default::default() }, &both, &y, 0, |x| floor(x[0].min(x[1])));
            check(tpu::Compare { mode: "Less".into() }, &both, &y, 0, |x| i128::from(x[0] < x[1]));
            let (m2, r2) = (random.next(0, 126), random.next(0, 9));
            for reverse in [false, true] {
                let sub = tpu::Sub { multipliers: Some(vec![m2, 3]), rshifts: Some(vec![r2, 1]), is_reverse: reverse, do_relu: relu, ..Default::default() };
                check(sub, &both, &y, 0, |x| {
                    let difference = half_up(x[0] * i128::from(m2), r2) - half_up(x[1] * 3, 1);
                    floor(if reverse { -difference } else { difference })
                });
            }
        }
    }
}

#[test]
fn choices() {
    let mut random = Random(13);
    for _ in 0..20 {
        let y = case(&mut random, &[2, 3, 5]);
        let like = |random: &mut Random, shape: &[i64]| loop {
            let c = case(random, shape);
            if c.ty.elem == y.ty.elem {
                return c;
            }
        };
        let mut condition = case(&mut random, &[3, 1]);
        condition.values.iter_mut().for_each(|v| *v %= 2);
        let (a, b) = (like(&mut random, &[2, 3, 5]), like(&mut random, &[5]));
        let select = tpu::Where { x_is_const: false, y_is_const: false, x_const_val: 0.0, y_const_val: 0.0 };
        check(select.clone(), &[&condition, &a, &b], &y, 1, |x| if x[0] != 0 { x[1] } else { x[2] });
        check(tpu::MaskedFill { inversed: false, const_val: 300.0 }, &[&condition, &a], &y, 0, |x| if x[0] != 0 { 300 } else { x[1] });
        check(tpu::MaskedFill { inversed: true, const_val: -7.0 }, &[&condition, &a], &y, 0, |x| if x[0] != 0 { x[1] } else { -7 });
    }
}

#[test]
fn tables_and_slopes() {
    let mut random = Random(17);
    for _ in 0..10 {
        let (x, y) = (case(&mut random, &[2, 4, 30]), case(&mut random, &[2, 4, 30]));
        let table: Vec<i64> = (0..256).map(|_| random.next(0, 100)).collect();
        let weight = match y.ty.elem.storage() {
            DType::I8 => Tensor::i8(&[256], table.iter().map(|&v| v as i8).collect()).unwrap(),
            _ => Tensor::u8(&[256], table.iter().map(|&v| v as u8).collect()).unwrap(),
        };
        let ty = TensorType::new(&[1, 1, 1, 256], Elem::Plain(weight.dtype()));
        let found = alone(tpu::Lut::default(), &[(x.ty.clone(), None), (ty, Some(weight))], y.ty.clone(), &[Some(&tensor(&x))]).unwrap();
        let want: Vec<i64> = x.values.iter().map(|&v| table[v.rem_euclid(256) as usize]).collect();
        assert_eq!(found.to_i64().unwrap(), want);

        let slopes: Vec<i64> = (0..4).map(|_| random.next(-128, 127)).collect();
        let slope = (TensorType::new(&[1, 4, 1], Elem::Plain(DType::I8)), Some(Tensor::i8(&[1, 4, 1], slopes.iter().map(|&v| v as i8).collect()).unwrap()));
        let found = alone(tpu::PReluOp { rshift: 7, ..Default::default() }, &[(x.ty.clone(), None), slope], x.ty.clone(), &[Some(&tensor(&x))]).unwrap();
        let (low, high) = if x.ty.elem.storage() == DType::I8 { (-128, 127) } else { (0, 255) };
        for (i, (v, y)) in x.values.iter().zip(found.to_i64().unwrap()).enumerate() {
            let want = if *v < 0 { half_up(v * i128::from(slopes[i / 30 % 4]), 7) } else { *v };
            assert_eq!(i128::from(y), want.clamp(low, high));
        }
    }
}

#[test]
fn what_has_no_integer_form_is_refused() {
    let x = case(&mut Random(1), &[4]);
    let refused = |op: Op, count: usize| {
        let operands = vec![(x.ty.clone(), None); count];
        let inputs = vec![Some(tensor(&x)); count];
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        matches!(alone(op, &operands, x.ty.clone(), &inputs), Err(InterpError::Unsupported { .. }))
    };
    let exp = tpu::Active { mode: tpu::ActiveMode::EXP, coeffs: None, scale: None, bias: None, log: None, is_scalar: None };
    assert!(refused(exp.into(), 1));
    assert!(refused(tpu::Div::default().into(), 2));
    assert!(refused(tpu::Clip { min: 0.0, max: 1.0 }.into(), 1));
    assert!(refused(tpu::Mul::default().into(), 3));
    // A table of the other type.
    let table = (TensorType::new(&[256], Elem::F32), Some(Tensor::f32(&[256], vec![0.0; 256]).unwrap()));
    assert!(alone(tpu::Lut::default(), &[(x.ty.clone(), None), table], x.ty.clone(), &[Some(&tensor(&x))]).is_err());
}
