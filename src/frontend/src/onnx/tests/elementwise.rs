//! Elementwise operators.

use super::*;

fn ops(model: Model) -> Vec<Op> {
    let program = model.import().unwrap().program;
    program.check().unwrap();
    program.nodes.into_iter().skip(1).map(|n| n.op).collect()
}

#[test]
fn functions_of_one_tensor() {
    for (op, top) in [
        ("Abs", "top.Abs"), ("Cos", "top.Cos"), ("Cosh", "top.Cosh"), ("Elu", "top.Elu"), ("Erf", "top.Erf"), ("Exp", "top.Exp"), ("Floor", "top.Floor"), ("Gelu", "top.GELU"),
        ("HardSigmoid", "top.HardSigmoid"), ("HardSwish", "top.HardSwish"), ("LeakyRelu", "top.LeakyRelu"), ("Log", "top.Log"), ("Mish", "top.Mish"), ("Neg", "top.MulConst"),
        ("Reciprocal", "top.Reciprocal"), ("Relu", "top.Relu"), ("Round", "top.Round"), ("Sigmoid", "top.Sigmoid"), ("Sign", "top.Sign"), ("Sin", "top.Sin"), ("Sinh", "top.Sinh"),
        ("Softplus", "top.Softplus"), ("Softsign", "top.Softsign"), ("Sqrt", "top.Sqrt"), ("Tan", "top.Tan"), ("Tanh", "top.Tanh"),
    ] {
        let name = format!("o_{op}");
        assert_eq!(Model::new(&PICTURE).node(op, "x", "o").layers(), [layer(&name, top, &PICTURE)]);
    }
    // This one has its tensor's name.
    assert_eq!(Model::new(&[4]).node("Ceil", "x", "o").layers(), [layer("o", "top.Ceil", &[4])]);
}

#[test]
fn parameters_of_functions_and_their_defaults() {
    let one = |op: &str| Model::new(&[4]).node(op, "x", "o");
    assert_eq!(one("Elu").last(), top::Elu { alpha: 1.0, ..Default::default() }.into());
    assert_eq!(one("LeakyRelu").last(), top::LeakyRelu { alpha: f64::from(0.01f32), ..Default::default() }.into());
    assert_eq!(one("LeakyRelu").float("alpha", 0.3).last(), top::LeakyRelu { alpha: f64::from(0.3f32), ..Default::default() }.into());
    assert_eq!(one("HardSigmoid").float("beta", 0.25).last(), top::HardSigmoid { alpha: f64::from(0.2f32), beta: 0.25, ..Default::default() }.into());
    assert_eq!(one("Gelu").text("approximate", "tanh").last(), top::GELU { approx_mode: "tanh".into(), ..Default::default() }.into());
    assert!(one("Gelu").text("approximate", "sine").error().contains("approximate 'sine' is unknown, expected none or tanh"));
    assert_eq!(one("Clip").float("min", -1.0).float("max", 2.0).opset(6).last(), top::Clip { min: -1.0, max: 2.0, ..Default::default() }.into());
    assert!(one("Clip").float("min", 3.0).float("max", 2.0).opset(6).error().contains("[3, 2] is not a range"));
}

/// Constants of one value: attributes, where the reference's front end makes them so.
#[test]
fn arithmetic_with_one_number() {
    let model = |op: &str, inputs: &str| Model::new(&[1, 4, 3, 3]).floats("c", &[], &[2.5]).floats("same", &[1, 4, 1, 1], &[2.5; 4]).floats("two", &[1], &[2.0]).node(op, inputs, "o");
    assert_eq!(model("Sub", "x c").last(), top::AddConst { const_val: -2.5, ..Default::default() }.into());
    assert_eq!(model("Sub", "same x").last(), top::SubConst { const_val: 2.5, is_reverse: true, ..Default::default() }.into());
    assert_eq!(model("Div", "x c").last(), top::MulConst { const_val: 1.0 / 2.5, ..Default::default() }.into());
    assert_eq!(model("Div", "same x").last(), top::Reciprocal { const_val: 2.5, ..Default::default() }.into());
    assert_eq!(model("PRelu", "x same").last(), top::LeakyRelu { alpha: 2.5, ..Default::default() }.into());
    assert_eq!(model("Pow", "x c").last(), top::Pow { exponent: 2.5, ..Default::default() }.into());
    assert_eq!(model("Pow", "x two").last(), top::Mul::default().into());
    assert_eq!(model("Pow", "c x").last(), top::Pow2 { const_val: 2.5, ..Default::default() }.into());
    // Sums, products and extrema are left to a pass; their constant stands last.
    for (op, top) in [("Add", Op::from(top::Add::default())), ("Mul", top::Mul::default().into()), ("Max", top::Max::default().into()), ("Min", top::Min::default().into())] {
        let program = model(op, "c x").import().unwrap().program;
        assert_eq!(program.nodes[1].op, top);
        assert_eq!(program.value(program.nodes[1].operands[1]).source, Source::Weight);
    }
    // A constant that is larger than the tensor is not one number.
    let wide = Model::new(&[1, 4, 1, 1]).floats("w", &[1, 4, 2, 2], &[2.5; 16]).node("Sub", "x w", "o").layers();
    assert_eq!(wide, [layer("o_Sub", "top.Sub", &[1, 4, 2, 2])]);
}

#[test]
fn constants_get_the_rank_of_the_result() {
    let shape_of = |op: &str, dims: &[i64]| {
        let list: Vec<f32> = (0..dims.iter().product::<i64>()).map(|v| v as f32).collect();
        let imported = Model::new(&[1, 4, 3, 3]).floats("w", dims, &list).node(op, "x w", "o").import().unwrap();
        imported.weights.get("w").unwrap().shape().to_vec()
    };
    assert_eq!(shape_of("Add", &[3]), [1, 1, 1, 3]);
    assert_eq!(shape_of("Sub", &[4, 1, 1]), [1, 4, 1, 1]);
    assert_eq!(shape_of("PRelu", &[4, 1, 1]), [1, 4, 1, 1]);
    assert_eq!(shape_of("Max", &[3, 3]), [1, 1, 3, 3]);
    assert!(Model::new(&[1, 4]).floats("w", &[3], &[1.0, 2.0, 3.0]).node("Mul", "x w", "o").error().contains("do not broadcast"));
}

#[test]
fn more_than_two_operands_are_a_chain() {
    let mut model = Model::new(&[2, 3]);
    model.input("y", &[2, 3]);
    model.input("z", &[2, 3]);
    assert_eq!(ops(model.node("Sum", "x y z", "o"))[2..], [top::Add::default().into(), top::Add::default().into()]);
    let mut model = Model::new(&[2, 3]);
    model.input("y", &[2, 3]);
    model.input("z", &[2, 3]);
    let layers = model.node("Max", "x y z", "o").layers();
    assert_eq!(layers[2..], [layer("o_1_Max", "top.Max", &[2, 3]), layer("o_Max", "top.Max", &[2, 3])]);
    // One operand is its own sum.
    assert_eq!(Model::new(&[2, 3]).node("Sum", "x", "a").node("Abs", "a", "o").layers().len(), 1);
}

#[test]
fn functions_that_exporters_write_out() {
    let model = || Model::new(&PICTURE).floats("root", &[], &[std::f32::consts::SQRT_2]).floats("one", &[], &[1.0]).floats("half", &[], &[0.5]).floats("three", &[], &[3.0]).floats("six", &[], &[6.0]).floats("zero", &[], &[0.0]);
    let gelu = || model().node("Div", "x root", "d").node("Erf", "d", "e").node("Add", "e one", "p");
    let gelu_layer = [layer("o_GELU", "top.GELU", &PICTURE)];
    assert_eq!(gelu().node("Mul", "x p", "m").node("Mul", "m half", "o").layers(), gelu_layer);
    assert_eq!(gelu().node("Mul", "x half", "h").node("Mul", "p h", "o").layers(), gelu_layer);
    // Of two different tensors it is no GELU.
    let other = gelu().node("Abs", "x", "a").node("Mul", "a p", "m").node("Mul", "m half", "o").layers();
    assert_eq!(other.len(), 6);
    let tanh = model().floats("c", &[], &[0.044715]).floats("r", &[], &[0.797_884_6]).node("Pow", "x three", "q").node("Mul", "q c", "t").node("Add", "x t", "s").node("Mul", "s r", "u");
    let tanh = tanh.node("Tanh", "u", "v").node("Add", "v one", "p").node("Mul", "x half", "h").node("Mul", "h p", "o");
    assert_eq!(tanh.last(), top::GELU { approx_mode: "tanh".into(), ..Default::default() }.into());
    let relu6 = || model().node("Add", "x three", "a").node("Clip", "a zero six", "c");
    assert_eq!(relu6().node("Div", "c six", "o").layers(), [layer("o_HardSigmoid", "top.HardSigmoid", &PICTURE)]);
    assert_eq!(relu6().node("Mul", "x c", "m").node("Div", "m six", "o").layers(), [layer("o_HardSwish", "top.HardSwish", &PICTURE)]);
    assert_eq!(model().node("HardSigmoid", "x", "h").float("alpha", 1.0 / 6.0).node("Mul", "x h", "o").layers(), [layer("o_HardSwish", "top.HardSwish", &PICTURE)]);
    // The parts that somebody else reads stay, beside the function.
    let shared = relu6().node("Div", "c six", "h").node("Mul", "h c", "o").layers();
    assert_eq!(shared.iter().map(|l| l.1).collect::<Vec<_>>(), ["top.Add", "top.Clip", "top.HardSigmoid", "top.Mul"]);
}
