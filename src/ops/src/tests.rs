use super::*;
use tpuc_tensor::DType;

fn tensor(shape: &[i64]) -> ValueType {
    TensorType::f32(shape).into()
}

fn conv(kernel: i64, stride: i64, pad: i64, group: i64) -> Op {
    top::Conv { kernel_shape: vec![kernel; 2], strides: vec![stride; 2], pads: vec![pad; 4], group, ..Default::default() }.into()
}

#[test]
fn attributes_round_trip() {
    let op = Op::from(tpu::Conv2D {
        kernel_shape: vec![3, 3],
        strides: vec![1, 1],
        pads: vec![1; 4],
        multiplier: Some(vec![5]),
        round_mode: tpu::RoundMode::HalfUp,
        ..Default::default()
    });
    let attributes: Vec<(String, Attr)> = op.to_attrs().into_iter().map(|(n, a)| (n.to_owned(), a)).collect();
    assert_eq!(Op::from_attrs("tpu.Conv2D", &attributes).unwrap(), op);
    assert!(attributes.is_sorted_by_key(|(n, _)| n.clone()));
}

#[test]
fn defaults_are_those_of_the_declaration() {
    assert_eq!(top::Conv::default().relu_limit, -1.0);
    assert_eq!(top::MatMul::default().dq_type, "NONE");
    assert_eq!(top::AvgPool::default().round_mode, "HalfAwayFromZero");
    assert_eq!(tpu::MatMul::default().multipliers, [1]);
    assert_eq!(tpu::Cast::default().round_mode, tpu::RoundMode::HalfAwayFromZero);
}

#[test]
fn wrong_attributes_are_named() {
    let error = Op::from_attrs("top.Conv", &[]).unwrap_err();
    assert_eq!(error.to_string(), "top.Conv: attribute 'kernel_shape' is missing");
    let error = Op::from_attrs("top.Softmax", &[("axis".into(), Attr::I64(1))]).unwrap_err();
    assert_eq!(error.to_string(), "top.Softmax: attribute 'axis' is of kind i64, expected si32");
    assert_eq!(Op::from_attrs("top.Nope", &[]).unwrap_err().to_string(), "unknown op 'top.Nope'");
}

#[test]
fn convolution_shapes() {
    let operands = [tensor(&[1, 3, 224, 224]), tensor(&[32, 3, 3, 3]), ValueType::None];
    let op = conv(3, 2, 1, 1);
    assert_eq!(op.infer_shapes(&operands).unwrap(), [[1, 32, 112, 112]]);
    assert!(op.verify(&operands, &[tensor(&[1, 32, 112, 112])]).is_ok());
    let error = op.verify(&operands, &[tensor(&[1, 32, 111, 112])]).unwrap_err();
    assert_eq!(error.to_string(), "top.Conv: result shape is [1, 32, 111, 112], expected [1, 32, 112, 112]");
    let error = conv(3, 2, 1, 2).verify(&operands, &[tensor(&[1, 32, 112, 112])]).unwrap_err();
    assert_eq!(error.to_string(), "top.Conv: filter [32, 3, 3, 3] does not fit 3 input channels in 2 groups");
}

#[test]
fn matmul_and_pool_shapes() {
    let op = Op::from(top::MatMul::default());
    assert_eq!(op.infer_shapes(&[tensor(&[4, 1, 7]), tensor(&[7, 9]), ValueType::None]).unwrap(), [[4, 1, 9]]);
    assert!(op.infer_shapes(&[tensor(&[4, 8]), tensor(&[7, 9]), ValueType::None]).is_err());
    let pool = Op::from(top::MaxPool { kernel_shape: vec![3, 3], strides: vec![2, 2], pads: vec![0; 4], ceil_mode: Some(true), ..Default::default() });
    assert_eq!(pool.infer_shapes(&[tensor(&[1, 8, 6, 6])]).unwrap(), [[1, 8, 3, 3]]);
}

#[test]
fn reshape_and_pad_shapes() {
    let reshape = |shape: &[i64]| Op::from(top::Reshape { shape: Some(shape.to_vec()), ..Default::default() });
    assert_eq!(reshape(&[0, -1]).infer_shapes(&[tensor(&[2, 3, 4])]).unwrap(), [[2, 12]]);
    assert!(reshape(&[5, -1]).infer_shapes(&[tensor(&[2, 3, 4])]).is_err());
    let pad = Op::from(top::Pad { paddings: vec![0, 0, 1, 1, 0, 0, 2, 2], ..Default::default() });
    assert_eq!(pad.infer_shapes(&[tensor(&[1, 3, 4, 5])]).unwrap(), [[1, 3, 7, 8]]);
}

#[test]
fn nearest_positions() {
    assert_eq!(resize::nearest("asymmetric", 4, 6), [0, 0, 1, 2, 2, 3]);
    assert_eq!(resize::nearest("half_pixel", 4, 8), [0, 0, 1, 1, 2, 2, 3, 3]);
    assert_eq!(resize::nearest("half_pixel", 4, 2), [0, 2]);
    assert_eq!(resize::nearest("align_corners", 12, 6), [0, 2, 4, 7, 9, 11]);
}

#[test]
fn programs_are_checked_in_order() {
    let mut program = Program::new("net");
    let argument = program.add_input("in", TensorType::f32(&[1, 3, 8, 8]));
    let input = program.push(top::Input::default(), &[argument], "in", TensorType::f32(&[1, 3, 8, 8]));
    let filter = program.add_weight("w", TensorType::f32(&[4, 3, 1, 1]));
    let none = program.none();
    let out = program.push(conv(1, 1, 0, 1), &[input, filter, none], "c", TensorType::f32(&[1, 4, 8, 8]));
    program.outputs.push(out);
    program.check().unwrap();
    assert_eq!(program.users()[input.index()], [1]);
    program.nodes.swap(0, 1);
    assert!(program.check().is_err());
}

#[test]
fn quantized_convolution_needs_its_multipliers() {
    let quantized = |shape: &[i64]| ValueType::from(TensorType::new(shape, Elem::symmetric(DType::I8, 0.1)));
    let op = Op::from(tpu::Conv2D { kernel_shape: vec![1, 1], strides: vec![1, 1], pads: vec![0; 4], ..Default::default() });
    let operands = [quantized(&[1, 3, 2, 2]), TensorType::new(&[4, 3, 1, 1], Elem::Plain(DType::I8)).into(), ValueType::None];
    let error = op.verify(&operands, &[quantized(&[1, 4, 2, 2])]).unwrap_err();
    assert_eq!(error.to_string(), "tpu.Conv2D: a quantized result needs attribute 'multiplier'");
}
